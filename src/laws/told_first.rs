//! Every live at-once thread and task is told before stop's first step, an in-turn one when its group begins or stop's share is gone.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Kind, Phase, Told};

pub(super) const LAW: Law = Law {
    name: "told/first",
    rules: "1",
    statement: "Every live at-once thread and task is told before stop's first step, an in-turn one when its group begins or stop's share is gone.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.plan {
        return; // It has no tokens: nothing in it is told.
    }
    let stop_ends = record.grace.map_or(u64::MAX, |grace| grace.stop_ends);
    let first = record
        .steps()
        .filter(|(_, step)| step.phase == Phase::Stop)
        .map(|(_, step)| step.at)
        .min();
    let Some(first) = first.or(record.phase(Phase::Stop).ended) else {
        return;
    };
    let stop_began = record.phase_began(Phase::Stop).unwrap_or(first);
    for (_, part, registered_at, registered) in record.registered() {
        let body = matches!(registered.kind, Kind::Thread | Kind::Task | Kind::Watchdog)
            && !registered.adopted;
        let over = part.end.is_some_and(|end| end.at < first) || registered_at > stop_began;
        if !body || over {
            continue;
        }
        match registered.told {
            Told::AtOnce if part.told.is_none_or(|told| told > first) => {
                breaks.at(
                    first,
                    format!(
                        "\"{}\" was not told before stop's first step at {}",
                        registered.name,
                        At(record.t(first))
                    ),
                );
            }
            Told::InTurn => {
                let Some(step) = part.step else { continue };
                let in_turn = |told| record.t(told) == step.t || record.t(told) >= stop_ends;
                if !part.told.is_some_and(in_turn) {
                    let told = part.told.map_or_else(
                        || "never".to_owned(),
                        |told| format!("at {}", At(record.t(told))),
                    );
                    breaks.at(
                        step.at,
                        format!(
                            "\"{}\" was told {told}, and its turn was at {}",
                            registered.name,
                            At(step.t)
                        ),
                    );
                }
            }
            Told::AtOnce => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_thread_that_is_not_told() {
        day().without("told flusher").breaks_only(LAW.name);
    }

    #[test]
    fn one_that_is_told_before_its_turn() {
        day()
            .with("registered writer", r#""order":5,"told":"in-turn""#)
            .with("step-started writer", r#""order":5,"group":2"#)
            .with("step-ended writer", r#""order":5"#)
            .with("step-started drain", r#""group":3"#)
            .with("step-started bye", r#""group":4"#)
            .with("told writer", r#""t":19999"#)
            .moved_behind("step-started writer", "step-ended dog")
            .moved_behind("told writer", "told dog")
            .with("told writer", r#""t":19999"#)
            .rows_swapped(1, 2)
            .breaks_only(LAW.name);
    }
}
