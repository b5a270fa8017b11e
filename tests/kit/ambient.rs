//! What code finds around it without being given it, live and in the simulator: where the two are equal, and where
//! they differ. `docs/fidelity.md` has a row for each, with the name of its test.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop::host::Scope;
use deadstop_harness::journal::SignalName;
use deadstop_harness::kit::{Own, Trial};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A function that returns what it finds of one kind.
type LookFn<T> = fn() -> T;
/// What was found, with its place.
type Found<T> = Arc<Mutex<Vec<(&'static str, T)>>>;

/// Looks in each place in which a worker's code runs: main, task, thread, callbacks, and inside `block_on`.
async fn look_everywhere<T: Send + 'static>(
    ctx: WorkerCtx<Found<T>>,
    look: LookFn<T>,
) -> Result<(), MainError> {
    let note = |place| {
        let found = Arc::clone(ctx.app());
        move || {
            let seen = look();
            found.lock().expect("not poisoned").push((place, seen));
        }
    };
    note("main")();
    let [task, thread, block_on] = ["task", "thread", "block_on"].map(note);
    ctx.add_task("a task", BodyOpts::new(), |token| async move {
        task();
        token.cancelled().await;
    })?;
    ctx.add_thread("a thread", BodyOpts::new(), move |scope| {
        thread();
        scope.block_on(async { block_on() });
        let _ = scope.wait(Duration::MAX);
    })?;
    let [stop, async_stop, close] = ["stop", "async stop", "close"].map(note);
    ctx.defer_stop("stop", CallOpts::new().order(1), move |_| stop())?;
    ctx.defer_stop_async("async stop", CallOpts::new().order(2), || async move {
        async_stop()
    })?;
    ctx.add_closeable_with("close", CallOpts::new(), (), move |(), _| close())?;
    Ok(())
}

/// Returns what was first found in each place, sorted by place.
fn sorted<T: Clone>(found: &Found<T>) -> Vec<(&'static str, T)> {
    let mut found = found.lock().expect("not poisoned").clone();
    found.sort_by_key(|(place, _)| *place);
    found.dedup_by_key(|(place, _)| *place);
    found
}

/// Returns what is found live, on a runtime of several threads as services have it.
fn live<T: Clone + Send + 'static>(look: LookFn<T>) -> Vec<(&'static str, T)> {
    let found = Found::default();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let ctx = WorkerCtx::builder()
            .build(Arc::clone(&found))
            .expect("limits");
        let started = ctx.start(move |ctx| look_everywhere(ctx, look)).await;
        started.expect("it starts");
        ctx.cleanup().await.expect("from outside");
    });
    sorted(&found)
}

/// Returns what is found in the simulator.
fn simulated<T: Clone + Send + 'static>(look: LookFn<T>) -> Vec<(&'static str, T)> {
    let found = Found::default();
    let app = Arc::clone(&found);
    let own = Own::with_app(
        move || Arc::clone(&app),
        move |ctx| look_everywhere(ctx, look),
    );
    Trial::of_own(own).at("10s", SignalName::Sigterm).run();
    sorted(&found)
}

const PLACES: [&str; 7] = [
    "async stop",
    "block_on",
    "close",
    "main",
    "stop",
    "task",
    "thread",
];

fn expected_by_place<T>(of: impl Fn(&'static str) -> T) -> Vec<(&'static str, T)> {
    PLACES.map(|place| (place, of(place))).into()
}

#[test]
fn runtime_is_found_in_the_same_places() {
    let look = || Handle::try_current().is_ok();
    let expected = expected_by_place(|place| !["thread", "stop", "close"].contains(&place));
    assert_eq!(live(look), expected);
    assert_eq!(simulated(look), expected);
}

#[test]
fn runtime_of_tasks_has_one_thread_in_the_simulator() {
    let look = || {
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread)
    };
    let task = |found: Vec<(&'static str, bool)>, of: &str| {
        found.iter().any(|(place, many)| *place == of && *many)
    };
    assert!(task(live(look), "task"));
    assert!(!task(simulated(look), "task"));
    // The runtime of a body has one thread of its own, in both.
    assert!(!task(live(look), "block_on") && !task(simulated(look), "block_on"));
}

#[test]
fn block_in_place_panics_in_the_simulator_alone() {
    let look = || catch_unwind(|| tokio::task::block_in_place(|| ())).is_ok();
    let task = |found: Vec<(&'static str, bool)>| {
        let mut found = found.into_iter();
        found
            .find(|(place, _)| *place == "task")
            .is_some_and(|(_, works)| works)
    };
    assert!(task(live(look)));
    assert!(!task(simulated(look)));
}

#[test]
fn thread_is_called_by_its_components_name() {
    let look = || thread::current().name().map(str::to_owned);
    for found in [live(look), simulated(look)] {
        let name = |of: &str| {
            let mut found = found.iter();
            found
                .find(|(place, _)| *place == of)
                .and_then(|(_, name)| name.as_deref())
        };
        assert_eq!(name("thread"), Some("a thread"));
        assert_eq!(name("block_on"), Some("a thread"));
        assert_eq!(name("stop"), Some("stop"));
        assert_eq!(name("close"), Some("close"));
    }
}

#[test]
fn task_has_an_id_of_its_own_in_both() {
    let look = || tokio::task::try_id().is_some();
    for found in [live(look), simulated(look)] {
        let has = |of: &str| found.iter().any(|(place, has)| *place == of && *has);
        assert!(has("task") && has("async stop"), "{found:?}");
        assert!(
            !has("thread") && !has("block_on") && !has("stop"),
            "{found:?}"
        );
    }
}

thread_local! {
    static MARK: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn thread_locals_are_a_threads_own_and_all_tasks_share_one() {
    // Each look counts the looks before it on its thread.
    let look = || {
        MARK.set(MARK.get() + 1);
        MARK.get()
    };
    for found in [live(look), simulated(look)] {
        let seen = |of: &str| {
            let mut found = found.iter();
            found.find(|(place, _)| *place == of).map(|(_, seen)| *seen)
        };
        assert_eq!((seen("thread"), seen("block_on")), (Some(1), Some(2)));
        assert_eq!((seen("stop"), seen("close")), (Some(1), Some(1)));
    }
    // In the simulator main, the task and the async callback share one thread, and run in that order. Live, any free
    // thread of the runtime runs them.
    let found = simulated(look);
    let shared: Vec<u32> = ["main", "task", "async stop"]
        .map(|of| {
            found
                .iter()
                .find(|(place, _)| *place == of)
                .map_or(0, |(_, seen)| *seen)
        })
        .into();
    assert!(shared[0] < shared[1] && shared[1] < shared[2], "{shared:?}");
}

/// Measures a tenth of a second of the scope's time on the clocks that code can ask.
fn clocks(scope: &Scope) -> [Duration; 3] {
    let (std, tokio) = (std::time::Instant::now(), Instant::now());
    let inside = scope.block_on(async { Instant::now() });
    scope.sleep(SECOND / 10);
    let inside = scope.block_on(async move { inside.elapsed() });
    [std.elapsed(), tokio.elapsed(), inside]
}

#[test]
fn std_clock_is_real_and_tokios_is_virtual_in_a_runtime() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let app = Arc::clone(&seen);
    let own = Own::with_app(
        move || Arc::clone(&app),
        |ctx: WorkerCtx<Arc<Mutex<Vec<[Duration; 3]>>>>| async move {
            let seen = Arc::clone(ctx.app());
            ctx.defer_cleanup("asks", CallOpts::new(), move |scope| {
                seen.lock().expect("not poisoned").push(clocks(scope));
            })?;
            Ok(())
        },
    );
    Trial::of_own(own).at("10s", SignalName::Sigterm).run();
    for [_std, _tokio, inside] in seen.lock().expect("not poisoned").iter() {
        assert_eq!(*inside, SECOND / 10, "exactly");
    }
    let ctx = WorkerCtx::new(());
    let (sender, receiver) = std::sync::mpsc::channel();
    ctx.defer_cleanup("asks", CallOpts::new(), move |scope| {
        let _ = sender.send(clocks(scope));
    })
    .expect("accepted");
    assert!(ctx.cleanup_blocking().expect("from outside").is_ok());
    let all = receiver.recv().expect("it is called");
    assert!(all.iter().all(|took| *took >= SECOND / 10), "{all:?}");
}

/// Spawns a task in a `block_on` that ends at once, and notes whether the task has ended half a second later.
async fn spawns_in_block_on(ctx: WorkerCtx<Found<bool>>) -> Result<(), MainError> {
    let found = Arc::clone(ctx.app());
    ctx.add_thread("spawns", BodyOpts::new(), move |scope| {
        let spawn = |_: &mut std::task::Context<'_>| {
            std::task::Poll::Ready(tokio::spawn(sleep(SECOND / 100)))
        };
        let spawned = scope.block_on(std::future::poll_fn(spawn));
        scope.sleep(SECOND / 2);
        let ran = scope.block_on(async { spawned.await.is_ok() });
        found.lock().expect("not poisoned").push(("thread", ran));
    })?;
    Ok(())
}

#[test]
fn task_spawned_in_block_on_outlives_it_only_simulated() {
    let found = Found::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let ctx = WorkerCtx::builder()
            .build(Arc::clone(&found))
            .expect("limits");
        ctx.start(spawns_in_block_on).await.expect("it starts");
        while found.lock().expect("not poisoned").is_empty() {
            tokio::task::yield_now().await;
        }
        ctx.cleanup().await.expect("from outside");
    });
    assert_eq!(*found.lock().expect("not poisoned"), [("thread", false)]);
    let found = Found::default();
    let app = Arc::clone(&found);
    let own = Own::with_app(move || Arc::clone(&app), spawns_in_block_on);
    Trial::of_own(own)
        .at("10s", SignalName::Sigterm)
        .ended(["spawns"])
        .run();
    assert_eq!(sorted(&found), [("thread", true)]);
}

#[test]
fn panic_hook_is_not_called_in_the_test_kit() {
    let look = || catch_unwind(AssertUnwindSafe(|| panic!("hooked"))).is_err();
    let register = move |ctx: WorkerCtx| async move {
        ctx.add_thread("panics", BodyOpts::new(), move |scope| {
            assert!(look());
            let _ = scope.wait(Duration::MAX);
        })?;
        Ok(())
    };
    let (journal, notes) = Trial::of(register).at("10s", SignalName::Sigterm).notes();
    // The panic is in the notes instead, or in the failure, with its place and its stack.
    let [panicked] = &journal.aside.panics[..] else {
        panic!("{:?}", journal.aside.panics)
    };
    assert_eq!(
        (panicked.name.as_deref(), &*panicked.message),
        (Some("panics"), "hooked")
    );
    assert!(
        panicked.place.starts_with(concat!(file!(), ":")),
        "{}",
        panicked.place
    );
    assert!(
        notes[0].contains("panicked at 0.000, but continued: hooked"),
        "{notes:?}"
    );
}

/// A subscriber that counts the events of the target `ambient`.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<u32>>);

impl tracing::Subscriber for Counts {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "ambient"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        *self.0.lock().expect("not poisoned") += 1;
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Live, a subscriber that is set for main's thread alone is seen by that thread. The simulator runs on threads of
/// its own, where a test's scoped subscriber is not seen. A subscriber for the whole process is seen in both.
#[test]
fn scoped_subscriber_of_a_test_is_seen_in_neither() {
    let counts = Counts::default();
    let look = || tracing::event!(target: "ambient", tracing::Level::INFO, "looks");
    tracing::subscriber::with_default(counts.clone(), || {
        simulated(look);
    });
    assert_eq!(*counts.0.lock().expect("not poisoned"), 0);
}
