//! The HTTP server: accepts, serves, and drains.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::listen::{Connection, Listener};
use crate::metrics::Metrics;

/// How many connections are open at most; the next wait to be accepted.
const CONNECTIONS: usize = 1024;

/// How long a request's head may take to come.
const HEAD: Duration = Duration::from_secs(30);

/// How long a silent connection is kept after the stop has begun: what was sent before it knew gets its
/// answer.
const LINGER: Duration = Duration::from_millis(100);

/// Serves until told; then closes the listener, and returns when every request that was read has its
/// answer.
///
/// The caller bounds that: dropped, this ends every connection with it. That is why it keeps them
/// itself: `axum::serve` leaves them to the runtime, where they would outlive it.
pub async fn serve(
    mut listener: Listener,
    router: Router,
    metrics: Arc<Metrics>,
    told: CancellationToken,
) {
    let mut open = JoinSet::new();
    let serve_one = |open: &mut JoinSet<()>, connection| {
        metrics.connections.fetch_add(1, Ordering::SeqCst);
        open.spawn(one(connection, router.clone(), told.clone()));
    };
    loop {
        tokio::select! {
            biased;
            () = told.cancelled() => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok(connection) => serve_one(&mut open, connection),
                Err(error) => {
                    // Too many open files, most likely: those that are open may close meanwhile.
                    tracing::warn!("no connection could be accepted: {error}");
                    let pause = tokio::time::sleep(Duration::from_millis(50));
                    tokio::select! { biased; () = told.cancelled() => {}, () = pause => {} }
                }
            },
        }
    }
    for connection in listener.close() {
        serve_one(&mut open, connection);
    }
    while open.join_next().await.is_some() {}
}

/// Serves one connection to its end.
///
/// At stop it is not closed at once: what its caller has sent may not have been read yet. A request that
/// is answered from there on is the last of its connection, and says so; a connection that stays silent
/// for the linger is closed.
async fn one(connection: Connection, router: Router, told: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let lingered = async {
        told.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = lingered => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended badly: {error}");
    }
}
