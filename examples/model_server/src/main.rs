//! The process: starts the log, reads the settings, and runs the server.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use deadstop::context::Limits;
use deadstop::process::Worker;
use model_server::log::Log;
use model_server::{App, Settings, register};
use tracing_subscriber::filter::LevelFilter;

/// Maximum time to wait for the last lines of the log.
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
        // Programs read the log, and a build beside other packages may turn colours on.
        .with_ansi(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .init();
    let settings = match Settings::read(env) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let limits = Limits::new()
        .grace(settings.grace)
        .pre_stop(settings.pre_stop);
    let code = deadstop::run(Worker::new(App::live(settings), register).limits(limits));
    log.flush(LAST_LINES);
    code
}

/// Reports why the server cannot start, and returns the exit code.
fn refuse(error: &dyn Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(2)
}
