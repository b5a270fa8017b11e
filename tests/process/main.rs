//! Real processes with real signals. Each child is this executable, run again with a role.
//!
//! A child prints each event that a test waits for, or the child's end is the event. The guard keeps a hang from
//! stopping the suite. The earliest right time of an event is compared exactly, the latest one generously.

#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "processes and their signals are tested with real threads and real time"
)]

#[path = "../support/changed_host.rs"]
mod changed_host;
mod child;
mod starved;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

const ROLE: &str = "DEADSTOP_TEST_ROLE";
const GUARD: Duration = Duration::from_secs(30);
const MUSL: bool = cfg!(target_env = "musl");

/// Time at which the last resort strikes, in a grace of 2 s with its default margin of 100 ms.
const LAST_RESORT: Duration = Duration::from_millis(1_950);

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return child::play(role.leak());
    }
    let needs = [
        ("container::", can_run(&CONTAINS)),
        ("blocked::", can_run(&BLOCKS)),
        ("few_threads::", can_run(&few_threads())),
        ("few_stacks::", can_run(&FEW_STACKS)),
        ("few_files::", can_run(&FEW_FILES)),
        // They hang in a drop of the main thread's locals, of which musl's `exit` knows nothing.
        ("last_resort::ends_a_process_that_hangs_inside_exit", !MUSL),
        ("signals::one_that_comes_when_all_is_done", !MUSL),
        ("few_threads::last_resort_strikes", !MUSL),
        ("few_stacks::last_resort_strikes", !MUSL),
        ("few_files::last_resort_strikes", !MUSL),
    ];
    let cannot = needs.map(|(tests, can)| if can { "-" } else { tests });
    let trials = TESTS.iter().map(|(name, test)| {
        let trial = Trial::test(*name, || {
            test();
            Ok::<(), Failed>(())
        });
        trial.with_ignored_flag(cannot.iter().any(|tests| name.starts_with(tests)))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Command that makes its argument the first process of a namespace of its own, as in a container.
const CONTAINS: [&str; 4] = ["unshare", "--user", "--pid", "--fork"];

/// Command that runs another with the signals blocked that a worker hears.
const BLOCKS: [&str; 2] = ["env", "--block-signal=TERM,INT"];

/// Command that runs another with these signals ignored, as a shell does that has a trap for them.
const IGNORES: [&str; 4] = ["sh", "-c", r#"trap '' TERM INT; exec "$0" "$@""#, "env"];

/// Asserts that a service that is started by this command stops at SIGTERM, and at SIGINT.
fn assert_stops_at_either_signal(command: &[&str]) {
    for signal in ["TERM", "INT"] {
        let process = Process::by(command, "service");
        process.wait_for_line("ready");
        process.signal(signal);
        process
            .wait_for_end()
            .assert_code(0)
            .assert_printed("told")
            .assert_printed("closed");
    }
}

/// Stops a service that raises its signal again at the end, asserts that SIGTERM ends it, and returns its end.
fn assert_raises_again(command: &[&str]) -> End {
    let process = Process::by(command, "raises");
    process.wait_for_line("ready");
    process.signal("TERM");
    let end = process.wait_for_end();
    assert_eq!(end.status.signal(), Some(15), "{}", end.status);
    end
}

/// Returns a command that runs another as a user with a limit on its threads. Root has no such limit, and two
/// processes of one user share theirs, so each gets a user of its own.
fn few_threads() -> Vec<String> {
    static USERS: AtomicU32 = AtomicU32::new(0);
    let nth = USERS.fetch_add(1, Ordering::Relaxed);
    let user = 20_000 + (std::process::id() * 16 + nth) % 40_000;
    let command = format!("setpriv --reuid={user} --clear-groups prlimit --nproc=64");
    command.split(' ').map(str::to_owned).collect()
}

/// Command that runs another with a limit on its memory, so that no stack can be had once the limit is reached.
const FEW_STACKS: [&str; 4] = [
    "sh",
    "-c",
    r#"ulimit -v 524288; MALLOC_ARENA_MAX=1 exec "$0" "$@""#,
    "env",
];

/// Command that runs another with a limit on its descriptors.
const FEW_FILES: [&str; 4] = ["sh", "-c", r#"ulimit -n 64; exec "$0" "$@""#, "env"];

/// Returns whether this command can run this executable.
fn can_run(by: &[impl AsRef<OsStr>]) -> bool {
    let mut command = Command::new(&by[0]);
    command
        .args(&by[1..])
        .arg(this_executable())
        .env(ROLE, "nothing");
    let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// A child, which is killed if its test fails.
struct Process {
    id: u32,
    lines: mpsc::Receiver<String>,
    errors: Option<std::process::ChildStderr>,
    end: mpsc::Receiver<ExitStatus>,
    ended: bool,
}

impl Process {
    fn start(role: &str) -> Self {
        Process::of(Command::new(this_executable()), role)
    }

    /// Starts the child by a command that runs its arguments.
    fn by(words: &[impl AsRef<OsStr>], role: &str) -> Self {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(this_executable());
        Process::of(command, role)
    }

    /// Starts the child as the first process of a container.
    fn contained(role: &str) -> Self {
        Process::by(&CONTAINS, role)
    }

    fn of(mut command: Command, role: &str) -> Self {
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
    fn wait_for_line(&self, word: &str) -> Instant {
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
    fn signal(&self, signal: &str) -> Instant {
        let before = Instant::now();
        let kill = format!("kill -{signal} {}", self.id);
        let sent = Command::new("sh").arg("-c").arg(kill).status();
        assert!(sent.expect("there is a shell").success());
        before
    }

    /// Waits for the child's end, and for the rest of its output.
    fn wait_for_end(mut self) -> End {
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

fn this_executable() -> std::path::PathBuf {
    std::env::current_exe().expect("this executable has a path")
}

/// The end of a child.
struct End {
    at: Instant,
    status: ExitStatus,
    lines: Vec<String>,
    errors: String,
}

impl End {
    #[track_caller]
    fn assert_code(&self, code: i32) -> &Self {
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
    fn assert_printed(&self, word: &str) -> &Self {
        assert!(
            self.lines.iter().any(|line| line == word),
            "{:?}",
            self.lines
        );
        self
    }

    #[track_caller]
    fn assert_not_printed(&self, word: &str) -> &Self {
        assert!(
            self.lines.iter().all(|line| line != word),
            "{:?}",
            self.lines
        );
        self
    }

    #[track_caller]
    fn assert_stderr_has(&self, words: &str) -> &Self {
        assert!(self.errors.contains(words), "{:?}", self.errors);
        self
    }

    /// Asserts that the child ended no earlier than `at_least` after `since`, and less than 5 s later than that.
    #[track_caller]
    fn assert_took_at_least(&self, since: Instant, at_least: Duration) -> &Self {
        let took = self.at.duration_since(since);
        assert!(took >= at_least, "it ended after {took:?}");
        assert!(took < at_least + Duration::from_secs(5), "{took:?}");
        self
    }
}

/// The end of a worker that had used up a resource: its called steps, in order, and the time of the signal.
struct Starved {
    end: End,
    called: Vec<String>,
    sent: Instant,
}

/// Starts a worker under a limit, stops it when it has used up the rest of the limit, and waits for its end.
fn stop_starved(by: &[impl AsRef<OsStr>], role: &str) -> Starved {
    let process = Process::by(by, role);
    process.wait_for_line("ready");
    let sent = process.signal("TERM");
    let end = process.wait_for_end();
    let called = end
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("called "));
    let called = called.map(str::to_owned).collect();
    Starved { end, called, sent }
}

/// Asserts that every step is called, in order, and that the worker ends well.
fn assert_every_step_is_called(by: &[impl AsRef<OsStr>], of: &str) {
    let Starved { end, called, .. } = stop_starved(by, &format!("well starved of {of}"));
    end.assert_code(0);
    assert_eq!(
        called,
        ["1", "2", "3", "4", "5", "6", "7"],
        "{}",
        end.errors
    );
}

/// Asserts that the watchdog notices that the endpoint answers, and then that it does not.
#[cfg(feature = "http")]
fn assert_watchdog_goes_on(by: &[impl AsRef<OsStr>]) {
    let process = Process::by(by, "is watched starved of threads");
    process.wait_for_line("ready");
    process.wait_for_line("fifty were answered");
    process.wait_for_end().assert_code(75);
}

/// Asserts that a hung step is left behind at its bound, and that the others are called.
fn assert_hung_step_is_left_behind(by: &[impl AsRef<OsStr>], of: &str) {
    let Starved { end, called, sent } = stop_starved(by, &format!("one hangs starved of {of}"));
    end.assert_code(1)
        .assert_took_at_least(sent, Duration::from_millis(100))
        .assert_stderr_has(
            "1 of 10 steps did not end well\n  in stop, stop 0 (order 0): leaked after 10",
        );
    assert_eq!(
        called,
        ["0", "1", "2", "3", "4", "5", "6", "7"],
        "{}",
        end.errors
    );
}

/// Asserts the same with a hung `wake` and a hung step.
fn assert_hung_wake_is_left_behind(by: &[impl AsRef<OsStr>], of: &str) {
    let role = format!("a wake and a step hang starved of {of}");
    let Starved {
        end,
        mut called,
        sent,
    } = stop_starved(by, &role);
    end.assert_code(1)
        .assert_took_at_least(sent, Duration::from_millis(200));
    // The wake is called beside the first step, in no fixed order.
    called.retain(|name| name != "wake");
    assert_eq!(
        called,
        ["0", "1", "2", "3", "4", "5", "6", "7"],
        "{}",
        end.errors
    );
}

/// Asserts that, when more steps hang than there are threads in reserve, a step that cannot be called is reported as
/// such at its bound.
fn assert_uncalled_steps_are_reported(by: &[impl AsRef<OsStr>], of: &str) {
    let Starved { end, called, sent } = stop_starved(by, &format!("all hang starved of {of}"));
    end.assert_code(1)
        .assert_took_at_least(sent, Duration::from_millis(600));
    assert!(called.len() >= 3, "{called:?}; {}", end.errors);
    for name in ["1", "2", "3", "4", "5", "6"] {
        let line = format!("in cleanup, cleanup {name} (order 0): ");
        let line = end.errors.split_once(&line).map(|(_, line)| line);
        let line = line.unwrap_or_else(|| panic!("{name}: {}", end.errors));
        let expected = if called.iter().any(|called| called == name) {
            "leaked after 1"
        } else {
            "failed after 1"
        };
        assert!(line.starts_with(expected), "{name} {expected}: {line}");
    }
    if called.len() < 6 {
        end.assert_stderr_has(": never called: no thread could be started (")
            .assert_stderr_has("), and the threads in reserve were busy");
    }
}

/// Asserts that the last resort strikes when all steps hang, and the end of the process too.
fn assert_last_resort_strikes(by: &[impl AsRef<OsStr>], of: &str) {
    let Starved { end, sent, .. } = stop_starved(by, &format!("hangs in exit starved of {of}"));
    end.assert_code(124).assert_took_at_least(sent, LAST_RESORT);
    end.assert_stderr_has(
        "the last resort ends the process; left behind: cleanup 1 (leaked), cleanup 2 (leaked), ",
    );
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("signals::the_first_stops_and_cleans_up", || {
        for role in [
            "service",
            "service on one thread",
            "service on a given runtime",
            "blocking main",
        ] {
            for signal in ["TERM", "INT"] {
                let process = Process::start(role);
                process.wait_for_line("ready");
                process.signal(signal);
                let end = process.wait_for_end();
                end.assert_code(0)
                    .assert_printed("told")
                    .assert_printed("closed");
                if role == "blocking main" {
                    end.assert_printed("task told");
                }
                if role == "service on a given runtime" {
                    end.assert_printed("it runs");
                }
            }
        }
    }),
    (
        "signals::the_second_ends_all_waiting_but_for_floors",
        || {
            for (second, code) in [("TERM", 143), ("INT", 130)] {
                let process = Process::start("deaf");
                process.wait_for_line("ready");
                process.signal("TERM");
                process.wait_for_line("later");
                process.signal(second);
                let end = process.wait_for_end();
                end.assert_code(code).assert_printed("closed");
                // The process has no log subscriber, so the report goes to standard error.
                end.assert_stderr_has(
                    "steps did not end well\n  in stop, thread deaf (order 0): not-awaited",
                );
            }
        },
    ),
    ("signals::the_third_ends_the_process_at_once", || {
        let process = Process::start("deaf to the end");
        process.wait_for_line("ready");
        process.signal("TERM");
        process.wait_for_line("later");
        process.signal("TERM");
        process.wait_for_line("later");
        process.signal("INT");
        process.wait_for_end().assert_code(130);
    }),
    (
        "signals::the_third_is_heard_while_the_sink_is_blocked",
        || {
            let process = Process::start("blocked sink for long");
            process.wait_for_line("ready");
            process.signal("TERM");
            process.wait_for_line("later");
            process.signal("TERM");
            process.wait_for_line("later");
            process.signal("INT");
            process.wait_for_end().assert_code(130);
        },
    ),
    ("signals::a_doubled_one_does_not_count", || {
        let process = Process::start("doubled");
        process.wait_for_line("ready");
        process.signal("TERM");
        process
            .wait_for_end()
            .assert_code(0)
            .assert_printed("closed");
    }),
    (
        "signals::one_that_comes_when_all_is_done_ends_it_at_once",
        || {
            let process = Process::start("hangs in exit");
            process.wait_for_line("ready");
            process.signal("TERM");
            process.wait_for_line("in exit");
            // The last resort would give 124.
            process.wait_for_line("later");
            process.signal("INT");
            process.wait_for_end().assert_code(130);
        },
    ),
    (
        "signals::one_is_raised_again_for_the_supervisor_to_see",
        || {
            for (signal, number) in [("TERM", 15), ("INT", 2)] {
                let process = Process::start("raises");
                process.wait_for_line("ready");
                process.signal(signal);
                let end = process.wait_for_end();
                assert_eq!(end.status.signal(), Some(number), "{}", end.status);
                end.assert_printed("closed");
            }
        },
    ),
    (
        "signals::one_that_comes_during_the_start_is_raised_again_too",
        || {
            let end = Process::start("raises its own").wait_for_end();
            assert_eq!(end.status.signal(), Some(15), "{}", end.status);
            end.assert_printed("closed");
        },
    ),
    (
        "container::its_first_process_which_no_signal_ends_says_which_it_was_by_its_code",
        || {
            let end = Process::contained("raises its own").wait_for_end();
            end.assert_code(143).assert_printed("closed");
        },
    ),
    (
        "signals::the_second_is_raised_again_however_the_steps_ended",
        || {
            let process = Process::start("raises though deaf");
            process.wait_for_line("ready");
            process.signal("TERM");
            process.wait_for_line("later");
            process.signal("INT");
            let end = process.wait_for_end();
            assert_eq!(end.status.signal(), Some(2), "{}", end.status);
            end.assert_printed("closed");
        },
    ),
    ("signals::none_is_raised_over_a_failure", || {
        let process = Process::start("raises in spite of a failure");
        process.wait_for_line("ready");
        process.signal("TERM");
        process.wait_for_end().assert_code(1);
    }),
    ("signals::a_life_by_hand_hears_them_too", || {
        let process = Process::start("by hand");
        process.wait_for_line("ready");
        process.signal("INT");
        process
            .wait_for_end()
            .assert_code(0)
            .assert_printed("closed")
            .assert_printed("Some(Sigint)");
    }),
    ("blocked::inherited_mask_is_lifted_for_the_listener", || {
        assert_stops_at_either_signal(&BLOCKS);
    }),
    ("blocked::second_and_third_signals_count", || {
        let process = Process::by(&BLOCKS, "deaf to the end");
        process.wait_for_line("ready");
        process.signal("TERM");
        process.wait_for_line("later");
        process.signal("TERM");
        process.wait_for_line("later");
        process.signal("INT");
        process.wait_for_end().assert_code(130);
    }),
    ("blocked::signal_is_raised_again", || {
        assert_raises_again(&BLOCKS).assert_printed("closed");
    }),
    ("blocked::mask_of_user_code_is_unchanged", || {
        Process::by(&BLOCKS, "masks")
            .wait_for_end()
            .assert_code(0)
            .assert_printed("as inherited");
        Process::start("masks")
            .wait_for_end()
            .assert_code(0)
            .assert_printed("none");
    }),
    ("ignored::signals_stop_the_worker", || {
        assert_stops_at_either_signal(&IGNORES);
    }),
    ("ignored::signal_is_raised_again", || {
        assert_raises_again(&IGNORES);
    }),
    ("locks::held_output_does_not_hold_up_the_end", || {
        for (role, code) in [("holds locks", 0), ("fails and holds locks", 1)] {
            let process = Process::start(role);
            process.wait_for_line("ready");
            process.signal("TERM");
            let end = process.wait_for_end();
            end.assert_code(code);
            if code != 0 {
                end.assert_stderr_has("1 of 1 step did not end well\n  in cleanup, cleanup db");
            }
        }
    }),
    (
        "locks::held_output_does_not_hold_up_the_raised_signal",
        || {
            let process = Process::start("raises and holds locks");
            process.wait_for_line("ready");
            process.signal("TERM");
            let end = process.wait_for_end();
            assert_eq!(
                end.status.signal(),
                Some(15),
                "{}; {}",
                end.status,
                end.errors
            );
        },
    ),
    ("pre_stop::stop_begins_when_the_delay_is_over", || {
        let process = Process::start("pre-stop");
        process.wait_for_line("ready");
        let sent = process.signal("TERM");
        let told = process.wait_for_line("told").duration_since(sent);
        assert!(told >= Duration::from_millis(300), "told after {told:?}");
        process
            .wait_for_end()
            .assert_code(0)
            .assert_printed("closed");
    }),
    (
        "pre_stop::the_worker_is_not_ready_and_runs_and_a_second_signal_cuts_it",
        || {
            let process = Process::start("long pre-stop");
            // The watcher has to find the worker ready before the signal comes.
            process.wait_for_line("seen ready");
            process.signal("TERM");
            process.wait_for_line("unready");
            process.wait_for_line("later");
            process.signal("TERM");
            process
                .wait_for_end()
                .assert_code(143)
                .assert_printed("told")
                .assert_printed("closed");
        },
    ),
    (
        "start::a_failing_main_is_rolled_back_and_its_code_is_the_processs",
        || {
            let end = Process::start("fails").wait_for_end();
            end.assert_code(42)
                .assert_printed("closed")
                .assert_stderr_has("main failed: no model");
        },
    ),
    ("start::what_cannot_be_begun_is_said", || {
        let end = Process::start("cannot begin").wait_for_end();
        end.assert_code(1)
            .assert_not_printed("ready")
            .assert_stderr_has("the grace is 0ns");
    }),
    (
        "wedged::bounds_hold_beside_a_runtime_that_is_blocked_for_ever",
        || {
            for role in ["wedged", "wedged workers"] {
                let process = Process::start(role);
                process.wait_for_line("wedged");
                let sent = process.signal("TERM");
                // The bound of the task, and the confirmation of its abort.
                let end = process.wait_for_end();
                end.assert_code(1)
                    .assert_printed("closed")
                    .assert_took_at_least(sent, Duration::from_millis(200));
            }
        },
    ),
    ("last_resort::ends_a_process_whose_sink_is_blocked", || {
        let process = Process::start("blocked sink");
        process.wait_for_line("ready");
        let sent = process.signal("TERM");
        let end = process.wait_for_end();
        end.assert_code(124).assert_took_at_least(sent, LAST_RESORT);
        end.assert_stderr_has("the last resort ends the process")
            .assert_stderr_has("thread announcer (not begun)");
    }),
    ("last_resort::names_those_whose_step_has_not_begun", || {
        // The thread was not joined yet, or was left behind. Nothing was closed.
        for (role, flusher) in [
            ("blocked before stop", "not begun"),
            ("blocked in stop", "not begun"),
            ("blocked before cleanup", "leaked"),
            ("blocked in cleanup", "leaked"),
        ] {
            let process = Process::start(role);
            process.wait_for_line("ready");
            process.signal("TERM");
            let end = process.wait_for_end();
            end.assert_code(124)
                .assert_not_printed("closed")
                .assert_stderr_has(&format!("thread flusher ({flusher})"))
                .assert_stderr_has("cleanup db (not begun)")
                .assert_stderr_has("cleanup cache (not begun)");
        }
        Process::start("blocked in main")
            .wait_for_end()
            .assert_code(124)
            .assert_stderr_has("left behind: main (not begun)");
    }),
    (
        "last_resort::does_not_name_those_who_have_ended_since",
        || {
            let end = Process::start("late").wait_for_end();
            end.assert_code(124)
                .assert_stderr_has("left behind: thread stays (leaked)\n");
        },
    ),
    ("last_resort::needs_no_lock_that_is_held_for_ever", || {
        let process = Process::start("held registry");
        process.wait_for_line("ready");
        let sent = process.signal("TERM");
        let end = process.wait_for_end();
        end.assert_code(124)
            .assert_took_at_least(sent, LAST_RESORT)
            .assert_stderr_has("is not known");
    }),
    (
        "last_resort::ends_a_process_whose_standard_error_is_closed",
        || {
            let mut process = Process::start("blocked sink");
            process.wait_for_line("ready");
            process.errors = None;
            let sent = process.signal("TERM");
            process
                .wait_for_end()
                .assert_code(124)
                .assert_took_at_least(sent, LAST_RESORT);
        },
    ),
    (
        "last_resort::ends_a_process_whose_standard_error_is_not_read",
        || {
            let process = Process::start("full stderr");
            process.wait_for_line("ready");
            let sent = process.signal("TERM");
            process
                .wait_for_end()
                .assert_code(124)
                .assert_took_at_least(sent, LAST_RESORT)
                .assert_not_printed("closed");
        },
    ),
    (
        "last_resort::ends_a_process_whose_life_is_led_on_a_runtime_that_is_wedged",
        || {
            let process = Process::start("by hand, wedged");
            process.wait_for_line("wedged");
            let sent = process.signal("TERM");
            let end = process.wait_for_end();
            end.assert_code(124).assert_took_at_least(sent, LAST_RESORT);
            // The life's end is not reached there, but stop and cleanup are.
            end.assert_not_printed("it lived to the end")
                .assert_printed("closed")
                .assert_stderr_has("left behind: task wedges (leaked)");
        },
    ),
    ("last_resort::ends_a_process_that_hangs_inside_exit", || {
        let process = Process::start("hangs in exit");
        process.wait_for_line("ready");
        let sent = process.signal("TERM");
        process.wait_for_line("in exit");
        let end = process.wait_for_end();
        end.assert_code(124).assert_took_at_least(sent, LAST_RESORT);
        end.assert_stderr_has("nothing of the worker was left behind");
    }),
    ("few_threads::every_step_is_called_in_order", || {
        assert_every_step_is_called(&few_threads(), "threads")
    }),
    ("few_threads::hung_step_is_left_behind", || {
        assert_hung_step_is_left_behind(&few_threads(), "threads")
    }),
    ("few_threads::hung_wake_is_left_behind", || {
        assert_hung_wake_is_left_behind(&few_threads(), "threads")
    }),
    ("few_threads::uncalled_steps_say_so", || {
        assert_uncalled_steps_are_reported(&few_threads(), "threads")
    }),
    ("few_threads::last_resort_strikes", || {
        assert_last_resort_strikes(&few_threads(), "threads")
    }),
    #[cfg(feature = "http")]
    ("few_threads::watchdog_goes_on", || {
        assert_watchdog_goes_on(&few_threads())
    }),
    ("few_stacks::every_step_is_called_in_order", || {
        assert_every_step_is_called(&FEW_STACKS, "threads")
    }),
    ("few_stacks::hung_step_is_left_behind", || {
        assert_hung_step_is_left_behind(&FEW_STACKS, "threads")
    }),
    ("few_stacks::hung_wake_is_left_behind", || {
        assert_hung_wake_is_left_behind(&FEW_STACKS, "threads")
    }),
    ("few_stacks::uncalled_steps_say_so", || {
        assert_uncalled_steps_are_reported(&FEW_STACKS, "threads")
    }),
    ("few_stacks::last_resort_strikes", || {
        assert_last_resort_strikes(&FEW_STACKS, "threads")
    }),
    ("few_files::every_step_is_called_in_order", || {
        assert_every_step_is_called(&FEW_FILES, "files")
    }),
    ("few_files::hung_step_is_left_behind", || {
        assert_hung_step_is_left_behind(&FEW_FILES, "files")
    }),
    ("few_files::hung_wake_is_left_behind", || {
        assert_hung_wake_is_left_behind(&FEW_FILES, "files")
    }),
    ("few_files::uncalled_steps_say_so", || {
        assert_uncalled_steps_are_reported(&FEW_FILES, "files")
    }),
    ("few_files::last_resort_strikes", || {
        assert_last_resort_strikes(&FEW_FILES, "files")
    }),
    ("memory::what_ends_by_itself_leaves_nothing_behind", || {
        Process::start("short lives")
            .wait_for_end()
            .assert_code(0)
            .assert_printed("flat");
    }),
    ("last_resort::is_disarmed_when_it_is_dropped", || {
        Process::start("outlives its worker")
            .wait_for_end()
            .assert_code(0);
        Process::start("does not outlive its worker")
            .wait_for_end()
            .assert_code(124);
    }),
];
