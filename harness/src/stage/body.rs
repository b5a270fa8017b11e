//! Behaviour of scripted components, the same for threads and tasks, blocking and async.
//!
//! A behaviour waits through its [`Pace`] only. The pace of a thread blocks in its scope, as a user's body would; the
//! pace of a task awaits. If something about the component changes, its pause ends early and the behaviour looks again.

use std::any::Any;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::fault::{Met, ScriptedEnd, Struck, meet, take_time};
use super::part::{MAIN_PART, NEVER, Part};
use super::seam::Stage;
use crate::journal::ms_rounded_up;
use crate::scenario::Needs;
use deadstop::context::MainError;
use deadstop::host::BoxError;

/// Access of a behaviour to its stage, and its way to wait.
pub(crate) trait Pace: Sync {
    /// Looks at the stage. Never waits.
    fn look<R>(&self, look: impl FnOnce(&dyn Stage) -> R) -> R;

    /// Waits until `wait` ends, or until something about the component has changed.
    fn pause(&self, wait: Wait) -> impl Future<Output = ()> + Send;

    /// Returns whether the component was told to stop.
    fn told(&self) -> bool;

    /// Registers a component, on behalf of main.
    fn register(&self, index: usize);

    /// Notes that the code of a component begins. The behaviour keeps the returned value until its end. Only for tests.
    fn enter(&self, _index: usize) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// Looks at one component.
    fn look_at<R>(&self, index: usize, look: impl FnOnce(&dyn Stage, &Part) -> R) -> R {
        self.look(|stage| look(stage, &stage.parts().all[index]))
    }
}

/// A wait of a behaviour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Instant at which it ends; [`NEVER`] if it has no end.
    pub until: u64,
    /// Whether it also ends when the component is told to stop.
    pub heeds: bool,
    /// Whether its end has no visible effect, since the behaviour only waits again. The instants of a run leave out the
    /// ends of such waits, and of no others.
    pub is_idle: bool,
}

impl Wait {
    /// Returns a wait until an instant, whether the component is told or not.
    pub fn until(until: u64) -> Self {
        Wait {
            until,
            heeds: false,
            is_idle: false,
        }
    }
}

/// Runs a behaviour with a pace that blocks: one poll runs it to its end.
pub(crate) fn blocking<T>(behaviour: impl Future<Output = T>) -> T {
    match pin!(behaviour).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a behaviour with a blocking pace never waits by itself"),
    }
}

/// A scripted component's code, which meets the faults of the component.
struct Scripted<'a, P> {
    index: usize,
    pace: &'a P,
}

impl<P: Pace> Struck for Scripted<'_, P> {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage, &Part) -> R) -> Option<R> {
        Some(self.pace.look_at(self.index, look))
    }

    fn stay(&self, until: u64) -> impl Future<Output = ()> + Send {
        self.pace.pause(Wait::until(until))
    }
}

/// Ends code as it is scripted: returns its result, or panics.
fn end_code(pace: &impl Pace, end: ScriptedEnd) -> Result<(), MainError> {
    if let ScriptedEnd::Fail {
        code: Some(code), ..
    } = end
    {
        pace.look(|stage| stage.parts().main_code.set(Some(code)));
    }
    end.result()
}

/// Runs a thread or task: works until told, then takes its time to end.
///
/// `cycle_ends_when_told` is whether the wait of a cycle ends when the component is told. In a context without tokens
/// it does not. A component without a cycle waits until it is told in any context.
pub(crate) async fn live(
    index: usize,
    pace: &impl Pace,
    cycle_ends_when_told: bool,
) -> Result<(), BoxError> {
    let _held = pace.enter(index);
    let code = Scripted { index, pace };
    loop {
        match meet(&code).await {
            // The process has ended. A body that returns by itself costs least, and leaves nothing behind.
            Met::Over => return Ok(()),
            Met::End(end) => return end_code(pace, end).map_err(|error| error.error),
            Met::Nothing => {}
        }
        let (now, ignoring, idles, period) = pace.look_at(index, |stage, part| {
            let (now, faults) = (stage.now(), &part.faults);
            let idles = faults.leave_waits_idle();
            (now, faults.ignoring(now), idles, part.spec().period)
        });
        let told = pace.told();
        if told && ignoring.is_none() {
            break;
        }
        let cycle = period.map_or(NEVER, |period| now.saturating_add(ms_rounded_up(period)));
        let ignores = ignoring.filter(|_| told).unwrap_or(NEVER);
        pace.pause(Wait {
            until: cycle.min(ignores),
            heeds: !told && (cycle_ends_when_told || period.is_none()),
            // In a context without tokens a cycle ends with a look at the flag.
            is_idle: cycle_ends_when_told && cycle < ignores && idles,
        })
        .await;
    }
    pace.look_at(index, |stage, part| stage.heard(part));
    let takes = pace.look_at(index, |_, part| ms_rounded_up(part.spec().takes));
    work_then_wait(index, pace, takes)
        .await
        .map_err(|error| error.error)
}

/// Runs a callback: takes its time from the call to the return.
pub(crate) async fn called(index: usize, pace: &impl Pace) -> Result<(), BoxError> {
    let _held = pace.enter(index);
    let takes = pace.look_at(index, |_, part| ms_rounded_up(part.spec().takes));
    work_then_wait(index, pace, takes)
        .await
        .map_err(|error| error.error)
}

/// Works for `left` milliseconds. Then waits for its jobs and for the condition on which its end waits, and touches the
/// components that it uses.
pub(crate) async fn work_then_wait(
    index: usize,
    pace: &impl Pace,
    mut left: u64,
) -> Result<(), MainError> {
    let code = Scripted { index, pace };
    let mut asked_executor = false;
    loop {
        match take_time(&code, std::mem::take(&mut left)).await {
            Met::Over => return Ok(()),
            Met::End(end) => return end_code(pace, end),
            Met::Nothing => {}
        }
        let waits = |stage: &dyn Stage, part: &Part| must_wait(stage, part, &mut asked_executor);
        if !pace.look_at(index, waits) {
            break;
        }
        pace.pause(Wait::until(NEVER)).await;
    }
    pace.look_at(index, |stage, part| {
        stage.touch(part);
        part.note_returning();
    });
    Ok(())
}

/// Returns whether a component still has to wait before it can end.
fn must_wait(stage: &dyn Stage, part: &Part, asked_executor: &mut bool) -> bool {
    if part.has_jobs() {
        return true;
    }
    match part.component.as_ref().and_then(|spec| spec.needs.as_ref()) {
        None => false,
        Some(Needs::Component(name)) => stage
            .parts()
            .named(name)
            .is_some_and(|needed| !needed.has_ended()),
        Some(Needs::Executor) => {
            if !std::mem::replace(asked_executor, true) {
                // Something of the component has to run on the executor. When that has run, the component looks again.
                part.executor_ran.set(false);
                stage.ask_executor(part);
            }
            !part.executor_ran.get()
        }
    }
}

/// Runs the scripted main: registers the components one after another, in the order of the file.
pub(crate) async fn main(pace: &impl Pace) -> Result<(), MainError> {
    let count = pace.look(|stage| stage.parts().all.len());
    for index in 1..count {
        let (late, after, before) = pace.look(|stage| {
            let parts = stage.parts();
            let spec = parts.all[index].spec();
            (
                spec.late,
                ms_rounded_up(spec.after),
                parts.all[MAIN_PART].faults.end_before(&spec.name),
            )
        });
        if late {
            continue;
        }
        work_then_wait(MAIN_PART, pace, after).await?;
        if let Some(end) = before {
            return end_code(pace, end);
        }
        pace.register(index);
    }
    work_then_wait(MAIN_PART, pace, 0).await
}
