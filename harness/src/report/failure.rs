//! Writes a failure for people: its sentence, its details, and the picture of the run. The command and the test kit
//! use it.

use std::fmt::Write;

use crate::journal::{Event, text};
use crate::scenario::{Scenario, Trigger, line_of};

use super::Style;
use super::finding::{Check, Detail, Finding, SourceFile};

/// Returns what is wrong with a run: each finding with its details, then the picture.
pub fn shown(name: &str, findings: &[Finding], picture: &str, style: Style) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut out = format!("FAIL {name}: {}", listed(findings, style));
    if !picture.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    out.push_str(picture);
    out
}

/// Returns a note for each event of the timeline that never struck: a test of a second signal that never came tests
/// nothing.
pub fn never_struck(scenario: &Scenario, file: &SourceFile, unstruck: &[usize]) -> String {
    let mut out = String::new();
    for timed in scenario.events_at(unstruck) {
        let line = line_of(&file.text, timed.span.start);
        let _ = write!(out, "note: the event at {}:{line} never struck", file.path);
        if let Some(inside) = timed.verb.inside() {
            let _ = write!(
                out,
                "; it is a call of \"{inside}\", whose code must be running then"
            );
        }
        match &timed.trigger {
            Trigger::OnEnd { name, .. } => {
                let _ = write!(out, "; it waits for the end of \"{name}\"");
            }
            Trigger::AfterEvent(number) => {
                let _ = write!(out, "; it waits for event {number} of the journal");
            }
            Trigger::At(_) | Trigger::On { .. } => {}
        }
        out.push('\n');
    }
    out
}

/// Returns the finding that two runs of the same scenario with the same seed differ: where, and how. `None` if they
/// are equal.
pub fn differs(first: &[Event], second: &[Event], seed: u64) -> Option<Finding> {
    if first == second {
        return None;
    }
    let parts = first.iter().zip(second).find(|(one, other)| one != other);
    let (one, other) = parts.map_or_else(
        || (first.get(second.len()), second.get(first.len())),
        |(one, other)| (Some(one), Some(other)),
    );
    let line = |event: Option<&Event>| {
        let line = event.map(|event| text(std::slice::from_ref(event)));
        let line = line.unwrap_or_else(|| "the end".to_owned());
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let message = format!(
        "two runs with seed {seed} gave two journals (- the first, + the second): they differ first where one has `{}` and the \
         other has `{}`",
        line(one),
        line(other)
    );
    let finding = Finding::new(Check::Determinism, message);
    let finding = match one.or(other) {
        Some(event) => finding.at_event(event),
        None => finding,
    };
    Some(finding.with(Detail::Logs {
        old: text(first),
        new: text(second),
    }))
}

/// Returns what a finding says beyond its sentence. `statement` is whether a law's statement is part of it: only the
/// first of a law's breaks has that.
fn details(finding: &Finding, statement: bool, style: Style) -> String {
    let mut out = String::new();
    if let Some(law) = finding.law() {
        // The lines of a file show their place themselves.
        if let Some(place) = finding.place.as_ref().filter(|place| place.span.is_some()) {
            let _ = writeln!(out, "  --> {place}");
        }
        if statement {
            let _ = writeln!(out, "  the law says: {}", law.statement);
        }
    }
    let detail: String = finding
        .details
        .iter()
        .map(|detail| detail.text(style))
        .collect();
    if !detail.is_empty() {
        out.push_str(detail.trim_end());
        out.push('\n');
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Returns each finding: its sentence and its details.
pub fn listed(findings: &[Finding], style: Style) -> String {
    let mut out = String::new();
    let mut law = None;
    for finding in findings {
        // Rendered lines of a file begin with the sentence already.
        let rendered = matches!(
            finding.details.first(),
            Some(Detail::Source(_, diagnostic)) if diagnostic.message == finding.message
        );
        if !rendered {
            out.push_str(&finding.sentence());
            out.push('\n');
        }
        out.push_str(&details(finding, finding.law() != law, style));
        law = finding.law();
    }
    out
}
