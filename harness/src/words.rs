//! Texts that come from outside, as one line each: what production makes of them, and what only output for people needs.

pub use deadstop::words::{contained, one_line, panic_message, steers};

use deadstop::words::push_escaped;

/// Returns a text as one line in which every character that controls a terminal is escaped.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut line, c));
    line
}

/// Returns a path as one line, [escaped].
pub fn shown_path(path: &std::path::Path) -> String {
    escaped(&path.display().to_string())
}
