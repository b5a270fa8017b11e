//! Code that takes real time, in which no virtual time passes.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::{Outcome, SignalName};
use deadstop_harness::kit::Trial;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::notes::notes;
use super::told::{assert_contains, failure_of};

const MS: Duration = Duration::from_millis(1);

fn with_sigterm_at_10s(trial: Trial) -> Trial {
    trial.at("10s", SignalName::Sigterm)
}

/// Returns a trial of a task, with the given bound, that is told and then keeps its thread for 150 ms.
fn keeps_its_thread(bound: Duration) -> Trial {
    with_sigterm_at_10s(Trial::of(move |ctx: WorkerCtx| async move {
        let opts = BodyOpts::new().timeout(bound);
        ctx.add_task("consumer", opts, |token| async move {
            token.cancelled().await;
            thread::sleep(150 * MS);
        })?;
        Ok(())
    }))
}

#[test]
fn turn_that_takes_long_is_noted_with_name_and_time() {
    let (journal, notes) = keeps_its_thread(5_000 * MS).notes();
    assert_eq!(journal.outcome("consumer"), Some(Outcome::Ok));
    assert_eq!(notes.len(), 1, "{notes:?}");
    let (begin, end) = (
        "\"consumer\" kept its thread for ",
        " ms of real time at 10.000, in which no virtual time passed: does it sleep, wait or read without tokio or its scope?",
    );
    assert!(
        notes[0].starts_with(begin) && notes[0].ends_with(end),
        "{notes:?}"
    );
}

#[test]
fn turn_that_takes_longer_than_the_bound_fails() {
    let failure = failure_of(keeps_its_thread(120 * MS));
    assert_contains(
        &failure,
        &[
            "FAIL trial: \"consumer\" kept its thread for ",
            " ms of real time at 10.000, longer than its bound of 120 ms",
            "in\nproduction it would be left behind",
        ],
    );
    // The failure is not repeated as a note.
    assert_eq!(
        failure.matches("kept its thread for").count(),
        1,
        "{failure}"
    );
}

/// Returns the only note of a run that is stopped at ten seconds.
fn the_one_note<F, Fut>(register: F) -> String
where
    F: Fn(WorkerCtx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), MainError>> + Send + 'static,
{
    let failure = notes(register);
    assert_eq!(failure.len(), 1, "{failure:?}");
    failure.concat()
}

#[test]
fn many_turns_that_take_long_are_one_note() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_task("consumer", BodyOpts::new(), |token| async move {
            for _ in 0..3 {
                sleep(Duration::from_secs(2)).await;
                std::thread::sleep(Duration::from_millis(400));
            }
            token.cancelled().await;
        })?;
        Ok(())
    };
    let failure = the_one_note(register);
    assert_contains(
        &failure,
        &[
            "\"consumer\" kept its thread for ",
            // The time of all three turns together, which is over a second.
            " s of real time, 3 times from 2.000 on, in which no virtual time passed",
        ],
    );
}

#[test]
fn turn_of_a_spawned_task_that_takes_long_is_noted() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_task("server", BodyOpts::new(), |token| async move {
            let request = tokio::spawn(async {
                sleep(Duration::from_secs(3)).await;
                std::thread::sleep(Duration::from_millis(200));
            });
            let _ = request.await;
            token.cancelled().await;
        })?;
        Ok(())
    };
    let failure = the_one_note(register);
    assert_contains(
        &failure,
        &[
            "a task that the context does not know kept its thread for ",
            " ms of real time at 3.000, in which no virtual time passed",
        ],
    );
}

/// A main that keeps its thread is held to the bound of the start.
#[test]
fn main_that_takes_longer_than_its_bound_in_real_time_fails() {
    let register = |ctx: WorkerCtx| async move {
        thread::sleep(150 * MS);
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Ok(())
    };
    let failure = failure_of(with_sigterm_at_10s(
        Trial::of(register).start_timeout("120ms"),
    ));
    assert_contains(
        &failure,
        &[
            "\"main\" kept its thread for ",
            "at 0.000, longer than its bound of 120 ms",
        ],
    );
}

/// Returns a trial of a loader that hands a job of 150 ms to the blocking pool, before or after it is told.
fn on_the_pool(after_told: bool) -> Trial {
    with_sigterm_at_10s(Trial::of(move |ctx: WorkerCtx| async move {
        let opts = BodyOpts::new().timeout(120 * MS);
        ctx.add_task("loader", opts, move |token| async move {
            if after_told {
                token.cancelled().await;
            }
            let _ = spawn_blocking(|| thread::sleep(150 * MS)).await;
            token.cancelled().await;
        })?;
        Ok(())
    }))
}

#[test]
fn job_on_the_pool_is_held_to_the_bound_once_it_is_waited_for() {
    let (_, notes) = on_the_pool(false).notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].starts_with("a job of \"loader\" on the blocking pool took "),
        "{notes:?}"
    );
    let failure = failure_of(on_the_pool(true));
    assert_contains(
        &failure,
        &[
            "FAIL trial: a job of \"loader\" on the blocking pool took ",
            "longer than its bound of 120 ms",
        ],
    );
}

/// Returns a trial of a writer that receives from a channel of std, as it does in production.
fn blocks_on_a_channel() -> Trial {
    with_sigterm_at_10s(Trial::of(|ctx: WorkerCtx| async move {
        ctx.add_thread("reader", BodyOpts::new(), |scope| {
            while scope.wait(1_000 * MS).elapsed() {}
        })?;
        let (rows, written) = mpsc::channel::<u32>();
        let rows = Mutex::new(Some(rows));
        let wake = move || drop(rows.lock().map(|mut rows| rows.take()));
        ctx.add_thread("writer", BodyOpts::new().wake(wake), move |_| {
            while written.recv().is_ok() {}
        })?;
        Ok(())
    }))
}

#[test]
fn patience_of_a_trial_ends_a_run_that_stands_still() {
    let failure = failure_of(blocks_on_a_channel().patience("200ms"));
    assert_contains(
        &failure,
        &[
            "FAIL trial: the run stands still at 0.000: \"writer\" blocks its thread on a channel",
            concat!(
                "\"reader\" has waited in its scope since 0.000, at ",
                file!(),
                ":"
            ),
            "scope.recv(&receiver)",
            // The picture shows the run until then.
            "stuck (blocked) at 0.000, by writer",
            "patience = \"200ms\"",
        ],
    );
    // The stall is reported once.
    assert_eq!(failure.matches("blocks its thread").count(), 1, "{failure}");
    assert!(!failure.contains("ends/explained"), "{failure}");
}

#[test]
fn journal_of_a_run_that_stands_still_has_all_up_to_there() {
    let journal = blocks_on_a_channel().patience("200ms").observe();
    assert_eq!(journal.stuck(), Some("writer"));
    let names: Vec<_> = journal
        .registered()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["reader", "writer"]);
    assert!(journal.aside.stall.is_some());
}

/// Rows go through a channel of std, and both ends hold a lock across their waits.
#[test]
fn channel_and_lock_through_the_scope_take_virtual_time() {
    let register = |ctx: WorkerCtx| async move {
        let (rows, written) = mpsc::channel::<u32>();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (writes, holds) = (Arc::clone(&log), Arc::clone(&log));
        ctx.add_thread("writer", BodyOpts::new(), move |scope| {
            while let Some(row) = scope.recv(&written) {
                scope.lock(&writes).expect("not poisoned").push(row);
            }
        })?;
        // This thread sends at 1, 2 and 3 s, and closes the channel at 4 s.
        ctx.add_thread("reader", BodyOpts::new(), move |scope| {
            for row in 1..=3 {
                scope.sleep(1_000 * MS);
                let _ = rows.send(row);
            }
            scope.sleep(1_000 * MS);
        })?;
        // This thread has the lock from 1.5 to 5 s.
        ctx.add_thread("holder", BodyOpts::new(), move |scope| {
            scope.sleep(1_500 * MS);
            let held = scope.lock(&holds).expect("not poisoned");
            scope.sleep(3_500 * MS);
            assert_eq!(*held, [1], "the others wait");
        })?;
        ctx.defer_cleanup("log", CallOpts::new(), move |_| {
            assert_eq!(*log.lock().expect("not poisoned"), [1, 2, 3]);
        })?;
        Ok::<(), MainError>(())
    };
    let trial = || with_sigterm_at_10s(Trial::of(register)).ended(["writer", "reader", "holder"]);
    for seed in 0..20 {
        let journal = trial().seed(seed).run();
        assert_eq!(journal.outcome("log"), Some(Outcome::Ok), "{journal}");
    }
}

/// A thread that looks for what never comes is told like any other, and does not keep the world busy.
#[test]
fn wait_for_what_never_comes_is_left_at_its_bound() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_thread("looks", BodyOpts::new(), |scope| {
            scope.until(|| None::<()>, || unreachable!("only live"));
        })?;
        ctx.add_thread("looks too", BodyOpts::new(), |scope| {
            scope.until(|| None::<()>, || unreachable!("only live"));
        })?;
        Ok(())
    };
    let journal = with_sigterm_at_10s(Trial::of(register))
        .breaks("ends/explained")
        .run();
    assert_eq!(journal.outcome("looks"), Some(Outcome::Leaked), "{journal}");
    assert_eq!(journal.ended_at(), Some(Duration::from_secs(12)));
}

/// Blocks its thread for good when it is dropped.
struct BlocksWhenDropped;

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv();
    }
}

#[test]
fn destructor_of_a_spawned_task_is_not_blamed_on_a_component() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_task("server", BodyOpts::new(), |token| async move {
            token.cancelled().await;
        })?;
        tokio::spawn(async {
            let _blocks = BlocksWhenDropped;
            std::future::pending::<()>().await;
        });
        Ok::<_, MainError>(())
    };
    // The process is killed while the server still runs, which is dropped first.
    let trial = Trial::of(register).patience("300ms");
    let failure = failure_of(trial.at("10s", SignalName::Sigkill));
    assert_contains(
        &failure,
        &[
            "the run stands still at 10.000: a destructor at the end of the run",
            "of a task that the context does not know",
            "blocks its thread on a channel",
        ],
    );
}
