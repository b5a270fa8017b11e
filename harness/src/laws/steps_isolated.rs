//! Every component that had not ended before its phase has a step, and no other component has one, whatever failed
//! before. After a failed start that holds too, and for main.

use super::record::{Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, Cause, Kind, MAIN, State};

pub(super) const LAW: Law = Law {
    name: "steps/isolated",
    rules: "2, 9",
    statement: "Whatever failed before, every component that has not ended before its phase has a step, and no other component has one. This also holds after a failed start, and for main.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let whole = !record.is_cut()
        && record
            .exit
            .is_some_and(|(_, _, cause)| cause != Cause::Returned);
    if !record.is_plan {
        check_main_and_early_ends(record, breaks);
    }
    for (_, component, registered_at, registered) in record.registered() {
        if registered.kind == Kind::Main || component.step.is_some() {
            continue;
        }
        let phase = phase_of(registered.kind);
        let began = record.phase_began(phase);
        let ended = record.phase(phase).ended;
        if began.is_some_and(|began| registered_at > began) || (ended.is_none() && !whole) {
            continue; // It came too late, which breaks another law; or its phase did not get that far.
        }
        let until = began
            .or(record.exit.map(|(at, ..)| at))
            .unwrap_or(registered_at);
        if component.end.is_none_or(|end| end.at > until) {
            let at = ended.or(record.exit.map(|(at, ..)| at)).unwrap_or(until);
            breaks.at(
                at,
                format!(
                    "{} \"{}\" had no step in {phase}",
                    registered.kind, registered.name
                ),
            );
        }
    }
}

/// Checks that a component that ended before stop has no step, and that a main that still ran when a stop was asked
/// for has one.
fn check_main_and_early_ends(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let Some(stopping) = record.entered(State::Stopping) else {
        return;
    };
    let began = record.time_of(stopping);
    for (id, component) in (MAIN..).zip(&record.components) {
        let ended_at = component.end.map_or(u64::MAX, |end| end.t);
        match component.step {
            Some(step) if id != MAIN && ended_at < began => breaks.at(
                step.at,
                format!(
                    "\"{}\" ended at {}, before stop, but has a step",
                    component.name_or_unknown(),
                    At(ended_at)
                ),
            ),
            None if id == MAIN && component.began.is_some() => {
                let requested = record.requested.map_or(u64::MAX, |at| record.time_of(at));
                if ended_at > requested {
                    breaks.at(stopping, "main ran when the stop was requested, but stop began without waiting for it".to_owned());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn closeable_without_a_step_breaks() {
        day()
            .without("step-started cache")
            .without("step-ended cache")
            .with_row(11, "")
            .breaks_only(LAW.name);
    }

    #[test]
    fn step_of_a_thread_that_died_before_stop_breaks() {
        day()
            .after("step-started dog", r#"{"t":20000,"event":"step-started","phase":"stop","name":"crash","order":0,"bound":2000,"bound_by":"join-timeout","id":9,"kind":"thread","group":1}"#)
            .after("step-started crash", r#"{"t":20000,"event":"step-ended","phase":"stop","name":"crash","order":0,"outcome":"failed","took":0,"id":9,"error":null}"#)
            .row_after(7, r#"[9,"failed",2000,"join-timeout",20000,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn main_that_is_not_waited_for_breaks() {
        day()
            .without("state running")
            .moved_after("ended main", "step-ended dog")
            .with_keys("ended main", r#""t":20500"#)
            .breaks_only(LAW.name);
    }
}
