//! The watchdog's probe over HTTP, live: against a real server, and against sockets that misbehave below HTTP. All is
//! on loopback, and the guard only keeps a hang from stopping the suite.
#![cfg(feature = "http")]
#![allow(
    clippy::disallowed_methods,
    reason = "the live host is tested with real sockets, tasks and time"
)]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use deadstop::host::Host as _;
use deadstop::host::{Live, timeout_at};
use deadstop::watchdog::{HttpProbe, Probe as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const GUARD: Duration = Duration::from_secs(20);
const CUT: &str = "the connection was closed before the whole answer had come";

/// Probes the URL once.
async fn ask(url: &str) -> Result<u16, String> {
    let mut probe = HttpProbe::new(url).expect("a URL");
    let host = Live::new();
    let asked = tokio::time::timeout(GUARD, probe.probe(&host)).await;
    asked
        .expect("it comes to an end")
        .map_err(|error| error.to_string())
}

/// Probes a URL, and gives the probe up when a future is ready, as a watchdog does at a stop.
async fn give_up(url: &str, when: impl Future) {
    let mut probe = HttpProbe::new(url).expect("a URL");
    let host = Live::new();
    tokio::select! {
        biased;
        answer = probe.probe(&host) => panic!("{answer:?}"),
        _ = tokio::time::timeout(GUARD, when) => {}
    }
}

/// Starts a server of the test's own. A pooled one would go on answering after its drop.
async fn server() -> MockServer {
    MockServer::builder().start().await
}

/// Binds an address as soon as it is free. A dropped server closes its socket in its own time.
async fn bind_when_free(address: SocketAddr) -> std::net::TcpListener {
    let bound = async {
        loop {
            match std::net::TcpListener::bind(address) {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let bound = tokio::time::timeout(GUARD, bound).await;
    bound.expect("the server is gone")
}

async fn mount_answer(server: &MockServer, at: &str, answer: ResponseTemplate) {
    let mock = Mock::given(method("GET"))
        .and(path(at))
        .respond_with(answer);
    mock.mount(server).await;
}

/// Starts a peer that accepts one connection, reads the request on it, and then behaves as given.
async fn peer<T, F>(behave: impl FnOnce(TcpStream) -> F + Send + 'static) -> (String, JoinHandle<T>)
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = url(listener.local_addr().expect("bound"));
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_request(&mut stream).await;
        behave(stream).await
    });
    (url, peer)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/health")
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("the request"));
    }
    String::from_utf8(request).expect("a request is text")
}

/// Probes a peer that sends these bytes and then closes the connection.
async fn probe_of_reply(bytes: &'static [u8]) -> Result<u16, String> {
    let (url, peer) = peer(async |mut stream| {
        stream.write_all(bytes).await.expect("there is room");
    })
    .await;
    let answer = ask(&url).await;
    peer.await.expect("the peer is done");
    answer
}

/// Probes a peer that sends some bytes, and then others again and again until the connection is closed.
async fn probe_of_endless_reply(first: &'static [u8], again: &'static [u8]) -> Result<u16, String> {
    let (url, peer) = peer(async |mut stream| {
        if stream.write_all(first).await.is_ok() {
            while stream.write_all(again).await.is_ok() {}
        }
    })
    .await;
    let answer = ask(&url).await;
    let left = tokio::time::timeout(GUARD, peer).await;
    left.expect("the connection is closed").expect("no panic");
    answer
}

/// Waits until the other side has closed its connection, and returns whether it has.
async fn wait_until_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(GUARD, stream.read_to_end(&mut rest));
    // If an answer has not been read, a close is a reset.
    matches!(read.await, Ok(Ok(0) | Err(_)))
}

// A real server.

#[tokio::test]
async fn the_status_is_that_of_the_answer() {
    let server = server().await;
    for status in [200, 204, 299, 304, 404, 500, 503] {
        let at = format!("/{status}");
        mount_answer(&server, &at, ResponseTemplate::new(status)).await;
        let url = format!("{}{at}", server.uri());
        assert_eq!(ask(&url).await, Ok(status));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let server = server().await;
    let login = format!("{}/login", server.uri());
    let redirect = ResponseTemplate::new(302).insert_header("location", &*login);
    mount_answer(&server, "/health", redirect).await;
    mount_answer(&server, "/login", ResponseTemplate::new(200)).await;
    assert_eq!(ask(&format!("{}/health", server.uri())).await, Ok(302));
    let requests = server.received_requests().await.expect("they are kept");
    let paths: Vec<_> = requests.iter().map(|request| request.url.path()).collect();
    assert_eq!(paths, ["/health"]);
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_the_limit_is_none() {
    let server = server().await;
    let late = ResponseTemplate::new(200).set_delay(GUARD);
    mount_answer(&server, "/late", late).await;
    let url = format!("{}/late", server.uri());
    let mut probe = HttpProbe::new(&url).expect("a URL");
    let host = Live::new();
    let deadline = host.now() + Duration::from_millis(50);
    assert_eq!(timeout_at(&host, deadline, probe.probe(&host)).await, None);
}

#[tokio::test]
async fn a_server_that_dies_and_returns_is_refused_in_between() {
    let first = server().await;
    let address = *first.address();
    mount_answer(&first, "/health", ResponseTemplate::new(200)).await;
    assert_eq!(ask(&url(address)).await, Ok(200));
    drop(first);
    drop(bind_when_free(address).await);
    assert_eq!(
        ask(&url(address)).await,
        Err("the connection was refused".to_owned())
    );
    let listener = bind_when_free(address).await;
    let second = MockServer::builder().listener(listener).start().await;
    mount_answer(&second, "/health", ResponseTemplate::new(200)).await;
    assert_eq!(ask(&url(address)).await, Ok(200));
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let server = server().await;
    mount_answer(&server, "/health", ResponseTemplate::new(200)).await;
    let port = server.address().port();
    let url = format!("http://localhost:{port}/health");
    assert_eq!(ask(&url).await, Ok(200));
}

/// The variables are set for a process of its own, which runs this test once more.
#[tokio::test]
async fn no_proxy_is_asked() {
    const CHILD: &str = "DEADSTOP_TEST_BEHIND_A_PROXY";
    if std::env::var_os(CHILD).is_some() {
        assert_eq!(
            std::env::var("HTTP_PROXY").as_deref(),
            Ok("http://127.0.0.1:1")
        );
        let server = server().await;
        mount_answer(&server, "/health", ResponseTemplate::new(200)).await;
        assert_eq!(ask(&url(*server.address())).await, Ok(200));
        return;
    }
    let mut again = Command::new(std::env::current_exe().expect("it runs"));
    again
        .args(["--exact", "probe::no_proxy_is_asked"])
        .env(CHILD, "1");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, "http://127.0.0.1:1");
    }
    let output = again.env_remove("NO_PROXY").output().expect("it starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}"
    );
}

#[tokio::test]
async fn a_request_is_these_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let request = read_request(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.expect("there is room");
        (request, wait_until_closed(stream).await)
    });
    assert_eq!(ask(&format!("http://{address}/a/b?c=d#e")).await, Ok(200));
    let (request, left) = peer.await.expect("no panic");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /a/b?c=d HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\naccept: */*\r\n\
         user-agent: deadstop/{version}\r\n\r\n"
    );
    assert_eq!(request, expected);
    assert!(left, "a connection that the server would keep is closed");
}

// Below HTTP.

#[tokio::test]
async fn whole_answers_count_in_any_framing() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\n\r\nto the end of the connection",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nold",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nmore than was said",
    ] {
        let words = String::from_utf8_lossy(answer);
        assert_eq!(probe_of_reply(answer).await, Ok(200), "{words:?}");
    }
}

#[tokio::test]
async fn truncated_answer_is_an_error() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123456789",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n",
    ] {
        let words = String::from_utf8_lossy(answer);
        assert_eq!(
            probe_of_reply(answer).await,
            Err(CUT.to_owned()),
            "{words:?}"
        );
    }
}

#[tokio::test]
async fn answer_that_is_not_http_is_an_error() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on",
        b"HTTP/1.1 OK 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
    ] {
        let error = probe_of_reply(answer).await.expect_err("no HTTP");
        let words = String::from_utf8_lossy(answer);
        assert!(
            error.starts_with("the answer cannot be read as HTTP: "),
            "{words:?}: {error}"
        );
    }
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nmany\r\n";
    let error = probe_of_reply(chunks).await.expect_err("no chunk");
    assert!(error.starts_with("no whole answer: "), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up_by_its_size() {
    let too_long = Err("the answer is longer than 64 KiB".to_owned());
    let body = probe_of_endless_reply(b"HTTP/1.1 200 OK\r\n\r\n", b"and on, ").await;
    assert_eq!(body, too_long);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(
        probe_of_endless_reply(chunked, b"2\r\nok\r\n").await,
        too_long
    );
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n";
    assert_eq!(probe_of_endless_reply(long, b"and on, ").await, too_long);
    let promises = probe_of_endless_reply(b"", b"HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(promises, too_long);
}

#[tokio::test]
async fn a_head_without_an_end_is_given_up_by_its_size() {
    for (first, again) in [
        (&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n"[..]),
        (b"HTTP/1.1 200 OK\r\na: ", b"bbbbbbbbbbbbbbbb"),
        (b"HTTP/1.1 200 ", b"OK"),
    ] {
        let error = probe_of_endless_reply(first, again)
            .await
            .expect_err("no head");
        assert_eq!(
            error,
            "the answer cannot be read as HTTP: message head is too large"
        );
    }
}

#[tokio::test]
async fn reset_connection_is_an_error() {
    // The bytes that a reset overtakes are lost. Whether the head was read before it makes no difference.
    for first in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"] {
        let (url, peer) = peer(async |mut stream| {
            stream.write_all(first).await.expect("there is room");
            stream.set_zero_linger().expect("it is open");
        })
        .await;
        let reset = Err("the connection was reset".to_owned());
        assert_eq!(ask(&url).await, reset, "after {first:?}");
        peer.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_probe_that_is_given_up_closes_its_connection() {
    for first in [&b""[..], b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n"] {
        let (sent, is_sent) = oneshot::channel();
        let (url, peer) = peer(async move |mut stream| {
            stream.write_all(first).await.expect("there is room");
            let _ = sent.send(());
            wait_until_closed(stream).await
        })
        .await;
        give_up(&url, is_sent).await;
        assert!(peer.await.expect("no panic"), "after {first:?}");
    }
}

#[tokio::test]
async fn a_slow_drip_is_no_answer() {
    let (sent, is_sent) = oneshot::channel();
    let (url, peer) = peer(async |mut stream| {
        let mut sent = Some(sent);
        let mut every = tokio::time::interval(Duration::from_millis(1));
        let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        for drop in 1.. {
            if written.is_err() {
                return;
            }
            every.tick().await;
            written = stream.write_all(b".").await;
            if let Some(sent) = sent.take_if(|_| drop == 20) {
                let _ = sent.send(());
            }
        }
    })
    .await;
    give_up(&url, is_sent).await;
    let left = tokio::time::timeout(GUARD, peer).await;
    left.expect("the connection is closed").expect("no panic");
}

#[tokio::test]
async fn an_answer_byte_by_byte_is_an_answer() {
    let (url, peer) = peer(async |mut stream| {
        stream.set_nodelay(true).expect("it is open");
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" {
            stream.write_all(&[*byte]).await.expect("the peer reads");
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(ask(&url).await, Ok(200));
    peer.await.expect("no panic");
}

#[tokio::test]
async fn probe_of_a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = url(listener.local_addr().expect("bound"));
    drop(listener);
    assert_eq!(
        ask(&url).await,
        Err("the connection was refused".to_owned())
    );
}
