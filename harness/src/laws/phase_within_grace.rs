//! The grace begins once, with what asks for the end. Stop and cleanup end within their shares of it, and so does a
//! process that handles signals.

use super::limits::floors;
use super::record::{EventIndex, Record, WorkerLimits, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, Call, Cause, How, Ms, Phase, What};

pub(super) const LAW: Law = Law {
    name: "phase/within-grace",
    rules: "0",
    statement: "The grace begins once, with the event that asks for the end. Stop and cleanup end within their shares of the grace, and a process that handles signals ends within the grace.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let Some(limits) = record.limits else { return };
    check_shares(record, limits, breaks);
    let Some((_, began)) = grace_begin(record) else {
        if let (false, Some(grace)) = (record.is_plan, record.grace) {
            let at = At(record.time_of(grace.at));
            breaks.at(
                grace.at,
                format!("the grace began at {at}, but nothing had asked for the end"),
            );
        }
        return;
    };
    let ends = began.saturating_add(limits.grace.saturating_sub(limits.margin));
    if let (false, Some(grace)) = (record.is_plan, record.grace) {
        let t = record.time_of(grace.at);
        if t != began {
            breaks.at(
                grace.at,
                format!(
                    "the grace began at {}, but the event that begins it came at {}",
                    At(t),
                    At(began)
                ),
            );
        }
        for (at, event) in record.events.iter().enumerate().skip(grace.at + 1) {
            if let What::GraceBegan { .. } = event.what {
                breaks.at(at, format!("the grace began again at {}", At(event.t)));
            }
        }
    }
    let ends = record.grace.map_or(ends, |grace| grace.cleanup_ends);
    match record.exit {
        Some((at, _, Cause::LastResort)) => {
            let due = record.grace.map_or(
                began.saturating_add(limits.grace.saturating_sub(limits.margin.div_ceil(2))),
                |grace| grace.last_resort,
            );
            let running = record
                .registered()
                .any(|(_, component, _, _)| component.end.is_none());
            if record.time_of(at) != due || !running {
                breaks.at(at, format!("the last resort struck at {}: it must strike at {}, and only if a component still runs", At(record.time_of(at)), At(due)));
            }
        }
        // A program that stops its worker by calls may outlive the worker for as long as it likes: only the phases
        // have to end in time, which `check_shares` judges.
        _ if !record.handles_signals() => {}
        Some((at, _, cause)) => {
            let overrun = record.time_of(at).saturating_sub(ends);
            let judged = matches!(
                cause,
                Cause::Stopped | Cause::StartFailed | Cause::SecondSignal | Cause::Killed
            );
            if judged && overrun > 0 {
                breaks.at(
                    at,
                    format!(
                        "the process ended at {}: {} later than its grace of {} allows",
                        At(record.time_of(at)),
                        Ms(overrun),
                        Ms(limits.grace - limits.margin.min(limits.grace))
                    ),
                );
            }
        }
        None => {
            let at = record.events.len().saturating_sub(1);
            if record.stuck.is_some() && record.last_instant() > ends {
                breaks.at(
                    at,
                    format!("the process had to end by {}, but never ended", At(ends)),
                );
            }
        }
    }
}

/// Checks that stop ends within its share, and cleanup within the rest of the grace or, if it begins later than that,
/// within its floors.
fn check_shares(record: &Record<'_>, limits: WorkerLimits, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return check_stop_share_of_plan(record, limits, breaks);
    }
    let Some(grace) = record.grace else { return };
    let floors = floors(record)
        .iter()
        .fold(0, |sum: u64, (_, floor, _)| sum.saturating_add(*floor));
    for (phase, ends, sure) in [
        (Phase::Stop, grace.stop_ends, 0),
        (Phase::Cleanup, grace.cleanup_ends, floors),
    ] {
        let span = record.phase(phase);
        let Some(started) = span.started else {
            continue;
        };
        let ends = ends.max(record.time_of(started).saturating_add(sure));
        match span.ended {
            Some(ended) if record.time_of(ended) > ends => breaks.at(
                ended,
                format!(
                    "{phase} ended at {}: its share ended at {}",
                    At(record.time_of(ended)),
                    At(ends)
                ),
            ),
            // Of a process that handles signals, the end itself is judged.
            None if !record.handles_signals() && record.last_instant() > ends => breaks.at(
                record.events.len().saturating_sub(1),
                format!("{phase} never ended: its share ended at {}", At(ends)),
            ),
            _ => {}
        }
    }
}

/// Checks stop's share of the plan, which claims no phases: stop has ended when the first cleanup is called. A
/// program that stops and cleans up by calls cleans up when it likes.
fn check_stop_share_of_plan(record: &Record<'_>, limits: WorkerLimits, breaks: &mut Breaks<'_>) {
    let cleanup = record
        .registered()
        .filter(|(_, _, _, registered)| phase_of(registered.kind) == Phase::Cleanup)
        .filter_map(|(_, component, _, _)| component.began)
        .min();
    let (true, Some(cleanup), Some((_, began))) =
        (record.handles_signals(), cleanup, grace_begin(record))
    else {
        return;
    };
    let share = limits
        .grace
        .saturating_sub(limits.margin.saturating_add(limits.reserve));
    let ends = began.saturating_add(share);
    if record.time_of(cleanup) > ends {
        breaks.at(
            cleanup,
            format!(
                "cleanup began at {}: the share of stop ended at {}",
                At(record.time_of(cleanup)),
                At(ends)
            ),
        );
    }
}

/// Returns what begins the grace: the first signal, the first stop from outside, or main's failure. A bare request
/// begins it only if something heeds it: the life of a process, or a start in progress.
fn grace_begin(record: &Record<'_>) -> Option<(EventIndex, u64)> {
    let signal = record.signals.first().map(|(at, _)| *at);
    let call = record
        .calls
        .iter()
        .find(|call| call.asks_to_stop && call.method != Call::RequestStop && !call.inside)
        .map(|call| call.at);
    let main = record
        .components
        .first()
        .and_then(|component| component.end)
        .filter(|end| matches!(end.how, How::Failed | How::Panicked))
        .map(|end| end.at);
    let runs = record.handles_signals();
    let started = record.phase(Phase::Start).ended.unwrap_or(EventIndex::MAX);
    let heeded = record
        .requested
        .filter(|at| !record.is_plan && (runs || *at < started));
    let at = [signal, call, main, heeded].into_iter().flatten().min()?;
    Some((at, record.time_of(at)))
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, lines, plan_day, program, rolled_back};

    #[test]
    fn grace_begun_by_a_bare_request_breaks() {
        // In this program nothing heeds the request.
        day()
            .with_keys("call-began run", r#""call":"start""#)
            .with_keys(
                "signal SIGTERM",
                r#""event":"call-began","call":"request-stop","caller":2,"from":null"#,
            )
            .with_keys("requested", r#""reason":"a word","by":"call""#)
            .cut_after("grace-began")
            .after(
                "grace-began",
                r#"{"t":20000,"event":"stuck","why":"spinning","name":"hand"}"#,
            )
            .breaks_only(LAW.name);
    }

    /// The journal of a program that handles no signals, calls `cleanup` at once, and is killed long after its grace.
    const KILLED_LATE: &str = r#"
{"t":0,"event":"journal","version":1,"scenario":"by hand","seed":0,"subject":"worker","host":"sim"}
{"t":0,"event":"worker","grace":20,"reserve":6,"margin":1,"ties":"first","start_timeout":5000}
{"t":0,"event":"state","state":"created"}
{"t":0,"event":"call-began","call":"cleanup","caller":1,"from":null}
{"t":0,"event":"requested","reason":"cleanup was called","by":"call"}
{"t":0,"event":"grace-began","stop_ends":13,"cleanup_ends":19,"last_resort":19,"kill":20}
{"t":0,"event":"state","state":"stopping"}
{"t":0,"event":"running","value":false}
{"t":0,"event":"phase-started","phase":"stop","ends":13}
{"t":0,"event":"phase-ended","phase":"stop","ends":13}
{"t":0,"event":"state","state":"stopped"}
{"t":0,"event":"state","state":"cleaning-up"}
{"t":0,"event":"phase-started","phase":"cleanup","ends":19}
{"t":0,"event":"phase-ended","phase":"cleanup","ends":19}
{"t":0,"event":"state","state":"done"}
{"t":0,"event":"returned","call":"cleanup","caller":1,"result":"ok","steps":[],"deaths":[]}
{"t":1000,"event":"signal","name":"SIGKILL","nth":1}
{"t":1000,"event":"killed","signal":"SIGKILL"}
{"t":1000,"event":"exit","code":137,"cause":"killed"}
"#;

    #[test]
    fn program_that_outlives_its_worker_has_its_own_time() {
        lines(KILLED_LATE).breaks_nothing();
    }

    #[test]
    fn phase_that_is_open_after_its_share_is_a_break() {
        let open = || {
            lines(KILLED_LATE)
                .without("phase-ended cleanup")
                .without("state done")
                .without("returned cleanup")
        };
        open().breaks_only(LAW.name);
        // Until the end of its share it may be open.
        open().shifted("signal SIGKILL", -981).breaks_nothing();
    }

    #[test]
    fn process_that_outlasts_its_grace_breaks() {
        day()
            .with_keys("exit", r#""t":49501"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn stop_that_uses_cleanups_share_breaks() {
        day()
            .with_keys("phase-ended stop", r#""t":39500"#)
            .breaks_nothing();
        day()
            .with_keys("phase-ended stop", r#""t":39501"#)
            .breaks_only(LAW.name);
    }

    /// Returns a day on which everything is done, but the process hangs in its exit until the last resort strikes.
    fn last_resort(t: u64) -> ByHand {
        day().with_keys(
            "exit",
            &format!(r#""t":{t},"code":124,"cause":"last-resort""#),
        )
    }

    #[test]
    fn last_resort_strikes_at_its_instant() {
        last_resort(49_750).breaks_nothing();
        last_resort(49_749).breaks_only(LAW.name);
        last_resort(49_751).breaks_only(LAW.name);
    }

    #[test]
    fn last_resort_with_nothing_left_breaks() {
        program()
            .with_keys("exit", r#""t":39750,"code":124,"cause":"last-resort""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn stuck_run_breaks_when_its_end_was_due() {
        let stuck = |t: u64| {
            let stuck = format!(r#"{{"t":{t},"event":"stuck","why":"spinning","name":"hand"}}"#);
            day().cut_after("phase-ended cleanup").append(&stuck)
        };
        stuck(49_500).breaks_nothing();
        stuck(49_501).breaks_only(LAW.name);
        stuck(60_000).breaks_only(LAW.name);
    }

    #[test]
    fn cleanup_of_the_plan_begins_within_the_share_of_stop() {
        // Stop's share ends at 39.5 s.
        let later = |by: i64| plan_day().shifted("step-started predictor", by);
        later(18_000).breaks_nothing();
        later(18_001).breaks_only(LAW.name);
    }

    #[test]
    fn program_of_the_plan_cleans_up_when_it_likes() {
        plan_day()
            .with_keys("call-began run", r#""call":"start""#)
            .after("ended main", r#"{"t":0,"event":"returned","call":"start","caller":1,"result":"ok","steps":[],"deaths":[]}"#)
            .with_keys("signal SIGTERM", r#""event":"call-began","call":"stop","caller":2,"from":null"#)
            .before("step-started predictor", r#"{"t":21500,"event":"returned","call":"stop","caller":2,"result":"ok","steps":[],"deaths":[]}"#)
            .before("step-started predictor", r#"{"t":21500,"event":"call-began","call":"cleanup","caller":3,"from":null}"#)
            .with_keys("returned run", r#""call":"cleanup","caller":3"#)
            .with_keys("exit", r#""cause":"returned""#)
            .shifted("step-started predictor", 40_000)
            .with_keys("call-began cleanup", r#""t":61500"#)
            .breaks_nothing();
    }

    #[test]
    fn request_during_a_start_begins_the_grace() {
        // The program handles no signals, but its start heeds the request.
        rolled_back()
            .with_keys("call-began run", r#""call":"start""#)
            .with_keys("signal SIGTERM", r#""event":"call-began","call":"request-stop","caller":2,"from":null"#)
            .with_keys("requested", r#""reason":"a word","by":"call""#)
            .after("requested", r#"{"t":400,"event":"returned","call":"request-stop","caller":2,"result":"ok","steps":[],"deaths":[]}"#)
            .with_keys("returned run", r#""call":"start""#)
            .with_keys("exit", r#""cause":"returned""#)
            .breaks_nothing();
    }
}
