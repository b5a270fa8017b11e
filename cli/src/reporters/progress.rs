//! Shows on a terminal how far a long check has come.

use std::io::Write;

use deadstop_harness::report::figures::grouped;
use deadstop_harness::sim::MAX_BUFFERED_RUNS;

use super::event::{CheckEvent, Reporter};
use crate::Exit;
use crate::output::stderr_is_terminal;

/// Maximum number of characters of a scenario's name in the line.
const MAX_NAME: usize = 30;

/// Progress of a check. It is shown if the check is long and standard error is a terminal.
pub struct ProgressLine {
    total: u64,
    /// Name of the scenario that started last.
    name: String,
    /// Number of characters that are shown.
    shown: usize,
    on_terminal: bool,
}

impl ProgressLine {
    pub fn new() -> Self {
        ProgressLine {
            total: 0,
            name: String::new(),
            shown: 0,
            on_terminal: stderr_is_terminal(),
        }
    }

    /// Shows the progress. A check that fits one chunk shows none: it is over before anyone could read it.
    fn show(&mut self, done: u64) {
        if !self.on_terminal || self.total <= MAX_BUFFERED_RUNS as u64 {
            return;
        }
        let percent = done * 100 / self.total.max(1);
        let name: String = self.name.chars().take(MAX_NAME).collect();
        let line = format!(
            "{percent:>3} % ({} of {} scenarios and seeds), {name}",
            grouped(done),
            grouped(self.total)
        );
        self.clear();
        self.shown = line.chars().count();
        let _ = write!(std::io::stderr(), "\r{line}");
    }

    fn clear(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        if shown > 0 {
            let _ = write!(std::io::stderr(), "\r{:shown$}\r", "");
        }
    }
}

impl Reporter for ProgressLine {
    fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)> {
        match event {
            CheckEvent::Started { runs } => self.total = runs,
            CheckEvent::ScenarioStarted(case) if self.on_terminal => {
                self.name.clone_from(&case.found.name);
            }
            CheckEvent::ScenarioStarted(_) => {}
            CheckEvent::Progress { done } => self.show(done),
            // Others write now.
            CheckEvent::ScenarioFinished(_) | CheckEvent::Finished(_) => self.clear(),
        }
        Ok(())
    }
}
