//! The code that a host runs: what it is, whose it is, how it ended.

use std::pin::Pin;
use std::time::Duration;

use super::scope::Scope;
use crate::journal::{How, Id, Kind, Name};

/// An error of a body or callback.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A boxed future that a host can run.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The code of a thread or of a blocking callback.
pub type Body = Box<dyn FnOnce(&Scope) -> Result<(), BoxError> + Send + 'static>;

/// Receives the end of a piece of code; called once, by the code's runner, when the code is over.
pub type OnEnd = Box<dyn FnOnce(Ended) + Send + 'static>;

/// The component whose code a host is asked to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Who {
    /// The context that the component belongs to; hosts use it to know which callers are inside.
    pub context: ContextId,
    /// The component's id.
    pub id: Id,
    /// The component's name.
    pub name: Name,
    /// The component's kind.
    pub kind: Kind,
}

impl Who {
    /// Creates the description of a component, for a host that runs code of its own.
    pub fn new(context: ContextId, id: Id, name: Name, kind: Kind) -> Self {
        Who {
            context,
            id,
            name,
            kind,
        }
    }
}

/// Identity of a context within its process.
///
/// It is exhaustive: it is a number and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub usize);

/// How a piece of code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Returned, failed, panicked or dropped.
    pub how: How,
    /// The words of the error or panic.
    pub error: Option<Name>,
    /// The instant of the end, on the host's clock.
    pub at: Duration,
}

impl Ended {
    /// Creates the end of a piece of code, as a host reports it.
    pub fn new(how: How, error: Option<Name>, at: Duration) -> Self {
        Ended { how, error, at }
    }
}
