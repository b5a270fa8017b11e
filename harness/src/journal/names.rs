//! Names components in the text of events that give only their numbers.

use std::collections::BTreeMap;
use std::fmt;

use deadstop::journal::{Id, Name};

use super::event::{Event, What};

/// The names of a journal's components.
#[derive(Debug)]
pub(super) struct Names<'a> {
    by_id: BTreeMap<Id, &'a Name>,
}

impl<'a> Names<'a> {
    /// Collects the names that a journal registers.
    pub fn new(events: &'a [Event]) -> Self {
        let by_id = events.iter().filter_map(|event| match &event.what {
            What::Registered(registered) => Some((registered.id, &registered.name)),
            _ => None,
        });
        Names {
            by_id: by_id.collect(),
        }
    }

    /// Returns a component as people read it: its name and number.
    pub fn of(&self, id: Id) -> NameAndId<'a> {
        NameAndId {
            id,
            name: self.by_id.get(&id).copied(),
        }
    }
}

/// A component's number, and its name if it is known.
pub(super) struct NameAndId<'a> {
    id: Id,
    name: Option<&'a Name>,
}

impl fmt::Display for NameAndId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name} (#{})", self.id),
            None => write!(f, "#{}", self.id),
        }
    }
}
