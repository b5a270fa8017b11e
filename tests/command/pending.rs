//! Snapshots on disk: when they are compared, and how pending ones are accepted, rejected and cleaned up.

use std::fs;
use std::thread;
use std::time::SystemTime;

use crate::project::{GOOD, Project, run_to_end};

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
fn in_ci_nothing_is_accepted() {
    let project = Project::new("ci-accept").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    for command in ["accept", "reject"] {
        let refused = project.run_in_ci(&[command]).code(2);
        assert!(refused.err.contains("CI is set"), "{}", refused.err);
    }
    assert_eq!(project.snapshots(), ["snapshots/a.snap.new"]);
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
fn standard_input_has_no_snapshot_to_accept() {
    let project = Project::new("dash").with("with-dash.toml", GOOD);
    project.run(&["check"]).code(5);
    for command in ["accept", "reject"] {
        let refused = project.run(&[command, "-"]).code(2);
        assert!(refused.err.contains("standard input"), "{}", refused.err);
    }
    project.run(&["new", "-"]).code(2);
}
