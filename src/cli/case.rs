//! One scenario of a check: reads its file, judges its runs, and words what is wrong. `deadstop live` uses it, too.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use crate::journal::{Event, text};
use crate::report::{
    Evidence, Finding, FindingKind, InFile, Policy, SnapshotError, Source, State, Store, Style,
    Wrote, differs, invalid, judge, sentence, shown, timeline,
};
use crate::scenario::{self, Scenario};
use crate::sim::{Journal, Options, Run, Twice, cores};

use super::Exit;
use super::place::FoundFile;
use super::view::replay_line;

/// A scenario file, and what is wrong with it and with its runs.
pub struct Case {
    pub found: FoundFile,
    pub path: String,
    pub text: String,
    pub scenario: Option<Arc<Scenario>>,
    /// Findings of the file or of its runs, by seed.
    pub runs: Vec<RunFindings>,
    /// Log of seed 0 that meets all laws and expectations, and is not the accepted one.
    unaccepted: Option<Unaccepted>,
}

/// A log that differs from the accepted one.
struct Unaccepted {
    log: String,
    state: Result<State, SnapshotError>,
    /// Events of the run; empty unless another log is accepted.
    events: Vec<Event>,
}

/// The findings of one run of a scenario, or of its file.
pub struct RunFindings {
    /// Seed of the run; `None` if the file is wrong.
    pub seed: Option<u64>,
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
    fn forget_evidence(&mut self) {
        self.events = Vec::new();
        for finding in &mut self.findings {
            finding.evidence = Evidence::Nothing;
        }
    }
}

/// JSON object that is written for a scenario.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    path: &'a str,
    verdict: &'a str,
    findings: Vec<FindingLine<'a>>,
    /// Command that shows the first of its failures again.
    replay: Option<&'a str>,
}

#[derive(Serialize)]
pub struct FindingLine<'a> {
    kind: &'a str,
    law: Option<&'a str>,
    expectation: Option<&'a str>,
    message: &'a str,
    path: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    component: Option<&'a str>,
    t: Option<u64>,
    seq: Option<u64>,
    seed: Option<u64>,
    replay: Option<&'a str>,
}

impl<'a> From<&'a Finding> for FindingLine<'a> {
    fn from(finding: &'a Finding) -> Self {
        let place = finding.place.as_ref();
        FindingLine {
            kind: finding.kind.as_str(),
            law: finding.law().map(|law| law.name),
            expectation: match finding.kind {
                FindingKind::Expectation(key) => Some(key),
                _ => None,
            },
            message: &finding.message,
            path: place.map(|place| &*place.path),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            component: finding.component.as_deref(),
            t: finding.at.map(|at| at.t),
            seq: finding.at.map(|at| at.seq),
            seed: finding.seed,
            replay: finding.replay.as_deref(),
        }
    }
}

/// Minimum number of files for each thread to read: for fewer, a further thread is not worth its start.
const MIN_FILES_PER_THREAD: usize = 16;

impl Case {
    /// Reads and parses all files that were found, on several threads.
    pub fn read_all(found: Vec<FoundFile>) -> Vec<Case> {
        let read = |found: &FoundFile| Case::read(found.clone());
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
    pub fn read(found: FoundFile) -> Case {
        let path = found.shown();
        let (text, parsed) = match found.read() {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let source = Source {
                    path: &path,
                    text: &text,
                };
                let parsed = scenario::parse_bytes(&found.name, &bytes);
                let parsed = parsed.map_err(|errors| invalid(source, &errors));
                (text, parsed)
            }
            Err(message) => {
                let finding = Finding::new(FindingKind::Invalid, message);
                let start = InFile::start(path.clone());
                (String::new(), Err(vec![finding.in_file(start)]))
            }
        };
        let (scenario, runs) = match parsed {
            Ok(scenario) => (Some(Arc::new(scenario)), Vec::new()),
            Err(findings) => (None, vec![RunFindings::of_file(findings)]),
        };
        Case {
            found,
            path,
            text,
            scenario,
            runs,
            unaccepted: None,
        }
    }

    /// Adds the findings of a run; runs may come in any order. What is shown of a failure is kept for the first one
    /// alone, since there may be millions.
    pub fn add(&mut self, run: RunFindings) {
        let at = self.runs.partition_point(|other| other.seed <= run.seed);
        self.runs.insert(at, run);
        let failures = self.runs.iter_mut().filter(|run| run.is_failure());
        failures
            .skip(1)
            .take(1)
            .for_each(RunFindings::forget_evidence);
    }

    /// Judges the two runs of a scenario and returns what is wrong. With a policy, compares their log with its
    /// snapshot. A log that differs from it, and breaks nothing, is kept for [`compare_log`](Self::compare_log).
    pub fn judge_both(
        &mut self,
        run: &Run,
        ran: Twice,
        snapshots: Option<Policy>,
    ) -> Option<RunFindings> {
        let (first, second) = match ran {
            Twice::Ran(first, second) => (first, second),
            Twice::Broke(error) => {
                let finding = Finding::new(FindingKind::Internal, error.to_string());
                return self.run_findings(run, vec![finding], Vec::new());
            }
        };
        let seed = run.options.seed;
        let mut findings = Vec::from_iter(differs(&first.events, &second.events, seed));
        findings.extend(judge(&run.scenario, self.source(), &first.events));
        if let (Some(policy), Some(store)) = (snapshots, self.found.store()) {
            let log = text(&first.events);
            let state = store.compare(&self.found.name, &log);
            if findings.is_empty() && !matches!(state, Ok(State::Same)) {
                let events = match state {
                    Ok(State::Differs { .. } | State::Pending { old: Some(_) }) => first.events,
                    _ => Vec::new(),
                };
                self.unaccepted = Some(Unaccepted { log, state, events });
                return None;
            }
            let is_well = findings.is_empty();
            findings.extend(self.settle(&store, &log, state, (policy, is_well)));
        }
        self.run_findings(run, findings, first.events)
    }

    /// Compares the log that was kept with its snapshot. If further seeds failed, nothing is written.
    pub fn compare_log(&mut self, policy: Policy) {
        let (Some(unaccepted), Some(store)) = (self.unaccepted.take(), self.found.store()) else {
            return;
        };
        let Unaccepted { log, state, events } = unaccepted;
        let is_well = self.runs.is_empty();
        let Some(mismatch) = self.settle(&store, &log, state, (policy, is_well)) else {
            return;
        };
        let Some(scenario) = self.scenario.clone() else {
            return;
        };
        let run = Run::new(scenario, Options::default());
        if let Some(run) = self.run_findings(&run, vec![mismatch], events) {
            // The seeds that failed are told of first.
            self.runs.push(run);
        }
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
    ) -> Option<Finding> {
        let policy = if is_well { policy } else { Policy::Nothing };
        let settled = state.and_then(|state| {
            let wrote = store.settle(&self.found.name, log, &state, policy)?;
            Ok((state, wrote))
        });
        let mismatch = mismatch(settled, log, policy);
        mismatch.filter(|finding| is_well || finding.kind.is_failure())
    }

    /// Judges one run by laws and expectations alone, and returns what is wrong.
    pub fn judge_one(&self, run: &Run, journal: &Journal) -> Option<RunFindings> {
        let findings = judge(&run.scenario, self.source(), &journal.events);
        let events = match findings.is_empty() {
            true => Vec::new(),
            false => journal.events.clone(),
        };
        self.run_findings(run, findings, events)
    }

    /// Returns the findings of a run with the places and the commands that they lack; `None` without findings.
    pub fn run_findings(
        &self,
        run: &Run,
        findings: Vec<Finding>,
        events: Vec<Event>,
    ) -> Option<RunFindings> {
        if findings.is_empty() {
            return None;
        }
        let replay = replay_line(&self.path, &run.scenario, &run.options);
        let seed = run.options.seed;
        let findings = findings.into_iter().map(|finding| Finding {
            replay: Some(replay.clone()),
            ..finding.of_run(&run.scenario, self.source(), seed)
        });
        Some(RunFindings {
            seed: Some(seed),
            findings: findings.collect(),
            events,
        })
    }

    /// Returns the file, for messages that point into it.
    pub fn source(&self) -> Source<'_> {
        Source {
            path: &self.path,
            text: &self.text,
        }
    }

    /// Returns the text of a failure for people.
    pub fn failure_text(&self, run: &RunFindings, style: Style, in_full: bool) -> String {
        let mut text = String::new();
        let Some(first) = run.findings.first() else {
            return text;
        };
        let name = &self.found.name;
        if in_full {
            let picture = match run.events.is_empty() {
                true => String::new(),
                false => timeline(&run.events, style),
            };
            text.push_str(&shown(name, &run.findings, self.source(), &picture, style));
        } else {
            let _ = writeln!(text, "FAIL {name}: {}", sentence(first));
        }
        let failed = self.failures().count();
        if failed > 1 {
            let seeds: Vec<_> = self
                .failures()
                .filter_map(|run| run.seed)
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
        if let Some(replay) = &first.replay {
            let _ = writeln!(text, "replay: {replay}");
        }
        text.push('\n');
        text
    }

    /// Returns the runs in which something is wrong beyond a log that is not accepted yet.
    pub fn failures(&self) -> impl Iterator<Item = &RunFindings> {
        self.runs.iter().filter(|run| run.is_failure())
    }

    /// Returns all findings of the file and of its runs.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.runs.iter().flat_map(|run| &run.findings)
    }

    pub fn json(&self) -> String {
        let mut failing = self.failures();
        let line = Line {
            scenario: &self.found.name,
            path: &self.path,
            verdict: self.verdict(),
            findings: self.findings().map(FindingLine::from).collect(),
            replay: failing.find_map(|run| run.findings.first()?.replay.as_deref()),
        };
        // The object contains only texts and numbers, which can always be written as JSON.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }

    pub fn exit(&self) -> Exit {
        Exit::of(self.findings())
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
) -> Option<Finding> {
    let (state, wrote) = match settled {
        Ok(settled) => settled,
        Err(error) => {
            return Some(Finding::new(FindingKind::SnapshotError, error.to_string()));
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
        State::Missing => Some(Finding::new(
            FindingKind::SnapshotMissing,
            format!("no log was accepted yet; {waits}"),
        )),
        State::Pending { old: None } => Some(Finding::new(
            FindingKind::SnapshotPending,
            "its first log is pending: if it is right, accept it",
        )),
        State::Differs { old } | State::Pending { old: Some(old) } => Some(Finding {
            evidence: Evidence::Logs {
                old,
                new: log.to_owned(),
            },
            ..Finding::new(
                FindingKind::SnapshotDiffers,
                format!("the log is not the accepted one (- accepted, + now); {waits}"),
            )
        }),
    }
}
