//! The limits of a scenario file.

use std::time::Duration;

/// Maximum size of a file, in bytes.
pub const FILE_BYTES: usize = 64 * 1024;
/// Maximum number of components in a file.
pub const COMPONENTS: usize = 1_000;
/// Largest number of a journal's event that an event of the timeline can wait for: a run with more events is stuck.
pub const EVENT_NUMBER: u64 = 200_000;
/// Maximum number of timeline events in a file; also of the jobs and of the callers of one event.
pub const EVENTS: usize = 1_000;
/// Longest duration in a file.
pub const DURATION: Duration = Duration::from_secs(3_600);
/// Maximum number of mistakes of one file that are shown: more would not help its author.
pub const DIAGNOSTICS: usize = 100;
/// Default time from the stop signal to SIGKILL.
pub const GRACE: Duration = Duration::from_secs(30);
/// Default of the longest time for which main is awaited if a stop is requested while it runs.
pub const START_TIMEOUT: Duration = Duration::from_secs(5);
/// Default bound of a thread, task or watchdog.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Default bound of a callback or closeable.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of a name, in bytes.
pub const NAME_BYTES: usize = 200;
