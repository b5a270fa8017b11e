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

/// Maximum number of open connections; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// Maximum time for the head of a request to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for which a silent connection is kept after the stop has begun, so that a request that was sent before its
/// caller knew gets an answer.
const LINGER_TIME: Duration = Duration::from_millis(100);

/// Serves until told to stop. Then closes the listener, and returns when every request that was read has its answer.
///
/// The caller bounds this: dropping the future ends every connection. That is why it keeps the connections itself:
/// `axum::serve` leaves them to the runtime, where they would outlive the future.
pub async fn serve(
    mut listener: Listener,
    router: Router,
    metrics: Arc<Metrics>,
    token: CancellationToken,
) {
    let router = router.layer(middleware::from_fn_with_state(
        (Arc::clone(&metrics), token.clone()),
        count_request,
    ));
    let mut open = JoinSet::new();
    let spawn_serving = |open: &mut JoinSet<()>, connection| {
        metrics.connections.fetch_add(1, Ordering::SeqCst);
        open.spawn(serve_connection(connection, router.clone(), token.clone()));
    };
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MAX_CONNECTIONS => match accepted {
                Ok(connection) => spawn_serving(&mut open, connection),
                Err(error) => {
                    // Most likely too many files are open; some may be closed meanwhile.
                    tracing::warn!("no connection could be accepted: {error}");
                    let pause = tokio::time::sleep(Duration::from_millis(50));
                    tokio::select! { biased; () = token.cancelled() => {}, () = pause => {} }
                }
            },
        }
    }
    for connection in listener.close() {
        spawn_serving(&mut open, connection);
    }
    while open.join_next().await.is_some() {}
}

/// Counts the requests that were read. Once stop has begun, makes each answer the last of its connection: a caller
/// that keeps asking then leaves, and finds out elsewhere that it is not to come back.
async fn count_request(
    State((metrics, token)): State<(Arc<Metrics>, CancellationToken)>,
    request: Request,
    next: Next,
) -> Response {
    metrics.requests.fetch_add(1, Ordering::SeqCst);
    let mut response = next.run(request).await;
    if token.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Serves one connection to its end.
///
/// At stop the connection is not closed at once, since a request that its caller has sent may not have been read yet.
/// A request that is answered from then on is the last of its connection, and its answer announces that. A connection
/// that stays silent for [`LINGER_TIME`] is closed.
async fn serve_connection(connection: Connection, router: Router, token: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let lingered = async {
        token.cancelled().await;
        tokio::time::sleep(LINGER_TIME).await;
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
    struct SlowServer {
        connect: mpsc::Sender<Connection>,
        token: CancellationToken,
        served: JoinHandle<()>,
    }

    const SECOND: Duration = Duration::from_secs(1);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: memory\r\n\r\n";

    fn slow_server() -> SlowServer {
        let (connect, connections) = mpsc::channel(8);
        let token = CancellationToken::new();
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
            token.clone(),
        ));
        SlowServer {
            connect,
            token,
            served,
        }
    }

    impl SlowServer {
        async fn connect(&self) -> DuplexStream {
            let (client, server) = tokio::io::duplex(1024);
            self.connect.send(Box::new(server)).await.unwrap();
            client
        }
    }

    /// Reads until the connection is closed, and returns the text in lower case.
    async fn rest(mut client: DuplexStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text.to_lowercase()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_are_answered_and_nothing_else_is_awaited() {
        let server = slow_server();
        let mut busy = server.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        sleep(SECOND / 2).await;
        let begun = Instant::now();
        server.token.cancel();
        server.served.await.unwrap();
        assert_eq!(begun.elapsed(), SECOND / 2);
        let answer = rest(busy).await;
        assert!(answer.ends_with("done"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_closed_after_the_linger() {
        let server = slow_server();
        let fresh = server.connect().await;
        let mut idle = server.connect().await;
        idle.write_all(REQUEST).await.unwrap();
        sleep(2 * SECOND).await;
        let begun = Instant::now();
        server.token.cancel();
        server.served.await.unwrap();
        assert_eq!(begun.elapsed(), LINGER_TIME);
        assert_eq!(rest(fresh).await, "");
        let answer = rest(idle).await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }

    /// The bytes of the request are on their way when the server is told to stop.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_a_moment_after_the_stop_is_answered() {
        let server = slow_server();
        let mut fresh = server.connect().await;
        sleep(SECOND).await;
        server.token.cancel();
        sleep(Duration::from_millis(50)).await;
        fresh.write_all(REQUEST).await.unwrap();
        server.served.await.unwrap();
        assert!(rest(fresh).await.ends_with("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn connection_within_the_linger_is_accepted_and_answered() {
        let server = slow_server();
        server.token.cancel();
        let mut waiting = server.connect().await;
        waiting.write_all(REQUEST).await.unwrap();
        server.served.await.unwrap();
        assert!(rest(waiting).await.ends_with("done"));
        let (client, _) = tokio::io::duplex(1);
        let late = server.connect.send(Box::new(client)).await;
        assert!(late.is_err(), "the door is closed");
    }

    /// The answer comes within the linger, so that only its header shows that it is the last.
    #[tokio::test(start_paused = true)]
    async fn an_answer_after_the_stop_is_the_last_of_its_connection() {
        let server = slow_server();
        let mut busy = server.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        sleep(SECOND - LINGER_TIME / 2).await;
        let begun = Instant::now();
        server.token.cancel();
        server.served.await.unwrap();
        assert_eq!(begun.elapsed(), LINGER_TIME / 2);
        assert!(rest(busy).await.contains("connection: close"));
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_server_ends_its_connections() {
        let server = slow_server();
        let mut busy = server.connect().await;
        busy.write_all(REQUEST).await.unwrap();
        sleep(SECOND / 2).await;
        server.served.abort();
        assert_eq!(rest(busy).await, "");
    }
}
