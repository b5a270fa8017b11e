//! Where a running worker is asked to stop, stop begins when the pre-stop delay is over, or with what cuts it; neither before nor later.

use super::record::{Index, Record};
use super::{Breaks, Law};
use crate::journal::{At, Call, How, State};

pub(super) const LAW: Law = Law {
    name: "stop/after-delay",
    rules: "1",
    statement: "Where a running worker is asked to stop, stop begins when the pre-stop delay is over, or with what cuts it; neither before nor later.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let (Some(asked), Some(limits)) = (record.asked(), record.limits) else {
        return;
    };
    let state_at = |wanted: State| {
        let mut states = record.states.iter();
        states
            .find(|(_, state)| *state == wanted)
            .map(|(at, _)| *at)
    };
    let heeded = record.handles_signals();
    // The plan claims no states. That it stops at once is its word where nothing else was asked for; when it
    // does is what its flag says.
    let (ran, began) = if record.plan {
        let main = record.parts.first().and_then(|part| part.end);
        let ran = main.filter(|end| end.how == How::Ok && limits.pre_stop > 0);
        (ran.map(|end| end.at), record.running_false)
    } else {
        (state_at(State::Running), state_at(State::Stopping))
    };
    if !heeded || ran.is_none_or(|at| at > asked) {
        return;
    }
    let call = record.callers.iter().find(|caller| {
        let ends = matches!(caller.call, Call::Stop | Call::Cleanup);
        ends && caller.at >= asked && !caller.inside
    });
    let second = record.second_signal().map(|(at, _)| at);
    let cuts = [call.map(|caller| caller.at), second];
    let cut = cuts.into_iter().flatten().map(|at: Index| record.t(at));
    let over = record.t(asked).saturating_add(limits.pre_stop);
    let due = cut.chain([over]).min().unwrap_or(over);
    match began {
        Some(began) if record.t(began) != due => breaks.at(
            began,
            format!(
                "stop began at {}, and its time was {}",
                At(record.t(began)),
                At(due)
            ),
        ),
        None if record.end() > due || !record.cut() => {
            breaks.at(
                record.events.len().saturating_sub(1),
                format!("stop was due at {}, and never began", At(due)),
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_stop_that_begins_before_its_delay_is_over() {
        day()
            .with("worker", r#""pre_stop":5000"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_stop_that_a_call_hastens() {
        day()
            .with("worker", r#""pre_stop":5000"#)
            .after(
                "grace-began",
                r#"{"t":20000,"event":"call-began","call":"stop","caller":2,"from":null}"#,
            )
            // Nobody has answered that call; that is all.
            .breaks_only("report/agrees");
    }
}
