//! Contains what callers' code does: turns errors and panics into words (one line, bounded, without control
//! characters), and calls code so that its panics go no further.

use std::any::Any;
use std::fmt::{self, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Maximum length of an error in a journal or log line, in characters.
const MAX_ERROR_CHARS: usize = 200;

/// Returns whether a character controls a terminal instead of showing something: it moves the cursor, ends the line,
/// or changes the direction of writing.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a character, escaped if it [controls a terminal](steers).
pub fn push_escaped(line: &mut String, c: char) {
    if c.is_control() {
        line.extend(c.escape_default());
    } else if steers(c) {
        line.extend(c.escape_unicode());
    } else {
        line.push(c);
    }
}

/// Returns a text as one line of at most 200 characters, in which characters that control a terminal are escaped.
///
/// An error's `Display` is its author's code: it may fail, panic, or write without end. This function returns a text
/// all the same.
pub fn one_line(text: &dyn Display) -> Arc<str> {
    let mut line = BoundedLine::default();
    let written = contained(|| write!(line, "{text}"));
    if !matches!(written, Some(Ok(()))) && line.text.is_empty() {
        return Arc::from("an error without words");
    }
    Arc::from(line.text)
}

/// A buffer that takes text until it holds one full line.
#[derive(Default)]
struct BoundedLine {
    text: String,
    /// Length of the text in characters.
    length: usize,
    full: bool,
}

impl Write for BoundedLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.full {
                return Err(fmt::Error);
            }
            let before = self.text.len();
            push_escaped(&mut self.text, c);
            self.length += self.text[before..].chars().count();
            if self.length > MAX_ERROR_CHARS {
                self.full = true;
                self.text.truncate(before);
                while self.text.chars().count() >= MAX_ERROR_CHARS {
                    self.text.pop();
                }
                self.text.push('…');
            }
        }
        Ok(())
    }
}

/// Returns the words of a panic, from its payload.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without words".to_owned()
    }
}

/// Runs a caller's code whose panic must not end the code around it; returns `None` if it panics. The panic hook has
/// then already reported the panic. The payload is not dropped, since that could panic again.
pub fn contained<R>(run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(std::mem::forget)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_is_escaped() {
        assert_eq!(&*one_line(&"a\nb"), "a\\nb");
    }

    #[test]
    fn direction_marks_and_c1_controls_are_escaped() {
        let line = one_line(&"a\u{9b}31m\u{202e}b\u{2028}\u{2066}ä\u{200d}");
        assert_eq!(&*line, "a\\u{9b}31m\\u{202e}b\\u{2028}\\u{2066}ä\u{200d}");
    }

    #[test]
    fn a_long_error_is_cut_at_two_hundred_characters() {
        let line = one_line(&"ä".repeat(500));
        assert_eq!(line.chars().count(), MAX_ERROR_CHARS);
        assert!(line.ends_with('…'));
    }

    #[test]
    fn error_text_without_end_is_cut() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("and so on ")?;
                }
            }
        }
        assert_eq!(one_line(&Endless).chars().count(), MAX_ERROR_CHARS);
    }

    #[test]
    fn the_longest_error_is_left_whole() {
        let text = "x".repeat(MAX_ERROR_CHARS);
        assert_eq!(&*one_line(&text), text);
    }
}
