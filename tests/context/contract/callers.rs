//! The callers of stop and cleanup, from outside and from inside.

use std::sync::Arc;

use deadstop::context::{BlockingError, BodyOpts, CallOpts, CalledFromInside};
use deadstop::journal::{By, How, Outcome};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{cleanup, outcomes, thread, worker};

#[test]
fn callers_share_a_report_and_cleanups_covers_both_phases() {
    let (host, ctx) = worker();
    thread(&ctx, "flusher", BodyOpts::new());
    cleanup(&ctx, "db", CallOpts::new());
    let mut first = spawn(ctx.cleanup());
    let mut second = spawn(ctx.cleanup());
    let mut stop = spawn(ctx.stop());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(stop.poll());
    host.poll_all();
    host.end("flusher", How::Ok);
    let stopped = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(outcomes(&stopped), [("flusher", Outcome::Ok)]);
    assert_pending!(first.poll());
    host.run("db");
    let one = assert_ready!(first.poll()).expect("from outside");
    let two = assert_ready!(second.poll()).expect("from outside");
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one.steps.len(), 2);
    let mut late = spawn(ctx.stop());
    let late = assert_ready!(late.poll()).expect("from outside");
    assert!(
        Arc::ptr_eq(&stopped, &late),
        "once, however often it is called"
    );
}

#[test]
fn a_stop_goes_on_when_its_caller_is_dropped() {
    let (host, ctx) = worker();
    thread(&ctx, "flusher", BodyOpts::new());
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    drop(stop);
    host.poll_all();
    host.end("flusher", How::Ok);
    assert!(assert_ready!(spawn(ctx.stop()).poll()).is_ok());
}

#[test]
fn stop_from_inside_requests_and_cleanup_does_nothing() {
    for cleanup in [false, true] {
        let (host, ctx) = worker();
        let weak = ctx.downgrade();
        ctx.add_task("inside", BodyOpts::new(), move |_| async move {
            let ctx = weak.upgrade().expect("the test holds it");
            let result = if cleanup {
                ctx.cleanup().await
            } else {
                ctx.stop().await
            };
            match result {
                Err(CalledFromInside) => Ok(()),
                Ok(_) => Err("it has waited for itself"),
            }
        })
        .expect("accepted");
        host.poll_all();
        let mut requested = spawn(ctx.stop_requested());
        assert_eq!(requested.poll().is_ready(), !cleanup);
        assert!(ctx.running(), "nothing has begun");
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(report.deaths_in_all, 0, "it was refused");
        let by = report.reason.as_ref().map(|reason| reason.by);
        assert_eq!(by, Some(By::Call));
    }
}

#[test]
fn blocking_stop_from_inside_is_refused_and_requests() {
    let (host, ctx) = worker();
    let weak = ctx.downgrade();
    ctx.add_thread("inside", BodyOpts::new(), move |_| {
        let ctx = weak.upgrade().expect("the test holds it");
        match ctx.stop_blocking() {
            Err(BlockingError::CalledFromInside(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .expect("accepted");
    host.run("inside");
    assert_ready!(spawn(ctx.stop_requested()).poll());
    assert!(ctx.running());
}

#[tokio::test]
async fn the_blocking_forms_are_refused_on_a_runtime() {
    let (_host, ctx) = worker();
    assert_eq!(ctx.stop_blocking().err(), Some(BlockingError::OnRuntime));
    assert_eq!(ctx.cleanup_blocking().err(), Some(BlockingError::OnRuntime));
    assert!(ctx.running(), "refused, and nothing done");
}

#[test]
fn the_first_reason_wins_and_later_ones_are_recorded() {
    let (host, ctx) = worker();
    ctx.request_stop("first");
    ctx.request_stop("second");
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(
        &*report.reason.as_ref().expect("there is one").words,
        "first"
    );
    let later: Vec<_> = report.later_reasons.iter().map(|r| &*r.words).collect();
    assert_eq!(later, ["second", "stop was called"]);
}
