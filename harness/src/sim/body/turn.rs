//! A body's turn: why it is resumed, and how the turn ends.

/// Reason why a body is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    Run,
    End,
}

/// How a body's turn ended.
pub(crate) enum Turned<T> {
    /// The body waits.
    Waits,
    /// The body returned, or panicked with this payload.
    Done(std::thread::Result<T>),
}

/// Payload that unwinds a body at the world's end.
pub(crate) struct WorldEnded;
