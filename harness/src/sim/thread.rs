//! Starts the harness's own threads.

/// Starts a thread of the operating system that is not joined.
///
/// # Errors
///
/// If the operating system refuses.
#[allow(
    clippy::disallowed_methods,
    reason = "the harness's threads are started here, those of simulated bodies among them"
)]
pub(crate) fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    // The operating system truncates names; std refuses only the NUL character.
    let name = name.chars().filter(|c| *c != '\0').collect();
    std::thread::Builder::new().name(name).spawn(run).map(drop)
}
