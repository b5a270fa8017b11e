//! No step is given up before its bound (and the confirmation of its abort), except when stop's share is gone or a
//! second signal comes.

use super::limits::confirmation;
use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{Ms, Outcome};

pub(super) const LAW: Law = Law {
    name: "steps/patient",
    rules: "3, 4, 11",
    statement: "No step is given up before its bound, or before the time for confirming its abort is over, except when stop's share is spent or a second signal comes.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan does not claim how a step ended.
    }
    let second = record.second_signal().map(|(at, _)| record.time_of(at));
    for (component, step) in record.steps() {
        let Some(end) = step.end else { continue };
        if matches!(
            end.outcome,
            Outcome::Ok | Outcome::Failed | Outcome::Panicked
        ) {
            continue;
        }
        let waited = end.t.saturating_sub(step.t);
        let after_second_signal = second.is_some_and(|second| end.t >= second);
        // An abort gets its confirmation before its step is called leaked.
        if let (Outcome::Leaked, Some((began, confirm))) =
            (end.outcome, confirmation(record, step.id))
            && end.t < began.saturating_add(confirm)
        {
            breaks.at(
                end.at,
                format!(
                    "\"{}\" was left behind {} after its abort: there are {} to confirm it",
                    component.name_or_unknown(),
                    Ms(end.t.saturating_sub(began)),
                    Ms(confirm)
                ),
            );
        }
        // After a second signal, `cleanup/floor` judges how long cleanup waits for a step.
        let patient = after_second_signal || waited >= step.bound;
        if !patient {
            breaks.at(
                end.at,
                format!(
                    "\"{}\" was given up ({}) after {}: its bound is {}",
                    component.name_or_unknown(),
                    end.outcome,
                    Ms(waited),
                    Ms(step.bound)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn step_given_up_too_early_breaks() {
        day()
            .with_keys("registered flush", r#""timeout":10100"#)
            .with_keys("step-started flush", r#""bound":10100"#)
            .with_keys(
                "still-waiting flush",
                r#""t":26550,"waited":5050,"bound":10100"#,
            )
            .with_row(5, r#"[5,"leaked",10100,"timeout",21500,10000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn leak_before_its_abort_could_be_confirmed_breaks() {
        // `db` is aborted at 41.5 s while the executor is held, and 100 ms are left to confirm it.
        let leaked = |after: u64| {
            let (t, took) = (41_500 + after, 10_000 + after);
            day()
                .cut_after("began db")
                .append(r#"{"t":36500,"event":"still-waiting","name":"db","waited":5000,"bound":10000,"id":6}"#)
                .append(r#"{"t":41400,"event":"held","id":5,"name":"flush"}"#)
                .append(r#"{"t":41500,"event":"abort","name":"db","id":6}"#)
                .append(&format!(r#"{{"t":{t},"event":"leak","id":6,"name":"db","kind":"closeable"}}"#))
                .append(&format!(r#"{{"t":{t},"event":"step-ended","phase":"cleanup","name":"db","order":0,"outcome":"leaked","took":{took},"id":6,"error":null}}"#))
                .killed_at(t)
        };
        leaked(100).breaks_nothing();
        leaked(99).breaks_only(LAW.name);
    }
}
