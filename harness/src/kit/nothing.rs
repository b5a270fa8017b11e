//! Finds tests that test nothing, which would pass whatever the worker does, and explains a main that was given up.

use std::time::Duration;

use crate::journal::{At, Event, How, MAIN, State, What};
use crate::laws::Law;
use crate::report::{Check, Detail, Finding};
use crate::scenario::{Expect, Scenario, Timed, Trigger, Verb, all_of};
use crate::sim::{Journal, Run};

/// Time for which main is followed to see whether it would go on by itself, in milliseconds of virtual time.
const FOLLOWED_MS: u64 = 3_600_000;

/// Advice where main waits for the real world.
const ADVICE_REAL_WORLD: &str = "\
Main should only register components and return. Does it wait for a stop, or serve? That belongs in a task: `ctx.add_task`.
Or does it wait for something outside of the simulation, such as a thread or a socket? sqlx, a resolver, reqwest and similar
libraries answer from their own threads, in real time, while virtual time runs ahead. Put such a library behind the state, so
that a test can use a fake (`app = …`). Or await it in a job of the blocking pool, during which virtual time stands still:
`spawn_blocking(move || handle.block_on(connect()))`, with `Handle::current()`";

/// Advice where the run is over before main begins.
const ADVICE_TOO_EARLY: &str = "\
Main had no turn before the process was asked to stop: let the request come later in the file (`at = \"1ms\"` is enough). If this is
intended, write `ready = false` and `registered = []` in [expect]";

/// Advice where main keeps trying what never succeeds.
const ADVICE_RETRIES: &str = "\
Main should only register components and return. Does it work until the stop? That belongs in a task: `ctx.add_task`.
Or does it retry something that cannot succeed in a test, such as an address where nothing answers or a file that is never
written? Put that behind the state, so that a test can use a fake (`app = …`)";

/// Advice where main takes longer than its bound.
const ADVICE_TAKES_LONG: &str = "\
A stop that is requested while main runs waits for main as long as `start-timeout` says: make `start-timeout` longer, let main
look at `ctx.stop_requested()`, or let the signal come later in the file";

/// Returns the finding on a test in which the worker registers and runs nothing, or in which every event strikes
/// before main is done.
pub(super) fn tests_nothing(scenario: &Scenario, journal: &Journal) -> Option<Finding> {
    let registers =
        |event: &Event| matches!(event.what, What::Registered(_) | What::Refused { .. });
    let ran = journal.aside.found.futures > 0 || journal.events.iter().any(registers);
    let Expect {
        registered, ready, ..
    } = &scenario.expect;
    let on_purpose = registered
        .as_ref()
        .is_some_and(|registered| registered.value.is_empty());
    // A main that fails unasked breaks a law, which is reported instead. A main may fail once it was asked to stop:
    // that breaks no law, and does not hide that nothing was tested.
    let failed = matches!(
        main_ended_unasked(journal),
        Some(How::Failed | How::Panicked)
    );
    if !ran && !on_purpose && !failed {
        let done = journal.events.iter().find(|event| ends_main(event));
        let main = done.map_or_else(
            || "main was never done".to_owned(),
            |done| format!("main was done at {}", At(done.t)),
        );
        return Some(finding(
            format!(
                "tests nothing: {main}, and no component was registered and no code was run before that"
            ),
            "If this is intended, write `registered = []` in [expect], or call `.registers([])` on the trial",
        ));
    }
    let running = |event: &Event| {
        matches!(
            event.what,
            What::State {
                state: State::Running
            }
        )
    };
    let became_ready = journal.events.iter().any(running);
    if ready.is_some() || became_ready || is_about_start(scenario) || failed {
        return None;
    }
    Some(finding(
        "tests nothing of a running worker: every event struck before main was done".to_owned(),
        "If the stop is meant to come during the start, write `ready = false` in [expect], or call `.before_ready()` on the trial",
    ))
}

/// Returns how main ended, if it did before anything asked the worker to stop.
pub(super) fn main_ended_unasked(journal: &Journal) -> Option<How> {
    let first = journal.events.iter().find_map(|event| match &event.what {
        What::Running { value: false } => Some(None),
        What::Ended { id: MAIN, how, .. } => Some(Some(*how)),
        _ => None,
    });
    first.flatten()
}

/// Returns whether main came to its own end, well or not, so that all that it had to register is known.
pub(super) fn main_is_over(journal: &Journal) -> bool {
    journal.events.iter().any(ends_main)
}

fn ends_main(event: &Event) -> bool {
    matches!(&event.what, What::Ended { id: MAIN, how, .. } if *how != How::Dropped)
}

fn finding(message: String, help: &str) -> Finding {
    Finding::new(Check::TestsNothing, message).with(Detail::Text(format!("{help}\n")))
}

/// Returns whether the scenario itself is about main: it has a fault for main, or an event at main's begin or end.
fn is_about_start(scenario: &Scenario) -> bool {
    let about = |timed: &Timed| {
        let on_main = timed
            .trigger
            .component()
            .is_some_and(|name| **name == *"main");
        on_main || timed.verb.about().is_some_and(|name| **name == *"main")
    };
    scenario.timeline.iter().any(about)
}

/// Returns the same run without a request to stop, to see whether its main would go on.
pub(super) fn left_alone(run: &Run) -> Run {
    let mut scenario = Scenario::clone(&run.scenario);
    scenario.expect = Expect::default();
    scenario.timeline = vec![Timed {
        trigger: Trigger::At(Duration::from_millis(FOLLOWED_MS)),
        verb: Verb::Signal(crate::journal::SignalName::Sigkill),
        span: 0..0,
    }];
    let mut alone = run.clone();
    alone.scenario = scenario.into();
    alone
}

/// Returns the text on a main that was given up: since when it waited, what it had registered, what it does when left
/// alone, and the advice.
pub(super) fn main_given_up(journal: &Journal, alone: Option<&Journal>) -> String {
    let mut text = String::new();
    if let Some(since) = journal.aside.found.main_waits {
        text += &format!("  main has waited since {}", At(since));
        text += &format!(
            "; {} had been registered by then\n",
            registered_until(journal, since)
        );
    }
    let gave_up = journal.events.iter().find(|event| {
        matches!(
            event.what,
            What::Abort { id: MAIN, .. } | What::Leak { id: MAIN, .. }
        )
    });
    let began = |event: &Event| matches!(event.what, What::Began { id: MAIN, .. });
    if !journal.events.iter().any(began) {
        return "  the run ended before main had begun\n".to_owned() + ADVICE_TOO_EARLY + "\n";
    }
    let Some(alone) = alone else { return text };
    if let Some(stall) = &alone.aside.stall {
        return text
            + &format!(
                "  without a stop, the run stands still at {}: {stall}\n",
                At(stall.at)
            );
    }
    // If main was neither aborted nor left behind, the end of the process cut it off.
    let by = gave_up.or(journal.events.last()).map_or(0, |end| end.t);
    let last = alone.aside.found.main_waits.filter(|since| *since > by);
    let done = alone.events.iter().find(|event| ends_main(event));
    let (line, help) = match (done, last) {
        // Even a main that doubles its pauses tries once more in the second half.
        (None, Some(last)) if last > FOLLOWED_MS / 2 => (
            format!(
                "  without a stop, main is still not done after an hour: it continued from time to time, the last time at {}\n",
                At(last)
            ),
            ADVICE_RETRIES,
        ),
        (None, Some(last)) => (
            format!(
                "  without a stop, main continues until {}, and then waits until an hour is over: no timer, task or body of this run \
                 could have woken it\n",
                At(last)
            ),
            ADVICE_REAL_WORLD,
        ),
        (None, None) => (
            "  without a stop, main still waits after an hour: no timer, task or body of this run could have woken it\n"
                .to_owned(),
            ADVICE_REAL_WORLD,
        ),
        (Some(done), _) if done.t >= by => (
            format!("  without a stop, main is done at {}\n", At(done.t)),
            ADVICE_TAKES_LONG,
        ),
        (Some(done), _) => (
            format!(
                "  in another run, without a stop, main was done at {}: how long it waits differs from run to run\n",
                At(done.t)
            ),
            ADVICE_REAL_WORLD,
        ),
    };
    text + &line + help + "\n"
}

/// Returns the names of the components that were registered until `by`, as text.
fn registered_until(journal: &Journal, by: u64) -> String {
    let names = journal.events.iter().filter_map(|event| match &event.what {
        What::Registered(it) if event.t <= by => Some(&*it.name),
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        all_of('"', names)
    }
}

/// Returns whether a finding is the broken law about how main ended, or did not end.
pub(super) fn is_about_main(finding: &Finding) -> bool {
    finding.law().is_some_and(Law::is_ends_explained)
        && finding.component.as_deref() == Some("main")
}
