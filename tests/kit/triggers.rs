//! Triggers laid over real code: the end of a component, and a place between two turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::{SignalName, What};
use deadstop_harness::kit::Trial;
use deadstop_harness::scenario::{Fault, Trigger};
use deadstop_harness::sim::Journal;

const STEP: Duration = Duration::from_millis(200);

/// Components of every kind with code. Each takes 200 ms to end. The last one is struck by the tests.
async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    ctx.add_thread("thread", BodyOpts::new(), |scope| {
        while scope.wait(Duration::from_secs(1)).elapsed() {}
        scope.sleep(STEP);
    })?;
    ctx.add_task("task", BodyOpts::new(), |token| async move {
        token.cancelled().await;
        tokio::time::sleep(STEP).await;
    })?;
    ctx.defer_stop("stop", CallOpts::new(), |scope| scope.sleep(STEP))?;
    ctx.defer_stop_async("async stop", CallOpts::new(), || tokio::time::sleep(STEP))?;
    ctx.add_closeable_with("close", CallOpts::new(), (), |(), scope| scope.sleep(STEP))?;
    ctx.add_closeable_async("async close", CallOpts::new(), || tokio::time::sleep(STEP))?;
    ctx.add_closeable_with("last", CallOpts::new(), (), |(), _scope| {})?;
    Ok(())
}

fn stopped() -> Trial {
    Trial::of(register).at("10s", SignalName::Sigterm)
}

fn place_of(journal: &Journal, fits: impl Fn(&What) -> bool) -> usize {
    let place = journal.events.iter().position(|event| fits(&event.what));
    place.unwrap_or_else(|| panic!("no such event\n{journal}"))
}

fn end_of(journal: &Journal, name: &str) -> usize {
    place_of(
        journal,
        |what| matches!(what, What::Ended { name: it, .. } if **it == *name),
    )
}

/// Returns the words of a failed trial.
fn failure_of(trial: Trial) -> String {
    let failed = catch_unwind(AssertUnwindSafe(|| trial.run())).map(|journal| journal.log());
    let words = failed.expect_err("the trial fails");
    words.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn end_of_each_kind_strikes_before_the_context_sees_it() {
    for name in [
        "main",
        "thread",
        "task",
        "stop",
        "async stop",
        "close",
        "async close",
    ] {
        let journal = stopped().on_end(name, Fault::slow("last", "1s")).run();
        let (ended, struck) = (
            end_of(&journal, name),
            place_of(&journal, |what| matches!(what, What::Fault { .. })),
        );
        assert_eq!(struck, ended + 1, "{name}\n{journal}");
        assert_eq!(journal.events[struck].t, journal.events[ended].t, "{name}");
        let number = journal.events[ended].seq;
        let placed = stopped()
            .after_event(number, Fault::slow("last", "1s"))
            .run();
        assert_eq!(placed, journal, "{name}");
    }
}

#[test]
fn delay_after_an_end_is_counted_in_virtual_time() {
    let journal = stopped()
        .when(Trigger::on_end("task").after("300ms"), SignalName::Sigint)
        .run();
    let second = place_of(&journal, |what| matches!(what, What::Signal { nth: 2, .. }));
    assert_eq!(journal.events[second].t, 10_500, "{journal}");
    assert_eq!(journal.exit_code(), Some(130));
}

#[test]
fn trigger_that_never_comes_fails_the_trial() {
    for trial in [
        stopped()
            .at("9s", Fault::hang("close"))
            .on_end("close", Fault::fail("last")),
        stopped().after_event(9_000, Fault::fail("last")),
    ] {
        let words = failure_of(trial);
        assert!(
            words.contains("expected this event to strike, but it never did"),
            "{words}"
        );
    }
}

#[test]
fn trigger_of_an_unknown_component_is_named() {
    let words = failure_of(stopped().on_end("tusk", Fault::fail("last")));
    assert!(
        words.contains("no component is registered with the name \"tusk\""),
        "{words}"
    );
    assert!(words.contains("did you mean \"task\"?"), "{words}");
}
