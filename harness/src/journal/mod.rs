//! The journal: the typed list of everything that happened to a worker.
//!
//! Every log, report and verdict is derived from it. An event is either a *claim*, which the context makes about
//! itself, or a *fact*, which comes from where the code runs (the host, or the simulated world). If there is a fact,
//! no law believes the claim.
//!
//! The claims and their vocabularies are those of [`deadstop::journal`].

mod claims;
mod display;
mod event;
mod json;
mod names;
mod row;
mod text;
mod words;

#[doc(hidden)]
pub use deadstop::journal::{At, Ms};
pub use deadstop::journal::{
    BoundBy, By, Cause, Claim, How, Id, Kind, Level, MAIN, Name, Outcome, Phase, RefusedReason,
    Registered, SignalName, State, Ties, Told, WatchdogIs,
};
pub(crate) use deadstop::journal::{ms_rounded_down, ms_rounded_up};
pub use event::{Event, VERSION, What};
pub use json::{NoEvent, json, parse_json};
pub use row::Row;
pub use text::text;
pub(crate) use words::is_cut_off;
pub use words::{Call, FaultVerb, LostWhat, StuckWhy};
