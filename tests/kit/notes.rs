//! Notes of a run that passes: they point at what an author of a worker hardly ever means.

use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, Limits, MainError, WorkerCtx};
use deadstop_harness::journal::SignalName;
use deadstop_harness::kit::{Own, Trial};
use deadstop_harness::scenario::Fault;
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Returns the notes of a run that is stopped at ten seconds.
pub(super) fn notes<F, Fut>(register: F) -> Vec<String>
where
    F: Fn(WorkerCtx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), MainError>> + Send + 'static,
{
    let trial = Trial::of(register).at("10s", SignalName::Sigterm);
    trial.notes().1
}

#[test]
fn bodies_that_end_by_themselves_are_noted_unless_expected() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_task("warm-up", BodyOpts::new(), |_| sleep(3 * SECOND))?;
        ctx.add_thread("import", BodyOpts::new(), |scope| scope.sleep(2 * SECOND))?;
        ctx.add_thread("works", BodyOpts::new(), |scope| {
            while scope.wait(SECOND).elapsed() {}
        })?;
        ctx.spawn_or_block_on("migration", sleep(SECOND))?;
        Ok(())
    };
    let trial = || Trial::of(register).at("10s", SignalName::Sigterm);
    let notes = "\"import\" at 2.000, \"warm-up\" at 3.000 ended by themselves";
    assert_eq!(trial().notes().1, [notes]);
    assert_eq!(trial().ended(["warm-up", "import"]).notes().1, [""; 0]);
    // A body that ends by a fault of the file is not noted.
    let struck = Trial::of(register)
        .at("5s", Fault::end("works"))
        .at("10s", SignalName::Sigterm);
    assert_eq!(struck.notes().1, [notes]);
}

#[test]
fn tasks_that_the_context_does_not_know_are_counted_at_the_end() {
    let notes = notes(|ctx: WorkerCtx| async move {
        for _ in 0..2 {
            tokio::spawn(std::future::pending::<()>());
        }
        // This task is over by then.
        tokio::spawn(sleep(SECOND));
        ctx.add_task("knows its own", BodyOpts::new(), |token| async move {
            let mut connections = JoinSet::new();
            connections.spawn(sleep(60 * SECOND));
            token.cancelled().await;
            connections.shutdown().await;
        })?;
        Ok(())
    });
    assert_eq!(notes.len(), 1, "{notes:?}");
    let begin = "2 tasks that the context does not know were alive at the end";
    assert!(notes[0].starts_with(begin), "{notes:?}");
}

#[test]
fn component_that_holds_a_strong_handle_is_noted() {
    let notes = notes(|ctx: WorkerCtx| async move {
        let (strong, weak, closes) = (ctx.clone(), ctx.downgrade(), ctx.clone());
        ctx.add_task("server", BodyOpts::new(), |token| async move {
            token.cancelled().await;
            drop(strong);
        })?;
        ctx.add_thread("asks", BodyOpts::new(), move |scope| {
            while scope.wait(SECOND).elapsed() {
                let asked = weak.upgrade().map(|ctx| ctx.ready());
                assert!(asked.is_some());
            }
        })?;
        ctx.defer_cleanup("close", CallOpts::new(), move |_| {
            assert!(!closes.running())
        })?;
        Ok(())
    });
    let held = |name| {
        format!(
            "\"{name}\" held a strong handle of the context until it ended: if it were left behind, it would keep the worker alive; use \
             `ctx.downgrade()`"
        )
    };
    assert_eq!(notes, [held("server"), held("close")]);
}

#[test]
fn panic_that_the_code_catches_is_noted_with_its_place() {
    let notes = notes(|ctx: WorkerCtx| async move {
        ctx.add_thread("consumer", BodyOpts::new(), |scope| {
            let caught = std::panic::catch_unwind(|| panic!("poison message"));
            assert!(caught.is_err());
            let _ = scope.wait(Duration::MAX);
        })?;
        Ok(())
    });
    assert_eq!(notes.len(), 1, "{notes:?}");
    let begin = concat!(
        "\"consumer\" panicked at 0.000, but continued: poison message, at ",
        file!(),
        ":"
    );
    assert!(notes[0].starts_with(begin), "{notes:?}");
}

#[test]
fn panic_of_a_spawned_task_is_noted_with_its_place() {
    let notes = notes(|ctx: WorkerCtx| async move {
        ctx.add_task("server", BodyOpts::new(), |token| async move {
            let request = tokio::spawn(async { panic!("no such row") });
            assert!(request.await.is_err());
            token.cancelled().await;
        })?;
        Ok(())
    });
    assert_eq!(notes.len(), 1, "{notes:?}");
    let begin = concat!(
        "a task that the context does not know, or a destructor, panicked at 0.000: no such row, at ",
        file!(),
        ":"
    );
    assert!(notes[0].starts_with(begin), "{notes:?}");
}

fn production() -> Limits {
    Limits::new().grace(20 * SECOND).reserve(5 * SECOND)
}

#[test]
fn limits_of_the_service_hold_where_the_file_names_none() {
    let register = |ctx: WorkerCtx| async move {
        ctx.defer_stop("drain", CallOpts::new().timeout(60 * SECOND), |scope| {
            scope.sleep(Duration::MAX)
        })?;
        Ok(())
    };
    let trial = || Trial::of_own(Own::new(register).limits(production()));
    let with_sigterm_at_10s = |trial: Trial| {
        trial
            .on("drain", Fault::hang("drain"))
            .at("10s", SignalName::Sigterm)
    };
    // 20 s less the reserve and a margin of 500 ms.
    let (journal, notes) = with_sigterm_at_10s(trial()).notes();
    assert_eq!(
        journal.took("drain"),
        Some(Duration::from_millis(14_500)),
        "{journal}"
    );
    let over = |share: &str| {
        format!(
            "\"drain\" has a bound of 60 s, but stop has at most {share}: it is never awaited for the whole bound"
        )
    };
    assert_eq!(notes, [over("14.5 s")]);
    let (journal, notes) = with_sigterm_at_10s(trial().grace("30s")).notes();
    assert_eq!(
        journal.took("drain"),
        Some(Duration::from_millis(24_500)),
        "{journal}"
    );
    assert_eq!(
        notes,
        [
            "`grace` is 30s in the file, but 20s in the service",
            &over("24.5 s")
        ]
    );
}
