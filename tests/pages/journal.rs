//! Compares the page of the journal with the events and words of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};

use deadstop_harness::journal::{self, Event, What};
use deadstop_harness::sim;

use crate::corpus::corpus;
use crate::page::{blocks, in_backticks, read};

/// The section of one event in the journal's page.
pub struct Section {
    claim: bool,
    keys: Vec<String>,
    sometimes: Vec<String>,
    pub examples: Vec<String>,
}

pub fn sections() -> BTreeMap<String, Section> {
    let page = read("docs/journal.md");
    let parts = page.split("\n### `").skip(1);
    parts
        .map(|part| {
            let part = part.split("\n## ").next().unwrap();
            let (name, text) = part.split_once("`\n\n").unwrap();
            let listed = |word: &str| {
                let mut lines = text.lines().filter(|line| line.starts_with(word));
                let line = lines.next().unwrap_or_default();
                assert!(lines.next().is_none(), "{name}: two lines of {word}");
                in_backticks(line).into_iter().map(str::to_owned).collect()
            };
            let claim = text.starts_with("Claim");
            assert!(claim || text.starts_with("Fact"), "{name}: claim or fact?");
            let section = Section {
                claim,
                keys: listed("Keys: "),
                sometimes: listed("Sometimes, "),
                examples: blocks(text, "json"),
            };
            (name.to_owned(), section)
        })
        .collect()
}

/// Returns the names of all events that the code can parse.
pub fn events_of_the_code() -> BTreeSet<String> {
    names_of::<What>()
}

/// Returns the names of all events that a type can be.
fn names_of<T: serde::de::DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(r#"{"event":"?"}"#).err().unwrap();
    let error = error.to_string();
    let (_, names) = error.split_once("expected one of ").expect("it names them");
    in_backticks(names).into_iter().map(str::to_owned).collect()
}

/// Returns the keys of a JSON object, in their order in the text.
fn keys(line: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<_, serde::de::IgnoredAny>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            from.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Keys>(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .0
}

/// Returns how an event differs from its section in the page, if it does.
fn difference_from_page(sections: &BTreeMap<String, Section>, event: &Event) -> Option<String> {
    let name = event.what.name();
    let Some(section) = sections.get(name) else {
        return Some(format!("`{name}` has no section"));
    };
    if section.claim != event.what.is_claim() {
        return Some(format!("`{name}` is called a claim, or a fact, wrongly"));
    }
    let line = journal::json(std::slice::from_ref(event));
    let has = keys(&line);
    let mut right: Vec<&str> = vec!["t", "seq", "event"];
    right.extend(section.keys.iter().map(String::as_str));
    let sometimes = section.sometimes.iter().map(String::as_str);
    right.extend(sometimes.filter(|key| has.iter().any(|has| has == key)));
    (has != right).then(|| format!("`{name}` has {has:?}, and by the page {right:?}"))
}

#[test]
fn journal_page_has_one_section_per_event() {
    let (sections, events): (BTreeSet<String>, _) =
        (sections().into_keys().collect(), events_of_the_code());
    let missing: Vec<_> = events.difference(&sections).collect();
    assert!(
        missing.is_empty(),
        "add sections to docs/journal.md: {missing:?}"
    );
    let unknown: Vec<_> = sections.difference(&events).collect();
    assert!(
        unknown.is_empty(),
        "docs/journal.md has sections of no event: {unknown:?}"
    );
}

/// The harness writes down what a context reports without a word of its own, and knows all of it.
#[test]
fn every_claim_is_the_event_of_its_name() {
    let sections = sections();
    for name in names_of::<journal::Claim>() {
        let section = sections.get(&name);
        let section =
            section.unwrap_or_else(|| panic!("add a section `{name}` to docs/journal.md"));
        for example in section.examples.concat().lines() {
            let event = journal::parse_json(example).unwrap().remove(0);
            let claim = event.what.to_claim();
            let claim = claim.unwrap_or_else(|| panic!("{name} is no claim"));
            assert_eq!(claim.name(), name);
            assert_eq!(What::from(&claim), event.what);
            let json = serde_json::to_string(&claim).unwrap();
            let (_, keys) = example.split_once(r#""event""#).unwrap();
            assert_eq!(json, format!(r#"{{"event"{keys}"#));
        }
    }
}

#[test]
fn journal_page_examples_are_events_to_the_letter() {
    let sections = sections();
    for (name, section) in &sections {
        assert!(!section.examples.is_empty(), "{name} has no example");
        let mut shown = BTreeSet::new();
        for example in section.examples.concat().lines() {
            let events = journal::parse_json(example).unwrap_or_else(|e| panic!("{example}: {e}"));
            assert_eq!(journal::json(&events).trim_end(), example);
            assert_eq!(events[0].what.name(), name);
            assert_eq!(difference_from_page(&sections, &events[0]), None);
            shown.extend(keys(example));
        }
        for key in section.sometimes.iter().chain(&section.keys) {
            assert!(shown.contains(key), "{name}: no example shows {key}");
        }
    }
}

#[test]
fn events_of_the_corpus_match_the_journal_page() {
    let sections = sections();
    let mut seen = BTreeSet::new();
    for scenario in corpus() {
        for subject in [sim::Subject::Worker, sim::Subject::Plan] {
            let options = sim::Options {
                subject,
                ..Default::default()
            };
            for event in sim::run(&scenario, &options).events {
                assert_eq!(
                    difference_from_page(&sections, &event),
                    None,
                    "{}: {event:?}",
                    scenario.name
                );
                seen.insert(event.what.name().to_owned());
            }
        }
    }
    let never: Vec<String> = events_of_the_code().difference(&seen).cloned().collect();
    assert_eq!(
        never,
        ["abandoned", "wake-panicked"],
        "a simulated process drops nothing, and no scripted wake panics"
    );
}

/// Asserts that the vocabulary's row has all of its words, in order.
#[track_caller]
fn assert_vocabulary_row<W: Copy + Display + Debug>(page: &str, vocabulary: &str, words: &[W]) {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let row = format!("| {vocabulary} | {} |", words.join(", "));
    assert!(page.lines().any(|line| line == row), "no row {row}");
}

#[test]
fn journal_page_lists_every_word_of_the_code() {
    use journal::*;
    let page = read("docs/journal.md");
    assert_vocabulary_row(&page, "kind", Kind::ALL);
    assert_vocabulary_row(&page, "phase", Phase::ALL);
    assert_vocabulary_row(&page, "state", State::ALL);
    assert_vocabulary_row(&page, "outcome", Outcome::ALL);
    assert_vocabulary_row(&page, "bound_by", BoundBy::ALL);
    assert_vocabulary_row(&page, "ties", Ties::ALL);
    assert_vocabulary_row(&page, "told", Told::ALL);
    assert_vocabulary_row(&page, "how", How::ALL);
    assert_vocabulary_row(&page, "by", By::ALL);
    assert_vocabulary_row(&page, "call", Call::ALL);
    assert_vocabulary_row(&page, "reason of a refusal", RefusedReason::ALL);
    assert_vocabulary_row(&page, "signal", SignalName::ALL);
    assert_vocabulary_row(&page, "is", WatchdogIs::ALL);
    assert_vocabulary_row(&page, "what of a loss", LostWhat::ALL);
    assert_vocabulary_row(&page, "why", StuckWhy::ALL);
    assert_vocabulary_row(&page, "cause", Cause::ALL);
    assert_vocabulary_row(&page, "fault", FaultVerb::ALL);
}

#[test]
fn journal_page_text_example_is_what_is_written() {
    let page = read("docs/journal.md");
    let (_, page) = page.split_once("\n## As text\n").unwrap();
    let events = journal::parse_json(&blocks(page, "json")[0]).unwrap();
    assert_eq!(events.len(), 5);
    assert_eq!(journal::text(&events), blocks(page, "text")[0]);
}
