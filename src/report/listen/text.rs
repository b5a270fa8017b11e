//! The report for people: what is needed to mend each failure, and one line of totals.

use std::fmt::Write as _;
use std::io::Write;

use super::event::{CaseReport, CheckEvent, ReportError, Reporter, RunFindings};
use crate::report::failure::{sentence, shown};
use crate::report::{Style, timeline};

/// Maximum number of failures that are shown in full; the others are shown in one sentence each.
const MAX_SHOWN_IN_FULL: usize = 10;

/// Writes a check for people. A scenario that is well is not mentioned.
pub struct Text<W> {
    out: W,
    style: Style,
    /// Number of failures.
    failures: usize,
    /// Whether it was reported how many of them are shown in full.
    is_cut_told: bool,
}

impl<W: Write> Text<W> {
    /// Creates a reporter that writes to `out`.
    pub fn new(out: W, style: Style) -> Self {
        Text {
            out,
            style,
            failures: 0,
            is_cut_told: false,
        }
    }

    fn finished(&mut self, case: &CaseReport<'_>) -> String {
        let Some(run) = case.failures().next() else {
            let lines = case.findings();
            return lines
                .map(|finding| format!("{}: {finding}\n", case.name))
                .collect();
        };
        self.failures += 1;
        if self.failures <= MAX_SHOWN_IN_FULL {
            return failure_text(case, run, self.style) + "\n";
        }
        let first = run.findings.first().map_or_else(String::new, sentence);
        format!("FAIL {}: {first}\n{}\n", case.name, again(case, run))
    }

    /// Returns the line on failures that were not shown in full, once.
    fn cut(&mut self) -> String {
        let shown = self.failures;
        if shown <= MAX_SHOWN_IN_FULL || std::mem::replace(&mut self.is_cut_told, true) {
            return String::new();
        }
        format!(
            "the first {MAX_SHOWN_IN_FULL} of {shown} failures are shown in full; `deadstop check NAME` shows one\n"
        )
    }
}

impl<W: Write> Reporter for Text<W> {
    fn report(&mut self, event: &CheckEvent<'_>) -> Result<(), ReportError> {
        let text = match event {
            CheckEvent::Started { .. } | CheckEvent::Progress { .. } => return Ok(()),
            CheckEvent::Finished(case) => self.finished(case),
            CheckEvent::Leftover(finding) => format!("{}{finding}\n", self.cut()),
            CheckEvent::Ended(summary) => format!(
                "{}{} in {} ms: {}\n",
                self.cut(),
                summary.totals_text(),
                summary.took.as_millis(),
                summary.verdict_text()
            ),
        };
        let written = self.out.write_all(text.as_bytes());
        let written = written.and_then(|()| self.out.flush());
        written.map_err(ReportError::of("to standard output"))
    }
}

/// Returns everything that is needed to mend a failure: its findings, the picture of the run, the seeds that fail, and
/// the command that shows it again.
pub(super) fn failure_text(case: &CaseReport<'_>, run: &RunFindings, style: Style) -> String {
    let picture = match run.events.is_empty() {
        true => String::new(),
        false => timeline(&run.events, style),
    };
    shown(case.name, &run.findings, case.source, &picture, style) + &again(case, run)
}

/// Returns the lines on the seeds that fail, and on the command that shows the failure again.
fn again(case: &CaseReport<'_>, run: &RunFindings) -> String {
    let mut text = String::new();
    let failed = case.failures().count();
    if failed > 1 {
        let seeds: Vec<_> = case
            .failures()
            .filter_map(|run| run.seed)
            .take(10)
            .map(|seed| seed.to_string())
            .collect();
        let more = if failed > seeds.len() { ", …" } else { "" };
        let _ = writeln!(
            text,
            "it fails with {failed} seeds: {}{more}",
            seeds.join(", ")
        );
    }
    let first = run.findings.first();
    if let Some(replay) = first.and_then(|first| first.replay.as_ref()) {
        let _ = writeln!(text, "replay: {replay}");
    }
    text
}
