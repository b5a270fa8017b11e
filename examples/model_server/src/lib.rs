//! A model server: loads a model, answers predictions over HTTP, keeps them in SQLite, and stops as
//! [`deadstop`]'s contract promises.
//!
//! [`register`] is the whole of its life: everything that it registers is stopped and cleaned up in order, each step
//! with a bound.
//!
//! | at stop, in this order | |
//! | --- | --- |
//! | `http` | closes the listener, and answers the requests that were read |
//! | `NIM Sidecar Watchdog` | was disarmed when the stop was requested |
//! | `worker 1` … | the pool's threads: run the jobs that still wait |
//! | `flusher` | writes the last figures |
//!
//! | in cleanup, in this order | |
//! | --- | --- |
//! | `thread pool` | waits for the jobs that the stop has left behind |
//! | `predictor` | closed after the pool, whose jobs call it |
//! | `stdout flusher` | writes the figures of the jobs that were late |
//! | `telemetry` | its shutdown blocks |
//! | `db` | last: everything before it may still write |

mod app;
pub mod faults;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod order;
mod parameters;
pub mod pool;
pub mod predictor;
mod routes;
mod server;
mod settings;
pub mod store;
pub mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop::watchdog::Watchdog;

pub use app::App;
pub use parameters::{Parameters, Unreadable};
pub use settings::Settings;

use metrics::{Flusher, Metrics};
use pool::{ClosePool, Pool};
use predictor::{Predictor, Terminate};
use routes::Service;
use store::{CloseStore, Store};
use telemetry::Telemetry;

/// Orders in stop, which are ascending: a producer of work stops before the component that does the work.
mod stops {
    pub const HTTP: i32 = -10;
    pub const WORKERS: i32 = 10;
    pub const FLUSHER: i32 = 20;
}

/// Bound of the watchdog's end, as the plan has it.
const WATCHDOG_JOIN: Duration = Duration::from_secs(5);

/// Makes the server of an app. It is the worker's main.
///
/// Everything that it opens is registered before the next is opened, so that a start that fails half way leaves
/// nothing open.
///
/// # Errors
///
/// If something cannot be opened, or a limit is out of its range.
pub async fn register(ctx: WorkerCtx<App>) -> Result<(), MainError> {
    let app = ctx.app();
    let settings = &app.settings;
    let closing = || {
        CallOpts::new()
            .timeout(settings.close)
            .floor(settings.floor)
    };

    let store = Arc::new(Store::open(&app.database)?);
    let opts = closing().order(order::CLIENTS);
    ctx.add_closeable("db", opts, CloseStore(Arc::clone(&store)))?;

    let telemetry = Telemetry::new(app.exporting);
    let tracer = telemetry.tracer();
    ctx.add_closeable("telemetry", closing().order(order::TELEMETRY), telemetry)?;

    let metrics = Arc::new(Metrics::default());
    let flusher = Flusher {
        metrics: Arc::clone(&metrics),
        out: Arc::clone(&app.out),
    };
    let opts = closing().order(order::STDOUT_FLUSHER);
    ctx.add_closeable("stdout flusher", opts, flusher.clone())?;
    let opts = BodyOpts::new().order(stops::FLUSHER).in_turn();
    let every = settings.flush;
    ctx.add_thread("flusher", opts, move |scope| flusher.run(every, scope))?;

    let predictor = Arc::new(Predictor::load());
    let terminate = Terminate {
        predictor: Arc::clone(&predictor),
        faults: Arc::clone(&app.faults),
    };
    let opts = closing().order(app.predictor_order);
    ctx.add_closeable("predictor", opts, terminate)?;

    let pool = Arc::new(Pool::new(settings.workers));
    let opts = closing()
        .order(order::THREAD_POOL)
        .uses(["predictor", "telemetry", "db"]);
    ctx.add_closeable("thread pool", opts, ClosePool(Arc::clone(&pool)))?;
    for n in 1..=settings.workers {
        let pool = Arc::clone(&pool);
        let opts = BodyOpts::new().order(stops::WORKERS).in_turn();
        ctx.add_thread(format!("worker {n}"), opts, move |scope| pool.work(scope))?;
    }

    let listener = app.listening.listen().await?;
    let address = listener.address();
    let service = Service {
        ctx: ctx.downgrade(),
        pool,
        predictor,
        store,
        metrics,
        tracer,
        faults: Arc::clone(&app.faults),
        out: Arc::clone(&app.out),
        prediction: settings.prediction,
    };
    let prefix = settings.prefix();
    let url = address.map(|address| format!("http://{address}{prefix}"));
    let faults = settings.faults;
    let opts = BodyOpts::new()
        .order(stops::HTTP)
        .timeout(settings.drain)
        .uses(["thread pool"]);
    ctx.add_task("http", opts, move |token| {
        let metrics = Arc::clone(&service.metrics);
        let routes = routes::routes(Arc::new(service), &prefix, faults);
        server::serve(listener, routes, metrics, token)
    })?;

    if settings.watchdog.enabled {
        let url = url.as_deref().unwrap_or("http://127.0.0.1:8080");
        let watchdog = Watchdog::http(&format!("{url}/health"))?
            .interval(settings.probe)
            .attempts(settings.watchdog.max_attempts)
            .request_timeout(settings.watchdog.request_timeout);
        let opts = BodyOpts::new().timeout(WATCHDOG_JOIN);
        ctx.add_watchdog("NIM Sidecar Watchdog", opts, watchdog)?;
    }
    if let Some(url) = url {
        app.out.line(&format!("listening on {url}"))?;
    }
    Ok(())
}

// The recipes of the page for services are compiled here, since this package depends on the servers that they use.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/service.md")]
struct Recipes;
