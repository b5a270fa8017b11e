//! The reporters that the arguments and the environment choose.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::event::Reporters;
use super::github::{GitHub, Stream};
use super::json::JsonLines;
use super::junit::Junit;
use super::progress::ProgressLine;
use super::target::{ReportFile, Target};
use super::text::Text;
use crate::{Exit, Format};

/// A report beside what goes to standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Text(PathBuf),
    Json(PathBuf),
    Junit(PathBuf),
    GitHub,
}

/// Parses a value of `--report`.
pub fn choice(value: &str) -> Result<Choice, String> {
    let (kind, file) = match value.split_once('=') {
        Some((kind, file)) => (kind, Some(file)),
        None => (value, None),
    };
    let path = || match file {
        Some("") | None => Err(format!("a file is missing: expected {kind}=FILE")),
        Some(file) => Ok(PathBuf::from(file)),
    };
    match kind {
        "text" => path().map(Choice::Text),
        "json" => path().map(Choice::Json),
        "junit" => path().map(Choice::Junit),
        "github" if file.is_none() => Ok(Choice::GitHub),
        "github" => Err(
            "github takes no file: annotations go to standard output, and GITHUB_STEP_SUMMARY names the file of the summary"
                .to_owned(),
        ),
        _ => Err("expected text=FILE, json=FILE, junit=FILE or github".to_owned()),
    }
}

impl Choice {
    /// Returns whether the report has logs of runs that are well.
    pub fn needs_logs(&self) -> bool {
        matches!(self, Choice::Junit(_))
    }
}

/// Makes the reporters: one for standard output, one for each choice, and GitHub's on GitHub.
///
/// # Errors
///
/// If a file cannot be written, or if two reports would go to one file.
pub fn make(format: Format, choices: &[Choice]) -> Result<Reporters, (Exit, String)> {
    let mut reporters = Reporters::default();
    reporters.add(ProgressLine::new());
    match format {
        Format::Text => reporters.add(Text::new(Target::Stdout)),
        Format::Json => reporters.add(JsonLines(Target::Stdout)),
    }
    let mut taken = BTreeSet::new();
    let mut file = |path: &PathBuf| {
        let file = ReportFile::new(path)?;
        if !taken.insert(file.path().to_owned()) {
            let path = file.path().display();
            return Err((
                Exit::Usage,
                format!("two reports have the same file {path}"),
            ));
        }
        Ok(file)
    };
    for choice in choices {
        match choice {
            Choice::Text(path) => reporters.add(Text::new(Target::File(file(path)?))),
            Choice::Json(path) => reporters.add(JsonLines(Target::File(file(path)?))),
            Choice::Junit(path) => reporters.add(Junit::new(file(path)?)),
            Choice::GitHub => {}
        }
    }
    let on_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    if on_github || choices.contains(&Choice::GitHub) {
        let stream = match format {
            Format::Text => Stream::Stdout,
            Format::Json => Stream::Stderr,
        };
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let workspace = path("GITHUB_WORKSPACE").map(PathBuf::from);
        let summary = path("GITHUB_STEP_SUMMARY").map(PathBuf::from);
        reporters.add(GitHub::new(stream, workspace, summary)?);
    }
    Ok(reporters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_kind_and_most_have_a_file() {
        assert_eq!(choice("junit=a=b.xml"), Ok(Choice::Junit("a=b.xml".into())));
        assert_eq!(choice("json=a"), Ok(Choice::Json("a".into())));
        assert_eq!(choice("text=a"), Ok(Choice::Text("a".into())));
        assert_eq!(choice("github"), Ok(Choice::GitHub));
        for wrong in ["junit", "json=", "text", "github=a", "github=", "xml=a", ""] {
            assert!(choice(wrong).is_err(), "{wrong}");
        }
    }
}
