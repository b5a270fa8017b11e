//! A caller's code may do anything: it runs where the caller expects it, under no lock, and its panics affect nothing
//! else. Each test is the story of a bug that was here.

#![allow(
    clippy::disallowed_methods,
    reason = "the live host is tested with real threads, tasks and time"
)]

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, WorkerCtx};
use deadstop::host::{Abort, Adopt, BoxFuture};
use deadstop::journal::{Claim, How, Outcome, Record, Sink};
use tokio_util::sync::CancellationToken;

/// Maximum real time of a test that would hang. No test waits for it to pass.
const GUARD: Duration = Duration::from_secs(20);

/// Runs code that may hang on a thread of its own, so that a hang fails the test instead of stopping the suite.
fn guarded<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(run()));
    is_done
        .recv_timeout(GUARD)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Starts the service's runtime. A thread of its own turns it until the test's process ends.
fn service() -> tokio::runtime::Handle {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built");
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("service".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .expect("a thread can be started");
    handle
}

/// The context's own thread must not run async callbacks: a callback that blocks would delay every bound.
#[test]
fn async_callback_runs_on_the_runtime_of_its_registration() {
    let service = service();
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = mpsc::channel();
    {
        let _inside = service.enter();
        let stop = sender.clone();
        ctx.defer_stop_async("stop", CallOpts::new(), move || async move {
            let _ = stop.send(thread::current().name().map(str::to_owned));
        })
        .expect("accepted");
        ctx.add_closeable_async("close", CallOpts::new(), move || async move {
            let _ = sender.send(thread::current().name().map(str::to_owned));
        })
        .expect("accepted");
    }
    let report = guarded("cleanup", move || ctx.cleanup_blocking()).expect("from outside");
    assert!(report.is_ok(), "{report}");
    let threads: Vec<_> = receiver.into_iter().flatten().collect();
    assert_eq!(threads, ["service", "service"]);
}

#[test]
fn async_callback_without_a_runtime_gets_its_own_thread() {
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = mpsc::channel();
    ctx.defer_cleanup_async("close", CallOpts::new(), move || async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let _ = sender.send(thread::current().name().map(str::to_owned));
    })
    .expect("accepted");
    ctx.defer_cleanup_async(
        "hangs",
        CallOpts::new().timeout(Duration::from_millis(5)),
        std::future::pending::<()>,
    )
    .expect("accepted");
    let report = guarded("cleanup", move || ctx.cleanup_blocking()).expect("from outside");
    assert_eq!(receiver.recv().ok().flatten().as_deref(), Some("close"));
    let outcomes: Vec<_> = report.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Ok, Outcome::TimedOut],
        "it can be aborted there too"
    );
}

/// A value that reads the context's budget when it is dropped, which takes the registry's lock.
struct CallsWhenDropped(WorkerCtx, mpsc::Sender<usize>);

impl Drop for CallsWhenDropped {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.budget().stop.len());
    }
}

#[test]
fn wake_of_an_ended_thread_is_dropped_under_no_lock() {
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let wake_capture = CallsWhenDropped(ctx.clone(), sender);
    let opts = BodyOpts::new().wake(move || {
        let _ = &wake_capture;
    });
    ctx.add_thread("short", opts, move |_| {
        let _ = ended.recv();
    })
    .expect("accepted");
    drop(end);
    assert_eq!(
        receiver.recv_timeout(GUARD),
        Ok(0),
        "it has left the registry before"
    );
}

#[test]
fn wake_of_a_refused_task_is_dropped_under_no_lock() {
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = mpsc::channel();
    let wake_capture = CallsWhenDropped(ctx.clone(), sender);
    let refused = guarded("a refusal", move || {
        let opts = BodyOpts::new().wake(move || {
            let _ = &wake_capture;
        });
        // There is no runtime here.
        ctx.add_task("task", opts, |_| async {}).map_err(drop)
    });
    assert_eq!(refused, Err(()));
    assert_eq!(receiver.try_recv(), Ok(0));
}

/// A task with a handle that reads the context, as a caller's own `Adopt` may.
struct CallingAdopt(WorkerCtx, CancellationToken);

struct AbortOf(CancellationToken);

impl Abort for AbortOf {
    fn abort(&self) {
        self.0.cancel();
        panic!("an abort that panics");
    }
}

impl Adopt for CallingAdopt {
    fn aborter(&self) -> Box<dyn Abort> {
        let _ = self.0.budget();
        Box::new(AbortOf(self.1.clone()))
    }

    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)> {
        let CallingAdopt(ctx, token) = *self;
        drop(ctx);
        Box::pin(async move {
            token.cancelled().await;
            (How::Dropped, None)
        })
    }
}

#[test]
fn adopt_holds_no_lock_and_stop_survives_a_panicking_abort() {
    let ctx = WorkerCtx::new(());
    let adopted = ctx.clone();
    guarded("adopting", move || {
        let task = CallingAdopt(adopted.clone(), CancellationToken::new());
        adopted
            .adopt_task("own", BodyOpts::new(), task)
            .map_err(drop)
    })
    .expect("accepted");
    let report = guarded("stop", move || ctx.stop_blocking()).expect("from outside");
    assert!(report.is_ok(), "being so cancelled is ok: {report}");
}

/// A task with a join that panics. The context has to report the panic, rather than wait for an end that never comes.
struct PanicsWhenJoined;

impl Adopt for PanicsWhenJoined {
    fn aborter(&self) -> Box<dyn Abort> {
        Box::new(AbortOf(CancellationToken::new()))
    }

    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)> {
        Box::pin(async { panic!("a join that panics") })
    }
}

#[test]
fn a_join_that_panics_is_the_end_of_its_task() {
    let ctx = WorkerCtx::new(());
    let stopped = ctx.clone();
    let report = guarded("stop", move || {
        stopped
            .adopt_task("own", BodyOpts::new(), PanicsWhenJoined)
            .map_err(drop)
            .expect("accepted");
        stopped.stop_blocking()
    })
    .expect("from outside");
    let panicked = report.deaths.iter().map(|death| death.how);
    let stepped = report.steps.iter().map(|step| step.outcome);
    assert!(
        panicked.eq([How::Panicked]) || stepped.eq([Outcome::Panicked]),
        "{report:?}"
    );
}

#[test]
fn task_for_a_shut_down_runtime_is_handed_back() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    let handle = runtime.handle().clone();
    drop(runtime);
    let value = guarded("add_task", move || {
        let _inside = handle.enter();
        let ctx = WorkerCtx::new(());
        let task = |_| async { "the task" };
        let task = move |token| {
            let future = task(token);
            async move {
                let _ = future.await;
            }
        };
        let refused = ctx.add_task("task", BodyOpts::new(), task).err()?;
        assert!(refused.to_string().contains("runtime"), "{refused}");
        Some(refused.into_value())
    });
    assert!(value.is_some(), "it would never have run");
}

/// An error that cannot be displayed: its display panics, or fails.
#[derive(Debug)]
struct UndisplayableError(bool);

impl fmt::Display for UndisplayableError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(self.0, "a display that panics");
        Err(fmt::Error)
    }
}

impl std::error::Error for UndisplayableError {}

#[test]
fn error_that_cannot_be_displayed_is_still_a_failure() {
    let ctx = WorkerCtx::new(());
    for returns_error in [true, false] {
        ctx.defer_stop("stop", CallOpts::new(), move |_| {
            Err(UndisplayableError(returns_error))
        })
        .expect("accepted");
    }
    let report = guarded("stop", move || ctx.stop_blocking()).expect("from outside");
    for step in &report.steps {
        assert_eq!(step.outcome, Outcome::Failed);
        assert_eq!(step.error.as_deref(), Some("an error without words"));
    }
    assert_eq!(report.steps.len(), 2);
}

/// A value that panics when it is dropped. Tests put it in a wake, and return it as a body's error.
#[derive(Debug)]
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a drop that panics");
        }
    }
}

impl fmt::Display for PanicsWhenDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no good")
    }
}

impl std::error::Error for PanicsWhenDropped {}

#[test]
fn error_that_panics_when_dropped_is_still_a_failure() {
    let ctx = WorkerCtx::new(());
    ctx.defer_stop("stop", CallOpts::new(), |_| Err(PanicsWhenDropped))
        .expect("accepted");
    let report = guarded("stop", move || ctx.stop_blocking()).expect("from outside");
    assert_eq!(report.steps[0].outcome, Outcome::Failed);
    assert_eq!(report.steps[0].error.as_deref(), Some("no good"));
}

#[test]
fn stop_survives_a_wake_that_panics_when_called_or_dropped() {
    let ctx = WorkerCtx::new(());
    let bomb = PanicsWhenDropped;
    let opts = BodyOpts::new().wake(move || {
        let _ = &bomb;
        panic!("a wake that panics");
    });
    ctx.add_thread(
        "thread",
        opts,
        |scope| {
            while scope.wait(Duration::MAX).elapsed() {}
        },
    )
    .expect("accepted");
    let report = guarded("stop", move || ctx.stop_blocking()).expect("from outside");
    assert!(report.is_ok(), "{report}");
}

/// A pool with a drop that waits for ever.
struct Stubborn(mpsc::Receiver<()>);

impl Drop for Stubborn {
    fn drop(&mut self) {
        let _ = self.0.recv();
    }
}

/// A runtime that has been shut down drops a future where it is spawned, which is on the context's own thread.
#[test]
fn callback_of_a_shut_down_runtime_fails_and_is_not_dropped() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    let ctx = WorkerCtx::new(());
    let (_open, never) = mpsc::channel();
    let pool = Stubborn(never);
    {
        let _inside = runtime.enter();
        let close = move || async move { drop(pool) };
        ctx.add_closeable_async("pool", CallOpts::new(), close)
            .expect("accepted");
    }
    drop(runtime);
    ctx.defer_cleanup("db", CallOpts::new().order(-1), |_| {})
        .expect("accepted");
    let report = guarded("cleanup", move || ctx.cleanup_blocking()).expect("from outside");
    let outcomes: Vec<_> = report.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Ok]);
}

/// Once, a sink that panicked ended the driver, and every caller that waited for the stop waited for ever.
#[test]
fn a_sink_that_panics_does_not_take_the_stop_with_it() {
    struct Panics;
    impl deadstop::journal::Sink for Panics {
        fn record(&self, record: &Record<'_>) {
            let claim = record.claim;
            if let deadstop::journal::Claim::PhaseStarted { .. } = claim {
                std::panic::resume_unwind(Box::new("the sink is full"));
            }
        }
    }
    let report = guarded("the stop", || {
        let builder = WorkerCtx::builder().sink(std::sync::Arc::new(Panics));
        let ctx = builder.build(()).expect("the limits are allowed");
        ctx.defer_cleanup("db", CallOpts::new(), |_scope| {})
            .expect("accepted");
        ctx.cleanup_blocking().expect("called from outside")
    });
    assert_eq!(report.steps.len(), 1);
    assert!(report.is_ok(), "{report}");
}

/// A request after the end changes nothing, and is not recorded.
#[test]
fn a_request_after_the_end_is_not_recorded() {
    #[derive(Default)]
    struct Requests(std::sync::atomic::AtomicUsize);
    impl deadstop::journal::Sink for Requests {
        fn record(&self, record: &Record<'_>) {
            let claim = record.claim;
            if let deadstop::journal::Claim::Requested { .. } = claim {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
    let requests = std::sync::Arc::new(Requests::default());
    let heard = requests.clone();
    guarded("the stop", || {
        let ctx = WorkerCtx::builder()
            .sink(heard)
            .build(())
            .expect("the limits are allowed");
        ctx.cleanup_blocking().expect("called from outside");
        ctx.request_stop("too late");
    });
    assert_eq!(requests.0.load(std::sync::atomic::Ordering::Relaxed), 1);
}

/// A sink that lets a body end when its wake has panicked.
struct ReleasingSink(mpsc::Sender<()>);

impl Sink for ReleasingSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        if let Claim::WakePanicked { .. } = claim {
            let _ = self.0.send(());
        }
    }
}

#[test]
fn a_wake_that_panics_is_in_the_report() {
    let (release, released) = mpsc::channel();
    let builder = WorkerCtx::<()>::builder().sink(std::sync::Arc::new(ReleasingSink(release)));
    let ctx = builder.build(()).expect("the limits are the default");
    let opts = BodyOpts::new()
        .timeout(GUARD)
        .wake(|| std::panic::resume_unwind(Box::new("no such queue")));
    ctx.add_thread("receives", opts, move |_| released.recv())
        .expect("accepted");
    let report = guarded("stop", move || ctx.stop_blocking()).expect("from outside");
    assert!(report.is_ok(), "the body has ended well: {report}");
    let panicked = report.wakes_panicked.iter();
    let panicked: Vec<_> = panicked.map(|it| (it.id, &*it.name, &*it.error)).collect();
    assert_eq!(panicked, [(1, "receives", "no such queue")]);
    assert_eq!(
        report.to_string(),
        "1 step, all ok\n  the wake of thread receives panicked: no such queue"
    );
}
