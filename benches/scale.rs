//! Measures how memory and time grow with many steps in one context, many short lives in one context, and many runs
//! in one process. Prints a table for each; only the lines of one table can be compared.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::time::{Duration, Instant};

use deadstop::context::{BodyOpts, CallOpts, Limits, WorkerCtx};
use deadstop_harness::scenario::parse;
use deadstop_harness::sim::{Options, run};

/// Returns the resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Measures a million runs in one process: memory is flat.
fn runs() {
    let scenario = parse("shape", include_str!("shape.toml")).expect("the shape is a scenario");
    println!("{:>10}  {:>12}  {:>10}", "runs", "resident", "each");
    let mut done = 0_u64;
    for until in [1_000, 10_000, 100_000, 250_000, 500_000, 750_000, 1_000_000] {
        let (began, n) = (Instant::now(), until - done);
        for seed in done..until {
            std::hint::black_box(run(
                &scenario,
                &Options {
                    seed,
                    ..Options::default()
                },
            ));
        }
        done = until;
        let each = began.elapsed() / u32::try_from(n).unwrap_or(u32::MAX);
        println!("{done:>10}  {:>8} KiB  {each:>10.1?}", resident_kib());
    }
}

/// Measures a context of `n` steps: returns how long its stop takes, and what a step costs in memory, in bytes.
fn steps(n: u32) -> (Duration, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let before = resident_kib();
        let ctx = WorkerCtx::builder()
            .limits(Limits::new().grace(Duration::from_secs(3_600)))
            .build(())
            .expect("the limits are allowed");
        for step in 0..n {
            let opts = CallOpts::new().order(i32::try_from(step % 1_000).unwrap_or(0));
            ctx.defer_stop_async(format!("step {step}"), opts, || async {
                Ok::<(), std::io::Error>(())
            })
            .expect("it is taken");
        }
        let began = Instant::now();
        let report = ctx.stop().await.expect("called from outside");
        let took = began.elapsed();
        assert_eq!(report.steps.len(), n as usize);
        assert!(report.is_ok());
        let grown = resident_kib().saturating_sub(before);
        (took, grown as f64 * 1_024.0 / f64::from(n))
    })
}

/// Measures one context in which 10,000 tasks and 1,000 threads end by themselves, over and over: memory is flat.
fn short_lives() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    println!("{:>10}  {:>12}  {:>10}", "ended", "resident", "each");
    runtime.block_on(async {
        let ctx = WorkerCtx::new(());
        let mut done = 0;
        for until in [1, 10, 25, 50, 75, 100] {
            let (began, n) = (Instant::now(), until - done);
            for _ in done..until {
                for _ in 0..10_000 {
                    ctx.add_task("short", BodyOpts::new(), |_token| async {})
                        .expect("it is taken");
                }
                for _ in 0..1_000 {
                    ctx.add_thread("short", BodyOpts::new(), |_scope| {})
                        .expect("it is taken");
                }
                while !ctx.budget().stop.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            done = until;
            let each = began.elapsed() / (n * 11_000);
            println!(
                "{:>10}  {:>8} KiB  {each:>10.1?}",
                done * 11_000,
                resident_kib()
            );
        }
        let report = ctx.stop().await.expect("called from outside");
        assert!(report.steps.is_empty(), "all had ended before");
    });
}

fn main() {
    // `cargo test --benches` only checks that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "\n{:>10}  {:>10}  {:>14}  {:>14}",
        "steps", "stop", "per n log n", "memory a step"
    );
    for n in [100_000, 50_000, 25_000, 12_500] {
        let (took, bytes) = steps(n);
        let unit = took.as_nanos() as f64 / (f64::from(n) * f64::from(n).log2());
        println!("{n:>10}  {took:>10.1?}  {unit:>11.1} ns  {bytes:>12.0} B");
    }
    println!();
    short_lives();
    println!();
    runs();
}
