//! Workers that run out of threads, stacks or descriptors before they stop.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use crate::commands::{FEW_FILES, FEW_STACKS, few_threads};
use crate::last_resort::LAST_RESORT;
use crate::process::{End, Process, Test};

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

pub const TESTS: &[Test] = &[
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
];
