//! The scenario of `shape.toml`, written by hand on tokio's paused clock: three bodies, seven steps, each under a
//! timeout, and a log of what happened.

#![allow(
    clippy::disallowed_methods,
    reason = "this is how it is written without a simulator"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A line of the log: milliseconds since the start, and a text.
pub type Line = (u128, String);

/// Runs the scenario and returns its log.
pub fn run() -> Vec<Line> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(scenario())
}

async fn scenario() -> Vec<Line> {
    let began = Instant::now();
    let log: Arc<Mutex<Vec<Line>>> = Arc::default();
    let record = {
        let log = Arc::clone(&log);
        move |words: String| {
            log.lock()
                .expect("not poisoned")
                .push((began.elapsed().as_millis(), words))
        }
    };
    let stop = CancellationToken::new();
    let mut joins = Vec::new();
    for (name, period, takes) in [
        ("flusher", Some(1_000), 20),
        ("poller", Some(10_000), 0),
        ("writer", None, 500),
    ] {
        let (stop, record) = (stop.clone(), record.clone());
        let body = tokio::spawn(async move {
            record(format!("began {name}"));
            match period {
                None => stop.cancelled().await,
                Some(period) => {
                    while timeout(Duration::from_millis(period), stop.cancelled())
                        .await
                        .is_err()
                    {}
                }
            }
            record(format!("heard {name}"));
            sleep(Duration::from_millis(takes)).await;
            record(format!("ended {name}"));
        });
        joins.push((name, body));
    }
    sleep(Duration::from_millis(63_200)).await;
    record("signal SIGTERM".to_owned());
    stop.cancel();
    for (name, mut body) in joins {
        record(format!("Stopping: {name}"));
        match timeout(Duration::from_secs(2), &mut body).await {
            Ok(_) => record(format!("ok {name}")),
            Err(_) => {
                record(format!("aborted {name}"));
                body.abort();
            }
        }
    }
    for (name, takes) in [
        ("drain", Some(300)),
        ("predictor", Some(1_000)),
        ("thread pool", None),
        ("db", Some(0)),
    ] {
        record(format!("cleanup: {name}"));
        let record_in_call = record.clone();
        let call = tokio::spawn(async move {
            record_in_call(format!("began {name}"));
            match takes {
                Some(takes) => sleep(Duration::from_millis(takes)).await,
                None => std::future::pending().await,
            }
            record_in_call(format!("ended {name}"));
        });
        match timeout(Duration::from_secs(10), call).await {
            Ok(_) => record(format!("ok {name}")),
            Err(_) => record(format!("leaked {name}")),
        }
    }
    record("exit 1".to_owned());
    std::mem::take(&mut *log.lock().expect("not poisoned"))
}
