//! The log: its own thread writes lines to standard error.
//!
//! The reader of a log may stop reading. If each thread wrote its own lines, it would then wait for ever: a handler,
//! the exporter, the worker's stop. Here only the log's thread waits, and lines that find no room are dropped.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of lines that wait to be written.
const MAX_LINES: usize = 1024;

/// The handle of the log, which takes lines and never waits.
#[derive(Clone, Debug)]
pub struct Log(SyncSender<Entry>);

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// A mark, which is answered once everything before it is written.
    Mark(SyncSender<()>),
}

impl Log {
    /// Starts to write to standard error.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start() -> io::Result<Self> {
        Log::to(io::stderr())
    }

    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (log, entries) = sync_channel(MAX_LINES);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&entries, out))?;
        Ok(Log(log))
    }

    /// Waits until the lines so far are written, but no longer than `patience`. If there is no room for the mark, it
    /// does not wait.
    pub fn flush(&self, patience: Duration) {
        let (mark, marked) = sync_channel(1);
        if self.0.try_send(Entry::Mark(mark)).is_ok() {
            let _ = marked.recv_timeout(patience);
        }
    }
}

/// Writes lines until the reader is gone. From then on, lines are dropped.
fn write(entries: &Receiver<Entry>, mut out: impl Write) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                if out.write_all(&line).is_err() {
                    return;
                }
            }
            Entry::Mark(mark) => drop(mark.send(())),
        }
    }
}

/// The writer of one line.
#[derive(Debug)]
pub struct Line<'a>(&'a Log);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.0.try_send(Entry::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    /// A writer that blocks until it is released, and then keeps what it is given.
    struct Stuck(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn stopped_reader_holds_up_no_writer_and_costs_lines() {
        let (go, may_go) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let log = Log::to(Stuck(may_go, Arc::clone(&written))).unwrap();
        for _ in 0..2 * MAX_LINES {
            log.make_writer().write_all(b"x").unwrap();
        }
        log.flush(Duration::from_millis(1)); // There is no room for the mark either.
        drop(go);
        // As lines are written there is room again, and the mark is taken.
        loop {
            let (mark, marked) = sync_channel(1);
            if log.0.try_send(Entry::Mark(mark)).is_ok() {
                marked.recv_timeout(Duration::from_secs(20)).unwrap();
                break;
            }
            std::thread::yield_now();
        }
        // One line may have left the queue before the others filled it.
        assert!([MAX_LINES, MAX_LINES + 1].contains(&written.lock().unwrap().len()));
    }
}
