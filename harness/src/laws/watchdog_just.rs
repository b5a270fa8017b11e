//! The watchdog fires if and only if it is armed and its number of attempts has failed in a row, and it reports the
//! number. It waits exactly its interval or its back-off between probes, and for a probe no longer than its limit.

use super::record::{EventIndex, Record};
use super::{Breaks, Law};
use crate::journal::{At, Cause, Kind, Registered, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "watchdog/just",
    rules: "18",
    statement: "The watchdog fires if and only if it is armed and as many probes in a row have failed as `attempts` says, and it reports how many. Between probes it waits exactly its interval or its back-off. It waits for a probe no longer than its request timeout.",
    judge,
};

/// The watchdog's state, computed anew from its probes.
#[derive(Default)]
struct WatchdogState {
    armed: bool,
    failures: u32,
    /// The instant before which the next probe may not begin.
    next: u64,
    /// The probe after which the watchdog has to fire.
    due: Option<EventIndex>,
}

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let mut watchdogs = record
        .registered()
        .filter(|(_, _, _, registered)| registered.kind == Kind::Watchdog);
    let Some((_, component, _, registered)) = watchdogs.next() else {
        return;
    };
    if let Some((_, _, at, second)) = watchdogs.next() {
        let (first, second) = (&registered.name, &second.name);
        breaks.at(
            at,
            format!("\"{second}\" is a second watchdog beside \"{first}\": the journal does not say to which of them a probe belongs"),
        );
        return;
    }
    let asked = record.first_request().unwrap_or(usize::MAX);
    let began = component.began.map_or(0, |at| record.time_of(at));
    let mut state = WatchdogState::default();
    let mut fired = None;
    for (at, event) in record.events.iter().enumerate() {
        match &event.what {
            What::ProbeBegan { n } if event.t < state.next => {
                breaks.at(
                    at,
                    format!(
                        "probe {n} began at {}, but was not due before {}",
                        At(event.t),
                        At(state.next)
                    ),
                );
            }
            What::Probe {
                result,
                ignored: false,
                ..
            } => state.record_probe(at, event.t, result, registered, began),
            What::Watchdog {
                is: WatchdogIs::Fired,
                ..
            }
            | What::Exit {
                cause: Cause::Watchdog,
                ..
            } if fired.is_none() => {
                fired = Some(at);
                if state.due.is_none() && at < asked {
                    let why = if state.armed {
                        format!(
                            "{} of {} failures in a row",
                            state.failures,
                            registered.attempts.unwrap_or(0)
                        )
                    } else {
                        "not armed".to_owned()
                    };
                    breaks.at(
                        at,
                        format!("the watchdog fired at {} without cause: {why}", At(event.t)),
                    );
                }
            }
            _ => {}
        }
    }
    if !record.is_plan && component.fault.is_none() && component.began.is_some() {
        check_punctual(record, breaks, registered, began);
    }
    if let Some(due) = state.due {
        let in_time = fired.is_some_and(|fired| record.time_of(fired) == record.time_of(due));
        // If a stop is asked for in the same instant, the watchdog's last check sees it.
        let excused = asked != usize::MAX && record.time_of(asked) <= record.time_of(due);
        if !in_time && !excused {
            breaks.at(
                due,
                format!(
                    "{} probes in a row had failed at {}, but the watchdog did not end the process",
                    state.failures,
                    At(record.time_of(due))
                ),
            );
        }
    }
}

/// Checks that a watchdog that nothing holds up is never late: its probes begin when they are due and end in time,
/// and their results are claimed in that instant.
fn check_punctual(
    record: &Record<'_>,
    breaks: &mut Breaks<'_>,
    registered: &Registered,
    began: u64,
) {
    let asked = record
        .first_request()
        .map_or(u64::MAX, |at| record.time_of(at));
    // An event that is due in the last instant, or in that of a request, may not come any more.
    let still = |t: u64| t >= asked || t >= record.last_instant();
    let mut state = WatchdogState {
        next: began,
        ..WatchdogState::default()
    };
    let mut open: Option<(EventIndex, u32)> = None;
    let mut due: Option<(EventIndex, Option<bool>, u32)> = None;
    for (at, event) in record.events.iter().enumerate() {
        let t = event.t;
        if let Some((probe, armed, failures)) = due
            && t > record.time_of(probe)
        {
            due = None;
            if (armed.is_some() || failures > 0) && !still(record.time_of(probe)) {
                let at = At(record.time_of(probe));
                breaks.at(
                    probe,
                    format!("the watchdog did not report the result of its probe at {at}"),
                );
            }
        }
        match &event.what {
            What::ProbeBegan { n } => {
                if t > state.next && !still(state.next) {
                    let next = At(state.next);
                    breaks.at(
                        at,
                        format!("probe {n} began at {}, but was due at {next}", At(t)),
                    );
                }
                // A probe that begins after the request is another law's.
                open = Some((at, *n))
                    .filter(|_| record.first_request().is_none_or(|asked| at < asked));
            }
            What::Probe {
                n,
                result,
                ignored: false,
                ..
            } => {
                if let Some((probe, _)) = open.take() {
                    let limit = registered.request_timeout.unwrap_or(u64::MAX);
                    let ends = record.time_of(probe).saturating_add(limit).min(asked);
                    if t > ends.max(record.time_of(probe)) {
                        let ends = At(ends);
                        breaks.at(
                            at,
                            format!(
                                "probe {n} was awaited until {}, but its time was over at {ends}",
                                At(t)
                            ),
                        );
                    }
                }
                let was = state.armed;
                state.record_probe(at, t, result, registered, began);
                due = Some((at, (state.armed && !was).then_some(true), state.failures));
            }
            What::Watchdog { is, attempt } => {
                match (is, &mut due) {
                    (WatchdogIs::Armed, Some((_, armed @ Some(_), _))) => *armed = None,
                    (WatchdogIs::Failed, Some((_, _, failures))) if failures == attempt => {
                        *failures = 0
                    }
                    (WatchdogIs::Armed | WatchdogIs::Failed, _) => {
                        let at_t = At(t);
                        breaks.at(
                        at,
                        format!("the watchdog reported a result at {at_t} that its probe did not have"),
                    );
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // At the journal's end, everything that was due before has to be there.
    let late = match open {
        Some((probe, n)) => {
            let limit = registered.request_timeout.unwrap_or(u64::MAX);
            let began = record.time_of(probe);
            let ends = began.saturating_add(limit).min(asked).max(began);
            (record.last_instant() > ends).then(|| format!("probe {n} had to end at {}", At(ends)))
        }
        None => (state.due.is_none() && !still(state.next))
            .then(|| format!("a probe had to begin at {}", At(state.next))),
    };
    if let Some(late) = late {
        let last = record.events.len().saturating_sub(1);
        breaks.at(last, format!("{late}, but that never happened"));
    }
}

impl WatchdogState {
    fn record_probe(
        &mut self,
        at: EventIndex,
        t: u64,
        result: &str,
        registered: &Registered,
        began: u64,
    ) {
        let success = result.len() == 3
            && result.starts_with('2')
            && result.bytes().all(|byte| byte.is_ascii_digit());
        self.armed |= success
            || registered
                .start_grace
                .is_some_and(|grace| t >= began.saturating_add(grace));
        self.failures = if success || !self.armed {
            0
        } else {
            self.failures + 1
        };
        let pause = match u64::from(self.failures) {
            0 => registered.interval.unwrap_or(0),
            n => n.saturating_mul(n).saturating_mul(4_000),
        };
        self.next = t.saturating_add(pause);
        if self.failures >= registered.attempts.unwrap_or(u32::MAX) {
            self.due.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, plan_day};

    #[test]
    fn probe_before_its_time_breaks() {
        day()
            .shifted("probe-began 2", -1)
            .shifted("probe 2", 1)
            .breaks_only(LAW.name);
    }

    #[test]
    fn probe_after_its_time_breaks() {
        day()
            .with_keys("probe-began 2", r#""t":10001"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn probe_that_never_comes_breaks() {
        day()
            .without("probe-began 2")
            .without("probe 2")
            .breaks_only(LAW.name);
    }

    #[test]
    fn probe_beyond_its_limit_breaks() {
        day()
            .with_keys("registered dog", r#""request_timeout":1999"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn arming_that_is_not_claimed_breaks() {
        day().without("watchdog armed").breaks_only(LAW.name);
    }

    #[test]
    fn claimed_failure_of_a_good_probe_breaks() {
        day()
            .after(
                "probe 2",
                r#"{"t":12000,"event":"watchdog","is":"failed","attempt":1}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn all_attempts_failed_without_an_exit_breaks() {
        day()
            .with_keys("probe 2", r#""t":10000,"result":"500""#)
            .before(
                "signal SIGTERM",
                r#"{"t":14000,"event":"probe-began","n":3}"#,
            )
            .before(
                "signal SIGTERM",
                r#"{"t":14000,"event":"probe","n":3,"result":"refused","took":0,"ignored":false}"#,
            )
            .with_keys("registered dog", r#""attempts":2"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn firing_without_a_cause_breaks() {
        day()
            .before(
                "signal SIGTERM",
                r#"{"t":19000,"event":"watchdog","is":"fired","attempt":1}"#,
            )
            .with_keys("exit", r#""code":75,"cause":"watchdog""#)
            .breaks_only(LAW.name);
    }

    /// Returns a day of a worker with a watchdog with those keys and those events of its probes, until SIGKILL ends
    /// it. No stop is asked for.
    fn watched(keys: &str, lines: &[String], end: u64) -> ByHand {
        let morning = day()
            .with_keys("registered dog", keys)
            .cut_after("began crash");
        lines
            .iter()
            .fold(morning, |day, line| day.append(line))
            .killed_at(end)
    }

    fn probe(n: u32, began: u64, result: &str, took: u64) -> Vec<String> {
        let t = began + took;
        vec![
            format!(r#"{{"t":{began},"event":"probe-began","n":{n}}}"#),
            format!(
                r#"{{"t":{t},"event":"probe","n":{n},"result":"{result}","took":{took},"ignored":false}}"#
            ),
        ]
    }

    fn claim(t: u64, is: &str, attempt: u32) -> Vec<String> {
        vec![format!(
            r#"{{"t":{t},"event":"watchdog","is":"{is}","attempt":{attempt}}}"#
        )]
    }

    /// Returns the events of a first probe with a good answer at once, which arms the watchdog.
    fn armed() -> Vec<String> {
        [probe(1, 0, "200", 0), claim(0, "armed", 0)].concat()
    }

    /// Returns two failures after that: the third would be due 16 s after the second.
    fn failing_twice() -> Vec<String> {
        [
            armed(),
            probe(2, 10_000, "503", 0),
            claim(10_000, "failed", 1),
            probe(3, 14_000, "refused", 0),
            claim(14_000, "failed", 2),
        ]
        .concat()
    }

    fn failing_thrice() -> Vec<String> {
        let third = [probe(4, 30_000, "cut", 0), claim(30_000, "failed", 3)];
        [failing_twice(), third.concat()].concat()
    }

    const DEFAULT_ATTEMPTS: &str = r#""attempts":3"#;

    #[test]
    fn failures_are_followed_by_a_growing_pause() {
        watched(DEFAULT_ATTEMPTS, &failing_twice(), 30_000).breaks_nothing();
        watched(DEFAULT_ATTEMPTS, &failing_twice(), 30_001).breaks_only(LAW.name);
        let early = [failing_twice(), probe(4, 29_999, "200", 0)].concat();
        watched(DEFAULT_ATTEMPTS, &early, 29_999).breaks_only(LAW.name);
        let late = [failing_twice(), probe(4, 30_001, "200", 0)].concat();
        watched(DEFAULT_ATTEMPTS, &late, 30_001).breaks_only(LAW.name);
    }

    #[test]
    fn success_begins_the_count_anew() {
        let again = [
            failing_twice(),
            probe(4, 30_000, "200", 0),
            probe(5, 40_000, "503", 0),
            claim(40_000, "failed", 1),
            probe(6, 44_000, "503", 0),
            claim(44_000, "failed", 2),
        ];
        watched(DEFAULT_ATTEMPTS, &again.concat(), 50_000).breaks_nothing();
    }

    #[test]
    fn failures_before_it_is_armed_are_not_counted() {
        let boot = [
            probe(1, 0, "refused", 0),
            probe(2, 10_000, "refused", 0),
            probe(3, 20_000, "refused", 0),
            probe(4, 30_000, "refused", 0),
        ]
        .concat();
        watched(DEFAULT_ATTEMPTS, &boot, 40_000).breaks_nothing();
        let claimed = [probe(1, 0, "refused", 0), claim(0, "failed", 1)].concat();
        watched(DEFAULT_ATTEMPTS, &claimed, 4_000).breaks_only(LAW.name);
    }

    #[test]
    fn start_grace_arms_with_the_probe_that_ends_then() {
        // The watchdog began at 0; the second probe ends at 10 s.
        let grace = |ms: u64| format!(r#""start_grace":{ms}"#);
        let counted = [
            probe(1, 0, "refused", 0),
            probe(2, 10_000, "refused", 0),
            claim(10_000, "armed", 0),
            claim(10_000, "failed", 1),
            probe(3, 14_000, "200", 0),
        ]
        .concat();
        watched(&grace(10_000), &counted, 24_000).breaks_nothing();
        watched(&grace(9_000), &counted, 24_000).breaks_nothing();
        watched(&grace(10_001), &counted, 24_000).breaks_only(LAW.name);
        let uncounted = [probe(1, 0, "refused", 0), probe(2, 10_000, "refused", 0)].concat();
        watched(&grace(10_001), &uncounted, 20_000).breaks_nothing();
        watched(&grace(10_000), &uncounted, 10_001).breaks_only(LAW.name);
    }

    #[test]
    fn success_is_a_status_of_the_two_hundreds() {
        let registered = &day().events()[13];
        let crate::journal::What::Registered(registered) = &registered.what else {
            panic!("that event registers the watchdog");
        };
        let arms = |result: &str| {
            let mut state = super::WatchdogState::default();
            state.record_probe(0, 0, result, registered, 0);
            state.armed
        };
        for result in ["200", "204", "299"] {
            assert!(arms(result), "{result}");
        }
        for result in [
            "199", "300", "302", "503", "2", "20", "2000", "2xx", "20x", "cut", "reset", "refused",
            "given-up",
        ] {
            assert!(!arms(result), "{result}");
        }
    }

    fn fired_at(t: u64) -> ByHand {
        let shot = [failing_thrice(), claim(t, "fired", 3)].concat();
        watched(DEFAULT_ATTEMPTS, &shot, t)
            .without("killed")
            .with_keys("exit", r#""code":75,"cause":"watchdog""#)
    }

    #[test]
    fn watchdog_fires_when_the_attempts_have_failed() {
        fired_at(30_000).breaks_nothing();
        fired_at(30_001).breaks_only(LAW.name);
    }

    #[test]
    fn watchdog_that_does_not_fire_breaks() {
        watched(DEFAULT_ATTEMPTS, &failing_thrice(), 30_000).breaks_only(LAW.name);
        watched(DEFAULT_ATTEMPTS, &failing_thrice(), 30_001).breaks_only(LAW.name);
        watched(r#""attempts":4"#, &failing_thrice(), 60_000).breaks_nothing();
    }

    #[test]
    fn watchdog_that_fires_early_breaks_once() {
        let early = [failing_twice(), claim(14_000, "fired", 2)].concat();
        let early = watched(DEFAULT_ATTEMPTS, &early, 14_000)
            .without("killed")
            .with_keys("exit", r#""code":75,"cause":"watchdog""#);
        early.clone().breaks_only(LAW.name);
        assert_eq!(
            early.messages(LAW.name),
            ["the watchdog fired at 14.000 without cause: 2 of 3 failures in a row"]
        );
        let unarmed = [probe(1, 0, "503", 0), claim(0, "fired", 1)].concat();
        let unarmed = watched(DEFAULT_ATTEMPTS, &unarmed, 0)
            .without("killed")
            .with_keys("exit", r#""code":75,"cause":"watchdog""#);
        assert_eq!(
            unarmed.messages(LAW.name),
            ["the watchdog fired at 0.000 without cause: not armed"]
        );
    }

    /// Returns a day on which the worker is asked to stop at `t`, and the watchdog is disarmed.
    fn asked(lines: &[String], t: u64) -> ByHand {
        let asked = format!(r#"{{"t":{t},"event":"signal","name":"SIGTERM","nth":1}}"#);
        let claimed =
            format!(r#"{{"t":{t},"event":"requested","reason":"SIGTERM","by":"signal"}}"#);
        let lines = [lines, &[asked, claimed], &claim(t, "disarmed", 0)[..]].concat();
        watched(DEFAULT_ATTEMPTS, &lines, t).with_keys("worker", r#""pre_stop":5000"#)
    }

    #[test]
    fn stop_asked_for_in_the_instant_of_the_last_failure_excuses() {
        asked(&failing_thrice(), 30_000).breaks_nothing();
        asked(&failing_thrice(), 30_001).breaks_only(LAW.name);
    }

    #[test]
    fn probe_due_when_a_stop_is_asked_for_need_not_begin() {
        asked(&armed(), 10_000).breaks_nothing();
        asked(&armed(), 10_001).breaks_only(LAW.name);
    }

    #[test]
    fn probe_is_given_up_when_a_stop_is_asked_for() {
        let given_up = |t: u64| {
            let open = [armed(), vec![probe(2, 10_000, "", 0)[0].clone()]].concat();
            let end = format!(
                r#"{{"t":{t},"event":"probe","n":2,"result":"given-up","took":2000,"ignored":false}}"#
            );
            let end = [end];
            asked(&open, 12_000)
                .cut_after("watchdog disarmed")
                .append(&end[0])
                .killed_at(t)
        };
        given_up(12_000).breaks_nothing();
        given_up(12_001).breaks_only(LAW.name);
    }

    #[test]
    fn probe_is_waited_for_up_to_its_limit() {
        let limit = r#""request_timeout":2000"#;
        let open = [armed(), vec![probe(2, 10_000, "", 0)[0].clone()]].concat();
        watched(limit, &open, 12_000).breaks_nothing();
        watched(limit, &open, 12_001).breaks_only(LAW.name);
        let ended = |took: u64| [armed(), probe(2, 10_000, "200", took)].concat();
        watched(limit, &ended(2_000), 12_000).breaks_nothing();
        watched(limit, &ended(2_001), 12_001).breaks_only(LAW.name);
    }

    #[test]
    fn probe_due_in_the_last_instant_need_not_begin() {
        watched(DEFAULT_ATTEMPTS, &armed(), 10_000).breaks_nothing();
        watched(DEFAULT_ATTEMPTS, &armed(), 10_001).breaks_only(LAW.name);
    }

    #[test]
    fn result_of_a_probe_is_claimed_in_its_instant() {
        let unclaimed = [armed(), probe(2, 10_000, "503", 0)].concat();
        watched(DEFAULT_ATTEMPTS, &unclaimed, 10_000).breaks_nothing(); // The process ended first.
        watched(DEFAULT_ATTEMPTS, &unclaimed, 10_001).breaks_only(LAW.name);
        let late = [unclaimed.clone(), claim(10_001, "failed", 1)].concat();
        watched(DEFAULT_ATTEMPTS, &late, 10_001).breaks_only(LAW.name);
        let other = [unclaimed.clone(), claim(10_000, "failed", 2)].concat();
        watched(DEFAULT_ATTEMPTS, &other, 10_000).breaks_only(LAW.name);
        let again = [
            unclaimed,
            claim(10_000, "failed", 1),
            claim(10_000, "armed", 0),
        ]
        .concat();
        watched(DEFAULT_ATTEMPTS, &again, 10_000).breaks_only(LAW.name);
    }

    #[test]
    fn answer_that_came_too_late_arms_nothing() {
        let ignored =
            r#"{"t":7000,"event":"probe","n":1,"result":"200","took":7000,"ignored":true}"#;
        let lines = [probe(1, 0, "given-up", 5_000), vec![ignored.to_owned()]].concat();
        watched(r#""request_timeout":5000"#, &lines, 15_000).breaks_nothing();
        let first = [
            vec![ignored.replace("7000", "0")],
            probe(1, 0, "given-up", 5_000),
        ]
        .concat();
        watched(r#""request_timeout":5000"#, &first, 15_000).breaks_nothing();
    }

    #[test]
    fn first_probe_begins_with_the_watchdog() {
        let later = |t: u64| {
            watched(
                DEFAULT_ATTEMPTS,
                &[probe(1, t, "200", 0), claim(t, "armed", 0)].concat(),
                12_000,
            )
            .moved_after("began dog", "began crash")
            .with_keys("began dog", r#""t":2000"#)
        };
        later(2_000).breaks_nothing();
        later(2_001).breaks_only(LAW.name);
    }

    #[test]
    fn watchdog_that_never_began_is_not_late() {
        watched(DEFAULT_ATTEMPTS, &[], 5_000)
            .without("began dog")
            .breaks_nothing();
        watched(DEFAULT_ATTEMPTS, &[], 5_000).breaks_only(LAW.name);
    }

    #[test]
    fn watchdog_that_a_fault_holds_up_may_be_late() {
        let hang = r#"{"t":0,"event":"fault","fault":"hang","name":"dog","id":7}"#;
        let late = [armed(), probe(2, 11_000, "200", 0)].concat();
        watched(DEFAULT_ATTEMPTS, &late, 12_000).breaks_only(LAW.name);
        watched(DEFAULT_ATTEMPTS, &late, 12_000)
            .before("began dog", hang)
            .breaks_nothing();
    }

    #[test]
    fn second_watchdog_breaks() {
        let second = r#"{"t":0,"event":"registered","id":12,"kind":"watchdog","name":"second","order":0,"timeout":5000,"floor":null,"uses":[],"told":"at-once","async":false,"adopted":false,"interval":5000,"attempts":3,"request_timeout":120000}"#;
        watched(DEFAULT_ATTEMPTS, &armed(), 9_000)
            .before("ended main", second)
            .before(
                "exit",
                r#"{"t":9000,"event":"lost","id":12,"name":"second","what":"running"}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn plan_says_nothing_of_its_probes() {
        plan_day().breaks_nothing();
    }
}
