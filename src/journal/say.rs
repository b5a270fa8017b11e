//! Puts an event into words. The text and the events for `tracing` both take their words from here.
//!
//! A line that the plan logs has the plan's words, since people search logs for them.

use std::fmt::{self, Display, Write};

use super::event::{Id, Name, Registered, Row, What};
use super::names::Names;
use super::words::{How, Outcome, Phase, SignalName};

/// Name of the plan's context in the plan's own log.
const PLANS_NAME: &str = "FastAPIWorkerCtx";
/// Name of this crate's context.
const OUR_NAME: &str = "WorkerCtx";

impl What {
    /// Returns the name of the event's component, if the event has one.
    pub fn component(&self) -> Option<&Name> {
        match self {
            What::Registered(registered) => Some(&registered.name),
            What::StepStarted { name, .. }
            | What::StillWaiting { name, .. }
            | What::Told { name, .. }
            | What::WakePanicked { name, .. }
            | What::Abort { name, .. }
            | What::StepEnded { name, .. }
            | What::Began { name, .. }
            | What::Heard { name, .. }
            | What::Ended { name, .. }
            | What::Held { name, .. }
            | What::Released { name, .. }
            | What::Fault { name, .. }
            | What::Leak { name, .. }
            | What::Lost { name, .. }
            | What::Stuck { name, .. }
            | What::ClosesBeforeUser { name, .. }
            | What::UsesUnknown { name, .. }
            | What::EndsBeforeUser { name, .. }
            | What::BoundOverShare { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the event's name, as in the JSON form.
    pub const fn name(&self) -> &'static str {
        match self {
            What::Journal { .. } => "journal",
            What::Worker { .. } => "worker",
            What::Registered(_) => "registered",
            What::Refused { .. } => "refused",
            What::State { .. } => "state",
            What::Running { .. } => "running",
            What::Signal { .. } => "signal",
            What::Requested { .. } => "requested",
            What::GraceBegan { .. } => "grace-began",
            What::CallBegan { .. } => "call-began",
            What::Returned { .. } => "returned",
            What::PhaseStarted { .. } => "phase-started",
            What::PhaseEnded { .. } => "phase-ended",
            What::StepStarted { .. } => "step-started",
            What::StillWaiting { .. } => "still-waiting",
            What::Told { .. } => "told",
            What::Abort { .. } => "abort",
            What::StepEnded { .. } => "step-ended",
            What::Began { .. } => "began",
            What::Heard { .. } => "heard",
            What::Ended { .. } => "ended",
            What::JobBegan { .. } => "job-began",
            What::JobEnded { .. } => "job-ended",
            What::Used { .. } => "used",
            What::Held { .. } => "held",
            What::Released { .. } => "released",
            What::Fault { .. } => "fault",
            What::ProbeBegan { .. } => "probe-began",
            What::Probe { .. } => "probe",
            What::Watchdog { .. } => "watchdog",
            What::Leak { .. } => "leak",
            What::Lost { .. } => "lost",
            What::Stuck { .. } => "stuck",
            What::Killed { .. } => "killed",
            What::Exit { .. } => "exit",
            What::Abandoned { .. } => "abandoned",
            What::ClosesBeforeUser { .. } => "closes-before-user",
            What::UsesUnknown { .. } => "uses-unknown",
            What::EndsBeforeUser { .. } => "ends-before-user",
            What::BoundOverShare { .. } => "bound-over-share",
            What::WakePanicked { .. } => "wake-panicked",
        }
    }

    /// Writes the event in words, with every key except a registration's `once` and the figures of a report's rows.
    /// `plan` is whether the event is of the plan's context; `names` has the components that an event gives by
    /// number.
    ///
    /// # Errors
    ///
    /// Only if `out` fails.
    pub(super) fn write_words(
        &self,
        out: &mut impl Write,
        plan: bool,
        names: &Names,
    ) -> fmt::Result {
        match self {
            What::Journal {
                version,
                scenario,
                seed,
                subject,
                host,
            } => {
                let whose = match &**subject {
                    "own-worker" => "a worker of one's own".to_owned(),
                    subject => format!("the {subject}'s context"),
                };
                write!(
                    out,
                    "{scenario}, seed {seed}, {whose} on {host} (journal version {version})"
                )
            }
            What::Worker {
                grace,
                reserve,
                margin,
                ties,
                start_timeout,
                pre_stop,
            } => {
                write!(
                    out,
                    "grace {}, reserve {}, margin {}, ties {ties}, start timeout {}",
                    Ms(*grace),
                    Ms(*reserve),
                    Ms(*margin),
                    Ms(*start_timeout)
                )?;
                match pre_stop {
                    Some(delay) => write!(out, ", pre-stop delay {}", Ms(*delay)),
                    None => Ok(()),
                }
            }
            What::Registered(registered) => write_registration(out, registered),
            What::Refused { what, name, reason } => write!(out, "refused {what} {name}: {reason}"),
            What::State { state } => write!(out, "{state}"),
            What::Running { value } => write!(out, "{value}"),
            // SIGKILL cannot be caught, and so is not counted.
            What::Signal {
                name: SignalName::Sigkill,
                ..
            } => write!(out, "{}", SignalName::Sigkill),
            What::Signal { name, nth: 0 } => write!(out, "{name}, doubled"),
            What::Signal { name, nth } => write!(out, "{name}, number {nth}"),
            What::Requested { reason, by } => write!(out, "stop requested by {by}: {reason}"),
            What::GraceBegan {
                stop_ends,
                cleanup_ends,
                last_resort,
                kill,
            } => write!(
                out,
                "stop until {}, cleanup until {}, last resort at {}, SIGKILL at {}",
                At(*stop_ends),
                At(*cleanup_ends),
                At(*last_resort),
                At(*kill)
            ),
            What::CallBegan { call, caller, from } => {
                write!(out, "caller {caller} calls {call}")?;
                from.as_ref()
                    .map_or(Ok(()), |from| write!(out, " from inside {from}"))
            }
            What::Returned {
                call,
                caller,
                result,
                steps,
                deaths,
            } => {
                write!(out, "caller {caller} has {call}: {result}")?;
                write_rows(out, steps, deaths)
            }
            What::PhaseStarted { phase, ends } | What::PhaseEnded { phase, ends } => {
                write!(out, "{phase}")?;
                ends.map_or(Ok(()), |ends| {
                    write!(out, ", its share ends at {}", At(ends))
                })
            }
            What::StepStarted {
                phase,
                name,
                order,
                bound,
                bound_by,
                id,
                kind,
                group,
            } => {
                match (phase, plan) {
                    (Phase::Cleanup, true) => write!(out, "{PLANS_NAME} cleanup: {name}")?,
                    (Phase::Cleanup, false) => write!(out, "{OUR_NAME} cleanup: {name}")?,
                    (Phase::Start, _) => write!(out, "Waiting for start: {name}")?,
                    (Phase::Stop, _) => write!(out, "Stopping: {name}")?,
                }
                write!(
                    out,
                    " (#{id}, {kind}, order {order}, group {group}, bound {} by {bound_by})",
                    Ms(*bound)
                )
            }
            What::StillWaiting {
                name,
                waited,
                bound,
                id,
            } => {
                write!(
                    out,
                    "still waiting for {name} (#{id}): {} of {}",
                    Ms(*waited),
                    Ms(*bound)
                )
            }
            What::Told { name, id } => write!(out, "{name} (#{id})"),
            What::Abort { name, id } => write!(out, "aborting {name} (#{id})"),
            What::StepEnded {
                phase,
                name,
                order,
                outcome,
                took,
                id,
                error,
            } => {
                // The plan logs no words for a step that it gave up; the context begins every bad end alike.
                let bad = error.is_some() || (*outcome != Outcome::Ok && !plan);
                match (phase, bad) {
                    (_, false) => write!(out, "{name}")?,
                    (Phase::Cleanup, true) => write!(out, "Cleanup failed for {name}")?,
                    (_, true) => write!(out, "Error during {phase} of {name}")?,
                }
                if let Some(error) = error {
                    write!(out, ": {error}")?;
                }
                write!(
                    out,
                    " (#{id}, {phase}, order {order}): {outcome} after {}",
                    Ms(*took)
                )
            }
            What::Began { id, name, nth } => write!(out, "{name} (#{id}){}", RunNumber(*nth)),
            What::Heard { id, name } | What::Held { id, name } | What::Released { id, name } => {
                write!(out, "{name} (#{id})")
            }
            What::Ended {
                id,
                name,
                nth,
                how,
                error,
                code,
            } => {
                write!(out, "{name} (#{id}){}: {how}", RunNumber(*nth))?;
                if let Some(error) = error {
                    write!(out, ": {error}")?;
                }
                code.map_or(Ok(()), |code| write!(out, " (asks for exit code {code})"))
            }
            What::JobBegan { id, job } | What::JobEnded { id, job } => {
                write!(out, "job {job} of {}", names.of(*id))
            }
            What::Used {
                id,
                of,
                alive: true,
            } => write!(out, "{} uses {}", names.of(*id), names.of(*of)),
            What::Used {
                id,
                of,
                alive: false,
            } => write!(
                out,
                "{} uses {}, which is closed",
                names.of(*id),
                names.of(*of)
            ),
            What::Fault {
                fault,
                name,
                id,
                lasts,
                answer,
            } => {
                write!(out, "{fault}: {}", answer.as_ref().unwrap_or(name))?;
                if let Some(id) = id {
                    write!(out, " (#{id})")?;
                }
                lasts.map_or(Ok(()), |lasts| write!(out, " for {}", Ms(lasts)))
            }
            What::ProbeBegan { n } => write!(out, "probe {n}"),
            What::Probe {
                n,
                result,
                took,
                ignored,
            } => {
                write!(out, "probe {n}: {result} after {}", Ms(*took))?;
                if *ignored {
                    out.write_str(", too late for anybody")
                } else {
                    Ok(())
                }
            }
            What::Watchdog { is, attempt } => {
                let s = if *attempt == 1 { "" } else { "s" };
                write!(out, "{is}, {attempt} failure{s} in a row")
            }
            What::Leak { id, name, kind } => {
                write!(out, "{kind} {name} (#{id}) is left behind")
            }
            What::Lost { id, name, what } => write!(out, "{name} (#{id}): {what}"),
            What::Stuck { why, name } => write!(out, "{why}: {name}"),
            What::Killed { signal } => write!(out, "{signal}"),
            What::Exit { code, cause } => write!(out, "code {code}, {cause}"),
            What::Abandoned { names } => {
                out.write_str("the last handle is gone without a stop; left running:")?;
                names.iter().try_for_each(|name| write!(out, " {name}"))
            }
            What::WakePanicked { id, name, error } => {
                write!(out, "the wake of {name} (#{id}) panicked: {error}")
            }
            What::ClosesBeforeUser {
                name,
                order,
                id,
                user,
                user_order,
                user_id,
            } => write!(
                out,
                "{name} ({order}) closes before {user} ({user_order}), which uses it (#{id}, #{user_id})"
            ),
            What::EndsBeforeUser {
                name,
                id,
                user,
                user_id,
            } => write!(
                out,
                "{name} (#{id}) may end before {user} (#{user_id}), which uses it"
            ),
            What::BoundOverShare {
                id,
                name,
                bound,
                phase,
                share,
            } => write!(
                out,
                "{name} (#{id}) has a bound of {}, and {phase} has {} at most",
                Ms(*bound),
                Ms(*share)
            ),
            What::UsesUnknown { id, name, used } => {
                write!(
                    out,
                    "{name} (#{id}) uses {used}, and nothing is registered by that name"
                )
            }
        }
    }
}

fn write_registration(out: &mut impl Write, registered: &Registered) -> fmt::Result {
    let Registered {
        id,
        kind,
        name,
        order,
        timeout,
        floor,
        uses,
        told,
        is_async,
        adopted,
        ..
    } = registered;
    write!(
        out,
        "{kind} {name} (#{id}), order {order}, timeout {}",
        Ms(*timeout)
    )?;
    if let Some(floor) = floor {
        write!(out, ", floor {}", Ms(*floor))?;
    }
    if *told != super::words::Told::AtOnce {
        write!(out, ", told {told}")?;
    }
    if *is_async {
        out.write_str(", async")?;
    }
    if *adopted {
        out.write_str(", adopted")?;
    }
    if let (Some(interval), Some(attempts), Some(timeout)) = (
        registered.interval,
        registered.attempts,
        registered.request_timeout,
    ) {
        write!(
            out,
            ", interval {}, {attempts} attempts, request timeout {}",
            Ms(interval),
            Ms(timeout)
        )?;
    }
    if let Some(grace) = registered.start_grace {
        write!(out, ", start grace {}", Ms(grace))?;
    }
    for (n, used) in uses.iter().enumerate() {
        write!(out, "{}{used}", if n == 0 { ", uses " } else { " and " })?;
    }
    Ok(())
}

fn write_rows(out: &mut impl Write, steps: &[Row], deaths: &[(Id, How)]) -> fmt::Result {
    // The rows' figures are those of the steps above.
    for (n, row) in steps.iter().enumerate() {
        let before = if n == 0 { "; steps " } else { ", " };
        write!(out, "{before}#{} {}", row.id, row.outcome)?;
    }
    for (n, (id, how)) in deaths.iter().enumerate() {
        write!(out, "{}#{id} {how}", if n == 0 { "; died " } else { ", " })?;
    }
    Ok(())
}

/// A duration in milliseconds, displayed as people write it: `500 ms`, `2 s`, `2.5 s`.
pub struct Ms(pub u64);

impl Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1_000, self.0 % 1_000) {
            (0, ms) => write!(f, "{ms} ms"),
            (s, 0) => write!(f, "{s} s"),
            (s, ms) if ms % 100 == 0 => write!(f, "{s}.{} s", ms / 100),
            (s, ms) if ms % 10 == 0 => write!(f, "{s}.{:02} s", ms / 10),
            (s, ms) => write!(f, "{s}.{ms:03} s"),
        }
    }
}

/// An instant in milliseconds, displayed as in the first column of the text.
pub struct At(pub u64);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// The number of a run, displayed if it is not the first.
struct RunNumber(u32);

impl Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str(", which never began"),
            1 => Ok(()),
            nth => write!(f, ", time {nth}"),
        }
    }
}
