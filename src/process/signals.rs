//! Hears SIGTERM and SIGINT on plain threads that no runtime can hold up.

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
/// [`run`](super::run) does this by itself. This type is for a `main` that leads its life by hand:
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
///     let end = life.run(|| async { /* register what the worker is made of */ Ok(()) }).await;
///     std::process::exit(end.code);
/// }
/// ```
///
/// It has two threads. One hears and counts, and ends the process at the third signal. The other makes the requests;
/// a delay of the second does not delay the first.
///
/// A worker that asks for these signals gets them, even if its parent left them ignored (as under `nohup`-like
/// wrappers, or SIGINT in a shell's background job) or blocked by a mask. The mask changes on the listening thread
/// only, which runs no other code; processes that the worker starts inherit the mask of the worker's own threads.
#[must_use = "when it is dropped, signals are no longer heard"]
#[derive(Debug)]
pub struct Signals {
    handle: iterator::Handle,
}

impl Signals {
    /// Listens for as long as the returned value is kept.
    ///
    /// When it is dropped, signals are no longer heard. They are not given back to the system, whose default action
    /// would end the process: from then on they do nothing.
    ///
    /// # Errors
    ///
    /// If the operating system refuses the handler or a thread.
    pub fn listen(life: &Life) -> io::Result<Signals> {
        let mut signals = iterator::Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        // Two signals are counted before the process ends, so at most two wait here.
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

/// Removes the signals from this thread's mask. A process inherits its mask from its parent. If that mask blocks
/// them, they would stay pending for ever, since every other thread blocks them too.
fn unblock() {
    let mut heard = SigSet::empty();
    heard.add(Signal::SIGTERM);
    heard.add(Signal::SIGINT);
    // The only error is from a system call that does not know these signals.
    let _ = heard.thread_unblock();
}

fn name_of(signal: i32) -> Option<SignalName> {
    match signal {
        SIGTERM => Some(SignalName::Sigterm),
        SIGINT => Some(SignalName::Sigint),
        _ => None,
    }
}
