//! The budget.

use deadstop::context::{BodyOpts, CallOpts};

use super::worker::{cleanup, thread, worker};
use crate::manual_host::ms;

#[test]
fn budget_lists_each_steps_worst_case_bound() {
    let (_host, ctx) = worker();
    thread(&ctx, "a", BodyOpts::new().timeout(ms(15_000)));
    thread(&ctx, "b", BodyOpts::new().order(1).timeout(ms(10_000)));
    cleanup(&ctx, "db", CallOpts::new().floor(ms(4_000)));
    cleanup(&ctx, "pool", CallOpts::new().order(100));
    let budget = ctx.budget();
    // 30 s of grace less 500 ms of margin and 10 s of reserve.
    assert_eq!(budget.stop_share, ms(19_500));
    let stop: Vec<_> = budget.stop.iter().map(|l| (&*l.name, l.at_worst)).collect();
    assert_eq!(stop, [("a", ms(15_000)), ("b", ms(4_500))]);
    let cleanup: Vec<_> = budget
        .cleanup
        .iter()
        .map(|line| (&*line.name, line.floor, line.at_worst))
        .collect();
    // The explicit floor leaves 6 s to the pool. Its default floor is 1 s, the most that a default floor can be.
    assert_eq!(
        cleanup,
        [
            ("pool", Some(ms(1_000)), ms(6_000)),
            ("db", Some(ms(4_000)), ms(4_000)),
        ]
    );
    let printed = budget.to_string();
    assert!(
        printed.starts_with("grace 30 s = stop 19.5 s + cleanup 10 s + margin 500 ms\n"),
        "{printed}"
    );
}

/// Joins and cancels of one order share their time, and a callback between two of them separates them. The time
/// of a task includes the confirmation of its abort, 100 ms, as far as the phase has it.
#[test]
fn budget_counts_groups_once_and_abort_confirmations() {
    let (_host, ctx) = worker();
    let task = |name: &str, order, timeout| {
        let opts = BodyOpts::new().order(order).timeout(ms(timeout));
        let added = ctx.add_task(name, opts, |_| async {});
        added.expect("accepted");
    };
    task("a", 0, 5_000);
    task("b", 0, 4_000);
    ctx.defer_stop("c", CallOpts::new().timeout(ms(2_000)), |_| {})
        .expect("accepted");
    thread(&ctx, "d", BodyOpts::new().timeout(ms(3_000)));
    task("e", 1, 20_000);
    let budget = ctx.budget();
    let stop: Vec<_> = budget.stop.iter().map(|l| (&*l.name, l.at_worst)).collect();
    // Of 19.5 s, a and b take 5.1 s, c takes 2 s, and d takes 3 s.
    assert_eq!(
        stop,
        [
            ("a", ms(5_000)),
            ("b", ms(4_000)),
            ("c", ms(2_000)),
            ("d", ms(3_000)),
            ("e", ms(9_400)),
        ]
    );
}
