//! Compares the pages about laws and the contract with the code.

use std::collections::BTreeSet;

use deadstop_harness::{journal, laws};

use crate::page::read;

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
    let missing: Vec<&str> = right
        .iter()
        .filter(|row| !rows.contains(&row.as_str()))
        .map(String::as_str)
        .collect();
    assert!(
        missing.is_empty(),
        "write in docs/laws.md, in place of the rows of these laws:\n{}",
        missing.join("\n")
    );
    assert!(
        rows == right,
        "put the rows of docs/laws.md in the order of `LAWS` in harness/src/laws/judge.rs, and leave no other row"
    );
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
