//! The worker processes under test. Each is a role, which this executable plays when it is run again.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use deadstop::context::{BodyOpts, CallOpts, Life, Limits, MainError, WorkerCtx, exit_code};
use deadstop::host::{Body, Live, OnEnd, Scope, SpawnError, Who};
use deadstop::journal::{Claim, Phase, Record, Sink, State};
use deadstop::process::{LastResort, Signals, Worker};
use tokio_util::sync::CancellationToken;

use crate::changed_host::{HostChanges, live_with};

/// Time after a signal that was counted, long enough for the next signal to be another one.
const LATER: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(3_000);

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Prints a word, which the test waits for.
pub fn print_line(word: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{word}");
    let _ = out.flush();
}

pub fn park_for_ever() {
    loop {
        thread::park();
    }
}

pub fn grace(of: Duration) -> Limits {
    Limits::new().grace(of)
}

/// Registers a thread that prints when the worker is ready, and when the thread has been told.
pub fn add_announcer(ctx: &WorkerCtx) -> Result<(), MainError> {
    let weak = ctx.downgrade();
    let ready = move || weak.upgrade().is_some_and(|ctx| ctx.ready());
    ctx.add_thread(
        "announcer",
        BodyOpts::new().order(-1),
        move |scope: &Scope| {
            while !ready() && scope.wait(ms(1)).elapsed() {}
            print_line("ready");
            while scope.wait(Duration::MAX).elapsed() {}
            print_line("told");
        },
    )?;
    Ok(())
}

/// Registers a cleanup callback that prints when it is called.
fn add_printing_cleanup(ctx: &WorkerCtx) -> Result<(), MainError> {
    ctx.defer_cleanup("db", CallOpts::new(), |_| print_line("closed"))?;
    Ok(())
}

/// Registers a small service: it announces itself, has a task, and closes a resource.
async fn service(ctx: WorkerCtx) -> Result<(), MainError> {
    add_announcer(&ctx)?;
    ctx.add_task("ticks", BodyOpts::new(), |token| async move {
        let mut ticks = tokio::time::interval(ms(1));
        while token.run_until_cancelled(ticks.tick()).await.is_some() {}
    })?;
    add_printing_cleanup(&ctx)
}

/// Registers a thread that ignores being told. When the next signal would count, it prints a word.
fn add_deaf_thread(ctx: &WorkerCtx) -> Result<(), MainError> {
    ctx.add_thread("deaf", BodyOpts::new().timeout(LONG), |scope: &Scope| {
        while scope.wait(Duration::MAX).elapsed() {}
        scope.sleep(LATER);
        print_line("later");
        park_for_ever();
    })?;
    Ok(())
}

/// A sink that blocks for ever in the claim of a request. Before that it prints twice that time has gone by.
struct BlockedSink;

impl Sink for BlockedSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        if let Claim::Requested { .. } = claim {
            print_line("blocked");
            thread::sleep(LATER);
            print_line("later");
            thread::sleep(LATER);
            print_line("later");
            park_for_ever();
        }
    }
}

/// A sink that blocks for ever in the first claim that matches.
struct SinkBlockedAt(fn(&Claim) -> bool);

impl Sink for SinkBlockedAt {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        if (self.0)(claim) {
            park_for_ever();
        }
    }
}

/// Registers a thread that never ends, and two resources.
fn add_deaf_thread_and_resources(ctx: &WorkerCtx) -> Result<(), MainError> {
    let weak = ctx.downgrade();
    let ready = move || weak.upgrade().is_some_and(|ctx| ctx.ready());
    let bound = BodyOpts::new().timeout(ms(100));
    ctx.add_thread("flusher", bound, move |scope: &Scope| {
        while !ready() && scope.wait(ms(1)).elapsed() {}
        print_line("ready");
        park_for_ever();
    })?;
    ctx.defer_cleanup("db", CallOpts::new(), |_| print_line("closed"))?;
    ctx.defer_cleanup("cache", CallOpts::new(), |_| print_line("closed"))?;
    Ok(())
}

/// A sink that lets a thread end when the context has left it behind, and blocks for ever when all is done.
struct ReleasingSink(std::sync::mpsc::Sender<()>);

impl Sink for ReleasingSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        match claim {
            Claim::Leak { name, .. } if **name == *"late" => {
                let _ = self.0.send(());
            }
            Claim::State { state: State::Done } => park_for_ever(),
            _ => {}
        }
    }
}

/// A sink that writes to standard error under its lock, like a usual log.
struct StderrSink;

impl Sink for StderrSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        let _ = writeln!(io::stderr().lock(), "{}", claim.name());
    }
}

/// A host that starts no thread and does not return from that. Its caller waits with the registry's lock held.
#[derive(Debug)]
struct WedgedHost;

impl HostChanges for WedgedHost {
    fn spawn_body(
        &self,
        _: &Live,
        _: Who,
        _: CancellationToken,
        _: Body,
        _: OnEnd,
    ) -> Result<(), SpawnError> {
        print_line("ready");
        park_for_ever();
        Ok(())
    }
}

/// A value that blocks the thread which drops it.
pub struct BlocksInDrop;

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        print_line("in exit");
        thread::sleep(LATER);
        print_line("later");
        park_for_ever();
    }
}

thread_local! {
    /// Dropped by `exit` on the main thread.
    pub static AT_EXIT: BlocksInDrop = const { BlocksInDrop };
}

/// Returns the signals that the thread blocks, as the kernel's mask.
fn blocked_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let mask = line.map(|line| u64::from_str_radix(line.trim(), 16));
    mask.expect("the kernel says so").expect("it is a number")
}

/// Runs a worker with code that notes which signals its thread blocks. A child process of the worker prints what it
/// blocks.
fn run_comparing_masks() -> ExitCode {
    const HEARD: u64 = 1 << 14 | 1 << 1; // SIGTERM and SIGINT
    struct Notes(Arc<Mutex<Vec<u64>>>);
    impl Notes {
        fn note(&self) {
            self.0.lock().expect("not poisoned").push(blocked_signals());
        }
    }
    impl Sink for Notes {
        fn record(&self, _: &Record<'_>) {
            self.note();
        }
    }
    let inherited = blocked_signals();
    let masks = Arc::new(Mutex::new(Vec::new()));
    let notes = || Notes(Arc::clone(&masks));
    let sink = Arc::new(notes());
    let (body, woken, call, cleanup, task) = (notes(), notes(), notes(), notes(), notes());
    let main = move |ctx: WorkerCtx| async move {
        let opts = BodyOpts::new().wake(move || woken.note());
        ctx.add_thread("body", opts, move |scope: &Scope| {
            while scope.wait(Duration::MAX).elapsed() {}
            body.note();
        })?;
        ctx.add_task("task", BodyOpts::new(), |token| async move {
            token.cancelled().await;
            task.note();
        })?;
        ctx.defer_stop("call", CallOpts::new(), move |_| call.note())?;
        ctx.defer_cleanup("child", CallOpts::new(), move |_| {
            cleanup.note();
            let show = ["-n", "s/^SigBlk:[[:space:]]*//p", "/proc/self/status"];
            let shown = std::process::Command::new("sed").args(show).output()?;
            print_line(&format!(
                "child {}",
                String::from_utf8_lossy(&shown.stdout).trim()
            ));
            Ok::<(), io::Error>(())
        })?;
        let pid = std::process::id().to_string();
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()?;
        Ok(())
    };
    let code = deadstop::run(Worker::new((), main).sink(sink));
    let masks = masks.lock().expect("not poisoned");
    assert!(masks.len() > 5, "{masks:?}");
    let same = masks.iter().all(|mask| *mask == inherited);
    print_line(match inherited & HEARD {
        HEARD if same => "as inherited",
        0 if same => "none",
        _ => "changed",
    });
    code
}

/// Returns the process's resident memory, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

/// Runs rounds of short lives, and returns the least growth of memory in a round, in KiB. A round is over when the
/// registry is empty and `held` has no other owner. The growth of a round varies with the number of bodies that lived
/// at once; a leak is in every round.
fn least_growth(ctx: &WorkerCtx, held: &Arc<()>, round: impl Fn()) -> u64 {
    let after: Vec<u64> = (0..20)
        .map(|_| {
            round();
            while !ctx.budget().stop.is_empty() || Arc::strong_count(held) > 1 {
                thread::yield_now();
            }
            resident_kib()
        })
        .collect();
    let grown = after.windows(2).map(|two| two[1].saturating_sub(two[0]));
    grown.min().unwrap_or(0)
}

/// Runs a thousand threads at a time, and ten thousand tasks, that end by themselves.
fn short_lives() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    let _on = runtime.enter();
    let ctx = WorkerCtx::new(());
    let held = Arc::new(());
    let threads = least_growth(&ctx, &held, || {
        for _ in 0..1_000 {
            let held = Arc::clone(&held);
            ctx.add_thread("short", BodyOpts::new(), move |_| drop(held))
                .expect("accepted");
        }
    });
    let tasks = least_growth(&ctx, &held, || {
        for _ in 0..10_000 {
            let held = Arc::clone(&held);
            ctx.add_task("short", BodyOpts::new(), |_| async { drop(held) })
                .expect("accepted");
        }
    });
    // Components that stayed in the registry would take some hundred bytes each.
    print_line(&format!("each round: {threads} KiB and {tasks} KiB"));
    if threads < 100 && tasks < 500 {
        print_line("flat");
    }
}

/// Returns a worker with a sink that blocks for ever at a matching claim.
fn blocked_at(limits: Limits, word: fn(&Claim) -> bool) -> Worker<()> {
    let main = |ctx: WorkerCtx| async move { add_deaf_thread_and_resources(&ctx) };
    let sink = Arc::new(SinkBlockedAt(word));
    Worker::new((), main).limits(limits).sink(sink)
}

/// Plays a role to its end.
pub fn play(role: &'static str) -> ExitCode {
    let plays: [fn(&'static str) -> Option<ExitCode>; 7] = [
        crate::starved::play,
        play_service,
        play_deaf,
        play_raising,
        play_blocked,
        play_held_up,
        play_by_hand,
    ];
    plays
        .into_iter()
        .find_map(|play| play(role))
        .unwrap_or_else(|| {
            print_line(&format!("no child plays {role:?}"));
            ExitCode::FAILURE
        })
}

/// Plays a service that stops as it should, or cannot begin.
fn play_service(role: &'static str) -> Option<ExitCode> {
    let two = grace(Duration::from_secs(2));
    let long = grace(Duration::from_secs(600));
    Some(match role {
        "service" => deadstop::run(Worker::new((), service)),
        "service on one thread" => deadstop::run(Worker::new((), service).current_thread()),
        "service on a given runtime" => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
            let code = deadstop::run(Worker::new((), service).on(runtime.handle().clone()));
            // The worker does not shut down a runtime that it is given.
            runtime.block_on(async { tokio::time::sleep(ms(1)).await });
            print_line("it runs");
            code
        }
        "blocking main" => deadstop::run(Worker::blocking((), |ctx, scope| {
            add_announcer(&ctx)?;
            // The runtime here ends with this call, and the task does not.
            scope.block_on(async {
                ctx.add_task("polls", BodyOpts::new(), |token| async move {
                    token.cancelled().await;
                    print_line("task told");
                })
            })?;
            add_printing_cleanup(&ctx)
        })),
        "nothing" => ExitCode::SUCCESS,
        "masks" => run_comparing_masks(),
        "pre-stop" => deadstop::run(Worker::new((), service).limits(two.pre_stop(ms(300)))),
        "long pre-stop" => {
            let main = |ctx: WorkerCtx| async move {
                add_announcer(&ctx)?;
                let weak = ctx.downgrade();
                ctx.add_thread("watches", BodyOpts::new(), move |scope: &Scope| {
                    let ready_and_running =
                        || weak.upgrade().map(|ctx| (ctx.ready(), ctx.running()));
                    while ready_and_running() != Some((true, true)) && scope.wait(ms(1)).elapsed() {
                    }
                    print_line("seen ready");
                    while ready_and_running() != Some((false, true)) && scope.wait(ms(1)).elapsed()
                    {
                    }
                    print_line("unready");
                    scope.sleep(LATER);
                    print_line("later");
                })?;
                add_printing_cleanup(&ctx)
            };
            let delay = Duration::from_secs(60);
            deadstop::run(Worker::new((), main).limits(long.pre_stop(delay)))
        }
        "fails" => deadstop::run(Worker::new((), |ctx: WorkerCtx| async move {
            add_printing_cleanup(&ctx)?;
            Err(MainError::with_code(42, "no model"))
        })),
        "cannot begin" => deadstop::run(Worker::new((), service).limits(grace(Duration::ZERO))),
        _ => return None,
    })
}

/// Plays a service with code that takes no notice of the stop.
fn play_deaf(role: &'static str) -> Option<ExitCode> {
    let long = grace(Duration::from_secs(600));
    Some(match role {
        "deaf" | "raises though deaf" => {
            let main = |ctx| async move {
                add_announcer(&ctx)?;
                add_deaf_thread(&ctx)?;
                add_printing_cleanup(&ctx)
            };
            let worker = Worker::new((), main).limits(long);
            deadstop::run(match role {
                "deaf" => worker,
                _ => worker.raise_again(),
            })
        }
        "deaf to the end" => deadstop::run(
            Worker::new((), |ctx| async move {
                add_announcer(&ctx)?;
                add_deaf_thread(&ctx)?;
                let sure = CallOpts::new()
                    .timeout(LONG)
                    .floor(Duration::from_secs(100));
                ctx.defer_cleanup("hangs", sure, |scope| {
                    scope.sleep(LATER);
                    print_line("later");
                    park_for_ever();
                })?;
                Ok(())
            })
            .limits(long),
        ),
        "wedged" | "wedged workers" => {
            let main = |ctx: WorkerCtx| async move {
                add_announcer(&ctx)?;
                add_printing_cleanup(&ctx)?;
                let bound = BodyOpts::new().timeout(ms(100));
                let weak = ctx.downgrade();
                ctx.add_task("wedges", bound, move |_| async move {
                    while !weak.upgrade().is_some_and(|ctx| ctx.ready()) {
                        tokio::task::yield_now().await;
                    }
                    print_line("wedged");
                    park_for_ever();
                })?;
                Ok(())
            };
            let worker = Worker::new((), main).limits(grace(Duration::from_secs(30)));
            deadstop::run(match role {
                "wedged" => worker.current_thread(),
                _ => worker.worker_threads(1),
            })
        }
        _ => return None,
    })
}

/// Plays a service that ends by a signal, or holds locks meanwhile.
fn play_raising(role: &'static str) -> Option<ExitCode> {
    let two = grace(Duration::from_secs(2));
    Some(match role {
        "doubled" => deadstop::run(Worker::new((), |ctx: WorkerCtx| async move {
            add_announcer(&ctx)?;
            add_printing_cleanup(&ctx)?;
            ctx.defer_stop("again", CallOpts::new(), |_| {
                // The same signal comes once more, as through a supervisor.
                signal_hook::low_level::raise(signal_hook::consts::SIGTERM)
            })?;
            Ok(())
        })),
        "holds locks" | "raises and holds locks" | "fails and holds locks" => {
            let main = move |ctx: WorkerCtx| async move {
                thread::spawn(|| {
                    let mut stdout = io::stdout().lock();
                    let _stderr = io::stderr().lock();
                    let _ = stdout.write_all(b"ready\nhalf a line");
                    park_for_ever();
                });
                if role == "fails and holds locks" {
                    ctx.defer_cleanup("db", CallOpts::new(), |_| Err("still in use"))?;
                }
                Ok(())
            };
            let worker = Worker::new((), main).limits(two);
            deadstop::run(match role {
                "raises and holds locks" => worker.raise_again(),
                _ => worker,
            })
        }
        "raises" => deadstop::run(Worker::new((), service).raise_again()),
        "raises its own" => deadstop::run(
            Worker::new((), |ctx: WorkerCtx| async move {
                add_printing_cleanup(&ctx)?;
                signal_hook::low_level::raise(signal_hook::consts::SIGTERM)?;
                Ok(())
            })
            .raise_again(),
        ),
        "raises in spite of a failure" => deadstop::run(
            Worker::new((), |ctx: WorkerCtx| async move {
                add_announcer(&ctx)?;
                ctx.defer_cleanup("db", CallOpts::new(), |_| Err("still in use"))?;
                Ok(())
            })
            .raise_again(),
        ),
        _ => return None,
    })
}

/// Plays a service whose sink or main blocks.
fn play_blocked(role: &'static str) -> Option<ExitCode> {
    let two = grace(Duration::from_secs(2));
    let long = grace(Duration::from_secs(600));
    Some(match role {
        "blocked sink" => deadstop::run(
            Worker::new((), |ctx| async move { add_announcer(&ctx) })
                .limits(two)
                .sink(Arc::new(BlockedSink)),
        ),
        "blocked sink for long" => deadstop::run(
            Worker::new((), |ctx| async move { add_announcer(&ctx) })
                .limits(long)
                .sink(Arc::new(BlockedSink)),
        ),
        "blocked before stop" => deadstop::run(blocked_at(two, |claim| {
            matches!(
                claim,
                Claim::PhaseStarted {
                    phase: Phase::Stop,
                    ..
                }
            )
        })),
        "blocked in stop" => deadstop::run(blocked_at(two, |claim| {
            matches!(
                claim,
                Claim::StepStarted {
                    phase: Phase::Stop,
                    ..
                }
            )
        })),
        "blocked before cleanup" => deadstop::run(blocked_at(two, |claim| {
            matches!(
                claim,
                Claim::PhaseStarted {
                    phase: Phase::Cleanup,
                    ..
                }
            )
        })),
        "blocked in cleanup" => deadstop::run(blocked_at(two, |claim| {
            matches!(
                claim,
                Claim::StepStarted {
                    phase: Phase::Cleanup,
                    ..
                }
            )
        })),
        "blocked in main" => {
            let main = |ctx: &WorkerCtx| {
                ctx.request_stop("main takes too long");
                park_for_ever();
                Ok(())
            };
            let sink = Arc::new(SinkBlockedAt(|claim| {
                matches!(claim, Claim::StepStarted { .. })
            }));
            let worker = Worker::blocking((), move |ctx, _| main(&ctx));
            deadstop::run(worker.limits(two).sink(sink))
        }
        _ => return None,
    })
}

/// Plays a service that something else holds up at its end.
fn play_held_up(role: &'static str) -> Option<ExitCode> {
    let two = grace(Duration::from_secs(2));
    Some(match role {
        "late" => {
            let (release, released) = std::sync::mpsc::channel();
            let main = |ctx: WorkerCtx| async move {
                let bound = || BodyOpts::new().timeout(ms(50));
                ctx.add_thread("late", bound(), move |_| {
                    let _ = released.recv();
                })?;
                ctx.add_thread("stays", bound(), |_| park_for_ever())?;
                ctx.request_stop("enough");
                Ok(())
            };
            deadstop::run(
                Worker::new((), main)
                    .limits(two)
                    .sink(Arc::new(ReleasingSink(release))),
            )
        }
        "held registry" => {
            let host = live_with(WedgedHost);
            let main = |ctx: WorkerCtx| async move {
                ctx.add_thread("never", BodyOpts::new(), |_| {})?;
                Ok(())
            };
            deadstop::run(Worker::new((), main).limits(two).host(host))
        }
        "full stderr" => {
            let main = |ctx: WorkerCtx| async move {
                thread::spawn(|| {
                    let mut stderr = io::stderr().lock();
                    // The process is ready once nothing else can write to standard error.
                    print_line("ready");
                    let _ = stderr.write_all(&[b'x'; 1 << 22]);
                });
                add_printing_cleanup(&ctx)
            };
            deadstop::run(Worker::new((), main).limits(two).sink(Arc::new(StderrSink)))
        }
        "hangs in exit" => {
            AT_EXIT.with(|_| {});
            deadstop::run(Worker::new((), service).limits(two))
        }
        _ => return None,
    })
}

/// Plays a program that leads its life itself.
fn play_by_hand(role: &'static str) -> Option<ExitCode> {
    let two = grace(Duration::from_secs(2));
    Some(match role {
        "by hand" => {
            let ctx = WorkerCtx::builder()
                .limits(two)
                .build(())
                .expect("the limits are right");
            let life = Life::new(&ctx);
            let _signals = Signals::listen(&life).expect("signals can be heard");
            let _last = LastResort::arm(&life).expect("a thread can be had");
            let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
            let main = service(ctx.clone());
            let end = runtime.block_on(life.run(|| main));
            print_line(&format!(
                "{:?}",
                end.report.reason.as_ref().and_then(|reason| reason.signal)
            ));
            ExitCode::from(u8::try_from(end.code).expect("a code of one byte"))
        }
        "by hand, wedged" => {
            let ctx = WorkerCtx::builder()
                .limits(two)
                .build(())
                .expect("the limits are right");
            let life = Life::new(&ctx);
            let _signals = Signals::listen(&life).expect("signals can be heard");
            let _last = LastResort::arm(&life).expect("a thread can be had");
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let main = async move {
                add_announcer(&ctx)?;
                add_printing_cleanup(&ctx)?;
                ctx.add_task("wedges", BodyOpts::new().timeout(ms(100)), |_| async {
                    print_line("wedged");
                    park_for_ever();
                })?;
                Ok(())
            };
            let runtime = runtime.expect("a runtime can be built");
            let end = runtime.block_on(life.run(|| main));
            print_line("it lived to the end");
            ExitCode::from(u8::try_from(end.code).expect("a code of one byte"))
        }
        "outlives its worker" | "does not outlive its worker" => {
            let limits = grace(ms(100));
            let ctx = WorkerCtx::builder()
                .limits(limits)
                .build(())
                .expect("the limits are right");
            let last = LastResort::arm(&Life::new(&ctx)).expect("a thread can be had");
            if role == "does not outlive its worker" {
                last.for_good();
            } else {
                ctx.stop_blocking().expect("from outside");
                drop(last);
            }
            let stopped = Instant::now();
            ctx.stop_blocking().expect("from outside");
            while stopped.elapsed() < ms(400) {
                thread::park_timeout(ms(400));
            }
            ExitCode::from(u8::try_from(exit_code::OK).expect("a code of one byte"))
        }
        "short lives" => {
            short_lives();
            ExitCode::SUCCESS
        }
        _ => return None,
    })
}
