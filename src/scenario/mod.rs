//! The scenario file: its model, its parser and its diagnostics.

mod component;
mod diagnostic;
mod event;
mod files;
mod judge;
pub mod keys;
mod lint;
mod model;
mod page;
mod parse;
mod random;
mod read;
mod schema;
mod value;

pub use diagnostic::{CODES, Diagnostic, Invalid, Severity, column_of, line_of, render};
#[cfg(feature = "kit")]
pub(crate) use diagnostic::{all_of, any_of, did_you_mean, time};
#[cfg(feature = "kit")]
pub(crate) use files::read_whole;
pub use files::{ScenarioFile, ScenarioFiles, scenario_files};
pub use judge::{Unmet, judge};
pub use lint::{LINTS, lint};
pub use model::{
    Answer, Cause, Component, Expect, Lasts, Needs, Scenario, Span, Spanned, Timed, Verb,
    WatchdogLimits, WatchdogVerdict, When, Worker, limits,
};
pub use page::{examples, page};
pub use parse::{Limits, parse, parse_bytes, parse_with};
pub use random::{LAST_STOP, random, random_plain};
pub use schema::schema;
#[cfg(feature = "kit")]
pub(crate) use value::duration;
