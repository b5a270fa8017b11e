//! The verdict on a run by the laws and by the file's expectations. The command adds the findings with snapshots and
//! live runs, the test kit those of its own.

use crate::journal::{Event, StuckWhy, What};
use crate::laws;
use crate::scenario::{self, Scenario};

use super::figures::grouped;
use super::finding::{Evidence, Finding, FindingKind, Source};
use crate::sim::ROWS_A_RUN;

/// Returns every error in a file that is no scenario.
pub fn invalid(source: Source<'_>, invalid: &scenario::Invalid) -> Vec<Finding> {
    let finding = |diagnostic: &scenario::Diagnostic| Finding {
        place: Some(source.place(diagnostic.span.clone())),
        evidence: Evidence::Diagnostic(diagnostic.clone()),
        ..Finding::new(FindingKind::Invalid, diagnostic.message.clone())
    };
    invalid.diagnostics.iter().map(finding).collect()
}

/// Judges a run. Returns a finding if the run is stuck, then one for each break of a law, then one for each
/// expectation that is not met.
pub fn judge(scenario: &Scenario, source: Source<'_>, events: &[Event]) -> Vec<Finding> {
    let broken = laws::judge(events);
    let mut names: Vec<&str> = broken.iter().map(|broken| broken.law.name).collect();
    names.dedup();
    let shows_at = |finding: Finding, event: &Event| {
        let component = event.what.component().map(|name| &**name);
        let place = source.place_of(scenario, component);
        finding.in_journal(event).in_file(place)
    };
    let mut findings = Vec::new();
    if let Some(event) = events.last()
        && let What::Stuck { why, name } = &event.what
    {
        let message = stuck_message(events, *why, name);
        findings.push(shows_at(Finding::new(FindingKind::Stuck, message), event));
    }
    let allowed = |law: &str| {
        scenario
            .expect
            .breaks
            .value
            .iter()
            .any(|name| &**name == law)
    };
    for broken in broken.iter().filter(|broken| !allowed(broken.law.name)) {
        let finding = Finding::new(FindingKind::Law(broken.law), broken.message.clone());
        let event = events.iter().find(|event| event.seq == broken.seq);
        findings.push(match event {
            Some(event) => shows_at(finding, event),
            None => finding.in_file(source.place_of(scenario, None)),
        });
    }
    for unmet in scenario::judge(scenario, events, &names) {
        findings.push(Finding {
            place: Some(source.place(unmet.span.clone())),
            evidence: Evidence::Diagnostic(unmet.diagnostic()),
            ..Finding::new(FindingKind::Expectation(unmet.key), unmet.message)
        });
    }
    findings
}

fn stuck_message(events: &[Event], why: StuckWhy, name: &str) -> String {
    let asks = |event: &Event| matches!(event.what, What::Signal { .. } | What::Requested { .. });
    match why {
        StuckWhy::Horizon if !events.iter().any(asks) => {
            "the run never came to an end: nothing in the file asks the worker to stop".to_owned()
        }
        StuckWhy::TooLarge => format!(
            "the run was given up ({why}): its reports have more than {} rows in all, the last of them for \
             \"{name}\"; let fewer callers ask, or split the file",
            grouped(ROWS_A_RUN as u64)
        ),
        _ => format!("the run never came to an end ({why}): \"{name}\" is to blame"),
    }
}
