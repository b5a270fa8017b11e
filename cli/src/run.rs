//! `deadstop run`: runs one scenario and shows the run.

use clap::Args;

use deadstop_harness::sim::Options;

use super::place::{self, FoundFile};
use super::seeds::one_seed;
use super::view::{LoadedScenario, load, run_and_show};
use super::{Context, Done, Exit, Format};

/// Run one scenario and look at it.
#[derive(Debug, Args)]
pub struct Run {
    /// A scenario's name or a part of it, a file, or `-` for standard input
    scenario: String,
    #[command(flatten)]
    how: RunArgs,
}

/// How a scenario is run and shown.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to write: text for people, or the journal alone, one JSON object a line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// The picture and the verdict alone, without budget and log
    #[arg(long)]
    pub brief: bool,
    /// The context under test
    #[arg(long, value_enum, default_value_t)]
    pub context: Context,
    /// The number that fixes every choice among what could happen in one instant
    #[arg(long, default_value_t = 0, value_parser = one_seed)]
    pub seed: u64,
}

impl RunArgs {
    pub fn options(&self) -> Options {
        Options {
            seed: self.seed,
            subject: self.context.into(),
            ..Options::default()
        }
    }
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
