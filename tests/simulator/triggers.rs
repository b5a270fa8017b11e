//! When events of the timeline strike: at a component's end, and between two turns of one instant. The random scenarios
//! have neither trigger, so these tests add them.

use std::time::Duration;

use deadstop_harness::journal::{Call, Event, MAIN, Name, SignalName, What, text};
use deadstop_harness::scenario::{self, Fault, Scenario, Timed, Trigger, Verb};
use deadstop_harness::sim::{self, Journal, Options};
use deadstop_harness::{journal, laws};

/// Number of random scenarios.
const SCENARIOS: u64 = 16;

fn parsed(text: &str) -> Scenario {
    scenario::parse("triggers", text)
        .unwrap_or_else(|invalid| panic!("{:?}\n{text}", invalid.diagnostics))
}

fn run(scenario: &Scenario) -> Journal {
    sim::run(scenario, &Options::default())
}

/// Runs a scenario with one more event at the end of its timeline.
fn run_with(scenario: &Scenario, trigger: Trigger, verb: &Verb) -> Journal {
    let mut scenario = scenario.clone();
    scenario.timeline.push(Timed {
        trigger,
        verb: verb.clone(),
        span: 0..0,
    });
    run(&scenario)
}

fn call(call: Call) -> Verb {
    Verb::Call {
        call,
        from: None,
        callers: 1,
        message: None,
    }
}

/// Returns the verbs that the tests add: signals, calls, and a fault on each component and on main.
fn verbs(scenario: &Scenario) -> Vec<Verb> {
    let components = scenario.worker.components.iter().flatten();
    let names = components.map(|component| component.name.clone());
    let hang = |name: Name| Verb::Fault {
        name,
        fault: Fault::Hang {
            lasts: Some(Duration::from_millis(300)),
        },
    };
    let faults = names.chain([Name::from("main")]).map(hang);
    let signals = [SignalName::Sigterm, SignalName::Sigkill].map(Verb::Signal);
    let calls = [call(Call::RequestStop), call(Call::Cleanup)];
    signals.into_iter().chain(calls).chain(faults).collect()
}

/// Asserts that no law breaks, but for what the orders of a random file may contradict.
fn assert_lawful(journal: &Journal) {
    let mut broken = laws::judge(&journal.events);
    broken.retain(|broken| broken.law.name != "uses/closed-after-users");
    assert!(broken.is_empty(), "{broken:?}\n{}", text(&journal.events));
}

/// Returns the number of the first event that fits.
fn number(events: &[Event], fits: impl Fn(&What) -> bool) -> Option<u64> {
    let found = events.iter().find(|event| fits(&event.what));
    found.map(|event| event.seq)
}

fn end_of(events: &[Event], name: &str) -> Option<u64> {
    number(
        events,
        |what| matches!(what, What::Ended { name: it, .. } if **it == *name),
    )
}

fn begin_of(events: &[Event], name: &str) -> Option<u64> {
    number(events, |what| match what {
        What::StepStarted { id, name: it, .. } => *id != MAIN && **it == *name,
        What::Began { id: MAIN, .. } => name == "main",
        _ => false,
    })
}

/// Returns the names of the faults in a journal, in their order, with the instant of each.
fn faults(journal: &Journal) -> Vec<(u64, String)> {
    let faults = journal.events.iter().filter_map(|event| match &event.what {
        What::Fault { name, .. } => Some((event.t, name.to_string())),
        _ => None,
    });
    faults.collect()
}

/// Every place between two turns is one at which anything may strike: no law breaks, and nothing before it changes.
#[test]
fn any_place_can_be_struck_and_nothing_before_it_changes() {
    let mut struck = 0;
    for seed in 0..SCENARIOS {
        let scenario = parsed(&scenario::random(seed));
        let base = run(&scenario);
        let last = base.events.len() as u64 - 1;
        let verbs = verbs(&scenario);
        for n in 0..=last {
            // The verbs take turns: all of them at all places would take minutes.
            let verb = &verbs[usize::try_from(n + seed).unwrap_or(0) % verbs.len()];
            let journal = run_with(&scenario, Trigger::AfterEvent(n), verb);
            let before = ..=usize::try_from(n).unwrap_or(usize::MAX);
            assert_eq!(
                journal.events[before], base.events[before],
                "seed {seed}, event {n}, {verb:?}"
            );
            assert_lawful(&journal);
            let index = scenario.timeline.len();
            if journal.unstruck.contains(&index) {
                // The event was written in the last turn, or with the exit.
                assert_eq!(journal.events, base.events, "seed {seed}, event {n}");
            } else {
                struck += 1;
            }
        }
    }
    assert!(struck > 400, "{struck} events struck");
}

#[test]
fn an_end_is_the_place_after_its_event() {
    let mut compared = 0;
    for seed in 0..SCENARIOS {
        let scenario = parsed(&scenario::random(seed));
        let base = run(&scenario);
        let verbs = verbs(&scenario);
        let components = scenario.worker.components.iter().flatten();
        let names = components.map(|component| component.name.clone());
        for (n, name) in names.chain([Name::from("main")]).enumerate() {
            let verb = &verbs[n % verbs.len()];
            let after = Duration::ZERO;
            let place = |number: Option<u64>| {
                // Past the end: neither strikes.
                Trigger::AfterEvent(number.unwrap_or(scenario::limits::EVENT_NUMBER))
            };
            let ends = Trigger::OnEnd {
                name: name.clone(),
                after,
            };
            let begins = Trigger::On {
                name: name.clone(),
                after,
            };
            for (trigger, number) in [
                (ends, end_of(&base.events, &name)),
                (begins, begin_of(&base.events, &name)),
            ] {
                let by_name = run_with(&scenario, trigger, verb);
                let by_number = run_with(&scenario, place(number), verb);
                assert_eq!(by_name, by_number, "seed {seed}, {name}, {verb:?}");
                assert_lawful(&by_name);
                compared += usize::from(by_name.events != base.events);
            }
        }
    }
    assert!(compared > 60, "{compared} runs differ from their base");
}

const ONE_PLACE: &str = r#"
title = "Several events at one place"
[worker]
components = [
  { thread = "first", takes = "1s" },
  { thread = "second", takes = "1s" },
  { closeable = "a" },
  { closeable = "b" },
  { closeable = "c" },
  { closeable = "d" },
]
[timeline]
events = [
  { at = "10s", signal = "SIGTERM" },
"#;

fn at_one_place(events: &[String]) -> Journal {
    let text = format!("{ONE_PLACE}{}]\n", events.join(""));
    let journal = run(&parsed(&text));
    assert_eq!(journal.unstruck, [0_usize; 0], "{text}");
    journal
}

fn fails(trigger: &str, name: &str) -> String {
    format!("  {{ {trigger}, fail = \"{name}\" }},\n")
}

#[test]
fn events_at_one_place_strike_in_the_order_of_the_file() {
    let base = at_one_place(&[]);
    let end = end_of(&base.events, "first").expect("it ends");
    let number = format!("after-event = {end}");
    // The later number was written in the same turn, and so is the same place.
    let named = "on-end = \"first\"";
    for order in [[named, &number, named], [&number, named, &number]] {
        let names = ["b", "a", "c"];
        let events: Vec<String> = order
            .iter()
            .zip(names)
            .map(|(trigger, name)| fails(trigger, name))
            .collect();
        let journal = at_one_place(&events);
        let expected = names.map(|name| (11_000, name.to_owned()));
        assert_eq!(faults(&journal), expected, "{order:?}");
        // They have struck before the other thread had its turn of that instant.
        let others = end_of(&journal.events, "second").expect("it ends");
        assert_eq!(others, end + 4, "{}", text(&journal.events));
    }
}

/// The number of a fault is a place within the strikes: what waits for it comes before what is later in the file.
#[test]
fn what_a_strike_writes_is_a_place_too() {
    let base = at_one_place(&[]);
    let end = end_of(&base.events, "first").expect("it ends");
    let events = [
        fails(&format!("after-event = {}", end + 1), "d"),
        fails("on-end = \"first\"", "a"),
        fails("on-end = \"first\"", "b"),
    ];
    let names: Vec<String> = faults(&at_one_place(&events))
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    // "d" waits for the fault of "a", and then is the first of the file that is due.
    assert_eq!(names, ["a", "d", "b"]);
}

#[test]
fn delay_counts_from_the_end() {
    let journal = at_one_place(&[
        fails("on-end = \"a\"", "b"),
        "  { on-end = \"first\", after = \"2500ms\", fail = \"c\" },\n".to_owned(),
        "  { on-end = \"first\", hang = \"a\", for = \"3s\" },\n".to_owned(),
    ]);
    let expected = [(11_000, "a"), (13_500, "c"), (14_000, "b")];
    assert_eq!(
        faults(&journal),
        expected.map(|(t, name)| (t, name.to_owned()))
    );
}

/// A callback that was left behind ends after its step, a component ends once, and the first end counts.
#[test]
fn end_of_what_was_left_behind_strikes_when_its_code_ends() {
    let journal = run(&parsed(
        r#"
title = "Left behind, and still there"
[worker]
components = [{ closeable = "slow", timeout = "1s", takes = "2s", order = 1 }, { closeable = "db", takes = "3s" }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }, { on-end = "slow", fail = "db" }]
"#,
    ));
    let leak = journal
        .events
        .iter()
        .find(|event| matches!(event.what, What::Leak { .. }))
        .expect("it is left behind");
    assert_eq!(leak.t, 11_000);
    assert_eq!(faults(&journal), [(12_000, "db".to_owned())]);
}

#[test]
fn triggers_that_never_come_leave_the_run_as_it_is() {
    let text = r#"
title = "Never"
[worker]
components = [{ closeable = "hung", timeout = "1s" }, { closeable = "late", late = true }]
[timeline]
events = [{ at = "1s", hang = "hung" }, { at = "10s", signal = "SIGTERM" }]
"#;
    let base = run(&parsed(text));
    let last = base.events.len() as u64 - 1;
    let after = Duration::ZERO;
    for trigger in [
        // It is left behind, and never registered.
        Trigger::OnEnd {
            name: "hung".into(),
            after,
        },
        Trigger::OnEnd {
            name: "late".into(),
            after,
        },
        // The run is over in the turn that writes its last event.
        Trigger::AfterEvent(last),
        Trigger::AfterEvent(last + 1),
        Trigger::AfterEvent(scenario::limits::EVENT_NUMBER),
        // The end comes, and the delay goes past the exit.
        Trigger::OnEnd {
            name: "main".into(),
            after: Duration::from_secs(60),
        },
    ] {
        let journal = run_with(
            &parsed(text),
            trigger.clone(),
            &Verb::Signal(SignalName::Sigint),
        );
        assert_eq!(journal.unstruck, [2], "{trigger:?}");
        assert_eq!(journal.events, base.events, "{trigger:?}");
    }
}

#[test]
fn first_two_events_are_the_place_before_everything() {
    let text = |trigger: &str| {
        format!(
            "title = \"At once\"\n[worker]\ncomponents = [{{ closeable = \"db\" }}]\n[timeline]\n\
             events = [{{ {trigger} signal = \"SIGTERM\" }}]\n"
        )
    };
    let at_once = run(&parsed(&text("")));
    for number in [0, 1] {
        let placed = run(&parsed(&text(&format!("after-event = {number},"))));
        assert_eq!(placed, at_once, "{number}");
    }
}

#[test]
fn no_run_has_an_event_of_a_higher_number() {
    assert_eq!(
        scenario::limits::EVENT_NUMBER,
        sim::MAX_EVENTS_PER_RUN as u64,
        "the limit of the grammar is that of a run"
    );
    assert_eq!(journal::VERSION, 1, "no event's keys have changed");
}
