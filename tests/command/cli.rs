//! The command as a user meets it: what it prints, what it writes, and its exit code.

use std::fs;

use crate::project::{Ended, GOOD, Project, WRONG_ORDER, json, run_to_end};

#[test]
fn a_new_project_goes_from_missing_to_well() {
    let project = Project::new("new");
    let new = project.run(&["new", "context/lost-flush"]).code(0);
    assert!(
        new.out
            .starts_with("wrote scenarios/context/lost-flush.toml\n"),
        "{}",
        new.out
    );
    let missing = project.run(&["check"]).code(5);
    assert!(
        missing.out.contains("1 with a snapshot to review"),
        "{}",
        missing.out
    );
    assert_eq!(
        project.snapshots(),
        ["snapshots/context/lost-flush.snap.new"]
    );
    project.run(&["check"]).code(5);
    let accepted = project.run(&["accept"]).code(0);
    assert_eq!(accepted.out, "accepted context/lost-flush\n");
    let well = project.run(&["check"]).code(0);
    assert_eq!(well.out.lines().count(), 1, "{}", well.out);
    assert!(well.out.ends_with(": all well\n"), "{}", well.out);
    assert_eq!(project.snapshots(), ["snapshots/context/lost-flush.snap"]);
    project.run(&["lint"]).code(0);
    // An existing file is never overwritten.
    let again = project.run(&["new", "context/lost-flush"]).code(1);
    assert!(again.err.contains("exists already"), "{}", again.err);
    project.run(&["new", "../outside"]).code(2);
}

#[test]
fn a_log_that_changed_fails_with_its_difference() {
    let project = Project::new("differs").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    project.run(&["accept"]).code(0);
    let project = project.with(
        "a.toml",
        &GOOD
            .replace("order", "")
            .replace("closeable = \"db\"", "closeable = \"db\", order = 7"),
    );
    let differs = project.run(&["check"]).code(1);
    insta::assert_snapshot!("check-differs", differs.said());
    // The result is the same in CI: the pending file that was left is no reason to pass.
    project.run_in_ci(&["check"]).code(1);
}

#[test]
fn a_failed_expectation_points_at_its_line_and_names_the_replay() {
    let project = Project::new("unmet").with("a.toml", &GOOD.replace("exit = 0", "exit = 1"));
    let failed = project.run(&["check"]).code(1);
    insta::assert_snapshot!("check-unmet", failed.said());
    let replay = failed
        .out
        .lines()
        .find_map(|line| line.strip_prefix("replay: deadstop "))
        .unwrap();
    let arguments: Vec<_> = replay.split(' ').collect();
    let again = project.run(&arguments).code(1);
    assert!(
        again.out.contains("expected the exit code 1: it was 0"),
        "{}",
        again.out
    );
}

#[test]
fn a_broken_law_is_named_with_what_it_says() {
    let project = Project::new("law").with("a.toml", WRONG_ORDER);
    insta::assert_snapshot!("check-law", project.run(&["check"]).code(1).said());
}

#[test]
fn gravest_of_several_verdicts_decides_the_exit_code() {
    let project = Project::new("several")
        .with("a.toml", GOOD)
        .with("b.toml", &GOOD.replace("exit = 0", "exit = 1"));
    project.run(&["check", "a"]).code(5);
    project.run(&["check"]).code(1);
    let project = project.with("c.toml", "titel = \"x\"\n");
    let invalid = project.run(&["check"]).code(3);
    assert!(invalid.out.contains("did you mean"), "{}", invalid.out);
    assert!(invalid.out.contains("FAIL b: "), "{}", invalid.out);
    project.run(&["check", "nowhere"]).code(4);
    project.run(&["check", "--jobs", "0"]).code(2);
    project.run(&["check", "--seed", "5..5"]).code(2);
}

#[test]
fn check_json_has_a_line_per_scenario_and_one_of_totals() {
    let project = Project::new("json")
        .with("a.toml", GOOD)
        .with("b.toml", &GOOD.replace("exit = 0", "exit = 1"))
        .with("c.toml", WRONG_ORDER)
        .with("d.toml", "title = \"For a worker of one's own\"\n");
    project.run(&["check"]);
    project.run(&["accept", "a"]).code(0);
    fs::write(project.root.join("snapshots/gone.snap"), "---\n---\n").unwrap();
    let out = project.run(&["check", "--format", "json"]).code(1).out;
    let mut lines: Vec<_> = out.lines().map(json).collect();
    assert_eq!(lines.len(), 5, "{out}");
    let laws = lines[2]["findings"].as_array_mut().unwrap();
    // A second finding is that the pool finds the db closed.
    assert_eq!(laws.len(), 2, "{laws:?}");
    laws.truncate(1);
    let law = &mut laws[0];
    let message = law["message"].take();
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("\"db\" was closed at 10.000")
    );
    // The number of the event leads to it in the journal.
    let journal = project.run(&["run", "c", "--format", "json"]).code(1).out;
    let event = journal.lines().map(json);
    let mut event = event.filter(|event| event["seq"] == law["event"]);
    assert_eq!(event.next().unwrap()["name"], "db");
    law["event"].take();
    lines[1]["findings"][0]["event"].take();
    let events = lines[4]["totals"]["events"].take();
    assert!(events.is_u64());
    assert_eq!(
        lines,
        [
            serde_json::json!({
                "scenario": "a", "path": "scenarios/a.toml", "verdict": "ok",
                "findings": [], "replay": null,
            }),
            serde_json::json!({
                "scenario": "b", "path": "scenarios/b.toml", "verdict": "failed",
                "findings": [{
                    "check": "expectation", "law": null, "expectation": "exit",
                    "message": "expected the exit code 1: it was 0",
                    "path": "scenarios/b.toml", "line": 8, "column": 8,
                    "component": null, "at": 10_100, "event": null,
                    "seed": 0, "replay": "deadstop replay b --seed 0",
                }],
                "replay": "deadstop replay b --seed 0",
            }),
            serde_json::json!({
                "scenario": "c", "path": "scenarios/c.toml", "verdict": "failed",
                "findings": [{
                    "check": "law", "law": "uses/closed-after-users", "expectation": null,
                    "message": null,
                    // The table of the db.
                    "path": "scenarios/c.toml", "line": 4, "column": 15,
                    "component": "db", "at": 10_000, "event": null,
                    "seed": 0, "replay": "deadstop replay c --seed 0",
                }],
                "replay": "deadstop replay c --seed 0",
            }),
            serde_json::json!({
                "scenario": "d", "path": "scenarios/d.toml", "verdict": "not-run",
                "findings": [], "replay": null,
            }),
            // Three scenarios run twice, and the good one also runs with three further seeds.
            serde_json::json!({
                "totals": {
                    "scenarios": 4, "passed": 1, "failed": 2, "skipped": 1, "findings": 4,
                    "runs": 9, "events": null, "not_followed": 0,
                },
                "verdicts": { "failed": 2, "not-run": 1, "ok": 1 },
                "findings": [{
                    "check": "snapshot-unreferenced", "law": null, "expectation": null,
                    "message": "snapshots/gone.snap: no scenario has this snapshot; delete it with `deadstop accept --unreferenced`",
                    "path": "snapshots/gone.snap", "line": null, "column": null,
                    "component": null, "at": null, "event": null, "seed": null, "replay": null,
                }],
            }),
        ]
    );
}

#[test]
fn run_json_is_the_journal_alone() {
    let project = Project::new("journal").with("a.toml", GOOD);
    let run = project.run(&["run", "a", "--format", "json"]).code(0);
    let events: Vec<_> = run.out.lines().map(json).collect();
    assert_eq!(events.first().unwrap()["event"], "journal");
    assert_eq!(events.last().unwrap()["event"], "exit");
    assert!((0..).zip(&events).all(|(seq, event)| event["seq"] == seq));
    // The journal can be replayed. A changed journal is reported as different.
    let path = project.root.join("recorded.jsonl");
    fs::write(&path, &run.out).unwrap();
    let same = project.run(&["replay", "recorded.jsonl"]).code(0);
    assert!(same.err.contains("as recorded"), "{}", same.err);
    fs::write(&path, run.out.replace("\"t\":10100", "\"t\":10101")).unwrap();
    let other = project.run(&["replay", "recorded.jsonl"]).code(1);
    assert!(other.err.contains("not as recorded"), "{}", other.err);
    let own = run
        .out
        .replace(r#""subject":"worker""#, r#""subject":"own-worker""#);
    fs::write(&path, own).unwrap();
    let own = project.run(&["replay", "recorded.jsonl"]).code(3);
    assert!(
        own.err.contains("the journal of a service's own worker"),
        "{}",
        own.err
    );
    fs::write(&path, "{}").unwrap();
    project.run(&["replay", "recorded.jsonl"]).code(3);
}

#[test]
fn the_plan_is_judged_without_snapshots() {
    let project = Project::new("plan").with("a.toml", GOOD);
    project.run(&["check", "--context", "plan"]).code(0);
    assert_eq!(project.snapshots(), [""; 0]);
    let twice = GOOD.replace("[worker]", "[worker]\nrun = false").replace(
        "events = [{ at = \"10s\", signal = \"SIGTERM\" }]",
        "events = [{ at = \"10s\", call = \"cleanup\", callers = 2 }]",
    );
    let project = project.with("twice.toml", &twice.replace("ends-at = \"10100ms\"\n", ""));
    project.run(&["check", "twice"]).code(5);
    let broken = project
        .run(&["check", "--context", "plan", "twice"])
        .code(1);
    assert!(broken.out.contains("steps/exactly-once"), "{}", broken.out);
    assert!(
        broken.out.contains("--context plan --seed 0"),
        "{}",
        broken.out
    );
}

#[test]
fn output_does_not_depend_on_the_number_of_jobs() {
    let mut project = Project::new("jobs");
    for n in 0..40 {
        project = project.with(
            &format!("s{n:02}.toml"),
            &GOOD.replace("exit = 0", &format!("exit = {}", n % 3)),
        );
    }
    let one = project
        .run(&["check", "--seed", "0..5", "--jobs", "1"])
        .code(1);
    let eight = project
        .run(&["check", "--seed", "0..5", "--jobs", "8"])
        .code(1);
    assert_eq!(one.said(), eight.said());
    assert!(one.out.contains("40 scenarios, 400 runs"), "{}", one.out);
    assert!(
        one.out.contains("it fails with 5 seeds: 0, 1, 2, 3, 4"),
        "{}",
        one.out
    );
}

#[test]
fn help_texts_match_their_snapshots() {
    let project = Project::new("help");
    let help = |arguments: &[&str]| {
        let help = project
            .command(arguments)
            .arg("--help")
            .env("COLUMNS", "100")
            .output()
            .unwrap();
        Ended::from(help).code(0).out
    };
    let all = help(&[]);
    let commands = all.split("Commands:\n").nth(1).unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    // A word at the first column of the list is a command; the lines that go on its text are further in.
    let names = commands.filter_map(|line| {
        line.strip_prefix("  ")?
            .split_whitespace()
            .next()
            .filter(|_| !line.starts_with("   "))
    });
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 9, "{names:?}");
    insta::assert_snapshot!("help", all);
    for name in names {
        insta::assert_snapshot!(format!("help-{name}"), help(&[name]));
    }
    project.run(&[]).code(2);
    project.run(&["chek"]).code(2);
}

#[test]
fn a_journal_of_another_version_host_or_subject_is_not_replayed() {
    let project = Project::new("foreign").with("a.toml", GOOD);
    let journal = project.run(&["run", "a", "--format", "json"]).code(0).out;
    for (now, then, words) in [
        (
            r#""version":1"#,
            r#""version":2"#,
            "version 2 of the journal",
        ),
        (
            r#""host":"sim""#,
            r#""host":"live""#,
            "recorded on the host \"live\"",
        ),
        (
            r#""subject":"worker""#,
            r#""subject":"x""#,
            "its subject is \"x\"",
        ),
    ] {
        let path = project.root.join("a.jsonl");
        assert!(journal.contains(now), "{now}");
        fs::write(path, journal.replacen(now, then, 1)).unwrap();
        let err = project.run(&["replay", "a.jsonl"]).code(3).err;
        assert!(err.contains(words), "{err}");
    }
}

/// In this file either the thread or the request to stop may come first: chance decides. Seed 0 gives the order that
/// the file expects.
#[test]
fn expectation_that_one_seed_misses_fails_with_that_seed() {
    let text = r#"
        title = "Faults in the instant of the signal, before it"
        [worker]
        components = [{ task = "a" }, { thread = "b" }]
        [timeline]
        events = [{ at = "5s", fail = "a" }, { at = "5s", panic = "b" }, { at = "5s", signal = "SIGTERM" }]
        [expect]
        exit = 0
        died = ["a", "b"]
    "#;
    let project = Project::new("some-seeds").with("a.toml", text);
    project.run(&["check", "--seed", "0"]).code(0);
    // The log is not accepted.
    let output = project.run(&["check"]).code(1).out;
    assert!(!output.contains("pending"), "{output}");
    project.run(&["accept", "a"]).code(4);
    // This log is made pending before the file expects anything.
    let file = project.root.join("scenarios/a.toml");
    fs::write(&file, text.split("[expect]").next().unwrap()).unwrap();
    project.run(&["check"]).code(5);
    fs::write(&file, text).unwrap();
    let accepted = project.run(&["accept", "a"]).code(1);
    let why = "not accepted: a: with seed 3: expected the exit code 0: it was 1";
    assert!(accepted.err.contains(why), "{}", accepted.err);
    project.run(&["reject", "a"]).code(0);
    // The check fails whether or not `INSTA_UPDATE` lets it accept the log.
    for update in ["no", "always"] {
        let mut check = project.command(&["check"]);
        let failed = run_to_end(check.env("INSTA_UPDATE", update)).code(1).out;
        for words in [
            "expected the exit code 0: it was 1",
            "a  seed 3, worker on sim",
            "replay: deadstop replay a --seed 3",
        ] {
            assert!(failed.contains(words), "{update}: {failed}");
        }
        assert!(!failed.contains("it fails with"), "seed 3 alone: {failed}");
    }
    assert!(project.snapshots().is_empty(), "{:?}", project.snapshots());
}

#[test]
fn run_reports_unstruck_events_and_brief_omits_the_log() {
    let late = GOOD.replace(
        "signal = \"SIGTERM\" }",
        "signal = \"SIGTERM\" }, { on = \"db\", after = \"5s\", signal = \"SIGTERM\" }",
    );
    let project = Project::new("brief").with("a.toml", &late);
    let brief = project.run(&["run", "a", "--brief"]).code(0);
    assert!(
        brief
            .out
            .contains("note: the event at scenarios/a.toml:6 never struck"),
        "{}",
        brief.out
    );
    assert!(!brief.out.contains("step-started"), "{}", brief.out);
    assert!(
        brief.out.contains("exit 0 (stopped) at 10.100"),
        "{}",
        brief.out
    );
    assert!(
        project
            .run(&["run", "a"])
            .code(0)
            .out
            .contains("step-started")
    );
}

#[test]
fn run_of_a_file_without_a_stop_reports_that() {
    let project = Project::new("never").with(
        "a.toml",
        &GOOD.replace("{ at = \"10s\", signal = \"SIGTERM\" }", ""),
    );
    let never = project.run(&["run", "a"]).code(1);
    assert!(
        never
            .out
            .contains("no event of the file asks the worker to stop"),
        "{}",
        never.out
    );
}

#[test]
fn new_scenario_is_for_an_own_worker_where_the_others_are() {
    let project = Project::new("new-own").with("mine.toml", "title = \"mine\"\n");
    project.run(&["new", "next"]).code(0);
    insta::assert_snapshot!("new-own", project.scenario("next"));
    // The new file is valid, but the command cannot run it.
    project.run(&["run", "next"]).code(4);
    // Where the files script their workers, a new file does too.
    let scripted = Project::new("new-scripted").with("a.toml", GOOD);
    scripted.run(&["new", "next"]).code(0);
    insta::assert_snapshot!("new-scripted", scripted.scenario("next"));
    scripted.run(&["run", "next"]).code(0);
}
