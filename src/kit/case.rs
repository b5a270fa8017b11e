//! One scenario for a worker of one's own: what is wrong with it, and how that is told.

use std::fmt::Write;
use std::sync::Arc;

use crate::journal::text;
use crate::report::{
    Problem, ProblemKind, Source, Style, differs, invalid, judge, never_struck, shown, timeline,
};
use crate::scenario::{self, Diagnostic, Invalid, Scenario, Timed};
use crate::sim::{Bodies, Journal, Options, Own, Run, Twice};

use super::names::{cannot_be, not_adopted, not_registered};

/// What to look for where two runs differ.
const ADVICE: &str = "what differs from run to run: `select!` without `biased`, the order of a `HashMap`, random \
numbers, a real clock,\na thread or a socket that the context knows nothing of, a `static` that is kept from the run \
before";

/// What to do about code that keeps its thread.
const BLOCKS: &str = "code that waits past its scope, or computes for ever, keeps its thread for good: `scope.wait`, `scope.sleep` and\n\
     `scope.block_on` take virtual time, and `scope.running()` says when to stop. At a breakpoint, `DEADSTOP_PATIENCE=10m`";

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
    picture: String,
    /// What happened, if anything did.
    pub journal: Option<Journal>,
}

impl Verdict {
    fn of(problems: Vec<Problem>) -> Self {
        Verdict {
            problems,
            picture: String::new(),
            journal: None,
        }
    }

    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// What went wrong, as people read it, but for how to run it again.
    pub fn told(&self, name: &str) -> String {
        shown(name, &self.problems, &self.picture, true)
    }
}

impl Case {
    /// The scenario, or what keeps it from being run.
    pub fn parse(&self) -> Result<Arc<Scenario>, Verdict> {
        let parsed = scenario::parse(&self.name, &self.text);
        let scenario = parsed.map_err(|invalid| Verdict::of(self.invalid(&invalid)))?;
        let cannot_be = cannot_be(&scenario, &self.text);
        if cannot_be.is_empty() {
            Ok(Arc::new(scenario))
        } else {
            Err(Verdict::of(self.wrong(cannot_be)))
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
        let style = Style::default();
        let mut problems = self.wrong(not_registered(&run.scenario, &self.text, &first));
        if let (Some(error), false) = (first.main_failed(), problems.is_empty()) {
            // That is why the names are missing.
            let failed = format!("main failed: {error}");
            problems.insert(0, Problem::new(ProblemKind::Invalid, failed));
        }
        problems.extend(not_adopted(&first).into_iter().map(|name| {
            Problem::new(
                ProblemKind::Invalid,
                format!(
                    "the thread \"{name}\" runs already, in real time, and cannot be simulated: register it with \
                     `add_thread`, or leave it out under test"
                ),
            )
        }));
        let outside = first.outside.as_ref().or(second.outside.as_ref());
        problems.extend(outside.map(|asked| Problem {
            detail: format!("{OUTSIDE}\n"),
            ..Problem::new(
                ProblemKind::Invalid,
                format!("the context was asked for {asked} by a thread that the simulator knows nothing of"),
            )
        }));
        let differ = outside
            .is_none()
            .then(|| differs(&first.events, &second.events, run.options.seed, style))
            .flatten();
        problems.extend(differ.map(|mut problem| {
            let _ = writeln!(problem.detail, "\n{ADVICE}");
            problem
        }));
        // What a file says of names that are not there is noise.
        let known = problems
            .iter()
            .all(|problem| problem.kind != ProblemKind::Invalid);
        if laws && known {
            let log = text(&first.events);
            let judged = judge(&run.scenario, self.source(), &first.events, &log, style);
            let kept_its_thread = first.stuck().is_some() && first.registered().is_empty();
            problems.extend(judged.into_iter().filter_map(|mut problem| {
                if problem.kind == ProblemKind::Stuck && kept_its_thread {
                    problem.detail = format!("{BLOCKS}\n");
                }
                // Such a run knows nothing of what the file expects.
                (!kept_its_thread || problem.kind != ProblemKind::Expectation).then_some(problem)
            }));
        }
        let picture = if problems.is_empty() {
            // Each run is the same: what has not struck in this one never does, and tests nothing.
            if laws {
                let unstruck = run.scenario.events_at(&first.unstruck);
                problems.extend(unstruck.map(|timed| self.never_struck(timed)));
            }
            String::new()
        } else {
            let notes = never_struck(&run.scenario, self.source(), &first.unstruck);
            timeline(&first.events, style) + &notes
        };
        Verdict {
            picture,
            problems,
            journal: Some(first),
        }
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
