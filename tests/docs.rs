//! Compares the written pages with the code: every law, every event and key, every dependency between modules, every
//! link.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::fs;
use std::path::Path;

use deadstop_harness::journal::{self, Event, What};
use deadstop_harness::{laws, sim};

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/repository.rs"]
mod repository;

use corpus::corpus;
use repository::{files, root};

#[path = "docs/faults.rs"]
mod faults;
#[path = "docs/folders.rs"]
mod folders;
#[path = "docs/language.rs"]
mod language;
#[path = "docs/last_lines.rs"]
mod last_lines;
#[path = "docs/links.rs"]
mod links;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the lines of a page without its fenced blocks.
fn without_fences(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns the contents of a page's fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    page.split(&open)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Returns the texts in backticks of a line.
fn in_backticks(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

// Laws.

#[test]
fn laws_page_lists_every_law_as_the_code_does() {
    let page = read("docs/laws.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| [`"))
        .collect();
    let right: Vec<String> = laws::all()
        .iter()
        .map(|law| {
            let file = law.name.replace(['/', '-'], "_");
            format!(
                "| [`{}`](../harness/src/laws/{file}.rs) | {} | {} |",
                law.name, law.rules, law.statement
            )
        })
        .collect();
    assert_eq!(rows, right, "the table should be:\n{}", right.join("\n"));
}

#[test]
fn every_rule_has_a_law_or_is_listed_as_without_one() {
    let contract = read("docs/contract.md");
    let rules: Vec<String> = contract
        .lines()
        .filter_map(|line| line.strip_prefix("### ")?.split_once(". "))
        .map(|(number, _)| number.to_owned())
        .collect();
    let all: Vec<String> = (0..=18).map(|rule| rule.to_string()).collect();
    assert_eq!(rules, all);
    let cited: BTreeSet<&str> = laws::all()
        .iter()
        .flat_map(|law| law.rules.split(", "))
        .collect();
    for rule in &cited {
        assert!(rules.iter().any(|known| known == rule), "no rule {rule}");
    }
    let without: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|rule| !cited.contains(rule))
        .collect();
    let listed = format!("No law watches rules {}:", without.join(" and "));
    assert!(read("docs/laws.md").contains(&listed), "{listed}");
}

#[test]
fn contract_page_uses_every_word_of_the_code() {
    let contract = read("docs/contract.md");
    for state in journal::State::ALL {
        assert!(contract.contains(&format!("`{state}`")), "{state}");
    }
    for by in journal::BoundBy::ALL {
        assert!(contract.contains(&format!("| `{by}` |")), "{by}");
    }
    for outcome in journal::Outcome::ALL {
        assert!(contract.contains(&format!("`{outcome}`")), "{outcome}");
    }
    for reason in journal::RefusedReason::ALL {
        assert!(contract.contains(&format!("`{reason}`")), "{reason}");
    }
}

// The journal.

/// The section of one event in the journal's page.
struct Section {
    claim: bool,
    keys: Vec<String>,
    sometimes: Vec<String>,
    examples: Vec<String>,
}

fn sections() -> BTreeMap<String, Section> {
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
fn events_of_the_code() -> BTreeSet<String> {
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
    let sections: BTreeSet<String> = sections().into_keys().collect();
    assert_eq!(sections, events_of_the_code());
}

/// The harness writes down what a context reports without a word of its own, and knows all of it.
#[test]
fn every_claim_is_the_event_of_its_name() {
    let sections = sections();
    for name in names_of::<journal::Claim>() {
        for example in sections[&name].examples.concat().lines() {
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

// Architecture.

/// Returns the cells of the table rows that begin with a name in backticks, or with a link of one.
fn table_rows(page: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for line in page.lines() {
        if line.starts_with("| `") || line.starts_with("| [`") {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// Sources of the packages whose modules others name.
const LIBRARIES: [&str; 2] = ["src", "harness/src"];

/// Returns the first words of a path, or of each path of a list in braces.
fn first_words(path: &str) -> impl Iterator<Item = &str> {
    let (paths, count) = match path.strip_prefix('{') {
        Some(list) => (list.split("};").next().unwrap_or(list), usize::MAX),
        None => (path, 1),
    };
    paths.split(',').take(count).filter_map(|path| {
        path.trim_start()
            .split(|c: char| !(c.is_lowercase() || c == '_'))
            .next()
    })
}

/// Returns whether a package has a module of that name. A macro's `$crate`, or a type at the root, is not a module.
fn is_module(name: &str) -> bool {
    LIBRARIES.iter().any(|package| {
        let path = root().join(package).join(name);
        !name.is_empty() && (path.is_dir() || path.with_extension("rs").is_file())
    })
}

/// Returns the other modules that the sources in a folder name by a path that begins with one of `prefixes`.
fn named_by(folder: &Path, prefixes: &[&str]) -> BTreeSet<String> {
    let mut sources = Vec::new();
    files(folder, ".rs", &mut sources);
    let mut named = BTreeSet::new();
    for source in sources {
        let text = fs::read_to_string(source).unwrap();
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        let paths = prefixes
            .iter()
            .flat_map(|prefix| code.split(prefix).skip(1));
        let words = paths.flat_map(first_words);
        named.extend(words.filter(|word| is_module(word)).map(str::to_owned));
    }
    named.remove(&*folder.file_name().unwrap().to_string_lossy());
    named
}

#[test]
fn module_dependencies_match_the_architecture_page() {
    let rows = table_rows(&read("ARCHITECTURE.md"));
    let listed: BTreeMap<String, BTreeSet<String>> = rows
        .iter()
        .filter(|row| row[0].starts_with('['))
        .map(|row| {
            let uses = in_backticks(&row[2]).into_iter().map(str::to_owned);
            let (_, link) = row[0].split_once('(').unwrap();
            (link.trim_end_matches(')').to_owned(), uses.collect())
        })
        .collect();
    let mut found = BTreeMap::new();
    for package in LIBRARIES {
        for entry in fs::read_dir(root().join(package)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = path.file_name().unwrap().to_string_lossy();
                let link = format!("{package}/{name}/mod.rs");
                found.insert(link, named_by(&path, &["crate::", "deadstop::"]));
            }
        }
    }
    // Of the command only what it uses of the others: no other package names its modules.
    let command = named_by(&root().join("cli/src"), &["deadstop_harness::"]);
    found.insert("cli/src/main.rs".to_owned(), command);
    assert_eq!(listed, found);
}

/// Each row about what code finds around it names its test, and each test has a row.
#[test]
fn each_ambient_row_of_fidelity_names_its_test() {
    let page = read("docs/fidelity.md");
    let section = page
        .split("## What code finds around it")
        .nth(1)
        .expect("the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2);
    let named: BTreeSet<&str> = rows
        .map(|row| row.split('`').rev().nth(1).unwrap_or(row))
        .collect();
    let tests = read("tests/kit/ambient.rs");
    let tests: BTreeSet<&str> = tests
        .split("#[test]\nfn ")
        .skip(1)
        .map(|test| test.split('(').next().unwrap_or(test))
        .collect();
    assert_eq!(named, tests);
}

#[test]
fn every_dependency_has_its_reason() {
    let page = read("ARCHITECTURE.md");
    let (_, page) = page.split_once("\n## Features and dependencies\n").unwrap();
    let mut listed: Vec<String> = table_rows(page)
        .iter()
        .map(|row| in_backticks(&row[0])[0].to_owned())
        .collect();
    let mut declared = BTreeSet::new();
    let mut section = "";
    let manifests = ["Cargo.toml", "harness/Cargo.toml", "cli/Cargo.toml"].map(read);
    for line in manifests.iter().flat_map(|manifest| manifest.lines()) {
        if line.starts_with('[') {
            section = line;
        }
        let names = section == "[features]" || section.ends_with("dependencies]");
        if let (true, Some((name, _))) = (
            names && !line.starts_with([' ', '#']),
            line.split_once(" = "),
        ) {
            declared.insert(name.trim_end_matches(".workspace").to_owned());
        }
    }
    for own in ["default", "deadstop", "deadstop-harness"] {
        declared.remove(own);
    }
    listed.sort_unstable();
    listed.dedup(); // `serde` is a feature as well.
    assert_eq!(listed, declared.into_iter().collect::<Vec<_>>());
}
