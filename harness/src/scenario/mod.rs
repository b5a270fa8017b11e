//! The scenario file: its keys, its model, its parser with diagnostics and lints, its writer, and its expectations. The
//! page of the grammar, the editor's schema and random scenarios are made here too.
//!
//! It uses the journal's types and the names of the laws. The stage, the simulator, the live run, the test kit, the
//! reports and the command use it.

mod answer;
mod component;
mod defaults;
mod diagnostic;
mod event;
mod fault;
mod files;
mod happening;
mod judge;
pub mod keys;
pub mod limits;
mod lint;
mod lint_names;
mod model;
mod page;
mod parse;
mod random;
mod read;
mod schema;
mod span;
mod spans;
mod table;
mod time;
mod trigger;
mod value;
mod write;
mod written;

pub use answer::Answer;
pub use diagnostic::{CODES, Diagnostic, Invalid, Severity, column_of, line_of, render};
pub(crate) use diagnostic::{all_of, any_of, did_you_mean, time};
pub use fault::{Fault, Lasts};
#[doc(hidden)]
pub use files::read_whole;
pub use files::{ScenarioFile, ScenarioFiles, scenario_files};
pub use happening::{Calling, Failing, Health, Lasting, Panicking};
pub use judge::{Unmet, judge};
pub use lint::lint;
pub use lint_names::LINTS;
pub use model::{
    Cause, Component, Expect, Needs, Scenario, Timed, Verb, WatchdogLimits, WatchdogVerdict, Worker,
};
pub use page::{examples, page};
pub(crate) use parse::default_worker;
pub use parse::{parse, parse_bytes, parse_with};
pub use random::{LAST_STOP, random, random_plain};
pub use schema::schema;
pub use span::{Span, Spanned};
pub use time::Time;
pub use trigger::Trigger;
pub(crate) use value::duration;
pub use write::{Layout, Spot, write};
