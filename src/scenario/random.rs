//! Random scenarios over the whole grammar.
//!
//! What a file can say comes from the [table of keys](super::keys), so that a new kind, verb or key is generated as soon as it is
//! in the table. The numbers are few and round on purpose: what happens in one instant, or a millisecond apart, is where
//! contexts go wrong.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::keys::{self, Key, Place, Type};
use super::model::limits;

/// The instant at which a random scenario's worker is asked to stop at last.
pub const LAST_STOP: Duration = Duration::from_millis(LAST_STOP_MS);
const LAST_STOP_MS: u64 = 30_000;
/// The instant around which events strike, in milliseconds: after all of main, as a rule.
const NOON_MS: u64 = 10_000;
/// The maximum number of components, and of events, of a random scenario.
const MOST: usize = 8;

/// Durations in milliseconds, by what they are for.
const MOMENTS: &[u64] = &[
    0, 0, 1, 50, 100, 101, 200, 201, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 12_000,
];
const TAKES: &[u64] = &[
    0, 0, 1, 50, 100, 200, 300, 500, 999, 1_000, 2_000, 2_050, 2_100, 3_000, 15_000,
];
const BOUNDS: &[u64] = &[1, 2, 50, 99, 100, 101, 300, 500, 1_000, 2_000, 3_000, 8_000];
const GRACES: &[u64] = &[20, 100, 1_000, 3_000, 5_000, 12_000, 30_000, 60_000];
const CYCLES: &[u64] = &[100, 700, 1_000];
const INTERVALS: &[u64] = &[3_000, 5_000, 10_000];
const REQUEST_TIMEOUTS: &[u64] = &[50, 500, 1_000, 3_000];
const ORDERS: &[i64] = &[0, 0, 0, 10, -10, 200, i32::MIN as i64, i32::MAX as i64];

/// Keys that say something only of the plan, or that the generator sees to itself.
const PASSED_OVER: &[&str] = &["told-by", "components", "at", "on", "after", "late"];

/// Returns the text of a random scenario: a worker, and what strikes it. The same seed gives the same text, which is always
/// valid. Its worker is asked to stop at [`LAST_STOP`] at the latest.
///
/// ```
/// use deadstop::scenario;
///
/// let text = scenario::random(7);
/// assert_eq!(text, scenario::random(7));
/// assert!(scenario::parse("random", &text).is_ok());
/// ```
pub fn random(seed: u64) -> String {
    Draft::new(seed, false).text()
}

/// Returns the text of a random scenario that nothing strikes but one SIGTERM, at [`LAST_STOP`]. What such a worker does is
/// known from its file.
pub fn random_plain(seed: u64) -> String {
    Draft::new(seed, true).text()
}

/// A scenario that is being written.
struct Draft {
    rng: ChaCha8Rng,
    seed: u64,
    plain: bool,
    parts: Vec<Part>,
    /// What no floor has taken of the reserve, in milliseconds.
    unpromised: u64,
    runs: bool,
    registered: BTreeSet<String>,
}

/// What the events have to know of a component.
struct Part {
    kind: &'static str,
    name: String,
    late: bool,
    is_async: bool,
}

impl Draft {
    fn new(seed: u64, plain: bool) -> Self {
        Draft {
            rng: ChaCha8Rng::seed_from_u64(seed),
            seed,
            plain,
            parts: Vec::new(),
            unpromised: 0,
            runs: true,
            registered: BTreeSet::new(),
        }
    }

    /// A number below `among`, which is at least 1.
    fn below(&mut self, among: usize) -> usize {
        let among = u64::try_from(among).unwrap_or(1);
        usize::try_from((u64::from(self.rng.next_u32()) * among) >> 32).unwrap_or(0)
    }

    /// True once in that number of times, on average.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn text(mut self) -> String {
        let lints: Vec<&str> = super::lint::LINTS.iter().map(|(name, _)| *name).collect();
        let mut text = format!(
            "title = \"A random scenario, seed {}\"\nallow = {lints:?}\n\n[worker]\n",
            self.seed
        );
        self.worker(&mut text);
        let count = self.below(MOST + 1);
        self.cast(count);
        text += "components = [\n";
        for n in 0..count {
            let fields = self.component(n).join(", ");
            let _ = writeln!(text, "  {{ {fields} }},");
        }
        text += "]\n\n[timeline]\nevents = [\n";
        let events = match self.plain {
            true => 0,
            false => self.below(MOST + 1),
        };
        let end = match self.runs {
            true => "signal = \"SIGTERM\"",
            false => "call = \"cleanup\"",
        };
        let end = vec![format!("at = {}", time(LAST_STOP_MS)), end.to_owned()];
        let mut events: Vec<_> = (0..events).filter_map(|_| self.event()).collect();
        // Before some of what strikes in its instant, and after some.
        events.insert(self.below(events.len() + 1), end);
        for fields in events {
            let _ = writeln!(text, "  {{ {} }},", fields.join(", "));
        }
        text + "]\n"
    }

    /// The limits of the worker, which have to fit one another.
    fn worker(&mut self, text: &mut String) {
        let grace = self.pick(GRACES);
        let margin = grace.div_ceil(20).min(500);
        let mut reserve = grace / 3;
        let _ = writeln!(text, "grace = \"{grace}ms\"");
        if self.once_in(2) {
            let percent = self.below(90) as u64;
            reserve = (grace * percent / 100).clamp(1, grace - margin - 1);
            let _ = writeln!(text, "reserve = \"{reserve}ms\"");
        }
        self.unpromised = reserve;
        if self.once_in(2) {
            *text += "ties = \"last\"\n";
        }
        if self.plain {
            return;
        }
        if self.once_in(3) {
            let bound = self.pick(BOUNDS);
            let _ = writeln!(text, "start-timeout = \"{bound}ms\"");
        }
        if self.once_in(4) {
            let percent = self.below(100) as u64;
            let delay = (grace - margin - reserve) * percent / 100;
            if delay > 0 {
                let _ = writeln!(text, "pre-stop = \"{delay}ms\"");
            }
        }
        if self.once_in(7) {
            self.runs = false;
            *text += "run = false\n";
        }
    }

    /// Decides which components there are, since they name one another.
    fn cast(&mut self, count: usize) {
        let kinds: Vec<&'static str> = selectors(Place::Component)
            .filter(|kind| !self.plain || *kind != "watchdog")
            .collect();
        for n in 1..=count {
            let mut kind = self.pick(&kinds);
            // A worker has one watchdog.
            if kind == "watchdog" && self.parts.iter().any(|part| part.kind == kind) {
                kind = "thread";
            }
            let late = !self.plain && self.once_in(8);
            self.parts.push(Part {
                kind,
                name: format!("{kind}-{n}"),
                late,
                is_async: false,
            });
        }
    }

    /// The fields of a component.
    fn component(&mut self, n: usize) -> Vec<String> {
        let kind = self.parts[n].kind;
        let mut fields = vec![format!("{kind} = {:?}", self.parts[n].name)];
        let mut bound = limits::CALL_TIMEOUT.as_millis() as u64;
        for key in keys::of(Place::Component) {
            let unfit = key.selects || !key.goes_with(kind) || PASSED_OVER.contains(&key.name);
            let struck = ["uses", "needs", "period"].contains(&key.name);
            if unfit || self.plain && struck {
                continue;
            }
            let times = match key.name {
                "takes" | "order" | "timeout" | "join-timeout" | "cancel-timeout" => 2,
                "interval" | "request-timeout" => 1,
                "adopted" | "needs" => 6,
                _ => 3,
            };
            if !self.once_in(times) {
                continue;
            }
            let value = match key.name {
                "floor" => {
                    let floor = self.pick(BOUNDS).min(bound).min(self.unpromised);
                    self.unpromised -= floor;
                    (floor > 0).then(|| time(floor))
                }
                "timeout" => {
                    bound = self.pick(BOUNDS);
                    Some(time(bound))
                }
                _ => self.value(key, Some(n)),
            };
            if let Some(value) = value {
                self.parts[n].is_async |= key.name == "async";
                fields.push(format!("{} = {value}", key.name));
            }
        }
        if !self.plain && self.once_in(5) {
            fields.push(format!("after = {}", time(self.pick(MOMENTS))));
        }
        if self.parts[n].late {
            fields.push("late = true".to_owned());
        }
        fields
    }

    /// A value of a key, of the component with that number or of an event; `None` if it can have none.
    fn value(&mut self, key: &Key, own: Option<usize>) -> Option<String> {
        let value = match key.ty {
            Type::Text => self
                .pick(&["\"some words\"", "\"it's \\\"broken\\\"\""])
                .to_owned(),
            Type::Flag => "true".to_owned(),
            Type::Int(min, max) => {
                let int = match key.name {
                    "order" => self.pick(ORDERS),
                    _ => 1 + self.below(3) as i64,
                };
                int.clamp(min, max).to_string()
            }
            Type::Time { forever: true, .. } if self.once_in(4) => "\"forever\"".to_owned(),
            Type::Time { min, .. } => {
                let times = match key.name {
                    "period" => CYCLES,
                    "interval" => INTERVALS,
                    "request-timeout" => REQUEST_TIMEOUTS,
                    _ if min > 0 => BOUNDS,
                    _ => TAKES,
                };
                time(self.pick(times))
            }
            Type::Name(also) => {
                let names = self.parts.iter().enumerate();
                let mut names: Vec<String> = names
                    .filter(|(n, _)| Some(*n) != own)
                    .map(|(_, part)| part.name.clone())
                    .collect();
                names.extend(also.iter().map(|name| (*name).to_owned()));
                format!("{:?}", self.one_of(names)?)
            }
            Type::Names(_) => {
                let names = self.parts.iter().enumerate();
                let names: Vec<String> = names
                    .filter(|(n, _)| Some(*n) != own)
                    .map(|(_, part)| part.name.clone())
                    .collect();
                let used: BTreeSet<String> =
                    (0..2).filter_map(|_| self.one_of(names.clone())).collect();
                (!used.is_empty())
                    .then(|| format!("{used:?}").replace('{', "[").replace('}', "]"))?
            }
            Type::Word(words) => format!("{:?}", self.pick(&words())),
            Type::Answer => {
                let answers = [vec!["200", "204", "302", "503", "503"], keys::answers()].concat();
                format!("{:?}", self.pick(&answers))
            }
            // Of these a component or event has none.
            Type::Texts
            | Type::NewName
            | Type::NamesOrCalls
            | Type::Words(_)
            | Type::Title
            | Type::NotLive
            | Type::Table
            | Type::Tables => return None,
        };
        Some(value)
    }

    fn one_of<T: Clone>(&mut self, from: Vec<T>) -> Option<T> {
        let n = from.len();
        (n > 0).then(|| from[self.below(n)].clone())
    }

    /// The fields of an event; `None` if there is nothing that it could be about.
    fn event(&mut self) -> Option<Vec<String>> {
        let verbs: Vec<&'static Key> = keys::of(Place::Event).filter(|key| key.selects).collect();
        let verb = self.pick(&verbs);
        let mut fields = self.moment();
        let about = match verb.ty {
            Type::Name(also) => {
                let about = self.target(verb, also)?;
                fields.push(format!("{} = {about:?}", verb.name));
                about
            }
            _ => {
                // Without a life that handles them, signals end the process: that is one case among many.
                let value = self.value(verb, None)?;
                let at_once = fields.first().is_some_and(|at| at == "at = \"0ms\"");
                // A start in the instant in which the worker itself is started: either may come second.
                if at_once && value == "\"start\"" {
                    return None;
                }
                fields.push(format!("{} = {value}", verb.name));
                String::new()
            }
        };
        for key in keys::of(Place::Event) {
            let unfit = key.selects || !key.goes_with(verb.name) || PASSED_OVER.contains(&key.name);
            if unfit || key.main_only && about != "main" {
                continue;
            }
            if key.is_required(Some(verb.name)) || self.once_in(2) {
                let Some(value) = self.value(key, None) else {
                    continue;
                };
                fields.push(format!("{} = {value}", key.name));
            }
        }
        Some(fields)
    }

    /// When an event strikes.
    fn moment(&mut self) -> Vec<String> {
        let moment = self.pick(MOMENTS);
        match self.below(10) {
            0..=1 => vec![format!("at = {}", time(NOON_MS + moment))],
            2..=3 => vec![format!("at = {}", time(LAST_STOP_MS + moment))],
            4 => vec![format!("at = {}", time(moment))],
            n => {
                let names: Vec<String> = self.parts.iter().map(|part| part.name.clone()).collect();
                let on = match self.once_in(8) {
                    true => None,
                    false => self.one_of(names),
                };
                let mut fields = vec![format!("on = {:?}", on.unwrap_or_else(|| "main".into()))];
                if n >= 8 {
                    fields.push(format!("after = {}", time(moment)));
                }
                fields
            }
        }
    }

    /// Whom a verb is about.
    fn target(&mut self, verb: &Key, also: &[&str]) -> Option<String> {
        let on_executor = |part: &Part| part.kind == "task" || part.is_async;
        let parts = self.parts.iter();
        let mut names: Vec<String> = parts
            .filter(|part| verb.on.is_empty() || verb.on.contains(&part.kind))
            .filter(|part| verb.name != "hold" || on_executor(part))
            .filter(|part| verb.name != "register" || part.late)
            .filter(|part| verb.name != "register" || !self.registered.contains(&part.name))
            .map(|part| part.name.clone())
            .collect();
        // The plan's kill tool is nothing to a worker context.
        names.extend(
            also.iter()
                .filter(|name| **name != "kill")
                .map(|name| (*name).to_owned()),
        );
        let name = self.one_of(names)?;
        if verb.name == "register" {
            self.registered.insert(name.clone());
        }
        Some(name)
    }
}

fn selectors(place: Place) -> impl Iterator<Item = &'static str> {
    keys::of(place)
        .filter(|key| key.selects)
        .map(|key| key.name)
}

fn time(ms: u64) -> String {
    format!("\"{ms}ms\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Verb, parse, render};

    fn parsed(text: &str) -> crate::scenario::Scenario {
        parse("random", text).unwrap_or_else(|invalid| {
            panic!(
                "{}\n{text}",
                render(&invalid.diagnostics, "random.toml", text, false)
            )
        })
    }

    #[test]
    fn every_random_file_is_a_scenario() {
        for seed in 0..2_000 {
            parsed(&random(seed));
            assert_eq!(parsed(&random_plain(seed)).timeline.len(), 1);
        }
    }

    #[test]
    fn a_seed_gives_the_same_file_and_another_gives_another() {
        assert_eq!(random(7), random(7));
        assert_ne!(random(7), random(8));
    }

    #[test]
    fn every_key_of_components_and_events_is_generated() {
        let texts: String = (0..2_000).map(random).collect();
        for key in keys::KEYS {
            let generated = matches!(key.place, Place::Component | Place::Event | Place::Worker);
            if generated && key.name != "told-by" {
                assert!(texts.contains(&format!("{} = ", key.name)), "{}", key.name);
            }
        }
    }

    /// Each verb strikes each kind of component that the table of keys allows.
    #[test]
    fn every_verb_is_about_every_kind_that_it_can_be_about() {
        let mut seen = BTreeSet::new();
        for seed in 0..4_000 {
            let scenario = parsed(&random(seed));
            for timed in &scenario.timeline {
                let about = timed.verb.about().and_then(|name| scenario.component(name));
                if let (Some(component), false) = (about, matches!(timed.verb, Verb::Call { .. })) {
                    seen.insert((timed.verb.key(), component.kind.as_str()));
                }
            }
        }
        for verb in
            keys::of(Place::Event).filter(|key| matches!(key.ty, Type::Name(_)) && key.selects)
        {
            for kind in selectors(Place::Component) {
                let can = verb.on.is_empty() || verb.on.contains(&kind);
                assert_eq!(
                    seen.contains(&(verb.name, kind)),
                    can,
                    "{} of a {kind}",
                    verb.name
                );
            }
        }
    }
}
