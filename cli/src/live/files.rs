//! Runs scenario files live, from their selection to the exit code.

use std::fmt::Write;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::arguments::Live;
use super::perform::PERFORM;
use super::play::{FIRST_SEEDS, NotPlayed, Play};
use super::repeat::{LiveResult, play, run_in_parallel};
use super::text::{again_text, run_text};
use crate::case::Case;
use crate::output::{out, stderr_is_terminal, style};
use crate::{Done, Exit, place};
use deadstop_harness::live::Players;
use deadstop_harness::report::figures::plural;
use deadstop_harness::report::{Check, Finding, judge};
use deadstop_harness::scenario::Scenario;
use deadstop_harness::sim::{Options, RunError, Runners, cores};
use deadstop_harness::words::shell_quoted;

/// One run of a selected scenario: the index of its case, and its result.
struct LiveRun {
    at: usize,
    result: LiveResult,
}

impl Live {
    /// Runs the selected scenario files.
    pub(super) fn run_files(&self) -> Done {
        #[allow(
            clippy::disallowed_methods,
            reason = "the duration is printed for people, and used for nothing else"
        )]
        let began = std::time::Instant::now();
        let selection = place::select_or_fail(&self.what)?;
        let style = style();
        let mut cases = Case::read_all(selection.found);
        let broken = |error: &dyn std::fmt::Display| (Exit::Internal, error.to_string());
        let runners = Runners::new(cores()).map_err(|error| broken(&error))?;
        let (plays, not_live) = self.prepare(&runners, &mut cases)?;
        let ran = self.play_all(&plays, &runners)?;
        let mut text = String::new();
        let mut exit = cases
            .iter()
            .fold(Exit::Well, |exit, case| exit.and(case.exit()));
        for case in &cases {
            for finding in case.findings() {
                let details = finding.details.iter().map(|detail| detail.text(style));
                let details = details.collect::<String>();
                let _ = writeln!(text, "FAIL {}: {finding}\n{details}", case.found.name);
            }
        }
        for LiveRun { at, result } in &ran {
            exit = exit.and(Exit::of(&result.verdict.findings));
            let case = &cases[*at];
            text += &run_text(&case.found.name, result, self.verbose, style);
            if !result.verdict.findings.is_empty() {
                text += &again_text(result);
            }
        }
        if self.verbose {
            for (at, reason) in &not_live {
                let _ = writeln!(text, "not live {}: {reason}", cases[*at].found.name);
            }
        }
        text += &self.summary(&cases, &ran, not_live.len(), began.elapsed());
        out(&text)?;
        if exit == Exit::Well && ran.is_empty() {
            return Ok(Exit::Nothing);
        }
        Ok(exit)
    }

    /// Simulates the scenarios that are to be run live, and returns them. The second list has those that cannot be
    /// run live, with the reasons.
    #[allow(clippy::type_complexity, reason = "a list of places and words")]
    fn prepare(
        &self,
        runners: &Runners,
        cases: &mut [Case],
    ) -> Result<(Vec<(usize, Play)>, Vec<(usize, String)>), (Exit, String)> {
        let (mut plays, mut not_live) = (Vec::new(), Vec::new());
        for (at, case) in cases.iter_mut().enumerate() {
            let Some(scenario) = case.scenario.clone() else {
                continue;
            };
            if let Some(reason) = &scenario.not_live {
                not_live.push((at, reason.clone()));
                continue;
            }
            if scenario.worker.components.is_none() {
                not_live.push((at, "it is for a worker of your own".to_owned()));
                continue;
            }
            let mut timeline = scenario.timeline.iter();
            if let Some(reason) = timeline.find_map(|timed| timed.trigger.not_live()) {
                not_live.push((at, reason.to_owned()));
                continue;
            }
            if let Some(why) = why_stuck(runners, &scenario, case)
                .map_err(|error| (Exit::Internal, error.to_string()))?
            {
                let message = format!("{why}; a live run has nothing to be compared with");
                case.add(Some(0), Finding::new(Check::End, message));
                continue;
            }
            match Play::new(runners, scenario, Arc::clone(&case.file), self.speed) {
                Ok(mut play) => {
                    play.replay = self.replay_command(&case.file.path);
                    plays.push((at, play));
                }
                Err(NotPlayed::Broken(error)) => return Err((Exit::Internal, error.to_string())),
                Err(NotPlayed::NoFeasibleTempo(why)) => {
                    let write = if self.speed.is_some() {
                        "run it more slowly"
                    } else {
                        "if this is intended, write `live = \"no: REASON\"` at the top of the file"
                    };
                    let message = format!("{why}; {write}");
                    case.add(None, Finding::new(Check::NotLive, message));
                }
            }
        }
        Ok((plays, not_live))
    }

    /// Returns the command that runs a file live again.
    fn replay_command(&self, path: &str) -> String {
        let speed = self
            .speed
            .map_or_else(String::new, |speed| format!(" --speed {speed}"));
        format!("deadstop live{speed} {}", shell_quoted(path))
    }

    /// Runs all of them live, several at once and the longest first.
    fn play_all(
        &self,
        plays: &[(usize, Play)],
        runners: &Runners,
    ) -> Result<Vec<LiveRun>, (Exit, String)> {
        let program = std::env::current_exe().map_err(|error| {
            (
                Exit::Internal,
                format!("cannot find the program file of deadstop: {error}"),
            )
        })?;
        let players = Players::new(program, &[PERFORM]);
        let mut queue: Vec<&(usize, Play)> = plays.iter().collect();
        queue.sort_by_key(|(_, play)| std::cmp::Reverse(play.request.tempo.takes()));
        let total = queue.len() * usize::from(self.times);
        let mut queue = std::iter::repeat_n(queue, self.times.into()).flatten();
        let (mut ran, mut failed) = (Vec::new(), 0);
        run_in_parallel(
            self.jobs().min(total),
            move || queue.next(),
            |(at, it)| LiveRun {
                at: *at,
                result: play(&players, runners, it),
            },
            |one: LiveRun| {
                failed += usize::from(!one.result.verdict.findings.is_empty());
                ran.push(one);
                if stderr_is_terminal() {
                    let _ = write!(
                        std::io::stderr(),
                        "\r{} of {total} live runs, {failed} failed ",
                        ran.len()
                    );
                }
            },
        );
        if stderr_is_terminal() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
        ran.sort_by_key(|one| one.at);
        Ok(ran)
    }

    fn summary(&self, cases: &[Case], ran: &[LiveRun], not_live: usize, took: Duration) -> String {
        let mut line = format!(
            "{}, {} live",
            plural(cases.len() as u64, "scenario"),
            plural(ran.len() as u64, "run")
        );
        let repeats: u32 = ran.iter().map(|one| one.result.repeats).sum();
        if repeats > 0 {
            let _ = write!(
                line,
                ", {repeats} repeated because the machine was too slow"
            );
        }
        let further = ran
            .iter()
            .filter(|one| one.result.verdict.agrees_with_further)
            .count();
        if further > 0 {
            let _ = write!(
                line,
                ", {further} agree only with a seed after the first {FIRST_SEEDS}"
            );
        }
        if not_live > 0 {
            let _ = write!(line, ", {not_live} cannot be run live");
            if !self.verbose {
                line += " (--verbose shows why)";
            }
        }
        if ran.is_empty() {
            return line + "; nothing was run\n";
        }
        let late = ran.iter().map(|one| one.result.late).max();
        let _ = write!(
            line,
            "; at most {} ms late, in {:.1} s: ",
            late.unwrap_or_default().as_millis(),
            took.as_secs_f64()
        );
        let failed = ran
            .iter()
            .filter(|one| !one.result.verdict.findings.is_empty());
        let invalid = cases.iter().filter(|case| !case.is_well());
        line += &match (failed.count(), invalid.count()) {
            (0, 0) => "all agree with the simulation".to_owned(),
            (failed, 0) => format!("{failed} failed"),
            (failed, invalid) => format!("{failed} failed, {invalid} could not be run"),
        };
        line + "\n"
    }
}

/// Returns why the simulation of a scenario never comes to an end; `None` if it does. A live run of it would be
/// killed after minutes, and might write without end meanwhile.
fn why_stuck(
    runners: &Runners,
    scenario: &Arc<Scenario>,
    case: &Case,
) -> Result<Option<String>, RunError> {
    let simulated = runners.run(Arc::clone(scenario), Options::default())?;
    let findings = judge(scenario, &case.file, &simulated.events);
    let stuck = findings
        .into_iter()
        .find(|finding| finding.check == Check::End);
    Ok(stuck.map(|finding| finding.message))
}
