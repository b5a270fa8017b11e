//! Notes on a run: findings that are no failures, but are hardly what the author of a worker intends.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use crate::journal::{At, FaultVerb, How, Id, Kind, Ms, Name, What, ms_rounded_down};
use crate::report::figures::plural;
use crate::scenario::{Scenario, all_of, time};
use crate::sim::{Journal, Kept, KeptBy, Own, Run};

use super::real::bound_overrun;

/// Maximum number of functions of the stack that are shown for a panic.
const MAX_FRAMES: usize = 4;
/// Maximum number of components that one note lists, and of notes of one kind.
const MAX_LISTED: usize = 20;

/// Returns the notes on a run, one sentence each.
pub(super) fn of(run: &Run, journal: &Journal) -> Vec<String> {
    let scenario = &run.scenario;
    let mut notes: Vec<String> = run
        .own
        .iter()
        .flat_map(|own| other_limits(scenario, own))
        .collect();
    if scenario.expect.ended.is_none() {
        notes.extend(ended_by_themselves(journal));
    }
    notes.extend(warned_of_at_start(journal));
    let found = &journal.aside.found;
    if found.tasks > 0 {
        let (tasks, were) = match found.tasks {
            1 => ("1 task".to_owned(), "was"),
            n => (format!("{n} tasks"), "were"),
        };
        notes.push(format!(
            "{tasks} that the context does not know {were} alive at the end: the context does not tell, await or abort a task of \
             `tokio::spawn`; use `add_task`, or a `JoinSet` inside a registered task"
        ));
    }
    for name in found.held_handle.iter().take(MAX_LISTED) {
        notes.push(format!(
            "\"{name}\" held a strong handle of the context until it ended: if it were left behind, it would keep the worker alive; use \
             `ctx.downgrade()`"
        ));
    }
    if !journal.aside.jobs.is_empty() {
        let by = all_of('"', journal.aside.jobs.iter().map(|name| &**name));
        notes.push(format!(
            "{} on the blocking pool, started by {by}, had not ended when the process ended: nothing waits for such a job",
            plural(journal.aside.jobs.len() as u64, "job")
        ));
    }
    notes.extend(long_turn_notes(journal).take(MAX_LISTED));
    notes.extend(caught_panics(journal));
    notes
}

/// Returns a note for each limit that the file sets to another value than the service.
fn other_limits(scenario: &Scenario, own: &Own) -> Vec<String> {
    let Some(limits) = own.own_limits() else {
        return Vec::new();
    };
    let worker = &scenario.worker;
    let durations = [
        ("grace", worker.grace, limits.grace),
        ("reserve", worker.reserve, limits.reserve),
        ("start-timeout", worker.start_timeout, limits.start_timeout),
        ("pre-stop", worker.pre_stop, limits.pre_stop),
    ];
    let other = durations
        .into_iter()
        .filter(|(_, file, service)| file != service);
    let other = other.map(|(key, file, service)| {
        let (file, service) = (time(file), time(service));
        format!("`{key}` is {file} in the file, but {service} in the service")
    });
    let ties = (worker.ties != limits.ties)
        .then(|| "`ties` has another value in the file than in the service".to_owned());
    other.chain(ties).collect()
}

/// Returns the warnings of start that no law judges in the run of a user's own code.
fn warned_of_at_start(journal: &Journal) -> impl Iterator<Item = String> {
    let warned = journal.events.iter().filter_map(|event| match &event.what {
        What::BoundOverShare {
            name,
            bound,
            phase,
            share,
            ..
        } => Some(format!(
            "\"{name}\" has a bound of {}, but {phase} has at most {}: it is never awaited for the whole bound",
            Ms(*bound),
            Ms(*share)
        )),
        What::EndsBeforeUser { name, user, .. } => Some(format!(
            "\"{name}\" may end before \"{user}\", which uses it: to prevent this, let it be told in turn, and give it an order after \"{user}\""
        )),
        _ => None,
    });
    warned.take(MAX_LISTED)
}

/// Returns a note for each component with long turns. A turn longer than its bound is left out, since that is a
/// failure.
fn long_turn_notes(journal: &Journal) -> impl Iterator<Item = String> {
    let kept = journal.aside.kept.iter();
    let mut all: Vec<(&Kept, u64, Duration)> = Vec::new();
    for kept in kept.filter(|kept| bound_overrun(journal, kept).is_none()) {
        let same =
            |(one, ..): &&mut (&Kept, u64, Duration)| one.name == kept.name && one.by == kept.by;
        match all.iter_mut().find(same) {
            Some((_, times, in_all)) => {
                *times += 1;
                *in_all += kept.took;
            }
            None => all.push((kept, 1, kept.took)),
        }
    }
    all.into_iter()
        .map(|(first, times, in_all)| long_turn_note(first, times, in_all))
}

/// Returns a note on the threads and tasks that ended well without being asked to. A future that is run to its end
/// (`once`) is left out, since it may end by itself.
fn ended_by_themselves(journal: &Journal) -> Option<String> {
    let stop = |what: &What| matches!(what, What::Running { value: false });
    let events = &journal.events;
    let stopped = events.iter().position(|event| stop(&event.what));
    let before = &events[..stopped.unwrap_or(events.len())];
    let bodies = before.iter().filter_map(|event| match &event.what {
        What::Registered(it) if matches!(it.kind, Kind::Thread | Kind::Task) && !it.once => {
            Some(it.id)
        }
        _ => None,
    });
    let bodies: BTreeSet<Id> = bodies.collect();
    let scripted = before.iter().filter_map(|event| match &event.what {
        What::Fault {
            fault: FaultVerb::End,
            name,
            ..
        } => Some(name),
        _ => None,
    });
    let scripted: BTreeSet<&Name> = scripted.collect();
    let unasked = before.iter().filter_map(|event| {
        let What::Ended {
            id,
            name,
            how: How::Ok,
            ..
        } = &event.what
        else {
            return None;
        };
        (bodies.contains(id) && !scripted.contains(name)).then_some((name, At(event.t)))
    });
    let unasked: Vec<_> = unasked.collect();
    let (name, at) = unasked.first()?;
    if unasked.len() == 1 {
        return Some(format!("\"{name}\" ended by itself at {at}"));
    }
    let listed = unasked.iter().take(MAX_LISTED);
    let listed: Vec<_> = listed
        .map(|(name, at)| format!("\"{name}\" at {at}"))
        .collect();
    let more = unasked.len() - listed.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(format!("{}{more} ended by themselves", listed.join(", ")))
}

/// Returns the note on the long turns of one component: when the first one was, and how long all of them took.
fn long_turn_note(first: &Kept, times: u64, in_all: Duration) -> String {
    let (name, at) = (&first.name, At(first.at));
    let took = match times {
        1 => format!("{} of real time at {at}", Ms(ms_rounded_down(first.took))),
        _ => format!(
            "{} of real time, {times} times from {at} on",
            Ms(ms_rounded_down(in_all))
        ),
    };
    let who = match first.by {
        KeptBy::Pool => {
            return format!(
                "a job of \"{name}\" on the blocking pool took {took}, during which virtual time stood still"
            );
        }
        KeptBy::Component => format!("\"{name}\""),
        KeptBy::Spawned => "a task that the context does not know".to_owned(),
    };
    format!(
        "{who} kept its thread for {took}, in which no virtual time passed: does it sleep, wait or read without tokio or its \
         scope?"
    )
}

/// Returns a note for each panic that the code caught itself.
fn caught_panics(journal: &Journal) -> impl Iterator<Item = String> {
    let ended = |words: &str| {
        journal.events.iter().any(|event| {
            matches!(&event.what, What::Ended { how: How::Panicked, error: Some(error), .. } if **error == *words)
        })
    };
    let caught = journal
        .aside
        .panics
        .iter()
        .filter(|panicked| !ended(&panicked.message));
    let notes = caught.take(MAX_LISTED).map(|panicked| {
        let (message, place) = (&panicked.message, &panicked.place);
        let at = At(panicked.at);
        match &panicked.name {
            Some(name) => format!("\"{name}\" panicked at {at}, but continued: {message}, at {place}"),
            None => format!(
                "a task that the context does not know, or a destructor, panicked at {at}: {message}, at {place}"
            ),
        }
    });
    notes.collect::<Vec<_>>().into_iter()
}

/// Returns the places of the panics that a sentence is about, with the functions of the user's own code.
pub(super) fn panic_places(journal: &Journal, sentence: &str) -> String {
    let mut places = String::new();
    for panicked in &journal.aside.panics {
        let Some(name) = &panicked.name else { continue };
        if !sentence.starts_with(&format!("\"{name}\"")) {
            continue;
        }
        let _ = writeln!(places, "  \"{name}\" panicked at {}", panicked.place);
        for frame in panicked.stack().users.iter().take(MAX_FRAMES) {
            let _ = writeln!(places, "    in {}", frame.shown());
        }
    }
    places
}
