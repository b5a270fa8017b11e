//! The bodies that could not be ended.

use std::sync::{Mutex, PoisonError};

use crate::journal::Name;

/// Name of the body that was left behind last in this process.
pub(in crate::sim) static LEFT_LAST: Mutex<Option<Name>> = Mutex::new(None);

/// Returns the error for a body that is not started because `left` others were left behind.
pub(in crate::sim) fn too_many_left(left: u32) -> std::io::Error {
    let last = LEFT_LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let last = last.as_deref().unwrap_or("?");
    std::io::Error::other(format!(
        "{left} bodies of this thread could not be ended, the last of them \"{last}\": code that catches \
         every panic keeps its stack for ever"
    ))
}
