//! Options with which a component is registered. Every option has a default.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{DEFAULT_CALL_TIMEOUT, DEFAULT_JOIN_TIMEOUT};
use super::uses::Uses;
use crate::journal::Told;

/// Function that wakes a body which waits outside of its scope.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync + 'static>;

/// The options of a component of any kind, as the registry keeps them.
#[derive(Clone)]
pub(crate) struct Opts {
    pub order: i32,
    pub timeout: Duration,
    /// Only callbacks and closeables of cleanup have one.
    pub floor: Option<Duration>,
    /// When a body is told.
    pub when_told: Told,
    pub uses: Uses,
    /// Only bodies have one.
    pub wake: Option<Wake>,
}

impl Opts {
    pub fn with_timeout(timeout: Duration) -> Self {
        Opts {
            order: 0,
            timeout,
            floor: None,
            when_told: Told::AtOnce,
            uses: Uses::default(),
            wake: None,
        }
    }
}

/// Options of a thread, a task or a watchdog.
///
/// Where a registration takes options, `()` stands for the default ones.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::{BodyOpts, WorkerCtx};
/// let ctx = WorkerCtx::new(());
/// ctx.add_thread("reader", (), |_scope| {})?;
/// let opts = BodyOpts::new().order(10).timeout(Duration::from_secs(5)).in_turn();
/// for name in ["writer 1", "writer 2"] {
///     ctx.add_thread(name, opts.clone(), |_scope| {})?;
/// }
/// # assert!(ctx.stop_blocking()?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "options do nothing until a component is registered with them"]
#[derive(Clone)]
pub struct BodyOpts(Opts);

impl Default for BodyOpts {
    fn default() -> Self {
        BodyOpts(Opts::with_timeout(DEFAULT_JOIN_TIMEOUT))
    }
}

/// `()` stands for the default options.
impl From<()> for BodyOpts {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<BodyOpts> for Opts {
    fn from(opts: BodyOpts) -> Self {
        opts.0
    }
}

impl BodyOpts {
    /// Returns the default options: order 0, a bound of 2 s, told as soon as stop begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order among stop's steps, which run in ascending order. Default: 0.
    pub fn order(mut self, order: i32) -> Self {
        self.0.order = order;
        self
    }

    /// Sets how long stop waits for the end of the body: its join timeout or cancel timeout, from 1 ms to 1 h.
    /// Default: 2 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Delays the telling until the component's group begins, so that producers end before the writers that they
    /// feed.
    pub fn in_turn(mut self) -> Self {
        self.0.when_told = Told::InTurn;
        self
    }

    /// Adds the components that it uses, by their names or their handles. See [`Uses`] for the forms.
    pub fn uses(mut self, used: impl Into<Uses>) -> Self {
        self.0.uses.add(used.into());
        self
    }

    /// Sets a function that is called when the body is told. It unblocks a body that waits in `recv`, `accept` or a
    /// read, and must not block. Clones of the options share it.
    pub fn wake(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.0.wake = Some(Arc::new(wake));
        self
    }
}

impl fmt::Debug for BodyOpts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyOpts")
            .field("order", &self.0.order)
            .field("timeout", &self.0.timeout)
            .field("told", &self.0.when_told)
            .field("uses", &self.0.uses.names())
            .field("wake", &self.0.wake.is_some())
            .finish()
    }
}

/// Options of a callback or closeable.
///
/// Where a registration takes options, `()` stands for the default ones.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::{CallOpts, WorkerCtx};
/// let ctx = WorkerCtx::new(());
/// let db = ctx.defer_cleanup("db", (), |_scope| {})?;
/// let opts = CallOpts::new().order(100).floor(Duration::from_secs(1)).uses(&db);
/// ctx.defer_cleanup("pool", opts, |_scope| {})?;
/// # assert!(ctx.cleanup_blocking()?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "options do nothing until a component is registered with them"]
#[derive(Clone)]
pub struct CallOpts(Opts);

impl Default for CallOpts {
    fn default() -> Self {
        CallOpts(Opts::with_timeout(DEFAULT_CALL_TIMEOUT))
    }
}

/// `()` stands for the default options.
impl From<()> for CallOpts {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<CallOpts> for Opts {
    fn from(opts: CallOpts) -> Self {
        opts.0
    }
}

impl CallOpts {
    /// Returns the default options: order 0, a bound of 10 s, and in cleanup a shared floor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order: steps run in ascending order in stop, and in descending order in cleanup. Default: 0.
    pub fn order(mut self, order: i32) -> Self {
        self.0.order = order;
        self
    }

    /// Sets how long the step is awaited, from 1 ms to 1 h. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Sets the time that the step always gets, however long the steps before it took. Only cleanup has floors: a stop
    /// callback with a floor is refused. Default: a share of the reserve, at most 1 s.
    pub fn floor(mut self, floor: Duration) -> Self {
        self.0.floor = Some(floor);
        self
    }

    /// Adds the components that it uses, by their names or their handles. See [`Uses`] for the forms.
    pub fn uses(mut self, used: impl Into<Uses>) -> Self {
        self.0.uses.add(used.into());
        self
    }
}

impl fmt::Debug for CallOpts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOpts")
            .field("order", &self.0.order)
            .field("timeout", &self.0.timeout)
            .field("floor", &self.0.floor)
            .field("uses", &self.0.uses.names())
            .finish()
    }
}
