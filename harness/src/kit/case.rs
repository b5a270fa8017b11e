//! One scenario for an own worker: parses its file, judges its runs, and words the verdict. The suite and the trials
//! use it.

use std::fmt::Write;
use std::sync::Arc;

use crate::laws::Law;
use crate::report::{
    Check, Detail, Finding, SourceFile, Style, differs, invalid, judge, never_struck, shown,
    timeline,
};
use crate::scenario::{self, Diagnostic, Invalid, Scenario, Timed};
use crate::sim::{Bodies, Journal, Options, Own, Ran, Run, RunError, Twice};

use super::names::{not_adopted, not_overlayable, not_registered, unknown_uses};
use super::nothing::{is_about_main, main_given_up, main_is_over, tests_nothing};
use super::{explained, notes, real};

/// Advice where two runs differ: what to look for.
const ADVICE_DIFFERS: &str = "Look for code whose result differs from run to run: `select!` without `biased`, the order of a `HashMap`, random numbers,\na real clock, a thread or a socket that the context does not know, or a `static` that keeps its value from the run before";

/// Advice where main fails in only one of two runs: what to look for.
const ADVICE_SHARED: &str = "Do two runs share a port, a file or a lock? Each scenario is run twice, and tests run at the same time. Bind port 0, and\nkeep everything that exists once in a process (a port, a global) behind the state, so that a test can replace it";

/// Advice where a thread that is not the world's calls the context.
const ADVICE_OUTSIDE: &str = "Threads of `std::thread` and of `spawn_blocking` run in real time: their calls are not in the journal, and it is\n\
     chance when the context gets them. Call the context from main, or from a task, a thread or a callback of the context";

/// A scenario: its name and its file.
pub(super) struct OwnCase {
    pub name: String,
    pub file: Arc<SourceFile>,
}

/// The verdict on the runs of one scenario.
pub(super) struct Verdict {
    pub findings: Vec<Finding>,
    /// What is worth knowing and no failure, one sentence each.
    pub notes: Vec<String>,
    picture: String,
    /// Journal of the first run; `None` if nothing was run.
    pub journal: Option<Journal>,
}

impl Verdict {
    fn without_run(findings: Vec<Finding>) -> Self {
        Verdict {
            findings,
            notes: Vec::new(),
            picture: String::new(),
            journal: None,
        }
    }

    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }

    /// Sets the command that runs the scenario again.
    pub fn set_replay(&mut self, command: &str) {
        for finding in &mut self.findings {
            finding.replay = Some(command.to_owned());
        }
    }

    /// Returns the findings and notes as text for people, and the command that runs the scenario again.
    pub fn text_of(&self, name: &str) -> String {
        let mut text = shown(name, &self.findings, &self.picture, Style::default());
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        let mut replays = self
            .findings
            .iter()
            .filter_map(|finding| finding.replay.as_ref());
        if let Some(replay) = replays.next() {
            let _ = writeln!(text, "run it again: {replay}");
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
        self.findings
            .iter()
            .any(|finding| self.is_explained_by_main(finding))
    }

    /// Returns whether a finding is explained better by what main does when left alone: main was given up, or nothing
    /// was tested because main was not done.
    fn is_explained_by_main(&self, finding: &Finding) -> bool {
        let journal = self.journal.as_ref();
        journal.is_some_and(|journal| !main_is_over(journal))
            && (is_about_main(finding) || finding.check == Check::TestsNothing)
    }

    /// Adds to the finding on main what main does when left alone.
    pub fn add_main_alone(&mut self, alone: Option<&Journal>) {
        let Some(journal) = &self.journal else { return };
        let mut findings = self.findings.iter();
        let Some(at) = findings.position(|finding| self.is_explained_by_main(finding)) else {
            return;
        };
        let explanation = Detail::Text(main_given_up(journal, alone));
        let finding = &mut self.findings[at];
        // A test that tests nothing has its own advice, which stays at the end.
        if finding.check != Check::TestsNothing {
            finding.details.clear();
        }
        finding.details.insert(0, explanation);
    }
}

impl OwnCase {
    /// Parses the scenario. The error is the verdict on a file that cannot be run.
    pub fn parse(&self, own: &Own) -> Result<Arc<Scenario>, Box<Verdict>> {
        let parsed = scenario::parse_with(&self.name, &self.file.text, own.own_limits());
        let scenario = parsed
            .map_err(|mistakes| Box::new(Verdict::without_run(invalid(&self.file, &mistakes))))?;
        let not_overlayable = not_overlayable(&scenario, &self.file.text);
        if not_overlayable.is_empty() {
            Ok(Arc::new(scenario))
        } else {
            Err(Box::new(Verdict::without_run(
                self.findings_of(not_overlayable),
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
                let finding = Finding::new(Check::Internal, error.to_string());
                return Verdict::without_run(vec![finding]);
            }
        };
        let mut findings = self.not_simulated(run, &first, &second);
        let unknown = self.unknown_names(run, &first);
        // Unknown names explain every other failure, unless the run was over before main could register them.
        let over = main_is_over(&first) && first.aside.stall.is_none();
        let is_invalid = |finding: &Finding| finding.check == Check::File;
        if laws && !findings.iter().any(is_invalid) && (unknown.is_empty() || !over) {
            findings.extend(self.findings_of_run(run, &first));
        }
        if over || findings.is_empty() {
            findings.splice(0..0, unknown);
        }
        let mut picture = String::new();
        if findings.is_empty() {
            // All runs are the same: an event that has not struck in this one never strikes, and tests nothing.
            if laws {
                let unstruck = run.scenario.events_at(&first.unstruck);
                findings.extend(unstruck.map(|timed| self.never_struck(timed)));
            }
        } else {
            let notes = never_struck(&run.scenario, &self.file, &first.unstruck);
            picture = timeline(&first.events, Style::default()) + &notes;
        }
        Verdict {
            picture,
            findings,
            notes: notes::of(run, &first),
            journal: Some(first),
        }
    }

    /// Judges one more run, with a further seed.
    pub fn judge_seed(&self, run: &Run, ran: Result<Ran, RunError>) -> Verdict {
        let journal = match ran {
            Ok(ran) => ran.journal,
            Err(error) => {
                let finding = Finding::new(Check::Internal, error.to_string());
                return Verdict::without_run(vec![finding]);
            }
        };
        let mut findings = self.findings_of_run(run, &journal);
        // If main fails by a fault in the file, no law about main breaks, and a shared resource is not to blame.
        let main_failed = journal.main_failed().is_some() && findings.iter().any(is_about_main);
        if let Some(finding) = findings.first_mut() {
            let seed = run.options.seed;
            finding.message = format!("with seed {seed}: {}", finding.message);
            if main_failed {
                finding
                    .details
                    .push(Detail::Text(format!("{ADVICE_SHARED}\n")));
            }
        }
        Verdict {
            picture: timeline(&journal.events, Style::default()),
            findings,
            notes: Vec::new(),
            journal: Some(journal),
        }
    }

    /// Returns a finding for each name in the file or in `uses` that the worker did not register.
    fn unknown_names(&self, run: &Run, first: &Journal) -> Vec<Finding> {
        let mut findings = self.findings_of(not_registered(&run.scenario, &self.file.text, first));
        if let (Some(error), false) = (first.main_failed(), findings.is_empty()) {
            // The failure of main is why the names are missing.
            let failed = format!("main failed: {error}");
            findings.insert(0, Finding::new(Check::File, failed));
        }
        findings.extend(unknown_uses(first));
        findings
    }

    /// Returns the findings on code that the simulator cannot run, or cannot run twice with the same result.
    fn not_simulated(&self, run: &Run, first: &Journal, second: &Journal) -> Vec<Finding> {
        let adopted = not_adopted(first).into_iter().map(|name| {
            Finding::new(
                Check::File,
                format!(
                    "the thread \"{name}\" already runs, in real time, and cannot be simulated: register it with `add_thread`, or do not register it in a test"
                ),
            )
        });
        let mut findings: Vec<_> = adopted.collect();
        let outside = first.outside.as_ref().or(second.outside.as_ref());
        findings.extend(outside.map(|asked| {
            Finding::new(
                Check::File,
                format!("a thread that the simulator does not know asked the context for {asked}"),
            )
            .with(Detail::Text(format!("{ADVICE_OUTSIDE}\n")))
        }));
        // If either run stands still, the stall is reported instead of the difference that follows from it.
        if first.aside.stall.is_some() || outside.is_some() {
            return findings;
        }
        if let Some(stall) = real::stall(second) {
            findings.push(stall);
            return findings;
        }
        let differ = differs(&first.events, &second.events, run.options.seed);
        findings.extend(differ.map(|finding| with_likely_cause(finding, first, second)));
        findings
    }

    /// Returns the findings on a run: it stands still, tests nothing, exceeds a bound in real time, or breaks laws or
    /// the file's expectations.
    fn findings_of_run(&self, run: &Run, journal: &Journal) -> Vec<Finding> {
        let mut judged = judge(&run.scenario, &self.file, &journal.events);
        if let Some(stall) = real::stall(journal) {
            // The law about bodies reports the same event again. The file's expectations cannot be judged on a run
            // that was cut off.
            let same = real::message_at_last_event(journal);
            judged.retain(|finding| {
                !matches!(finding.check, Check::End | Check::Expectation(_))
                    && Some(&finding.message) != same.as_ref()
            });
            judged.insert(0, stall);
            return judged;
        }
        for finding in &mut judged {
            if finding.law().is_some_and(Law::is_ends_explained) {
                finding.details = explained::details(journal, finding);
            }
        }
        let mut findings = real::turns_over_bound(journal);
        if !judged.iter().any(is_about_main) {
            findings.extend(tests_nothing(&run.scenario, journal));
        }
        findings.extend(judged);
        findings
    }

    fn never_struck(&self, timed: &Timed) -> Finding {
        let wrong = Diagnostic::error(
            "unmet-expectation",
            timed.span.clone(),
            "expected this event to strike, but it never did",
            "never struck",
        )
        .help("the run ended before, or the trigger of the event never came: remove the event, or let it strike earlier");
        let finding = Finding::of_diagnostic(Check::Expectation("events"), &self.file, wrong);
        Finding {
            component: timed.verb.about().cloned(),
            ..finding
        }
    }

    fn findings_of(&self, diagnostics: Vec<Diagnostic>) -> Vec<Finding> {
        invalid(&self.file, &Invalid { diagnostics })
    }
}

/// Adds the likely cause to the finding that two runs differ.
fn with_likely_cause(finding: Finding, first: &Journal, second: &Journal) -> Finding {
    let failed = [("first", first), ("second", second)].map(|(which, journal)| {
        let error = journal.main_failed()?;
        Some((which, error))
    });
    match failed {
        [Some((which, error)), None] | [None, Some((which, error))] => Finding {
            message: format!("main failed only in the {which} of two runs: {error}"),
            component: Some("main".into()),
            details: vec![Detail::Text(format!("{ADVICE_SHARED}\n"))],
            ..finding
        },
        _ => finding.with(Detail::Text(format!("\n{ADVICE_DIFFERS}\n"))),
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
            file: Arc::new(SourceFile {
                path: "one.toml".to_owned(),
                text: format!(
                    "title = \"One\"\n[timeline]\nevents = [{events}]\n[expect]\nexit = 3\n"
                ),
            }),
        };
        let Ok(scenario) = case.parse(&own) else {
            panic!("a valid file");
        };
        let run = OwnCase::planned_run(&scenario, &own, 7);
        let runners = Runners::new(1).expect("a thread");
        let ran = runners.run_all([run.clone()]).next().expect("one run");
        let verdict = case.judge_seed(&run, ran);
        let findings = verdict.findings.iter();
        findings
            .map(|finding| format!("{}\n{:?}", finding.message, finding.details))
            .collect()
    }

    #[test]
    fn shared_resources_are_suspected_if_main_fails_by_itself() {
        let by_itself = report_of_seed(true, r#"{ at = "10s", signal = "SIGTERM" }"#);
        assert!(by_itself.contains("with seed 7: "), "{by_itself}");
        let advice = &format!("{ADVICE_SHARED:?}")[1..60];
        assert!(by_itself.contains(advice), "{by_itself}");
        let scripted = report_of_seed(false, r#"{ on = "main", fail = "main" }"#);
        assert!(scripted.contains("with seed 7: "), "{scripted}");
        assert!(!scripted.contains(advice), "{scripted}");
    }
}
