//! Helpers of several tests: the corpus, and a run of a scenario with its verdict.

#![allow(
    dead_code,
    reason = "each test binary includes this file and uses a part of it"
)]

use deadstop_harness::journal::{self, Event};
use deadstop_harness::laws::{self, Broken};
use deadstop_harness::scenario::{self, Scenario, ScenarioFile, Unmet};
use deadstop_harness::sim::{self, Options, Subject};

use crate::repository;

/// Finds every file of the corpus, in the order of the names.
pub fn scenario_files() -> Vec<ScenarioFile> {
    let folder = repository::root().join("scenarios");
    let found = scenario::scenario_files(&folder).expect("the corpus can be read");
    assert_eq!(found.not_followed, [""; 0]);
    assert!(
        !found.files.is_empty(),
        "no scenarios in {}",
        folder.display()
    );
    found.files
}

/// Returns the text of a file of the corpus.
pub fn text_of(file: &ScenarioFile) -> String {
    let bytes = file.read().expect("a scenario can be read");
    String::from_utf8(bytes).expect("a scenario is text")
}

/// Reads every file of the corpus, in the order of the names.
pub fn corpus() -> Vec<Scenario> {
    let read = |file: &ScenarioFile| parse(&file.name, &text_of(file));
    scenario_files().iter().map(read).collect()
}

/// Parses a scenario from its text. If the text has a mistake, panics with its rendering.
pub fn parse(name: &str, text: &str) -> Scenario {
    match scenario::parse(name, text) {
        Ok(scenario) => scenario,
        Err(invalid) => panic!(
            "{}\n{text}",
            scenario::render(&invalid.diagnostics, name, text, false)
        ),
    }
}

/// A run, with its broken laws and unmet expectations.
pub struct Verdict {
    pub events: Vec<Event>,
    /// The journal as text.
    pub log: String,
    pub broken: Vec<Broken>,
    pub unmet: Vec<Unmet>,
}

impl Verdict {
    pub fn of(scenario: &Scenario, subject: Subject, seed: u64) -> Self {
        let events = sim::run(
            scenario,
            &Options {
                seed,
                subject,
                ..Options::default()
            },
        )
        .events;
        let log = journal::text(&events);
        let broken = laws::judge(&events);
        let names: Vec<&str> = broken.iter().map(|broken| broken.law.name).collect();
        let unmet = scenario::judge(scenario, &events, &names);
        Verdict {
            events,
            log,
            broken,
            unmet,
        }
    }

    pub fn breaks(&self, law: &str) -> bool {
        self.broken.iter().any(|broken| broken.law.name == law)
    }

    pub fn misses(&self, key: &str) -> bool {
        self.unmet.iter().any(|unmet| unmet.key == key)
    }

    /// Returns what is wrong with the run: broken laws that the file does not allow, and unmet expectations.
    pub fn problems(&self, scenario: &Scenario) -> Vec<String> {
        let allowed = &scenario.expect.breaks.value;
        let broken = self
            .broken
            .iter()
            .filter(|broken| !allowed.iter().any(|law| **law == *broken.law.name))
            .map(|broken| format!("{} at {}: {}", broken.law, broken.t, broken.message));
        let unmet = self
            .unmet
            .iter()
            .map(|unmet| format!("{}: {}", unmet.key, unmet.message));
        broken.chain(unmet).collect()
    }
}
