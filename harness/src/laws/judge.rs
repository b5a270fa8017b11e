//! All laws, and their judgement of a journal.

use super::law::{Breaks, Broken, Law};
use super::record::Record;
use super::{
    bound_right, bound_warned, cleanup_after_stop, cleanup_descending, cleanup_floor,
    deaths_reported, ends_explained, exit_code, late_refused, ledger_accounted, outcome_true,
    phase_within_grace, report_agrees, running_false_first, signals_heeded, states_forward,
    steps_bounded, steps_exactly_once, steps_isolated, steps_one_at_a_time, steps_patient,
    stop_after_delay, stop_ascending, task_escalation, ties_registration_order, told_first,
    uses_closed_after_users, uses_warned, waits_named, watchdog_disarmed_first, watchdog_just,
};
use crate::journal::Event;

static LAWS: &[Law] = &[
    running_false_first::LAW,
    watchdog_disarmed_first::LAW,
    watchdog_just::LAW,
    told_first::LAW,
    stop_after_delay::LAW,
    stop_ascending::LAW,
    cleanup_descending::LAW,
    ties_registration_order::LAW,
    cleanup_after_stop::LAW,
    steps_one_at_a_time::LAW,
    steps_isolated::LAW,
    steps_exactly_once::LAW,
    bound_right::LAW,
    bound_warned::LAW,
    steps_bounded::LAW,
    steps_patient::LAW,
    outcome_true::LAW,
    task_escalation::LAW,
    cleanup_floor::LAW,
    phase_within_grace::LAW,
    signals_heeded::LAW,
    states_forward::LAW,
    late_refused::LAW,
    uses_closed_after_users::LAW,
    uses_warned::LAW,
    ledger_accounted::LAW,
    deaths_reported::LAW,
    waits_named::LAW,
    report_agrees::LAW,
    exit_code::LAW,
    ends_explained::LAW,
];

/// Returns every law, in the order in which they are judged.
pub fn all() -> &'static [Law] {
    LAWS
}

/// Returns the breaks of a journal: by law in the order of [`all`], each law's breaks in the order in which it finds
/// them.
///
/// Any list of events can be judged; none makes a law panic.
pub fn judge(events: &[Event]) -> Vec<Broken> {
    let record = Record::new(events);
    let mut found = Vec::new();
    for law in all() {
        let mut breaks = Breaks {
            law,
            events,
            found: &mut found,
            count: 0,
        };
        (law.judge)(&record, &mut breaks);
    }
    found
}

impl Law {
    /// Returns whether it is the law that each end is explained.
    pub(crate) fn is_ends_explained(&self) -> bool {
        *self == ends_explained::LAW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::BREAKS_A_LAW;
    use crate::laws::by_hand::{
        adopted_task, day, delayed, failed_start, killed, plan_day, program, rolled_back,
        second_signal_in_cleanup, second_signal_in_stop, short_grace, stubborn_writer,
    };

    #[test]
    fn a_healthy_day_breaks_nothing() {
        day().breaks_nothing();
    }

    #[test]
    fn a_hurried_day_breaks_nothing() {
        second_signal_in_cleanup().breaks_nothing();
    }

    #[test]
    fn right_days_of_other_kinds_break_nothing() {
        plan_day().breaks_nothing();
        program().breaks_nothing();
        rolled_back().breaks_nothing();
        failed_start().breaks_nothing();
        second_signal_in_stop().breaks_nothing();
        short_grace().breaks_nothing();
        killed().breaks_nothing();
        adopted_task().breaks_nothing();
        delayed().breaks_nothing();
        stubborn_writer().breaks_nothing();
    }

    #[test]
    fn breaks_of_one_law_are_cut_at_the_maximum() {
        let found = |breaks: usize| {
            let state = r#"{"t":31700,"event":"state","state":"done"}"#;
            let journal = (0..breaks).fold(day(), |day, _| day.after("phase-ended cleanup", state));
            judge(&journal.events()).len()
        };
        assert_eq!(found(BREAKS_A_LAW - 1), BREAKS_A_LAW - 1);
        assert_eq!(found(BREAKS_A_LAW), BREAKS_A_LAW);
        assert_eq!(found(BREAKS_A_LAW + 1), BREAKS_A_LAW);
        assert_eq!(found(BREAKS_A_LAW + 2), BREAKS_A_LAW);
    }

    #[test]
    fn names_are_unique_and_have_two_parts() {
        let mut names: Vec<_> = all().iter().map(|law| law.name).collect();
        assert!(names.iter().all(|name| name.split('/').count() == 2));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }

    /// Checks that each law's file has a journal that breaks this law only.
    #[test]
    fn every_law_has_a_journal_that_breaks_it() {
        for law in all() {
            let file = law.name.replace(['/', '-'], "_");
            let path = format!("{}/src/laws/{file}.rs", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).expect("each law has its file");
            assert!(
                text.contains("breaks_only(LAW.name)"),
                "{path} has no journal that breaks it"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            ..proptest::test_runner::Config::default()
        })]
        #[test]
        fn no_list_of_events_makes_a_law_panic(
            picks in proptest::collection::vec((0_usize..200, 0_u64..60_000, 0_u32..14, 0_usize..8), 0..120)
        ) {
            let healthy = day().events();
            let events: Vec<Event> = picks
                .into_iter()
                .map(|(at, t, id, bound)| {
                    let event = Event { t, ..healthy[at % healthy.len()].clone() };
                    // The event has the figures of another one, for every key of these that it has.
                    let mut keys = serde_json::to_value(&event).expect("an event is JSON");
                    let bounds = [0, 1, 99, 1_000, 10_000, u64::MAX / 2, u64::MAX - 1, u64::MAX];
                    for (key, value) in [("id", u64::from(id)), ("bound", bounds[bound]), ("took", bounds[bound]),
                        ("grace", bounds[bound]), ("timeout", bounds[bound]), ("floor", bounds[bound]),
                        ("reserve", bounds[bound]), ("margin", bounds[bound]), ("nth", u64::from(id))] {
                        if keys.get(key).is_some_and(serde_json::Value::is_u64) {
                            keys[key] = value.into();
                        }
                    }
                    serde_json::from_value(keys).unwrap_or(event)
                })
                .collect();
            for broken in judge(&events) {
                proptest::prop_assert!(!broken.message.is_empty());
            }
        }
    }
}
