//! `deadstop lint`: looks for scenarios that cannot mean what they say.

use std::sync::Arc;

use clap::Args;

use deadstop_harness::report::figures::plural;
use deadstop_harness::report::{SourceFile, invalid};
use deadstop_harness::scenario::{self, LINTS};

use super::output::{err, out, style};
use super::view::details;
use super::{Done, Exit, place};

/// Look for mistakes in scenario files, without running them.
#[derive(Debug, Args)]
pub struct Lint {
    /// Files, folders, parts of names, or tags [default: all scenarios]
    #[arg(value_name = "PATH|FILTER")]
    what: Vec<String>,
    /// List the lints
    #[arg(long, conflicts_with = "what")]
    list: bool,
}

impl Lint {
    pub fn run(self) -> Done {
        if self.list {
            let lines: String = LINTS
                .iter()
                .map(|(name, doc)| format!("{name:<24} {doc}\n"))
                .collect();
            out(&lines)?;
            return Ok(Exit::Well);
        }
        let selection = place::select_or_fail(&self.what)?;
        let style = style();
        let (mut exit, mut count) = (Exit::Well, 0);
        for found in &selection.found {
            let path = found.shown();
            let bytes = match found.read() {
                Ok(bytes) => bytes,
                Err(message) => {
                    err(&format!("deadstop: {message}"));
                    exit = exit.and(Exit::Invalid);
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match scenario::parse_bytes(&found.name, &bytes) {
                Ok(scenario) => {
                    let lints = scenario::lint(&scenario);
                    if !lints.is_empty() {
                        count += lints.len();
                        exit = exit.and(Exit::Failed);
                        out(&scenario::render(&lints, &path, &text, style.color))?;
                    }
                }
                Err(errors) => {
                    exit = exit.and(Exit::Invalid);
                    let findings = invalid(&Arc::new(SourceFile { path, text }), &errors);
                    count += findings.len();
                    out(&details(&findings, style))?;
                }
            }
        }
        let files = plural(selection.found.len() as u64, "file");
        out(&match count {
            0 if exit == Exit::Well => format!("{files}: no findings\n"),
            1 => format!("{files}: 1 finding\n"),
            _ => format!("{files}: {count} findings\n"),
        })?;
        Ok(exit)
    }
}
