//! A start that went well ends with a warning of each component that would be closed or would end before a user of
//! it, and of each used name that no component has; and with no other.

use std::collections::BTreeSet;

use super::record::{EventIndex, Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{Id, Kind, Name, Phase, Registered, State, Ties, Told, What};

pub(super) const LAW: Law = Law {
    name: "uses/warned",
    rules: "9",
    statement: "At the end of a start that succeeds, the context warns of each component that would be closed or would end before a component that uses it, of each used name that no component has, and of nothing else.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan does not warn of uses.
    }
    let Some(running) = record.entered(State::Running) else {
        return;
    };
    let last_first = record
        .limits
        .is_some_and(|limits| limits.ties == Ties::Last);
    check_unknown_name_warnings(record, running, breaks);
    check_early_end_warnings(record, running, breaks);
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
                let message = if early.contains(&(id, user_id)) {
                    format!("start warned twice that \"{used}\" will be closed before \"{user}\"")
                } else {
                    format!(
                        "start warned that \"{used}\" will be closed before \"{user}\": this is not so"
                    )
                };
                breaks.at(at, message);
            }
        }
    }
    for (id, user) in due {
        let (used, user) = (record.name(id), record.name(user));
        breaks.at(
            running,
            format!("\"{used}\" will be closed before \"{user}\", but start did not warn of it"),
        );
    }
}

/// Checks the warnings of each thread, task and callback of stop that stop can end while a user of it still runs.
fn check_early_end_warnings(record: &Record<'_>, running: EventIndex, breaks: &mut Breaks<'_>) {
    let there: Vec<&Registered> = record
        .registered()
        .filter(|(_, _, at, _)| *at < running)
        .map(|(_, _, _, one)| one)
        .collect();
    let mut due: BTreeSet<(Id, Id)> = BTreeSet::new();
    for user in there.iter().filter(|user| !user.uses.is_empty()) {
        for used in there.iter().filter(|used| user.uses.contains(&used.name)) {
            let told_when_stop_begins = match used.kind {
                Kind::Main | Kind::Cleanup | Kind::Closeable => continue,
                Kind::Stop => false,
                Kind::Thread | Kind::Task | Kind::Watchdog => {
                    used.told == Told::AtOnce && !used.adopted
                }
            };
            let outlived = phase_of(user.kind) == Phase::Cleanup
                || told_when_stop_begins
                || used.order <= user.order;
            if outlived && used.id != user.id {
                due.insert((used.id, user.id));
            }
        }
    }
    for (at, event) in record.events[..running].iter().enumerate() {
        if let What::EndsBeforeUser { id, user_id, .. } = event.what
            && !due.remove(&(id, user_id))
        {
            let (used, user) = (record.name(id), record.name(user_id));
            breaks.at(
                at,
                format!("start warned that \"{used}\" may end before \"{user}\": this is not so, or start had warned of it before"),
            );
        }
    }
    let ended = record.ended_before(running);
    due.retain(|(id, user)| !ended.contains(id) && !ended.contains(user));
    for (id, user) in due {
        let (used, user) = (record.name(id), record.name(user));
        breaks.at(
            running,
            format!("\"{used}\" may end before \"{user}\", but start did not warn of it"),
        );
    }
}

/// Checks the warnings of each used name that no component registered during the start has.
fn check_unknown_name_warnings(record: &Record<'_>, running: EventIndex, breaks: &mut Breaks<'_>) {
    let registered = || record.registered().filter(|(_, _, at, _)| *at < running);
    let known: BTreeSet<&Name> = registered().map(|(_, _, _, one)| &one.name).collect();
    let mut due: BTreeSet<(Id, &Name)> = BTreeSet::new();
    for (_, _, _, user) in registered() {
        let names = user.uses.iter().filter(|used| !known.contains(used));
        due.extend(names.map(|used| (user.id, used)));
    }
    for (at, event) in record.events[..running].iter().enumerate() {
        if let What::UsesUnknown { id, name, used } = &event.what
            && !due.remove(&(*id, used))
        {
            let message = format!(
                "start warned that \"{name}\" uses \"{used}\", which is no component's name: this is not so"
            );
            breaks.at(at, message);
        }
    }
    let ended = record.ended_before(running);
    due.retain(|(id, _)| !ended.contains(id));
    for (id, used) in due {
        let user = record.name(id);
        breaks.at(
            running,
            format!(
                "\"{user}\" uses \"{used}\", which is no component's name, but start did not warn of it"
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
    fn order_without_a_warning_breaks() {
        day()
            .with_keys("registered cache", r#""uses":["flush"]"#)
            .cut_after("state running")
            .after(
                "state running",
                r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#,
            )
            .breaks_only(LAW.name);
    }

    const UNKNOWN: &str = r#"{"t":0,"event":"uses-unknown","id":11,"name":"cache","used":"flusj"}"#;

    /// Returns the day until the end of start, with a `cache` that uses `uses`.
    fn using(uses: &str) -> ByHand {
        day()
            .with_keys("registered cache", &format!(r#""uses":["{uses}"]"#))
            .cut_after("state running")
            .append(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    #[test]
    fn unknown_name_is_warned_of_once() {
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
    fn known_name_called_unknown_breaks() {
        let ends = ends_early(9, "crash");
        using("crash")
            .before("state running", &ends)
            .breaks_nothing();
        using("crash")
            .before("state running", &ends)
            .before("state running", &UNKNOWN.replace("flusj", "crash"))
            .breaks_only(LAW.name);
    }

    #[test]
    fn warning_without_a_cause_breaks() {
        day()
            .before("state running", r#"{"t":0,"event":"closes-before-user","name":"db","order":0,"id":6,"user":"flush","user_order":50,"user_id":5}"#)
            .breaks_only(LAW.name);
    }

    /// Returns the warning that `used` ends before `cache`, which is closed in cleanup.
    fn ends_early(id: u32, used: &str) -> String {
        format!(
            r#"{{"t":0,"event":"ends-before-user","name":"{used}","id":{id},"user":"cache","user_id":11}}"#
        )
    }

    #[test]
    fn task_that_ends_before_its_user_is_warned_of_once() {
        using("writer").breaks_only(LAW.name);
        using("writer")
            .before("state running", &ends_early(2, "writer"))
            .breaks_nothing();
        using("writer")
            .before("state running", &ends_early(2, "writer"))
            .before("state running", &ends_early(2, "writer"))
            .breaks_only(LAW.name);
    }

    /// Returns the day until the end of start, on which the task `burst` uses the thread `flusher`; orders and
    /// telling as given.
    fn stopping(user_order: i32, used_order: i32, told: &str) -> ByHand {
        day()
            .with_keys(
                "registered flusher",
                &format!(r#""order":{used_order},"told":"{told}""#),
            )
            .with_keys(
                "registered burst",
                &format!(r#""order":{user_order},"uses":["flusher"]"#),
            )
            .cut_after("state running")
            .append(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    #[test]
    fn in_turn_thread_outlives_only_users_of_earlier_orders() {
        stopping(0, 10, "in-turn").breaks_nothing();
        stopping(10, 10, "in-turn").breaks_only(LAW.name);
        stopping(20, 10, "in-turn").breaks_only(LAW.name);
        stopping(0, 10, "at-once").breaks_only(LAW.name);
        let warning = r#"{"t":0,"event":"ends-before-user","name":"flusher","id":1,"user":"burst","user_id":8}"#;
        stopping(0, 10, "at-once")
            .before("state running", warning)
            .breaks_nothing();
        stopping(0, 10, "in-turn")
            .before("state running", warning)
            .breaks_only(LAW.name);
    }

    #[test]
    fn adopted_component_is_not_told_when_stop_begins() {
        stopping(0, 10, "at-once")
            .with_keys("registered flusher", r#""adopted":true"#)
            .breaks_nothing();
    }

    /// Returns a day on which the thread `crash` ends during the start. It uses a name that no component has, or a
    /// thread that ends before it.
    fn ends_in_the_start(uses: &str) -> ByHand {
        day()
            .with_keys("registered crash", &format!(r#""uses":["{uses}"]"#))
            .cut_after("state running")
            .before(
                "state running",
                r#"{"t":0,"event":"began","id":9,"name":"crash","nth":1}"#,
            )
            .before(
                "state running",
                r#"{"t":0,"event":"ended","id":9,"name":"crash","nth":1,"how":"ok","error":null}"#,
            )
            .append(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    #[test]
    fn component_that_ends_in_the_start_may_be_warned_of_once() {
        for (uses, warning) in [
            (
                "flusj",
                r#"{"t":0,"event":"uses-unknown","id":9,"name":"crash","used":"flusj"}"#,
            ),
            (
                "flusher",
                r#"{"t":0,"event":"ends-before-user","name":"flusher","id":1,"user":"crash","user_id":9}"#,
            ),
        ] {
            ends_in_the_start(uses).breaks_nothing();
            let once = || ends_in_the_start(uses).before("state running", warning);
            once().breaks_nothing();
            once()
                .before("state running", warning)
                .breaks_only(LAW.name);
        }
    }

    /// Returns a day with a cache that names a used component twice, and start's warnings of it.
    fn warned(times: usize) -> ByHand {
        let mut day = day().with_keys("registered cache", r#""uses":["flush","flush"]"#);
        for _ in 0..times {
            day = day.before("state running", r#"{"t":0,"event":"closes-before-user","name":"flush","order":50,"id":5,"user":"cache","user_order":0,"user_id":11}"#);
        }
        day.cut_after("state running").after(
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
    fn message_names_the_second_warning_of_a_pair() {
        let broken = judge(&warned(2).events());
        let messages: Vec<_> = broken.iter().map(|broken| &*broken.message).collect();
        let words = "start warned twice that \"flush\" will be closed before \"cache\"";
        assert_eq!(messages, [words]);
    }

    /// Returns the day until the end of start, with that order of ties, and `db` using `cache`: both have order 0.
    fn started(ties: &str) -> ByHand {
        day()
            .with_keys("worker", &format!(r#""ties":"{ties}""#))
            .with_keys("registered db", r#""uses":["cache"]"#)
            .cut_after("state running")
            .append(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    const WARNING: &str = r#"{"t":0,"event":"closes-before-user","name":"cache","order":0,"id":11,"user":"db","user_order":0,"user_id":6}"#;

    #[test]
    fn ties_decide_which_of_two_equals_is_closed_first() {
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
    fn repeated_warning_breaks() {
        started("last")
            .before("state running", WARNING)
            .before("state running", WARNING)
            .breaks_only(LAW.name);
    }
}
