//! From the first request on the watchdog does nothing: it is disarmed before the first step, begins no probe, and
//! does not end the process.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Cause, Kind, Ms, Phase, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "watchdog/disarmed-first",
    rules: "1",
    statement: "After the first request to stop, the watchdog does nothing: it is disarmed before the first step, begins no probe, and does not end the process.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let Some(asked) = record.first_request() else {
        return;
    };
    let late = |at| {
        format!(
            "at {}, {} after the stop was requested",
            At(record.time_of(at)),
            Ms(record.time_of(at).saturating_sub(record.time_of(asked)))
        )
    };
    let mut disarmed = None;
    for (at, event) in record.events.iter().enumerate().skip(asked) {
        match &event.what {
            What::Watchdog {
                is: WatchdogIs::Disarmed,
                ..
            } => disarmed = disarmed.or(Some(at)),
            What::ProbeBegan { n } => breaks.at(at, format!("probe {n} began {}", late(at))),
            What::Watchdog {
                is: WatchdogIs::Fired,
                ..
            } => breaks.at(at, format!("the watchdog fired {}", late(at))),
            What::Exit {
                cause: Cause::Watchdog,
                ..
            } if record.is_plan => {
                breaks.at(at, format!("the watchdog ended the process {}", late(at)));
            }
            _ => {}
        }
    }
    let watched = record.registered().any(|(_, component, at, registered)| {
        registered.kind == Kind::Watchdog
            && at < asked
            && component.end.is_none_or(|end| end.at > asked)
    });
    let first_step = record
        .steps()
        .filter(|(_, step)| step.phase != Phase::Start)
        .map(|(_, step)| step.at)
        .min();
    if let (false, true, Some(step)) = (record.is_plan, watched, first_step)
        && disarmed.is_none_or(|disarmed| disarmed > step)
    {
        breaks.at(
            step,
            format!(
                "the first step began {}, but the watchdog was not disarmed",
                late(step)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, plan_day, program};

    #[test]
    fn watchdog_that_is_not_disarmed_breaks() {
        day().without("watchdog disarmed").breaks_only(LAW.name);
    }

    #[test]
    fn probe_during_stop_breaks() {
        day()
            .before(
                "still-waiting flush",
                r#"{"t":26000,"event":"probe-began","n":3}"#,
            )
            .breaks_only(LAW.name);
    }

    /// Returns a day on which the watchdog ends the process after a stop was asked for.
    fn fired_after_request() -> ByHand {
        day()
            .cut_after("watchdog disarmed")
            .append(r#"{"t":20000,"event":"watchdog","is":"fired","attempt":3}"#)
            .killed_at(20_000)
            .without("killed")
            .with_keys("exit", r#""code":75,"cause":"watchdog""#)
    }

    #[test]
    fn shot_after_the_request_breaks() {
        fired_after_request().breaks_only(LAW.name);
    }

    #[test]
    fn shot_after_the_request_breaks_once() {
        assert_eq!(
            fired_after_request().messages(LAW.name),
            ["the watchdog fired at 20.000, 0 ms after the stop was requested"]
        );
    }

    #[test]
    fn plan_whose_watchdog_ends_the_process_in_stop_breaks() {
        plan_day()
            .cut_after("running")
            .killed_at(20_000)
            .without("killed")
            .with_keys("exit", r#""code":75,"cause":"watchdog""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn watchdog_disarmed_after_the_first_step_breaks() {
        // The order of the events before the first step is another law's too.
        day()
            .moved_after("watchdog disarmed", "heard flusher")
            .breaks_exactly(&[LAW.name, "states/forward"]);
    }

    #[test]
    fn worker_without_a_watchdog_disarms_none() {
        program().breaks_nothing();
    }

    #[test]
    fn watchdog_that_has_ended_need_not_be_disarmed() {
        day()
            .without("watchdog disarmed")
            .without("told dog")
            .without("step-started dog")
            .without("step-ended dog")
            .with_row(7, "")
            .moved_after("ended dog", "probe 2")
            .breaks_nothing();
    }
}
