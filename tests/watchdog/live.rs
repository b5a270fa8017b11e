//! Whole watchdogs over HTTP, live: on threads of their own, against a real server. The host is the live one, with
//! two changes. It records how the process would have ended, and the waits of bodies take a hundredth of the time,
//! because a back-off takes seconds.
#![cfg(feature = "http")]
#![allow(
    clippy::disallowed_methods,
    reason = "the live host is tested with real threads, sockets and time"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadstop::context::{BodyOpts, WorkerCtx, exit_code};
use deadstop::host::{Blocker, Body, Host, Live, OnEnd, Scope, SpawnError, Who};
use deadstop::journal::{Cause, Claim, Outcome, Record, Sink, WatchdogIs};
use deadstop::watchdog::Watchdog;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::changed_host::{HostChanges, live_with};

const GUARD: Duration = Duration::from_secs(20);
const SPEED_UP: u32 = 100;

/// A report of the watchdog, or its end of the process.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    Is(WatchdogIs, u32),
    Why(String),
    Exit(i32, Cause),
}

#[derive(Debug)]
struct FastHost(UnboundedSender<Notice>);

impl HostChanges for FastHost {
    fn spawn_body(
        &self,
        live: &Live,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        let own_told = told.clone();
        let body = Box::new(move |_: &Scope| body(&Scope::new(own_told, Arc::new(FastBlocker))));
        live.spawn_body(who, told, body, ended)
    }

    fn exit(&self, _: &Live, code: i32, cause: Cause) {
        let _ = self.0.send(Notice::Exit(code, cause));
    }
}

struct FastBlocker;

fn run(future: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future);
}

impl Blocker for FastBlocker {
    fn wait(&self, told: &CancellationToken, limit: Option<Duration>) {
        run(async {
            match limit {
                None => told.cancelled().await,
                Some(limit) => {
                    let _ = tokio::time::timeout(limit / SPEED_UP, told.cancelled()).await;
                }
            }
        });
    }

    fn sleep(&self, duration: Duration) {
        run(tokio::time::sleep(duration / SPEED_UP));
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        run(future);
    }
}

struct NoticeSink(UnboundedSender<Notice>);

impl Sink for NoticeSink {
    fn record(&self, record: &Record<'_>) {
        if let Claim::Watchdog { is, attempt } = record.claim {
            let _ = self.0.send(Notice::Is(*is, *attempt));
        }
        if let Some(why) = record.why {
            let _ = self.0.send(Notice::Why(why.to_owned()));
        }
    }
}

/// Returns a worker with that watchdog, and a receiver of its notices.
fn worker(watchdog: Watchdog) -> (WorkerCtx, UnboundedReceiver<Notice>) {
    let (sender, notices) = unbounded_channel();
    let host = live_with(FastHost(sender.clone()));
    let builder = WorkerCtx::<()>::builder().host(host);
    let ctx = builder.sink(Arc::new(NoticeSink(sender))).build(());
    let ctx = ctx.expect("the limits are the usual ones");
    ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)
        .expect("it is not too late");
    (ctx, notices)
}

async fn next(notices: &mut UnboundedReceiver<Notice>) -> Notice {
    let next = tokio::time::timeout(GUARD, notices.recv()).await;
    next.expect("in time").expect("it goes on")
}

/// Asserts that the next notices are exactly these.
async fn assert_notices(
    notices: &mut UnboundedReceiver<Notice>,
    expected: impl IntoIterator<Item = Notice>,
) {
    for expected in expected {
        assert_eq!(next(notices).await, expected);
    }
}

fn armed_notice() -> Notice {
    Notice::Is(WatchdogIs::Armed, 0)
}

fn failed_notices(attempt: u32, why: &str) -> [Notice; 2] {
    [
        Notice::Is(WatchdogIs::Failed, attempt),
        Notice::Why(why.to_owned()),
    ]
}

fn fired_notices(attempt: u32) -> [Notice; 2] {
    [
        Notice::Is(WatchdogIs::Fired, attempt),
        Notice::Exit(exit_code::WATCHDOG, Cause::Watchdog),
    ]
}

/// Stops the worker, and asserts that the watchdog is disarmed and ends well.
async fn assert_stops_well(ctx: WorkerCtx, mut notices: UnboundedReceiver<Notice>) {
    let report = tokio::time::timeout(GUARD, ctx.stop()).await;
    let report = report.expect("in time").expect("from outside");
    let outcomes: Vec<_> = report.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok]);
    drop(ctx);
    let mut rest = Vec::new();
    while let Some(notice) = notices.recv().await {
        rest.push(notice);
    }
    let disarmed = |notice: &Notice| matches!(notice, Notice::Is(WatchdogIs::Disarmed, _));
    assert!(rest.iter().any(disarmed), "{rest:?}");
    // A probe may have failed while the watchdog was disarmed. It must not have fired.
    assert!(
        !rest.iter().any(|notice| matches!(notice, Notice::Exit(..))),
        "{rest:?}"
    );
}

/// Starts a server that gives `answer(n)` to the nth request, from 1.
async fn server(answer: impl Fn(usize) -> ResponseTemplate + Send + Sync + 'static) -> MockServer {
    let server = MockServer::builder().start().await;
    let asked = AtomicUsize::new(0);
    let respond = move |_: &Request| answer(asked.fetch_add(1, Ordering::SeqCst) + 1);
    let mock = Mock::given(matchers::path("/health")).respond_with(respond);
    mock.mount(&server).await;
    server
}

fn watchdog_of(server: &MockServer) -> Watchdog {
    let url = format!("{}/health", server.uri());
    let watchdog = Watchdog::http(&url).expect("a URL");
    watchdog.interval(Duration::from_millis(100))
}

const GOOD: fn() -> ResponseTemplate = || ResponseTemplate::new(200);
const BAD: fn() -> ResponseTemplate = || ResponseTemplate::new(503);

#[tokio::test]
async fn three_failures_in_a_row_end_the_process_with_75() {
    let server = server(|n| if n <= 2 { GOOD() } else { BAD() }).await;
    let (ctx, mut notices) = worker(watchdog_of(&server));
    let why = "the answer was 503";
    assert_notices(&mut notices, [armed_notice()]).await;
    for attempt in 1..=3 {
        assert_notices(&mut notices, failed_notices(attempt, why)).await;
    }
    assert_notices(&mut notices, fired_notices(3)).await;
    let requests = server.received_requests().await.expect("they are kept");
    assert_eq!(requests.len(), 5);
    drop(ctx);
}

#[tokio::test]
async fn flapping_endpoint_never_ends_the_process() {
    let server = server(|n| if n % 2 == 1 { GOOD() } else { BAD() }).await;
    let (ctx, mut notices) = worker(watchdog_of(&server).attempts(2));
    assert_notices(&mut notices, [armed_notice()]).await;
    for _ in 0..5 {
        assert_notices(&mut notices, failed_notices(1, "the answer was 503")).await;
    }
    assert_stops_well(ctx, notices).await;
}

#[tokio::test]
async fn a_server_that_dies_takes_the_process_with_it() {
    let server = server(|_| GOOD()).await;
    let (ctx, mut notices) = worker(watchdog_of(&server).attempts(1));
    assert_notices(&mut notices, [armed_notice()]).await;
    drop(server);
    assert_eq!(next(&mut notices).await, Notice::Is(WatchdogIs::Failed, 1));
    // The connection is refused, or torn down in the middle of a probe.
    let why = next(&mut notices).await;
    assert!(matches!(&why, Notice::Why(_)), "{why:?}");
    assert_notices(&mut notices, fired_notices(1)).await;
    drop(ctx);
}

#[tokio::test]
async fn a_server_that_dies_and_returns_is_forgiven() {
    let first = server(|_| GOOD()).await;
    let address = *first.address();
    let (ctx, mut notices) = worker(watchdog_of(&first).attempts(1_000));
    assert_notices(&mut notices, [armed_notice()]).await;
    drop(first);
    assert_eq!(next(&mut notices).await, Notice::Is(WatchdogIs::Failed, 1));
    let listener = tokio::time::timeout(GUARD, async {
        loop {
            match std::net::TcpListener::bind(address) {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    let listener = listener.await.expect("the first server is gone");
    let second = MockServer::builder().listener(listener).start().await;
    let (asked, mut is_asked) = unbounded_channel();
    let respond = move |_: &Request| {
        let _ = asked.send(());
        GOOD()
    };
    let mock = Mock::given(matchers::any()).respond_with(respond);
    mock.mount(&second).await;
    for _ in 0..2 {
        // When it asks for the second time, it has counted the first answer.
        let asked = tokio::time::timeout(GUARD, is_asked.recv()).await;
        assert_eq!(asked, Ok(Some(())));
    }
    // Earlier notices are about the first server.
    while notices.try_recv().is_ok() {}
    drop(second);
    assert_eq!(next(&mut notices).await, Notice::Is(WatchdogIs::Failed, 1));
    assert_stops_well(ctx, notices).await;
}

#[tokio::test]
async fn an_answer_beyond_the_request_timeout_is_a_failure() {
    let late = Arc::new(AtomicBool::new(false));
    let is_late = Arc::clone(&late);
    let server = server(move |_| match is_late.load(Ordering::SeqCst) {
        true => GOOD().set_delay(GUARD),
        false => GOOD(),
    })
    .await;
    let watchdog = watchdog_of(&server).attempts(1);
    let (ctx, mut notices) = worker(watchdog.request_timeout(Duration::from_millis(300)));
    assert_notices(&mut notices, [armed_notice()]).await;
    late.store(true, Ordering::SeqCst);
    assert_notices(&mut notices, failed_notices(1, "no whole answer in 300ms")).await;
    assert_notices(&mut notices, fired_notices(1)).await;
    drop(ctx);
}

#[tokio::test]
async fn redirect_does_not_arm_the_watchdog_and_is_not_followed() {
    let (asked, mut is_asked) = unbounded_channel();
    let server = server(move |n| {
        let _ = asked.send(n);
        ResponseTemplate::new(302).insert_header("location", "/well")
    })
    .await;
    Mock::given(matchers::path("/well"))
        .respond_with(GOOD())
        .mount(&server)
        .await;
    let (ctx, notices) = worker(watchdog_of(&server).attempts(1));
    for n in 1..=3 {
        let asked = tokio::time::timeout(GUARD, is_asked.recv()).await;
        assert_eq!(asked, Ok(Some(n)));
    }
    assert_stops_well(ctx, notices).await;
    let requests = server.received_requests().await.expect("they are kept");
    assert!(
        requests
            .iter()
            .all(|request| request.url.path() == "/health")
    );
}

/// The server accepts and sends nothing. The stop does not wait for the request timeout of two minutes.
#[tokio::test]
async fn a_stop_in_the_middle_of_a_probe_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let (ctx, notices) = worker(Watchdog::http(&url).expect("a URL"));
    let accepted = tokio::time::timeout(GUARD, listener.accept()).await;
    let (stream, _) = accepted.expect("in time").expect("a connection");
    assert_stops_well(ctx, notices).await;
    drop(stream);
}

/// An unknown name is looked up on a thread of its own. The error is a failure like others.
#[tokio::test]
async fn a_name_that_cannot_be_found_is_a_failure() {
    let watchdog = Watchdog::http("http://name-that-no-host-has.invalid/").expect("a URL");
    // A resolver without an answer hangs for longer than the watchdog waits.
    let watchdog = watchdog.request_timeout(Duration::from_secs(2));
    let (ctx, mut notices) = worker(watchdog.attempts(1).start_grace(Duration::from_millis(1)));
    assert_eq!(next(&mut notices).await, armed_notice());
    assert_eq!(next(&mut notices).await, Notice::Is(WatchdogIs::Failed, 1));
    let why = next(&mut notices).await;
    let Notice::Why(why) = why else {
        panic!("{why:?}");
    };
    let late = why == "no whole answer in 2s";
    assert!(late || why.starts_with("no connection: "), "{why}");
    assert_notices(&mut notices, fired_notices(1)).await;
    drop(ctx);
}
