//! The journal: the typed list of everything that happened to a worker.
//!
//! Every log, report and verdict is derived from it. An event is either a *claim*, which the context makes about
//! itself, or a *fact*, which comes from where the code runs (the host, or the simulated world). If there is a fact,
//! no law believes the claim.

mod event;
#[cfg(feature = "facts")]
mod json;
mod level;
mod names;
mod say;
#[cfg(feature = "facts")]
mod text;
mod trace;
mod words;

pub use event::{Event, Id, MAIN, Name, Registered, Row, VERSION, What};
#[cfg(feature = "facts")]
pub use json::{NoEvent, json, parse_json};
pub use level::Level;
#[doc(hidden)]
pub use say::{At, Ms};
#[cfg(feature = "facts")]
pub use text::text;
pub use trace::{Tracing, trace};
pub use words::{
    BoundBy, By, Call, Cause, FaultVerb, How, Kind, LostWhat, Outcome, Phase, RefusedReason,
    SignalName, State, StuckWhy, Ties, Told, WatchdogIs,
};
