//! Every run, and every run again: on another thread, in another order, on stacks that were used.

use super::{Journal, Ran, Run, RunError, Runners};

/// So many runs are kept for their second time at once.
pub const TWICE_AT_ONCE: usize = 1_024;

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

/// Runs everything twice, and hands over what became of each, in order; after each chunk of them it says
/// how many it had.
///
/// The second time comes on another thread, and backwards: what depends on the thread, or on what was run
/// before, shows as a difference.
pub fn twice<I>(
    runners: &Runners,
    items: impl IntoIterator<Item = (I, Run)>,
    mut done: impl FnMut(&I, &Run, Twice),
    mut advanced: impl FnMut(u64),
) {
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let chunk: Vec<(I, Run)> = items.by_ref().take(TWICE_AT_ONCE).collect();
        let runs = chunk.iter().map(|(_, run)| run.clone());
        let first: Vec<Result<Ran, RunError>> = runners.run_all(runs).collect();
        // What has kept one thread for good would only keep another.
        let again = chunk.iter().zip(&first).rev();
        let again = again.filter_map(|((_, run), first)| match first {
            Ok(ran) if ran.kept_its_thread => None,
            Ok(ran) => Some(run.clone().not_on(ran.on)),
            Err(_) => Some(run.clone()),
        });
        let mut second: Vec<_> = runners.run_all(again).collect();
        for ((item, run), first) in chunk.iter().zip(first) {
            let ran = match first {
                Ok(first) if first.kept_its_thread => {
                    Twice::Ran(first.journal.clone(), first.journal)
                }
                first => match (first, second.pop().expect("a second run for each")) {
                    (Ok(first), Ok(second)) => Twice::Ran(first.journal, second.journal),
                    (Err(error), _) | (_, Err(error)) => Twice::Broke(error),
                },
            };
            done(item, run, ran);
        }
        advanced(chunk.len() as u64);
    }
}
