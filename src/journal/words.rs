//! The closed vocabularies of the journal: each an enum whose variants are written in kebab-case.

use std::fmt;

/// Declares an enum of words: `Display`, `as_str`, `ALL`, and (with the simulator) serde, all from
/// one list, so that the text, the JSON and the scenario file cannot disagree.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "sim", derive(serde::Serialize, serde::Deserialize))]
        pub enum $name {
            $($(#[$vmeta])* #[cfg_attr(feature = "sim", serde(rename = $text))] $variant,)+
        }

        impl $name {
            /// Every word of this vocabulary, in the order of its declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The word as it is written in journals and scenario files.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a component is.
    Kind {
        /// A background thread: told, then joined.
        Thread = "thread",
        /// A background task: told, then cancelled.
        Task = "task",
        /// A callback that stop calls.
        Stop = "stop",
        /// A callback that cleanup calls.
        Cleanup = "cleanup",
        /// A resource that cleanup closes.
        Closeable = "closeable",
        /// The health watchdog: a thread that may end the process.
        Watchdog = "watchdog",
        /// The worker's main function; never registered, always component 0.
        Main = "main",
    }
}

words! {
    /// The three phases of a worker's life.
    Phase {
        /// Main registers what the worker is made of.
        Start = "start",
        /// Threads are joined, tasks cancelled, stop callbacks called.
        Stop = "stop",
        /// Cleanup callbacks are called, resources closed.
        Cleanup = "cleanup",
    }
}

words! {
    /// The states of a worker context, in the only direction they move.
    State {
        /// Built; main has not run.
        Created = "created",
        /// Main runs.
        Starting = "starting",
        /// Main has returned.
        Running = "running",
        /// Stop runs.
        Stopping = "stopping",
        /// Stop has ended, cleanup has not begun.
        Stopped = "stopped",
        /// Cleanup runs.
        CleaningUp = "cleaning-up",
        /// Nothing is left to do.
        Done = "done",
    }
}

words! {
    /// How a step ended.
    Outcome {
        /// It ended by itself, in time, without an error.
        Ok = "ok",
        /// It returned an error.
        Failed = "failed",
        /// It panicked.
        Panicked = "panicked",
        /// It overran its bound, and is gone: an async callback that was aborted, or what ended late before
        /// anybody had looked.
        TimedOut = "timed-out",
        /// A task overran its bound; it was aborted and is gone.
        Aborted = "aborted",
        /// It overran its bound and still runs.
        Leaked = "leaked",
        /// Its wait was cut short (stop's share was gone, or a second signal came).
        NotAwaited = "not-awaited",
    }
}

words! {
    /// Which limit set a step's bound.
    BoundBy {
        /// The thread's own join timeout.
        JoinTimeout = "join-timeout",
        /// The task's own cancel timeout.
        CancelTimeout = "cancel-timeout",
        /// The callback's or closeable's own timeout; main's start timeout.
        Timeout = "timeout",
        /// What was left of the phase's share.
        Phase = "phase",
        /// What was left of cleanup's share, less the floors of the steps after it.
        Floors = "floors",
        /// The step's own floor: nothing more was left.
        Floor = "floor",
        /// A second signal: no more waiting in stop, exactly the floor in cleanup.
        SecondSignal = "second-signal",
        /// Stop's share was gone before the step began.
        ShareGone = "share-gone",
    }
}

words! {
    /// In which order equal orders run.
    Ties {
        /// First registered, first run.
        First = "first",
        /// Cleanup runs the last registered first.
        Last = "last",
    }
}

words! {
    /// When a thread or task is told to stop.
    Told {
        /// As soon as stop begins.
        AtOnce = "at-once",
        /// When its group begins, or when stop's share is gone.
        InTurn = "in-turn",
    }
}

words! {
    /// How a piece of code ended, as the one who ran it saw it.
    How {
        /// It returned.
        Ok = "ok",
        /// It returned an error.
        Failed = "failed",
        /// It panicked.
        Panicked = "panicked",
        /// It was dropped before it returned: an abort.
        Dropped = "dropped",
    }
}

words! {
    /// Who asked for the stop.
    By {
        /// A signal of the operating system.
        Signal = "signal",
        /// `request_stop`, `stop` or `cleanup`.
        Call = "call",
        /// Main failed.
        Main = "main",
        /// The watchdog.
        Watchdog = "watchdog",
    }
}

words! {
    /// A call of the worker context's interface, or of the process's life as a whole.
    Call {
        /// The life of the process: start, wait for a request, stop, cleanup.
        Run = "run",
        /// `start`.
        Start = "start",
        /// `stop`.
        Stop = "stop",
        /// `cleanup`.
        Cleanup = "cleanup",
        /// `request_stop`.
        RequestStop = "request-stop",
    }
}

words! {
    /// Why something was refused.
    RefusedReason {
        /// The phase that would run it has begun.
        PhaseBegan = "phase-began",
        /// The floors would not fit the reserve, or this one its timeout.
        Floors = "floors",
        /// A name, bound or count outside its limits.
        Limit = "limit",
        /// The caller is a body, step or task of this context.
        Inside = "inside",
        /// It can be done only once.
        Again = "again",
        /// Where the worker runs it cannot be done.
        Host = "host",
    }
}

words! {
    /// The signals that a scenario can send.
    SignalName {
        /// Asks to terminate.
        Sigterm = "SIGTERM",
        /// Asks to interrupt.
        Sigint = "SIGINT",
        /// Ends the process at once.
        Sigkill = "SIGKILL",
    }
}

impl SignalName {
    /// The signal's number on Linux.
    pub const fn number(self) -> i32 {
        match self {
            SignalName::Sigint => 2,
            SignalName::Sigkill => 9,
            SignalName::Sigterm => 15,
        }
    }
}

words! {
    /// What a watchdog says of itself.
    WatchdogIs {
        /// From here on failures count.
        Armed = "armed",
        /// A stop was requested: it is still from here on.
        Disarmed = "disarmed",
        /// A probe failed.
        Failed = "failed",
        /// It ends the process.
        Fired = "fired",
    }
}

words! {
    /// What was lost when the process ended.
    LostWhat {
        /// A thread, task or stop callback whose step never came.
        NotStopped = "not-stopped",
        /// A cleanup callback or closeable that was never called.
        NotClosed = "not-closed",
        /// A job in flight.
        Job = "job",
        /// Something that still ran and was not named as leaked.
        Running = "running",
    }
}

words! {
    /// Why a run could not be finished.
    StuckWhy {
        /// The horizon of virtual time was reached, or nothing could ever happen again.
        Horizon = "horizon",
        /// Too much happened without time moving, or in all.
        Spinning = "spinning",
        /// A body blocked the real thread.
        Blocked = "blocked",
        /// It took more real time in all than a test may.
        Overtime = "overtime",
        /// The reports that came back have too many rows in all.
        TooLarge = "too-large",
    }
}

words! {
    /// Why the process ended.
    Cause {
        /// A stop was requested, and stop and cleanup ran.
        Stopped = "stopped",
        /// The program came to its own end.
        Returned = "returned",
        /// Main failed, and what it had registered was rolled back.
        StartFailed = "start-failed",
        /// A second signal hurried the stop.
        SecondSignal = "second-signal",
        /// A third signal ended the process.
        ThirdSignal = "third-signal",
        /// The watchdog ended the process.
        Watchdog = "watchdog",
        /// The last resort ended the process.
        LastResort = "last-resort",
        /// A signal ended it uncaught: SIGKILL, or any signal where the program handles none.
        Killed = "killed",
    }
}

impl Cause {
    /// Whether the process is cut off in the middle of whatever its threads do.
    #[cfg(feature = "sim")]
    pub(crate) const fn cuts(self) -> bool {
        matches!(
            self,
            Cause::ThirdSignal | Cause::Watchdog | Cause::LastResort | Cause::Killed
        )
    }
}

words! {
    /// A scripted failure, by the verb that lays it over a component.
    FaultVerb {
        /// Stuck: no work, no heed.
        Hang = "hang",
        /// Works on and does not heed stop.
        Ignore = "ignore",
        /// Takes longer.
        Slow = "slow",
        /// Returns an error.
        Fail = "fail",
        /// Panics.
        Panic = "panic",
        /// Ends early, well.
        End = "end",
        /// Holds the executor.
        Hold = "hold",
        /// Has a job in flight.
        Job = "job",
        /// The health endpoint answers otherwise.
        Health = "health",
    }
}
