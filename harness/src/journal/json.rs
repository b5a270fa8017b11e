//! Writes and reads the journal as JSON lines: the public, versioned form.

use super::event::Event;

/// Returns the journal as JSON, one event a line: `t`, `seq`, `event`, then the event's own keys.
pub fn json(events: &[Event]) -> String {
    let mut out = Vec::with_capacity(events.len() * 160);
    for event in events {
        // An event holds names, numbers and lists only, all of which can be JSON.
        serde_json::to_writer(&mut out, event).expect("an event is JSON");
        out.push(b'\n');
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// A line that is not an event.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no event: {error}")]
#[non_exhaustive]
pub struct NoEvent {
    /// The number of the line, from 1.
    pub line: usize,
    /// The reason why it is not an event.
    pub error: serde_json::Error,
}

/// Reads a journal back; skips empty lines.
///
/// # Errors
///
/// [`NoEvent`] for the first line that is not an event.
pub fn parse_json(text: &str) -> Result<Vec<Event>, NoEvent> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(n, line)| serde_json::from_str(line).map_err(|error| NoEvent { line: n + 1, error }))
        .collect()
}
