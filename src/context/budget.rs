//! The budget: how the grace is divided, and every bound and floor. It answers the first question of every new user.

use std::fmt;
use std::time::Duration;

use super::core::Core;
use super::limits::{MAX_CONFIRMATION, ResolvedLimits, cleanup_bound, cleanup_key, floors};
use super::registry::is_stop_kind;
use crate::journal::ms_rounded_down;
use crate::journal::{Id, Kind, Ms, Name};

/// How the grace is divided, and the most that each registered component gets of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Limits of the worker.
    pub limits: ResolvedLimits,
    /// Stop's share of the grace.
    pub stop_share: Duration,
    /// Components of stop, in the order of their steps.
    pub stop: Vec<BudgetLine>,
    /// Components of cleanup, in the order of their steps.
    pub cleanup: Vec<BudgetLine>,
}

/// The budget of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetLine {
    /// Name of the component.
    pub name: Name,
    /// Kind of the component.
    pub kind: Kind,
    /// Order of its step.
    pub order: i32,
    /// Bound with which it was registered.
    pub timeout: Duration,
    /// Floor of its step; `None` in stop.
    pub floor: Option<Duration>,
    /// Whether it can be aborted. The confirmation then takes up to 100 ms more.
    pub aborts: bool,
    /// Bound that it gets if stop uses its whole share, and every step before it in its phase takes all it may.
    pub at_worst: Duration,
}

impl Core {
    pub(crate) fn budget(&self) -> Budget {
        let registry = self.registry();
        let lines = registry.components.values().map(|component| {
            let line = BudgetLine::new(
                component.name().clone(),
                component.kind(),
                component.opts.order,
                component.opts.timeout,
                component.opts.floor,
                component.can_be_aborted(),
            );
            (component.id(), line)
        });
        Budget::of(self.limits, lines.collect())
    }
}

impl BudgetLine {
    /// Makes the line of a component whose step no other step delays; [`Budget::of`] works out what may delay it.
    #[doc(hidden)]
    pub fn new(
        name: Name,
        kind: Kind,
        order: i32,
        timeout: Duration,
        floor: Option<Duration>,
        aborts: bool,
    ) -> BudgetLine {
        BudgetLine {
            name,
            kind,
            order,
            timeout,
            floor,
            aborts,
            at_worst: timeout,
        }
    }
}

impl Budget {
    /// Returns the budget of a worker with these components, each with its id.
    #[doc(hidden)]
    pub fn of(limits: ResolvedLimits, lines: Vec<(Id, BudgetLine)>) -> Budget {
        let (mut stop, mut cleanup): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|(_, line)| is_stop_kind(line.kind));
        stop.sort_by_key(|(id, line)| (line.order, *id));
        cleanup.sort_by_key(|(id, line)| cleanup_key(line.order, *id, limits.ties));
        let mut budget = Budget {
            limits,
            stop_share: limits.stop_share(),
            stop: stop.into_iter().map(|(_, line)| line).collect(),
            cleanup: cleanup.into_iter().map(|(_, line)| line).collect(),
        };
        budget.compute_worst_bounds();
        budget
    }

    /// Computes what is left for each component if every step before it overruns.
    fn compute_worst_bounds(&mut self) {
        // In the worst case, stop is delayed.
        let mut time_left = self.stop_share.saturating_sub(self.limits.pre_stop);
        let mut group: Option<(i32, Duration)> = None;
        for line in &mut self.stop {
            let joins = line.kind != Kind::Stop;
            let open = group.filter(|(order, _)| joins && *order == line.order);
            if open.is_none() {
                let longest = group.take().map_or(Duration::ZERO, |(_, longest)| longest);
                time_left = time_left.saturating_sub(longest);
            }
            line.at_worst = line.timeout.min(time_left);
            let costs = line.at_worst + line.confirmation(time_left.saturating_sub(line.at_worst));
            if joins {
                let longest = open.map_or(Duration::ZERO, |(_, longest)| longest);
                group = Some((line.order, longest.max(costs)));
            } else {
                time_left = time_left.saturating_sub(costs);
            }
        }
        let limits: Vec<_> = self
            .cleanup
            .iter()
            .map(|line| (line.timeout, line.floor))
            .collect();
        let floors = floors(self.limits.reserve, &limits);
        let mut later: Duration = floors.iter().sum();
        // In the worst case, stop has used all of its share, and cleanup has only its reserve.
        let mut time_left = self.limits.reserve;
        for (line, floor) in self.cleanup.iter_mut().zip(floors) {
            later = later.saturating_sub(floor);
            line.floor = Some(floor);
            line.at_worst = cleanup_bound(line.timeout, floor, time_left, later, false).time;
            time_left = time_left.saturating_sub(line.at_worst);
            time_left =
                time_left.saturating_sub(line.confirmation(time_left.saturating_sub(later)));
        }
    }
}

impl BudgetLine {
    /// Returns how long the confirmation of its abort takes at most, if the phase has `time_left` for it.
    fn confirmation(&self, time_left: Duration) -> Duration {
        if self.aborts {
            MAX_CONFIRMATION.min(time_left)
        } else {
            Duration::ZERO
        }
    }
}

/// Returns a duration in the form in which journals and logs display it.
fn display_ms(duration: Duration) -> Ms {
    Ms(ms_rounded_down(duration))
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResolvedLimits {
            grace,
            reserve,
            margin,
            pre_stop,
            ..
        } = self.limits;
        write!(
            f,
            "grace {} = stop {}",
            display_ms(grace),
            display_ms(self.stop_share)
        )?;
        if !pre_stop.is_zero() {
            write!(
                f,
                " (its first {} are the pre-stop delay)",
                display_ms(pre_stop)
            )?;
        }
        write!(
            f,
            " + cleanup {} + margin {}",
            display_ms(reserve),
            display_ms(margin)
        )?;
        for (phase, lines) in [("stop", &self.stop), ("cleanup", &self.cleanup)] {
            for line in lines {
                let BudgetLine {
                    name,
                    kind,
                    order,
                    timeout,
                    floor,
                    aborts: _,
                    at_worst,
                } = line;
                write!(
                    f,
                    "\n  {phase:<8} {order:>6}  {:<9}  {name}: {}",
                    kind.as_str(),
                    display_ms(*timeout)
                )?;
                if let Some(floor) = floor {
                    write!(f, ", floor {}", display_ms(*floor))?;
                }
                if at_worst != timeout {
                    write!(f, ", at worst {}", display_ms(*at_worst))?;
                }
            }
        }
        Ok(())
    }
}
