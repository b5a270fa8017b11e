//! Puts an event into words, for the journal as text.

use std::fmt::{self, Write};

use deadstop::journal::{How, Id, Ms, Name, RunNumber, SignalName};

use super::event::What;
use super::names::Names;
use super::row::Row;

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
    pub fn name(&self) -> &'static str {
        match self {
            What::Journal { .. } => "journal",
            What::Worker { .. } => "worker",
            What::Running { .. } => "running",
            What::Signal { .. } => "signal",
            What::CallBegan { .. } => "call-began",
            What::Returned { .. } => "returned",
            What::Began { .. } => "began",
            What::Heard { .. } => "heard",
            What::JobBegan { .. } => "job-began",
            What::JobEnded { .. } => "job-ended",
            What::Used { .. } => "used",
            What::Held { .. } => "held",
            What::Released { .. } => "released",
            What::Fault { .. } => "fault",
            What::ProbeBegan { .. } => "probe-began",
            What::Probe { .. } => "probe",
            What::Lost { .. } => "lost",
            What::Stuck { .. } => "stuck",
            What::Killed { .. } => "killed",
            What::Exit { .. } => "exit",
            claim => claim.to_claim().map_or("", |claim| claim.name()),
        }
    }

    /// Writes a fact in words, with every key except the figures of a report's rows; nothing for a claim.
    /// `names` has the components that an event gives by number.
    ///
    /// # Errors
    ///
    /// Only if `out` fails.
    pub(super) fn write_fact(&self, out: &mut impl Write, names: &Names) -> fmt::Result {
        match self {
            What::Journal { .. } | What::Worker { .. } => write_header(out, self),
            What::Running { value } => write!(out, "{value}"),
            // SIGKILL cannot be caught, and so is not counted.
            What::Signal {
                name: SignalName::Sigkill,
                ..
            } => write!(out, "{}", SignalName::Sigkill),
            What::Signal { name, nth: 0 } => write!(out, "{name}, doubled"),
            What::Signal { name, nth } => write!(out, "{name}, number {nth}"),
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
            What::Began { id, name, nth } => write!(out, "{name} (#{id}){}", RunNumber(*nth)),
            What::Heard { id, name } | What::Held { id, name } | What::Released { id, name } => {
                write!(out, "{name} (#{id})")
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
            What::Lost { id, name, what } => write!(out, "{name} (#{id}): {what}"),
            What::Stuck { why, name } => write!(out, "{why}: {name}"),
            What::Killed { signal } => write!(out, "{signal}"),
            What::Exit { code, cause } => write!(out, "code {code}, {cause}"),
            _ => Ok(()),
        }
    }
}

/// Writes one of the two facts with which a journal begins.
fn write_header(out: &mut impl Write, what: &What) -> fmt::Result {
    match what {
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
        _ => Ok(()),
    }
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
