//! Every run, and every run again: on another thread, in another order, on stacks that were used.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::scenario::Scenario;
use crate::sim::{self, Journal, Options};

use super::output::is_watched;

/// So many runs are kept for their second time at once.
const CHUNK: usize = 1_024;

/// A run to do twice.
pub struct Item {
    /// Whose it is, for the one who asked.
    pub at: usize,
    pub scenario: Arc<Scenario>,
    pub options: Options,
}

/// What became of it.
pub enum Twice {
    /// The two journals.
    Ran(Journal, Journal),
    /// It could not be done: what is wrong with deadstop itself.
    Broke(String),
}

impl Twice {
    /// The events of both runs.
    pub fn events(&self) -> u64 {
        match self {
            Twice::Ran(first, second) => (first.events.len() + second.events.len()) as u64,
            Twice::Broke(_) => 0,
        }
    }
}

/// Interim.
pub fn twice<T: Send>(
    items: impl Iterator<Item = Item>,
    total: u64,
    jobs: Option<u16>,
    look: impl Fn(&Item, Twice) -> T + Sync,
    mut done: impl FnMut(T),
) -> Result<(), String> {
    for item in items {
        let first = sim::run(&item.scenario, &item.options);
        let second = sim::run(&item.scenario, &item.options);
        done(look(&item, Twice::Ran(first, second)));
    }
    Ok(())
}
