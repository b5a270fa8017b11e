//! A registration after its phase has begun is refused, no other is refused for that reason, and only registered code
//! ever runs.

use super::record::{Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, MAIN, RefusedReason, State, What};

pub(super) const LAW: Law = Law {
    name: "late/refused",
    rules: "7",
    statement: "A registration or call is refused as too late if and only if its phase has begun, and only registered components are ever run.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for (_, _, at, registered) in record.registered() {
        let phase = phase_of(registered.kind);
        if let Some(began) = record.phase_began(phase).filter(|began| *began < at) {
            breaks.at(
                at,
                format!(
                    "{} \"{}\" was registered at {}, after {phase} had begun at {}",
                    registered.kind,
                    registered.name,
                    At(record.time_of(at)),
                    At(record.time_of(began))
                ),
            );
        }
    }
    if !record.is_plan {
        check_not_refused_early(record, breaks);
    }
    for (id, component) in (0..).zip(&record.components) {
        if let (true, None, Some(began)) = (id != MAIN, component.registered, component.began) {
            breaks.at(
                began,
                format!(
                    "component {id} ran at {}, but was never registered",
                    At(record.time_of(began))
                ),
            );
        }
    }
}

/// Checks that a registration is refused as too late only after its phase has begun.
fn check_not_refused_early(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for (at, event) in record.events.iter().enumerate() {
        let What::Refused { what, name, reason } = &event.what else {
            continue;
        };
        if *reason != RefusedReason::PhaseBegan {
            continue;
        }
        let began = match &**what {
            "cleanup" | "closeable" => State::CleaningUp,
            _ => State::Stopping,
        };
        if record.entered(began).is_none_or(|began| began > at) {
            breaks.at(
                at,
                format!(
                    "{what} \"{name}\" was refused at {}, before its phase had begun",
                    At(event.t)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn cleanup_refused_while_stop_runs_breaks() {
        day()
            .after("phase-started stop", r#"{"t":20000,"event":"refused","what":"cleanup","name":"late","reason":"phase-began"}"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn callback_accepted_during_stop_breaks() {
        day()
            .after("phase-started stop", r#"{"t":20000,"event":"registered","id":12,"kind":"stop","name":"late","order":0,"timeout":10000,"floor":null,"uses":[],"told":"at-once","async":false,"adopted":false}"#)
            .after("step-ended bye", r#"{"t":21500,"event":"ended","id":12,"name":"late","nth":1,"how":"ok","error":null}"#)
            .after("step-ended bye", r#"{"t":21500,"event":"began","id":12,"name":"late","nth":1}"#)
            .breaks_only(LAW.name);
    }
}
