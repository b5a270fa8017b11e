//! Stop: when components are told and awaited, in which order, and for how long.

use deadstop::context::{BodyOpts, CallOpts, Limits, WorkerCtx};
use deadstop::host::Host;
use deadstop::journal::{BoundBy, How, Outcome};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{outcomes, thread, worker};
use crate::manual_host::{ManualHost, ms};

#[test]
fn running_is_true_from_new_until_stop_begins() {
    let (host, ctx) = worker();
    assert!(ctx.running());
    thread(&ctx, "flusher", BodyOpts::new());
    ctx.request_stop("enough");
    host.poll_all();
    assert!(
        ctx.running() && !host.is_told("flusher"),
        "a request alone tells no component"
    );
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    assert!(!ctx.running() && host.is_told("flusher"));
    host.end("flusher", How::Ok);
    assert!(stop.is_woken());
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(outcomes(&report), [("flusher", Outcome::Ok)]);
}

#[test]
fn group_is_told_and_awaited_together_until_a_callback() {
    let (host, ctx) = worker();
    thread(&ctx, "a", BodyOpts::new().in_turn());
    thread(&ctx, "b", BodyOpts::new().in_turn());
    ctx.defer_stop("flush", CallOpts::new(), |_| {})
        .expect("accepted");
    thread(&ctx, "c", BodyOpts::new().in_turn());
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    assert!(host.is_told("a") && host.is_told("b") && !host.is_told("c"));
    host.end("b", How::Ok);
    assert_eq!(
        host.bodies(),
        ["a", "c"],
        "the callback waits for the group"
    );
    host.end("a", How::Ok);
    assert_eq!(host.bodies(), ["flush", "c"]);
    assert!(!host.is_told("c"));
    host.run("flush");
    assert!(host.is_told("c"));
    host.end("c", How::Ok);
    assert_ready!(stop.poll()).expect("from outside");
}

#[test]
fn twenty_hung_threads_cost_one_join_timeout() {
    let (host, ctx) = worker();
    for n in 0..20 {
        thread(&ctx, &format!("hangs {n}"), BodyOpts::new());
    }
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    host.advance(ms(1_999));
    assert_pending!(stop.poll());
    host.advance(ms(1));
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert!(
        report
            .steps
            .iter()
            .all(|step| step.outcome == Outcome::Leaked)
    );
    assert_eq!(host.now(), ms(2_000));
}

#[test]
fn thread_that_ends_at_its_bound_is_in_time() {
    let (host, ctx) = worker();
    thread(&ctx, "slow", BodyOpts::new().timeout(ms(50)));
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    // Both happen in one instant: the clock reaches the bound, and the thread ends.
    host.set_forward(ms(50));
    host.end("slow", How::Ok);
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(outcomes(&report), [("slow", Outcome::Ok)]);
    assert_eq!(report.steps[0].took, ms(50));
}

#[test]
fn a_task_is_told_awaited_aborted_once_and_confirmed() {
    let (host, ctx) = worker();
    ctx.add_task("deaf", BodyOpts::new().timeout(ms(50)), |_| {
        std::future::pending::<()>()
    })
    .expect("accepted");
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    host.advance(ms(50));
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(outcomes(&report), [("deaf", Outcome::Aborted)]);
    assert_eq!(report.steps[0].bound_by, BoundBy::CancelTimeout);
}

#[test]
fn task_that_ends_well_after_its_abort_is_aborted() {
    let (host, ctx) = worker();
    let task = ctx
        .add_task("busy", BodyOpts::new().timeout(ms(50)), |_| {
            std::future::pending::<()>()
        })
        .expect("accepted");
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    let ends = host.take_out_task(task.id());
    host.advance(ms(50));
    host.advance(ms(30));
    assert_pending!(stop.poll());
    ends(How::Ok);
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(outcomes(&report), [("busy", Outcome::Aborted)]);
    assert_eq!(report.steps[0].took, ms(80));
}

#[test]
fn steps_after_stops_share_begin_but_are_not_awaited() {
    let host = ManualHost::new();
    // The grace of 100 ms less 5 ms of margin and 45 ms of reserve leaves stop 50 ms.
    let limits = Limits::new().grace(ms(100)).reserve(ms(45));
    let ctx = host.ctx(WorkerCtx::<()>::builder().limits(limits));
    thread(&ctx, "hangs", BodyOpts::new());
    let flag = CallOpts::new().order(1);
    ctx.defer_stop("flag", flag, |_| {}).expect("accepted");
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    host.advance(ms(50));
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(
        outcomes(&report),
        [("hangs", Outcome::Leaked), ("flag", Outcome::NotAwaited)]
    );
    let bounds: Vec<_> = report.steps.iter().map(|s| (s.bound, s.bound_by)).collect();
    assert_eq!(
        bounds,
        [(ms(50), BoundBy::Phase), (ms(0), BoundBy::ShareGone)]
    );
    assert!(
        host.is_told("flag"),
        "the callback goes on, and knows that its bound is over"
    );
}
