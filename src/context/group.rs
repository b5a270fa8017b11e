//! One group of steps: they begin together and are awaited together, each up to its own bound.
//!
//! Joins and cancels of equal order form a group. Every other step is a group of one, and so is main if a stop is
//! requested while it runs. So there is one place that waits, names what it waits for, declares a step overdue and
//! escalates (rules 2 to 6, 11 and 14 of the contract).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::core::{Core, outcome_of, tell};
use super::handle::ComponentHandle;
use super::limits::{Bound, MAX_CONFIRMATION};
use super::registry::{Callback, Code, RegisteredComponent};
use super::report::StepReport;
use super::steps_in_progress::{Stage, StepInProgress, StepsInProgress};
use crate::host::{Ended, SpawnError, harness_part};
use crate::journal::ms_rounded_down;
use crate::journal::{Claim, How, Id, Kind, Outcome, Phase, Record};
use crate::words::{contained, one_line};

/// A group of a phase, and the limits that the phase sets it.
pub(crate) struct Group {
    pub phase: Phase,
    pub number: u32,
    /// End of the phase's share, on the host's clock.
    pub ends: Duration,
    /// Floor of each of its steps; zero outside of cleanup.
    pub floor: Duration,
    /// Sum of the floors of the steps after this group.
    pub later_floors: Duration,
}

/// The state of the wait for one group.
pub(crate) struct GroupWait<'a> {
    core: &'a Arc<Core>,
    group: Group,
    /// Instant at which the group began. The bounds of its steps count from here.
    started: Duration,
    in_progress: StepsInProgress,
    waits_shortened: bool,
    /// Number of steps before this group, in all phases. They have all ended.
    ended_before: usize,
    steps_begun: usize,
}

/// Runs a group until each of its steps has ended for the context: each component's, within its bound. The components
/// come in ascending order of their ids.
pub(crate) async fn run(
    core: &Arc<Core>,
    group: Group,
    steps: impl IntoIterator<Item = (RegisteredComponent, Bound)>,
) {
    let steps = steps.into_iter();
    let size = steps.size_hint().0;
    let ended_before = {
        let mut ended = core
            .step_reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ended.reserve(size);
        ended.len()
    };
    let mut group_wait = GroupWait {
        core,
        group,
        started: core.host.now(),
        in_progress: StepsInProgress::with_capacity(size),
        waits_shortened: core.second_signal_came(),
        ended_before,
        steps_begun: 0,
    };
    for (component, bound) in steps {
        group_wait.begin(component, bound);
    }
    group_wait.end_early_steps();
    group_wait.wait().await;
}

impl GroupWait<'_> {
    fn begin(&mut self, mut component: RegisteredComponent, bound: Bound) {
        let core = self.core;
        let (phase, started) = (self.group.phase, self.started);
        let handle = component.handle.clone();
        let (id, name, kind) = (handle.id(), handle.name(), handle.kind());
        let order = component.opts.order;
        core.emit(Claim::StepStarted {
            phase,
            name: name.clone(),
            order,
            bound: ms_rounded_down(bound.time),
            bound_by: bound.by,
            id,
            kind,
            group: self.group.number,
        });
        tell(&*core.host, &core.wake_caller(), &mut component, || {
            core.emit(Claim::Told {
                name: name.clone(),
                id,
            });
        });
        // Not called: an adopted task cannot be told, and what was told needs no wake. Its drop is the caller's code.
        contained(|| drop(component.opts.wake.take()));
        let report = StepReport {
            phase,
            id,
            name: name.clone(),
            kind,
            order,
            place: component.place,
            outcome: Outcome::Ok,
            bound: bound.time,
            bound_by: bound.by,
            started,
            took: Duration::ZERO,
            error: None,
        };
        let half = Duration::from_millis(ms_rounded_down(bound.time).div_ceil(2));
        let (stage, timer) = if half < bound.time {
            (Stage::Half, started + half)
        } else {
            (Stage::Bound, started + bound.time)
        };
        let mut step = StepInProgress {
            report,
            position: self.ended_before + self.steps_begun,
            deadline: started + bound.time,
            stage,
            timer,
            abort: None,
            adopted_task: false,
            scope_token: None,
            is_call: matches!(component.code, Code::Call(_)),
        };
        self.steps_begun += 1;
        let spawned = self.begin_code(component.code, &handle, &mut step);
        if step.adopted_task {
            self.abort(&step);
        }
        self.in_progress.begin(step);
        handle.set_step_begun();
        if let Err(error) = spawned {
            let at = self.core.host.now();
            self.end_step(
                id,
                Ended {
                    how: How::Failed,
                    error: Some(one_line(&error)),
                    at,
                },
            );
        }
    }

    /// Calls the code of a step, or takes over code that runs already.
    fn begin_code(
        &self,
        code: Code,
        handle: &ComponentHandle,
        step: &mut StepInProgress,
    ) -> Result<(), SpawnError> {
        let core = self.core;
        match code {
            Code::Running(running) => {
                step.abort = running.abort;
                step.adopted_task = running.adopted_task;
                Ok(())
            }
            Code::Call(Callback::Blocking(body)) => {
                let token = CancellationToken::new();
                step.scope_token = Some(token.clone());
                let (who, on_end) = (core.who(handle), core.on_end(handle));
                core.host.spawn_body(who, token, body, on_end)
            }
            Code::Call(Callback::Async(call, executor)) => {
                let (who, on_end) = (core.who(handle), core.on_end(handle));
                // The call itself is the caller's code too: it runs inside the task.
                let future = Box::pin(async move { call().await });
                let spawned = match executor {
                    Some(executor) => executor.spawn_task(who, future, on_end),
                    None => core.host.spawn_task(who, future, on_end),
                };
                spawned.map(|abort| step.abort = Some(abort))
            }
        }
    }

    /// Ends the steps of components that had ended before their steps began.
    fn end_early_steps(&mut self) {
        let mut unmatched = std::mem::take(&mut self.core.registry().unmatched_ends);
        if unmatched.is_empty() {
            return;
        }
        // The highest id comes first, as accepted logs have it.
        for id in self.in_progress.ids().into_iter().rev() {
            if let Some(ended) = unmatched.remove(&id) {
                self.end_step(id, ended);
            }
        }
        self.core.registry().unmatched_ends = unmatched;
    }

    async fn wait(mut self) {
        loop {
            self.process_ends();
            if !self.waits_shortened && self.core.second_signal_came() {
                self.shorten_waits().await;
            }
            let Some(next) = self.in_progress.next() else {
                return;
            };
            let due = tokio::select! {
                biased;
                () = self.core.driver_wake.notified() => false,
                () = self.core.host.sleep_until(next) => true,
            };
            if due {
                // A step that ends in this instant ends in time. It gets to end before any step is declared overdue.
                harness_part(&*self.core.host).settle().await;
                self.process_ends();
                if !self.waits_shortened && self.core.second_signal_came() {
                    self.shorten_waits().await;
                }
                self.advance_due();
            }
        }
    }

    /// Processes all ends that were reported.
    fn process_ends(&mut self) {
        loop {
            // Takes all ends at once, since the components that end contend for the registry.
            let ends = std::mem::take(&mut self.core.registry().unprocessed_ends);
            if ends.is_empty() {
                return;
            }
            for (id, ended) in ends {
                self.end_step(id, ended);
            }
        }
    }

    /// Ends the step of a component whose code has ended. An end that belongs to no step in progress is kept: the
    /// step was left behind earlier, or is yet to begin.
    fn end_step(&mut self, id: Id, ended: Ended) {
        let Some(mut step) = self.in_progress.take(id) else {
            self.core.registry().unmatched_ends.insert(id, ended);
            return;
        };
        // It ended after its deadline, and before this check: it was overdue, and is gone. A step that is not awaited
        // has no deadline but this check. Instants are compared in whole milliseconds, as everywhere.
        let late =
            !step.has_no_wait() && ms_rounded_down(ended.at) > ms_rounded_down(step.deadline);
        let outcome = match (step.stage, step.report.kind) {
            (Stage::Half | Stage::Bound, _) if late => Outcome::TimedOut,
            (_, Kind::Task) if step.adopted_task && ended.how == How::Dropped => Outcome::Ok,
            (Stage::Confirm, Kind::Task | Kind::Main) => Outcome::Aborted,
            (Stage::Confirm, _) => Outcome::TimedOut,
            _ => outcome_of(ended.how),
        };
        step.report.error = ended.error;
        step.report.took = ended.at.saturating_sub(step.report.started);
        self.finish(step, outcome);
    }

    /// Advances every step whose timer is due, by one stage only: between an abort and the announcement that it was
    /// not confirmed, everything that can run has to run, even if the phase has no time left for the confirmation.
    fn advance_due(&mut self) {
        let now = self.core.host.now();
        let mut aborts = Vec::new();
        for id in self.in_progress.due(now) {
            let Some(step) = self.in_progress.take(id) else {
                continue;
            };
            match step.stage {
                Stage::Bound if step.abort.is_some() => aborts.push(step),
                Stage::Half => {
                    let waiting = Claim::StillWaiting {
                        name: step.report.name.clone(),
                        waited: ms_rounded_down(step.report.bound).div_ceil(2),
                        bound: ms_rounded_down(step.report.bound),
                        id,
                    };
                    let record = Record::of(&waiting).at(step.report.place);
                    self.core.sink.record(&record);
                    let deadline = step.deadline;
                    self.put(step, Stage::Bound, deadline);
                }
                Stage::Bound => self.handle_overdue(step, now),
                Stage::Confirm => self.leave_behind(step, now),
            }
        }
        // Aborts come last: an abort may let another step's thread end, which must not precede the announcement that
        // this thread was left behind.
        for step in aborts {
            self.handle_overdue(step, now);
        }
    }

    /// Handles a step that is over its bound: it is taken back, given up, aborted, or left behind (rules 4, 6 and
    /// 11).
    fn handle_overdue(&mut self, mut step: StepInProgress, now: Duration) {
        if self.try_withdraw(&mut step) {
            step.report.took = now.saturating_sub(step.report.started);
            let outcome = if step.has_no_wait() {
                Outcome::NotAwaited
            } else {
                Outcome::Failed
            };
            self.finish(step, outcome);
        } else if step.has_no_wait() {
            step.report.took = now.saturating_sub(step.report.started);
            self.finish(step, Outcome::NotAwaited);
        } else if step.abort.is_some() && !step.adopted_task {
            self.abort(&step);
            let time_left = self
                .group
                .ends
                .saturating_sub(now)
                .saturating_sub(self.group.later_floors);
            self.put(step, Stage::Confirm, now + time_left.min(MAX_CONFIRMATION));
        } else {
            self.leave_behind(step, now);
        }
    }

    /// Takes back a call that has not begun, since no thread could be had for it, and records in its report that it
    /// was never called. Returns whether there was such a call.
    fn try_withdraw(&self, step: &mut StepInProgress) -> bool {
        let report = &mut step.report;
        if !step.is_call {
            return false;
        }
        let Some(why) = self.core.withdraw(report.id) else {
            return false;
        };
        report.error = Some(one_line(&format_args!("never called: {why}")));
        true
    }

    fn leave_behind(&mut self, mut step: StepInProgress, now: Duration) {
        let report = &mut step.report;
        report.took = now.saturating_sub(report.started);
        self.core.emit(Claim::Leak {
            id: report.id,
            name: report.name.clone(),
            kind: report.kind,
        });
        self.finish(step, Outcome::Leaked);
    }

    /// Shortens all waits after a second signal (rule 11): start and stop wait no more, and cleanup waits for the
    /// floor of its step.
    async fn shorten_waits(&mut self) {
        self.waits_shortened = true;
        // A step that ends in this very instant has ended in time.
        harness_part(&*self.core.host).settle().await;
        self.process_ends();
        let now = self.core.host.now();
        for id in self.in_progress.ids() {
            let Some(mut step) = self.in_progress.take(id) else {
                continue;
            };
            if self.group.phase != Phase::Cleanup {
                // A call that has not begun is taken back. A callback that runs is told by `finish`: its wait is
                // over.
                self.try_withdraw(&mut step);
                step.report.took = now.saturating_sub(step.report.started);
                self.finish(step, Outcome::NotAwaited);
                continue;
            }
            let (stage, timer) = (step.stage, step.timer);
            let floor = now.max(step.report.started + self.group.floor);
            if stage != Stage::Confirm && floor < step.deadline {
                step.deadline = floor;
            }
            let deadline = step.deadline;
            match stage {
                Stage::Half if timer < deadline => self.put(step, Stage::Half, timer),
                Stage::Half | Stage::Bound => self.put(step, Stage::Bound, deadline),
                Stage::Confirm => self.put(step, Stage::Confirm, timer),
            }
        }
    }

    fn abort(&self, step: &StepInProgress) {
        if let Some(abort) = &step.abort {
            // The announcement comes first: the aborted code may be gone at once.
            self.core.emit(Claim::Abort {
                name: step.report.name.clone(),
                id: step.report.id,
            });
            contained(|| abort.abort());
        }
    }

    fn put(&mut self, mut step: StepInProgress, stage: Stage, timer: Duration) {
        step.stage = stage;
        step.timer = timer;
        self.in_progress.put(step);
    }

    /// Ends the step for the context: announces and records its outcome.
    fn finish(&mut self, mut step: StepInProgress, outcome: Outcome) {
        step.report.outcome = outcome;
        let still_runs = matches!(outcome, Outcome::Leaked | Outcome::NotAwaited);
        let scope_token = step.scope_token.take().filter(|_| still_runs);
        let report = &step.report;
        self.core.emit(Claim::StepEnded {
            phase: report.phase,
            name: report.name.clone(),
            order: report.order,
            outcome,
            took: ms_rounded_down(report.took),
            id: report.id,
            error: report.error.clone(),
        });
        self.core
            .step_reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((step.position, step.report));
        // This comes last, as an abort does: the code may end at once.
        if let Some(token) = scope_token {
            token.cancel();
        }
    }
}
