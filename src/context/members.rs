//! The steps of a group that have begun and not ended, and what each waits for next.
//!
//! A group may be large, and most of its steps end at once. So a step keeps its slot, steps that wait for the same
//! instant share one timer, and nothing is sorted without need.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::report::StepReport;
use crate::host::Abort;
use crate::journal::{BoundBy, Id, Phase};

/// What a step of a group waits for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Half of the bound, when the log names what is awaited.
    Half,
    /// The bound.
    Bound,
    /// The confirmation of its abort.
    Confirm,
}

/// A step that has begun and not ended.
pub(super) struct Member {
    pub row: StepReport,
    /// Number of steps that had begun before it, in all phases.
    pub began: usize,
    pub floor: Duration,
    pub deadline: Duration,
    pub stage: Stage,
    /// Instant at which that stage is over.
    pub timer: Duration,
    pub abort: Option<Box<dyn Abort>>,
    /// Whether it is an adopted task. Such a task is aborted at once: its bound is the confirmation.
    pub adopted: bool,
    /// Token that tells the scope of a blocking callback when its bound is over.
    pub told_when_over: Option<CancellationToken>,
    /// Whether the step calls code, rather than waiting for code that already runs.
    pub is_call: bool,
}

impl Member {
    /// Returns whether its wait was over before it began (rules 4 and 11): the context looks at it once.
    pub fn unawaited(&self) -> bool {
        self.row.phase != Phase::Cleanup
            && matches!(
                self.row.bound_by,
                BoundBy::ShareGone | BoundBy::SecondSignal
            )
    }
}

/// The steps of one group.
#[derive(Default)]
pub(super) struct Members {
    /// Sorted by id, which is the order in which the steps of a group begin. A slot is `None` while its step is taken
    /// out, and once the step has ended.
    slots: Vec<(Id, Option<Member>)>,
    timers: BTreeMap<Duration, Timer>,
}

/// The steps that wait for one instant.
#[derive(Default)]
struct Timer {
    /// Number of steps that wait for it.
    waiting: usize,
    /// Ids of the steps that were added: those that wait, and those that have left since.
    ids: Vec<Id>,
}

impl Members {
    pub fn with_capacity(members: usize) -> Self {
        Members {
            slots: Vec::with_capacity(members),
            ..Members::default()
        }
    }

    /// Adds a step that has begun. Its id is higher than those of the steps before it.
    pub fn begin(&mut self, member: Member) {
        debug_assert!(self.slots.last().is_none_or(|(id, _)| *id < member.row.id));
        self.wait_for(&member);
        self.slots.push((member.row.id, Some(member)));
    }

    /// Takes a step out, if it has not ended.
    pub fn take(&mut self, id: Id) -> Option<Member> {
        let slot = self.slot(id)?;
        let member = self.slots[slot].1.take()?;
        if let Some(timer) = self.timers.get_mut(&member.timer) {
            timer.waiting -= 1;
            if timer.waiting == 0 {
                self.timers.remove(&member.timer);
            }
        }
        Some(member)
    }

    /// Puts a step back, to wait for its timer.
    pub fn put(&mut self, member: Member) {
        if let Some(slot) = self.slot(member.row.id) {
            self.wait_for(&member);
            self.slots[slot].1 = Some(member);
        }
    }

    fn wait_for(&mut self, member: &Member) {
        let timer = self.timers.entry(member.timer).or_default();
        timer.waiting += 1;
        timer.ids.push(member.row.id);
    }

    /// Returns the next instant for which a step waits; `None` once all steps have ended.
    pub fn next(&self) -> Option<Duration> {
        self.timers.keys().next().copied()
    }

    /// Returns the steps whose timers are due, sorted by timer, then by id.
    pub fn due(&self, now: Duration) -> Vec<Id> {
        let mut due = Vec::new();
        for (at, timer) in self.timers.range(..=now) {
            let mut ids: Vec<_> = timer
                .ids
                .iter()
                .copied()
                .filter(|id| self.get(*id).is_some_and(|member| member.timer == *at))
                .collect();
            // A step that came back to the same timer was added to it twice.
            ids.sort_unstable();
            ids.dedup();
            due.append(&mut ids);
        }
        due
    }

    /// Returns the steps that have not ended, sorted by id.
    pub fn ids(&self) -> Vec<Id> {
        let left = self.slots.iter().filter(|(_, member)| member.is_some());
        left.map(|(id, _)| *id).collect()
    }

    fn get(&self, id: Id) -> Option<&Member> {
        self.slots[self.slot(id)?].1.as_ref()
    }

    fn slot(&self, id: Id) -> Option<usize> {
        self.slots.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Kind, Outcome};

    const MS: Duration = Duration::from_millis(1);

    fn member(id: Id, timer: Duration) -> Member {
        Member {
            row: StepReport {
                phase: Phase::Stop,
                id,
                name: "member".into(),
                kind: Kind::Thread,
                order: 0,
                place: std::panic::Location::caller(),
                outcome: Outcome::Ok,
                bound: 10 * MS,
                bound_by: BoundBy::JoinTimeout,
                started: Duration::ZERO,
                took: Duration::ZERO,
                error: None,
            },
            began: 0,
            floor: Duration::ZERO,
            deadline: 10 * MS,
            stage: Stage::Half,
            timer,
            abort: None,
            adopted: false,
            told_when_over: None,
            is_call: false,
        }
    }

    fn members(timers: &[(Id, Duration)]) -> Members {
        let mut members = Members::default();
        for (id, timer) in timers {
            members.begin(member(*id, *timer));
        }
        members
    }

    fn moved(members: &mut Members, id: Id, timer: Duration) {
        let mut member = members.take(id).expect("it has not ended");
        member.timer = timer;
        members.put(member);
    }

    #[test]
    fn due_steps_are_sorted_by_timer_then_by_id() {
        let mut members = members(&[(1, 7 * MS), (2, 5 * MS), (4, 5 * MS), (9, 8 * MS)]);
        assert_eq!(members.next(), Some(5 * MS));
        assert!(members.due(4 * MS).is_empty());
        assert_eq!(members.due(7 * MS), [2, 4, 1]);
        moved(&mut members, 9, 7 * MS);
        moved(&mut members, 1, 9 * MS);
        moved(&mut members, 1, 7 * MS);
        assert_eq!(members.due(7 * MS), [2, 4, 1, 9]);
    }

    #[test]
    fn step_that_returns_to_its_timer_is_due_once() {
        let mut members = members(&[(1, 5 * MS), (2, 5 * MS)]);
        moved(&mut members, 1, 5 * MS);
        assert_eq!(members.due(5 * MS), [1, 2]);
    }

    #[test]
    fn ended_step_has_no_timer() {
        let mut members = members(&[(1, 5 * MS), (2, 5 * MS), (3, 6 * MS)]);
        assert!(members.take(2).is_some());
        assert!(members.take(2).is_none());
        assert!(members.take(7).is_none());
        assert_eq!(members.due(6 * MS), [1, 3]);
        assert_eq!(members.ids(), [1, 3]);
        assert!(members.take(1).is_some());
        assert_eq!(members.next(), Some(6 * MS));
        assert!(members.take(3).is_some());
        assert_eq!(members.next(), None);
    }
}
