//! Ends that are easily forgotten: a host that can start nothing, handles dropped half-way, names that are refused,
//! names that are not unique.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, Life, Limits, MainError, StartError, WorkerCtx};
use deadstop::host::{Body, BoxFuture, Host, Live, OnEnd, SpawnError, Who};
use deadstop::journal::{Claim, Outcome, Phase, Record, SignalName, Sink};
use tokio_util::sync::CancellationToken;

use crate::changed_host::{HostChanges, live_with};

/// A sink that keeps all claims of a context.
#[derive(Default)]
struct Claims(Mutex<Vec<Claim>>);

impl Claims {
    fn all(&self) -> Vec<Claim> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Sink for Claims {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(claim.clone());
    }
}

/// A host that has no thread left for the context's own futures, nor for bodies.
#[derive(Debug)]
struct NoDriver;

impl HostChanges for NoDriver {
    fn drive(&self, _: &Live, _: BoxFuture<()>) -> Result<(), SpawnError> {
        Err(SpawnError::Unsupported("anything more"))
    }

    fn spawn_body(
        &self,
        _: &Live,
        _: Who,
        _: CancellationToken,
        _: Body,
        _: OnEnd,
    ) -> Result<(), SpawnError> {
        Err(SpawnError::Unsupported("a body"))
    }
}

fn without_driver() -> WorkerCtx {
    WorkerCtx::<()>::builder()
        .host(live_with(NoDriver))
        .build(())
        .expect("the limits are good")
}

#[tokio::test]
async fn a_stop_that_nothing_can_drive_is_driven_by_its_caller() {
    let ctx = without_driver();
    ctx.start(|ctx| async move {
        ctx.add_task("task", BodyOpts::new(), |token| async move {
            token.cancelled().await;
        })?;
        ctx.defer_cleanup("close", CallOpts::new(), |_| {})?;
        Ok(())
    })
    .await
    .expect("start needs no more than its caller");
    let report = ctx.cleanup().await.expect("from outside");
    let steps: Vec<_> = report
        .steps
        .iter()
        .map(|step| (&*step.name, step.outcome, step.error.as_deref()))
        .collect();
    assert_eq!(
        steps,
        [
            ("task", Outcome::Ok, None),
            (
                "close",
                Outcome::Failed,
                Some("this host cannot run a body")
            ),
        ]
    );
}

#[test]
fn blocking_forms_drive_and_failed_start_leaves_nothing_open() {
    let ctx = without_driver();
    ctx.defer_stop("stop", CallOpts::new(), |_| {})
        .expect("accepted");
    let report = ctx.cleanup_blocking().expect("from outside");
    assert_eq!(report.steps.len(), 1);

    let ctx = without_driver();
    ctx.defer_stop("stop", CallOpts::new(), |_| {})
        .expect("accepted");
    // There is no runtime for main either.
    let started = poll_once(ctx.start(|_| async { Ok(()) }));
    let Err(StartError::Main { report, .. }) = started else {
        panic!("main cannot run: {started:?}");
    };
    assert_eq!(report.steps.len(), 1, "rolled back: {report}");
}

fn poll_once<T>(future: impl Future<Output = T>) -> T {
    let mut task = tokio_test::task::spawn(future);
    match task.poll() {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("everything it waits for has happened"),
    }
}

/// A value that records its drop.
struct RecordsDrop(Arc<AtomicBool>);

impl Drop for RecordsDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn resources_that_were_never_closed_are_forgotten_not_dropped() {
    for stop in [false, true] {
        let dropped = Arc::new(AtomicBool::new(false));
        let resource = RecordsDrop(Arc::clone(&dropped));
        let ctx = WorkerCtx::new(());
        ctx.add_closeable_with("db", CallOpts::new(), resource, |_, _| {})
            .expect("accepted");
        if stop {
            ctx.stop_blocking().expect("from outside");
        }
        drop(ctx);
        assert!(
            !dropped.load(Ordering::SeqCst),
            "stopped before: {stop}; a drop can block"
        );
    }
}

#[test]
fn refused_name_is_reported_on_one_line() {
    let claims = Arc::new(Claims::default());
    let ctx = WorkerCtx::<()>::builder()
        .sink(claims.clone())
        .build(())
        .expect("the limits are good");
    for name in [
        "a\nWorkerCtx cleanup: forged".to_owned(),
        "n".repeat(10_000),
    ] {
        let refused = ctx
            .defer_stop(name.clone(), CallOpts::new(), |_| {})
            .expect_err("no such name");
        assert_eq!(&*refused.name, name, "handed back as it was");
    }
    let names: Vec<_> = claims
        .all()
        .into_iter()
        .filter_map(|what| match what {
            Claim::Refused { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    assert_eq!(&*names[0], "a\\nWorkerCtx cleanup: forged");
    assert_eq!(names[1].chars().count(), 200);
}

/// Returns the pairs (used, user) of the warnings by which start reports resources that close before their users.
async fn close_order_warnings(register: impl FnOnce(&WorkerCtx)) -> Vec<(String, String)> {
    let claims = Arc::new(Claims::default());
    let ctx = WorkerCtx::<()>::builder()
        .sink(claims.clone())
        .build(())
        .expect("the limits are good");
    register(&ctx);
    ctx.start(|_| async { Ok(()) }).await.expect("main is good");
    let all = claims.all();
    all.iter()
        .filter_map(|what| match what {
            Claim::ClosesBeforeUser { name, user, .. } => {
                Some((name.to_string(), user.to_string()))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn start_warns_of_what_closes_before_its_user() {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let planned = close_order_warnings(|ctx| {
        let opts = CallOpts::new().order(200);
        ctx.defer_cleanup("predictor", opts, |_| {})
            .expect("accepted");
        let opts = CallOpts::new().order(100).uses(["predictor"]);
        ctx.defer_cleanup("thread pool", opts, |_| {})
            .expect("accepted");
    });
    assert_eq!(planned.await, [pair("predictor", "thread pool")]);
    let mended = close_order_warnings(|ctx| {
        let opts = CallOpts::new().order(75);
        ctx.defer_cleanup("predictor", opts, |_| {})
            .expect("accepted");
        let opts = CallOpts::new().order(100).uses(["predictor"]);
        ctx.defer_cleanup("thread pool", opts, |_| {})
            .expect("accepted");
    });
    assert_eq!(mended.await, []);
}

#[tokio::test]
async fn task_gets_no_close_order_warning_despite_a_namesake() {
    let warnings = close_order_warnings(|ctx| {
        let call = |order| CallOpts::new().order(order);
        ctx.defer_cleanup("client", call(5), |_| {})
            .expect("accepted");
        // The task's order sorts steps of stop. It has no meaning in cleanup.
        let opts = BodyOpts::new().order(-10).uses(["client"]);
        ctx.add_task("flusher", opts, |_| async {})
            .expect("accepted");
        ctx.defer_cleanup("flusher", call(9), |_| {})
            .expect("accepted");
    });
    assert_eq!(warnings.await, []);
}

#[tokio::test]
async fn every_resource_of_a_used_name_is_checked() {
    let warnings = close_order_warnings(|ctx| {
        let call = |order| CallOpts::new().order(order);
        ctx.defer_cleanup("client", call(9), |_| {})
            .expect("accepted");
        ctx.defer_cleanup("pool", call(5).uses(["client"]), |_| {})
            .expect("accepted");
        ctx.defer_cleanup("client", call(1), |_| {})
            .expect("accepted");
    });
    assert_eq!(warnings.await, [("client".to_owned(), "pool".to_owned())]);
}

#[tokio::test]
async fn resource_that_uses_its_own_name_gets_no_warning() {
    let warnings = close_order_warnings(|ctx| {
        let uses = CallOpts::new().uses(["pool"]);
        ctx.defer_cleanup("pool", uses, |_| {}).expect("accepted");
    });
    assert_eq!(warnings.await, []);
}

#[tokio::test]
async fn start_warns_of_a_bound_that_is_longer_than_its_share() {
    let claims = Arc::new(Claims::default());
    let limits = Limits::new()
        .grace(Duration::from_secs(30))
        .reserve(Duration::from_secs(10))
        .margin(Duration::from_millis(500));
    let ctx = WorkerCtx::<()>::builder()
        .limits(limits)
        .sink(claims.clone())
        .build(())
        .expect("the limits are good");
    let body = |ms| BodyOpts::new().timeout(Duration::from_millis(ms));
    let call = |ms| CallOpts::new().timeout(Duration::from_millis(ms));
    let waits = |token: CancellationToken| async move { token.cancelled().await };
    // Stop has 19.5 s, cleanup 29.5 s at most.
    ctx.add_task("fits", body(19_500), waits).expect("accepted");
    ctx.add_task("server", body(19_501), waits)
        .expect("accepted");
    ctx.defer_cleanup("fits too", call(29_500), |_| {})
        .expect("accepted");
    ctx.defer_cleanup("db", call(29_501), |_| {})
        .expect("accepted");
    ctx.start(|_| async { Ok(()) }).await.expect("main is good");
    let longer = |what| match what {
        Claim::BoundOverShare { name, share, .. } => Some((name.to_string(), share)),
        _ => None,
    };
    let warned: Vec<_> = claims.all().into_iter().filter_map(longer).collect();
    let expected = [("server".to_owned(), 19_500), ("db".to_owned(), 29_500)];
    assert_eq!(warned, expected);
    ctx.cleanup().await.expect("from outside");
}

#[test]
fn report_lists_steps_in_the_order_in_which_they_began() {
    let ctx = WorkerCtx::new(());
    let (end_first, first) = channel::<()>();
    // The first thread of the group ends last: the second releases it.
    ctx.add_thread("first", BodyOpts::new(), move |_| {
        let _ = first.recv();
    })
    .expect("accepted");
    ctx.add_thread("second", BodyOpts::new(), move |scope| {
        while scope.wait(Duration::MAX).elapsed() {}
        drop(end_first);
    })
    .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    let names: Vec<_> = report.steps.iter().map(|step| &*step.name).collect();
    assert_eq!(names, ["first", "second"]);
}

#[tokio::test]
async fn step_of_main_has_the_place_of_its_start() {
    let ctx = WorkerCtx::<()>::builder()
        .limits(Limits::new().start_timeout(Duration::from_millis(5)))
        .build(())
        .expect("the limits are good");
    let requests = ctx.clone();
    let main = move || async move {
        requests.request_stop("enough");
        std::future::pending::<Result<(), MainError>>().await
    };
    let (life, line) = (Life::new(&ctx), line!() + 1);
    let end = life.run(main).await;
    let step = &end.report.steps[0];
    assert_eq!((step.phase, step.outcome), (Phase::Start, Outcome::Aborted));
    assert_eq!((step.place.file(), step.place.line()), (file!(), line));
    assert_eq!(end.code, 1, "a step did not end well");
}

/// A sink that notes whether a waiter for the request is already woken when the grace is announced.
#[derive(Default)]
struct Woken {
    ctx: Mutex<Option<deadstop::context::WeakCtx>>,
    early: Mutex<Vec<bool>>,
}

impl Sink for Woken {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        if !matches!(claim, Claim::GraceBegan { .. }) {
            return;
        }
        let weak = self.ctx.lock().unwrap_or_else(PoisonError::into_inner);
        let ctx = weak.as_ref().and_then(deadstop::context::WeakCtx::upgrade);
        let ctx = ctx.expect("the test holds it");
        let woken = tokio_test::task::spawn(ctx.stop_requested())
            .poll()
            .is_ready();
        self.early
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(woken);
    }
}

/// If a waiter were woken before, another thread could make its claims first: the log would have a stop that begins
/// before its grace.
#[test]
fn grace_is_announced_before_any_waiter_is_woken() {
    let by_signal = |ctx: &WorkerCtx| Life::new(ctx).signal(SignalName::Sigterm);
    let by_call = |ctx: &WorkerCtx| drop(ctx.stop_blocking());
    let ways: [&dyn Fn(&WorkerCtx); 2] = [&by_signal, &by_call];
    for way in ways {
        let sink = Arc::new(Woken::default());
        let builder = WorkerCtx::<()>::builder().sink(Arc::clone(&sink) as Arc<dyn Sink>);
        let ctx = builder.build(()).expect("the limits are the default");
        *sink.ctx.lock().unwrap_or_else(PoisonError::into_inner) = Some(ctx.downgrade());
        way(&ctx);
        let early = sink.early.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*early, [false]);
    }
}

/// A sink that keeps the claims, and holds up the first request's announcer until the test lets it go.
struct HeldSink {
    claims: Claims,
    reached: Mutex<Option<Sender<()>>>,
    released: Mutex<Receiver<()>>,
}

impl Sink for HeldSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        if matches!(claim, Claim::Requested { .. }) {
            let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            let first = { reached }.take();
            if let Some(reached) = first {
                reached.send(()).expect("the test waits");
                let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = released.recv();
            }
        }
        self.claims.record(record);
    }
}

/// Returns the reasons of requests, and the names of all other claims after the creation of the context.
fn labels(claims: &[Claim]) -> Vec<&str> {
    fn label(what: &Claim) -> &str {
        match what {
            Claim::Requested { reason, .. } => reason,
            what => what.name(),
        }
    }
    claims.iter().skip(1).map(label).collect()
}

/// Rule 1's order holds wherever the first announcer is held up. A stop that its caller drives has gone as far as it
/// can once it has been polled. A stop with a driver thread of its own runs beside the test, in any order.
#[test]
fn later_requests_wait_for_the_first_announcement() {
    let hosts: [Arc<dyn Host>; 2] = [live_with(NoDriver), Arc::new(Live::new())];
    for host in hosts {
        let ((reached, is_reached), (release, released)) = (channel(), channel());
        let sink = Arc::new(HeldSink {
            claims: Claims::default(),
            reached: Mutex::new(Some(reached)),
            released: Mutex::new(released),
        });
        let builder = WorkerCtx::<()>::builder().host(host);
        let builder = builder.sink(Arc::clone(&sink) as Arc<dyn Sink>);
        let ctx = builder.build(()).expect("the limits are the default");
        let mut stop = tokio_test::task::spawn(ctx.stop());
        std::thread::scope(|scope| {
            // A failure in here drops the sender, which lets the first announcer go too.
            let release = release;
            let first = scope.spawn(|| ctx.request_stop("the real reason"));
            is_reached.recv().expect("the sink is told");
            assert!(stop.poll().is_pending(), "it waits for the first");
            // Neither of these calls waits.
            ctx.request_stop("another reason");
            Life::new(&ctx).signal(SignalName::Sigterm);
            let claims = sink.claims.all();
            assert_eq!(
                labels(&claims),
                [""; 0],
                "no caller announces before the first has"
            );
            assert!(ctx.running(), "and nothing is done");
            release.send(()).expect("the sink waits");
            first.join().expect("it does not panic");
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime can be built");
        let report = runtime.block_on(stop).expect("from outside");
        let reason = report.reason.as_ref().map(|reason| &*reason.words);
        assert_eq!(reason, Some("the real reason"));
        let claims = sink.claims.all();
        let order = labels(&claims);
        assert_eq!(order[..2], ["the real reason", "grace-began"], "{order:?}");
        let of_stop = |label: &&str| ["state", "phase-started", "phase-ended"].contains(label);
        let stop: Vec<_> = order.iter().copied().filter(of_stop).collect();
        assert_eq!(stop, ["state", "phase-started", "phase-ended", "state"]);
        // They follow the first request in any order, each of them once.
        let asked: Vec<_> = order[2..].iter().filter(|label| !of_stop(label)).collect();
        assert_eq!(asked, [&"stop was called", &"another reason", &"SIGTERM"]);
    }
}

/// A sink that requests a stop itself when it receives the first request, and then panics.
#[derive(Default)]
struct RequestingSink {
    ctx: Mutex<Option<deadstop::context::WeakCtx>>,
    claims: Claims,
}

impl Sink for RequestingSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        self.claims.record(record);
        let Claim::Requested { reason, .. } = claim else {
            return;
        };
        if **reason == *"the first" {
            let weak = self.ctx.lock().unwrap_or_else(PoisonError::into_inner);
            let ctx = weak.as_ref().and_then(deadstop::context::WeakCtx::upgrade);
            ctx.expect("the test holds it")
                .request_stop("the sink's own");
            panic!("a bug of the sink's");
        }
    }
}

#[test]
fn sink_that_requests_a_stop_and_panics_blocks_no_caller() {
    let sink = Arc::new(RequestingSink::default());
    let builder = WorkerCtx::<()>::builder().sink(Arc::clone(&sink) as Arc<dyn Sink>);
    let ctx = builder.build(()).expect("the limits are the default");
    *sink.ctx.lock().unwrap_or_else(PoisonError::into_inner) = Some(ctx.downgrade());
    ctx.request_stop("the first");
    let claims = sink.claims.all();
    assert_eq!(labels(&claims), ["the first", "the sink's own"]);
    ctx.stop_blocking().expect("from outside");
    let claims = sink.claims.all();
    let order = labels(&claims);
    assert_eq!(order[2..5], ["stop was called", "grace-began", "state"]);
}
