//! What a run is shown and compared as: the timeline, and the snapshots, as insta reads and writes them.

#[path = "../support/repository.rs"]
mod repository;

mod snapshots;
mod timeline;
