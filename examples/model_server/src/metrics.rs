//! Figures, and the flusher that writes them to standard output.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};

/// The figures that the server counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Requests with a head that was read.
    pub requests: AtomicU64,
    /// Predictions that were made and kept.
    pub predictions: AtomicU64,
}

impl Metrics {
    fn line(&self) -> String {
        let [connections, requests, predictions] =
            [&self.connections, &self.requests, &self.predictions]
                .map(|figure| figure.load(Ordering::SeqCst));
        format!("metrics connections={connections} requests={requests} predictions={predictions}")
    }
}

/// A writer of lines, one at a time. It is standard output in production.
pub struct Out(Mutex<Option<Box<dyn Write + Send>>>);

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Out")
    }
}

impl Out {
    /// Creates a writer of lines to `to`.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Out(Mutex::new(Some(Box::new(to))))
    }

    /// Writes a line. Once the reader is gone, lines are dropped: figures are not worth the end of the process.
    ///
    /// # Errors
    ///
    /// If the line cannot be written for another reason.
    pub fn line(&self, line: &str) -> std::io::Result<()> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(to) = &mut *out else { return Ok(()) };
        match writeln!(to, "{line}").and_then(|()| to.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                *out = None;
                tracing::warn!("nobody reads the metrics any more");
                Ok(())
            }
            written => written,
        }
    }
}

/// The component that writes a line of metrics at intervals, if they have changed.
#[derive(Clone, Debug)]
pub struct Flusher {
    /// Metrics that it writes.
    pub metrics: Arc<Metrics>,
    /// Writer of the lines.
    pub out: Arc<Out>,
}

impl Flusher {
    /// Writes lines until it is told to stop, and a last one then. It is the body of a thread.
    ///
    /// # Errors
    ///
    /// If a line cannot be written.
    pub fn run(&self, every: Duration, scope: &Scope) -> std::io::Result<()> {
        let mut last = String::new();
        loop {
            let told = scope.wait(every).told();
            let line = self.metrics.line();
            if line != last {
                self.out.line(&line)?;
                last = line;
            }
            if told {
                return Ok(());
            }
        }
    }
}

/// Writes the last line, when the predictions are over.
impl Close for Flusher {
    fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
        Ok(self.out.line(&self.metrics.line())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(Arc<AtomicU64>);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn gone_reader_is_no_error_and_is_tried_once() {
        let tried = Arc::new(AtomicU64::new(0));
        let out = Out::new(Broken(Arc::clone(&tried)));
        out.line("one").unwrap();
        out.line("two").unwrap();
        assert_eq!(tried.load(Ordering::SeqCst), 1, "tried once, then no more");
    }
}
