//! The state of the worker: where the service touches the outside.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::Faults;
use crate::listen::{CallerCounts, Callers, Listening};
use crate::metrics::Out;
use crate::settings::Settings;
use crate::store::Database;
use crate::telemetry::Exporting;

/// The edges of the service: everything outside of it that [`register`](crate::register) opens.
///
/// `App::default()` touches nothing outside: its database and its callers are in memory, and its figures are
/// discarded. It is for tests and for the simulator, where no socket can be opened.
#[derive(Debug)]
pub struct App {
    /// Settings from the environment.
    pub settings: Settings,
    /// Source of the connections.
    pub listening: Listening,
    /// Database that keeps the predictions.
    pub database: Database,
    /// How spans are exported.
    pub exporting: Exporting,
    /// Writer of the lines of metrics.
    pub out: Arc<Out>,
    /// Faults that were planted.
    pub faults: Arc<Faults>,
    /// Order of the predictor in cleanup.
    pub predictor_order: i32,
}

impl Default for App {
    /// Returns an app with a caller a second, whose prediction takes 300 ms.
    fn default() -> Self {
        App {
            settings: Settings::default(),
            listening: Listening::Callers(Callers {
                interval: Duration::from_secs(1),
                takes: Duration::from_millis(300),
                counts: Arc::new(CallerCounts::default()),
            }),
            database: Database::Memory,
            exporting: Exporting::AtOnce,
            out: Arc::new(Out::new(std::io::sink())),
            faults: Arc::default(),
            predictor_order: crate::order::PREDICTOR_AFTER_POOL,
        }
    }
}

impl App {
    /// Returns the app for production: a socket, a file, standard output.
    pub fn live(settings: Settings) -> Self {
        App {
            listening: Listening::Tcp(settings.listen),
            database: Database::File(settings.database.clone()),
            exporting: Exporting::Batches {
                shutdown: settings.export,
            },
            out: Arc::new(Out::new(std::io::stdout())),
            settings,
            ..App::default()
        }
    }
}
