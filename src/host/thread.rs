//! Starts threads of the operating system.

#![allow(
    clippy::disallowed_methods,
    reason = "the live host is where threads are started"
)]

use std::thread::JoinHandle;

/// Starts a thread. If none can be started, `run` is dropped here.
pub(super) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    // The operating system cuts thread names short; it does not refuse long ones.
    let name: String = name.chars().filter(|c| *c != '\0').collect();
    std::thread::Builder::new().name(name).spawn(run)
}
