//! Text for people: nothing of what is well, everything about a failure, and one line of totals.

use std::fmt::Write;

use deadstop_harness::report::figures::plural;
use deadstop_harness::report::{Style, shown, timeline};

use super::event::{CheckEvent, Reporter, Summary};
use super::target::Target;
use crate::Exit;
use crate::case::Case;

/// Maximum number of failures that are shown in full; the others are shown in one sentence each.
const MAX_SHOWN_IN_FULL: usize = 10;

/// Maximum number of seeds that are listed of a scenario that fails with several.
const MAX_SEEDS_LISTED: usize = 10;

/// Writes text.
pub struct Text {
    target: Target,
    /// Number of failures so far.
    failures: usize,
}

impl Text {
    pub fn new(target: Target) -> Self {
        Text {
            target,
            failures: 0,
        }
    }

    /// Returns the text on a scenario with findings, in full for the first failures.
    fn scenario(&mut self, case: &Case) -> String {
        self.failures += usize::from(case.failures().next().is_some());
        scenario(
            case,
            self.failures <= MAX_SHOWN_IN_FULL,
            self.target.style(),
        )
    }

    /// Returns the end of the text: how many failures are shown in full, what is left over, and the totals.
    fn end(&self, summary: &Summary) -> String {
        let mut text = String::new();
        if self.failures > MAX_SHOWN_IN_FULL {
            let _ = writeln!(
                text,
                "the first {MAX_SHOWN_IN_FULL} of {} failures are shown in full; `deadstop check NAME` shows one",
                self.failures
            );
        }
        for finding in &summary.leftovers {
            let _ = writeln!(text, "{finding}");
        }
        let took = summary.took.as_millis();
        let _ = writeln!(
            text,
            "{} in {took} ms: {}",
            figures(summary),
            verdict(summary)
        );
        text
    }
}

impl Reporter for Text {
    fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)> {
        match event {
            CheckEvent::ScenarioFinished(case) if !case.is_well() => {
                let text = self.scenario(case);
                self.target.write(&text)
            }
            CheckEvent::Finished(summary) => {
                let text = self.end(summary);
                self.target.write(&text)?;
                self.target.finish()
            }
            _ => Ok(()),
        }
    }
}

/// Returns the numbers of what was checked.
pub fn figures(summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut line = format!(
        "{}, {}, {}",
        plural(totals.scenarios as u64, "scenario"),
        plural(totals.runs, "run"),
        plural(totals.events, "event")
    );
    if totals.skipped > 0 {
        let _ = write!(line, ", {} for workers of your own not run", totals.skipped);
    }
    if totals.not_followed > 0 {
        let links = plural(totals.not_followed as u64, "link");
        let _ = write!(line, ", {links} not followed");
    }
    line
}

/// Returns the verdict of the whole check, in words.
pub fn verdict(summary: &Summary) -> String {
    let mut counts = Vec::new();
    for (verdict, words) in [
        ("internal", "with an internal error of deadstop"),
        ("invalid", "invalid"),
        ("not-deterministic", "not deterministic"),
        ("failed", "failed"),
    ] {
        let count = summary.verdict(verdict);
        if count > 0 {
            counts.push(format!("{count} {words}"));
        }
    }
    let snapshots = summary.verdict("snapshot") + summary.leftovers.len();
    if snapshots > 0 {
        counts.push(format!("{snapshots} with a snapshot to review"));
    }
    if !counts.is_empty() {
        return counts.join(", ");
    }
    let totals = &summary.totals;
    let words = match (totals.runs, totals.skipped) {
        (0, 0) => "nothing was run",
        (0, _) => {
            "nothing was run: the tests of your worker do that, with `deadstop_harness::scenarios!`"
        }
        _ => "all well",
    };
    words.to_owned()
}

/// Returns the text on a scenario with findings. Unless `in_full`, each finding is its sentence.
pub fn scenario(case: &Case, in_full: bool, style: Style) -> String {
    if case.failures().next().is_some() {
        return failure(case, in_full, style);
    }
    let name = &case.found.name;
    let findings = case.findings();
    findings
        .map(|finding| format!("{name}: {finding}\n"))
        .collect()
}

/// Returns the text on a scenario that fails: its first failure, how many seeds fail, and the command that shows it
/// again. Unless `in_full`, the failure is its sentence.
fn failure(case: &Case, in_full: bool, style: Style) -> String {
    let mut text = String::new();
    let Some(run) = case.failures().next() else {
        return text;
    };
    let Some(first) = run.findings.first() else {
        return text;
    };
    let name = &case.found.name;
    if in_full {
        let picture = match run.events.is_empty() {
            true => String::new(),
            false => timeline(&run.events, style),
        };
        text += &shown(name, &run.findings, &picture, style);
    } else {
        let _ = writeln!(text, "FAIL {name}: {}", first.sentence());
    }
    let failed = case.failures().count();
    if failed > 1 {
        let seeds: Vec<_> = case
            .failures()
            .filter_map(|run| run.seed)
            .take(MAX_SEEDS_LISTED)
            .map(|seed| seed.to_string())
            .collect();
        let more = if failed > seeds.len() { ", …" } else { "" };
        let _ = writeln!(
            text,
            "it fails with {failed} seeds: {}{more}",
            seeds.join(", ")
        );
    }
    if let Some(replay) = &first.replay {
        let _ = writeln!(text, "replay: {replay}");
    }
    text.push('\n');
    text
}
