//! What is wrong with a scenario file, and where.

use std::time::Duration;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::model::Span;

/// The kinds of mistakes that make a file invalid; those of the lints are [`LINTS`](super::LINTS).
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

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file can be run, but does not do what its author seems to want.
    Warning,
    /// The file cannot be run, or an expectation was not met.
    Error,
}

/// One thing that is wrong, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Names the kind of mistake; stable.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What is there, or what was expected there.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// Another place that has to do with it.
    pub also: Option<(Span, String)>,
}

impl Diagnostic {
    /// An error at a place.
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

    /// A warning at a place.
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

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another place too.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }

    /// The line in `text`, from 1.
    pub fn line(&self, text: &str) -> usize {
        line_of(text, self.span.start)
    }
}

/// The line of a byte of a text, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The column of a byte of a text, in characters from 1.
pub fn column_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    String::from_utf8_lossy(&before[line..]).chars().count() + 1
}

/// A file that cannot be run: all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, in the order of the file.
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

/// A span that lies inside the text, on the borders of characters.
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

/// The word of `words` that was probably meant: the nearest, or else one that is a part of it, or it of
/// that one.
pub(crate) fn did_you_mean<'w>(
    word: &str,
    words: impl IntoIterator<Item = &'w str>,
) -> Option<&'w str> {
    /// The number of bytes from which on a part of a word says something.
    const PART: usize = 4;
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    let mut nearest: Option<(usize, &str)> = None;
    for candidate in words {
        let folded = candidate.to_lowercase();
        let candidate_length = folded.chars().count();
        let most = 1 + candidate_length / 4;
        let is_part = |part: &str, of: &str| part.len() >= PART && of.contains(part);
        // What differs in length alone is not measured: a file may be full of long words.
        let distance = if length.abs_diff(candidate_length) <= most {
            Some(strsim::damerau_levenshtein(&lower, &folded)).filter(|it| *it <= most)
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

/// The maximum number of words of a list that are shown.
const LISTED: usize = 30;

/// Words in the quotes of code, or of names, as a list to choose from.
pub(crate) fn any_of<'w>(quote: char, words: impl IntoIterator<Item = &'w str>) -> String {
    list(quote, words, "or")
}

/// Words in the quotes of code, or of names, all of which are meant.
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
        all if all.len() > LISTED => format!(
            "{} {last} {} more",
            all[..LISTED].join(", "),
            all.len() - LISTED
        ),
        [all @ .., word] => format!("{} {last} {word}", all.join(", ")),
    }
}

/// A duration as a file would say it.
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
    fn the_nearest_word_is_meant_and_a_far_one_is_not() {
        let words = ["signal", "slow", "stop"];
        assert_eq!(did_you_mean("singal", words), Some("signal"));
        assert_eq!(did_you_mean("SLOW", words), Some("slow"));
        assert_eq!(did_you_mean("kafka", words), None);
    }

    #[test]
    fn a_part_of_a_word_means_the_word() {
        let words = ["exit", "join-timeout", "SIGTERM"];
        let means = |word| did_you_mean(word, words);
        assert_eq!(means("exit-code"), Some("exit"));
        assert_eq!(means("timeout"), Some("join-timeout"));
        assert_eq!(means("term"), Some("SIGTERM"));
        assert_eq!(means("e"), None);
    }

    #[test]
    fn a_list_says_or_or_and_and_how_many_more() {
        assert_eq!(any_of('`', []), "nothing");
        assert_eq!(any_of('`', ["a"]), "`a`");
        assert_eq!(any_of('"', ["a", "b", "c"]), r#""a", "b" or "c""#);
        assert_eq!(all_of('`', ["a", "b"]), "`a` and `b`");
        assert!(any_of('`', ["a"; LISTED + 2]).ends_with("`a` or 2 more"));
    }

    #[test]
    fn times_are_said_as_a_file_says_them() {
        let said = [0, 1_500, 2_000, 120_000, 61_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(said, ["0ms", "1500ms", "2s", "2m", "61s"]);
    }
}
