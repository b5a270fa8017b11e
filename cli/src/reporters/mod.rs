//! The output of a check. A check tells what happens as a stream of events, and each reporter makes its output of them.

pub mod choice;
pub mod event;
mod github;
mod json;
mod junit;
mod markdown;
mod progress;
mod target;
mod text;
