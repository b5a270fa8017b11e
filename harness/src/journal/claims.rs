//! The claims among the events: what a worker context reports, as the journal holds it.

use deadstop::journal::Claim;

use super::event::What;

/// Makes the two conversions from one list: the name of every claim, and its keys.
macro_rules! claims {
    ($($name:ident { $($key:ident),+ })+) => {
        impl From<&Claim> for What {
            fn from(claim: &Claim) -> What {
                match claim {
                    Claim::Registered(registered) => What::Registered(registered.clone()),
                    $(Claim::$name { $($key),+ } => What::$name { $($key: $key.clone()),+ },)+
                    // The harness depends on exactly its own version of the context, and a test holds the list to it.
                    claim => unreachable!("add `{}` to `claims!` in harness/src/journal/claims.rs", claim.name()),
                }
            }
        }

        impl What {
            /// Returns the event as what the context reports; `None` for a fact that only a journal holds.
            pub fn to_claim(&self) -> Option<Claim> {
                match self {
                    What::Registered(registered) => Some(Claim::Registered(registered.clone())),
                    $(What::$name { $($key),+ } => Some(Claim::$name { $($key: $key.clone()),+ }),)+
                    _ => None,
                }
            }
        }
    };
}

claims! {
    Refused { what, name, reason }
    State { state }
    Requested { reason, by }
    GraceBegan { stop_ends, cleanup_ends, last_resort, kill }
    PhaseStarted { phase, ends }
    PhaseEnded { phase, ends }
    StepStarted { phase, name, order, bound, bound_by, id, kind, group }
    StillWaiting { name, waited, bound, id }
    Told { name, id }
    WakePanicked { id, name, error }
    Abort { name, id }
    StepEnded { phase, name, order, outcome, took, id, error }
    Ended { id, name, nth, how, error, code }
    Watchdog { is, attempt }
    Leak { id, name, kind }
    Abandoned { names }
    ClosesBeforeUser { name, order, id, user, user_order, user_id }
    UsesUnknown { id, name, used }
    EndsBeforeUser { name, id, user, user_id }
    BoundOverShare { id, name, bound, phase, share }
}

impl What {
    /// Returns whether the event is a claim that the context makes about itself, rather than a fact from where the
    /// code runs. A registration and the end of code are facts, though the context reports them too: a host sees
    /// both.
    pub fn is_claim(&self) -> bool {
        match self.to_claim() {
            Some(Claim::Registered(_) | Claim::Ended { .. }) | None => false,
            Some(_) => true,
        }
    }
}
