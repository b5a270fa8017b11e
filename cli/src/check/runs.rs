//! The runs of a check: runs scenarios, judges them, and tells the reporters as they start and finish.

use std::cell::RefCell;
use std::sync::Arc;

use deadstop_harness::report::Policy;
use deadstop_harness::scenario::Scenario;
use deadstop_harness::sim::{FURTHER_SEEDS, Journal, Options, Run, Runners, Subject, Twice, twice};

use crate::case::Case;
use crate::reporters::event::{CheckEvent, Reporters, Summary};
use crate::seeds::Seeds;

/// How the scenarios are run.
pub struct Plan {
    pub seeds: Seeds,
    pub subject: Subject,
    /// The files that may be written if a log is not the accepted one; `None` if logs are not compared.
    pub snapshots: Option<Policy>,
}

/// Where a check stands: what has started, what has finished, and who is told.
struct Course<'a> {
    plan: &'a Plan,
    cases: &'a mut [Case],
    reporters: &'a mut Reporters,
    summary: &'a mut Summary,
    /// Number of scenarios that have started.
    started: usize,
    /// Number of scenarios that have finished.
    finished: usize,
}

/// Runs every scenario twice with each seed, and judges it. If logs are compared, also runs further seeds, and then
/// compares the logs.
pub fn run_all(
    plan: &Plan,
    runners: &Runners,
    cases: &mut [Case],
    reporters: &mut Reporters,
    summary: &mut Summary,
) {
    let runnable: Vec<(usize, Arc<Scenario>)> = cases
        .iter()
        .enumerate()
        .filter(|(_, case)| !case.is_for_own_worker())
        .filter_map(|(at, case)| Some((at, Arc::clone(case.scenario.as_ref()?))))
        .collect();
    let mut left = vec![0; cases.len()];
    for (at, _) in &runnable {
        left[*at] = plan.seeds.len();
    }
    let course = RefCell::new(Course {
        plan,
        cases,
        reporters,
        summary,
        started: 0,
        finished: 0,
    });
    let items = runnable.iter().flat_map(|(at, scenario)| {
        plan.seeds.iter().map(|seed| {
            course.borrow_mut().start(*at);
            let options = Options {
                seed,
                subject: plan.subject,
                ..Options::default()
            };
            (*at, Run::new(Arc::clone(scenario), options))
        })
    });
    let runs = runnable.len() as u64 * plan.seeds.len();
    let started = CheckEvent::Started { runs };
    course.borrow_mut().reporters.report(started);
    let mut done = 0;
    twice(
        runners,
        items,
        |at, run, ran| {
            let mut course = course.borrow_mut();
            course.judge_both(*at, run, ran);
            left[*at] -= 1;
            // A scenario whose log is compared with the accepted one has further runs to come.
            if plan.snapshots.is_none() {
                course.finish_while(|at| left[at] == 0);
            }
        },
        |runs| {
            done += runs;
            let progress = CheckEvent::Progress { done };
            course.borrow_mut().reporters.report(progress);
        },
    );
    let mut course = course.into_inner();
    if plan.snapshots.is_some() {
        course.judge_further_seeds(runners, &runnable);
    }
    course.finish_while(|_| true);
}

impl Course<'_> {
    /// Tells that a scenario starts, after all before it.
    fn start(&mut self, at: usize) {
        while self.started <= at {
            let case = &self.cases[self.started];
            self.reporters.report(CheckEvent::ScenarioStarted(case));
            self.started += 1;
        }
    }

    /// Tells what the next scenarios come to, as long as all runs of each are judged.
    fn finish_while(&mut self, is_judged: impl Fn(usize) -> bool) {
        while self.finished < self.cases.len() && is_judged(self.finished) {
            self.start(self.finished);
            let case = &mut self.cases[self.finished];
            if let Some(policy) = self.plan.snapshots {
                case.compare_log(policy);
            }
            self.summary.count(case);
            self.reporters.report(CheckEvent::ScenarioFinished(case));
            case.forget_runs();
            self.finished += 1;
        }
    }

    fn judge_both(&mut self, at: usize, run: &Run, ran: Twice) {
        let case = &mut self.cases[at];
        case.runs += 2;
        case.events += ran.events();
        if let Some(failed) = case.judge_both(run, ran, self.plan.snapshots) {
            case.add_run(failed);
        }
    }

    /// Runs the scenarios that meet laws and expectations with seed 0 once more with each further seed. A law or an
    /// expectation that only some orders within an instant meet is a mistake that has yet to show.
    fn judge_further_seeds(&mut self, runners: &Runners, runnable: &[(usize, Arc<Scenario>)]) {
        let well = runnable
            .iter()
            .filter(|(at, _)| self.cases[*at].failures().next().is_none());
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
            // All runs of the scenarios before it are judged.
            self.finish_while(|before| before < *at);
            let case = &mut self.cases[*at];
            case.runs += 1;
            let journal = match ran {
                Ok(ran) => ran.journal,
                Err(error) => {
                    if let Some(failed) = case.judge_both(run, Twice::Broke(error), None) {
                        case.add_run(failed);
                    }
                    continue;
                }
            };
            case.events += journal.events.len() as u64;
            let same = judged.as_ref().is_some_and(|(before, judged)| {
                // The first event differs, since it contains the seed.
                before == at && judged.events.get(1..) == journal.events.get(1..)
            });
            if same {
                continue;
            }
            match case.judge_one(run, &journal) {
                None => judged = Some((*at, journal)),
                // A failure is counted for each seed, so the next run is judged again.
                Some(failed) => case.add_run(failed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use deadstop_harness::sim::MAX_BUFFERED_RUNS;

    use super::*;
    use crate::Exit;
    use crate::place;
    use crate::reporters::event::Reporter;

    const TEXT: &str = "title = \"A pool is closed\"\n[worker]\ncomponents = [{ closeable = \"pool\" }]\n\
        [timeline]\nevents = [{ at = \"10s\", signal = \"SIGTERM\" }]\n";

    /// Writes down what it is told.
    struct Recorder(Rc<RefCell<Vec<String>>>);

    impl Reporter for Recorder {
        fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)> {
            self.0.borrow_mut().push(match event {
                CheckEvent::Started { runs } => format!("started {runs}"),
                CheckEvent::ScenarioStarted(case) => format!("+{}", case.found.name),
                CheckEvent::ScenarioFinished(case) => format!("-{}", case.found.name),
                CheckEvent::Progress { done } => format!("{done}"),
                CheckEvent::Finished(_) => "finished".to_owned(),
            });
            Ok(())
        }
    }

    /// Runs two scenarios and one for a worker of a user's own, and returns what a reporter is told.
    fn told(test: &str, plan: &Plan) -> Vec<String> {
        let folder = std::env::temp_dir().join(format!("deadstop-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of the test's own");
        let own = "title = \"A worker of one's own\"\n";
        for (name, text) in [("a", TEXT), ("b", own), ("c", TEXT)] {
            std::fs::write(folder.join(format!("{name}.toml")), text).expect("it can be written");
        }
        let selected = place::select(&[folder.to_string_lossy().into_owned()]);
        let mut cases = Case::read_all(selected.expect("three files").found);
        std::fs::remove_dir_all(&folder).expect("it is the test's own");
        let runners = Runners::new(2).expect("threads to run on");
        let told = Rc::default();
        let mut reporters = Reporters::default();
        reporters.add(Recorder(Rc::clone(&told)));
        let mut summary = Summary::default();
        run_all(plan, &runners, &mut cases, &mut reporters, &mut summary);
        assert_eq!((summary.totals.passed, summary.totals.skipped), (2, 1));
        told.take()
    }

    #[test]
    fn scenario_finishes_once_its_last_run_is_judged() {
        // Both scenarios take more than a chunk of runs.
        let seeds = MAX_BUFFERED_RUNS as u64 + 10;
        let plan = Plan {
            seeds: format!("0..{seeds}").parse().expect("a range"),
            subject: Subject::Worker,
            snapshots: None,
        };
        let told = told("stream", &plan);
        let at = |what: &str| told.iter().position(|one| one == what).expect("it is told");
        assert_eq!(at(&format!("started {}", 2 * seeds)), 0);
        let order = ["+a", "1024", "+b", "+c", "-a", "-b", "2048", "-c", "2068"];
        assert_eq!(told[1..], order);
    }

    #[test]
    fn scenarios_finish_in_order_where_logs_are_compared() {
        let plan = Plan {
            seeds: Seeds::default(),
            subject: Subject::Worker,
            snapshots: Some(Policy::Nothing),
        };
        let told = told("order", &plan);
        let order = ["started 2", "+a", "+b", "+c", "2", "-a", "-b", "-c"];
        assert_eq!(told, order);
    }
}
