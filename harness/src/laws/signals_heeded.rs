//! After the second signal stop waits no more, and cleanup waits only for its floors. At the third signal the process
//! ends.

use super::limits::{MAX_CONFIRMATION_MS, floor_of, floors};
use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Phase};

pub(super) const LAW: Law = Law {
    name: "signals/heeded",
    rules: "11",
    statement: "After the second signal, stop no longer waits, and cleanup waits only for its floors. At the third signal, the process ends.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if let Some((third, _)) = record.signals.get(2).copied() {
        let t = record.time_of(third);
        if record.exit.is_none_or(|(at, ..)| record.time_of(at) != t) {
            breaks.at(
                third,
                format!(
                    "the third signal came at {}, but the process continued",
                    At(t)
                ),
            );
        }
    }
    let Some((second, _)) = record.second_signal() else {
        return;
    };
    if record.is_plan {
        return; // The plan ends at the second signal without a claim.
    }
    let second_signal_ms = record.time_of(second);
    let floors = floors(record);
    for (component, step) in record.steps() {
        let end = step.end.map_or(record.last_instant(), |end| end.t);
        let may_end = match step.phase {
            Phase::Start | Phase::Stop => second_signal_ms.max(step.t),
            Phase::Cleanup => {
                let (floor, _) = floor_of(&floors, step.id);
                let confirm = if component.aborts.is_empty() {
                    0
                } else {
                    MAX_CONFIRMATION_MS
                };
                let floor = floor.min(step.bound);
                second_signal_ms
                    .max(step.t.saturating_add(floor))
                    .saturating_add(confirm)
            }
        };
        if end > may_end {
            breaks.at(
                step.at,
                format!(
                    "\"{}\" was awaited until {}: after the second signal at {}, the wait had to end at {}",
                    component.name_or_unknown(),
                    At(end),
                    At(second_signal_ms),
                    At(may_end)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, second_signal_in_cleanup, second_signal_in_stop};

    #[test]
    fn cleanup_waited_for_beyond_its_floor_breaks() {
        second_signal_in_cleanup()
            .shifted("leak flush", 500)
            .with_keys("step-ended flush", r#""took":3500"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",21500,3500]"#)
            .with_row(6, r#"[6,"ok",1000,"second-signal",25000,200]"#)
            .with_row(11, r#"[11,"ok",1000,"second-signal",25200,0]"#)
            .breaks_only(LAW.name);
    }

    const THIRD: &str = r#"{"t":23000,"event":"signal","name":"SIGTERM","nth":3}"#;

    #[test]
    fn process_that_ends_at_the_third_signal_passes() {
        second_signal_in_stop()
            .cut_after("began flush")
            .append(THIRD)
            .killed_at(23_000)
            .without("killed")
            .with_keys("exit", r#""code":143,"cause":"third-signal""#)
            .breaks_nothing();
    }

    #[test]
    fn process_that_outlives_the_third_signal_breaks() {
        second_signal_in_stop()
            .before("still-waiting flush", THIRD)
            .with_keys("exit", r#""code":143,"cause":"third-signal""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn confirmation_in_stop_ends_with_the_second_signal() {
        // The abort of `writer` cannot take effect, since the executor is held. Its step has to end with the signal,
        // at 22.05 s.
        let aborted = |t: u64, outcome: &str| {
            let took = t - 20_000;
            day()
                .cut_after("still-waiting writer")
                .append(r#"{"t":21500,"event":"held","id":1,"name":"flusher"}"#)
                .append(r#"{"t":22000,"event":"abort","name":"writer","id":2}"#)
                .append(r#"{"t":22050,"event":"signal","name":"SIGTERM","nth":2}"#)
                .append(&format!(r#"{{"t":{t},"event":"step-ended","phase":"stop","name":"writer","order":0,"outcome":"{outcome}","took":{took},"id":2,"error":null}}"#))
                .killed_at(t)
        };
        aborted(22_050, "not-awaited").breaks_nothing();
        aborted(22_051, "not-awaited").breaks_only(LAW.name);
    }
}
