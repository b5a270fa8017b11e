//! Compares a live stop with one written by hand, with a `TaskTracker`, a `CancellationToken` and joins: 1,000
//! threads and 10,000 tasks wait until they are told to stop, and then end. Only the stop is measured: from the call
//! until everything is known to have ended. Prints a table.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, and the version by hand starts what it stops"
)]

#[path = "tokio_only/service.rs"]
mod tokio_only;

use std::time::{Duration, Instant};

use deadstop::context::{BodyOpts, WorkerCtx};
use tokio::runtime::{Builder, Runtime};

/// Number of times that each is measured; the median counts.
const ROUNDS: usize = 15;

/// Numbers of threads and tasks to stop.
#[derive(Clone, Copy)]
struct Load {
    threads: usize,
    tasks: usize,
}

/// Measures one stop, from the call to its end, once everything that was started waits.
async fn deadstop(load: Load) -> Duration {
    let ctx = WorkerCtx::new(());
    for n in 0..load.threads {
        ctx.add_thread(format!("thread {n}"), BodyOpts::new(), |scope| {
            let _ = scope.wait(Duration::MAX);
        })
        .expect("it is taken");
    }
    for n in 0..load.tasks {
        ctx.add_task(format!("task {n}"), BodyOpts::new(), |token| async move {
            token.cancelled().await;
        })
        .expect("it is taken");
    }
    wait_until_idle().await;
    let began = Instant::now();
    let report = ctx.stop().await.expect("called from outside");
    let took = began.elapsed();
    assert_eq!(report.steps.len(), load.threads + load.tasks);
    assert!(report.is_ok(), "{report}");
    took
}

async fn by_hand(load: Load) -> Duration {
    let service = tokio_only::Service::start(load.threads, load.tasks);
    wait_until_idle().await;
    let began = Instant::now();
    service.stop().await;
    began.elapsed()
}

/// Gives everything that was started the time to reach its wait.
async fn wait_until_idle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Waits until the threads of the last round are gone: they end a little after the stop has reported their end.
fn wait_for_threads_to_end(threads: usize) {
    while running_threads() > threads {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the number of threads of this process.
fn running_threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn compare(runtime: &Runtime, load: Load) -> [Duration; 2] {
    let threads = running_threads();
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // The two take turns in going first.
        for turn in [round % 2, 1 - round % 2] {
            took[turn].push(match turn {
                0 => runtime.block_on(by_hand(load)),
                _ => runtime.block_on(deadstop(load)),
            });
            wait_for_threads_to_end(threads);
        }
    }
    took.map(median)
}

fn main() {
    // `cargo test --benches` only checks that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtimes = [
        (
            "two workers",
            Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build(),
        ),
        (
            "current thread",
            Builder::new_current_thread().enable_all().build(),
        ),
    ];
    println!(
        "\n{:>14}  {:>7}  {:>6}  {:>10}  {:>10}  {:>5}",
        "runtime", "threads", "tasks", "by hand", "deadstop", "ratio"
    );
    for (name, runtime) in runtimes {
        let runtime = runtime.expect("a runtime");
        for (threads, tasks) in [(1_000, 10_000), (1_000, 0), (0, 10_000)] {
            let [by_hand, deadstop] = compare(&runtime, Load { threads, tasks });
            let ratio = deadstop.as_secs_f64() / by_hand.as_secs_f64();
            println!(
                "{name:>14}  {threads:>7}  {tasks:>6}  {by_hand:>10.2?}  {deadstop:>10.2?}  {ratio:>5.2}"
            );
        }
    }
}
