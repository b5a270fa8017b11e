//! Findings that real time shows: a run that stands still, and code that keeps its thread for longer than its bound.

use crate::journal::{At, Ms, StuckWhy, What, ms_rounded_down};
use crate::laws;
use crate::report::{Check, Detail, Finding};
use crate::sim::{Journal, Kept, KeptBy, Stall};

/// Advice about code that keeps its thread for longer than its bound.
const OVER_BOUND: &str = "\
Code that computes, or waits without its scope, takes no virtual time: in the simulator it always ends in time, but in
production it would be left behind. `scope.wait`, `scope.sleep` and `scope.block_on` take virtual time, and so does any
`.await` of tokio in a task. If it is real work, the bound is too short for it, or the machine is slow";

/// Returns the finding on a run that stands still; `None` if it does not.
pub(super) fn stall(journal: &Journal) -> Option<Finding> {
    let stall: &Stall = journal.aside.stall.as_ref()?;
    let at = At(stall.at);
    let message = match stall.why {
        StuckWhy::Overtime => format!(
            "the run has not ended after {} of real time: at {at}, {stall}",
            Ms(ms_rounded_down(stall.after))
        ),
        _ => format!("the run stands still at {at}: {stall}"),
    };
    Some(Finding {
        component: Some(stall.name.clone()),
        at: Some(stall.at),
        details: vec![Detail::Text(stall.detail())],
        ..Finding::new(Check::End, message)
    })
}

/// Returns the message of the first law that breaks at the last event of a run that stands still, which is the law
/// about bodies. The stall explains the same event better.
pub(super) fn message_at_last_event(journal: &Journal) -> Option<String> {
    let last = journal.events.last()?;
    let broken = laws::judge(&journal.events);
    let mut same = broken.into_iter().filter(|broken| broken.seq == last.seq);
    same.next().map(|broken| broken.message)
}

/// Returns a finding for each turn that took longer in real time than the component's own bound.
pub(super) fn turns_over_bound(journal: &Journal) -> Vec<Finding> {
    let over = |kept: &Kept| {
        let bound = bound_overrun(journal, kept)?;
        let name = &kept.name;
        let what = match kept.by {
            KeptBy::Pool => format!("a job of \"{name}\" on the blocking pool took"),
            KeptBy::Component => format!("\"{name}\" kept its thread for"),
            KeptBy::Spawned => return None,
        };
        let message = format!(
            "{what} {} of real time at {}, longer than its bound of {}",
            Ms(ms_rounded_down(kept.took)),
            At(kept.at),
            Ms(bound)
        );
        Some(Finding {
            component: Some(name.clone()),
            at: Some(kept.at),
            details: vec![Detail::Text(format!("{OVER_BOUND}\n"))],
            ..Finding::new(Check::RealTime, message)
        })
    };
    journal.aside.kept.iter().filter_map(over).collect()
}

/// Returns the bound, in ms, that a turn exceeded; `None` if it did not. A job on the blocking pool counts once its
/// component is awaited: before that the component can end without it.
pub(super) fn bound_overrun(journal: &Journal, kept: &Kept) -> Option<u64> {
    let waited_for = || {
        journal.events.iter().any(|event| {
            event.t <= kept.at
                && matches!(&event.what, What::StepStarted { name, .. } if *name == kept.name)
        })
    };
    // Tasks that the context does not know have no bound.
    if kept.by == KeptBy::Spawned || kept.by == KeptBy::Pool && !waited_for() {
        return None;
    }
    let bound = journal.events.iter().find_map(|event| match &event.what {
        What::Registered(it) if it.name == kept.name => Some(it.timeout),
        What::Worker { start_timeout, .. } if *kept.name == *"main" => Some(*start_timeout),
        _ => None,
    })?;
    (ms_rounded_down(kept.took) > bound).then_some(bound)
}
