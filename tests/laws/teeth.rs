//! Every hazard makes the plan break something: a corpus that a flawed context passes would prove nothing.
//!
//! The table states what each file is about, by the names of the laws. The plan's context has to break those laws (or
//! miss those expectations) in that file. The worker's context breaks only what the file itself allows, and meets all
//! expectations.
use std::collections::BTreeSet;

use deadstop_harness::laws;
use deadstop_harness::sim::Subject;

use crate::corpus::{Verdict, corpus};

/// A hazard: its file, the laws that the plan breaks there, and the expectations that it misses where no law can know
/// what was wanted.
type Hazard = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

#[rustfmt::skip]
const HAZARDS: &[Hazard] = &[
    ("context/abort-mid-cleanup", &["cleanup/floor", "exit/code"], &[]),
    ("context/async-closer", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("context/async-closer-hangs", &["ledger/accounted"], &[]),
    ("context/cancel-is-not-stop", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("context/double-stop", &["steps/exactly-once"], &[]),
    ("context/double-stop-callers", &["steps/exactly-once"], &[]),
    // Only the file knows that a process which waits for a signal has to end when a component asks it to.
    ("context/double-stop-inside", &["uses/closed-after-users"], &["exit", "refused"]),
    ("context/double-stop-signal", &["steps/exactly-once", "steps/one-at-a-time"], &[]),
    ("context/doubled-signal", &["steps/isolated", "exit/code"], &[]),
    ("context/doubled-signal-counts", &["steps/isolated", "exit/code"], &[]),
    ("context/drop-blocks", &["steps/bounded"], &[]),
    ("context/escaping-exit", &["steps/isolated"], &[]),
    ("context/exit-blocked", &["phase/within-grace"], &[]),
    ("context/hung-cleanup", &["steps/bounded"], &[]),
    ("context/hung-cleanup-signals", &["cleanup/floor"], &[]),
    ("context/hung-cleanup-third-signal", &["cleanup/floor"], &[]),
    ("context/hung-stop-callback", &["steps/bounded"], &[]),
    ("context/join-blocks-the-loop", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("context/late-registration", &["late/refused"], &[]),
    ("context/late-registration-after", &["late/refused"], &[]),
    ("context/late-registration-cleanup", &["late/refused"], &[]),
    ("context/odd-margin", &["phase/within-grace"], &[]),
    ("context/pipeline", &["uses/closed-after-users"], &[]),
    ("context/pipeline-share-gone", &["phase/within-grace", "ledger/accounted"], &[]),
    ("context/pool-loop-deadlock", &["steps/bounded"], &[]),
    ("context/pool-loop-deadlock-bound", &["steps/bounded"], &[]),
    // Both contexts keep the planned order. Only the worker's reports what is wrong with it.
    ("context/predictor-before-pool", &["uses/closed-after-users"], &["lines"]),
    ("context/start-exits", &["exit/code", "steps/isolated"], &[]),
    ("context/start-exits-signal", &["exit/code"], &[]),
    ("context/start-fails", &["steps/isolated"], &[]),
    ("context/start-fails-by-call", &["exit/code", "ledger/accounted"], &[]),
    ("context/start-twice", &["steps/exactly-once"], &["refused"]),
    ("context/stop-during-start", &["late/refused"], &[]),
    ("context/stop-during-start-again", &["states/forward"], &["refused"]),
    ("context/stop-during-start-slow", &["late/refused"], &[]),
    // The plan has no rollback: a stop during a start leaves open what the start has opened.
    ("context/stop-at-the-start", &[], &["closed"]),
    ("context/stop-at-the-end", &["phase/within-grace"], &[]),
    ("context/stubborn-task", &["ledger/accounted"], &[]),
    ("context/ties", &["uses/closed-after-users"], &["lines"]),
    ("context/ties-reversed", &["ties/registration-order"], &[]),
    ("context/main-hangs", &["phase/within-grace"], &["exit", "aborted", "ends-at"]),
    ("context/main-holds", &["ledger/accounted"], &["closed"]),
    ("context/main-holds-for-good", &["ledger/accounted", "exit/code"], &["exit", "leaked", "ends-at"]),
    ("context/main-is-slow", &["ledger/accounted"], &["closed"]),
    // The plan's stop inside a start waits for the start, which waits for the stop.
    ("context/stop-from-main", &["ledger/accounted"], &["refused", "closed", "ends-at"]),
    ("watchdog/answers-never", &["exit/code"], &["exit"]),
    ("context/other-start-fails", &["steps/exactly-once", "exit/code"], &["exit", "refused"]),
    // The plan closes in the same order, which the file expects, and warns of nothing.
    ("context/uses-twice", &[], &["lines"]),
    ("context/uses-late", &[], &["lines"]),
    ("context/told-too-early", &[], &["lines"]),
    ("context/wedged-executor", &["ledger/accounted"], &[]),
    ("faults/adopted-tasks", &["ledger/accounted"], &[]),
    ("faults/bodies-struck-at-their-step", &["exit/code"], &["failed", "panicked"]),
    ("faults/calls-struck-at-their-step", &["exit/code"], &["failed", "panicked"]),
    ("faults/hangs-of-bodies", &["ledger/accounted"], &["leaked", "aborted"]),
    ("faults/hangs-of-calls", &["steps/bounded"], &["timed-out"]),
    ("faults/hangs-before-the-call", &["cleanup/floor", "exit/code", "ledger/accounted"], &["closed"]),
    ("faults/holds", &["ledger/accounted"], &["closed"]),
    ("faults/holds-beyond-the-bound", &["ledger/accounted", "cleanup/floor"], &["closed"]),
    ("faults/hangs-of-other-calls", &["steps/bounded", "ledger/accounted"], &[]),
    ("faults/ignores", &["ledger/accounted"], &["leaked", "aborted"]),
    ("faults/main-hangs-beyond-its-bound", &["late/refused", "ledger/accounted"], &["aborted"]),
    // The plan exits as it stands at the signal, while main hangs or holds, and has no stop of a start.
    ("faults/main-hangs-for-a-while", &[], &["ends-at"]),
    ("faults/main-holds-as-it-begins", &[], &["ends-at"]),
    ("faults/main-holds-beyond-its-bound", &[], &["exit", "closed", "leaked", "ends-at"]),
    ("faults/main-panics-as-it-begins", &["ledger/accounted"], &["cause", "panicked"]),
    ("faults/struck-in-their-step", &["exit/code", "ledger/accounted"], &["ends-at"]),
    ("faults/watchdog-fails-at-its-step", &["watchdog/disarmed-first", "ledger/accounted"], &["panicked"]),
    ("faults/watchdog-hangs-in-its-step", &["watchdog/disarmed-first", "ledger/accounted"], &["leaked"]),
    ("faults/watchdog-panics-at-its-step", &["watchdog/disarmed-first", "ledger/accounted"], &["panicked"]),
    ("faults/struck-at-mains-begin", &["deaths/reported", "ledger/accounted"], &["leaked"]),
    ("faults/world-at-a-step", &["watchdog/just"], &["closed", "refused"]),
    ("model-server", &["ledger/accounted"], &["closed"]),
    ("platform/budget-chain", &["steps/bounded", "phase/within-grace"], &[]),
    ("platform/endless-stream", &["steps/bounded"], &[]),
    ("platform/one-second-cleanup", &["cleanup/floor", "phase/within-grace"], &[]),
    // The plan knows no request. It is called to stop, and its life goes on without an end.
    ("platform/pre-stop-cut-by-a-call", &[], &["ends-at", "closed"]),
    ("platform/pre-stop-delay", &["stop/after-delay"], &[]),
    ("platform/pre-stop-second-signal", &["stop/after-delay"], &[]),
    ("platform/second-signal", &["steps/isolated", "report/agrees", "exit/code"], &[]),
    ("platform/signal-during-start", &["late/refused", "steps/isolated"], &[]),
    ("tasks/abort-at-the-share-end", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("tasks/abort-confirmed-late", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("tasks/aborted-before-it-began", &["ledger/accounted"], &[]),
    ("tasks/aborted-together", &["exit/code", "ledger/accounted"], &["aborted"]),
    ("tasks/abort-in-time", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("tasks/adopted", &["uses/closed-after-users"], &[]),
    ("tasks/adopted-fails", &["deaths/reported"], &[]),
    ("tasks/callback-holds", &["ledger/accounted", "cleanup/floor"], &[]),
    ("tasks/dies-early", &["deaths/reported"], &[]),
    ("tasks/ends-by-itself", &["uses/closed-after-users"], &[]),
    ("tasks/held-at-its-bound", &["ledger/accounted"], &[]),
    ("tasks/leak-freed-by-an-abort", &["uses/closed-after-users", "ledger/accounted"], &[]),
    ("tasks/one-millisecond", &["ledger/accounted"], &[]),
    ("tasks/run-needs-executor", &["steps/bounded"], &[]),
    ("tasks/signal-at-the-half", &["ledger/accounted", "cleanup/floor"], &[]),
    ("threads/flusher-dies", &["deaths/reported"], &[]),
    ("threads/join-before-event", &["ledger/accounted"], &[]),
    ("threads/pipeline", &["uses/closed-after-users"], &[]),
    ("threads/probe-outlives-join", &["ledger/accounted"], &[]),
    ("threads/silent-death", &["deaths/reported"], &[]),
    ("threads/sleeps-through-stop", &["ledger/accounted"], &[]),
    ("threads/stalled-pipe", &["steps/bounded"], &[]),
    ("threads/wrong-flag", &["ledger/accounted"], &[]),
    ("triggers/db-fails-with-its-last-writer", &["uses/closed-after-users", "ledger/accounted"], &["closed", "failed"]),
    ("triggers/db-hangs-after-an-abort", &["ledger/accounted", "exit/code"], &["aborted", "leaked"]),
    ("triggers/registered-as-the-last-step-ends", &["late/refused", "steps/isolated"], &[]),
    ("triggers/second-signal-at-an-end", &["steps/isolated", "cleanup/floor"], &[]),
    // The plan's journal has fewer events, so that the request never comes, and the db stays open.
    ("triggers/stop-between-two-turns", &["ledger/accounted"], &["closed"]),
    // The plan does kill, as it should, but with the exit code of a kill from outside.
    ("watchdog/answers-late", &["exit/code"], &[]),
    ("watchdog/body-stalls", &["exit/code"], &[]),
    ("watchdog/cut", &["watchdog/disarmed-first", "ledger/accounted"], &[]),
    ("watchdog/endless-body", &["exit/code"], &[]),
    ("watchdog/five-hundred-is-healthy", &["watchdog/just"], &["watchdog"]),
    // The plan counts anew after a success, as it should. At its end it probes on, and is left behind.
    ("watchdog/flapping", &["watchdog/disarmed-first", "ledger/accounted"], &[]),
    ("watchdog/garbage", &["exit/code"], &[]),
    ("watchdog/half-a-status-line", &["ledger/accounted"], &[]),
    ("watchdog/hang-is-over", &["ledger/accounted"], &[]),
    ("watchdog/bound-over-share", &["watchdog/disarmed-first", "ledger/accounted"], &["lines"]),
    ("watchdog/hot-loop", &["watchdog/just"], &[]),
    ("watchdog/hung-at-its-begin", &["watchdog/disarmed-first"], &[]),
    ("watchdog/kill-kills-nothing", &["watchdog/just"], &["watchdog"]),
    ("watchdog/kills-a-draining-server", &["ledger/accounted"], &["ends-at"]),
    ("watchdog/kills-during-boot", &["watchdog/just"], &["watchdog"]),
    ("watchdog/kills-during-cleanup", &["watchdog/disarmed-first"], &["watchdog"]),
    ("watchdog/kills-during-drain", &["watchdog/disarmed-first"], &["watchdog"]),
    ("watchdog/never-boots", &["watchdog/just"], &[]),
    ("watchdog/reset", &["ledger/accounted"], &[]),
    ("watchdog/slow-drip", &["exit/code"], &[]),
    ("watchdog/stop-beats-the-last-probe", &["watchdog/disarmed-first"], &["watchdog"]),
    ("context/cleanup-after-the-grace", &[], &["leaked"]),
    ("context/failures-isolated", &["exit/code"], &["exit"]),
    ("context/request-then-stop", &["watchdog/disarmed-first"], &["ends-at"]),
    ("platform/second-signal-at-the-end", &["steps/isolated", "exit/code"], &["exit", "closed"]),
    ("platform/second-signal-before-the-half", &["cleanup/floor", "exit/code", "ledger/accounted"], &["lines"]),
    ("platform/second-signal-in-stop", &["exit/code"], &["exit", "not-awaited"]),
    ("platform/signal-before-start", &["steps/isolated"], &["ends-at"]),
    ("platform/start-longer-than-the-share", &["phase/within-grace"], &["aborted", "exit"]),
    ("tasks/no-time-to-confirm", &["phase/within-grace"], &["leaked", "closed"]),
    ("threads/ends-at-its-bound", &["ledger/accounted"], &["closed", "leaked"]),
    ("threads/told-in-order", &["stop/ascending"], &["lost"]),
    ("watchdog/redirects-are-no-success", &["watchdog/just"], &["watchdog", "exit"]),
];

/// Files in which the plan breaks no law, and why they are kept.
const HARMLESS: &[(&str, &str)] = &[
    (
        "context/predictor-before-pool-mended",
        "the orders are the worker's choice, and here they are right",
    ),
    (
        "context/request-without-stop",
        "a bare request stops nothing in either context; the plan has no words for it",
    ),
    (
        "faults/main-is-slow-and-hangs-midway",
        "main is done long before anything asks for a stop, and all that is then to do is to close the db",
    ),
    (
        "platform/killed-in-a-late-cleanup",
        "nobody survives SIGKILL: the file is about what a program is owed that no platform stops",
    ),
    (
        "platform/killed-long-after-cleanup",
        "nobody survives SIGKILL: the file is about a program that lives past its grace",
    ),
    (
        "platform/unhandled-signal",
        "a signal that nobody handles ends either alike: the file is about its exit code",
    ),
    (
        "platform/unhandled-signal-after-done",
        "a signal that nobody handles ends either alike: the file is about its exit code",
    ),
    (
        "triggers/end-of-the-server-stops-the-worker",
        "the file is about the moment of the signal; all that is then to do is to close the db",
    ),
    (
        "triggers/second-signal-between-two-turns",
        "the plan's journal has fewer events: the second signal never comes",
    ),
    (
        "triggers/signal-as-main-ends",
        "main has opened everything by then, and either context closes it",
    ),
    (
        "platform/sigkill",
        "nobody survives SIGKILL: the file is about what the journal says of it",
    ),
];

/// Laws that the plan never breaks. A journal written by hand breaks each of them, beside the law.
const BEYOND_THE_PLAN: &[(&str, &str)] = &[
    (
        "running/false-first",
        "the plan clears its flag first, as it should",
    ),
    ("cleanup/descending", "the plan sorts, as it should"),
    (
        "cleanup/after-stop",
        "the plan's stop calls all that it calls before it returns",
    ),
    (
        "told/first",
        "the plan has no tokens: it tells nobody anything",
    ),
    ("bound/right", "the plan claims no bounds"),
    ("bound/warned", "the plan's bounds have no shares"),
    ("steps/patient", "the plan does not say how a step ended"),
    ("outcome/true", "the plan does not say how a step ended"),
    ("task/escalation", "the plan never aborts"),
    (
        "signals/heeded",
        "the plan's process ends with the second signal",
    ),
    ("uses/warned", "the plan has no words for who uses what"),
    ("waits/named", "the plan names nothing that it waits for"),
    (
        "ends/explained",
        "the plan runs what files script, not a user's own code",
    ),
];

#[test]
fn every_file_is_in_the_table_and_every_row_has_its_file() {
    let files: BTreeSet<_> = corpus()
        .iter()
        .map(|scenario| scenario.name.to_string())
        // The README's tour writes these files, so they come and go.
        .filter(|name| !name.starts_with("tour/"))
        .collect();
    let mut names: Vec<_> = HAZARDS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    names.extend(HARMLESS.iter().map(|(name, _)| (*name).to_owned()));
    names.sort_unstable();
    let distinct: BTreeSet<_> = names.iter().cloned().collect();
    assert_eq!(distinct.len(), names.len(), "a file has two rows");
    let without_row: Vec<_> = files.difference(&distinct).collect();
    assert!(
        without_row.is_empty(),
        "say in HAZARDS which laws the plan breaks under {without_row:?}, or in HARMLESS why it breaks none"
    );
    let without_file: Vec<_> = distinct.difference(&files).collect();
    assert!(
        without_file.is_empty(),
        "no scenario is called so: {without_file:?}"
    );
}

#[test]
fn plan_breaks_every_law_that_it_can_break() {
    let broken_laws: BTreeSet<_> = HAZARDS
        .iter()
        .flat_map(|(_, laws, _)| *laws)
        .copied()
        .collect();
    for law in laws::all() {
        let beyond = BEYOND_THE_PLAN.iter().any(|(name, _)| *name == law.name);
        assert!(
            broken_laws.contains(law.name) != beyond,
            "say in HAZARDS where the plan breaks {}, or in BEYOND_THE_PLAN why it cannot: one of the two",
            law.name
        );
    }
    for name in broken_laws
        .into_iter()
        .chain(BEYOND_THE_PLAN.iter().map(|(name, _)| *name))
    {
        assert!(
            laws::all().iter().any(|law| law.name == name),
            "no law is called {name}"
        );
    }
}

#[test]
fn the_plan_breaks_what_each_hazard_is_about() {
    let mut kept = Vec::new();
    for scenario in corpus() {
        let Some((name, laws, keys)) = HAZARDS.iter().find(|(name, ..)| **name == *scenario.name)
        else {
            continue;
        };
        assert!(!laws.is_empty() || !keys.is_empty(), "{name} bites nobody");
        let verdict = Verdict::of(&scenario, Subject::Plan, 0);
        kept.extend(
            laws.iter()
                .filter(|law| !verdict.breaks(law))
                .map(|law| format!("{name}: the plan keeps {law}")),
        );
        kept.extend(
            keys.iter()
                .filter(|key| !verdict.misses(key))
                .map(|key| format!("{name}: the plan meets `{key}`")),
        );
    }
    assert!(kept.is_empty(), "{}", kept.join("\n"));
}

#[test]
fn plan_breaks_no_law_in_harmless_files() {
    for scenario in corpus() {
        if HARMLESS.iter().any(|(name, _)| **name == *scenario.name) {
            let broken = Verdict::of(&scenario, Subject::Plan, 0).broken;
            assert!(broken.is_empty(), "{}: {broken:?}", scenario.name);
        }
    }
}

#[test]
fn plan_never_breaks_a_law_that_is_beyond_it() {
    for scenario in corpus() {
        for broken in Verdict::of(&scenario, Subject::Plan, 0).broken {
            assert!(
                !BEYOND_THE_PLAN
                    .iter()
                    .any(|(law, _)| *law == broken.law.name),
                "{}: {broken:?}",
                scenario.name
            );
        }
    }
}

#[test]
fn the_worker_does_all_that_each_file_expects() {
    let mut problems = Vec::new();
    for scenario in corpus() {
        let verdict = Verdict::of(&scenario, Subject::Worker, 0);
        problems.extend(
            verdict
                .problems(&scenario)
                .iter()
                .map(|what| format!("{}: {what}", scenario.name)),
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
