//! The events of a check, and what listens to them.

use std::collections::BTreeMap;
use std::time::Duration;

use deadstop_harness::report::Finding;
use serde::Serialize;

use crate::Exit;
use crate::case::Case;

/// Something that happens in a check. Scenarios finish in the order in which they are selected.
#[derive(Clone, Copy)]
pub enum CheckEvent<'a> {
    /// The check begins.
    Started {
        /// Number of pairs of a scenario and a seed that are to be run.
        runs: u64,
    },
    /// The first run of a scenario begins, or it is passed over.
    ScenarioStarted(&'a Case),
    /// All runs of a scenario are judged.
    ScenarioFinished(&'a Case),
    /// Some of the runs are done.
    Progress {
        /// Number of pairs of a scenario and a seed that were run.
        done: u64,
    },
    /// All scenarios have finished.
    Finished(&'a Summary),
}

/// The result of a whole check.
#[derive(Default)]
pub struct Summary {
    pub totals: Totals,
    /// Number of scenarios with each verdict.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// Findings that belong to no scenario: snapshots that are left over.
    pub leftovers: Vec<Finding>,
    /// Real time that the check took. Only people are told.
    pub took: Duration,
    pub exit: Exit,
}

/// Totals of a check.
#[derive(Default, Serialize)]
pub struct Totals {
    pub scenarios: usize,
    /// Number of scenarios that were run and have no finding.
    pub passed: usize,
    /// Number of scenarios with findings.
    pub failed: usize,
    /// Number of scenarios for workers of a user's own, which are not run here.
    pub skipped: usize,
    /// Number of findings, those that belong to no scenario included.
    pub findings: usize,
    pub runs: u64,
    pub events: u64,
    /// Number of links that were not followed.
    pub not_followed: usize,
}

impl Summary {
    /// Counts a scenario that has finished.
    pub fn count(&mut self, case: &Case) {
        let totals = &mut self.totals;
        totals.runs += case.runs;
        totals.events += case.events;
        totals.findings += case.findings().count();
        match (case.is_well(), case.is_for_own_worker()) {
            (false, _) => totals.failed += 1,
            (true, true) => totals.skipped += 1,
            (true, false) => totals.passed += 1,
        }
        *self.verdicts.entry(case.verdict()).or_default() += 1;
        self.exit = self.exit.and(case.exit());
    }

    /// Adds findings that belong to no scenario.
    pub fn add_leftovers(&mut self, leftovers: Vec<Finding>) {
        self.totals.findings += leftovers.len();
        self.exit = self.exit.and(Exit::of(&leftovers));
        self.leftovers.extend(leftovers);
    }

    /// Returns the number of scenarios with that verdict.
    pub fn verdict(&self, verdict: &str) -> usize {
        self.verdicts.get(verdict).copied().unwrap_or_default()
    }
}

/// Listener to the events of a check, which makes an output of them.
pub trait Reporter {
    /// Takes note of an event, and writes what there is to write.
    ///
    /// # Errors
    ///
    /// If it cannot write. It is told of no further event then.
    fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)>;
}

/// The reporters of a check.
#[derive(Default)]
pub struct Reporters {
    listening: Vec<Box<dyn Reporter>>,
    failed: Option<(Exit, String)>,
}

impl Reporters {
    pub fn add(&mut self, reporter: impl Reporter + 'static) {
        self.listening.push(Box::new(reporter));
    }

    /// Tells an event to each of them. One that cannot write keeps no other from writing.
    pub fn report(&mut self, event: CheckEvent<'_>) {
        let failed = &mut self.failed;
        self.listening
            .retain_mut(|reporter| match reporter.report(event) {
                Ok(()) => true,
                Err(error) => {
                    failed.get_or_insert(error);
                    false
                }
            });
    }

    /// Returns the first error of a reporter, if one could not write.
    pub fn finish(self) -> Result<(), (Exit, String)> {
        self.failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Counts what it is told, and cannot write from the first on if `fails`.
    struct Counter {
        told: Rc<Cell<usize>>,
        fails: bool,
    }

    impl Reporter for Counter {
        fn report(&mut self, _: CheckEvent<'_>) -> Result<(), (Exit, String)> {
            self.told.set(self.told.get() + 1);
            match self.fails {
                true => Err((Exit::Internal, "no room".to_owned())),
                false => Ok(()),
            }
        }
    }

    #[test]
    fn reporter_that_cannot_write_keeps_no_other_from_it() {
        let counts = [Rc::default(), Rc::default()];
        let mut reporters = Reporters::default();
        for (told, fails) in counts.iter().zip([true, false]) {
            let told = Rc::clone(told);
            reporters.add(Counter { told, fails });
        }
        for _ in 0..2 {
            reporters.report(CheckEvent::Started { runs: 1 });
        }
        assert_eq!(counts.map(|told: Rc<Cell<usize>>| told.get()), [1, 2]);
        let failed = reporters.finish();
        assert_eq!(failed, Err((Exit::Internal, "no room".to_owned())));
    }
}
