//! Exit codes of a worker process, besides those of signals (128 + the signal's number) and main's own.

/// Code if every step ended well.
pub const OK: i32 = 0;
/// Code if a step did not end well, or main failed without a code of its own.
pub const FAILED: i32 = 1;
/// Code if the watchdog ended the process.
pub const WATCHDOG: i32 = 75;
/// Code if the last resort ended the process.
pub const LAST_RESORT: i32 = 124;
/// Base of the codes of signals, to which the signal's number is added.
pub const SIGNAL: i32 = 128;
