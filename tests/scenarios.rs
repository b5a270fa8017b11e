//! One test for each scenario file: its laws, its expectations, and its log, which insta compares with the snapshot
//! that `deadstop accept` writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadstop::journal::text;
use deadstop::report::{Source, Style, judge};
use deadstop::scenario::{Scenario, parse_bytes, render};
use deadstop::sim::{Options, Runners};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    find(&root.join("scenarios"), &mut files);
    files.sort();
    assert!(!files.is_empty(), "there are scenarios to test");
    let runners = Arc::new(Runners::new(2).expect("threads to run scenarios on"));
    let trials = files
        .into_iter()
        .map(|path| {
            let runners = Arc::clone(&runners);
            Trial::test(name(root, &path), move || {
                scenario_holds(&runners, root, &path)
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("scenarios can be read") {
        let path = entry.expect("scenarios can be read").path();
        if path.is_dir() {
            find(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
}

fn name(root: &Path, path: &Path) -> String {
    let below = path
        .strip_prefix(root.join("scenarios"))
        .unwrap_or(path)
        .with_extension("");
    below
        .iter()
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

fn scenario_holds(runners: &Runners, root: &Path, path: &Path) -> Result<(), Failed> {
    let name = name(root, path);
    let bytes = std::fs::read(path)?;
    let source = String::from_utf8_lossy(&bytes);
    let file = format!("scenarios/{name}.toml");
    let scenario: Scenario = parse_bytes(&name, &bytes)
        .map_err(|invalid| render(&invalid.diagnostics, &file, &source, false))?;
    let scenario = Arc::new(scenario);
    let events = runners
        .run(Arc::clone(&scenario), Options::default())?
        .events;
    let log = text(&events);
    let source = Source {
        path: &file,
        text: &source,
    };
    let findings = judge(&scenario, source, &events);
    if !findings.is_empty() {
        let messages: Vec<_> = findings
            .iter()
            .map(|finding| {
                let shown = finding.shown(source, Style::default());
                format!("{}: {finding}\n{shown}", finding.kind)
            })
            .collect();
        return Err(messages.join("\n").into());
    }
    let (folder, stem) = name.rsplit_once('/').unwrap_or(("", &name));
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(root.join("snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(stem, log));
    Ok(())
}
