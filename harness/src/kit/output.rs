//! Writes the output of the kit past std's locks, which code that was left behind may hold for good.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use crate::sim::start_thread;

/// Exit code of a failed test binary, as in every Rust test.
pub(super) const EXIT_FAILED: u8 = 101;

/// Maximum time to wait for std's lock on standard output.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes to standard output. A reader that is gone is no error.
pub(super) fn out(text: &str) {
    write(std::io::stdout(), text);
}

/// Writes to standard error, past the harness, which would swallow it.
pub(super) fn err(text: &str) {
    write(std::io::stderr(), text);
}

#[cfg(unix)]
fn write(stream: impl std::os::fd::AsFd, text: &str) {
    // Std's buffer holds no text of the kit that would have to come first: the kit writes all of it here.
    let descriptor = stream.as_fd().try_clone_to_owned();
    let _ = descriptor
        .and_then(|descriptor| std::fs::File::from(descriptor).write_all(text.as_bytes()));
}

#[cfg(not(unix))]
fn write(mut stream: impl Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}

/// Ends the process at once (`_exit`), without handlers and destructors: they could wait for code that was left
/// behind.
pub(super) fn exit(code: u8) -> ! {
    signal_hook::low_level::exit(code.into())
}

/// Ends the process, after writing `text`, if code that was left behind holds std's lock on standard output: the
/// harness would wait for it for good.
pub(super) fn exit_if_stdout_locked(text: &str) {
    let (has, had) = mpsc::channel();
    let asks = start_thread("standard output", move || {
        drop(std::io::stdout().lock());
        let _ = has.send(());
    });
    if asks.is_ok() && had.recv_timeout(LOCK_TIMEOUT).is_err() {
        err(text);
        err("standard output is locked by code that was left behind: no further test is run\n");
        exit(EXIT_FAILED);
    }
}
