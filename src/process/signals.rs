//! Hearing SIGTERM and SIGINT, on plain threads that no runtime can hold up.

use std::io;
use std::sync::mpsc;

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

fn name_of(signal: i32) -> Option<SignalName> {
    match signal {
        SIGTERM => Some(SignalName::Sigterm),
        SIGINT => Some(SignalName::Sigint),
        _ => None,
    }
}
