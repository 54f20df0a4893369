//! Views of memory: the only file with `unsafe`, assembly aside.
//!
//! In: one exclusive borrow of the arena, or shared borrows of constants. Out:
//! copyable views that may overlap and are read and written a byte or an
//! element at a time. Invariant: an access stays inside the run that its view
//! was made for.
//!
//! Nobody checks that invariant at run time, since a bounds check is a panic
//! path and costs more than the access. It is the compiler's duty instead: the
//! runs are ranges of the arena that are checked when the crate is built
//! ([`ArenaView::at`], [`Aligned::consts`]), and the parameters of a kernel are
//! planned together with the runs that it gets. Under Miri, and with the
//! feature `checked`, every view carries its length and every access is
//! checked, with a panic; that is how the kernels are tested.

use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How far a view reaches, where that is checked; nothing otherwise.
#[derive(Clone, Copy)]
struct Extent {
    #[cfg(any(miri, feature = "checked"))]
    len: usize,
}

#[cfg(any(miri, feature = "checked"))]
impl Extent {
    #[inline(always)]
    const fn new(len: usize) -> Self {
        Extent { len }
    }

    #[inline(always)]
    #[track_caller]
    fn check(self, start: usize, len: usize) {
        assert!(
            start <= self.len && len <= self.len - start,
            "{start} + {len} is outside a run of {}",
            self.len
        );
    }

    #[inline(always)]
    #[track_caller]
    fn check_aligned<T>(pointer: NonNull<T>) {
        assert!(pointer.is_aligned(), "misaligned access");
    }
}

#[cfg(not(any(miri, feature = "checked")))]
impl Extent {
    #[inline(always)]
    const fn new(_len: usize) -> Self {
        Extent {}
    }

    #[inline(always)]
    fn check(self, _start: usize, _len: usize) {}

    #[inline(always)]
    fn check_aligned<T>(_pointer: NonNull<T>) {}
}

/// A run of activation bytes, which other views may overlap.
///
/// An index or range must lie inside the run; see the module's text for who
/// guarantees that. In a checked build every method panics otherwise; in others a
/// view is its address.
#[derive(Clone, Copy)]
#[cfg_attr(not(any(miri, feature = "checked")), repr(transparent))]
pub struct Bytes<'a> {
    start: NonNull<i8>,
    extent: Extent,
    // Bytes that others may write between two accesses, from one thread.
    lifetime: PhantomData<&'a Cell<i8>>,
}

impl<'a> Bytes<'a> {
    /// A view of all of `bytes`.
    #[inline(always)]
    pub fn from_mut(bytes: &'a mut [i8]) -> Self {
        let extent = Extent::new(bytes.len());
        Bytes { start: NonNull::from(bytes).cast(), extent, lifetime: PhantomData }
    }

    #[inline(always)]
    #[track_caller]
    fn at<T>(self, start: usize, len: usize) -> NonNull<T> {
        self.extent.check(start, len);
        // SAFETY: `start` lies inside the run or at its end (the invariant of
        // this module), and the run is one live allocation for 'a.
        unsafe { self.start.add(start) }.cast()
    }

    /// Byte `index`.
    #[inline(always)]
    #[track_caller]
    pub fn get(self, index: usize) -> i8 {
        // SAFETY: the byte is inside the run, and initialised, as the run
        // comes from a slice; nobody else writes during 'a from another thread.
        unsafe { self.at::<i8>(index, 1).read() }
    }

    /// Writes byte `index`.
    #[inline(always)]
    #[track_caller]
    pub fn set(self, index: usize, value: i8) {
        // SAFETY: the byte is inside the run, which was exclusively borrowed;
        // views hand out no references that the write could invalidate.
        unsafe { self.at::<i8>(index, 1).write(value) }
    }

    /// The `len` bytes from `start` on.
    #[inline(always)]
    #[track_caller]
    pub fn sub(self, start: usize, len: usize) -> Bytes<'a> {
        Bytes { start: self.at(start, len), extent: Extent::new(len), lifetime: PhantomData }
    }

    /// The 16-bit element `index` (byte `2 * index`) of a run that is 2-byte
    /// aligned.
    #[inline(always)]
    #[track_caller]
    pub fn get_i16(self, index: usize) -> i16 {
        let element = self.at::<i16>(index * 2, 2);
        Extent::check_aligned(element);
        // SAFETY: as for `get`; the caller aligned the run, and any two
        // initialised bytes are an i16.
        unsafe { element.read() }
    }

    /// Writes the 16-bit element `index` of a run that is 2-byte aligned.
    #[inline(always)]
    #[track_caller]
    pub fn set_i16(self, index: usize, value: i16) {
        let element = self.at::<i16>(index * 2, 2);
        Extent::check_aligned(element);
        // SAFETY: as for `set`; the caller aligned the run.
        unsafe { element.write(value) }
    }

    /// The 32-bit element `index` (byte `4 * index`) of a run that is 4-byte
    /// aligned.
    #[inline(always)]
    #[track_caller]
    pub fn get_i32(self, index: usize) -> i32 {
        let element = self.at::<i32>(index * 4, 4);
        Extent::check_aligned(element);
        // SAFETY: as for `get`; the caller aligned the run, and any four
        // initialised bytes are an i32.
        unsafe { element.read() }
    }

    /// Writes the 32-bit element `index` of a run that is 4-byte aligned.
    #[inline(always)]
    #[track_caller]
    pub fn set_i32(self, index: usize, value: i32) {
        let element = self.at::<i32>(index * 4, 4);
        Extent::check_aligned(element);
        // SAFETY: as for `set`; the caller aligned the run.
        unsafe { element.write(value) }
    }

    /// The address of the `len` bytes from `start` on, for assembly that reads
    /// and writes those and no others.
    #[inline(always)]
    #[track_caller]
    pub fn pointer(self, start: usize, len: usize) -> *mut i8 {
        self.at(start, len).as_ptr()
    }

    /// The same run as constants, which it is to those who read it before it is written
    /// again.
    #[inline(always)]
    pub fn constants(self) -> Consts<'a> {
        Consts { start: self.start.cast(), extent: self.extent, lifetime: PhantomData }
    }

    /// Copies the first `len` bytes of `source` here, as if through a buffer:
    /// the runs may overlap.
    #[inline(always)]
    #[track_caller]
    pub fn copy_from(self, source: Bytes<'_>, len: usize) {
        let (from, to) = (source.at::<i8>(0, len), self.at::<i8>(0, len));
        // SAFETY: both ranges are inside their runs; `copy` allows overlap.
        unsafe { from.copy_to(to, len) }
    }

    /// Sets the first `len` bytes to `value`.
    #[inline(always)]
    #[track_caller]
    pub fn fill(self, value: i8, len: usize) {
        // SAFETY: the range is inside the run, as for `set`.
        unsafe { self.at::<i8>(0, len).write_bytes(value as u8, len) }
    }
}

/// A run of constants, in flash or [in the arena](Bytes::constants). The same contract as for [`Bytes`] holds.
#[derive(Clone, Copy)]
pub struct Consts<'a> {
    start: NonNull<u8>,
    extent: Extent,
    lifetime: PhantomData<&'a [u8]>,
}

impl<'a> Consts<'a> {
    /// A view of all of `bytes`.
    #[inline(always)]
    pub const fn new(bytes: &'a [u8]) -> Self {
        let extent = Extent::new(bytes.len());
        // SAFETY: a reference is never null. Only reads follow.
        let start = unsafe { NonNull::new_unchecked(bytes.as_ptr().cast_mut()) };
        Consts { start, extent, lifetime: PhantomData }
    }

    #[inline(always)]
    #[track_caller]
    fn at<T>(self, start: usize, len: usize) -> NonNull<T> {
        self.extent.check(start, len);
        // SAFETY: `start` lies inside the run or at its end (the invariant of
        // this module), and the run is borrowed for 'a.
        unsafe { self.start.add(start) }.cast()
    }

    /// The int8 at byte `offset`.
    #[inline(always)]
    #[track_caller]
    pub fn i8_at(self, offset: usize) -> i8 {
        // SAFETY: the byte is inside the run, which is borrowed for 'a.
        unsafe { self.at::<i8>(offset, 1).read() }
    }

    /// The byte at `offset`.
    #[inline(always)]
    #[track_caller]
    pub fn u8_at(self, offset: usize) -> u8 {
        // SAFETY: the byte is inside the run, which is borrowed for 'a.
        unsafe { self.at::<u8>(offset, 1).read() }
    }

    /// The little-endian 32-bit integer at byte `offset`, which is 4-byte
    /// aligned in memory.
    #[inline(always)]
    #[track_caller]
    pub fn i32_at(self, offset: usize) -> i32 {
        let word = self.at::<i32>(offset, 4);
        Extent::check_aligned(word);
        // SAFETY: the bytes are inside the run, which is borrowed for 'a; the
        // caller aligned the run, and any four bytes are an i32.
        i32::from_le(unsafe { word.read() })
    }

    /// The address of the `len` bytes from `start` on, for assembly that reads
    /// those and no others.
    #[inline(always)]
    #[track_caller]
    pub fn pointer(self, start: usize, len: usize) -> *const u8 {
        self.at(start, len).as_ptr()
    }

    /// The `len` bytes from `start` on.
    #[inline(always)]
    #[track_caller]
    pub fn sub(self, start: usize, len: usize) -> Consts<'a> {
        Consts { start: self.at(start, len), extent: Extent::new(len), lifetime: PhantomData }
    }
}

/// The one buffer of `N` bytes that all activations and scratch live in.
#[repr(C, align(16))]
pub struct Arena<const N: usize>([i8; N]);

impl<const N: usize> Arena<N> {
    /// All zero, so that a static one lives in `.bss`.
    pub const fn new() -> Self {
        Arena([0; N])
    }

    /// A view from which overlapping runs can be taken.
    #[inline(always)]
    pub fn view(&mut self) -> ArenaView<'_, N> {
        ArenaView { start: NonNull::from(&mut self.0).cast(), lifetime: PhantomData }
    }

    /// The `LEN` bytes from `OFFSET` on; a range outside the arena does not
    /// compile.
    #[inline(always)]
    pub fn slice<const OFFSET: usize, const LEN: usize>(&self) -> &[i8; LEN] {
        const { assert!(OFFSET <= N && LEN <= N - OFFSET, "a run outside the arena") }
        // SAFETY: the range is inside the array (asserted above), borrowed as
        // long as the result; an array of i8 has no alignment to keep.
        unsafe { &*self.0.as_ptr().add(OFFSET).cast() }
    }

    /// The `LEN` bytes from `OFFSET` on, to write; a range outside the arena
    /// does not compile.
    #[inline(always)]
    pub fn slice_mut<const OFFSET: usize, const LEN: usize>(&mut self) -> &mut [i8; LEN] {
        const { assert!(OFFSET <= N && LEN <= N - OFFSET, "a run outside the arena") }
        // SAFETY: as for `slice`; the arena is exclusively borrowed as long as
        // the result.
        unsafe { &mut *self.0.as_mut_ptr().add(OFFSET).cast() }
    }
}

impl<const N: usize> Arena<N> {
    /// The `LEN` bytes from `offset` on; `None` where they are not inside the arena.
    #[inline(always)]
    pub fn get_mut<const LEN: usize>(&mut self, offset: usize) -> Option<&mut [i8; LEN]> {
        self.0.get_mut(offset..)?.first_chunk_mut()
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Arena::new()
    }
}

/// An exclusively borrowed arena of `N` bytes, as runs that may overlap.
#[derive(Clone, Copy)]
pub struct ArenaView<'a, const N: usize> {
    start: NonNull<i8>,
    lifetime: PhantomData<&'a Cell<i8>>,
}

impl<'a, const N: usize> ArenaView<'a, N> {
    /// The `LEN` bytes from `OFFSET` on; a range outside the arena does not
    /// compile.
    #[inline(always)]
    pub fn at<const OFFSET: usize, const LEN: usize>(self) -> Bytes<'a> {
        const { assert!(OFFSET <= N && LEN <= N - OFFSET, "a run outside the arena") }
        // SAFETY: the offset is inside the arena (asserted above), which is
        // exclusively borrowed for 'a.
        let start = unsafe { self.start.add(OFFSET) };
        Bytes { start, extent: Extent::new(LEN), lifetime: PhantomData }
    }

    /// All of it, for tables of offsets that were checked when the crate was built.
    #[inline(always)]
    pub fn whole(self) -> Bytes<'a> {
        Bytes { start: self.start, extent: Extent::new(N), lifetime: PhantomData }
    }
}

/// `N` constant bytes, aligned for every access that kernels make:
/// `static WEIGHTS: Aligned<{ .. }> = Aligned(*include_bytes!("weights.bin"));`
#[repr(C, align(16))]
pub struct Aligned<const N: usize>(pub [u8; N]);

impl<const N: usize> Aligned<N> {
    /// The `LEN` constants from byte `OFFSET` on; a range outside, or an offset
    /// that is no multiple of 4, does not compile.
    #[inline(always)]
    pub const fn consts<const OFFSET: usize, const LEN: usize>(&self) -> Consts<'_> {
        const {
            assert!(OFFSET <= N && LEN <= N - OFFSET, "constants outside the blob");
            assert!(OFFSET.is_multiple_of(4), "constants that are not 4-byte aligned");
        }
        // SAFETY: the range is inside the array (asserted above).
        let start = unsafe { NonNull::new_unchecked(self.0.as_ptr().add(OFFSET).cast_mut()) };
        Consts { start, extent: Extent::new(LEN), lifetime: PhantomData }
    }
}

/// A value in a `static` that is handed out once, as `&'static mut`.
///
/// Built on loads and stores alone, since small cores have no atomic swap.
pub struct TakeOnce<T> {
    value: UnsafeCell<T>,
    visitor: AtomicUsize,
    closed: AtomicBool,
}

// SAFETY: `take` gives access to the value to one caller at most (see there),
// who may be any thread or interrupt, as T is Send.
unsafe impl<T: Send> Sync for TakeOnce<T> {}

impl<T> TakeOnce<T> {
    /// A value to be taken.
    pub const fn new(value: T) -> Self {
        TakeOnce {
            value: UnsafeCell::new(value),
            visitor: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// The value for the first caller, `None` afterwards. Callers at the same
    /// time (an interrupt in the middle of a call, another core) may all get
    /// `None`; never do two get the value.
    #[allow(clippy::mut_from_ref, reason = "handed out once at most")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        // A splitter (Lamport 1987; Moir and Anderson 1995): each visitor writes
        // its own name, closes the door behind it, and wins if the name is
        // still its own. Say A and B both win, and A wrote its name first. B
        // found the door open, so A closed it after that, and read the name
        // later still, when B's or a later name stood there: A did not win.
        // The address of a variable that lives throughout the call is a name
        // that no one else who is inside has.
        let name = 0u8;
        let name = (&raw const name).addr();
        self.visitor.store(name, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            return None;
        }
        self.closed.store(true, Ordering::SeqCst);
        if self.visitor.load(Ordering::SeqCst) != name {
            return None;
        }
        // SAFETY: one caller at most comes here in the life of this static, so
        // this reference is the only one there ever is.
        Some(unsafe { &mut *self.value.get() })
    }
}
