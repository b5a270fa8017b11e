//! What looks at a run from outside, in real time: the guard, what a run publishes to it, and its verdict.

pub(super) mod meter;
pub(super) mod pool;
pub(super) mod stack;
pub(super) mod stall;
pub(super) mod thread_id;
pub(super) mod turn_watch;
pub(super) mod usage;
pub(super) mod watched;
