//! `deadstop run`: runs one scenario and shows the run.

use clap::Args;

use super::options::RunArgs;
use super::place::{self, FoundFile};
use super::view::{LoadedScenario, load, run_and_show};
use super::{Done, Exit};

/// Run one scenario and look at it.
#[derive(Debug, Args)]
pub struct Run {
    /// A scenario's name or a part of it, a file, or `-` for standard input
    scenario: String,
    #[command(flatten)]
    how: RunArgs,
}

impl Run {
    pub fn run(self) -> Done {
        let Some(loaded) = find(&self.scenario)? else {
            return Ok(Exit::Invalid);
        };
        run_and_show(&loaded, &self.how, &self.how.options()).map(|(exit, _)| exit)
    }
}

/// Returns the scenario that an argument selects; `None` if it is invalid, which has been reported on standard error
/// by then.
pub fn find(argument: &str) -> Result<Option<LoadedScenario>, (Exit, String)> {
    let found = if argument == place::STDIN {
        FoundFile::stdin().map_err(|message| (Exit::Invalid, message))?
    } else {
        place::select_one(argument).map_err(|message| (Exit::Nothing, message))?
    };
    let bytes = found.read().map_err(|message| (Exit::Invalid, message))?;
    Ok(load(&found.name, &found.shown(), &bytes))
}
