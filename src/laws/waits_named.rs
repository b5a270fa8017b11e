//! A step that is still waited for at half its bound, rounded up, is named then, and only then.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, What};

pub(super) const LAW: Law = Law {
    name: "waits/named",
    rules: "14",
    statement: "A step that is still waited for at half its bound, rounded up, is named then, and only then.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.plan {
        return; // It names nothing.
    }
    for (part, step) in record.steps() {
        let half = step.t.saturating_add(step.bound.div_ceil(2));
        let end = step.end.map_or(record.end(), |end| end.t);
        // The wait is over with the abort; what comes then is its confirmation. (An adopted task has
        // no other wait than that one.) So a bound of 1 ms, of which half is all, need not be named.
        let adopted = part
            .registered
            .is_some_and(|(_, registered)| registered.adopted);
        let over = match part.aborts.first() {
            Some(abort) if !adopted => end.min(record.t(*abort)),
            _ => end,
        };
        // In the instant itself both are right where the wait was cut: by a signal, by the end, or by the
        // abort of a neighbour that it had waited for.
        let signal = || record.signals.iter().any(|(at, _)| record.t(*at) == half);
        let abort = || {
            let mut aborts = record.parts.iter().flat_map(|part| &part.aborts);
            aborts.any(|at| record.t(*at) == half)
        };
        let cut_then = end == half && (step.end.is_none() || signal() || abort());
        match part.waiting.map(|at| (at, &record.events[at])) {
            None if over > half => breaks.at(
                step.at,
                format!(
                    "\"{}\" was waited for from {} to {} and never named",
                    part.named(),
                    At(step.t),
                    At(end)
                ),
            ),
            Some((at, event)) => {
                let says = matches!(event.what, What::StillWaiting { waited, bound, .. } if waited == half - step.t && bound == step.bound);
                if event.t != half || !says || !(end > half || cut_then) {
                    breaks.at(at, format!("\"{}\" was named at {}: half of its bound was over at {}, and it ended at {}", part.named(), At(event.t), At(half), At(end)));
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, adopting, day};

    #[test]
    fn a_wait_that_is_not_named() {
        day().without("still-waiting writer").breaks_only(LAW.name);
    }

    #[test]
    fn a_wait_that_is_named_too_late() {
        day()
            .with("still-waiting writer", r#""t":21001"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn adopted_task_is_named_at_half_its_bound() {
        // Its abort is its telling: with the executor held, it is waited for until 21.5 s.
        let waited = |named: &str| -> ByHand {
            let old = adopting()
                .moved_behind("step-ended old hand", "still-waiting writer")
                .moved_behind("ended old hand", "still-waiting writer")
                .with("ended old hand", r#""t":21200"#)
                .with("step-ended old hand", r#""t":21200,"took":1200"#)
                .row(12, r#"[12,"ok",2000,"cancel-timeout",20000,1200]"#)
                .before(
                    "began crash",
                    r#"{"t":0,"event":"held","id":1,"name":"flusher"}"#,
                );
            if named.is_empty() {
                old
            } else {
                old.before("still-waiting writer", named)
            }
        };
        waited(r#"{"t":21000,"event":"still-waiting","name":"old hand","waited":1000,"bound":2000,"id":12}"#)
            .breaks_nothing();
        waited("").breaks_only(LAW.name);
    }
}
