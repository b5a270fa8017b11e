//! Of a worker of one's own, whatever does not end well has a fault or a second signal before it, and nothing keeps its thread for good.

use super::record::{Index, Part, Record};
use super::{Breaks, Law};
use crate::journal::{At, FaultVerb, How, Id, MAIN, Ms, Outcome, StuckWhy, What};

pub(super) const LAW: Law = Law {
    name: "ends/explained",
    rules: "3, 5, 15",
    statement: "Of a worker of one's own, whatever does not end well has a fault or a second signal before it, and nothing keeps its thread for good.",
    judge,
};

/// The other laws hold the context to the contract. This one holds the user's code to it: where a body does not
/// stop, the context leaves it behind at its bound and says so, as it should, and is right by every other law.
fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if !record.own {
        return; // What is scripted does not end well because its file says so.
    }
    keeps_its_thread(record, breaks);
    // Whatever waits for what was struck does not end well either, and only the code knows what that is. The
    // health endpoint is the watchdog's alone.
    let struck = record.events.iter().position(
        |event| matches!(event.what, What::Fault { fault, .. } if fault != FaultVerb::Health),
    );
    let second = record.second_signal().map(|(at, _)| at);
    let explained = [struck, second].into_iter().flatten().min();
    let mut bad: Vec<(Index, String)> = Vec::new();
    for (id, part) in (MAIN..).zip(&record.parts) {
        let Some((at, said)) = not_well(record, part) else {
            continue;
        };
        if explained.is_none_or(|explained| explained > at) && !by_right(record, id, part, at) {
            bad.push((at, said));
        }
    }
    bad.sort_unstable();
    for (at, said) in bad {
        breaks.at(
            at,
            format!("{said}, and no fault and no second signal came before that"),
        );
    }
}

fn keeps_its_thread(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let stuck = record
        .stuck
        .and_then(|at| Some((at, record.events.get(at)?)));
    let Some((at, event)) = stuck else { return };
    let What::Stuck { why, name } = &event.what else {
        return;
    };
    let does = match why {
        StuckWhy::Blocked => "waits past its scope",
        StuckWhy::Spinning => "goes on without an end",
        StuckWhy::Horizon | StuckWhy::TooLarge => return,
    };
    let t = At(event.t);
    breaks.at(at, format!("\"{name}\" {does} from {t} on"));
}

/// How it ended, by its step or, without one, by the fact; `None` if well, or not at all.
fn not_well(record: &Record<'_>, part: &Part<'_>) -> Option<(Index, String)> {
    let name = part.named();
    let step = part.step.and_then(|step| Some((step, step.end?)));
    if let Some((step, end)) = step {
        let (outcome, at) = (end.outcome, At(end.t));
        return match outcome {
            Outcome::Ok => None,
            Outcome::Failed | Outcome::Panicked => {
                let words = words(record, end.at);
                Some((end.at, format!("\"{name}\" {outcome} at {at}{words}")))
            }
            Outcome::TimedOut | Outcome::Aborted | Outcome::Leaked | Outcome::NotAwaited => {
                let (took, bound) = (Ms(end.took), Ms(step.bound));
                let said = format!("\"{name}\" was {outcome} at {at}, after {took} of its {bound}");
                Some((end.at, said))
            }
        };
    }
    let end = part.end?;
    let words = words(record, end.at);
    matches!(end.how, How::Failed | How::Panicked).then(|| {
        let said = format!("\"{name}\" {} at {}{words}", end.how, At(end.t));
        (end.at, said)
    })
}

/// Of what it failed or panicked.
fn words(record: &Record<'_>, at: Index) -> String {
    match record.events.get(at).map(|event| &event.what) {
        Some(
            What::StepEnded {
                error: Some(error), ..
            }
            | What::Ended {
                error: Some(error), ..
            },
        ) => format!(" ({error})"),
        _ => String::new(),
    }
}

/// Main that is asked to stop while it runs may be refused what it registers, and is given up at its bound;
/// and what ran before it was registered has no token: an abort is how it is told.
fn by_right(record: &Record<'_>, id: Id, part: &Part<'_>, at: Index) -> bool {
    let asked = id == MAIN && record.asked().is_some_and(|asked| asked < at);
    let adopted = part.registered.is_some_and(|(_, it)| it.adopted);
    asked || adopted && !part.aborts.is_empty()
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day};

    /// The healthy day of a worker of one's own: a fault explains the thread that failed, and the cleanup that hung.
    fn own() -> ByHand {
        day().with("journal", r#""subject":"own-worker""#).before(
            "ended crash",
            r#"{"t":5000,"event":"fault","fault":"fail","name":"crash","id":9}"#,
        )
    }

    #[test]
    fn what_is_struck_explains_all_that_follows() {
        own().breaks_nothing();
    }

    #[test]
    fn a_thread_that_fails_and_a_cleanup_that_overruns_without_a_fault() {
        own().without("fault crash").breaks_only(LAW.name);
    }

    #[test]
    fn a_fault_that_comes_too_late() {
        own()
            .moved_behind("fault crash", "step-ended flush")
            .breaks_only(LAW.name);
    }

    #[test]
    fn an_answer_of_the_health_endpoint_explains_nothing() {
        own()
            .with("fault crash", r#""fault":"health","answer":"503""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_body_that_keeps_its_thread() {
        own()
            .cut_behind("began flush")
            .after(
                "began flush",
                r#"{"t":21500,"event":"stuck","why":"blocked","name":"flush"}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_run_without_an_end_is_nobodys_blocked_thread() {
        own()
            .cut_behind("began flush")
            .after(
                "began flush",
                r#"{"t":21500,"event":"stuck","why":"horizon","name":"flush"}"#,
            )
            .breaks_nothing();
    }
}
