//! The cell that hands a static value out once.

use std::sync::Barrier;

use tinyc_runtime::view::TakeOnce;

fn leaked() -> &'static TakeOnce<[u8; 3]> {
    Box::leak(Box::new(TakeOnce::new([1, 2, 3])))
}

#[test]
fn the_first_caller_gets_the_value_and_nobody_after() {
    let cell = leaked();
    let value = cell.take().unwrap();
    value[0] = 9;
    assert_eq!(*value, [9, 2, 3]);
    assert!(cell.take().is_none());
    assert!(cell.take().is_none());
}

#[test]
fn callers_at_the_same_time_never_get_it_twice() {
    for _ in 0..300 {
        let cell = leaked();
        let start = Barrier::new(4);
        let winners: usize = std::thread::scope(|scope| {
            let racer = || {
                start.wait();
                usize::from(cell.take().is_some())
            };
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(racer)).collect();
            racers.into_iter().map(|r| r.join().unwrap()).sum()
        });
        assert!(winners <= 1);
        assert!(cell.take().is_none(), "the door stays closed");
    }
}
