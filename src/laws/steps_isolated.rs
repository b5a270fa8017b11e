//! Whatever failed before, every component that had not ended before its phase has a step, after a failed start too.

use super::record::{Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{Cause, Kind};

pub(super) const LAW: Law = Law {
    name: "steps/isolated",
    rules: "2, 9",
    statement: "Whatever failed before, every component that had not ended before its phase has a step, after a failed start too.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let whole = !record.cut()
        && record
            .exit
            .is_some_and(|(_, _, cause)| cause != Cause::Returned);
    for (_, part, registered_at, registered) in record.registered() {
        if registered.kind == Kind::Main || part.step.is_some() {
            continue;
        }
        let phase = phase_of(registered.kind);
        let began = record.phase_began(phase);
        let ended = record.phase(phase).ended;
        if began.is_some_and(|began| registered_at > began) || (ended.is_none() && !whole) {
            continue; // Too late for its phase, which is another law's; or the phase never came to it.
        }
        let until = began
            .or(record.exit.map(|(at, ..)| at))
            .unwrap_or(registered_at);
        if part.end.is_none_or(|end| end.at > until) {
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

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_closeable_without_a_step() {
        day()
            .without("step-started cache")
            .without("step-ended cache")
            .row(11, "")
            .breaks_only(LAW.name);
    }
}
