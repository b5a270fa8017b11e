//! Cleanup: its order, and its floors.

use deadstop::context::{CallOpts, Limits, WorkerCtx};
use deadstop::host::Scope;
use deadstop::journal::{BoundBy, Outcome};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{Notes, cleanup, outcomes, worker};
use crate::manual_host::{ManualHost, ms};

#[test]
fn cleanup_descends_orders_and_takes_ties_first_or_last() {
    for (last_first, expected) in [
        (false, ["pool", "a", "b", "db"]),
        (true, ["pool", "b", "a", "db"]),
    ] {
        let host = ManualHost::new();
        let mut limits = Limits::new();
        if last_first {
            limits = limits.last_registered_first();
        }
        let ctx = host.ctx(WorkerCtx::<()>::builder().limits(limits));
        let notes = Notes::default();
        for (name, order) in [("db", 0), ("a", 50), ("pool", 100), ("b", 50)] {
            let notes = notes.clone();
            let note = move |_: &Scope| notes.put(name);
            ctx.defer_cleanup(name, CallOpts::new().order(order), note)
                .expect("accepted");
        }
        let mut done = spawn(ctx.cleanup());
        assert_pending!(done.poll());
        host.poll_all();
        while let Some(name) = host.bodies().first() {
            host.run(name);
        }
        assert_ready!(done.poll()).expect("from outside");
        assert_eq!(notes.all(), expected);
    }
}

#[test]
fn a_hung_close_leaves_the_later_ones_their_floors() {
    let host = ManualHost::new();
    // 1000 ms of grace, 50 ms of margin, 300 ms of reserve: cleanup ends at 950 ms.
    let limits = Limits::new().grace(ms(1_000)).reserve(ms(300));
    let ctx = host.ctx(WorkerCtx::<()>::builder().limits(limits));
    cleanup(&ctx, "hangs", CallOpts::new().order(2));
    cleanup(&ctx, "db", CallOpts::new().order(1).floor(ms(200)));
    cleanup(&ctx, "log", CallOpts::new());
    let mut done = spawn(ctx.cleanup());
    assert_pending!(done.poll());
    host.poll_all();
    // The explicit floor leaves 100 ms of the reserve. The two steps without a floor share them: 50 ms each. So
    // the first step has 950 - 200 - 50 = 700 ms.
    host.advance(ms(350));
    host.advance(ms(350));
    assert!(
        host.bodies().contains(&"db".to_owned()),
        "the hung one was left behind"
    );
    host.run("db");
    host.run("log");
    let report = assert_ready!(done.poll()).expect("from outside");
    let steps: Vec<_> = report
        .steps
        .iter()
        .map(|s| (&*s.name, s.outcome, s.bound, s.bound_by))
        .collect();
    assert_eq!(
        steps,
        [
            ("hangs", Outcome::Leaked, ms(700), BoundBy::Floors),
            ("db", Outcome::Ok, ms(200), BoundBy::Floors),
            ("log", Outcome::Ok, ms(250), BoundBy::Phase),
        ]
    );
}

#[test]
fn failed_cleanup_step_does_not_skip_the_next() {
    let (host, ctx) = worker();
    ctx.defer_cleanup("first", CallOpts::new(), |_| Err("no"))
        .expect("accepted");
    cleanup(&ctx, "second", CallOpts::new());
    let mut done = spawn(ctx.cleanup());
    assert_pending!(done.poll());
    host.poll_all();
    host.run("first");
    host.run("second");
    let report = assert_ready!(done.poll()).expect("from outside");
    assert_eq!(
        outcomes(&report),
        [("first", Outcome::Failed), ("second", Outcome::Ok)]
    );
    assert_eq!(report.steps[0].error.as_deref(), Some("no"));
    assert_eq!(report.bad().count(), 1);
}
