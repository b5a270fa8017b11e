//! One scenario for an own worker: parses its file, judges its runs, and words the verdict. The suite and the trials
//! use it.

use std::fmt::Write;
use std::sync::Arc;

use crate::report::{
    Problem, ProblemKind, Source, Style, differs, invalid, judge, never_struck, shown, timeline,
};
use crate::scenario::{self, Diagnostic, Invalid, Scenario, Timed};
use crate::sim::{Bodies, Journal, Options, Own, Ran, Run, RunError, Twice};

use super::names::{not_adopted, not_overlayable, not_registered, unknown_uses};
use super::nothing::{is_about_main, main_given_up, main_is_over, tests_nothing};
use super::{explained, notes, real};

/// Advice where two runs differ: what to look for.
const ADVICE_DIFFERS: &str = "what differs from run to run: `select!` without `biased`, the order of a `HashMap`, random \
numbers, a real clock,\na thread or a socket that the context knows nothing of, a `static` that is kept from the run \
before";

/// Advice where main fails in only one of two runs: what to look for.
const ADVICE_SHARED: &str = "a port, a file or a lock that two runs share? Each scenario is run twice, and tests run side by side: bind port 0, \
and\nkeep what is one in the process (a port, a global) behind the state, so that a test can give another";

/// Advice where a thread that is not the world's calls the context.
const ADVICE_OUTSIDE: &str = "threads of `std::thread` and of `spawn_blocking` run in real time: what they ask for is in no journal, and when\n\
     it is heard is chance. Ask from main, a task, a thread or a callback of the context's";

/// A scenario: its name, and the path and text of its file.
pub(super) struct OwnCase {
    pub name: String,
    /// Path of the file, as the user knows it.
    pub path: String,
    pub text: String,
}

/// The verdict on the runs of one scenario.
pub(super) struct Verdict {
    pub problems: Vec<Problem>,
    /// Findings that are no failures, one sentence each.
    pub notes: Vec<String>,
    picture: String,
    /// Journal of the first run; `None` if nothing was run.
    pub journal: Option<Journal>,
}

impl Verdict {
    fn without_run(problems: Vec<Problem>) -> Self {
        Verdict {
            problems,
            notes: Vec::new(),
            picture: String::new(),
            journal: None,
        }
    }

    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns the problems and notes as text for people. How to run the scenario again is left to the caller.
    pub fn text_of(&self, name: &str) -> String {
        let mut text = shown(name, &self.problems, &self.picture, true);
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// Returns the log and the picture of the run; `None` if nothing was run.
    pub fn run_text(&self) -> Option<String> {
        let journal = self.journal.as_ref()?;
        let picture = timeline(&journal.events, Style::default());
        Some(format!("{}\n\n{picture}", journal.to_string().trim_end()))
    }

    /// Returns whether main was given up, so that the verdict needs a run that shows what main does when left alone.
    pub fn needs_main_alone(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| self.is_explained_by_main(problem))
    }

    /// Returns whether a problem is explained better by what main does when left alone: main was given up, or nothing
    /// was tested because main was not done.
    fn is_explained_by_main(&self, problem: &Problem) -> bool {
        let journal = self.journal.as_ref();
        journal.is_some_and(|journal| !main_is_over(journal))
            && (is_about_main(problem) || problem.kind == ProblemKind::TestsNothing)
    }

    /// Adds to the problem with main what main does when left alone.
    pub fn add_main_alone(&mut self, alone: Option<&Journal>) {
        let Some(journal) = &self.journal else { return };
        let mut problems = self.problems.iter();
        let Some(at) = problems.position(|problem| self.is_explained_by_main(problem)) else {
            return;
        };
        let explanation = main_given_up(journal, alone);
        let problem = &mut self.problems[at];
        problem.detail = match problem.kind {
            // This problem has its own advice, which stays at the end.
            ProblemKind::TestsNothing => explanation + &problem.detail,
            _ => explanation,
        };
    }
}

impl OwnCase {
    /// Parses the scenario. The error is the verdict on a file that cannot be run.
    pub fn parse(&self, own: &Own) -> Result<Arc<Scenario>, Box<Verdict>> {
        let parsed = scenario::parse_with(&self.name, &self.text, own.own_limits());
        let scenario = parsed
            .map_err(|invalid| Box::new(Verdict::without_run(self.invalid_problems(&invalid))))?;
        let not_overlayable = not_overlayable(&scenario, &self.text);
        if not_overlayable.is_empty() {
            Ok(Arc::new(scenario))
        } else {
            Err(Box::new(Verdict::without_run(
                self.problems_of(not_overlayable),
            )))
        }
    }

    /// Returns the run of a scenario with a seed, still to be executed.
    pub fn planned_run(scenario: &Arc<Scenario>, own: &Own, seed: u64) -> Run {
        let options = Options {
            seed,
            // A user's code has thread-locals, locks and destructors, so each body needs its own thread.
            bodies: Bodies::Batons,
            ..Options::default()
        };
        Run::new(Arc::clone(scenario), options).of(own.clone())
    }

    /// Judges the two runs of a scenario. Laws and expectations are applied only if `laws` is set.
    pub fn judge(&self, run: &Run, ran: Twice, laws: bool) -> Verdict {
        let (first, second) = match ran {
            Twice::Ran(first, second) => (first, second),
            Twice::Broke(error) => {
                let problem = Problem::new(ProblemKind::Internal, error.to_string());
                return Verdict::without_run(vec![problem]);
            }
        };
        let mut problems = self.not_simulated(run, &first, &second);
        let unknown = self.unknown_names(run, &first);
        // Unknown names explain every other failure, unless the run was over before main could register them.
        let over = main_is_over(&first) && first.aside.stall.is_none();
        let is_invalid = |problem: &Problem| problem.kind == ProblemKind::Invalid;
        if laws && !problems.iter().any(is_invalid) && (unknown.is_empty() || !over) {
            problems.extend(self.problems_of_run(run, &first));
        }
        if over || problems.is_empty() {
            problems.splice(0..0, unknown);
        }
        let mut picture = String::new();
        if problems.is_empty() {
            // All runs are the same: an event that has not struck in this one never strikes, and tests nothing.
            if laws {
                let unstruck = run.scenario.events_at(&first.unstruck);
                problems.extend(unstruck.map(|timed| self.never_struck(timed)));
            }
        } else {
            let notes = never_struck(&run.scenario, self.source(), &first.unstruck);
            picture = timeline(&first.events, Style::default()) + &notes;
        }
        Verdict {
            picture,
            problems,
            notes: notes::of(run, &first),
            journal: Some(first),
        }
    }

    /// Judges one more run, with a further seed.
    pub fn judge_seed(&self, run: &Run, ran: Result<Ran, RunError>) -> Verdict {
        let journal = match ran {
            Ok(ran) => ran.journal,
            Err(error) => {
                let problem = Problem::new(ProblemKind::Internal, error.to_string());
                return Verdict::without_run(vec![problem]);
            }
        };
        let mut problems = self.problems_of_run(run, &journal);
        // If main fails by a fault in the file, no law about main breaks, and a shared resource is not to blame.
        let main_failed = journal.main_failed().is_some() && problems.iter().any(is_about_main);
        if let Some(problem) = problems.first_mut() {
            let seed = run.options.seed;
            problem.message = format!("with seed {seed}: {}", problem.message);
            if main_failed {
                let _ = writeln!(problem.detail, "{ADVICE_SHARED}");
            }
        }
        Verdict {
            picture: timeline(&journal.events, Style::default()),
            problems,
            notes: Vec::new(),
            journal: Some(journal),
        }
    }

    /// Returns a problem for each name in the file or in `uses` that the worker did not register.
    fn unknown_names(&self, run: &Run, first: &Journal) -> Vec<Problem> {
        let mut problems = self.problems_of(not_registered(&run.scenario, &self.text, first));
        if let (Some(error), false) = (first.main_failed(), problems.is_empty()) {
            // The failure of main is why the names are missing.
            let failed = format!("main failed: {error}");
            problems.insert(0, Problem::new(ProblemKind::Invalid, failed));
        }
        problems.extend(unknown_uses(first));
        problems
    }

    /// Returns the problems of code that the simulator cannot run, or cannot run twice with the same result.
    fn not_simulated(&self, run: &Run, first: &Journal, second: &Journal) -> Vec<Problem> {
        let style = Style::default();
        let adopted = not_adopted(first).into_iter().map(|name| {
            Problem::new(
                ProblemKind::Invalid,
                format!(
                    "the thread \"{name}\" runs already, in real time, and cannot be simulated: register it with \
                     `add_thread`, or leave it out under test"
                ),
            )
        });
        let mut problems: Vec<_> = adopted.collect();
        let outside = first.outside.as_ref().or(second.outside.as_ref());
        problems.extend(outside.map(|asked| Problem {
            detail: format!("{ADVICE_OUTSIDE}\n"),
            ..Problem::new(
                ProblemKind::Invalid,
                format!("the context was asked for {asked} by a thread that the simulator knows nothing of"),
            )
        }));
        // If either run stands still, the stall is reported instead of the difference that follows from it.
        if first.aside.stall.is_some() || outside.is_some() {
            return problems;
        }
        if let Some(stall) = real::stall(second) {
            problems.push(stall);
            return problems;
        }
        let differ = differs(&first.events, &second.events, run.options.seed, style);
        problems.extend(differ.map(|problem| with_likely_cause(problem, first, second)));
        problems
    }

    /// Returns the problems of a run: it stands still, tests nothing, exceeds a bound in real time, or breaks laws or
    /// the file's expectations.
    fn problems_of_run(&self, run: &Run, journal: &Journal) -> Vec<Problem> {
        let style = Style::default();
        let mut judged = judge(&run.scenario, self.source(), &journal.events, style);
        if let Some(stall) = real::stall(journal) {
            // The law about bodies reports the same event again. The file's expectations cannot be judged on a run
            // that was cut off.
            let same = real::message_at_last_event(journal);
            judged.retain(|problem| {
                !matches!(problem.kind, ProblemKind::Stuck | ProblemKind::Expectation)
                    && Some(&problem.message) != same.as_ref()
            });
            judged.insert(0, stall);
            return judged;
        }
        for problem in &mut judged {
            if problem.law == Some("ends/explained") {
                problem.detail = explained::detail(journal, problem);
            }
        }
        let mut problems = real::turns_over_bound(journal);
        if !judged.iter().any(is_about_main) {
            problems.extend(tests_nothing(&run.scenario, journal));
        }
        problems.extend(judged);
        problems
    }

    fn never_struck(&self, timed: &Timed) -> Problem {
        let message = "expected this event to strike: it never did";
        let wrong = Diagnostic::error("unmet-expectation", timed.span.clone(), message, "never struck")
            .help("the run was over by then, or what it waits for never came: leave it out, or have it strike earlier");
        Problem {
            line: Some(scenario::line_of(&self.text, timed.span.start)),
            detail: scenario::render(&[wrong], &self.path, &self.text, false),
            ..Problem::new(ProblemKind::Expectation, message)
        }
    }

    fn problems_of(&self, diagnostics: Vec<Diagnostic>) -> Vec<Problem> {
        self.invalid_problems(&Invalid { diagnostics })
    }

    fn invalid_problems(&self, wrong: &Invalid) -> Vec<Problem> {
        invalid(self.source(), wrong, Style::default())
    }

    fn source(&self) -> Source<'_> {
        Source {
            path: &self.path,
            text: &self.text,
        }
    }
}

/// Adds the likely cause to the problem that two runs differ.
fn with_likely_cause(mut problem: Problem, first: &Journal, second: &Journal) -> Problem {
    let failed = [("first", first), ("second", second)].map(|(which, journal)| {
        let error = journal.main_failed()?;
        Some((which, error))
    });
    match failed {
        [Some((which, error)), None] | [None, Some((which, error))] => Problem {
            detail: format!("{ADVICE_SHARED}\n"),
            ..Problem::new(
                ProblemKind::NotDeterministic,
                format!("main failed in the {which} of two runs only: {error}"),
            )
        },
        _ => {
            let _ = writeln!(problem.detail, "\n{ADVICE_DIFFERS}");
            problem
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Runners;
    use deadstop::context::{MainError, WorkerCtx};

    /// Returns what is reported of one more seed of a worker whose main fails at once, if `fails`.
    fn report_of_seed(fails: bool, events: &str) -> String {
        let own = Own::new(move |_: WorkerCtx| async move {
            if fails {
                return Err(MainError::from("address in use"));
            }
            Ok(())
        });
        let case = OwnCase {
            name: "one".to_owned(),
            path: "one.toml".to_owned(),
            text: format!("title = \"One\"\n[timeline]\nevents = [{events}]\n[expect]\nexit = 3\n"),
        };
        let Ok(scenario) = case.parse(&own) else {
            panic!("a valid file");
        };
        let run = OwnCase::planned_run(&scenario, &own, 7);
        let runners = Runners::new(1).expect("a thread");
        let ran = runners.run_all([run.clone()]).next().expect("one run");
        let verdict = case.judge_seed(&run, ran);
        let problems = verdict.problems.iter();
        problems
            .map(|problem| format!("{}\n{}", problem.message, problem.detail))
            .collect()
    }

    #[test]
    fn shared_resources_are_suspected_if_main_fails_by_itself() {
        let by_itself = report_of_seed(true, r#"{ at = "10s", signal = "SIGTERM" }"#);
        assert!(by_itself.contains("with seed 7: "), "{by_itself}");
        assert!(by_itself.contains(ADVICE_SHARED), "{by_itself}");
        let scripted = report_of_seed(false, r#"{ on = "main", fail = "main" }"#);
        assert!(scripted.contains("with seed 7: "), "{scripted}");
        assert!(!scripted.contains(ADVICE_SHARED), "{scripted}");
    }
}
