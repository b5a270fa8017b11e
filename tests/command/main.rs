//! The command as a process: what it prints and writes, its reports, and what the README shows of it.

#[path = "../support/repository.rs"]
mod repository;

mod cli;
mod pending;
mod project;
mod readme;
mod reports;
mod selection;
mod streams;
