//! Puts lines under one another, with comments above and beside them.

use crate::words::escaped;

/// The text of a file while it is written.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
    /// The last lines, whose comments are put in one column, each with its comment; empty if it has none.
    block: Vec<(String, String)>,
}

impl Lines {
    /// Adds a line, and a comment beside it if that is not empty.
    pub fn push(&mut self, line: impl Into<String>, comment: &str) {
        // A comment ends with its line.
        let comment = comment.lines().map(escaped).collect::<Vec<_>>().join(" ");
        self.block.push((line.into(), comment));
    }

    /// Adds a comment on lines of its own.
    pub fn push_comment(&mut self, indent: &str, comment: &str) {
        for line in comment.lines() {
            let line = format!("{indent}# {}", escaped(line));
            self.push(line.trim_end(), "");
        }
    }

    /// Begins a new block: comments beside the lines from here on have a column of their own.
    pub fn begin_block(&mut self) {
        let with_comment = self.block.iter().filter(|(_, comment)| !comment.is_empty());
        let widths = with_comment.map(|(line, _)| line.chars().count());
        let column = widths.max().unwrap_or(0);
        for (line, comment) in self.block.drain(..) {
            self.text += &line;
            if !comment.is_empty() {
                let gap = column - line.chars().count();
                self.text.extend(std::iter::repeat_n(' ', gap));
                self.text += " # ";
                self.text += &comment;
            }
            self.text.push('\n');
        }
    }

    /// Adds an empty line.
    pub fn push_empty(&mut self) {
        self.begin_block();
        self.text.push('\n');
    }

    /// Returns the text.
    pub fn into_text(mut self) -> String {
        self.begin_block();
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_a_block_share_a_column() {
        let mut lines = Lines::default();
        lines.push_comment("", "above\n\nand more");
        lines.push("a = 1", "one");
        lines.push("much longer than its neighbours = 2", "");
        lines.push("long = 3", "three");
        lines.begin_block();
        lines.push("b = 4", "a comment\nof \u{1b}[1m two\r\nlines");
        lines.push_empty();
        lines.push_comment("  ", "indented");
        assert_eq!(
            lines.into_text(),
            "# above\n#\n# and more\na = 1    # one\nmuch longer than its neighbours = 2\nlong = 3 # three\n\
             b = 4 # a comment of \\u{1b}[1m two lines\n\n  # indented\n"
        );
    }
}
