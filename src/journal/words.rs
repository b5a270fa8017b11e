//! The closed vocabularies of the journal: each is an enum whose variants have fixed words.

use std::fmt;

/// Declares an enum of words with `Display`, `as_str`, `ALL`, and serde. They all come from one list, so that
/// the text, the JSON and the scenario file cannot disagree.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum $name {
            $($(#[$vmeta])* #[cfg_attr(feature = "serde", serde(rename = $text))] $variant,)+
        }

        impl $name {
            /// Every word of this vocabulary, in the order of its declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Returns the word as it is written in journals and scenario files.
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
    /// The kind of a component.
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

impl Kind {
    /// Returns whether it is a callback or a resource: what stop or cleanup calls, once.
    pub fn is_callback(self) -> bool {
        matches!(self, Kind::Stop | Kind::Cleanup | Kind::Closeable)
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
    /// The states of a worker context, in the only order in which they occur.
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
    /// The outcome of a step.
    Outcome {
        /// The code ended by itself, in time, without an error.
        Ok = "ok",
        /// The code returned an error, or could not be begun.
        Failed = "failed",
        /// The code panicked.
        Panicked = "panicked",
        /// The code overran its bound, and is gone: an async callback that was aborted, or code that ended late,
        /// before the context looked.
        TimedOut = "timed-out",
        /// The task overran its bound, was aborted and is gone.
        Aborted = "aborted",
        /// The code overran its bound and still runs.
        Leaked = "leaked",
        /// The wait was cut short: stop's share was gone, or a second signal came.
        NotAwaited = "not-awaited",
    }
}

words! {
    /// The limit that set a step's bound.
    BoundBy {
        /// The thread's own join timeout.
        JoinTimeout = "join-timeout",
        /// The task's own cancel timeout.
        CancelTimeout = "cancel-timeout",
        /// The callback's or closeable's own timeout; for main, the start timeout.
        Timeout = "timeout",
        /// The rest of the phase's share.
        Phase = "phase",
        /// The rest of cleanup's share, less the floors of later steps.
        Floors = "floors",
        /// The step's own floor, since less than that was left.
        Floor = "floor",
        /// A second signal: in stop nothing is awaited any more, in cleanup exactly the floor.
        SecondSignal = "second-signal",
        /// Stop's share was gone before the step began.
        ShareGone = "share-gone",
    }
}

words! {
    /// The order in which steps of equal order run.
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
    /// How a piece of code ended, as a fact.
    How {
        /// The code returned.
        Ok = "ok",
        /// The code returned an error.
        Failed = "failed",
        /// The code panicked.
        Panicked = "panicked",
        /// The code was dropped before it returned: by an abort, or with its runtime.
        Dropped = "dropped",
    }
}

words! {
    /// The source of a request to stop.
    By {
        /// A signal of the operating system.
        Signal = "signal",
        /// `request_stop`, `stop` or `cleanup`.
        Call = "call",
        /// Main, by its failure.
        Main = "main",
        /// The watchdog.
        Watchdog = "watchdog",
    }
}

words! {
    /// The reason why a registration or call was refused.
    RefusedReason {
        /// The phase that would run it has begun.
        PhaseBegan = "phase-began",
        /// The floors together do not fit the reserve, or this floor does not fit its timeout.
        Floors = "floors",
        /// A name, bound or count is outside its limits.
        Limit = "limit",
        /// The caller is a body, step or task of this context.
        Inside = "inside",
        /// The call works only once.
        Again = "again",
        /// The host does not support it.
        Host = "host",
    }
}

words! {
    /// The signals that may occur in a journal.
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
    /// Returns the signal's number on Linux.
    pub const fn number(self) -> i32 {
        match self {
            SignalName::Sigint => 2,
            SignalName::Sigkill => 9,
            SignalName::Sigterm => 15,
        }
    }
}

words! {
    /// The states and reports of a watchdog.
    WatchdogIs {
        /// Failures count from here on.
        Armed = "armed",
        /// A stop was requested: it probes no more.
        Disarmed = "disarmed",
        /// A probe failed.
        Failed = "failed",
        /// The watchdog ends the process.
        Fired = "fired",
    }
}

words! {
    /// The reason why the process ended.
    Cause {
        /// A stop was requested, and stop and cleanup ran.
        Stopped = "stopped",
        /// The program returned by itself.
        Returned = "returned",
        /// Main failed, and the start was rolled back.
        StartFailed = "start-failed",
        /// A second signal cut the waits of stop and cleanup short.
        SecondSignal = "second-signal",
        /// A third signal ended the process.
        ThirdSignal = "third-signal",
        /// The watchdog ended the process.
        Watchdog = "watchdog",
        /// The last resort ended the process.
        LastResort = "last-resort",
        /// An uncaught signal ended the process: SIGKILL, or any signal if the program handles none.
        Killed = "killed",
    }
}
