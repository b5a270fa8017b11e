//! Settlers: the calls of `settle` that wait until nothing else can run in their instant.

use std::task::Waker;

use super::entity::Entities;
use super::role::EntityId;
use super::schedule::{Candidate, Lend};

/// The calls of `settle` that have not returned, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Settlers {
    waiting: Vec<(Option<EntityId>, Waker)>,
}

impl Settlers {
    /// Adds a call of the entity with that number; there is none if a task outside of all entities calls.
    pub fn push(&mut self, id: Option<EntityId>, waker: Waker) {
        self.waiting.push((id, waker));
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn remove(&mut self, index: usize) -> Waker {
        self.waiting.remove(index).1
    }

    /// Returns the calls with the names of their entities.
    pub fn named<'a>(&'a self, entities: &'a Entities) -> Named<'a> {
        Named {
            settlers: self,
            entities,
        }
    }
}

/// Lends the calls to a point.
pub(crate) struct Named<'a> {
    settlers: &'a Settlers,
    entities: &'a Entities,
}

impl Lend for Named<'_> {
    fn len(&self) -> usize {
        self.settlers.waiting.len()
    }

    fn nth(&self, index: usize) -> Option<Candidate<'_>> {
        let (id, _) = self.settlers.waiting.get(index)?;
        let outside = Candidate {
            id: EntityId::MAX,
            name: "a spawned task",
        };
        Some(id.map_or(outside, |id| self.entities.candidate(id)))
    }
}
