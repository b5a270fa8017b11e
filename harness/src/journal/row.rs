//! One row of a report, as the journal holds it.

use deadstop::journal::ms_rounded_down;

use deadstop::context::StepReport;
use deadstop::journal::{BoundBy, Id, Outcome};

/// One row of a report, as `returned` carries it: in JSON the array `[id, outcome, bound, bound_by, started, took]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "RowTuple", into = "RowTuple")]
#[non_exhaustive]
pub struct Row {
    /// The component.
    pub id: Id,
    /// The outcome of its step.
    pub outcome: Outcome,
    /// The bound with which the step began.
    pub bound: u64,
    /// The limit that set the bound.
    pub bound_by: BoundBy,
    /// The instant at which the step began.
    pub started: u64,
    /// The time that the step took.
    pub took: u64,
}

type RowTuple = (Id, Outcome, u64, BoundBy, u64, u64);

impl From<RowTuple> for Row {
    fn from((id, outcome, bound, bound_by, started, took): RowTuple) -> Self {
        Row {
            id,
            outcome,
            bound,
            bound_by,
            started,
            took,
        }
    }
}

impl From<Row> for RowTuple {
    fn from(row: Row) -> Self {
        (
            row.id,
            row.outcome,
            row.bound,
            row.bound_by,
            row.started,
            row.took,
        )
    }
}

impl From<&StepReport> for Row {
    fn from(step: &StepReport) -> Row {
        // Rounded down, like every time in a report.
        Row {
            id: step.id,
            outcome: step.outcome,
            bound: ms_rounded_down(step.bound),
            bound_by: step.bound_by,
            started: ms_rounded_down(step.started),
            took: ms_rounded_down(step.took),
        }
    }
}
