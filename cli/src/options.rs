//! Options that several subcommands have.

use clap::{Args, ValueEnum};
use deadstop_harness::sim::{Options, Subject};

use super::seeds::one_seed;

/// The context under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Context {
    /// The worker context of this crate
    #[default]
    Worker,
    /// The plan as it was written, flaws included
    Plan,
}

impl From<Context> for Subject {
    fn from(context: Context) -> Self {
        match context {
            Context::Worker => Subject::Worker,
            Context::Plan => Subject::Plan,
        }
    }
}

/// What is written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
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
