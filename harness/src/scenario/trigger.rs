//! What makes an event of the timeline strike.

use std::time::Duration;

use super::keys::AFTER_EVENT;
use super::time::Time;
use crate::journal::Name;

/// What makes an event of the timeline strike. It strikes before every turn that could come next, and once only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// `at`: an instant.
    At(Duration),
    /// `on`: the first begin of a component's step, or of `main`.
    On {
        /// Name of the component, or `main`.
        name: Name,
        /// Time from the begin to the strike.
        after: Duration,
    },
    /// `on-end`: the first end of a component's code, or of `main`, however it ends.
    OnEnd {
        /// Name of the component, or `main`.
        name: Name,
        /// Time from the end to the strike.
        after: Duration,
    },
    /// `after-event`: a place between two turns of one instant. The event strikes after the turn in which the journal's
    /// event of this number (`seq`) was written.
    AfterEvent(u64),
}

/// Triggers in code.
///
/// ```
/// use deadstop_harness::scenario::Trigger;
///
/// let later = Trigger::on("flush").after("500ms");
/// ```
impl Trigger {
    /// Creates the trigger at an instant.
    #[track_caller]
    pub fn at(at: impl Time) -> Self {
        Trigger::At(at.duration())
    }

    /// Creates the trigger at the first begin of a component's step, or of `main`.
    pub fn on(name: impl Into<Name>) -> Self {
        let (name, after) = (name.into(), Duration::ZERO);
        Trigger::On { name, after }
    }

    /// Creates the trigger at the first end of a component's code, or of `main`, however it ends.
    pub fn on_end(name: impl Into<Name>) -> Self {
        let (name, after) = (name.into(), Duration::ZERO);
        Trigger::OnEnd { name, after }
    }

    /// Delays the trigger.
    ///
    /// # Panics
    ///
    /// If the trigger is a place between two turns, from which no time is counted.
    #[must_use]
    #[track_caller]
    pub fn after(mut self, delay: impl Time) -> Self {
        let delay = delay.duration();
        match &mut self {
            Trigger::At(at) => *at += delay,
            Trigger::On { after, .. } | Trigger::OnEnd { after, .. } => *after += delay,
            Trigger::AfterEvent(_) => panic!("a trigger between two turns has no delay"),
        }
        self
    }

    /// Returns the trigger's key in the file.
    pub fn key(&self) -> &'static str {
        match self {
            Trigger::At(_) => "at",
            Trigger::On { .. } => "on",
            Trigger::OnEnd { .. } => "on-end",
            Trigger::AfterEvent(_) => AFTER_EVENT,
        }
    }

    /// Returns the time from the begin or end that is waited for to the strike.
    pub fn delay(&self) -> Duration {
        match self {
            Trigger::On { after, .. } | Trigger::OnEnd { after, .. } => *after,
            Trigger::At(_) | Trigger::AfterEvent(_) => Duration::ZERO,
        }
    }

    /// Returns the component, or `main`, whose begin or end is waited for.
    pub fn component(&self) -> Option<&Name> {
        match self {
            Trigger::On { name, .. } | Trigger::OnEnd { name, .. } => Some(name),
            Trigger::At(_) | Trigger::AfterEvent(_) => None,
        }
    }

    /// Returns the reason why a live run cannot have this trigger, if it cannot.
    #[doc(hidden)]
    pub fn not_live(&self) -> Option<&'static str> {
        match self {
            Trigger::AfterEvent(_) => Some(
                "`after-event` strikes between two turns of one instant, and a live run has no such place",
            ),
            Trigger::At(_) | Trigger::On { .. } | Trigger::OnEnd { .. } => None,
        }
    }
}
