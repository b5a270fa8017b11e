//! A task is told, waited for, aborted at most once and at its bound, and then ends; no thread is aborted.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, How, Kind};

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
    for (id, part) in (0..).zip(&record.parts) {
        let registered = part.registered.map(|(_, registered)| registered);
        let task = id == 0 || registered.is_some_and(|registered| registered.kind == Kind::Task);
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
            let due = part.step.map_or(u64::MAX, |step| {
                if adopted {
                    step.t
                } else {
                    step.t.saturating_add(step.bound)
                }
            });
            if record.t(abort) < due && record.second_signal().is_none() {
                breaks.at(
                    abort,
                    format!(
                        "\"{name}\" was aborted at {}, before its bound",
                        At(record.t(abort))
                    ),
                );
            }
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

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

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
