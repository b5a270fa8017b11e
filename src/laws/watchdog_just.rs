//! The watchdog fires if and only if it is armed and that many probes in a row have failed; it waits its interval or its back-off between probes.

use super::record::{Index, Record};
use super::{Breaks, Law};
use crate::journal::{At, Cause, Kind, Registered, WatchdogIs, What};

pub(super) const LAW: Law = Law {
    name: "watchdog/just",
    rules: "18",
    statement: "The watchdog fires if and only if it is armed and that many probes in a row have failed; it waits its interval or its back-off between probes.",
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
