//! In an own worker nothing goes wrong by itself: each hang, failure or panic, also of main, has a fault or a second
//! signal before it, and no code keeps its thread for ever.

use super::record::{Component, EventIndex, Record};
use super::{Breaks, Law};
use crate::journal::{At, FaultVerb, How, Id, MAIN, Ms, Outcome, StuckWhy, What};

pub(super) const LAW: Law = Law {
    name: "ends/explained",
    rules: "3, 5, 15",
    statement: "In a worker of your own, nothing goes wrong by itself: every hang, failure or panic, also of main, has a fault or a second signal before it, and no code keeps its thread for ever.",
    judge,
};

/// Holds the user's code to the contract, as the other laws hold the context to it. If a body does not stop, the
/// context leaves it behind at its bound and reports it, which is right by every other law.
fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if !record.is_own_worker {
        return; // Scripted code ends badly because its file says so.
    }
    check_threads_are_freed(record, breaks);
    // A component that waits for a struck one does not end well either, and only the code knows which ones do. A
    // fault of the health endpoint concerns the watchdog only.
    let struck = record.events.iter().position(
        |event| matches!(event.what, What::Fault { fault, .. } if fault != FaultVerb::Health),
    );
    let second = record.second_signal().map(|(at, _)| at);
    let explained = [struck, second].into_iter().flatten().min();
    let mut bad: Vec<(EventIndex, String)> = Vec::new();
    for (id, component) in (MAIN..).zip(&record.components) {
        let Some((at, message)) = bad_end(record, component) else {
            continue;
        };
        if explained.is_none_or(|explained| explained > at)
            && !may_end_so(record, id, component, at)
        {
            bad.push((at, message));
        }
    }
    bad.sort_unstable();
    for (at, message) in bad {
        breaks.at(
            at,
            format!("{message}, without a fault or a second signal before it"),
        );
    }
}

fn check_threads_are_freed(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let stuck = record
        .stuck
        .and_then(|at| Some((at, record.events.get(at)?)));
    let Some((at, event)) = stuck else { return };
    let What::Stuck { why, name } = &event.what else {
        return;
    };
    let does = match why {
        StuckWhy::Blocked => "waits outside its scope",
        StuckWhy::Spinning => "runs without an end",
        StuckWhy::Overtime => "does not end in real time",
        StuckWhy::Horizon | StuckWhy::TooLarge => return,
    };
    let t = At(event.t);
    breaks.at(at, format!("\"{name}\" {does} from {t} on"));
}

/// Returns how the component ended if not well: by its step or, without one, by the fact. Returns `None` if it ended
/// well, or not at all.
fn bad_end(record: &Record<'_>, component: &Component<'_>) -> Option<(EventIndex, String)> {
    let name = component.name_or_unknown();
    let step = component.step.and_then(|step| Some((step, step.end?)));
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
                // Only main is not registered.
                let of = if component.registered.is_none() {
                    " of `start-timeout`"
                } else {
                    ""
                };
                let message = format!(
                    "\"{name}\" was {outcome} at {at}, after {took} of its bound of {bound}{of}"
                );
                Some((end.at, message))
            }
        };
    }
    let end = component.end?;
    let words = words(record, end.at);
    let bad = match end.how {
        How::Ok => false,
        How::Failed | How::Panicked => true,
        // Without a step it was dropped before stop. A task that was aborted in its step has its outcome there.
        How::Dropped => component.step.is_none(),
    };
    bad.then(|| {
        let message = format!("\"{name}\" {} at {}{words}", end.how, At(end.t));
        (end.at, message)
    })
}

/// Returns the words of the failure or panic, in parentheses.
fn words(record: &Record<'_>, at: EventIndex) -> String {
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

/// Returns whether a component may end so. A main that is asked to stop while it runs may fail, since its
/// registrations may be refused. An adopted task has no token: the abort is how it is told.
fn may_end_so(record: &Record<'_>, id: Id, component: &Component<'_>, at: EventIndex) -> bool {
    let asked = id == MAIN
        && record.first_request().is_some_and(|asked| asked < at)
        && component.end.is_some_and(|end| end.how != How::Dropped)
        && component.leak.is_none();
    let adopted = component.registered.is_some_and(|(_, it)| it.adopted);
    asked || adopted && !component.aborts.is_empty()
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, adopted_task, day, failed_start, rolled_back};

    /// Returns the healthy day of an own worker. A fault explains the thread that failed, and the cleanup that hung.
    fn own_worker_day() -> ByHand {
        day()
            .with_keys("journal", r#""subject":"own-worker""#)
            .before(
                "ended crash",
                r#"{"t":5000,"event":"fault","fault":"fail","name":"crash","id":9}"#,
            )
    }

    #[test]
    fn fault_explains_everything_after_it() {
        own_worker_day().breaks_nothing();
    }

    #[test]
    fn failure_and_overrun_without_a_fault_break() {
        own_worker_day()
            .without("fault crash")
            .breaks_only(LAW.name);
    }

    #[test]
    fn fault_that_comes_too_late_explains_nothing() {
        own_worker_day()
            .moved_after("fault crash", "step-ended flush")
            .breaks_only(LAW.name);
    }

    #[test]
    fn health_fault_explains_nothing() {
        own_worker_day()
            .with_keys("fault crash", r#""fault":"health","answer":"503""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn body_that_keeps_its_thread_breaks() {
        own_worker_day()
            .cut_after("began flush")
            .after(
                "began flush",
                r#"{"t":21500,"event":"stuck","why":"blocked","name":"flush"}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn run_that_reaches_the_horizon_blocks_no_thread() {
        own_worker_day()
            .cut_after("began flush")
            .after(
                "began flush",
                r#"{"t":21500,"event":"stuck","why":"horizon","name":"flush"}"#,
            )
            .breaks_nothing();
    }

    const OWN: &str = r#""subject":"own-worker""#;

    #[test]
    fn cleanup_that_overruns_without_a_fault_breaks() {
        day()
            .with_keys("journal", OWN)
            .with_keys("ended crash", r#""how":"ok","error":null"#)
            .with_keys("returned run", r#""deaths":[]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn message_quotes_the_error_of_an_end_or_a_step() {
        let end = own_worker_day().without("fault crash").messages(LAW.name);
        assert!(
            end[0].starts_with(r#""crash" failed at 5.000 (broken pipe), without a fault"#),
            "{end:?}"
        );
        let step = own_worker_day()
            .without("fault crash")
            .with_keys("ended db", r#""how":"failed","error":"reset""#)
            .with_keys("step-ended db", r#""outcome":"failed","error":"reset""#)
            .messages(LAW.name);
        assert!(
            step[2].starts_with(r#""db" failed at 31.700 (reset), without a fault"#),
            "{step:?}"
        );
        let silent = own_worker_day()
            .without("fault crash")
            .with_keys("ended crash", r#""error":null"#);
        let silent = silent.messages(LAW.name);
        assert!(
            silent[0].starts_with(r#""crash" failed at 5.000, without a fault"#),
            "{silent:?}"
        );
    }

    #[test]
    fn main_given_up_after_a_request_breaks() {
        rolled_back()
            .with_keys("journal", OWN)
            .breaks_only(LAW.name);
    }

    #[test]
    fn main_that_fails_after_a_request_passes() {
        let failed = rolled_back()
            .with_keys("journal", OWN)
            .without("abort main")
            .with_keys("ended main", r#""how":"failed","error":"refused""#)
            .with_keys("step-ended main", r#""outcome":"failed","error":"refused""#);
        assert_eq!(failed.messages(LAW.name), [""; 0]);
    }

    #[test]
    fn main_that_fails_unasked_breaks() {
        failed_start()
            .with_keys("journal", OWN)
            .breaks_only(LAW.name);
    }

    /// Returns a day on which the adopted task goes on for longer than the confirmation of its abort.
    fn stubborn() -> ByHand {
        adopted_task()
            .with_keys("journal", OWN)
            .with_keys("ended crash", r#""how":"ok","error":null"#)
            .with_keys("returned run", r#""deaths":[]"#)
            .without("ended old hand")
            .without("step-ended old hand")
            .before("phase-ended stop", r#"{"t":22000,"event":"leak","id":12,"name":"old hand","kind":"task"}"#)
            .before("phase-ended stop", r#"{"t":22000,"event":"step-ended","phase":"stop","name":"old hand","order":0,"outcome":"leaked","took":2000,"id":12,"error":null}"#)
    }

    #[test]
    fn adopted_task_left_behind_after_its_abort_passes() {
        let says = stubborn().messages(LAW.name);
        assert_eq!(says.len(), 1, "{says:?}");
        assert!(says[0].starts_with(r#""flush" was leaked"#), "{says:?}");
    }

    #[test]
    fn adopted_task_left_behind_without_an_abort_breaks() {
        let says = stubborn().without("abort old hand").messages(LAW.name);
        assert_eq!(says.len(), 2, "{says:?}");
        assert!(says[0].starts_with(r#""old hand" was leaked"#), "{says:?}");
    }
}
