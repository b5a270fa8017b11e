//! The writer: what it writes is read as the same scenario, whose run is the same to the event, and it forgets no key.

use std::collections::BTreeSet;
use std::time::Duration;

use deadstop::context::Limits;
use deadstop_harness::journal::{Kind, Name};
use deadstop_harness::scenario::keys::{KEYS, Place};
use deadstop_harness::scenario::{
    self, Component, Fault, Layout, Scenario, Spanned, Spot, Timed, Trigger, Verb, limits, write,
};
use deadstop_harness::sim::{self, Options};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use toml::de::{DeTable, DeValue};

use crate::corpus::{corpus, parse};

/// Number of random scenarios that are written and read again.
const RANDOM: u64 = 400;

/// Asserts that a scenario's text is read as the same scenario, and that the scenario is written as that text again.
fn assert_same_when_read(scenario: &Scenario) -> String {
    let text = write(scenario);
    assert_read_as(scenario, &text);
    assert_eq!(write(&parse(&scenario.name, &text)), text);
    text
}

fn assert_read_as(scenario: &Scenario, text: &str) {
    let read = parse(&scenario.name, text).without_spans();
    assert_eq!(read, scenario.clone().without_spans(), "\n{text}");
}

/// Asserts that a scenario and its text, read again, have the same journal.
fn assert_same_journal(scenario: &Scenario) {
    let events = |scenario: &Scenario| sim::run(scenario, &Options::default()).events;
    let text = write(scenario);
    let written = parse(&scenario.name, &text);
    assert_eq!(events(&written), events(scenario), "\n{text}");
}

#[test]
fn corpus_is_read_as_it_was_written() {
    for scenario in corpus() {
        assert_same_when_read(&scenario);
        assert_same_journal(&scenario);
    }
}

#[test]
fn random_scenarios_are_read_as_they_were_written() {
    for seed in 0..RANDOM {
        let scenario = parse("random", &scenario::random(seed));
        assert_same_when_read(&scenario);
        assert_same_journal(&scenario);
    }
}

/// Returns the keys of a file, each with the title of its place.
fn keys_of(text: &str) -> BTreeSet<(&'static str, String)> {
    fn add(place: Place, value: &DeValue<'_>, keys: &mut BTreeSet<(&'static str, String)>) {
        match value {
            DeValue::Array(items) => items
                .iter()
                .for_each(|item| add(place, item.get_ref(), keys)),
            DeValue::Table(table) => add_table(place, table, keys),
            _ => {}
        }
    }
    fn add_table(place: Place, table: &DeTable<'_>, keys: &mut BTreeSet<(&'static str, String)>) {
        for (key, value) in table {
            let key = key.get_ref().to_string();
            let below = match (place, &*key) {
                (Place::Top, "worker") => Place::Worker,
                (Place::Top, "timeline") => Place::Timeline,
                (Place::Top, "expect") => Place::Expect,
                (Place::Worker, _) => Place::Component,
                (Place::Timeline, _) => Place::Event,
                _ => place,
            };
            add(below, value.get_ref(), keys);
            keys.insert((place.title(), key));
        }
    }
    let mut keys = BTreeSet::new();
    let table = DeTable::parse(text).expect("what is written is TOML");
    add_table(Place::Top, table.get_ref(), &mut keys);
    keys
}

/// The keys whose examples on the grammar's page are the same file without the key.
const EXAMPLES_OF_DEFAULTS: &[(Place, &str)] = &[
    (Place::Top, "worker"),
    (Place::Top, "timeline"),
    (Place::Top, "expect"),
    (Place::Expect, "breaks"),
];

#[test]
fn every_key_is_written_in_the_file_of_its_example() {
    for (key, text) in scenario::examples() {
        let scenario = parse("example", &text);
        let written = assert_same_when_read(&scenario);
        let is_default = EXAMPLES_OF_DEFAULTS.contains(&(key.place, key.name));
        let has = keys_of(&written).contains(&(key.place.title(), key.name.to_owned()));
        assert_eq!(
            has,
            !is_default,
            "{} of {}\n{written}",
            key.name,
            key.place.title()
        );
    }
}

#[test]
fn corpus_and_examples_write_every_key() {
    let mut keys = BTreeSet::new();
    let examples = scenario::examples();
    let examples = examples.iter().map(|(_, text)| parse("example", text));
    for scenario in corpus().into_iter().chain(examples) {
        keys.append(&mut keys_of(&write(&scenario)));
    }
    for key in KEYS {
        assert!(
            keys.contains(&(key.place.title(), key.name.to_owned())),
            "{} of {}",
            key.name,
            key.place.title()
        );
    }
}

/// A file as a person would write it, with each form that a value or list can have.
const AS_WRITTEN: &str = r#"title = "It's as a person would write it"
tags = ["a", 'say "b"']
live = "no: it takes two hours"
allow = ["bounds-over-grace"]

[worker]
grace         = "60s"
reserve       = "5s"
start-timeout = "2s"
pre-stop      = "1s"
ties          = "last"
run           = false
components = [
  { thread = "flusher", order = -10, join-timeout = "5s", period = "700ms", takes = "1s", told = "in-turn" },
  { task = "writer", cancel-timeout = "1h", takes = "250ms", needs = "executor", adopted = true, uses = ["db"] },
  { closeable = "db", order = 100, after = "10m", late = true, async = true, timeout = "3s", floor = "1s" },
  { watchdog = "w", request-timeout = "10s", interval = "5s", attempts = 5, start-grace = "60s" },
]

[timeline]
events = [
  { fail = "main", before = "db", code = 255, message = "two\nlines" },
  { on = "main", register = "db" },
  { at = "5s", job = "writer", count = 4, takes = "forever" },
  { at = "5s", health = "503", takes = "2s", for = "8s", every = 3 },
  { on = "flusher", after = "500ms", hang = "flusher" },
  { at = "10s", call = "stop", from = "writer", callers = 2 },
]

[expect]
exit    = 255
closed  = ["db"]
leaked  = []
ends-at = "10500ms"
lines   = [
  "01.000  info   a line that is too long to stand beside another",
  "02.000  info   another line, which is why they stand below one another",
]
"#;

#[test]
fn a_file_as_a_person_writes_it_is_written_like_that() {
    assert_eq!(write(&parse("a", AS_WRITTEN)), AS_WRITTEN);
    let single = "title = \"A\"\n\n[worker]\ncomponents = [{ closeable = \"db\" }]\n\n[timeline]\nevents = [{ signal = \"SIGTERM\" }]\n";
    assert_eq!(write(&parse("a", single)), single);
    let empty = "title = \"A\"\n\n[worker]\ncomponents = []\n";
    assert_eq!(write(&parse("a", empty)), empty);
    let own = "title = \"A\"\npatience = \"500ms\"\n";
    assert_eq!(write(&parse("a", own)), own);
}

#[test]
fn defaults_are_left_out() {
    let text = r#"
title = "Every default"
tags = []
allow = []
[worker]
grace = "30s"
reserve = "10s"
ties = "first"
start-timeout = "5s"
run = true
components = [
  { thread = "a", order = 0, after = "0ms", late = false, uses = [], takes = "0ms", join-timeout = "2s", told = "at-once" },
  { task = "b", cancel-timeout = "2s", adopted = false },
  { stop = "c", timeout = "10s", async = false },
  { watchdog = "d", join-timeout = "2s", interval = "10s", attempts = 3, request-timeout = "120s" },
]
[timeline]
events = [
  { at = "0ms", call = "stop", callers = 1 },
  { on = "a", after = "0ms", hang = "a", for = "forever" },
  { at = "1s", job = "b", count = 1, takes = "0ms" },
  { at = "1s", health = "200", takes = "0ms", for = "forever", every = 1 },
]
[expect]
breaks = []
"#;
    let expected = r#"title = "Every default"

[worker]
components = [
  { thread = "a" },
  { task = "b" },
  { stop = "c" },
  { watchdog = "d" },
]

[timeline]
events = [
  { call = "stop" },
  { on = "a", hang = "a" },
  { at = "1s", job = "b", takes = "0s" },
  { at = "1s", health = "200" },
]
"#;
    assert_eq!(write(&parse("a", text)), expected);
}

#[test]
fn limits_of_an_own_worker_are_left_out() {
    let own = Limits::new()
        .grace(Duration::from_secs(12))
        .reserve(Duration::from_secs(3))
        .margin(Duration::from_millis(100))
        .last_registered_first()
        .start_timeout(Duration::from_secs(1))
        .pre_stop(Duration::from_secs(2))
        .resolve()
        .expect("limits that fit one another");
    let read = |text: &str| {
        let scenario = scenario::parse_with("own", text, Some(&own)).expect("a scenario");
        scenario.without_spans()
    };
    let layout = Layout::new().limits(own);
    let bare = "title = \"A\"\n";
    assert_eq!(layout.write(&read(bare)), bare);
    // The usual defaults are not this worker's.
    let usual = r#"
title = "A"
[worker]
grace = "30s"
reserve = "10s"
start-timeout = "5s"
pre-stop = "1ms"
ties = "first"
"#;
    let usual = read(usual);
    let text = layout.write(&usual);
    for key in ["grace", "reserve", "start-timeout", "pre-stop", "ties"] {
        let keys = keys_of(&text);
        assert!(
            keys.contains(&("[worker]", key.to_owned())),
            "{key}\n{text}"
        );
    }
    assert_eq!(read(&text), usual);
}

/// A text of any characters, often of such as have a meaning in TOML or for a terminal.
fn any_text() -> impl Strategy<Value = String> {
    let hostile = prop_oneof![
        any::<char>(),
        proptest::sample::select(
            &[
                '"', '\'', '\\', '\n', '\r', '\t', '\0', '\u{7f}', '\u{85}', '\u{202e}', '#', ']',
                '\u{feff}'
            ][..]
        ),
    ];
    vec(hostile, 0..12).prop_map(String::from_iter)
}

/// A text that a title, a reason or a name can be.
fn any_line() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| {
        let steers = |c: char| {
            c.is_control()
                || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        format!("x{}x", text.replace(steers, ""))
    })
}

fn any_spot() -> impl Strategy<Value = Spot> {
    let keys = KEYS.iter().collect::<Vec<_>>();
    let position = 0_usize..4;
    (proptest::sample::select(keys), position, any::<bool>()).prop_map(|(key, n, of_key)| {
        match (key.place, of_key) {
            (Place::Component, true) => Spot::ComponentKey(n, key.name),
            (Place::Component, false) => Spot::Component(n),
            (Place::Event, true) => Spot::EventKey(n, key.name),
            (Place::Event, false) => Spot::Event(n),
            (place, _) => Spot::Key(place, key.name),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_text_is_read_as_it_was_written(
        texts in vec(any_text(), 0..4),
        lines in vec(any_line(), 4),
    ) {
        let mut scenario = Scenario::new("any", lines[0].clone());
        scenario.tags = texts.clone();
        scenario.not_live = Some(lines[1].clone());
        let name: Name = lines[2].as_str().into();
        scenario.worker.components = Some(vec![Component::new(Kind::Thread, name.clone())]);
        scenario.timeline = texts.iter().map(|text| {
            let (name, message) = (name.clone(), Some(text.clone()));
            let verb = Verb::Fault { name: name.clone(), fault: Fault::Panic { message, before: None } };
            Timed::new(Trigger::On { name, after: Duration::from_millis(1) }, verb)
        }).collect();
        let parts: Vec<_> = texts.into_iter().map(Spanned::from).collect();
        scenario.expect.lines = Some(parts.into());
        scenario.expect.leaked = Some(vec![name].into());
        assert_same_when_read(&scenario);
    }

    #[test]
    fn no_comment_changes_what_a_file_says(
        seed in 0..100_u64,
        comments in vec((any_spot(), any::<bool>(), any_text()), 0..8),
    ) {
        let scenario = parse("random", &scenario::random(seed));
        let mut layout = Layout::new();
        for (spot, beside, text) in comments {
            layout = match beside {
                true => layout.beside(spot, text),
                false => layout.before(spot, text),
            };
        }
        assert_read_as(&scenario, &layout.write(&scenario));
    }
}

#[test]
fn largest_scenario_with_usual_names_fits_a_file() {
    let mut scenario = Scenario::new("large", "As many components as a file can have");
    let names = (0..limits::COMPONENTS).map(|n| format!("component {n}"));
    scenario.worker.components = Some(
        names
            .map(|name| Component::new(Kind::Closeable, name))
            .collect(),
    );
    assert_same_when_read(&scenario);
}
