//! What a guard on another thread can see of a world: that it still takes turns, and whose turn it is.

use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};

use crate::journal::Name;

/// A world as its guard sees it.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub entity: AtomicU32,
    names: Mutex<Vec<Name>>,
}

impl Watched {
    pub fn name(&self, name: &Name) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name.clone());
    }
}
