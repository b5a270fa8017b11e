//! Files that are written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Begin and end of the name of a file that is still being written.
pub(super) const DRAFT_PREFIX: &str = ".deadstop-";
pub(super) const DRAFT_SUFFIX: &str = ".tmp";

/// Writes a file whole or not at all: first a draft beside it, which is then renamed. The folder has to exist.
///
/// # Errors
///
/// If the file system refuses.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let draft = write_draft(path, text)?;
    let renamed = fs::rename(&draft, path);
    if renamed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    renamed
}

/// Writes a file as [`write_whole`] does, but only if there is none at the path.
///
/// # Errors
///
/// If there is a file at the path, or the file system refuses.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let draft = write_draft(path, text)?;
    // A hard link fails if the file has been made meanwhile; a rename would replace that file.
    let linked = match fs::hard_link(&draft, path) {
        // Not every file system has hard links.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => {
            fs::rename(&draft, path)
        }
        linked => linked,
    };
    let _ = fs::remove_file(&draft);
    linked
}

/// Checks whether [`write_whole`] can write a file: whether a draft can be made beside it.
///
/// # Errors
///
/// If the file system refuses.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let draft = draft_beside(path);
    fs::File::create(&draft)?;
    fs::remove_file(&draft)
}

/// Writes a text to a new file beside a path, and returns the path of that file.
fn write_draft(path: &Path, text: &str) -> io::Result<PathBuf> {
    let draft = draft_beside(path);
    let written = fs::File::create(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        // A file that is renamed before it is on the disk may be empty after a crash.
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(draft),
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(error)
        }
    }
}

fn draft_beside(path: &Path) -> PathBuf {
    // Several checks may write at once, in one process or in many.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(
        "{DRAFT_PREFIX}{}-{number}{DRAFT_SUFFIX}",
        std::process::id()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_half_written_is_left() {
        let folder = std::env::temp_dir().join(format!("deadstop-whole-{}", std::process::id()));
        fs::create_dir_all(folder.join("taken/inner")).expect("folders of the test's own");
        let names = || {
            let entries = fs::read_dir(&folder).expect("it is there");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        check_writable(&folder.join("a")).expect("it can be written");
        assert_eq!(names(), ["taken"]);
        write_whole(&folder.join("a"), "one").expect("it can be written");
        write_whole(&folder.join("a"), "two").expect("it can be replaced");
        let text = fs::read_to_string(folder.join("a")).expect("it is there");
        assert_eq!(text, "two");
        // A file cannot replace a folder: the draft is there by then.
        write_whole(&folder.join("taken"), "three").expect_err("it is a folder");
        assert_eq!(names(), ["a", "taken"]);
        check_writable(&folder.join("none/a")).expect_err("its folder is not there");
        fs::remove_dir_all(&folder).expect("it is the test's own");
    }

    #[test]
    fn new_file_replaces_none_and_leaves_no_draft() {
        let folder = std::env::temp_dir().join(format!("deadstop-new-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder of the test's own");
        let path = folder.join("a");
        write_new(&path, "one").expect("it can be written");
        let error = write_new(&path, "two").expect_err("it is there already");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "one");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);
        fs::remove_dir_all(&folder).expect("it is the test's own");
    }
}
