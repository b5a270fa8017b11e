//! Checks that the corpus has every fault on every kind that can take it: faults with an end at each moment, and the
//! others in the instant in which a step begins. In that instant a live run and the simulation differ most easily.
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use deadstop_harness::journal::FaultVerb;
use deadstop_harness::scenario::keys::{self, Place};
use deadstop_harness::scenario::{Component, Scenario, Timed, Trigger, Verb, parse};

use crate::corpus::corpus;

/// Kinds of components in all their variants, as a file writes them, and main.
const KINDS: &[&str] = &[
    "{ thread = \"it\" }",
    "{ task = \"it\" }",
    "{ task = \"it\", adopted = true }",
    "{ stop = \"it\" }",
    "{ stop = \"it\", async = true }",
    "{ cleanup = \"it\" }",
    "{ cleanup = \"it\", async = true }",
    "{ closeable = \"it\" }",
    "{ closeable = \"it\", async = true }",
    "{ watchdog = \"it\" }",
    MAIN,
];
/// Main, which is in every file and in no list of components.
const MAIN: &str = "main";

/// Returns the verbs of the faults that change how a component's code runs; jobs do not.
fn faults() -> impl Iterator<Item = &'static str> {
    let words = FaultVerb::ALL
        .iter()
        .filter(|verb| !matches!(verb, FaultVerb::Job | FaultVerb::Health));
    words.map(|verb| verb.as_str())
}

/// Returns whether a fault may have an end.
fn is_bounded(verb: &str) -> bool {
    keys::find(Place::Event, "for").is_some_and(|key| key.goes_with(verb))
}

/// When a fault strikes, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// In the instant in which the step begins.
    Begin,
    /// For a part of the component's time before its step.
    Before,
    /// For a part of the step's time, after its begin.
    Middle,
    /// For longer than the step's bound.
    PastBound,
}
use Moment::{Before, Begin, Middle, PastBound};

/// A fault on a kind, at a moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Combination {
    verb: &'static str,
    kind: &'static str,
    moment: Moment,
}

impl fmt::Debug for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ({:?})", self.verb, self.kind, self.moment)
    }
}

fn kind_of(component: &Component) -> Option<&'static str> {
    let (asynchronous, adopted) = (component.is_async, component.adopted);
    KINDS.iter().copied().find(|kind| {
        kind.contains(&format!("{{ {} =", component.kind))
            && kind.contains("async") == asynchronous
            && kind.contains("adopted") == adopted
    })
}

/// Returns every combination that the grammar allows.
fn allowed() -> BTreeSet<Combination> {
    let mut combinations = BTreeSet::new();
    for kind in KINDS {
        for verb in faults() {
            let lasts = ["by", "for"]
                .into_iter()
                .find(|key| keys::find(Place::Event, key).is_some_and(|key| key.goes_with(verb)));
            let keys = lasts.map_or(String::new(), |key| format!(", {key} = \"1s\""));
            let (components, name) = match *kind {
                MAIN => ("", MAIN),
                kind => (kind, "it"),
            };
            let text = format!(
                "title = \"One\"\n[worker]\ncomponents = [{components}]\n[timeline]\n\
                 events = [{{ at = \"10s\", signal = \"SIGTERM\" }}, {{ on = \"{name}\", {verb} = \"{name}\"{keys} }}]\n"
            );
            if parse("one", &text).is_err() {
                continue;
            }
            let mut moments = vec![Begin];
            if is_bounded(verb) {
                moments.push(PastBound);
            }
            // A callback holds the executor only while it is called.
            let called = !kind.contains("thread") && !kind.contains("task");
            if is_bounded(verb) && !(verb == "hold" && called) {
                // Main's step is its whole life.
                if *kind != MAIN {
                    moments.push(Before);
                }
                // The step of an adopted task is over when it begins: the task is aborted then.
                if !kind.contains("adopted") {
                    moments.push(Middle);
                }
            }
            combinations.extend(moments.into_iter().map(|moment| Combination {
                verb,
                kind,
                moment,
            }));
        }
    }
    combinations
}

fn combinations_of(scenario: &Scenario, timed: &Timed) -> Vec<Combination> {
    let Some(name) = timed.verb.about() else {
        return Vec::new();
    };
    let (kind, bound) = match scenario.component(name) {
        Some(component) => (kind_of(component), component.timeout),
        None => (
            (**name == *MAIN).then_some(MAIN),
            scenario.worker.start_timeout,
        ),
    };
    let Some(kind) = kind else {
        return Vec::new();
    };
    let key = timed.verb.key();
    let Some(verb) = faults().find(|verb| *verb == key) else {
        return Vec::new();
    };
    let since_begin = match &timed.trigger {
        Trigger::On { name: of, after } if of == name => Some(*after),
        // Main begins with the process.
        Trigger::At(at) if kind == MAIN => Some(*at),
        _ => None,
    };
    let at_begin = since_begin == Some(Duration::ZERO);
    // A fault at an instant after the first signal is meant for a step that has begun by then.
    let stops = |timed: &Timed| match timed.trigger {
        Trigger::At(at) if matches!(timed.verb, Verb::Signal(_)) => Some(at),
        _ => None,
    };
    let stop = scenario.timeline.iter().find_map(stops);
    let is_later = match &timed.trigger {
        Trigger::At(at) => stop.is_some_and(|stop| *at > stop),
        Trigger::On { .. } => since_begin.is_some(),
        _ => false,
    };
    let ends_in = match &timed.verb {
        Verb::Fault { fault, .. } => fault.lasts(),
        _ => None,
    };
    let mut moments = Vec::new();
    if is_bounded(verb) {
        match ends_in {
            Some(time) if time > bound => moments.push(PastBound),
            Some(_) if at_begin => moments.push(Begin),
            Some(_) if is_later || kind == MAIN => moments.push(Middle),
            Some(_) => moments.push(Before),
            None => {}
        }
    } else if at_begin {
        moments.push(Begin);
    }
    moments
        .into_iter()
        .map(|moment| Combination { verb, kind, moment })
        .collect()
}

#[test]
fn corpus_has_each_fault_at_each_moment_on_each_kind() {
    let mut missing = allowed();
    assert!(missing.len() > 60, "{missing:?}");
    for scenario in corpus() {
        for timed in &scenario.timeline {
            for combination in combinations_of(&scenario, timed) {
                missing.remove(&combination);
            }
        }
    }
    assert!(missing.is_empty(), "in no scenario: {missing:#?}");
}
