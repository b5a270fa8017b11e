//! `deadstop live --random`: runs random scenarios live.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::arguments::Live;
use super::coverage::Coverage;
use super::perform::PERFORM;
use super::play::{FIRST_SEEDS, NotPlayed, Play};
use super::repeat::{LiveResult, play, run_in_parallel};
use super::text::{again_text, run_text};
use crate::output::{out, stderr_is_terminal, style};
use crate::{Done, Exit};
use deadstop_harness::live::Players;
use deadstop_harness::report::SourceFile;
use deadstop_harness::report::figures::plural;
use deadstop_harness::report::whole::write_whole;
use deadstop_harness::scenario::{self, Scenario};
use deadstop_harness::sim::{Runners, cores};

/// Result of one random scenario.
enum RandomResult {
    Played {
        scenario: Arc<Scenario>,
        unstruck: Vec<usize>,
        result: Box<LiveResult>,
    },
    /// It was not run, for this reason: it would take too long, or its instants are too close together.
    Skipped(String),
    /// Deadstop itself is at fault, in this way.
    Broken(String),
}

impl Live {
    /// Runs that number of random scenarios.
    pub(super) fn run_random(&self, count: u32) -> Done {
        #[allow(
            clippy::disallowed_methods,
            reason = "the duration is printed for people, and used for nothing else"
        )]
        let began = std::time::Instant::now();
        let broken = |error: &dyn std::fmt::Display| (Exit::Internal, error.to_string());
        let runners = Runners::new(cores()).map_err(|error| broken(&error))?;
        let program = std::env::current_exe().map_err(|error| broken(&error))?;
        let players = Players::new(program, &[PERFORM]);
        let first = self.seed.unwrap_or(0);
        let seeds = (0..u64::from(count)).map(|n| first.saturating_add(n));
        let mut left = seeds.flat_map(|seed| std::iter::repeat_n(seed, usize::from(self.times)));
        let mut tally = Tally::default();
        let mut text = String::new();
        let total = u64::from(count) * u64::from(self.times);
        let mut failed_to_write = None;
        run_in_parallel(
            self.jobs(),
            move || left.next(),
            |seed| (seed, self.play_random(seed, &players, &runners)),
            |(seed, random)| {
                let failed_before = tally.failed;
                let result_text = tally.count(seed, random, self);
                if tally.failed > failed_before {
                    failed_to_write = failed_to_write.take().or(self.save(seed).err());
                }
                text += &result_text;
                if stderr_is_terminal() {
                    let _ = write!(
                        std::io::stderr(),
                        "\r{} of {total} random scenarios, {} failed ",
                        tally.done(),
                        tally.failed
                    );
                }
            },
        );
        if stderr_is_terminal() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
        text += &tally.summary(first, count, began.elapsed());
        out(&text)?;
        match failed_to_write {
            Some(error) => Err((Exit::Internal, error)),
            None if tally.played == 0 => Ok(Exit::Nothing),
            None => Ok(tally.exit),
        }
    }

    fn play_random(&self, seed: u64, players: &Players, runners: &Runners) -> RandomResult {
        let file = Arc::new(SourceFile {
            path: file_name(seed),
            text: scenario::random(seed),
        });
        let scenario = match scenario::parse(&scenario_name(seed), &file.text) {
            Ok(scenario) => Arc::new(scenario),
            Err(invalid) => {
                return RandomResult::Broken(scenario::render(
                    &invalid.diagnostics,
                    &file.path,
                    &file.text,
                    false,
                ));
            }
        };
        let made = Play::new(runners, scenario.clone(), file, self.speed);
        match made {
            Ok(mut made) => RandomResult::Played {
                unstruck: made.known.unstruck().to_vec(),
                result: Box::new({
                    made.random = true;
                    made.replay = repeat_command(seed, self);
                    play(players, runners, &made)
                }),
                scenario,
            },
            Err(NotPlayed::NoFeasibleTempo(why)) => RandomResult::Skipped(why),
            Err(NotPlayed::Broken(error)) => RandomResult::Broken(error.to_string()),
        }
    }

    /// Writes a random scenario to a file, if `--save` asks for it.
    fn save(&self, seed: u64) -> Result<(), String> {
        let Some(folder) = &self.save else {
            return Ok(());
        };
        let path = folder.join(file_name(seed));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| write_whole(&path, &scenario::random(seed)));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

fn scenario_name(seed: u64) -> String {
    format!("random-{seed}")
}

fn file_name(seed: u64) -> String {
    format!("{}.toml", scenario_name(seed))
}

/// Totals of all random scenarios.
#[derive(Default)]
struct Tally {
    exit: Exit,
    played: u64,
    skipped: u64,
    /// Why the first of them was skipped.
    why_skipped: Option<String>,
    /// Number of runs that agree with none of the first seeds, and with a later one.
    further: u64,
    failed: u64,
    repeats: u64,
    late: Duration,
    coverage: Coverage,
}

impl Tally {
    fn done(&self) -> u64 {
        self.played + self.skipped
    }

    /// Counts one result, and returns the text on it; empty if there is nothing to report.
    fn count(&mut self, seed: u64, random: RandomResult, live: &Live) -> String {
        let (scenario, unstruck, result) = match random {
            RandomResult::Played {
                scenario,
                unstruck,
                result,
            } => (scenario, unstruck, result),
            RandomResult::Skipped(why) => {
                self.skipped += 1;
                self.why_skipped.get_or_insert(why);
                return String::new();
            }
            RandomResult::Broken(why) => {
                self.played += 1;
                self.failed += 1;
                self.exit = self.exit.and(Exit::Internal);
                return format!("FAIL {}: {why}\n", scenario_name(seed));
            }
        };
        self.played += 1;
        self.repeats += u64::from(result.repeats);
        self.further += u64::from(result.verdict.agrees_with_further);
        self.late = self.late.max(result.late);
        self.coverage.count(&scenario, &unstruck);
        let failed = !result.verdict.findings.is_empty();
        let mut text = run_text(&scenario_name(seed), &result, live.verbose, style());
        if failed {
            self.failed += 1;
            self.exit = self.exit.and(Exit::of(&result.verdict.findings));
            let file_text = scenario::random(seed);
            let _ = writeln!(text, "the file:\n\n{file_text}");
            text += &again_text(&result);
        }
        text
    }

    fn summary(&self, first: u64, count: u32, took: Duration) -> String {
        let mut text = self.coverage.table();
        let _ = write!(
            text,
            "{} live, seeds {first} to {}",
            plural(self.played, "random scenario"),
            first.saturating_add(u64::from(count).saturating_sub(1))
        );
        if let Some(why) = &self.why_skipped {
            let _ = write!(text, ", {} skipped ({why})", self.skipped);
        }
        if self.further > 0 {
            let further = self.further;
            let _ = write!(
                text,
                ", {further} agree only with a seed after the first {FIRST_SEEDS}"
            );
        }
        if self.repeats > 0 {
            let _ = write!(
                text,
                ", {} repeated because the machine was too slow",
                self.repeats
            );
        }
        if self.played == 0 {
            return text + "; nothing was run\n";
        }
        let _ = write!(
            text,
            "; at most {} ms late, in {:.1} s: ",
            self.late.as_millis(),
            took.as_secs_f64()
        );
        text += &match self.failed {
            0 => "all agree with the simulation".to_owned(),
            failed => format!("{failed} failed"),
        };
        text.push('\n');
        text
    }
}

/// Returns the command that runs a random scenario again.
fn repeat_command(seed: u64, live: &Live) -> String {
    let speed = live
        .speed
        .map_or_else(String::new, |speed| format!(" --speed {speed}"));
    format!("deadstop live{speed} --random 1 --seed {seed}")
}
