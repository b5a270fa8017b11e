//! The HTTP server: accepts, serves, and drains.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
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
    let router = router.layer(middleware::from_fn_with_state(
        (Arc::clone(&metrics), told.clone()),
        count,
    ));
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

/// Counts what was read, and once stop has begun makes each answer the last of its connection: a caller
/// that asks on and on leaves, and finds out elsewhere that it is not to come back.
async fn count(
    State((metrics, told)): State<(Arc<Metrics>, CancellationToken)>,
    request: Request,
    next: Next,
) -> Response {
    metrics.requests.fetch_add(1, Ordering::SeqCst);
    let mut response = next.run(request).await;
    if told.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A server whose answers take a second.
    struct Slow {
        connect: mpsc::Sender<Connection>,
        told: CancellationToken,
        served: JoinHandle<()>,
    }

    const SECOND: Duration = Duration::from_secs(1);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: memory\r\n\r\n";

    fn slow() -> Slow {
        let (connect, connections) = mpsc::channel(8);
        let told = CancellationToken::new();
        let router = Router::new().route(
            "/",
            get(async || {
                sleep(SECOND).await;
                "done"
            }),
        );
        let served = tokio::spawn(serve(
            Listener::Given(connections),
            router,
            Arc::default(),
            told.clone(),
        ));
        Slow {
            connect,
            told,
            served,
        }
    }

    impl Slow {
        async fn connect(&self) -> DuplexStream {
            let (client, server) = tokio::io::duplex(1024);
            self.connect.send(Box::new(server)).await.unwrap();
            client
        }
    }

    /// All that comes until the connection is closed.
    async fn rest(mut client: DuplexStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text.to_lowercase()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_is_answered_and_nothing_else_is_waited_for() {
        let server = slow();
        let mut busy = server.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        sleep(SECOND / 2).await;
        let begun = Instant::now();
        server.told.cancel();
        server.served.await.unwrap();
        assert_eq!(begun.elapsed(), SECOND / 2);
        let answer = rest(busy).await;
        assert!(answer.ends_with("done"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_closed_after_the_linger() {
        let server = slow();
        let fresh = server.connect().await;
        let mut idle = server.connect().await;
        idle.write_all(REQUEST).await.unwrap();
        sleep(2 * SECOND).await;
        let begun = Instant::now();
        server.told.cancel();
        server.served.await.unwrap();
        assert_eq!(begun.elapsed(), LINGER);
        assert_eq!(rest(fresh).await, "");
        let answer = rest(idle).await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }

    /// Its bytes were on their way when the server was told.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_a_moment_after_the_stop_is_answered() {
        let server = slow();
        let mut fresh = server.connect().await;
        sleep(SECOND).await;
        server.told.cancel();
        sleep(Duration::from_millis(50)).await;
        fresh.write_all(REQUEST).await.unwrap();
        server.served.await.unwrap();
        assert!(rest(fresh).await.ends_with("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_within_the_linger_is_answered_at_the_door_too() {
        let server = slow();
        server.told.cancel();
        let mut at_the_door = server.connect().await;
        at_the_door.write_all(REQUEST).await.unwrap();
        server.served.await.unwrap();
        assert!(rest(at_the_door).await.ends_with("done"));
        let (client, _) = tokio::io::duplex(1);
        let late = server.connect.send(Box::new(client)).await;
        assert!(late.is_err(), "the door is closed");
    }

    /// Its answer comes within the linger: only the header says that it is the last.
    #[tokio::test(start_paused = true)]
    async fn an_answer_after_the_stop_is_the_last_of_its_connection() {
        let server = slow();
        let mut busy = server.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        sleep(SECOND - LINGER / 2).await;
        let begun = Instant::now();
        server.told.cancel();
        server.served.await.unwrap();
        assert_eq!(begun.elapsed(), LINGER / 2);
        assert!(rest(busy).await.contains("connection: close"));
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_it_ends_its_connections() {
        let server = slow();
        let mut busy = server.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        sleep(SECOND / 2).await;
        server.served.abort();
        assert_eq!(rest(busy).await, "");
    }
}
