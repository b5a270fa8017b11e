//! Bodies: blocking code that waits in virtual time, on a coroutine or on a thread of its own.

pub(super) mod baton;
pub(super) mod bell;
pub(super) mod bodies;
pub(super) mod coroutine;
pub(super) mod left_behind;
pub(super) mod turn;
pub(super) mod wait;
