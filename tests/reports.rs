//! What `deadstop check` writes for programs, read back by parsers that are not ours.
#![cfg(feature = "cli")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[path = "reports/json.rs"]
mod json;

/// A project of one test's own: a folder with `scenarios`.
struct Project {
    root: PathBuf,
}

/// A db that is closed.
const GOOD: &str = r#"title = "A db is closed"
[worker]
components = [{ closeable = "db", takes = "100ms" }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
[expect]
exit = 0
"#;

/// A pool that uses the db and is closed after it: two laws break.
const WRONG_ORDER: &str = r#"title = "A db is closed"
[worker]
components = [{ closeable = "db", takes = "100ms", order = 1 }, { closeable = "pool", uses = ["db"] }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
"#;

/// The exit code of a command, and its output.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Project {
    fn new(test: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("reports")
            .join(test);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("scenarios")).unwrap();
        Project { root }
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.root.join("scenarios").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Returns a project with a scenario of every verdict that a user can cause, each with its text.
    fn with_each_verdict(test: &str) -> Self {
        let project = Project::new(test)
            .with("a/good.toml", GOOD)
            .with("b/unmet.toml", &GOOD.replace("exit = 0", "exit = 1"))
            .with("c/law.toml", WRONG_ORDER)
            .with("d/own.toml", "title = \"For a worker of one's own\"\n")
            .with("e/invalid.toml", "title = 1\n")
            .with("f/pending.toml", GOOD);
        project.run(&["check", "a/good"]);
        project.run(&["accept", "a/good"]);
        project
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deadstop"));
        command.args(arguments).current_dir(&self.root);
        let variables = ["CI", "TF_BUILD", "INSTA_UPDATE", "INSTA_FORCE_PASS"];
        for variable in variables.iter().chain(&[
            "GITHUB_ACTIONS",
            "GITHUB_STEP_SUMMARY",
            "GITHUB_WORKSPACE",
        ]) {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments))
    }
}

/// Runs a command to its end.
fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
