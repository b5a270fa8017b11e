//! The exit code and its cause follow from the signals, the watchdog, main's end and the outcomes, in that order.

use super::record::{Index, Record};
use super::{Breaks, Law};
use crate::journal::{Call, Cause, How, Kind, Outcome, SignalName, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "exit/code",
    rules: "17",
    statement: "The exit code and its cause follow from the signals, the watchdog, main's end and the outcomes, in that order.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let Some((at, code, cause)) = record.exit else {
        return;
    };
    let (right, why) = due(record, at);
    // A program that handles no signals goes on after a stop, or a start that failed, until it returns.
    let by_itself = !record.callers.iter().any(|caller| caller.call == Call::Run);
    let returned =
        cause == Cause::Returned && by_itself && matches!(why, Cause::Stopped | Cause::StartFailed);
    if code != right || (cause != why && !returned) {
        breaks.at(
            at,
            format!("the process ended with {code}, {cause}: {right}, {why} is right"),
        );
    }
}

/// The first that matches.
fn due(record: &Record<'_>, exit: Index) -> (i32, Cause) {
    let signal = |nth: usize| {
        record
            .signals
            .get(nth)
            .map(|(at, name)| (*at, 128 + name.number()))
    };
    if let Some((_, code)) = signal(2) {
        return (code, Cause::ThirdSignal);
    }
    let done = record
        .states
        .iter()
        .find(|(_, state)| *state == crate::journal::State::Done);
    if let (Some((done, _)), Some((at, name))) = (done, record.signals.last()) {
        // A request while there is nothing left to do.
        if at > done {
            return (128 + name.number(), Cause::ThirdSignal);
        }
    }
    let fired = record.events.iter().any(|event| {
        matches!(
            event.what,
            What::Watchdog {
                is: WatchdogIs::Fired,
                ..
            }
        )
    });
    if fired || (record.plan && matches!(record.exit, Some((_, _, Cause::Watchdog)))) {
        return (75, Cause::Watchdog);
    }
    if matches!(record.exit, Some((_, _, Cause::LastResort))) {
        return (124, Cause::LastResort);
    }
    if record.killed.is_some_and(|killed| killed < exit) {
        return (128 + SignalName::Sigkill.number(), Cause::Killed);
    }
    if let Some((_, code)) = signal(1) {
        return (code, Cause::SecondSignal);
    }
    if let Some(code) = start_failed(record) {
        return (code, Cause::StartFailed);
    }
    let bad = if record.plan {
        failed_calls(record)
    } else {
        record
            .steps()
            .any(|(_, step)| step.end.is_none_or(|end| end.outcome != Outcome::Ok))
    };
    (i32::from(bad), Cause::Stopped)
}

/// The code that main's failure asks for.
fn start_failed(record: &Record<'_>) -> Option<i32> {
    let end = record.parts.first()?.end?;
    let What::Ended { code, .. } = record.events.get(end.at)?.what else {
        return None;
    };
    match end.how {
        How::Failed => Some(code.unwrap_or(1)),
        How::Panicked => Some(1),
        How::Ok | How::Dropped => None,
    }
}

/// By the facts: whether anything that was stopped or called ended badly then, or not at all.
fn failed_calls(record: &Record<'_>) -> bool {
    record
        .registered()
        .filter(|(_, _, _, registered)| registered.kind != Kind::Watchdog)
        .filter_map(|(_, part, _, _)| Some((part.step?, part.end)))
        .any(|(step, end)| end.is_none_or(|end| end.how != How::Ok && end.at > step.at))
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_zero_in_spite_of_a_leak() {
        day().with("exit", r#""code":0"#).breaks_only(LAW.name);
    }
}
