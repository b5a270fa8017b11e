//! Words for whoever reads standard error, from a thread that may be held up instead of the caller.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::Duration;

/// How long a line is waited for at most.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

/// Writes a line to standard error, and goes on after `patience` whether it was written or not: the pipe
/// may be full, or closed.
pub(super) fn say(patience: Duration, line: impl FnOnce() -> String + Send + 'static) {
    let (done, is_done) = mpsc::sync_channel(1);
    let writes = start_thread("deadstop-says", move || {
        let _ = write(&line());
        let _ = done.send(());
    });
    if writes.is_ok() {
        let _ = is_done.recv_timeout(patience);
    }
}

/// Not through `std::io::stderr`'s lock, which a thread that hangs may hold.
fn write(line: &str) -> io::Result<()> {
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    File::from(stderr).write_all(line.as_bytes())
}

pub(super) fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map(drop)
}
