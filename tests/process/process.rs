//! A child process and its end, as tests see them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::commands::CONTAINS;

/// Name and code of a test.
pub type Test = (&'static str, fn());

pub const ROLE: &str = "DEADSTOP_TEST_ROLE";
pub const GUARD: Duration = Duration::from_secs(30);

/// A child, which is killed if its test fails.
pub struct Process {
    id: u32,
    lines: mpsc::Receiver<String>,
    pub errors: Option<std::process::ChildStderr>,
    end: mpsc::Receiver<ExitStatus>,
    ended: bool,
}

impl Process {
    pub fn start(role: &str) -> Self {
        Process::of(Command::new(this_executable()), role)
    }

    /// Starts the child by a command that runs its arguments.
    pub fn by(words: &[impl AsRef<OsStr>], role: &str) -> Self {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(this_executable());
        Process::of(command, role)
    }

    /// Starts the child as the first process of a container.
    pub fn contained(role: &str) -> Self {
        Process::by(&CONTAINS, role)
    }

    pub fn of(mut command: Command, role: &str) -> Self {
        let mut child = command
            .env(ROLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this executable can be run again");
        let (line_sender, lines) = mpsc::channel();
        let out = child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = line_sender.send(line);
            }
        });
        let (id, errors) = (child.id(), child.stderr.take());
        let (end_sender, end) = mpsc::channel();
        thread::spawn(move || {
            let _ = end_sender.send(child.wait().expect("a child can be waited for"));
        });
        Process {
            id,
            lines,
            errors,
            end,
            ended: false,
        }
    }

    /// Waits until the child prints a word, and passes over others.
    pub fn wait_for_line(&self, word: &str) -> Instant {
        let until = Instant::now() + GUARD;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line == word => return Instant::now(),
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it never said {word:?}"),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    // The child closed its output. Its standard error has the cause.
                    let status = self.end.recv_timeout(GUARD);
                    let mut errors = String::new();
                    let stderr = self
                        .errors
                        .as_ref()
                        .and_then(|stderr| stderr.as_fd().try_clone_to_owned().ok());
                    if let (Ok(_), Some(stderr)) = (&status, stderr) {
                        let _ = std::fs::File::from(stderr).read_to_string(&mut errors);
                    }
                    panic!("it never said {word:?}: {status:?}; {errors}");
                }
            }
        }
    }

    /// Sends a signal, and returns an instant just before it was sent.
    pub fn signal(&self, signal: &str) -> Instant {
        let before = Instant::now();
        let kill = format!("kill -{signal} {}", self.id);
        let sent = Command::new("sh").arg("-c").arg(kill).status();
        assert!(sent.expect("there is a shell").success());
        before
    }

    /// Waits for the child's end, and for the rest of its output.
    pub fn wait_for_end(mut self) -> End {
        let status = self.end.recv_timeout(GUARD).expect("it ends");
        let at = Instant::now();
        self.ended = true;
        let mut errors = String::new();
        if let Some(mut stderr) = self.errors.take() {
            let _ = stderr.read_to_string(&mut errors);
        }
        End {
            at,
            status,
            lines: self.lines.iter().collect(),
            errors,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            let kill = format!("kill -KILL {}", self.id);
            let _ = Command::new("sh").arg("-c").arg(kill).status();
        }
    }
}

pub fn this_executable() -> std::path::PathBuf {
    std::env::current_exe().expect("this executable has a path")
}

/// The end of a child.
pub struct End {
    pub at: Instant,
    pub status: ExitStatus,
    pub lines: Vec<String>,
    pub errors: String,
}

impl End {
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        let End {
            status,
            lines,
            errors,
            ..
        } = self;
        assert_eq!(status.code(), Some(code), "{status}; {lines:?}; {errors}");
        self
    }

    #[track_caller]
    pub fn assert_printed(&self, word: &str) -> &Self {
        assert!(
            self.lines.iter().any(|line| line == word),
            "{:?}",
            self.lines
        );
        self
    }

    #[track_caller]
    pub fn assert_not_printed(&self, word: &str) -> &Self {
        assert!(
            self.lines.iter().all(|line| line != word),
            "{:?}",
            self.lines
        );
        self
    }

    #[track_caller]
    pub fn assert_stderr_has(&self, words: &str) -> &Self {
        assert!(self.errors.contains(words), "{:?}", self.errors);
        self
    }

    /// Asserts that the child ended no earlier than `at_least` after `since`, and less than 5 s later than that.
    #[track_caller]
    pub fn assert_took_at_least(&self, since: Instant, at_least: Duration) -> &Self {
        let took = self.at.duration_since(since);
        assert!(took >= at_least, "it ended after {took:?}");
        assert!(took < at_least + Duration::from_secs(5), "{took:?}");
        self
    }
}
