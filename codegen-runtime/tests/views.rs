//! The views: what aliases what, and where they end.

use tinyc_runtime::rows::{self, Taps};
use tinyc_runtime::view::{Aligned, Arena, Bytes, Consts};

#[test]
fn overlapping_runs_see_each_other() {
    let mut arena = Arena::<64>::new();
    let view = arena.view();
    let (low, high) = (view.at::<0, 40>(), view.at::<24, 40>());
    low.set(30, 77);
    assert_eq!(high.get(6), 77);
    high.sub(4, 8).fill(-3, 8);
    assert_eq!([27, 28, 35, 36].map(|i| low.get(i)), [0, -3, -3, 0]);
    assert_eq!(arena.slice::<28, 8>(), &[-3; 8]);
    arena.slice_mut::<62, 2>().copy_from_slice(&[1, 2]);
    assert_eq!(arena.slice::<60, 4>(), &[0, 0, 1, 2]);
}

#[test]
fn a_run_at_any_offset_is_inside_or_none() {
    let mut arena = Arena::<16>::new();
    arena.get_mut::<4>(12).unwrap().copy_from_slice(&[1, 2, 3, 4]);
    assert_eq!(arena.slice::<11, 5>(), &[0, 1, 2, 3, 4]);
    assert!(arena.get_mut::<4>(13).is_none() && arena.get_mut::<1>(16).is_none());
    assert!(arena.get_mut::<4>(usize::MAX).is_none() && arena.get_mut::<17>(0).is_none());
    let table = rows::RowTable::<2, 16>::new(4, 2, [3, 0]);
    assert_eq!([0, 1, 2].map(|row| table.offset(row)), [Some(12), Some(0), None]);
}

#[test]
fn an_overlapping_copy_moves() {
    let mut arena = Arena::<16>::new();
    let bytes = arena.view().at::<0, 16>();
    for i in 0..16 {
        bytes.set(i, i as i8);
    }
    bytes.sub(2, 8).copy_from(bytes, 8);
    assert_eq!(arena.slice::<0, 12>(), &[0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 10, 11]);
    let bytes = arena.view().at::<0, 16>();
    bytes.copy_from(bytes.sub(4, 8), 8);
    assert_eq!(arena.slice::<0, 8>(), &[2, 3, 4, 5, 6, 7, 10, 11]);
}

#[test]
fn wide_elements_share_bytes() {
    let mut arena = Arena::<16>::new();
    let bytes = arena.view().at::<8, 8>();
    bytes.set_i32(1, -2);
    assert_eq!((bytes.get_i32(0), bytes.get_i32(1)), (0, -2));
    assert_eq!((bytes.get_i16(1), bytes.get_i16(2) as u16, bytes.get_i16(3)), (0, 0xFFFE_u16.to_le(), -1));
    bytes.set_i16(0, 0x1234);
    assert_eq!(bytes.get_i16(0), 0x1234);
    assert_eq!(arena.slice::<0, 8>(), &[0; 8]);
}

#[test]
fn constants_are_little_endian() {
    static BLOB: Aligned<12> = Aligned([9, 9, 9, 9, 0xFE, 0xFF, 0xFF, 0xFF, 0x01, 0x02, 0x03, 0x84]);
    let consts = BLOB.consts::<4, 8>();
    assert_eq!((consts.i32_at(0), consts.i32_at(4)), (-2, i32::from_be_bytes([0x84, 3, 2, 1])));
    assert_eq!((consts.i8_at(7), consts.u8_at(7)), (-124, 0x84));
    assert_eq!(consts.sub(5, 2).u8_at(0), 2);
    assert_eq!(Consts::new(&BLOB.0[8..]).i32_at(0), consts.i32_at(4));
}

#[test]
fn a_view_is_small_and_has_a_niche() {
    let words = if cfg!(any(miri, feature = "checked")) { 2 } else { 1 };
    assert_eq!(size_of::<Bytes<'_>>(), words * size_of::<usize>());
    assert_eq!(size_of::<Option<Bytes<'_>>>(), size_of::<Bytes<'_>>());
    assert_eq!((align_of::<Arena<3>>(), align_of::<Aligned<3>>()), (16, 16));
}

#[test]
fn a_window_resolves_rows_and_padding() {
    let mut input: Vec<i8> = (0..20).collect();
    let input = Bytes::from_mut(&mut input);
    // 5 rows of 4 bytes: rows -2, 0, 2, 4, 6.
    let window = rows::window::<5>(input, 4, -2, 2, 5);
    assert_eq!(window.map(|row| row.map(|row| row.get(1))), [None, Some(1), Some(9), Some(17), None]);
}

#[test]
fn taps_are_those_inside() {
    for (first, dilation, kernel, size) in
        [(-3, 2, 4, 5), (-1, 1, 3, 1), (4, 3, 2, 6), (-9, 2, 3, 4), (6, 1, 3, 6), (0, 1, 1, 1), (-4, 2, 5, 9)]
    {
        let inside: Vec<usize> = (0..kernel)
            .filter(|&tap| (0..size as isize).contains(&(first + (tap * dilation) as isize)))
            .collect();
        let Taps { begin, end, position } = rows::taps(first, dilation, kernel, size);
        assert_eq!((begin..end).collect::<Vec<_>>(), inside, "{first} {dilation} {kernel} {size}");
        if let Some(&tap) = inside.first() {
            assert_eq!(position as isize, first + (tap * dilation) as isize);
        }
    }
}

#[cfg(any(miri, feature = "checked"))]
mod checked {
    use super::*;

    fn panics(access: impl FnOnce(Bytes<'_>, Consts<'_>) + std::panic::UnwindSafe) -> bool {
        static BLOB: Aligned<16> = Aligned([0; 16]);
        std::panic::catch_unwind(|| {
            let mut arena = Arena::<16>::new();
            access(arena.view().at::<4, 8>(), BLOB.consts::<4, 8>());
        })
        .is_err()
    }

    #[test]
    fn accesses_outside_and_misaligned_ones_panic() {
        assert!(!panics(|bytes, consts| bytes.set(7, consts.i8_at(7))));
        assert!(!panics(|bytes, _| bytes.sub(8, 0).copy_from(bytes, 0)));
        assert!(panics(|bytes, _| bytes.set(8, 0)));
        assert!(panics(|bytes, _| _ = bytes.get(usize::MAX)));
        assert!(panics(|bytes, _| _ = bytes.sub(3, 6)));
        assert!(panics(|bytes, _| _ = bytes.get_i32(2)));
        assert!(panics(|bytes, _| _ = bytes.sub(2, 6).get_i32(0)));
        assert!(panics(|bytes, _| bytes.sub(1, 6).set_i16(0, 1)));
        assert!(panics(|bytes, _| bytes.fill(0, 9)));
        assert!(panics(|bytes, _| bytes.sub(1, 7).copy_from(bytes, 8)));
        assert!(panics(|_, consts| _ = consts.i32_at(5)));
        assert!(panics(|_, consts| _ = consts.u8_at(8)));
        assert!(panics(|_, consts| _ = consts.sub(9, 0)));
    }
}
