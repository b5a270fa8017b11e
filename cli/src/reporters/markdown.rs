//! Writes texts as Markdown, so that no character of them is read as markup.

/// Returns a text as Markdown shows it in a line: no character of it means anything.
pub fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Returns a block of lines that are shown as they are. Its fence is longer than any in the lines.
pub fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fence_is_longer_than_any_in_the_text() {
        assert_eq!(block("a\n"), "```text\na\n```\n");
        assert_eq!(block("```\na\n````"), "`````text\n```\na\n````\n`````\n");
    }

    #[test]
    fn punctuation_means_nothing_in_a_line() {
        assert_eq!(inline("a_b*\n<c>"), r"a\_b\* \<c\>");
    }
}
