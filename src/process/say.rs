//! Runs the last jobs of a process on a thread that may be held up instead of the caller: writing words to standard
//! error, a flush.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::errno::Errno;

/// Longest time that a job is waited for.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

type Job = Box<dyn FnOnce() + Send + 'static>;

/// Runs jobs beside the caller, each on a thread of its own. If a process can start no thread at its end, a thread
/// that was started in advance runs them.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    reserve: mpsc::Sender<Job>,
}

impl Aside {
    /// Starts the reserve thread.
    pub fn ready() -> io::Result<Self> {
        let (reserve, jobs) = mpsc::channel::<Job>();
        start_thread("deadstop-aside", move || {
            for job in jobs {
                job();
            }
        })?;
        Ok(Aside { reserve })
    }

    /// Runs a job, and returns after `patience` whether it is done or not.
    pub fn run(&self, patience: Duration, job: impl FnOnce() + Send + 'static) {
        let (done, is_done) = mpsc::sync_channel(1);
        let job: Job = Box::new(move || {
            job();
            let _ = done.send(());
        });
        let slot = Arc::new(Mutex::new(Some(job)));
        let theirs = Arc::clone(&slot);
        let take = |slot: &Mutex<Option<Job>>| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.take()
        };
        let own = start_thread("deadstop-says", move || {
            if let Some(job) = take(&theirs) {
                job();
            }
        });
        if own.is_err()
            && let Some(job) = take(&slot)
        {
            let _ = self.reserve.send(job);
        }
        let _ = is_done.recv_timeout(patience);
    }

    /// Writes a line to standard error, and returns after `patience` whether it was written or not: the pipe may be
    /// full, or closed.
    pub fn say(&self, patience: Duration, line: impl FnOnce() -> String + Send + 'static) {
        self.run(patience, move || write(&line()));
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
