//! Writes a model as the text of a scenario file, as a person would write it.
//!
//! The parser reads the text as the same model. Values that equal their defaults are left out. A layout adds comments.
//! `deadstop new` uses it.

mod layout;
mod lines;
mod tables;
mod value;

pub use layout::{Layout, Spot, write};
pub(super) use tables::Table;
pub(super) use value::{quoted, time, time_or_forever};
