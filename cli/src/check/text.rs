//! What `check` writes about a failure, for people.

use std::fmt::Write;

use deadstop_harness::report::{Style, shown, timeline};

use crate::case::Case;

/// Maximum number of seeds that are listed of a scenario that fails with several.
const MAX_SEEDS_LISTED: usize = 10;

/// Returns the text on a scenario that fails: its first failure, how many seeds fail, and the command that shows it
/// again. Unless `in_full`, the failure is its sentence.
pub fn failure(case: &Case, in_full: bool, style: Style) -> String {
    let mut text = String::new();
    let Some(run) = case.failures().next() else {
        return text;
    };
    let Some(first) = run.findings.first() else {
        return text;
    };
    let name = &case.found.name;
    if in_full {
        let picture = match run.events.is_empty() {
            true => String::new(),
            false => timeline(&run.events, style),
        };
        text += &shown(name, &run.findings, &picture, style);
    } else {
        let _ = writeln!(text, "FAIL {name}: {}", first.sentence());
    }
    let failed = case.failures().count();
    if failed > 1 {
        let seeds: Vec<_> = case
            .failures()
            .filter_map(|run| run.seed)
            .take(MAX_SEEDS_LISTED)
            .map(|seed| seed.to_string())
            .collect();
        let more = if failed > seeds.len() { ", …" } else { "" };
        let _ = writeln!(
            text,
            "it fails with {failed} seeds: {}{more}",
            seeds.join(", ")
        );
    }
    if let Some(replay) = &first.replay {
        let _ = writeln!(text, "replay: {replay}");
    }
    text.push('\n');
    text
}
