//! What can go wrong with a call of the context.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::report::Report;
use crate::host::BoxError;
use crate::journal::{Kind, Name, RefusedReason};

/// A registration that was refused. It hands back what was to be registered.
///
/// It is an error like any other and survives `?` into a boxed error.
///
/// ```
/// # use deadstop::context::{CallOpts, WorkerCtx};
/// let ctx = WorkerCtx::new(());
/// ctx.stop_blocking()?;
/// let refused = ctx.defer_stop("late", CallOpts::new(), |_scope| {}).unwrap_err();
/// let _callback = refused.into_value(); // to be called here, perhaps
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Refused<T> {
    // A mutex, since the value need be neither `Sync` nor `Debug` for the error to be both; boxed, since
    // every registration returns room for it.
    value: Box<Mutex<T>>,
    /// What was to be registered.
    pub kind: Kind,
    /// Under which name.
    pub name: Name,
    /// Why not.
    pub reason: RefusedReason,
    /// More about why not.
    pub detail: String,
}

impl<T> Refused<T> {
    pub(crate) fn new(value: T, refusal: Refusal, kind: Kind, name: Name) -> Self {
        Refused {
            value: Box::new(Mutex::new(value)),
            kind,
            name,
            reason: refusal.reason,
            detail: refusal.detail,
        }
    }

    /// What was to be registered.
    pub fn into_value(self) -> T {
        self.value
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("reason", &self.reason)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} was refused: {}",
            self.kind, self.name, self.detail
        )
    }
}

impl<T> std::error::Error for Refused<T> {}

/// Why a registration was refused, before it is joined with its value.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub reason: RefusedReason,
    pub detail: String,
}

impl Refusal {
    pub(crate) fn limit(detail: impl Into<String>) -> Self {
        Refusal {
            reason: RefusedReason::Limit,
            detail: detail.into(),
        }
    }
}

/// Limits that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// A duration is outside of what is allowed.
    #[error("{what} is {was:?}: it must be from 1 ms to 1 h")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// What it was.
        was: Duration,
    },
    /// Stop would have no time at all.
    #[error(
        "a reserve of {reserve:?} and a margin of {margin:?} leave stop nothing of a grace of {grace:?}"
    )]
    NoShare {
        /// The grace.
        grace: Duration,
        /// The reserve.
        reserve: Duration,
        /// The margin.
        margin: Duration,
    },
    /// The pre-stop delay would use up what stop has.
    #[error("a pre-stop delay of {delay:?} leaves stop nothing of its share of {share:?}")]
    PreStop {
        /// The delay.
        delay: Duration,
        /// Stop's share of the grace.
        share: Duration,
    },
}

/// The call was made from inside a body, step or task of the same context, which would wait for itself.
///
/// A `stop` has requested the stop all the same; a `cleanup` has done nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("called from inside a body, step or task of this context, which would wait for itself")]
pub struct CalledFromInside;

/// A blocking form that could not be waited for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The caller is on a runtime, which would be blocked: call the async form.
    #[error("called on a runtime, which would be blocked: call the async form")]
    OnRuntime,
    /// See [`CalledFromInside`].
    #[error(transparent)]
    CalledFromInside(#[from] CalledFromInside),
}

/// Main failed: its error, and the exit code it asks for.
#[derive(Debug)]
pub struct MainError {
    /// The exit code that main asks for.
    pub code: Option<i32>,
    /// The error.
    pub error: BoxError,
}

impl MainError {
    /// An error that asks for an exit code of its own. 0 would read as success, and counts as none: the code is 1 then.
    ///
    /// ```
    /// # use deadstop::context::MainError;
    /// fn main_of_worker() -> Result<(), MainError> {
    ///     Err(MainError::with_code(255, "the model cannot be loaded"))
    /// }
    /// # assert_eq!(main_of_worker().unwrap_err().code, Some(255));
    /// ```
    pub fn with_code(code: i32, error: impl Into<BoxError>) -> Self {
        MainError {
            code: Some(code),
            error: error.into(),
        }
    }

    /// The code that it may have.
    pub(crate) fn asks_for(&self) -> Option<i32> {
        self.code.filter(|code| *code != 0)
    }
}

// Without `Error` of its own, so that any error turns into it with `?`.
impl<E: Into<BoxError>> From<E> for MainError {
    fn from(error: E) -> Self {
        MainError {
            code: None,
            error: error.into(),
        }
    }
}

impl fmt::Display for MainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Start did not lead to a running worker. Nothing was left open: what main had registered was stopped
/// and cleaned up, and the report says how.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Main failed or panicked.
    #[error("main failed: {message}")]
    Main {
        /// The error's or panic's words.
        message: Name,
        /// The exit code that main asked for.
        code: Option<i32>,
        /// Whether a stop had been requested before.
        requested: bool,
        /// What stop and cleanup did.
        report: Arc<Report>,
    },
    /// A stop was requested before main had returned.
    #[error("a stop was requested before main had returned")]
    StopRequested {
        /// What stop and cleanup did.
        report: Arc<Report>,
    },
    /// Start was called before, or the context has been stopped. Nothing was done.
    #[error("a context starts once, and not after a stop")]
    Again,
    /// The call was made from inside; nothing was done.
    #[error(transparent)]
    CalledFromInside(#[from] CalledFromInside),
}
