//! The events of a check, and the trait of what writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::Serialize;

use crate::journal::Event;
use crate::report::finding::{Evidence, Finding, Source};
use crate::report::figures::plural;

/// An event of a check, in this order: one `Started`, `Progress` in between, a `Finished` for each scenario, sorted by
/// name, a `Leftover` for each finding without a scenario, and one `Ended`.
pub enum CheckEvent<'a> {
    /// The check begins.
    Started {
        /// Number of scenarios that were selected.
        scenarios: usize,
    },
    /// Runs have ended.
    Progress {
        /// Number of scenarios and seeds that are done.
        done: u64,
        /// Number of all of them.
        total: u64,
    },
    /// A scenario is judged.
    Finished(&'a CaseReport<'a>),
    /// A finding belongs to no scenario: a snapshot is left over.
    Leftover(&'a Finding),
    /// The check is over.
    Ended(&'a Summary),
}

/// Writes the events of a check in one form.
pub trait Reporter {
    /// Writes what there is to write of an event.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn report(&mut self, event: &CheckEvent<'_>) -> Result<(), ReportError>;
}

/// Reason why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {what}: {error}")]
pub struct ReportError {
    /// The report and its place.
    pub what: String,
    /// The error of the system.
    #[source]
    pub error: io::Error,
}

impl ReportError {
    /// Returns a function that names what could not be written.
    pub fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> ReportError {
        let what = what.into();
        move |error| ReportError { what, error }
    }
}

/// All reporters of a check. One that fails gets no further events, and the others go on.
#[derive(Default)]
pub struct Reporters {
    all: Vec<Box<dyn Reporter>>,
    error: Option<ReportError>,
}

impl Reporters {
    /// Adds a reporter, which gets each event after those that were added before it.
    pub fn add(&mut self, reporter: impl Reporter + 'static) {
        self.all.push(Box::new(reporter));
    }

    /// Sends an event to every reporter.
    pub fn report(&mut self, event: &CheckEvent<'_>) {
        self.all.retain_mut(|reporter| match reporter.report(event) {
            Ok(()) => true,
            Err(error) => {
                self.error.get_or_insert(error);
                false
            }
        });
    }

    /// Ends the reports.
    ///
    /// # Errors
    ///
    /// The first error of a reporter.
    pub fn finish(self) -> Result<(), ReportError> {
        self.error.map_or(Ok(()), Err)
    }
}

/// A judged scenario.
pub struct CaseReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its file.
    pub source: Source<'a>,
    /// The verdict on it.
    pub verdict: Verdict,
    /// What is wrong with its file and its runs, by seed.
    pub runs: &'a [RunFindings],
}

impl<'a> CaseReport<'a> {
    /// Returns the runs in which something is wrong beyond a log that is not accepted yet.
    pub fn failures(&self) -> impl Iterator<Item = &'a RunFindings> + use<'a> {
        self.runs.iter().filter(|run| run.is_failure())
    }

    /// Returns all findings of the file and of its runs.
    pub fn findings(&self) -> impl Iterator<Item = &'a Finding> + use<'a> {
        self.runs.iter().flat_map(|run| &run.findings)
    }

    /// Returns the run that shows best what is wrong: the first failure, or else the first with a finding.
    pub fn first_wrong(&self) -> Option<&'a RunFindings> {
        self.failures().next().or(self.runs.first())
    }
}

/// The findings of one run of a scenario, or of its file.
pub struct RunFindings {
    /// Seed of the run; `None` if the file is wrong.
    pub seed: Option<u64>,
    /// What is wrong; never empty.
    pub findings: Vec<Finding>,
    /// Events of the run. Empty if there was none, and for each failure of a scenario after its first.
    pub events: Vec<Event>,
}

impl RunFindings {
    /// Returns the findings of a file that is not run.
    pub fn of_file(findings: Vec<Finding>) -> Self {
        RunFindings {
            seed: None,
            findings,
            events: Vec::new(),
        }
    }

    /// Returns whether something is wrong beyond a log that is not accepted yet.
    pub fn is_failure(&self) -> bool {
        self.findings.iter().any(|one| one.kind.is_failure())
    }

    /// Drops what is shown of a first failure only.
    pub fn forget_evidence(&mut self) {
        self.events = Vec::new();
        for finding in &mut self.findings {
            finding.evidence = Evidence::Nothing;
        }
    }
}

/// The verdict on a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It is for a worker of the user's own, whose tests run it.
    NotRun,
    /// A law, an expectation or a snapshot failed.
    Failed,
    /// Two runs of it differ.
    NotDeterministic,
    /// Its file is no scenario.
    Invalid,
    /// Nothing is wrong but a log that is not accepted.
    Snapshot,
    /// Deadstop itself has failed.
    Internal,
}

impl Verdict {
    /// Returns the word for the verdict.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::NotRun => "not-run",
            Verdict::Failed => "failed",
            Verdict::NotDeterministic => "not-deterministic",
            Verdict::Invalid => "invalid",
            Verdict::Snapshot => "snapshot",
            Verdict::Internal => "internal",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Totals of a check.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    /// Number of scenarios that were selected.
    pub scenarios: usize,
    /// Number of runs of them.
    pub runs: usize,
    /// Number of events of these runs.
    pub events: u64,
    /// Number of scenarios for workers of the user's own.
    #[serde(rename = "not_run")]
    pub skipped: usize,
    /// Number of links that were not followed.
    pub not_followed: usize,
}

/// The end of a check.
pub struct Summary {
    /// Its totals.
    pub totals: Totals,
    /// Number of scenarios with each verdict.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// Findings that belong to no scenario.
    pub leftovers: Vec<Finding>,
    /// Real time that it took, for people.
    pub took: Duration,
}

impl Summary {
    /// Returns the totals in words.
    pub fn totals_text(&self) -> String {
        let totals = &self.totals;
        let mut parts = vec![
            plural(totals.scenarios as u64, "scenario"),
            plural(totals.runs as u64, "run"),
            plural(totals.events, "event"),
        ];
        if totals.skipped > 0 {
            parts.push(format!("{} for workers of your own not run", totals.skipped));
        }
        if totals.not_followed > 0 {
            let links = plural(totals.not_followed as u64, "link");
            parts.push(format!("{links} not followed"));
        }
        parts.join(", ")
    }

    /// Returns the verdict in words.
    pub fn verdict_text(&self) -> String {
        let count = |verdict| self.verdicts.get(&verdict).copied().unwrap_or_default();
        let mut counts = Vec::new();
        for (verdict, word) in [
            (Verdict::Internal, "broke deadstop"),
            (Verdict::Invalid, "invalid"),
            (Verdict::NotDeterministic, "not deterministic"),
            (Verdict::Failed, "failed"),
        ] {
            let n = count(verdict);
            if n > 0 {
                counts.push(format!("{n} {word}"));
            }
        }
        let snapshots = count(Verdict::Snapshot) + self.leftovers.len();
        if snapshots > 0 {
            counts.push(format!("{snapshots} with a snapshot to look at"));
        }
        if !counts.is_empty() {
            return counts.join(", ");
        }
        let verdict = match (self.totals.runs, self.totals.skipped) {
            (0, 0) => "nothing was run",
            (0, _) => "nothing was run: the tests of your worker do that, with `deadstop::scenarios!`",
            _ => "all well",
        };
        verdict.to_owned()
    }
}
