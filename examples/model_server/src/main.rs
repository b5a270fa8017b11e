//! The process: its log, its settings, its life.

use std::io::Write;
use std::process::ExitCode;

use deadstop::context::WorkerCtx;
use deadstop::process::Worker;
use model_server::{App, Settings, register};
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let level = env("MODEL_SERVER_LOG").and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        // Or a line that nobody reads would panic in whoever says it: the exporter's thread, a handler.
        .log_internal_errors(false)
        .init();
    let settings = match Settings::read(env) {
        Ok(settings) => settings,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::from(2);
        }
    };
    let limits = WorkerCtx::builder()
        .grace(settings.grace)
        .pre_stop(settings.pre_stop);
    deadstop::run(Worker::new(App::live(settings), register).limits(limits))
}
