//! The language of sources, as far as a script can see it: the length of test names, and comments that begin with a
//! word that stands for no thing.

use std::fs;
use std::path::PathBuf;

use crate::repository::{files, root};

/// Maximum number of characters of a test's name.
const NAME: usize = 60;
/// Words with which no comment begins: the component, the caller or the thread that is meant has a name.
const VAGUE: &[&str] = &[
    "Everybody",
    "Nobody",
    "So many",
    "Somebody",
    "Whatever",
    "Who ",
    "Whoever",
];

/// Returns every line of every source with its place.
fn lines() -> Vec<(String, String)> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in [
        "src",
        "harness/src",
        "cli/src",
        "tests",
        "benches",
        "examples",
    ] {
        files(&root().join(folder), ".rs", &mut found);
    }
    assert!(found.len() > 200, "{} sources", found.len());
    let mut all = Vec::new();
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        let lines = text.lines().enumerate();
        all.extend(lines.map(|(at, line)| (format!("{path}:{}", at + 1), line.trim().to_owned())));
    }
    all
}

/// Returns the text of a line that is a comment.
fn comment(line: &str) -> Option<&str> {
    let text = line.strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim_start())
}

#[test]
fn test_names_are_short() {
    let mut is_test = false;
    let mut long = Vec::new();
    for (place, line) in lines() {
        let name = line
            .strip_prefix("async fn ")
            .or_else(|| line.strip_prefix("fn "))
            .and_then(|rest| rest.split(['(', '<']).next());
        match name {
            Some(name) if is_test && name.len() > NAME => long.push(format!("{place}: {name}")),
            _ => {}
        }
        let begins_test = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        is_test = begins_test || is_test && name.is_none();
    }
    assert!(
        long.is_empty(),
        "shorten to {NAME} characters, as condition_result:\n{}",
        long.join("\n")
    );
}

#[test]
fn comments_begin_with_what_they_are_about() {
    let vague: Vec<String> = lines()
        .into_iter()
        .filter(|(_, line)| {
            comment(line).is_some_and(|text| VAGUE.iter().any(|word| text.starts_with(word)))
        })
        .map(|(place, line)| format!("{place}: {line}"))
        .collect();
    assert!(
        vague.is_empty(),
        "name the component, caller, thread or number that is meant:\n{}",
        vague.join("\n")
    );
}
