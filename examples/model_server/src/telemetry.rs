//! Spans, by an OpenTelemetry provider whose shutdown blocks.
//!
//! Its shutdown sends what is left and waits for the collector, on the thread that calls it, and so does
//! its drop. On a thread of the service's runtime it would hold up every request there, and on a runtime
//! of one thread it would wait for itself. So it is closed as a resource like any other, on a thread of
//! its own with a bound.

use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};

/// How spans leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporting {
    /// Each when it ends, on the thread that ends it, and the shutdown is at once.
    AtOnce,
    /// In batches, by a thread of the provider's own; the exporter's shutdown blocks for so long.
    Batches {
        /// How long.
        shutdown: Duration,
    },
}

/// An exporter to a collector that takes its time to say goodbye.
#[derive(Debug)]
struct Collector {
    shutdown: Duration,
}

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        tracing::debug!(spans = batch.len(), "exported");
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        if !self.shutdown.is_zero() {
            std::thread::sleep(self.shutdown.min(timeout));
        }
        Ok(())
    }
}

/// The provider.
#[derive(Debug)]
pub struct Telemetry(SdkTracerProvider);

impl Telemetry {
    /// A provider that exports so.
    pub fn new(exporting: Exporting) -> Self {
        let provider = SdkTracerProvider::builder();
        let provider = match exporting {
            Exporting::AtOnce => provider.with_simple_exporter(Collector {
                shutdown: Duration::ZERO,
            }),
            Exporting::Batches { shutdown } => provider.with_batch_exporter(Collector { shutdown }),
        };
        Telemetry(provider.build())
    }

    /// Who makes spans.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("model-server")
    }
}

impl Close for Telemetry {
    fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
        Ok(self.0.shutdown()?)
    }
}
