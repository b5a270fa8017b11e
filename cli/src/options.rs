//! Options that several subcommands have.

use clap::{Args, ValueEnum};
use deadstop_harness::sim::{Options, Subject};

use super::seeds::one_seed;

/// The context under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Context {
    /// The worker context of the library
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

/// The form of standard output.
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
    /// The format of standard output. JSON is the journal alone, one object on each line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Print only the picture and the verdict, without the budget and the log
    #[arg(long)]
    pub brief: bool,
    /// The context under test
    #[arg(long, value_enum, default_value_t)]
    pub context: Context,
    /// The number that determines every choice of order within an instant
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
