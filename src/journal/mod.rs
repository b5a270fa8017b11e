//! The claims of a worker context, and the sinks that receive them: as values, as log lines, and (feature `serde`) as
//! JSON.
//!
//! A context passes every claim to its [`Sink`]; the default one, [`Tracing`], logs them.

mod claim;
mod display;
mod level;
mod ms;
mod sink;
mod trace;
mod words;

pub use claim::{Claim, Id, MAIN, Name, Registered};
#[doc(hidden)]
pub use display::{At, Ms, RunNumber};
pub use level::Level;
#[doc(hidden)]
pub use level::LogFilter;
pub(crate) use ms::whole_ms;
#[doc(hidden)]
pub use ms::{ms_rounded_down, ms_rounded_up};
pub(crate) use sink::CatchingSink;
pub use sink::{Record, Sink};
pub use trace::Tracing;
pub use words::{
    BoundBy, By, Cause, How, Kind, Outcome, Phase, RefusedReason, SignalName, State, Ties, Told,
    WatchdogIs,
};
