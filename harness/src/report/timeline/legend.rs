//! The legend of a picture: the characters that it uses, and what they mean.

use super::super::paint::{Ink, Line, cut, width};

/// The characters that were used, each with its meaning, in the order of their first use.
#[derive(Default)]
pub(super) struct Legend(Vec<(char, String)>);

impl Legend {
    pub(super) fn add(&mut self, c: char, meaning: &str) {
        if !meaning.is_empty() && !self.0.iter().any(|(known, _)| *known == c) {
            self.0.push((c, meaning.to_owned()));
        }
    }

    /// Returns lines of at most `most` columns: one, where that is enough.
    pub(super) fn lines(&self, most: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = vec![];
        for (c, meaning) in &self.0 {
            let text = format!("{c} {}", cut(meaning, most - 2));
            match lines.last_mut() {
                Some(line) if line.width() + 2 + width(&text) <= most => {
                    line.push("  ", Ink::Plain);
                    line.push(&text, Ink::Dim);
                }
                _ => lines.push(Line::of(&text, Ink::Dim)),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_is_listed_once_and_no_line_is_too_long() {
        let mut legend = Legend::default();
        for (c, meaning) in [('a', "abort"), ('a', "again"), (' ', ""), ('F', "failed")] {
            legend.add(c, meaning);
        }
        let text = |most| {
            let mut out = String::new();
            legend
                .lines(most)
                .into_iter()
                .for_each(|line| line.write(&mut out, false));
            out
        };
        assert_eq!(text(17), "a abort  F failed\n");
        assert_eq!(text(16), "a abort\nF failed\n");
    }
}
