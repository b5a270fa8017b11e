//! The watchdog fires if and only if it is armed and that many probes in a row have failed, and says how many; it waits exactly its interval or its back-off between probes, and for a probe no longer than its limit.

use super::record::{Index, Record};
use super::{Breaks, Law};
use crate::journal::{At, Cause, Kind, Registered, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "watchdog/just",
    rules: "18",
    statement: "The watchdog fires if and only if it is armed and that many probes in a row have failed, and says how many; it waits exactly its interval or its back-off between probes, and for a probe no longer than its limit.",
    judge,
};

/// What a watchdog knows, worked out anew from its probes.
#[derive(Default)]
struct Count {
    armed: bool,
    failures: u32,
    /// When the next probe may begin.
    next: u64,
    /// The probe after which it has to fire.
    due: Option<Index>,
}

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let mut watchdogs = record
        .registered()
        .filter(|(_, _, _, registered)| registered.kind == Kind::Watchdog);
    let Some((_, part, _, registered)) = watchdogs.next() else {
        return;
    };
    if watchdogs.next().is_some() {
        return; // Whose a probe is cannot be told; a worker has one.
    }
    let asked = record.asked().unwrap_or(usize::MAX);
    let began = part.began.map_or(0, |at| record.t(at));
    let mut count = Count::default();
    let mut fired = None;
    for (at, event) in record.events.iter().enumerate() {
        match &event.what {
            What::ProbeBegan { n } if event.t < count.next => {
                breaks.at(
                    at,
                    format!(
                        "probe {n} began at {}, and not before {} was it time",
                        At(event.t),
                        At(count.next)
                    ),
                );
            }
            What::Probe {
                result,
                ignored: false,
                ..
            } if at < asked => count.probed(at, event.t, result, registered, began),
            What::Watchdog {
                is: WatchdogIs::Fired,
                ..
            }
            | What::Exit {
                cause: Cause::Watchdog,
                ..
            } if fired.is_none() => {
                fired = Some(at);
                if count.due.is_none() && at < asked {
                    let why = if count.armed {
                        format!(
                            "{} of {} in a row",
                            count.failures,
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
    if !record.plan && part.fault.is_none() && part.began.is_some() {
        punctual(record, breaks, registered, began);
    }
    if let Some(due) = count.due {
        let in_time = fired.is_some_and(|fired| record.t(fired) == record.t(due));
        // A stop asked for in the same instant is seen by its last look.
        let excused = asked != usize::MAX && record.t(asked) <= record.t(due);
        if !in_time && !excused {
            breaks.at(
                due,
                format!(
                    "{} probes in a row had failed at {}, and the watchdog did not end the process",
                    count.failures,
                    At(record.t(due))
                ),
            );
        }
    }
}

/// A watchdog that nothing holds up is never late: its probes begin when they are due, end in time, and what
/// follows from them is said in that instant.
fn punctual(record: &Record<'_>, breaks: &mut Breaks<'_>, registered: &Registered, began: u64) {
    let asked = record.asked().map_or(u64::MAX, |at| record.t(at));
    // In the last instant, and in that of a request, what was to come may not come any more.
    let still = |t: u64| t >= asked || t >= record.end();
    let mut count = Count {
        next: began,
        ..Count::default()
    };
    let mut open: Option<(Index, u32)> = None;
    let mut due: Option<(Index, Option<bool>, u32)> = None;
    for (at, event) in record.events.iter().enumerate() {
        let t = event.t;
        if let Some((probe, armed, failures)) = due
            && t > record.t(probe)
        {
            due = None;
            if (armed.is_some() || failures > 0) && !still(record.t(probe)) {
                let at = At(record.t(probe));
                breaks.at(
                    probe,
                    format!("the watchdog did not say at {at} what came of its probe"),
                );
            }
        }
        match &event.what {
            What::ProbeBegan { n } => {
                if t > count.next && !still(count.next) {
                    let next = At(count.next);
                    breaks.at(
                        at,
                        format!("probe {n} began at {}, and {next} was its time", At(t)),
                    );
                }
                open = Some((at, *n));
            }
            What::Probe {
                n,
                result,
                ignored: false,
                ..
            } => {
                if let Some((probe, _)) = open.take() {
                    let limit = registered.request_timeout.unwrap_or(u64::MAX);
                    let ends = record.t(probe).saturating_add(limit).min(asked);
                    if t > ends.max(record.t(probe)) {
                        let ends = At(ends);
                        breaks.at(
                            at,
                            format!(
                                "probe {n} was waited for until {}, and {ends} was its end",
                                At(t)
                            ),
                        );
                    }
                }
                let was = count.armed;
                count.probed(at, t, result, registered, began);
                due = Some((at, (count.armed && !was).then_some(true), count.failures));
            }
            What::Watchdog { is, attempt } => match (is, &mut due) {
                (WatchdogIs::Armed, Some((_, armed @ Some(_), _))) => *armed = None,
                (WatchdogIs::Failed, Some((_, _, failures))) if failures == attempt => {
                    *failures = 0
                }
                (WatchdogIs::Armed | WatchdogIs::Failed, _) => {
                    let at_t = At(t);
                    breaks.at(
                        at,
                        format!("the watchdog said at {at_t} what did not come of its probe"),
                    );
                }
                _ => {}
            },
            _ => {}
        }
    }
    // The journal's end: what was due long before has to be there.
    let (waits, what) = match open {
        Some((probe, _)) => {
            let limit = registered.request_timeout.unwrap_or(u64::MAX);
            (record.t(probe).saturating_add(limit), "the end of a probe")
        }
        None => (count.next, "a probe"),
    };
    if count.due.is_none() && !still(waits) {
        let last = record.events.len().saturating_sub(1);
        breaks.at(
            last,
            format!("{what} was due at {}, and never came", At(waits)),
        );
    }
}

impl Count {
    fn probed(&mut self, at: Index, t: u64, result: &str, registered: &Registered, began: u64) {
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
        if self.failures > 0 && self.failures >= registered.attempts.unwrap_or(u32::MAX) {
            self.due.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_probe_before_its_time() {
        day()
            .shifted("probe-began 2", -1)
            .shifted("probe 2", 1)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_probe_after_its_time() {
        day()
            .with("probe-began 2", r#""t":10001"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_probe_that_never_comes() {
        day()
            .without("probe-began 2")
            .without("probe 2")
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_probe_beyond_its_limit() {
        day()
            .with("registered dog", r#""request_timeout":1999"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_watchdog_that_is_armed_and_does_not_say_so() {
        day().without("watchdog armed").breaks_only(LAW.name);
    }

    #[test]
    fn a_failure_that_was_none() {
        day()
            .after(
                "probe 2",
                r#"{"t":12000,"event":"watchdog","is":"failed","attempt":1}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn three_failures_in_a_row_and_no_exit() {
        day()
            .with("probe 2", r#""t":10000,"result":"500""#)
            .before(
                "signal SIGTERM",
                r#"{"t":14000,"event":"probe-began","n":3}"#,
            )
            .before(
                "signal SIGTERM",
                r#"{"t":14000,"event":"probe","n":3,"result":"refused","took":0,"ignored":false}"#,
            )
            .with("registered dog", r#""attempts":2"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_shot_without_a_cause() {
        day()
            .before(
                "signal SIGTERM",
                r#"{"t":19000,"event":"watchdog","is":"fired","attempt":1}"#,
            )
            .with("exit", r#""code":75,"cause":"watchdog""#)
            .breaks_only(LAW.name);
    }
}
