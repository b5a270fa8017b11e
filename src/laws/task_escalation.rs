//! A task is told, waited for, aborted at most once and at its bound, and then ends; no thread is aborted.

use super::limits::{floor_of, floors};
use super::record::{Part, Record};
use super::{Breaks, Law};
use crate::journal::{At, BoundBy, How, Id, Kind, MAIN, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "task/escalation",
    rules: "6",
    statement: "A task is told, waited for, aborted at most once and at its bound, and then ends; no thread is aborted.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.plan {
        return; // Its cancel is all it knows.
    }
    let floors = floors(record);
    for (id, part) in (0..).zip(&record.parts) {
        let registered = part.registered.map(|(_, registered)| registered);
        // A user's own main may block: it runs on a thread then, and only its abort would tell.
        let awaits = !record.own || !part.aborts.is_empty();
        let task = id == MAIN && awaits
            || registered.is_some_and(|registered| registered.kind == Kind::Task);
        let adopted = registered.is_some_and(|registered| registered.adopted);
        let can_be_aborted = task || registered.is_some_and(|registered| registered.is_async);
        let name = part.named();
        if let Some(&abort) = part.aborts.first() {
            if !can_be_aborted {
                breaks.at(
                    abort,
                    format!(
                        "\"{name}\" was aborted at {}: it runs on a thread",
                        At(record.t(abort))
                    ),
                );
            }
            if let Some(again) = part.aborts.get(1) {
                breaks.at(
                    *again,
                    format!("\"{name}\" was aborted again at {}", At(record.t(*again))),
                );
            }
            if task && !adopted && part.told.is_none_or(|told| told > abort) {
                breaks.at(
                    abort,
                    format!(
                        "\"{name}\" was aborted at {} and had not been told",
                        At(record.t(abort))
                    ),
                );
            }
            if record.t(abort) < due(record, &floors, id, part, adopted) {
                breaks.at(
                    abort,
                    format!(
                        "\"{name}\" was aborted at {}, before its bound",
                        At(record.t(abort))
                    ),
                );
            }
            // What is left to go on is not aborted: the share is gone, or a second signal ended the wait.
            let cut = part.step.is_some_and(|step| {
                matches!(step.bound_by, BoundBy::ShareGone | BoundBy::SecondSignal)
                    && step.phase != Phase::Cleanup
            });
            if cut && !adopted {
                let at = At(record.t(abort));
                breaks.at(
                    abort,
                    format!("\"{name}\" was aborted at {at}: it was not waited for"),
                );
            }
            // Nothing keeps an abort from being done but the executor that its task runs on.
            let t = record.t(abort);
            let over = record.end() == t;
            if !over && !record.held_at(t) && part.end.is_none_or(|end| end.t > t) {
                breaks.at(
                    abort,
                    format!(
                        "\"{name}\" was aborted at {}, and went on though the executor was free",
                        At(t)
                    ),
                );
            }
        } else if can_be_aborted
            && let Some((step, end)) = part.step.and_then(|step| Some((step, step.end?)))
        {
            if end.outcome == Outcome::Leaked {
                let at = At(end.t);
                breaks.at(
                    end.at,
                    format!("\"{name}\" was left behind at {at} and had not been aborted"),
                );
            } else if adopted && part.end.is_none_or(|end| end.at > step.at) {
                let at = At(step.t);
                breaks.at(
                    step.at,
                    format!("\"{name}\" was adopted, and not aborted at {at}, when its step began"),
                );
            }
        }
        if let (true, Some(step), Some(&abort)) = (adopted, part.step, part.aborts.first())
            && record.t(abort) > step.t
        {
            let at = At(record.t(abort));
            breaks.at(
                abort,
                format!("\"{name}\" was adopted, and aborted only at {at}"),
            );
        }
        if let (true, Some(told)) = (adopted, part.told) {
            breaks.at(
                told,
                format!(
                    "\"{name}\" was adopted without a token, and told at {}",
                    At(record.t(told))
                ),
            );
        }
        let dropped = part
            .end
            .filter(|end| end.how == How::Dropped && registered.is_some());
        if let Some(end) =
            dropped.filter(|end| part.aborts.first().is_none_or(|abort| *abort > end.at))
        {
            breaks.at(
                end.at,
                format!(
                    "\"{name}\" was dropped at {} and had not been aborted",
                    At(end.t)
                ),
            );
        }
    }
}

/// When it may be aborted: at its bound, which a second signal shortens in cleanup, or at once where it
/// cannot be told.
fn due(
    record: &Record<'_>,
    floors: &[(Id, u64, u64)],
    id: Id,
    part: &Part<'_>,
    adopted: bool,
) -> u64 {
    let Some(step) = part.step else {
        return u64::MAX;
    };
    let bound = step.t.saturating_add(step.bound);
    match record.second_signal() {
        _ if adopted => step.t,
        Some((second, _)) if step.phase == Phase::Cleanup => {
            let (floor, _) = floor_of(floors, id);
            bound.min(record.t(second).max(step.t.saturating_add(floor)))
        }
        _ => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day};

    /// The db's close hangs; its bound is over at 41.7 s.
    fn hung_db() -> ByHand {
        day()
            .with("ended db", r#""how":"dropped""#)
            .with("step-ended db", r#""took":10000,"outcome":"timed-out""#)
            .row(6, r#"[6,"timed-out",10000,"timeout",31500,10000]"#)
            .row(11, r#"[11,"ok",10000,"phase",41500,0]"#)
            .before("ended db", r#"{"t":31700,"event":"still-waiting","name":"db","waited":5000,"bound":10000,"id":6}"#)
            .shifted("still-waiting db", 4_800)
            .shifted("ended db", 5_000)
            .with("step-started cache", r#""bound":8000,"bound_by":"phase""#)
            .row(11, r#"[11,"ok",8000,"phase",41500,0]"#)
    }

    const ABORT: &str = r#"{"t":41500,"event":"abort","name":"db","id":6}"#;

    #[test]
    fn a_close_that_is_aborted_at_its_bound_is_right() {
        hung_db().before("ended db", ABORT).breaks_nothing();
    }

    #[test]
    fn a_drop_without_an_abort() {
        hung_db().breaks_only(LAW.name);
    }

    #[test]
    fn an_abort_that_does_nothing() {
        hung_db()
            .before("ended db", ABORT)
            .without("ended db")
            .with("step-ended db", r#""outcome":"leaked","took":10100"#)
            .before(
                "step-ended db",
                r#"{"t":41500,"event":"leak","id":6,"name":"db","kind":"closeable"}"#,
            )
            .shifted("leak db", 100)
            .with("step-started cache", r#""bound":7900"#)
            .row(6, r#"[6,"leaked",10000,"timeout",31500,10100]"#)
            .row(11, r#"[11,"ok",7900,"phase",41600,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_close_that_is_left_behind_and_not_aborted() {
        hung_db()
            .without("ended db")
            .with("step-ended db", r#""outcome":"leaked""#)
            .before(
                "step-ended db",
                r#"{"t":41500,"event":"leak","id":6,"name":"db","kind":"closeable"}"#,
            )
            .row(6, r#"[6,"leaked",10000,"timeout",31500,10000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn an_abort_before_the_bound() {
        day()
            .after(
                "still-waiting writer",
                r#"{"t":21200,"event":"abort","name":"writer","id":2}"#,
            )
            .breaks_only(LAW.name);
    }
}
