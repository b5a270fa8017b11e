//! Signals: the first, the second and the third, in a container, blocked, ignored, and raised again.

use std::os::unix::process::ExitStatusExt;

use crate::commands::{BLOCKS, IGNORES};
use crate::process::{End, Process, Test};

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

pub const TESTS: &[Test] = &[
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
];
