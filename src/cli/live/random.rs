//! `deadstop live --random`: runs random scenarios live.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::coverage::Coverage;
use super::play::{Ended, NotPlayed, Play, SEEDS, at_once, play};
use super::verdict::Verdicts;
use super::{Live, PERFORM, told};
use crate::cli::output::{is_watched, out, style};
use crate::cli::{Done, Exit};
use crate::live::Players;
use crate::report::figures::plural;
use crate::scenario::{self, Scenario};
use crate::sim::{Runners, cores};

/// Result of one random scenario.
enum Random {
    Played {
        scenario: Arc<Scenario>,
        unstruck: Vec<usize>,
        ended: Box<Ended>,
    },
    /// It was not run, for this reason: it would take too long, or its instants are too close together.
    PassedOver(String),
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
        let verdicts = Verdicts {
            runners: &runners,
            style: style(),
        };
        let first = self.seed.unwrap_or(0);
        let seeds = (0..u64::from(count)).map(|n| first.saturating_add(n));
        let mut left = seeds.flat_map(|seed| std::iter::repeat_n(seed, usize::from(self.times)));
        let mut tally = Tally::default();
        let mut said = String::new();
        let total = u64::from(count) * u64::from(self.times);
        let mut failed_to_write = None;
        at_once(
            self.jobs(),
            move || left.next(),
            |seed| (seed, self.play_random(seed, &players, &verdicts)),
            |(seed, random)| {
                let failed_before = tally.failed;
                let told = tally.take(seed, random, self);
                if tally.failed > failed_before {
                    failed_to_write = failed_to_write.take().or(self.save(seed).err());
                }
                said += &told;
                if is_watched() {
                    let _ = write!(
                        std::io::stderr(),
                        "\r{} of {total} random scenarios, {} failed ",
                        tally.done(),
                        tally.failed
                    );
                }
            },
        );
        if is_watched() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
        said += &tally.summary(first, count, began.elapsed());
        out(&said)?;
        match failed_to_write {
            Some(error) => Err((Exit::Internal, error)),
            None if tally.played == 0 => Ok(Exit::Nothing),
            None => Ok(tally.exit),
        }
    }

    fn play_random(&self, seed: u64, players: &Players, verdicts: &Verdicts<'_>) -> Random {
        let text = scenario::random(seed);
        let scenario = match scenario::parse(&name(seed), &text) {
            Ok(scenario) => Arc::new(scenario),
            Err(invalid) => {
                return Random::Broken(scenario::render(
                    &invalid.diagnostics,
                    &file(seed),
                    &text,
                    false,
                ));
            }
        };
        let made = Play::new(
            verdicts.runners,
            scenario.clone(),
            file(seed),
            text,
            self.speed,
        );
        match made {
            Ok(mut made) => Random::Played {
                unstruck: made.known.unstruck().to_vec(),
                ended: Box::new({
                    made.random = true;
                    play(players, verdicts, &made)
                }),
                scenario,
            },
            Err(NotPlayed::OutOfTime(why)) => Random::PassedOver(why),
            Err(NotPlayed::Broken(error)) => Random::Broken(error.to_string()),
        }
    }

    /// Writes a random scenario to a file, if `--save` asks for it.
    fn save(&self, seed: u64) -> Result<(), String> {
        let Some(folder) = &self.save else {
            return Ok(());
        };
        let path = folder.join(file(seed));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, scenario::random(seed)));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

fn name(seed: u64) -> String {
    format!("random-{seed}")
}

fn file(seed: u64) -> String {
    format!("{}.toml", name(seed))
}

/// Totals of all random scenarios.
#[derive(Default)]
struct Tally {
    exit: Exit,
    played: u64,
    passed_over: u64,
    /// Why the first of them was passed over.
    why_passed_over: Option<String>,
    /// Number of runs that agree with none of the first seeds, and with a later one.
    further: u64,
    failed: u64,
    again: u64,
    late: Duration,
    coverage: Coverage,
}

impl Tally {
    fn done(&self) -> u64 {
        self.played + self.passed_over
    }

    /// Counts one result, and returns the text on it; empty if there is nothing to report.
    fn take(&mut self, seed: u64, random: Random, live: &Live) -> String {
        let (scenario, unstruck, ended) = match random {
            Random::Played {
                scenario,
                unstruck,
                ended,
            } => (scenario, unstruck, ended),
            Random::PassedOver(why) => {
                self.passed_over += 1;
                self.why_passed_over.get_or_insert(why);
                return String::new();
            }
            Random::Broken(why) => {
                self.played += 1;
                self.failed += 1;
                self.exit = self.exit.and(Exit::Internal);
                return format!("FAIL {}: {why}\n", name(seed));
            }
        };
        self.played += 1;
        self.again += u64::from(ended.again);
        self.further += u64::from(ended.verdict.further);
        self.late = self.late.max(ended.late);
        self.coverage.count(&scenario, &unstruck);
        let failed = !ended.verdict.problems.is_empty();
        let mut said = told(&name(seed), &ended, live.verbose);
        if failed {
            self.failed += 1;
            self.exit = self.exit.and(Exit::of(&ended.verdict.problems));
            let text = scenario::random(seed);
            let _ = writeln!(said, "the file:\n\n{text}");
            let _ = writeln!(said, "again: {}\n", again(seed, live));
        }
        said
    }

    fn summary(&self, first: u64, count: u32, took: Duration) -> String {
        let mut said = self.coverage.table();
        let _ = write!(
            said,
            "{} live, seeds {first} to {}",
            plural(self.played, "random scenario"),
            first.saturating_add(u64::from(count).saturating_sub(1))
        );
        if let Some(why) = &self.why_passed_over {
            let _ = write!(said, ", {} passed over ({why})", self.passed_over);
        }
        if self.further > 0 {
            let further = self.further;
            let _ = write!(said, ", {further} with a seed after the first {SEEDS}");
        }
        if self.again > 0 {
            let _ = write!(
                said,
                ", {} again since the machine held them up",
                self.again
            );
        }
        if self.played == 0 {
            return said + "; nothing was run\n";
        }
        let _ = write!(
            said,
            "; at most {} ms late, in {:.1} s: ",
            self.late.as_millis(),
            took.as_secs_f64()
        );
        said += &match self.failed {
            0 => "all agree with the simulation".to_owned(),
            failed => format!("{failed} failed"),
        };
        said.push('\n');
        said
    }
}

/// Returns the command that runs a random scenario again.
fn again(seed: u64, live: &Live) -> String {
    let speed = live
        .speed
        .map_or_else(String::new, |speed| format!(" --speed {speed}"));
    format!("deadstop live{speed} --random 1 --seed {seed}")
}
