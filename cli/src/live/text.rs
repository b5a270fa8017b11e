//! The lines about one live run.

use std::fmt::Write;

use deadstop_harness::report::{Style, listed};

use super::repeat::LiveResult;

/// Returns the text on a live run; empty if it agreed the first time and `verbose` is not set.
pub(super) fn run_text(name: &str, one: &LiveResult, verbose: bool, style: Style) -> String {
    let mut text = String::new();
    if verbose {
        let _ = writeln!(
            text,
            "{name}: lag {:.1} ms, written {:.1} ms after its instant at the latest{}",
            one.lag.as_secs_f64() * 1e3,
            one.late.as_secs_f64() * 1e3,
            if one.repeats > 0 {
                format!(", run again {} times", one.repeats)
            } else {
                String::new()
            }
        );
    }
    if one.verdict.findings.is_empty() {
        if let Some(first) = &one.first_finding {
            let _ = writeln!(text, "again {name}: {first}; then it agreed");
        }
        return text;
    }
    let _ = write!(
        text,
        "FAIL {name}: {}",
        listed(&one.verdict.findings, style)
    );
    text
}

/// Returns the line with the command that runs a failed run again.
pub(super) fn again_text(one: &LiveResult) -> String {
    let mut findings = one.verdict.findings.iter();
    let replay = findings.find_map(|finding| finding.replay.as_ref());
    replay.map_or_else(String::new, |replay| format!("again: {replay}\n\n"))
}
