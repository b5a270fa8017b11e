//! No file of the corpus holds by the luck of one seed: events of one instant may come in another order, and then
//! they do, and the file still holds.
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use deadstop_harness::sim::{Options, Ran, Run, Runners, Subject};

use crate::corpus::{Verdict, corpus};

/// Seeds besides 0, which every other test runs. Without optimisation 200 of them take most of a minute.
const SEEDS: Range<u64> = 1..if cfg!(debug_assertions) { 40 } else { 200 };

#[test]
fn every_file_holds_at_every_seed() {
    let mut wrong = Vec::new();
    for scenario in corpus() {
        for seed in SEEDS {
            let verdict = Verdict::of(&scenario, Subject::Worker, seed);
            wrong.extend(
                verdict
                    .problems(&scenario)
                    .iter()
                    .map(|what| format!("{}, seed {seed}: {what}", scenario.name)),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} things are wrong, first\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

#[test]
fn seeds_give_different_orders_of_events() {
    let chosen = corpus().iter().any(|scenario| {
        let order = |seed| -> Vec<_> {
            let events = Verdict::of(scenario, Subject::Worker, seed).events;
            events.into_iter().map(|event| event.what.name()).collect()
        };
        order(1) != order(2)
    });
    assert!(
        chosen,
        "two seeds give the same order of events in every file: a sweep shows nothing"
    );
}

#[test]
fn journals_do_not_depend_on_the_thread_or_order_of_runs() {
    let mut runs = Vec::new();
    for scenario in corpus().into_iter().map(Arc::new) {
        for subject in [Subject::Worker, Subject::Plan] {
            for seed in [0, 1, 99] {
                let options = Options {
                    seed,
                    subject,
                    ..Options::default()
                };
                runs.push(Run::new(Arc::clone(&scenario), options));
            }
        }
    }
    let runners = Runners::new(2).unwrap();
    let first: Vec<Ran> = runners
        .run_all(runs.iter().cloned())
        .map(Result::unwrap)
        .collect();
    let elsewhere = runs.iter().zip(&first).rev();
    let second = runners.run_all(elsewhere.map(|(run, ran)| run.clone().not_on(ran.on)));
    let mut on = BTreeSet::new();
    for (ran, again) in first.iter().rev().zip(second) {
        let again = again.unwrap();
        assert_ne!(ran.on, again.on);
        assert_eq!(ran.journal, again.journal);
        on.insert(again.on);
    }
    assert_eq!(on.len(), 2, "both threads had something to do");
}
