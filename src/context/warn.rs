//! Warnings at the end of a start that went well (rule 9): nothing is wrong yet, but something will be in stop or
//! cleanup.

use std::collections::{BTreeMap, BTreeSet};

use super::core::Core;
use super::limits::{CALL_TIMEOUT, JOIN_TIMEOUT, Limits, cleanup_key, ms};
use super::registry::{Action, ENDED_IN_START_KEPT, Entry, Registry, is_stop_kind};
use crate::journal::{Id, Kind, Name, Phase, Ties, Told, What};

impl Core {
    /// Warns of what stop and cleanup will not do as it was meant. No lock is held, since a sink is the caller's
    /// code.
    pub(super) fn warn_of_mistakes(&self) {
        let warnings = {
            let mut registry = self.registry();
            let ended = std::mem::take(&mut registry.ended_in_start);
            [
                early_closes(&registry, self.limits.ties),
                early_ends(&registry),
                unknown_uses(&registry, &ended),
                bounds_over_share(&registry, &self.limits),
            ]
        };
        for warning in warnings.into_iter().flatten() {
            self.emit(warning);
        }
    }
}

/// Returns a warning for each resource that would be closed before one of its users (the contract's `uses`).
fn early_closes(registry: &Registry, ties: Ties) -> Vec<What> {
    let closing: Vec<&Entry> = registry
        .entries
        .values()
        .filter(|entry| !is_stop_kind(entry.kind))
        .collect();
    // Several components can have one name.
    let mut named: BTreeMap<&Name, Vec<(i32, Id)>> = BTreeMap::new();
    for entry in &closing {
        let places = named.entry(&entry.name).or_default();
        places.push((entry.order, entry.id));
    }
    let place = |order: i32, id: Id| cleanup_key(order, id, ties);
    closing
        .iter()
        .flat_map(|user| user.uses.iter().map(move |used| (user, used)))
        .flat_map(|(user, used)| {
            let places = named.get(used).into_iter().flatten();
            places.map(move |place| (user, used, *place))
        })
        .filter(|(user, _, (order, id))| place(*order, *id) < place(user.order, user.id))
        .map(|(user, used, (order, id))| What::ClosesBeforeUser {
            name: used.clone(),
            order,
            id,
            user: user.name.clone(),
            user_order: user.order,
            user_id: user.id,
        })
        .collect()
}

/// Returns a warning for each component that stop can end before a component that uses it has ended.
fn early_ends(registry: &Registry) -> Vec<What> {
    let mut ending: BTreeMap<&Name, Vec<&Entry>> = BTreeMap::new();
    for entry in registry.entries.values() {
        if is_stop_kind(entry.kind) {
            ending.entry(&entry.name).or_default().push(entry);
        }
    }
    let users = registry.entries.values();
    users
        .flat_map(|user| user.uses.iter().map(move |used| (user, used)))
        .flat_map(|(user, used)| {
            let ending = ending.get(used).into_iter().flatten();
            ending.map(move |used| (user, *used))
        })
        .filter(|(user, used)| used.id != user.id && may_end_before(used, user))
        .map(|(user, used)| What::EndsBeforeUser {
            name: used.name.clone(),
            id: used.id,
            user: user.name.clone(),
            user_id: user.id,
        })
        .collect()
}

/// Returns a warning for each chosen bound that its phase can never give: it was made for a longer grace. A default
/// bound is a maximum that the user did not choose, and is not warned of.
fn bounds_over_share(registry: &Registry, limits: &Limits) -> Vec<What> {
    let stop_share = limits.stop_share().saturating_sub(limits.pre_stop);
    let cleanup_share = limits.grace.saturating_sub(limits.margin);
    let entries = registry.entries.values();
    let longer = entries.filter_map(|entry| {
        let (phase, share, default) = match entry.kind {
            Kind::Main => return None,
            Kind::Thread | Kind::Task | Kind::Watchdog => (Phase::Stop, stop_share, JOIN_TIMEOUT),
            Kind::Stop => (Phase::Stop, stop_share, CALL_TIMEOUT),
            Kind::Cleanup | Kind::Closeable => (Phase::Cleanup, cleanup_share, CALL_TIMEOUT),
        };
        (entry.timeout != default && entry.timeout > share).then(|| What::BoundOverShare {
            id: entry.id,
            name: entry.name.clone(),
            bound: ms(entry.timeout),
            phase,
            share: ms(share),
        })
    });
    longer.collect()
}

/// Returns a warning for each name in `uses` that no component has or had: it has no effect, and is a mistake.
fn unknown_uses(registry: &Registry, ended: &BTreeSet<Name>) -> Vec<What> {
    if ended.len() == ENDED_IN_START_KEPT {
        return Vec::new(); // The name may be one of those that were not kept.
    }
    let entries = registry.entries.values();
    let known: BTreeSet<&Name> = entries.map(|entry| &entry.name).chain(ended).collect();
    let users = registry.entries.values();
    users
        .flat_map(|user| user.uses.iter().map(move |used| (user, used)))
        .filter(|(_, used)| !known.contains(used))
        .map(|(user, used)| What::UsesUnknown {
            id: user.id,
            name: user.name.clone(),
            used: used.clone(),
        })
        .collect()
}

/// Returns whether stop can end this thread, task or callback while that user of it still runs.
fn may_end_before(used: &Entry, user: &Entry) -> bool {
    let at_once = matches!(&used.action, Action::Running(running) if running.told == Told::AtOnce && !running.adopted);
    !is_stop_kind(user.kind) || at_once || used.order <= user.order
}
