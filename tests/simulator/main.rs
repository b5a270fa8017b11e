//! The simulator: bodies, limits, schedules, triggers, the corpus under many seeds, and the laws over
//! random scenarios.

#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../support/repository.rs"]
mod repository;

mod batons;
mod limits;
mod properties;
mod schedules;
mod sweep;
mod triggers;
