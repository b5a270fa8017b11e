//! Registrations that are refused.

use deadstop::context::{BodyOpts, CallOpts, Close, WorkerCtx};
use deadstop::host::{BoxError, Scope};
use deadstop::journal::{How, RefusedReason};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{cleanup, thread, worker};
use crate::manual_host::ms;

#[derive(Debug, PartialEq)]
struct Db(&'static str);

impl Close for Db {
    fn close(&mut self, _: &Scope) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn registration_is_refused_once_its_phase_has_begun() {
    let (host, ctx) = worker();
    ctx.request_stop("a request alone refuses nothing");
    thread(&ctx, "flusher", BodyOpts::new());
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    let late = ctx.defer_stop("late", CallOpts::new(), |_| {});
    assert_eq!(late.map_err(|r| r.reason), Err(RefusedReason::PhaseBegan));
    cleanup(&ctx, "db", CallOpts::new());
    host.end("flusher", How::Ok);
    assert_ready!(stop.poll()).expect("from outside");
    cleanup(&ctx, "between stop and cleanup", CallOpts::new());
    let mut done = spawn(ctx.cleanup());
    assert_pending!(done.poll());
    host.poll_all();
    let late = ctx.add_closeable("late", CallOpts::new(), Db("late"));
    assert_eq!(late.map_err(|r| r.into_value()), Err(Db("late")));
    host.run("db");
    host.run("between stop and cleanup");
    let report = assert_ready!(done.poll()).expect("from outside");
    assert_eq!(report.steps.len(), 3);
    assert!(report.is_ok(), "refusals change nothing: {report}");
}

#[test]
fn refusal_passes_through_anyhow_and_keeps_its_value() {
    fn register(ctx: &WorkerCtx) -> anyhow::Result<()> {
        ctx.add_closeable("", CallOpts::new(), Db("secret of the db"))?;
        Ok(())
    }
    let (_host, ctx) = worker();
    let error = register(&ctx).expect_err("a name has at least a byte");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "values are never shown: {shown}");
    let refused: deadstop::context::Refused<Db> = error.downcast().expect("it is one");
    assert_eq!(refused.into_value(), Db("secret of the db"));
}

#[test]
fn bounds_and_names_outside_their_limits_are_refused() {
    let (_host, ctx) = worker();
    let stop = |name: &str, timeout| {
        let opts = CallOpts::new().timeout(timeout);
        ctx.defer_stop(name, opts, |_| {})
            .map(drop)
            .map_err(|r| r.reason)
    };
    let limit = Err(RefusedReason::Limit);
    assert_eq!(stop("ok", ms(1)), Ok(()));
    assert_eq!(stop("ok", ms(3_600_000)), Ok(()));
    assert_eq!(stop("zero", ms(0)), limit);
    assert_eq!(stop("over", ms(3_600_001)), limit);
    assert_eq!(stop(&"n".repeat(200), ms(1)), Ok(()));
    assert_eq!(stop(&"n".repeat(201), ms(1)), limit);
    assert_eq!(stop("a\tb", ms(1)), limit);
}

#[test]
fn floors_over_bound_or_reserve_or_in_stop_are_refused() {
    let (_host, ctx) = worker();
    let opts = |timeout, floor| CallOpts::new().timeout(timeout).floor(floor);
    let add = |opts| {
        ctx.defer_cleanup("c", opts, |_| {})
            .map(drop)
            .map_err(|refused| refused.reason)
    };
    let floors = Err(RefusedReason::Floors);
    assert_eq!(add(opts(ms(10), ms(11))), floors);
    // The reserve is 10 s.
    assert_eq!(add(opts(ms(10_000), ms(9_000))), Ok(()));
    assert_eq!(add(opts(ms(10_000), ms(1_001))), floors);
    // A floor may be as long as its bound.
    assert_eq!(add(opts(ms(1_000), ms(1_000))), Ok(()));
    let stop = ctx.defer_stop("s", opts(ms(10), ms(1)), |_| {});
    assert_eq!(
        stop.map_err(|refused| refused.reason),
        Err(RefusedReason::Floors)
    );
}
