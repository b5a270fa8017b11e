//! Errors and panics as words: one line, bounded, without control characters.

use std::any::Any;
use std::fmt::{Display, Write as _};

use crate::journal::Name;

/// The longest error that a journal or log line carries, in characters.
const LONGEST: usize = 200;

/// A text as one line: at most 200 characters, control characters escaped.
pub(crate) fn one_line(text: &dyn Display) -> Name {
    let text = text.to_string();
    if text.len() <= LONGEST && !text.contains(char::is_control) {
        return Name::from(text);
    }
    let mut line = String::with_capacity(text.len().min(4 * LONGEST));
    let mut length = 0;
    for c in text.chars() {
        let before = line.len();
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        length += line[before..].chars().count();
        if length > LONGEST {
            line.truncate(before);
            while line.chars().count() >= LONGEST {
                line.pop();
            }
            line.push('…');
            break;
        }
    }
    Name::from(line)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_is_escaped() {
        assert_eq!(&*one_line(&"a\nb"), "a\\nb");
    }

    #[test]
    fn a_long_error_is_cut_at_two_hundred_characters() {
        let line = one_line(&"ä".repeat(500));
        assert_eq!(line.chars().count(), LONGEST);
        assert!(line.ends_with('…'));
    }

    #[test]
    fn the_longest_error_is_left_whole() {
        let text = "x".repeat(LONGEST);
        assert_eq!(&*one_line(&text), text);
    }
}
