//! The last resort (rule 16): a plain thread that ends the process when its grace is nearly over.
//!
//! It depends on nothing that can be stuck. It waits on its own thread and takes no lock that another thread could
//! hold for long. Another thread writes its words. It ends the process by `_exit`, which calls no exit handler and
//! does not wait for a thread that does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::say::{MAX_WAIT, SideThreads};
use crate::context::{Life, exit_code};
use crate::host::poll_while;

/// Maximum number of components that are named as left behind.
const MAX_NAMED: usize = 20;

/// Ends the process with code 124 when half of the margin is left of the grace.
///
/// It is armed for the life of a process, since ending the process is right only if the worker ends with it:
/// [`run`](super::run) arms it, a context alone does not. See [`Signals`](super::Signals) for an example.
#[must_use = "when it is dropped, the last resort is disarmed"]
#[derive(Debug)]
pub struct LastResort {
    disarmed: Arc<AtomicBool>,
    thread: Thread,
}

impl LastResort {
    /// Arms the last resort for `life`. It waits until the grace begins, and then until the grace is nearly over.
    ///
    /// # Errors
    ///
    /// If no thread can be had.
    pub fn arm(life: &Life) -> io::Result<LastResort> {
        let life = life.clone();
        let disarmed = Arc::new(AtomicBool::new(false));
        let is_disarmed = Arc::clone(&disarmed);
        // The host's clock, read without calling the host.
        let epoch = Instant::now().checked_sub(life.core.host.now());
        let epoch = epoch.unwrap_or_else(Instant::now);
        // The words may be held up, and when it strikes there may be no thread to write them.
        let side_threads = SideThreads::start()?;
        let builder = std::thread::Builder::new().name("deadstop-resort".to_owned());
        let thread = builder.spawn(move || {
            let armed = || !is_disarmed.load(Ordering::SeqCst);
            let parked = || {
                std::thread::park();
                armed()
            };
            let Some(from) = poll_while(life.core.grace.wait(), parked) else {
                return;
            };
            let Some(strike_at) = epoch.checked_add(life.core.limits.instants(*from).last_resort)
            else {
                return; // The instant is beyond the clock.
            };
            while armed() {
                let left = strike_at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    strike(life, &side_threads);
                    return;
                }
                std::thread::park_timeout(left);
            }
        })?;
        Ok(LastResort {
            disarmed,
            thread: thread.thread().clone(),
        })
    }

    /// Keeps the last resort armed until the process ends: also while `main` returns, exit handlers run and statics
    /// are dropped.
    pub fn for_good(self) {
        std::mem::forget(self);
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        self.disarmed.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn strike(life: Life, side_threads: &SideThreads) {
    let max_wait = max_wait(life.core.limits.margin);
    side_threads.write_line(max_wait, move || last_words(&life));
    signal_hook::low_level::exit(exit_code::LAST_RESORT);
}

/// Returns the longest time for which the words may take to be written. Half of the margin is left when the last resort
/// strikes, and a quarter of that half is kept for the exit.
fn max_wait(margin: Duration) -> Duration {
    MAX_WAIT.min(margin * 3 / 8)
}

/// Returns the last words. They name what was left behind, as far as that is known without waiting for a lock.
fn last_words(life: &Life) -> String {
    let left = life.core.left_behind();
    let left = match left.as_deref() {
        None => "it is not known what was left behind".to_owned(),
        Some([]) => "nothing of the worker was left behind".to_owned(),
        Some(left) => {
            let more = match left.len().saturating_sub(MAX_NAMED) {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            let named = left.get(..MAX_NAMED).unwrap_or(left);
            format!("left behind: {}{more}", named.join(", "))
        }
    };
    format!("deadstop: the grace is nearly over, and the last resort ends the process; {left}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_leave_an_eighth_of_the_margin_for_the_exit() {
        let micros = |margin_ms| max_wait(Duration::from_millis(margin_ms)).as_micros();
        assert_eq!(micros(8), 3_000);
        assert_eq!(micros(100), 37_500);
        // The longest wait for words.
        assert_eq!(micros(10_000), 50_000);
    }
}
