//! The journal: the typed list of all that happened to a worker.
//!
//! Every log, report and verdict is derived from it. An event is either a *claim*, made by the
//! context, or a *fact*, written by whoever runs the code (the host, or the simulated world). A law
//! never believes a claim for which there is a fact.

mod event;
mod words;

pub use event::{Event, Id, MAIN, Name, Registered, Row, VERSION, What};
pub use words::{
    BoundBy, By, Call, Cause, FaultVerb, How, Kind, LostWhat, Outcome, Phase, RefusedReason,
    SignalName, State, StuckWhy, Ties, Told, WatchdogIs,
};

mod tracing_tmp {
    /// Renders the events of a context through `tracing`.
    #[derive(Debug)]
    pub struct Tracing;
    impl crate::context::Sink for Tracing {
        fn claim(&self, _: &super::What) {}
    }
}
pub use tracing_tmp::Tracing;
