//! Reports a check to GitHub: an annotation for each scenario with findings, and a summary of the job's step.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use deadstop_harness::report::figures::plural;
use deadstop_harness::report::{Finding, Style};
use deadstop_harness::words::shown_path;

use super::event::{CheckEvent, Reporter, Summary};
use super::markdown::{block, inline};
use super::text;
use crate::Exit;
use crate::case::Case;
use crate::output::{cut_lines, out};
use crate::place::absolute;

/// Number of annotations of a level that GitHub shows of a step.
const MAX_ANNOTATIONS: usize = 10;
/// Maximum size of a step's summary, in bytes. GitHub shows nothing of a larger one.
const MAX_SUMMARY_BYTES: usize = 1 << 20;
/// Maximum size of the text on one scenario in the summary, in bytes.
const MAX_SCENARIO_BYTES: usize = 32 << 10;
/// Size that is kept for the end of the summary, in bytes.
const END_BYTES: usize = 512;

/// Stream to which annotations are written. GitHub reads both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    /// Standard output is for a program.
    Stderr,
}

/// Writes annotations, and a summary at the end.
pub struct GitHub {
    stream: Stream,
    /// Folder to which the paths of annotations are relative.
    workspace: Option<PathBuf>,
    annotated: [Annotated; 2],
    summary: Option<StepSummary>,
}

/// Level of an annotation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
}

/// Numbers of annotations of a level.
#[derive(Clone, Copy, Default)]
struct Annotated {
    written: usize,
    left_out: usize,
}

impl GitHub {
    /// Creates the reporter. The summary is appended to a file, unless GitHub has not named one.
    ///
    /// # Errors
    ///
    /// If the file of the summary cannot be written.
    pub fn new(
        stream: Stream,
        workspace: Option<PathBuf>,
        summary: Option<PathBuf>,
    ) -> Result<Self, (Exit, String)> {
        Ok(GitHub {
            stream,
            workspace,
            annotated: [Annotated::default(); 2],
            summary: summary.map(StepSummary::new).transpose()?,
        })
    }

    /// Writes an annotation, if GitHub shows one more of its level.
    fn annotate(
        &mut self,
        level: Level,
        file: Option<&str>,
        title: &str,
        (finding, more): (&Finding, usize),
    ) -> Result<(), (Exit, String)> {
        let annotated = &mut self.annotated[level as usize];
        if annotated.written == MAX_ANNOTATIONS {
            annotated.left_out += 1;
            return Ok(());
        }
        annotated.written += 1;
        let mut properties = Vec::new();
        if let Some(file) = file {
            properties.push(format!("file={}", property(file)));
            let position = [("line", finding.line()), ("col", finding.column())];
            let position = position
                .into_iter()
                .filter_map(|(key, at)| Some((key, at?)));
            properties.extend(position.map(|(key, at)| format!("{key}={at}")));
        }
        properties.push(format!("title={}", property(title)));
        let mut message = finding.sentence();
        if more > 0 {
            message += &format!("\nand {}", plural(more as u64, "more finding"));
        }
        if let Some(replay) = &finding.replay {
            message += &format!("\nreplay: {replay}");
        }
        self.write(level.as_str(), &properties.join(","), &message)
    }

    fn annotate_case(&mut self, case: &Case) -> Result<(), (Exit, String)> {
        let failed = case.failures().next();
        let level = match failed {
            Some(_) => Level::Error,
            None => Level::Warning,
        };
        let Some(run) = failed.or_else(|| case.failed.first()) else {
            return Ok(());
        };
        let Some(first) = run.findings.first() else {
            return Ok(());
        };
        let path = case.found.path();
        let path = path.map(|path| relative_to(self.workspace.as_deref(), path));
        let title = format!("{}: {}", case.found.name, first.check);
        let more = case.findings().count() - 1;
        self.annotate(level, path.as_deref(), &title, (first, more))
    }

    fn annotate_leftovers(&mut self, leftovers: &[Finding]) -> Result<(), (Exit, String)> {
        for finding in leftovers {
            let path = finding.place.as_ref().map(|place| &*place.file.path);
            let path = path.map(|path| relative_to(self.workspace.as_deref(), Path::new(path)));
            let title = finding.check.as_str();
            let level = match Exit::from(finding.check) {
                Exit::Snapshots => Level::Warning,
                _ => Level::Error,
            };
            self.annotate(level, path.as_deref(), title, (finding, 0))?;
        }
        let left_out: usize = self.annotated.iter().map(|level| level.left_out).sum();
        if left_out > 0 {
            let message = format!(
                "{} not annotated: GitHub shows at most {MAX_ANNOTATIONS} of each level in a step",
                plural(left_out as u64, "more scenario")
            );
            self.write("notice", "title=deadstop", &message)?;
        }
        Ok(())
    }

    fn write(&self, command: &str, properties: &str, message: &str) -> Result<(), (Exit, String)> {
        let line = format!("::{command} {properties}::{}\n", data(message));
        match self.stream {
            Stream::Stdout => out(&line),
            Stream::Stderr => {
                let _ = io::stderr().lock().write_all(line.as_bytes());
                Ok(())
            }
        }
    }
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

impl Reporter for GitHub {
    fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)> {
        match event {
            CheckEvent::ScenarioFinished(case) if !case.is_well() => {
                if let Some(summary) = &mut self.summary {
                    summary.add(case);
                }
                self.annotate_case(case)
            }
            CheckEvent::Finished(summary) => {
                self.annotate_leftovers(&summary.leftovers)?;
                match &mut self.summary {
                    Some(step) => step.write(summary),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Returns the message of a workflow command, escaped.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

/// Returns a property of a workflow command, escaped.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns a path relative to the workspace, or as it is if the file lies elsewhere.
fn relative_to(workspace: Option<&Path>, path: &Path) -> String {
    let below = |path: &Path, workspace: &Path| {
        let below = path.strip_prefix(workspace).ok()?;
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        Some(parts.join("/"))
    };
    let relative = workspace.and_then(|workspace| {
        // Either path may lead through a link.
        below(&absolute(path), workspace)
            .or_else(|| below(&path.canonicalize().ok()?, &workspace.canonicalize().ok()?))
    });
    relative.unwrap_or_else(|| path.to_string_lossy().into_owned())
}

/// Summary of a step, in Markdown.
struct StepSummary {
    shown: String,
    file: File,
    /// Text on the scenarios with findings.
    scenarios: String,
    /// Number of bytes that GitHub still takes; steps of one job write to the same file.
    room: usize,
    left_out: usize,
}

impl StepSummary {
    fn new(path: PathBuf) -> Result<Self, (Exit, String)> {
        let shown = shown_path(&path);
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|error| {
            (
                Exit::Usage,
                format!("cannot write {shown}, which GITHUB_STEP_SUMMARY names: {error}"),
            )
        })?;
        let there = file.metadata().map_or(0, |file| file.len());
        let there = usize::try_from(there).unwrap_or(usize::MAX);
        Ok(StepSummary {
            shown,
            file,
            scenarios: String::new(),
            room: MAX_SUMMARY_BYTES.saturating_sub(there),
            left_out: 0,
        })
    }

    /// Adds a scenario with findings, with its picture if it fails.
    fn add(&mut self, case: &Case) {
        let text = text::scenario(case, true, Style::default());
        let text = block(&cut_lines(&text, MAX_SCENARIO_BYTES));
        let part = format!("### {}\n\n{text}\n", inline(&case.found.name));
        if self.scenarios.len() + part.len() + 2 * END_BYTES > self.room {
            self.left_out += 1;
        } else {
            self.scenarios += &part;
        }
    }

    /// Appends the summary to the file.
    fn write(&mut self, summary: &Summary) -> Result<(), (Exit, String)> {
        let mut markdown = format!(
            "## Deadstop: {}\n\n{}\n\n",
            text::verdict(summary),
            text::figures(summary)
        );
        markdown += &self.scenarios;
        if self.left_out > 0 {
            let left_out = plural(self.left_out as u64, "more scenario");
            markdown += &format!("{left_out} with findings: the summary has no more room\n\n");
        }
        for finding in &summary.leftovers {
            let line = format!("- {}\n", inline(&finding.message));
            if markdown.len() + line.len() > self.room {
                break;
            }
            markdown += &line;
        }
        if markdown.len() > self.room {
            return Ok(());
        }
        let written = self.file.write_all(markdown.as_bytes());
        written.map_err(|error| {
            (
                Exit::Internal,
                format!("cannot write {}: {error}", self.shown),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_relative_to_the_workspace() {
        let here = std::env::current_dir().expect("a folder");
        let path = Path::new("scenarios/./a b.toml");
        assert_eq!(relative_to(Some(&here), path), "scenarios/a b.toml");
        let above = here.parent().expect("a folder above");
        let name = here.file_name().expect("a name").to_string_lossy();
        let from_above = format!("{name}/scenarios/a b.toml");
        assert_eq!(relative_to(Some(above), path), from_above);
        let elsewhere = Path::new("/nowhere");
        assert_eq!(relative_to(Some(elsewhere), path), "scenarios/./a b.toml");
        assert_eq!(relative_to(None, path), "scenarios/./a b.toml");
    }
}
