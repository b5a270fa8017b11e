//! Every run, and every run again: on another thread, in another order, on stacks that were used.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use super::{Journal, Ran, Run, RunError, Runners};

/// The seeds with which a scenario that is well with seed 0 is run once more each. An order of two which chance decides is
/// seen both ways in 7 of 8 scenarios then.
pub const FURTHER_SEEDS: RangeInclusive<u64> = 1..=3;

/// Maximum number of first runs that are kept until their second run.
pub const TWICE_AT_ONCE: usize = 1_024;
/// Number of events from which on no further first run is kept: long journals are compared a few at a time.
const EVENTS_AT_ONCE: usize = 250_000;

/// What became of a run and of its second time.
#[derive(Clone, Debug)]
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

/// Runs everything twice, and hands over what became of each, in no order that can be relied on; after each chunk of them it says
/// how many it had.
///
/// The second time comes on another thread, and backwards: what depends on the thread, or on what was run
/// before, shows as a difference.
pub fn twice<I>(
    runners: &Runners,
    items: impl IntoIterator<Item = (I, Run)>,
    done: impl FnMut(&I, &Run, Twice),
    advanced: impl FnMut(u64),
) {
    twice_within(EVENTS_AT_ONCE, runners, items, done, advanced);
}

/// Does as [`twice`], and keeps first runs until they have `most` events together.
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
            let is_full = kept.get() >= most || chunk.borrow().len() >= TWICE_AT_ONCE;
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
        // What has kept one thread for good would only keep another.
        let again = chunk.iter().zip(&first).rev();
        let again = again.filter_map(|((_, run), first)| match first {
            Ok(ran) if ran.kept_its_thread => None,
            Ok(ran) => Some(run.clone().not_on(ran.on)),
            Err(_) => Some(run.clone()),
        });
        let again: Vec<Run> = again.collect();
        let mut second = runners.run_all(again);
        // Backwards too, so that one is judged while the next ones run.
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
        // Ten journals of 28 events, and the 64 that may be on their way.
        twice_within(280, &runners, items, done, |runs| chunks.push(runs));
        seeds.sort_unstable();
        assert_eq!(seeds, (0..400).collect::<Vec<_>>(), "each once");
        assert_eq!(chunks.iter().sum::<u64>(), 400);
        assert!(chunks.iter().all(|runs| *runs <= 80), "{chunks:?}");
    }
}
