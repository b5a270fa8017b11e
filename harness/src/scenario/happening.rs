//! What happens to a worker, written in code: each value here becomes a [`Verb`].

use super::answer::Answer;
use super::fault::{Fault, Lasts};
use super::model::Verb;
use super::time::Time;
use crate::journal::{Call, Name, SignalName};

impl From<SignalName> for Verb {
    fn from(signal: SignalName) -> Self {
        Verb::Signal(signal)
    }
}

impl From<Call> for Verb {
    fn from(call: Call) -> Self {
        Calling::new(call).into()
    }
}

/// A fault that lasts for ever unless [`lasting`](Self::lasting) limits it.
#[derive(Clone, Debug)]
#[must_use = "a fault does nothing until it is an event"]
pub struct Lasting {
    name: Name,
    fault: fn(Lasts) -> Fault,
    lasts: Lasts,
}

impl Lasting {
    pub(super) fn new(name: Name, fault: fn(Lasts) -> Fault) -> Self {
        Lasting {
            name,
            fault,
            lasts: None,
        }
    }

    /// Sets how long it lasts. The component then goes on.
    #[track_caller]
    pub fn lasting(mut self, lasts: impl Time) -> Self {
        self.lasts = Some(lasts.duration());
        self
    }
}

impl From<Lasting> for Verb {
    fn from(Lasting { name, fault, lasts }: Lasting) -> Self {
        Verb::Fault {
            name,
            fault: fault(lasts),
        }
    }
}

/// A failure.
#[derive(Clone, Debug)]
#[must_use = "a fault does nothing until it is an event"]
pub struct Failing {
    name: Name,
    message: Option<String>,
    code: Option<i32>,
    fault: fn(Option<String>, Option<i32>) -> Fault,
}

impl Failing {
    pub(super) fn new(name: Name, fault: fn(Option<String>, Option<i32>) -> Fault) -> Self {
        Failing {
            name,
            message: None,
            code: None,
            fault,
        }
    }

    /// Sets the text of the error.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets the exit code that `main` asks for with its error.
    pub fn code(mut self, code: u8) -> Self {
        self.code = Some(i32::from(code));
        self
    }
}

impl From<Failing> for Verb {
    fn from(failing: Failing) -> Self {
        Verb::Fault {
            name: failing.name,
            fault: (failing.fault)(failing.message, failing.code),
        }
    }
}

/// A panic.
#[derive(Clone, Debug)]
#[must_use = "a fault does nothing until it is an event"]
pub struct Panicking {
    name: Name,
    message: Option<String>,
    fault: fn(Option<String>) -> Fault,
}

impl Panicking {
    pub(super) fn new(name: Name, fault: fn(Option<String>) -> Fault) -> Self {
        Panicking {
            name,
            message: None,
            fault,
        }
    }

    /// Sets the text of the panic.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

impl From<Panicking> for Verb {
    fn from(panicking: Panicking) -> Self {
        Verb::Fault {
            name: panicking.name,
            fault: (panicking.fault)(panicking.message),
        }
    }
}

/// Calls of the context.
///
/// ```
/// use deadstop_harness::journal::Call;
/// use deadstop_harness::scenario::{Calling, Verb};
///
/// let twice: Verb = Calling::new(Call::Stop).callers(2).into();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is an event"]
pub struct Calling {
    call: Call,
    from: Option<Name>,
    callers: u32,
    message: Option<String>,
}

impl Calling {
    /// Creates one call from outside of all components.
    pub fn new(call: Call) -> Self {
        Calling {
            call,
            from: None,
            callers: 1,
            message: None,
        }
    }

    /// Sets the number of callers that call at once.
    pub fn callers(mut self, callers: u32) -> Self {
        self.callers = callers;
        self
    }

    /// Makes the call come from inside that component.
    pub fn from(mut self, name: impl Into<Name>) -> Self {
        self.from = Some(name.into());
        self
    }

    /// Sets the reason of a request to stop.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

impl From<Calling> for Verb {
    fn from(calling: Calling) -> Self {
        let Calling {
            call,
            from,
            callers,
            message,
        } = calling;
        Verb::Call {
            call,
            from,
            callers,
            message,
        }
    }
}

/// What the health endpoint answers from an event on.
///
/// ```
/// use deadstop_harness::scenario::{Answer, Health, Verb};
///
/// let unwell: Verb = Health::status(503).lasting("30s").into();
/// let gone: Verb = Health::answers(Answer::Refused).into();
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer does nothing until it is an event"]
pub struct Health {
    answer: Answer,
    takes: Lasts,
    lasts: Lasts,
    every: u32,
}

impl Health {
    /// Creates a behaviour with that answer, which comes at once.
    pub fn answers(answer: Answer) -> Self {
        Health {
            answer,
            takes: Some(std::time::Duration::ZERO),
            lasts: None,
            every: 1,
        }
    }

    /// Creates a behaviour whose answer is a status, 200 to 599.
    pub fn status(status: u16) -> Self {
        Health::answers(Answer::Status(status))
    }

    /// Sets how long an answer takes.
    #[track_caller]
    pub fn taking(mut self, takes: impl Time) -> Self {
        self.takes = Some(takes.duration());
        self
    }

    /// Makes the answer never come.
    pub fn never(mut self) -> Self {
        self.takes = None;
        self
    }

    /// Sets for how long the endpoint answers like this; then it answers as before.
    #[track_caller]
    pub fn lasting(mut self, lasts: impl Time) -> Self {
        self.lasts = Some(lasts.duration());
        self
    }

    /// Applies to every `every`-th answer; the others are an immediate 200.
    pub fn every(mut self, every: u32) -> Self {
        self.every = every;
        self
    }
}

impl From<Health> for Verb {
    fn from(health: Health) -> Self {
        let Health {
            answer,
            takes,
            lasts,
            every,
        } = health;
        Verb::Health {
            answer,
            takes,
            lasts,
            every,
        }
    }
}
