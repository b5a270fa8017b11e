//! `deadstop check`, the gate: runs scenarios and judges them by laws, expectations and snapshots.

mod json;
mod text;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use deadstop_harness::report::figures::plural;
use deadstop_harness::report::{
    Check as Checked, Finding, Policy, SnapshotError, SnapshotFault, SourceFile, Store, Style,
};
use deadstop_harness::scenario::Scenario;
use deadstop_harness::sim::{
    FURTHER_SEEDS, Journal, Options, Run, Runners, Subject, Twice, cores, twice,
};
use deadstop_harness::words::{escaped, shown_path};
use serde::Serialize;

use super::case::Case;
use super::output::{err, out, style};
use super::place;
use super::progress::Progress;
use super::seeds::Seeds;
use super::{Context, Done, Exit, Format};
/// Maximum number of failures that are shown in full; the others are shown in one sentence each.
const MAX_SHOWN_IN_FULL: usize = 10;

/// Run all scenarios twice, and judge them by laws, expectations and snapshots: the gate.
///
/// Each scenario is run a second time on another thread, in another order and on used stacks, and must
/// give the same journal. Then it is run once more with each of the seeds 1 to 3: what only some orders within an
/// instant fulfil fails, and names its seed. Quiet when all is well; for a failure, everything that is needed to mend it.
#[derive(Debug, Args)]
pub struct Check {
    /// Files, folders, parts of names, or tags; all scenarios without any
    #[arg(value_name = "PATH|FILTER")]
    what: Vec<String>,
    /// What to write: text for people, or JSON: one object a scenario, and one of the totals
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The context under test; the plan is judged without snapshots
    #[arg(long, value_enum, default_value_t)]
    context: Context,
    /// One seed, or a range of them (0..100): laws and expectations then, no snapshots
    #[arg(long, value_name = "N|A..B")]
    seed: Option<Seeds>,
    /// How many runs go on at once [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

/// Totals of the whole check.
#[derive(Default, Serialize)]
struct Totals {
    scenarios: usize,
    /// Number of scenarios without a finding.
    passed: usize,
    /// Number of scenarios with findings.
    failed: usize,
    /// Number of scenarios for workers of somebody's own, which are not run here.
    skipped: usize,
    /// Number of findings, those that belong to no scenario included.
    findings: usize,
    runs: usize,
    events: u64,
    not_followed: usize,
}

impl Totals {
    /// Counts the scenarios by how they ended, and the findings.
    fn count(&mut self, cases: &[Case], leftovers: &[Finding]) {
        self.failed = cases.iter().filter(|case| !case.is_well()).count();
        self.passed = cases.len() - self.failed - self.skipped;
        let of_cases = cases.iter().flat_map(Case::findings).count();
        self.findings = of_cases + leftovers.len();
    }
}

impl Check {
    pub fn run(self) -> Done {
        #[allow(
            clippy::disallowed_methods,
            reason = "the duration of the check is printed for people, and used for nothing else"
        )]
        let began = std::time::Instant::now();
        let selection = place::select_or_fail(&self.what)?;
        let style = style();
        let mut cases = Case::read_all(selection.found);
        let mut totals = Totals {
            scenarios: cases.len(),
            not_followed: selection.not_followed,
            ..Totals::default()
        };
        self.judge(&mut cases, &mut totals)?;
        let mut leftovers = Vec::new();
        if self.compares_logs() {
            for root in &selection.whole_roots {
                leftovers.extend(leftover_findings(root, &cases)?);
            }
        }
        totals.count(&cases, &leftovers);
        let exit = cases
            .iter()
            .fold(Exit::of(&leftovers), |exit, case| exit.and(case.exit()));
        match self.format {
            Format::Json => {
                let lines = cases.iter().map(json::scenario_line);
                let totals = json::totals_line(&cases, &leftovers, &totals);
                out(&(lines.collect::<String>() + &totals))?;
            }
            Format::Text => {
                let mut text = failures_text(&cases, style);
                for finding in &leftovers {
                    let _ = writeln!(text, "{finding}");
                }
                text.push_str(&summary(&cases, &leftovers, &totals, began.elapsed()));
                out(&text)?;
            }
        }
        Ok(if totals.runs == 0 {
            exit.and(Exit::Nothing)
        } else {
            exit
        })
    }

    /// Returns whether logs are compared with the accepted ones, which belong to the worker's context and seed 0.
    fn compares_logs(&self) -> bool {
        self.context == Context::Worker && self.seed.is_none()
    }

    /// Runs every scenario twice with each seed, and judges it. If logs are compared, also runs further seeds, and
    /// then compares the logs.
    fn judge(&self, cases: &mut [Case], totals: &mut Totals) -> Result<(), (Exit, String)> {
        let variable = |name| std::env::var(name).ok();
        let bad = |error: SnapshotError| (Exit::Usage, error.to_string());
        let policy = Policy::from_env(
            variable("CI").as_deref(),
            variable("INSTA_UPDATE").as_deref(),
        )
        .map_err(bad)?;
        // In insta, a mismatch passes if this variable is set. A gate that a variable turns green is none.
        if variable("INSTA_FORCE_PASS").is_some_and(|value| !matches!(&*value, "" | "0")) {
            err("note: INSTA_FORCE_PASS is not heeded: a log that is not its snapshot fails");
        }
        let snapshots = self.compares_logs().then_some(policy);
        let seeds = self.seed.clone().unwrap_or_default();
        let subject = Subject::from(self.context);
        let runnable: Vec<(usize, Arc<Scenario>)> = cases
            .iter()
            .enumerate()
            .filter_map(|(at, case)| Some((at, Arc::clone(case.scenario.as_ref()?))))
            .filter(|(_, scenario)| scenario.worker.components.is_some())
            .collect();
        totals.skipped =
            cases.iter().filter(|case| case.scenario.is_some()).count() - runnable.len();
        let items = runnable.iter().flat_map(|(at, scenario)| {
            seeds.iter().map(|seed| {
                let options = Options {
                    seed,
                    subject,
                    ..Options::default()
                };
                (*at, Run::new(Arc::clone(scenario), options))
            })
        });
        let total = runnable.len() as u64 * seeds.len();
        let jobs = self.jobs.map_or_else(cores, usize::from);
        let runners = Runners::new(jobs).map_err(|error| {
            (
                Exit::Internal,
                format!("cannot start {jobs} threads: {error}"),
            )
        })?;
        let mut progress = Progress::new(total);
        let done = |at: &usize, run: &Run, ran: Twice| {
            totals.runs += 2;
            totals.events += ran.events();
            if let Some(failed) = cases[*at].judge_both(run, ran, snapshots) {
                cases[*at].add_run(failed);
            }
        };
        twice(&runners, items, done, |runs| progress.advance(runs));
        progress.clear();
        if self.compares_logs() {
            judge_further_seeds(&runners, &runnable, cases, totals);
            for case in cases {
                case.compare_log(policy);
            }
        }
        Ok(())
    }
}

/// Returns the text on the scenarios with findings.
fn failures_text(cases: &[Case], style: Style) -> String {
    let mut text = String::new();
    let mut shown = 0;
    for case in cases {
        if case.failures().next().is_some() {
            shown += 1;
            text.push_str(&text::failure(case, shown <= MAX_SHOWN_IN_FULL, style));
            continue;
        }
        for finding in case.findings() {
            let _ = writeln!(text, "{}: {finding}", case.found.name);
        }
    }
    if shown > MAX_SHOWN_IN_FULL {
        let _ = writeln!(
            text,
            "the first {MAX_SHOWN_IN_FULL} of {shown} failures are shown in full; `deadstop check NAME` shows one"
        );
    }
    text
}

/// Runs the scenarios that meet laws and expectations with seed 0 once more with each further seed. A law or an
/// expectation that only some orders within an instant meet is a mistake that has yet to show.
fn judge_further_seeds(
    runners: &Runners,
    runnable: &[(usize, Arc<Scenario>)],
    cases: &mut [Case],
    totals: &mut Totals,
) {
    let well = runnable
        .iter()
        .filter(|(at, _)| cases[*at].failures().next().is_none());
    let runs: Vec<(usize, Run)> = well
        .flat_map(|(at, scenario)| {
            FURTHER_SEEDS.map(|seed| {
                let options = Options {
                    seed,
                    ..Options::default()
                };
                (*at, Run::new(Arc::clone(scenario), options))
            })
        })
        .collect();
    // If there is nothing to choose, all seeds give the same events, and judging one of the runs is enough.
    let mut judged: Option<(usize, Journal)> = None;
    let ran = runners.run_all(runs.iter().map(|(_, run)| run.clone()));
    for ((at, run), ran) in runs.iter().zip(ran) {
        totals.runs += 1;
        let journal = match ran {
            Ok(ran) => ran.journal,
            Err(error) => {
                if let Some(failed) = cases[*at].judge_both(run, Twice::Broke(error), None) {
                    cases[*at].add_run(failed);
                }
                continue;
            }
        };
        totals.events += journal.events.len() as u64;
        let same = judged.as_ref().is_some_and(|(before, judged)| {
            // The first event differs, since it contains the seed.
            before == at && judged.events.get(1..) == journal.events.get(1..)
        });
        if same {
            continue;
        }
        match cases[*at].judge_one(run, &journal) {
            None => judged = Some((*at, journal)),
            // A failure is counted for each seed, so the next run is judged again.
            Some(failed) => cases[*at].add_run(failed),
        }
    }
}

/// Returns a finding for each snapshot that no scenario has, and for each pending log that no scenario of this check
/// gave.
fn leftover_findings(scenarios: &Path, cases: &[Case]) -> Result<Vec<Finding>, (Exit, String)> {
    let failed = |error: SnapshotError| (Exit::Failed, error.to_string());
    let store = Store::new(place::snapshots(scenarios));
    let mut leftovers = Vec::new();
    for path in store
        .unreferenced(cases.iter().map(|case| case.found.name.as_str()))
        .map_err(failed)?
    {
        let path = shown_path(&path);
        let message = format!(
            "{path}: no scenario has this snapshot; delete it with `deadstop accept --unreferenced`"
        );
        let finding = Finding::new(Checked::Snapshot(SnapshotFault::Unreferenced), message);
        let text = String::new();
        leftovers.push(finding.in_file(&Arc::new(SourceFile { path, text }), None));
    }
    for name in store.pending().map_err(failed)? {
        let reported = cases
            .iter()
            .any(|case| case.found.name == name && !case.is_well());
        if !reported {
            let name = escaped(&name);
            let message = format!(
                "{name}: a log is pending that the scenario does not give; `deadstop reject {name}`"
            );
            leftovers.push(Finding::new(
                Checked::Snapshot(SnapshotFault::Pending),
                message,
            ));
        }
    }
    Ok(leftovers)
}

/// Returns the one line of totals.
fn summary(
    cases: &[Case],
    leftovers: &[Finding],
    totals: &Totals,
    took: std::time::Duration,
) -> String {
    let count = |exit: Exit| cases.iter().filter(|case| case.exit() == exit).count();
    let mut counts = Vec::new();
    for (exit, word) in [
        (Exit::Internal, "broke deadstop"),
        (Exit::Invalid, "invalid"),
        (Exit::NotDeterministic, "not deterministic"),
        (Exit::Failed, "failed"),
    ] {
        let n = count(exit);
        if n > 0 {
            counts.push(format!("{n} {word}"));
        }
    }
    let snapshots = count(Exit::Snapshots) + leftovers.len();
    if snapshots > 0 {
        counts.push(format!("{snapshots} with a snapshot to look at"));
    }
    let mut line = format!(
        "{}, {}, {}",
        plural(totals.scenarios as u64, "scenario"),
        plural(totals.runs as u64, "run"),
        plural(totals.events, "event")
    );
    if totals.skipped > 0 {
        let _ = write!(line, ", {} for workers of your own not run", totals.skipped);
    }
    if totals.not_followed > 0 {
        let links = plural(totals.not_followed as u64, "link");
        let _ = write!(line, ", {links} not followed");
    }
    let verdict = if counts.is_empty() && totals.runs == 0 && totals.skipped > 0 {
        "nothing was run: the tests of your worker do that, with `deadstop_harness::scenarios!`"
            .to_owned()
    } else if counts.is_empty() && totals.runs == 0 {
        "nothing was run".to_owned()
    } else if counts.is_empty() {
        "all well".to_owned()
    } else {
        counts.join(", ")
    };
    format!("{line} in {} ms: {verdict}\n", took.as_millis())
}
