//! `deadstop live`, as the command line asks for it: files, or random scenarios.

use super::arguments::Live;
use crate::Done;

impl Live {
    pub fn run(self) -> Done {
        match self.random {
            Some(count) => self.run_random(count),
            None => self.run_files(),
        }
    }
}
