//! Output of the kit, written past std's locks: code that was left behind may hold them for good.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// What a failed test ends with, as everywhere.
pub(super) const FAILED: u8 = 101;

/// How long std's lock on standard output is waited for.
const FREE: Duration = Duration::from_secs(1);

/// Writes to standard output. A reader that is gone is no error.
pub(super) fn out(text: &str) {
    write(std::io::stdout(), text);
}

/// Writes to standard error, where no harness swallows it.
pub(super) fn err(text: &str) {
    write(std::io::stderr(), text);
}

#[cfg(unix)]
fn write(stream: impl std::os::fd::AsFd, text: &str) {
    // Std has nothing of the kit's in its buffer: all of it is written here.
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

/// Ends the process without the usual last rites, which could wait for code that was left behind.
pub(super) fn exit(code: u8) -> ! {
    signal_hook::low_level::exit(code.into())
}

/// Ends a process in which the harness would wait for good for std's lock on standard output, since code that was left
/// behind holds it, after writing `text`.
#[allow(
    clippy::disallowed_methods,
    reason = "it is not known whether the lock can be had, and it is waited for in real time"
)]
pub(super) fn exit_if_locked(text: &str) {
    let (has, had) = mpsc::channel();
    let asks = std::thread::Builder::new().spawn(move || {
        drop(std::io::stdout().lock());
        let _ = has.send(());
    });
    if asks.is_ok() && had.recv_timeout(FREE).is_err() {
        err(text);
        err("standard output is locked by code that was left behind: no further test is run\n");
        exit(FAILED);
    }
}
