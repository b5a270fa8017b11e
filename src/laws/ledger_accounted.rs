//! At the end every component has ended, or is named: as left behind by the context, or as lost with a process that was cut short.

use super::record::{Record, is_call, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, Call, Cause, How, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "ledger/accounted",
    rules: "6, 15",
    statement: "At the end every component has ended, or is named: as left behind by the context, or as lost with a process that was cut short.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.stuck.is_some() && !record.plan {
        return; // The run was given up in the middle: there is no end to account for.
    }
    let last = record.events.len().saturating_sub(1);
    // Nobody asked for a stop, or the process was cut short: then what is left is lost, and said to be.
    let may_lose = record.cut() || record.asked().is_none() && !main_failed(record);
    for (_, part, _, registered) in record.registered() {
        let may_lose = may_lose || !ends_it(record, phase_of(registered.kind));
        let name = &registered.name;
        let outcome = part.step.and_then(|step| step.end).map(|end| end.outcome);
        let named =
            matches!(outcome, Some(Outcome::Leaked | Outcome::NotAwaited)) || part.leak.is_some();
        match (part.end, part.lost) {
            (Some(end), Some(lost)) if end.at < lost => breaks.at(
                lost,
                format!("\"{name}\" ended at {} and is called lost", At(end.t)),
            ),
            (Some(_), _) => {}
            (None, Some(lost)) if named && part.leak.is_some() => {
                breaks.at(lost, format!("\"{name}\" is called both leaked and lost"))
            }
            (None, None) if !named => {
                breaks.at(last, format!("nothing says what became of \"{name}\""))
            }
            (None, Some(lost)) if !may_lose && !named => {
                let what = if is_call(registered.kind) && part.began.is_none() {
                    "was never called"
                } else {
                    "still ran when the process ended"
                };
                breaks.at(
                    lost,
                    format!("\"{name}\" {what}, and the context did not say so"),
                );
            }
            (None, _) => {}
        }
    }
}

/// Whether the program asked for a phase and had to wait for it. One that handles no signals may return
/// without: a bare request, or a call from inside, waits for nothing.
fn ends_it(record: &Record<'_>, phase: Phase) -> bool {
    !matches!(record.exit, Some((_, _, Cause::Returned)))
        || record.callers.iter().any(|caller| match caller.call {
            Call::Run => true,
            Call::Cleanup => !caller.inside,
            Call::Stop => !caller.inside && phase == Phase::Stop,
            // One that fails returns with nothing open.
            Call::Start => caller
                .returned
                .is_some_and(|(_, result, ..)| caller.has_report(result)),
            Call::RequestStop => false,
        })
}

fn main_failed(record: &Record<'_>) -> bool {
    record
        .parts
        .first()
        .and_then(|part| part.end)
        .is_some_and(|end| end.how != How::Ok)
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn one_that_is_leaked_and_lost() {
        day()
            .before(
                "exit",
                r#"{"t":31700,"event":"lost","id":5,"name":"flush","what":"running"}"#,
            )
            .breaks_only(LAW.name);
    }
}
