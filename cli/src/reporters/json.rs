//! JSON lines: one object a scenario, and one of the totals. `schema/check-lines.json` describes them.

use std::collections::BTreeMap;

use deadstop_harness::report::{Check, Finding, Place};
use serde::Serialize;

use super::event::{CheckEvent, Reporter, Summary, Totals};
use super::target::Target;
use crate::Exit;
use crate::case::Case;

/// Writes JSON lines.
pub struct JsonLines(pub Target);

impl Reporter for JsonLines {
    fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)> {
        match event {
            CheckEvent::ScenarioFinished(case) => self.0.write(&scenario_line(case)),
            CheckEvent::Finished(summary) => {
                self.0.write(&totals_line(summary))?;
                self.0.finish()
            }
            CheckEvent::Started { .. }
            | CheckEvent::ScenarioStarted(_)
            | CheckEvent::Progress { .. } => Ok(()),
        }
    }
}

/// JSON object that is written for a scenario.
#[derive(Serialize)]
struct ScenarioLine<'a> {
    scenario: &'a str,
    path: &'a str,
    verdict: &'a str,
    findings: Vec<FindingObject<'a>>,
    /// Command that shows the first of its failures again.
    replay: Option<&'a str>,
}

/// JSON object of a finding.
#[derive(Serialize)]
struct FindingObject<'a> {
    check: &'a str,
    law: Option<&'a str>,
    /// Key of an expectation in the file.
    expectation: Option<&'a str>,
    message: &'a str,
    path: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    component: Option<&'a str>,
    /// Instant, in milliseconds since the worker began.
    at: Option<u64>,
    /// Number of the event in the journal.
    event: Option<u64>,
    seed: Option<u64>,
    replay: Option<&'a str>,
}

/// JSON object of the totals, which is written last.
#[derive(Serialize)]
struct TotalsLine<'a> {
    totals: &'a Totals,
    /// Number of scenarios with each verdict.
    verdicts: &'a BTreeMap<&'static str, usize>,
    /// Findings that belong to no scenario: snapshots that are left over.
    findings: Vec<FindingObject<'a>>,
}

impl<'a> FindingObject<'a> {
    fn new(finding: &'a Finding, seed: Option<u64>) -> Self {
        let file = |place: &'a Place| &*place.file.path;
        FindingObject {
            check: finding.check.as_str(),
            law: finding.law().map(|law| law.name),
            expectation: match finding.check {
                Check::Expectation(key) => Some(key),
                _ => None,
            },
            message: &finding.message,
            path: finding.place.as_ref().map(file),
            line: finding.line(),
            column: finding.column(),
            component: finding.component.as_deref(),
            at: finding.at,
            event: finding.event,
            seed,
            replay: finding.replay.as_deref(),
        }
    }
}

/// Returns the line of a scenario.
fn scenario_line(case: &Case) -> String {
    let findings = case.failed.iter().flat_map(|run| {
        let object = |finding| FindingObject::new(finding, run.seed);
        run.findings.iter().map(object)
    });
    let mut failures = case.failures().flat_map(|run| &run.findings);
    line(&ScenarioLine {
        scenario: &case.found.name,
        path: &case.file.path,
        verdict: case.verdict(),
        findings: findings.collect(),
        replay: failures.find_map(|finding| finding.replay.as_deref()),
    })
}

/// Returns the line of the totals.
fn totals_line(summary: &Summary) -> String {
    let leftovers = summary.leftovers.iter();
    line(&TotalsLine {
        totals: &summary.totals,
        verdicts: &summary.verdicts,
        findings: leftovers
            .map(|finding| FindingObject::new(finding, None))
            .collect(),
    })
}

fn line(object: &impl Serialize) -> String {
    // The object contains only texts and numbers, which can always be written as JSON.
    serde_json::to_string(object).unwrap_or_default() + "\n"
}
