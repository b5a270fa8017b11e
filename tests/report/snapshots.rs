//! Compares our reader, comparator and writer of snapshots with insta's own.
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use deadstop_harness::report::{Policy, SnapshotError, State, Store, Wrote};

use crate::repository;

/// Returns an empty folder of the test's own.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("snapshots")
        .join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Returns whether insta's assertion passes, with this value of `INSTA_UPDATE`.
///
/// The assertion runs in a process of its own. insta reads the environment, and a developer's setting
/// (`INSTA_UPDATE=always`) would pass, or even repair, what these tests expect to fail.
fn insta_with(update: &str, folder: &Path, name: &str, text: &str) -> bool {
    let ended = Command::new(env::current_exe().unwrap())
        .args(["--exact", "snapshots::insta_asserts", "--ignored"])
        .env_remove("INSTA_FORCE_PASS")
        .env_remove("INSTA_REQUIRE_FULL_MATCH")
        .env("INSTA_UPDATE", update)
        .env("INSTA_WORKSPACE_ROOT", repository::root())
        .env("ASSERT_FOLDER", folder)
        .env("ASSERT_NAME", name)
        .env("ASSERT_TEXT", text)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&ended.stdout);
    // A child that did not get as far as the assertion gives no answer.
    assert!(stdout.contains("running 1 test"), "{stdout}");
    assert!(
        ended.status.success() || stdout.contains("snapshot assertion for"),
        "{stdout}"
    );
    ended.status.success()
}

/// Returns whether insta's assertion holds. Writes nothing.
fn insta_holds(folder: &Path, name: &str, text: &str) -> bool {
    insta_with("no", folder, name, text)
}

#[test]
#[ignore = "the part of the other tests that runs in a process of its own"]
fn insta_asserts() {
    let Some(folder) = env::var_os("ASSERT_FOLDER") else {
        return;
    };
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let name = env::var("ASSERT_NAME").unwrap();
    let text = env::var("ASSERT_TEXT").unwrap();
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A log with text that could trouble a format: a fence, quotes, a colon, blanks, text that is not ASCII.
const LOG: &str =
    "     0.000  .      began  main (#0)\n---\n  key: \"value\" # \\ 'x'\n\n10.000  ä…\n";

#[test]
fn insta_passes_on_what_was_accepted_here() {
    let root = folder("ours");
    let store = Store::new(root.clone());
    store.write_pending("signals/second", LOG).unwrap();
    store.accept("signals/second").unwrap();
    assert!(insta_holds(&root.join("signals"), "second", LOG));
    // insta has to detect a difference too. Otherwise the line above would prove nothing.
    let other = LOG.replace("10.000", "10.001");
    assert!(!insta_holds(&root.join("signals"), "second", &other));
}

#[test]
fn snapshot_written_by_insta_compares_as_the_same() {
    let root = folder("instas");
    insta_with("always", &root, "drain", LOG);
    assert!(root.join("drain.snap").exists());
    let store = Store::new(root);
    assert_eq!(store.compare("drain", LOG).unwrap(), State::Same);
    let old = LOG.trim_end().to_owned();
    assert_eq!(store.compare("drain", "x").unwrap(), State::Differs { old });
}

#[test]
fn insta_and_the_store_judge_line_ends_alike() {
    let root = folder("newlines");
    let store = Store::new(root.clone());
    store.record("a", "one\ntwo\n", Policy::Accept).unwrap();
    for (text, same) in [
        ("one\ntwo", true),
        ("one\ntwo\n\n \n", true),
        ("one\r\ntwo\r\n", true),
        ("one \ntwo", false),
        ("one\n\ntwo", false),
        ("one\rtwo", false),
        ("", false),
    ] {
        let ours = store.compare("a", text).unwrap() == State::Same;
        assert_eq!(ours, same, "{text:?}");
        assert_eq!(insta_holds(&root, "a", text), same, "{text:?}");
    }
    // A checkout may change the line breaks of the file.
    let crlf = fs::read_to_string(root.join("a.snap"))
        .unwrap()
        .replace('\n', "\r\n");
    fs::write(root.join("a.snap"), crlf).unwrap();
    assert_eq!(store.compare("a", "one\ntwo").unwrap(), State::Same);
    assert!(insta_holds(&root, "a", "one\ntwo"));
}

#[test]
fn pending_file_of_insta_is_pending_here() {
    let root = folder("pending");
    assert!(!insta_with("new", &root, "drain", LOG));
    let store = Store::new(root.clone());
    assert_eq!(store.pending().unwrap(), ["drain"]);
    assert_eq!(
        store.compare("drain", LOG).unwrap(),
        State::Pending { old: None }
    );
    store.accept("drain").unwrap();
    assert!(insta_holds(&root, "drain", LOG));
    let file = fs::read_to_string(root.join("drain.snap")).unwrap();
    assert!(!file.contains("assertion_line"), "{file}");
}

#[test]
fn a_pending_file_of_instas_is_accepted_without_its_line_number() {
    let root = folder("pending-of-insta");
    fs::write(
        root.join("a.snap.new"),
        "---\nsource: tests/scenarios.rs\nassertion_line: 12\nexpression: log\ninfo:\n  seed: 0\n---\nb\n",
    )
    .unwrap();
    let store = Store::new(root.clone());
    store.accept("a").unwrap();
    assert_eq!(
        fs::read_to_string(root.join("a.snap")).unwrap(),
        "---\nsource: tests/scenarios.rs\nexpression: log\ninfo:\n  seed: 0\n---\nb\n"
    );
    assert!(insta_holds(&root, "a", "b"));
    assert!(!root.join("a.snap.new").exists());
}

#[test]
fn a_file_of_ours_begins_as_cargo_insta_demands() {
    let root = folder("header");
    let store = Store::new(root.clone());
    store.write_pending("x/a", "b").unwrap();
    assert_eq!(
        fs::read_to_string(root.join("x/a.snap.new")).unwrap(),
        "---\nsource: tests/scenarios.rs\nexpression: log\n---\nb\n"
    );
    // No other file is left in the folder.
    assert_eq!(fs::read_dir(root.join("x")).unwrap().count(), 1);
}

#[test]
fn a_snapshot_goes_from_missing_to_pending_to_accepted() {
    let store = Store::new(folder("life"));
    assert_eq!(store.compare("a/b", "1").unwrap(), State::Missing);
    store.write_pending("a/b", "1").unwrap();
    assert_eq!(
        store.compare("a/b", "1").unwrap(),
        State::Pending { old: None }
    );
    assert_eq!(store.compare("a/b", "2").unwrap(), State::Missing);
    assert_eq!(store.pending().unwrap(), ["a/b"]);
    store.accept("a/b").unwrap();
    assert_eq!(store.compare("a/b", "1").unwrap(), State::Same);
    let old = || "1".to_owned();
    assert_eq!(
        store.compare("a/b", "2").unwrap(),
        State::Differs { old: old() }
    );
    store.write_pending("a/b", "2").unwrap();
    assert_eq!(
        store.compare("a/b", "2").unwrap(),
        State::Pending { old: Some(old()) }
    );
    assert_eq!(store.pending_text("a/b").unwrap().as_deref(), Some("2"));
    store.reject("a/b").unwrap();
    assert_eq!(
        store.compare("a/b", "2").unwrap(),
        State::Differs { old: old() }
    );
    assert!(store.pending().unwrap().is_empty());
}

#[test]
fn only_what_is_pending_can_be_accepted_or_rejected() {
    let store = Store::new(folder("not-pending"));
    for result in [store.accept("a"), store.reject("a")] {
        let error = result.unwrap_err();
        assert!(matches!(error, SnapshotError::NotPending { .. }));
        assert!(
            error
                .to_string()
                .starts_with("nothing is pending for a: there is no ")
        );
    }
}

#[test]
fn each_policy_writes_what_it_allows() {
    use Wrote::{Nothing, Pending, Snapshot};
    // Each policy, with what it writes for a new text and for a changed one.
    for (policy, unseen, changed) in [
        (Policy::Nothing, Nothing, Nothing),
        (Policy::Pending, Pending, Pending),
        (Policy::Unseen, Pending, Snapshot),
        (Policy::Accept, Snapshot, Snapshot),
    ] {
        let store = Store::new(folder("policies"));
        store.record("old", "1", Policy::Accept).unwrap();
        assert_eq!(
            store.record("new", "1", policy).unwrap(),
            (State::Missing, unseen)
        );
        let old = "1".to_owned();
        assert_eq!(
            store.record("old", "2", policy).unwrap(),
            (State::Differs { old }, changed)
        );
        let pending = store.pending().unwrap();
        assert_eq!(pending.contains(&"new".to_owned()), unseen == Pending);
        assert_eq!(pending.contains(&"old".to_owned()), changed == Pending);
        let accepted = store.compare("old", "2").unwrap() == State::Same;
        assert_eq!(accepted, changed == Snapshot);
        // A pending text is not written again, and is removed when the text is the snapshot's again.
        if changed == Pending {
            assert_eq!(store.record("old", "2", policy).unwrap().1, Nothing);
            assert_eq!(store.record("old", "1", policy).unwrap().0, State::Same);
            assert!(!store.pending().unwrap().contains(&"old".to_owned()));
        }
    }
}

#[test]
fn in_ci_a_pending_file_is_left_alone() {
    let store = Store::new(folder("ci"));
    store.record("a", "1", Policy::Accept).unwrap();
    store.write_pending("a", "2").unwrap();
    let policy = Policy::from_env(Some("true"), Some("always")).unwrap();
    assert_eq!(
        store.record("a", "1", policy).unwrap(),
        (State::Same, Wrote::Nothing)
    );
    assert_eq!(store.pending().unwrap(), ["a"]);
}

#[test]
fn snapshots_without_a_scenario_are_found() {
    let root = folder("unreferenced");
    let store = Store::new(root.clone());
    for name in ["a", "b/c", "b/d"] {
        store.record(name, "1", Policy::Accept).unwrap();
    }
    store.write_pending("b/e", "1").unwrap();
    fs::write(root.join("README.md"), "not a snapshot").unwrap();
    assert_eq!(
        store.unreferenced(["a", "b/d", "gone"]).unwrap(),
        [root.join("b/c.snap")]
    );
    assert!(
        Store::new(root.join("none"))
            .unreferenced([])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_file_that_is_no_snapshot_is_named_with_its_path() {
    let root = folder("malformed");
    let store = Store::new(root.clone());
    fs::write(root.join("a.snap"), "just a text").unwrap();
    let error = store.compare("a", "x").unwrap_err().to_string();
    assert!(
        error.contains(&root.join("a.snap").display().to_string()),
        "{error}"
    );
    assert!(error.contains("its first line is not `---`"), "{error}");
    // Here a folder is in the place of a file.
    fs::create_dir(root.join("b.snap")).unwrap();
    let error = store.compare("b", "x").unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read ") && error.contains("b.snap"),
        "{error}"
    );
    // Here a file is in the place of a folder. Nothing is left behind.
    let error = store
        .write_pending("a.snap/c", "x")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot make the folder "), "{error}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
}
