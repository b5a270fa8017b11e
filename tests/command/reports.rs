//! The reports of a check, read back as their readers read them: Jenkins, GitHub, and programs that read JSON.
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use crate::project::{Ended, GOOD, Project, WRONG_ORDER, run_to_end};
use crate::repository;

mod github;
mod junit;

/// A scenario whose component has a name that means something in every format.
const HOSTILE: &str = r#"title = "A hostile name"
[worker]
components = [{ closeable = "<a>&\"'|*]]>%0A,::`", takes = "100ms" }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
[expect]
leaked = ["<a>&\"'|*]]>%0A,::`"]
"#;

/// Returns a project in which scenarios end in every way that a check can tell of.
fn of_all_kinds(test: &str) -> Project {
    let project = Project::new(test)
        .with("deep/er/good.toml", GOOD)
        .with("unmet.toml", &GOOD.replace("exit = 0", "exit = 1"))
        .with("law.toml", WRONG_ORDER)
        .with("hostile.toml", HOSTILE)
        .with("own.toml", "title = \"For a worker of one's own\"\n")
        .with("invalid.toml", "title = 1\n[wrker]\n")
        .with("unaccepted.toml", GOOD);
    project.run(&["check", "good"]).code(5);
    project.run(&["accept"]).code(0);
    fs::write(project.root.join("snapshots/gone.snap"), "---\n---\n").unwrap();
    project
}

/// Runs a check as GitHub's runner would, with a summary of the step.
fn on_github(project: &Project, arguments: &[&str]) -> Ended {
    let mut command = project.command(arguments);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", &project.root)
        .env("GITHUB_STEP_SUMMARY", summary_of(project));
    run_to_end(&mut command)
}

fn summary_of(project: &Project) -> PathBuf {
    project.root.join("summary.md")
}

/// The schema of a line of a check.
struct Lines {
    schemas: Schemas,
    line: SchemaIndex,
}

impl Lines {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let file = repository::root().join("schema/check-lines.json");
        let line = compiler.compile(file.to_str().unwrap(), &mut schemas);
        Lines {
            line: line.unwrap_or_else(|error| panic!("{error:#}")),
            schemas,
        }
    }

    fn fits(&self, line: &Value) -> Result<(), String> {
        let valid = self.schemas.validate(line, self.line);
        valid.map_err(|error| format!("{error:#}"))
    }

    /// Asserts that every line of a check is as the schema says, and returns the lines.
    #[track_caller]
    fn read(&self, out: &str) -> Vec<Value> {
        let line = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap();
            self.fits(&value)
                .unwrap_or_else(|error| panic!("{line}\n{error}"));
            value
        };
        let lines: Vec<Value> = out.lines().map(line).collect();
        let (last, scenarios) = lines.split_last().unwrap();
        assert!(last.get("totals").is_some(), "the totals come last");
        let names: Vec<_> = scenarios.iter().map(|line| &line["scenario"]).collect();
        assert!(names.iter().all(|name| name.is_string()), "{names:?}");
        assert!(names.is_sorted_by_key(|name| name.as_str()), "{names:?}");
        let totals = |key: &str| last["totals"][key].as_u64().unwrap();
        let ended = totals("passed") + totals("failed") + totals("skipped");
        assert_eq!(totals("scenarios"), ended);
        let findings = lines
            .iter()
            .map(|line| line["findings"].as_array().unwrap().len());
        assert_eq!(totals("findings"), findings.sum::<usize>() as u64);
        lines
    }
}

#[test]
fn json_lines_are_as_their_schema_says() {
    let lines = Lines::new();
    let project = of_all_kinds("reports/json");
    for arguments in [
        &["check", "--format", "json"][..],
        &["check", "--format", "json", "--seed", "0..40"],
        &["check", "--format", "json", "--context", "plan"],
        &["check", "--format", "json", "good"],
    ] {
        lines.read(&project.run(arguments).out);
    }
    project.run(&["accept"]).code(0);
    let accepted = project.root.join("snapshots/unaccepted.snap");
    let log = fs::read_to_string(&accepted).unwrap();
    fs::write(&accepted, log.replace("10.100", "10.200")).unwrap();
    let out = project.run(&["check", "--format", "json"]).out;
    let all = lines.read(&out);
    let mut checks = BTreeMap::new();
    for finding in all
        .iter()
        .flat_map(|line| line["findings"].as_array().unwrap())
    {
        *checks
            .entry(finding["check"].as_str().unwrap())
            .or_insert(0) += 1;
    }
    let checks: Vec<_> = checks.into_keys().collect();
    let right = [
        "expectation",
        "file",
        "law",
        "snapshot-differs",
        "snapshot-unreferenced",
    ];
    assert_eq!(checks, right);
}

#[test]
fn schema_of_the_lines_refuses_what_is_not_so() {
    let lines = Lines::new();
    let project = of_all_kinds("reports/schema");
    let all = lines.read(&project.run(&["check", "--format", "json"]).out);
    let law = all.iter().find(|line| line["scenario"] == "law").unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut line = law.clone();
        change(&mut line);
        lines.fits(&line)
    };
    assert!(changed(&|_| {}).is_ok());
    assert!(changed(&|line| line["path"].take().is_string().then_some(()).unwrap()).is_err());
    assert!(changed(&|line| line["more"] = 1.into()).is_err());
    assert!(changed(&|line| line["findings"][0]["check"] = "other".into()).is_err());
    assert!(changed(&|line| line["findings"][0]["law"] = Value::Null).is_err());
    assert!(changed(&|line| line["findings"][0]["line"] = 0.into()).is_err());
    assert!(changed(&|line| line["findings"][0]["more"] = 1.into()).is_err());
}

/// Returns the contents of a page's fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let parts = page.split(&open).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn page_on_reports_shows_the_lines_of_its_scenario() {
    let page = fs::read_to_string(repository::root().join("docs/reports.md")).unwrap();
    let [scenario] = &blocks(&page, "toml")[..] else {
        panic!("one scenario");
    };
    let project = Project::new("reports/page").with("order.toml", scenario);
    let out = project.run(&["check", "--format", "json"]).code(1).out;
    Lines::new().read(&out);
    assert_eq!(blocks(&page, "json"), [out]);
}

#[test]
fn page_on_reports_names_every_key_and_word_of_the_schema() {
    let page = fs::read_to_string(repository::root().join("docs/reports.md")).unwrap();
    let schema = repository::root().join("schema/check-lines.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let mut words = Vec::new();
    let mut parts = vec![&schema];
    while let Some(part) = parts.pop() {
        if let Some(properties) = part.get("properties").and_then(Value::as_object) {
            words.extend(properties.keys().cloned());
        }
        let listed = part.get("enum").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        words.extend(listed.map(str::to_owned));
        match part {
            Value::Object(object) => parts.extend(object.values()),
            Value::Array(list) => parts.extend(list),
            _ => {}
        }
    }
    assert!(words.len() > 40, "{words:?}");
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn reports_go_to_files_beside_standard_output() {
    let project = of_all_kinds("reports/files");
    // The first check makes a log pending.
    project.run(&["check"]).code(3);
    let plain = project.run(&["check"]).code(3);
    let json = project.run(&["check", "--format", "json"]).code(3).out;
    let both = project
        .run(&[
            "check",
            "--report",
            "text=out/a.txt",
            "--report",
            "json=out/a.jsonl",
        ])
        .code(3);
    let read = |name: &str| fs::read_to_string(project.root.join("out").join(name)).unwrap();
    assert_eq!(both.said(), plain.said());
    assert_eq!(read("a.txt"), both.out);
    assert_eq!(read("a.jsonl"), json);
    // Nothing half-written is left beside them.
    let files = fs::read_dir(project.root.join("out")).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn report_that_cannot_be_written_is_refused_before_any_run() {
    let project = Project::new("reports/refused").with("a.toml", GOOD);
    fs::create_dir(project.root.join("folder")).unwrap();
    for (report, why) in [
        ("junit", "a file is missing: expected junit=FILE"),
        ("github=a", "github takes no file"),
        (
            "xml=a",
            "expected text=FILE, json=FILE, junit=FILE or github",
        ),
        ("junit=folder", "cannot write folder: it exists already"),
        (
            "junit=/dev/null",
            "cannot write /dev/null: it exists already",
        ),
        (
            "json=scenarios/a.toml/b",
            "cannot create the folder scenarios/a.toml: ",
        ),
    ] {
        let refused = project.run(&["check", "--report", report]).code(2);
        assert!(refused.err.contains(why), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    let twice = ["check", "--report", "junit=a", "--report", "json=./a"];
    let twice = project.run(&twice).code(2);
    assert!(
        twice.err.contains("two reports have the same file"),
        "{}",
        twice.err
    );
    assert_eq!(project.snapshots(), [""; 0], "nothing was run");
}

/// A device that is always full refuses what is written, and not that it is opened.
#[cfg(target_os = "linux")]
#[test]
fn report_that_cannot_be_written_at_the_end_is_exit_70() {
    let project = Project::new("reports/full").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    project.run(&["accept"]).code(0);
    let mut command = project.command(&["check", "--report", "github", "--report", "junit=a.xml"]);
    let full = run_to_end(command.env("GITHUB_STEP_SUMMARY", "/dev/full")).code(70);
    assert!(
        full.err.contains("cannot write /dev/full: "),
        "{}",
        full.err
    );
    // The other reports are there.
    assert!(full.out.contains("all well"), "{}", full.out);
    assert!(project.root.join("a.xml").exists());
}
