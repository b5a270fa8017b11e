//! Makes random scenarios over the whole grammar.
//!
//! The kinds, verbs and keys come from the [table of keys](super::keys), so that a new one is generated as soon as it
//! is in the table. The numbers are few and round on purpose: contexts go wrong where several events happen in one
//! instant or a millisecond apart.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::keys::{self, Key, Place, Type};
use super::limits;
use crate::journal::ms_rounded_down;

/// Instant at which a random scenario's worker is asked to stop at the latest.
pub const LAST_STOP: Duration = Duration::from_millis(LAST_STOP_MS);
const LAST_STOP_MS: u64 = 30_000;
/// Instant from which on some events strike, in milliseconds. Main has usually ended by then.
const AFTER_START_MS: u64 = 10_000;
/// Maximum number of components of a random scenario, and of its events besides the last stop.
const MAX_ITEMS: usize = 8;

/// Delays of events and registrations. This and the lists below hold their durations in milliseconds.
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

/// Keys that matter to the plan only, or that the generator writes itself.
const SKIPPED_KEYS: &[&str] = &[
    "told-by",
    "components",
    "at",
    "on",
    "after",
    "late",
    "on-end",
    "after-event",
];

/// Triggers that are not generated: a seed has to keep its scenario, and a number of an event belongs to one run. The
/// tests of triggers add both to random scenarios.
#[cfg(test)]
const NOT_GENERATED: &[&str] = &["on-end", "after-event"];

/// Returns the text of a random scenario: a worker, and the events that strike it. The same seed gives the same text,
/// which is always valid. The worker is asked to stop at [`LAST_STOP`] at the latest.
///
/// ```
/// use deadstop_harness::scenario;
///
/// let text = scenario::random(7);
/// assert_eq!(text, scenario::random(7));
/// assert!(scenario::parse("random", &text).is_ok());
/// ```
pub fn random(seed: u64) -> String {
    Draft::new(seed, false).text()
}

/// Returns the text of a random scenario in which the only event is a SIGTERM at [`LAST_STOP`]. The behaviour of such a
/// worker is known from its file.
pub fn random_plain(seed: u64) -> String {
    Draft::new(seed, true).text()
}

/// A scenario that is being written.
struct Draft {
    rng: ChaCha8Rng,
    seed: u64,
    plain: bool,
    components: Vec<DraftComponent>,
    /// Part of the reserve that no floor has taken, in milliseconds.
    reserve_left_ms: u64,
    handles_signals: bool,
    registered: BTreeSet<String>,
}

/// Properties of a component that its events depend on.
struct DraftComponent {
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
            components: Vec::new(),
            reserve_left_ms: 0,
            handles_signals: true,
            registered: BTreeSet::new(),
        }
    }

    /// Returns a random number below `among`, which is at least 1.
    fn below(&mut self, among: usize) -> usize {
        let among = u64::try_from(among).unwrap_or(1);
        usize::try_from((u64::from(self.rng.next_u32()) * among) >> 32).unwrap_or(0)
    }

    /// Returns true once in `times` calls, on average.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn text(mut self) -> String {
        let lints: Vec<&str> = super::lint_names::LINTS
            .iter()
            .map(|(name, _)| *name)
            .collect();
        let mut text = format!(
            "title = \"A random scenario, seed {}\"\nallow = {lints:?}\n\n[worker]\n",
            self.seed
        );
        self.worker(&mut text);
        let count = self.below(MAX_ITEMS + 1);
        self.choose_components(count);
        text += "components = [\n";
        for n in 0..count {
            let fields = self.component(n).join(", ");
            let _ = writeln!(text, "  {{ {fields} }},");
        }
        text += "]\n\n[timeline]\nevents = [\n";
        let events = match self.plain {
            true => 0,
            false => self.below(MAX_ITEMS + 1),
        };
        let end = match self.handles_signals {
            true => "signal = \"SIGTERM\"",
            false => "call = \"cleanup\"",
        };
        let end = vec![format!("at = {}", quoted_ms(LAST_STOP_MS)), end.to_owned()];
        let mut events: Vec<_> = (0..events).filter_map(|_| self.event()).collect();
        // At a random place: before some events of its instant, and after others.
        events.insert(self.below(events.len() + 1), end);
        for fields in events {
            let _ = writeln!(text, "  {{ {} }},", fields.join(", "));
        }
        text + "]\n"
    }

    /// Writes the limits of the worker, which have to fit one another.
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
        self.reserve_left_ms = reserve;
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
            self.handles_signals = false;
            *text += "run = false\n";
        }
    }

    /// Chooses the components before their fields are written, since they name one another.
    fn choose_components(&mut self, count: usize) {
        let kinds: Vec<&'static str> = selectors(Place::Component)
            .filter(|kind| !self.plain || *kind != "watchdog")
            .collect();
        for n in 1..=count {
            let mut kind = self.pick(&kinds);
            // A worker has one watchdog.
            if kind == "watchdog"
                && self
                    .components
                    .iter()
                    .any(|component| component.kind == kind)
            {
                kind = "thread";
            }
            let late = !self.plain && self.once_in(8);
            self.components.push(DraftComponent {
                kind,
                name: format!("{kind}-{n}"),
                late,
                is_async: false,
            });
        }
    }

    /// Returns the fields of a component.
    fn component(&mut self, n: usize) -> Vec<String> {
        let kind = self.components[n].kind;
        let mut fields = vec![format!("{kind} = {:?}", self.components[n].name)];
        let mut bound = ms_rounded_down(limits::CALL_TIMEOUT);
        for key in keys::of(Place::Component) {
            let unfit = key.selects || !key.goes_with(kind) || SKIPPED_KEYS.contains(&key.name);
            let not_plain = ["uses", "needs", "period"].contains(&key.name);
            if unfit || self.plain && not_plain {
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
                    let floor = self.pick(BOUNDS).min(bound).min(self.reserve_left_ms);
                    self.reserve_left_ms -= floor;
                    (floor > 0).then(|| quoted_ms(floor))
                }
                "timeout" => {
                    bound = self.pick(BOUNDS);
                    Some(quoted_ms(bound))
                }
                _ => self.value(key, Some(n)),
            };
            if let Some(value) = value {
                self.components[n].is_async |= key.name == "async";
                fields.push(format!("{} = {value}", key.name));
            }
        }
        if !self.plain && self.once_in(5) {
            fields.push(format!("after = {}", quoted_ms(self.pick(MOMENTS))));
        }
        if self.components[n].late {
            fields.push("late = true".to_owned());
        }
        fields
    }

    /// Returns a value for a key, or `None` if the key can have none. `own` is the index of the component that has the
    /// key; `None` for an event.
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
                let durations_ms = match key.name {
                    "period" => CYCLES,
                    "interval" => INTERVALS,
                    "request-timeout" => REQUEST_TIMEOUTS,
                    _ if min > 0 => BOUNDS,
                    _ => TAKES,
                };
                quoted_ms(self.pick(durations_ms))
            }
            Type::Name(also) => {
                let names = self.components.iter().enumerate();
                let mut names: Vec<String> = names
                    .filter(|(n, _)| Some(*n) != own)
                    .map(|(_, component)| component.name.clone())
                    .collect();
                names.extend(also.iter().map(|name| (*name).to_owned()));
                format!("{:?}", self.one_of(names)?)
            }
            Type::Names(_) => {
                let names = self.components.iter().enumerate();
                let names: Vec<String> = names
                    .filter(|(n, _)| Some(*n) != own)
                    .map(|(_, component)| component.name.clone())
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
            // No key for which a value is made has one of these types.
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

    /// Returns the fields of an event, or `None` if the chosen verb has no possible object.
    fn event(&mut self) -> Option<Vec<String>> {
        let verbs: Vec<&'static Key> = keys::of(Place::Event).filter(|key| key.selects).collect();
        let verb = self.pick(&verbs);
        let mut fields = self.moment();
        let target = match verb.ty {
            Type::Name(also) => {
                let target = self.target(verb, also)?;
                fields.push(format!("{} = {target:?}", verb.name));
                target
            }
            _ => {
                // With `run = false` a signal ends the process at once. That is allowed, as one case among many.
                let value = self.value(verb, None)?;
                let at_once = fields.first().is_some_and(|at| at == "at = \"0ms\"");
                // No start in the instant in which the worker itself is started: either start may come second.
                if at_once && value == "\"start\"" {
                    return None;
                }
                fields.push(format!("{} = {value}", verb.name));
                String::new()
            }
        };
        for key in keys::of(Place::Event) {
            let unfit =
                key.selects || !key.goes_with(verb.name) || SKIPPED_KEYS.contains(&key.name);
            if unfit || key.main_only && target != "main" {
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

    /// Returns the fields for the moment of an event.
    fn moment(&mut self) -> Vec<String> {
        let moment = self.pick(MOMENTS);
        match self.below(10) {
            0..=1 => vec![format!("at = {}", quoted_ms(AFTER_START_MS + moment))],
            2..=3 => vec![format!("at = {}", quoted_ms(LAST_STOP_MS + moment))],
            4 => vec![format!("at = {}", quoted_ms(moment))],
            n => {
                let names: Vec<String> = self
                    .components
                    .iter()
                    .map(|component| component.name.clone())
                    .collect();
                let on = match self.once_in(8) {
                    true => None,
                    false => self.one_of(names),
                };
                let mut fields = vec![format!("on = {:?}", on.unwrap_or_else(|| "main".into()))];
                if n >= 8 {
                    fields.push(format!("after = {}", quoted_ms(moment)));
                }
                fields
            }
        }
    }

    /// Returns the name of a component that a verb can be about, or `None` if there is none.
    fn target(&mut self, verb: &Key, also: &[&str]) -> Option<String> {
        let on_executor =
            |component: &DraftComponent| component.kind == "task" || component.is_async;
        let components = self.components.iter();
        let mut names: Vec<String> = components
            .filter(|component| verb.on.is_empty() || verb.on.contains(&component.kind))
            .filter(|component| verb.name != "hold" || on_executor(component))
            .filter(|component| verb.name != "register" || component.late)
            .filter(|component| {
                verb.name != "register" || !self.registered.contains(&component.name)
            })
            .map(|component| component.name.clone())
            .collect();
        // A worker context does not use the plan's kill tool.
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

fn quoted_ms(ms: u64) -> String {
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
    fn same_seed_gives_same_file_and_another_seed_another() {
        assert_eq!(random(7), random(7));
        assert_ne!(random(7), random(8));
    }

    #[test]
    fn every_key_of_components_and_events_is_generated() {
        let texts: String = (0..2_000).map(random).collect();
        for key in keys::KEYS {
            let generated = matches!(key.place, Place::Component | Place::Event | Place::Worker);
            if generated && key.name != "told-by" && !NOT_GENERATED.contains(&key.name) {
                assert!(texts.contains(&format!("{} = ", key.name)), "{}", key.name);
            }
        }
    }

    /// Each verb strikes each kind of component that the table of keys allows.
    #[test]
    fn every_verb_strikes_every_kind_that_the_table_allows() {
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
