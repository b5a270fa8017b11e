//! Start, and its rollback.

use deadstop::context::{BodyOpts, CallOpts, Life, MainError, StartError};
use deadstop::host::Host;
use deadstop::journal::{By, How, Outcome, Phase};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{Notes, cleanup, outcomes, worker};
use crate::manual_host::ms;

#[test]
fn a_failing_main_is_rolled_back_before_start_returns() {
    let (host, ctx) = worker();
    let mut start = spawn(ctx.start(|ctx| async move {
        ctx.add_thread("flusher", BodyOpts::new(), |_| {})?;
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Err(MainError::with_code(42, "the model is missing"))
    }));
    assert_pending!(start.poll());
    host.poll_all();
    assert!(host.is_told("flusher"), "nothing stays open");
    host.end("flusher", How::Ok);
    host.run("db");
    let Err(StartError::Main {
        message,
        code,
        report,
        requested,
    }) = assert_ready!(start.poll())
    else {
        panic!("main has failed");
    };
    assert_eq!(
        (&*message, code, requested),
        ("the model is missing", Some(42), false)
    );
    assert_eq!(report.steps.len(), 2);
    let by = report.reason.as_ref().map(|reason| reason.by);
    assert_eq!(by, Some(By::Main));
    assert_eq!(Life::new(&ctx).exit_code(), 42);
}

#[test]
fn a_second_start_and_one_after_stop_are_errors_without_effect() {
    let (host, ctx) = worker();
    let mut start = spawn(ctx.start(|_| async { Ok(()) }));
    assert_pending!(start.poll());
    host.poll_all();
    assert_ready!(start.poll()).expect("main is good");
    let again = assert_ready!(spawn(ctx.start(|_| async { Ok(()) })).poll());
    assert!(matches!(again, Err(StartError::Again)), "{again:?}");
    assert!(ctx.running());

    let (host, ctx) = worker();
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    assert_ready!(stop.poll()).expect("from outside");
    let late = assert_ready!(spawn(ctx.start(|_| async { Ok(()) })).poll());
    assert!(matches!(late, Err(StartError::Again)), "{late:?}");
}

#[test]
fn request_before_start_skips_main_and_rolls_back() {
    let (host, ctx) = worker();
    cleanup(&ctx, "db", CallOpts::new());
    ctx.request_stop("too late");
    let notes = Notes::default();
    let ran = notes.clone();
    let mut start = spawn(ctx.start(move |_| async move {
        ran.put("main");
        Ok(())
    }));
    assert_pending!(start.poll());
    host.poll_all();
    host.run("db");
    let started = assert_ready!(start.poll());
    assert!(
        matches!(started, Err(StartError::StopRequested { .. })),
        "{started:?}"
    );
    assert_eq!(notes.all(), [""; 0]);
}

#[test]
fn main_asked_to_stop_is_awaited_and_may_still_register() {
    let (host, ctx) = worker();
    let mut start = spawn(ctx.start(|ctx| async move {
        ctx.stop_requested().await;
        ctx.defer_cleanup("opened late", CallOpts::new(), |_| {})?;
        Ok(())
    }));
    assert_pending!(start.poll());
    host.poll_all();
    ctx.request_stop("changed our mind");
    host.poll_all();
    host.run("opened late");
    let Err(StartError::StopRequested { report }) = assert_ready!(start.poll()) else {
        panic!("a stop was requested");
    };
    assert_eq!(
        outcomes(&report),
        [("main", Outcome::Ok), ("opened late", Outcome::Ok)]
    );
    assert_eq!(report.steps[0].phase, Phase::Start);
}

#[test]
fn a_blocking_main_runs_as_a_body_with_a_scope() {
    let (host, ctx) = worker();
    let mut start = spawn(ctx.start_blocking_main(|ctx, scope| {
        scope.sleep(ms(5));
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Ok(())
    }));
    assert_pending!(start.poll());
    host.poll_all();
    host.run("main");
    assert_ready!(start.poll()).expect("main is good");
    assert_eq!(host.now(), ms(5));
    assert_eq!(ctx.budget().cleanup.len(), 1);
}

#[test]
fn a_blocking_main_is_told_by_its_scope() {
    let (host, ctx) = worker();
    let mut start = spawn(ctx.start_blocking_main(|_, _| Ok(())));
    assert_pending!(start.poll());
    host.poll_all();
    assert!(!host.is_told("main"));
    ctx.request_stop("changed our mind");
    host.poll_all();
    assert!(host.is_told("main"));
}
