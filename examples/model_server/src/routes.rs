//! The HTTP routes: which requests the server takes, and how it answers them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use deadstop::context::WeakCtx;
use deadstop::host::{BoxError, Scope};
use opentelemetry::trace::{Span, Tracer};
use opentelemetry_sdk::trace::SdkTracer;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::app::App;
use crate::faults::{Faults, Health};
use crate::metrics::{Metrics, Out};
use crate::pool::{NotTaken, Pool};
use crate::predictor::Predictor;
use crate::store::Store;

/// Maximum time of a prediction that a request may ask for.
const MAX_PREDICTION_TIME: Duration = Duration::from_secs(600);

/// The state that all handlers share.
#[derive(Debug)]
pub struct Service {
    /// Handle of the worker. It is weak, since code that the worker runs must not keep it alive.
    pub ctx: WeakCtx<App>,
    /// Pool that runs the predictions.
    pub pool: Arc<Pool>,
    /// Predictor that makes them.
    pub predictor: Arc<Predictor>,
    /// Database that keeps them.
    pub store: Arc<Store>,
    /// Figures that count them.
    pub metrics: Arc<Metrics>,
    /// Tracer of them.
    pub tracer: SdkTracer,
    /// Faults that were planted.
    pub faults: Arc<Faults>,
    /// Standard output, for planted faults.
    pub out: Arc<Out>,
    /// Time that a prediction takes if its request sets none.
    pub prediction: Duration,
}

/// Returns the routes of the service below a prefix. Those that plant faults are there only if `faults` is set.
pub fn routes(service: Arc<Service>, prefix: &str, faults: bool) -> Router {
    let mut routes = Router::new()
        .route("/predict", post(predict))
        .route("/health", get(health))
        .route("/ready", get(ready));
    if faults {
        routes = routes
            .route("/faults/predictor-hangs", post(predictor_hangs))
            .route("/faults/health-bad", post(health_bad))
            .route("/faults/health-silent", post(health_silent))
            .route("/faults/block-runtime", post(block_runtime));
    }
    let below = if prefix.is_empty() {
        routes
    } else {
        Router::new().nest(prefix, routes)
    };
    below.with_state(service)
}

#[derive(Debug, Deserialize)]
struct Asked {
    /// Name that the caller gives to the request, which is kept with the prediction.
    request: String,
    features: Vec<f64>,
    takes_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Answered {
    request: String,
    value: f64,
}

/// Queues a prediction in the pool and waits for it. No part of the prediction runs on the runtime.
async fn predict(State(service): State<Arc<Service>>, Json(asked): Json<Asked>) -> Response {
    let (reply, answer) = oneshot::channel();
    let own = Arc::clone(&service);
    let submitted = service.pool.submit(Box::new(move |scope| {
        // The caller may have gone; the prediction is kept all the same.
        let _ = reply.send(own.predict(asked, scope));
    }));
    match submitted {
        Err(NotTaken::Full) => {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many predictions");
        }
        Err(NotTaken::Closed) => {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the pool is closed");
        }
        Ok(()) => {}
    }
    match answer.await {
        Ok(Ok(answered)) => Json(answered).into_response(),
        Ok(Err(error)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the prediction was given up",
        ),
    }
}

fn refusal(status: StatusCode, words: &str) -> Response {
    (status, format!("{words}\n")).into_response()
}

impl Service {
    /// Makes a prediction and keeps it, on a thread of the pool. It is kept before it is answered, so that the
    /// database knows every prediction that a caller has.
    fn predict(&self, asked: Asked, scope: &Scope) -> Result<Answered, BoxError> {
        let mut span = self.tracer.start("predict");
        let takes = match asked.takes_ms {
            Some(ms) => Duration::from_millis(ms).min(MAX_PREDICTION_TIME),
            None => self.prediction,
        };
        let value = self.predictor.predict(&asked.features, takes, scope)?;
        self.store.keep(&asked.request, value)?;
        self.metrics.predictions.fetch_add(1, Ordering::SeqCst);
        span.end();
        let request = asked.request;
        Ok(Answered { request, value })
    }
}

/// Answers whether the process is well, which its own watchdog asks.
async fn health(State(service): State<Arc<Service>>) -> Response {
    match service.faults.health() {
        Health::Good => "well\n".into_response(),
        Health::Bad => refusal(StatusCode::SERVICE_UNAVAILABLE, "not well"),
        Health::Silent => std::future::pending().await,
    }
}

/// Answers whether new requests should be sent here, which a load balancer asks.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    match service.ctx.upgrade() {
        Some(ctx) if ctx.ready() => "ready\n".into_response(),
        _ => refusal(StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    }
}

async fn predictor_hangs(State(service): State<Arc<Service>>) -> &'static str {
    service.faults.hang_predictor();
    "the predictor's end will hang\n"
}

async fn health_bad(State(service): State<Arc<Service>>) -> &'static str {
    service.faults.set_health(Health::Bad);
    "the health endpoint says no\n"
}

async fn health_silent(State(service): State<Arc<Service>>) -> &'static str {
    service.faults.set_health(Health::Silent);
    "the health endpoint is silent\n"
}

/// Blocks a thread of the runtime for ever, which no handler may do. It first writes a line: once there are as many
/// lines as the runtime has threads, nothing runs on it any more.
async fn block_runtime(State(service): State<Arc<Service>>) -> &'static str {
    let _ = service.out.line("blocked a thread of the runtime");
    loop {
        std::thread::park();
    }
}
