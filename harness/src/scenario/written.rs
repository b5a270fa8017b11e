//! Writes single values: texts, durations, numbers, words and lists of them.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::words::steers;

/// Shortest whole number of minutes that is written in minutes. People write `"60s"` and `"120s"`, but `"10m"`.
const MIN_IN_MINUTES_MS: u128 = 300_000;

/// Returns a text in quotes.
///
/// A text with quotes or backslashes is written between single quotes if it can be. Characters that control a terminal
/// are escaped, also those that TOML allows, since a person reads the file.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains(|c| c == '\'' || steers(c)) {
        return format!("'{text}'");
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            c if steers(c) => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns each of these texts in quotes.
pub(super) fn all_quoted<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts
        .into_iter()
        .map(|text| quoted(text.as_ref()))
        .collect()
}

/// Returns a word of the grammar in quotes.
pub(super) fn word(word: impl Display) -> String {
    format!("\"{word}\"")
}

/// Returns a duration in quotes, in the unit in which people write it. It is cut off to whole milliseconds, since the
/// grammar has nothing shorter.
pub(super) fn time(duration: Duration) -> String {
    match duration.as_millis() {
        0 => word("0s"),
        ms if ms % 3_600_000 == 0 => format!("\"{}h\"", ms / 3_600_000),
        ms if ms % 60_000 == 0 && ms >= MIN_IN_MINUTES_MS => format!("\"{}m\"", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("\"{}s\"", ms / 1_000),
        ms => format!("\"{ms}ms\""),
    }
}

/// Returns a duration in quotes; `None` is forever.
pub(super) fn time_or_forever(lasts: Option<Duration>) -> String {
    lasts.map_or_else(|| word("forever"), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_people_write() {
        let written = |ms| time(Duration::from_millis(ms));
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (250, "250ms"),
            (1_000, "1s"),
            (10_500, "10500ms"),
            (60_000, "60s"),
            (120_000, "120s"),
            (300_000, "5m"),
            (410_000, "410s"),
            (3_600_000, "1h"),
        ] {
            assert_eq!(written(ms), format!("\"{text}\""));
        }
    }

    #[test]
    fn texts_are_quoted_by_the_rules_of_toml() {
        for (text, expected) in [
            ("", r#""""#),
            ("it's so", r#""it's so""#),
            (r#"say "no""#, r#"'say "no"'"#),
            (r"a\b", r"'a\b'"),
            (r#"it's "so""#, r#""it's \"so\"""#),
            ("\"a\"\tb\r\n", r#""\"a\"\tb\r\n""#),
            ("\0\u{7f}\u{85}\u{202e}é", r#""\u0000\u007F\u0085\u202Eé""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
