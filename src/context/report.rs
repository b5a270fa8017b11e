//! The report: what stop and cleanup did. It is one value, the same for every caller.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::journal::{
    BoundBy, By, How, Id, Kind, Ms, Name, Outcome, Phase, SignalName, ms_rounded_down,
};

/// A step of stop or cleanup, and how it ended. Main, if it was awaited, is a step of start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepReport {
    /// Phase of the step.
    pub phase: Phase,
    /// Id of the component.
    pub id: Id,
    /// Name of the component.
    pub name: Name,
    /// Kind of the component.
    pub kind: Kind,
    /// Order of the step.
    pub order: i32,
    /// Place in the source at which the component was registered.
    pub place: &'static Location<'static>,
    /// Outcome of the step.
    pub outcome: Outcome,
    /// Bound with which the step began.
    pub bound: Duration,
    /// Limit that set the bound.
    pub bound_by: BoundBy,
    /// Instant at which the step began, on the host's clock.
    pub started: Duration,
    /// Time that the step took.
    pub took: Duration,
    /// Message of the error or panic.
    pub error: Option<Name>,
}

/// A body that ended badly before stop began: it failed, panicked, or was dropped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// Id of the component.
    pub id: Id,
    /// Name of the component.
    pub name: Name,
    /// Kind of the component.
    pub kind: Kind,
    /// Whether it failed, panicked, or was dropped. A task is dropped if its runtime is shut down, or its own side
    /// aborts it.
    pub how: How,
    /// Message of the error or panic.
    pub error: Option<Name>,
    /// Instant of its end, on the host's clock.
    pub at: Duration,
}

/// A panic in a call of the `wake` with which a thread or task was registered.
///
/// The component was told all the same. If only its wake could have made it end, the outcome of its step shows that
/// it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WakePanic {
    /// Id of the component.
    pub id: Id,
    /// Name of the component.
    pub name: Name,
    /// Kind of the component.
    pub kind: Kind,
    /// Message of the panic.
    pub error: Name,
}

/// The reason of a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// Words of the request.
    pub words: Name,
    /// Origin of the request.
    pub by: By,
    /// Signal that requested the stop, if one did.
    pub signal: Option<SignalName>,
}

impl Reason {
    /// Returns a reason that is not a signal.
    pub(crate) fn new(words: impl Into<Name>, by: By) -> Self {
        Reason {
            words: words.into(),
            by,
            signal: None,
        }
    }
}

/// The report of stop and cleanup.
///
/// ```
/// # use deadstop::context::{CallOpts, WorkerCtx};
/// let ctx = WorkerCtx::new(());
/// ctx.defer_cleanup("db", CallOpts::new(), |_scope| Err("still in use"))?;
/// let report = ctx.cleanup_blocking()?;
/// for step in report.bad() {
///     eprintln!("{} {}: {} after {:?} of {:?}", step.kind, step.name, step.outcome, step.took, step.bound);
/// }
/// assert_eq!(report.bad().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// First reason. Later ones follow in `later_reasons`.
    pub reason: Option<Reason>,
    /// Reasons that were given after the first: the first hundred of them.
    pub later_reasons: Vec<Reason>,
    /// Number of all reasons that were given after the first.
    pub later_reasons_in_all: u64,
    /// Reports of the steps, in the order in which the steps began.
    pub steps: Vec<StepReport>,
    /// Bodies that ended badly before stop: the last hundred of them.
    pub deaths: Vec<Death>,
    /// Number of all bodies that ended badly before stop.
    pub deaths_in_all: u64,
    /// Wakes that had panicked when the report was made: the first hundred of them.
    pub wakes_panicked: Vec<WakePanic>,
}

impl Report {
    /// Returns whether every step ended well.
    pub fn is_ok(&self) -> bool {
        self.steps.iter().all(|step| step.outcome == Outcome::Ok)
    }

    /// Returns the steps that did not end well.
    pub fn bad(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.outcome != Outcome::Ok)
    }
}

/// Returns the kind and the name of a component, as messages name it: main by its name alone.
pub(super) fn kind_and_name(kind: Kind, name: &Name) -> String {
    match kind {
        Kind::Main => name.to_string(),
        _ => format!("{kind} {name}"),
    }
}

impl fmt::Display for Report {
    /// Writes a summary line, a line for each step that did not end well, and a line for each wake that panicked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bad, steps) = (self.bad().count(), self.steps.len());
        let s = if steps == 1 { "" } else { "s" };
        if bad == 0 {
            write!(f, "{steps} step{s}, all ok")?;
        } else {
            write!(f, "{bad} of {steps} step{s} did not end well")?;
        }
        for step in self.bad() {
            write!(
                f,
                "\n  in {}, {} (order {}): {} after {} of {} ({}), registered at {}",
                step.phase,
                kind_and_name(step.kind, &step.name),
                step.order,
                step.outcome,
                Ms(ms_rounded_down(step.took)),
                Ms(ms_rounded_down(step.bound)),
                step.bound_by,
                step.place
            )?;
            if let Some(error) = &step.error {
                write!(f, ": {error}")?;
            }
        }
        for WakePanic {
            name, kind, error, ..
        } in &self.wakes_panicked
        {
            write!(f, "\n  the wake of {kind} {name} panicked: {error}")?;
        }
        Ok(())
    }
}
