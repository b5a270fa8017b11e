//! `deadstop perform`: the child process of a live run.

use std::process::ExitCode;

use clap::Args;
use deadstop_harness::live::perform;

/// Name of the hidden subcommand that runs one scenario in its own process.
pub const PERFORM: &str = "perform";

/// Run the scenario that standard input asks for, live, in this process.
#[derive(Debug, Args)]
pub struct Perform {}

impl Perform {
    pub fn run(self) -> ExitCode {
        perform()
    }
}
