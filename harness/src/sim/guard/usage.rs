//! What the kernel reports of a thread: whether it runs, and for how long it did.

use std::time::Duration;

use super::thread_id::KernelThreadId;

/// State of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, or would if it had a CPU.
    Runs,
    /// It sleeps until another thread or a timer wakes it.
    Sleeps,
    /// It waits for a disk or for memory, or is stopped; the machine may be the cause.
    Waits,
}

/// State of a thread, and its times since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub state: State,
    /// Time for which it ran.
    pub ran: Duration,
    /// Time for which it could have run but had no CPU.
    pub starved: Duration,
}

impl Usage {
    pub fn of(thread: KernelThreadId) -> Option<Self> {
        let thread = thread.known()?;
        let read = |file| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
        Usage::parse(&read("stat")?, &read("schedstat")?)
    }

    /// Returns how long a thread has waited for a CPU so far; zero if the system does not report it.
    pub fn starved_time(thread: KernelThreadId) -> Duration {
        Usage::of(thread).map_or(Duration::ZERO, |usage| usage.starved)
    }

    pub(in crate::sim) fn parse(stat: &str, schedstat: &str) -> Option<Self> {
        // The thread's name comes before the state, in brackets, and may contain anything.
        let state = match stat.rsplit_once(')')?.1.trim_start().chars().next()? {
            'R' => State::Runs,
            'S' => State::Sleeps,
            _ => State::Waits,
        };
        let mut times = schedstat.split_ascii_whitespace();
        let mut time = || Some(Duration::from_nanos(times.next()?.parse().ok()?));
        Some(Usage {
            state,
            ran: time()?,
            starved: time()?,
        })
    }
}
