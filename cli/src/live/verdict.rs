//! Judges a live run: finds what is wrong with it, and puts the findings in order.

use std::ops::Range;
use std::sync::Arc;

use super::play::{COMPARED_SEEDS, FIRST_SEEDS, Play};
use crate::place;
use deadstop_harness::journal::{Event, text};
use deadstop_harness::laws::{self, Law};
use deadstop_harness::live::{Difference, Failed, Played, agrees, compare};
use deadstop_harness::report::{Check, Detail, Finding, judge};
use deadstop_harness::scenario;
use deadstop_harness::sim::{Journal, Options, Run, Runners};
use deadstop_harness::words::shell_quoted;

/// The verdict on a live run.
pub struct LiveVerdict {
    pub findings: Vec<Finding>,
    /// Whether it agrees with a later seed, and with none of the first ones.
    pub agrees_with_further: bool,
}

impl LiveVerdict {
    fn of(finding: Finding) -> Self {
        LiveVerdict {
            findings: vec![finding],
            agrees_with_further: false,
        }
    }
}

/// Judges a live run.
pub fn judge_live(play: &Play, runners: &Runners, played: Result<Played, Failed>) -> LiveVerdict {
    let output = |played: &Played| {
        let output = played.said.trim();
        if output.is_empty() {
            String::new()
        } else {
            format!("{output}\n")
        }
    };
    let events = match played {
        Ok(played) => played.events,
        Err(Failed::System(error)) => {
            return LiveVerdict::of(Finding::new(Check::Internal, error.to_string()));
        }
        Err(error) => {
            let detail = match &error {
                Failed::Overstayed { played, .. } | Failed::Silent { played, .. } => {
                    text(&played.events) + &output(played)
                }
                _ => String::new(),
            };
            let finding = Finding::new(Check::End, error.to_string());
            return LiveVerdict::of(finding.with(Detail::Text(detail)));
        }
    };
    let difference = compare(&play.known, &events);
    let another = difference
        .as_ref()
        .and_then(|_| agrees_with_another(play, runners, &events));
    let agrees_with_further = another.is_some();
    let difference = difference.filter(|_| !agrees_with_further);
    let mut findings = judge(&play.scenario, &play.file, &events);
    // An expectation that the simulation misses, too, is not missed because the run is late.
    let missed = match findings.iter().any(is_unmet) {
        true => missed_by_seeds(play, runners, another.as_ref()),
        false => Vec::new(),
    };
    if play.random {
        let broken = another.map(|(_, journal)| laws::judge(&journal.events));
        let broken = broken.unwrap_or_default();
        let breaks =
            |law| play.known.breaks(law) || broken.iter().any(|broken| broken.law.name == law);
        findings.retain(|finding| !finding.law().is_some_and(|law| breaks(law.name)));
    }
    if let Some(difference) = difference {
        if let Some(late) = difference.late {
            merge_late_findings(&mut findings, &events, late.due, &missed);
        }
        findings.insert(0, differs(difference));
    }
    for finding in findings.iter_mut().filter(|finding| is_unmet(finding)) {
        if let Some(seed) = seed_that_misses(finding, &missed) {
            finding.details.push(Detail::Text(format!(
                "the simulation with seed {seed} does not meet it either: deadstop check {} --seed {seed}\n",
                shell_quoted(&argument_of(play))
            )));
        }
    }
    LiveVerdict {
        findings,
        agrees_with_further,
    }
}

fn is_unmet(finding: &Finding) -> bool {
    matches!(finding.check, Check::Expectation(_))
}

/// Returns the seed of the simulation that misses an expectation as well, if one does.
fn seed_that_misses(finding: &Finding, missed: &[(usize, u64)]) -> Option<u64> {
    let mut missed = missed.iter();
    let (_, seed) = missed.find(|(line, _)| Some(*line) == finding.line())?;
    Some(*seed)
}

fn differs(difference: Difference) -> Finding {
    Finding::new(Check::Live, difference.headline.clone()).with(Detail::Sides(Box::new(difference)))
}

/// Returns the first of the further seeds with which a run agrees. If much happens in one instant, the first seeds do
/// not show every order.
fn agrees_with_another(play: &Play, runners: &Runners, events: &[Event]) -> Option<(u64, Journal)> {
    let mut runs = simulated(play, runners, FIRST_SEEDS..COMPARED_SEEDS);
    runs.find(|(_, journal)| agrees(journal, events))
}

/// Runs a scenario in the simulator with those seeds.
fn simulated(
    play: &Play,
    runners: &Runners,
    seeds: Range<u64>,
) -> impl Iterator<Item = (u64, Journal)> {
    let run = |seed| {
        let options = Options {
            seed,
            ..Options::default()
        };
        Run::new(Arc::clone(&play.scenario), options)
    };
    let ran = runners.run_all(seeds.clone().map(run));
    seeds
        .zip(ran)
        .filter_map(|(seed, ran)| Some((seed, ran.ok()?.journal)))
}

/// Returns the expectations that the simulation misses with one of the first seeds, or with `another`, with which the
/// run agrees: the line of each, and the first such seed.
fn missed_by_seeds(
    play: &Play,
    runners: &Runners,
    another: Option<&(u64, Journal)>,
) -> Vec<(usize, u64)> {
    let mut missed: Vec<(usize, u64)> = Vec::new();
    let another = another.map(|(seed, journal)| (*seed, journal.clone()));
    for (seed, journal) in simulated(play, runners, 0..FIRST_SEEDS).chain(another) {
        let events = &journal.events;
        let broken: Vec<&str> = laws::judge(events)
            .iter()
            .map(|broken| broken.law.name)
            .collect();
        for unmet in scenario::judge(&play.scenario, events, &broken) {
            let line = scenario::line_of(&play.file.text, unmet.span.start);
            if !missed.iter().any(|(known, _)| *known == line) {
                missed.push((line, seed));
            }
        }
    }
    missed
}

/// Returns how a command names the scenario: by its name if that selects its file, or else by its path.
fn argument_of(play: &Play) -> String {
    let name = &play.scenario.name;
    match place::selects_file(name, &play.file.path) {
        true => name.to_string(),
        false => play.file.path.clone(),
    }
}

/// Merges the findings that only follow from a run being late into one finding at the end: a law that breaks at that
/// instant or later, and every expectation except those that the simulation misses, too.
fn merge_late_findings(
    findings: &mut Vec<Finding>,
    events: &[Event],
    due: u64,
    missed: &[(usize, u64)],
) {
    let before: Vec<(&Law, String)> = laws::judge(events)
        .into_iter()
        .filter(|broken| broken.t < due)
        .map(|broken| (broken.law, broken.message))
        .collect();
    let (mut laws, mut expectations) = (Vec::new(), 0);
    findings.retain(|finding| match finding.check {
        Check::Law(law) => {
            let early = before
                .iter()
                .any(|(one, message)| *one == law && *message == finding.message);
            if !early && !laws.contains(&law.name) {
                laws.push(law.name);
            }
            early
        }
        Check::Expectation(_) if seed_that_misses(finding, missed).is_none() => {
            expectations += 1;
            false
        }
        _ => true,
    });
    let mut parts = Vec::new();
    if !laws.is_empty() {
        parts.push(format!("the laws {}", laws.join(", ")));
    }
    if expectations > 0 {
        parts.push(format!("{expectations} of the file's expectations"));
    }
    if !parts.is_empty() {
        findings.push(Finding::new(
            Check::Live,
            format!(
                "because the run is late, these fail too, and show nothing further: {}",
                parts.join(", and ")
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadstop_harness::journal::What;
    use deadstop_harness::report::SourceFile;

    fn unmet(line: usize) -> Finding {
        let file = Arc::new(SourceFile {
            path: "a.toml".to_owned(),
            text: "\n".repeat(line),
        });
        let finding = Finding::new(Check::Expectation("exit"), format!("line {line}"));
        finding.in_file(&file, Some(line - 1..line - 1))
    }

    #[test]
    fn what_follows_from_being_late_is_one_finding_at_the_end() {
        let law = laws::all().iter().find(|law| law.name == "steps/bounded");
        let law = Check::Law(law.expect("it is a law"));
        let law = Finding::new(law, "it took too long");
        let mut findings = vec![unmet(3), law, unmet(5)];
        // Line 5 is missed by seed 2 of the simulation, which is never late.
        merge_late_findings(&mut findings, &[], 10_000, &[(5, 2)]);
        let messages: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
        assert_eq!(
            messages,
            [
                "line 5",
                "because the run is late, these fail too, and show nothing further: the laws steps/bounded, and 1 of the \
                 file's expectations"
            ]
        );
    }

    #[test]
    fn what_is_wrong_before_the_late_instant_stays() {
        // No real journal begins like this.
        let events = [0, 0].map(|seq| Event {
            t: 0,
            seq,
            what: What::Running { value: false },
        });
        let broken = laws::judge(&events);
        assert!(!broken.is_empty());
        let mut findings: Vec<Finding> = broken
            .into_iter()
            .map(|broken| Finding::new(Check::Law(broken.law), broken.message))
            .collect();
        let before = findings.len();
        merge_late_findings(&mut findings, &events, 1, &[]);
        assert_eq!(findings.len(), before);
        // From that instant on, it follows from being late.
        merge_late_findings(&mut findings, &events, 0, &[]);
        assert_eq!(findings.len(), 1);
    }
}
