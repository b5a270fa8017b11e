//! `deadstop check`: the gate.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use crate::journal::{Event, text};
use crate::report::{
    Policy, Problem, ProblemKind, Source, State, Store, Style, diff, force_pass, invalid, judge,
    timeline,
};
use crate::scenario::{self, Scenario};
use crate::sim::{Options, Runners, Subject};

use super::output::{err, out, style};
use super::place::{self, Found};
use super::seeds::Seeds;
use super::twice::{Item, Twice, twice};
use super::view::{listed, replay_line, rest, sentence};
use super::{Context, Done, Exit, Format};

/// So many failures are shown in full; the others in a sentence.
const IN_FULL: usize = 10;

/// Run all scenarios twice, and judge them by laws, expectations and snapshots: the gate.
///
/// Each scenario is run a second time on another thread, in another order and on used stacks, and must
/// give the same journal. Quiet when all is well; for a failure, everything that is needed to mend it.
#[derive(Debug, Args)]
pub struct Check {
    /// Files, folders, parts of names, or tags; all scenarios without any
    #[arg(value_name = "PATH|FILTER")]
    what: Vec<String>,
    /// What to write: text for people, or one JSON object a scenario
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

/// A scenario file, and what is wrong with it.
struct Case {
    found: Found,
    path: String,
    text: String,
    scenario: Option<Arc<Scenario>>,
    faults: Vec<Fault>,
}

/// What is wrong with one run of a scenario, or with its file.
struct Fault {
    /// The run's seed; none for what is wrong with the file.
    seed: Option<u64>,
    problems: Vec<Problem>,
    /// The picture of the run.
    picture: String,
}

/// What is written for a scenario as JSON.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    verdict: &'a str,
    problems: Vec<ProblemLine<'a>>,
}

#[derive(Serialize)]
struct ProblemLine<'a> {
    kind: &'a str,
    law: Option<&'a str>,
    message: &'a str,
    line: Option<usize>,
    seed: Option<u64>,
}

/// What the whole run of the command came to.
#[derive(Default)]
struct Totals {
    scenarios: usize,
    runs: usize,
    events: u64,
    skipped: usize,
}

impl Check {
    pub fn run(self) -> Done {
        #[allow(
            clippy::disallowed_methods,
            reason = "how long the check took is told to people, and to nothing else"
        )]
        let began = std::time::Instant::now();
        let selection = place::select(&self.what).map_err(|message| (Exit::Invalid, message))?;
        if selection.found.is_empty() || !selection.unmatched.is_empty() {
            let why = place::why_nothing(&selection).map_err(|message| (Exit::Invalid, message))?;
            return Err((Exit::Nothing, why.join("\ndeadstop: ")));
        }
        let style = style();
        let mut cases: Vec<Case> = selection
            .found
            .into_iter()
            .map(|found| Case::read(found, style))
            .collect();
        let mut totals = Totals::default();
        self.judge(&mut cases, style, &mut totals)?;
        let mut over = Vec::new();
        if self.snapshots() {
            for root in &selection.whole {
                over.extend(left_over(root, &cases)?);
            }
        }
        let exit = cases
            .iter()
            .flat_map(|case| case.faults.iter().flat_map(|fault| &fault.problems))
            .chain(&over)
            .fold(Exit::Well, |exit, problem| exit.and(problem.kind.into()));
        match self.format {
            Format::Json => out(&cases.iter().map(Case::json).collect::<String>()),
            Format::Text => {
                let mut said = self.failures(&cases);
                for problem in &over {
                    let _ = writeln!(said, "{problem}");
                }
                totals.scenarios = cases.len();
                said.push_str(&summary(&cases, &over, &totals, began.elapsed()));
                out(&said);
            }
        }
        if self.format == Format::Json && !over.is_empty() {
            err(&over
                .iter()
                .map(|problem| problem.message.as_str())
                .collect::<Vec<_>>()
                .join("\n"));
        }
        Ok(if totals.runs == 0 {
            exit.and(Exit::Nothing)
        } else {
            exit
        })
    }

    /// Whether logs are compared with the accepted ones: those belong to the worker's context and seed 0.
    fn snapshots(&self) -> bool {
        self.context == Context::Worker && self.seed.is_none()
    }

    /// Runs everything twice, and judges it.
    fn judge(
        &self,
        cases: &mut [Case],
        style: Style,
        totals: &mut Totals,
    ) -> Result<(), (Exit, String)> {
        let variable = |name| std::env::var(name).ok();
        let bad = |error: crate::report::SnapshotError| (Exit::Usage, error.to_string());
        let policy = Policy::from_env(
            variable("CI").as_deref(),
            variable("INSTA_UPDATE").as_deref(),
        )
        .map_err(bad)?;
        let passes = force_pass(variable("INSTA_FORCE_PASS").as_deref()).map_err(bad)?;
        let snapshots = self.snapshots().then_some((policy, passes));
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
            seeds.iter().map(|seed| Item {
                at: *at,
                scenario: Arc::clone(scenario),
                options: Options { seed, subject },
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
        let mut faults = Vec::new();
        twice(&runners, items, total, |item, ran| {
            totals.runs += 2;
            totals.events += ran.events();
            let fault = cases[item.at].fault(item, ran, snapshots, style);
            faults.extend(fault.map(|fault| (item.at, fault)));
        });
        for (at, fault) in faults {
            cases[at].faults.push(fault);
        }
        Ok(())
    }

    /// What is said of the scenarios with faults.
    fn failures(&self, cases: &[Case]) -> String {
        let mut said = String::new();
        let mut shown = 0;
        for case in cases {
            let Some(fault) = case.faults.first() else {
                continue;
            };
            if fault
                .problems
                .iter()
                .all(|problem| Exit::from(problem.kind) == Exit::Snapshots)
            {
                for problem in &fault.problems {
                    let _ = writeln!(said, "{}: {problem}", case.found.name);
                }
                continue;
            }
            shown += 1;
            said.push_str(&case.failure(fault, self.context, shown <= IN_FULL));
        }
        if shown > IN_FULL {
            let _ = writeln!(
                said,
                "the first {IN_FULL} of {shown} failures are shown in full; `deadstop check NAME` shows one"
            );
        }
        said
    }
}

impl Case {
    /// Reads and parses a file.
    fn read(found: Found, style: Style) -> Case {
        let path = found.path.to_string_lossy().into_owned();
        let (text, parsed) = match found.read() {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let parsed = scenario::parse_bytes(&found.name, &bytes).map_err(|errors| {
                    invalid(
                        Source {
                            path: &path,
                            text: &text,
                        },
                        &errors,
                        style,
                    )
                });
                (text, parsed)
            }
            Err(message) => (
                String::new(),
                Err(vec![Problem::new(ProblemKind::Invalid, message)]),
            ),
        };
        let (scenario, faults) = match parsed {
            Ok(scenario) => (Some(Arc::new(scenario)), Vec::new()),
            Err(problems) => (
                None,
                vec![Fault {
                    seed: None,
                    problems,
                    picture: String::new(),
                }],
            ),
        };
        Case {
            found,
            path,
            text,
            scenario,
            faults,
        }
    }

    /// What is wrong with what two runs gave.
    fn fault(
        &self,
        item: &Item,
        ran: Twice,
        snapshots: Option<(Policy, bool)>,
        style: Style,
    ) -> Option<Fault> {
        let seed = item.options.seed;
        let (first, second) = match ran {
            Twice::Ran(first, second) => (first, second),
            Twice::Broke(error) => {
                let problems = vec![Problem::new(ProblemKind::Internal, error.to_string())];
                return Some(Fault {
                    seed: Some(seed),
                    problems,
                    picture: String::new(),
                });
            }
        };
        let log = text(&first.events);
        let mut problems = Vec::new();
        if first != second {
            problems.push(Problem {
                detail: diff(&log, &text(&second.events), style),
                ..Problem::new(
                    ProblemKind::NotDeterministic,
                    format!(
                        "two runs with seed {seed} gave two journals (- the first, + the second)"
                    ),
                )
            });
        }
        let source = Source {
            path: &self.path,
            text: &self.text,
        };
        problems.extend(judge(&item.scenario, source, &first.events, &log, style));
        if let (Some((policy, passes)), Some(store)) = (snapshots, self.found.store()) {
            problems
                .extend(compare(&store, &self.found.name, &log, policy, style).filter(|_| !passes));
        }
        if problems.is_empty() {
            return None;
        }
        Some(Fault {
            seed: Some(seed),
            picture: picture(&problems, &first.events, style),
            problems,
        })
    }

    /// A failure, as people read it.
    fn failure(&self, fault: &Fault, context: Context, in_full: bool) -> String {
        let mut said = String::new();
        let Some((first, others)) = fault.problems.split_first() else {
            return said;
        };
        let _ = writeln!(said, "FAIL {}: {}", self.found.name, sentence(first));
        if in_full {
            said.push_str(&rest(first, true));
            said.push_str(&listed(others, first.law));
            said.push_str(&fault.picture);
        }
        if self.faults.len() > 1 {
            let seeds: Vec<_> = self
                .faults
                .iter()
                .filter_map(|fault| fault.seed)
                .take(10)
                .map(|seed| seed.to_string())
                .collect();
            let more = if self.faults.len() > seeds.len() {
                ", …"
            } else {
                ""
            };
            let _ = writeln!(
                said,
                "it fails with {} seeds: {}{more}",
                self.faults.len(),
                seeds.join(", ")
            );
        }
        if let (Some(scenario), Some(seed)) = (&self.scenario, fault.seed) {
            let options = Options {
                seed,
                subject: context.into(),
            };
            let _ = writeln!(
                said,
                "replay: {}",
                replay_line(&self.path, scenario, &options)
            );
        }
        said.push('\n');
        said
    }

    fn json(&self) -> String {
        let problems = self.faults.iter().flat_map(|fault| {
            fault.problems.iter().map(|problem| ProblemLine {
                kind: problem.kind.as_str(),
                law: problem.law,
                message: &problem.message,
                line: problem.line,
                seed: fault.seed,
            })
        });
        let line = Line {
            scenario: &self.found.name,
            verdict: verdict(self.exit()),
            problems: problems.collect(),
        };
        // Texts and numbers: nothing in it cannot be JSON.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }

    fn exit(&self) -> Exit {
        let problems = self.faults.iter().flat_map(|fault| &fault.problems);
        problems.fold(Exit::Well, |exit, problem| exit.and(problem.kind.into()))
    }
}

/// One run a core at once.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The picture of a failed run; one whose log is only not accepted needs none.
fn picture(problems: &[Problem], events: &[Event], style: Style) -> String {
    let failed = problems
        .iter()
        .any(|problem| Exit::from(problem.kind) != Exit::Snapshots);
    if failed {
        timeline(events, style)
    } else {
        String::new()
    }
}

/// Compares a log with its snapshot.
fn compare(store: &Store, name: &str, log: &str, policy: Policy, style: Style) -> Option<Problem> {
    let (state, wrote) = match store.record(name, log, policy) {
        Ok(recorded) => recorded,
        Err(error) => {
            return Some(Problem::new(
                ProblemKind::SnapshotDiffers,
                error.to_string(),
            ));
        }
    };
    if wrote == crate::report::Wrote::Snapshot {
        return None; // Accepted at once, as the environment asks.
    }
    let waits = match (policy, wrote) {
        (Policy::Nothing, _) => "nothing is written here; check it where it may be",
        _ => "it is pending: if it is right, accept it",
    };
    match state {
        State::Same => None,
        State::Missing => Some(Problem::new(
            ProblemKind::SnapshotMissing,
            format!("no log was accepted yet; {waits}"),
        )),
        State::Pending { old: None } => Some(Problem::new(
            ProblemKind::SnapshotPending,
            "its first log is pending: if it is right, accept it",
        )),
        State::Differs { old } | State::Pending { old: Some(old) } => Some(Problem {
            detail: diff(&old, log, style),
            ..Problem::new(
                ProblemKind::SnapshotDiffers,
                format!("the log is not the accepted one (- accepted, + now); {waits}"),
            )
        }),
    }
}

/// Snapshots that no scenario has, and pending ones that no scenario made just now.
fn left_over(scenarios: &Path, cases: &[Case]) -> Result<Vec<Problem>, (Exit, String)> {
    let failed = |error: crate::report::SnapshotError| (Exit::Failed, error.to_string());
    let root = scenarios
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from)
        .join("snapshots");
    let store = Store::new(root);
    let mut over = Vec::new();
    for path in store
        .unreferenced(cases.iter().map(|case| case.found.name.as_str()))
        .map_err(failed)?
    {
        over.push(Problem::new(
            ProblemKind::SnapshotUnreferenced,
            format!("{}: no scenario has this snapshot; delete it with `deadstop accept --unreferenced`", path.display()),
        ));
    }
    for name in store.pending().map_err(failed)? {
        let told = cases
            .iter()
            .any(|case| case.found.name == name && !case.faults.is_empty());
        if !told {
            over.push(Problem::new(ProblemKind::SnapshotPending, format!("{name}: a log is pending that the scenario does not give; `deadstop reject {name}`")));
        }
    }
    Ok(over)
}

fn verdict(exit: Exit) -> &'static str {
    match exit {
        Exit::Well => "ok",
        Exit::Invalid => "invalid",
        Exit::NotDeterministic => "not-deterministic",
        Exit::Snapshots => "snapshot",
        Exit::Internal => "internal",
        Exit::Failed | Exit::Usage | Exit::Nothing => "failed",
    }
}

/// The one line of figures.
fn summary(cases: &[Case], over: &[Problem], totals: &Totals, took: std::time::Duration) -> String {
    let count = |exit: Exit| cases.iter().filter(|case| case.exit() == exit).count();
    let mut bad = Vec::new();
    for (exit, word) in [
        (Exit::Internal, "broke deadstop"),
        (Exit::Invalid, "invalid"),
        (Exit::NotDeterministic, "not deterministic"),
        (Exit::Failed, "failed"),
    ] {
        let n = count(exit);
        if n > 0 {
            bad.push(format!("{n} {word}"));
        }
    }
    let snapshots = count(Exit::Snapshots) + over.len();
    if snapshots > 0 {
        bad.push(format!("{snapshots} with a snapshot to look at"));
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
    let verdict = if bad.is_empty() {
        "all well".to_owned()
    } else {
        bad.join(", ")
    };
    format!("{line} in {} ms: {verdict}\n", took.as_millis())
}

fn plural(n: u64, word: &str) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {word}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn figures_are_grouped() {
        assert_eq!(plural(1, "run"), "1 run");
        assert_eq!(plural(144, "run"), "144 runs");
        assert_eq!(plural(1_234_567, "event"), "1,234,567 events");
    }
}
