//! Orders of the components in cleanup.
//!
//! They are descending: the component with the highest order is closed first. [`PREDICTOR`] and [`THREAD_POOL`] keep
//! the values that were planned, although the predictor is then closed before the pool whose jobs still call it. If the
//! worker declares that with `uses`, start warns of it. [`PREDICTOR_AFTER_POOL`] corrects the order.

/// Order of the predictor, as planned: it is closed first.
pub const PREDICTOR: i32 = 200;
/// Order of the pool of prediction threads, which waits for the jobs in flight.
pub const THREAD_POOL: i32 = 100;
/// Order of the predictor if the pool's jobs use it: it is closed after the pool.
pub const PREDICTOR_AFTER_POOL: i32 = 75;
/// Order of the flusher of standard output, which runs after the predictions are done.
pub const STDOUT_FLUSHER: i32 = 50;
/// Order of the telemetry: after everything that makes spans, before the clients.
pub const TELEMETRY: i32 = 25;
/// Order of databases and other clients, which are closed last.
pub const CLIENTS: i32 = 0;
