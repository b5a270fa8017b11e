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
    let say = {
        let log = Arc::clone(&log);
        move |words: String| {
            log.lock()
                .expect("nobody panics")
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
        let (stop, say) = (stop.clone(), say.clone());
        let body = tokio::spawn(async move {
            say(format!("began {name}"));
            match period {
                None => stop.cancelled().await,
                Some(period) => {
                    while timeout(Duration::from_millis(period), stop.cancelled())
                        .await
                        .is_err()
                    {}
                }
            }
            say(format!("heard {name}"));
            sleep(Duration::from_millis(takes)).await;
            say(format!("ended {name}"));
        });
        joins.push((name, body));
    }
    sleep(Duration::from_millis(63_200)).await;
    say("signal SIGTERM".to_owned());
    stop.cancel();
    for (name, mut body) in joins {
        say(format!("Stopping: {name}"));
        match timeout(Duration::from_secs(2), &mut body).await {
            Ok(_) => say(format!("ok {name}")),
            Err(_) => {
                say(format!("aborted {name}"));
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
        say(format!("cleanup: {name}"));
        let say_too = say.clone();
        let call = tokio::spawn(async move {
            say_too(format!("began {name}"));
            match takes {
                Some(takes) => sleep(Duration::from_millis(takes)).await,
                None => std::future::pending().await,
            }
            say_too(format!("ended {name}"));
        });
        match timeout(Duration::from_secs(10), call).await {
            Ok(_) => say(format!("ok {name}")),
            Err(_) => say(format!("leaked {name}")),
        }
    }
    say("exit 1".to_owned());
    std::mem::take(&mut *log.lock().expect("nobody panics"))
}
