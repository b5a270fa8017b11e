//! The named orders of a model server, as its plan lists them.
//!
//! Cleanup runs descending: what has the highest order closes first. [`PREDICTOR`] and [`THREAD_POOL`]
//! are kept as planned, although the predictor is then closed before the pool whose jobs still call
//! it. A worker says so with `uses`, and start warns; [`PREDICTOR_AFTER_POOL`] mends it.

/// The predictor, as planned: closed first.
pub const PREDICTOR: i32 = 200;
/// The pool of prediction threads: waits for the jobs in flight.
pub const THREAD_POOL: i32 = 100;
/// The predictor where the pool's jobs use it: closed once the pool is.
pub const PREDICTOR_AFTER_POOL: i32 = 75;
/// The flusher of standard output: after the predictions are done.
pub const STDOUT_FLUSHER: i32 = 50;
/// Databases and other clients: closed last.
pub const CLIENTS: i32 = 0;
