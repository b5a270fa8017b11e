//! One scenario for a worker of one's own: what is wrong with it, and how that is told.

use std::fmt::Write;
use std::sync::Arc;

use crate::report::{
    Problem, ProblemKind, Source, Style, differs, invalid, judge, never_struck, shown, timeline,
};
use crate::scenario::{self, Diagnostic, Invalid, Scenario, Timed};
use crate::sim::{Bodies, Journal, Options, Own, Ran, Run, RunError, Twice};

use super::names::{cannot_be, not_adopted, not_registered, unknown_uses};
use super::nothing::{is_about_main, main_given_up, main_is_over, tests_nothing};
use super::{explained, notes, real};

/// What to look for where two runs differ.
const ADVICE: &str = "what differs from run to run: `select!` without `biased`, the order of a `HashMap`, random \
numbers, a real clock,\na thread or a socket that the context knows nothing of, a `static` that is kept from the run \
before";

/// What to look for where main fails in one of two runs only.
const SHARED: &str = "a port, a file or a lock that two runs share? Each scenario is run twice, and tests run side by side: bind port 0, \
and\nkeep what is one in the process (a port, a global) behind the state, so that a test can give another";

/// What to do about threads that are not the world's.
const OUTSIDE: &str = "threads of `std::thread` and of `spawn_blocking` run in real time: what they ask for is in no journal, and when\n\
     it is heard is chance. Ask from main, a task, a thread or a callback of the context's";

/// A scenario's name, and its text.
pub(super) struct Case {
    pub name: String,
    /// The file's path, as the user knows it.
    pub path: String,
    pub text: String,
}

/// What a scenario came to.
pub(super) struct Verdict {
    pub problems: Vec<Problem>,
    /// What is no failure, a sentence each.
    pub notes: Vec<String>,
    picture: String,
    /// What happened, if anything did.
    pub journal: Option<Journal>,
}

impl Verdict {
    fn of(problems: Vec<Problem>) -> Self {
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

    /// Returns what went wrong, as people read it, but for how to run it again.
    pub fn told(&self, name: &str) -> String {
        let mut told = shown(name, &self.problems, &self.picture, true);
        for note in &self.notes {
            let _ = writeln!(told, "note: {note}");
        }
        told
    }

    /// The log of its run and the picture, if anything happened.
    pub fn run_shown(&self) -> Option<String> {
        let journal = self.journal.as_ref()?;
        let picture = timeline(&journal.events, Style::default());
        Some(format!("{}\n\n{picture}", journal.to_string().trim_end()))
    }

    /// Whether main was given up, and it is to be seen what it does left alone.
    pub fn asks_for_main(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| self.is_for_main(problem))
    }

    /// Whether a problem is told better by what main does left alone: main was given up, or nothing was tested since
    /// main was not done.
    fn is_for_main(&self, problem: &Problem) -> bool {
        let journal = self.journal.as_ref();
        journal.is_some_and(|journal| !main_is_over(journal))
            && (is_about_main(problem) || problem.kind == ProblemKind::TestsNothing)
    }

    /// Adds what main does left alone.
    pub fn add_main(&mut self, alone: Option<&Journal>) {
        let Some(journal) = &self.journal else { return };
        let mut problems = self.problems.iter();
        let Some(at) = problems.position(|problem| self.is_for_main(problem)) else {
            return;
        };
        let said = main_given_up(journal, alone);
        let problem = &mut self.problems[at];
        problem.detail = match problem.kind {
            // It has a way out of its own.
            ProblemKind::TestsNothing => said + &problem.detail,
            _ => said,
        };
    }
}

impl Case {
    /// The scenario, or what keeps it from being run.
    pub fn parse(&self, own: &Own) -> Result<Arc<Scenario>, Box<Verdict>> {
        let parsed = scenario::parse_with(&self.name, &self.text, own.own_limits());
        let scenario = parsed.map_err(|invalid| Box::new(Verdict::of(self.invalid(&invalid))))?;
        let cannot_be = cannot_be(&scenario, &self.text);
        if cannot_be.is_empty() {
            Ok(Arc::new(scenario))
        } else {
            Err(Box::new(Verdict::of(self.wrong(cannot_be))))
        }
    }

    /// A run of it.
    pub fn run(scenario: &Arc<Scenario>, own: &Own, seed: u64) -> Run {
        let options = Options {
            seed,
            // A user's code has thread-locals, locks and destructors.
            bodies: Bodies::Batons,
            ..Options::default()
        };
        Run::new(Arc::clone(scenario), options).of(own.clone())
    }

    /// Judges what two runs gave; by laws and expectations only if `laws`.
    pub fn judge(&self, run: &Run, ran: Twice, laws: bool) -> Verdict {
        let (first, second) = match ran {
            Twice::Ran(first, second) => (first, second),
            Twice::Broke(error) => {
                let problem = Problem::new(ProblemKind::Internal, error.to_string());
                return Verdict::of(vec![problem]);
            }
        };
        let mut problems = self.not_simulated(run, &first, &second);
        let unknown = self.unknown_names(run, &first);
        // Names that are not there are why all else fails; unless the run was over before main could register them.
        let over = main_is_over(&first) && first.aside.stall.is_none();
        let is_invalid = |problem: &Problem| problem.kind == ProblemKind::Invalid;
        if laws && !problems.iter().any(is_invalid) && (unknown.is_empty() || !over) {
            problems.extend(self.broken(run, &first));
        }
        if over || problems.is_empty() {
            problems.splice(0..0, unknown);
        }
        let mut picture = String::new();
        if problems.is_empty() {
            // Each run is the same: what has not struck in this one never does, and tests nothing.
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

    /// Judges one more run, with another seed.
    pub fn judge_seed(&self, run: &Run, ran: Result<Ran, RunError>) -> Verdict {
        let journal = match ran {
            Ok(ran) => ran.journal,
            Err(error) => {
                let problem = Problem::new(ProblemKind::Internal, error.to_string());
                return Verdict::of(vec![problem]);
            }
        };
        let mut problems = self.broken(run, &journal);
        // A main that fails since the file says so is about what is in the file.
        let main_failed = journal.main_failed().is_some() && problems.iter().any(is_about_main);
        if let Some(problem) = problems.first_mut() {
            let seed = run.options.seed;
            problem.message = format!("with seed {seed}: {}", problem.message);
            if main_failed {
                let _ = writeln!(problem.detail, "{SHARED}");
            }
        }
        Verdict {
            picture: timeline(&journal.events, Style::default()),
            problems,
            notes: Vec::new(),
            journal: Some(journal),
        }
    }

    /// Names in the file, or in `uses`, that the worker did not register.
    fn unknown_names(&self, run: &Run, first: &Journal) -> Vec<Problem> {
        let mut problems = self.wrong(not_registered(&run.scenario, &self.text, first));
        if let (Some(error), false) = (first.main_failed(), problems.is_empty()) {
            // That is why the names are missing.
            let failed = format!("main failed: {error}");
            problems.insert(0, Problem::new(ProblemKind::Invalid, failed));
        }
        problems.extend(unknown_uses(first));
        problems
    }

    /// What the simulator cannot run, or not twice the same.
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
            detail: format!("{OUTSIDE}\n"),
            ..Problem::new(
                ProblemKind::Invalid,
                format!("the context was asked for {asked} by a thread that the simulator knows nothing of"),
            )
        }));
        // A run that stands still is told as that, whichever of the two it is.
        if first.aside.stall.is_some() || outside.is_some() {
            return problems;
        }
        if let Some(stall) = real::stall(second) {
            problems.push(stall);
            return problems;
        }
        let differ = differs(&first.events, &second.events, run.options.seed, style);
        problems.extend(differ.map(|problem| explained(problem, first, second)));
        problems
    }

    /// What is wrong with a run: it stands still, tests nothing, breaks laws or the file's expectations.
    fn broken(&self, run: &Run, journal: &Journal) -> Vec<Problem> {
        let style = Style::default();
        let mut judged = judge(&run.scenario, self.source(), &journal.events, style);
        if let Some(stall) = real::stall(journal) {
            // The law about bodies says the same of the same event, and a run that was cut off knows nothing of what
            // the file expects.
            let same = real::said_by_law(journal);
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
        let mut problems = real::over_bound(journal);
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

    fn wrong(&self, diagnostics: Vec<Diagnostic>) -> Vec<Problem> {
        self.invalid(&Invalid { diagnostics })
    }

    fn invalid(&self, wrong: &Invalid) -> Vec<Problem> {
        invalid(self.source(), wrong, Style::default())
    }

    fn source(&self) -> Source<'_> {
        Source {
            path: &self.path,
            text: &self.text,
        }
    }
}

/// Adds what may be the cause where two runs differ.
fn explained(mut problem: Problem, first: &Journal, second: &Journal) -> Problem {
    let failed = [("first", first), ("second", second)].map(|(which, journal)| {
        let error = journal.main_failed()?;
        Some((which, error))
    });
    match failed {
        [Some((which, error)), None] | [None, Some((which, error))] => Problem {
            detail: format!("{SHARED}\n"),
            ..Problem::new(
                ProblemKind::NotDeterministic,
                format!("main failed in the {which} of two runs only: {error}"),
            )
        },
        _ => {
            let _ = writeln!(problem.detail, "\n{ADVICE}");
            problem
        }
    }
}
