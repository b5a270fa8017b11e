//! Runs the last code of a process on a thread that may be held up instead of the caller: writing words to standard
//! error, a flush.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::errno::Errno;

/// Longest time that code is waited for.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(50);

type SideCode = Box<dyn FnOnce() + Send + 'static>;

/// Runs code beside the caller, each piece on a thread of its own. If a process can start no thread at its end, a
/// thread that was started in advance runs it.
#[derive(Clone, Debug)]
pub(super) struct SideThreads {
    reserve: mpsc::Sender<SideCode>,
}

impl SideThreads {
    /// Starts the reserve thread.
    pub fn start() -> io::Result<Self> {
        let (reserve, queue) = mpsc::channel::<SideCode>();
        start_thread("deadstop-aside", move || {
            for code in queue {
                code();
            }
        })?;
        Ok(SideThreads { reserve })
    }

    /// Runs code, and returns after `max_wait` whether it is done or not.
    pub fn run(&self, max_wait: Duration, code: impl FnOnce() + Send + 'static) {
        let (done, is_done) = mpsc::sync_channel(1);
        let code: SideCode = Box::new(move || {
            code();
            let _ = done.send(());
        });
        let slot = Arc::new(Mutex::new(Some(code)));
        let theirs = Arc::clone(&slot);
        let take = |slot: &Mutex<Option<SideCode>>| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.take()
        };
        let own = start_thread("deadstop-says", move || {
            if let Some(code) = take(&theirs) {
                code();
            }
        });
        if own.is_err()
            && let Some(code) = take(&slot)
        {
            let _ = self.reserve.send(code);
        }
        let _ = is_done.recv_timeout(max_wait);
    }

    /// Writes a line to standard error, and returns after `max_wait` whether it was written or not: the pipe may be
    /// full, or closed.
    pub fn write_line(&self, max_wait: Duration, line: impl FnOnce() -> String + Send + 'static) {
        self.run(max_wait, move || write(&line()));
    }
}

/// Writes as much to standard error as it takes. Does not use the lock of `std::io::stderr`, which a hung thread may
/// hold, nor another descriptor, since there may be none left.
pub(super) fn write(line: &str) {
    let stderr = io::stderr();
    let mut left = line.as_bytes();
    while !left.is_empty() {
        match nix::unistd::write(&stderr, left) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

pub(super) fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map(drop)
}
