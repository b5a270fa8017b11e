//! The builder of a worker context.

use std::sync::Arc;
use std::time::Duration;

use super::WorkerCtx;
use super::core::Core;
use super::error::LimitsError;
use super::limits::{BOUND_MAX, BOUND_MIN, Limits, whole_ms};
use crate::host::Host;
use crate::journal::{CatchingSink, Claim, Sink, State, Ties};

/// A builder of a [`WorkerCtx`]. Every setting has a default: a grace of 30 s, a third of it reserved for cleanup,
/// and a margin of 500 ms or a twentieth of the grace, whichever is less.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::WorkerCtx;
/// let ctx = WorkerCtx::builder()
///     .grace(Duration::from_secs(60))
///     .reserve(Duration::from_secs(20))
///     .build(())?;
/// assert_eq!(ctx.budget().stop_share, Duration::from_millis(39_500));
/// # Ok::<(), deadstop::context::LimitsError>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
#[derive(Default)]
pub struct Builder {
    grace: Option<Duration>,
    reserve: Option<Duration>,
    margin: Option<Duration>,
    start_timeout: Option<Duration>,
    pre_stop: Duration,
    last_registered_first: bool,
    host: Option<Arc<dyn Host>>,
    sink: Option<Arc<dyn Sink>>,
}

impl Builder {
    /// Sets the grace: the time that the platform gives from the first signal or stop to SIGKILL. Default: 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Sets the reserve: the part of the grace that stop leaves to cleanup, whatever happens. Default: a third of the
    /// grace.
    pub fn reserve(mut self, reserve: Duration) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// Sets the margin: the part at the end of the grace in which nothing is awaited any more. Default: a twentieth
    /// of the grace, at most 500 ms.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = Some(margin);
        self
    }

    /// Sets how long main is awaited if a stop is requested while it runs. Default: 5 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Sets the pre-stop delay: how long a running worker goes on after a signal or a request, while
    /// [`ready`](WorkerCtx::ready) is already false. It is the time that a load balancer takes to notice. Default:
    /// 0 s.
    ///
    /// The grace has begun by then, so the delay is taken from stop's share, and must be shorter than that share. A
    /// second signal cuts the delay, and so does a call of `stop` or `cleanup`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use deadstop::context::WorkerCtx;
    /// let ctx = WorkerCtx::builder().pre_stop(Duration::from_secs(5)).build(())?;
    /// // grace 30 s = stop 19.5 s (its first 5 s are the pre-stop delay) + cleanup 10 s + margin 500 ms
    /// println!("{}", ctx.budget());
    /// # assert!(ctx.budget().to_string().contains("(its first 5 s are the pre-stop delay)"));
    /// # Ok::<(), deadstop::context::LimitsError>(())
    /// ```
    pub fn pre_stop(mut self, delay: Duration) -> Self {
        self.pre_stop = delay;
        self
    }

    /// Makes cleanup close the last registered of equal orders first, which suits resources that are built on one
    /// another. By default the first registered is closed first.
    pub fn last_registered_first(mut self) -> Self {
        self.last_registered_first = true;
        self
    }

    /// Sets the host on which the worker runs. Default: the operating system.
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// Sets the sink that receives what the context reports. Default: `tracing`. A panic of the sink is caught, so that
    /// it does not end the stop.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = Some(Arc::new(CatchingSink(sink)));
        self
    }

    /// Sets a sink of this crate. Its panics are not caught, since they are defects that must be seen.
    #[doc(hidden)]
    pub fn own_sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Builds the context.
    ///
    /// # Errors
    ///
    /// If a duration is outside its limits, if the reserve and the margin leave stop nothing of the grace, or if the
    /// pre-stop delay leaves stop nothing of its share.
    pub fn build<A>(self, app: A) -> Result<WorkerCtx<A>, LimitsError> {
        let limits = self.limits()?;
        let host = self
            .host
            .unwrap_or_else(|| Arc::new(crate::host::Live::new()));
        let sink = self
            .sink
            .unwrap_or_else(|| Arc::new(crate::journal::Tracing::default()));
        // The host tries again to get what it cannot prepare now, when that is needed.
        let _ = host.ready();
        let core = Core::new(host, sink, limits);
        core.emit(Claim::State {
            state: State::Created,
        });
        Ok(WorkerCtx::of(Arc::new(core), app))
    }

    /// Returns the limits of the context that this builder would build.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn limits(&self) -> Result<Limits, LimitsError> {
        let ranged = |what, was: Duration| {
            let rounded = whole_ms(was);
            if rounded < BOUND_MIN || rounded > BOUND_MAX {
                return Err(LimitsError::OutOfRange { what, was });
            }
            Ok(rounded)
        };
        let grace = ranged("the grace", self.grace.unwrap_or(Duration::from_secs(30)))?;
        let reserve = match self.reserve {
            Some(reserve) => ranged("the reserve", reserve)?,
            None => Duration::from_millis(super::limits::ms(grace) / 3),
        };
        let margin = match self.margin {
            Some(margin) => ranged("the margin", margin)?,
            None => whole_ms((grace / 20).min(Duration::from_millis(500))),
        };
        let start_timeout = ranged(
            "the start timeout",
            self.start_timeout.unwrap_or(Duration::from_secs(5)),
        )?;
        let pre_stop = match self.pre_stop {
            Duration::ZERO => Duration::ZERO,
            delay => ranged("the pre-stop delay", delay)?,
        };
        let ties = if self.last_registered_first {
            Ties::Last
        } else {
            Ties::First
        };
        let limits = Limits {
            grace,
            reserve,
            margin,
            ties,
            start_timeout,
            pre_stop,
        };
        if limits.stop_share().is_zero() {
            return Err(LimitsError::NoShare {
                grace,
                reserve,
                margin,
            });
        }
        if pre_stop >= limits.stop_share() {
            return Err(LimitsError::PreStop {
                delay: pre_stop,
                share: limits.stop_share(),
            });
        }
        Ok(limits)
    }
}
