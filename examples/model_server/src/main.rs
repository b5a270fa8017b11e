//! The process: its log, its settings, its life.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use deadstop::context::WorkerCtx;
use deadstop::process::Worker;
use model_server::log::Log;
use model_server::{App, Settings, register};
use tracing_subscriber::filter::LevelFilter;

/// How long the last lines of the log are waited for.
const LAST_LINES: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let level = env("MODEL_SERVER_LOG").and_then(|level| level.parse().ok());
    let log = match Log::start() {
        Ok(log) => log,
        Err(error) => return refuse(&error),
    };
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        // A log is read by programs; and whoever builds this beside others may have colours turned on.
        .with_ansi(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .init();
    let settings = match Settings::read(env) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let limits = WorkerCtx::builder()
        .grace(settings.grace)
        .pre_stop(settings.pre_stop);
    let code = deadstop::run(Worker::new(App::live(settings), register).limits(limits));
    log.flush(LAST_LINES);
    code
}

/// The server cannot even begin.
fn refuse(error: &dyn Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(2)
}
