//! One group of steps: begun together, waited for together, each up to its own bound.
//!
//! Joins and cancels of equal order make a group; every other step, and main when a stop is requested
//! while it runs, is a group of one. So there is one place that waits, names what it waits for, calls
//! a step overdue and escalates (rules 2 to 6, 11 and 14 of the contract).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::core::{Core, outcome_of};
use super::limits::{Bound, CONFIRM, ms};
use super::opts::Wake;
use super::registry::{Action, Callback, Entry, Running};
use super::report::StepReport;
use crate::host::{Abort, Ended};
use crate::journal::{BoundBy, How, Id, Kind, Name, Outcome, Phase, What};
use crate::words::{contained, one_line};

/// A step that is about to begin.
pub(crate) struct Step {
    pub id: Id,
    pub name: Name,
    pub kind: Kind,
    pub order: i32,
    pub place: &'static Location<'static>,
    pub bound: Bound,
    /// What the step is sure of; only in cleanup.
    pub floor: Duration,
    /// How it is begun.
    pub begin: Begin,
    /// Whether it is told when it begins.
    pub told: Told,
}

/// Whether a step's component is told when the step begins.
pub(crate) enum Told {
    /// By these, after the word that it is: it may be over at once.
    Now(CancellationToken, Option<Wake>),
    /// Just now, by who begins the step; there is only the word to be said.
    Already,
    /// It was told earlier, or cannot be.
    No,
}

/// How a step is begun.
pub(crate) enum Begin {
    /// Its code runs already.
    Wait {
        abort: Option<Box<dyn Abort>>,
        adopted: bool,
    },
    /// Its code is to be called.
    Call(Callback),
}

/// Which group of which phase.
pub(crate) struct Group {
    pub phase: Phase,
    pub number: u32,
    /// The end of the phase's share.
    pub ends: Duration,
    /// The floors of the steps after this group.
    pub later_floors: Duration,
}

impl Step {
    /// A step of a registered component.
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
                token, abort, wake, ..
            }) => {
                let adopted = token.is_none();
                let told = match token.filter(|token| !token.is_cancelled()) {
                    Some(token) => Told::Now(token, wake),
                    None => {
                        // It has been called, and its drop is the caller's code too.
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

/// What a member of a group waits for next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Half of the bound, to be named.
    Half,
    /// The bound.
    Bound,
    /// The confirmation of its abort.
    Confirm,
}

/// A step that has begun and not ended.
struct Member {
    row: StepReport,
    /// How many steps had begun before it, in all phases.
    began: usize,
    floor: Duration,
    deadline: Duration,
    stage: Stage,
    /// When that stage is over.
    timer: Duration,
    abort: Option<Box<dyn Abort>>,
    /// Adopted tasks are aborted at once: their bound is the confirmation.
    adopted: bool,
    /// A blocking callback's scope is told when its bound is over.
    told_when_over: Option<CancellationToken>,
}

impl Member {
    /// Whether its wait was over before it began (rules 4 and 11): it is looked at once.
    fn unawaited(&self) -> bool {
        self.row.phase != Phase::Cleanup
            && matches!(
                self.row.bound_by,
                BoundBy::ShareGone | BoundBy::SecondSignal
            )
    }
}

/// The waiting for one group.
pub(crate) struct Waiting<'a> {
    core: &'a Arc<Core>,
    group: Group,
    members: BTreeMap<Id, Member>,
    timers: BTreeSet<(Duration, Id)>,
    hurried: bool,
    /// How many steps there were before this group; they have all ended.
    ended_before: usize,
    members_begun: usize,
}

/// Runs a group to its end: every member has ended for the context.
pub(crate) async fn run(core: &Arc<Core>, group: Group, steps: Vec<Step>) {
    let mut waiting = Waiting {
        core,
        group,
        members: BTreeMap::new(),
        timers: BTreeSet::new(),
        hurried: core.hurried(),
        ended_before: core
            .steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len(),
        members_begun: 0,
    };
    for step in steps {
        waiting.begin(step);
    }
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
        let started = self.core.host.now();
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
                // A caller's code, and so is its drop: neither its panic nor its blocking is the stop's.
                self.core.host.call(&name, wake);
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
        };
        self.members_begun += 1;
        let spawned = match begin {
            Begin::Wait { abort, adopted } => {
                let mut registry = self.core.registry();
                if let Some(ended) = registry.early.remove(&id) {
                    registry.ended.push_front((id, ended));
                }
                drop(registry);
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
        self.timers.insert((timer, id));
        self.members.insert(id, member);
        self.core.open().insert(id, (kind, name));
        if let Err(error) = spawned {
            let at = self.core.host.now();
            self.ended(
                id,
                &Ended {
                    how: How::Failed,
                    error: Some(one_line(&error)),
                    at,
                },
            );
        }
    }

    async fn wait(mut self) {
        loop {
            self.collect();
            if !self.hurried && self.core.hurried() {
                self.hurry().await;
            }
            let Some(&(next, _)) = self.timers.first() else {
                return;
            };
            let due = tokio::select! {
                biased;
                () = self.core.wake.notified() => false,
                () = self.core.host.sleep_until(next) => true,
            };
            if due {
                // What ended in this instant ended in time: let it, before anything is called overdue.
                self.core.host.settle().await;
                self.collect();
                if !self.hurried && self.core.hurried() {
                    self.hurry().await;
                }
                self.strike();
            }
        }
    }

    /// Takes note of all that has ended.
    fn collect(&mut self) {
        loop {
            let Some((id, ended)) = self.core.registry().ended.pop_front() else {
                return;
            };
            self.ended(id, &ended);
        }
    }

    /// A member's code is over. What belongs to no member was left behind earlier, or has its step yet to
    /// come: it is kept for that.
    fn ended(&mut self, id: Id, ended: &Ended) {
        let Some(mut member) = self.take(id) else {
            self.core.registry().early.insert(id, ended.clone());
            return;
        };
        // It ended after its deadline, and before anybody looked: it was overdue, and is gone. What nobody
        // waits for has no deadline but the look. In whole milliseconds, as everything.
        let late = !member.unawaited() && ms(ended.at) > ms(member.deadline);
        let outcome = match (member.stage, member.row.kind) {
            (Stage::Half | Stage::Bound, _) if late => Outcome::TimedOut,
            (_, Kind::Task) if member.adopted && ended.how == How::Dropped => Outcome::Ok,
            (Stage::Confirm, Kind::Task | Kind::Main) => Outcome::Aborted,
            (Stage::Confirm, _) => Outcome::TimedOut,
            _ => outcome_of(ended.how),
        };
        member.row.error = ended.error.clone();
        member.row.took = ended.at.saturating_sub(member.row.started);
        self.finish(member, outcome);
    }

    /// Everything whose timer is due moves on, by one stage: between an abort and the word that it was not
    /// confirmed everything that can run has to run, even where the phase has no time left for it.
    fn strike(&mut self) {
        let now = self.core.host.now();
        let due: Vec<Id> = self
            .timers
            .iter()
            .take_while(|(timer, _)| *timer <= now)
            .map(|(_, id)| *id)
            .collect();
        for id in due {
            let Some(member) = self.take(id) else {
                continue;
            };
            match member.stage {
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
    }

    /// A member is over its bound: it is left, aborted, or left behind (rule 6).
    fn overdue(&mut self, mut member: Member, now: Duration) {
        if let Some(token) = &member.told_when_over {
            token.cancel();
        }
        if member.unawaited() {
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

    /// A second signal came (rule 11): stop waits no more, cleanup waits for its floor.
    async fn hurry(&mut self) {
        self.hurried = true;
        // What ends in this very instant has ended in time.
        self.core.host.settle().await;
        self.collect();
        let now = self.core.host.now();
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            let Some(mut member) = self.take(id) else {
                continue;
            };
            if self.group.phase != Phase::Cleanup {
                // A callback's wait is over, and it learns that nobody waits for it any more.
                if let Some(token) = &member.told_when_over {
                    token.cancel();
                }
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
            // First the word: what is aborted may be gone at once.
            self.core.emit(What::Abort {
                name: member.row.name.clone(),
                id: member.row.id,
            });
            contained(|| abort.abort());
        }
    }

    fn take(&mut self, id: Id) -> Option<Member> {
        let member = self.members.remove(&id)?;
        self.timers.remove(&(member.timer, id));
        Some(member)
    }

    fn put(&mut self, mut member: Member, stage: Stage, timer: Duration) {
        member.stage = stage;
        member.timer = timer;
        self.timers.insert((timer, member.row.id));
        self.members.insert(member.row.id, member);
    }

    /// The step has ended for the context.
    fn finish(&mut self, mut member: Member, outcome: Outcome) {
        member.row.outcome = outcome;
        let row = &member.row;
        self.core.open().remove(&row.id);
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
    }
}
