//! Registrations from everywhere in a worker: they have the same results in the simulator as live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadstop::context::{BodyOpts, Life, MainError, WorkerCtx};
use deadstop::host::Scope;
use deadstop_harness::journal::{How, Kind, Outcome, SignalName};
use deadstop_harness::kit::{Own, Trial};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Whether the thread has registered everything, or whether a future has run.
type Flag = Arc<AtomicBool>;

/// Registers a thread that registers a task and runs futures, inside `block_on` and outside of it. The thread's error
/// is what differs from the contract.
async fn registers(ctx: WorkerCtx<Flag>) -> Result<(), MainError> {
    let (weak, ready) = (ctx.downgrade(), Arc::clone(ctx.app()));
    ctx.add_thread("body", BodyOpts::new(), move |scope: &Scope| {
        let ctx = weak.upgrade().ok_or("the worker is gone")?;
        let (ends, ended) = oneshot::channel::<()>();
        let export = async move {
            let _ = ended.await;
        };
        scope.block_on(async {
            ctx.add_task("task", BodyOpts::new(), |token| async move {
                token.cancelled().await;
                drop(ends);
            })
            .map_err(|refused| refused.to_string())?;
            ctx.spawn_or_block_on("export", export)
                .map_err(|refused| refused.to_string())
        })?;
        let ran = Flag::default();
        let runs = Arc::clone(&ran);
        let inline = async move {
            sleep(Duration::from_millis(1)).await;
            runs.store(true, Ordering::SeqCst);
        };
        ctx.spawn_or_block_on("inline", inline)
            .map_err(|refused| refused.to_string())?;
        if !ran.load(Ordering::SeqCst) {
            return Err("spawn_or_block_on returned before the end of its future".to_owned());
        }
        drop(ctx);
        ready.store(true, Ordering::SeqCst);
        while scope.wait(Duration::MAX).elapsed() {}
        Ok::<_, String>(())
    })?;
    Ok(())
}

fn all_ok() -> BTreeMap<String, Outcome> {
    let names = ["body", "task", "export"];
    let ok = names.map(|name| (name.to_owned(), Outcome::Ok));
    ok.into()
}

#[test]
fn tasks_registered_on_a_thread_live_until_stop() {
    let journal = Trial::of_own(Own::new(registers))
        .at("10s", SignalName::Sigterm)
        .run();
    let registered = journal.registered();
    assert_eq!(
        registered,
        [
            ("body", Kind::Thread),
            ("task", Kind::Task),
            ("export", Kind::Task)
        ]
    );
    let outcome = |(name, _): &(&str, Kind)| Some(((*name).to_owned(), journal.outcome(name)?));
    let simulated: BTreeMap<_, _> = registered.iter().filter_map(outcome).collect();
    assert_eq!(simulated, all_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_registered_on_a_live_thread_live_until_stop() {
    let ready = Flag::default();
    let ctx = WorkerCtx::new(Arc::clone(&ready));
    let life = Life::new(&ctx);
    let given = ctx.clone();
    let lives = tokio::spawn(life.run(move || registers(given)));
    let is_ready = async {
        while !(ready.load(Ordering::SeqCst) && ctx.ready()) {
            tokio::task::yield_now().await;
        }
    };
    let guard = Duration::from_secs(20);
    let in_time = tokio::time::timeout(guard, is_ready).await;
    in_time.expect("everything is registered");
    life.signal(SignalName::Sigterm);
    let end = lives.await.expect("no panic");
    let rows = end.report.steps.iter();
    let live: BTreeMap<_, _> = rows
        .map(|row| (row.name.to_string(), row.outcome))
        .collect();
    assert_eq!(live, all_ok(), "{}", end.report);
}

/// Registers an adopted task that its owner aborts before the stop.
async fn aborts_its_own(ctx: WorkerCtx) -> Result<(), MainError> {
    let task = tokio::spawn(std::future::pending::<()>());
    let aborts = task.abort_handle();
    ctx.adopt_task("legacy", BodyOpts::new(), task)?;
    ctx.add_thread("aborts", BodyOpts::new(), move |scope: &Scope| {
        scope.sleep(Duration::from_secs(1));
        aborts.abort();
    })?;
    Ok(())
}

#[test]
fn adopted_task_aborted_by_its_own_side_is_a_death() {
    let journal = Trial::of(aborts_its_own)
        .at("10s", SignalName::Sigterm)
        .observe();
    assert_eq!(journal.outcome("legacy"), None, "it has no step");
    let log = journal.log();
    let line = "     1.000  error  ended          legacy (#1): dropped";
    assert!(log.contains(line), "{log}");
    let died = |event: &deadstop_harness::journal::Event| match &event.what {
        deadstop_harness::journal::What::Returned { deaths, .. } => Some(deaths.clone()),
        _ => None,
    };
    let deaths: Vec<_> = journal.events.iter().filter_map(died).flatten().collect();
    assert_eq!(deaths, [(1, How::Dropped)]);
    // No fault struck the task, so the law of own workers asks for an explanation.
    let broken = journal.broken_laws();
    let laws: Vec<_> = broken.iter().map(|broken| broken.law.name).collect();
    assert_eq!(laws, ["ends/explained"], "{broken:?}");
}

#[test]
fn block_on_inside_block_on_panics_as_live() {
    let journal = Trial::of(|ctx: WorkerCtx| async move {
        ctx.defer_stop("nests", (), |scope: &Scope| {
            scope.block_on(async { scope.block_on(async {}) });
        })?;
        Ok(())
    })
    .at("10s", SignalName::Sigterm)
    .observe();
    assert_eq!(journal.outcome("nests"), Some(Outcome::Panicked));
    let words = "`Scope::block_on` was called inside a future that it already drives: use `.await` there instead";
    assert!(journal.log().contains(words), "{}", journal.log());
}
