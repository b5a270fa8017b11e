//! A start that went well ends with a warning of each bound that was chosen and is longer than the whole share of its
//! phase, and with no other.

use std::collections::BTreeMap;

use super::record::{Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{Id, Kind, Ms, Phase, State, What};

pub(super) const LAW: Law = Law {
    name: "bound/warned",
    rules: "9",
    statement: "At the end of a start that succeeds, the context warns of each chosen bound that is longer than the whole share of its phase, and of no other bound.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan has no shares.
    }
    let (Some(running), Some(limits)) = (record.entered(State::Running), record.limits) else {
        return;
    };
    let cleanup = limits.grace.saturating_sub(limits.margin);
    let stop = cleanup
        .saturating_sub(limits.reserve)
        .saturating_sub(limits.pre_stop);
    let mut due: BTreeMap<Id, (u64, u64)> = BTreeMap::new();
    for (id, _, at, one) in record.registered() {
        if at > running {
            continue;
        }
        // The default bounds, which were not chosen (rule 3).
        let default = match one.kind {
            Kind::Thread | Kind::Task | Kind::Watchdog => 2_000,
            Kind::Stop | Kind::Cleanup | Kind::Closeable => 10_000,
            Kind::Main => continue,
        };
        let share = match phase_of(one.kind) {
            Phase::Cleanup => cleanup,
            Phase::Start | Phase::Stop => stop,
        };
        if one.timeout != default && one.timeout > share {
            due.insert(id, (one.timeout, share));
        }
    }
    for (at, event) in record.events[..running].iter().enumerate() {
        if let What::BoundOverShare {
            id, bound, share, ..
        } = event.what
            && due.remove(&id) != Some((bound, share))
        {
            let name = record.name(id);
            let (bound, share) = (Ms(bound), Ms(share));
            breaks.at(
                at,
                format!("start warned that \"{name}\" has a bound of {bound} in a share of {share}: this is not so, or start had warned of it before"),
            );
        }
    }
    let ended = record.ended_before(running);
    due.retain(|id, _| !ended.contains(id));
    for (id, (bound, share)) in due {
        let (name, bound, share) = (record.name(id), Ms(bound), Ms(share));
        breaks.at(
            running,
            format!("\"{name}\" has a bound of {bound} in a share of {share}, but start did not warn of it"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day};

    /// Returns the day until the end of start, with `keys` for the component. Stop's share is 19.5 s, and cleanup's
    /// is 29.5 s.
    fn start_with(component: &str, keys: &str) -> ByHand {
        day()
            .with_keys(&format!("registered {component}"), keys)
            .cut_after("state running")
            .append(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
    }

    /// Returns the event of a warning.
    fn warning(id: u32, name: &str, bound: u64, phase: &str, share: u64) -> String {
        format!(
            r#"{{"t":0,"event":"bound-over-share","id":{id},"name":"{name}","bound":{bound},"phase":"{phase}","share":{share}}}"#
        )
    }

    #[test]
    fn bound_over_the_share_is_warned_of_once() {
        let warned = warning(2, "writer", 19_501, "stop", 19_500);
        let over = || start_with("writer", r#""timeout":19501"#);
        over().before("state running", &warned).breaks_nothing();
        over().breaks_only(LAW.name);
        over()
            .before("state running", &warned)
            .before("state running", &warned)
            .breaks_only(LAW.name);
    }

    #[test]
    fn bound_of_a_watchdog_is_one_of_stop() {
        let warned = warning(7, "dog", 19_501, "stop", 19_500);
        let over = || start_with("dog", r#""timeout":19501"#);
        over().before("state running", &warned).breaks_nothing();
        over().breaks_only(LAW.name);
    }

    #[test]
    fn bound_of_just_the_share_is_not_warned_of() {
        let warned = warning(2, "writer", 19_500, "stop", 19_500);
        let just = || start_with("writer", r#""timeout":19500"#);
        just().breaks_nothing();
        just()
            .before("state running", &warned)
            .breaks_only(LAW.name);
    }

    #[test]
    fn figures_of_a_warning_are_the_workers() {
        start_with("writer", r#""timeout":19501"#)
            .before(
                "state running",
                &warning(2, "writer", 19_501, "stop", 29_500),
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn cleanup_has_what_stop_leaves_of_the_grace() {
        start_with("cache", r#""timeout":29500"#).breaks_nothing();
        start_with("cache", r#""timeout":29501"#).breaks_only(LAW.name);
        start_with("cache", r#""timeout":29501"#)
            .before(
                "state running",
                &warning(11, "cache", 29_501, "cleanup", 29_500),
            )
            .breaks_nothing();
    }

    #[test]
    fn pre_stop_delay_is_taken_from_the_share_of_stop() {
        let delayed =
            |bound: &str| start_with("drain", bound).with_keys("worker", r#""pre_stop":9500"#);
        delayed(r#""timeout":10001"#).breaks_only(LAW.name);
        delayed(r#""timeout":9999"#).breaks_nothing();
    }

    #[test]
    fn default_bound_over_the_share_is_not_warned_of() {
        // The default bound of a callback is 10 s, and the share is 5 s.
        day()
            .with_keys("worker", r#""pre_stop":14500"#)
            .cut_after("state running")
            .append(r#"{"t":0,"event":"stuck","why":"spinning","name":"hand"}"#)
            .breaks_nothing();
    }
    #[test]
    fn component_added_after_the_start_is_not_warned_of() {
        let late = r#"{"t":0,"event":"registered","id":12,"kind":"closeable","name":"late","order":0,"timeout":29501,"floor":null,"uses":[],"told":"at-once","async":false,"adopted":false}"#;
        start_with("writer", "")
            .after("state running", late)
            .breaks_nothing();
    }

    #[test]
    fn component_that_ends_in_the_start_may_be_warned_of_once() {
        let began = r#"{"t":0,"event":"began","id":9,"name":"crash","nth":1}"#;
        let ended =
            r#"{"t":0,"event":"ended","id":9,"name":"crash","nth":1,"how":"ok","error":null}"#;
        let over = || start_with("crash", r#""timeout":19501"#);
        let ends = || {
            over()
                .before("state running", began)
                .before("state running", ended)
        };
        let warned = warning(9, "crash", 19_501, "stop", 19_500);
        ends().breaks_nothing();
        let once = || ends().before("state running", &warned);
        once().breaks_nothing();
        once()
            .before("state running", &warned)
            .breaks_only(LAW.name);
        over()
            .before("state running", began)
            .after("state running", ended)
            .breaks_only(LAW.name);
    }
}
