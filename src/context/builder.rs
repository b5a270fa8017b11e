//! The builder of a worker context.

use std::fmt;
use std::sync::Arc;

use super::core::Core;
use super::ctx::WorkerCtx;
use super::error::LimitsError;
use super::limits::Limits;
use crate::host::Host;
use crate::journal::{CatchingSink, Claim, Sink, State};

/// A builder of a [`WorkerCtx`]: its limits, and for tests and other surroundings its host and its sink.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::{Limits, WorkerCtx};
/// let limits = Limits::new().grace(Duration::from_secs(60));
/// let ctx = WorkerCtx::builder().limits(limits).build(())?;
/// assert_eq!(ctx.budget().stop_share, Duration::from_millis(39_500));
/// # Ok::<(), deadstop::context::LimitsError>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
#[derive(Clone, Default)]
pub struct Builder {
    limits: Limits,
    host: Option<Arc<dyn Host>>,
    sink: Option<Arc<dyn Sink>>,
}

impl Builder {
    /// Sets the worker's limits in time. Default: [`Limits::new`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
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

    /// Sets a sink of the harness. Its panics are not caught, since they are defects that must be seen.
    #[doc(hidden)]
    pub fn own_sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Builds the context.
    ///
    /// # Errors
    ///
    /// As [`Limits::resolve`].
    pub fn build<A>(self, app: A) -> Result<WorkerCtx<A>, LimitsError> {
        let limits = self.limits.resolve()?;
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
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("host", &self.host)
            .field("sink", &self.sink.is_some())
            .finish()
    }
}

impl WorkerCtx {
    /// Returns a builder, with which to set the limits: grace, reserve, margin.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<A> WorkerCtx<A> {
    /// Returns a worker context with the default limits, around the service's own state.
    pub fn new(app: A) -> Self {
        Builder::default()
            .build(app)
            .unwrap_or_else(|error: LimitsError| {
                unreachable!("the default limits are within their limits: {error}")
            })
    }
}
