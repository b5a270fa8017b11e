//! The scenarios that a command selects: by path, part of a name, tag or standard input, and what is skipped.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::project::{Ended, GOOD, Project, json};

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
