//! Spans, by an OpenTelemetry provider with a shutdown that blocks.
//!
//! The shutdown sends what is left and waits for the collector, on the thread that calls it; the provider's drop does
//! the same. On a thread of the service's runtime that would hold up every request there, and on a runtime of one
//! thread it would wait for itself. So the provider is closed like any other resource, on its own thread and with a
//! bound.

use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};

/// How spans are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporting {
    /// Each span when it ends, on the thread that ends it. The shutdown returns at once.
    AtOnce,
    /// In batches, by a thread of the provider. The exporter's shutdown blocks for a time.
    Batches {
        /// How long the shutdown blocks.
        shutdown: Duration,
    },
}

/// An exporter to a collector that is slow to shut down.
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

/// The telemetry of the server: the provider of its tracer.
#[derive(Debug)]
pub struct Telemetry(SdkTracerProvider);

impl Telemetry {
    /// Creates a provider that exports in that way.
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

    /// Returns the tracer, which makes spans.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("model-server")
    }
}

impl Close for Telemetry {
    fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
        Ok(self.0.shutdown()?)
    }
}
