//! Compares the live journal of a scenario with the simulated ones, component by component, times included. The
//! command `deadstop live` uses it.
//!
//! The seed decides the order in which the simulator puts the events of one instant. A live run may take any of those
//! orders. It agrees if it agrees with one seed, and in everything at once.
//!
//! Compared are:
//! - what each component goes through, in its own order and at its times,
//! - the context's claims about each component and about itself,
//! - the requests, the watchdogs' claims, and what every caller gets,
//! - which steps had ended when a step began,
//! - how the process ended.
//!
//! Not compared are:
//! - the order between unrelated components,
//! - probes and still-waiting lines,
//! - in the instant in which stop or cleanup is over, how many of several callers came in time to request a stop once
//!   more,
//! - what a thread had yet to record in the instant in which the process was cut off.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::journal::{
    At, By, Event, How, Id, Ms, Name, State, What, is_cut_off, ms_rounded_up, text,
};
use crate::laws;
use crate::scenario::{Scenario, Trigger};
use crate::sim::{Journal, Options, RunError, Runners};

/// Column at which an event's words begin in a line of the log, in bytes.
const WORDS_COLUMN: usize = 19;

/// A list of events that is compared as a whole. Of two differences at the same instant and place in the journal, the
/// track that comes first here is reported first: what a component went through leads to the claims about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    /// The facts about one component, and its registration.
    Component(Name),
    /// The health endpoint.
    Health,
    /// The claims of the watchdogs.
    Watchdog,
    /// The claims of the context about one component.
    Claims(Name),
    /// The requests to stop. Each caller requests a stop on a thread of its own.
    Requests,
    /// The claims of the context about itself.
    Worker,
    /// One call: its begin and what it returned.
    Caller(u32),
    /// The process, as seen from outside.
    Process,
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Track::Worker => f.write_str("the worker"),
            Track::Requests => f.write_str("the requests to stop"),
            Track::Process => f.write_str("the process"),
            Track::Component(name) => write!(f, "\"{name}\""),
            Track::Claims(name) => write!(f, "the context of \"{name}\""),
            Track::Caller(n) => write!(f, "call {n}"),
            Track::Watchdog => f.write_str("the watchdog"),
            Track::Health => f.write_str("the health endpoint"),
        }
    }
}

/// One event of a track: its instant in milliseconds, and its words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TrackEvent {
    t: u64,
    line: String,
}

/// A journal, split into tracks for comparison.
#[derive(Clone, Debug, Default)]
struct Tracks {
    tracks: BTreeMap<Track, Vec<TrackEvent>>,
    /// Place in the journal of each event. Not compared.
    places: BTreeMap<Track, Vec<usize>>,
    /// Names of the steps that had ended when each step began.
    ended_before: BTreeMap<Name, BTreeSet<Name>>,
    /// The instant in which the process was ended from outside or cut off in the middle of its work, if it was.
    cut: Option<u64>,
}

impl Tracks {
    fn of(events: &[Event]) -> Self {
        let mut names: BTreeMap<Id, Name> = BTreeMap::new();
        let mut tracks = Tracks::default();
        let mut ended = BTreeSet::new();
        let mut requested = false;
        let end_instants: BTreeSet<u64> = events.iter().filter_map(end_instant).collect();
        let log = text(events);
        for (place, (event, line)) in events.iter().zip(log.lines()).enumerate() {
            match &event.what {
                What::Registered(registered) => {
                    names.insert(registered.id, registered.name.clone());
                }
                What::StepStarted { name, .. } => {
                    tracks.ended_before.insert(name.clone(), ended.clone());
                }
                What::StepEnded { name, .. } => {
                    ended.insert(name.clone());
                }
                What::Exit { cause, .. } if is_cut_off(*cause) => tracks.cut = Some(event.t),
                What::Requested { by, .. } => {
                    // A caller that comes after the end of stop or cleanup requests nothing. Which callers come late
                    // is not determined within the instant of that end.
                    let again = std::mem::replace(&mut requested, true);
                    if again && *by == By::Call && end_instants.contains(&event.t) {
                        continue;
                    }
                }
                _ => {}
            }
            let Some(track) = track_of(&event.what, &names) else {
                continue;
            };
            let mut line = line
                .get(WORDS_COLUMN..)
                .unwrap_or(line)
                .trim_end()
                .to_owned();
            if is_freed_by_another_abort(events, place) {
                line = line.replace(": ok", ": dropped");
            }
            if let What::Returned { steps, deaths, .. } = &event.what {
                // The log omits the figures of a report.
                for row in steps {
                    let crate::journal::Row {
                        id,
                        outcome,
                        bound,
                        bound_by,
                        started,
                        took,
                    } = row;
                    line += &format!(", #{id} {outcome} {bound} {bound_by} {started} {took}");
                }
                let mut deaths = deaths.clone();
                deaths.sort_unstable_by_key(|(id, _)| *id);
                for (id, how) in deaths {
                    line += &format!(", #{id} {how}");
                }
            }
            let track_event = TrackEvent { t: event.t, line };
            let places = tracks.places.entry(track.clone()).or_default();
            places.push(place);
            tracks.tracks.entry(track).or_default().push(track_event);
        }
        tracks
    }

    /// Returns whether a live run agrees with this simulated one.
    fn agrees_with(&self, live: &Tracks) -> bool {
        let Some(cut) = self.cut.filter(|_| self.cut == live.cut) else {
            return self.tracks == live.tracks && self.ended_before == live.ended_before;
        };
        // A live thread that is in the middle of a turn when the process is cut off records no more of it. The
        // simulator cuts between turns.
        let begins = |track: &Track, simulated: &[TrackEvent]| {
            let live = live.tracks.get(track).map_or(&[][..], Vec::as_slice);
            simulated.strip_prefix(live).is_some_and(|unrecorded| {
                unrecorded.is_empty()
                    || *track != Track::Process && unrecorded.iter().all(|event| event.t == cut)
            })
        };
        live.tracks
            .keys()
            .all(|track| self.tracks.contains_key(track))
            && self
                .tracks
                .iter()
                .all(|(track, simulated)| begins(track, simulated))
            && live
                .ended_before
                .iter()
                .all(|(step, ended)| self.ended_before.get(step) == Some(ended))
    }

    /// Returns the tracks that differ, sorted by their first differences.
    fn differing_tracks<'a>(&'a self, other: &'a Tracks) -> Vec<&'a Track> {
        let all: BTreeSet<&Track> = self.tracks.keys().chain(other.tracks.keys()).collect();
        let none = Vec::new();
        let of = |tracks: &'_ Tracks, track: &Track| -> Vec<TrackEvent> {
            tracks.tracks.get(track).unwrap_or(&none).clone()
        };
        let mut differ: Vec<_> = all
            .into_iter()
            .filter_map(|track| {
                let (simulated, live) = (of(self, track), of(other, track));
                let first = (0..simulated.len().max(live.len()))
                    .find(|at| simulated.get(*at) != live.get(*at))?;
                let at =
                    |events: &[TrackEvent]| events.get(first).map_or(u64::MAX, |event| event.t);
                let t = at(&simulated).min(at(&live));
                // A difference that comes first in a journal leads to the ones that come later.
                let places = [&self.places, &other.places];
                let place = places
                    .iter()
                    .find_map(|places| places.get(track)?.get(first).copied());
                Some((t, place.unwrap_or(usize::MAX), track))
            })
            .collect();
        differ.sort();
        differ.into_iter().map(|(_, _, track)| track).collect()
    }
}

/// Returns the instant of an event with which stop or cleanup is over, or `None` for any other event.
fn end_instant(event: &Event) -> Option<u64> {
    let over = matches!(
        event.what,
        What::State {
            state: State::Stopped | State::Done
        }
    );
    over.then_some(event.t)
}

/// Returns the track of an event, or `None` if the event is not compared.
fn track_of(what: &What, names: &BTreeMap<Id, Name>) -> Option<Track> {
    let name = |id: &Id| {
        let name = names.get(id).cloned();
        name.unwrap_or_else(|| match id {
            0 => "main".into(),
            _ => format!("#{id}").into(),
        })
    };
    // A component and the driver of the stop run on two threads. In one instant there is no order between them but
    // the order that the laws demand.
    let component = |id: &Id| Some(Track::Component(name(id)));
    let claims = |id: &Id| Some(Track::Claims(name(id)));
    match what {
        What::Journal { .. }
        | What::ProbeBegan { .. }
        | What::Probe { .. }
        | What::StillWaiting { .. } => None,
        What::Registered(registered) => component(&registered.id),
        What::Told { id, .. }
        | What::Abort { id, .. }
        | What::StepStarted { id, .. }
        | What::StepEnded { id, .. }
        | What::Leak { id, .. } => claims(id),
        What::Began { id, .. }
        | What::Heard { id, .. }
        | What::Ended { id, .. }
        | What::Lost { id, .. }
        | What::JobBegan { id, .. }
        | What::JobEnded { id, .. }
        | What::Used { id, .. }
        | What::Held { id, .. }
        | What::Released { id, .. } => component(id),
        What::Refused { name, .. } => Some(Track::Claims(name.clone())),
        What::Fault { name, answer, .. } => Some(match answer {
            Some(_) => Track::Health,
            None => Track::Component(name.clone()),
        }),
        What::Watchdog { .. } => Some(Track::Watchdog),
        What::CallBegan { caller, .. } | What::Returned { caller, .. } => {
            Some(Track::Caller(*caller))
        }
        What::Requested { .. } => Some(Track::Requests),
        What::Signal { .. } | What::Killed { .. } | What::Exit { .. } | What::Stuck { .. } => {
            Some(Track::Process)
        }
        _ => Some(Track::Worker),
    }
}

/// The simulated journals of a scenario, by seed.
#[derive(Debug)]
pub struct Known {
    /// The journals that differ, each with the first seed that gave it.
    journals: Vec<(u64, Tracks)>,
    instants: BTreeSet<u64>,
    ends: u64,
    seeds: u64,
    unstruck: Vec<usize>,
    broken: BTreeSet<&'static str>,
}

impl Known {
    /// Simulates a scenario with the first `seeds` seeds.
    ///
    /// # Errors
    ///
    /// If deadstop itself fails: see [`RunError`].
    pub fn new(runners: &Runners, scenario: &Arc<Scenario>, seeds: u64) -> Result<Self, RunError> {
        let runs = (0..seeds).map(|seed| {
            let options = Options {
                seed,
                ..Options::default()
            };
            crate::sim::Run::new(Arc::clone(scenario), options)
        });
        let mut journals = Vec::new();
        for ran in runners.run_all(runs) {
            journals.push(ran?.journal);
        }
        let mut known = Known::of(&journals);
        // An event that strikes in vain is kept apart from the rest as well.
        let strikes = scenario
            .timeline
            .iter()
            .filter_map(|event| match event.trigger {
                Trigger::At(at) => Some(ms_rounded_up(at)),
                Trigger::On { .. } | Trigger::OnEnd { .. } | Trigger::AfterEvent(_) => None,
            });
        known.instants.extend(strikes);
        Ok(known)
    }

    /// Collects journals: the first is that of seed 0, and so on.
    fn of(journals: &[Journal]) -> Self {
        let mut known = Known {
            journals: Vec::new(),
            instants: BTreeSet::new(),
            ends: 0,
            seeds: journals.len() as u64,
            unstruck: journals
                .first()
                .map(|journal| journal.unstruck.clone())
                .unwrap_or_default(),
            broken: BTreeSet::new(),
        };
        let mut seen = BTreeSet::new();
        for (seed, journal) in (0..).zip(journals) {
            known.ends = known
                .ends
                .max(journal.events.last().map_or(0, |event| event.t));
            known.instants.extend(&journal.instants);
            for event in &journal.events {
                if let What::GraceBegan { kill, .. } = event.what {
                    // The platform waits for the end of the grace, although no event shows it.
                    known.instants.insert(kill);
                }
            }
            let broken = laws::judge(&journal.events);
            known
                .broken
                .extend(broken.iter().map(|broken| broken.law.name));
            let tracks = Tracks::of(&journal.events);
            if seen.insert((tracks.tracks.clone(), tracks.ended_before.clone())) {
                known.journals.push((seed, tracks));
            }
        }
        known
    }

    /// Returns when the last of the simulated runs is over, in milliseconds.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Returns every instant that has to be kept apart from the others, in milliseconds. The begin of the run is one,
    /// too, and may be missing here.
    pub fn instants(&self) -> impl Iterator<Item = u64> {
        self.instants.iter().copied()
    }

    /// Returns the headline and the times of the first event of a live run that came when nothing is due, if it came
    /// at or before `until`.
    fn off_instant_headline(&self, events: &[Event], until: Option<u64>) -> Option<(String, Late)> {
        let event = events.iter().find(|event| {
            event.t > 0 && !self.instants.contains(&event.t) && event.t <= self.ends
        })?;
        if until.is_some_and(|until| until < event.t) {
            return None;
        }
        let due = self.instants.range(..event.t).next_back();
        let due = due.copied().unwrap_or(0);
        let log = text(std::slice::from_ref(event));
        let words = format!(
            "the live run is late: \"{}\" came at {}, at which nothing is due: {} after the last instant, {}",
            words_of(log.lines().next()?.get(WORDS_COLUMN..)?),
            At(event.t),
            Ms(event.t - due),
            At(due)
        );
        let late = Late { due, came: event.t };
        Some((words, late))
    }

    /// Returns whether a law breaks in one of the simulated runs.
    pub fn breaks(&self, law: &str) -> bool {
        self.broken.contains(law)
    }

    /// Returns the events of the timeline that do not strike with seed 0, by their places in the file.
    pub fn unstruck(&self) -> &[usize] {
        &self.unstruck
    }
}

/// Returns whether a live run agrees with one simulated run in everything.
pub fn agrees(journal: &Journal, events: &[Event]) -> bool {
    Tracks::of(&journal.events).agrees_with(&Tracks::of(events))
}

/// The difference between a live run and the simulated run that comes nearest to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The one thing that went wrong first, in a sentence.
    pub headline: String,
    /// When that event was due and when it came, if it came late.
    pub late: Option<Late>,
    /// The seed of the nearest simulated run.
    pub seed: u64,
    /// The number of seeds that were simulated.
    pub seeds: u64,
    /// The tracks that differ: the name of each, and its lines.
    pub tracks: Vec<(String, Vec<Side>)>,
}

/// The times of an event that came later than in the simulation, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Late {
    /// The instant at which the simulation has it. If nothing was due when it came, the last instant before that.
    pub due: u64,
    /// The time at which it came.
    pub came: u64,
}

/// A line of the simulation and its live counterpart, each with its instant in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// The line of the simulation, if there is one.
    pub simulated: Option<(u64, String)>,
    /// The line of the live run, if there is one.
    pub live: Option<(u64, String)>,
}

impl Side {
    /// Returns whether the two are the same.
    pub fn is_same(&self) -> bool {
        self.simulated == self.live
    }

    /// Returns the earlier of the two instants, if the lines differ.
    fn differs_at(&self) -> Option<u64> {
        let at = |side: &Option<(u64, String)>| side.as_ref().map_or(u64::MAX, |(t, _)| *t);
        (!self.is_same()).then(|| at(&self.simulated).min(at(&self.live)))
    }
}

/// Compares a live journal with the simulated ones. Returns `None` if it agrees with one of them, or else the
/// difference from the nearest.
pub fn compare(known: &Known, events: &[Event]) -> Option<Difference> {
    let live = Tracks::of(events);
    if known
        .journals
        .iter()
        .any(|(_, tracks)| tracks.agrees_with(&live))
    {
        return None;
    }
    let (seed, nearest, differ) = known
        .journals
        .iter()
        .map(|(seed, tracks)| (*seed, tracks, tracks.differing_tracks(&live)))
        .min_by_key(|(seed, _, differ)| (differ.len(), *seed))?;
    let tracks: Vec<(String, Vec<Side>)> = differ
        .iter()
        .map(|track| (track.to_string(), paired_lines(nearest, &live, track)))
        .collect();
    let first = tracks
        .first()
        .and_then(|(_, sides)| sides.iter().find_map(Side::differs_at));
    let late = tracks
        .first()
        .and_then(|(name, sides)| late_headline(name, sides))
        .or_else(|| known.off_instant_headline(events, first));
    let headline = match (&late, tracks.first()) {
        (Some((words, _)), _) => words.clone(),
        (None, Some((name, sides))) => headline(name, sides),
        (None, None) => order_headline(&nearest.ended_before, &live.ended_before),
    };
    Some(Difference {
        headline,
        late: late.map(|(_, late)| late),
        seed,
        seeds: known.seeds,
        tracks,
    })
}

/// Returns whether an event is the good end of a component that is aborted in the same instant, after the abort of
/// another one in that instant. The simulator aborts both in one turn, and drops both. Live, the other's end may let
/// this one end by itself before its own abort takes effect.
fn is_freed_by_another_abort(events: &[Event], place: usize) -> bool {
    let (before, rest) = events.split_at(place);
    let Some((Event { t, what, .. }, after)) = rest.split_first() else {
        return false;
    };
    let What::Ended {
        id, how: How::Ok, ..
    } = what
    else {
        return false;
    };
    let now = |event: &&Event| event.t == *t;
    let is_own_abort =
        |event: &Event| matches!(event.what, What::Abort { id: of, .. } if of == *id);
    laws::freed_by_another_abort(before, *t, *id)
        && (before.iter().rev().take_while(now).any(is_own_abort)
            || after.iter().take_while(now).any(is_own_abort))
}

/// Returns one track of both journals, line by line.
fn paired_lines(simulated: &Tracks, live: &Tracks, track: &Track) -> Vec<Side> {
    let none = Vec::new();
    let old = simulated.tracks.get(track).unwrap_or(&none);
    let new = live.tracks.get(track).unwrap_or(&none);
    let pair = |event: &TrackEvent| (event.t, event.line.clone());
    let mut sides = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        let (old_range, new_range) = match op {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => (old_index..old_index + len, new_index..new_index + len),
            DiffOp::Delete {
                old_index,
                old_len,
                new_index,
            } => (old_index..old_index + old_len, new_index..new_index),
            DiffOp::Insert {
                old_index,
                new_index,
                new_len,
            } => (old_index..old_index, new_index..new_index + new_len),
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => (
                old_index..old_index + old_len,
                new_index..new_index + new_len,
            ),
        };
        let (old, new) = (&old[old_range], &new[new_range]);
        for at in 0..old.len().max(new.len()) {
            sides.push(Side {
                simulated: old.get(at).map(pair),
                live: new.get(at).map(pair),
            });
        }
    }
    sides
}

/// Returns a line without the spaces that align its words.
fn words_of(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Finds the line with the same words among the lines that differ, on the side that `of` selects, and returns its
/// instant.
fn find_moved(sides: &[Side], line: &str, of: fn(&Side) -> &Option<(u64, String)>) -> Option<u64> {
    let mut others = sides.iter().filter(|side| !side.is_same());
    others.find_map(|side| {
        of(side)
            .as_ref()
            .filter(|(_, other)| other == line)
            .map(|(t, _)| *t)
    })
}

/// Returns the headline and the times of the first difference of a track, if it is an event that came too late.
fn late_headline(name: &str, sides: &[Side]) -> Option<(String, Late)> {
    let side = sides.iter().find(|side| !side.is_same())?;
    let simulated = side.simulated.as_ref().and_then(|(due, line)| {
        let came = find_moved(sides, line, |side| &side.live)?;
        Some((line, Late { due: *due, came }))
    });
    let live = || {
        side.live.as_ref().and_then(|(came, line)| {
            let due = find_moved(sides, line, |side| &side.simulated)?;
            Some((line, Late { due, came: *came }))
        })
    };
    let (line, late) = simulated.or_else(live)?;
    let Late { due, came } = late;
    let words = || {
        format!(
            "the live run is late: \"{}\" of {name} is due at {}, but came {} later, at {}",
            words_of(line),
            At(due),
            Ms(came - due),
            At(came)
        )
    };
    (came > due).then(|| (words(), late))
}

/// Returns a sentence about the first difference of a track.
fn headline(name: &str, sides: &[Side]) -> String {
    let Some(side) = sides.iter().find(|side| !side.is_same()) else {
        return format!("{name} differs");
    };
    // The other side may have the same event at another time.
    let moved = |line: &str, of| find_moved(sides, line, of);
    if let Some((t, line)) = &side.simulated
        && let Some(live) = moved(line, |side| &side.live)
    {
        return moved_headline(name, &words_of(line), *t, live);
    }
    if let Some((live, line)) = &side.live
        && let Some(t) = moved(line, |side| &side.simulated)
    {
        return moved_headline(name, &words_of(line), t, *live);
    }
    match (&side.simulated, &side.live) {
        (Some((t, line)), None) => {
            format!(
                "{name}: the live run has no \"{}\", which the simulation has at {}",
                words_of(line),
                At(*t)
            )
        }
        (None, Some((t, line))) => {
            format!(
                "{name}: the live run has \"{}\" at {}, which the simulation does not have",
                words_of(line),
                At(*t)
            )
        }
        (Some((t, line)), Some((live, other))) => format!(
            "{name}: the live run has \"{}\" at {}, but the simulation has \"{}\" at {}",
            words_of(other),
            At(*live),
            words_of(line),
            At(*t)
        ),
        (None, None) => format!("{name} differs"),
    }
}

/// Returns a sentence about an event that came at another time, or in another order.
fn moved_headline(name: &str, line: &str, simulated: u64, live: u64) -> String {
    let way = match live.cmp(&simulated) {
        Ordering::Less => "earlier",
        Ordering::Equal => "in another order",
        Ordering::Greater => "later",
    };
    let (live, simulated) = (At(live), At(simulated));
    format!(
        "{name}: \"{line}\" came {way} in the live run: at {live}, in the simulation at {simulated}"
    )
}

/// Returns a sentence about the first step that began after other steps than in the simulation.
fn order_headline(
    simulated: &BTreeMap<Name, BTreeSet<Name>>,
    live: &BTreeMap<Name, BTreeSet<Name>>,
) -> String {
    let list = |names: Option<&BTreeSet<Name>>| match names {
        Some(names) if !names.is_empty() => names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", "),
        _ => "none".to_owned(),
    };
    let other = live
        .iter()
        .find(|(name, after)| simulated.get(*name) != Some(*after));
    match other {
        Some((name, after)) => format!(
            "\"{name}\" began after other steps than in the simulation; ended before it in the live run: {}; in the simulation: {}",
            list(Some(after)),
            list(simulated.get(name))
        ),
        None => "the steps began after other steps than in the simulation".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::sim::run;

    const FILE: &str = r#"
title = "Two threads that end together"
[worker]
components = [{ thread = "one" }, { thread = "two" }, { watchdog = "watchdog" }, { closeable = "db" }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
"#;

    fn journals(seeds: u64) -> Vec<Journal> {
        let scenario = parse("two", FILE).expect("a valid file");
        let seeds = 0..seeds;
        seeds
            .map(|seed| {
                let options = Options {
                    seed,
                    ..Options::default()
                };
                run(&scenario, &options)
            })
            .collect()
    }

    fn headline(change: impl FnOnce(&mut Vec<Event>)) -> Option<String> {
        let journals = journals(1);
        let mut live = journals[0].events.clone();
        change(&mut live);
        compare(&Known::of(&journals), &live).map(|difference| difference.headline)
    }

    fn place(events: &[Event], is: impl Fn(&What) -> bool) -> usize {
        let mut events = events.iter();
        events
            .position(|event| is(&event.what))
            .expect("it is there")
    }

    #[test]
    fn probes_and_still_waiting_lines_are_not_compared() {
        let unrecorded = headline(|events| {
            events.retain(|event| {
                !matches!(event.what, What::ProbeBegan { .. } | What::Probe { .. })
            });
        });
        assert_eq!(unrecorded, None);
    }

    const CALLERS: &str = r#"
title = "Three callers of a stop that takes no time"
[worker]
run = false
components = []
[timeline]
events = [{ at = "10s", call = "stop", callers = 3 }]
"#;

    /// Compares a run of `file` with one that has only its first `kept` requests.
    fn with_requests(file: &str, kept: usize) -> Option<String> {
        let scenario = parse("callers", file).expect("a valid file");
        let journal = run(&scenario, &Options::default());
        let mut live = journal.events.clone();
        let mut requests = 0;
        live.retain(|event| {
            requests += usize::from(matches!(event.what, What::Requested { .. }));
            !matches!(event.what, What::Requested { .. }) || requests <= kept
        });
        assert_eq!(requests, 3, "three ask");
        compare(&Known::of(&[journal]), &live).map(|difference| difference.headline)
    }

    /// Compares a run in which every task is aborted with one in which the task `second` ends well in that instant.
    fn with_good_end(components: &str) -> Option<String> {
        let file = format!(
            "title = \"Aborts\"\n[worker]\ncomponents = [{components}]\n[timeline]\n\
             events = [{{ at = \"10s\", signal = \"SIGTERM\" }}]\n"
        );
        let scenario = parse("aborts", &file).expect("a valid file");
        let journal = run(&scenario, &Options::default());
        let mut live = journal.events.clone();
        let dropped = live.iter_mut().find_map(|event| match &mut event.what {
            What::Ended { name, how, .. } if **name == *"second" => Some(how),
            _ => None,
        });
        let how = dropped.expect("it ends");
        assert_eq!(*how, How::Dropped);
        *how = How::Ok;
        compare(&Known::of(&[journal]), &live).map(|difference| difference.headline)
    }

    #[test]
    fn end_beside_two_aborts_may_be_good() {
        let second = r#"{ task = "second", takes = "5s" }"#;
        let both = format!(r#"{{ task = "first", takes = "5s" }}, {second}"#);
        assert_eq!(with_good_end(&both), None);
        // The other one is aborted a second later.
        let later = both.replace("5s\" },", "5s\", cancel-timeout = \"3s\" },");
        for components in [second, &later] {
            let headline = with_good_end(components).expect("only it is aborted then");
            assert!(
                headline.starts_with("\"second\": the live run has \"ended"),
                "{headline}"
            );
        }
    }

    #[test]
    fn caller_in_the_instant_of_the_end_may_request_nothing() {
        for kept in 1..=3 {
            assert_eq!(with_requests(CALLERS, kept), None, "{kept} asked");
        }
        let none = with_requests(CALLERS, 0).expect("nobody asked");
        assert!(none.starts_with("the requests to stop: "), "{none}");
        // A stop that takes a second is not over when the callers ask.
        let takes = r#"[{ stop = "drain", takes = "1s" }]"#;
        let slow = CALLERS.replace("[]", takes);
        assert_eq!(with_requests(&slow, 3), None);
        let fewer = with_requests(&slow, 2).expect("one did not ask");
        assert!(fewer.starts_with("the requests to stop: "), "{fewer}");
    }

    #[test]
    fn order_is_compared_within_a_component_and_not_between_two() {
        let heard = |n: Id| move |what: &What| matches!(what, What::Heard { id, .. } if *id == n);
        let ended = |n: Id| move |what: &What| matches!(what, What::Ended { id, .. } if *id == n);
        let between = headline(|events| {
            let two = events.remove(place(events, heard(2)));
            events.insert(place(events, heard(1)), two);
        });
        assert_eq!(between, None);
        let within = headline(|events| {
            let (heard, ended) = (place(events, heard(1)), place(events, ended(1)));
            events.swap(heard, ended);
        });
        let within = within.expect("a difference");
        assert!(
            within.contains("in another order in the live run: at 10.000"),
            "{within}"
        );
    }

    #[test]
    fn missing_extra_and_changed_events_have_their_own_headlines() {
        let closed = |what: &What| matches!(what, What::Ended { name, .. } if &**name == "db");
        let less = headline(|events| {
            events.remove(place(events, closed));
        });
        assert_eq!(
            less.as_deref(),
            Some(
                "\"db\": the live run has no \"ended db (#4): ok\", which the simulation has at 10.000"
            )
        );
        let more = headline(|events| {
            let again = events[place(events, closed)].clone();
            events.insert(place(events, closed), again);
        });
        assert_eq!(
            more.as_deref(),
            Some(
                "\"db\": the live run has \"ended db (#4): ok\" at 10.000, which the simulation does not have"
            )
        );
        let other = headline(|events| {
            let at = place(events, closed);
            if let What::Ended { how, .. } = &mut events[at].what {
                *how = crate::journal::How::Dropped;
            }
        });
        assert_eq!(
            other.as_deref(),
            Some(
                "\"db\": the live run has \"ended db (#4): dropped\" at 10.000, but the simulation has \"ended db (#4): ok\" at 10.000"
            )
        );
    }

    #[test]
    fn a_step_that_began_before_another_had_ended_is_a_difference() {
        let early = headline(|events| {
            let is_end =
                |what: &What| matches!(what, What::StepEnded { name, .. } if &**name == "one");
            let is_close =
                |what: &What| matches!(what, What::StepStarted { name, .. } if &**name == "db");
            let end = events.remove(place(events, is_end));
            let at = place(events, is_close);
            events.insert(at + 1, end);
        });
        assert_eq!(
            early.as_deref(),
            Some(
                "\"db\" began after other steps than in the simulation; ended before it in the live run: \"two\", \"watchdog\"; in the simulation: \"one\", \"two\", \"watchdog\""
            )
        );
    }

    #[test]
    fn the_figures_of_a_report_are_compared() {
        let other = headline(|events| {
            for event in events {
                if let What::Returned { steps, .. } = &mut event.what {
                    steps[0].took += 1;
                }
            }
        });
        assert!(other.is_some_and(|other| other.starts_with("call 1: ")));
    }

    #[test]
    fn live_run_has_to_agree_with_one_seed_in_everything() {
        let journals = journals(64);
        let known = Known::of(&journals);
        for journal in &journals {
            assert_eq!(compare(&known, &journal.events), None);
        }
        let instants: Vec<u64> = known.instants().collect();
        assert_eq!(
            instants,
            [10_000, 40_000],
            "the grace's end is kept apart as well"
        );
        assert_eq!(known.ends(), 10_000);
    }
}
