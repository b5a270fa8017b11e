//! Keeps the steps of a group that have begun and not ended, and the instant for which each waits next.
//!
//! A group may be large, and most of its steps end at once. So a step keeps its slot, steps that wait for the same
//! instant share one timer, and nothing is sorted without need.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::report::StepReport;
use crate::host::Abort;
use crate::journal::{BoundBy, Id, Phase};

/// The instant or event that a step of a group waits for next.
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
pub(super) struct StepInProgress {
    pub report: StepReport,
    /// Number of steps that had begun before it, in all phases.
    pub position: usize,
    pub deadline: Duration,
    pub stage: Stage,
    /// Instant at which that stage is over.
    pub timer: Duration,
    pub abort: Option<Box<dyn Abort>>,
    /// Whether it is an adopted task. Such a task is aborted at once: its bound is the confirmation.
    pub adopted_task: bool,
    /// Token that tells the scope of a blocking callback when its bound is over.
    pub scope_token: Option<CancellationToken>,
    /// Whether the step calls code, rather than waiting for code that already runs.
    pub is_call: bool,
}

impl StepInProgress {
    /// Returns whether its wait was over before it began (rules 4 and 11): the context looks at it once.
    pub fn has_no_wait(&self) -> bool {
        self.report.phase != Phase::Cleanup
            && matches!(
                self.report.bound_by,
                BoundBy::ShareGone | BoundBy::SecondSignal
            )
    }
}

/// The steps of one group.
#[derive(Default)]
pub(super) struct StepsInProgress {
    /// Sorted by id, which is the order in which the steps of a group begin. A slot is `None` while its step is taken
    /// out, and once the step has ended.
    slots: Vec<(Id, Option<StepInProgress>)>,
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

impl StepsInProgress {
    pub fn with_capacity(steps: usize) -> Self {
        StepsInProgress {
            slots: Vec::with_capacity(steps),
            ..StepsInProgress::default()
        }
    }

    /// Adds a step that has begun. Its id is higher than those of the steps before it.
    pub fn begin(&mut self, step: StepInProgress) {
        debug_assert!(self.slots.last().is_none_or(|(id, _)| *id < step.report.id));
        self.wait_for(&step);
        self.slots.push((step.report.id, Some(step)));
    }

    /// Takes a step out, if it has not ended.
    pub fn take(&mut self, id: Id) -> Option<StepInProgress> {
        let slot = self.slot(id)?;
        let step = self.slots[slot].1.take()?;
        if let Some(timer) = self.timers.get_mut(&step.timer) {
            timer.waiting -= 1;
            if timer.waiting == 0 {
                self.timers.remove(&step.timer);
            }
        }
        Some(step)
    }

    /// Puts a step back, to wait for its timer.
    pub fn put(&mut self, step: StepInProgress) {
        if let Some(slot) = self.slot(step.report.id) {
            self.wait_for(&step);
            self.slots[slot].1 = Some(step);
        }
    }

    fn wait_for(&mut self, step: &StepInProgress) {
        let timer = self.timers.entry(step.timer).or_default();
        timer.waiting += 1;
        timer.ids.push(step.report.id);
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
                .filter(|id| self.get(*id).is_some_and(|step| step.timer == *at))
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
        let in_progress = self.slots.iter().filter(|(_, step)| step.is_some());
        in_progress.map(|(id, _)| *id).collect()
    }

    fn get(&self, id: Id) -> Option<&StepInProgress> {
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

    fn step(id: Id, timer: Duration) -> StepInProgress {
        StepInProgress {
            report: StepReport {
                phase: Phase::Stop,
                id,
                name: "component".into(),
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
            position: 0,
            deadline: 10 * MS,
            stage: Stage::Half,
            timer,
            abort: None,
            adopted_task: false,
            scope_token: None,
            is_call: false,
        }
    }

    fn steps(timers: &[(Id, Duration)]) -> StepsInProgress {
        let mut steps = StepsInProgress::default();
        for (id, timer) in timers {
            steps.begin(step(*id, *timer));
        }
        steps
    }

    fn move_to_timer(steps: &mut StepsInProgress, id: Id, timer: Duration) {
        let mut step = steps.take(id).expect("it has not ended");
        step.timer = timer;
        steps.put(step);
    }

    #[test]
    fn due_steps_are_sorted_by_timer_then_by_id() {
        let mut steps = steps(&[(1, 7 * MS), (2, 5 * MS), (4, 5 * MS), (9, 8 * MS)]);
        assert_eq!(steps.next(), Some(5 * MS));
        assert!(steps.due(4 * MS).is_empty());
        assert_eq!(steps.due(7 * MS), [2, 4, 1]);
        move_to_timer(&mut steps, 9, 7 * MS);
        move_to_timer(&mut steps, 1, 9 * MS);
        move_to_timer(&mut steps, 1, 7 * MS);
        assert_eq!(steps.due(7 * MS), [2, 4, 1, 9]);
    }

    #[test]
    fn step_that_returns_to_its_timer_is_due_once() {
        let mut steps = steps(&[(1, 5 * MS), (2, 5 * MS)]);
        move_to_timer(&mut steps, 1, 5 * MS);
        assert_eq!(steps.due(5 * MS), [1, 2]);
    }

    #[test]
    fn ended_step_has_no_timer() {
        let mut steps = steps(&[(1, 5 * MS), (2, 5 * MS), (3, 6 * MS)]);
        assert!(steps.take(2).is_some());
        assert!(steps.take(2).is_none());
        assert!(steps.take(7).is_none());
        assert_eq!(steps.due(6 * MS), [1, 3]);
        assert_eq!(steps.ids(), [1, 3]);
        assert!(steps.take(1).is_some());
        assert_eq!(steps.next(), Some(6 * MS));
        assert!(steps.take(3).is_some());
        assert_eq!(steps.next(), None);
    }
}
