//! Hearing SIGTERM and SIGINT, on plain threads that no runtime can hold up.

use std::io;
use std::sync::mpsc;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator;

use super::say::start_thread;
use crate::context::Life;
use crate::journal::SignalName;

/// Hears SIGTERM and SIGINT for a [`Life`].
///
/// [`run`](super::run) does this by itself. It is for a `main` that leads its life by hand:
///
/// ```no_run
/// use deadstop::context::{Life, WorkerCtx};
/// use deadstop::process::{LastResort, Signals};
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let ctx = WorkerCtx::new(());
///     let life = Life::new(&ctx);
///     let _signals = Signals::listen(&life)?;
///     LastResort::arm(&life)?.for_good();
///     let end = life.live(|| async { /* register what the worker is made of */ Ok(()) }).await;
///     std::process::exit(end.code);
/// }
/// ```
///
/// Two threads do it: one hears and counts, and ends the process at the third signal whatever the other
/// is held up by, which makes the requests.
///
/// A worker that asks for these signals gets them, whatever its parent left it: signals that were ignored are heard
/// (as under `nohup`-like wrappers, or SIGINT in a shell's background job), and so are those that a mask blocks. The
/// mask changes on the listening thread only, which runs no code but its own; what the worker starts inherits the mask
/// that its own threads have.
#[must_use = "when it is dropped, signals are no longer heard"]
#[derive(Debug)]
pub struct Signals {
    handle: iterator::Handle,
}

impl Signals {
    /// Listens from now on, for as long as this is kept.
    ///
    /// Dropped, it hears no more. The signals are not given back to the system, whose default would end
    /// the process: from then on they do nothing.
    ///
    /// # Errors
    ///
    /// If the operating system gives no handler, or no thread.
    pub fn listen(life: &Life) -> io::Result<Signals> {
        let mut signals = iterator::Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        // Two are counted before the process ends, so that no more than two wait here.
        let (hears, heard) = mpsc::channel();
        let heeds = life.clone();
        start_thread("deadstop-heed", move || {
            for signal in heard {
                heeds.heed(signal);
            }
        })?;
        let life = life.clone();
        start_thread("deadstop-signals", move || {
            unblock();
            for signal in signals.forever() {
                if let Some(signal) = name_of(signal).and_then(|signal| life.hear(signal)) {
                    let _ = hears.send(signal);
                }
            }
        })?;
        Ok(Signals { handle })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// Takes the signals out of this thread's mask. A process inherits its mask from its parent: where that
/// blocks them, they would stay pending for ever, since every other thread blocks them too.
fn unblock() {
    let mut heard = SigSet::empty();
    heard.add(Signal::SIGTERM);
    heard.add(Signal::SIGINT);
    // The only error is a system call that does not know these signals.
    let _ = heard.thread_unblock();
}

fn name_of(signal: i32) -> Option<SignalName> {
    match signal {
        SIGTERM => Some(SignalName::Sigterm),
        SIGINT => Some(SignalName::Sigint),
        _ => None,
    }
}
