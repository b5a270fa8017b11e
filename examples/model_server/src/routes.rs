//! What is asked, and what is answered.

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

/// The longest prediction that may be asked for.
const LONGEST: Duration = Duration::from_secs(600);

/// What requests are answered with.
#[derive(Debug)]
pub struct Service {
    /// The worker. A weak one: what the worker runs must not keep it.
    pub ctx: WeakCtx<App>,
    /// Runs the predictions.
    pub pool: Arc<Pool>,
    /// Makes them.
    pub predictor: Arc<Predictor>,
    /// Keeps them.
    pub store: Arc<Store>,
    /// Counts them.
    pub metrics: Arc<Metrics>,
    /// Traces them.
    pub tracer: SdkTracer,
    /// What was planted.
    pub faults: Arc<Faults>,
    /// Standard output, for what is planted.
    pub out: Arc<Out>,
    /// How long a prediction takes that does not say.
    pub prediction: Duration,
}

/// The service's routes below a prefix; those that plant faults only if asked for.
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
    /// The caller's name for it; kept with the prediction.
    request: String,
    features: Vec<f64>,
    takes_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Answered {
    request: String,
    value: f64,
}

/// Hands a prediction to the pool and waits for it. Nothing of it runs on the runtime.
async fn predict(State(service): State<Arc<Service>>, Json(asked): Json<Asked>) -> Response {
    let (reply, answer) = oneshot::channel();
    let own = Arc::clone(&service);
    let submitted = service.pool.submit(Box::new(move |scope| {
        // Whoever asked may have gone; the prediction is kept all the same.
        let _ = reply.send(own.predict(asked, scope));
    }));
    match submitted {
        Err(NotTaken::Full) => return no(StatusCode::SERVICE_UNAVAILABLE, "too many predictions"),
        Err(NotTaken::Closed) => return no(StatusCode::SERVICE_UNAVAILABLE, "the pool is closed"),
        Ok(()) => {}
    }
    match answer.await {
        Ok(Ok(answered)) => Json(answered).into_response(),
        Ok(Err(error)) => no(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => no(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the prediction was given up",
        ),
    }
}

fn no(status: StatusCode, words: &str) -> Response {
    (status, format!("{words}\n")).into_response()
}

impl Service {
    /// Makes a prediction and keeps it, on a thread of the pool. It is kept before it is answered: an
    /// answer that somebody has is never one that the database does not know.
    fn predict(&self, asked: Asked, scope: &Scope) -> Result<Answered, BoxError> {
        let mut span = self.tracer.start("predict");
        let takes = match asked.takes_ms {
            Some(ms) => Duration::from_millis(ms).min(LONGEST),
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

/// Whether the process is well: what its own watchdog asks.
async fn health(State(service): State<Arc<Service>>) -> Response {
    match service.faults.health() {
        Health::Good => "well\n".into_response(),
        Health::Bad => no(StatusCode::SERVICE_UNAVAILABLE, "not well"),
        Health::Silent => std::future::pending().await,
    }
}

/// Whether new requests should be sent here: what a load balancer asks.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    match service.ctx.upgrade() {
        Some(ctx) if ctx.ready() => "ready\n".into_response(),
        _ => no(StatusCode::SERVICE_UNAVAILABLE, "stopping"),
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

/// Blocks a thread of the runtime for ever, which is what no handler may do. It says so first: once as
/// many have said so as the runtime has threads, nothing runs on it any more.
async fn block_runtime(State(service): State<Arc<Service>>) -> &'static str {
    let _ = service.out.line("blocked a thread of the runtime");
    loop {
        std::thread::park();
    }
}
