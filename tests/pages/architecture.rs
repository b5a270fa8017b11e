//! Compares what the pages say of the repository with it: modules and what each uses, dependencies and their number,
//! tests that are named. Counts the words of the glossary.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::page::{in_backticks, read, table_rows};
use crate::repository::{files, root};

/// Maximum number of rows of the glossary: a reader can learn only a few words.
const WORDS: usize = 40;
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
fn the_glossary_stays_short() {
    let page = read("ARCHITECTURE.md");
    let (_, section) = page.split_once("\n## Words\n").unwrap();
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let words = rows.skip(2).count();
    assert!(words > 20, "the table was not found: {words} rows");
    assert!(
        words <= WORDS,
        "{words} words, {WORDS} at most: join two, or drop one"
    );
}

/// What a service compiles, as `ci/tree.sh` counts it.
#[test]
fn the_readme_has_the_numbers_of_packages() {
    let script = read("ci/tree.sh");
    let ceiling = |name: &str| {
        let line = script.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix('='))
            .unwrap_or_else(|| panic!("no {name} in ci/tree.sh"))
    };
    let expected = format!(
        "{} packages, {} with `http`",
        ceiling("ceiling_default"),
        ceiling("ceiling_http")
    );
    let readme = read("README.md").replace('\n', " ");
    assert!(
        readme.contains(&expected),
        "README.md does not say {expected:?}"
    );
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
