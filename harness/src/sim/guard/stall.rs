//! The analysis of a stall, a run that stands still in real time: which component's code keeps the thread, where it is,
//! and which components wait meanwhile.
//!
//! The guard makes one when it gives a run up, from what the run has [published](super::watched), the thread's
//! [stack](super::stack) and the system call that the kernel reports. Reports show it with advice.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::time::Duration;

use super::stack::{Frame, Stack};
use super::thread_id::KernelThreadId;
use super::usage::{State, Usage};
use super::watched::{Activity, Watched};
use crate::journal::{At, Id, Name, StuckWhy, What};
use crate::sim::role::Role;

/// Maximum number of functions of the user's own code that are shown.
const SHOWN_FRAMES: usize = 8;
/// Maximum number of waiting components that are shown.
const SHOWN_WAITING: usize = 8;

/// Why and where a run stands still. Another thread makes it when the guard gives the run up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The component with the code that keeps the thread, or words for other code.
    pub name: Name,
    /// The virtual time, in milliseconds.
    pub at: u64,
    /// Why the guard has given the run up.
    pub why: StuckWhy,
    /// The limit of real time that was exceeded.
    pub after: Duration,
    /// The kind of code that keeps the thread.
    pub code: Code,
    /// What that code does.
    pub does: Doing,
    /// The functions on its stack that belong neither to the standard library, a dependency nor Deadstop, the innermost
    /// first.
    pub stack: Vec<Frame>,
    /// The library function that the innermost of them has called, with internal machinery left out.
    pub called: Option<String>,
    /// The components that wait meanwhile.
    pub waiting: Vec<Waiting>,
}

/// The kind of code that makes a run stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// A component's own code.
    Component,
    /// A job that a component has on the runtime's blocking pool.
    Pool,
    /// A task that the context does not know.
    Spawned,
    /// The code that makes the service's state.
    State,
    /// A destructor that runs when the run is over, outside of any component: of the state, of a task that the context
    /// does not know, or of values held by callbacks that were never called.
    Leftovers,
    /// No particular code: every turn ends, and the run does not. The component that is named had the last turn.
    LastTurn,
}

/// What the code that keeps its thread does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// It waits for a lock.
    Lock,
    /// It waits on a channel of std or of a crate like it.
    Channel,
    /// It waits for a condition variable, or is parked.
    Condition,
    /// It sleeps in real time.
    Sleep,
    /// It waits for the end of a thread.
    Join,
    /// It waits for the end of a process.
    Process,
    /// It is in a system call on a file descriptor, which these words describe.
    Io(String),
    /// It computes.
    Computes,
    /// It is in another system call, or nothing is known about it.
    Unknown(Option<String>),
}

/// A component that waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// Its name.
    pub name: Name,
    /// The virtual time at which its wait began, in milliseconds.
    pub since: u64,
    /// The place of the waiting call of its scope; `None` for a task, which awaits.
    pub place: Option<&'static Location<'static>>,
}

impl Stall {
    /// Analyses a run that the guard has given up.
    pub(in crate::sim) fn of(watched: &Watched, why: StuckWhy, after: Duration) -> Self {
        let observed = watched.observed();
        let mut entities = observed.entities();
        let registered: BTreeMap<Id, Name> = observed
            .events()
            .into_iter()
            .filter_map(|event| match event.what {
                What::Registered(it) => Some((it.id, it.name.clone())),
                _ => None,
            })
            .collect();
        // The journal's names tell components of one name apart.
        for entity in &mut entities {
            if let Role::Component(id) = entity.role
                && let Some(name) = registered.get(&id)
            {
                entity.name = name.clone();
            }
        }
        let turn = watched
            .entity()
            .and_then(|id| entities.get(id as usize).map(|entity| (id, entity)));
        let jobs = observed.pool.live();
        let (name, code, thread) = match (turn, jobs.first()) {
            // Each turn ends, and it is chance whether the run is given up inside one.
            (Some((_, entity)), _) if why == StuckWhy::Overtime => {
                (entity.name.clone(), Code::LastTurn, watched.turn_thread())
            }
            (Some((_, entity)), _) => (entity.name.clone(), Code::Component, watched.turn_thread()),
            // By now a job on the pool that does not end is not awaited any more.
            (None, _) if observed.in_teardown() => {
                ("the state".into(), Code::Leftovers, watched.turn_thread())
            }
            (None, Some(job)) => (job.by(), Code::Pool, Some(job.thread)),
            (None, None) if entities.is_empty() => {
                ("the state".into(), Code::State, watched.turn_thread())
            }
            (None, None) => match watched.last_turn().and_then(|id| entities.get(id as usize)) {
                Some(entity) if why == StuckWhy::Overtime => {
                    (entity.name.clone(), Code::LastTurn, watched.turn_thread())
                }
                _ => (
                    "a spawned task".into(),
                    Code::Spawned,
                    watched.turn_thread(),
                ),
            },
        };
        let thread = thread.and_then(KernelThreadId::known);
        let seen = thread.map(ThreadSnapshot::of).unwrap_or_default();
        let current = turn.map(|(id, _)| id as usize);
        let waiting = entities
            .iter()
            .enumerate()
            .filter(|(id, entity)| {
                Some(*id) != current && matches!(entity.role, Role::Component(_))
            })
            .filter_map(|(_, entity)| match entity.activity {
                Activity::Waits(since, place) => Some(Waiting {
                    name: entity.name.clone(),
                    since,
                    place,
                }),
                Activity::Begins | Activity::Ended => None,
            });
        Stall {
            name,
            at: watched.now(),
            why,
            after,
            code,
            does: seen.does(why),
            called: seen
                .stack
                .called
                .iter()
                .rev()
                .find(|name| is_recognizable(name))
                .cloned(),
            stack: seen.stack.users,
            waiting: waiting.collect(),
        }
    }

    /// Returns one sentence about the code that stands still.
    pub fn sentence(&self) -> String {
        let Stall { name, .. } = self;
        let mut said = match self.code {
            Code::Component => format!("\"{name}\""),
            Code::Pool => format!("\"{name}\" has a job on the blocking pool, which"),
            Code::Spawned => "a task that the context does not know".to_owned(),
            Code::State => "the code that makes the state (`app`)".to_owned(),
            Code::Leftovers => {
                "a destructor at the end of the run (of the state, of a task that the context does not know, or of a value in a \
                 callback that was never called)"
                    .to_owned()
            }
            Code::LastTurn => return format!("the last turn was that of \"{name}\""),
        };
        said += match &self.does {
            Doing::Lock => " blocks its thread in a lock",
            Doing::Channel => " blocks its thread on a channel",
            Doing::Condition => " blocks its thread, waiting to be notified",
            Doing::Sleep => " sleeps in real time",
            Doing::Join => " blocks its thread, waiting for the end of another thread",
            Doing::Process => " blocks its thread, waiting for a child process",
            Doing::Io(_) | Doing::Unknown(_) => " blocks its thread",
            Doing::Computes => " computes without end",
        };
        if let Doing::Io(call) | Doing::Unknown(Some(call)) = &self.does {
            let _ = write!(said, " in {call}");
        }
        if let Some(place) = self.stack.iter().find_map(Frame::shown_place) {
            let _ = write!(said, ", at {place}");
        }
        said
    }

    /// Returns the lines beyond the sentence: the stack, the components that wait, and advice.
    pub fn detail(&self) -> String {
        let mut said = String::new();
        if let Some(called) = &self.called {
            let _ = writeln!(said, "  in {called}");
        }
        for frame in self.stack.iter().take(SHOWN_FRAMES) {
            let _ = writeln!(said, "  at {}", frame.shown());
        }
        let waits: Vec<_> = self.involved().collect();
        if !waits.is_empty() {
            let _ = writeln!(said, "meanwhile:");
            for Waiting { name, since, place } in waits {
                let since = At(*since);
                let _ = match place {
                    Some(place) => writeln!(
                        said,
                        "  \"{name}\" has waited in its scope since {since}, at {}:{}",
                        place.file(),
                        place.line()
                    ),
                    None => writeln!(said, "  \"{name}\" has awaited since {since}"),
                };
            }
        }
        said += self.advice();
        said.push('\n');
        said
    }

    /// Returns the waiting components that may be involved: those that wait in a scope, since they may hold a lock or a
    /// sender, and for a job on the pool also those that await.
    fn involved(&self) -> impl Iterator<Item = &Waiting> {
        let pool = self.code == Code::Pool;
        let waiting = self.waiting.iter();
        waiting
            .filter(move |waiting| pool || waiting.place.is_some())
            .take(SHOWN_WAITING)
    }

    fn advice(&self) -> &'static str {
        match (&self.code, &self.does) {
            (Code::Pool, _) => {
                "Virtual time stands still until a job of `spawn_blocking`, `tokio::fs` or the resolver is over. Make a job \
                 that takes\nlong, or that ends only when it is told, a thread of the context: `add_thread`, which waits \
                 through its scope"
            }
            (Code::LastTurn, _) => {
                "Every turn ends, but the run does not. Is a timer set again and again, or is there a loop of short waits that \
                 is never told to\nstop? If it is much real work, give it more time (`DEADSTOP_TIME_LIMIT=5m`)"
            }
            (Code::Leftovers, _) => {
                "At the end of the run, a destructor waits for something that cannot come any more: close it in a callback, \
                 which has a bound"
            }
            (Code::State, _) => {
                "The state is made anew for each run: make it of fakes, and connect in main"
            }
            (_, Doing::Lock) => {
                "Only one body runs at a time here, so a std lock that another body holds while it waits is never released: \
                 release it\nbefore `scope.wait` or `.await`, or take it with `scope.lock(&mutex)`, which waits in virtual time. Or does \
                 this thread\nalready hold it?"
            }
            (_, Doing::Channel) => {
                "Only one body runs at a time here, so no other body can send: receive with `scope.recv(&receiver)`, which \
                 waits in virtual time\n(and blocks like `receiver.recv()` in production). For a channel of another crate, use \
                 `scope.block_on` or `scope.until`"
            }
            (_, Doing::Condition | Doing::Join) => {
                "Only one body runs at a time here, so the event that this thread waits for cannot happen: wait through the \
                 scope, with\n`scope.block_on` and a `tokio::sync::Notify`, or with `scope.until`, which tries again after other code has run"
            }
            (_, Doing::Sleep) => {
                "Virtual time costs no real time. Use `scope.sleep` or `scope.wait`, and in a task `tokio::time::sleep`"
            }
            (_, Doing::Computes) => {
                "Let other code run from time to time: a thread looks at `scope.running()`, a task uses `.await`. If the \
                 computation takes long,\nuse a smaller one in tests, or more patience (`patience = \"1m\"` in the file)"
            }
            (_, Doing::Io(_) | Doing::Process | Doing::Unknown(_)) => {
                "The real world answers in real time, and no virtual time passes meanwhile: put it behind the state, so that \
                 a test\ncan use a fake. While you debug with breakpoints, set `DEADSTOP_PATIENCE=10m`"
            }
        }
    }
}

/// What was observed of a thread.
#[derive(Debug, Default)]
struct ThreadSnapshot {
    stack: Stack,
    call: Option<String>,
    runs: bool,
}

impl ThreadSnapshot {
    fn of(thread: u32) -> Self {
        // The system call is read first: the signal that asks for the stack interrupts it.
        let call = syscall::describe(thread);
        let usage = Usage::of(KernelThreadId::of(thread));
        ThreadSnapshot {
            stack: Stack::of(thread),
            call,
            runs: usage.is_some_and(|usage| usage.state == State::Runs),
        }
    }

    fn does(&self, why: StuckWhy) -> Doing {
        if why == StuckWhy::Spinning || self.runs {
            return Doing::Computes;
        }
        let has = |words: &[&str]| {
            let mut called = self.stack.called.iter();
            called.any(|name| words.iter().any(|word| name.contains(word)))
        };
        let is = |call: &str| self.call.as_deref() == Some(call);
        if has(&[
            "mpsc::",
            "mpmc::",
            "crossbeam_channel",
            "flume::",
            "async_channel",
        ]) {
            Doing::Channel
        } else if has(&["Condvar", "condvar"]) {
            Doing::Condition
        } else if has(&[
            "Mutex",
            "RwLock",
            "mutex::",
            "rwlock::",
            "ReentrantLock",
            "OnceLock",
            "Once::",
        ]) {
            Doing::Lock
        } else if is("sleep") || has(&["thread::sleep", "thread::functions::sleep"]) {
            Doing::Sleep
        } else if has(&["JoinHandle", "JoinInner", "thread::join", "ScopeData"]) {
            Doing::Join
        } else if is("wait") || (self.call.is_none() && has(&["process::Child"])) {
            // The kernel is more reliable than the names: one compiled function serves reads of a pipe and of a child.
            Doing::Process
        } else if has(&["::park", "Parker"]) {
            Doing::Condition
        } else {
            match &self.call {
                Some(call) if call.contains("fd ") => Doing::Io(call.clone()),
                call => Doing::Unknown(call.clone()),
            }
        }
    }
}

/// Returns whether a reader knows that function: it has a path, and is no internal machinery.
fn is_recognizable(function: &str) -> bool {
    !["::sys::", "closure", "FnOnce", "__rust", "0x", "panicking", "::imp::"]
        .iter()
        .any(|part| function.contains(part))
        // The `::` must be in the function's own path, not only in its types.
        && function.split('<').next().is_some_and(|path| path.contains("::"))
}

#[cfg(target_os = "linux")]
mod syscall {
    use std::path::Path;

    /// Returns a description of the system call that a thread is in, if the kernel reports it.
    pub fn describe(thread: u32) -> Option<String> {
        let line = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
        let mut words = line.split_ascii_whitespace();
        let number: i64 = words.next()?.parse().ok()?;
        let first = words
            .next()
            .and_then(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let on = |what: &str| first.map(|fd| format!("{what} fd {fd}{}", descriptor(fd)));
        match number {
            libc::SYS_futex => Some("futex: a lock, a channel or a thread's end".to_owned()),
            libc::SYS_read | libc::SYS_readv | libc::SYS_pread64 => on("read of"),
            libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 => on("write to"),
            libc::SYS_recvfrom | libc::SYS_recvmsg => on("receive on"),
            libc::SYS_sendto | libc::SYS_sendmsg => on("send on"),
            libc::SYS_accept | libc::SYS_accept4 => on("accept on"),
            libc::SYS_connect => on("connect of"),
            libc::SYS_flock | libc::SYS_fcntl => on("lock of"),
            libc::SYS_fsync | libc::SYS_fdatasync => on("sync of"),
            libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Some("sleep".to_owned()),
            libc::SYS_wait4 | libc::SYS_waitid => Some("wait".to_owned()),
            libc::SYS_ppoll | libc::SYS_pselect6 | libc::SYS_epoll_pwait => {
                Some("poll: files or sockets".to_owned())
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll | libc::SYS_select | libc::SYS_epoll_wait => {
                Some("poll: files or sockets".to_owned())
            }
            other => Some(format!("system call {other}")),
        }
    }

    /// Returns a description of an open file.
    fn descriptor(fd: u64) -> String {
        let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{fd}")) else {
            return String::new();
        };
        let name = path.to_string_lossy();
        if name.starts_with("pipe:") {
            ", a pipe".to_owned()
        } else if name.starts_with("socket:") {
            ", a socket".to_owned()
        } else if Path::new("/dev/pts").join("0").parent() == path.parent() {
            ", a terminal".to_owned()
        } else {
            format!(", {}", crate::words::one_line(&name))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod syscall {
    pub fn describe(_thread: u32) -> Option<String> {
        None
    }
}

impl fmt::Display for Stall {
    /// Writes the [`sentence`](Stall::sentence).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}
