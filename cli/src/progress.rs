//! Shows on a terminal how far a long check has come.

use std::io::Write;

use super::output::stderr_is_terminal;
use deadstop_harness::report::figures::grouped;
use deadstop_harness::sim::TWICE_AT_ONCE;

/// Progress of a check. It is shown if the check is long and standard error is a terminal.
pub struct Progress {
    total: u64,
    done: u64,
    shown: bool,
    on_terminal: bool,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        Progress {
            total,
            done: 0,
            shown: false,
            on_terminal: stderr_is_terminal(),
        }
    }

    /// Records that `by` more are done, and shows the progress. A check that fits one chunk shows none: it is over
    /// before anyone could read it.
    pub fn advance(&mut self, by: u64) {
        self.done += by;
        if self.on_terminal && self.total > TWICE_AT_ONCE as u64 {
            self.shown = true;
            let percent = self.done * 100 / self.total.max(1);
            let _ = write!(
                std::io::stderr(),
                "\r{percent:>3} % ({} of {} scenarios and seeds)",
                grouped(self.done),
                grouped(self.total)
            );
        }
    }

    pub fn clear(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}
