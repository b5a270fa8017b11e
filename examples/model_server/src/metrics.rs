//! Figures, and who writes them to standard output.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};

/// What the server counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Requests whose head was read.
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

/// Writes lines, one at a time. Standard output in production.
pub struct Out(Mutex<Option<Box<dyn Write + Send>>>);

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Out")
    }
}

impl Out {
    /// Lines go there.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Out(Mutex::new(Some(Box::new(to))))
    }

    /// Writes a line. Once nobody reads any more, lines are dropped: figures are not worth a death.
    ///
    /// # Errors
    ///
    /// If it cannot be written for another reason.
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

/// Writes a line of metrics every so often, where they have changed.
#[derive(Clone, Debug)]
pub struct Flusher {
    /// What it writes.
    pub metrics: Arc<Metrics>,
    /// Where to.
    pub out: Arc<Out>,
}

impl Flusher {
    /// The thread's body: until it is told.
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

/// The last line, written when the predictions are over.
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
    fn a_reader_that_is_gone_is_no_death() {
        let tried = Arc::new(AtomicU64::new(0));
        let out = Out::new(Broken(Arc::clone(&tried)));
        out.line("one").unwrap();
        out.line("two").unwrap();
        assert_eq!(tried.load(Ordering::SeqCst), 1, "tried once, then no more");
    }
}
