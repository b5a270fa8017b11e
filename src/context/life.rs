//! The life of a process: start, wait for a reason to stop, stop, cleanup, exit code.
//!
//! The machine knows no host. The simulator drives the same one that signals of the operating system
//! drive, or it would prove nothing about production.

use std::panic::Location;
use std::sync::Arc;

use super::core::Core;
use super::error::StartError;
use super::report::{Reason, Report};
use super::start::Main;
use super::{MainError, WorkerCtx};
use crate::journal::{By, Cause, Name, SignalName};

/// Exit codes of a worker process, beside those of signals (128 + the signal's number) and main's own.
pub mod exit_code {
    /// Every step ended well.
    pub const OK: i32 = 0;
    /// A step did not end well, or main failed without a code of its own.
    pub const FAILED: i32 = 1;
    /// The watchdog ended the process.
    pub const WATCHDOG: i32 = 75;
    /// The last resort ended the process.
    pub const LAST_RESORT: i32 = 124;
    /// Added to a signal's number.
    pub const SIGNAL: i32 = 128;
}

/// How a life came to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LifeEnd {
    /// The exit code.
    pub code: i32,
    /// Why the process ends.
    pub cause: Cause,
    /// What the worker's start came to, also where another caller's start came first. [`StartError::Again`] if there
    /// was none, since the worker was stopped before.
    pub started: Result<(), StartError>,
    /// What stop and cleanup did.
    pub report: Arc<Report>,
}

/// The life of a process with one worker context.
///
/// Signals are handed in with [`Life::signal`], from wherever they are heard. [`Life::live`] leads
/// through start, the wait for a request, stop and cleanup.
///
/// ```
/// # use deadstop::context::{Life, WorkerCtx};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let ctx = WorkerCtx::new(());
/// let life = Life::new(&ctx);
/// // Something else hears the signals, and calls `life.signal`.
/// ctx.request_stop("this example is over");
/// let end = life.live(|| async { Ok(()) }).await;
/// assert_eq!(end.code, 0);
/// # }
/// ```
#[derive(Clone)]
pub struct Life {
    pub(crate) core: Arc<Core>,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").finish_non_exhaustive()
    }
}

/// A counted signal that has yet to be heeded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    signal: SignalName,
    nth: u32,
}

/// What the log adds to the request of a second signal, which reads like the first otherwise.
const SECOND: &str = "a second signal, nothing is waited for any more but floors";

impl Life {
    /// The life of the process around that context. All lives of one context are one: they count their
    /// signals together.
    pub fn new<A>(ctx: &WorkerCtx<A>) -> Self {
        Life {
            core: Arc::clone(&ctx.core),
        }
    }

    /// A signal that asks to stop has arrived (rule 11). The first begins the grace, the second ends all
    /// waiting but for the floors, the third ends the process at once. One within 200 ms of the last
    /// counted one is the same one, doubled.
    ///
    /// It may be called before the start, and from any thread, but not from a signal handler: handlers set
    /// a flag, and something else looks at it. It waits for nothing but the sink, which is told of the
    /// request.
    pub fn signal(&self, signal: SignalName) {
        if let Some(heard) = self.hear(signal) {
            self.heed(heard);
        }
    }

    /// The part of [`signal`](Self::signal) that nobody can hold up: no lock is taken that is ever held
    /// across a caller's code, and nothing is said. A third signal ends the process here.
    pub(crate) fn hear(&self, signal: SignalName) -> Option<Heard> {
        let Some(nth) = self.core.signals.count(signal, self.core.host.now()) else {
            self.core.signals.note_heeded();
            return None;
        };
        let done = self.core.cleaned.get().is_some();
        if nth >= 3 || done {
            let code = exit_code::SIGNAL + signal.number();
            self.core.host.exit(code, Cause::ThirdSignal);
            return None;
        }
        self.core.mark_grace();
        if nth == 2 {
            self.core.hurry();
        }
        Some(Heard { signal, nth })
    }

    /// The other part: the stop is requested, and said to be.
    pub(crate) fn heed(&self, Heard { signal, nth }: Heard) {
        let reason = Reason {
            words: Name::from(signal.as_str()),
            by: By::Signal,
            signal: Some(signal),
        };
        let why = (nth == 2).then_some(SECOND);
        self.core.request_now_and(reason, why);
        self.core.signals.note_heeded();
    }

    /// Returns how many signals there is nothing left to do about.
    #[cfg(feature = "cli")]
    pub(crate) fn signals_heeded(&self) -> u32 {
        self.core.signals.heeded()
    }

    /// The code with which a program should end whose worker was stopped by calls. A second signal sets it too
    /// (rule 17).
    pub fn exit_code(&self) -> i32 {
        self.core.exit_code()
    }

    /// Starts, waits for a request to stop, stops, cleans up, and says with which code the process
    /// should end. The caller ends it.
    ///
    /// # Cancel safety
    ///
    /// What has begun goes on when this future is dropped: after the start, requests are heeded all the same.
    #[track_caller]
    pub fn live<M, F>(&self, main: M) -> impl Future<Output = LifeEnd> + Send + use<M, F>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        // Main's place is that of this call; an async function would give its own.
        let place = Location::caller();
        let main = || Main::Async(Box::pin(async move { main().await }));
        self.clone().run(main, place)
    }

    pub(crate) async fn run(
        self,
        main: impl FnOnce() -> Main + Send,
        place: &'static Location<'static>,
    ) -> LifeEnd {
        let mut started = self.core.start(main, place, true).await;
        // Started by somebody else, the worker lives all the same, and has to be stopped.
        if matches!(started, Err(StartError::Again))
            && let Some(undriven) = self.core.close_when_requested()
        {
            undriven.await;
        }
        if matches!(started, Ok(()) | Err(StartError::Again)) {
            self.core.cleaned.wait().await;
        }
        // The start of somebody else's call is the worker's: where it failed, so has this life. Rolled back, it says
        // so only after cleanup.
        if matches!(started, Err(StartError::Again)) && self.core.has_begun_start() {
            started = self.core.started.wait().await.clone();
        }
        // The process ends with this: let everybody who waits for the report have it first.
        self.core.host.settle().await;
        let code = self.core.exit_code();
        let (code, cause) = match &started {
            _ if self.core.signals.second().is_some() => (code, Cause::SecondSignal),
            Err(StartError::Main { .. }) => (code, Cause::StartFailed),
            _ => (code, Cause::Stopped),
        };
        LifeEnd {
            code,
            cause,
            started,
            report: self.core.last_report(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn exit_code_after_a_second_signal_is_its_own() {
        let ctx = WorkerCtx::new(());
        let life = Life::new(&ctx);
        ctx.defer_cleanup("db", Default::default(), |_| Err("still in use"))
            .expect("accepted");
        let count = |signal, ms| {
            let at = Duration::from_millis(ms);
            life.core.signals.count(signal, at)
        };
        assert_eq!(count(SignalName::Sigterm, 0), Some(1));
        ctx.cleanup_blocking().expect("from outside");
        assert_eq!(life.exit_code(), exit_code::FAILED, "a step failed");
        assert_eq!(count(SignalName::Sigint, 300), Some(2));
        assert_eq!(life.exit_code(), 130);
    }
}
