//! The call stack of another thread, which shows where the code of a stalled run is.
//!
//! The thread receives a signal, and the signal's handler records its return addresses. Names and lines are looked up
//! afterwards, on the thread that asks. This is only for threads that the guard has given up: their run has its
//! verdict, so a system call that the signal interrupts does no harm.

#![allow(unsafe_code)]

use std::path::PathBuf;

/// Maximum number of frames that are recorded.
const MAX_FRAMES: usize = 128;

/// One function on a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// The function's path, as far as the binary has symbols.
    pub function: String,
    /// The source file and line, as far as the binary has debug information.
    pub place: Option<(PathBuf, u32)>,
}

/// The user's own functions on a stack, and what the innermost of them has called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stack {
    /// The functions of the standard library, of dependencies and of Deadstop that the innermost of `users` has
    /// called, the innermost first.
    pub called: Vec<String>,
    /// The functions that belong neither to the standard library, a dependency nor Deadstop, the innermost first.
    pub users: Vec<Frame>,
}

impl Stack {
    /// Returns the stack of a thread of this process, by the kernel's number of the thread.
    ///
    /// The stack is empty if the thread cannot be asked: on a system other than Linux, if the thread is gone or blocks
    /// the signal, if the program handles `SIGURG` itself, and after an earlier thread has not answered in time.
    pub(crate) fn of(thread: u32) -> Self {
        Stack::at(&imp::addresses(thread).unwrap_or_default())
    }

    /// Returns the stack that has these return addresses.
    pub(crate) fn at(addresses: &[usize]) -> Self {
        let mut stack = Stack::default();
        for address in addresses {
            backtrace::resolve(*address as *mut std::ffi::c_void, |symbol| {
                let Some(name) = symbol.name() else { return };
                let frame = Frame {
                    // `#` leaves out the hash that makes the name unique.
                    function: format!("{name:#}"),
                    place: symbol.filename().map(PathBuf::from).zip(symbol.lineno()),
                };
                if frame.is_user_code() {
                    stack.users.push(frame);
                } else if stack.users.is_empty() {
                    stack.called.push(frame.function);
                }
            });
        }
        if stack.users.is_empty() {
            // As far as the names show, all of it is library code.
            stack.called.clear();
        }
        // The functions that look at the stack are no part of it.
        let looks = [
            "stack::imp::note",
            "stack::here",
            "panicking::panic_handler",
        ];
        let looks = |name: &String| looks.iter().any(|look| name.ends_with(look));
        if let Some(at) = stack.called.iter().rposition(looks) {
            stack.called.drain(..=at);
        }
        stack
    }
}

/// Returns the return addresses of the caller's own stack.
pub(crate) fn here() -> Vec<usize> {
    let mut addresses = Vec::new();
    backtrace::trace(|frame| {
        addresses.push(frame.ip() as usize);
        addresses.len() < MAX_FRAMES
    });
    addresses
}

impl Frame {
    /// Returns whether the function belongs neither to the standard library, a dependency, Deadstop nor the system.
    fn is_user_code(&self) -> bool {
        const PATHS: [&str; 8] = [
            "std::",
            "core::",
            "alloc::",
            "tokio::",
            "deadstop::",
            "deadstop_harness::",
            "backtrace::",
            "__rust",
        ];
        const FILES: [&str; 6] = [
            "/rustc/",
            "/registry/src/",
            "/git/checkouts/",
            "/rustlib/src/",
            concat!(env!("CARGO_MANIFEST_DIR"), "/src/"),
            deadstop::SOURCES,
        ];
        // The file decides if it is known: the name of an inlined or async function has no path.
        if let Some((file, _)) = &self.place {
            let is_rust = file.extension().is_some_and(|ext| ext == "rs");
            let file = file.to_string_lossy();
            return is_rust && !FILES.iter().any(|known| file.contains(known));
        }
        let path = self.function.trim_start_matches(['<', '&', '(']);
        let path = path.strip_prefix("dyn ").unwrap_or(path);
        path.contains("::") && !PATHS.iter().any(|known| path.starts_with(known))
    }

    /// Returns the function and its place as one line of text.
    pub fn shown(&self) -> String {
        let name = if self.function.contains("::") {
            &self.function
        } else if self.function.contains("async") {
            "an async block"
        } else {
            "a closure"
        };
        match self.shown_place() {
            Some(place) => format!("{name}  {place}"),
            None => name.to_owned(),
        }
    }

    /// Returns the file and line, with the path relative to the current directory if it is below it.
    pub fn shown_place(&self) -> Option<String> {
        let (file, line) = self.place.as_ref()?;
        let here = std::env::current_dir().unwrap_or_default();
        let file = file.strip_prefix(&here).unwrap_or(file);
        let file = file.strip_prefix(".").unwrap_or(file);
        Some(format!("{}:{line}", file.display()))
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use super::MAX_FRAMES;

    /// Maximum real time for which the thread's answer is awaited.
    const MAX_ANSWER_WAIT: Duration = Duration::from_millis(500);
    /// Signal that asks a thread for its stack. By default it is ignored, so a late one does nothing.
    const SIGNAL: libc::c_int = libc::SIGURG;

    /// Number of the thread that is asked; 0 while none is.
    static ASKED_THREAD: AtomicU32 = AtomicU32::new(0);
    /// Return addresses of that thread's stack; the first `RECORDED` are valid.
    static ADDRESSES: [AtomicUsize; MAX_FRAMES] = [const { AtomicUsize::new(0) }; MAX_FRAMES];
    static RECORDED: AtomicUsize = AtomicUsize::new(0);
    /// Number of the thread that has answered; 0 until one has.
    static ANSWERING_THREAD: AtomicU32 = AtomicU32::new(0);

    extern "C" fn note(_signal: libc::c_int) {
        // SAFETY: `gettid` has no conditions, and `__errno_location` returns a pointer to this thread's own `errno`.
        let (me, errno) = unsafe { (libc::gettid(), libc::__errno_location()) };
        let me = u32::try_from(me).unwrap_or(0);
        if me == 0 || ASKED_THREAD.load(Ordering::Acquire) != me {
            return;
        }
        // SAFETY: the pointer is valid for as long as the thread, which is here.
        let saved = unsafe { *errno };
        // SAFETY: `trace_unsynchronized` takes no lock around `backtrace`'s global state, and this walk uses none of
        // that state: on Linux it only calls the unwinder, which several threads may call at once. The walk is safe in
        // a signal handler: the unwinder reads the unwind tables of loaded objects and allocates nothing, and the
        // closure only stores to atomics. If the signal interrupted the thread inside the dynamic loader, the unwinder
        // may wait for the loader for ever. Then this thread, which is given up already, never answers, and the thread
        // that asks waits no longer than `MAX_ANSWER_WAIT`.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                let n = RECORDED.load(Ordering::Relaxed);
                let Some(place) = ADDRESSES.get(n) else {
                    return false;
                };
                place.store(frame.ip() as usize, Ordering::Relaxed);
                RECORDED.store(n + 1, Ordering::Relaxed);
                true
            });
        }
        // SAFETY: as above.
        unsafe { *errno = saved };
        ANSWERING_THREAD.store(me, Ordering::Release);
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "waits in real time for an answer of a system thread"
    )]
    pub fn addresses(thread: u32) -> Option<Vec<usize>> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let id = libc::pid_t::try_from(thread).ok()?;
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        // An earlier thread has not answered yet: its late frames would mix with these.
        if ASKED_THREAD.load(Ordering::Relaxed) != 0 {
            return None;
        }
        let installed = Installed::new()?;
        RECORDED.store(0, Ordering::Relaxed);
        ANSWERING_THREAD.store(0, Ordering::Relaxed);
        ASKED_THREAD.store(thread, Ordering::Release);
        // SAFETY: `tgkill` takes three numbers and touches no memory; for a thread that is gone it fails.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, SIGNAL) };
        let asked = Instant::now();
        while sent == 0 && ANSWERING_THREAD.load(Ordering::Acquire) != thread {
            if asked.elapsed() > MAX_ANSWER_WAIT {
                // It may still answer, so `ASKED_THREAD` stays set, and no other thread is asked from now on.
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        ASKED_THREAD.store(0, Ordering::Release);
        drop(installed);
        if sent != 0 {
            return None;
        }
        let recorded = RECORDED.load(Ordering::Relaxed).min(MAX_FRAMES);
        let addresses = ADDRESSES[..recorded].iter();
        Some(addresses.map(|at| at.load(Ordering::Relaxed)).collect())
    }

    /// The installed handler. Dropping it restores the action from before.
    struct Installed {
        before: libc::sigaction,
    }

    impl Installed {
        /// Installs the handler, unless the program has a handler of its own for the signal.
        fn new() -> Option<Self> {
            let mut before = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: the first call only reads the current action into `before`, which is large enough; zeroed is a
            // valid value of it. The second installs `note`, whose signature is that of a handler without
            // `SA_SIGINFO`; `action` is filled except for the mask, and a zeroed mask is empty. The handler is safe to
            // run at any instruction of any thread: see `note`.
            unsafe {
                if libc::sigaction(SIGNAL, null_mut(), before.as_mut_ptr()) != 0 {
                    return None;
                }
                let before = before.assume_init();
                if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN {
                    return None;
                }
                let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                action.sa_sigaction = note as *const () as usize;
                action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
                (libc::sigaction(SIGNAL, &raw const action, null_mut()) == 0)
                    .then_some(Installed { before })
            }
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            // SAFETY: `before` is the action that the system returned for this signal.
            unsafe { libc::sigaction(SIGNAL, &raw const self.before, null_mut()) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub fn addresses(_thread: u32) -> Option<Vec<usize>> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::disallowed_methods, reason = "the tests look at real threads")]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::sim::guard::thread_id::KernelThreadId;

    #[test]
    fn stack_names_what_the_thread_has_called() {
        let (tell, told) = mpsc::channel::<()>();
        let (started, id) = mpsc::channel();
        let blocked = thread::spawn(move || {
            let _ = started.send(
                KernelThreadId::current_if(true)
                    .known()
                    .expect("Linux tells"),
            );
            let _ = told.recv();
        });
        let addresses = imp::addresses(id.recv().expect("it begins")).expect("an answer");
        let mut names = Vec::new();
        for address in addresses {
            backtrace::resolve(address as *mut std::ffi::c_void, |symbol| {
                names.extend(symbol.name().map(|name| format!("{name:#}")));
            });
        }
        let has = |word: &str| names.iter().any(|name| name.contains(word));
        assert!(has("mpsc") || has("mpmc"), "{names:#?}");
        assert!(has("stack_names_what_the_thread_has_called"), "{names:#?}");
        // The call that the signal interrupted goes on.
        drop(tell);
        blocked.join().expect("it ends as if nothing had happened");
    }

    #[test]
    fn thread_that_is_gone_has_no_stack() {
        let id = thread::spawn(|| KernelThreadId::current_if(true).known());
        let id = id.join().expect("it ends").expect("Linux tells");
        assert_eq!(imp::addresses(id), None);
        assert_eq!(imp::addresses(u32::MAX), None);
    }

    #[test]
    fn frame_is_the_users_by_its_path_and_its_file() {
        let frame = |function: &str, file: Option<&str>| Frame {
            function: function.to_owned(),
            place: file.map(|file| (PathBuf::from(file), 7)),
        };
        for (function, file, users) in [
            ("service::register::{closure#0}", None, true),
            (
                "service::register",
                Some("/home/me/service/src/lib.rs"),
                true,
            ),
            (
                "<service::Db as deadstop::context::Close>::close",
                None,
                true,
            ),
            ("std::sync::mpsc::Receiver<T>::recv", None, false),
            (
                "<alloc::boxed::Box<F> as core::ops::function::FnOnce<()>>::call_once",
                None,
                false,
            ),
            (
                "with<service::Row>",
                Some("/rustc/abc/library/std/src/thread/local.rs"),
                false,
            ),
            (
                "sqlx::pool::wait",
                Some("/home/me/.cargo/registry/src/index/sqlx-1/src/pool.rs"),
                false,
            ),
            (
                "sqlx::pool::wait",
                Some("/usr/local/cargo/registry/src/index/sqlx-1/src/pool.rs"),
                false,
            ),
            (
                "fork::pool::wait",
                Some("/usr/local/cargo/git/checkouts/fork-1/abc/src/pool.rs"),
                false,
            ),
            ("{async_block#0}", Some("/home/me/service/src/lib.rs"), true),
            ("start_thread", None, false),
            ("start_thread", Some("./nptl/pthread_create.c"), false),
        ] {
            assert_eq!(
                frame(function, file).is_user_code(),
                users,
                "{function} {file:?}"
            );
        }
    }
}
