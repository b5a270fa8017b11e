//! The budget of a scenario's worker.

use crate::journal::Kind;
use crate::scenario::Scenario;
use crate::sim::subject::worker::limits_of;
use deadstop::context::{Budget, BudgetLine};

/// Returns the budget of a scenario's worker after main has registered everything. Late registrations are not in it.
pub fn budget(scenario: &Scenario) -> Budget {
    let worker = &scenario.worker;
    let limits = limits_of(worker).resolve();
    let limits = limits.expect("a parsed scenario has limits that a context accepts");
    let on_time = worker
        .components
        .iter()
        .flatten()
        .filter(|component| !component.late);
    let lines = (1..).zip(on_time).map(|(id, component)| {
        let line = BudgetLine::new(
            component.name.clone(),
            component.kind,
            component.order,
            component.timeout,
            component.floor,
            component.is_async || (component.kind == Kind::Task && !component.adopted),
        );
        (id, line)
    });
    Budget::of(limits, lines.collect())
}
