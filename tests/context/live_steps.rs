//! The live host: real threads, tasks and time, with bounds of milliseconds. No test sleeps: each waits for the event
//! that it needs, and the guard only keeps a hang from stopping the suite.

#![allow(
    clippy::disallowed_methods,
    reason = "the live host is tested with real threads, tasks and time"
)]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use deadstop::context::{
    BlockingError, BodyOpts, CallOpts, CalledFromInside, Close, MainError, Report, StartError,
    WorkerCtx,
};
use deadstop::host::{BoxError, Scope};
use deadstop::journal::{BoundBy, Claim, How, Outcome, Record, RefusedReason, Sink};

const GUARD: Duration = Duration::from_secs(20);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    let steps = report.steps.iter();
    steps.map(|step| (&*step.name, step.outcome)).collect()
}

/// A connection that records its close, and the thread that drops it.
struct RecordingDb(mpsc::Sender<String>);

impl Close for RecordingDb {
    fn close(&mut self, _: &Scope) -> Result<(), BoxError> {
        Ok(self.0.send("closed".to_owned())?)
    }
}

impl Drop for RecordingDb {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let _ = self.0.send(format!("dropped on {name}"));
    }
}

#[tokio::test]
async fn a_small_service_starts_stops_and_cleans_up() {
    let ctx = WorkerCtx::new(String::from("the app"));
    let (sender, receiver) = mpsc::channel();
    ctx.start(move |ctx| async move {
        assert_eq!(ctx.app(), "the app");
        let ticks = sender.clone();
        ctx.add_thread("flusher", BodyOpts::new(), move |scope| {
            let mut n = 0;
            while scope.wait(ms(1)).elapsed() {
                n += 1;
            }
            ticks.send(format!("flusher told: {}", n < u32::MAX))
        })?;
        ctx.add_task("poller", BodyOpts::new(), |token| async move {
            token.cancelled().await;
        })?;
        let drained = sender.clone();
        let last = CallOpts::new().order(1);
        ctx.defer_stop("drain", last, move |_| drained.send("drained".to_owned()))?;
        let flushed = sender.clone();
        let pool = CallOpts::new().order(100);
        ctx.add_closeable_async("pool", pool, move || async move {
            tokio::task::yield_now().await;
            flushed.send("pool closed".to_owned())
        })?;
        ctx.add_closeable("db", CallOpts::new(), RecordingDb(sender))?;
        Ok(())
    })
    .await
    .expect("main is good");
    assert!(ctx.running());
    let report = ctx.cleanup().await.expect("from outside");
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.to_string(), "5 steps, all ok");
    assert_eq!(
        receiver.into_iter().collect::<Vec<_>>(),
        [
            "flusher told: true",
            "drained",
            "pool closed",
            "closed",
            "dropped on db"
        ]
    );
}

#[test]
fn a_hung_thread_is_left_behind_at_its_bound_and_named() {
    let ctx = WorkerCtx::new(());
    let (release, released) = mpsc::channel::<()>();
    let opts = BodyOpts::new().timeout(ms(20));
    ctx.add_thread("hangs", opts, move |_| {
        let _ = released.recv();
    })
    .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), [("hangs", Outcome::Leaked)]);
    let step = &report.steps[0];
    assert_eq!((step.bound, step.bound_by), (ms(20), BoundBy::JoinTimeout));
    assert!(step.took >= ms(20), "{:?}", step.took);
    assert!(step.place.file().ends_with("context/live_steps.rs"));
    assert!(
        report
            .to_string()
            .contains("in stop, thread hangs (order 0): leaked")
    );
    drop(release);
}

#[test]
fn a_wake_frees_a_thread_that_sits_in_a_receive() {
    let ctx = WorkerCtx::new(());
    let (wake, woken) = mpsc::channel::<()>();
    let opts = BodyOpts::new().timeout(GUARD).wake(move || {
        let _ = wake.send(());
    });
    ctx.add_thread("receiver", opts, move |_| woken.recv())
        .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), [("receiver", Outcome::Ok)]);
}

#[test]
fn adopted_thread_is_joined_and_reported_as_panicked() {
    let ctx = WorkerCtx::new(());
    let (wake, woken) = mpsc::channel::<()>();
    let handle = thread::spawn::<_, ()>(move || {
        let _ = woken.recv();
        std::panic::resume_unwind(Box::new("out of ideas"));
    });
    let opts = BodyOpts::new().timeout(GUARD).wake(move || {
        let _ = wake.send(());
    });
    ctx.adopt_thread("legacy", opts, handle).expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), [("legacy", Outcome::Panicked)]);
    assert_eq!(report.steps[0].error.as_deref(), Some("out of ideas"));
}

#[tokio::test]
async fn adopted_task_is_aborted_at_once_and_reported_as_ok() {
    let ctx = WorkerCtx::new(());
    let handle = tokio::spawn(std::future::pending::<()>());
    ctx.adopt_task("legacy", BodyOpts::new(), handle)
        .expect("accepted");
    let report = ctx.stop().await.expect("from outside");
    assert_eq!(outcomes(&report), [("legacy", Outcome::Ok)]);
}

/// Returns options, and a receiver that is disconnected when they are dropped. A component that ended before stop
/// leaves the registry, and its options are dropped with it.
fn opts_with_drop_signal() -> (BodyOpts, mpsc::Receiver<()>) {
    let (kept, forgotten) = mpsc::channel::<()>();
    let opts = BodyOpts::new().wake(move || drop(kept.clone()));
    (opts, forgotten)
}

/// Returns the deaths of a report, which must have no step.
fn deaths_without_steps(report: &Report) -> Vec<(&str, How, Option<&str>)> {
    assert_eq!(outcomes(report), [], "what has ended has no step");
    let deaths = report.deaths.iter();
    deaths
        .map(|death| (&*death.name, death.how, death.error.as_deref()))
        .collect()
}

#[test]
fn the_error_of_an_adopted_thread_is_its_outcome() {
    let ctx = WorkerCtx::new(());
    let (wake, woken) = mpsc::channel::<()>();
    let handle = thread::spawn(move || {
        let _ = woken.recv();
        Err::<(), _>("lease not renewed")
    });
    let opts = BodyOpts::new().timeout(GUARD).wake(move || {
        let _ = wake.send(());
    });
    ctx.adopt_thread("legacy", opts, handle).expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), [("legacy", Outcome::Failed)]);
    assert_eq!(report.steps[0].error.as_deref(), Some("lease not renewed"));
}

#[test]
fn an_adopted_thread_that_fails_before_stop_is_a_death() {
    let ctx = WorkerCtx::new(());
    let (opts, forgotten) = opts_with_drop_signal();
    let handle = thread::spawn(|| Err::<(), _>("lease not renewed"));
    ctx.adopt_thread("legacy", opts, handle).expect("accepted");
    let gone = forgotten.recv_timeout(GUARD);
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
    let report = ctx.stop_blocking().expect("from outside");
    let failed = ("legacy", How::Failed, Some("lease not renewed"));
    assert_eq!(deaths_without_steps(&report), [failed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_error_of_an_adopted_task_is_its_outcome() {
    let ctx = WorkerCtx::new(());
    let (fails, asked) = tokio::sync::oneshot::channel::<()>();
    let handle = tokio::spawn(async move {
        let _ = asked.await;
        Err::<(), _>("lease not renewed")
    });
    // The first step of stop lets the task fail, and waits until it has failed: an abort comes too late.
    let ended = handle.abort_handle();
    let first = CallOpts::new().order(-1).timeout(GUARD);
    ctx.defer_stop("let it fail", first, move |_| {
        drop(fails);
        while !ended.is_finished() {
            thread::yield_now();
        }
    })
    .expect("accepted");
    ctx.adopt_task("legacy", BodyOpts::new(), handle)
        .expect("accepted");
    let report = ctx.stop().await.expect("from outside");
    assert_eq!(
        outcomes(&report),
        [("let it fail", Outcome::Ok), ("legacy", Outcome::Failed)]
    );
    assert_eq!(report.steps[1].error.as_deref(), Some("lease not renewed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_adopted_task_that_fails_before_stop_is_a_death() {
    let ctx = WorkerCtx::new(());
    let (opts, forgotten) = opts_with_drop_signal();
    let handle = tokio::spawn(async { Err::<(), _>("lease not renewed") });
    ctx.adopt_task("legacy", opts, handle).expect("accepted");
    let gone = forgotten.recv_timeout(GUARD);
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
    let report = ctx.stop().await.expect("from outside");
    let failed = ("legacy", How::Failed, Some("lease not renewed"));
    assert_eq!(deaths_without_steps(&report), [failed]);
}

#[tokio::test]
async fn a_task_that_ignores_its_token_is_aborted() {
    let ctx = WorkerCtx::new(());
    let opts = BodyOpts::new().timeout(ms(5));
    ctx.add_task("deaf", opts, |_| std::future::pending::<()>())
        .expect("accepted");
    let report = ctx.stop().await.expect("from outside");
    assert_eq!(outcomes(&report), [("deaf", Outcome::Aborted)]);
}

#[test]
fn bounds_hold_while_the_services_runtime_is_wedged() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built");
    let ctx = WorkerCtx::new(());
    let (release, released) = mpsc::channel::<()>();
    let (began, has_begun) = mpsc::channel();
    let service = {
        let ctx = ctx.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                let opts = BodyOpts::new().timeout(ms(10));
                ctx.add_task("wedges", opts, move |_| async move {
                    let _ = began.send(());
                    let _ = released.recv();
                })
                .expect("accepted");
                let opts = CallOpts::new().timeout(ms(10));
                ctx.defer_cleanup_async("close", opts, || async {})
                    .expect("accepted");
                drop(ctx);
                tokio::task::yield_now().await;
            });
        })
    };
    has_begun.recv_timeout(GUARD).expect("the task runs");
    let report = ctx.cleanup_blocking().expect("from outside");
    assert_eq!(
        outcomes(&report),
        [("wedges", Outcome::Leaked), ("close", Outcome::Leaked)]
    );
    drop(release);
    service.join().expect("the service ends");
}

#[tokio::test]
async fn a_main_that_blocks_runs_on_a_thread_of_its_own() {
    let ctx = WorkerCtx::new(());
    let started = ctx
        .start_blocking_main(|ctx, scope| {
            let name = thread::current().name().map(str::to_owned);
            assert_eq!(name.as_deref(), Some("main"));
            let answer = scope.block_on(async {
                tokio::time::sleep(ms(1)).await;
                42
            });
            ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
            Err(MainError::with_code(answer, "no model"))
        })
        .await;
    let Err(StartError::Main { code, report, .. }) = started else {
        panic!("main has failed: {started:?}");
    };
    assert_eq!(code, Some(42));
    assert_eq!(outcomes(&report), [("db", Outcome::Ok)]);
}

#[test]
fn panics_of_bodies_and_callbacks_are_theirs_alone() {
    let ctx = WorkerCtx::new(());
    fn panics() {
        std::panic::resume_unwind(Box::new("no"));
    }
    ctx.defer_cleanup("first", CallOpts::new(), |_| panics())
        .expect("accepted");
    ctx.defer_cleanup_async("second", CallOpts::new(), || async { panics() })
        .expect("accepted");
    ctx.defer_cleanup("third", CallOpts::new(), |_| {})
        .expect("accepted");
    let report = ctx.cleanup_blocking().expect("from outside");
    assert_eq!(
        outcomes(&report),
        [
            ("first", Outcome::Panicked),
            ("second", Outcome::Panicked),
            ("third", Outcome::Ok)
        ]
    );
}

#[test]
fn dropping_the_last_handle_tells_bodies_without_waiting() {
    let ctx = WorkerCtx::new(());
    let (told, is_told) = mpsc::channel();
    ctx.add_thread("flusher", BodyOpts::new(), move |scope| {
        while scope.wait(Duration::MAX).elapsed() {}
        told.send(())
    })
    .expect("accepted");
    drop(ctx);
    is_told.recv_timeout(GUARD).expect("it was told");
}

#[test]
fn stop_in_a_bodys_block_on_is_refused_as_inside() {
    let ctx = WorkerCtx::new(());
    let weak = ctx.downgrade();
    let (sender, receiver) = mpsc::channel();
    ctx.add_thread("inside", BodyOpts::new(), move |scope| {
        let ctx = weak.upgrade().expect("the test holds it");
        let _ = sender.send(scope.block_on(async { ctx.stop().await.is_err() }));
    })
    .expect("accepted");
    assert_eq!(receiver.recv_timeout(GUARD), Ok(true));
    // Another context may be stopped from inside this body.
    let (one, other) = (WorkerCtx::new(()), WorkerCtx::new(()));
    let stopped = other.clone();
    let (sender, receiver) = mpsc::channel();
    one.add_thread("inside of another", BodyOpts::new(), move |_| {
        let _ = sender.send(stopped.stop_blocking().map(drop));
    })
    .expect("accepted");
    assert_eq!(
        receiver.recv_timeout(GUARD),
        Ok(Ok::<(), BlockingError>(()))
    );
    assert!(one.running() && !other.running());
}

mod spawn_or_block_on {
    use super::*;

    #[tokio::test]
    async fn spawn_or_block_on_on_a_runtime_is_a_task_that_stop_awaits() {
        let ctx = WorkerCtx::new(());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let job = async move {
            tokio::task::yield_now().await;
            let _ = sender.send(());
        };
        ctx.spawn_or_block_on("job", job).expect("accepted");
        let report = ctx.stop().await.expect("from outside");
        assert!(report.is_ok(), "{report}");
        receiver.await.expect("it has run to its end");
    }

    #[tokio::test]
    async fn spawn_or_block_on_on_a_runtime_is_handed_back_after_stop() {
        let ctx = WorkerCtx::new(());
        ctx.stop().await.expect("from outside");
        let refused = ctx
            .spawn_or_block_on("job", async { Ok::<(), String>(()) })
            .expect_err("stop has begun");
        refused.into_value().await.expect("the future is whole");
    }

    #[test]
    fn spawn_or_block_on_without_a_runtime_runs_before_it_returns() {
        let ctx = WorkerCtx::new(());
        let (sender, receiver) = mpsc::channel();
        let job = async move {
            tokio::time::sleep(ms(1)).await;
            let _ = sender.send(());
            Err::<(), _>("which is logged")
        };
        ctx.spawn_or_block_on("job", job).expect("it has run");
        assert_eq!(receiver.try_recv(), Ok(()));
    }

    #[test]
    fn spawn_or_block_on_without_a_runtime_is_handed_back_too() {
        let ctx = WorkerCtx::new(());
        let (sender, receiver) = mpsc::channel();
        let job = async move { sender.send(()).is_ok() };
        let job = async move {
            job.await;
        };
        let refused = ctx.spawn_or_block_on("no\nname", job).expect_err("no name");
        assert_eq!(refused.reason, RefusedReason::Limit);
        ctx.stop_blocking().expect("from outside");
        let refused = ctx
            .spawn_or_block_on("job", refused.into_value())
            .expect_err("stop has begun");
        assert_eq!(refused.reason, RefusedReason::PhaseBegan);
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(refused);
    }
}

#[test]
fn a_body_that_fails_is_in_the_report_once() {
    let ctx = WorkerCtx::new(());
    let (dies, died) = mpsc::channel::<()>();
    ctx.add_thread("short", BodyOpts::new(), move |_| {
        let _dies = dies;
        Err("no disk")
    })
    .expect("accepted");
    assert!(
        died.recv_timeout(GUARD).is_err(),
        "its end drops the sender"
    );
    let report = ctx.stop_blocking().expect("from outside");
    // The stop may begin before the end is noted. Then the failure is the outcome of a step.
    let death = report.deaths.first().map(|death| death.how);
    let step = report.steps.first().map(|step| step.outcome);
    assert!(
        matches!(
            (death, step),
            (Some(How::Failed), None) | (None, Some(Outcome::Failed))
        ),
        "{report:?}"
    );
}

#[test]
fn main_dropped_by_its_runtime_fails_the_start() {
    let ctx = WorkerCtx::new(());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built");
    let mut starting = tokio_test::task::spawn(ctx.start(|ctx| async move {
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        std::future::pending().await
    }));
    runtime.block_on(async {
        assert!(starting.poll().is_pending());
        tokio::task::yield_now().await;
    });
    drop(runtime);
    let outside = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let started = outside.expect("a runtime can be built").block_on(async {
        tokio::time::timeout(GUARD, starting)
            .await
            .expect("an answer")
    });
    let Err(StartError::Main { code, report, .. }) = started else {
        panic!("main never came to its end: {started:?}");
    };
    assert_eq!(code, None);
    assert_eq!(outcomes(&report), [("db", Outcome::Ok)]);
}

/// A health probe connects over the network, and there is no other runtime where it waits.
#[test]
fn futures_of_bodies_and_callbacks_may_use_the_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let here = listener.local_addr().expect("it listens");
    let ctx = WorkerCtx::new(());
    let asks = move |scope: &Scope| {
        scope.block_on(async move { tokio::net::TcpStream::connect(here).await.map(drop) })
    };
    ctx.defer_stop("body", CallOpts::new(), asks)
        .expect("accepted");
    ctx.defer_stop_async("callback", CallOpts::new(), move || async move {
        tokio::net::TcpStream::connect(here).await.map(drop)
    })
    .expect("accepted");
    ctx.spawn_or_block_on("job", async move {
        let connected = tokio::net::TcpStream::connect(here).await;
        assert!(connected.is_ok(), "{connected:?}");
    })
    .expect("it has run");
    let report = ctx.stop_blocking().expect("from outside");
    assert!(report.is_ok(), "{report}");
}

/// The runtime of `block_on` is gone once its future is ready. A callback that is called at the end needs another.
#[test]
fn async_callback_registered_in_block_on_runs() {
    let ctx = WorkerCtx::new(());
    let (closed, is_closed) = mpsc::channel();
    let outside = tokio::runtime::Builder::new_current_thread().build();
    let started = ctx.start_blocking_main(move |ctx, scope| {
        scope.block_on(async {
            let close = move || async move { closed.send(()) };
            ctx.add_closeable_async("db", CallOpts::new(), close)
        })?;
        Ok(())
    });
    let started = outside.expect("a runtime can be built").block_on(started);
    started.expect("main went well");
    let report = ctx.cleanup_blocking().expect("from outside");
    assert!(report.is_ok(), "{report}");
    assert_eq!(is_closed.try_recv(), Ok(()));
}

#[test]
fn async_callback_registered_in_spawn_or_block_on_runs() {
    let ctx = WorkerCtx::new(());
    let (closed, is_closed) = mpsc::channel();
    let inner = ctx.clone();
    let register = async move {
        let close = move || async move { closed.send(()) };
        inner
            .add_closeable_async("db", CallOpts::new(), close)
            .map(drop)
    };
    ctx.spawn_or_block_on("job", register).expect("it has run");
    let report = ctx.cleanup_blocking().expect("from outside");
    assert!(report.is_ok(), "{report}");
    assert_eq!(is_closed.try_recv(), Ok(()));
}

#[tokio::test]
async fn blocking_stop_in_a_task_is_refused_as_inside_and_requests() {
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let inner = ctx.downgrade();
    let task = move |_| async move {
        let ctx = inner.upgrade().expect("the test holds the worker");
        let stopped = ctx.stop_blocking().map(drop);
        let cleaned = ctx.cleanup_blocking().map(drop);
        let _ = sender.send((stopped, cleaned));
    };
    ctx.add_task("task", BodyOpts::new(), task)
        .expect("accepted");
    let inside = Err(BlockingError::CalledFromInside(CalledFromInside));
    assert_eq!(receiver.await, Ok((inside, inside)));
    tokio::time::timeout(GUARD, ctx.stop_requested())
        .await
        .expect("the stop is requested all the same");
}

#[tokio::test]
async fn failed_start_has_the_same_report_as_other_callers() {
    let ctx = WorkerCtx::new(());
    let main = |_| async { Err(MainError::with_code(3, "no model")) };
    let Err(StartError::Main { report, .. }) = ctx.start(main).await else {
        panic!("main has failed");
    };
    let cleaned = ctx.cleanup().await.expect("from outside");
    assert!(std::sync::Arc::ptr_eq(&report, &cleaned));
    let end = deadstop::context::Life::new(&ctx).run(|| async { Ok(()) });
    assert!(std::sync::Arc::ptr_eq(&report, &end.await.report));
}

/// A sink that keeps the warnings of start.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl Sink for Warnings {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        let warning = match claim {
            Claim::ClosesBeforeUser { name, user, .. } => format!("{name} before {user}"),
            Claim::UsesUnknown { name, used, .. } => format!("{name} uses {used}, unknown"),
            _ => return,
        };
        self.0.lock().expect("not poisoned").push(warning);
    }
}

#[tokio::test]
async fn unknown_used_name_is_warned_of_at_the_end_of_start() {
    let warnings = std::sync::Arc::new(Warnings::default());
    let builder = WorkerCtx::<()>::builder().sink(warnings.clone());
    let ctx = builder.build(()).expect("the limits are the default");
    ctx.start(|ctx| async move {
        ctx.add_task("seeds", BodyOpts::new(), |_| async {})?;
        // The task has ended by the end of start. Its name is known all the same.
        while !ctx.budget().stop.is_empty() {
            tokio::task::yield_now().await;
        }
        let uses = CallOpts::new().uses(["later", "dbb", "seeds", "dbb"]);
        ctx.defer_cleanup("user", uses, |_| {})?;
        ctx.defer_cleanup("later", CallOpts::new().order(-1), |_| {})?;
        Ok(())
    })
    .await
    .expect("main is good");
    let warned = warnings.0.lock().expect("not poisoned").clone();
    assert_eq!(warned, ["user uses dbb, unknown"]);
    ctx.cleanup().await.expect("from outside");
}

#[tokio::test]
async fn a_name_that_is_used_twice_is_warned_of_once() {
    let warnings = std::sync::Arc::new(Warnings::default());
    let builder = WorkerCtx::<()>::builder().sink(warnings.clone());
    let ctx = builder.build(()).expect("the limits are the default");
    ctx.start(|ctx| async move {
        ctx.defer_cleanup("a", CallOpts::new().order(1), |_| {})?;
        let twice = CallOpts::new().uses(["a", "a"]).uses(["a"]);
        ctx.defer_cleanup("user", twice, |_| {})?;
        Ok(())
    })
    .await
    .expect("main is good");
    let warned = warnings.0.lock().expect("not poisoned").clone();
    assert_eq!(warned, ["a before user"]);
    ctx.cleanup().await.expect("from outside");
}
