//! At the end every component has ended or is named: as left behind by the context, or as lost with a process that
//! was cut short.

use super::record::{Record, is_call, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, Call, Cause, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "ledger/accounted",
    rules: "6, 15",
    statement: "At the end every component has ended, or is named: as left behind by the context, or as lost with a process that was cut short.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.stuck.is_some() && !record.plan {
        return; // The run was given up in the middle, and has no end to account for.
    }
    let last = record.events.len().saturating_sub(1);
    for (_, part, _, registered) in record.registered() {
        // If the process was cut short, or did not wait for the end of this phase, what is left is reported as lost.
        let may_lose = record.cut() || !ends_it(record, phase_of(registered.kind));
        let name = &registered.name;
        let outcome = part.step.and_then(|step| step.end).map(|end| end.outcome);
        let named =
            matches!(outcome, Some(Outcome::Leaked | Outcome::NotAwaited)) || part.leak.is_some();
        match (part.end, part.lost) {
            (Some(end), Some(lost)) => breaks.at(
                lost,
                format!("\"{name}\" ended at {} and is called lost", At(end.t)),
            ),
            (Some(_), _) => {}
            (None, Some(lost)) if part.leak.is_some() => {
                breaks.at(lost, format!("\"{name}\" is called both leaked and lost"))
            }
            (None, None) if !named => {
                breaks.at(last, format!("nothing says what became of \"{name}\""))
            }
            (None, Some(lost)) if !may_lose && !named => {
                let what = if is_call(registered.kind) && part.began.is_none() {
                    "was never called"
                } else {
                    "still ran when the process ended"
                };
                breaks.at(
                    lost,
                    format!("\"{name}\" {what}, and the context did not say so"),
                );
            }
            (None, _) => {}
        }
    }
}

/// Returns whether the program asked for a phase and had to wait for it. A program that handles no signals may return
/// without waiting: a bare request, or a call from inside, waits for nothing.
fn ends_it(record: &Record<'_>, phase: Phase) -> bool {
    !matches!(record.exit, Some((_, _, Cause::Returned)))
        || record.callers.iter().any(|caller| match caller.call {
            Call::Run => true,
            Call::Cleanup => !caller.inside,
            Call::Stop => !caller.inside && phase == Phase::Stop,
            // A start that fails returns with nothing left open.
            Call::Start => caller
                .returned
                .is_some_and(|(_, result, ..)| caller.has_report(result)),
            Call::RequestStop => false,
        })
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, hurried_stop, killed, planned, program};

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
        hurried_stop().breaks_nothing();
    }

    /// Returns the healthy day without the step of `cache`, which is lost; that breaks another law too.
    fn unclosed() -> ByHand {
        day()
            .without("step-started cache")
            .without("step-ended cache")
            .row(11, "")
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
            [r#""cache" was never called, and the context did not say so"#]
        );
        let running = unclosed().without("ended cache");
        running
            .clone()
            .breaks_exactly(&[LAW.name, "cleanup/floor", "steps/isolated"]);
        let says = running.messages(LAW.name);
        assert_eq!(
            says,
            [r#""cache" still ran when the process ended, and the context did not say so"#]
        );
    }

    #[test]
    fn start_of_the_plan_that_fails_loses_what_it_opened() {
        planned()
            .with("ended main", r#""how":"failed","error":"no licence","code":3"#)
            .cut_behind("ended main")
            .then(r#"{"t":0,"event":"returned","call":"run","caller":1,"result":"start-failed: no licence","steps":[],"deaths":[]}"#)
            .then(r#"{"t":0,"event":"lost","id":1,"name":"flusher","what":"not-stopped"}"#)
            .then(r#"{"t":0,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .then(r#"{"t":0,"event":"lost","id":3,"name":"bye","what":"not-stopped"}"#)
            .then(r#"{"t":0,"event":"lost","id":4,"name":"predictor","what":"not-closed"}"#)
            .then(r#"{"t":0,"event":"lost","id":5,"name":"flush","what":"not-closed"}"#)
            .then(r#"{"t":0,"event":"lost","id":6,"name":"db","what":"not-closed"}"#)
            .then(r#"{"t":0,"event":"lost","id":7,"name":"crash","what":"not-stopped"}"#)
            .then(r#"{"t":0,"event":"lost","id":8,"name":"dog","what":"not-stopped"}"#)
            .then(r#"{"t":0,"event":"exit","code":3,"cause":"start-failed"}"#)
            .breaks_exactly(&[LAW.name, "steps/isolated"]);
    }

    const POOL: &str = r#"{"t":11000,"event":"lost","id":3,"name":"pool","what":"not-closed"}"#;
    const RETURNED: &str = r#"{"t":11000,"event":"exit","code":0,"cause":"returned"}"#;

    #[test]
    fn program_that_asks_for_nothing_may_lose_all() {
        program()
            .cut_behind("began flusher")
            .then(r#"{"t":11000,"event":"lost","id":1,"name":"flusher","what":"not-stopped"}"#)
            .then(r#"{"t":11000,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .then(POOL)
            .then(RETURNED)
            .breaks_nothing();
    }

    #[test]
    fn program_that_only_stops_may_lose_what_cleanup_closes() {
        program()
            .cut_behind("returned stop")
            .then(POOL)
            .then(RETURNED)
            .breaks_nothing();
    }

    #[test]
    fn program_that_stops_may_not_lose_what_stop_ends() {
        program()
            .cut_behind("returned stop")
            .without("step-started drain")
            .without("began drain")
            .without("ended drain")
            .without("step-ended drain")
            .with(
                "returned stop",
                r#""steps":[[1,"ok",2000,"join-timeout",10000,0]]"#,
            )
            .then(r#"{"t":11000,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .then(POOL)
            .then(RETURNED)
            .breaks_exactly(&[LAW.name, "steps/isolated"]);
    }

    #[test]
    fn program_that_stops_from_inside_may_lose_what_runs() {
        program()
            .with("call-began stop", r#""from":"flusher""#)
            .cut_behind("call-began stop")
            .then(r#"{"t":10000,"event":"returned","call":"stop","caller":2,"result":"called-from-inside","steps":[],"deaths":[]}"#)
            .then(r#"{"t":10000,"event":"requested","reason":"stop was called","by":"call"}"#)
            .then(r#"{"t":11000,"event":"lost","id":1,"name":"flusher","what":"not-stopped"}"#)
            .then(r#"{"t":11000,"event":"lost","id":2,"name":"drain","what":"not-stopped"}"#)
            .then(POOL)
            .then(RETURNED)
            .breaks_nothing();
    }

    #[test]
    fn program_that_cleans_up_may_not_lose_what_cleanup_closes() {
        program()
            .without("step-started pool")
            .without("began pool")
            .without("ended pool")
            .without("step-ended pool")
            .with("returned cleanup", r#""steps":[[1,"ok",2000,"join-timeout",10000,0],[2,"ok",10000,"timeout",10000,1000]]"#)
            .before("exit", POOL)
            .breaks_exactly(&[LAW.name, "steps/isolated"]);
    }
}
