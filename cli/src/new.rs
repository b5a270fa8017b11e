//! `deadstop new`: writes a scenario to start from.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::out;
use super::{Done, Exit, place};
use deadstop_harness::words::shown_path;

/// Text of a new scenario. It passes `check` once its log is accepted.
const TEMPLATE: &str = include_str!("new.toml");

/// Text of a new scenario in a project whose scenarios are for its own worker.
const OWN_TEMPLATE: &str = include_str!("own.toml");

/// Write a new scenario with comments, to start from.
#[derive(Debug, Args)]
pub struct New {
    /// Its name, with a slash for a folder: `context/lost-flush`
    name: String,
}

impl New {
    pub fn run(self) -> Done {
        let name = self
            .name
            .trim_start_matches("scenarios/")
            .trim_end_matches(".toml");
        let part = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && !part.starts_with(['.', '-'])
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-_.".contains(c))
        };
        if !name.split('/').all(part) {
            return Err((
                Exit::Usage,
                format!(
                    "{name:?} cannot be a scenario's name: use letters, digits, `-`, `_` and `/`, as in `context/lost-flush`"
                ),
            ));
        }
        let root = place::scenarios().unwrap_or_else(|| PathBuf::from("scenarios"));
        let path = root.join(format!("{name}.toml"));
        let own = for_own_workers();
        write_new(&path, if own { OWN_TEMPLATE } else { TEMPLATE })
            .map_err(|message| (Exit::Failed, message))?;
        if own {
            out(&format!(
                "wrote {}\n  `cargo test` runs it, with `deadstop::scenarios!`\n",
                shown_path(&path)
            ))?;
            return Ok(Exit::Well);
        }
        out(&format!(
            "wrote {}\n  look at it:      deadstop run {name}\n  judge it:        deadstop check {name}\n  accept its log:  deadstop accept {name}\n",
            shown_path(&path)
        ))?;
        Ok(Exit::Well)
    }
}

/// Returns whether all scenarios of this project are for own workers, so that a new one is, too.
fn for_own_workers() -> bool {
    let found = place::select(&[]).map_or_else(|_| Vec::new(), |selection| selection.found);
    let mut own = found.iter().filter_map(|found| {
        let scenario =
            deadstop_harness::scenario::parse_bytes(&found.name, &found.read().ok()?).ok()?;
        Some(scenario.worker.components.is_none())
    });
    // At least one scenario is without components, and none has any.
    own.next().is_some_and(|first| first) && own.all(|own| own)
}

/// Writes a file that must not exist yet, either whole or not at all.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    if path.exists() {
        return Err(format!(
            "{} is there already; choose another name, or edit it",
            path.display()
        ));
    }
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let draft = path.with_extension(format!("toml.{}", std::process::id()));
    let written = std::fs::File::create_new(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        // A hard link fails if the file has been made meanwhile; a rename would replace that file.
        .and_then(|()| match std::fs::hard_link(&draft, path) {
            // Not every file system has hard links.
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists && !path.exists() => {
                std::fs::rename(&draft, path)
            }
            linked => linked,
        });
    let _ = std::fs::remove_file(&draft);
    written.map_err(failed)
}
