//! The laws: properties that every journal must have.
//!
//! A law reads a journal and nothing else. It is written from the contract and never calls the context: a law that
//! reused the code that it judges would agree with that code's bugs.
//!
//! Each law is a file with its statement in plain words, and with journals written by hand, at least one of which
//! breaks this law only. [`judge`] reads a journal once, into a record, and applies every law to it.

mod bound_right;
mod bound_warned;
#[cfg(test)]
mod by_hand;
mod cleanup_after_stop;
mod cleanup_descending;
mod cleanup_floor;
mod deaths_reported;
mod ends_explained;
mod exit_code;
mod judge;
mod late_refused;
mod law;
mod ledger_accounted;
mod limits;
mod outcome_true;
mod phase_within_grace;
mod record;
mod report_agrees;
mod running_false_first;
mod sequence;
mod signals_heeded;
mod states_forward;
mod steps_bounded;
mod steps_exactly_once;
mod steps_isolated;
mod steps_one_at_a_time;
mod steps_patient;
mod stop_after_delay;
mod stop_ascending;
mod task_escalation;
mod ties_registration_order;
mod told_first;
mod uses_closed_after_users;
mod uses_warned;
mod waits_named;
mod watchdog_disarmed_first;
mod watchdog_just;

pub use judge::{all, judge};
use law::Breaks;
pub use law::{BREAKS_A_LAW, Broken, Law};
#[cfg(all(feature = "live", unix))]
pub(crate) use outcome_true::freed_by_another_abort;
