//! The difference of two logs, line by line.

use std::fmt::Write;
use std::ops::Range;

use similar::{ChangeTag, TextDiff};

use super::Style;
use super::paint::{Ink, Line};

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// The longest difference that is written.
const LINES: usize = 200;
/// The lines of each side, from the first that differs, that are compared. A diff of unrelated texts
/// costs the square of their length; this bounds it by a count, not by a clock, so that the same texts
/// give the same difference on a slow machine.
const WINDOW: usize = 2_000;

/// The difference of two texts as a unified diff with three lines of context: what only `old` has
/// after `-`, what only `new` has after `+`. Empty if they have the same lines.
///
/// At most 200 lines and one that says what is left; control characters are escaped.
///
/// # Example
///
/// ```
/// let diff = deadstop::report::diff("a\nb\nc\n", "a\nB\nc\n", Default::default());
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
    for group in changes.grouped_ops(CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let header = format!(
            "@@ -{} +{} @@",
            place(window.start, first.old_range().start, last.old_range().end),
            place(window.start, first.new_range().start, last.new_range().end),
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
        (left, 0) => _ = writeln!(text, "… and {} more", Lines(left)),
        (0, rest) => _ = writeln!(text, "… {} further on not compared", Lines(rest)),
        (left, rest) => {
            _ = writeln!(
                text,
                "… and {} more; {} further on not compared",
                Lines(left),
                Lines(rest)
            );
        }
    }
    text
}

/// The part of both texts that is compared.
struct Window {
    old: Range<usize>,
    new: Range<usize>,
    /// Where both begin.
    start: usize,
    /// The lines behind the longer one's end that may differ.
    uncompared: usize,
}

impl Window {
    fn of(old: &[&str], new: &[&str]) -> Self {
        let shorter = old.len().min(new.len());
        let before = (0..shorter).take_while(|&n| old[n] == new[n]).count();
        let after = (1..=shorter - before)
            .take_while(|&n| old[old.len() - n] == new[new.len() - n])
            .count();
        let start = before.saturating_sub(CONTEXT);
        let end = |len: usize| (len - after + CONTEXT).min(len);
        let cut = |len: usize| end(len).min(before + WINDOW);
        let uncompared = [old, new].map(|side| end(side.len()) - cut(side.len()));
        Window {
            old: start..cut(old.len()),
            new: start..cut(new.len()),
            start,
            uncompared: uncompared[0].max(uncompared[1]),
        }
    }
}

/// A place as unified diffs have it: the first line, from 1, and their count.
fn place(offset: usize, start: usize, end: usize) -> String {
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
        if self.written == LINES {
            self.left += 1;
            return;
        }
        self.written += 1;
        Line::of(text, ink).write(&mut self.text, self.color);
    }
}

struct Lines(usize);

impl std::fmt::Display for Lines {
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
    fn what_lies_far_from_a_change_is_folded() {
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
    fn an_empty_side_is_named_as_patches_name_it() {
        assert_eq!(diff("", "a\n", Style::default()), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(diff("a\n", "", Style::default()), "@@ -1,1 +0,0 @@\n-a\n");
    }

    #[test]
    fn a_long_difference_ends_after_two_hundred_lines_and_says_so() {
        let text = diff(&numbers(0..500), &numbers(1_000..1_500), Style::default());
        assert_eq!(text.lines().count(), LINES + 1);
        // A header and a thousand changes, of which two hundred lines were written.
        assert!(text.ends_with("\n… and 801 lines more\n"), "{text}");
    }

    #[test]
    fn texts_too_long_to_compare_are_compared_from_their_first_difference() {
        let old = numbers(0..50_000);
        let new = format!("{}{}", numbers(0..10), numbers(100_000..150_000));
        let text = diff(&old, &new, Style::default());
        assert!(text.starts_with("@@ -8,2003 +8,2003 @@\n line 7\n line 8\n line 9\n-line 10\n"));
        // 50,010 lines against a window that ends at 2,010.
        assert!(text.ends_with("; 48000 lines further on not compared\n"));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            diff("a\u{1b}[2J", "b", Style::default()),
            "@@ -1,1 +1,1 @@\n-a\\u{1b}[2J\n+b\n"
        );
    }

    #[test]
    fn in_colour_what_went_is_red_and_what_came_is_green() {
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
