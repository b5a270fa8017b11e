//! Every cleanup step that has not ended has had its floor, after a second signal too.

use super::limits::floors;
use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{Ms, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "cleanup/floor",
    rules: "3, 11",
    statement: "Every cleanup step that has not ended has had its floor, after a second signal too.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let floors = floors(record);
    let cut = record.cut() && !killed_at_the_end(record);
    for (id, floor, _) in floors {
        let Some(part) = record.part(id) else {
            continue;
        };
        let had = match part.step {
            Some(step) if !record.plan => {
                if step.bound < floor {
                    breaks.at(
                        step.at,
                        format!(
                            "\"{}\" (order {}) got {}: it is sure of {}",
                            part.named(),
                            step.order,
                            Ms(step.bound),
                            Ms(floor)
                        ),
                    );
                    continue;
                }
                let Some(end) = step.end else { continue };
                if matches!(
                    end.outcome,
                    Outcome::Ok | Outcome::Failed | Outcome::Panicked
                ) {
                    continue;
                }
                end.t.saturating_sub(step.t)
            }
            // By the facts: what was called and has not returned when the process ends.
            _ if cut || record.phase_began(Phase::Cleanup).is_none() => continue,
            _ => match (part.began, part.end) {
                (_, Some(_)) => continue,
                (Some(began), None) => record.end().saturating_sub(record.t(began)),
                (None, None) if record.plan => 0,
                (None, None) => continue,
            },
        };
        if had < floor {
            let at = part
                .step
                .and_then(|step| step.end)
                .map_or(record.events.len().saturating_sub(1), |end| end.at);
            breaks.at(
                at,
                format!(
                    "\"{}\" was given up after {}: it is sure of {}",
                    part.named(),
                    Ms(had),
                    Ms(floor)
                ),
            );
        }
    }
}

/// Whether the platform killed the process because its grace was over: that came as it was announced, and
/// the floors were to be kept before it.
fn killed_at_the_end(record: &Record<'_>) -> bool {
    let (Some(killed), Some(asked), Some(limits)) = (record.killed, record.asked(), record.limits)
    else {
        return false;
    };
    record.t(killed) >= record.t(asked).saturating_add(limits.grace)
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::hurried;

    #[test]
    fn a_second_signal_that_takes_the_floor() {
        hurried()
            .shifted("leak flush", -1_000)
            .with("step-ended flush", r#""took":2000"#)
            .row(5, r#"[5,"leaked",10000,"timeout",21500,2000]"#)
            .row(6, r#"[6,"ok",1000,"second-signal",23500,200]"#)
            .row(11, r#"[11,"ok",1000,"second-signal",23700,0]"#)
            .breaks_only(LAW.name);
    }
}
