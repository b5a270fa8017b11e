//! Measures one scenario: written by hand and simulated; then judged, rendered, compared and parsed. Also measures
//! the gate.

mod tokio_only;

use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, criterion_group, criterion_main};
use deadstop_harness::report::Store;
use deadstop_harness::scenario::{Scenario, parse};
use deadstop_harness::sim::{Bodies, Options, run};
use deadstop_harness::{journal, laws, report};

#[path = "../tests/support/repository.rs"]
mod repository;

const SHAPE: &str = include_str!("shape.toml");

fn shape() -> Scenario {
    parse("shape", SHAPE).expect("the shape is a scenario")
}

/// Compares a scenario written by hand with the same one simulated, which is to take at most 0.9 of the time.
fn one_scenario(criterion: &mut Criterion) {
    let scenario = shape();
    let journal = run(&scenario, &Options::default());
    let by_hand = tokio_only::run();
    let end = (
        by_hand.last().map(|line| line.0),
        journal.events.last().map(|event| u128::from(event.t)),
    );
    assert_eq!(end, (Some(75_000), Some(75_000)), "both end at 75 s");
    println!(
        "{} lines by hand, {} events simulated",
        by_hand.len(),
        journal.events.len()
    );
    let mut group = criterion.benchmark_group("one scenario");
    group.bench_function("by hand", |bencher| {
        bencher.iter(|| black_box(tokio_only::run()))
    });
    group.bench_function("simulated", |bencher| {
        bencher.iter(|| black_box(run(&scenario, &Options::default())))
    });
    group.finish();
}

/// Compares a scenario with its bodies as coroutines and as threads. It is to be run once as the system schedules
/// this process, and once bound to one CPU (`taskset -c 0 cargo bench`).
fn on_bodies(criterion: &mut Criterion) {
    let scenario = shape();
    let options = |bodies| Options {
        bodies,
        ..Options::default()
    };
    let (coroutines, batons) = (options(Bodies::Coroutines), options(Bodies::Batons));
    assert_eq!(run(&scenario, &coroutines), run(&scenario, &batons));
    let mut group = criterion.benchmark_group("bodies");
    for (name, options) in [("coroutines", coroutines), ("batons", batons)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(run(&scenario, &options)))
        });
    }
    group.finish();
}

/// Measures what follows a run: laws, rendering and comparison are to take at most 40 µs together.
fn judged(criterion: &mut Criterion) {
    let scenario = shape();
    let events = run(&scenario, &Options::default()).events;
    let log = journal::text(&events);
    let mut group = criterion.benchmark_group("judged");
    group.bench_function("laws", |bencher| {
        bencher.iter(|| black_box(laws::judge(&events)))
    });
    group.bench_function("rendering", |bencher| {
        bencher.iter(|| black_box(journal::text(&events)))
    });
    let root = std::env::temp_dir().join(format!("deadstop-bench-{}", std::process::id()));
    let store = Store::new(root.clone());
    store
        .write_pending("shape", &log)
        .and_then(|()| store.accept("shape"))
        .expect("the snapshot can be written");
    group.bench_function("comparison", |bencher| {
        bencher.iter(|| black_box(store.compare("shape", &log)))
    });
    group.bench_function("laws, rendering and comparison", |bencher| {
        bencher.iter(|| {
            let log = journal::text(&events);
            black_box((laws::judge(&events), store.compare("shape", &log)))
        });
    });
    group.bench_function("timeline", |bencher| {
        bencher.iter(|| black_box(report::timeline(&events, report::Style::default())))
    });
    group.finish();
    let _ = std::fs::remove_dir_all(root);
}

/// Measures parsing, which is to take at most 100 µs.
fn parsed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.bench_function("shape", |bencher| {
        bencher.iter(|| black_box(parse("shape", SHAPE)))
    });
    let model = include_str!("../scenarios/model-server.toml");
    group.bench_function("model server", |bencher| {
        bencher.iter(|| black_box(parse("model-server", model)))
    });
    group.finish();
}

/// Measures the gate itself, as a command: it is to take at most 60 ms for all scenarios of this repository.
fn checked(criterion: &mut Criterion) {
    let root = repository::root();
    criterion.bench_function("check of the corpus", |bencher| {
        bencher.iter(|| {
            let ended = Command::new(env!("CARGO_BIN_EXE_deadstop"))
                .arg("check")
                .env("CI", "1")
                .env_remove("GITHUB_ACTIONS")
                .env_remove("GITHUB_STEP_SUMMARY")
                .current_dir(root)
                .output();
            assert!(
                ended.expect("the command starts").status.success(),
                "all is well"
            );
        });
    });
}

criterion_group!(benches, one_scenario, on_bodies, judged, parsed, checked);
criterion_main!(benches);
