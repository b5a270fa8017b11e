//! Every live thread and task that is told at once is told before the phase stop, by ascending id and once. One that
//! is told in its turn is told when its group begins or stop's share is gone.

use super::record::{EventIndex, Record};
use super::{Breaks, Law};
use crate::journal::{At, Kind, Phase, Told};

pub(super) const LAW: Law = Law {
    name: "told/first",
    rules: "1",
    statement: "Every at-once thread or task that still runs is told once, before the phase stop and by ascending id. An in-turn one is told when its group begins, or when stop's share is spent.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan has no tokens, and tells no component.
    }
    let stop_ends = record.grace.map_or(u64::MAX, |grace| grace.stop_ends);
    let first_step = record
        .steps()
        .filter(|(_, step)| step.phase == Phase::Stop)
        .map(|(_, step)| step.at)
        .min();
    let begins = [first_step, record.phase(Phase::Stop).started];
    let Some(first) = begins.into_iter().flatten().min() else {
        return;
    };
    let stop_began = record.phase_began(Phase::Stop).unwrap_or(first);
    for (_, component, registered_at, registered) in record.registered() {
        let body = matches!(registered.kind, Kind::Thread | Kind::Task | Kind::Watchdog)
            && !registered.adopted;
        let over = component.end.is_some_and(|end| end.at < first) || registered_at > stop_began;
        if !body || over {
            continue;
        }
        match registered.told {
            Told::AtOnce if component.told.is_none_or(|told| told > first) => {
                breaks.at(
                    first,
                    format!(
                        "\"{}\" was not told before stop began at {}",
                        registered.name,
                        At(record.time_of(first))
                    ),
                );
            }
            Told::InTurn => {
                let Some(step) = component.step else { continue };
                let in_turn =
                    |told| record.time_of(told) == step.t || record.time_of(told) >= stop_ends;
                if !component.told.is_some_and(in_turn) {
                    let told = component.told.map_or_else(
                        || "never".to_owned(),
                        |told| format!("at {}", At(record.time_of(told))),
                    );
                    breaks.at(
                        step.at,
                        format!(
                            "\"{}\" was told {told}, but its turn was at {}",
                            registered.name,
                            At(step.t)
                        ),
                    );
                }
            }
            Told::AtOnce => {}
        }
    }
    check_told_once_in_order(record, breaks, first);
    check_heard(record, breaks);
}

/// Checks that no component is told twice, and that those told before stop's first step are told by ascending id.
fn check_told_once_in_order(record: &Record<'_>, breaks: &mut Breaks<'_>, first: EventIndex) {
    let mut last: Option<(EventIndex, &str)> = None;
    for component in &record.components {
        for again in &component.told_again {
            let at = At(record.time_of(*again));
            breaks.at(
                *again,
                format!("\"{}\" was told again at {at}", component.name_or_unknown()),
            );
        }
        let Some(told) = component.told.filter(|told| *told < first) else {
            continue;
        };
        if let Some((before, name)) = last.filter(|(before, _)| *before > told) {
            breaks.at(
                before,
                format!(
                    "\"{name}\" was told at {} after \"{}\", which was registered later",
                    At(record.time_of(before)),
                    component.name_or_unknown()
                ),
            );
        }
        last = Some((told, component.name_or_unknown()));
    }
}

/// Checks that a component that was told hears it in that instant unless something prevents it, and that no component
/// hears it without a claim that it was told.
fn check_heard(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let over = |t| record.last_instant() == t;
    for (_, component, _, registered) in record.registered() {
        if !matches!(registered.kind, Kind::Thread | Kind::Task) || component.fault.is_some() {
            continue;
        }
        match (component.told, component.heard) {
            (Some(told), heard) => {
                let t = record.time_of(told);
                let hears = heard.is_some_and(|heard| heard > told && record.time_of(heard) == t);
                let gone = component.end.is_some_and(|end| end.t <= t) || over(t);
                let kept = registered.is_async && record.held_at(t);
                if !(hears || gone || kept) {
                    let name = &registered.name;
                    breaks.at(
                        told,
                        format!(
                            "the context says that it told \"{name}\" at {}, but \"{name}\" did not hear it",
                            At(t)
                        ),
                    );
                }
            }
            (None, Some(heard)) => breaks.at(
                heard,
                format!(
                    "\"{}\" heard at {} that it is to stop, but the context had not said that it told it",
                    registered.name,
                    At(record.time_of(heard))
                ),
            ),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, rolled_back};

    #[test]
    fn thread_that_is_not_told_breaks() {
        day().without("told flusher").breaks_only(LAW.name);
    }

    #[test]
    fn watchdog_told_after_the_phase_began_breaks() {
        day()
            .moved_after("told dog", "phase-started stop")
            .breaks_only(LAW.name);
    }

    #[test]
    fn task_told_twice_breaks() {
        day()
            .after(
                "told dog",
                r#"{"t":20000,"event":"told","name":"writer","id":2}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn telling_in_descending_order_breaks() {
        day()
            .moved_after("told flusher", "told dog")
            .breaks_only(LAW.name);
    }

    #[test]
    fn task_that_does_not_hear_breaks() {
        day()
            .with_keys("heard writer", r#""t":20500"#)
            .moved_after("heard writer", "step-ended dog")
            .with_keys("heard writer", r#""t":20500"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn task_that_hears_without_being_told_breaks() {
        day()
            .after("registered cache", r#"{"t":0,"event":"registered","id":12,"kind":"task","name":"old hand","order":0,"timeout":2000,"floor":null,"uses":[],"told":"at-once","async":true,"adopted":true}"#)
            .after("told dog", r#"{"t":20000,"event":"heard","id":12,"name":"old hand"}"#)
            .after("heard old hand", r#"{"t":20000,"event":"ended","id":12,"name":"old hand","nth":1,"how":"ok","error":null}"#)
            .after("step-started dog", r#"{"t":20000,"event":"step-started","phase":"stop","name":"old hand","order":0,"bound":2000,"bound_by":"cancel-timeout","id":12,"kind":"task","group":1}"#)
            .after("step-started old hand", r#"{"t":20000,"event":"abort","name":"old hand","id":12}"#)
            .after("abort old hand", r#"{"t":20000,"event":"step-ended","phase":"stop","name":"old hand","order":0,"outcome":"ok","took":0,"id":12,"error":null}"#)
            .row_after(7, r#"[12,"ok",2000,"cancel-timeout",20000,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn task_told_before_its_turn_breaks() {
        day()
            .with_keys("registered writer", r#""order":5,"told":"in-turn""#)
            .with_keys("step-started writer", r#""order":5,"group":2"#)
            .with_keys("step-ended writer", r#""order":5"#)
            .with_keys("step-started drain", r#""group":3"#)
            .with_keys("step-started bye", r#""group":4"#)
            .with_keys("told writer", r#""t":19999"#)
            .moved_after("step-started writer", "step-ended dog")
            .moved_after("told writer", "told dog")
            .with_keys("told writer", r#""t":19999"#)
            .rows_swapped(1, 2)
            .breaks_only(LAW.name);
    }

    #[test]
    fn thread_registered_after_stop_began_is_another_laws() {
        day()
            .after("phase-started stop", r#"{"t":20000,"event":"registered","id":12,"kind":"thread","name":"late","order":0,"timeout":2000,"floor":null,"uses":[],"told":"at-once","async":false,"adopted":false}"#)
            .after("registered late", r#"{"t":20000,"event":"began","id":12,"name":"late","nth":1}"#)
            .after("began late", r#"{"t":20000,"event":"ended","id":12,"name":"late","nth":1,"how":"ok","error":null}"#)
            .breaks_only("late/refused");
    }

    /// Returns a day on which the thread `flusher` is told in its turn, in a group after that of the others, at
    /// 21.5 s.
    fn in_turn() -> ByHand {
        day()
            .with_keys("registered flusher", r#""order":5,"told":"in-turn""#)
            .with_keys("step-started flusher", r#""order":5,"group":2"#)
            .with_keys("step-ended flusher", r#""order":5"#)
            .with_keys("step-started drain", r#""group":3"#)
            .with_keys("step-started bye", r#""group":4"#)
            .moved_after("step-ended flusher", "step-ended writer")
            .moved_after("ended flusher", "step-ended writer")
            .moved_after("heard flusher", "step-ended writer")
            .moved_after("told flusher", "step-ended writer")
            .moved_after("step-started flusher", "step-ended writer")
            .with_row(1, r#"[1,"ok",2000,"join-timeout",21500,0]"#)
            .rows_swapped(0, 1)
            .rows_swapped(1, 2)
    }

    #[test]
    fn thread_that_is_told_in_its_turn_passes() {
        in_turn().breaks_nothing();
    }

    #[test]
    fn thread_that_is_told_long_before_its_turn_breaks() {
        in_turn()
            .moved_after("heard flusher", "step-started dog")
            .moved_after("told flusher", "running")
            .breaks_only(LAW.name);
    }

    #[test]
    fn main_is_told_before_all_others() {
        rolled_back().breaks_nothing();
    }

    #[test]
    fn watchdog_that_ends_later_need_not_hear() {
        day()
            .moved_after("step-ended dog", "heard writer")
            .moved_after("ended dog", "heard writer")
            .moved_after("step-ended dog", "step-ended flusher")
            .moved_after("ended dog", "step-ended flusher")
            .with_keys("ended dog", r#""t":20500"#)
            .with_keys("step-ended dog", r#""t":20500,"took":500"#)
            .with_row(7, r#"[7,"ok",5000,"join-timeout",20000,500]"#)
            .breaks_nothing();
    }

    #[test]
    fn thread_that_ends_in_the_instant_need_not_hear() {
        day().without("heard flusher").breaks_nothing();
    }

    #[test]
    fn task_that_a_fault_or_a_held_executor_keeps_need_not_hear() {
        let deaf = day().without("heard writer");
        deaf.clone().breaks_only(LAW.name);
        deaf.clone()
            .before(
                "probe-began 2",
                r#"{"t":9000,"event":"fault","fault":"ignore","name":"writer","id":2}"#,
            )
            .breaks_nothing();
        deaf.before(
            "probe-began 2",
            r#"{"t":9000,"event":"held","id":1,"name":"flusher"}"#,
        )
        .breaks_nothing();
    }

    #[test]
    fn thread_that_a_held_executor_does_not_keep_has_to_hear() {
        day()
            .without("heard flusher")
            .moved_after("step-ended flusher", "heard writer")
            .moved_after("ended flusher", "heard writer")
            .with_keys("ended flusher", r#""t":20500"#)
            .with_keys("step-ended flusher", r#""t":20500,"took":500"#)
            .moved_after("step-ended dog", "heard writer")
            .moved_after("ended dog", "heard writer")
            .with_row(1, r#"[1,"ok",2000,"join-timeout",20000,500]"#)
            .before(
                "probe-began 2",
                r#"{"t":9000,"event":"held","id":2,"name":"writer"}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn told_in_the_last_instant_need_not_hear() {
        day()
            .cut_after("told dog")
            .killed_at(20_000)
            .breaks_nothing();
    }
}
