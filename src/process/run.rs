//! Runs the whole life of a worker process in one call from `main`.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::say::{MAX_WAIT, SideThreads, start_thread, write};
use super::worker::{RuntimeKind, Worker};
use super::{LastResort, Signals};
use crate::context::{Life, LifeEnd, StartError, exit_code};
use crate::host::block_on;
use crate::journal::{Cause, SignalName};

/// PID of the first process of a container. The default action of its own signals does not end it: raising one there
/// would end in an `abort` instead.
const INIT: u32 = 1;

/// Runs a worker process: hears SIGTERM and SIGINT, starts, serves until it is asked to stop, stops, cleans up, and
/// returns the code with which the process ends.
///
/// It is meant for a plain `fn main`, without a runtime:
///
/// ```
/// use std::process::ExitCode;
/// use deadstop::context::CallOpts;
/// use deadstop::process::Worker;
///
/// fn main() -> ExitCode {
///     deadstop::run(Worker::new(String::from("the app"), |ctx| async move {
///         ctx.defer_cleanup("db", CallOpts::new(), |_scope| { /* close */ })?;
///         // Something asks for the stop: a signal, or a call.
///         ctx.request_stop("this example is over");
///         Ok(())
///     }))
/// }
/// ```
///
/// The first signal begins the grace, and with it stop and cleanup. The second ends all waiting except for the floors
/// of cleanup. The third ends the process at once. A [`LastResort`] ends it when the grace is nearly over, even if
/// the service's runtime, standard error or an exit handler hangs. The codes are in [`exit_code`].
///
/// The service's runtime is separate, and nothing here waits on it: what blocks it is left behind after its bound. At
/// the end the runtime is shut down in the background, and the app is not dropped, since either could block. So
/// anything that must be closed has to be registered.
///
/// # Exit codes and errors
///
/// A failure to begin (invalid limits, no runtime, no thread, no signal handler) is reported on standard error, and
/// the code is 1. So is main's error, with its own code, else 1; and so are the steps that did not end well.
#[must_use = "the exit code is for `main` to return"]
pub fn run<A: Send + Sync + 'static>(worker: Worker<A>) -> ExitCode {
    let raise_again = worker.raise_again;
    let not_begun =
        |error: BeginError| format!("deadstop: the worker could not be started: {error}\n");
    let side_threads = match SideThreads::start() {
        Ok(side_threads) => side_threads,
        Err(error) => {
            // There is no thread to write this, and nothing runs yet that a blocked write could hold up.
            write(&not_begun(error.into()));
            return exit_code_of(exit_code::FAILED);
        }
    };
    let end = match run_life(worker) {
        Ok(end) => end,
        Err(error) => {
            side_threads.write_line(MAX_WAIT, move || not_begun(error));
            return exit_code_of(exit_code::FAILED);
        }
    };
    if let Err(error @ StartError::Main { .. }) = &end.started {
        let error = error.clone();
        side_threads.write_line(MAX_WAIT, move || format!("deadstop: {error}\n"));
    } else if !end.report.is_ok() || !end.report.wakes_panicked.is_empty() {
        // Without a subscriber, nothing else has reported this.
        let report = Arc::clone(&end.report);
        side_threads.write_line(MAX_WAIT, move || format!("deadstop: {report}\n"));
    }
    if let Some(signal) = stopped_by(&end).filter(|_| raise_again) {
        if std::process::id() == INIT {
            return exit_code_of(exit_code::SIGNAL + signal.number());
        }
        // The signal's default action ends the process without the flush at the end of `main`. A thread that was left
        // behind may hold standard output for ever, or its pipe may not be read; the flush is then not waited for.
        side_threads.run(MAX_WAIT, || {
            let _ = io::stdout().flush();
        });
        let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    }
    exit_code_of(end.code)
}

/// Runs the life itself; returns an error if it could not be begun.
fn run_life<A: Send + Sync + 'static>(worker: Worker<A>) -> Result<LifeEnd, BeginError> {
    let Worker {
        app,
        main,
        place,
        builder,
        runtime,
        raise_again: _,
    } = worker;
    let ctx = builder.build(app)?;
    let life = Life::new(&ctx);
    let service = ServiceRuntime::start(runtime)?;
    LastResort::arm(&life)?.for_good();
    // Signals are heard until the process ends: one that comes after everything is done ends it at once.
    std::mem::forget(Signals::listen(&life)?);
    let end = {
        let _on = service.handle().enter();
        let given = ctx.clone();
        // Parks this thread. It needs no runtime to wake it: what completes the future unparks it.
        block_on(life.lead(move || main(given), place))
    };
    service.shut_down();
    // The app's drop is a caller's code, and could block.
    std::mem::forget(ctx);
    Ok(end)
}

/// The reason why a life could not be begun.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Limits(#[from] crate::context::LimitsError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The service's runtime.
enum ServiceRuntime {
    MultiThread(Runtime),
    /// A runtime that its own thread drives until the token is cancelled.
    CurrentThread(Handle, CancellationToken),
    Given(Handle),
}

impl ServiceRuntime {
    fn start(kind: RuntimeKind) -> io::Result<Self> {
        match kind {
            RuntimeKind::MultiThread { threads } => {
                let mut builder = Builder::new_multi_thread();
                if let Some(threads) = threads {
                    builder.worker_threads(threads);
                }
                // If no thread can be had, tokio panics.
                let built = catch_unwind(AssertUnwindSafe(|| builder.enable_all().build()));
                let none = |_| Err(io::Error::other("no thread could be had for its runtime"));
                Ok(ServiceRuntime::MultiThread(built.unwrap_or_else(none)?))
            }
            RuntimeKind::CurrentThread => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let (handle, over) = (runtime.handle().clone(), CancellationToken::new());
                let until = over.clone();
                start_thread("deadstop-runtime", move || {
                    runtime.block_on(until.cancelled());
                    runtime.shutdown_background();
                })?;
                Ok(ServiceRuntime::CurrentThread(handle, over))
            }
            RuntimeKind::Given(handle) => Ok(ServiceRuntime::Given(handle)),
        }
    }

    fn handle(&self) -> &Handle {
        match self {
            ServiceRuntime::MultiThread(runtime) => runtime.handle(),
            ServiceRuntime::CurrentThread(handle, _) | ServiceRuntime::Given(handle) => handle,
        }
    }

    /// Shuts the runtime down without waiting for what still runs there. A given runtime is left as it is.
    fn shut_down(self) {
        match self {
            ServiceRuntime::MultiThread(runtime) => runtime.shutdown_background(),
            ServiceRuntime::CurrentThread(_, over) => over.cancel(),
            ServiceRuntime::Given(_) => {}
        }
    }
}

/// Returns the signal by which the process may end. After a second signal it is that one, since the exit code has its
/// number even if a step failed as well (rule 17). Otherwise it is the first, if nothing went wrong.
fn stopped_by(end: &LifeEnd) -> Option<SignalName> {
    if end.cause == Cause::SecondSignal {
        let number = end.code - exit_code::SIGNAL;
        let mut signals = SignalName::ALL.iter().copied();
        return signals.find(|signal| signal.number() == number);
    }
    let first = end.report.reason.as_ref()?.signal;
    first.filter(|_| end.code == exit_code::OK)
}

/// Converts a code to what the operating system takes: its lowest byte. A failure whose byte is 0 becomes 1.
fn exit_code_of(code: i32) -> ExitCode {
    let [byte, ..] = code.to_le_bytes();
    ExitCode::from(if byte == 0 && code != 0 { 1 } else { byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_code_never_becomes_success_in_one_byte() {
        assert_eq!(exit_code_of(0), ExitCode::SUCCESS);
        assert_eq!(exit_code_of(256), ExitCode::FAILURE);
        assert_eq!(exit_code_of(-1), ExitCode::from(255));
        assert_eq!(exit_code_of(143), ExitCode::from(143));
    }
}
