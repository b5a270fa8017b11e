//! Every run, and every run again: on another thread, in another order, on stacks that were used.

use std::io::Write;
use std::sync::Arc;

use crate::report::figures::grouped;
use crate::scenario::Scenario;
use crate::sim::{Journal, Options, Ran, Run, RunError, Runners};

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
    Broke(RunError),
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

/// Runs everything twice, and hands over what became of each, in order.
pub fn twice(
    runners: &Runners,
    items: impl Iterator<Item = Item>,
    total: u64,
    mut done: impl FnMut(&Item, Twice),
) {
    let mut progress = Progress::new(total);
    let mut items = items.peekable();
    while items.peek().is_some() {
        let chunk: Vec<Item> = items.by_ref().take(CHUNK).collect();
        let run = |item: &Item| Run::new(Arc::clone(&item.scenario), item.options);
        let first: Vec<Result<Ran, RunError>> = runners.run_all(chunk.iter().map(run)).collect();
        // Backwards, and never on the thread that had it before.
        let again = chunk
            .iter()
            .zip(&first)
            .rev()
            .map(|(item, first)| match first {
                Ok(ran) => run(item).not_on(ran.on),
                Err(_) => run(item),
            });
        let mut second: Vec<_> = runners.run_all(again).collect();
        second.reverse();
        for ((item, first), second) in chunk.iter().zip(first).zip(second) {
            let ran = match (first, second) {
                (Ok(first), Ok(second)) => Twice::Ran(first.journal, second.journal),
                (Err(error), _) | (_, Err(error)) => Twice::Broke(error),
            };
            done(item, ran);
        }
        progress.advance(chunk.len() as u64);
    }
    progress.over();
}

/// How far it has come, on a terminal, once it takes long.
struct Progress {
    total: u64,
    done: u64,
    shown: bool,
    watched: bool,
}

impl Progress {
    fn new(total: u64) -> Self {
        Progress {
            total,
            done: 0,
            shown: false,
            watched: is_watched(),
        }
    }

    /// What fits one chunk is over before anybody could read of it.
    fn advance(&mut self, by: u64) {
        self.done += by;
        if self.watched && self.total > CHUNK as u64 {
            self.shown = true;
            let percent = self.done * 100 / self.total.max(1);
            let _ = write!(
                std::io::stderr(),
                "\r{percent:>3} % ({} of {} scenarios and seeds)",
                grouped(self.done),
                grouped(self.total)
            );
        }
    }

    fn over(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}
