//! One test for each scenario file: its laws, its expectations, and its log, which insta compares with the snapshot
//! that `deadstop accept` writes.

use std::sync::Arc;

use deadstop_harness::journal::text;
use deadstop_harness::report::{SourceFile, Style, judge, listed};
use deadstop_harness::scenario::{Scenario, ScenarioFile, parse_bytes, render};
use deadstop_harness::sim::{Options, Runners};
use libtest_mimic::{Arguments, Failed, Trial};

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/repository.rs"]
mod repository;

fn main() {
    let runners = Arc::new(Runners::new(2).expect("threads to run scenarios on"));
    let trials = corpus::scenario_files()
        .into_iter()
        .map(|file| {
            let runners = Arc::clone(&runners);
            Trial::test(file.name.clone(), move || scenario_holds(&runners, &file))
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn scenario_holds(runners: &Runners, file: &ScenarioFile) -> Result<(), Failed> {
    let name = &file.name;
    let bytes = file.read()?;
    let file = Arc::new(SourceFile {
        path: format!("scenarios/{name}.toml"),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    });
    let scenario: Scenario = parse_bytes(name, &bytes)
        .map_err(|invalid| render(&invalid.diagnostics, &file.path, &file.text, false))?;
    let scenario = Arc::new(scenario);
    let events = runners
        .run(Arc::clone(&scenario), Options::default())?
        .events;
    let log = text(&events);
    let findings = judge(&scenario, &file, &events);
    if !findings.is_empty() {
        return Err(listed(&findings, Style::default()).into());
    }
    let (folder, stem) = name.rsplit_once('/').unwrap_or(("", name));
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(repository::root().join("snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(stem, log));
    Ok(())
}
