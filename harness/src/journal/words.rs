//! The vocabularies of the facts: each is an enum whose variants have fixed words.

use std::fmt;

use deadstop::journal::Cause;

/// Declares an enum of words with `Display`, `as_str`, `ALL` and serde, like those of the claims.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+
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
    /// A call of the worker context, or of the life of the process as a whole.
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
    /// What was lost when the process ended.
    LostWhat {
        /// A thread, task or stop callback whose step never came.
        NotStopped = "not-stopped",
        /// A cleanup callback or closeable that was never called.
        NotClosed = "not-closed",
        /// A job in flight.
        Job = "job",
        /// Code that still ran and was not reported as leaked.
        Running = "running",
    }
}

words! {
    /// The reason why a run could not be finished.
    StuckWhy {
        /// The run reached the horizon of virtual time, or nothing could ever happen again.
        Horizon = "horizon",
        /// Too much happened in one instant, or in all.
        Spinning = "spinning",
        /// A body blocked the real thread.
        Blocked = "blocked",
        /// The run took more real time in all than a test may.
        Overtime = "overtime",
        /// The reports that were returned have too many rows in all.
        TooLarge = "too-large",
    }
}

words! {
    /// A scripted failure, named by its verb in a scenario file.
    FaultVerb {
        /// It is stuck: it neither works nor heeds a stop.
        Hang = "hang",
        /// It works on and does not heed a stop.
        Ignore = "ignore",
        /// It takes longer.
        Slow = "slow",
        /// It returns an error.
        Fail = "fail",
        /// It panics.
        Panic = "panic",
        /// It ends early and well.
        End = "end",
        /// It holds the executor.
        Hold = "hold",
        /// It has a job in flight.
        Job = "job",
        /// The health endpoint answers differently.
        Health = "health",
    }
}

impl FaultVerb {
    /// Returns the word of a picture for a component whose step this fault explains, if it explains a step that has
    /// begun. `is_over` is whether the fault was over by then.
    pub(crate) fn explains(self, is_over: bool) -> Option<&'static str> {
        match self {
            FaultVerb::Hang if !is_over => Some("hung"),
            FaultVerb::Ignore if !is_over => Some("heedless"),
            FaultVerb::Slow => Some("slow"),
            _ => None,
        }
    }
}

/// Returns whether a process that ends by this is cut off in the middle of what its threads do.
pub(crate) fn is_cut_off(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::ThirdSignal | Cause::Watchdog | Cause::LastResort | Cause::Killed
    )
}
