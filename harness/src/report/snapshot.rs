//! Snapshots in insta's file format, read, compared and written without insta.
//!
//! insta's assertion belongs in tests: it panics, asks cargo where the workspace is, and searches its folder each
//! time. The files are the same: `cargo insta review` finds what is pending here, and a test that asserts with insta
//! passes on what was accepted here.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::policy::Policy;
use super::snapshot_error::SnapshotError;
use super::whole::{DRAFT_PREFIX, DRAFT_SUFFIX, write_whole};
use crate::scenario::read_whole;

/// Header that insta writes before the content. `cargo insta` finds only files that begin so, and drops keys that it
/// does not know.
const HEADER: &str = "---\nsource: tests/scenarios.rs\nexpression: log\n";
const FENCE: &str = "---";
/// Maximum size of a snapshot, in bytes; the log of a run is far smaller.
const MAX_FILE_BYTES: u64 = 64 << 20;
const SNAPSHOT_SUFFIX: &str = ".snap";
const PENDING_SUFFIX: &str = ".snap.new";
/// Age from which on a draft is taken as left behind by a command that was killed.
const MAX_DRAFT_AGE: Duration = Duration::from_secs(3_600);

/// A folder of snapshots, one file a name: `<name>.snap` for an accepted text, and `<name>.snap.new` for a pending
/// one, which waits to be accepted. A name may contain `/`.
///
/// # Example
///
/// ```
/// # use deadstop_harness::report::{State, Store};
/// # let root = std::env::temp_dir().join(format!("deadstop-doc-{}", std::process::id()));
/// let store = Store::new(root.clone());
/// assert_eq!(store.compare("signals/second", "the log")?, State::Missing);
/// store.write_pending("signals/second", "the log")?;
/// assert_eq!(store.pending()?, ["signals/second"]);
/// store.accept("signals/second")?;
/// assert_eq!(store.compare("signals/second", "the log\n")?, State::Same);
/// # std::fs::remove_dir_all(root).unwrap();
/// # Ok::<(), deadstop_harness::report::SnapshotError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// The relation of a text to the snapshot of its name.
///
/// It is exhaustive: a new one needs words of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The text is the snapshot.
    Same,
    /// There is no snapshot.
    Missing,
    /// The snapshot is another text.
    Differs {
        /// The accepted text.
        old: String,
    },
    /// The text is not the snapshot, but it is pending already.
    Pending {
        /// The accepted text, if there is one.
        old: Option<String>,
    },
}

/// The file that [`Store::record`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrote {
    /// Nothing.
    Nothing,
    /// A pending file.
    Pending,
    /// The snapshot.
    Snapshot,
}

type Result<T, E = SnapshotError> = std::result::Result<T, E>;

impl Store {
    /// Creates a store for the snapshots in a folder, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Store { root }
    }

    /// Compares a text with its snapshot. Blanks and line breaks at the end do not count, and a CRLF is a line break.
    ///
    /// # Errors
    ///
    /// If the name is bad; if a file cannot be read or is no snapshot.
    pub fn compare(&self, name: &str, text: &str) -> Result<State> {
        let text = normalized(text);
        let old = read(&self.path(name, SNAPSHOT_SUFFIX)?)?;
        if old.as_deref() == Some(text.as_str()) {
            return Ok(State::Same);
        }
        if read(&self.path(name, PENDING_SUFFIX)?)?.is_some_and(|pending| pending == text) {
            return Ok(State::Pending { old });
        }
        Ok(old.map_or(State::Missing, |old| State::Differs { old }))
    }

    /// Compares a text with its snapshot, and writes what the policy allows. If the text is the snapshot, removes a
    /// pending file of that name, unless the policy is [`Policy::Nothing`].
    ///
    /// # Errors
    ///
    /// As [`compare`](Self::compare), and if a file cannot be written.
    pub fn record(&self, name: &str, text: &str, policy: Policy) -> Result<(State, Wrote)> {
        let state = self.compare(name, text)?;
        let wrote = self.settle(name, text, &state, policy)?;
        Ok((state, wrote))
    }

    /// Writes what the policy allows for a text whose [`compare`](Self::compare) gave `state`, as
    /// [`record`](Self::record) does.
    ///
    /// # Errors
    ///
    /// A bad name; a file that cannot be written.
    pub fn settle(&self, name: &str, text: &str, state: &State, policy: Policy) -> Result<Wrote> {
        Ok(match (state, policy) {
            (_, Policy::Nothing) => Wrote::Nothing,
            (State::Same, _) => {
                remove_if_there(&self.path(name, PENDING_SUFFIX)?)?;
                Wrote::Nothing
            }
            (State::Pending { .. }, Policy::Pending)
            | (State::Pending { old: None }, Policy::Unseen) => Wrote::Nothing,
            (_, Policy::Pending) | (State::Missing, Policy::Unseen) => {
                self.write_pending(name, text)?;
                Wrote::Pending
            }
            (_, Policy::Accept | Policy::Unseen) => {
                write(
                    &self.path(name, SNAPSHOT_SUFFIX)?,
                    &file_text(HEADER, &normalized(text)),
                )?;
                remove_if_there(&self.path(name, PENDING_SUFFIX)?)?;
                Wrote::Snapshot
            }
        })
    }

    /// Writes a text as pending, whole or not at all.
    ///
    /// # Errors
    ///
    /// If the name is bad; if a file cannot be written.
    pub fn write_pending(&self, name: &str, text: &str) -> Result<()> {
        write(
            &self.path(name, PENDING_SUFFIX)?,
            &file_text(HEADER, &normalized(text)),
        )
    }

    /// Makes the pending text the snapshot.
    ///
    /// # Errors
    ///
    /// If the name is bad; if nothing is pending, or the pending file is no snapshot; if a file cannot be written.
    pub fn accept(&self, name: &str) -> Result<()> {
        let path = self.path(name, PENDING_SUFFIX)?;
        let Some(pending) = load(&path)? else {
            return Err(not_pending(name, path));
        };
        let (header, content) = split(&path, &pending)?;
        // insta records the assertion's line in pending files, and removes it when they are accepted.
        let header: String = header
            .lines()
            .filter(|line| !line.starts_with("assertion_line:"))
            .flat_map(|line| [line.trim_end(), "\n"])
            .collect();
        write(
            &self.path(name, SNAPSHOT_SUFFIX)?,
            &file_text(&header, &normalized(content)),
        )?;
        // Another command may accept it at the same time.
        remove_if_there(&path)?;
        Ok(())
    }

    /// Removes the pending text.
    ///
    /// # Errors
    ///
    /// If the name is bad; if nothing is pending; if a file cannot be removed.
    pub fn reject(&self, name: &str) -> Result<()> {
        let path = self.path(name, PENDING_SUFFIX)?;
        if !remove_if_there(&path)? {
            return Err(not_pending(name, path));
        }
        Ok(())
    }

    /// Returns the pending text of a name, if there is one.
    ///
    /// # Errors
    ///
    /// If the name is bad; if a file cannot be read or is no snapshot.
    pub fn pending_text(&self, name: &str) -> Result<Option<String>> {
        read(&self.path(name, PENDING_SUFFIX)?)
    }

    /// Returns the names of all pending texts, sorted.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read.
    pub fn pending(&self) -> Result<Vec<String>> {
        Ok(self
            .names(PENDING_SUFFIX)?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// Removes files that killed commands have left half-written.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read; if a file cannot be removed.
    pub fn sweep(&self) -> Result<()> {
        for (_, path) in self.names(DRAFT_SUFFIX)? {
            let ours = path
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.starts_with(DRAFT_PREFIX));
            let age = fs::metadata(&path)
                .and_then(|draft| draft.modified())
                .ok()
                .and_then(|modified| modified.elapsed().ok());
            if ours && age.is_some_and(|age| age > MAX_DRAFT_AGE) {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    /// Returns the snapshots whose name is none of `names`, sorted: their scenario is gone, or has moved.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read.
    pub fn unreferenced<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<PathBuf>> {
        let known: BTreeSet<&str> = names.into_iter().collect();
        let mut found = self.names(SNAPSHOT_SUFFIX)?;
        found.retain(|(name, _)| !known.contains(name.as_str()));
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }

    /// Returns the path of a name's file, or an error if the name would lead out of the folder.
    fn path(&self, name: &str, suffix: &str) -> Result<PathBuf> {
        // A backslash or a colon leads out of the folder on Windows.
        let plain = |part: &str| {
            !part.contains(['\\', ':', '\0'])
                && matches!(
                    Path::new(part).components().collect::<Vec<_>>()[..],
                    [Component::Normal(_)]
                )
        };
        if !name.split('/').all(plain) {
            return Err(SnapshotError::Name {
                name: name.to_owned(),
            });
        }
        Ok(self.root.join(format!("{name}{suffix}")))
    }

    /// Returns all names that have a file with this suffix, with their files, sorted by name.
    fn names(&self, suffix: &str) -> Result<Vec<(String, PathBuf)>> {
        let mut found = vec![];
        let mut folders = vec![(self.root.clone(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(io_error("read the folder", &folder))?,
            };
            for entry in entries {
                let entry = entry.map_err(io_error("read the folder", &folder))?;
                // A name that is not UTF-8 is not one of ours.
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                // `file_type` does not follow links, so a circle of links cannot keep this loop going.
                let kind = entry
                    .file_type()
                    .map_err(io_error("look at", &entry.path()))?;
                if kind.is_dir() {
                    folders.push((entry.path(), format!("{prefix}{name}/")));
                } else if let Some(name) = name.strip_suffix(suffix) {
                    found.push((format!("{prefix}{name}"), entry.path()));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Returns a text as insta compares it.
fn normalized(text: &str) -> String {
    text.trim_end().replace("\r\n", "\n")
}

/// Returns a file's text from its header, which has no closing fence, and its content.
fn file_text(header: &str, content: &str) -> String {
    format!("{header}{FENCE}\n{content}\n")
}

/// Returns the content of a snapshot, if the file is there.
fn read(path: &Path) -> Result<Option<String>> {
    load(path)?
        .map(|text| split(path, &text).map(|(_, content)| normalized(content)))
        .transpose()
}

fn load(path: &Path) -> Result<Option<String>> {
    match read_whole(path, MAX_FILE_BYTES) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| SnapshotError::Malformed {
                path: path.to_owned(),
                why: "it is not UTF-8",
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Splits a file into its header, with the opening fence and without the closing one, and its content.
fn split<'a>(path: &Path, text: &'a str) -> Result<(&'a str, &'a str)> {
    let malformed = |why| SnapshotError::Malformed {
        path: path.to_owned(),
        why,
    };
    let mut end = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let fence = line.trim_end() == FENCE;
        match (n, fence) {
            (0, false) => return Err(malformed("its first line is not `---`")),
            (0, true) | (_, false) => end += line.len(),
            (_, true) => return Ok((&text[..end], &text[end + line.len()..])),
        }
    }
    Err(malformed(if end == 0 {
        "it is empty"
    } else {
        "its header has no end"
    }))
}

/// Writes a file whole or not at all, and the folder in which it lies.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?;
    write_whole(path, text).map_err(io_error("write", path))
}

/// Removes a file if it is there. Returns whether it was.
fn remove_if_there(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("remove", path)(error)),
    }
}

fn not_pending(name: &str, path: PathBuf) -> SnapshotError {
    SnapshotError::NotPending {
        name: name.to_owned(),
        path,
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError + use<> {
    let path = path.to_owned();
    move |error| SnapshotError::Io { doing, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let store = Store::new("snapshots".into());
        for name in [
            "", ".", "..", "a/../b", "/a", "a//b", "a/", "a\\b", "c:", "a\0",
        ] {
            let error = store.path(name, SNAPSHOT_SUFFIX);
            assert!(matches!(error, Err(SnapshotError::Name { .. })), "{name:?}");
        }
        assert_eq!(
            store.path("a/b.c", PENDING_SUFFIX).unwrap(),
            Path::new("snapshots/a/b.c.snap.new")
        );
    }

    #[test]
    fn header_ends_at_its_second_fence() {
        let split = |text| split(Path::new("a.snap"), text);
        assert_eq!(
            split("---\r\nsource: a\r\n---\r\nb\n---\nc\n").unwrap(),
            ("---\r\nsource: a\r\n", "b\n---\nc\n")
        );
        assert_eq!(split("---\n---").unwrap(), ("---\n", ""));
        for (text, why) in [
            ("", "it is empty"),
            ("source: a\n", "its first line is not `---`"),
            ("---\nsource: a\n", "its header has no end"),
        ] {
            let error = split(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("a.snap is not a snapshot: {why};")),
                "{error}"
            );
        }
    }
}
