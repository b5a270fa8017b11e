//! The life of a process: its start, its pre-stop delay, a wedged runtime, held locks, and its memory.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::process::{Process, Test};

pub const TESTS: &[Test] = &[
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
    ("memory::what_ends_by_itself_leaves_nothing_behind", || {
        Process::start("short lives")
            .wait_for_end()
            .assert_code(0)
            .assert_printed("flat");
    }),
];
