//! Writes a failure for people: its sentence, its details, and the picture of the run. The command and the test kit
//! use it.

use std::fmt::Write;

use crate::journal::{Event, text};
use crate::laws;
use crate::scenario::{Scenario, Trigger, line_of};

use super::{Problem, ProblemKind, Source, Style, diff};

/// Returns what is wrong with a run: each problem with its details, then the picture. Unless `in_full`, returns only
/// the sentence of the first problem.
pub fn shown(name: &str, problems: &[Problem], picture: &str, in_full: bool) -> String {
    let Some(first) = problems.first() else {
        return String::new();
    };
    if !in_full {
        return format!("FAIL {name}: {}\n", sentence(first));
    }
    let mut out = format!("FAIL {name}: {}", listed(problems));
    if !picture.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    out.push_str(picture);
    out
}

/// Returns a note for each event of the timeline that never struck: a test of a second signal that never came tests
/// nothing.
pub fn never_struck(scenario: &Scenario, source: Source<'_>, unstruck: &[usize]) -> String {
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

/// Returns the problem that two runs of the same scenario with the same seed differ: where, and how. `None` if they
/// are equal.
pub fn differs(first: &[Event], second: &[Event], seed: u64, style: Style) -> Option<Problem> {
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
    Some(Problem {
        detail: diff(&text(first), &text(second), style),
        ..Problem::new(
            ProblemKind::NotDeterministic,
            format!(
                "two runs with seed {seed} gave two journals (- the first, + the second): they part where one has \
                 `{}` and the other `{}`",
                line(one),
                line(other)
            ),
        )
    })
}

/// Returns what is wrong, in one sentence.
pub fn sentence(problem: &Problem) -> String {
    match problem.law {
        Some(law) => format!("broken law {law}: {problem}"),
        None => problem.to_string(),
    }
}

/// Returns the details of a problem beyond its sentence, with the law's statement if `statement`: only the first of a
/// law's breaks has that.
fn details(problem: &Problem, statement: bool) -> String {
    let mut out = String::new();
    if let Some(law) = problem
        .law
        .filter(|_| statement)
        .and_then(|law| laws::all().iter().find(|one| one.name == law))
    {
        let _ = writeln!(out, "  it says: {}", law.statement);
    }
    if !problem.detail.is_empty() {
        out.push_str(problem.detail.trim_end());
        out.push('\n');
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Returns each problem: its sentence and its details.
pub fn listed(problems: &[Problem]) -> String {
    let mut out = String::new();
    let mut law = None;
    for problem in problems {
        // Rendered lines of a file begin with the sentence already.
        let mut lines = problem.detail.lines();
        let rendered = lines
            .next()
            .is_some_and(|first| first.contains(&problem.message));
        if !rendered {
            out.push_str(&sentence(problem));
            out.push('\n');
        }
        out.push_str(&details(problem, problem.law != law));
        law = problem.law;
    }
    out
}
