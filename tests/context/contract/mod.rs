//! The contract of a worker context, rule by rule, on a host that the test drives by hand: there is no clock and no
//! thread, and a test can look at every moment in between.

mod budget;
mod callers;
mod claims;
mod cleaning_up;
mod memory;
mod refusals;
mod signals;
mod starting;
mod stop;
mod worker;
