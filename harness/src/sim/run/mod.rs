//! One run from its options to its journal; and many, on threads that are watched.

pub(super) mod budget;
pub(super) mod header;
pub(super) mod job;
pub(super) mod journal;
pub(super) mod options;
pub(super) mod runners;
pub(super) mod single;
pub(super) mod twice;
pub(super) mod workers;
