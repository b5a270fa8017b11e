//! Validates the lines of `check --format json` by the published schema, with a validator that is not ours.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::{GOOD, Project};

/// Returns the errors of each line by `schema/check.json`.
fn errors(lines: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/check.json");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let schema = compiler.compile(path, &mut schemas).unwrap();
    let lines = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let checked = schemas.validate(&line, schema);
        checked.err().map(|error| format!("{line}: {error:#}"))
    });
    lines.flatten().collect()
}

#[test]
fn every_line_of_a_check_fits_the_schema() {
    let project = Project::with_each_verdict("json");
    let checked = project.run(&["check", "--format", "json"]);
    assert_eq!(checked.code, Some(3), "{}", checked.err);
    assert_eq!(errors(&checked.out), [""; 0]);
    let lines = checked.out.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let (totals, scenarios) = lines.split_last().unwrap();
    let verdicts: Vec<&Value> = scenarios.iter().map(|line| &line["verdict"]).collect();
    let right = ["ok", "failed", "failed", "not-run", "invalid", "snapshot"];
    assert_eq!(verdicts, right);
    assert_eq!(totals["totals"]["scenarios"], 6);
}

#[test]
fn lines_of_one_seed_fit_the_schema() {
    let project = Project::with_each_verdict("json-seed");
    let checked = project.run(&["check", "--format", "json", "--seed", "3..5"]);
    assert_eq!(errors(&checked.out), [""; 0]);
    let plan = project.run(&["check", "--format", "json", "--context", "plan"]);
    assert_eq!(errors(&plan.out), [""; 0]);
}

#[test]
fn the_schema_refuses_a_line_that_is_changed() {
    let project = Project::new("json-changed").with("a.toml", &GOOD.replace("exit = 0", "exit = 1"));
    let checked = project.run(&["check", "--format", "json"]);
    assert_eq!(errors(&checked.out), [""; 0]);
    let first = checked.out.lines().next().unwrap();
    for (from, to) in [
        (r#""verdict":"failed""#, r#""verdict":"ok""#),
        (r#""kind":"expectation""#, r#""kind":"law""#),
        (r#""kind":"expectation""#, r#""kind":"guess""#),
        (r#""line":7"#, r#""line":0"#),
        (r#""seed":0,"#, ""),
        (r#""seed":0"#, r#""seed":0,"speed":1"#),
    ] {
        assert!(first.contains(from), "{first} has no {from}");
        assert_eq!(errors(&first.replace(from, to)).len(), 1, "{from} {to}");
    }
}

#[test]
fn every_finding_has_a_place_in_a_file() {
    let project = Project::with_each_verdict("json-places");
    let checked = project.run(&["check", "--format", "json"]);
    let mut kinds = BTreeSet::new();
    for line in checked.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for finding in line["findings"].as_array().unwrap() {
            kinds.insert(finding["kind"].as_str().unwrap().to_owned());
            let path = project.root.join(finding["path"].as_str().unwrap());
            let text = std::fs::read_to_string(&path).unwrap();
            let at = finding["line"].as_u64().unwrap() as usize;
            assert!(text.lines().nth(at - 1).is_some(), "{finding}");
        }
    }
    let kinds: Vec<String> = kinds.into_iter().collect();
    assert_eq!(kinds, ["expectation", "invalid", "law", "snapshot-missing"]);
}
