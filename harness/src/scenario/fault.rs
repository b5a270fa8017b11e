//! Faults of components: what a scenario can say of each, and how a file states it.
//!
//! The [table of keys](super::keys) says which fault goes with which kind of component. The `stage` says what each
//! does.

use std::time::Duration;

use super::happening::{Failing, Lasting, Panicking};
use super::model::Verb;
use super::read::Fields;
use super::table::Table;
use super::time::Time;
use super::written::{quoted, time, time_or_forever};
use crate::journal::{FaultVerb, Name};

/// Time that something lasts or takes; `None` is forever.
pub type Lasts = Option<Duration>;

/// A fault of a component, or of `main`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It is stuck: it does no work and heeds nothing.
    Hang {
        /// Time for which it is stuck.
        lasts: Lasts,
    },
    /// It works on and does not heed stop.
    Ignore {
        /// Time for which it does not heed stop.
        lasts: Lasts,
    },
    /// It takes longer.
    Slow {
        /// Time that it takes in addition.
        by: Duration,
    },
    /// It returns an error: a body now, a callback when called, `main` now or before a registration. A watchdog can
    /// return no error and panics.
    Fail {
        /// Text of the error.
        message: Option<String>,
        /// For main: the component before whose registration it fails.
        before: Option<Name>,
        /// For main: the exit code that it asks for.
        code: Option<i32>,
    },
    /// It panics, at the same points.
    Panic {
        /// Text of the panic.
        message: Option<String>,
        /// For main: the component before whose registration it panics.
        before: Option<Name>,
    },
    /// It ends early and well.
    End,
    /// It holds the executor.
    Hold {
        /// Time for which it holds the executor.
        lasts: Lasts,
    },
    /// It has jobs in flight; its end waits for them.
    Job {
        /// Number of jobs.
        count: u32,
        /// Time that each job takes.
        takes: Lasts,
    },
}

/// Faults in code, for an event. A user's own component meets them where it begins and wherever it waits.
///
/// ```
/// use deadstop_harness::scenario::{Fault, Verb};
///
/// let hang: Verb = Fault::hang("flush").lasting("3s").into();
/// let fail: Verb = Fault::fail("db").message("broken pipe").into();
/// ```
impl Fault {
    /// Makes a component hang: it does no work and heeds nothing.
    pub fn hang(name: impl Into<Name>) -> Lasting {
        Lasting::new(name.into(), |lasts| Fault::Hang { lasts })
    }

    /// Keeps a thread or task from seeing that it is to stop.
    pub fn ignore(name: impl Into<Name>) -> Lasting {
        Lasting::new(name.into(), |lasts| Fault::Ignore { lasts })
    }

    /// Makes a callback begin later, or a thread or task end later, by that time.
    #[track_caller]
    pub fn slow(name: impl Into<Name>, by: impl Time) -> Verb {
        let by = by.duration();
        Fault::Slow { by }.of(name)
    }

    /// Makes a component return an error: a thread, a task or `main` where it waits, a callback instead of its real
    /// code or where it waits.
    pub fn fail(name: impl Into<Name>) -> Failing {
        Failing::new(name.into(), |message, code| Fault::Fail {
            message,
            before: None,
            code,
        })
    }

    /// Makes a component panic, in the same places as [`fail`](Self::fail).
    pub fn panic(name: impl Into<Name>) -> Panicking {
        Panicking::new(name.into(), |message| Fault::Panic {
            message,
            before: None,
        })
    }

    /// Makes a thread or task end early, and well.
    pub fn end(name: impl Into<Name>) -> Verb {
        Fault::End.of(name)
    }

    /// Returns the event in which this fault strikes that component.
    fn of(self, name: impl Into<Name>) -> Verb {
        let name = name.into();
        Verb::Fault { name, fault: self }
    }

    /// Returns the verb that states the fault in a file and names it in the journal.
    pub fn verb(&self) -> FaultVerb {
        match self {
            Fault::Hang { .. } => FaultVerb::Hang,
            Fault::Ignore { .. } => FaultVerb::Ignore,
            Fault::Slow { .. } => FaultVerb::Slow,
            Fault::Fail { .. } => FaultVerb::Fail,
            Fault::Panic { .. } => FaultVerb::Panic,
            Fault::End => FaultVerb::End,
            Fault::Hold { .. } => FaultVerb::Hold,
            Fault::Job { .. } => FaultVerb::Job,
        }
    }

    /// Returns the time that the journal gives with the fault: how long it lasts, or what it adds.
    pub fn lasts(&self) -> Lasts {
        match self {
            Fault::Hang { lasts } | Fault::Ignore { lasts } | Fault::Hold { lasts } => *lasts,
            Fault::Slow { by } => Some(*by),
            Fault::Job { takes, .. } => *takes,
            Fault::Fail { .. } | Fault::Panic { .. } | Fault::End => None,
        }
    }

    /// Returns the component before whose registration the fault strikes main, if it waits for one.
    pub fn before(&self) -> Option<&Name> {
        match self {
            Fault::Fail { before, .. } | Fault::Panic { before, .. } => before.as_ref(),
            _ => None,
        }
    }

    /// Returns whether the fault makes code fail.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Fault::Fail { .. } | Fault::Panic { .. })
    }

    /// Reads the fault of an event. `before` is the component that the key of this name refers to.
    pub(super) fn read(verb: FaultVerb, fields: &Fields, before: Option<Name>) -> Option<Self> {
        let lasts: Lasts = fields.time_or_forever("for").flatten();
        let message = fields.text("message").map(str::to_owned);
        Some(match verb {
            FaultVerb::Hang => Fault::Hang { lasts },
            FaultVerb::Ignore => Fault::Ignore { lasts },
            FaultVerb::Slow => Fault::Slow {
                by: fields.time("by")?,
            },
            FaultVerb::Fail => Fault::Fail {
                message,
                before,
                code: fields.int("code").and_then(|code| i32::try_from(code).ok()),
            },
            FaultVerb::Panic => Fault::Panic { message, before },
            FaultVerb::End => Fault::End,
            FaultVerb::Hold => Fault::Hold { lasts },
            FaultVerb::Job => Fault::Job {
                count: fields.count("count").unwrap_or(1),
                takes: fields.time_or_forever("takes")?,
            },
            // The health endpoint is no component.
            FaultVerb::Health => return None,
        })
    }

    /// Writes the keys of the fault that stand beside its verb, as [`read`](Self::read) reads them.
    pub(super) fn write(&self, table: &mut Table) {
        let text_of = |text: &Option<String>| text.as_deref().map(quoted);
        let name_of = |name: &Option<Name>| name.as_deref().map(quoted);
        match self {
            Fault::Hang { lasts } | Fault::Ignore { lasts } | Fault::Hold { lasts } => {
                table.set_or_default("for", *lasts, None, time_or_forever);
            }
            Fault::Slow { by } => table.set("by", time(*by)),
            Fault::Fail {
                message,
                before,
                code,
            } => {
                table.set_some("before", name_of(before));
                table.set_some("code", code.map(|code| code.to_string()));
                table.set_some("message", text_of(message));
            }
            Fault::Panic { message, before } => {
                table.set_some("before", name_of(before));
                table.set_some("message", text_of(message));
            }
            Fault::End => {}
            Fault::Job { count, takes } => {
                table.set_or_default("count", *count, 1, |count| count.to_string());
                table.set("takes", time_or_forever(*takes));
            }
        }
    }
}
