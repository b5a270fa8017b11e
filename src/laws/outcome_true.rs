//! An outcome says what the facts say: ok if and only if it ended well by its deadline; leaked if and only if it still ran.

use super::record::{End, Record, Step, is_call};
use super::{Breaks, Law};
use crate::journal::{At, BoundBy, How, Outcome, Phase, What};

pub(super) const LAW: Law = Law {
    name: "outcome/true",
    rules: "5, 6",
    statement: "An outcome says what the facts say: ok if and only if it ended well by its deadline; leaked if and only if it still ran.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.plan {
        return; // It does not say how a step ended.
    }
    for (part, step) in record.steps() {
        let Some(end) = step.end else { continue };
        let adopted = part
            .registered
            .is_some_and(|(_, registered)| registered.adopted);
        let deadline = step.t.saturating_add(step.bound);
        let fact = part.end.filter(|fact| fact.at < end.at);
        let by_itself =
            fact.filter(|fact| fact.t <= deadline && (fact.how != How::Dropped || adopted));
        let right = match end.outcome {
            Outcome::Ok => {
                by_itself.is_some_and(|fact| fact.how == How::Ok || fact.how == How::Dropped)
            }
            Outcome::Failed => by_itself.is_some_and(|fact| fact.how == How::Failed),
            Outcome::Panicked => by_itself.is_some_and(|fact| fact.how == How::Panicked),
            Outcome::TimedOut | Outcome::Aborted => {
                // What ended late, and before anybody looked, needed no abort: it overran, and is gone.
                let late = fact.is_some_and(|fact| fact.t > deadline);
                let unlooked =
                    end.outcome == Outcome::TimedOut && late && (part.aborts.is_empty() || adopted);
                // A call is timed out, a cancel aborted; what was not waited for is neither.
                (unlooked && !unawaited(step))
                    || is_call(step.kind) == (end.outcome == Outcome::TimedOut)
                        && !unawaited(step)
                        && fact.is_some_and(|fact| fact.how == How::Dropped || fact.t > deadline)
            }
            Outcome::Leaked => {
                fact.is_none()
                    && part.leak.is_some()
                    && (adopted || !unawaited(step))
                    && !ended_after_all(record, part.end, step, end.at)
            }
            Outcome::NotAwaited => {
                let second = record.second_signal();
                let hurried = second.is_some_and(|(at, _)| at < end.at);
                fact.is_none()
                    && part.leak.is_none()
                    && step.phase != Phase::Cleanup
                    && (hurried || unawaited(step))
                    && !ended_after_all(
                        record,
                        part.end.filter(|fact| fact.t == end.t),
                        Step {
                            bound: u64::MAX,
                            ..step
                        },
                        end.at,
                    )
            }
        };
        if !right {
            let how = part.end.map_or_else(
                || "it never ended".to_owned(),
                |fact| format!("it ended ({}) at {}", fact.how, At(fact.t)),
            );
            breaks.at(
                end.at,
                format!(
                    "\"{}\" is called {} at {}, and {how}; its deadline was {}",
                    part.named(),
                    end.outcome,
                    At(end.t),
                    At(deadline)
                ),
            );
        }
    }
}

/// Whether its wait was over before it began: stop's share was gone, or a second signal had come.
fn unawaited(step: Step) -> bool {
    step.phase != Phase::Cleanup
        && matches!(step.bound_by, BoundBy::ShareGone | BoundBy::SecondSignal)
}

/// Whether it ended in the very instant of its deadline, before anything else began: then everything
/// that could run had not run when it was called overdue.
fn ended_after_all(record: &Record<'_>, fact: Option<End>, step: Step, claimed: usize) -> bool {
    let Some(fact) =
        fact.filter(|fact| fact.t <= step.t.saturating_add(step.bound) && fact.at > claimed)
    else {
        return false;
    };
    // An abort of its neighbour, in that instant, may be what it had waited for.
    let freed = record.events[..fact.at]
        .iter()
        .rev()
        .take_while(|event| event.t == fact.t)
        .any(|event| matches!(event.what, What::Abort { id, .. } if id != step.id));
    !freed
        && !record.events[claimed..fact.at].iter().any(|event| {
            matches!(
                event.what,
                What::StepStarted { .. } | What::Released { .. } | What::State { .. }
            )
        })
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_failure_that_is_called_ok() {
        day()
            .with("ended db", r#""how":"failed""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn one_that_is_left_behind_and_called_not_awaited() {
        day()
            .without("leak flush")
            .with("step-ended flush", r#""outcome":"not-awaited""#)
            .row(5, r#"[5,"not-awaited",10000,"timeout",21500,10000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_close_that_is_called_aborted() {
        day()
            .before("ended db", r#"{"t":31700,"event":"still-waiting","name":"db","waited":5000,"bound":10000,"id":6}"#)
            .shifted("still-waiting db", 4_800)
            .before("ended db", r#"{"t":36500,"event":"abort","name":"db","id":6}"#)
            .shifted("abort db", 5_000)
            .with("ended db", r#""how":"dropped""#)
            .with("step-ended db", r#""took":10000,"outcome":"aborted""#)
            .with("step-started cache", r#""bound":8000,"bound_by":"phase""#)
            .row(6, r#"[6,"aborted",10000,"timeout",31500,10000]"#)
            .row(11, r#"[11,"ok",8000,"phase",41500,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn an_end_at_the_deadline_that_is_called_leaked() {
        day().after("step-ended flush", r#"{"t":31500,"event":"ended","id":5,"name":"flush","nth":1,"how":"ok","error":null}"#)
            .breaks_only(LAW.name);
    }
}
