//! Errors of the calls of a context.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::report::Report;
use crate::host::BoxError;
use crate::journal::{Kind, Name, RefusedReason};

/// A registration that was refused. It hands back the value that was to be registered.
///
/// It is an ordinary error, which `?` converts into a boxed error.
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
    // A mutex makes the error `Sync` although the value need not be, and `Debug` leaves the value out. A box keeps
    // the result of every registration small, which has to have room for this error.
    value: Box<Mutex<T>>,
    /// Kind of the component.
    pub kind: Kind,
    /// Name of the component.
    pub name: Name,
    /// Reason of the refusal.
    pub reason: RefusedReason,
    /// Details of the reason.
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

    /// Returns the value that was to be registered.
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

/// The reason why a registration was refused, before the value is added to it.
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

/// Limits that a context cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// A duration is outside its limits.
    #[error("{what} is {was:?}: it must be from 1 ms to 1 h")]
    OutOfRange {
        /// Name of the duration.
        what: &'static str,
        /// Value of the duration.
        was: Duration,
    },
    /// The reserve and the margin leave stop nothing of the grace.
    #[error(
        "the reserve of {reserve:?} and the margin of {margin:?} leave no time for stop in the grace of {grace:?}"
    )]
    NoShare {
        /// The grace.
        grace: Duration,
        /// The reserve.
        reserve: Duration,
        /// The margin.
        margin: Duration,
    },
    /// The pre-stop delay leaves stop nothing of its share.
    #[error("the pre-stop delay of {delay:?} must be shorter than stop's share of {share:?}")]
    PreStop {
        /// The delay.
        delay: Duration,
        /// Stop's share of the grace.
        share: Duration,
    },
}

/// A call from inside a body, step or task of the same context, which would wait for itself.
///
/// `stop` has requested the stop all the same; `cleanup` and `start` have done nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("called from inside a body, step or task of this context: the call would wait for itself")]
pub struct CalledFromInside;

/// A blocking call that cannot wait here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The caller is on a runtime, which the call would block. Use the async form there.
    #[error("called on a runtime, which the call would block: use the async form")]
    OnRuntime,
    /// See [`CalledFromInside`].
    #[error(transparent)]
    CalledFromInside(#[from] CalledFromInside),
}

/// The failure of main: its error, and the exit code that main asks for.
///
/// It does not implement [`Error`](std::error::Error), so that `?` converts every error into it.
#[derive(Debug)]
#[non_exhaustive]
pub struct MainError {
    /// Exit code that main asks for.
    pub code: Option<i32>,
    /// Error of main.
    pub error: BoxError,
}

impl MainError {
    /// Returns an error that asks for an exit code of its own. 0 would read as success, and counts as none: the code
    /// is then 1.
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

    /// Returns the exit code that main asks for. 0 counts as none.
    pub fn asks_for(&self) -> Option<i32> {
        self.code.filter(|code| *code != 0)
    }
}

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

/// A start that did not lead to a running worker. Nothing was left open: everything that main had registered was
/// stopped and cleaned up, and the report shows how that ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Main failed or panicked.
    #[error("main failed: {message}")]
    Main {
        /// Message of the error or panic.
        message: Name,
        /// Exit code that main asked for.
        code: Option<i32>,
        /// Whether a stop had been requested before.
        requested: bool,
        /// Report of stop and cleanup.
        report: Arc<Report>,
    },
    /// A stop was requested before main had returned.
    #[error("a stop was requested before main had returned")]
    StopRequested {
        /// Report of stop and cleanup.
        report: Arc<Report>,
    },
    /// The worker was started before, or has been stopped. Nothing was done.
    #[error("a context can be started only once, and not after a stop")]
    Again,
    /// The call was made from inside. Nothing was done.
    #[error(transparent)]
    CalledFromInside(#[from] CalledFromInside),
}

impl StartError {
    /// Returns the journal's word for the failure.
    #[doc(hidden)]
    pub fn word(&self) -> Name {
        match self {
            StartError::Main { message, .. } => format!("start-failed: {message}").into(),
            StartError::StopRequested { .. } => "stop-requested".into(),
            StartError::Again => "again".into(),
            StartError::CalledFromInside(_) => "called-from-inside".into(),
        }
    }
}
