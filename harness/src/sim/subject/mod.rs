//! What a world drives: a scripted worker, a user's own, or the plan's.

pub(super) mod own;
pub(super) mod plan;
pub(super) mod worker;
