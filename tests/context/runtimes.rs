//! The runtime of a task, depending on where the task is registered, and the end of a task with a runtime that goes.

#![allow(
    clippy::disallowed_methods,
    reason = "the live host is tested with real threads, tasks and runtimes"
)]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use deadstop::context::{
    BlockingError, BodyOpts, CalledFromInside, MainError, Refused, Report, WorkerCtx,
};
use deadstop::host::Scope;
use deadstop::journal::{How, Id, Outcome, RefusedReason};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

const GUARD: Duration = Duration::from_secs(20);

/// A task that sends two words: when it runs, and when it has been told.
struct Task(mpsc::Sender<&'static str>);

impl Task {
    async fn run(self, token: CancellationToken) {
        let _ = self.0.send("runs");
        token.cancelled().await;
        let _ = self.0.send("told");
    }
}

/// Returns a runtime with a thread that runs beside the test.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(1).enable_all().build();
    built.expect("a runtime can be built")
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    let steps = report.steps.iter();
    steps.map(|step| (&*step.name, step.outcome)).collect()
}

fn deaths(report: &Report) -> Vec<(&str, How)> {
    let deaths = report.deaths.iter();
    deaths.map(|death| (&*death.name, death.how)).collect()
}

/// Registers the task in a future that a scope drives, on a thread of the worker's. The receiver gets the result.
fn register_in_block_on(
    ctx: &WorkerCtx,
    task: Task,
) -> mpsc::Receiver<Result<Id, (RefusedReason, String)>> {
    let (sender, receiver) = mpsc::channel();
    let weak = ctx.downgrade();
    ctx.add_thread("body", BodyOpts::new(), move |scope: &Scope| {
        let registered = scope.block_on(async {
            let ctx = weak.upgrade().expect("the test keeps it");
            ctx.add_task("task", BodyOpts::new(), |token| task.run(token))
        });
        let refused = |refused: Refused<_>| (refused.reason, refused.detail);
        let id = registered.map(|task| task.id());
        let _ = sender.send(id.map_err(refused));
        while scope.wait(Duration::MAX).elapsed() {}
    })
    .expect("accepted");
    receiver
}

#[test]
fn task_added_in_block_on_runs_where_the_context_was_built() {
    let runtime = runtime();
    let ctx = {
        let _on = runtime.enter();
        WorkerCtx::new(())
    };
    let (sender, receiver) = mpsc::channel();
    let registered = register_in_block_on(&ctx, Task(sender)).recv_timeout(GUARD);
    assert_eq!(registered, Ok(Ok(2)));
    assert_eq!(receiver.recv_timeout(GUARD), Ok("runs"));
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(receiver.recv_timeout(GUARD), Ok("told"));
    assert_eq!(
        outcomes(&report),
        [("body", Outcome::Ok), ("task", Outcome::Ok)]
    );
    assert_eq!(deaths(&report), []);
}

#[test]
fn task_added_in_block_on_runs_where_the_worker_was_started() {
    let ctx = WorkerCtx::new(());
    let runtime = runtime();
    let started = runtime.block_on(ctx.start(|_| async { Ok(()) }));
    started.expect("main is good");
    let (sender, receiver) = mpsc::channel();
    let registered = register_in_block_on(&ctx, Task(sender)).recv_timeout(GUARD);
    assert_eq!(registered, Ok(Ok(2)));
    assert_eq!(receiver.recv_timeout(GUARD), Ok("runs"));
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(receiver.recv_timeout(GUARD), Ok("told"));
    assert!(report.is_ok() && report.deaths.is_empty(), "{report:?}");
}

#[test]
fn task_added_on_a_thread_runs_where_the_context_was_built() {
    let runtime = runtime();
    let ctx = {
        let _on = runtime.enter();
        WorkerCtx::new(())
    };
    let (sender, receiver) = mpsc::channel();
    ctx.add_task("task", BodyOpts::new(), |token| Task(sender).run(token))
        .expect("the context knows a runtime");
    assert_eq!(receiver.recv_timeout(GUARD), Ok("runs"));
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), [("task", Outcome::Ok)]);
}

#[test]
fn task_added_in_block_on_without_a_runtime_is_refused() {
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = mpsc::channel();
    let registered = register_in_block_on(&ctx, Task(sender)).recv_timeout(GUARD);
    let (reason, detail) = registered.expect("an answer").expect_err("refused");
    assert_eq!(reason, RefusedReason::Limit);
    assert_eq!(
        detail,
        "the runtime here ends with the call that drives it, and the context knows no other runtime: build or start \
         the context on the service's runtime"
    );
    assert_eq!(
        receiver.recv_timeout(GUARD),
        Err(mpsc::RecvTimeoutError::Disconnected),
        "the task was handed back"
    );
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), [("body", Outcome::Ok)]);
}

#[test]
fn task_added_without_any_runtime_is_refused() {
    let ctx = WorkerCtx::new(());
    let refused = ctx.add_task("task", BodyOpts::new(), |_| async {});
    let detail = refused.map_err(|refused| refused.detail);
    let words = "there is no tokio runtime here, and the context knows none: build or start the context on the service's \
         runtime";
    assert_eq!(detail, Err(words.to_owned()));
}

#[test]
fn task_of_a_blocking_main_runs_where_the_worker_was_started() {
    let ctx = WorkerCtx::new(());
    let runtime = runtime();
    let (sender, receiver) = mpsc::channel();
    let started = runtime.block_on(ctx.start_blocking_main(move |ctx, scope| {
        scope.block_on(async {
            ctx.add_task("task", BodyOpts::new(), |token| Task(sender).run(token))?;
            Ok::<_, MainError>(())
        })
    }));
    started.expect("main is good");
    assert_eq!(receiver.recv_timeout(GUARD), Ok("runs"));
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(receiver.recv_timeout(GUARD), Ok("told"));
    assert_eq!(outcomes(&report), [("task", Outcome::Ok)]);
}

#[test]
fn future_spawned_in_block_on_runs_where_the_context_was_built() {
    let runtime = runtime();
    let ctx = {
        let _on = runtime.enter();
        WorkerCtx::new(())
    };
    let (sender, receiver) = mpsc::channel();
    let weak = ctx.downgrade();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    ctx.add_thread("body", BodyOpts::new(), move |scope: &Scope| {
        scope.block_on(async {
            let ctx = weak.upgrade().expect("the test keeps it");
            let export = async move {
                let _ = released.await;
                let _ = sender.send("exported");
            };
            ctx.spawn_or_block_on("export", export).expect("accepted");
        });
    })
    .expect("accepted");
    wait_until(|| ctx.budget().stop.iter().all(|line| &*line.name != "body"));
    // The thread and its runtime are gone, and the future is not.
    let _ = release.send(());
    assert_eq!(receiver.recv_timeout(GUARD), Ok("exported"));
    let report = ctx.stop_blocking().expect("from outside");
    assert!(report.is_ok() && report.deaths.is_empty(), "{report:?}");
}

#[test]
fn task_added_where_the_runtime_is_passing_is_refused() {
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = mpsc::channel();
    let weak = ctx.downgrade();
    ctx.spawn_or_block_on("registers", async move {
        let ctx = weak.upgrade().expect("the test keeps it");
        let task = ctx.add_task("task", BodyOpts::new(), |_| std::future::pending::<()>());
        let nested = ctx.spawn_or_block_on("nested", async {});
        let _ = sender.send((task.is_err(), nested.is_err()));
    })
    .expect("it has run");
    assert_eq!(receiver.recv_timeout(GUARD), Ok((true, true)));
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(outcomes(&report), []);
}

/// Waits until no component of stop is registered any more.
fn wait_until_stop_is_empty(ctx: &WorkerCtx) {
    wait_until(|| ctx.budget().stop.is_empty());
}

/// Waits until the condition holds.
fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < GUARD, "it never is");
        thread::yield_now();
    }
}

#[test]
fn a_task_whose_runtime_goes_before_stop_is_a_death() {
    let ctx = WorkerCtx::new(());
    let runtime = runtime();
    {
        let _on = runtime.enter();
        ctx.add_task("task", BodyOpts::new(), |_| std::future::pending::<()>())
            .expect("accepted");
        ctx.spawn_or_block_on("export", std::future::pending::<()>())
            .expect("accepted");
    }
    drop(runtime);
    wait_until_stop_is_empty(&ctx);
    let report = ctx.stop_blocking().expect("from outside");
    let mut died = deaths(&report);
    died.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(died, [("export", How::Dropped), ("task", How::Dropped)]);
    assert_eq!(report.deaths_in_all, 2);
    assert_eq!(outcomes(&report), [], "what has ended has no step");
}

#[test]
fn a_task_whose_runtime_goes_during_stop_has_ended() {
    let ctx = WorkerCtx::new(());
    let runtime = runtime();
    {
        let _on = runtime.enter();
        let last = BodyOpts::new().order(1).timeout(GUARD);
        ctx.add_task("task", last, |_| std::future::pending::<()>())
            .expect("accepted");
    }
    ctx.defer_stop("drops it", (), move |_| drop(runtime))
        .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(
        outcomes(&report),
        [("drops it", Outcome::Ok), ("task", Outcome::Aborted)]
    );
    assert_eq!(deaths(&report), []);
}

#[test]
fn an_adopted_task_that_is_aborted_before_stop_is_a_death() {
    let ctx = WorkerCtx::new(());
    let runtime = runtime();
    let handle = runtime.spawn(std::future::pending::<()>());
    let aborts = handle.abort_handle();
    ctx.adopt_task("legacy", BodyOpts::new(), handle)
        .expect("accepted");
    aborts.abort();
    wait_until_stop_is_empty(&ctx);
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(deaths(&report), [("legacy", How::Dropped)]);
    assert_eq!(outcomes(&report), []);
}

#[test]
fn block_on_inside_block_on_panics_with_advice() {
    let ctx = WorkerCtx::new(());
    ctx.defer_stop("nests", (), |scope: &Scope| {
        scope.block_on(async { scope.block_on(async {}) });
    })
    .expect("accepted");
    // After a caught panic the scope can drive another future.
    ctx.defer_stop("in turn", (), |scope: &Scope| {
        let nested = || scope.block_on(async { scope.block_on(async {}) });
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(nested));
        assert!(caught.is_err());
        scope.block_on(async {});
    })
    .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(
        outcomes(&report),
        [("nests", Outcome::Panicked), ("in turn", Outcome::Ok)]
    );
    assert_eq!(
        report.steps[0].error.as_deref(),
        Some(
            "`Scope::block_on` was called inside a future that it already drives: use `.await` there instead"
        )
    );
}

#[test]
fn blocking_calls_inside_block_on_are_errors() {
    let (ctx, other) = (WorkerCtx::new(()), WorkerCtx::new(()));
    let own = ctx.clone();
    let (sender, receiver) = mpsc::channel();
    ctx.defer_stop("calls", (), move |scope: &Scope| {
        let called = scope.block_on(async {
            let own = own.stop_blocking().map(drop);
            (own, other.cleanup_blocking().map(drop))
        });
        let _ = sender.send(called);
    })
    .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    assert!(report.is_ok(), "{report}");
    let inside = Err(BlockingError::CalledFromInside(CalledFromInside));
    assert_eq!(
        receiver.recv_timeout(GUARD),
        Ok((inside, Err(BlockingError::OnRuntime)))
    );
}

/// A runtime that ends with the call is enough for main, because the caller of `start` waits for main on it.
#[test]
fn main_started_in_block_on_runs_there() {
    let (ctx, other) = (WorkerCtx::new(()), WorkerCtx::new(()));
    let (sender, receiver) = mpsc::channel();
    let starts = other.clone();
    ctx.add_thread("body", BodyOpts::new(), move |scope: &Scope| {
        let started = scope.block_on(starts.start(|_| async { Ok(()) }));
        let _ = sender.send(started.map_err(|error| error.to_string()));
    })
    .expect("accepted");
    assert_eq!(receiver.recv_timeout(GUARD), Ok(Ok(())));
    assert!(other.ready());
}
