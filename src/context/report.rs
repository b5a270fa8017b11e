//! What stop and cleanup did: one value, the same for every caller.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::journal::{BoundBy, By, How, Id, Kind, Ms, Name, Outcome, Phase, Row, SignalName};

use super::limits::ms;

/// One step of stop or cleanup, and how it ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepReport {
    /// The phase it belongs to.
    pub phase: Phase,
    /// The component's number.
    pub id: Id,
    /// The component's name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// Its order.
    pub order: i32,
    /// Where it was registered.
    pub place: &'static Location<'static>,
    /// How it ended.
    pub outcome: Outcome,
    /// The bound it began with.
    pub bound: Duration,
    /// Which limit set that bound.
    pub bound_by: BoundBy,
    /// When it began, on the host's clock.
    pub started: Duration,
    /// How long it took.
    pub took: Duration,
    /// The error's or panic's words.
    pub error: Option<Name>,
}

impl StepReport {
    /// The step as `returned` events carry it.
    pub fn row(&self) -> Row {
        Row {
            id: self.id,
            outcome: self.outcome,
            bound: ms(self.bound),
            bound_by: self.bound_by,
            started: ms(self.started),
            took: ms(self.took),
        }
    }
}

/// A body that ended badly before stop began: it failed, panicked, or was dropped before its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Death {
    /// The component's number.
    pub id: Id,
    /// Its name.
    pub name: Name,
    /// What it was.
    pub kind: Kind,
    /// Failed, panicked or dropped: of a task whose runtime was shut down, or that its own side aborted.
    pub how: How,
    /// In which words.
    pub error: Option<Name>,
    /// When, on the host's clock.
    pub at: Duration,
}

/// A panic of the `wake` with which a thread or task was registered, as it was called.
///
/// The component was told all the same. If only its wake could have let it end, its step says that it did not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WakePanic {
    /// The component's number.
    pub id: Id,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// The panic's words.
    pub error: Name,
}

/// Why the worker stops.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// In words.
    pub words: Name,
    /// Who asked.
    pub by: By,
    /// Which signal, where one asked.
    pub signal: Option<SignalName>,
}

impl Reason {
    /// A reason that is no signal's.
    pub(crate) fn new(words: impl Into<Name>, by: By) -> Self {
        Reason {
            words: words.into(),
            by,
            signal: None,
        }
    }
}

/// What stop and cleanup did.
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
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Why: the first reason. Later ones follow in `later_reasons`.
    pub reason: Option<Reason>,
    /// Reasons given after the first; the first hundred.
    pub later_reasons: Vec<Reason>,
    /// How many reasons were given after the first, in all.
    pub later_reasons_in_all: u64,
    /// One row a step, in the order in which they began.
    pub steps: Vec<StepReport>,
    /// What ended badly before stop: the last hundred.
    pub deaths: Vec<Death>,
    /// How many ended badly before stop, in all.
    pub deaths_in_all: u64,
    /// Wakes that had panicked when the report was made: the first hundred.
    pub wakes_panicked: Vec<WakePanic>,
}

impl Report {
    /// Whether every step ended well.
    pub fn is_ok(&self) -> bool {
        self.steps.iter().all(|step| step.outcome == Outcome::Ok)
    }

    /// The steps that did not end well.
    pub fn bad(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.outcome != Outcome::Ok)
    }
}

/// Returns the kind and the name of a component, as one says them: main has no other name.
pub(super) fn called(kind: Kind, name: &Name) -> String {
    match kind {
        Kind::Main => name.to_string(),
        _ => format!("{kind} {name}"),
    }
}

impl fmt::Display for Report {
    /// One line a step that did not end well, or one that says that all did; and one a wake that panicked.
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
                called(step.kind, &step.name),
                step.order,
                step.outcome,
                Ms(ms(step.took)),
                Ms(ms(step.bound)),
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
