//! Decides which claims a service logs, and at which level.

use std::collections::BTreeSet;
use std::fmt;

use super::claim::{Claim, Id};
use super::words::{How, Outcome, Phase, State, WatchdogIs};

/// How much a claim matters to a person who reads a log.
///
/// It is exhaustive: a sink has to map each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Useful in a search for something.
    Debug,
    /// The normal course.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something was lost.
    Error,
}

impl Level {
    /// Returns the level as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Writes the level as a word.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Claim {
    /// Returns the level at which a service logs the event; `None` if only a journal holds it. This is the level of
    /// the event by itself. A log may still leave it out because of an earlier event: the end of a body within its
    /// step, and a drop once stop has begun.
    pub fn level(&self) -> Option<Level> {
        Some(match self {
            Claim::StepStarted {
                phase: Phase::Cleanup,
                ..
            } => Level::Info,
            Claim::StepStarted { .. } => Level::Debug,
            Claim::StepEnded { phase, outcome, .. } => match (phase, outcome) {
                (_, Outcome::Ok) => Level::Debug,
                (Phase::Cleanup, _) => Level::Error,
                _ => Level::Warn,
            },
            Claim::State { .. } | Claim::Told { .. } | Claim::Abort { .. } => Level::Debug,
            Claim::Requested { .. }
            | Claim::GraceBegan { .. }
            | Claim::PhaseStarted { .. }
            | Claim::PhaseEnded { .. } => Level::Info,
            Claim::Refused { .. }
            | Claim::StillWaiting { .. }
            | Claim::Leak { .. }
            | Claim::Abandoned { .. }
            | Claim::ClosesBeforeUser { .. }
            | Claim::UsesUnknown { .. }
            | Claim::EndsBeforeUser { .. }
            | Claim::BoundOverShare { .. } => Level::Warn,
            Claim::Watchdog {
                is: WatchdogIs::Fired,
                ..
            } => Level::Error,
            Claim::Watchdog {
                is: WatchdogIs::Failed,
                ..
            } => Level::Warn,
            Claim::Watchdog { .. } => Level::Info,
            Claim::WakePanicked { .. }
            | Claim::Ended {
                how: How::Failed | How::Panicked | How::Dropped,
                ..
            } => Level::Error,
            Claim::Registered(_) | Claim::Ended { .. } => return None,
        })
    }
}

/// Decides the levels of the events of one context, one after another. A failure that ends a step is logged with the
/// step's end, not before it. The drop of a task is logged only until stop begins; from then on its step reports it.
#[derive(Debug, Default)]
pub struct LogFilter {
    /// The steps that have begun and not ended.
    open: BTreeSet<Id>,
    /// Whether stop has begun.
    stopping: bool,
}

impl LogFilter {
    /// Returns the level of the next event; `None` if it is not logged.
    pub fn next(&mut self, claim: &Claim) -> Option<Level> {
        match claim {
            Claim::StepStarted { id, .. } => {
                self.open.insert(*id);
            }
            Claim::StepEnded { id, .. } => {
                self.open.remove(id);
            }
            Claim::State { state } if *state >= State::Stopping => self.stopping = true,
            Claim::Ended { id, .. } if self.open.contains(id) => return None,
            Claim::Ended {
                how: How::Dropped, ..
            } if self.stopping => return None,
            _ => {}
        }
        claim.level()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: Id) -> Claim {
        ended(id, How::Failed)
    }

    fn ended(id: Id, how: How) -> Claim {
        Claim::Ended {
            id,
            name: "db".into(),
            nth: 1,
            how,
            error: None,
            code: None,
        }
    }

    #[test]
    fn dropped_before_stop_is_logged_and_later_is_not() {
        let mut filter = LogFilter::default();
        let state = |state| Claim::State { state };
        filter.next(&state(State::Running));
        assert_eq!(filter.next(&ended(1, How::Dropped)), Some(Level::Error));
        filter.next(&state(State::Stopping));
        assert_eq!(filter.next(&ended(2, How::Dropped)), None);
        assert_eq!(filter.next(&failed(3)), Some(Level::Error));
    }

    #[test]
    fn failure_within_its_step_is_logged_with_the_step() {
        let mut filter = LogFilter::default();
        assert_eq!(filter.next(&failed(1)), Some(Level::Error));
        let step = Claim::StepStarted {
            phase: Phase::Stop,
            name: "db".into(),
            order: 0,
            bound: 1,
            bound_by: crate::journal::BoundBy::Timeout,
            id: 1,
            kind: crate::journal::Kind::Stop,
            group: 1,
        };
        assert_eq!(filter.next(&step), Some(Level::Debug));
        assert_eq!(filter.next(&failed(1)), None);
        assert_eq!(filter.next(&failed(2)), Some(Level::Error));
        let end = Claim::StepEnded {
            phase: Phase::Stop,
            name: "db".into(),
            order: 0,
            outcome: Outcome::Failed,
            took: 0,
            id: 1,
            error: None,
        };
        assert_eq!(filter.next(&end), Some(Level::Warn));
        assert_eq!(filter.next(&failed(1)), Some(Level::Error));
    }
}
