//! Compares coroutines and batons: both have to give the same journals.

use std::sync::Arc;

use deadstop_harness::journal;
use deadstop_harness::sim::{Bodies, Options, Run, Runners, Subject};

use crate::corpus::corpus;

/// Runs every file of the corpus with both subjects and several seeds, and compares the journals to the byte.
#[test]
fn corpus_journals_are_equal_on_coroutines_and_batons() {
    let corpus: Vec<_> = corpus().into_iter().map(Arc::new).collect();
    assert!(corpus.len() > 50, "{}", corpus.len());
    let mut runs = Vec::new();
    for scenario in &corpus {
        for subject in [Subject::Worker, Subject::Plan] {
            for seed in [0, 1, 99] {
                for bodies in [Bodies::Coroutines, Bodies::Batons] {
                    let options = Options {
                        seed,
                        subject,
                        bodies,
                    };
                    runs.push(Run::new(Arc::clone(scenario), options));
                }
            }
        }
    }
    let runners = Runners::new(2).expect("there are threads");
    let journals: Vec<_> = runners
        .run_all(runs.iter().cloned())
        .map(|ran| ran.expect("a run has a journal").journal)
        .collect();
    for (runs, journals) in runs.chunks(2).zip(journals.chunks(2)) {
        let (name, options) = (&runs[0].scenario.name, runs[0].options);
        assert_eq!(
            journal::json(&journals[0].events),
            journal::json(&journals[1].events),
            "{name}, {options:?}"
        );
        assert_eq!(journals[0], journals[1], "{name}, {options:?}");
    }
    assert_eq!(runners.left_behind(), 0);
}
