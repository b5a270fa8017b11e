//! The corpus has every fault that ends, and every one in the very instant of a step's begin, on every kind that can take it:
//! that is where a live run and the simulation differ most easily.
#![cfg(feature = "cli")]

mod common;

use std::collections::BTreeSet;
use std::fmt;

use common::corpus;
use deadstop::scenario::{Component, Scenario, Timed, Verb, When, parse};

/// The kinds, as a file writes them, and what a step of theirs may be.
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
];

/// Faults that may have an end.
const BOUNDED: &[&str] = &["hang", "ignore", "hold"];
/// Faults that have none.
const OTHERS: &[&str] = &["slow", "fail", "panic", "end"];

/// When a fault strikes, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// In the instant in which the step begins.
    Begin,
    /// For a part of the step's time, or of the component's before.
    Middle,
    /// For longer than the step's bound.
    PastBound,
}
use Moment::{Begin, Middle, PastBound};

/// A fault on a kind, at a moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    verb: &'static str,
    kind: &'static str,
    moment: Moment,
}

impl fmt::Debug for Cell {
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

/// Every cell that the grammar allows.
fn allowed() -> BTreeSet<Cell> {
    let mut cells = BTreeSet::new();
    for kind in KINDS {
        for verb in BOUNDED.iter().chain(OTHERS) {
            let keys = match *verb {
                "slow" => ", by = \"1s\"",
                "hang" | "ignore" | "hold" => ", for = \"1s\"",
                _ => "",
            };
            let text = format!(
                "title = \"One\"\n[worker]\ncomponents = [{kind}]\n[timeline]\n\
                 events = [{{ at = \"10s\", signal = \"SIGTERM\" }}, {{ on = \"it\", {verb} = \"it\"{keys} }}]\n"
            );
            if parse("one", &text).is_err() {
                continue;
            }
            let mut moments = vec![Begin];
            if BOUNDED.contains(verb) {
                moments.push(PastBound);
            }
            // A callback holds the executor when it is called, and at no other time.
            let callback = !kind.contains("thread") && !kind.contains("task");
            if BOUNDED.contains(verb) && !(*verb == "hold" && callback) {
                moments.push(Middle);
            }
            cells.extend(
                moments
                    .into_iter()
                    .map(|moment| Cell { verb, kind, moment }),
            );
        }
    }
    cells
}

fn cell_of(scenario: &Scenario, timed: &Timed) -> Vec<Cell> {
    let Some(component) = timed.verb.about().and_then(|name| scenario.component(name)) else {
        return Vec::new();
    };
    let Some(kind) = kind_of(component) else {
        return Vec::new();
    };
    let key = timed.verb.key();
    let all = || BOUNDED.iter().chain(OTHERS).copied();
    let Some(verb) = all().find(|verb| *verb == key) else {
        return Vec::new();
    };
    let at_begin =
        matches!(&timed.when, When::On(name, after) if *name == component.name && after.is_zero());
    let ends_in = match &timed.verb {
        Verb::Hang { lasts, .. } | Verb::Ignore { lasts, .. } | Verb::Hold { lasts, .. } => *lasts,
        _ => None,
    };
    let mut moments = Vec::new();
    if BOUNDED.contains(&verb) {
        match ends_in {
            Some(time) if time > component.timeout => moments.push(PastBound),
            Some(_) if at_begin => moments.push(Begin),
            Some(_) => moments.push(Middle),
            None => {}
        }
    } else if at_begin {
        moments.push(Begin);
    }
    moments
        .into_iter()
        .map(|moment| Cell { verb, kind, moment })
        .collect()
}

#[test]
fn corpus_has_each_fault_at_each_moment_on_each_kind() {
    let mut missing = allowed();
    assert!(missing.len() > 60, "{missing:?}");
    for scenario in corpus() {
        for timed in &scenario.timeline {
            for cell in cell_of(&scenario, timed) {
                missing.remove(&cell);
            }
        }
    }
    assert!(missing.is_empty(), "in no scenario: {missing:#?}");
}
