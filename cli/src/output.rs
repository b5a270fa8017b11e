//! Writes to standard output and standard error, and finds out how: the width, the colour, whether it is a terminal.

use std::io::{self, IsTerminal, Write};

use super::Exit;
use deadstop_harness::report::Style;
use deadstop_harness::report::figures::plural;
use deadstop_harness::words::escaped;

/// Maximum width of pictures, in columns: wider ones are no easier to read.
const MAX_WIDTH: usize = 160;

/// Writes the whole text to standard output. A reader that has gone away is no error: `deadstop … | head` ends well.
///
/// # Errors
///
/// If anything else keeps the text from being written: its reader would take a part for the whole.
pub fn out(text: &str) -> Result<(), (Exit, String)> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err((
            Exit::Internal,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Writes lines to standard error, and escapes all else that steers a terminal. Callers have to escape what they
/// quote; if one forgets, only line breaks can still do harm.
pub fn err(text: &str) {
    let lines: Vec<_> = text.split('\n').map(escaped).collect();
    let text = lines.join("\n");
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Returns how to write to standard output: as wide as the terminal, and in colour unless the environment asks for
/// none.
pub fn style() -> Style {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let is_terminal = io::stdout().is_terminal();
    let width = terminal_size::terminal_size().filter(|_| is_terminal);
    Style {
        color: is_terminal && !plain,
        width: width.map_or(Style::default().width, |(columns, _)| {
            usize::from(columns.0).min(MAX_WIDTH)
        }),
    }
}

/// Returns whether standard error is a terminal, so that someone may watch it.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Returns a text, cut to its first lines if it has more than `most` bytes. The last line says then how many are left
/// out.
pub fn cut_lines(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut kept = 0;
    for line in text.split_inclusive('\n') {
        if kept + line.len() > most {
            break;
        }
        kept += line.len();
    }
    let left_out = text[kept..].lines().count() as u64;
    format!("{}… and {}\n", &text[..kept], plural(left_out, "more line"))
}

#[cfg(test)]
mod tests {
    use super::cut_lines;

    #[test]
    fn a_long_text_is_cut_between_lines() {
        assert_eq!(cut_lines("a\nbb\n", 5), "a\nbb\n");
        assert_eq!(cut_lines("a\nbb\n", 4), "a\n… and 1 more line\n");
        assert_eq!(cut_lines("äöü\nb\n", 4), "… and 2 more lines\n");
    }
}
