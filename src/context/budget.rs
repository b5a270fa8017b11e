//! The budget: which part of the grace is whose, and every bound and floor. The first question of
//! every new user.

use std::fmt;
use std::time::Duration;

use super::core::Core;
use super::limits::{CONFIRM, Limits, cleanup_bound, cleanup_key, floors, ms};
use super::registry::is_stop_kind;
use crate::journal::{Id, Kind, Ms, Name};

/// How the grace is divided, and what each registered component gets of it at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The worker's limits.
    pub limits: Limits,
    /// What stop has of the grace.
    pub stop_share: Duration,
    /// Stop's components, in the order of their steps.
    pub stop: Vec<Line>,
    /// Cleanup's components, in the order of their steps.
    pub cleanup: Vec<Line>,
}

/// One component's part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// Its order.
    pub order: i32,
    /// Its own bound.
    pub timeout: Duration,
    /// In cleanup: what it is sure of.
    pub floor: Option<Duration>,
    /// Whether it can be aborted: its confirmation then takes up to 100 ms more.
    pub aborts: bool,
    /// What it gets if stop uses its whole share and everything before it in its phase takes all it may.
    pub at_worst: Duration,
}

impl Core {
    pub(crate) fn budget(&self) -> Budget {
        let registry = self.registry();
        let lines = registry.entries.values().map(|entry| {
            let line = Line {
                name: entry.name.clone(),
                kind: entry.kind,
                order: entry.order,
                timeout: entry.timeout,
                floor: entry.floor,
                aborts: entry.action.can_be_aborted(),
                at_worst: entry.timeout,
            };
            (entry.id, line)
        });
        Budget::of(self.limits, lines.collect())
    }
}

impl Budget {
    /// The budget of a worker with these components, each with its id.
    pub(crate) fn of(limits: Limits, lines: Vec<(Id, Line)>) -> Budget {
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
        budget.work_out();
        budget
    }

    /// Works out what is left for each if everything before it overruns.
    fn work_out(&mut self) {
        // At worst the stop is delayed.
        let mut left = self.stop_share.saturating_sub(self.limits.pre_stop);
        let mut group: Option<(i32, Duration)> = None;
        for line in &mut self.stop {
            let joins = line.kind != Kind::Stop;
            let open = group.filter(|(order, _)| joins && *order == line.order);
            if open.is_none() {
                let longest = group.take().map_or(Duration::ZERO, |(_, longest)| longest);
                left = left.saturating_sub(longest);
            }
            line.at_worst = line.timeout.min(left);
            let costs = line.at_worst + line.confirmation(left.saturating_sub(line.at_worst));
            if joins {
                let longest = open.map_or(Duration::ZERO, |(_, longest)| longest);
                group = Some((line.order, longest.max(costs)));
            } else {
                left = left.saturating_sub(costs);
            }
        }
        let limits: Vec<_> = self
            .cleanup
            .iter()
            .map(|line| (line.timeout, line.floor))
            .collect();
        let floors = floors(self.limits.reserve, &limits);
        let mut later: Duration = floors.iter().sum();
        // At worst stop has used all of its share, and cleanup has its reserve.
        let mut left = self.limits.reserve;
        for (line, floor) in self.cleanup.iter_mut().zip(floors) {
            later = later.saturating_sub(floor);
            line.floor = Some(floor);
            line.at_worst = cleanup_bound(line.timeout, floor, left, later, false).of;
            left = left.saturating_sub(line.at_worst);
            left = left.saturating_sub(line.confirmation(left.saturating_sub(later)));
        }
    }
}

impl Line {
    /// How long the confirmation of its abort takes at most, where the phase has so much left for it.
    fn confirmation(&self, left: Duration) -> Duration {
        if self.aborts {
            CONFIRM.min(left)
        } else {
            Duration::ZERO
        }
    }
}

/// A duration as journals and logs say it.
fn words(duration: Duration) -> Ms {
    Ms(ms(duration))
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits {
            grace,
            reserve,
            margin,
            pre_stop,
            ..
        } = self.limits;
        write!(
            f,
            "grace {} = stop {}",
            words(grace),
            words(self.stop_share)
        )?;
        if !pre_stop.is_zero() {
            write!(f, " (its first {} are the pre-stop delay)", words(pre_stop))?;
        }
        write!(
            f,
            " + cleanup {} + margin {}",
            words(reserve),
            words(margin)
        )?;
        for (phase, lines) in [("stop", &self.stop), ("cleanup", &self.cleanup)] {
            for line in lines {
                let Line {
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
                    words(*timeout)
                )?;
                if let Some(floor) = floor {
                    write!(f, ", sure of {}", words(*floor))?;
                }
                if at_worst != timeout {
                    write!(f, ", at worst {}", words(*at_worst))?;
                }
            }
        }
        Ok(())
    }
}
