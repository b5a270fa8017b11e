//! What callers' code says and does, contained: errors and panics as words (one line, bounded, without
//! control characters), and calls whose panics end here.

use std::any::Any;
use std::fmt::{self, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::journal::Name;

/// The longest error that a journal or log line carries, in characters.
const LONGEST: usize = 200;

/// Returns whether a character steers a terminal instead of showing something: it moves the cursor, ends the
/// line, or turns the direction of writing.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text as one line without anything that steers a terminal: such characters are escaped.
#[cfg(feature = "sim")]
pub(crate) fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut line, c));
    line
}

/// A path as one line, [escaped].
#[cfg(feature = "sim")]
pub(crate) fn shown_path(path: &std::path::Path) -> String {
    escaped(&path.display().to_string())
}

fn push_escaped(line: &mut String, c: char) {
    if c.is_control() {
        line.extend(c.escape_default());
    } else if steers(c) {
        line.extend(c.escape_unicode());
    } else {
        line.push(c);
    }
}

/// A text as one line: at most 200 characters, and what steers a terminal escaped.
///
/// How an error is displayed is its author's code: it may fail, panic, or never come to an end of its
/// words. None of that is passed on.
pub(crate) fn one_line(text: &dyn Display) -> Name {
    let mut line = Line::default();
    let written = contained(|| write!(line, "{text}"));
    if !matches!(written, Some(Ok(()))) && line.text.is_empty() {
        return Name::from("an error without words");
    }
    Name::from(line.text)
}

/// Takes text until the line is full.
#[derive(Default)]
struct Line {
    text: String,
    /// In characters.
    length: usize,
    full: bool,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.full {
                return Err(fmt::Error);
            }
            let before = self.text.len();
            push_escaped(&mut self.text, c);
            self.length += self.text[before..].chars().count();
            if self.length > LONGEST {
                self.full = true;
                self.text.truncate(before);
                while self.text.chars().count() >= LONGEST {
                    self.text.pop();
                }
                self.text.push('…');
            }
        }
        Ok(())
    }
}

/// The words of a panic, from its payload.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without words".to_owned()
    }
}

/// Runs a caller's code where its panic must not end what is around it. The panic hook has said the
/// panic; what it carried is not dropped, since that could panic again.
pub(crate) fn contained<R>(run: impl FnOnce() -> R) -> Option<R> {
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
        assert_eq!(line.chars().count(), LONGEST);
        assert!(line.ends_with('…'));
    }

    #[test]
    fn words_without_an_end_are_cut_like_any_others() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("and so on ")?;
                }
            }
        }
        assert_eq!(one_line(&Endless).chars().count(), LONGEST);
    }

    #[test]
    fn the_longest_error_is_left_whole() {
        let text = "x".repeat(LONGEST);
        assert_eq!(&*one_line(&text), text);
    }
}
