//! One scenario of a check: reads its file, judges its runs, and words what is wrong. `deadstop live` uses it, too.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use deadstop_harness::journal::text;
use deadstop_harness::report::{
    Policy, Problem, ProblemKind, SnapshotError, Source, State, Store, Style, Wrote, diff, differs,
    invalid, judge, shown, timeline,
};
use deadstop_harness::scenario::{self, Scenario};
use deadstop_harness::sim::{Journal, Options, Run, Twice, cores};

use super::place::FoundFile;
use super::view::replay_line;
use super::{Context, Exit};

/// A scenario file, and what is wrong with it and with its runs.
pub struct Case {
    pub found: FoundFile,
    pub path: String,
    pub text: String,
    pub scenario: Option<Arc<Scenario>>,
    pub findings: Vec<Finding>,
    /// Log of seed 0 that meets all laws and expectations, and is not the accepted one.
    unaccepted: Option<Unaccepted>,
}

/// A log that differs from the accepted one.
struct Unaccepted {
    log: String,
    state: Result<State, SnapshotError>,
    /// Picture of the run; empty unless another log is accepted.
    picture: String,
}

/// The problems of one run of a scenario, or of its file.
pub struct Finding {
    /// Seed of the run; `None` if the file is wrong.
    pub seed: Option<u64>,
    pub problems: Vec<Problem>,
    /// Picture of the run.
    pub picture: String,
}

impl Finding {
    /// Returns whether it is more than a log that is not accepted yet.
    pub fn is_failure(&self) -> bool {
        Exit::of(&self.problems) != Exit::Snapshots
    }
}

/// JSON object that is written for a scenario.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    path: &'a str,
    verdict: &'a str,
    problems: Vec<ProblemLine<'a>>,
    /// Command that shows the first of its failures again.
    replay: Option<String>,
}

#[derive(Serialize)]
pub struct ProblemLine<'a> {
    kind: &'a str,
    law: Option<&'a str>,
    message: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    component: Option<&'a str>,
    t: Option<u64>,
    seq: Option<u64>,
    seed: Option<u64>,
}

impl<'a> ProblemLine<'a> {
    pub fn new(problem: &'a Problem, seed: Option<u64>) -> Self {
        let at = problem.at.as_ref();
        ProblemLine {
            kind: problem.kind.as_str(),
            law: problem.law,
            message: &problem.message,
            line: problem.line,
            column: problem.column,
            component: at.and_then(|at| at.component.as_deref()),
            t: at.map(|at| at.t),
            seq: at.map(|at| at.seq),
            seed,
        }
    }
}

/// Minimum number of files for each thread to read: for fewer, a further thread is not worth its start.
const MIN_FILES_PER_THREAD: usize = 16;

impl Case {
    /// Reads and parses all files that were found, on several threads.
    pub fn read_all(found: Vec<FoundFile>, style: Style) -> Vec<Case> {
        let read = |found: &FoundFile| Case::read(found.clone(), style);
        let each = found.len().div_ceil(cores()).max(MIN_FILES_PER_THREAD);
        let (here, beside) = found.split_at(each.min(found.len()));
        std::thread::scope(|scope| {
            let beside = beside.chunks(each).map(|part| {
                let job = move || part.iter().map(read).collect::<Vec<_>>();
                let reader = std::thread::Builder::new().spawn_scoped(scope, job);
                (part, reader)
            });
            let beside: Vec<_> = beside.collect();
            let mut cases: Vec<Case> = here.iter().map(read).collect();
            for (part, reader) in beside {
                // Files for which no thread could be started are read here.
                match reader.map(std::thread::ScopedJoinHandle::join) {
                    Ok(Ok(more)) => cases.extend(more),
                    Ok(Err(panic)) => std::panic::resume_unwind(panic),
                    Err(_) => cases.extend(part.iter().map(read)),
                }
            }
            cases
        })
    }

    /// Reads and parses a file.
    pub fn read(found: FoundFile, style: Style) -> Case {
        let path = found.shown();
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
        let (scenario, findings) = match parsed {
            Ok(scenario) => (Some(Arc::new(scenario)), Vec::new()),
            Err(problems) => (
                None,
                vec![Finding {
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
            findings,
            unaccepted: None,
        }
    }

    /// Judges the two runs of a scenario and returns what is wrong. With a policy, compares their log with its
    /// snapshot. A log that differs from it, and breaks nothing, is kept for [`compare_log`](Self::compare_log).
    pub fn judge_both(
        &mut self,
        run: &Run,
        ran: Twice,
        snapshots: Option<Policy>,
        style: Style,
    ) -> Option<Finding> {
        let seed = run.options.seed;
        let (first, second) = match ran {
            Twice::Ran(first, second) => (first, second),
            Twice::Broke(error) => {
                let problems = vec![Problem::new(ProblemKind::Internal, error.to_string())];
                return Some(Finding {
                    seed: Some(seed),
                    problems,
                    picture: String::new(),
                });
            }
        };
        let mut problems = Vec::from_iter(differs(&first.events, &second.events, seed, style));
        problems.extend(self.problems_of(run, &first, style));
        if let (Some(policy), Some(store)) = (snapshots, self.found.store()) {
            let log = text(&first.events);
            let state = store.compare(&self.found.name, &log);
            if problems.is_empty() && !matches!(state, Ok(State::Same)) {
                let picture = match state {
                    Ok(State::Differs { .. } | State::Pending { old: Some(_) }) => {
                        timeline(&first.events, style)
                    }
                    _ => String::new(),
                };
                self.unaccepted = Some(Unaccepted {
                    log,
                    state,
                    picture,
                });
            } else {
                let is_well = problems.is_empty();
                problems.extend(self.settle(&store, &log, state, (policy, is_well), style));
            }
        }
        if problems.is_empty() {
            return None;
        }
        Some(Finding {
            seed: Some(seed),
            picture: timeline(&first.events, style),
            problems,
        })
    }

    /// Compares the log that was kept with its snapshot. If further seeds failed, nothing is written.
    pub fn compare_log(&mut self, policy: Policy, style: Style) {
        let (Some(unaccepted), Some(store)) = (self.unaccepted.take(), self.found.store()) else {
            return;
        };
        let Unaccepted {
            log,
            state,
            picture,
        } = unaccepted;
        let is_well = self.findings.is_empty();
        let mismatch = self.settle(&store, &log, state, (policy, is_well), style);
        self.findings.extend(mismatch.map(|problem| Finding {
            seed: Some(0),
            problems: vec![problem],
            picture,
        }));
    }

    /// Writes what the policy allows for a log that was compared with its snapshot, and returns what is wrong. A log that
    /// breaks a law or an expectation must not be accepted: unless the scenario is well, nothing is written, and only a
    /// failure is returned.
    fn settle(
        &self,
        store: &Store,
        log: &str,
        state: Result<State, SnapshotError>,
        (policy, is_well): (Policy, bool),
        style: Style,
    ) -> Option<Problem> {
        let policy = if is_well { policy } else { Policy::Nothing };
        let settled = state.and_then(|state| {
            let wrote = store.settle(&self.found.name, log, &state, policy)?;
            Ok((state, wrote))
        });
        let mismatch = mismatch(settled, log, policy, style);
        mismatch.filter(|problem| is_well || Exit::from(problem.kind) == Exit::Failed)
    }

    /// Judges one run by laws and expectations alone, and returns what is wrong.
    pub fn judge_one(&self, run: &Run, journal: &Journal, style: Style) -> Option<Finding> {
        let problems = self.problems_of(run, journal, style);
        (!problems.is_empty()).then(|| Finding {
            seed: Some(run.options.seed),
            picture: timeline(&journal.events, style),
            problems,
        })
    }

    /// Returns a problem for each law and expectation that a run does not meet.
    fn problems_of(&self, run: &Run, journal: &Journal, style: Style) -> Vec<Problem> {
        let source = Source {
            path: &self.path,
            text: &self.text,
        };
        judge(&run.scenario, source, &journal.events, style)
    }

    /// Returns the text of a failure for people.
    pub fn failure_text(&self, finding: &Finding, context: Context, in_full: bool) -> String {
        let mut text = String::new();
        if finding.problems.is_empty() {
            return text;
        }
        text.push_str(&shown(
            &self.found.name,
            &finding.problems,
            &finding.picture,
            in_full,
        ));
        let failed = self.failures().count();
        if failed > 1 {
            let seeds: Vec<_> = self
                .failures()
                .filter_map(|finding| finding.seed)
                .take(10)
                .map(|seed| seed.to_string())
                .collect();
            let more = if failed > seeds.len() { ", …" } else { "" };
            let _ = writeln!(
                text,
                "it fails with {failed} seeds: {}{more}",
                seeds.join(", ")
            );
        }
        if let Some(replay) = self.replay_command(finding, context) {
            let _ = writeln!(text, "replay: {replay}");
        }
        text.push('\n');
        text
    }

    /// Returns the command that shows a failure again.
    fn replay_command(&self, finding: &Finding, context: Context) -> Option<String> {
        let options = Options {
            seed: finding.seed?,
            subject: context.into(),
            ..Options::default()
        };
        Some(replay_line(&self.path, self.scenario.as_ref()?, &options))
    }

    /// Returns the findings that are more than a log that is not accepted yet.
    pub fn failures(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_failure())
    }

    pub fn json(&self, context: Context) -> String {
        let problems = self.findings.iter().flat_map(|finding| {
            let line = |problem| ProblemLine::new(problem, finding.seed);
            finding.problems.iter().map(line)
        });
        let line = Line {
            scenario: &self.found.name,
            path: &self.path,
            verdict: self.verdict(),
            problems: problems.collect(),
            replay: self
                .failures()
                .find_map(|finding| self.replay_command(finding, context)),
        };
        // The object contains only texts and numbers, which can always be written as JSON.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }

    pub fn exit(&self) -> Exit {
        Exit::of(self.findings.iter().flat_map(|finding| &finding.problems))
    }

    /// Returns the verdict in one word. A scenario for an own worker is not run here.
    pub fn verdict(&self) -> &'static str {
        match self.exit() {
            Exit::Well if self.is_for_own_worker() => "not-run",
            Exit::Well => "ok",
            Exit::Invalid => "invalid",
            Exit::NotDeterministic => "not-deterministic",
            Exit::Snapshots => "snapshot",
            Exit::Internal => "internal",
            Exit::Failed | Exit::Usage | Exit::Nothing => "failed",
        }
    }

    fn is_for_own_worker(&self) -> bool {
        let scenario = self.scenario.as_ref();
        scenario.is_some_and(|scenario| scenario.worker.components.is_none())
    }
}

/// Returns what is wrong with a log, by how it stands to its snapshot and what was written.
fn mismatch(
    settled: Result<(State, Wrote), SnapshotError>,
    log: &str,
    policy: Policy,
    style: Style,
) -> Option<Problem> {
    let (state, wrote) = match settled {
        Ok(settled) => settled,
        Err(error) => {
            return Some(Problem::new(ProblemKind::SnapshotError, error.to_string()));
        }
    };
    if wrote == Wrote::Snapshot {
        return None; // Accepted at once, as the environment asks.
    }
    let waits = match (policy, wrote) {
        (Policy::Nothing, _) => "nothing was made pending",
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
