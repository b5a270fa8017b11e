//! What the worker is built around: where it touches the outside.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::Faults;
use crate::listen::{Callers, Fared, Listening};
use crate::metrics::Out;
use crate::settings::Settings;
use crate::store::Database;
use crate::telemetry::Exporting;

/// The edges of the service: everything outside of it that [`register`](crate::register) opens.
///
/// `App::default()` touches nothing: its database and its callers are in memory, and its figures go
/// nowhere. That is the one for tests and the simulator, where no socket can be opened.
#[derive(Debug)]
pub struct App {
    /// What the environment set.
    pub settings: Settings,
    /// Where connections come from.
    pub listening: Listening,
    /// Where predictions are kept.
    pub database: Database,
    /// How spans leave.
    pub exporting: Exporting,
    /// Where lines of metrics go.
    pub out: Arc<Out>,
    /// What was planted.
    pub faults: Arc<Faults>,
    /// The predictor's order in cleanup.
    pub predictor_order: i32,
}

impl Default for App {
    /// A caller a second, whose prediction takes 300 ms.
    fn default() -> Self {
        App {
            settings: Settings::default(),
            listening: Listening::Callers(Callers {
                every: Duration::from_secs(1),
                takes: Duration::from_millis(300),
                fared: Arc::new(Fared::default()),
            }),
            database: Database::Memory,
            exporting: Exporting::AtOnce,
            out: Arc::new(Out::new(std::io::sink())),
            faults: Arc::default(),
            predictor_order: deadstop::context::order::PREDICTOR_AFTER_POOL,
        }
    }
}

impl App {
    /// The one for production: a socket, a file, standard output.
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
