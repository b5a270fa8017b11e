//! What makes an event of the timeline strike.

use std::time::Duration;

use crate::journal::Name;

/// What makes an event of the timeline strike. It strikes before every turn that could come next, and once only.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Trigger {
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
                "`after-event` strikes between two turns of one instant, a place that real threads do not have",
            ),
            Trigger::At(_) | Trigger::On { .. } | Trigger::OnEnd { .. } => None,
        }
    }
}
