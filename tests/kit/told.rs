//! Failures that the test kit reports: unknown names, code that cannot be simulated, runs that differ, broken laws.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::{Call, Cause, Kind, Outcome, SignalName};
use deadstop_harness::kit::Trial;
use deadstop_harness::scenario::{Calling, Fault, Health};

async fn two_dbs(ctx: WorkerCtx) -> Result<(), MainError> {
    ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
    ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
    ctx.add_task("poller", BodyOpts::new(), |token| async move {
        token.cancelled().await;
    })?;
    ctx.adopt_task(
        "legacy",
        BodyOpts::new(),
        tokio::spawn(std::future::pending::<()>()),
    )?;
    Ok(())
}

/// Runs a trial that has to fail, and returns the message of its failure.
#[track_caller]
pub fn failure_of(trial: Trial) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(|| trial.run())).map(|journal| journal.log());
    let payload = panicked.expect_err("the trial fails");
    payload
        .downcast_ref::<String>()
        .expect("a panic has words")
        .clone()
}

#[track_caller]
pub fn assert_contains(failure: &str, words: &[&str]) {
    for word in words {
        assert!(failure.contains(word), "{word:?} is not in\n{failure}");
    }
}

#[test]
fn second_component_of_a_name_is_numbered() {
    let journal = Trial::of(two_dbs)
        .at("5s", Fault::hang("db#2"))
        .at("10s", SignalName::Sigterm)
        .run();
    assert_eq!(journal.closed(), ["db"]);
    assert_eq!(journal.outcome("db#2"), Some(Outcome::Leaked));
    let registered = [
        ("db", Kind::Cleanup),
        ("db#2", Kind::Cleanup),
        ("poller", Kind::Task),
        ("legacy", Kind::Task),
    ];
    assert_eq!(journal.registered(), registered);
    // An adopted task is aborted at once, and its outcome is ok.
    assert_eq!(journal.outcome("legacy"), Some(Outcome::Ok));
}

#[test]
fn unregistered_name_is_reported_at_its_line() {
    let trial = Trial::of(two_dbs).at("5s", Fault::hang("poler"));
    let failure = failure_of(trial.at("10s", SignalName::Sigterm));
    assert_contains(
        &failure,
        &[
            "FAIL trial: error[unknown-name]: no component is registered with the name \"poler\"",
            "--> the trial:5:",
            "did you mean \"poller\"?",
            "registered are \"db\", \"db#2\", \"legacy\" and \"poller\"",
        ],
    );
}

#[test]
fn unregistered_name_in_an_expectation_is_reported() {
    let trial = Trial::of(two_dbs).at("10s", SignalName::Sigterm);
    assert_contains(
        &failure_of(trial.ended(["poler"])),
        &[
            "no component is registered with the name \"poler\"",
            "did you mean \"poller\"?",
        ],
    );
}

#[test]
fn fault_that_does_not_fit_its_component_is_reported() {
    let trial = Trial::of(two_dbs)
        .at("5s", Fault::ignore("db"))
        .at("5s", Fault::hang("legacy"));
    let failure = failure_of(trial.at("10s", SignalName::Sigterm));
    assert_contains(
        &failure,
        &[
            "`ignore` is for `thread` or `task`, but \"db\" is a cleanup",
            "\"legacy\" ran before it was registered: no fault can be applied to it",
        ],
    );
}

#[test]
fn adopted_thread_is_refused_by_name() {
    let register = |ctx: WorkerCtx| async move {
        let thread = std::thread::spawn(|| {});
        // The refusal fails the trial even if the code ignores it.
        let _ = ctx.adopt_thread("legacy", BodyOpts::new(), thread);
        Ok(())
    };
    let failure = failure_of(Trial::of(register).at("10s", SignalName::Sigterm));
    assert_contains(
        &failure,
        &["the thread \"legacy\" already runs, in real time, and cannot be simulated"],
    );
}

/// Calls the context from a `spawn_blocking` thread of a worker's main, and returns the message of the failure.
fn failure_of_a_call_aside(ask: fn(&WorkerCtx)) -> String {
    let register = move |ctx: WorkerCtx| async move {
        // The trial fails even if main ignores the result.
        let _ = tokio::task::spawn_blocking(move || ask(&ctx)).await;
        Ok(())
    };
    failure_of(Trial::of(register).at("10s", SignalName::Sigterm))
}

#[test]
fn calls_from_an_unsimulated_thread_are_refused_by_name() {
    let assert_refused = |failure: &str, asked: &str| {
        let first = format!(
            "FAIL trial: a thread that the simulator does not know asked the context for {asked}\n"
        );
        assert_contains(
            failure,
            &[
                &first,
                "Call the context from main, or from a task, a thread or a callback",
            ],
        );
        assert!(
            !failure.contains("they part where"),
            "it differs, of course: {failure}"
        );
    };
    let failure = failure_of_a_call_aside(|ctx| ctx.request_stop("the disk is full"));
    assert_refused(&failure, "a stop (\"the disk is full\")");
    let failure = failure_of_a_call_aside(|ctx| {
        let _ = ctx.defer_cleanup("db", CallOpts::new(), |_| {});
    });
    assert_refused(&failure, "the registration of \"db\"");
    let failure = failure_of_a_call_aside(|ctx| {
        let _ = ctx.add_thread("flusher", BodyOpts::new(), |_scope| {});
    });
    assert_refused(&failure, "the start of \"flusher\"");
    let failure = failure_of_a_call_aside(|ctx| {
        let _ = ctx.stop_blocking();
    });
    assert_refused(&failure, "a stop");
}

#[test]
fn std_thread_may_query_the_context_but_not_change_it() {
    let with = |ask: fn(&WorkerCtx)| {
        let register = move |ctx: WorkerCtx| async move {
            let asks = ctx.clone();
            ctx.add_thread("parent", BodyOpts::new(), move |scope| {
                scope.sleep(Duration::from_secs(1));
                std::thread::spawn(move || ask(&asks))
                    .join()
                    .is_ok()
                    .then_some(())
                    .ok_or("it panicked")
            })?;
            Ok(())
        };
        Trial::of(register).at("10s", SignalName::Sigterm)
    };
    let failure = failure_of(with(|ctx| ctx.request_stop("enough")));
    assert_contains(&failure, &["asked the context for a stop (\"enough\")"]);
    // Any thread may call what changes nothing.
    let looks = with(|ctx| assert!(ctx.running() && ctx.ready())).run();
    assert_eq!(looks.exit_code(), Some(0));
}

#[test]
fn broken_law_fails_a_trial_unless_it_is_expected() {
    let register = |ctx: WorkerCtx| async move {
        let (early, late) = (CallOpts::new().order(200), CallOpts::new().order(100));
        ctx.add_closeable_with("predictor", early, (), |(), _| {})?;
        ctx.add_closeable_with("pool", late.uses(["predictor"]), (), |(), _| {})?;
        Ok(())
    };
    let trial = || Trial::of(register).at("10s", SignalName::Sigterm);
    let law = "uses/closed-after-users";
    assert_contains(
        &failure_of(trial()),
        &["broken law uses/closed-after-users"],
    );
    let broken = trial().observe().broken_laws();
    assert!(!broken.is_empty() && broken.iter().all(|broken| broken.law.name == law));
    assert_eq!(trial().breaks(law).run().closed(), ["predictor", "pool"]);
}

#[test]
fn state_kept_between_runs_is_reported_with_its_event() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let register = |ctx: WorkerCtx| async move {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        ctx.defer_cleanup("db", CallOpts::new(), move |scope| {
            scope.sleep(Duration::from_millis(run));
        })?;
        Ok(())
    };
    let failure = failure_of(Trial::of(register).at("10s", SignalName::Sigterm));
    assert_contains(
        &failure,
        &[
            "they differ first where one has `10.000 . ended db (#1): ok` and the other has `10.001 . ended db (#1): ok`",
            "`select!` without `biased`",
            "a `static` that keeps its value from the run",
        ],
    );
}

#[test]
fn failed_main_is_reported_before_missing_names() {
    let register = |_: WorkerCtx| async { Err::<(), _>("no model".into()) };
    let failure = failure_of(Trial::of(register).at("5s", Fault::hang("db")));
    assert_contains(
        &failure,
        &[
            "FAIL trial: main failed: no model\n",
            "help: no component was registered",
        ],
    );
}

#[test]
fn calls_take_the_place_of_signals() {
    let journal = Trial::of(two_dbs)
        .without_signals()
        .at("10s", Calling::new(Call::Cleanup).callers(2))
        .run();
    assert_eq!(journal.closed(), ["db", "db#2"]);
    assert_eq!(journal.cause(), Some(Cause::Returned), "{journal}");
    // From inside a task the call is refused; it only requests the stop.
    let journal = Trial::of(two_dbs)
        .at("10s", Calling::new(Call::Stop).from("poller"))
        .run();
    assert_eq!(journal.exit_code(), Some(0), "{journal}");
}

#[test]
fn mistakes_of_a_trial_are_reported_as_in_a_file() {
    let two_hours = Duration::from_secs(7_200);
    let trial = Trial::of(two_dbs).at(two_hours, Health::status(99));
    let failure = failure_of(trial.breaks("told/frist"));
    assert_contains(
        &failure,
        &["bad-duration", "out-of-range", "unknown-word", "the trial:"],
    );
}

#[test]
#[should_panic(
    expected = "\"10 s\" is not a duration: expected a whole number and ms, s, m or h; write"
)]
fn text_that_is_no_duration_panics_where_it_is_given() {
    let _ = Trial::of(two_dbs).grace("10 s");
}

#[test]
fn thread_locals_and_locks_are_a_threads_own() {
    thread_local! {
        static MINE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    let register = |ctx: WorkerCtx| async move {
        for nth in 1..=3 {
            ctx.add_thread(format!("thread {nth}"), BodyOpts::new(), move |scope| {
                MINE.set(nth);
                while scope.wait(Duration::from_millis(10)).elapsed() {
                    if MINE.get() != nth {
                        return Err("another thread's");
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    };
    let journal = Trial::of(register).at("1s", SignalName::Sigterm).run();
    assert_eq!(journal.exit_code(), Some(0), "{journal}");
}

#[test]
fn unstruck_event_fails_an_otherwise_good_trial() {
    let trial = || Trial::of(two_dbs).at("10s", SignalName::Sigterm);
    let failure = failure_of(trial().at("20s", Fault::fail("db")));
    assert_contains(
        &failure,
        &[
            "expected this event to strike, but it never did",
            "--> the trial:6:",
        ],
    );
    // `observe` does not fail.
    let journal = trial().at("20s", Fault::fail("db")).observe();
    assert_eq!(journal.unstruck, [1]);
}

#[test]
#[should_panic = "no component was registered with the name \"poler\" (did you mean \"poller\"?); registered are \"db\", \"db#2\""]
fn outcome_of_an_unknown_name_panics_with_a_suggestion() {
    let journal = Trial::of(two_dbs).at("10s", SignalName::Sigterm).run();
    assert_eq!(journal.outcome("main"), None, "it had no step");
    let _ = journal.outcome("poler");
}

#[test]
fn unstruck_event_is_noted_in_a_failure() {
    let trial = Trial::of(two_dbs)
        .at("10s", Fault::fail("db"))
        .at("10s", SignalName::Sigterm);
    let failure = failure_of(trial.at("20s", SignalName::Sigterm).breaks("told/first"));
    assert_contains(&failure, &["note: the event at the trial:7 never struck"]);
}

#[test]
fn a_wake_that_panics_is_in_the_log() {
    let journal = Trial::of(|ctx: WorkerCtx| async move {
        let panics = || std::panic::resume_unwind(Box::new("no such queue"));
        ctx.add_thread("it", BodyOpts::new().wake(panics), |scope| {
            while scope.wait(Duration::MAX).elapsed() {}
        })?;
        Ok(())
    })
    .at("10s", SignalName::Sigterm)
    .run();
    let log = journal.log();
    let line = "    10.000  error  wake-panicked  the wake of it (#1) panicked: no such queue";
    assert!(log.contains(line), "{log}");
    assert_eq!(journal.outcome("it"), Some(Outcome::Ok));
    assert_eq!(journal.exit_code(), Some(0));
}
