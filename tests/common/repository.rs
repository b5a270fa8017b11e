//! The root of the repository, for tests of every package.

use std::path::{Path, PathBuf};

/// Returns the root of the repository: the folder above this package, or the package's own, that holds the lock file.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .expect("the repository has a Cargo.lock")
        .to_owned()
}
