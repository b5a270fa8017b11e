//! The places of a fault: the page for contributors names four files, and no other file knows a particular fault.

use std::fs;
use std::path::PathBuf;

use deadstop_harness::journal::FaultVerb;

use crate::links::links;
use crate::page::read;
use crate::repository::{files, root};

/// Maximum number of source files in which a fault is written down.
const MOST: usize = 4;

/// Places outside of these files that name a fault, each with the reason.
const ELSEWHERE: &[(&str, FaultVerb, &str)] = &[
    (
        "cli/src/new.rs",
        FaultVerb::Job,
        "the scenario to start from has a job",
    ),
    (
        "harness/src/kit/notes.rs",
        FaultVerb::End,
        "a scripted end is no surprise",
    ),
    (
        "harness/src/laws/ends_explained.rs",
        FaultVerb::Health,
        "it strikes no component",
    ),
    (
        "harness/src/report/timeline/gather.rs",
        FaultVerb::Health,
        "it strikes no component",
    ),
    (
        "harness/src/report/timeline/lane.rs",
        FaultVerb::Job,
        "a job is no fault in a picture",
    ),
    (
        "harness/src/stage/strike.rs",
        FaultVerb::Fail,
        "the plan's kill tool is no component",
    ),
    (
        "harness/src/stage/strike.rs",
        FaultVerb::Health,
        "it strikes no component",
    ),
];

/// Returns the source files that the page names for a new fault.
fn sources() -> Vec<String> {
    let page = read("CONTRIBUTING.md");
    let section = page.split("\n## Add a fault\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("its text");
    let links = links(section).into_iter();
    links
        .filter(|link| link.ends_with(".rs") && !link.starts_with("tests/"))
        .collect()
}

/// Returns the code of a file without its tests, which stand at its end.
fn code(path: &PathBuf) -> String {
    let text = fs::read_to_string(path).unwrap();
    let end = text.find("\nmod tests {").unwrap_or(text.len());
    text[..end].to_owned()
}

#[test]
fn a_fault_is_in_the_files_of_the_page_alone() {
    let sources = sources();
    assert_eq!(sources.len(), MOST, "{sources:?}");
    let mut found = Vec::new();
    for folder in ["src", "harness/src", "cli/src"] {
        files(&root().join(folder), ".rs", &mut found);
    }
    let mut wrong = Vec::new();
    for path in found {
        let text = code(&path);
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        if sources.contains(&path) {
            continue;
        }
        for verb in FaultVerb::ALL {
            let names = [format!("FaultVerb::{verb:?}"), format!("Fault::{verb:?}")];
            let is_known = ELSEWHERE
                .iter()
                .any(|(place, known, _)| *place == path && known == verb);
            if !is_known && names.iter().any(|name| text.contains(name)) {
                wrong.push(format!(
                    "{path}: move what `{verb}` does to one of {}, or say in ELSEWHERE why it is here",
                    sources.join(", ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_fault_is_in_each_of_the_files() {
    for path in sources() {
        let text = code(&root().join(&path));
        for verb in FaultVerb::ALL
            .iter()
            .filter(|verb| **verb != FaultVerb::Health)
        {
            let names = [format!("{verb:?}"), format!("\"{verb}\"")];
            assert!(
                names.iter().any(|name| text.contains(name)),
                "{path} has no `{verb}`"
            );
        }
    }
}
