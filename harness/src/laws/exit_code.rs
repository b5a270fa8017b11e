//! The exit code and its cause follow from the signals, the watchdog, the end of main and the outcomes, in that order.

use super::record::{EventIndex, Record};
use super::{Breaks, Law};
use crate::journal::{Cause, How, Kind, Outcome, SignalName, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "exit/code",
    rules: "17",
    statement: "The exit code and its cause follow from the signals, the watchdog, the end of main and the outcomes, in that order.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let Some((at, code, cause)) = record.exit else {
        return;
    };
    let (right, why) = right_exit(record, at);
    // A program that handles no signals goes on after a stop or a failed start, until it returns.
    let returned = cause == Cause::Returned
        && !record.handles_signals()
        && matches!(why, Cause::Stopped | Cause::StartFailed);
    if code != right || (cause != why && !returned) {
        breaks.at(
            at,
            format!("the process ended with exit code {code} ({cause}): expected {right} ({why})"),
        );
    }
}

/// Returns the right code and cause: the first of rule 17 that matches.
fn right_exit(record: &Record<'_>, exit: EventIndex) -> (i32, Cause) {
    let killed = record.killed.filter(|(at, _)| *at < exit);
    if let Some((_, signal)) = killed.filter(|_| !record.handles_signals()) {
        // Any signal ends a program that handles none, and its context does not count signals.
        return (128 + signal.number(), Cause::Killed);
    }
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
        // A signal that comes when nothing is left to do.
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
    if fired || (record.is_plan && matches!(record.exit, Some((_, _, Cause::Watchdog)))) {
        return (75, Cause::Watchdog);
    }
    if matches!(record.exit, Some((_, _, Cause::LastResort))) {
        return (124, Cause::LastResort);
    }
    if killed.is_some() {
        return (128 + SignalName::Sigkill.number(), Cause::Killed);
    }
    if let Some((_, code)) = signal(1) {
        return (code, Cause::SecondSignal);
    }
    if let Some(code) = start_failed(record) {
        return (code, Cause::StartFailed);
    }
    let bad = if record.is_plan {
        failed_calls(record)
    } else {
        record
            .steps()
            .any(|(_, step)| step.end.is_none_or(|end| end.outcome != Outcome::Ok))
    };
    (i32::from(bad), Cause::Stopped)
}

/// Returns the exit code if main failed: the code that main asks for, or 1 if it asks for none or 0.
fn start_failed(record: &Record<'_>) -> Option<i32> {
    let end = record.components.first()?.end?;
    let What::Ended { code, .. } = record.events.get(end.at)?.what else {
        return None;
    };
    match end.how {
        How::Failed => Some(code.filter(|code| *code != 0).unwrap_or(1)),
        How::Panicked => Some(1),
        // By rule 9, a main that is dropped before a stop was asked for has failed.
        How::Dropped if record.first_request().is_none_or(|asked| asked > end.at) => Some(1),
        How::Ok | How::Dropped => None,
    }
}

/// Returns whether, by the facts, any component with a step ended badly after the step began, or not at all.
fn failed_calls(record: &Record<'_>) -> bool {
    record
        .registered()
        .filter(|(_, _, _, registered)| registered.kind != Kind::Watchdog)
        .filter_map(|(_, component, _, _)| Some((component.step?, component.end)))
        .any(|(step, end)| end.is_none_or(|end| end.how != How::Ok && end.at > step.at))
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, failed_start, killed, lines, plan_day, program};

    /// Returns the journal of a program that handles no signals, has cleaned up at 1 s, and is ended by SIGTERM
    /// at 2 s.
    fn unhandled_signal_after_done() -> ByHand {
        lines(
            r#"
{"t":0,"event":"journal","version":1,"scenario":"by hand","seed":0,"subject":"worker","host":"sim"}
{"t":0,"event":"worker","grace":30000,"reserve":10000,"margin":500,"ties":"first","start_timeout":5000}
{"t":0,"event":"state","state":"created"}
{"t":1000,"event":"call-began","call":"cleanup","caller":1,"from":null}
{"t":1000,"event":"requested","reason":"cleanup was called","by":"call"}
{"t":1000,"event":"grace-began","stop_ends":20500,"cleanup_ends":30500,"last_resort":30750,"kill":31000}
{"t":1000,"event":"state","state":"stopping"}
{"t":1000,"event":"running","value":false}
{"t":1000,"event":"phase-started","phase":"stop","ends":20500}
{"t":1000,"event":"phase-ended","phase":"stop","ends":20500}
{"t":1000,"event":"state","state":"stopped"}
{"t":1000,"event":"state","state":"cleaning-up"}
{"t":1000,"event":"phase-started","phase":"cleanup","ends":30500}
{"t":1000,"event":"phase-ended","phase":"cleanup","ends":30500}
{"t":1000,"event":"state","state":"done"}
{"t":1000,"event":"returned","call":"cleanup","caller":1,"result":"ok","steps":[],"deaths":[]}
{"t":2000,"event":"signal","name":"SIGTERM","nth":1}
{"t":2000,"event":"killed","signal":"SIGTERM"}
{"t":2000,"event":"exit","code":143,"cause":"killed"}
"#,
        )
    }

    #[test]
    fn unhandled_signal_gives_its_own_code() {
        unhandled_signal_after_done().breaks_nothing();
        unhandled_signal_after_done()
            .with_keys("exit", r#""code":137"#)
            .breaks_only(LAW.name);
        // A signal that no handler counts does not count as one in `done` either.
        unhandled_signal_after_done()
            .with_keys("exit", r#""cause":"third-signal""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn sigterm_that_kills_a_process_that_handles_it_is_wrong() {
        let killed_by = |signal: &str, code: i32| {
            lines(&format!(
                r#"
{{"t":0,"event":"journal","version":1,"scenario":"by hand","seed":0,"subject":"worker","host":"sim"}}
{{"t":0,"event":"worker","grace":30000,"reserve":10000,"margin":500,"ties":"first","start_timeout":5000}}
{{"t":0,"event":"state","state":"created"}}
{{"t":0,"event":"call-began","call":"run","caller":1,"from":null}}
{{"t":5000,"event":"signal","name":"{signal}","nth":1}}
{{"t":5000,"event":"killed","signal":"{signal}"}}
{{"t":5000,"event":"exit","code":{code},"cause":"killed"}}
"#
            ))
        };
        killed_by("SIGKILL", 137).breaks_nothing();
        killed_by("SIGTERM", 143).breaks_only(LAW.name);
    }

    #[test]
    fn code_zero_in_spite_of_a_leak_breaks() {
        day().with_keys("exit", r#""code":0"#).breaks_only(LAW.name);
    }

    #[test]
    fn code_and_cause_that_follow_pass() {
        program().breaks_nothing(); // 0, returned
        failed_start().breaks_nothing(); // 3, start-failed
        killed().breaks_nothing(); // 137, killed
    }

    #[test]
    fn life_that_only_returns_breaks() {
        day()
            .with_keys("exit", r#""cause":"returned""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn failed_start_without_a_failure_breaks() {
        day()
            .with_keys("exit", r#""cause":"start-failed""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn program_that_names_a_cause_it_has_not_breaks() {
        program()
            .with_keys("exit", r#""cause":"start-failed""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn signal_in_done_ends_the_process_with_its_number() {
        let signal = r#"{"t":31700,"event":"signal","name":"SIGINT","nth":2}"#;
        let day = day().after("state done", signal).without("returned run");
        day.clone()
            .with_keys("exit", r#""code":130,"cause":"third-signal""#)
            .breaks_nothing();
        day.with_keys("exit", r#""code":130,"cause":"second-signal""#)
            .breaks_exactly(&[LAW.name, "report/agrees"]);
    }

    #[test]
    fn plan_has_the_code_1_if_a_call_failed() {
        let plan_day = plan_day().with_keys("ended db", r#""how":"failed","error":"reset""#);
        plan_day.clone().breaks_only(LAW.name);
        plan_day.with_keys("exit", r#""code":1"#).breaks_nothing();
    }

    #[test]
    fn plan_has_the_code_0_if_its_watchdog_failed() {
        plan_day()
            .with_keys("ended dog", r#""how":"failed""#)
            .breaks_nothing();
    }

    #[test]
    fn plan_has_the_code_0_if_a_thread_failed_before_its_step() {
        // The death is not reported, which breaks another law.
        plan_day()
            .with_keys("ended crash", r#""how":"failed""#)
            .after("ended flusher", r#"{"t":20500,"event":"step-started","phase":"stop","name":"crash","order":0,"bound":2000,"bound_by":"join-timeout","id":7,"kind":"thread","group":0}"#)
            .breaks_exactly(&["deaths/reported"]);
    }

    #[test]
    fn main_that_asks_for_no_code_or_for_zero_has_one() {
        for ended in [
            r#""code":0"#,
            r#""code":null"#,
            r#""how":"panicked","code":null"#,
            r#""how":"dropped","code":null"#,
        ] {
            let failed = failed_start().with_keys("ended main", ended);
            failed
                .clone()
                .with_keys("exit", r#""code":1"#)
                .breaks_nothing();
            failed
                .with_keys("exit", r#""code":0"#)
                .breaks_only(LAW.name);
        }
    }
}
