//! `deadstop live`: the same scenarios on real threads and the real clock.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use crate::journal::text;
use crate::live::{Failed, Known, Pace, Played, Players, Request, Tempo, compare, perform};
use crate::report::figures::plural;
use crate::report::{
    Problem, ProblemKind, Source, Style, judge, listed, rest, sentence, side_by_side,
};
use crate::scenario::Scenario;
use crate::sim::{Options, RunError, Runners, cores};

use super::case::Case;
use super::output::{is_watched, out, shell, style};
use super::{Done, Exit, place};

/// The hidden subcommand that runs one scenario in its own process.
pub const PERFORM: &str = "perform";
/// With so many seeds a live run is compared.
const SEEDS: u64 = 64;
/// From instant to instant in that much real time.
const STRETCH: Duration = Duration::from_millis(300);
/// A run that takes longer is none: the file says so.
const LONGEST: Duration = Duration::from_secs(60);
/// So often a run that the machine held up is run again, more slowly each time.
const AGAIN: u32 = 3;

/// Run scenarios on real threads, the real clock and real sockets, and hold them against the simulation.
///
/// Each is run in a process of its own, which gets real signals. Its journal must pass the laws and the
/// expectations, and agree with the simulated one component by component, times included.
#[derive(Debug, Args)]
pub struct Live {
    /// Files, folders, parts of names, or tags; all scenarios without any
    #[arg(value_name = "PATH|FILTER")]
    what: Vec<String>,
    /// So many times as fast as real time, all along [default: from instant to instant in 300 ms]
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f64>,
    /// How often each is run
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    times: u16,
    /// How many run at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Say of each scenario how it went, and why if it is not run
    #[arg(long)]
    verbose: bool,
}

/// Run the scenario that standard input asks for, live, in this process.
#[derive(Debug, Args)]
pub struct Perform {}

impl Perform {
    pub fn run(self) -> ExitCode {
        perform()
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.001..=100_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("it is not from 0.001 to 100000".to_owned())
    }
}

/// A scenario to be run live.
struct Play {
    at: usize,
    scenario: Arc<Scenario>,
    known: Known,
    request: Request,
}

/// What became of one run.
struct Ended {
    at: usize,
    play: usize,
    /// How often it was held up by the machine, and run again.
    again: u32,
    /// What was wrong the first time, if it was run again.
    first: Option<String>,
    lag: Duration,
    late: Duration,
    problems: Vec<Problem>,
}

impl Live {
    pub fn run(self) -> Done {
        #[allow(
            clippy::disallowed_methods,
            reason = "how long it took is told to people, and to nothing else"
        )]
        let began = std::time::Instant::now();
        let selection = place::select_some(&self.what)?;
        let style = style();
        let mut cases = Case::read_all(selection.found, style);
        let (plays, not_live) = self.prepare(&mut cases)?;
        let ended = self.play_all(&plays, &cases, style)?;
        let mut said = String::new();
        let mut exit = cases
            .iter()
            .fold(Exit::Well, |exit, case| exit.and(case.exit()));
        for case in cases.iter().filter(|case| !case.faults.is_empty()) {
            for problem in case.faults.iter().flat_map(|fault| &fault.problems) {
                let _ = writeln!(
                    said,
                    "FAIL {}: {problem}\n{}",
                    case.found.name, problem.detail
                );
            }
        }
        for one in &ended {
            exit = exit.and(Exit::of(&one.problems));
            said += &self.told(one, &cases[one.at]);
        }
        if self.verbose {
            for (at, reason) in &not_live {
                let _ = writeln!(said, "not live {}: {reason}", cases[*at].found.name);
            }
        }
        said += &self.summary(&cases, &ended, not_live.len(), began.elapsed());
        out(&said)?;
        if exit == Exit::Well && ended.is_empty() && not_live.is_empty() {
            return Ok(Exit::Nothing);
        }
        Ok(exit)
    }
}

impl Live {
    /// Simulates what is to be run live. Second: what is not, and why.
    #[allow(clippy::type_complexity, reason = "a list of places and words")]
    fn prepare(
        &self,
        cases: &mut [Case],
    ) -> Result<(Vec<Play>, Vec<(usize, String)>), (Exit, String)> {
        let broken = |error: &dyn std::fmt::Display| (Exit::Internal, error.to_string());
        let runners = Runners::new(cores()).map_err(|error| broken(&error))?;
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
            if let Some(why) = stuck(&runners, &scenario, case).map_err(|error| broken(&error))? {
                let message =
                    format!("{why}; so there is nothing that a live run could agree with");
                case.faults.push(super::case::Fault {
                    seed: Some(0),
                    problems: vec![Problem::new(ProblemKind::Stuck, message)],
                    picture: String::new(),
                });
                continue;
            }
            let known = Known::new(&runners, &scenario, SEEDS).map_err(|error| broken(&error))?;
            let pace = self.speed.map_or(Pace::Stretch(STRETCH), Pace::Even);
            let tempo =
                Tempo::new(known.instants(), known.ends(), pace).map_err(|error| error.to_string());
            let tempo = tempo.and_then(|tempo| match tempo.takes() {
                takes if takes > LONGEST && self.speed.is_none() => Err(format!(
                    "live it would take {} s, and {} s is the longest",
                    takes.as_secs(),
                    LONGEST.as_secs()
                )),
                _ => Ok(tempo),
            });
            match tempo {
                Ok(tempo) => plays.push(Play {
                    at,
                    request: Request {
                        name: scenario.name.to_string(),
                        text: case.text.clone(),
                        tempo,
                    },
                    scenario,
                    known,
                }),
                Err(why) => {
                    let write = if self.speed.is_some() {
                        "run it more slowly"
                    } else {
                        "if it has to be so, write `live = \"no: REASON\"` at the top of the file"
                    };
                    let problem = Problem::new(ProblemKind::NotLive, format!("{why}; {write}"));
                    case.faults.push(super::case::Fault {
                        seed: None,
                        problems: vec![problem],
                        picture: String::new(),
                    });
                }
            }
        }
        Ok((plays, not_live))
    }

    /// Runs everything, so many at once: the longest first.
    fn play_all(
        &self,
        plays: &[Play],
        cases: &[Case],
        style: Style,
    ) -> Result<Vec<Ended>, (Exit, String)> {
        let program = std::env::current_exe()
            .map_err(|error| (Exit::Internal, format!("cannot find itself: {error}")))?;
        let players = Players::new(program, &[PERFORM]);
        let mut queue: Vec<usize> = (0..plays.len()).collect();
        queue.sort_by_key(|play| std::cmp::Reverse(plays[*play].request.tempo.takes()));
        let queue: VecDeque<usize> = (0..self.times)
            .flat_map(|_| queue.iter().copied())
            .collect();
        let total = queue.len();
        let queue = Mutex::new(queue);
        let mut ended = std::thread::scope(|scope| {
            let (done, dones) = mpsc::channel();
            for _ in 0..usize::from(self.jobs).min(total) {
                let (done, queue, players) = (done.clone(), &queue, &players);
                #[allow(
                    clippy::disallowed_methods,
                    reason = "it waits for a process, and many are waited for at once"
                )]
                scope.spawn(move || {
                    loop {
                        let next = queue
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .pop_front();
                        let Some(play) = next else { return };
                        let case = &cases[plays[play].at];
                        let _ = done.send(play_one(players, play, &plays[play], case, style));
                    }
                });
            }
            drop(done);
            let mut ended = Vec::new();
            for one in dones {
                ended.push(one);
                if is_watched() {
                    let failed = ended.iter().filter(|one| !one.problems.is_empty()).count();
                    let _ = write!(
                        std::io::stderr(),
                        "\r{} of {total} live runs, {failed} failed ",
                        ended.len()
                    );
                }
            }
            ended
        });
        if is_watched() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
        ended.sort_by_key(|one| one.play);
        Ok(ended)
    }

    fn told(&self, one: &Ended, case: &Case) -> String {
        let mut said = String::new();
        let name = &case.found.name;
        if self.verbose {
            let _ = writeln!(
                said,
                "{name}: lag {:.1} ms, written {:.1} ms after its instant at the latest{}",
                one.lag.as_secs_f64() * 1e3,
                one.late.as_secs_f64() * 1e3,
                if one.again > 0 {
                    format!(", run again {} times", one.again)
                } else {
                    String::new()
                }
            );
        }
        let Some((first, others)) = one.problems.split_first() else {
            if let Some(first) = &one.first {
                let _ = writeln!(said, "again {name}: {first}; then it agreed");
            }
            return said;
        };
        let _ = writeln!(said, "FAIL {name}: {}", sentence(first));
        said += &rest(first, true);
        said += &listed(others, first.law);
        let speed = self
            .speed
            .map_or_else(String::new, |speed| format!(" --speed {speed}"));
        let _ = writeln!(said, "again: deadstop live{speed} {}\n", shell(&case.path));
        said
    }

    fn summary(&self, cases: &[Case], ended: &[Ended], not_live: usize, took: Duration) -> String {
        let mut line = format!(
            "{}, {} live",
            plural(cases.len() as u64, "scenario"),
            plural(ended.len() as u64, "run")
        );
        let again: u32 = ended.iter().map(|one| one.again).sum();
        if again > 0 {
            let _ = write!(line, ", {again} again since the machine held them up");
        }
        if not_live > 0 {
            let _ = write!(line, ", {not_live} cannot be live");
            if !self.verbose {
                line += " (--verbose says why)";
            }
        }
        if ended.is_empty() {
            return line + "; nothing was run\n";
        }
        let late = ended.iter().map(|one| one.late).max().unwrap_or_default();
        let _ = write!(
            line,
            "; at most {} ms late, in {:.1} s: ",
            late.as_millis(),
            took.as_secs_f64()
        );
        let failed = ended.iter().filter(|one| !one.problems.is_empty()).count();
        let invalid = cases.iter().filter(|case| !case.faults.is_empty()).count();
        line += &match (failed, invalid) {
            (0, 0) => "all agree with the simulation".to_owned(),
            (failed, 0) => format!("{failed} failed"),
            (failed, invalid) => format!("{failed} failed, {invalid} could not be run"),
        };
        line + "\n"
    }
}

/// Returns why the simulation of a scenario never comes to an end, where it does not: a live run of it would
/// be killed after minutes, and might write without end meanwhile.
fn stuck(
    runners: &Runners,
    scenario: &Arc<Scenario>,
    case: &Case,
) -> Result<Option<String>, RunError> {
    let simulated = runners.run(Arc::clone(scenario), Options::default())?;
    let source = Source {
        path: &case.path,
        text: &case.text,
    };
    let problems = judge(scenario, source, &simulated.events, "", Style::default());
    let stuck = problems
        .into_iter()
        .find(|problem| problem.kind == ProblemKind::Stuck);
    Ok(stuck.map(|problem| problem.message))
}

/// Runs one scenario live. What the machine holds up is run again, more slowly.
fn play_one(players: &Players, play: usize, it: &Play, case: &Case, style: Style) -> Ended {
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
        let mut problems = judged(it, case, played, style);
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
            at: it.at,
            play,
            again,
            first,
            lag,
            late,
            problems,
        };
    }
}

/// What is wrong with a live run.
fn judged(it: &Play, case: &Case, played: Result<Played, Failed>, style: Style) -> Vec<Problem> {
    let said = |played: &Played| {
        let said = played.said.trim();
        if said.is_empty() {
            String::new()
        } else {
            format!("{said}\n")
        }
    };
    let events = match played {
        Ok(played) => played.events,
        Err(Failed::System(error)) => {
            return vec![Problem::new(ProblemKind::Internal, error.to_string())];
        }
        Err(error) => {
            let detail = match &error {
                Failed::Overstayed { played, .. } | Failed::Silent { played, .. } => {
                    text(&played.events) + &said(played)
                }
                _ => String::new(),
            };
            return vec![Problem {
                detail,
                ..Problem::new(ProblemKind::Stuck, error.to_string())
            }];
        }
    };
    let log = text(&events);
    let source = Source {
        path: &case.path,
        text: &case.text,
    };
    let mut problems = Vec::new();
    if let Some(difference) = compare(&it.known, &events) {
        problems.push(Problem {
            detail: side_by_side(&difference, style),
            ..Problem::new(ProblemKind::LiveDiffers, difference.headline)
        });
    }
    problems.extend(judge(&it.scenario, source, &events, &log, style));
    problems
}
