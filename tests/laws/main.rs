//! What the corpus has for the laws to judge: hazards that the plan's context fails, and each fault on each kind of
//! component.

#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../support/repository.rs"]
mod repository;

mod faults;
mod teeth;
