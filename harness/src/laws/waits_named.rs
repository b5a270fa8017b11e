//! A step that is still waited for at half its bound, rounded up, is named at that instant, and only then.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, What};

pub(super) const LAW: Law = Law {
    name: "waits/named",
    rules: "14",
    statement: "A step that is still awaited at half its bound, rounded up, is named at that instant, and only then.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan names no waits.
    }
    for (component, step) in record.steps() {
        let half = step.t.saturating_add(step.bound.div_ceil(2));
        let end = step.end.map_or(record.last_instant(), |end| end.t);
        // The wait is over with the abort; what follows is the confirmation. (An adopted task has no other wait.) So
        // a bound of 1 ms, half of which is 1 ms too, need not be named.
        let adopted = component
            .registered
            .is_some_and(|(_, registered)| registered.adopted);
        let over = match component.aborts.first() {
            Some(abort) if !adopted => end.min(record.time_of(*abort)),
            _ => end,
        };
        // At half the bound both are right if the wait was cut in that instant: by a signal, by the end of the run,
        // or by the abort of a neighbour that the code waited for.
        let signal = || {
            record
                .signals
                .iter()
                .any(|(at, _)| record.time_of(*at) == half)
        };
        let abort = || {
            let mut aborts = record
                .components
                .iter()
                .flat_map(|component| &component.aborts);
            aborts.any(|at| record.time_of(*at) == half)
        };
        let cut_then = end == half && (step.end.is_none() || signal() || abort());
        match component.waiting.map(|at| (at, &record.events[at])) {
            None if over > half => breaks.at(
                step.at,
                format!(
                    "\"{}\" was awaited from {} to {}, but never named",
                    component.name_or_unknown(),
                    At(step.t),
                    At(end)
                ),
            ),
            Some((at, event)) => {
                let says = matches!(event.what, What::StillWaiting { waited, bound, .. } if waited == half - step.t && bound == step.bound);
                if event.t != half || !says || !(end > half || cut_then) {
                    breaks.at(at, format!("\"{}\" was named at {}: half of its bound was over at {}, and it ended at {}", component.name_or_unknown(), At(event.t), At(half), At(end)));
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, adopted_task, day, stubborn_writer};

    #[test]
    fn wait_that_is_not_named_breaks() {
        day().without("still-waiting writer").breaks_only(LAW.name);
    }

    #[test]
    fn wait_named_too_late_breaks() {
        day()
            .with_keys("still-waiting writer", r#""t":21001"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn adopted_task_is_named_at_half_its_bound() {
        // It is told by its abort. The executor is held, and so it is waited for until 21.2 s.
        let waited = |named: &str| -> ByHand {
            let old = adopted_task()
                .moved_after("step-ended old hand", "still-waiting writer")
                .moved_after("ended old hand", "still-waiting writer")
                .with_keys("ended old hand", r#""t":21200"#)
                .with_keys("step-ended old hand", r#""t":21200,"took":1200"#)
                .with_row(12, r#"[12,"ok",2000,"cancel-timeout",20000,1200]"#)
                .before(
                    "began crash",
                    r#"{"t":0,"event":"held","id":1,"name":"flusher"}"#,
                );
            if named.is_empty() {
                old
            } else {
                old.before("still-waiting writer", named)
            }
        };
        waited(r#"{"t":21000,"event":"still-waiting","name":"old hand","waited":1000,"bound":2000,"id":12}"#)
            .breaks_nothing();
        waited("").breaks_only(LAW.name);
    }

    #[test]
    fn wait_named_with_other_figures_breaks() {
        day()
            .with_keys("still-waiting writer", r#""waited":999"#)
            .breaks_only(LAW.name);
        day()
            .with_keys("still-waiting writer", r#""bound":2001"#)
            .breaks_only(LAW.name);
    }

    /// Changes the journal so that `writer` ends at 21 s, half of its bound.
    fn ended_at_half(journal: ByHand) -> ByHand {
        journal
            .with_keys("ended writer", r#""t":21000"#)
            .with_keys("step-ended writer", r#""t":21000,"took":1000"#)
            .shifted("step-started drain", -500)
            .with_row(2, r#"[2,"ok",2000,"cancel-timeout",20000,1000]"#)
            .with_row(3, r#"[3,"ok",10000,"timeout",21000,0]"#)
            .with_row(10, r#"[10,"ok",10000,"timeout",21000,0]"#)
            .with_row(4, r#"[4,"ok",10000,"timeout",21000,0]"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",21000,10000]"#)
            .with_row(6, r#"[6,"ok",10000,"timeout",31000,200]"#)
            .with_row(11, r#"[11,"ok",10000,"timeout",31200,0]"#)
    }

    #[test]
    fn step_that_ends_at_half_is_not_named() {
        ended_at_half(day())
            .without("still-waiting writer")
            .breaks_nothing();
        ended_at_half(day()).breaks_only(LAW.name);
        // Its abort in another instant did not let it end.
        ended_at_half(adopted_task()).breaks_only(LAW.name);
    }

    #[test]
    fn step_that_an_abort_at_half_lets_end_may_be_named() {
        // The task `second` is aborted at its bound, 21 s, in the instant in which `writer` ends.
        let abort = r#"{"t":21000,"event":"abort","name":"second","id":13}"#;
        let second = |journal: ByHand| {
            journal
                .after("registered cache", r#"{"t":0,"event":"registered","id":13,"kind":"task","name":"second","order":0,"timeout":1000,"floor":null,"uses":[],"told":"at-once","async":true,"adopted":false}"#)
                .after("began crash", r#"{"t":0,"event":"began","id":13,"name":"second","nth":1}"#)
                .after("told dog", r#"{"t":20000,"event":"told","name":"second","id":13}"#)
                .after("step-started dog", r#"{"t":20000,"event":"step-started","phase":"stop","name":"second","order":0,"bound":1000,"bound_by":"cancel-timeout","id":13,"kind":"task","group":1}"#)
                .after("heard writer", r#"{"t":20000,"event":"heard","id":13,"name":"second"}"#)
                .after("step-ended dog", r#"{"t":20500,"event":"still-waiting","name":"second","waited":500,"bound":1000,"id":13}"#)
                .after("still-waiting writer", abort)
                .after("abort second", r#"{"t":21000,"event":"ended","id":13,"name":"second","nth":1,"how":"dropped","error":null}"#)
                .after("ended second", r#"{"t":21000,"event":"step-ended","phase":"stop","name":"second","order":0,"outcome":"aborted","took":1000,"id":13,"error":null}"#)
                .row_after(7, r#"[13,"aborted",1000,"cancel-timeout",20000,1000]"#)
        };
        ended_at_half(second(day())).breaks_nothing();
        ended_at_half(second(day()))
            .without("still-waiting writer")
            .breaks_nothing();
    }

    #[test]
    fn step_that_a_signal_cuts_at_half_may_be_named() {
        // `drain` began at 21.5 s, and half of its bound is over at 26.5 s.
        let cut = |named: &str| {
            let day = day().cut_after("began drain");
            let day = if named.is_empty() {
                day
            } else {
                day.append(named)
            };
            day.append(r#"{"t":26500,"event":"signal","name":"SIGTERM","nth":2}"#)
                .append(r#"{"t":26500,"event":"step-ended","phase":"stop","name":"drain","order":10,"outcome":"not-awaited","took":5000,"id":3,"error":null}"#)
                .killed_at(26_500)
        };
        cut("").breaks_nothing();
        cut(r#"{"t":26500,"event":"still-waiting","name":"drain","waited":5000,"bound":10000,"id":3}"#)
            .breaks_nothing();
    }

    #[test]
    fn step_that_is_open_at_half_in_the_last_instant_may_be_named() {
        day()
            .cut_after("still-waiting writer")
            .killed_at(21_000)
            .breaks_nothing();
        day()
            .cut_after("still-waiting writer")
            .without("still-waiting writer")
            .killed_at(21_000)
            .breaks_nothing();
    }

    #[test]
    fn task_with_a_bound_of_one_millisecond_need_not_be_named() {
        // It is aborted at its bound, which is also half of it rounded up; the executor is held for 50 ms more.
        stubborn_writer()
            .with_keys("registered writer", r#""timeout":1"#)
            .with_keys("step-started writer", r#""bound":1"#)
            .cut_after("step-ended dog")
            .append(r#"{"t":20000,"event":"held","id":1,"name":"flusher"}"#)
            .append(r#"{"t":20001,"event":"abort","name":"writer","id":2}"#)
            .append(r#"{"t":20051,"event":"ended","id":2,"name":"writer","nth":1,"how":"dropped","error":null}"#)
            .append(r#"{"t":20051,"event":"step-ended","phase":"stop","name":"writer","order":0,"outcome":"aborted","took":51,"id":2,"error":null}"#)
            .killed_at(20_051)
            .breaks_nothing();
    }
}
