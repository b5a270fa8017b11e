//! What would be closed before somebody who uses it, and what is used and has no component of its name, is warned of at the end of a start that went well, and nothing else is.

use std::collections::BTreeSet;

use super::record::{Index, Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{Id, Name, Phase, Registered, State, Ties, What};

pub(super) const LAW: Law = Law {
    name: "uses/warned",
    rules: "9",
    statement: "What would be closed before somebody who uses it, and what is used and has no component of its name, is warned of at the end of a start that went well, and nothing else is.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.plan {
        return; // It has no words for who uses what.
    }
    let Some(running) = record.entered(State::Running) else {
        return;
    };
    let last_first = record
        .limits
        .is_some_and(|limits| limits.ties == Ties::Last);
    unknown(record, running, breaks);
    let place = |one: &Registered| {
        let id = i128::from(one.id);
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
    let early = due.clone();
    for (at, event) in record.events[..running].iter().enumerate() {
        if let What::ClosesBeforeUser { id, user_id, .. } = event.what {
            let before = due.len();
            due.retain(|pair| *pair != (id, user_id));
            if due.len() == before {
                let (used, user) = (record.name(id), record.name(user_id));
                let said = if early.contains(&(id, user_id)) {
                    format!("start warned twice that \"{used}\" will be closed before \"{user}\"")
                } else {
                    format!("\"{used}\" is said to be closed before \"{user}\", and is not")
                };
                breaks.at(at, said);
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

/// Each name that is used and that nothing has been called by then.
fn unknown(record: &Record<'_>, running: Index, breaks: &mut Breaks<'_>) {
    let registered = || record.registered().filter(|(_, _, at, _)| *at < running);
    let known: BTreeSet<&Name> = registered().map(|(_, _, _, one)| &one.name).collect();
    let mut due: BTreeSet<(Id, &Name)> = BTreeSet::new();
    for (_, part, _, user) in registered() {
        // A component that has ended by then uses nothing any more.
        if part.end.is_none_or(|end| end.at > running) {
            let names = user.uses.iter().filter(|used| !known.contains(used));
            due.extend(names.map(|used| (user.id, used)));
        }
    }
    for (at, event) in record.events[..running].iter().enumerate() {
        if let What::UsesUnknown { id, name, used } = &event.what
            && !due.remove(&(*id, used))
        {
            let said = format!(
                "\"{name}\" is said to use \"{used}\", which nothing is called, and does not"
            );
            breaks.at(at, said);
        }
    }
    for (id, used) in due {
        let user = record.name(id);
        breaks.at(
            running,
            format!(
                "\"{user}\" uses \"{used}\", which nothing is called, and start did not warn of it"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day};
    use crate::laws::judge;

    #[test]
    fn an_order_that_start_does_not_warn_of() {
        day()
            .with("registered cache", r#""uses":["flush"]"#)
            .cut_behind("state running")
            .after(
                "state running",
                r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#,
            )
            .breaks_only(LAW.name);
    }

    const UNKNOWN: &str = r#"{"t":0,"event":"uses-unknown","id":11,"name":"cache","used":"flusj"}"#;

    /// Until the end of start, with a `cache` that uses these.
    fn using(uses: &str) -> ByHand {
        day()
            .with("registered cache", &format!(r#""uses":["{uses}"]"#))
            .cut_behind("state running")
            .then(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    #[test]
    fn name_that_nothing_has_is_warned_of() {
        using("flusj")
            .before("state running", UNKNOWN)
            .breaks_nothing();
        using("flusj").breaks_only(LAW.name);
        using("flusj")
            .before("state running", UNKNOWN)
            .before("state running", UNKNOWN)
            .breaks_only(LAW.name);
    }

    #[test]
    fn name_that_something_has_is_not_called_unknown() {
        using("crash").breaks_nothing();
        using("crash")
            .before("state running", &UNKNOWN.replace("flusj", "crash"))
            .breaks_only(LAW.name);
    }

    #[test]
    fn a_warning_without_a_cause() {
        day()
            .before("state running", r#"{"t":0,"event":"closes-before-user","name":"db","order":0,"id":6,"user":"flush","user_order":50,"user_id":5}"#)
            .breaks_only(LAW.name);
    }

    /// A cache that names twice what it uses, and start's warnings of it.
    fn warned(times: usize) -> ByHand {
        let mut day = day().with("registered cache", r#""uses":["flush","flush"]"#);
        for _ in 0..times {
            day = day.before("state running", r#"{"t":0,"event":"closes-before-user","name":"flush","order":50,"id":5,"user":"cache","user_order":0,"user_id":11}"#);
        }
        day.cut_behind("state running").after(
            "state running",
            r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#,
        )
    }

    #[test]
    fn name_that_is_used_twice_is_warned_of_once() {
        warned(1).breaks_nothing();
        warned(0).breaks_only(LAW.name);
    }

    #[test]
    fn second_warning_of_a_pair_is_called_one() {
        let broken = judge(&warned(2).events());
        let said: Vec<_> = broken.iter().map(|broken| &*broken.message).collect();
        let words = "start warned twice that \"flush\" will be closed before \"cache\"";
        assert_eq!(said, [words]);
    }

    /// Until the end of start, with that order of ties, and `db` using `cache`: both have the order 0.
    fn started(ties: &str) -> ByHand {
        day()
            .with("worker", &format!(r#""ties":"{ties}""#))
            .with("registered db", r#""uses":["cache"]"#)
            .cut_behind("state running")
            .then(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    const WARNING: &str = r#"{"t":0,"event":"closes-before-user","name":"cache","order":0,"id":11,"user":"db","user_order":0,"user_id":6}"#;

    #[test]
    fn ties_say_which_of_two_equals_is_closed_first() {
        started("first").breaks_nothing();
        started("first")
            .before("state running", WARNING)
            .breaks_only(LAW.name);
        started("last").breaks_only(LAW.name);
        started("last")
            .before("state running", WARNING)
            .breaks_nothing();
    }

    #[test]
    fn warning_that_is_said_again_breaks() {
        started("last")
            .before("state running", WARNING)
            .before("state running", WARNING)
            .breaks_only(LAW.name);
    }
}
