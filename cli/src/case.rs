//! One scenario of a check: reads its file, judges its runs, and words what is wrong. `deadstop live` uses it, too.

use std::sync::Arc;

use deadstop_harness::journal::{Event, text};
use deadstop_harness::report::{
    Check, Detail, Finding, Place, Policy, SnapshotError, SnapshotFault, SourceFile, State, Store,
    Wrote, differs, invalid, judge,
};
use deadstop_harness::scenario::{self, Scenario};
use deadstop_harness::sim::{Journal, Options, Run, Twice, cores};

use super::Exit;
use super::output::cut_lines;
use super::place::FoundFile;
use super::view::replay_line;

/// A scenario file, and what is wrong with it and with its runs.
pub struct Case {
    pub found: FoundFile,
    pub file: Arc<SourceFile>,
    pub scenario: Option<Arc<Scenario>>,
    /// Runs with findings: first the file itself, then by seed.
    pub failed: Vec<RunFindings>,
    /// Number of its runs.
    pub runs: u64,
    /// Number of events of its runs.
    pub events: u64,
    /// Whether the log of a run is kept for a reporter.
    pub keeps_log: bool,
    /// Log of the run with the lowest seed so far, cut to [`MAX_LOG_BYTES`], and that seed.
    log: Option<(u64, String)>,
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

/// The findings on one run of a scenario, or on its file.
pub struct RunFindings {
    /// Seed of the run; `None` if the file is wrong.
    pub seed: Option<u64>,
    pub findings: Vec<Finding>,
    /// Events of the run, for its picture. Empty if the picture shows nothing that is wrong, or if the picture of an
    /// earlier seed is shown.
    pub events: Vec<Event>,
}

impl RunFindings {
    /// Returns whether it is more than a log that is not accepted yet.
    pub fn is_failure(&self) -> bool {
        Exit::of(&self.findings) != Exit::Snapshots
    }

    /// Forgets what is told of it beyond its sentences.
    fn forget(&mut self) {
        self.events = Vec::new();
        for finding in &mut self.findings {
            finding.details = Vec::new();
        }
    }
}

/// Maximum size of a log that is kept for a reporter, in bytes. Logs of this repository's scenarios are a tenth of
/// that.
const MAX_LOG_BYTES: usize = 64 << 10;

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
        let file = |text| {
            Arc::new(SourceFile {
                path: found.shown(),
                text,
            })
        };
        let (file, parsed) = match found.read() {
            Ok(bytes) => {
                let file = file(String::from_utf8_lossy(&bytes).into_owned());
                let parsed = scenario::parse_bytes(&found.name, &bytes);
                let parsed = parsed.map_err(|mistakes| invalid(&file, &mistakes));
                (file, parsed)
            }
            Err(message) => (
                file(String::new()),
                Err(vec![Finding::new(Check::File, message)]),
            ),
        };
        let mut case = Case {
            found,
            file,
            scenario: None,
            failed: Vec::new(),
            runs: 0,
            events: 0,
            keeps_log: false,
            log: None,
            unaccepted: None,
        };
        match parsed {
            Ok(scenario) => case.scenario = Some(Arc::new(scenario)),
            Err(findings) => case.push(None, findings),
        }
        case
    }

    /// Adds a finding on the run with a seed, or on the file.
    pub fn add(&mut self, seed: Option<u64>, finding: Finding) {
        self.push(seed, vec![finding]);
    }

    fn push(&mut self, seed: Option<u64>, mut findings: Vec<Finding>) {
        self.locate(&mut findings, None);
        self.failed.push(RunFindings {
            seed,
            findings,
            events: Vec::new(),
        });
    }

    /// Adds the findings on the run with a seed, in the order of the seeds. Of many runs that fail, only the first is
    /// shown, and so only that one keeps its events and the details of its findings.
    pub fn add_run(&mut self, run: RunFindings) {
        let at = self.failed.partition_point(|other| other.seed <= run.seed);
        self.failed.insert(at, run);
        // The second is this run, or the one that was first until now.
        if let Some(second) = self.failed.get_mut(at.max(1)) {
            second.forget();
        }
    }

    /// Sets the file that findings are about, and the command that shows them again.
    fn locate(&self, findings: &mut [Finding], options: Option<&Options>) {
        let replay = options.and_then(|options| {
            let scenario = self.scenario.as_ref()?;
            Some(replay_line(&self.file.path, scenario, options))
        });
        for finding in findings {
            finding.place.get_or_insert_with(|| Place {
                file: Arc::clone(&self.file),
                span: None,
            });
            finding.replay.clone_from(&replay);
        }
    }

    /// Judges the two runs of a scenario and returns what is wrong. With a policy, compares their log with its
    /// snapshot. A log that differs from it, and breaks nothing, is kept for [`compare_log`](Self::compare_log).
    pub fn judge_both(
        &mut self,
        run: &Run,
        ran: Twice,
        snapshots: Option<Policy>,
    ) -> Option<RunFindings> {
        let seed = run.options.seed;
        let (first, second) = match ran {
            Twice::Ran(first, second) => (first, second),
            Twice::Broke(error) => {
                let finding = Finding::new(Check::Internal, error.to_string());
                return self.found_in(run, vec![finding], Vec::new());
            }
        };
        self.keep_log(seed, &first.events);
        let mut findings = Vec::from_iter(differs(&first.events, &second.events, seed));
        findings.extend(judge(&run.scenario, &self.file, &first.events));
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
        self.found_in(run, findings, first.events)
    }

    /// Forgets the events and logs of its runs, once the reporters have made their output of them.
    pub fn forget_runs(&mut self) {
        self.log = None;
        self.failed.iter_mut().for_each(RunFindings::forget);
    }

    /// Keeps the log of a run, if a reporter asks for it.
    fn keep_log(&mut self, seed: u64, events: &[Event]) {
        let is_first = self.log.as_ref().is_none_or(|(kept, _)| seed < *kept);
        if self.keeps_log && is_first {
            self.log = Some((seed, cut_lines(&text(events), MAX_LOG_BYTES)));
        }
    }

    /// Returns the log of its first run that failed, or else of its first run; `None` if nothing was run, or if no log
    /// is kept.
    pub fn log(&self) -> Option<String> {
        let first = self.failures().next();
        match first.filter(|run| !run.events.is_empty()) {
            Some(run) => Some(cut_lines(&text(&run.events), MAX_LOG_BYTES)),
            None => self.log.as_ref().map(|(_, log)| log.clone()),
        }
    }

    /// Judges one run by laws and expectations alone, and returns what is wrong.
    pub fn judge_one(&self, run: &Run, journal: &Journal) -> Option<RunFindings> {
        let findings = judge(&run.scenario, &self.file, &journal.events);
        if findings.is_empty() {
            return None;
        }
        self.found_in(run, findings, journal.events.clone())
    }

    /// Returns the findings on a run, each with its file and the command that shows it again; `None` if there are none.
    fn found_in(
        &self,
        run: &Run,
        mut findings: Vec<Finding>,
        events: Vec<Event>,
    ) -> Option<RunFindings> {
        if findings.is_empty() {
            return None;
        }
        self.locate(&mut findings, Some(&run.options));
        Some(RunFindings {
            seed: Some(run.options.seed),
            findings,
            events,
        })
    }

    /// Compares the log that was kept with its snapshot. If further seeds failed, nothing is written.
    pub fn compare_log(&mut self, policy: Policy) {
        let (Some(unaccepted), Some(store)) = (self.unaccepted.take(), self.found.store()) else {
            return;
        };
        let Unaccepted { log, state, events } = unaccepted;
        let is_well = self.is_well();
        let mismatch = self.settle(&store, &log, state, (policy, is_well));
        let mut findings = Vec::from_iter(mismatch);
        if findings.is_empty() {
            return;
        }
        self.locate(&mut findings, Some(&Options::default()));
        self.failed.push(RunFindings {
            seed: Some(0),
            findings,
            events,
        });
    }

    /// Writes what the policy allows for a log that was compared with its snapshot, and returns what is wrong. A log
    /// that breaks a law or an expectation must not be accepted: unless the scenario is well, nothing is written, and
    /// only a failure is returned.
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
        mismatch.filter(|finding| is_well || Exit::from(finding.check) == Exit::Failed)
    }

    /// Returns all findings.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.failed.iter().flat_map(|run| &run.findings)
    }

    /// Returns whether there are no findings.
    pub fn is_well(&self) -> bool {
        self.failed.is_empty()
    }

    /// Returns the runs whose findings are more than a log that is not accepted yet.
    pub fn failures(&self) -> impl Iterator<Item = &RunFindings> {
        self.failed.iter().filter(|run| run.is_failure())
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

    /// Returns whether it is for a worker of a user's own, whose tests run it.
    pub fn is_for_own_worker(&self) -> bool {
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
    let finding = |fault, message: &str| Finding::new(Check::Snapshot(fault), message);
    let (state, wrote) = match settled {
        Ok(settled) => settled,
        Err(error) => return Some(finding(SnapshotFault::Error, &error.to_string())),
    };
    if wrote == Wrote::Snapshot {
        return None; // Accepted at once, as the environment asks.
    }
    let waits = match (policy, wrote) {
        (Policy::Nothing, _) => {
            "no log was made pending, because CI is set or INSTA_UPDATE forbids it"
        }
        _ => "it is pending: if it is right, accept it",
    };
    match state {
        State::Same => None,
        State::Missing => Some(finding(
            SnapshotFault::Missing,
            &format!("no log is accepted yet; {waits}"),
        )),
        State::Pending { old: None } => Some(finding(
            SnapshotFault::Pending,
            "its first log is pending: if it is right, accept it",
        )),
        State::Differs { old } | State::Pending { old: Some(old) } => {
            let message = format!("the log is not the accepted one (- accepted, + now); {waits}");
            let new = log.to_owned();
            Some(finding(SnapshotFault::Differs, &message).with(Detail::Logs { old, new }))
        }
    }
}
