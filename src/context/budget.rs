//! The budget: which part of the grace is whose, and every bound and floor. The first question of
//! every new user.

use std::fmt;
use std::time::Duration;

use super::core::Core;
use super::limits::{Limits, cleanup_bound, floors};
use super::registry::is_stop_kind;
use crate::journal::{Id, Kind, Name, Ties};

/// How the grace is divided, and what each registered component gets of it at most.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What it gets if everything before it takes all it may.
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
        cleanup.sort_by_key(|(id, line)| {
            let id = i64::from(*id);
            (
                -i64::from(line.order),
                if limits.ties == Ties::Last { -id } else { id },
            )
        });
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
        let mut left = self.stop_share;
        let mut group: Option<(i32, Duration)> = None;
        for line in &mut self.stop {
            let joins = line.kind != Kind::Stop;
            match group {
                Some((order, longest)) if joins && order == line.order => {
                    line.at_worst = line.timeout.min(left);
                    group = Some((order, longest.max(line.at_worst)));
                }
                _ => {
                    left = left.saturating_sub(
                        group.take().map_or(Duration::ZERO, |(_, longest)| longest),
                    );
                    line.at_worst = line.timeout.min(left);
                    if joins {
                        group = Some((line.order, line.at_worst));
                    } else {
                        left = left.saturating_sub(line.at_worst);
                    }
                }
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
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits {
            grace,
            reserve,
            margin,
            ..
        } = self.limits;
        write!(
            f,
            "grace {grace:?} = stop {:?} + cleanup {reserve:?} + margin {margin:?}",
            self.stop_share
        )?;
        for (phase, lines) in [("stop", &self.stop), ("cleanup", &self.cleanup)] {
            for line in lines {
                let Line {
                    name,
                    kind,
                    order,
                    timeout,
                    floor,
                    at_worst,
                } = line;
                write!(
                    f,
                    "\n  {phase:<8} {order:>6}  {:<9}  {name}: {timeout:?}",
                    kind.as_str()
                )?;
                if let Some(floor) = floor {
                    write!(f, ", sure of {floor:?}")?;
                }
                if at_worst != timeout {
                    write!(f, ", {at_worst:?} if all before it overrun")?;
                }
            }
        }
        Ok(())
    }
}
