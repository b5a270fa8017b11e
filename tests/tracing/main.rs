//! A worker context logs its acts to `tracing`: the words and the level of each line, and what panics there.
//!
//! The test turns the host by hand, so that everything happens on the test's own thread: `tracing-test` listens
//! there.

#[path = "../support/manual_host.rs"]
mod manual_host;

use deadstop::context::{BodyOpts, CallOpts, Life, WeakCtx, WorkerCtx};
use deadstop::host::Host;
use deadstop::journal::{How, SignalName};
use deadstop::watchdog::{Probe, ProbeError, Probing, Watchdog};
use tokio_test::{assert_pending, assert_ready};
use tracing_test::traced_test;

use manual_host::{ManualHost, ms};

/// Asserts that exactly one line has those words, and that it has that level.
macro_rules! assert_logged {
    ($level:literal, $words:literal) => {
        logs_assert(|lines: &[&str]| {
            let with: Vec<_> = lines.iter().filter(|line| line.contains($words)).collect();
            match with[..] {
                [line] if line.contains(concat!(" ", $level, " ")) => Ok(()),
                _ => Err(format!("{} {:?}: {with:#?}", $level, $words)),
            }
        });
    };
}

#[traced_test]
#[test]
fn each_step_is_logged_with_words_and_level() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    ctx.defer_stop("drain", CallOpts::new(), |_| Err("no connection"))
        .expect("accepted");
    ctx.defer_cleanup("db", CallOpts::new(), |_| Err("still in use"))
        .expect("accepted");
    let mut cleanup = tokio_test::task::spawn(ctx.cleanup());
    assert_pending!(cleanup.poll());
    host.poll_all();
    host.run("drain");
    host.run("db");
    assert_ready!(cleanup.poll()).expect("from outside");
    assert_logged!("DEBUG", "Stopping: drain");
    assert_logged!("WARN", "Error during stop of drain: no connection");
    assert_logged!("INFO", "WorkerCtx cleanup: db");
    assert_logged!("ERROR", "Cleanup failed for db: still in use");
}

#[traced_test]
#[test]
fn awaited_and_leaked_components_are_logged_by_name() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    let line = line!() + 1;
    let registered = ctx.add_thread("hangs", BodyOpts::new().timeout(ms(50)), |_| {});
    registered.expect("accepted");
    let mut stop = tokio_test::task::spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    host.advance(ms(24));
    assert!(!logs_contain("still waiting for"));
    host.advance(ms(1));
    assert_logged!("WARN", "still waiting for hangs");
    let place = format!("registered at {}:{line}:", file!());
    assert!(logs_contain(&place), "{place}");
    host.advance(ms(25));
    assert_logged!("WARN", "thread hangs (#1) is left behind");
    assert_logged!(
        "WARN",
        "Error during stop of hangs (#1, stop, order 0): leaked after 50 ms"
    );
    assert_ready!(stop.poll()).expect("from outside");
}

/// The lines are those of docs/service.md. Only one of the two reports the second signal.
#[traced_test]
#[test]
fn second_signal_is_logged_as_the_second() {
    let host = ManualHost::new();
    let life = Life::new(&host.ctx(WorkerCtx::<()>::builder()));
    life.signal(SignalName::Sigterm);
    assert!(!logs_contain("a second signal"));
    host.advance(ms(201));
    life.signal(SignalName::Sigterm);
    assert_logged!(
        "INFO",
        "stop requested by signal: SIGTERM: a second signal, from now on only the floors are awaited"
    );
    let page = include_str!("../../docs/service.md");
    let line = "| `stop requested by signal: SIGTERM: a second signal, from now on only the floors are awaited` |";
    assert!(page.contains(line), "{line}");
}

/// A probe that succeeds once and then fails. At its third time it requests the stop, at which a watchdog comes to
/// rest.
struct FailsAfterOnce(u32, WeakCtx);

impl Probe for FailsAfterOnce {
    fn probe<'a>(&'a mut self, _host: &'a dyn Host) -> Probing<'a> {
        self.0 += 1;
        if self.0 == 3 {
            let ctx = self.1.upgrade().expect("the test holds the worker");
            ctx.request_stop("it has failed");
        }
        let gone = ProbeError::new("the connection\nwas refused");
        Box::pin(std::future::ready(match self.0 {
            1 => Ok(200),
            _ => Err(gone),
        }))
    }
}

#[traced_test]
#[test]
fn failed_probe_is_logged_with_its_cause() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    let watchdog = Watchdog::new(FailsAfterOnce(0, ctx.downgrade())).attempts(2);
    ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)
        .expect("accepted");
    host.run_until_told("watchdog");
    assert_logged!(
        "WARN",
        "failed, 1 failure in a row: the connection\\nwas refused"
    );
    assert_logged!("WARN", "failed, 1 failure in a row");
}

#[traced_test]
#[test]
fn dropping_the_last_handle_logs_once_what_is_left_running() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    for name in ["flusher", "poller"] {
        ctx.add_thread(name, BodyOpts::new(), |_| {})
            .expect("accepted");
    }
    let other = ctx.clone();
    drop(ctx);
    assert!(!host.is_told("flusher"), "there is another handle");
    assert!(!logs_contain("without a stop"));
    drop(other);
    assert!(host.is_told("flusher") && host.is_told("poller"));
    assert_logged!(
        "WARN",
        "the last handle is gone without a stop; left running: flusher poller"
    );
}

#[traced_test]
#[test]
fn a_death_before_stop_is_an_error_and_a_refusal_a_warning() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    ctx.add_thread("flusher", BodyOpts::new(), |_| {})
        .expect("accepted");
    host.end("flusher", How::Panicked);
    assert_logged!("ERROR", "flusher (#1)");
    ctx.defer_stop("", CallOpts::new(), |_| {})
        .expect_err("no name");
    assert_logged!("WARN", "refused");
}

#[traced_test]
#[test]
fn an_error_that_spans_lines_is_logged_on_one() {
    let ctx = WorkerCtx::new(());
    let failed = ctx.spawn_or_block_on("job", async { Err("no\nWorkerCtx cleanup: forged") });
    failed.expect("it has run");
    assert!(logs_contain(r"no\nWorkerCtx cleanup: forged"));
    assert!(!logs_contain("\nWorkerCtx"));
}

/// A subscriber that panics, as one that writes to a closed pipe does.
struct PanickingSubscriber;

impl tracing::Subscriber for PanickingSubscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        panic!("standard error has no reader any more");
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_subscriber_that_panics_does_not_end_the_stop() {
    let host = ManualHost::new();
    tracing::subscriber::with_default(PanickingSubscriber, || {
        let ctx = host.ctx(WorkerCtx::<()>::builder());
        ctx.defer_stop("drain", CallOpts::new(), |_| {})
            .expect("accepted");
        let mut stop = tokio_test::task::spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        host.run("drain");
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert!(report.is_ok(), "{report}");
    });
}

#[traced_test]
#[test]
fn a_wake_that_panics_is_logged() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    let panics = || std::panic::resume_unwind(Box::new("no such queue"));
    ctx.add_thread("receives", BodyOpts::new().wake(panics), |_| {})
        .expect("accepted");
    // The drop of the last handle tells the thread too.
    drop(ctx);
    assert_logged!("ERROR", "the wake of receives (#1) panicked: no such queue");
}
