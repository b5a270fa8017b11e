//! Options with which a component is registered. Every option has a default.

use std::fmt;
use std::time::Duration;

use super::limits::{DEFAULT_CALL_TIMEOUT, DEFAULT_JOIN_TIMEOUT};
use crate::journal::{Name, Told};

/// Function that wakes a body which waits outside of its scope.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync + 'static>;

/// Options of a thread, a task or a watchdog.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::BodyOpts;
/// let opts = BodyOpts::new().order(10).timeout(Duration::from_secs(5)).in_turn();
/// ```
pub struct BodyOpts {
    pub(crate) order: i32,
    pub(crate) timeout: Duration,
    pub(crate) when_told: Told,
    pub(crate) uses: Vec<Name>,
    pub(crate) wake: Option<Wake>,
}

impl Default for BodyOpts {
    fn default() -> Self {
        BodyOpts {
            order: 0,
            timeout: DEFAULT_JOIN_TIMEOUT,
            when_told: Told::AtOnce,
            uses: Vec::new(),
            wake: None,
        }
    }
}

impl BodyOpts {
    /// Returns the default options: order 0, a bound of 2 s, told as soon as stop begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order among stop's steps, which run in ascending order.
    #[must_use]
    pub fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// Sets how long stop waits for the end of the body: its join timeout or cancel timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Delays the telling until the component's group begins, so that producers end before the writers that they
    /// feed.
    #[must_use]
    pub fn in_turn(mut self) -> Self {
        self.when_told = Told::InTurn;
        self
    }

    /// Adds the names of the components that it uses.
    #[must_use]
    pub fn uses<N: Into<Name>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.uses.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets a function that is called when the body is told. It unblocks a body that waits in `recv`, `accept` or a
    /// read, and must not block.
    #[must_use]
    pub fn wake(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.wake = Some(Box::new(wake));
        self
    }
}

impl fmt::Debug for BodyOpts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyOpts")
            .field("order", &self.order)
            .field("timeout", &self.timeout)
            .field("told", &self.when_told)
            .field("uses", &self.uses)
            .field("wake", &self.wake.is_some())
            .finish()
    }
}

/// Options of a callback or closeable.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::CallOpts;
/// let opts = CallOpts::new().order(50).floor(Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct CallOpts {
    pub(crate) order: i32,
    pub(crate) timeout: Duration,
    pub(crate) floor: Option<Duration>,
    pub(crate) uses: Vec<Name>,
}

impl Default for CallOpts {
    fn default() -> Self {
        CallOpts {
            order: 0,
            timeout: DEFAULT_CALL_TIMEOUT,
            floor: None,
            uses: Vec::new(),
        }
    }
}

impl CallOpts {
    /// Returns the default options: order 0, a bound of 10 s, and in cleanup a shared floor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order: steps run in ascending order in stop, and in descending order in cleanup.
    #[must_use]
    pub fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// Sets how long the step is awaited.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time that the step always gets, whatever came before it. Only cleanup has floors: a stop callback
    /// with a floor is refused.
    #[must_use]
    pub fn floor(mut self, floor: Duration) -> Self {
        self.floor = Some(floor);
        self
    }

    /// Adds the names of the components that it uses.
    #[must_use]
    pub fn uses<N: Into<Name>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.uses.extend(names.into_iter().map(Into::into));
        self
    }
}
