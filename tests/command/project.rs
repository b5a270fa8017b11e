//! A project of one test's own, and the command in it.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A project of one test's own: a folder with `scenarios`.
pub struct Project {
    pub root: PathBuf,
}

pub const GOOD: &str = r#"title = "A db is closed"
tags = ["small"]
[worker]
components = [{ closeable = "db", takes = "100ms" }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
[expect]
exit = 0
closed = ["db"]
ends-at = "10100ms"
"#;

/// A scenario in which the pool uses the db and is closed after it.
pub const WRONG_ORDER: &str = r#"title = "A db is closed"
tags = ["small"]
[worker]
components = [{ closeable = "db", takes = "100ms", order = 1 }, { closeable = "pool", uses = ["db"] }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
[expect]
exit = 0

ends-at = "10100ms"
"#;

/// Maximum real time of a command.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command to its end. Kills a command that hangs, so that its test fails.
pub fn run_to_end(command: &mut Command) -> Ended {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id().to_string();
    let (over, is_over) = mpsc::channel::<()>();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            if is_over.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &id]).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(over);
        output
    });
    output.into()
}

impl Project {
    pub fn new(test: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("cli")
            .join(test);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("scenarios")).unwrap();
        Project { root }
    }

    pub fn with(self, name: &str, text: &str) -> Self {
        let path = self.root.join("scenarios").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Returns the text of a scenario's file.
    pub fn scenario(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(format!("scenarios/{name}.toml"))).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deadstop"));
        command.args(arguments).current_dir(&self.root);
        for variable in [
            "CI",
            "TF_BUILD",
            "INSTA_UPDATE",
            "INSTA_FORCE_PASS",
            "NO_COLOR",
            "GITHUB_ACTIONS",
            "GITHUB_STEP_SUMMARY",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run_to_end(&mut self.command(arguments))
    }

    pub fn run_in_ci(&self, arguments: &[&str]) -> Ended {
        run_to_end(self.command(arguments).env("CI", "true"))
    }

    pub fn snapshots(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.join("snapshots")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(&self.root).unwrap().display().to_string());
                }
            }
        }
        files.sort();
        files
    }
}

/// The exit code of a command, and its output.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    /// Returns the output without the time that the command took.
    pub fn said(&self) -> String {
        let mut output = String::new();
        for line in format!("{}{}", self.out, self.err).lines() {
            match line
                .split_once(" in ")
                .filter(|(_, rest)| rest.contains(" ms: "))
            {
                Some((before, rest)) => {
                    let (_, after) = rest.split_once(" ms: ").unwrap();
                    output.push_str(&format!("{before} in … ms: {after}\n"));
                }
                None => output.push_str(&format!("{line}\n")),
            }
        }
        output
    }
}

/// Reads a line of JSON.
pub fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}
