//! `deadstop schema`: prints the JSON schema of scenario files, or the page of their grammar.

use clap::Args;

use super::{Done, Exit, output};

/// Print the JSON schema of scenario files, for editors.
#[derive(Debug, Args)]
pub struct Schema {
    /// Print the grammar's page (scenarios/README.md) instead
    #[arg(long)]
    page: bool,
}

impl Schema {
    pub fn run(self) -> Done {
        output::out(&if self.page {
            deadstop_harness::scenario::page()
        } else {
            deadstop_harness::scenario::schema()
        })?;
        Ok(Exit::Well)
    }
}
