//! The report for programs: one JSON object a line, as `schema/check.json` describes it.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::event::{CaseReport, CheckEvent, ReportError, Reporter, Summary, Totals};
use crate::report::finding::{Finding, FindingKind};

/// Writes a line for each scenario, and one of the totals.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Creates a reporter that writes to `out`.
    pub fn new(out: W) -> Self {
        JsonLines { out }
    }
}

impl<W: Write> Reporter for JsonLines<W> {
    fn report(&mut self, event: &CheckEvent<'_>) -> Result<(), ReportError> {
        // The objects contain only texts and numbers, which can always be written as JSON.
        let line = match event {
            CheckEvent::Finished(case) => serde_json::to_string(&CaseLine::from(*case)),
            CheckEvent::Ended(summary) => serde_json::to_string(&TotalsLine::from(*summary)),
            _ => return Ok(()),
        };
        let line = line.unwrap_or_default() + "\n";
        let written = self.out.write_all(line.as_bytes());
        let written = written.and_then(|()| self.out.flush());
        written.map_err(ReportError::of("to standard output"))
    }
}

/// JSON object of a scenario.
#[derive(Serialize)]
struct CaseLine<'a> {
    scenario: &'a str,
    path: &'a str,
    verdict: &'a str,
    findings: Vec<FindingLine<'a>>,
    /// Command that shows the first of its failures again.
    replay: Option<&'a str>,
}

impl<'a> From<&'a CaseReport<'a>> for CaseLine<'a> {
    fn from(case: &'a CaseReport<'a>) -> Self {
        let mut failures = case.failures();
        CaseLine {
            scenario: case.name,
            path: case.source.path,
            verdict: case.verdict.as_str(),
            findings: case.findings().map(FindingLine::from).collect(),
            replay: failures.find_map(|run| run.findings.first()?.replay.as_deref()),
        }
    }
}

/// JSON object of the totals, which is written last.
#[derive(Serialize)]
struct TotalsLine<'a> {
    totals: &'a Totals,
    /// Number of scenarios with each verdict.
    verdicts: BTreeMap<&'a str, usize>,
    /// Findings that belong to no scenario: snapshots that are left over.
    findings: Vec<FindingLine<'a>>,
}

impl<'a> From<&'a Summary> for TotalsLine<'a> {
    fn from(summary: &'a Summary) -> Self {
        let verdicts = summary.verdicts.iter();
        TotalsLine {
            totals: &summary.totals,
            verdicts: verdicts.map(|(verdict, n)| (verdict.as_str(), *n)).collect(),
            findings: summary.leftovers.iter().map(FindingLine::from).collect(),
        }
    }
}

/// JSON object of a finding.
#[derive(Serialize)]
struct FindingLine<'a> {
    kind: &'a str,
    law: Option<&'a str>,
    expectation: Option<&'a str>,
    message: &'a str,
    path: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    component: Option<&'a str>,
    t: Option<u64>,
    seq: Option<u64>,
    seed: Option<u64>,
    replay: Option<&'a str>,
}

impl<'a> From<&'a Finding> for FindingLine<'a> {
    fn from(finding: &'a Finding) -> Self {
        let place = finding.place.as_ref();
        FindingLine {
            kind: finding.kind.as_str(),
            law: finding.law().map(|law| law.name),
            expectation: match finding.kind {
                FindingKind::Expectation(key) => Some(key),
                _ => None,
            },
            message: &finding.message,
            path: place.map(|place| &*place.path),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            component: finding.component.as_deref(),
            t: finding.at.map(|at| at.t),
            seq: finding.at.map(|at| at.seq),
            seed: finding.seed,
            replay: finding.replay.as_deref(),
        }
    }
}
