//! Writes the difference of two logs, line by line. Snapshots, and runs that are not deterministic, are shown with
//! it.

use std::fmt::Write;
use std::ops::Range;

use similar::{ChangeTag, TextDiff};

use super::Style;
use super::paint::{Ink, Line};

/// Number of unchanged lines that are written before and after a change.
const CONTEXT_LINES: usize = 3;
/// Maximum number of lines of a difference that are written.
const MAX_LINES: usize = 200;
/// Maximum number of lines of each side, from the first that differs, that are compared. A diff of unrelated texts
/// costs the square of their length. The limit is a count, not a clock, so that the same texts give the same
/// difference on a slow machine.
const MAX_COMPARED_LINES: usize = 2_000;

/// Returns the difference of two texts as a unified diff with three lines of context: lines that only `old` has after
/// `-`, lines that only `new` has after `+`. Empty if they have the same lines.
///
/// Writes at most 200 lines, and then one that counts the rest. Control characters are escaped.
///
/// # Example
///
/// ```
/// let diff = deadstop_harness::report::diff("a\nb\nc\n", "a\nB\nc\n", Default::default());
/// assert_eq!(diff, "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
/// ```
pub fn diff(old: &str, new: &str, style: Style) -> String {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    if old == new {
        return String::new();
    }
    let window = Window::of(&old, &new);
    let changes = TextDiff::from_slices(&old[window.old.clone()], &new[window.new.clone()]);
    let mut out = Writer {
        text: String::new(),
        color: style.color,
        written: 0,
        left: 0,
    };
    for group in changes.grouped_ops(CONTEXT_LINES) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let header = format!(
            "@@ -{} +{} @@",
            line_range(window.start, first.old_range().start, last.old_range().end),
            line_range(window.start, first.new_range().start, last.new_range().end),
        );
        out.line(&header, Ink::Dim);
        for change in group.iter().flat_map(|op| changes.iter_changes(op)) {
            let (sign, ink) = match change.tag() {
                ChangeTag::Equal => (' ', Ink::Plain),
                ChangeTag::Delete => ('-', Ink::Bad),
                ChangeTag::Insert => ('+', Ink::Good),
            };
            out.line(&format!("{sign}{}", change.value()), ink);
        }
    }
    let (left, uncompared) = (out.left, window.uncompared);
    let mut text = out.text;
    match (left, uncompared) {
        (0, 0) => {}
        (left, 0) => _ = writeln!(text, "… and {} more", LineCount(left)),
        (0, rest) => _ = writeln!(text, "… not compared: {} after these", LineCount(rest)),
        (left, rest) => {
            _ = writeln!(
                text,
                "… and {} more; not compared: {} after these",
                LineCount(left),
                LineCount(rest)
            );
        }
    }
    text
}

/// The part of both texts that is compared.
struct Window {
    old: Range<usize>,
    new: Range<usize>,
    /// The line at which both begin, from 0.
    start: usize,
    /// Number of lines that may differ and are not compared: on the side that has more of them.
    uncompared: usize,
}

impl Window {
    fn of(old: &[&str], new: &[&str]) -> Self {
        let shorter = old.len().min(new.len());
        let before = (0..shorter).take_while(|&n| old[n] == new[n]).count();
        let after = (1..=shorter - before)
            .take_while(|&n| old[old.len() - n] == new[new.len() - n])
            .count();
        let start = before.saturating_sub(CONTEXT_LINES);
        let end = |len: usize| (len - after + CONTEXT_LINES).min(len);
        let cut = |len: usize| end(len).min(before + MAX_COMPARED_LINES);
        let uncompared = [old, new].map(|side| end(side.len()) - cut(side.len()));
        Window {
            old: start..cut(old.len()),
            new: start..cut(new.len()),
            start,
            uncompared: uncompared[0].max(uncompared[1]),
        }
    }
}

/// Returns a range of lines as unified diffs have it: the first line, from 1, and the number of lines.
fn line_range(offset: usize, start: usize, end: usize) -> String {
    let count = end - start;
    let first = offset + start + usize::from(count > 0);
    format!("{first},{count}")
}

struct Writer {
    text: String,
    color: bool,
    written: usize,
    left: usize,
}

impl Writer {
    fn line(&mut self, text: &str, ink: Ink) {
        if self.written == MAX_LINES {
            self.left += 1;
            return;
        }
        self.written += 1;
        Line::of(text, ink).write(&mut self.text, self.color);
    }
}

struct LineCount(usize);

impl std::fmt::Display for LineCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: Range<usize>) -> String {
        range.map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn the_same_lines_have_no_difference() {
        assert_eq!(diff("a\nb", "a\r\nb\n", Style::default()), "");
        assert_eq!(diff("", "", Style::default()), "");
    }

    #[test]
    fn lines_far_from_a_change_are_folded() {
        let old = numbers(0..100);
        let new = old.replace("line 50\n", "fifty\n").replace("line 80\n", "");
        assert_eq!(
            diff(&old, &new, Style::default()),
            "@@ -48,7 +48,7 @@
 line 47
 line 48
 line 49
-line 50
+fifty
 line 51
 line 52
 line 53
@@ -78,7 +78,6 @@
 line 77
 line 78
 line 79
-line 80
 line 81
 line 82
 line 83
"
        );
    }

    #[test]
    fn empty_side_has_the_header_of_a_patch() {
        assert_eq!(diff("", "a\n", Style::default()), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(diff("a\n", "", Style::default()), "@@ -1,1 +0,0 @@\n-a\n");
    }

    #[test]
    fn long_difference_is_cut_at_two_hundred_lines_and_counted() {
        let text = diff(&numbers(0..500), &numbers(1_000..1_500), Style::default());
        assert_eq!(text.lines().count(), MAX_LINES + 1);
        // A header and a thousand changes, of which two hundred lines were written.
        assert!(text.ends_with("\n… and 801 lines more\n"), "{text}");
    }

    #[test]
    fn long_texts_are_compared_from_their_first_difference() {
        let old = numbers(0..50_000);
        let new = format!("{}{}", numbers(0..10), numbers(100_000..150_000));
        let text = diff(&old, &new, Style::default());
        assert!(text.starts_with("@@ -8,2003 +8,2003 @@\n line 7\n line 8\n line 9\n-line 10\n"));
        // 50,010 lines against a window that ends at 2,010.
        assert!(text.ends_with("; not compared: 48000 lines after these\n"));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            diff("a\u{1b}[2J", "b", Style::default()),
            "@@ -1,1 +1,1 @@\n-a\\u{1b}[2J\n+b\n"
        );
    }

    #[test]
    fn removed_lines_are_red_and_added_lines_are_green() {
        let style = Style {
            color: true,
            ..Style::default()
        };
        assert_eq!(
            diff("a", "b", style),
            "\u{1b}[2m@@ -1,1 +1,1 @@\u{1b}[0m\n\u{1b}[31m-a\u{1b}[0m\n\u{1b}[32m+b\u{1b}[0m\n"
        );
    }
}
