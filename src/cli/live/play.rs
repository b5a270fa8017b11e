//! One live run of a scenario, and its verdict; and many of them at once.

use std::fmt::Write;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::verdict::{Verdict, Verdicts, judged};
use crate::live::{Failed, Known, Pace, Players, Request, Tempo};
use crate::scenario::Scenario;
use crate::sim::{RunError, Runners};

/// Number of simulated seeds from which the tempo is worked out, and with which a live run is compared first.
pub const SEEDS: u64 = 64;
/// Number of simulated seeds that a live run may match.
pub const MORE_SEEDS: u64 = 2_048;
/// Real time from one instant to the next.
const STRETCH: Duration = Duration::from_millis(300);
/// Maximum real time of a live run; a file that takes longer has to be marked as not live.
const LONGEST: Duration = Duration::from_secs(60);
/// Maximum number of repetitions of a run that the machine held up; each is slower than the one before.
const AGAIN: u32 = 3;

/// A scenario to be run live.
pub struct Play {
    pub scenario: Arc<Scenario>,
    /// Path of its file, as the user knows it.
    pub path: String,
    pub known: Known,
    pub request: Request,
    /// Whether a law may break if it breaks in the simulation, too: a random file does not state what is right.
    pub random: bool,
}

/// Why a scenario is not run live.
pub enum NotPlayed {
    /// It could not be simulated, for which deadstop itself is at fault.
    Broken(RunError),
    /// It would take too long, or its instants are too close together to be told apart.
    OutOfTime(String),
}

impl Play {
    /// Simulates a scenario, and works out its tempo.
    pub fn new(
        runners: &Runners,
        scenario: Arc<Scenario>,
        path: String,
        text: String,
        speed: Option<f64>,
    ) -> Result<Play, NotPlayed> {
        let known = Known::new(runners, &scenario, SEEDS).map_err(NotPlayed::Broken)?;
        let pace = speed.map_or(Pace::Stretch(STRETCH), Pace::Even);
        let tempo = Tempo::new(known.instants(), known.ends(), pace)
            .map_err(|error| NotPlayed::OutOfTime(error.to_string()))?;
        let takes = tempo.takes();
        if takes > LONGEST && speed.is_none() {
            return Err(NotPlayed::OutOfTime(format!(
                "live it would take {} s, and {} s is the longest",
                takes.as_secs(),
                LONGEST.as_secs()
            )));
        }
        let name = scenario.name.to_string();
        Ok(Play {
            scenario,
            path,
            known,
            request: Request { name, text, tempo },
            random: false,
        })
    }
}

/// Result of one live run.
pub struct Ended {
    /// Number of times that the machine held it up and it was run again.
    pub again: u32,
    /// Problem of the first time, if it was run again.
    pub first: Option<String>,
    pub lag: Duration,
    pub late: Duration,
    pub verdict: Verdict,
}

/// Runs one scenario live. A run that fails while the machine holds it up is repeated, more slowly.
pub fn play(players: &Players, verdicts: &Verdicts<'_>, it: &Play) -> Ended {
    let mut request = it.request.clone();
    let (mut again, mut first) = (0, None);
    loop {
        let played = players.play(&request);
        let (lag, late) = match &played {
            Ok(played) | Err(Failed::Overstayed { played, .. } | Failed::Silent { played, .. }) => {
                (played.lag, played.late)
            }
            Err(_) => (Duration::ZERO, Duration::ZERO),
        };
        let held_up = lag > request.tempo.patience();
        let mut verdict = judged(it, verdicts, played);
        let problems = &mut verdict.problems;
        if !problems.is_empty() && held_up {
            if again < AGAIN {
                again += 1;
                let late = lag.as_millis();
                let said = || {
                    format!(
                        "{}, where a thread that only waits was woken {late} ms late",
                        problems[0]
                    )
                };
                first = first.or_else(|| Some(said()));
                request.tempo = request.tempo.slower();
                continue;
            }
            if let Some(first) = problems.first_mut() {
                let _ = write!(
                    first.message,
                    " (the machine may be to blame: a thread that only waits was woken {} ms late)",
                    lag.as_millis()
                );
            }
        }
        return Ended {
            again,
            first,
            lag,
            late,
            verdict,
        };
    }
}

/// Calls `run` with each item of `next`, on `jobs` threads at once, and passes each result to `done` as it comes.
pub fn at_once<T: Send, R: Send>(
    jobs: usize,
    next: impl FnMut() -> Option<T> + Send,
    run: impl Fn(T) -> R + Sync,
    mut done: impl FnMut(R),
) {
    let next = Mutex::new(next);
    std::thread::scope(|scope| {
        let (send, results) = mpsc::channel();
        for _ in 0..jobs {
            let (send, next, run) = (send.clone(), &next, &run);
            #[allow(
                clippy::disallowed_methods,
                reason = "it waits for a process, and many are waited for at once"
            )]
            scope.spawn(move || {
                loop {
                    let one = next.lock().unwrap_or_else(PoisonError::into_inner)();
                    let Some(one) = one else { return };
                    let _ = send.send(run(one));
                }
            });
        }
        drop(send);
        for result in results {
            done(result);
        }
    });
}
