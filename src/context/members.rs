//! The members of a group that have begun and not ended, and what each waits for next.
//!
//! A group may be large, and most of it ends at once. So a member stays in its slot, members that wait for
//! the same instant share one timer, and nothing is sorted that has no need of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::report::StepReport;
use crate::host::Abort;
use crate::journal::{BoundBy, Id, Phase};

/// What a member of a group waits for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Half of the bound, to be named.
    Half,
    /// The bound.
    Bound,
    /// The confirmation of its abort.
    Confirm,
}

/// A step that has begun and not ended.
pub(super) struct Member {
    pub row: StepReport,
    /// How many steps had begun before it, in all phases.
    pub began: usize,
    pub floor: Duration,
    pub deadline: Duration,
    pub stage: Stage,
    /// When that stage is over.
    pub timer: Duration,
    pub abort: Option<Box<dyn Abort>>,
    /// Adopted tasks are aborted at once: their bound is the confirmation.
    pub adopted: bool,
    /// A blocking callback's scope is told when its bound is over.
    pub told_when_over: Option<CancellationToken>,
    /// Whether the step calls code, rather than waiting for code that runs already.
    pub is_call: bool,
}

impl Member {
    /// Whether its wait was over before it began (rules 4 and 11): it is looked at once.
    pub fn unawaited(&self) -> bool {
        self.row.phase != Phase::Cleanup
            && matches!(
                self.row.bound_by,
                BoundBy::ShareGone | BoundBy::SecondSignal
            )
    }
}

/// The members of one group.
#[derive(Default)]
pub(super) struct Members {
    /// In the order of their ids, in which the members of a group begin; empty while one is taken out.
    slots: Vec<(Id, Option<Member>)>,
    timers: BTreeMap<Duration, Timer>,
}

/// The members that wait for one instant.
#[derive(Default)]
struct Timer {
    /// How many wait for it.
    waiting: usize,
    /// Who was put down for it: those who wait, and those who have gone since.
    ids: Vec<Id>,
}

impl Members {
    pub fn with_capacity(members: usize) -> Self {
        Members {
            slots: Vec::with_capacity(members),
            ..Members::default()
        }
    }

    /// A step has begun: its id is higher than those of the members before it.
    pub fn begin(&mut self, member: Member) {
        debug_assert!(self.slots.last().is_none_or(|(id, _)| *id < member.row.id));
        self.wait_for(&member);
        self.slots.push((member.row.id, Some(member)));
    }

    /// Takes a member out, if it has not ended.
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

    /// Puts a member back: it waits for its timer.
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

    /// When somebody has next waited long enough; `None` once all have ended.
    pub fn next(&self) -> Option<Duration> {
        self.timers.keys().next().copied()
    }

    /// Whose timer is due: by timer, then by id.
    pub fn due(&self, now: Duration) -> Vec<Id> {
        let mut due = Vec::new();
        for (at, timer) in self.timers.range(..=now) {
            let mut ids: Vec<_> = timer
                .ids
                .iter()
                .copied()
                .filter(|id| self.get(*id).is_some_and(|member| member.timer == *at))
                .collect();
            // Who came back to the same timer was put down for it twice.
            ids.sort_unstable();
            ids.dedup();
            due.append(&mut ids);
        }
        due
    }

    /// Who has not ended, by id.
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
    fn the_due_are_sorted_by_timer_then_by_id() {
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
    fn who_comes_back_to_its_timer_is_due_once() {
        let mut members = members(&[(1, 5 * MS), (2, 5 * MS)]);
        moved(&mut members, 1, 5 * MS);
        assert_eq!(members.due(5 * MS), [1, 2]);
    }

    #[test]
    fn who_has_ended_is_waited_for_by_nobody() {
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
