//! If a running worker is asked to stop, stop begins exactly when the pre-stop delay is over, or when something cuts
//! the delay.

use super::record::{EventIndex, Record};
use super::{Breaks, Law};
use crate::journal::{At, Call, How, State};

pub(super) const LAW: Law = Law {
    name: "stop/after-delay",
    rules: "1",
    statement: "If a running worker is asked to stop, stop begins exactly when the pre-stop delay is over, or with the event that cuts the delay short.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let (Some(asked), Some(limits)) = (record.first_request(), record.limits) else {
        return;
    };
    let state_at = |wanted: State| {
        let mut states = record.states.iter();
        states
            .find(|(_, state)| *state == wanted)
            .map(|(at, _)| *at)
    };
    let heeded = record.handles_signals();
    // The plan claims no states. The good end of its main stands for `running`, and its cleared flag for `stopping`.
    // Without a pre-stop delay it is not judged.
    let (ran, began) = if record.is_plan {
        let main = record
            .components
            .first()
            .and_then(|component| component.end);
        let ran = main.filter(|end| end.how == How::Ok && limits.pre_stop > 0);
        (ran.map(|end| end.at), record.running_false)
    } else {
        (state_at(State::Running), state_at(State::Stopping))
    };
    if !heeded || ran.is_none_or(|at| at > asked) {
        return;
    }
    let call = record.calls.iter().find(|call| {
        let ends = matches!(call.method, Call::Stop | Call::Cleanup);
        ends && call.at >= asked && !call.inside
    });
    let second = record.second_signal().map(|(at, _)| at);
    let cuts = [call.map(|call| call.at), second];
    let cut = cuts
        .into_iter()
        .flatten()
        .map(|at: EventIndex| record.time_of(at));
    let over = record.time_of(asked).saturating_add(limits.pre_stop);
    let due = cut.chain([over]).min().unwrap_or(over);
    match began {
        Some(began) if record.time_of(began) != due => breaks.at(
            began,
            format!(
                "stop began at {}, but was due at {}",
                At(record.time_of(began)),
                At(due)
            ),
        ),
        None if record.last_instant() > due || !record.is_cut() => {
            breaks.at(
                record.events.len().saturating_sub(1),
                format!("stop was due at {}, but never began", At(due)),
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, delayed, plan_day, program};

    #[test]
    fn stop_that_begins_before_its_delay_is_over_breaks() {
        day()
            .with_keys("worker", r#""pre_stop":5000"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn stop_called_in_the_delay_cuts_it() {
        day()
            .with_keys("worker", r#""pre_stop":5000"#)
            .after(
                "grace-began",
                r#"{"t":20000,"event":"call-began","call":"stop","caller":2,"from":null}"#,
            )
            // That call has no answer, which breaks that law only.
            .breaks_only("report/agrees");
    }

    #[test]
    fn stop_that_begins_when_its_delay_is_over_passes() {
        delayed().breaks_nothing();
        delayed()
            .with_keys("worker", r#""pre_stop":4999"#)
            .breaks_only(LAW.name);
        delayed()
            .with_keys("worker", r#""pre_stop":5001"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn request_in_the_delay_does_not_cut_it() {
        delayed()
            .before("state stopping", r#"{"t":22000,"event":"call-began","call":"request-stop","caller":2,"from":null}"#)
            .before("state stopping", r#"{"t":22000,"event":"returned","call":"request-stop","caller":2,"result":"ok","steps":[],"deaths":[]}"#)
            .breaks_nothing();
    }

    #[test]
    fn stop_called_from_inside_in_the_delay_does_not_cut_it() {
        delayed()
            .before("state stopping", r#"{"t":22000,"event":"call-began","call":"stop","caller":2,"from":"writer"}"#)
            .before("state stopping", r#"{"t":22000,"event":"returned","call":"stop","caller":2,"result":"called-from-inside","steps":[],"deaths":[]}"#)
            .breaks_nothing();
    }

    #[test]
    fn process_that_is_killed_in_the_delay_passes() {
        let killed = |t: u64| {
            day()
                .with_keys("worker", r#""pre_stop":5000"#)
                .cut_after("grace-began")
                .killed_at(t)
        };
        killed(22_000).breaks_nothing();
        killed(25_000).breaks_nothing();
        killed(25_001).breaks_only(LAW.name);
        killed(30_000).breaks_only(LAW.name);
    }

    #[test]
    fn program_that_heeds_no_request_has_no_delay() {
        program()
            .with_keys("worker", r#""pre_stop":1000"#)
            .before("call-began stop", r#"{"t":5000,"event":"call-began","call":"request-stop","caller":4,"from":null}"#)
            .before("call-began stop", r#"{"t":5000,"event":"returned","call":"request-stop","caller":4,"result":"ok","steps":[],"deaths":[]}"#)
            .breaks_nothing();
    }

    #[test]
    fn signal_in_the_instant_of_the_running_state_may_be_either() {
        // The signal is a fact. The context may see it before or after it claims the state `running`.
        day()
            .with_keys("worker", r#""pre_stop":5000"#)
            .cut_after("phase-ended start")
            .append(r#"{"t":0,"event":"signal","name":"SIGTERM","nth":1}"#)
            .append(r#"{"t":0,"event":"state","state":"running"}"#)
            .append(r#"{"t":0,"event":"requested","reason":"SIGTERM","by":"signal"}"#)
            .append(r#"{"t":0,"event":"grace-began","stop_ends":19500,"cleanup_ends":29500,"last_resort":29750,"kill":30000}"#)
            .append(r#"{"t":0,"event":"state","state":"stopping"}"#)
            .append(r#"{"t":0,"event":"running","value":false}"#)
            .killed_at(0)
            .breaks_nothing();
    }

    #[test]
    fn plan_that_knows_no_delay_breaks() {
        plan_day()
            .with_keys("worker", r#""pre_stop":5000"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn plan_that_stops_later_without_a_delay_passes() {
        plan_day()
            .shifted("step-started flusher", 100)
            .breaks_nothing();
    }
}
