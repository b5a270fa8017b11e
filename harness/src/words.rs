//! Texts that come from outside, as one line each: what production makes of them, and what only output for people
//! needs.

pub use deadstop::words::{contained, one_line, panic_message, steers};

use std::borrow::Cow;

use deadstop::words::push_escaped;

/// Returns a text as one line in which every character that controls a terminal is escaped.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut line, c));
    line
}

/// Returns a word of a command line, quoted for a shell if it has to be.
pub fn shell_quoted(word: &str) -> String {
    // Only a NUL cannot be quoted, and no argument of a command can contain one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}

/// Returns a path as one line, [escaped].
pub fn shown_path(path: &std::path::Path) -> String {
    escaped(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::shell_quoted;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_break_it() {
        assert_eq!(shell_quoted("context/ties@7"), "context/ties@7");
        assert_eq!(shell_quoted("two words"), "'two words'");
        assert_eq!(shell_quoted("$(it's)"), r#"'$(it'"'s)""#);
        assert_eq!(shell_quoted(""), "''");
    }
}
