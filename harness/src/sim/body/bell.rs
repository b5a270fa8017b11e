//! Wakes one thread from another when they hand over the [baton](super::baton).
//!
//! A bell uses a pipe, although a condition variable looks like the right tool. A thread that writes into a pipe is
//! about to sleep, and Linux assumes so: it wakes the reader on the writer's own CPU, and the way there and back
//! takes 3 µs. A reader woken through a lock goes to an idle CPU, which first has to wake up itself. That takes 10 to
//! 100 µs, unless both threads are bound to one CPU.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::{Condvar, Mutex, PoisonError};

/// Bell that wakes one thread, once for each ring.
pub(in crate::sim) struct Bell {
    pipe: Option<(PipeReader, PipeWriter)>,
    has_rung: Mutex<bool>,
    rung_changed: Condvar,
}

impl Bell {
    /// Creates a bell. It uses a pipe if `by_pipe` is true and the system provides one, and a condition variable
    /// otherwise.
    pub fn new(by_pipe: bool) -> Self {
        Bell::with_pipe(by_pipe.then(pipe).and_then(Result::ok))
    }

    fn with_pipe(pipe: Option<(PipeReader, PipeWriter)>) -> Self {
        Bell {
            pipe,
            has_rung: Mutex::new(false),
            rung_changed: Condvar::new(),
        }
    }

    #[cfg(test)]
    pub fn is_pipe(&self) -> bool {
        self.pipe.is_some()
    }

    /// Wakes the thread that waits, or the next thread that will wait.
    pub fn ring(&self) {
        if let Some((_, writer)) = &self.pipe
            && { writer }.write_all(&[1]).is_ok()
        {
            return;
        }
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rung_changed.notify_one();
    }

    /// Waits for a ring. May return without one.
    pub fn wait(&self) {
        if let Some((reader, _)) = &self.pipe {
            if { reader }.read_exact(&mut [0]).is_err() {
                // Other code has closed a descriptor that it does not own. The caller now polls, which is slower but
                // works.
                std::thread::yield_now();
            }
            return;
        }
        let rung = self.has_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let rung = self.rung_changed.wait_while(rung, |rung| !*rung);
        *rung.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn ring_ends_a_present_or_later_wait_with_and_without_a_pipe() {
        for bell in [Bell::new(true), Bell::new(false)] {
            let (there, back) = (Arc::new(bell), Arc::new(Bell::new(true)));
            let said = Arc::new(AtomicU32::new(0));
            let (other, answer, says) = (there.clone(), back.clone(), said.clone());
            #[allow(clippy::disallowed_methods, reason = "another thread has to wait")]
            let listens = std::thread::spawn(move || {
                for n in 1..=1_000 {
                    while says.load(Ordering::Acquire) < n {
                        other.wait();
                    }
                    answer.ring();
                }
            });
            for n in 1..=1_000 {
                said.store(n, Ordering::Release);
                there.ring();
                back.wait();
            }
            assert!(listens.join().is_ok());
            // A ring before the wait is kept.
            there.ring();
            there.wait();
        }
    }
}
