//! The arguments of `deadstop live`.

use std::path::PathBuf;

use clap::Args;

use crate::seeds::one_seed;

/// Run scenarios on real threads, the real clock and real sockets, and hold them against the simulation.
///
/// Each scenario is run in its own process, which gets real signals. Its journal must fulfil the laws and the
/// expectations. It must also agree with the simulated journal, component by component, including the times.
#[derive(Debug, Args)]
pub struct Live {
    /// Files, folders, parts of names, or tags [default: all scenarios]
    #[arg(value_name = "PATH|FILTER")]
    pub(super) what: Vec<String>,
    /// Run N times as fast as real time throughout [default: 300 ms from one instant to the next]
    #[arg(long, value_name = "N", value_parser = speed)]
    pub(super) speed: Option<f64>,
    /// Number of runs of each scenario
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) times: u16,
    /// Number of runs at the same time [default: 8, or 32 with --random]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) jobs: Option<u16>,
    /// Run N random scenarios instead, and print a table of their faults; a scenario that fails is printed
    #[arg(long, value_name = "N", conflicts_with = "what", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) random: Option<u32>,
    /// The seed of the first random scenario; each further one has the next seed [default: 0]
    #[arg(long, value_name = "SEED", requires = "random", value_parser = one_seed)]
    pub(super) seed: Option<u64>,
    /// Also write each random scenario that fails to a file in this folder
    #[arg(long, value_name = "FOLDER", requires = "random")]
    pub(super) save: Option<PathBuf>,
    /// Print the result of each run, and why a scenario is not run
    #[arg(long)]
    pub(super) verbose: bool,
}

impl Live {
    /// Returns how many scenarios run at once, which may be more than there are cores: a live run waits nearly all of
    /// the time.
    pub(super) fn jobs(&self) -> usize {
        let default = if self.random.is_some() { 32 } else { 8 };
        self.jobs.map_or(default, usize::from)
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.001..=100_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("expected a number from 0.001 to 100000".to_owned())
    }
}
