//! A bad end that a user's own code causes breaks a law. A bad end with a fault, a second signal, or a right to it
//! breaks none.

use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::SignalName;
use deadstop_harness::kit::{Own, Trial};
use deadstop_harness::scenario::{Fault, Health};
use tokio::time::sleep;

/// Returns a trial of a worker that does one thing.
fn trial_of(behaviour: &'static str) -> Trial {
    Trial::of_own(Own::with_app(move || behaviour, worker_that))
}

async fn worker_that(ctx: WorkerCtx<&'static str>) -> Result<(), MainError> {
    let second = Duration::from_secs(1);
    let (body, call) = (BodyOpts::new(), CallOpts::new());
    match *ctx.app() {
        "a thread works on for a minute" => {
            ctx.add_thread("it", body, move |scope| {
                for _ in 0..60 {
                    scope.sleep(second);
                }
            })?;
        }
        "a task does not stop" => {
            ctx.add_task("it", body, |_token| std::future::pending::<()>())?;
        }
        "an adopted task does not stop" => {
            ctx.adopt_task("it", body, tokio::spawn(std::future::pending::<()>()))?;
        }
        "a thread dies" => {
            ctx.add_thread("it", body, move |scope| {
                scope.sleep(second * 3);
                Err::<(), _>("broken pipe")
            })?;
        }
        "a callback does not return" => {
            ctx.defer_cleanup("it", call, |scope| scope.sleep(Duration::MAX))?;
        }
        "an async callback does not return" => {
            ctx.defer_stop_async("it", call, std::future::pending::<()>)?;
        }
        "a callback fails" => {
            ctx.defer_cleanup("it", call, |_scope| Err::<(), _>("broken pipe"))?;
        }
        "a callback panics" => {
            ctx.defer_cleanup("it", call, |_scope| -> () { panic!("poisoned") })?;
        }
        "main fails" => return Err("no model".into()),
        "main takes two seconds and fails" => {
            sleep(second * 2).await;
            return Err("told to stop".into());
        }
        "main takes a minute" => sleep(second * 60).await,
        other => panic!("nothing does this: {other}"),
    }
    Ok(())
}

/// Returns the laws that the trial breaks, with their messages.
#[track_caller]
fn broken_laws_of(trial: Trial) -> Vec<(&'static str, String)> {
    let broken = trial.observe().broken_laws();
    let words = |broken: deadstop_harness::laws::Broken| (broken.law.name, broken.message);
    broken.into_iter().map(words).collect()
}

#[test]
fn bad_end_by_itself_breaks_the_law() {
    for (behaviour, words) in [
        // A join or cancel has 2 s, a callback 10 s. The SIGTERM is at 10 s.
        (
            "a thread works on for a minute",
            "was leaked at 12.000, after 2 s of its bound of 2 s",
        ),
        (
            "a task does not stop",
            "was aborted at 12.000, after 2 s of its bound of 2 s",
        ),
        ("a thread dies", "failed at 3.000 (broken pipe)"),
        (
            "a callback does not return",
            "was leaked at 20.000, after 10 s of its bound of 10 s",
        ),
        (
            "an async callback does not return",
            "was timed-out at 20.000, after 10 s of its bound of 10 s",
        ),
        ("a callback fails", "failed at 10.000 (broken pipe)"),
        ("a callback panics", "panicked at 10.000 (poisoned)"),
    ] {
        let broken = broken_laws_of(trial_of(behaviour).at("10s", SignalName::Sigterm));
        let words = format!("\"it\" {words}, without a fault or a second signal before it");
        assert_eq!(broken, [("ends/explained", words)], "{behaviour}");
    }
    let broken = broken_laws_of(trial_of("main fails").at("10s", SignalName::Sigterm));
    let words = "\"main\" failed at 0.000 (no model), without a fault or a second signal before it";
    assert_eq!(broken, [("ends/explained", words.to_owned())]);
}

#[test]
fn fault_or_second_signal_explains_a_bad_end() {
    let struck = trial_of("a thread works on for a minute")
        .at("10s", Fault::ignore("it"))
        .at("10s", SignalName::Sigterm);
    assert_eq!(broken_laws_of(struck), []);
    let hurried = trial_of("a callback does not return")
        .at("10s", SignalName::Sigterm)
        .at("11s", SignalName::Sigterm);
    assert_eq!(broken_laws_of(hurried), []);
    let of_the_endpoint = trial_of("a thread dies")
        .at("1s", Health::status(503))
        .at("10s", SignalName::Sigterm);
    assert_eq!(broken_laws_of(of_the_endpoint).len(), 1);
}

#[test]
fn adopted_task_and_main_told_to_stop_may_end_badly() {
    for behaviour in [
        "an adopted task does not stop",
        "main takes two seconds and fails",
    ] {
        assert_eq!(
            broken_laws_of(trial_of(behaviour).at("1s", SignalName::Sigterm)),
            [],
            "{behaviour}"
        );
    }
}

#[test]
fn main_that_does_not_heed_its_stop_breaks_the_law() {
    let broken = broken_laws_of(trial_of("main takes a minute").at("1s", SignalName::Sigterm));
    let words = "\"main\" was aborted at 6.000, after 5 s of its bound of 5 s of `start-timeout`, without a fault or a second signal before it";
    assert_eq!(broken, [("ends/explained", words.to_owned())]);
    let struck = trial_of("main takes a minute").at("500ms", Fault::fail("main"));
    assert_eq!(broken_laws_of(struck), [], "a fault explains it");
}
