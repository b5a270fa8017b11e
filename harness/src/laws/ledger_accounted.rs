//! At the end every component has ended or is named: as left behind by the context, or as lost with a process that
//! was cut short.

use super::record::{Record, is_call, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, Call, Cause, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "ledger/accounted",
    rules: "6, 15",
    statement: "At the end, every component has ended or is named: it was left behind by the context, or it was lost with a process that was cut short.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.stuck.is_some() && !record.is_plan {
        return; // The run was given up in the middle, and has no end to account for.
    }
    let last = record.events.len().saturating_sub(1);
    for (_, component, _, registered) in record.registered() {
        // If the process was cut short, or did not wait for the end of this phase, what is left is reported as lost.
        let may_lose = record.is_cut() || !waits_for(record, phase_of(registered.kind));
        let name = &registered.name;
        let outcome = component
            .step
            .and_then(|step| step.end)
            .map(|end| end.outcome);
        let named = matches!(outcome, Some(Outcome::Leaked | Outcome::NotAwaited))
            || component.leak.is_some();
        match (component.end, component.lost) {
            (Some(end), Some(lost)) => breaks.at(
                lost,
                format!("\"{name}\" ended at {}, but is reported as lost", At(end.t)),
            ),
            (Some(_), _) => {}
            (None, Some(lost)) if component.leak.is_some() => breaks.at(
                lost,
                format!("\"{name}\" is reported as both leaked and lost"),
            ),
            (None, None) if !named => breaks.at(
                last,
                format!("the journal does not say what became of \"{name}\""),
            ),
            (None, Some(lost)) if !may_lose && !named => {
                let what = if is_call(registered.kind) && component.began.is_none() {
                    "was never called"
                } else {
                    "still ran when the process ended"
                };
                breaks.at(
                    lost,
                    format!("\"{name}\" {what}, but the context did not report it"),
                );
            }
            (None, _) => {}
        }
    }
}

/// Returns whether the program asked for a phase and had to wait for it. A program that handles no signals may return
/// without waiting: a bare request, or a call from inside, waits for nothing.
fn waits_for(record: &Record<'_>, phase: Phase) -> bool {
    !matches!(record.exit, Some((_, _, Cause::Returned)))
        || record.calls.iter().any(|call| match call.method {
            Call::Run => true,
            Call::Cleanup => !call.inside,
            Call::Stop => !call.inside && phase == Phase::Stop,
            // A start that fails returns with nothing left open.
            Call::Start => call
                .returned
                .is_some_and(|(_, result, ..)| call.has_report(result)),
            Call::RequestStop => false,
        })
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, killed, plan_day, program, second_signal_in_stop};

    #[test]
    fn leaked_and_lost_breaks() {
        day()
            .before(
                "exit",
                r#"{"t":31700,"event":"lost","id":5,"name":"flush","what":"running"}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn lost_in_a_process_that_was_cut_short_passes() {
        killed().breaks_nothing();
    }

    #[test]
    fn neither_ended_nor_named_breaks() {
        killed().without("lost cache").breaks_only(LAW.name);
    }

    #[test]
    fn ended_and_lost_breaks() {
        let lost = r#"{"t":31700,"event":"lost","id":6,"name":"db","what":"running"}"#;
        day().before("exit", lost).breaks_only(LAW.name);
    }

    #[test]
    fn not_awaited_and_lost_passes() {
        second_signal_in_stop().breaks_nothing();
    }

    /// Returns the healthy day without the step of `cache`, which is lost; that breaks another law too.
    fn unclosed() -> ByHand {
        day()
            .without("step-started cache")
            .without("step-ended cache")
            .with_row(11, "")
            .before(
                "exit",
                r#"{"t":31700,"event":"lost","id":11,"name":"cache","what":"not-closed"}"#,
            )
    }

    #[test]
    fn lost_though_nothing_was_cut_short_breaks() {
        let never = unclosed().without("began cache").without("ended cache");
        never.clone().breaks_exactly(&[LAW.name, "steps/isolated"]);
        let says = never.messages(LAW.name);
        assert_eq!(
            says,
            [r#""cache" was never called, but the context did not report it"#]
        );
        let running = unclosed().without("ended cache");
        running
            .clone()
            .breaks_exactly(&[LAW.name, "cleanup/floor", "steps/isolated"]);
        let says = running.messages(LAW.name);
        assert_eq!(
            says,
            [r#""cache" still ran when the process ended, but the context did not report it"#]
        );
    }

    #[test]
    fn start_of_the_plan_that_fails_loses_what_it_opened() {
        plan_day()
            .with_keys("ended main", r#""how":"failed","error":"no licence","code":3"#)
            .cut_after("ended main")
            .append(r#"{"t":0,"event":"returned","call":"run","caller":1,"result":"start-failed: no licence","steps":[],"deaths":[]}"#)
            .append(r#"{"t":0,"event":"lost","id":1,"name":"flusher","what":"not-stopped"}"#)
            .append(r#"{"t":0,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .append(r#"{"t":0,"event":"lost","id":3,"name":"bye","what":"not-stopped"}"#)
            .append(r#"{"t":0,"event":"lost","id":4,"name":"predictor","what":"not-closed"}"#)
            .append(r#"{"t":0,"event":"lost","id":5,"name":"flush","what":"not-closed"}"#)
            .append(r#"{"t":0,"event":"lost","id":6,"name":"db","what":"not-closed"}"#)
            .append(r#"{"t":0,"event":"lost","id":7,"name":"crash","what":"not-stopped"}"#)
            .append(r#"{"t":0,"event":"lost","id":8,"name":"dog","what":"not-stopped"}"#)
            .append(r#"{"t":0,"event":"exit","code":3,"cause":"start-failed"}"#)
            .breaks_exactly(&[LAW.name, "steps/isolated"]);
    }

    const POOL: &str = r#"{"t":11000,"event":"lost","id":3,"name":"pool","what":"not-closed"}"#;
    const RETURNED: &str = r#"{"t":11000,"event":"exit","code":0,"cause":"returned"}"#;

    #[test]
    fn program_that_asks_for_nothing_may_lose_all() {
        program()
            .cut_after("began flusher")
            .append(r#"{"t":11000,"event":"lost","id":1,"name":"flusher","what":"not-stopped"}"#)
            .append(r#"{"t":11000,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .append(POOL)
            .append(RETURNED)
            .breaks_nothing();
    }

    #[test]
    fn program_that_only_stops_may_lose_what_cleanup_closes() {
        program()
            .cut_after("returned stop")
            .append(POOL)
            .append(RETURNED)
            .breaks_nothing();
    }

    #[test]
    fn program_that_stops_may_not_lose_what_stop_ends() {
        program()
            .cut_after("returned stop")
            .without("step-started drain")
            .without("began drain")
            .without("ended drain")
            .without("step-ended drain")
            .with_keys(
                "returned stop",
                r#""steps":[[1,"ok",2000,"join-timeout",10000,0]]"#,
            )
            .append(r#"{"t":11000,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .append(POOL)
            .append(RETURNED)
            .breaks_exactly(&[LAW.name, "steps/isolated"]);
    }

    #[test]
    fn program_that_stops_from_inside_may_lose_what_runs() {
        program()
            .with_keys("call-began stop", r#""from":"flusher""#)
            .cut_after("call-began stop")
            .append(r#"{"t":10000,"event":"returned","call":"stop","caller":2,"result":"called-from-inside","steps":[],"deaths":[]}"#)
            .append(r#"{"t":10000,"event":"requested","reason":"stop was called","by":"call"}"#)
            .append(r#"{"t":11000,"event":"lost","id":1,"name":"flusher","what":"not-stopped"}"#)
            .append(r#"{"t":11000,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .append(POOL)
            .append(RETURNED)
            .breaks_nothing();
    }

    #[test]
    fn program_that_cleans_up_may_not_lose_what_cleanup_closes() {
        program()
            .without("step-started pool")
            .without("began pool")
            .without("ended pool")
            .without("step-ended pool")
            .with_keys("returned cleanup", r#""steps":[[1,"ok",2000,"join-timeout",10000,0],[2,"ok",10000,"timeout",10000,1000]]"#)
            .before("exit", POOL)
            .breaks_exactly(&[LAW.name, "steps/isolated"]);
    }
}
