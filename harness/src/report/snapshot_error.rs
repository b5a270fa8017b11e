//! Why a snapshot could not be read or written.

use std::io;
use std::path::PathBuf;

/// Reason why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file system refused.
    #[error("cannot {doing} {path}: {error}; check its permissions, and that the disk is not full", path = path.display())]
    Io {
        /// The action, as a verb.
        doing: &'static str,
        /// The file or folder of the action.
        path: PathBuf,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// The file is no snapshot.
    #[error("{path} is not a snapshot: {why}; delete it, run `deadstop check`, and accept the result", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name would lead out of the folder.
    #[error("{name:?} cannot be a snapshot's name; use words joined by single slashes")]
    Name {
        /// The name.
        name: String,
    },
    /// No text with this name waits to be accepted or rejected.
    #[error("nothing is pending for {name}: there is no {path}; run `deadstop check` first", path = path.display())]
    NotPending {
        /// The name.
        name: String,
        /// The file that would hold it.
        path: PathBuf,
    },
    /// A variable of the environment has a value that insta does not know either.
    #[error("{variable} is {value:?}; set it to one of {allowed}, or unset it")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        allowed: &'static str,
    },
}
