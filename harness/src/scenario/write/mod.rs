//! Writes a model as the text of a scenario file, as a person would write it.
//!
//! The parser reads the text as the same model. Values that equal their defaults are left out. A layout adds comments.
//! `deadstop new` uses it.

mod layout;
mod lines;
mod tables;

pub use layout::{Layout, Spot, write};
