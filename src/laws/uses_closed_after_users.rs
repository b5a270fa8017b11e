//! Nothing is closed while somebody who uses it still runs, but for those who were left behind.

use super::record::{Index, Part, Record, is_call, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, How, Id, Outcome, Phase, What};

pub(super) const LAW: Law = Law {
    name: "uses/closed-after-users",
    rules: "2",
    statement: "Nothing is closed while somebody who uses it still runs, but for those who were left behind.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
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
    fn a_job_in_flight() {
        day()
            .before(
                "signal SIGTERM",
                r#"{"t":19000,"event":"job-began","id":2,"job":1}"#,
            )
            .breaks_only(LAW.name);
    }
}
