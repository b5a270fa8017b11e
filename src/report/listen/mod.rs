//! The reports on a check, as a stream: one enum of events, and a reporter for each form in which they are written.
//!
//! The command sends each event to all of its reporters. None of them knows another one, and none reads a clock: the
//! same check gives the same bytes, however many jobs it had. Only the text for people has the duration of the check.

mod event;
mod github;
mod json;
mod junit;
mod markdown;
mod text;
mod xml;

pub use event::{
    CaseReport, CheckEvent, ReportError, Reporter, Reporters, RunFindings, Summary, Totals, Verdict,
};
pub use github::{Annotations, StepSummary};
pub use json::JsonLines;
pub use junit::Junit;
pub use text::Text;
