//! Nothing is closed while somebody who uses it still runs, but for those who were left behind; where orders say otherwise, start warns.

use super::record::{Index, Part, Record, is_call, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, How, Id, Outcome, Phase, Registered, State, Ties, What};

pub(super) const LAW: Law = Law {
    name: "uses/closed-after-users",
    rules: "2",
    statement: "Nothing is closed while somebody who uses it still runs, but for those who were left behind; where orders say otherwise, start warns.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if !record.plan {
        warned(record, breaks);
    }
    let any = record
        .registered()
        .any(|(_, _, _, registered)| !registered.uses.is_empty());
    if !any {
        return;
    }
    for (user_id, user, user_at, registered) in record.registered() {
        for used in &registered.uses {
            let resource = record.registered().find(|(id, _, _, resource)| {
                *id != user_id
                    && resource.name == *used
                    && phase_of(resource.kind) == Phase::Cleanup
            });
            let Some((_, resource, _, _)) = resource else {
                continue;
            };
            let Some(closed) = resource.began.filter(|closed| *closed > user_at) else {
                continue;
            };
            if let Some(why) = still_uses(record, user_id, user, closed) {
                breaks.at(
                    closed,
                    format!(
                        "\"{used}\" was closed at {} while \"{}\", which uses it, {why}",
                        At(record.t(closed)),
                        registered.name
                    ),
                );
            }
        }
    }
    for (at, event) in record.events.iter().enumerate() {
        if let What::Used {
            id,
            of,
            alive: false,
        } = event.what
            && !record.part(id).is_some_and(|part| left_behind(part, at))
        {
            breaks.at(
                at,
                format!(
                    "\"{}\" touched \"{}\" at {}, after its end",
                    record.name(id),
                    record.name(of),
                    At(event.t)
                ),
            );
        }
    }
}

/// At the end of a start that went well, what would be closed before its user is warned of, and nothing else.
fn warned(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let Some(running) = record.entered(State::Running) else {
        return;
    };
    let last_first = record
        .limits
        .is_some_and(|limits| limits.ties == Ties::Last);
    let place = |one: &Registered| {
        let id = i64::from(one.id);
        (-i64::from(one.order), if last_first { -id } else { id })
    };
    let closing: Vec<&Registered> = record
        .registered()
        .filter(|(_, _, at, one)| *at < running && phase_of(one.kind) == Phase::Cleanup)
        .map(|(_, _, _, one)| one)
        .collect();
    let mut due: Vec<(Id, Id)> = Vec::new();
    for user in closing.iter().filter(|user| !user.uses.is_empty()) {
        let used = closing.iter().filter(|used| user.uses.contains(&used.name));
        let early = used.filter(|used| place(used) < place(user));
        due.extend(early.map(|used| (used.id, user.id)));
    }
    for (at, event) in record.events[..running].iter().enumerate() {
        if let What::ClosesBeforeUser { id, user_id, .. } = event.what {
            let before = due.len();
            due.retain(|pair| *pair != (id, user_id));
            if due.len() == before {
                let (used, user) = (record.name(id), record.name(user_id));
                breaks.at(
                    at,
                    format!("\"{used}\" is said to be closed before \"{user}\", and is not"),
                );
            }
        }
    }
    for (id, user) in due {
        let (used, user) = (record.name(id), record.name(user));
        breaks.at(
            running,
            format!("\"{used}\" will be closed before \"{user}\", and start did not warn of it"),
        );
    }
}

/// Whether its step had ended by then, and had not waited for its end.
fn left_behind(part: &Part<'_>, at: Index) -> bool {
    let end = part.step.and_then(|step| step.end);
    end.is_some_and(|end| {
        end.at < at && matches!(end.outcome, Outcome::Leaked | Outcome::NotAwaited)
    })
}

fn still_uses(record: &Record<'_>, id: Id, user: &Part<'_>, at: Index) -> Option<&'static str> {
    if left_behind(user, at) {
        return None;
    }
    match user.end.filter(|end| end.at < at) {
        None if user.began.is_some_and(|began| began < at) => return Some("still ran"),
        None if user
            .registered
            .is_some_and(|(_, registered)| is_call(registered.kind)) =>
        {
            return Some("had not been called yet");
        }
        None => return None, // It never began to run: it cannot use anything.
        Some(end) if end.how == How::Dropped => return None, // Its jobs went with it.
        Some(_) => {}
    }
    let mut open: u32 = 0;
    for event in &record.events[..at] {
        match event.what {
            What::JobBegan { id: of, .. } if of == id => open += 1,
            What::JobEnded { id: of, .. } if of == id => open = open.saturating_sub(1),
            _ => {}
        }
    }
    (open > 0).then_some("had jobs in flight")
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_resource_that_is_touched_after_its_end() {
        day()
            .after(
                "step-ended predictor",
                r#"{"t":21500,"event":"used","id":3,"of":4,"alive":false}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn an_order_that_start_does_not_warn_of() {
        day()
            .with("registered cache", r#""uses":["flush"]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_warning_without_a_cause() {
        day()
            .before("state running", r#"{"t":0,"event":"closes-before-user","name":"db","order":0,"id":6,"user":"flush","user_order":50,"user_id":5}"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_job_in_flight() {
        day()
            .before(
                "signal SIGTERM",
                r#"{"t":19000,"event":"job-began","id":2,"job":1}"#,
            )
            .breaks_only(LAW.name);
    }
}
