//! Writes a failure for people: its sentence, its details, and the picture of the run. The command and the test kit
//! use it.

use std::fmt::Write;

use crate::journal::{Event, text};
use crate::scenario::{Scenario, line_of};

use super::Style;
use super::finding::{Evidence, Finding, FindingKind, Source};

/// Returns what is wrong with a run: each finding with its details, then the picture.
pub(crate) fn shown(
    name: &str,
    findings: &[Finding],
    source: Source<'_>,
    picture: &str,
    style: Style,
) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut out = format!("FAIL {name}: {}", listed(findings, source, style));
    if !picture.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    out.push_str(picture);
    out
}

/// Returns a note for each event of the timeline that never struck: a test of a second signal that never came tests
/// nothing.
pub(crate) fn never_struck(scenario: &Scenario, source: Source<'_>, unstruck: &[usize]) -> String {
    let mut out = String::new();
    for timed in scenario.events_at(unstruck) {
        let line = line_of(source.text, timed.span.start);
        let _ = write!(
            out,
            "note: the event at {}:{line} never struck",
            source.path
        );
        if let Some(inside) = timed.verb.inside() {
            let _ = write!(
                out,
                "; it happens inside \"{inside}\", whose code has to run then"
            );
        }
        out.push('\n');
    }
    out
}

/// Returns the finding that two runs of the same scenario with the same seed differ: where, and how. `None` if they
/// are equal.
pub(crate) fn differs(first: &[Event], second: &[Event], seed: u64) -> Option<Finding> {
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
    let finding = Finding::new(
        FindingKind::NotDeterministic,
        format!(
            "two runs with seed {seed} gave two journals (- the first, + the second): they part where one has \
             `{}` and the other `{}`",
            line(one),
            line(other)
        ),
    );
    let finding = match one.or(other) {
        Some(event) => finding.in_journal(event),
        None => finding,
    };
    Some(Finding {
        evidence: Evidence::Logs {
            old: text(first),
            new: text(second),
        },
        ..finding
    })
}

/// Returns what is wrong, in one sentence.
pub(crate) fn sentence(finding: &Finding) -> String {
    match finding.law() {
        Some(law) => format!("broken law {law}: {finding}"),
        None => finding.to_string(),
    }
}

/// Returns each finding: its sentence, the law's statement with the first of its breaks, and its details.
pub(crate) fn listed(findings: &[Finding], source: Source<'_>, style: Style) -> String {
    let mut out = String::new();
    let mut stated = None;
    for finding in findings {
        let shown = finding.shown(source, style);
        // Rendered lines of a file begin with the sentence already.
        let first = shown.lines().next();
        if !first.is_some_and(|first| first.contains(&finding.message)) {
            out.push_str(&sentence(finding));
            out.push('\n');
        }
        let statement = finding.law().filter(|law| stated != Some(*law));
        if let Some(law) = statement {
            let _ = writeln!(out, "  it says: {}", law.statement);
        }
        if !shown.is_empty() {
            out.push_str(shown.trim_end());
            out.push('\n');
        }
        if statement.is_some() || !shown.is_empty() {
            out.push('\n');
        }
        stated = finding.law();
    }
    out
}
