//! Standard output and error: a reader that goes away, output that cannot be written, an interrupt, and
//! arguments that would steer the terminal.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::project::{Ended, GOOD, Project};

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
