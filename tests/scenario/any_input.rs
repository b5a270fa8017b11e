//! Any input is either a scenario or an error, and any scenario of moderate size runs.
use deadstop_harness::scenario::keys::{self, Place, Type};
use deadstop_harness::{scenario, sim};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

/// Parses the input and renders its mistakes or lints. Neither may panic, whatever the input.
fn read(bytes: &[u8]) -> Option<scenario::Scenario> {
    let text = String::from_utf8_lossy(bytes);
    match scenario::parse_bytes("any", bytes) {
        Ok(scenario) => {
            scenario::render(&scenario::lint(&scenario), "any.toml", &text, false);
            Some(scenario)
        }
        Err(invalid) => {
            assert!(!invalid.diagnostics.is_empty());
            let rendered = scenario::render(&invalid.diagnostics, "any.toml", &text, true);
            assert!(!rendered.is_empty());
            None
        }
    }
}

/// Generates words of the grammar, and text that is nearly such a word.
fn fragment() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = keys::KEYS.iter().map(|key| key.name.to_owned()).collect();
    words.extend(keys::KEYS.iter().map(|key| key.example.to_owned()));
    words.extend(
        [
            "=",
            " = ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "\n",
            ".",
            "\"",
            "'",
            "\"\"\"",
            "#",
            "\0",
            "\r",
            "\u{feff}",
            "é",
            "[worker]\n",
            "[timeline]\n",
            "[expect]\n",
            "[[worker.components]]\n",
            "title = \"x\"\n",
            "\"10s\"",
            "\"forever\"",
            "\"main\"",
            "true",
            "-1",
            "0x10",
            "1e9",
            "1979-05-27",
            "nan",
            "\"db\"",
            "[\"db\"]",
        ]
        .map(str::to_owned),
    );
    prop_oneof![4 => select(words), 1 => any::<String>()]
}

fn examples() -> Vec<String> {
    scenario::examples()
        .into_iter()
        .map(|(_, text)| text)
        .collect()
}

/// Generates an example in which some ranges of bytes are replaced by fragments.
fn mutated() -> impl Strategy<Value = String> {
    let cut = (any::<Index>(), 0_usize..12, fragment());
    (select(examples()), prop::collection::vec(cut, 1..4)).prop_map(|(mut text, cuts)| {
        for (at, length, new) in cuts {
            let mut start = at.index(text.len().max(1)).min(text.len());
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, &new);
        }
        text
    })
}

/// Generates a value for a key, mostly of the key's type. Names are those of [`NAMES`].
fn value(key: &'static keys::Key, own: String) -> BoxedStrategy<String> {
    let quoted = |words: Vec<&'static str>| select(words).prop_map(|word| format!("{word:?}"));
    let time = || {
        select(vec![
            "0ms", "1ms", "7ms", "100ms", "199ms", "1s", "2s", "10s", "31s", "5m", "1h",
        ])
        .prop_map(|time| format!("{time:?}"))
    };
    let names = || select(NAMES.to_vec()).prop_map(|name| format!("{name:?}"));
    match key.ty {
        Type::Text | Type::Title => Just("\"some words\"".to_owned()).boxed(),
        Type::NotLive => Just("\"no: words\"".to_owned()).boxed(),
        Type::Texts => Just("[\"a\", \"b\"]".to_owned()).boxed(),
        Type::Flag => any::<bool>().prop_map(|flag| flag.to_string()).boxed(),
        Type::Int(min, max) => prop_oneof![
            Just(min),
            Just(max.min(50)),
            (-3_i64..4).prop_map(move |int| int.clamp(min, max))
        ]
        .prop_map(|int| int.to_string())
        .boxed(),
        Type::Time { forever: true, .. } => {
            prop_oneof![3 => time(), 1 => Just("\"forever\"".to_owned())].boxed()
        }
        // A floor has to fit, and a cycle has to be long enough for a run that goes on to its horizon of a day.
        Type::Time { .. } if key.name == "floor" => Just("\"7ms\"".to_owned()).boxed(),
        Type::Time { .. } if ["period", "interval"].contains(&key.name) => {
            quoted(vec!["5m", "1h"]).boxed()
        }
        Type::Time { min: 1, .. } => quoted(vec!["7ms", "100ms", "2s", "31s", "1h"]).boxed(),
        Type::Time { .. } => time().boxed(),
        Type::NewName => Just(format!("{own:?}")).boxed(),
        Type::Name(also) => {
            let wanted: Vec<&'static str> = NAMES
                .iter()
                .filter(|name| {
                    let fits = match key.name {
                        "register" => **name == LATE,
                        "hold" => name.starts_with("task"),
                        _ => key.on.is_empty() || key.on.iter().any(|on| name.starts_with(on)),
                    };
                    fits && **name != own
                })
                .chain(also)
                .copied()
                .collect();
            quoted(wanted).boxed()
        }
        Type::Names(_) | Type::NamesOrCalls => names()
            .prop_filter("names itself", move |name| *name != format!("{own:?}"))
            .prop_map(|name| format!("[{name}]"))
            .boxed(),
        Type::Word(words) => quoted(words()).boxed(),
        Type::Answer => {
            let statuses = vec!["200", "204", "302", "503"];
            quoted([statuses, keys::answers()].concat()).boxed()
        }
        Type::Words(_) => Just("[]".to_owned()).boxed(),
        Type::Table | Type::Tables => Just("{}".to_owned()).boxed(),
    }
}

/// Name of the component that an event registers.
const LATE: &str = "closeable 2";

const NAMES: &[&str] = &[
    "thread 1",
    "thread 2",
    "task 1",
    "task 2",
    "stop 1",
    "cleanup 1",
    "closeable 1",
    "closeable 2",
    "watchdog 1",
];

/// Generates a table of a place: its selector, and some of the keys that go with it.
fn table(place: Place, selector: &'static str, own: &str) -> BoxedStrategy<String> {
    let late = own == LATE;
    let own = own.to_owned();
    let fitting: Vec<&'static keys::Key> = keys::of(place)
        .filter(|key| {
            !key.selects && key.goes_with(selector) && !key.main_only && key.name != "late"
        })
        .collect();
    let first = keys::find(place, selector).expect("a selector is a key");
    let most = 4.min(fitting.len());
    prop::sample::subsequence(fitting, 0..=most)
        .prop_flat_map(move |mut chosen| {
            chosen.push(first);
            for key in keys::of(place) {
                let wanted = key.is_required(Some(selector))
                    || (key.name == "interval" && selector == "watchdog");
                if wanted && !chosen.iter().any(|it| it.name == key.name) {
                    chosen.push(key);
                }
            }
            // An event has one trigger, and a delay only after some of them.
            if place == Place::Event {
                let is_trigger = |key: &keys::Key| keys::TRIGGERS.contains(&key.name);
                let trigger = chosen
                    .iter()
                    .map(|key| key.name)
                    .find(|name| keys::TRIGGERS.contains(name));
                chosen.retain(|key| !is_trigger(key) || Some(key.name) == trigger);
                let can_be_delayed =
                    trigger.is_some_and(|trigger| keys::DELAYED_TRIGGERS.contains(&trigger));
                chosen.retain(|key| key.name != "after" || can_be_delayed);
            }
            chosen
                .into_iter()
                .map(|key| {
                    value(key, own.clone()).prop_map(|value| format!("{} = {value}", key.name))
                })
                .collect::<Vec<_>>()
        })
        .prop_map(move |mut fields| {
            if late {
                fields.push("late = true".to_owned());
            }
            format!("  {{ {} }},\n", fields.join(", "))
        })
        .boxed()
}

/// Generates a whole file: the components of [`NAMES`], at most seven random events, and a signal or call at the end.
fn file() -> impl Strategy<Value = String> {
    let components: Vec<_> = NAMES
        .iter()
        .map(|name| {
            let kind = name.split(' ').next().expect("a name begins with its kind");
            table(Place::Component, kind, name)
        })
        .collect();
    let verbs: Vec<&'static str> = keys::of(Place::Event)
        .filter(|key| key.selects)
        .map(|key| key.name)
        .collect();
    let event = select(verbs).prop_flat_map(|verb| table(Place::Event, verb, ""));
    let run = any::<bool>();
    (components, prop::collection::vec(event, 0..8), run).prop_map(|(components, events, run)| {
        let end = if run { r#"signal = "SIGTERM""# } else { r#"call = "cleanup""# };
        format!(
            "title = \"Any\"\n[worker]\nrun = {run}\ncomponents = [\n{}]\n[timeline]\nevents = [\n{}  {{ at = \"60s\", {end} }},\n]\n",
            components.concat(),
            events.concat()
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        read(&bytes);
    }

    #[test]
    fn any_mixture_of_fragments_is_read(fragments in prop::collection::vec(fragment(), 0..60)) {
        read(fragments.concat().as_bytes());
    }

    #[test]
    fn any_mutated_example_is_read(text in mutated()) {
        read(text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_scenario_runs(text in file(), seed in 0_u64..4) {
        if let Some(scenario) = read(text.as_bytes()) {
            for subject in [sim::Subject::Worker, sim::Subject::Plan] {
                let journal = sim::run(&scenario, &sim::Options { seed, subject, ..Default::default() });
                prop_assert!(!journal.events.is_empty());
            }
        }
    }
}

/// Checks that the generator makes valid files. Otherwise the test above would test nothing.
#[test]
fn most_files_are_scenarios() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let valid = (0..100)
        .filter(|_| {
            let text = file().new_tree(&mut runner).expect("a file").current();
            scenario::parse("any", &text).is_ok()
        })
        .count();
    assert!(valid >= 50, "{valid} of 100");
}
