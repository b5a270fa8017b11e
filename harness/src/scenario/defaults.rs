//! Builds the parts of a model with every default filled in.
//!
//! The parser starts from these values, and the writer leaves them out, so a default is stated in one place.

use std::time::Duration;

use super::limits;
use super::model::{Component, Expect, Scenario, Timed, Verb, WatchdogLimits, Worker};
use super::span::Spanned;
use super::trigger::Trigger;
use crate::journal::{Kind, Name, Ties, Told, ms_rounded_down};

impl Scenario {
    /// Returns a scenario in which nothing happens and nothing is expected. Its worker is a user's own.
    ///
    /// ```
    /// use deadstop_harness::scenario::{self, Scenario};
    ///
    /// let scenario = Scenario::new("quiet", "Nothing happens");
    /// assert_eq!(scenario, scenario::parse("quiet", "title = \"Nothing happens\"")?);
    /// # Ok::<(), scenario::Invalid>(())
    /// ```
    pub fn new(name: impl Into<Name>, title: impl Into<String>) -> Self {
        Scenario {
            name: name.into(),
            title: title.into(),
            tags: Vec::new(),
            not_live: None,
            patience: None,
            allow: Vec::new(),
            worker: Worker::default(),
            timeline: Vec::new(),
            expect: Expect::default(),
        }
    }
}

impl Default for Worker {
    /// Returns a worker with the default limits, and without components.
    fn default() -> Self {
        Worker::with_grace(limits::GRACE)
    }
}

impl Worker {
    /// Returns a worker with that grace, the default limits beside it, and no components.
    pub fn with_grace(grace: Duration) -> Self {
        let grace_ms = ms_rounded_down(grace);
        Worker {
            grace,
            reserve: Duration::from_millis(grace_ms / 3),
            margin: Duration::from_millis(grace_ms.div_ceil(20).min(500)),
            ties: Ties::First,
            start_timeout: limits::START_TIMEOUT,
            pre_stop: Duration::ZERO,
            run: true,
            components: None,
        }
    }
}

impl Component {
    /// Returns a component of that kind with the kind's defaults. A component is never of the kind [`Kind::Main`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use deadstop_harness::journal::Kind;
    /// use deadstop_harness::scenario::Component;
    ///
    /// let db = Component { order: 10, ..Component::new(Kind::Closeable, "db") };
    /// assert_eq!(db.timeout, Duration::from_secs(10));
    /// ```
    pub fn new(kind: Kind, name: impl Into<Name>) -> Self {
        Component {
            name: name.into(),
            kind,
            order: 0,
            after: Duration::ZERO,
            late: false,
            uses: Vec::new(),
            takes: Duration::ZERO,
            needs: None,
            timeout: match kind {
                Kind::Thread | Kind::Task | Kind::Watchdog => limits::JOIN_TIMEOUT,
                _ => limits::CALL_TIMEOUT,
            },
            floor: None,
            is_async: false,
            period: None,
            told: Told::AtOnce,
            told_by: None,
            adopted: false,
            watchdog: (kind == Kind::Watchdog).then(WatchdogLimits::default),
            span: 0..0,
        }
    }
}

impl Default for WatchdogLimits {
    fn default() -> Self {
        WatchdogLimits {
            interval: Duration::from_secs(10),
            attempts: 3,
            request_timeout: Duration::from_secs(120),
            start_grace: None,
        }
    }
}

impl Timed {
    /// Returns an event that strikes by that trigger.
    pub fn new(trigger: Trigger, verb: Verb) -> Self {
        Timed {
            trigger,
            verb,
            span: 0..0,
        }
    }
}

impl<T> From<T> for Spanned<T> {
    /// Returns a value that stands in no file.
    fn from(value: T) -> Self {
        Spanned { value, span: 0..0 }
    }
}
