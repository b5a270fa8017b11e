//! Warnings at the end of a start that went well (rule 9): nothing is wrong yet, but something will be in stop or
//! cleanup.

use std::collections::{BTreeMap, BTreeSet};

use super::core::Core;
use super::limits::{DEFAULT_CALL_TIMEOUT, DEFAULT_JOIN_TIMEOUT, ResolvedLimits, cleanup_key};
use super::registry::{Code, MAX_ENDED_IN_START, RegisteredComponent, Registry, is_stop_kind};
use crate::journal::ms_rounded_down;
use crate::journal::{Claim, Id, Kind, Name, Phase, Ties, Told};

impl Core {
    /// Warns of what stop and cleanup will not do as it was meant. No lock is held, since a sink is the caller's
    /// code.
    pub(super) fn warn_of_mistakes(&self) {
        let warnings = {
            let mut registry = self.registry();
            let ended = std::mem::take(&mut registry.ended_in_start);
            [
                closes_before_users(&registry, self.limits.ties),
                ends_before_users(&registry),
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
fn closes_before_users(registry: &Registry, ties: Ties) -> Vec<Claim> {
    let closed_in_cleanup: Vec<&RegisteredComponent> = registry
        .components
        .values()
        .filter(|component| !is_stop_kind(component.kind()))
        .collect();
    // Several components can have one name.
    let mut named: BTreeMap<&Name, Vec<(i32, Id)>> = BTreeMap::new();
    for component in &closed_in_cleanup {
        let positions = named.entry(component.name()).or_default();
        positions.push((component.opts.order, component.id()));
    }
    let cleanup_position = |order: i32, id: Id| cleanup_key(order, id, ties);
    closed_in_cleanup
        .iter()
        .flat_map(|user| user.opts.uses.names().iter().map(move |used| (user, used)))
        .flat_map(|(user, used)| {
            let positions = named.get(used).into_iter().flatten();
            positions.map(move |position| (user, used, *position))
        })
        .filter(|(user, _, (order, id))| {
            cleanup_position(*order, *id) < cleanup_position(user.opts.order, user.id())
        })
        .map(|(user, used, (order, id))| Claim::ClosesBeforeUser {
            name: used.clone(),
            order,
            id,
            user: user.name().clone(),
            user_order: user.opts.order,
            user_id: user.id(),
        })
        .collect()
}

/// Returns a warning for each component that stop can end before a component that uses it has ended.
fn ends_before_users(registry: &Registry) -> Vec<Claim> {
    let mut ended_in_stop: BTreeMap<&Name, Vec<&RegisteredComponent>> = BTreeMap::new();
    for component in registry.components.values() {
        if is_stop_kind(component.kind()) {
            ended_in_stop
                .entry(component.name())
                .or_default()
                .push(component);
        }
    }
    let users = registry.components.values();
    users
        .flat_map(|user| user.opts.uses.names().iter().map(move |used| (user, used)))
        .flat_map(|(user, used)| {
            let same_name = ended_in_stop.get(used).into_iter().flatten();
            same_name.map(move |used| (user, *used))
        })
        .filter(|(user, used)| used.id() != user.id() && may_end_before(used, user))
        .map(|(user, used)| Claim::EndsBeforeUser {
            name: used.name().clone(),
            id: used.id(),
            user: user.name().clone(),
            user_id: user.id(),
        })
        .collect()
}

/// Returns a warning for each chosen bound that its phase can never give: it was made for a longer grace. A default
/// bound is a maximum that the user did not choose, and is not warned of.
fn bounds_over_share(registry: &Registry, limits: &ResolvedLimits) -> Vec<Claim> {
    let stop_share = limits.stop_share().saturating_sub(limits.pre_stop);
    let cleanup_share = limits.grace.saturating_sub(limits.margin);
    let components = registry.components.values();
    let longer = components.filter_map(|component| {
        let (phase, share, default) = match component.kind() {
            Kind::Main => return None,
            Kind::Thread | Kind::Task | Kind::Watchdog => {
                (Phase::Stop, stop_share, DEFAULT_JOIN_TIMEOUT)
            }
            Kind::Stop => (Phase::Stop, stop_share, DEFAULT_CALL_TIMEOUT),
            Kind::Cleanup | Kind::Closeable => {
                (Phase::Cleanup, cleanup_share, DEFAULT_CALL_TIMEOUT)
            }
        };
        (component.opts.timeout != default && component.opts.timeout > share).then(|| {
            Claim::BoundOverShare {
                id: component.id(),
                name: component.name().clone(),
                bound: ms_rounded_down(component.opts.timeout),
                phase,
                share: ms_rounded_down(share),
            }
        })
    });
    longer.collect()
}

/// Returns a warning for each name in `uses` that no component has or had: it has no effect, and is a mistake.
fn unknown_uses(registry: &Registry, ended: &BTreeSet<Name>) -> Vec<Claim> {
    if ended.len() == MAX_ENDED_IN_START {
        return Vec::new(); // The name may be one of those that were not kept.
    }
    let components = registry.components.values();
    let known: BTreeSet<&Name> = components
        .map(RegisteredComponent::name)
        .chain(ended)
        .collect();
    let users = registry.components.values();
    users
        .flat_map(|user| user.opts.uses.names().iter().map(move |used| (user, used)))
        .filter(|(_, used)| !known.contains(used))
        .map(|(user, used)| Claim::UsesUnknown {
            id: user.id(),
            name: user.name().clone(),
            used: used.clone(),
        })
        .collect()
}

/// Returns whether stop can end this thread, task or callback while that user of it still runs.
fn may_end_before(used: &RegisteredComponent, user: &RegisteredComponent) -> bool {
    let at_once = matches!(
        &used.code,
        Code::Running(running) if used.opts.when_told == Told::AtOnce && !running.adopted_task
    );
    !is_stop_kind(user.kind()) || at_once || used.opts.order <= user.opts.order
}
