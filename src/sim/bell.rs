//! How one thread wakes another when it hands the baton over.
//!
//! By a pipe, though a condition variable looks like the thing for it. Who writes into a pipe is about to
//! sleep, and Linux takes it so: the reader is woken on the writer's own CPU, and the way there and back
//! takes 3 µs. Woken through a lock it goes to an idle CPU, which first has to wake up itself: 10 to
//! 100 µs, unless both threads are bound to one CPU.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::{Condvar, Mutex, PoisonError};

/// Wakes one thread, once for each ring.
pub(super) struct Bell {
    pipe: Option<(PipeReader, PipeWriter)>,
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    /// By a pipe, if it may be and one is to be had.
    pub fn new(by_pipe: bool) -> Self {
        Bell::by(by_pipe.then(pipe).and_then(Result::ok))
    }

    fn by(pipe: Option<(PipeReader, PipeWriter)>) -> Self {
        Bell {
            pipe,
            rung: Mutex::new(false),
            ring: Condvar::new(),
        }
    }

    #[cfg(test)]
    pub fn is_pipe(&self) -> bool {
        self.pipe.is_some()
    }

    /// Wakes who waits, or who waits next.
    pub fn ring(&self) {
        if let Some((_, writer)) = &self.pipe
            && { writer }.write_all(&[1]).is_ok()
        {
            return;
        }
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ring.notify_one();
    }

    /// Waits for a ring. May return without one.
    pub fn wait(&self) {
        if let Some((reader, _)) = &self.pipe {
            if { reader }.read_exact(&mut [0]).is_err() {
                // Somebody has closed what is not theirs. Slower, but it goes on.
                std::thread::yield_now();
            }
            return;
        }
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let rung = self.ring.wait_while(rung, |rung| !*rung);
        *rung.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_ring_is_heard_before_or_after_with_a_pipe_and_without() {
        for bell in [Bell::new(true), Bell::new(false)] {
            let (there, back) = (Arc::new(bell), Arc::new(Bell::new(true)));
            let said = Arc::new(AtomicU32::new(0));
            let (other, answer, says) = (there.clone(), back.clone(), said.clone());
            #[allow(clippy::disallowed_methods, reason = "somebody else has to listen")]
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
            // Before anybody waits.
            there.ring();
            there.wait();
        }
    }
}
