//! What an entity is: its number, where it runs, what it stands for.

use crate::journal::Id;

pub(crate) type EntityId = u32;

/// Kind of thread that an entity runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The service's executor, which can be held.
    Executor,
    /// A thread of its own: a body, a blocking callback, or the context's driver.
    OwnThread,
}

/// What an entity stands for in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing: the entity belongs to the context, or to the world.
    Internal,
    /// Code inside the context that is not recorded.
    Inside,
    /// The code of a component, with a begin and an end that are recorded as facts.
    Component(Id),
    /// The code of the component with that index, which may have no id yet.
    ComponentAt(usize),
}
