//! Diagnostics: the mistakes in a scenario file, each with its place, and the text that shows them.
//!
//! The parser, the lints and the expectations make diagnostics. The command and the test kit render them.

use std::time::Duration;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::span::Span;

/// Codes of the mistakes that make a file invalid. The codes of the lints are in [`LINTS`](super::LINTS).
pub const CODES: &[&str] = &[
    "bad-duration",
    "bad-live",
    "bad-name",
    "bad-title",
    "duplicate-name",
    "floor-over-timeout",
    "floors-over-reserve",
    "misplaced-key",
    "missing-key",
    "names-itself",
    "no-selector",
    "no-share",
    "not-late",
    "not-utf8",
    "out-of-range",
    "pre-stop-over-share",
    "registered-twice",
    "second-watchdog",
    "syntax",
    "too-large",
    "too-many",
    "too-many-mistakes",
    "two-moments",
    "two-selectors",
    "unknown-key",
    "unknown-name",
    "unknown-word",
    "wrong-kind",
    "wrong-type",
];

/// Severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// The file can be run, but does not do what its author seems to want.
    Warning,
    /// The file cannot be run, or an expectation was not met.
    Error,
}

/// One mistake, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Stable name of the kind of mistake.
    pub code: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// Statement of the mistake.
    pub message: String,
    /// Place of the mistake.
    pub span: Span,
    /// Text that is shown at the place: what is there, or what was expected there.
    pub label: String,
    /// Advice on how to correct the mistake.
    pub help: Option<String>,
    /// Another place that has to do with the mistake, and the text that is shown there.
    pub also: Option<(Span, String)>,
}

impl Diagnostic {
    /// Creates an error at a place.
    pub fn error(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            label: label.into(),
            help: None,
            also: None,
        }
    }

    /// Creates a warning at a place.
    pub fn warning(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Self::error(code, span, message, label)
        }
    }

    /// Sets the advice on how to correct the mistake.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets another place that has to do with the mistake.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }

    /// Returns the line of the mistake in `text`, from 1.
    pub fn line(&self, text: &str) -> usize {
        line_of(text, self.span.start)
    }
}

/// Returns the line of a byte of a text, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// Returns the column of a byte of a text, in characters from 1.
pub fn column_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    String::from_utf8_lossy(&before[line..]).chars().count() + 1
}

/// Error for a file that cannot be run: all mistakes of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalid {
    /// The mistakes, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self
            .diagnostics
            .first()
            .map_or("nothing", |first| &first.message);
        write!(f, "invalid scenario: {first}")?;
        if self.diagnostics.len() > 1 {
            write!(f, " (and {} more)", self.diagnostics.len() - 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Renders diagnostics with the lines of the file that they are about.
pub fn render(diagnostics: &[Diagnostic], path: &str, text: &str, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut rendered = String::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut snippet = Snippet::source(text).path(path).annotation(
            AnnotationKind::Primary
                .span(clamp(&diagnostic.span, text))
                .label(&diagnostic.label),
        );
        if let Some((span, label)) = &diagnostic.also {
            snippet =
                snippet.annotation(AnnotationKind::Context.span(clamp(span, text)).label(label));
        }
        let mut group: Group<'_> = level
            .primary_title(&diagnostic.message)
            .id(diagnostic.code)
            .element(snippet);
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help));
        }
        rendered.push_str(&renderer.render(&[group]));
        rendered.push_str("\n\n");
    }
    rendered
}

/// Returns the part of a span that lies inside the text, from and to the border of a character.
fn clamp(span: &Span, text: &str) -> Span {
    let inside = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = inside(span.start);
    start..inside(span.end).max(start)
}

/// Returns the word of `words` that was probably meant: the nearest, or else the first one that contains `word` or is
/// contained in it.
pub(crate) fn did_you_mean<'w>(
    word: &str,
    words: impl IntoIterator<Item = &'w str>,
) -> Option<&'w str> {
    /// Minimum length of a contained word, in bytes: a shorter one may occur in any word.
    const MIN_PART_BYTES: usize = 4;
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    let mut nearest: Option<(usize, &str)> = None;
    for candidate in words {
        let folded = candidate.to_lowercase();
        let candidate_length = folded.chars().count();
        let max_distance = 1 + candidate_length / 4;
        let is_part = |part: &str, of: &str| part.len() >= MIN_PART_BYTES && of.contains(part);
        // A word whose length alone differs by more is too far, and is not compared: a file may be full of long words.
        let distance = if length.abs_diff(candidate_length) <= max_distance {
            Some(strsim::damerau_levenshtein(&lower, &folded)).filter(|it| *it <= max_distance)
        } else {
            None
        };
        let part = is_part(&lower, &folded) || is_part(&folded, &lower);
        let Some(distance) = distance.or(part.then_some(usize::MAX)) else {
            continue;
        };
        if nearest.is_none_or(|(least, _)| distance < least) {
            nearest = Some((distance, candidate));
        }
    }
    nearest.map(|(_, candidate)| candidate)
}

/// Maximum number of words of a list that are shown.
const MAX_LISTED: usize = 30;

/// Returns words as a list to choose from. `quote` is put around each: the quote of code, or of names.
pub(crate) fn any_of<'w>(quote: char, words: impl IntoIterator<Item = &'w str>) -> String {
    list(quote, words, "or")
}

/// Returns words as a list that means all of them. `quote` is put around each: the quote of code, or of names.
pub(crate) fn all_of<'w>(quote: char, words: impl IntoIterator<Item = &'w str>) -> String {
    list(quote, words, "and")
}

fn list<'w>(quote: char, words: impl IntoIterator<Item = &'w str>, last: &str) -> String {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| format!("{quote}{word}{quote}"))
        .collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [word] => word.clone(),
        all if all.len() > MAX_LISTED => format!(
            "{} {last} {} more",
            all[..MAX_LISTED].join(", "),
            all.len() - MAX_LISTED
        ),
        [all @ .., word] => format!("{} {last} {word}", all.join(", ")),
    }
}

/// Returns a duration as a file would write it, in whole milliseconds.
pub(crate) fn time(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0ms".to_owned(),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_is_suggested_and_a_distant_one_is_not() {
        let words = ["signal", "slow", "stop"];
        assert_eq!(did_you_mean("singal", words), Some("signal"));
        assert_eq!(did_you_mean("SLOW", words), Some("slow"));
        assert_eq!(did_you_mean("kafka", words), None);
    }

    #[test]
    fn part_of_a_word_suggests_the_word() {
        let words = ["exit", "join-timeout", "SIGTERM"];
        let means = |word| did_you_mean(word, words);
        assert_eq!(means("exit-code"), Some("exit"));
        assert_eq!(means("timeout"), Some("join-timeout"));
        assert_eq!(means("term"), Some("SIGTERM"));
        assert_eq!(means("e"), None);
    }

    #[test]
    fn list_joins_with_or_or_and_and_counts_the_rest() {
        assert_eq!(any_of('`', []), "nothing");
        assert_eq!(any_of('`', ["a"]), "`a`");
        assert_eq!(any_of('"', ["a", "b", "c"]), r#""a", "b" or "c""#);
        assert_eq!(all_of('`', ["a", "b"]), "`a` and `b`");
        assert!(any_of('`', ["a"; MAX_LISTED + 2]).ends_with("`a` or 2 more"));
    }

    #[test]
    fn durations_are_written_as_in_a_file() {
        let said = [0, 1_500, 2_000, 120_000, 61_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(said, ["0ms", "1500ms", "2s", "2m", "61s"]);
    }
}
