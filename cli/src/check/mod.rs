//! `deadstop check`, the gate: runs scenarios and judges them by laws, expectations and snapshots.

mod command;
mod leftovers;
mod runs;

pub use command::Check;
