//! The arguments of `deadstop check`, and a check from its selection to its exit code.

use clap::Args;
use deadstop_harness::report::Policy;
use deadstop_harness::sim::{Runners, Subject, cores};

use super::leftovers::leftover_findings;
use super::runs::{Plan, run_all};
use crate::case::Case;
use crate::output::err;
use crate::place;
use crate::reporters::choice::{Choice, choice, make};
use crate::reporters::event::{CheckEvent, Reporters, Summary};
use crate::seeds::Seeds;
use crate::{Context, Done, Exit, Format};

/// Check scenarios: run each several times, and judge it by laws, expectations and its snapshot.
///
/// Each scenario is run twice with seed 0, on two threads, and both runs must give the same journal. Then it is run
/// once with each of the seeds 1 to 3, because another order within an instant may break a law or an expectation.
/// Scenarios that pass print nothing. A failure prints everything that is needed to repeat and correct it.
#[derive(Debug, Args)]
pub struct Check {
    /// Files, folders, parts of names, or tags [default: all scenarios]
    #[arg(value_name = "PATH|FILTER")]
    what: Vec<String>,
    /// The format of standard output. JSON is one line for each scenario, and one line with the totals
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write a further report; may be given several times: text=FILE, json=FILE, junit=FILE, or github (annotations and
    /// a summary of the step; this is the default if GITHUB_ACTIONS is true)
    #[arg(long, value_name = "KIND[=FILE]", value_parser = choice)]
    report: Vec<Choice>,
    /// The context under test. The plan is judged without snapshots
    #[arg(long, value_enum, default_value_t)]
    context: Context,
    /// One seed, or a range of seeds such as 0..100. Snapshots are then not compared
    #[arg(long, value_name = "N|A..B")]
    seed: Option<Seeds>,
    /// Number of runs at the same time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl Check {
    pub fn run(self) -> Done {
        #[allow(
            clippy::disallowed_methods,
            reason = "the duration of the check is printed for people, and used for nothing else"
        )]
        let began = std::time::Instant::now();
        let plan = self.plan()?;
        // A report that cannot be written is known before anything runs.
        let mut reporters = make(self.format, &self.report)?;
        let selection = place::select_or_fail(&self.what)?;
        let mut cases = Case::read_all(selection.found);
        let keeps_logs = self.report.iter().any(Choice::needs_logs);
        for case in &mut cases {
            case.keeps_log = keeps_logs;
        }
        let mut summary = Summary::default();
        summary.totals.scenarios = cases.len();
        summary.totals.not_followed = selection.not_followed;
        self.run_cases(&plan, &mut cases, &mut reporters, &mut summary)?;
        if plan.snapshots.is_some() {
            for root in &selection.whole_roots {
                summary.add_leftovers(leftover_findings(root, &cases));
            }
        }
        summary.took = began.elapsed();
        reporters.report(CheckEvent::Finished(&summary));
        reporters.finish()?;
        Ok(if summary.totals.runs == 0 {
            summary.exit.and(Exit::Nothing)
        } else {
            summary.exit
        })
    }

    /// Returns how the scenarios are run. Logs are compared with the accepted ones if the context is the worker's and
    /// no seed is given, since they belong to the worker's context and seed 0.
    fn plan(&self) -> Result<Plan, (Exit, String)> {
        let variable = |name| std::env::var(name).ok();
        let policy = Policy::from_env(
            variable("CI").as_deref(),
            variable("INSTA_UPDATE").as_deref(),
        )
        .map_err(|error| (Exit::Usage, error.to_string()))?;
        // In insta, a mismatch passes if this variable is set. A gate that a variable turns green is none.
        if variable("INSTA_FORCE_PASS").is_some_and(|value| !matches!(&*value, "" | "0")) {
            err("note: INSTA_FORCE_PASS is ignored: a log that differs from its snapshot fails");
        }
        let compares_logs = self.context == Context::Worker && self.seed.is_none();
        Ok(Plan {
            seeds: self.seed.clone().unwrap_or_default(),
            subject: Subject::from(self.context),
            snapshots: compares_logs.then_some(policy),
        })
    }

    fn run_cases(
        &self,
        plan: &Plan,
        cases: &mut [Case],
        reporters: &mut Reporters,
        summary: &mut Summary,
    ) -> Result<(), (Exit, String)> {
        let jobs = self.jobs.map_or_else(cores, usize::from);
        let runners = Runners::new(jobs).map_err(|error| {
            (
                Exit::Internal,
                format!("cannot start {jobs} threads: {error}"),
            )
        })?;
        run_all(plan, &runners, cases, reporters, summary);
        Ok(())
    }
}
