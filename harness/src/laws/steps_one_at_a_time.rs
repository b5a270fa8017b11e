//! Only one step is open at a time, except for joins and cancels of equal order next to one another, which share a
//! group.

use super::record::{EventIndex, Record, Step, is_call};
use super::{Breaks, Law};
use crate::journal::{At, Id, What};

pub(super) const LAW: Law = Law {
    name: "steps/one-at-a-time",
    rules: "2",
    statement: "Steps run one at a time. Only joins and cancels of equal order that follow each other share a group and run together.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return check_calls_one_at_a_time(record, breaks);
    }
    let mut steps: Vec<Step> = record.steps().map(|(_, step)| step).collect();
    steps.sort_unstable_by_key(|step| step.at);
    let mut before: Option<Step> = None;
    // The latest end among the steps so far, with its step.
    let mut open: Option<(EventIndex, Step)> = None;
    for step in steps {
        let same_group =
            before.is_some_and(|before| (before.phase, before.group) == (step.phase, step.group));
        let join = |step: Step| !is_call(step.kind);
        if same_group {
            let before = before.unwrap_or(step);
            if !(join(before) && join(step) && before.order == step.order && before.t == step.t) {
                breaks.at(
                    step.at,
                    format!(
                        "\"{}\" shares a group with \"{}\" at {}: only joins of equal order may",
                        record.name(step.id),
                        record.name(before.id),
                        At(step.t)
                    ),
                );
            }
        } else {
            if let Some((end, other)) = open.filter(|(end, _)| *end > step.at) {
                let until = if end == EventIndex::MAX {
                    "to the end".to_owned()
                } else {
                    format!("to {}", At(record.time_of(end)))
                };
                breaks.at(
                    step.at,
                    format!(
                        "\"{}\" began at {} while \"{}\" was open ({until})",
                        record.name(step.id),
                        At(step.t),
                        record.name(other.id)
                    ),
                );
            }
            let before = before.filter(|before| before.phase == step.phase);
            if let Some(before) =
                before.filter(|before| join(*before) && join(step) && before.order == step.order)
            {
                breaks.at(step.at, format!("\"{}\" and \"{}\" are joins of equal order next to each other, but did not share a group", record.name(before.id), record.name(step.id)));
            }
            if before.is_some_and(|before| before.group > step.group) {
                breaks.at(
                    step.at,
                    format!(
                        "group {} of \"{}\" came after group {}",
                        step.group,
                        record.name(step.id),
                        before.map_or(0, |before| before.group)
                    ),
                );
            }
        }
        let end = step.end.map_or(EventIndex::MAX, |end| end.at);
        if open.is_none_or(|(last, _)| last < end) {
            open = Some((end, step));
        }
        before = Some(step);
    }
}

/// Checks, by the facts alone, that called code has returned before the next call.
fn check_calls_one_at_a_time(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let mut open: Vec<(Id, u32)> = Vec::new();
    let called = |id: Id| {
        record
            .component(id)
            .and_then(|component| component.registered)
            .is_some_and(|(_, registered)| is_call(registered.kind))
    };
    for (at, event) in record.events.iter().enumerate() {
        match &event.what {
            What::Began { id, nth, name } if called(*id) => {
                if let Some((other, _)) = open.last() {
                    breaks.at(
                        at,
                        format!(
                            "\"{name}\" was called at {} while the call of \"{}\" still ran",
                            At(event.t),
                            record.name(*other)
                        ),
                    );
                }
                open.push((*id, *nth));
            }
            What::Ended { id, nth, .. } => open.retain(|one| *one != (*id, *nth)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, plan_day};

    #[test]
    fn two_callbacks_in_one_group_break() {
        day()
            .with_keys("step-started bye", r#""group":2"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn callback_called_while_another_is_open_breaks() {
        day()
            .moved_after("step-ended drain", "step-started bye")
            .breaks_only(LAW.name);
    }

    #[test]
    fn call_that_shares_the_group_of_joins_breaks() {
        day()
            .with_keys("registered drain", r#""order":0"#)
            .with_keys("step-started drain", r#""order":0,"group":1"#)
            .with_keys("step-ended drain", r#""order":0"#)
            .moved_after("step-started drain", "step-started writer")
            .moved_after("step-ended drain", "step-ended dog")
            .moved_after("ended drain", "step-ended dog")
            .moved_after("began drain", "step-ended dog")
            .with_row(3, r#"[3,"ok",10000,"timeout",20000,0]"#)
            .rows_swapped(2, 3)
            .breaks_only(LAW.name);
    }

    #[test]
    fn group_number_that_descends_breaks() {
        day()
            .with_keys("step-started db", r#""group":1"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn message_names_the_first_step_that_stays_open() {
        let open = day()
            .without("step-ended flusher")
            .without("step-ended dog")
            .messages(LAW.name);
        assert_eq!(
            open[0],
            r#""drain" began at 21.500 while "flusher" was open (to the end)"#
        );
        let until = day()
            .moved_after("step-ended drain", "step-started bye")
            .messages(LAW.name);
        assert_eq!(
            until,
            [r#""bye" began at 21.500 while "drain" was open (to 21.500)"#]
        );
    }

    #[test]
    fn call_of_the_plan_within_another_breaks() {
        plan_day()
            .moved_after("ended predictor", "began flush")
            .breaks_only(LAW.name);
    }
}
