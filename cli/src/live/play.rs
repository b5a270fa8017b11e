//! A scenario to be run live, with what its simulation says of it.

use std::sync::Arc;
use std::time::Duration;

use deadstop_harness::live::{Known, Pace, Request, Tempo};
use deadstop_harness::report::SourceFile;
use deadstop_harness::scenario::Scenario;
use deadstop_harness::sim::{RunError, Runners};

/// Number of simulated seeds from which the tempo is worked out, and with which a live run is compared first.
pub const FIRST_SEEDS: u64 = 64;
/// Number of simulated seeds that a live run may match.
pub const COMPARED_SEEDS: u64 = 2_048;
/// Real time from one instant to the next.
const STRETCH: Duration = Duration::from_millis(300);
/// Maximum real time of a live run; a file that takes longer has to be marked as not live.
const MAX_LIVE_TIME: Duration = Duration::from_secs(60);

/// A scenario to be run live.
pub struct Play {
    pub scenario: Arc<Scenario>,
    pub file: Arc<SourceFile>,
    pub known: Known,
    pub request: Request,
    /// Whether a law may break if it breaks in the simulation, too: a random file does not state what is right.
    pub random: bool,
    /// Command that runs it again.
    pub replay: String,
}

/// Why a scenario is not run live.
pub enum NotPlayed {
    /// It could not be simulated, for which deadstop itself is at fault.
    Broken(RunError),
    /// It would take too long, or its instants are too close together to be told apart.
    NoFeasibleTempo(String),
}

impl Play {
    /// Simulates a scenario, and works out its tempo.
    pub fn new(
        runners: &Runners,
        scenario: Arc<Scenario>,
        file: Arc<SourceFile>,
        speed: Option<f64>,
    ) -> Result<Play, NotPlayed> {
        let known = Known::new(runners, &scenario, FIRST_SEEDS).map_err(NotPlayed::Broken)?;
        let pace = speed.map_or(Pace::Stretch(STRETCH), Pace::Even);
        let tempo = Tempo::new(known.instants(), known.ends(), pace)
            .map_err(|error| NotPlayed::NoFeasibleTempo(error.to_string()))?;
        let takes = tempo.takes();
        if takes > MAX_LIVE_TIME && speed.is_none() {
            return Err(NotPlayed::NoFeasibleTempo(format!(
                "a live run would take {} s, but the limit is {} s",
                takes.as_secs(),
                MAX_LIVE_TIME.as_secs()
            )));
        }
        let (name, text) = (scenario.name.to_string(), file.text.clone());
        Ok(Play {
            scenario,
            file,
            known,
            request: Request { name, text, tempo },
            random: false,
            replay: String::new(),
        })
    }
}
