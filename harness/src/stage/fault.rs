//! Faults of components: what each does to a component's code, in one place for every host.
//!
//! The [script](super::strike) strikes a component with [`strike_fault`](Stage::strike_fault), which changes the
//! component's [`Faults`]. Its code meets them where it begins, and wherever it goes on after a wait: [`meet`] says
//! what it does then. Scripted components, a user's code in the simulator, and a watchdog's production body, simulated
//! and live, differ only in how they wait, which is what [`Struck`] is for.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;

use super::part::{NEVER, Part};
use super::seam::{Later, Stage};
use crate::journal::{Id, Name, What, ms_rounded_up};
use crate::scenario::{Fault, Lasts};
use deadstop::context::MainError;

/// The faults of a component.
#[derive(Default)]
pub(crate) struct Faults {
    hung_until: Cell<u64>,
    ignoring_until: Cell<u64>,
    slow_by_ms: Cell<u64>,
    end: RefCell<Option<ScriptedEnd>>,
    /// Ends of main that wait for a registration.
    ends_before: RefCell<Vec<(Name, ScriptedEnd)>>,
    /// A hold that waits for the component's code to begin.
    pending_hold: Cell<Option<Lasts>>,
}

impl Faults {
    /// Returns the instant until which the component does not heed stop, if it does not at `now`.
    pub fn ignoring(&self, now: u64) -> Option<u64> {
        Some(self.ignoring_until.get()).filter(|until| *until > now)
    }

    /// Returns whether nothing happens where a wait of the code ends, so that a live run can hurry past it. No fault so
    /// far acts there; one that does says so here.
    #[expect(
        clippy::unused_self,
        reason = "a fault that acts there looks at its own state"
    )]
    pub const fn leave_waits_idle(&self) -> bool {
        true
    }

    /// Returns the end that waits for main to come to that registration.
    pub fn end_before(&self, name: &str) -> Option<ScriptedEnd> {
        self.ends_before
            .borrow()
            .iter()
            .find(|(before, _)| &**before == name)
            .map(|(_, end)| end.clone())
    }

    /// Returns whether a component that is stuck stays so at `now`.
    #[cfg(all(feature = "live", unix))]
    pub fn keep_stuck(&self, now: u64) -> bool {
        self.end.borrow().is_none() && self.hung_until.get() > now
    }
}

/// A scripted end of a component's code.
#[derive(Clone, Debug)]
pub(crate) enum ScriptedEnd {
    Fail {
        message: Option<String>,
        code: Option<i32>,
    },
    Panic {
        message: Option<String>,
    },
    Well,
}

impl ScriptedEnd {
    /// Ends the caller's code: returns its result, or panics.
    pub fn result(self) -> Result<(), MainError> {
        match self {
            ScriptedEnd::Well => Ok(()),
            ScriptedEnd::Fail { message, code } => {
                let message = message.unwrap_or_else(|| "scripted failure".to_owned());
                Err(match code {
                    Some(code) => MainError::with_code(code, message),
                    None => message.into(),
                })
            }
            ScriptedEnd::Panic { message } => unwind(message),
        }
    }

    /// Ends the caller's code if it can return no error: a failure panics as well.
    pub fn unwind(self) {
        match self {
            ScriptedEnd::Fail { message, .. } | ScriptedEnd::Panic { message } => unwind(message),
            ScriptedEnd::Well => {}
        }
    }
}

/// Panics without calling the panic hook: this panic is part of the script, and prints nothing.
fn unwind(message: Option<String>) -> ! {
    resume_unwind(Box::new(
        message.unwrap_or_else(|| "scripted panic".to_owned()),
    ))
}

/// What a component's code does next, where it begins or goes on.
#[derive(Debug)]
pub(crate) enum Met {
    /// It goes on.
    Nothing,
    /// It ends.
    End(ScriptedEnd),
    /// The process has ended: nothing strikes any more.
    Over,
}

/// Code that meets the faults of its component.
pub(crate) trait Struck: Sync {
    /// Looks at the component. Never waits. Returns `None` if there is no component to look at.
    fn look<R>(&self, look: impl FnOnce(&dyn Stage, &Part) -> R) -> Option<R>;

    /// Waits until an instant, or until something about the component has changed.
    fn stay(&self, until: u64) -> impl Future<Output = ()> + Send;
}

/// Lets code meet the faults of its component. It is called before the code begins, and wherever the code goes on after
/// a wait; so is [`take_time`], and at the end of a user's code. Returns when the code can go on, or has to end.
pub(crate) async fn meet(code: &impl Struck) -> Met {
    loop {
        match look_once(code) {
            Ok(met) => return met,
            Err(stuck_until) => code.stay(stuck_until).await,
        }
    }
}

/// Returns what code meets in this instant.
///
/// # Errors
///
/// If the code is stuck: the instant until which it waits, to look again.
pub(crate) fn look_once(code: &impl Struck) -> Result<Met, u64> {
    let met = code.look(|stage, part| {
        let faults = &part.faults;
        if stage.is_over() {
            return Ok(Met::Over);
        }
        if let Some(end) = faults.end.borrow().clone() {
            part.note_returning();
            return Ok(Met::End(end));
        }
        match faults.hung_until.get() {
            until if until > stage.now() => Err(until),
            _ => Ok(Met::Nothing),
        }
    });
    met.unwrap_or(Ok(Met::Nothing))
}

/// Lets code take `left` milliseconds and what slows it down, not counting the time for which it is stuck.
pub(crate) async fn take_time(code: &impl Struck, mut left: u64) -> Met {
    loop {
        match meet(code).await {
            Met::Nothing => {}
            met => return met,
        }
        let now = code.look(|stage, part| {
            left = left.saturating_add(part.faults.slow_by_ms.take());
            stage.now()
        });
        let Some(now) = now.filter(|_| left > 0) else {
            return Met::Nothing;
        };
        code.stay(now.saturating_add(left)).await;
        let passed = code.look(|stage, _| stage.now() - now);
        left = left.saturating_sub(passed.unwrap_or(left));
    }
}

impl dyn Stage + '_ {
    /// Strikes a component with a fault.
    pub fn strike_fault(&self, part: &Part, fault: &Fault) {
        self.record(What::Fault {
            fault: fault.verb(),
            name: part.name.clone(),
            id: part.id.get(),
            lasts: fault.lasts().map(ms_rounded_up),
            answer: None,
        });
        let faults = &part.faults;
        match fault {
            Fault::Hang { lasts } => faults.hung_until.set(self.instant_after(*lasts)),
            Fault::Ignore { lasts } => faults.ignoring_until.set(self.instant_after(*lasts)),
            Fault::Slow { by } => {
                let slow_by_ms = faults.slow_by_ms.get().saturating_add(ms_rounded_up(*by));
                faults.slow_by_ms.set(slow_by_ms);
            }
            Fault::Fail {
                message,
                before,
                code,
            } => {
                let (message, code) = (message.clone(), *code);
                set_end(part, ScriptedEnd::Fail { message, code }, before.as_ref());
            }
            Fault::Panic { message, before } => {
                let message = message.clone();
                set_end(part, ScriptedEnd::Panic { message }, before.as_ref());
            }
            Fault::End => set_end(part, ScriptedEnd::Well, None),
            Fault::Hold { lasts } => return self.strike_hold(part, *lasts),
            Fault::Job { count, takes } => return self.strike_jobs(part, *count, *takes),
        }
        if fault.before().is_none() {
            self.interrupt(part);
        }
    }

    /// Strikes a component whose code begins with what has waited for that.
    pub(super) fn strike_begun(&self, part: &Part) {
        if let Some(lasts) = part.faults.pending_hold.take() {
            self.begin_hold(part, lasts);
        }
    }

    /// Holds the executor: now if the component's code runs, or else when it begins. Code that has ended holds nothing.
    fn strike_hold(&self, part: &Part, lasts: Lasts) {
        if part.runs() {
            self.begin_hold(part, lasts);
        } else if !part.has_ended() {
            part.faults.pending_hold.set(Some(lasts));
        }
    }

    fn begin_hold(&self, part: &Part, lasts: Lasts) {
        let (Some(id), name) = (part.id.get(), part.name.clone()) else {
            return;
        };
        self.record(What::Held { id, name });
        self.hold_executor(part, true);
        if let Some(lasts) = lasts {
            self.schedule(ms_rounded_up(lasts), Later::Release(part.index));
        }
    }

    /// Ends a hold of the executor.
    fn release(&self, part: &Part) {
        self.hold_executor(part, false);
        if let Some(id) = part.id.get() {
            let name = part.name.clone();
            self.record(What::Released { id, name });
        }
    }

    fn strike_jobs(&self, part: &Part, count: u32, takes: Lasts) {
        let Some(id) = part.id.get().filter(|_| !part.has_ended()) else {
            return;
        };
        for _ in 0..count {
            let job = self.begin_job(part, id);
            if let Some(takes) = takes {
                self.schedule(ms_rounded_up(takes), Later::JobDone(part.index, job));
            }
        }
    }

    fn begin_job(&self, part: &Part, id: Id) -> u32 {
        let job = self.parts().next_job();
        part.jobs.borrow_mut().push(job);
        self.record(What::JobBegan { id, job });
        job
    }

    fn job_done(&self, part: &Part, job: u32) {
        let Some(id) = part.id.get() else { return };
        let mut jobs = part.jobs.borrow_mut();
        let Some(position) = jobs.iter().position(|open| *open == job) else {
            return;
        };
        jobs.remove(position);
        drop(jobs);
        self.touch(part);
        self.record(What::JobEnded { id, job });
        self.interrupt(part);
    }

    /// Makes `later` happen after `delay` milliseconds; without a delay it happens at once, within the strike.
    fn schedule(&self, delay: u64, later: Later) {
        match delay {
            0 => self.happen(later),
            delay => self.later(delay, later),
        }
    }

    /// Carries out an effect that was set for later.
    pub fn happen(&self, later: Later) {
        let part = |index: usize| &self.parts().all[index];
        match later {
            Later::Release(index) => self.release(part(index)),
            Later::JobDone(index, job) => self.job_done(part(index), job),
        }
    }

    fn instant_after(&self, lasts: Lasts) -> u64 {
        lasts.map_or(NEVER, |lasts| {
            self.now().saturating_add(ms_rounded_up(lasts))
        })
    }
}

fn set_end(part: &Part, end: ScriptedEnd, before: Option<&Name>) {
    let faults = &part.faults;
    match before {
        Some(before) => faults.ends_before.borrow_mut().push((before.clone(), end)),
        None => *faults.end.borrow_mut() = Some(end),
    }
}
