//! The exit code with which a life ends.

use std::sync::PoisonError;

use super::core::Core;
use super::error::StartError;
use crate::host::exit_code::{FAILED, OK, SIGNAL};
use crate::journal::Outcome;

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
