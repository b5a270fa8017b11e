//! A test that tests nothing fails, unless it expects this on purpose.

use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::SignalName;
use deadstop_harness::kit::Trial;
use deadstop_harness::scenario::Fault;
use tokio::time::sleep;

use super::told::{assert_contains, failure_of};

async fn registers_nothing(_: WorkerCtx) -> Result<(), MainError> {
    Ok(())
}

/// Registers a db after two seconds, and a pool after four.
async fn slow_start(ctx: WorkerCtx) -> Result<(), MainError> {
    sleep(Duration::from_secs(2)).await;
    ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
    sleep(Duration::from_secs(2)).await;
    ctx.defer_cleanup("pool", CallOpts::new(), |_| {})?;
    Ok(())
}

fn with_sigterm_at_10s(trial: Trial) -> Trial {
    trial.at("10s", SignalName::Sigterm)
}

#[test]
fn worker_that_registers_nothing_fails_by_name() {
    let failure = failure_of(with_sigterm_at_10s(Trial::of(registers_nothing)));
    assert_contains(
        &failure,
        &[
            "FAIL trial: tests nothing: main was done at 0.000, and no component was registered and no code was run before that",
            "`registered = []` in [expect], or call `.registers([])` on the trial",
        ],
    );
}

#[test]
fn worker_that_registers_nothing_on_purpose_passes() {
    let journal = with_sigterm_at_10s(Trial::of(registers_nothing))
        .registers([])
        .run();
    assert_eq!(journal.exit_code(), Some(0));
}

#[test]
fn worker_that_only_runs_a_future_tests_something() {
    let runs = |ctx: WorkerCtx, _: &deadstop::host::Scope| {
        ctx.spawn_or_block_on("migration", async {})
            .map_err(MainError::from)
    };
    let own = deadstop_harness::kit::Own::blocking(runs);
    assert_eq!(
        with_sigterm_at_10s(Trial::of_own(own)).run().exit_code(),
        Some(0)
    );
}

#[test]
fn registered_names_are_held_to_the_expected_ones() {
    let trial = || with_sigterm_at_10s(Trial::of(slow_start));
    trial().registers(["pool", "db"]).run();
    let failure = failure_of(trial().registers(["db"]));
    assert_contains(
        &failure,
        &["expected registered to be \"db\": it was \"db\", \"pool\""],
    );
    let failure = failure_of(trial().registers([]));
    assert_contains(
        &failure,
        &["expected registered to be empty: it was \"db\", \"pool\""],
    );
}

#[test]
fn events_that_all_strike_before_main_is_done_fail() {
    let failure = failure_of(Trial::of(slow_start).at("3s", SignalName::Sigterm));
    assert_contains(
        &failure,
        &[
            "FAIL trial: tests nothing of a running worker: every event struck before main was done",
            "`ready = false` in [expect], or call `.before_ready()` on the trial",
        ],
    );
    // A SIGKILL tests no more of the worker.
    let killed = failure_of(Trial::of(slow_start).at("3s", SignalName::Sigkill));
    assert_contains(&killed, &["tests nothing of a running worker"]);
}

#[test]
fn stop_before_main_begins_is_reported_as_such() {
    let at_once = |ctx: WorkerCtx| async move {
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Ok::<_, MainError>(())
    };
    let failure = failure_of(Trial::of(at_once).at("0s", SignalName::Sigterm));
    assert_contains(
        &failure,
        &[
            "FAIL trial: tests nothing",
            "the run ended before main had begun",
            "let the request come later in the file",
        ],
    );
    assert!(!failure.contains("real world"), "{failure}");
    Trial::of(at_once).at("1ms", SignalName::Sigterm).run();
}

#[test]
fn stop_during_the_start_on_purpose_passes() {
    let trial = || Trial::of(slow_start).at("3s", SignalName::Sigterm);
    // Main is told at 3 s, and done at 4 s.
    let journal = trial().before_ready().run();
    assert_eq!(
        journal.ended_at(),
        Some(Duration::from_secs(4)),
        "{journal}"
    );
    let late = failure_of(
        Trial::of(slow_start)
            .at("5s", SignalName::Sigterm)
            .before_ready(),
    );
    assert_contains(
        &late,
        &["the worker was expected not to become ready: it became ready"],
    );
    // Here the trial is about main.
    let at_main = Trial::of(slow_start).at("1s", Fault::fail("main"));
    assert_eq!(at_main.run().exit_code(), Some(1));
}

#[test]
fn main_that_waits_for_a_real_thread_is_reported_as_such() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_task("poller", BodyOpts::new(), |token| async move {
            token.cancelled().await;
        })?;
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let keep = std::sync::Arc::new(std::sync::Mutex::new(Some(answer)));
        let kept = std::sync::Arc::clone(&keep);
        ctx.defer_stop("keep", CallOpts::new(), move |_| drop(kept))?;
        std::mem::forget(keep);
        let _ = answered.await;
        Ok(())
    };
    let failure = failure_of(with_sigterm_at_10s(Trial::of(register)));
    assert_contains(
        &failure,
        &[
            "FAIL trial: broken law ends/explained: \"main\" was aborted at 15.000, after 5 s of its bound of 5 s",
            "main has waited since 0.000; \"poller\" and \"keep\" had been registered by then",
            "without a stop, main still waits after an hour: no timer, task or body of this run could have woken it",
            "such as a thread or a socket? sqlx, a resolver, reqwest",
            "Main should only register components and return",
            "so\nthat a test can use a fake",
        ],
    );
}

#[test]
fn failure_of_a_slow_main_names_when_it_would_be_done() {
    let register = |ctx: WorkerCtx| async move {
        sleep(Duration::from_secs(20)).await;
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Ok(())
    };
    let failure = failure_of(with_sigterm_at_10s(Trial::of(register)));
    assert_contains(
        &failure,
        &[
            "\"main\" was aborted at 15.000",
            "main has waited since 0.000; nothing had been registered by then",
            "without a stop, main is done at 20.000",
            "`start-timeout`",
            "`ctx.stop_requested()`",
        ],
    );
    let enough = with_sigterm_at_10s(Trial::of(register))
        .start_timeout("10s")
        .before_ready();
    assert_eq!(enough.run().exit_code(), Some(0));
}

#[test]
fn unknown_name_in_uses_fails_with_the_name_that_was_meant() {
    let register = |ctx: WorkerCtx| async move {
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        ctx.defer_cleanup("pool", CallOpts::new().uses(["db", "cash"]), |_| {})?;
        ctx.defer_cleanup("cache", CallOpts::new(), |_| {})?;
        Ok(())
    };
    let failure =
        failure_of(with_sigterm_at_10s(Trial::of(register)).breaks("uses/closed-after-users"));
    assert_contains(
        &failure,
        &[
            "FAIL trial: \"pool\" uses \"cash\", but no component is registered with that name",
            "did you mean \"cache\"? registered are \"cache\" and \"db\"",
        ],
    );
}

/// Waits for an answer that never comes, and only then registers a db.
async fn connects(ctx: WorkerCtx) -> Result<(), MainError> {
    ctx.add_task(
        "flusher",
        BodyOpts::new().uses(["db"]),
        |token| async move {
            token.cancelled().await;
        },
    )?;
    std::future::pending::<()>().await;
    ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
    Ok(())
}

#[test]
fn waiting_main_is_reported_instead_of_missing_names() {
    let failure = failure_of(with_sigterm_at_10s(Trial::of(connects)).ended(["db"]));
    assert_contains(
        &failure,
        &[
            "FAIL trial: broken law ends/explained: \"main\" was aborted at 15.000",
            "\"flusher\" had been registered by then",
            "without a stop, main still waits after an hour",
        ],
    );
    assert!(!failure.contains("is registered by"), "{failure}");
}

#[test]
fn unknown_name_of_a_fault_fails_though_start_is_cut_off() {
    let cut = || {
        Trial::of(slow_start)
            .at("3s", SignalName::Sigkill)
            .before_ready()
    };
    cut().run();
    assert_contains(
        &failure_of(cut().at("500ms", Fault::hang("cash"))),
        &["no component is registered with the name \"cash\""],
    );
}

#[test]
fn unknown_used_name_is_allowed_if_start_is_cut_off() {
    let register = |ctx: WorkerCtx| async move {
        let opts = BodyOpts::new().uses(["db"]);
        ctx.add_task(
            "flusher",
            opts,
            |token| async move { token.cancelled().await },
        )?;
        sleep(Duration::from_secs(4)).await;
        ctx.defer_cleanup("cache", CallOpts::new(), |_| {})?;
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Ok::<_, MainError>(())
    };
    // With SIGTERM main fails at 4 s, because the cache is refused. With SIGKILL it does not run until then.
    for signal in [SignalName::Sigterm, SignalName::Sigkill] {
        Trial::of(register).at("3s", signal).before_ready().run();
    }
}

#[test]
fn main_that_fails_since_it_was_stopped_hides_nothing() {
    let register = |ctx: WorkerCtx| async move {
        sleep(Duration::from_secs(12)).await;
        // This is refused, because stop has begun.
        ctx.add_task("server", BodyOpts::new(), |_| async {})?;
        Ok::<_, MainError>(())
    };
    assert_contains(
        &failure_of(with_sigterm_at_10s(Trial::of(register))),
        &["FAIL trial: tests nothing"],
    );
}

#[test]
fn fault_elsewhere_does_not_hide_a_main_that_waits() {
    let failure = failure_of(with_sigterm_at_10s(
        Trial::of(connects).at("5s", Fault::hang("flusher")),
    ));
    assert_contains(
        &failure,
        &[
            "FAIL trial: tests nothing of a running worker",
            "main has waited since 0.000",
            "without a stop, main still waits after an hour",
            "`ready = false` in [expect]",
        ],
    );
}

#[test]
fn retrying_main_is_not_reported_as_waiting() {
    let register = |_: WorkerCtx| async move {
        loop {
            sleep(Duration::from_secs(7)).await;
        }
    };
    let failure = failure_of(with_sigterm_at_10s(Trial::of(register)));
    assert_contains(
        &failure,
        &[
            "main has waited since 14.000; nothing had been registered by then",
            "without a stop, main is still not done after an hour: it continued from time to time, the last time at 3598.000",
            "an address where nothing answers",
        ],
    );
    assert!(!failure.contains("waits still"), "{failure}");
}

#[test]
fn main_that_goes_on_once_and_waits_is_reported_as_waiting() {
    let register = |_: WorkerCtx| async move {
        sleep(Duration::from_secs(20)).await;
        std::future::pending::<Result<(), MainError>>().await
    };
    let failure = failure_of(with_sigterm_at_10s(Trial::of(register)));
    assert_contains(
        &failure,
        &[
            "\"main\" was aborted at 15.000",
            "without a stop, main continues until 20.000, and then waits until an hour is over: no timer, task or body of this run",
            "sqlx, a resolver, reqwest",
        ],
    );
    assert!(!failure.contains("nothing answers"), "{failure}");
}

#[test]
fn failure_names_where_main_would_block_later() {
    let register = |_: WorkerCtx| async move {
        sleep(Duration::from_secs(20)).await;
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv();
        Ok(())
    };
    let failure = failure_of(with_sigterm_at_10s(Trial::of(register).patience("300ms")));
    assert_contains(
        &failure,
        &[
            "\"main\" was aborted at 15.000",
            "without a stop, the run stands still at 20.000: \"main\" blocks its thread on a channel",
        ],
    );
}
