//! The seam of choice.

use std::sync::{Arc, Mutex, PoisonError};

use super::halt::Halt;
use super::point::Point;

/// What decides a run: it is told at each [`Point`] which entities can go on, and answers which one does.
///
/// A schedule is told every turn, also one for which there is only one candidate, so that it can follow the run. Its
/// answers must depend on nothing but the points, and on what it was made from; otherwise a run cannot be repeated. It
/// may be called on several threads, one after another.
///
/// A decorator holds another schedule, passes points on to it, and watches or changes its answers. A schedule that
/// follows what was *taken* has to be outside of every decorator that changes answers.
///
/// ```
/// use deadstop_harness::{scenario, sim::{self, Halt, Options, Point, Schedule}};
///
/// /// Always takes the last candidate.
/// struct Last;
///
/// impl Schedule for Last {
///     fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
///         Ok(point.candidates().len() - 1)
///     }
/// }
///
/// let text = "title = 'Two pools are closed'\n[worker]\ncomponents = [{ closeable = 'a' }, { closeable = 'b' }]\n\
///             [timeline]\nevents = [{ at = '10s', signal = 'SIGTERM' }]\n";
/// let scenario = scenario::parse("two-pools", text)?;
/// let (journal, Last) = sim::run_with(&scenario, &Options::default(), Last);
/// assert!(!journal?.events.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Schedule: Send {
    /// Returns the index, from 0, of the candidate that goes on.
    ///
    /// # Errors
    ///
    /// Ends the run, which then has no journal. An index that no candidate has does so too.
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt>;

    /// Notes that the run is over. It is not called if the schedule has ended the run itself.
    ///
    /// # Errors
    ///
    /// If the run was not the one that the schedule was made for. It then has no journal.
    fn end(&mut self) -> Result<(), Halt> {
        Ok(())
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        (**self).choose(point)
    }

    fn end(&mut self) -> Result<(), Halt> {
        (**self).end()
    }
}

/// A schedule that stays in the hands of its owner while a run uses it.
impl<S: Schedule + ?Sized> Schedule for Arc<Mutex<S>> {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        let mut schedule = self.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.choose(point)
    }

    fn end(&mut self) -> Result<(), Halt> {
        let mut schedule = self.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.end()
    }
}

impl<S: Schedule + ?Sized> Schedule for &mut S {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        (**self).choose(point)
    }

    fn end(&mut self) -> Result<(), Halt> {
        (**self).end()
    }
}
