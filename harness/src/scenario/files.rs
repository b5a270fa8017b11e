//! Finds and reads the scenario files of a folder. The command, the test kit and Deadstop's own tests use it, so that
//! all of them find the same files.
//!
//! A file is named by its path below the folder. A link keeps its own path, since Bazel, Nix and stow provide files as
//! links. A folder that is left out and a file that cannot be a scenario are reported by name: a test that is skipped
//! in silence is green.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::limits;
use crate::words::{escaped, shown_path, steers};

/// Maximum number of files below one folder.
const MAX_FILES: usize = 100_000;
/// Maximum depth of nested folders.
const MAX_DEPTH: usize = 32;

/// A file below a folder of scenarios.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScenarioFile {
    /// Name of the scenario: the file's path below the folder, links not resolved, without `.toml`, with `/` between
    /// its segments.
    pub name: String,
    /// Path of the file.
    pub path: PathBuf,
    /// Reason why the file cannot be a scenario, whatever its content.
    unusable: Option<String>,
    /// Content of the file, if it was piped.
    piped: Option<Vec<u8>>,
}

/// Result of a walk through a folder of scenarios.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScenarioFiles {
    /// The files, sorted by name.
    pub files: Vec<ScenarioFile>,
    /// The links and folders that were not followed, each with the reason, in words.
    pub not_followed: Vec<String>,
}

/// Finds the scenario files below a folder: all files with the extension `.toml`, in upper or lower case. Follows links
/// to files and folders, and walks each folder once.
///
/// # Errors
///
/// If a folder cannot be read or is nested too deep, or if there are too many files. The error is the reason, in words.
///
/// # Example
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("deadstop-{}", std::process::id()));
/// std::fs::create_dir_all(folder.join("faults"))?;
/// std::fs::write(folder.join("faults/hung-db.toml"), "title = \"A db that hangs\"")?;
/// let found = deadstop_harness::scenario::scenario_files(&folder)?;
/// assert_eq!(found.files[0].name, "faults/hung-db");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn scenario_files(folder: &Path) -> Result<ScenarioFiles, String> {
    let found = find_files(folder)?;
    let mut files: Vec<ScenarioFile> = found
        .files
        .iter()
        .filter(|below| {
            let end = below.extension();
            end.is_some_and(|end| end.eq_ignore_ascii_case("toml"))
        })
        .map(|below| ScenarioFile::new(below, folder.join(below)))
        .collect();
    files.sort();
    let mut first: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in &mut files {
        if let Some(first) = first.get(&file.name) {
            let first = shown_path(first);
            file.unusable = Some(format!(
                "it has the same scenario name as {first}; rename one of them"
            ));
        } else {
            first.insert(file.name.clone(), file.path.clone());
        }
    }
    Ok(ScenarioFiles {
        files,
        not_followed: found.not_followed,
    })
}

impl ScenarioFile {
    /// Creates a scenario file from a path, and from its path `below` the folder of scenarios.
    pub fn new(below: &Path, path: PathBuf) -> Self {
        let stem = below.with_extension("");
        let parts: Vec<_> = stem.iter().map(|part| part.to_str()).collect();
        let unusable = if parts.contains(&None) {
            Some("its name is not UTF-8; rename it".to_owned())
        } else if parts.iter().flatten().any(|part| part.contains(steers)) {
            Some("its name has control characters; rename it".to_owned())
        } else {
            None
        };
        // Bytes that are not UTF-8 are escaped one by one, so that two such names stay different.
        let parts: Vec<_> = stem
            .iter()
            .map(|part| match part.to_str() {
                Some(part) => escaped(part),
                None => part.as_encoded_bytes().escape_ascii().to_string(),
            })
            .collect();
        ScenarioFile {
            name: parts.join("/"),
            path,
            unusable,
            piped: None,
        }
    }

    /// Creates a scenario file from bytes that were piped.
    pub fn piped(name: &str, path: &Path, bytes: Vec<u8>) -> Self {
        ScenarioFile {
            piped: Some(bytes),
            ..ScenarioFile::new(Path::new(name), path.to_owned())
        }
    }

    /// Returns the path for display: in one line, with the characters that steer a terminal escaped.
    pub fn shown(&self) -> String {
        shown_path(&self.path)
    }

    /// Returns the bytes of the file. Of a file on the disk it reads at most one byte more than a scenario may have,
    /// which shows that the file is too large.
    ///
    /// # Errors
    ///
    /// If the system cannot read the file, or if the file cannot be a scenario. The error is the path and the reason,
    /// in words.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let failed = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", self.shown());
        if let Some(unusable) = &self.unusable {
            return Err(failed(unusable));
        }
        if let Some(bytes) = &self.piped {
            return Ok(bytes.clone());
        }
        read_up_to(&self.path, limits::FILE_BYTES as u64 + 1).map_err(|error| failed(&error))
    }
}

/// Reads a regular file, or its first `max_bytes`. Refuses any other file: opening a pipe would wait for its
/// writer, and a device may have no end.
///
/// # Errors
///
/// If the system cannot read the file, or if it is not a regular file.
pub(crate) fn read_up_to(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(max_bytes)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file of at most `max_bytes`.
///
/// # Errors
///
/// If the file cannot be opened or read, is not a regular file, or is larger.
pub fn read_whole(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let bytes = read_up_to(path, max_bytes + 1)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB",
            max_bytes >> 20
        )));
    }
    Ok(bytes)
}

/// Result of a walk.
#[derive(Debug, Default)]
struct Found {
    /// Paths below the root of everything that is not a folder.
    files: Vec<PathBuf>,
    /// The links and folders that were not followed, each with the reason.
    not_followed: Vec<String>,
}

/// Finds everything below a folder that is not itself a folder. Walks folders before links to folders, and each folder
/// once: by the first path that leads to it.
fn find_files(root: &Path) -> Result<Found, String> {
    let mut walk = Walk {
        root,
        found: Found::default(),
        visited: BTreeSet::new(),
        links: Vec::new(),
    };
    walk.folder(Path::new(""), 0)?;
    while !walk.links.is_empty() {
        let mut links = std::mem::take(&mut walk.links);
        links.sort();
        for (link, depth) in links {
            walk.link(&link, depth)?;
        }
    }
    walk.found.files.sort();
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    found: Found,
    /// Canonical paths of the folders that were walked.
    visited: BTreeSet<PathBuf>,
    /// Links to folders that are still to be followed, each with its depth.
    links: Vec<(PathBuf, usize)>,
}

impl Walk<'_> {
    fn shown(&self, below: &Path) -> String {
        shown_path(&self.root.join(below))
    }

    fn folder(&mut self, below: &Path, depth: usize) -> Result<(), String> {
        let folder = self.root.join(below);
        let shown = self.shown(below);
        let failed = |error: io::Error| format!("cannot read {shown}: {error}");
        if depth > MAX_DEPTH {
            return Err(format!(
                "cannot read {shown}: its folders are nested more than {MAX_DEPTH} levels deep"
            ));
        }
        if !self.visited.insert(folder.canonicalize().map_err(failed)?) {
            let again = format!("{shown} was already read through another path");
            self.found.not_followed.push(again);
            return Ok(());
        }
        let entries: io::Result<Vec<_>> = fs::read_dir(&folder).map_err(failed)?.collect();
        let mut entries = entries.map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = below.join(entry.file_name());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.folder(&path, depth + 1)?;
            } else if kind.is_symlink() && self.root.join(&path).is_dir() {
                self.links.push((path, depth + 1));
            } else {
                self.found.files.push(path);
            }
            if self.found.files.len() > MAX_FILES {
                return Err(format!(
                    "there are more than {MAX_FILES} files below {}",
                    self.shown(Path::new(""))
                ));
            }
        }
        Ok(())
    }

    fn link(&mut self, link: &Path, depth: usize) -> Result<(), String> {
        let shown = self.shown(link);
        let failed = |error: io::Error| format!("cannot read {shown}: {error}");
        let target = self.root.join(link).canonicalize().map_err(failed)?;
        let around = self.root.join(link.parent().unwrap_or(Path::new("")));
        let around = around.canonicalize().map_err(failed)?;
        let to = shown_path(&target);
        if around.starts_with(&target) {
            self.found.not_followed.push(format!(
                "{shown} is a link to a folder that contains it, {to}"
            ));
        } else if self.visited.contains(&target) {
            self.found.not_followed.push(format!(
                "{shown} is a link to {to}, which is read through another path"
            ));
        } else {
            self.folder(link, depth)?;
        }
        Ok(())
    }
}
