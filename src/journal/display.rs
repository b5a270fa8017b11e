//! Puts a claim into words: the line that a service logs.
//!
//! Four of the lines are those of an older context, since people search logs for them.

use std::fmt::{self, Display, Formatter};

use super::claim::{Claim, Registered};
use super::words::{Outcome, Phase, Told};

impl Claim {
    /// Returns the claim's name, as in JSON and in the field `event` of a log line.
    pub const fn name(&self) -> &'static str {
        match self {
            Claim::Registered(_) => "registered",
            Claim::Refused { .. } => "refused",
            Claim::State { .. } => "state",
            Claim::Requested { .. } => "requested",
            Claim::GraceBegan { .. } => "grace-began",
            Claim::PhaseStarted { .. } => "phase-started",
            Claim::PhaseEnded { .. } => "phase-ended",
            Claim::StepStarted { .. } => "step-started",
            Claim::StillWaiting { .. } => "still-waiting",
            Claim::Told { .. } => "told",
            Claim::Abort { .. } => "abort",
            Claim::StepEnded { .. } => "step-ended",
            Claim::Ended { .. } => "ended",
            Claim::Watchdog { .. } => "watchdog",
            Claim::Leak { .. } => "leak",
            Claim::Abandoned { .. } => "abandoned",
            Claim::ClosesBeforeUser { .. } => "closes-before-user",
            Claim::UsesUnknown { .. } => "uses-unknown",
            Claim::EndsBeforeUser { .. } => "ends-before-user",
            Claim::BoundOverShare { .. } => "bound-over-share",
            Claim::WakePanicked { .. } => "wake-panicked",
        }
    }
}

/// Every key of the claim in words, except a registration's `once`.
impl Display for Claim {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Claim::Registered(registered) => write_registration(out, registered),
            Claim::Refused { what, name, reason } => write!(out, "refused {what} {name}: {reason}"),
            Claim::State { state } => write!(out, "{state}"),
            Claim::Requested { reason, by } => write!(out, "stop requested by {by}: {reason}"),
            Claim::GraceBegan {
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
            Claim::PhaseStarted { phase, ends } | Claim::PhaseEnded { phase, ends } => {
                write!(out, "{phase}")?;
                ends.map_or(Ok(()), |ends| {
                    write!(out, ", its share ends at {}", At(ends))
                })
            }
            Claim::StepStarted { .. } | Claim::StillWaiting { .. } | Claim::StepEnded { .. } => {
                write_step(out, self)
            }
            Claim::Told { name, id } => write!(out, "{name} (#{id})"),
            Claim::Abort { name, id } => write!(out, "aborting {name} (#{id})"),
            Claim::Ended {
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
            Claim::Watchdog { is, attempt } => {
                let s = if *attempt == 1 { "" } else { "s" };
                write!(out, "{is}, {attempt} failure{s} in a row")
            }
            Claim::Leak { id, name, kind } => {
                write!(out, "{kind} {name} (#{id}) is left behind")
            }
            Claim::Abandoned { names } => {
                out.write_str("the last handle is gone without a stop; left running:")?;
                names.iter().try_for_each(|name| write!(out, " {name}"))
            }
            Claim::WakePanicked { id, name, error } => {
                write!(out, "the wake of {name} (#{id}) panicked: {error}")
            }
            Claim::ClosesBeforeUser { .. }
            | Claim::EndsBeforeUser { .. }
            | Claim::BoundOverShare { .. }
            | Claim::UsesUnknown { .. } => write_warning(out, self),
        }
    }
}

/// Writes the begin or the end of a step, or that it is still waited for.
fn write_step(out: &mut Formatter<'_>, claim: &Claim) -> fmt::Result {
    match claim {
        Claim::StepStarted {
            phase,
            name,
            order,
            bound,
            bound_by,
            id,
            kind,
            group,
        } => {
            match phase {
                Phase::Cleanup => write!(out, "WorkerCtx cleanup: {name}")?,
                Phase::Start => write!(out, "Waiting for start: {name}")?,
                Phase::Stop => write!(out, "Stopping: {name}")?,
            }
            write!(
                out,
                " (#{id}, {kind}, order {order}, group {group}, bound {} by {bound_by})",
                Ms(*bound)
            )
        }
        Claim::StillWaiting {
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
        Claim::StepEnded {
            phase,
            name,
            order,
            outcome,
            took,
            id,
            error,
        } => {
            let bad = error.is_some() || *outcome != Outcome::Ok;
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
        _ => Ok(()),
    }
}

/// Writes a warning about how components are registered.
fn write_warning(out: &mut Formatter<'_>, claim: &Claim) -> fmt::Result {
    match claim {
        Claim::ClosesBeforeUser {
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
        Claim::EndsBeforeUser {
            name,
            id,
            user,
            user_id,
        } => write!(
            out,
            "{name} (#{id}) may end before {user} (#{user_id}), which uses it"
        ),
        Claim::BoundOverShare {
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
        Claim::UsesUnknown { id, name, used } => {
            write!(
                out,
                "{name} (#{id}) uses {used}, and nothing is registered by that name"
            )
        }
        _ => Ok(()),
    }
}

fn write_registration(out: &mut Formatter<'_>, registered: &Registered) -> fmt::Result {
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
    if *told != Told::AtOnce {
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

/// A duration in milliseconds, displayed as people write it: `500 ms`, `2 s`, `2.5 s`.
///
/// It is exhaustive: it is a number and how it is shown.
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
///
/// It is exhaustive: it is a number and how it is shown.
pub struct At(pub u64);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// The number of a run of some code, displayed if it is not the first; 0 if the code never ran.
///
/// It is exhaustive: it is a number and how it is shown.
pub struct RunNumber(pub u32);

impl Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str(", which never began"),
            1 => Ok(()),
            nth => write!(f, ", time {nth}"),
        }
    }
}
