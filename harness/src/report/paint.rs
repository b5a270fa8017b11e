//! Lines for a terminal: measures text, escapes what may not reach a terminal, and colours the rest. All of `report`
//! writes its lines with it.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// The meaning of a piece of a line, which decides its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ink {
    /// No colour.
    #[default]
    Plain,
    /// Folded time, and text for reference only.
    Dim,
    /// A bad end, and text that is gone.
    Bad,
    /// A good end, and text that is new.
    Good,
    /// A signal.
    Signal,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Dim => "\u{1b}[2m",
            Ink::Bad => "\u{1b}[31m",
            Ink::Good => "\u{1b}[32m",
            Ink::Signal => "\u{1b}[33m",
        }
    }
}

/// A line under construction: characters with their ink.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    cells: Vec<(char, Ink)>,
    width: usize,
}

impl Line {
    /// Returns a line of one text, cleaned.
    pub(super) fn of(text: &str, ink: Ink) -> Self {
        let mut line = Line::default();
        line.push(text, ink);
        line
    }

    /// Returns the number of columns that the line takes.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Adds a text, cleaned.
    pub(super) fn push(&mut self, text: &str, ink: Ink) {
        for c in clean(text).chars() {
            self.put(c, ink);
        }
    }

    /// Adds one character, which must be printable.
    pub(super) fn put(&mut self, c: char, ink: Ink) {
        self.width += char_width(c);
        self.cells.push((c, ink));
    }

    /// Adds blanks up to a column.
    pub(super) fn pad(&mut self, column: usize) {
        while self.width < column {
            self.put(' ', Ink::Plain);
        }
    }

    /// Writes the line without blanks at its end, and with a line break.
    pub(super) fn write(mut self, out: &mut String, color: bool) {
        while self.cells.last().is_some_and(|(c, _)| *c == ' ') {
            self.cells.pop();
        }
        let mut now = Ink::Plain;
        for (c, ink) in self.cells {
            if color && ink != now && c != ' ' {
                if now != Ink::Plain {
                    out.push_str("\u{1b}[0m");
                }
                out.push_str(ink.code());
                now = ink;
            }
            out.push(c);
        }
        if now != Ink::Plain {
            out.push_str("\u{1b}[0m");
        }
        out.push('\n');
    }
}

/// Returns the text with every character escaped that could control a terminal: control characters, and invisible
/// ones that reverse the direction of writing or hide what follows.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(out, "{}", c.escape_default());
        } else if is_invisible(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns a cleaned text of at most `columns` columns. If it is cut, it ends with `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let text = clean(text);
    if width(&text) <= columns {
        return text;
    }
    let mut out = String::new();
    let mut taken = 1;
    for c in text.chars() {
        taken += char_width(c);
        if taken > columns {
            break;
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Returns the number of columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Breaks a text at its blanks into lines of at most `columns` columns. Cuts a longer word.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in clean(text).split(' ').filter(|word| !word.is_empty()) {
        let word = cut(word, columns);
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&word) <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Returns whether a character takes no place and can disguise a name: marks of direction, joiners, tags and others.
fn is_invisible(c: char) -> bool {
    matches!(c as u32,
        0x00ad | 0x061c | 0x115f..=0x1160 | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0 | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
}

/// Returns the number of columns of one printable character. Characters whose width is ambiguous take one.
fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_its_columns() {
        assert_eq!(cut("predictor", 9), "predictor");
        assert_eq!(cut("predictor", 6), "predi…");
        assert_eq!(cut("predictor", 1), "…");
        assert_eq!(cut("predictor", 0), "");
    }

    #[test]
    fn wide_letters_take_two_columns_and_combining_marks_none() {
        assert_eq!(width("数据库"), 6);
        assert_eq!(cut("数据库", 4), "数…");
        assert_eq!(width("e\u{301}"), 1);
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(clean("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(clean("a\u{9b}31mb"), "a\\u{9b}31mb");
    }

    #[test]
    fn colour_begins_and_ends_with_its_text() {
        let mut line = Line::of("a ", Ink::Plain);
        line.push("bad", Ink::Bad);
        line.push("  ", Ink::Plain);
        let mut out = String::new();
        line.clone().write(&mut out, true);
        assert_eq!(out, "a \u{1b}[31mbad\u{1b}[0m\n");
        out.clear();
        line.write(&mut out, false);
        assert_eq!(out, "a bad\n");
    }

    #[test]
    fn words_are_wrapped_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""; 0]);
        assert_eq!(wrap("abcdefgh i", 4), ["abc…", "i"]);
    }
}
