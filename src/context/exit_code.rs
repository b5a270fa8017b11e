//! Exit codes of a worker process, besides those of signals (128 + the signal's number) and main's own; and which of
//! them a life ends with.

use std::sync::PoisonError;

use super::core::Core;
use super::error::StartError;
use crate::journal::Outcome;

/// Code if every step ended well.
pub const OK: i32 = 0;
/// Code if a step did not end well, or main failed without a code of its own.
pub const FAILED: i32 = 1;
/// Code if the watchdog ended the process.
pub const WATCHDOG: i32 = 75;
/// Code if the last resort ended the process.
pub const LAST_RESORT: i32 = 124;
/// Base of the codes of signals, to which the signal's number is added.
pub const SIGNAL: i32 = 128;

impl Core {
    /// Returns the exit code of a process whose worker has stopped (rule 17), if no third signal, watchdog or last
    /// resort sets it.
    pub(crate) fn exit_code(&self) -> i32 {
        if let Some(number) = self.signals.second() {
            return SIGNAL + number;
        }
        if let Some(Err(StartError::Main { code, .. })) = self.start_result.get() {
            return code.unwrap_or(FAILED);
        }
        let steps = self
            .step_reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match steps.iter().all(|(_, step)| step.outcome == Outcome::Ok) {
            true => OK,
            false => FAILED,
        }
    }
}
