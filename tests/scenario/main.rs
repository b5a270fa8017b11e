//! The scenario file: its grammar, its diagnostics, its schema, its writer, and any input to its parser.

#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../support/repository.rs"]
mod repository;

mod any_input;
mod diagnostics;
mod grammar;
mod schema;
mod writer;
