//! One group of steps: they begin together and are awaited together, each up to its own bound.
//!
//! Joins and cancels of equal order form a group. Every other step is a group of one, and so is main if a stop is
//! requested while it runs. So there is one place that waits, names what it waits for, declares a step overdue and
//! escalates (rules 2 to 6, 11 and 14 of the contract).

use std::panic::Location;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::core::{Core, outcome_of};
use super::limits::{Bound, CONFIRM, ms};
use super::members::{Member, Members, Stage};
use super::opts::Wake;
use super::registry::{Action, Callback, Entry, Running};
use super::report::StepReport;
use crate::host::{Abort, Ended};
use crate::journal::{How, Id, Kind, Name, Outcome, Phase, What};
use crate::words::{contained, one_line};

/// A step that is about to begin.
pub(crate) struct Step {
    pub id: Id,
    pub name: Name,
    pub kind: Kind,
    pub order: i32,
    pub place: &'static Location<'static>,
    pub bound: Bound,
    /// Floor of the step; zero outside of cleanup.
    pub floor: Duration,
    /// How the step begins.
    pub begin: Begin,
    /// Whether the component is told when the step begins.
    pub told: Told,
}

/// Whether a step's component is told when the step begins.
pub(crate) enum Told {
    /// Told through these, after the announcement, since the component may end at once.
    Now(CancellationToken, Option<Wake>),
    /// Told just before, by the caller that begins the step: only the announcement is left to do.
    Already,
    /// Told earlier, or cannot be told.
    No,
}

/// How a step begins.
pub(crate) enum Begin {
    /// Waits for code that already runs.
    Wait {
        abort: Option<Box<dyn Abort>>,
        adopted: bool,
    },
    /// Calls the code.
    Call(Callback),
}

/// A group of a phase, and the limits that the phase sets it.
pub(crate) struct Group {
    pub phase: Phase,
    pub number: u32,
    /// End of the phase's share, on the host's clock.
    pub ends: Duration,
    /// Sum of the floors of the steps after this group.
    pub later_floors: Duration,
}

impl Step {
    /// Returns the step of a registered component.
    pub fn of(entry: Entry, bound: Bound, floor: Duration) -> Self {
        let Entry {
            id,
            name,
            kind,
            order,
            place,
            action,
            ..
        } = entry;
        let (begin, told) = match action {
            Action::Running(Running {
                adopted,
                token,
                abort,
                wake,
                ..
            }) => {
                let told = match token.filter(|token| !token.is_cancelled()) {
                    Some(token) => Told::Now(token, wake),
                    None => {
                        // Not called: an adopted task cannot be told, and a cancelled token needs no wake. Its drop
                        // is the caller's code.
                        contained(|| drop(wake));
                        Told::No
                    }
                };
                (Begin::Wait { abort, adopted }, told)
            }
            Action::Call(callback) => (Begin::Call(callback), Told::No),
        };
        Step {
            id,
            name,
            kind,
            order,
            place,
            bound,
            floor,
            begin,
            told,
        }
    }
}

/// The state of the wait for one group.
pub(crate) struct Waiting<'a> {
    core: &'a Arc<Core>,
    group: Group,
    /// Instant at which the group began. The bounds of its steps count from here.
    started: Duration,
    members: Members,
    hurried: bool,
    /// Number of steps before this group, in all phases. They have all ended.
    ended_before: usize,
    members_begun: usize,
}

/// Runs a group until each of its steps has ended for the context. The steps come in ascending order of their ids.
pub(crate) async fn run(core: &Arc<Core>, group: Group, steps: impl IntoIterator<Item = Step>) {
    let steps = steps.into_iter();
    let size = steps.size_hint().0;
    let ended_before = {
        let mut ended = core.steps.lock().unwrap_or_else(PoisonError::into_inner);
        ended.reserve(size);
        ended.len()
    };
    let mut waiting = Waiting {
        core,
        group,
        started: core.host.now(),
        members: Members::with_capacity(size),
        hurried: core.hurried(),
        ended_before,
        members_begun: 0,
    };
    for step in steps {
        waiting.begin(step);
    }
    waiting.recall();
    waiting.wait().await;
}

impl Waiting<'_> {
    fn begin(&mut self, step: Step) {
        let Step {
            id,
            name,
            kind,
            order,
            place,
            bound,
            floor,
            begin,
            told,
        } = step;
        let phase = self.group.phase;
        let started = self.started;
        self.core.emit(What::StepStarted {
            phase,
            name: name.clone(),
            order,
            bound: ms(bound.of),
            bound_by: bound.by,
            id,
            kind,
            group: self.group.number,
        });
        if !matches!(told, Told::No) {
            self.core.emit(What::Told {
                name: name.clone(),
                id,
            });
        }
        if let Told::Now(token, wake) = told {
            token.cancel();
            if let Some(wake) = wake {
                let host = &*self.core.host;
                self.core.wakes().call(host, id, name.clone(), kind, wake);
            }
        }
        let row = StepReport {
            phase,
            id,
            name: name.clone(),
            kind,
            order,
            place,
            outcome: Outcome::Ok,
            bound: bound.of,
            bound_by: bound.by,
            started,
            took: Duration::ZERO,
            error: None,
        };
        let half = Duration::from_millis(ms(bound.of).div_ceil(2));
        let (stage, timer) = if half < bound.of {
            (Stage::Half, started + half)
        } else {
            (Stage::Bound, started + bound.of)
        };
        let mut member = Member {
            row,
            began: self.ended_before + self.members_begun,
            floor,
            deadline: started + bound.of,
            stage,
            timer,
            abort: None,
            adopted: false,
            told_when_over: None,
            is_call: matches!(begin, Begin::Call(_)),
        };
        self.members_begun += 1;
        let spawned = match begin {
            Begin::Wait { abort, adopted } => {
                member.abort = abort;
                member.adopted = adopted;
                Ok(())
            }
            Begin::Call(Callback::Blocking(body)) => {
                let token = CancellationToken::new();
                member.told_when_over = Some(token.clone());
                let who = self.core.who(id, &name, kind);
                self.core
                    .host
                    .spawn_body(who, token, body, self.core.on_end(id, name.clone()))
            }
            Begin::Call(Callback::Async(call, executor)) => {
                let who = self.core.who(id, &name, kind);
                let on_end = self.core.on_end(id, name.clone());
                // The call itself is the caller's code too: it runs inside the task.
                let future = Box::pin(async move { call().await });
                let spawned = match executor {
                    Some(executor) => executor.spawn_task(who, future, on_end),
                    None => self.core.host.spawn_task(who, future, on_end),
                };
                spawned.map(|abort| member.abort = Some(abort))
            }
        };
        if member.adopted {
            self.abort(&member);
        }
        self.members.begin(member);
        if let Some(taken) = self.core.registry().taken.get_mut(&id) {
            taken.begun = true;
        }
        if let Err(error) = spawned {
            let at = self.core.host.now();
            self.ended(
                id,
                Ended {
                    how: How::Failed,
                    error: Some(one_line(&error)),
                    at,
                },
            );
        }
    }

    /// Ends the steps of components that had ended before their steps began.
    fn recall(&mut self) {
        let mut early = std::mem::take(&mut self.core.registry().early);
        if early.is_empty() {
            return;
        }
        // The highest id comes first, as accepted logs have it.
        for id in self.members.ids().into_iter().rev() {
            if let Some(ended) = early.remove(&id) {
                self.ended(id, ended);
            }
        }
        self.core.registry().early = early;
    }

    async fn wait(mut self) {
        loop {
            self.collect();
            if !self.hurried && self.core.hurried() {
                self.hurry().await;
            }
            let Some(next) = self.members.next() else {
                return;
            };
            let due = tokio::select! {
                biased;
                () = self.core.wake.notified() => false,
                () = self.core.host.sleep_until(next) => true,
            };
            if due {
                // What ends in this instant ends in time. It gets to end before any step is declared overdue.
                self.core.host.settle().await;
                self.collect();
                if !self.hurried && self.core.hurried() {
                    self.hurry().await;
                }
                self.strike();
            }
        }
    }

    /// Processes all ends that were reported.
    fn collect(&mut self) {
        loop {
            // Takes all ends at once, since the components that end contend for the registry.
            let ended = std::mem::take(&mut self.core.registry().ended);
            if ended.is_empty() {
                return;
            }
            for (id, ended) in ended {
                self.ended(id, ended);
            }
        }
    }

    /// Ends the step of a component whose code has ended. An end that belongs to no step in progress is kept: the
    /// step was left behind earlier, or is yet to begin.
    fn ended(&mut self, id: Id, ended: Ended) {
        let Some(mut member) = self.members.take(id) else {
            self.core.registry().early.insert(id, ended);
            return;
        };
        // It ended after its deadline, and before this check: it was overdue, and is gone. A step that is not awaited
        // has no deadline but this check. Instants are compared in whole milliseconds, as everywhere.
        let late = !member.unawaited() && ms(ended.at) > ms(member.deadline);
        let outcome = match (member.stage, member.row.kind) {
            (Stage::Half | Stage::Bound, _) if late => Outcome::TimedOut,
            (_, Kind::Task) if member.adopted && ended.how == How::Dropped => Outcome::Ok,
            (Stage::Confirm, Kind::Task | Kind::Main) => Outcome::Aborted,
            (Stage::Confirm, _) => Outcome::TimedOut,
            _ => outcome_of(ended.how),
        };
        member.row.error = ended.error;
        member.row.took = ended.at.saturating_sub(member.row.started);
        self.finish(member, outcome);
    }

    /// Advances every step whose timer is due, by one stage only: between an abort and the announcement that it was
    /// not confirmed, everything that can run has to run, even if the phase has no time left for the confirmation.
    fn strike(&mut self) {
        let now = self.core.host.now();
        let mut aborts = Vec::new();
        for id in self.members.due(now) {
            let Some(member) = self.members.take(id) else {
                continue;
            };
            match member.stage {
                Stage::Bound if member.abort.is_some() => aborts.push(member),
                Stage::Half => {
                    let waiting = What::StillWaiting {
                        name: member.row.name.clone(),
                        waited: ms(member.row.bound).div_ceil(2),
                        bound: ms(member.row.bound),
                        id,
                    };
                    self.core.sink.claim_of(&waiting, member.row.place);
                    let deadline = member.deadline;
                    self.put(member, Stage::Bound, deadline);
                }
                Stage::Bound => self.overdue(member, now),
                Stage::Confirm => self.leave_behind(member, now),
            }
        }
        // Aborts come last: an abort may let another step's thread end, which must not precede the announcement that
        // this thread was left behind.
        for member in aborts {
            self.overdue(member, now);
        }
    }

    /// Handles a step that is over its bound: it is taken back, given up, aborted, or left behind (rules 4, 6 and
    /// 11).
    fn overdue(&mut self, mut member: Member, now: Duration) {
        if self.withdraw(&mut member) {
            member.row.took = now.saturating_sub(member.row.started);
            let outcome = if member.unawaited() {
                Outcome::NotAwaited
            } else {
                Outcome::Failed
            };
            self.finish(member, outcome);
        } else if member.unawaited() {
            member.row.took = now.saturating_sub(member.row.started);
            self.finish(member, Outcome::NotAwaited);
        } else if member.abort.is_some() && !member.adopted {
            self.abort(&member);
            let left = self
                .group
                .ends
                .saturating_sub(now)
                .saturating_sub(self.group.later_floors);
            self.put(member, Stage::Confirm, now + left.min(CONFIRM));
        } else {
            self.leave_behind(member, now);
        }
    }

    /// Takes back a call that has not begun, since no thread could be had for it, and records in its report that it
    /// was never called. Returns whether there was such a call.
    fn withdraw(&self, member: &mut Member) -> bool {
        let row = &mut member.row;
        if !member.is_call {
            return false;
        }
        let Some(why) = self.core.withdraw(row.id) else {
            return false;
        };
        row.error = Some(one_line(&format_args!("never called: {why}")));
        true
    }

    fn leave_behind(&mut self, mut member: Member, now: Duration) {
        let row = &mut member.row;
        row.took = now.saturating_sub(row.started);
        self.core.emit(What::Leak {
            id: row.id,
            name: row.name.clone(),
            kind: row.kind,
        });
        self.finish(member, Outcome::Leaked);
    }

    /// Shortens all waits after a second signal (rule 11): start and stop wait no more, and cleanup waits for the
    /// floor of its step.
    async fn hurry(&mut self) {
        self.hurried = true;
        // What ends in this very instant has ended in time.
        self.core.host.settle().await;
        self.collect();
        let now = self.core.host.now();
        for id in self.members.ids() {
            let Some(mut member) = self.members.take(id) else {
                continue;
            };
            if self.group.phase != Phase::Cleanup {
                // A call that has not begun is taken back. A callback that runs is told by `finish`: its wait is
                // over.
                self.withdraw(&mut member);
                member.row.took = now.saturating_sub(member.row.started);
                self.finish(member, Outcome::NotAwaited);
                continue;
            }
            let (stage, timer) = (member.stage, member.timer);
            let floor = now.max(member.row.started + member.floor);
            if stage != Stage::Confirm && floor < member.deadline {
                member.deadline = floor;
            }
            let deadline = member.deadline;
            match stage {
                Stage::Half if timer < deadline => self.put(member, Stage::Half, timer),
                Stage::Half | Stage::Bound => self.put(member, Stage::Bound, deadline),
                Stage::Confirm => self.put(member, Stage::Confirm, timer),
            }
        }
    }

    fn abort(&self, member: &Member) {
        if let Some(abort) = &member.abort {
            // The announcement comes first: the aborted code may be gone at once.
            self.core.emit(What::Abort {
                name: member.row.name.clone(),
                id: member.row.id,
            });
            contained(|| abort.abort());
        }
    }

    fn put(&mut self, mut member: Member, stage: Stage, timer: Duration) {
        member.stage = stage;
        member.timer = timer;
        self.members.put(member);
    }

    /// Ends the step for the context: announces and records its outcome.
    fn finish(&mut self, mut member: Member, outcome: Outcome) {
        member.row.outcome = outcome;
        let left = matches!(outcome, Outcome::Leaked | Outcome::NotAwaited);
        let told_when_over = member.told_when_over.take().filter(|_| left);
        let row = &member.row;
        self.core.emit(What::StepEnded {
            phase: row.phase,
            name: row.name.clone(),
            order: row.order,
            outcome,
            took: ms(row.took),
            id: row.id,
            error: row.error.clone(),
        });
        self.core
            .steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((member.began, member.row));
        // This comes last, as an abort does: the code may end at once.
        if let Some(token) = told_when_over {
            token.cancel();
        }
    }
}
