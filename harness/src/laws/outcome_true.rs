//! An outcome agrees with the facts: a step is ok if and only if its code ended well by the deadline, and leaked if
//! and only if the code still ran.

use super::record::{CodeEnd, Record, Step, is_call};
use super::{Breaks, Law};
use crate::journal::{At, BoundBy, Event, How, Id, Outcome, Phase, What};

pub(super) const LAW: Law = Law {
    name: "outcome/true",
    rules: "5, 6",
    statement: "Every outcome agrees with the facts: it is ok if and only if the component ended without an error by its deadline, and leaked if and only if the component still ran.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan does not claim how a step ended.
    }
    for (component, step) in record.steps() {
        let Some(end) = step.end else { continue };
        let adopted = component
            .registered
            .is_some_and(|(_, registered)| registered.adopted);
        let deadline = step.t.saturating_add(step.bound);
        let fact = component.end.filter(|fact| fact.at < end.at);
        let by_itself =
            fact.filter(|fact| fact.t <= deadline && (fact.how != How::Dropped || adopted));
        let right = match end.outcome {
            Outcome::Ok => {
                by_itself.is_some_and(|fact| fact.how == How::Ok || fact.how == How::Dropped)
            }
            Outcome::Failed => by_itself.is_some_and(|fact| fact.how == How::Failed),
            Outcome::Panicked => by_itself.is_some_and(|fact| fact.how == How::Panicked),
            Outcome::TimedOut | Outcome::Aborted => {
                // Code that ended late, before the context looked, needed no abort: it overran, and is gone.
                let late = fact.is_some_and(|fact| fact.t > deadline);
                let ended_late_unaborted = end.outcome == Outcome::TimedOut
                    && late
                    && (component.aborts.is_empty() || adopted);
                // A call is timed out and a cancel is aborted; a step that was not waited for is neither.
                (ended_late_unaborted && !never_awaited(step))
                    || is_call(step.kind) == (end.outcome == Outcome::TimedOut)
                        && !never_awaited(step)
                        && fact.is_some_and(|fact| {
                            fact.how == How::Dropped
                                || fact.t > deadline
                                || !component.aborts.is_empty()
                                    && freed_by_another_abort(
                                        &record.events[..fact.at],
                                        fact.t,
                                        step.id,
                                    )
                        })
            }
            Outcome::Leaked => {
                fact.is_none()
                    && component.leak.is_some()
                    && (adopted || !never_awaited(step))
                    && !ended_in_time_after_claim(record, component.end, step, end.at)
            }
            Outcome::NotAwaited => {
                let second = record.second_signal();
                let after_second_signal = second.is_some_and(|(at, _)| at < end.at);
                fact.is_none()
                    && component.leak.is_none()
                    && step.phase != Phase::Cleanup
                    && (after_second_signal || never_awaited(step))
                    && !ended_in_time_after_claim(
                        record,
                        component.end.filter(|fact| fact.t == end.t),
                        step,
                        end.at,
                    )
            }
        };
        if !right {
            let how = component.end.map_or_else(
                || "it never ended".to_owned(),
                |fact| format!("it ended ({}) at {}", fact.how, At(fact.t)),
            );
            breaks.at(
                end.at,
                format!(
                    "\"{}\" has the outcome {} at {}, but {how}; its deadline was {}",
                    component.name_or_unknown(),
                    end.outcome,
                    At(end.t),
                    At(deadline)
                ),
            );
        }
    }
}

/// Returns whether the step's wait was over before it began: stop's share was gone, or a second signal had come.
fn never_awaited(step: Step) -> bool {
    step.phase != Phase::Cleanup
        && matches!(step.bound_by, BoundBy::ShareGone | BoundBy::SecondSignal)
}

/// Returns whether the code ended by its deadline, after its step was called overdue and before anything else began.
/// Then the host had not settled (rule 5): some code that could run had not run.
fn ended_in_time_after_claim(
    record: &Record<'_>,
    fact: Option<CodeEnd>,
    step: Step,
    claimed: usize,
) -> bool {
    let Some(fact) =
        fact.filter(|fact| fact.t <= step.t.saturating_add(step.bound) && fact.at > claimed)
    else {
        return false;
    };
    !freed_by_another_abort(&record.events[..fact.at], fact.t, step.id)
        && !record.events[claimed..fact.at].iter().any(|event| {
            matches!(
                event.what,
                What::StepStarted { .. } | What::Released { .. } | What::State { .. }
            )
        })
}

/// Returns whether another component was aborted in the instant in which the code ended, before that: the code may have
/// waited for it.
pub(crate) fn freed_by_another_abort(before: &[Event], t: u64, id: Id) -> bool {
    before
        .iter()
        .rev()
        .take_while(|event| event.t == t)
        .any(|event| matches!(event.what, What::Abort { id: other, .. } if other != id))
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{
        ByHand, adopted_task, day, plan_day, rolled_back, second_signal_in_cleanup,
        second_signal_in_stop, short_grace,
    };

    #[test]
    fn failure_called_ok_breaks() {
        day()
            .with_keys("ended db", r#""how":"failed""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn left_behind_called_not_awaited_breaks() {
        day()
            .without("leak flush")
            .with_keys("step-ended flush", r#""outcome":"not-awaited""#)
            .with_row(5, r#"[5,"not-awaited",10000,"timeout",21500,10000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn close_called_aborted_breaks() {
        day()
            .before("ended db", r#"{"t":31700,"event":"still-waiting","name":"db","waited":5000,"bound":10000,"id":6}"#)
            .shifted("still-waiting db", 4_800)
            .before("ended db", r#"{"t":36500,"event":"abort","name":"db","id":6}"#)
            .shifted("abort db", 5_000)
            .with_keys("ended db", r#""how":"dropped""#)
            .with_keys("step-ended db", r#""took":10000,"outcome":"aborted""#)
            .with_keys("step-started cache", r#""bound":8000,"bound_by":"phase""#)
            .with_row(6, r#"[6,"aborted",10000,"timeout",31500,10000]"#)
            .with_row(11, r#"[11,"ok",8000,"phase",41500,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn end_at_the_deadline_called_leaked_breaks() {
        day().after("step-ended flush", r#"{"t":31500,"event":"ended","id":5,"name":"flush","nth":1,"how":"ok","error":null}"#)
            .breaks_only(LAW.name);
    }

    /// Returns the healthy day on which the thread `flusher` goes on until its bound, and stop takes half a second
    /// longer.
    fn slow_flusher() -> ByHand {
        let held_up = day().without("ended flusher").without("step-ended flusher");
        held_up
            .before("still-waiting writer", r#"{"t":21000,"event":"still-waiting","name":"flusher","waited":1000,"bound":2000,"id":1}"#)
            .shifted("step-started drain", 500)
            .with_row(3, r#"[3,"ok",10000,"timeout",22000,0]"#)
            .with_row(10, r#"[10,"ok",10000,"timeout",22000,0]"#)
            .with_row(4, r#"[4,"ok",10000,"timeout",22000,0]"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",22000,10000]"#)
            .with_row(6, r#"[6,"ok",10000,"timeout",32000,200]"#)
            .with_row(11, r#"[11,"ok",10000,"timeout",32200,0]"#)
    }

    fn flusher_ended(t: u64, how: &str) -> String {
        format!(
            r#"{{"t":{t},"event":"ended","id":1,"name":"flusher","nth":1,"how":"{how}","error":null}}"#
        )
    }

    fn flusher_step_ended(outcome: &str, took: u64) -> String {
        let t = 20_000 + took;
        format!(
            r#"{{"t":{t},"event":"step-ended","phase":"stop","name":"flusher","order":0,"outcome":"{outcome}","took":{took},"id":1,"error":null}}"#
        )
    }

    /// Returns a day on which `flusher` ends at the end of its bound, 22 s, and its step with `outcome`.
    fn flusher_at_its_bound(outcome: &str) -> ByHand {
        slow_flusher()
            .before("step-started drain", &flusher_ended(22_000, "ok"))
            .before("step-started drain", &flusher_step_ended(outcome, 2_000))
            .with_row(
                1,
                &format!(r#"[1,"{outcome}",2000,"join-timeout",20000,2000]"#),
            )
    }

    const LEAK: &str = r#"{"t":22000,"event":"leak","id":1,"name":"flusher","kind":"thread"}"#;

    #[test]
    fn end_at_the_deadline_is_in_time() {
        flusher_at_its_bound("ok").breaks_nothing();
        flusher_at_its_bound("timed-out").breaks_only(LAW.name);
        flusher_at_its_bound("aborted").breaks_only(LAW.name);
    }

    #[test]
    fn end_after_the_deadline_is_not_in_time() {
        // By rule 5, an end that is seen late is timed out, whatever it is. The overrun breaks another law.
        let late = |outcome: &str| {
            flusher_at_its_bound(outcome)
                .shifted("ended flusher", 1)
                .with_keys("step-ended flusher", r#""took":2001"#)
                .with_row(
                    1,
                    &format!(r#"[1,"{outcome}",2000,"join-timeout",20000,2001]"#),
                )
                .with_row(3, r#"[3,"ok",10000,"timeout",22001,0]"#)
                .with_row(10, r#"[10,"ok",10000,"timeout",22001,0]"#)
                .with_row(4, r#"[4,"ok",10000,"timeout",22001,0]"#)
                .with_row(5, r#"[5,"leaked",10000,"timeout",22001,10000]"#)
                .with_row(6, r#"[6,"ok",10000,"timeout",32001,200]"#)
                .with_row(11, r#"[11,"ok",10000,"timeout",32201,0]"#)
        };
        late("timed-out").breaks_exactly(&["steps/bounded"]);
        late("ok").breaks_exactly(&[LAW.name, "steps/bounded"]);
    }

    #[test]
    fn end_in_time_has_the_outcome_of_its_code() {
        let ended = |how: &str, outcome: &str| {
            let row = format!(r#"[2,"{outcome}",2000,"cancel-timeout",20000,1500]"#);
            day()
                .with_keys("ended writer", &format!(r#""how":"{how}""#))
                .with_keys("step-ended writer", &format!(r#""outcome":"{outcome}""#))
                .with_row(2, &row)
        };
        for (how, outcome) in [("ok", "ok"), ("failed", "failed"), ("panicked", "panicked")] {
            ended(how, outcome).breaks_nothing();
        }
        for (how, outcome) in [
            ("ok", "failed"),
            ("ok", "panicked"),
            ("failed", "ok"),
            ("failed", "panicked"),
            ("panicked", "ok"),
            ("panicked", "failed"),
        ] {
            ended(how, outcome).breaks_only(LAW.name);
        }
    }

    #[test]
    fn drop_that_is_no_end_of_its_own_is_not_ok() {
        // The task is dropped by other code. That it was not aborted breaks another law.
        day()
            .with_keys("ended writer", r#""how":"dropped""#)
            .breaks_exactly(&[LAW.name, "task/escalation"]);
        adopted_task().breaks_nothing();
        rolled_back().breaks_nothing();
    }

    /// Returns a day on which the close of `db` ends at its bound, 41.5 s, plus `late` ms, and ends as `how`.
    fn slow_db(late: i64, how: &str, outcome: &str) -> ByHand {
        let took = 10_000_u64.saturating_add_signed(late);
        let (bound, began) = (18_000 - took, 31_500 + took);
        day()
            .before("ended db", r#"{"t":36500,"event":"still-waiting","name":"db","waited":5000,"bound":10000,"id":6}"#)
            .shifted("ended db", 9_800 + late)
            .with_keys("ended db", &format!(r#""how":"{how}""#))
            .with_keys("step-ended db", &format!(r#""took":{took},"outcome":"{outcome}""#))
            .with_keys("step-started cache", &format!(r#""bound":{bound},"bound_by":"phase""#))
            .with_row(6, &format!(r#"[6,"{outcome}",10000,"timeout",31500,{took}]"#))
            .with_row(11, &format!(r#"[11,"ok",{bound},"phase",{began},0]"#))
    }

    #[test]
    fn call_that_ends_at_its_deadline_is_not_timed_out() {
        slow_db(0, "ok", "ok").breaks_nothing();
        slow_db(0, "ok", "timed-out").breaks_only(LAW.name);
    }

    #[test]
    fn call_that_ends_well_after_its_abort_is_timed_out() {
        // The executor is held from before the abort until the end, so that the abort cannot take effect.
        let held = |outcome: &str| {
            slow_db(50, "ok", outcome)
                .after(
                    "still-waiting db",
                    r#"{"t":41500,"event":"abort","name":"db","id":6}"#,
                )
                .after(
                    "still-waiting db",
                    r#"{"t":41400,"event":"held","id":5,"name":"flush"}"#,
                )
        };
        held("timed-out").breaks_nothing();
        held("aborted").breaks_only(LAW.name);
        held("ok").breaks_only(LAW.name);
    }

    #[test]
    fn leak_that_ends_later_stays_a_leak() {
        // The thread is left behind at 22 s and ends at 22.3 s, while `writer` is still waited for.
        day()
            .without("ended flusher")
            .without("step-ended flusher")
            .with_keys("registered writer", r#""timeout":4000"#)
            .with_keys("step-started writer", r#""bound":4000"#)
            .with_keys("still-waiting writer", r#""t":22000,"waited":2000,"bound":4000"#)
            .before("still-waiting writer", r#"{"t":21000,"event":"still-waiting","name":"flusher","waited":1000,"bound":2000,"id":1}"#)
            .before("still-waiting writer", LEAK)
            .before("still-waiting writer", &flusher_step_ended("leaked", 2_000))
            .after("still-waiting writer", &flusher_ended(22_300, "ok"))
            .with_row(1, r#"[1,"leaked",2000,"join-timeout",20000,2000]"#)
            .shifted("ended writer", 1_000)
            .with_keys("step-ended writer", r#""took":2500"#)
            .with_row(2, r#"[2,"ok",4000,"cancel-timeout",20000,2500]"#)
            .with_row(3, r#"[3,"ok",10000,"timeout",22500,0]"#)
            .with_row(10, r#"[10,"ok",10000,"timeout",22500,0]"#)
            .with_row(4, r#"[4,"ok",10000,"timeout",22500,0]"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",22500,10000]"#)
            .with_row(6, r#"[6,"ok",10000,"timeout",32500,200]"#)
            .with_row(11, r#"[11,"ok",10000,"timeout",32700,0]"#)
            .breaks_nothing();
    }

    /// Returns a day on which the bounds of two are over at 22 s: the thread is left behind, `events` come, and the
    /// step of the task `writer` ends as aborted.
    fn both_overdue(events: &[&str]) -> ByHand {
        let day = slow_flusher()
            .without("ended writer")
            .without("step-ended writer")
            .before("step-started drain", LEAK)
            .before("step-started drain", &flusher_step_ended("leaked", 2_000));
        let day = events
            .iter()
            .fold(day, |day, event| day.before("step-started drain", event));
        day.before("step-started drain", r#"{"t":22000,"event":"step-ended","phase":"stop","name":"writer","order":0,"outcome":"aborted","took":2000,"id":2,"error":null}"#)
            .with_row(1, r#"[1,"leaked",2000,"join-timeout",20000,2000]"#)
            .with_row(2, r#"[2,"aborted",2000,"cancel-timeout",20000,2000]"#)
    }

    const WRITER_ABORT: &str = r#"{"t":22000,"event":"abort","name":"writer","id":2}"#;

    fn writer_ended(how: &str) -> String {
        format!(
            r#"{{"t":22000,"event":"ended","id":2,"name":"writer","nth":1,"how":"{how}","error":null}}"#
        )
    }

    #[test]
    fn leak_that_another_abort_frees_stays_a_leak() {
        // The thread waited for the task, which is aborted at 22 s.
        let ended = [&*flusher_ended(22_000, "ok"), &writer_ended("dropped")];
        both_overdue(&[WRITER_ABORT, ended[0], ended[1]]).breaks_nothing();
        both_overdue(&ended).breaks_exactly(&[LAW.name, "task/escalation"]);
    }

    #[test]
    fn end_after_its_abort_that_another_abort_frees_is_aborted() {
        // The task ends well at 22 s, after its own abort.
        let ended = |freed_by: Option<&str>| {
            let day = both_overdue(&[WRITER_ABORT, &writer_ended("ok")]);
            match freed_by {
                Some(abort) => day.before("ended writer", abort),
                None => day,
            }
        };
        ended(None).breaks_only(LAW.name);
        // An abort of a thread breaks other laws.
        let abort = r#"{"t":22000,"event":"abort","name":"flusher","id":1}"#;
        let freed = ended(Some(abort));
        assert_eq!(freed.clone().messages(LAW.name), [""; 0]);
        // Its own abort may come after its end.
        let late = freed.clone().moved_after("abort writer", "ended writer");
        assert_eq!(late.messages(LAW.name), [""; 0]);
        let without = freed.without("abort writer").messages(LAW.name);
        assert_eq!(without.len(), 1, "{without:?}");
    }

    #[test]
    fn cleanup_after_a_second_signal_is_still_waited_for() {
        second_signal_in_cleanup()
            .without("leak flush")
            .with_keys("step-ended flush", r#""outcome":"not-awaited""#)
            .with_row(5, r#"[5,"not-awaited",10000,"timeout",21500,3000]"#)
            .before(
                "exit",
                r#"{"t":24700,"event":"lost","id":5,"name":"flush","what":"running"}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn not_awaited_is_what_had_not_ended() {
        short_grace().breaks_nothing();
        second_signal_in_stop().breaks_nothing();
        // By rule 4, the step is looked at once, after everything that can run in that instant has run.
        short_grace()
            .without("lost bye")
            .after("step-ended bye", r#"{"t":21500,"event":"ended","id":10,"name":"bye","nth":1,"how":"ok","error":null}"#)
            .breaks_only(LAW.name);
        short_grace()
            .without("lost bye")
            .before("step-ended bye", r#"{"t":21500,"event":"ended","id":10,"name":"bye","nth":1,"how":"ok","error":null}"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn not_awaited_is_not_called_leaked() {
        short_grace()
            .without("lost bye")
            .before(
                "step-ended bye",
                r#"{"t":21500,"event":"leak","id":10,"name":"bye","kind":"stop"}"#,
            )
            .with_keys("step-ended bye", r#""outcome":"leaked""#)
            .with_row(10, r#"[10,"leaked",0,"share-gone",21500,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn awaited_is_not_called_not_awaited() {
        slow_flusher()
            .before(
                "step-started drain",
                &flusher_step_ended("not-awaited", 2_000),
            )
            .with_row(1, r#"[1,"not-awaited",2000,"join-timeout",20000,2000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn step_of_the_plan_is_not_judged() {
        plan_day()
            .after("ended db", r#"{"t":26000,"event":"step-ended","phase":"cleanup","name":"db","order":0,"outcome":"failed","took":0,"id":6,"error":"reset"}"#)
            .breaks_nothing();
    }
}
