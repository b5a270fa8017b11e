//! A caller's code may do what it likes: it runs where the caller expects it, under no lock, and its
//! panics stay its own. Each test is the story of a bug that was here.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, WorkerCtx};
use deadstop::journal::Outcome;

/// Only the upper guard of a test that would hang: nothing waits for it to pass.
const GUARD: Duration = Duration::from_secs(20);

/// Runs what may hang on a thread of its own; a hang fails the test instead of stopping the suite.
fn guarded<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(run()));
    is_done
        .recv_timeout(GUARD)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// The service's runtime: turned by a thread of its own until the test's process ends.
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

/// The context's own thread must not run them: one that blocks would hold up every bound.
#[test]
fn an_async_callback_runs_on_the_runtime_where_it_was_registered() {
    let service = service();
    let ctx = WorkerCtx::new(());
    let (said, says) = mpsc::channel();
    {
        let _inside = service.enter();
        let stop = said.clone();
        ctx.defer_stop_async("stop", CallOpts::new(), move || async move {
            let _ = stop.send(thread::current().name().map(str::to_owned));
        })
        .expect("accepted");
        ctx.add_closeable_async("close", CallOpts::new(), move || async move {
            let _ = said.send(thread::current().name().map(str::to_owned));
        })
        .expect("accepted");
    }
    let report = guarded("cleanup", move || ctx.cleanup_blocking()).expect("from outside");
    assert!(report.is_ok(), "{report}");
    let threads: Vec<_> = says.into_iter().flatten().collect();
    assert_eq!(threads, ["service", "service"]);
}

#[test]
fn an_async_callback_registered_outside_of_a_runtime_gets_a_thread_of_its_own() {
    let ctx = WorkerCtx::new(());
    let (said, says) = mpsc::channel();
    ctx.defer_cleanup_async("close", CallOpts::new(), move || async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let _ = said.send(thread::current().name().map(str::to_owned));
    })
    .expect("accepted");
    ctx.defer_cleanup_async(
        "hangs",
        CallOpts::new().timeout(Duration::from_millis(5)),
        std::future::pending::<()>,
    )
    .expect("accepted");
    let report = guarded("cleanup", move || ctx.cleanup_blocking()).expect("from outside");
    assert_eq!(says.recv().ok().flatten().as_deref(), Some("close"));
    let outcomes: Vec<_> = report.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Ok, Outcome::TimedOut],
        "it can be aborted there too"
    );
}

/// Looks at the context when it is dropped: that takes the registry's lock.
struct LooksWhenDropped(WorkerCtx, mpsc::Sender<usize>);

impl Drop for LooksWhenDropped {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.budget().stop.len());
    }
}

#[test]
fn what_wakes_a_thread_is_dropped_under_no_lock_when_the_thread_ends() {
    let ctx = WorkerCtx::new(());
    let (said, says) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let looks = LooksWhenDropped(ctx.clone(), said);
    let opts = BodyOpts::new().wake(move || {
        let _ = &looks;
    });
    ctx.add_thread("short", opts, move |_| {
        let _ = ended.recv();
    })
    .expect("accepted");
    drop(end);
    assert_eq!(
        says.recv_timeout(GUARD),
        Ok(0),
        "it has left the registry before"
    );
}

#[test]
fn what_wakes_a_refused_task_is_dropped_under_no_lock() {
    let ctx = WorkerCtx::new(());
    let (said, says) = mpsc::channel();
    let looks = LooksWhenDropped(ctx.clone(), said);
    let refused = guarded("a refusal", move || {
        let opts = BodyOpts::new().wake(move || {
            let _ = &looks;
        });
        // There is no runtime here.
        ctx.add_task("task", opts, |_| async {}).map_err(drop)
    });
    assert_eq!(refused, Err(()));
    assert_eq!(says.try_recv(), Ok(0));
}
