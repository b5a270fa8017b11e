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
mod commands;
mod last_resort;
mod life;
mod process;
mod shortage;
mod signals;
mod starved;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use commands::{BLOCKS, CONTAINS, FEW_FILES, FEW_STACKS, can_run, few_threads};
use process::ROLE;

const MUSL: bool = cfg!(target_env = "musl");

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
    let tests = [
        signals::TESTS,
        life::TESTS,
        last_resort::TESTS,
        shortage::TESTS,
    ];
    let trials = tests.concat().into_iter().map(|(name, test)| {
        let trial = Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        });
        trial.with_ignored_flag(cannot.iter().any(|tests| name.starts_with(tests)))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
