//! After the second signal stop waits no more, and cleanup only for its floors; at the third the process ends.

use super::limits::{CONFIRM, floor_of, floors};
use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Phase};

pub(super) const LAW: Law = Law {
    name: "signals/heeded",
    rules: "11",
    statement: "After the second signal stop waits no more, and cleanup only for its floors; at the third the process ends.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if let Some((third, _)) = record.signals.get(2).copied() {
        let t = record.t(third);
        if record.exit.is_none_or(|(at, ..)| record.t(at) != t) {
            breaks.at(
                third,
                format!(
                    "the third signal came at {}, and the process went on",
                    At(t)
                ),
            );
        }
    }
    let Some((second, _)) = record.second_signal() else {
        return;
    };
    if record.plan {
        return; // It ends at the second, without a word.
    }
    let hurried = record.t(second);
    let floors = floors(record);
    for (part, step) in record.steps() {
        let end = step.end.map_or(record.end(), |end| end.t);
        let may_end = match step.phase {
            Phase::Start | Phase::Stop => hurried.max(step.t),
            Phase::Cleanup => {
                let (floor, _) = floor_of(&floors, step.id);
                let confirm = if part.aborts.is_empty() { 0 } else { CONFIRM };
                let floor = floor.min(step.bound);
                hurried
                    .max(step.t.saturating_add(floor))
                    .saturating_add(confirm)
            }
        };
        // An abort that was under way is confirmed in its own time.
        let under_way = part.aborts.first().is_some_and(|abort| *abort < second);
        if end > may_end && !under_way {
            breaks.at(
                step.at,
                format!(
                    "\"{}\" was waited for until {}: after the second signal at {}, {} was its end",
                    part.named(),
                    At(end),
                    At(hurried),
                    At(may_end)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::hurried;

    #[test]
    fn a_cleanup_that_is_waited_for_beyond_its_floor() {
        hurried()
            .shifted("leak flush", 500)
            .with("step-ended flush", r#""took":3500"#)
            .row(5, r#"[5,"leaked",10000,"timeout",21500,3500]"#)
            .row(6, r#"[6,"ok",1000,"second-signal",25000,200]"#)
            .row(11, r#"[11,"ok",1000,"second-signal",25200,0]"#)
            .breaks_only(LAW.name);
    }
}
