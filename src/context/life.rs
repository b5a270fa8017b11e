//! The life of a process: start, wait for a request to stop, stop, cleanup, exit code.
//!
//! This machine around a context does not know its host. A process, which feeds it signals of the operating system,
//! and the simulator drive the same machine: otherwise the simulator would prove nothing about production.

use std::panic::Location;
use std::sync::Arc;

use super::core::Core;
use super::ctx::WorkerCtx;
use super::error::{MainError, StartError};
use super::report::{Reason, Report};
use super::start::Main;
use crate::host::{exit_code, harness_part};
use crate::journal::{By, Cause, Name, SignalName};

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifeEnd {
    /// Exit code of the process.
    pub code: i32,
    /// Cause of the end of the process.
    pub cause: Cause,
    /// Result of the worker's start, even if another caller's start came first. [`StartError::Again`] if the worker
    /// was stopped before any start.
    pub started: Result<(), StartError>,
    /// Report of stop and cleanup.
    pub report: Arc<Report>,
}

/// The life of a process with one worker context.
///
/// The code that receives signals passes them to [`Life::signal`]. [`Life::run`] leads the process through start, the
/// wait for a request, stop and cleanup.
///
/// ```
/// # use deadstop::context::{Life, WorkerCtx};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let ctx = WorkerCtx::new(());
/// let life = Life::new(&ctx);
/// // Other code receives the signals, and calls `life.signal`.
/// ctx.request_stop("this example is over");
/// let end = life.run(|| async { Ok(()) }).await;
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

/// A counted signal that has not been heeded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    signal: SignalName,
    nth: u32,
}

/// Explanation that the log adds to the request of a second signal, which otherwise reads like the first.
const SECOND_SIGNAL_NOTE: &str = "a second signal, from now on only the floors are awaited";

impl Life {
    /// Returns the life of the process around that context. All lives of one context are one: they count their
    /// signals together.
    pub fn new<A>(ctx: &WorkerCtx<A>) -> Self {
        Life {
            core: Arc::clone(&ctx.core),
        }
    }

    /// Counts a signal that asks to stop, and acts on it (rule 11). The first signal requests the stop and begins the
    /// grace. The second ends all waiting except for floors. The third ends the process at once. A signal within
    /// 200 ms of the last counted one is the same one, doubled.
    ///
    /// This may be called before the start and from any thread, but not from a signal handler: a handler sets a flag,
    /// and other code checks that flag and calls this. It waits for nothing but the sink, which receives the request.
    pub fn signal(&self, signal: SignalName) {
        if let Some(heard) = self.hear(signal) {
            self.heed(heard);
        }
    }

    /// Does the part of [`signal`](Self::signal) that no other code can hold up: it takes no lock that is ever held
    /// across a caller's code, and announces nothing. A third signal ends the process here.
    pub(crate) fn hear(&self, signal: SignalName) -> Option<Heard> {
        let Some(nth) = self.core.signals.count(signal, self.core.host.now()) else {
            self.core.signals.note_heeded();
            return None;
        };
        let done = self.core.cleanup_report.get().is_some();
        if nth >= 3 || done {
            let code = exit_code::SIGNAL + signal.number();
            self.core.host.exit(code, Cause::ThirdSignal);
            return None;
        }
        self.core.mark_grace();
        if nth == 2 {
            self.core.end_waits_on_second_signal();
        }
        Some(Heard { signal, nth })
    }

    /// Does the other part: requests the stop, and announces the request.
    pub(crate) fn heed(&self, Heard { signal, nth }: Heard) {
        let reason = Reason {
            words: Name::from(signal.as_str()),
            by: By::Signal,
            signal: Some(signal),
        };
        let note = (nth == 2).then_some(SECOND_SIGNAL_NOTE);
        self.core.request_and_begin_grace_with_note(reason, note);
        self.core.signals.note_heeded();
    }

    /// Returns the number of signals that need no further action.
    #[doc(hidden)]
    pub fn signals_heeded(&self) -> u32 {
        self.core.signals.heeded()
    }

    /// Returns the exit code for a program whose worker was stopped by calls. A second signal sets the code too
    /// (rule 17).
    pub fn exit_code(&self) -> i32 {
        self.core.exit_code()
    }

    /// Starts the worker, waits for a request to stop, stops and cleans up. Returns how the life ended, with the exit
    /// code of the process; the caller ends the process.
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped, the phase that has begun goes on. After the start, requests are heeded all the same.
    #[track_caller]
    pub fn run<M, F>(&self, main: M) -> impl Future<Output = LifeEnd> + Send + use<M, F>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        // The place of main is that of this call; an async function would record its own.
        let place = Location::caller();
        let main = || Main::Async(Box::pin(async move { main().await }));
        self.clone().lead(main, place)
    }

    #[doc(hidden)]
    pub async fn lead(
        self,
        main: impl FnOnce() -> Main + Send,
        place: &'static Location<'static>,
    ) -> LifeEnd {
        let mut started = self.core.start(main, place, true).await;
        // A worker that another caller started runs all the same, and has to be stopped.
        if matches!(started, Err(StartError::Again))
            && let Some(undriven) = self.core.shut_down_when_requested()
        {
            undriven.await;
        }
        if matches!(started, Ok(()) | Err(StartError::Again)) {
            self.core.cleanup_report.wait().await;
        }
        // If another caller made the worker's start, its result counts: if that start failed, so has this life. The
        // result of a start that is rolled back is set only after cleanup.
        if matches!(started, Err(StartError::Again)) && self.core.has_begun_start() {
            started = self.core.start_result.wait().await.clone();
        }
        // The process ends when this returns. All callers that wait for the report get it first.
        harness_part(&*self.core.host).settle().await;
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
    fn second_signal_sets_the_exit_code() {
        let ctx = WorkerCtx::new(());
        let life = Life::new(&ctx);
        ctx.defer_cleanup("db", (), |_| Err("still in use"))
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
