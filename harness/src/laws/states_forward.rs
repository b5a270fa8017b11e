//! The state only moves forward, the events before stop's first step come in their order, every phase ends, and
//! nothing is started once stop has begun.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Cause, Phase, State, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "states/forward",
    rules: "1, 9",
    statement: "The state only moves forward. The events before stop's first step come in their fixed order, every phase ends, and nothing is started after stop has begun.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let mut before: Option<State> = None;
    for (at, state) in &record.states {
        if let Some(before) = before.filter(|before| before >= state) {
            breaks.at(
                *at,
                format!(
                    "the state went from {before} to {state} at {}",
                    At(record.time_of(*at))
                ),
            );
        }
        before = Some(*state);
    }
    if !record.is_plan {
        check_order(record, breaks);
        check_main_not_run(record, breaks);
    }
    let Some(stop) = record.phase_began(Phase::Stop) else {
        return;
    };
    for (at, event) in record.events.iter().enumerate().skip(stop) {
        if let What::Began { id: 0, .. } = event.what {
            breaks.at(at, format!("main began at {}, after stop", At(event.t)));
        }
    }
}

/// Checks that main is not run if a stop was asked for before the start.
fn check_main_not_run(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let main = record.components.first().and_then(|main| main.began);
    let start = record.phase(Phase::Start).started;
    if let (Some(began), Some(start), Some(asked)) = (main, start, record.requested)
        && asked < start
    {
        let at = At(record.time_of(asked));
        breaks.at(
            began,
            format!("main was run, although a stop had been requested at {at}, before the start"),
        );
    }
}

/// Checks the order: request, watchdog disarmed, grace, state `stopping`, phase; and that every phase ends unless the
/// run is cut.
fn check_order(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if let Some(stopping) = record.entered(State::Stopping) {
        let mut events = record.events.iter();
        let disarmed = events.position(|event| {
            let is = WatchdogIs::Disarmed;
            matches!(event.what, What::Watchdog { is: was, .. } if was == is)
        });
        let order = [
            ("the request", record.requested, true),
            ("the watchdog's disarming", disarmed, false),
            (
                "the grace's begin",
                record.grace.map(|grace| grace.at),
                true,
            ),
            ("the state stopping", Some(stopping), true),
            ("the phase", record.phase(Phase::Stop).started, true),
        ];
        let mut before: Option<(&str, usize)> = None;
        for (what, at, always) in order {
            match (at, before) {
                // A run that is cut may end anywhere in this sequence.
                (None, _) if always && !record.is_cut() => {
                    breaks.at(
                        stopping,
                        format!(
                            "stop began at {} without {what}",
                            At(record.time_of(stopping))
                        ),
                    );
                }
                (Some(at), Some((earlier, other))) if at < other => breaks.at(
                    at,
                    format!(
                        "{what} came before {earlier}, at {}",
                        At(record.time_of(at))
                    ),
                ),
                _ => {}
            }
            before = at.map(|at| (what, at)).or(before);
        }
    }
    // A program that handles no signals may return in the middle of a phase that it does not wait for.
    let whole = !record.is_cut() && !matches!(record.exit, Some((_, _, Cause::Returned)));
    for phase in [Phase::Start, Phase::Stop, Phase::Cleanup] {
        let span = record.phase(phase);
        if let (true, Some(started), None) = (whole, span.started, span.ended) {
            let at = At(record.time_of(started));
            breaks.at(started, format!("{phase} began at {at}, but never ended"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn grace_that_begins_after_the_state_breaks() {
        day()
            .moved_after("grace-began", "state stopping")
            .breaks_only(LAW.name);
    }

    #[test]
    fn watchdog_disarmed_before_the_request_is_claimed_breaks() {
        day()
            .moved_after("requested", "watchdog disarmed")
            .breaks_only(LAW.name);
    }

    #[test]
    fn stop_without_a_claimed_request_breaks() {
        day().without("requested").breaks_only(LAW.name);
    }

    #[test]
    fn start_after_a_request_breaks() {
        // This program handles no signals: its grace is begun by its stop, not by the request.
        day()
            .before("state starting", r#"{"t":0,"event":"call-began","call":"request-stop","caller":2,"from":null}"#)
            .with_keys("call-began run", r#""call":"start""#)
            .before("state starting", r#"{"t":0,"event":"returned","call":"request-stop","caller":2,"result":"ok","steps":[],"deaths":[]}"#)
            .before("state starting", r#"{"t":0,"event":"requested","reason":"a word","by":"call"}"#)
            .cut_after("began main")
            .after("began main", r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn phase_without_an_end_breaks() {
        day().without("phase-ended cleanup").breaks_only(LAW.name);
    }

    #[test]
    fn state_that_comes_back_breaks() {
        day()
            .after(
                "state cleaning-up",
                r#"{"t":21500,"event":"state","state":"running"}"#,
            )
            .breaks_only(LAW.name);
    }
}
