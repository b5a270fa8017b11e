//! The sink, which receives what a worker context reports.

use std::fmt::{self, Display, Formatter};
use std::panic::Location;
use std::sync::Arc;

use super::claim::Claim;
use crate::words::contained;

/// A receiver of what a worker context reports. Services may implement it.
///
/// It is called without any lock held, and must not block. If it panics, it loses that record, and nothing else is
/// affected. It may request a stop, which is announced once the sink has returned. It must not wait for a stop: the
/// stop would wait for the sink.
///
/// ```
/// # use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// # use deadstop::context::WorkerCtx;
/// use deadstop::journal::{Claim, Record, Sink};
///
/// #[derive(Default)]
/// struct Steps(AtomicUsize);
///
/// impl Sink for Steps {
///     fn record(&self, record: &Record<'_>) {
///         if let Claim::StepEnded { .. } = record.claim {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let steps = Arc::new(Steps::default());
/// let ctx = WorkerCtx::<()>::builder().sink(steps.clone()).build(())?;
/// ctx.defer_cleanup("db", (), |_scope| {})?;
/// ctx.cleanup_blocking()?;
/// assert_eq!(steps.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink: Send + Sync + 'static {
    /// Receives one claim, with what the context knows about it.
    fn record(&self, record: &Record<'_>);
}

/// A claim, with the place and the reason that only a log contains.
///
/// Journals contain the claim alone: places differ from build to build, and the words of an error from one operating
/// system to the next. As text ([`Display`]) a record is the line that a service logs.
///
/// ```
/// use deadstop::journal::{Claim, Record, WatchdogIs};
///
/// let claim = Claim::Watchdog { is: WatchdogIs::Failed, attempt: 2 };
/// let record = Record::of(&claim).because("connection refused");
/// assert_eq!(record.to_string(), "failed, 2 failures in a row: connection refused");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// The claim itself.
    pub claim: &'a Claim,
    /// Where the component was registered: of a registration, and of a step that has not ended after half of its bound.
    pub place: Option<&'static Location<'static>>,
    /// Why it happened, in one line: of a failed probe, and of some requests of a stop.
    pub why: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// Returns the record of a claim with neither a place nor a reason.
    pub fn of(claim: &'a Claim) -> Self {
        Record {
            claim,
            place: None,
            why: None,
        }
    }

    /// Adds the place at which the component was registered.
    #[must_use]
    pub fn at(mut self, place: &'static Location<'static>) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds the reason, in one line.
    #[must_use]
    pub fn because(mut self, why: &'a str) -> Self {
        self.why = Some(why);
        self
    }
}

impl Display for Record<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.claim)?;
        if let Some(place) = self.place {
            write!(f, ", registered at {place}")?;
        }
        self.why.map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// A caller's sink, with its panics caught.
pub(crate) struct CatchingSink(pub Arc<dyn Sink>);

impl Sink for CatchingSink {
    fn record(&self, record: &Record<'_>) {
        contained(|| self.0.record(record));
    }
}
