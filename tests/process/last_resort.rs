//! The last resort.

use std::time::Duration;

use crate::process::{Process, Test};

/// Time at which the last resort strikes, in a grace of 2 s with its default margin of 100 ms.
pub const LAST_RESORT: Duration = Duration::from_millis(1_950);

pub const TESTS: &[Test] = &[
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
    ("last_resort::is_disarmed_when_it_is_dropped", || {
        Process::start("outlives its worker")
            .wait_for_end()
            .assert_code(0);
        Process::start("does not outlive its worker")
            .wait_for_end()
            .assert_code(124);
    }),
];
