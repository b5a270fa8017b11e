//! Checks that every link of every page leads to an existing file, and to an existing heading if it names one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::page::without_fences;
use crate::repository::{files, root};

/// Returns the fragment under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    without_fences(page)
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// Returns the targets of a page's links. Skips code, in which a bracket is not a link.
pub fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in without_fences(page) {
        let plain: String = line.split('`').step_by(2).collect();
        for rest in plain.split("](").skip(1) {
            links.extend(rest.split([')', ' ']).next().map(str::to_owned));
        }
        let reference = plain
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        if let Some((_, to)) = reference {
            links.extend(to.split_whitespace().next().map(str::to_owned));
        }
    }
    links
}

/// Returns what is wrong with a link of a file, if it is dead.
fn dead(file: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, part) = link.split_once('#').unwrap_or((link, ""));
    let to = match path {
        "" => file.to_owned(),
        path => file.parent().unwrap().join(path),
    };
    if !to.exists() {
        return Some(format!("{}: {link} leads nowhere", file.display()));
    }
    let in_page = !part.is_empty() && to.extension().is_some_and(|end| end == "md");
    let lost = in_page && !anchors(&fs::read_to_string(&to).unwrap()).contains(part);
    lost.then(|| format!("{}: {link} has no such heading", file.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = Vec::new();
    files(root(), ".md", &mut pages);
    let mut checked = 0;
    let mut wrong = Vec::new();
    for page in pages {
        let links = links(&fs::read_to_string(&page).unwrap());
        checked += links.len();
        wrong.extend(links.iter().filter_map(|link| dead(&page, link)));
    }
    assert!(checked > 30, "only {checked} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_dead_link_is_seen() {
    let page = root().join("docs/laws.md");
    assert!(dead(&page, "nowhere.md").is_some());
    assert!(dead(&page, "contract.md#99-nothing").is_some());
    assert_eq!(dead(&page, "contract.md#3-bounds"), None);
    assert_eq!(dead(&page, "https://example.com/nowhere"), None);
    let text = "a [b](c.md) and `[no](link)`\n```\n[no](link)\n```\n[d]: e.md\n";
    assert_eq!(links(text), ["c.md", "e.md"]);
}
