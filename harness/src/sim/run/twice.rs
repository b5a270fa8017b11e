//! Every run twice: the second time on another thread, in another order, and on stacks that were used before.
//!
//! A difference between the two journals shows that a run depends on something other than its scenario and seed.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use super::job::{Ran, Run, RunError};
use super::journal::Journal;
use super::runners::Runners;

/// Further seeds of a scenario that is well with seed 0. If chance decides the order of two things, these seeds show
/// both orders in 7 of 8 scenarios.
pub const FURTHER_SEEDS: RangeInclusive<u64> = 1..=3;

/// Maximum number of first runs that are kept until their second runs.
pub const MAX_BUFFERED_RUNS: usize = 1_024;
/// Number of events and report rows in the kept first runs from which on no further one is kept. So only a few long
/// journals are in memory at once.
const MAX_BUFFERED_SIZE: usize = 250_000;

/// The result of a run and of its second run.
///
/// It is exhaustive: a caller has to handle both.
#[derive(Clone, Debug)]
pub enum Twice {
    /// The two journals. A run that keeps its thread for good is not repeated: both are its one journal.
    Ran(Journal, Journal),
    /// The error of a run that has no journal: the simulator panicked, or could not run it.
    Broke(RunError),
}

impl Twice {
    /// Returns the number of events of both runs.
    pub fn events(&self) -> u64 {
        match self {
            Twice::Ran(first, second) => (first.events.len() + second.events.len()) as u64,
            Twice::Broke(_) => 0,
        }
    }
}

/// Executes every run twice, and calls `done` with the result of each, in no particular order. After each chunk of
/// runs it calls `advanced` with the size of the chunk.
///
/// The second runs are on other threads and in reverse order. A journal that depends on the thread, or on earlier runs,
/// then differs from the first.
pub fn twice<I>(
    runners: &Runners,
    items: impl IntoIterator<Item = (I, Run)>,
    done: impl FnMut(&I, &Run, Twice),
    advanced: impl FnMut(u64),
) {
    twice_within(MAX_BUFFERED_SIZE, runners, items, done, advanced);
}

/// Does as [`twice`], and keeps first runs until they have `most` events and report rows together.
fn twice_within<I>(
    most: usize,
    runners: &Runners,
    items: impl IntoIterator<Item = (I, Run)>,
    mut done: impl FnMut(&I, &Run, Twice),
    mut advanced: impl FnMut(u64),
) {
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let (kept, chunk) = (Cell::new(0), RefCell::new(Vec::new()));
        let runs = std::iter::from_fn(|| {
            let is_full = kept.get() >= most || chunk.borrow().len() >= MAX_BUFFERED_RUNS;
            let (item, run) = items.next_if(|_| !is_full)?;
            chunk.borrow_mut().push((item, run.clone()));
            Some(run)
        });
        let keep = |ran: &Result<Ran, RunError>| {
            let size = ran.as_ref().map_or(0, |ran| ran.journal.size());
            kept.set(kept.get() + size);
        };
        let first: Vec<Result<Ran, RunError>> = runners.run_all(runs).inspect(keep).collect();
        let chunk: Vec<(I, Run)> = chunk.into_inner();
        // A run that has kept one thread for good would only keep another one.
        let again = chunk.iter().zip(&first).rev();
        let again = again.filter_map(|((_, run), first)| match first {
            Ok(ran) if ran.kept_its_thread => None,
            Ok(ran) => Some(run.clone().not_on(ran.on)),
            Err(_) => Some(run.clone()),
        });
        let again: Vec<Run> = again.collect();
        let mut second = runners.run_all(again);
        // This is in reverse order too, so that one result is judged while the next runs execute.
        for ((item, run), first) in chunk.iter().zip(first).rev() {
            let ran = match first {
                Ok(first) if first.kept_its_thread => {
                    Twice::Ran(first.journal.clone(), first.journal)
                }
                first => match (first, second.next().expect("a second run for each")) {
                    (Ok(first), Ok(second)) => Twice::Ran(first.journal, second.journal),
                    (Err(error), _) | (_, Err(error)) => Twice::Broke(error),
                },
            };
            done(item, run, ran);
        }
        advanced(chunk.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim::Options;

    #[test]
    fn long_journals_are_kept_a_few_at_a_time() {
        let text = "title = \"A pool is closed\"\n[worker]\ncomponents = [{ closeable = \"pool\" }]\n\
                    [timeline]\nevents = [{ at = \"10s\", signal = \"SIGTERM\" }]\n";
        let scenario = Arc::new(crate::scenario::parse("a-pool", text).expect("it is valid"));
        let runners = Runners::new(2).expect("threads to run on");
        let items = (0..400).map(|seed| {
            let options = Options {
                seed,
                ..Options::default()
            };
            (seed, Run::new(Arc::clone(&scenario), options))
        });
        let (mut seeds, mut chunks) = (Vec::new(), Vec::new());
        let done = |seed: &u64, run: &Run, ran: Twice| {
            assert_eq!(run.options.seed, *seed);
            assert!(matches!(&ran, Twice::Ran(first, second) if first == second));
            seeds.push(*seed);
        };
        // A chunk has ten journals of 28 events, and the up to 64 runs that were taken ahead.
        twice_within(280, &runners, items, done, |runs| chunks.push(runs));
        seeds.sort_unstable();
        assert_eq!(seeds, (0..400).collect::<Vec<_>>(), "each once");
        assert_eq!(chunks.iter().sum::<u64>(), 400);
        assert!(chunks.iter().all(|runs| *runs <= 80), "{chunks:?}");
    }
}
