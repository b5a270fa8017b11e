//! One call from `main`: the whole life of a worker process.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::say::{Aside, PATIENCE, start_thread, write};
use super::worker::{Kind, Worker};
use super::{LastResort, Signals};
use crate::context::{Life, LifeEnd, StartError, exit_code};
use crate::host::block_on;
use crate::journal::{Cause, SignalName};

/// The first process of a container, which no signal of its own ends by its default: raised there, it would
/// come to an `abort` in its stead.
const INIT: u32 = 1;

/// Runs a worker process: hears SIGTERM and SIGINT, starts, serves until it is asked to stop, stops, cleans
/// up, and says with which code the process ends.
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
/// The first signal begins the grace, and with it stop and cleanup; the second ends all waiting but for the
/// floors of cleanup; the third ends the process at once. A [`LastResort`] ends it when the grace is nearly
/// over, whatever hangs: in the service's runtime, on standard error, in an exit handler. The codes are in
/// [`exit_code`].
///
/// The service's runtime is one of its own, and nothing here waits on it: what blocks it is left behind after
/// its bound. At the end it is shut down in the background, and the app is not dropped, since either could
/// block. What has to be closed is registered.
///
/// # Exit codes and errors
///
/// What cannot be begun (limits that cannot be, no runtime, no thread, no signal handler) is said on standard
/// error, and the code is 1. So is main's error, whose code is its own, else 1; and so are the steps that did not end
/// well.
#[must_use = "the exit code is for `main` to return"]
pub fn run<A: Send + Sync + 'static>(worker: Worker<A>) -> ExitCode {
    let raise_again = worker.raise_again;
    let not_begun =
        |error: BeginError| format!("deadstop: the worker could not be begun: {error}\n");
    let aside = match Aside::ready() {
        Ok(aside) => aside,
        Err(error) => {
            // There is no thread for it, and nothing runs yet that this could hold up.
            write(&not_begun(error.into()));
            return exit_code_of(exit_code::FAILED);
        }
    };
    let end = match live(worker) {
        Ok(end) => end,
        Err(error) => {
            aside.say(PATIENCE, move || not_begun(error));
            return exit_code_of(exit_code::FAILED);
        }
    };
    if let Err(error @ StartError::Main { .. }) = &end.started {
        let error = error.clone();
        aside.say(PATIENCE, move || format!("deadstop: {error}\n"));
    } else if !end.report.is_ok() || !end.report.wakes_panicked.is_empty() {
        // Without a subscriber nobody else has said so.
        let report = Arc::clone(&end.report);
        aside.say(PATIENCE, move || format!("deadstop: {report}\n"));
    }
    if let Some(signal) = stopped_by(&end).filter(|_| raise_again) {
        if std::process::id() == INIT {
            return exit_code_of(exit_code::SIGNAL + signal.number());
        }
        // The signal's default ends the process without the end of `main`, which would flush. A thread that was left
        // behind may hold standard output for ever, and nobody may read it: the flush is not waited for then.
        aside.run(PATIENCE, || {
            let _ = io::stdout().flush();
        });
        let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    }
    exit_code_of(end.code)
}

/// The life itself; an error where it could not be begun.
fn live<A: Send + Sync + 'static>(worker: Worker<A>) -> Result<LifeEnd, BeginError> {
    let Worker {
        app,
        main,
        place,
        limits,
        runtime,
        raise_again: _,
    } = worker;
    let ctx = limits.build(app)?;
    let life = Life::new(&ctx);
    let service = Service::start(runtime)?;
    LastResort::arm(&life)?.for_good();
    // Heard until the process ends: one that comes after everything is done ends it at once.
    std::mem::forget(Signals::listen(&life)?);
    let end = {
        let _on = service.handle().enter();
        let given = ctx.clone();
        // Parks this thread, which no runtime wakes: whoever completes what it waits for does.
        block_on(life.run(move || main(given), place))
    };
    service.shut_down();
    // The app's drop is the caller's code, and could block.
    std::mem::forget(ctx);
    Ok(end)
}

/// Why a life could not be begun.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Limits(#[from] crate::context::LimitsError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The service's runtime.
enum Service {
    MultiThread(Runtime),
    /// Driven on a thread of its own until the token is cancelled.
    CurrentThread(Handle, CancellationToken),
    Given(Handle),
}

impl Service {
    fn start(kind: Kind) -> io::Result<Self> {
        match kind {
            Kind::MultiThread { threads } => {
                let mut builder = Builder::new_multi_thread();
                if let Some(threads) = threads {
                    builder.worker_threads(threads);
                }
                // Where no thread can be had, tokio panics.
                let built = catch_unwind(AssertUnwindSafe(|| builder.enable_all().build()));
                let none = |_| Err(io::Error::other("no thread could be had for its runtime"));
                Ok(Service::MultiThread(built.unwrap_or_else(none)?))
            }
            Kind::CurrentThread => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let (handle, over) = (runtime.handle().clone(), CancellationToken::new());
                let until = over.clone();
                start_thread("deadstop-runtime", move || {
                    runtime.block_on(until.cancelled());
                    runtime.shutdown_background();
                })?;
                Ok(Service::CurrentThread(handle, over))
            }
            Kind::Given(handle) => Ok(Service::Given(handle)),
        }
    }

    fn handle(&self) -> &Handle {
        match self {
            Service::MultiThread(runtime) => runtime.handle(),
            Service::CurrentThread(handle, _) | Service::Given(handle) => handle,
        }
    }

    /// Nobody waits for what still runs there.
    fn shut_down(self) {
        match self {
            Service::MultiThread(runtime) => runtime.shutdown_background(),
            Service::CurrentThread(_, over) => over.cancel(),
            Service::Given(_) => {}
        }
    }
}

/// The signal by which the process may end: the second, whose number the exit code has whatever else went
/// wrong (rule 17); or the first, where nothing did.
fn stopped_by(end: &LifeEnd) -> Option<SignalName> {
    if end.cause == Cause::SecondSignal {
        let number = end.code - exit_code::SIGNAL;
        let mut signals = SignalName::ALL.iter().copied();
        return signals.find(|signal| signal.number() == number);
    }
    let first = end.report.reason.as_ref()?.signal;
    first.filter(|_| end.code == exit_code::OK)
}

/// A code as the operating system takes it: its lowest byte. One that would turn into success does not.
fn exit_code_of(code: i32) -> ExitCode {
    let [byte, ..] = code.to_le_bytes();
    ExitCode::from(if byte == 0 && code != 0 { 1 } else { byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_never_turns_into_success_on_its_way_through_one_byte() {
        assert_eq!(exit_code_of(0), ExitCode::SUCCESS);
        assert_eq!(exit_code_of(256), ExitCode::FAILURE);
        assert_eq!(exit_code_of(-1), ExitCode::from(255));
        assert_eq!(exit_code_of(143), ExitCode::from(143));
    }
}
