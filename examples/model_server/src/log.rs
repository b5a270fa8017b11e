//! The log: lines to standard error, by a thread of its own.
//!
//! Whoever reads a log may stop reading. A line that is written where it is said then waits for ever, and
//! with it whoever said it: a handler, the exporter, the worker's stop. Here only the log's thread waits,
//! and lines that find no room are dropped.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait to be written.
const LINES: usize = 1024;

/// Takes lines, and never waits.
#[derive(Clone, Debug)]
pub struct Log(SyncSender<Entry>);

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Everything before it is written.
    Mark(SyncSender<()>),
}

impl Log {
    /// Begins to write to standard error.
    ///
    /// # Errors
    ///
    /// If no thread can be had.
    pub fn start() -> io::Result<Self> {
        Log::to(io::stderr())
    }

    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (log, entries) = sync_channel(LINES);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&entries, out))?;
        Ok(Log(log))
    }

    /// Waits until what was said so far is written, but no longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let (mark, marked) = sync_channel(1);
        if self.0.try_send(Entry::Mark(mark)).is_ok() {
            let _ = marked.recv_timeout(patience);
        }
    }
}

/// Ends when nobody reads any more: from then on lines find nobody to write them.
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

/// One line on its way.
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

    /// Writes nothing until it may, and then keeps what it is given.
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
    fn a_reader_that_has_stopped_holds_nobody_up_and_costs_lines() {
        let (go, may_go) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let log = Log::to(Stuck(may_go, Arc::clone(&written))).unwrap();
        for _ in 0..2 * LINES {
            log.make_writer().write_all(b"x").unwrap();
        }
        log.flush(Duration::from_millis(1)); // There is no room for the mark either.
        drop(go);
        // Room comes as lines are written; then the mark has its turn.
        loop {
            let (mark, marked) = sync_channel(1);
            if log.0.try_send(Entry::Mark(mark)).is_ok() {
                marked.recv_timeout(Duration::from_secs(20)).unwrap();
                break;
            }
            std::thread::yield_now();
        }
        // One may have been on its way when the others queued.
        assert!([LINES, LINES + 1].contains(&written.lock().unwrap().len()));
    }
}
