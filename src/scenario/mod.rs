//! The scenario file: its model, its parser and its diagnostics.

mod model;

pub use model::{
    Answer, Cause, Component, Expect, Lasts, Needs, Scenario, Span, Spanned, Timed, Verb,
    WatchdogLimits, WatchdogVerdict, When, Worker, limits,
};
