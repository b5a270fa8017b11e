//! The command as a user meets it: what it prints, what it writes, and its exit code.
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::project::{Ended, GOOD, Project, WRONG_ORDER, run_to_end};

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
fn in_ci_nothing_is_written() {
    let project = Project::new("ci").with("a.toml", GOOD);
    project.run_in_ci(&["check"]).code(5);
    assert_eq!(project.snapshots(), [""; 0]);
}

#[test]
fn rejected_log_is_removed() {
    let project = Project::new("reject").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    assert_eq!(project.run(&["reject", "a"]).code(0).out, "rejected a\n");
    assert_eq!(project.snapshots(), [""; 0]);
    assert_eq!(project.run(&["accept"]).code(0).out, "nothing is pending\n");
    let err = project.run(&["accept", "b"]).code(4).err;
    assert!(err.contains("nothing is pending for \"b\""), "{err}");
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
fn unreferenced_snapshots_are_found_without_a_test_run() {
    let project = Project::new("unreferenced")
        .with("a.toml", GOOD)
        .with("b.toml", GOOD);
    project.run(&["check"]).code(5);
    project.run(&["accept"]).code(0);
    project.run(&["check"]).code(0);
    fs::remove_file(project.root.join("scenarios/b.toml")).unwrap();
    let over = project.run(&["check"]).code(5);
    assert!(
        over.out.contains("no scenario has this snapshot"),
        "{}",
        over.out
    );
    // A check of some scenarios reports nothing about the snapshots of the others.
    project.run(&["check", "a"]).code(0);
    project.run(&["accept", "--unreferenced"]).code(0);
    project.run(&["check"]).code(0);
    assert_eq!(project.snapshots(), ["snapshots/a.snap"]);
}

#[test]
fn a_selection_is_a_path_a_part_of_a_name_or_a_tag() {
    let project = Project::new("select")
        .with("x/one.toml", GOOD)
        .with("y/two.toml", &GOOD.replace("small", "large"));
    let selected = |what: &[&str]| {
        let mut arguments = vec!["check", "--format", "json"];
        arguments.extend(what);
        let out = project.run(&arguments).out;
        scenarios(&out)
    };
    assert_eq!(selected(&[]), ["x/one", "y/two"]);
    assert_eq!(selected(&["one"]), ["x/one"]);
    assert_eq!(selected(&["scenarios/y"]), ["y/two"]);
    assert_eq!(
        selected(&["scenarios/x/one.toml", "y/two"]),
        ["x/one", "y/two"]
    );
    assert_eq!(selected(&["large"]), ["y/two"]);
    let near = project.run(&["run", "onne"]).code(4);
    assert!(near.err.contains("did you mean \"x/one\"?"), "{}", near.err);
    let several = project.run(&["run", "x/one.toml"]).code(0);
    assert!(several.out.contains("as expected"), "{}", several.out);
}

/// Returns the names of the scenarios in a check's JSON output.
fn scenarios(checked: &str) -> Vec<String> {
    let names = checked.lines().map(|line| json(line)["scenario"].take());
    let names = names.filter(|name| !name.is_null());
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
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
fn a_scenario_comes_from_standard_input_too() {
    let project = Project::new("stdin");
    let with = |text: &str| -> Ended {
        let mut child = project
            .command(&["run", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap().into()
    };
    let well = with(GOOD).code(0);
    assert!(
        well.out.contains("A db is closed") && well.out.contains("as expected"),
        "{}",
        well.out
    );
    with("title = 3").code(3);
    // The command cannot run a scenario for an own worker.
    with("title = \"mine\"\n").code(4);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::new("pipe").with("a.toml", GOOD);
    let mut child = project
        .command(&["run", "a"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
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
fn files_of_one_name_are_all_judged() {
    let project = Project::new("one-name").with("a/bug.toml", GOOD);
    for folder in ["one", "other"] {
        fs::create_dir_all(project.root.join(folder)).unwrap();
    }
    fs::write(
        project.root.join("one/bug.toml"),
        GOOD.replace("exit = 0", "exit = 1"),
    )
    .unwrap();
    fs::write(project.root.join("other/bug.toml"), GOOD).unwrap();
    project
        .run(&["check", "one/bug.toml", "other/bug.toml"])
        .code(1);
    project
        .run(&["check", "other/bug.toml", "one/bug.toml"])
        .code(1);
    let both = project
        .run(&["check", "one", "other", "one/bug.toml"])
        .code(1);
    assert!(both.out.contains("2 scenarios, 7 runs"), "{}", both.out);
}

#[test]
fn snapshots_are_compared_from_a_subfolder_too() {
    let project = Project::new("subfolder").with("x/one.toml", GOOD);
    project.run(&["check"]).code(5);
    project.run(&["accept"]).code(0);
    fs::write(
        project.root.join("snapshots/x/one.snap"),
        "---\nsource: tests/scenarios.rs\n---\nanother log\n",
    )
    .unwrap();
    for (folder, what) in [
        ("scenarios/x", "."),
        ("scenarios/x", "one.toml"),
        ("scenarios/x", "../x/one.toml"),
        ("scenarios", "x"),
        ("scenarios", "x/one.toml"),
        ("scenarios/x", ".."),
        (".", "scenarios"),
    ] {
        let mut command = project.command(&["check", what]);
        command
            .env("CI", "1")
            .current_dir(project.root.join(folder));
        let ended = run_to_end(&mut command);
        assert!(
            ended.code(1).out.contains("FAIL x/one: the log is not"),
            "{folder} {what}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_among_scenarios_do_not_hang_a_command() {
    let project = Project::new("links").with("a.toml", GOOD);
    std::os::unix::fs::symlink("..", project.root.join("scenarios/loop")).unwrap();
    let one = project.run(&["check"]).code(5);
    assert!(one.out.contains("1 scenario, 5 runs"), "{}", one.out);
    let pipe = project.root.join("scenarios/pipe.toml");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let pipe = project.run(&["check"]).code(3);
    assert!(
        pipe.out.contains("it is not a regular file"),
        "{}",
        pipe.out
    );
    project.run(&["run", "scenarios/pipe.toml"]).code(3);
    project.run(&["lint"]).code(3);
}

/// Bazel, Nix and stow lay files out like this: each is a link to the real file.
#[test]
fn a_linked_scenario_is_compared_with_its_snapshot() {
    let project = Project::new("linked").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    project.run(&["accept"]).code(0);
    let file = project.root.join("scenarios/a.toml");
    let elsewhere = project.root.join("elsewhere.toml");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink("../elsewhere.toml", &file).unwrap();
    project.run_in_ci(&["check"]).code(0);
    let snapshot = project.root.join("snapshots/a.snap");
    let accepted = fs::read_to_string(&snapshot).unwrap();
    fs::write(&snapshot, accepted + "one line more\n").unwrap();
    let changed = project.run_in_ci(&["check"]).code(1);
    assert!(changed.out.contains("one line more"), "{}", changed.out);
    project.run_in_ci(&["check", "scenarios/a.toml"]).code(1);
}

#[test]
fn links_and_capital_extensions_count_and_skips_are_reported() {
    let project = Project::new("walk").with("a.TOML", GOOD);
    let real = project.root.join("elsewhere");
    fs::create_dir_all(&real).unwrap();
    fs::write(real.join("b.toml"), GOOD).unwrap();
    std::os::unix::fs::symlink("../elsewhere", project.root.join("scenarios/linked")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", project.root.join("scenarios/twice")).unwrap();
    let both = project.run(&["check"]).code(5);
    assert!(both.out.contains("2 scenarios, 10 runs"), "{}", both.out);
    assert!(both.out.contains("linked/b"), "{}", both.out);
    let err = &both.err;
    assert!(err.contains("note: not followed: "), "{err}");
    assert!(err.contains("scenarios/twice is a link to "), "{err}");
    let below = project.run(&["check", "scenarios"]).code(5);
    assert_eq!(
        below.err.matches("note: not followed").count(),
        1,
        "{}",
        below.err
    );
    assert!(
        below.out.contains("events, 1 link not followed in "),
        "{}",
        below.out
    );
    let json = project.run(&["check", "--format", "json"]).code(5).out;
    assert!(json.contains(r#""not_followed":1"#), "{json}");
    let through_link = project.root.join("scenarios/linked/b.toml");
    let accepted = project
        .run(&["accept", through_link.to_str().unwrap()])
        .code(0);
    assert_eq!(accepted.out, "accepted linked/b\n");
    let deep = project.root.join("scenarios").join("x/".repeat(40));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("c.toml"), GOOD).unwrap();
    let deep = project.run(&["check"]).code(3);
    assert!(
        deep.err.contains("more than 32 levels deep"),
        "{}",
        deep.err
    );
}

#[test]
fn no_variable_passes_a_changed_log() {
    let project = Project::new("force-pass").with("a.toml", GOOD);
    let mut check = project.command(&["check"]);
    let forced = run_to_end(check.env("INSTA_FORCE_PASS", "1"));
    let err = forced.code(5).err;
    assert!(err.contains("INSTA_FORCE_PASS is ignored"), "{err}");
    let mut check = project.command(&["check"]);
    let check = check.env("INSTA_FORCE_PASS", "1").env("CI", "true");
    run_to_end(check).code(5);
    // Now the accepted log differs from the scenario's log.
    project.run(&["accept"]).code(0);
    let accepted = project.root.join("snapshots/a.snap");
    let log = fs::read_to_string(&accepted).unwrap();
    assert!(log.contains("10.000"), "{log}");
    fs::write(&accepted, log.replace("10.000", "11.000")).unwrap();
    for ci in ["true", ""] {
        let mut check = project.command(&["check"]);
        let check = check.env("INSTA_FORCE_PASS", "1").env("CI", ci);
        let output = run_to_end(check).code(1).out;
        assert!(
            output.contains("the log is not the accepted one"),
            "{output}"
        );
    }
}

#[test]
fn whole_name_does_not_select_names_that_contain_it() {
    let project = Project::new("exact")
        .with("a1.toml", GOOD)
        .with("a10.toml", GOOD)
        .with("xa1.toml", GOOD);
    project.run(&["check"]).code(5);
    let accepted = project.run(&["accept", "a1"]).code(0);
    assert_eq!(accepted.out, "accepted a1\n");
    let rejected = project.run(&["reject", "./scenarios/a10.toml"]).code(0);
    assert_eq!(rejected.out, "rejected a10\n");
}

#[test]
fn snapshot_is_accepted_by_its_file_from_anywhere() {
    let project = Project::new("by-file")
        .with("x/a.toml", GOOD)
        .with("x/ab.toml", GOOD);
    project.run(&["check"]).code(5);
    let mut accept = project.command(&["accept", "a.toml"]);
    let accept = accept.current_dir(project.root.join("scenarios/x"));
    assert_eq!(run_to_end(accept).code(0).out, "accepted x/a\n");
    let file = project.root.join("scenarios/x/a.toml");
    let again = project.run(&["accept", file.to_str().unwrap()]).code(4);
    assert!(
        again.err.contains("nothing is pending for"),
        "{}",
        again.err
    );
    assert!(
        again
            .err
            .contains("makes a log pending if it is not accepted"),
        "{}",
        again.err
    );
    let elsewhere = project.root.join("elsewhere.toml");
    fs::write(&elsewhere, GOOD).unwrap();
    let outside = project.run(&["accept", "elsewhere.toml"]).code(4);
    assert!(
        outside
            .err
            .contains("only files below the folder `scenarios` have"),
        "{}",
        outside.err
    );
}

#[test]
fn concurrent_accepts_do_not_fail_each_other() {
    let mut project = Project::new("at-once");
    for n in 0..40 {
        project = project.with(&format!("s{n:02}.toml"), GOOD);
    }
    project.run(&["check"]).code(5);
    let output = thread::scope(|scope| {
        let accept = || run_to_end(&mut project.command(&["accept"])).code(0).out;
        let commands = [(); 4].map(|()| scope.spawn(accept));
        commands.map(|command| command.join().unwrap()).concat()
    });
    for n in 0..40 {
        assert!(output.contains(&format!("accepted s{n:02}\n")), "{output}");
    }
    assert_eq!(project.snapshots().len(), 40, "and nothing is left beside");
    project.run(&["check"]).code(0);
}

#[test]
fn drafts_of_a_killed_command_are_removed() {
    let project = Project::new("killed").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    let draft = |name: &str| {
        let path = project.root.join("snapshots").join(name);
        fs::File::create(path).unwrap()
    };
    let long_ago = SystemTime::UNIX_EPOCH;
    draft(".deadstop-4711-0.tmp")
        .set_modified(long_ago)
        .unwrap();
    draft("notes.tmp").set_modified(long_ago).unwrap();
    draft(".deadstop-4712-0.tmp");
    project.run(&["accept"]).code(0);
    let left = [
        "snapshots/.deadstop-4712-0.tmp",
        "snapshots/a.snap",
        "snapshots/notes.tmp",
    ];
    assert_eq!(project.snapshots(), left, "what may still be written stays");
}

#[test]
fn snapshot_or_journal_that_is_no_regular_file_is_refused() {
    let project = Project::new("special").with("a.toml", GOOD);
    fs::create_dir_all(project.root.join("snapshots")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", project.root.join("snapshots/a.snap")).unwrap();
    let zero = project.run(&["check"]).code(1);
    assert!(
        zero.said().contains("it is not a regular file"),
        "{}",
        zero.said()
    );
    std::os::unix::fs::symlink("/dev/zero", project.root.join("a.jsonl")).unwrap();
    let zero = project.run(&["replay", "a.jsonl"]).code(3);
    assert!(
        zero.err.contains("it is not a regular file"),
        "{}",
        zero.err
    );
    let large = fs::File::create(project.root.join("large.jsonl")).unwrap();
    large.set_len((256 << 20) + 1).unwrap();
    let large = project.run(&["replay", "large.jsonl"]).code(3);
    assert!(large.err.contains("larger than 256 MiB"), "{}", large.err);
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
fn name_without_its_folder_selects_the_scenario() {
    let project = Project::new("short")
        .with("x/ties.toml", GOOD)
        .with("x/ties-reversed.toml", GOOD);
    project.run(&["run", "ties"]).code(0);
    let two = project.run(&["check", "ties", "--format", "json"]).code(5);
    assert_eq!(scenarios(&two.out), ["x/ties", "x/ties-reversed"]);
    let none = project.run(&["run", "./nowhere.toml"]).code(4);
    assert!(
        none.err.contains("no such file: ./nowhere.toml"),
        "{}",
        none.err
    );
}

#[test]
fn in_ci_nothing_is_accepted() {
    let project = Project::new("ci-accept").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    for command in ["accept", "reject"] {
        let refused = project.run_in_ci(&[command]).code(2);
        assert!(refused.err.contains("CI is set"), "{}", refused.err);
    }
    assert_eq!(project.snapshots(), ["snapshots/a.snap.new"]);
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_no_success() {
    let project = Project::new("full").with("a.toml", GOOD);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = project.command(&["run", "a"]);
    let ended: Ended = command.stdout(full).output().unwrap().into();
    let ended = ended.code(70);
    assert!(
        ended.err.contains("cannot write to standard output"),
        "{}",
        ended.err
    );
}

#[cfg(unix)]
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a process is waited for in real time"
)]
fn interrupt_ends_the_command_at_once() {
    use std::os::unix::process::ExitStatusExt;

    // A command that a shell runs in the background ignores SIGINT, and so do its children. A signal that has a
    // handler here is not ignored by a child.
    let as_ever = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_default(signal_hook::consts::SIGINT, as_ever).unwrap();
    let project = Project::new("interrupt").with("a.toml", GOOD);
    let mut child = project
        .command(&["check", "--seed", "0..10000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let kill = |signal: &str| Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(kill("-INT").success());
    // The child's output ends when the child ends.
    let mut out = child.stdout.take().unwrap();
    let (ends, ended) = mpsc::channel();
    thread::spawn(move || ends.send(std::io::copy(&mut out, &mut std::io::sink()).is_ok()));
    if ended.recv_timeout(Duration::from_secs(30)).is_err() {
        kill("-KILL");
    }
    // A shell reports 130: 128 and the signal's number.
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

#[test]
fn failing_or_stale_log_is_not_accepted() {
    let project = Project::new("accept-wrong").with("a.toml", GOOD);
    // A log that breaks its own expectations is not made pending.
    let project = project.with("b.toml", &GOOD.replace("exit = 0", "exit = 1"));
    project.run(&["check"]).code(1);
    assert_eq!(project.snapshots(), ["snapshots/a.snap.new"]);
    // A log that the scenario no longer gives is not accepted.
    let project = project.with(
        "a.toml",
        &GOOD.replace("100ms", "200ms").replace("10100ms", "10200ms"),
    );
    let stale = project.run(&["accept"]).code(1);
    assert!(
        stale.err.contains("no longer gives the pending log"),
        "{}",
        stale.err
    );
    // A log that now breaks an expectation is not accepted either.
    let project = project.with("a.toml", GOOD);
    project.run(&["check", "a"]).code(5);
    let project = project.with("a.toml", &GOOD.replace("exit = 0", "exit = 1"));
    let broken = project.run(&["accept"]).code(1);
    assert!(
        broken.err.contains("expected the exit code 1: it was 0"),
        "{}",
        broken.err
    );
    fs::remove_file(project.root.join("scenarios/a.toml")).unwrap();
    let gone = project.run(&["accept"]).code(1);
    assert!(
        gone.err.contains("no scenario has this name any longer"),
        "{}",
        gone.err
    );
    assert_eq!(project.snapshots(), ["snapshots/a.snap.new"]);
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
fn check_that_runs_nothing_is_not_well() {
    let project = Project::new("own-only").with("mine.toml", "title = \"mine\"\n");
    let checked = project.run(&["check"]).code(4);
    assert!(!checked.out.contains("all well"), "{}", checked.out);
    assert!(
        checked
            .out
            .contains(": nothing was run: the tests of your worker do that"),
        "{}",
        checked.out
    );
}

#[test]
fn standard_input_has_no_snapshot_to_accept() {
    let project = Project::new("dash").with("with-dash.toml", GOOD);
    project.run(&["check"]).code(5);
    for command in ["accept", "reject"] {
        let refused = project.run(&[command, "-"]).code(2);
        assert!(refused.err.contains("standard input"), "{}", refused.err);
    }
    project.run(&["new", "-"]).code(2);
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

#[test]
fn help_that_cannot_be_written_is_no_success() {
    let project = Project::new("help-full");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ended = project.command(&["--help"]).stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(70));
}

#[test]
fn no_argument_begins_a_line_or_steers_the_terminal() {
    let project = Project::new("hostile").with("a.toml", GOOD);
    let hostile = "./x\n::error::forged\u{1b}[2J\u{9b}1m\u{202e}";
    let option = format!("--{hostile}");
    let journal = format!("{hostile}.jsonl");
    for arguments in [
        ["check", hostile],
        ["lint", hostile],
        ["run", hostile],
        ["replay", hostile],
        ["replay", &journal],
        ["live", hostile],
        ["accept", hostile],
        ["reject", hostile],
        ["new", hostile],
        ["check", &option],
        [&option, "check"],
        [hostile, "check"],
    ] {
        let ended = project.run(&arguments);
        assert_ne!(ended.code, Some(0), "{arguments:?}");
        let output = ended.out + &ended.err;
        assert!(!output.is_empty(), "{arguments:?}");
        assert!(
            output.lines().all(|line| !line.starts_with("::")),
            "{arguments:?}: {output}"
        );
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!output.contains(steers), "{arguments:?}: {output:?}");
    }
}
