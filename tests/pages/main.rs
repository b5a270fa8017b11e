//! Compares the written pages with the code: every law, every event and key, every dependency between modules, every
//! link.

#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../support/repository.rs"]
mod repository;

mod architecture;
mod faults;
mod folders;
mod journal;
mod language;
mod last_lines;
mod laws;
mod links;
mod page;
