//! Promises of the live host beyond a single step: late timers, code that blocks where it must not, what remains of
//! ended components, and the places from which a stop may be called.

#![allow(
    clippy::disallowed_methods,
    reason = "the live host is tested with real threads, tasks and time"
)]

use std::cell::RefCell;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, Close, Limits, Report, WorkerCtx};
use deadstop::host::{Abort, Adopt, BoxError, BoxFuture, Host, Live, Scope};
use deadstop::journal::{Claim, How, Outcome, Record, Sink};
use deadstop::watchdog::{Probe, Probing, Watchdog};
use tokio_util::sync::CancellationToken;

use crate::changed_host::{HostChanges, live_with};

const GUARD: Duration = Duration::from_secs(20);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    let steps = report.steps.iter();
    steps.map(|step| (&*step.name, step.outcome)).collect()
}

/// Cleans up on a thread of its own, so that a hang fails the test.
fn cleanup_guarded(ctx: &WorkerCtx) -> Arc<Report> {
    let ctx = ctx.clone();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(ctx.cleanup_blocking()));
    let report = receiver.recv_timeout(GUARD).expect("an answer");
    report.expect("from outside")
}

/// A host with timers that fire a minute late, as on a machine with all cores busy, only much later.
#[derive(Debug)]
struct LateTimers;

impl HostChanges for LateTimers {
    fn sleep_until(&self, live: &Live, at: Duration) -> BoxFuture<()> {
        live.sleep_until(at + Duration::from_secs(60))
    }
}

#[tokio::test]
async fn end_after_the_deadline_is_overdue_though_timers_are_late() {
    let host = live_with(LateTimers);
    let ctx = WorkerCtx::<()>::builder().host(host).build(());
    let ctx = ctx.expect("the limits are right");
    let bound = BodyOpts::new().timeout(ms(10));
    ctx.add_thread("thread", bound, |scope: &Scope| {
        while scope.wait(Duration::MAX).elapsed() {}
        scope.sleep(ms(40));
    })
    .expect("accepted");
    let bound = BodyOpts::new().timeout(ms(10));
    ctx.add_task("task", bound, |token| async move {
        token.cancelled().await;
        tokio::time::sleep(ms(40)).await;
    })
    .expect("accepted");
    let bound = CallOpts::new().timeout(ms(10)).order(1);
    ctx.defer_stop("callback", bound, |scope| scope.sleep(ms(40)))
        .expect("accepted");
    let patient = CallOpts::new().order(2);
    ctx.defer_stop("in time", patient, |scope| scope.sleep(ms(40)))
        .expect("accepted");
    let report = ctx.stop().await.expect("from outside");
    let late = Outcome::TimedOut;
    assert_eq!(
        {
            let mut outcomes = outcomes(&report);
            outcomes.sort_by_key(|(name, _)| *name);
            outcomes
        },
        [
            ("callback", late),
            ("in time", Outcome::Ok),
            ("task", late),
            ("thread", late)
        ]
    );
    let thread = report.steps.iter().find(|step| &*step.name == "thread");
    let took = thread.expect("it has a row").took;
    assert!(took >= ms(40) && took < GUARD, "{took:?}");
}

#[test]
fn blocking_wake_delays_no_other_component() {
    let ctx = WorkerCtx::new(());
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (wakes, is_woken) = mpsc::channel();
    let blocks = BodyOpts::new().timeout(GUARD).wake(move || {
        let _ = wakes.send(());
        let _ = released.lock().map(|released| released.recv());
    });
    ctx.add_thread("first", blocks, |scope: &Scope| {
        while scope.wait(Duration::MAX).elapsed() {}
    })
    .expect("accepted");
    let (wake, woken) = mpsc::channel::<()>();
    let opts = BodyOpts::new().timeout(GUARD).wake(move || {
        let _ = wake.send(());
    });
    ctx.add_thread("second", opts, move |_| woken.recv())
        .expect("accepted");
    let report = cleanup_guarded(&ctx);
    assert!(report.is_ok(), "{report}");
    is_woken.recv_timeout(GUARD).expect("it was called");
    drop(release);
}

/// A task with a join that blocks the thread which polls it.
struct BlocksWhenJoined(mpsc::Receiver<()>);

struct NoAbort;

impl Abort for NoAbort {
    fn abort(&self) {}
}

impl Adopt for BlocksWhenJoined {
    fn aborter(&self) -> Box<dyn Abort> {
        Box::new(NoAbort)
    }
    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)> {
        Box::pin(async move {
            let _ = self.0.recv();
            (How::Ok, None)
        })
    }
}

#[test]
fn an_adopted_task_whose_waiting_blocks_holds_up_no_bound() {
    let ctx = WorkerCtx::new(());
    let (release, released) = mpsc::channel::<()>();
    let bound = BodyOpts::new().timeout(ms(20));
    ctx.adopt_task("blocks", bound, BlocksWhenJoined(released))
        .expect("accepted");
    ctx.defer_cleanup("db", CallOpts::new(), |_| {})
        .expect("accepted");
    let report = cleanup_guarded(&ctx);
    assert_eq!(
        outcomes(&report),
        [("blocks", Outcome::Leaked), ("db", Outcome::Ok)]
    );
    drop(release);
}

/// A value that blocks its thread when it is dropped after the thread's code is over, until the test lets it go.
struct BlocksInDrop(mpsc::Receiver<()>, mpsc::Sender<()>);

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        let _ = self.1.send(());
        let _ = self.0.recv();
    }
}

thread_local! {
    static LOCAL: RefCell<Option<BlocksInDrop>> = const { RefCell::new(None) };
}

fn keep_in_thread_local(value: BlocksInDrop) {
    LOCAL.with(|local| *local.borrow_mut() = Some(value));
}

#[test]
fn a_thread_has_ended_when_its_locals_have_been_dropped() {
    let ctx = WorkerCtx::new(());
    let (sender, lingering) = mpsc::channel();
    let mut releases = Vec::new();
    let mut held = || {
        let (release, released) = mpsc::channel();
        releases.push(release);
        BlocksInDrop(released, sender.clone())
    };
    let bound = || BodyOpts::new().timeout(ms(30));
    let own = held();
    ctx.add_thread("own", bound(), move |_| keep_in_thread_local(own))
        .expect("accepted");
    let adopted = held();
    let handle = thread::spawn(move || keep_in_thread_local(adopted));
    ctx.adopt_thread("adopted", bound(), handle)
        .expect("accepted");
    for _ in 0..2 {
        lingering.recv_timeout(GUARD).expect("its code is over");
    }
    let called = held();
    let call = CallOpts::new().order(1).timeout(ms(30));
    ctx.defer_stop("callback", call, move |_| keep_in_thread_local(called))
        .expect("accepted");
    let report = ctx.stop_blocking().expect("from outside");
    let mut outcomes = outcomes(&report);
    outcomes.sort_by_key(|(name, _)| *name);
    assert_eq!(
        outcomes,
        [
            ("adopted", Outcome::Leaked),
            ("callback", Outcome::Leaked),
            ("own", Outcome::Leaked)
        ]
    );
    drop(releases);
}

#[test]
fn a_thread_whose_locals_take_a_moment_is_ok_once_they_are_gone() {
    let ctx = WorkerCtx::new(());
    let (sender, lingering) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let value = BlocksInDrop(released, sender);
    ctx.add_thread(
        "own",
        BodyOpts::new().timeout(GUARD),
        move |scope: &Scope| {
            while scope.wait(Duration::MAX).elapsed() {}
            keep_in_thread_local(value);
        },
    )
    .expect("accepted");
    let stops = {
        let ctx = ctx.clone();
        thread::spawn(move || ctx.stop_blocking())
    };
    lingering.recv_timeout(GUARD).expect("its code is over");
    assert!(!stops.is_finished(), "its locals are not gone");
    drop(release);
    let report = stops.join().expect("no panic").expect("from outside");
    assert_eq!(outcomes(&report), [("own", Outcome::Ok)]);
}

mod cleanup_callers {
    use super::*;

    /// Registers two components on the runtime, one beside it, and one to close.
    fn register(ctx: &WorkerCtx) {
        ctx.add_task("task", BodyOpts::new().timeout(GUARD), |token| async move {
            token.cancelled().await;
            tokio::time::sleep(ms(1)).await;
        })
        .expect("accepted");
        ctx.add_thread("thread", BodyOpts::new().timeout(GUARD), |scope: &Scope| {
            while scope.wait(Duration::MAX).elapsed() {}
        })
        .expect("accepted");
        ctx.defer_stop_async("drain", CallOpts::new(), || async {
            tokio::time::sleep(ms(1)).await;
        })
        .expect("accepted");
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})
            .expect("accepted");
    }

    fn assert_whole(report: &Report) {
        assert!(report.is_ok(), "{report}");
        assert_eq!(report.steps.len(), 4, "{report:?}");
    }

    #[tokio::test]
    async fn cleanup_from_async_code_on_a_current_thread_runtime() {
        let ctx = WorkerCtx::new(());
        register(&ctx);
        assert_whole(&ctx.cleanup().await.expect("from outside"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn cleanup_from_async_code_on_a_multi_thread_runtime() {
        let ctx = WorkerCtx::new(());
        register(&ctx);
        assert_whole(&ctx.cleanup().await.expect("from outside"));
    }

    #[tokio::test]
    async fn cleanup_from_a_thread_beside_a_current_thread_runtime() {
        let ctx = WorkerCtx::new(());
        register(&ctx);
        let caller = ctx.clone();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        thread::spawn(move || sender.send(caller.cleanup_blocking()));
        let report = receiver.await.expect("an answer").expect("from outside");
        assert_whole(&report);
    }

    #[test]
    fn cleanup_from_main_with_the_runtime_on_another_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime can be built");
        let ctx = WorkerCtx::new(());
        let registered = Arc::new(Barrier::new(2));
        let over = CancellationToken::new();
        let service = {
            let (ctx, registered, over) = (ctx.clone(), Arc::clone(&registered), over.clone());
            thread::spawn(move || {
                runtime.block_on(async {
                    register(&ctx);
                    registered.wait();
                    over.cancelled().await;
                });
            })
        };
        registered.wait();
        assert_whole(&ctx.cleanup_blocking().expect("from outside"));
        over.cancel();
        service.join().expect("no panic");
    }

    #[test]
    fn cleanup_from_main_without_any_runtime() {
        let ctx = WorkerCtx::new(());
        ctx.add_thread("thread", BodyOpts::new().timeout(GUARD), |scope: &Scope| {
            while scope.wait(Duration::MAX).elapsed() {}
        })
        .expect("accepted");
        ctx.defer_stop_async("drain", CallOpts::new(), || async {
            tokio::time::sleep(ms(1)).await;
        })
        .expect("accepted");
        let report = ctx.cleanup_blocking().expect("from outside");
        assert!(report.is_ok(), "{report}");
    }
}

/// Waits until the worker is ready.
async fn wait_until_ready(ctx: &WorkerCtx) {
    let ready = async {
        while !ctx.ready() {
            tokio::task::yield_now().await;
        }
    };
    let ready = tokio::time::timeout(GUARD, ready).await;
    ready.expect("it starts");
}

mod abandoned_life {
    use super::*;
    use deadstop::context::Life;
    use deadstop::journal::SignalName;

    /// Returns a worker that runs and a life with its future dropped. The receiver gets a word when the thread is
    /// told, and another when the db is closed.
    async fn abandon_life() -> (WorkerCtx, Life, mpsc::Receiver<&'static str>) {
        let ctx = WorkerCtx::new(());
        let life = Life::new(&ctx);
        let (sender, receiver) = mpsc::channel();
        let close_sender = sender.clone();
        let body = move |scope: &Scope| {
            let _ = scope.wait(Duration::MAX);
            let _ = sender.send("told");
        };
        ctx.add_thread("says", BodyOpts::new(), body)
            .expect("accepted");
        ctx.defer_cleanup("db", CallOpts::new(), move |_| {
            let _ = close_sender.send("closed");
        })
        .expect("accepted");
        {
            let lives = std::pin::pin!(life.run(|| async { Ok(()) }));
            tokio::select! {
                end = lives => panic!("no stop was requested: {end:?}"),
                () = wait_until_ready(&ctx) => {}
            }
        }
        (ctx, life, receiver)
    }

    #[tokio::test]
    async fn abandoned_life_stops_and_cleans_up_at_a_signal() {
        let (_ctx, life, receiver) = abandon_life().await;
        life.signal(SignalName::Sigterm);
        assert_eq!(receiver.recv_timeout(GUARD), Ok("told"));
        assert_eq!(receiver.recv_timeout(GUARD), Ok("closed"));
    }

    #[tokio::test]
    async fn abandoned_life_does_not_keep_its_context() {
        let (ctx, life, receiver) = abandon_life().await;
        drop((ctx, life));
        assert_eq!(receiver.recv_timeout(GUARD), Ok("told"));
    }
}

mod limits_and_ready {
    use super::*;
    use deadstop::context::{Life, LimitsError};
    use deadstop::journal::SignalName;

    #[tokio::test]
    async fn ready_from_the_end_of_start_to_the_first_request() {
        // The delay is long enough to be observed. The driver counts it, even if this thread is held up.
        let limits = Limits::new().pre_stop(ms(1_000));
        let builder = WorkerCtx::<()>::builder().limits(limits);
        let ctx = builder.build(()).expect("the limits are right");
        assert!(!ctx.ready());
        let life = Life::new(&ctx);
        let lived = tokio::spawn(life.run(|| async { Ok(()) }));
        wait_until_ready(&ctx).await;
        life.signal(SignalName::Sigterm);
        assert!(!ctx.ready() && ctx.running(), "the delay is not over");
        let end = tokio::time::timeout(GUARD, lived).await;
        let end = end.expect("it ends").expect("no panic");
        assert_eq!(end.code, 0, "{end:?}");
        let reason = end.report.reason.as_ref().and_then(|reason| reason.signal);
        assert_eq!(reason, Some(SignalName::Sigterm));
        assert_eq!(end.report.later_reasons, []);
    }

    #[test]
    fn a_grace_out_of_its_range_is_refused() {
        let built = |limits| {
            WorkerCtx::<()>::builder()
                .limits(limits)
                .build(())
                .map(drop)
        };
        let grace = |grace| built(Limits::new().grace(grace));
        let (hour, longer) = (ms(3_600_000), ms(3_600_001));
        for was in [Duration::ZERO, longer] {
            let what = "the grace";
            assert_eq!(grace(was), Err(LimitsError::OutOfRange { what, was }));
        }
        assert_eq!(grace(hour), Ok(()));
        assert_eq!(built(Limits::new().reserve(ms(1))), Ok(()));
    }

    #[test]
    fn a_delay_that_leaves_stop_nothing_is_refused() {
        let limits = Limits::new()
            .grace(Duration::from_secs(10))
            .reserve(Duration::from_secs(4))
            .margin(ms(500));
        let built = |delay| {
            let builder = WorkerCtx::<()>::builder().limits(limits.pre_stop(delay));
            builder.build(())
        };
        let refused = built(ms(5_500));
        assert_eq!(
            refused.expect_err("all of stop's share"),
            LimitsError::PreStop {
                delay: ms(5_500),
                share: ms(5_500)
            }
        );
        built(ms(5_499)).expect("1 ms is left");
        built(Duration::ZERO).expect("none");
    }
}

#[tokio::test]
async fn ended_adopted_components_leave_the_registry() {
    let ctx = WorkerCtx::new(());
    for n in 0..100 {
        let task = tokio::spawn(async {});
        ctx.adopt_task(format!("task {n}"), BodyOpts::new(), task)
            .expect("accepted");
        let thread = thread::spawn(|| {});
        ctx.adopt_thread(format!("thread {n}"), BodyOpts::new(), thread)
            .expect("accepted");
    }
    let gone = async {
        while !ctx.budget().stop.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, gone)
        .await
        .expect("all of them");
    assert_eq!(ctx.stop().await.expect("from outside").steps.len(), 0);
}

/// A sink that keeps the place of each component's registration.
#[derive(Default)]
struct Places(Mutex<Vec<(String, u32)>>);

impl Sink for Places {
    fn record(&self, record: &Record<'_>) {
        let Claim::Registered(registered) = record.claim else {
            return;
        };
        let place = record.place.expect("a registration has a place");
        assert_eq!(place.file(), file!());
        let mut places = self.0.lock().expect("not poisoned");
        places.push((registered.name.to_string(), place.line()));
    }
}

struct AlwaysGood;

impl Probe for AlwaysGood {
    fn probe<'a>(&'a mut self, _: &'a dyn Host) -> Probing<'a> {
        Box::pin(std::future::ready(Ok(200)))
    }
}

impl Close for AlwaysGood {
    fn close(&mut self, _: &Scope) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The place is named with a component that is still awaited, and in each row of a report.
#[tokio::test]
async fn place_of_every_registration_is_its_callers() {
    let places = Arc::new(Places::default());
    let builder = WorkerCtx::<()>::builder().sink(Arc::clone(&places) as Arc<dyn Sink>);
    let ctx = builder.build(()).expect("the limits are the default");
    let (body, call) = (BodyOpts::new, CallOpts::new);
    let (task, thread) = (tokio::spawn(async {}), thread::spawn(|| {}));
    let dog = Watchdog::new(AlwaysGood);
    let mut lines = Vec::new();
    macro_rules! at {
        ($name:literal, $registered:expr) => {
            lines.push(($name.to_owned(), line!()));
            assert!($registered.is_ok(), "{}", $name);
        };
    }
    #[rustfmt::skip]
    {
        at!("a", ctx.add_thread("a", body(), |_| {}));
        at!("b", ctx.add_task("b", body(), |_| async {}));
        at!("c", ctx.adopt_thread("c", body(), thread));
        at!("d", ctx.adopt_task("d", body(), task));
        at!("e", ctx.add_watchdog("e", body(), dog));
        at!("f", ctx.defer_stop("f", call(), |_| {}));
        at!("g", ctx.defer_stop_async("g", call(), || async {}));
        at!("h", ctx.defer_cleanup("h", call(), |_| {}));
        at!("i", ctx.defer_cleanup_async("i", call(), || async {}));
        at!("j", ctx.add_closeable_with("j", call(), (), |(), _| {}));
        at!("l", ctx.add_closeable("l", call(), AlwaysGood));
        at!("k", ctx.add_closeable_async("k", call(), || async {}));
    };
    assert_eq!(*places.0.lock().expect("not poisoned"), lines);
    ctx.cleanup().await.expect("from outside");
}

/// A sink that keeps the reasons of the requests.
#[derive(Default)]
struct Requests(Mutex<Vec<String>>);

impl Sink for Requests {
    fn record(&self, record: &Record<'_>) {
        if let Claim::Requested { reason, .. } = record.claim {
            let mut requests = self.0.lock().expect("not poisoned");
            requests.push(format!("{reason}{}", record.why.unwrap_or_default()));
        }
    }
}

#[test]
fn requests_beyond_the_first_hundred_are_counted() {
    let requests = Arc::new(Requests::default());
    let builder = WorkerCtx::<()>::builder().sink(Arc::clone(&requests) as Arc<dyn Sink>);
    let ctx = builder.build(()).expect("the limits are the default");
    let life = deadstop::context::Life::new(&ctx);
    for n in 0..1_000 {
        ctx.request_stop(format!("request {n}"));
    }
    let reasons = || requests.0.lock().expect("not poisoned").clone();
    // The first request and a hundred later ones are logged.
    assert_eq!(reasons().len(), 101);
    assert_eq!(
        reasons()[99..],
        [
            "request 99",
            "request 100later requests are counted, and logged no more"
        ]
    );
    // A signal is always logged, and so is the request that begins the grace.
    life.signal(deadstop::journal::SignalName::Sigterm);
    ctx.request_stop("once more");
    assert_eq!(reasons().len(), 102);
    assert_eq!(reasons()[101], "SIGTERM");
    let report = ctx.stop_blocking().expect("from outside");
    assert_eq!(reasons().len(), 102, "the grace had begun");
    let reason = report.reason.as_ref().map(|reason| &*reason.words);
    assert_eq!(reason, Some("request 0"));
    assert_eq!(report.later_reasons.len(), 100);
    // 999 requests, the signal, one more request, and the stop.
    assert_eq!(report.later_reasons_in_all, 1_002);
}

#[test]
fn call_that_begins_grace_is_logged_after_many_requests() {
    let requests = Arc::new(Requests::default());
    let builder = WorkerCtx::<()>::builder().sink(Arc::clone(&requests) as Arc<dyn Sink>);
    let ctx = builder.build(()).expect("the limits are the default");
    for _ in 0..1_000 {
        ctx.request_stop("enough");
    }
    ctx.stop_blocking().expect("from outside");
    let reasons = requests.0.lock().expect("not poisoned");
    assert_eq!(reasons.len(), 102);
    assert_eq!(
        reasons.last().map(|reason| &**reason),
        Some("stop was called")
    );
}
