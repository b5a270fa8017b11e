//! The root of the repository and the files below a folder, for tests of every package.

#![allow(
    dead_code,
    reason = "each test binary includes this file and uses a part of it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Returns the root of the repository: the folder above this package, or the package's own, that holds the lock file.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<&Path> = LazyLock::new(|| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file())
            .expect("the repository has a Cargo.lock")
    });
    &ROOT
}

/// Collects the files below a folder that end with `end`, in the order of their paths. Skips hidden folders and build
/// output.
pub fn files(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            files(&path, end, found);
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
}
