//! Workers that can start no thread, or open no file, by the time they stop. The command that starts them sets a
//! limit, and they use up the rest of it.

use std::fs::{self, File};
#[cfg(feature = "http")]
use std::io::{Read, Write};
#[cfg(feature = "http")]
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop::host::Scope;
use deadstop::process::Worker;
#[cfg(feature = "http")]
use deadstop::watchdog::Watchdog;

use crate::child::{AT_EXIT, add_announcer, grace, ms, park_for_ever, print_line};

/// The resource that is used up before the worker is ready.
#[derive(Clone, Copy)]
enum Resource {
    Threads,
    Files,
}

impl Resource {
    fn use_up(self) {
        match self {
            Resource::Threads => {
                let room = leave_room();
                let memory = Memory::of_this_process();
                while memory.has(STACK + SLACK) && spawn_parked_thread().is_ok() {}
                while !memory.has(STACK + SLACK) && memory.has(2 * SLACK) {
                    Box::leak(vec![1_u8; SLACK].into_boxed_slice());
                }
                drop(room);
                // A leak goes on: it takes the threads that the worker frees as its own threads end.
                let leaks = move || {
                    loop {
                        if memory.has(STACK + SLACK) {
                            let _ = spawn_parked_thread();
                        }
                        thread::park_timeout(ms(1));
                    }
                };
                let _ = thread::Builder::new().stack_size(32 << 10).spawn(leaks);
            }
            Resource::Files => {
                while let Ok(file) = File::open("/dev/null") {
                    std::mem::forget(file);
                }
            }
        }
    }
}

/// Size of a thread's stack, in bytes.
const STACK: usize = 2 << 20;
/// Memory that is always left over, in bytes. A thread with a stack needs a little more to start: std ends the
/// process where it gets none.
const SLACK: usize = 256 << 10;

/// The limit on the address space of this process, if it has one.
#[derive(Clone, Copy)]
struct Memory {
    limit: Option<usize>,
}

impl Memory {
    fn of_this_process() -> Self {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max address space"));
        let limit = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Memory { limit }
    }

    /// Returns whether that number of bytes more can be had.
    fn has(self, bytes: usize) -> bool {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: Option<usize> = statm
            .split_whitespace()
            .next()
            .and_then(|pages| pages.parse().ok());
        match (self.limit, pages) {
            (Some(limit), Some(pages)) => pages * 4_096 + bytes <= limit,
            _ => true,
        }
    }
}

/// Starts a thread that never ends, and waits until it runs.
fn spawn_parked_thread() -> std::io::Result<()> {
    let (started, is_started) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let _ = started.send(());
        park_for_ever()
    })?;
    // A thread that runs has all that it needs.
    let _ = is_started.recv();
    Ok(())
}

/// Allocates memory that is given back once no stack fits any more: less than a stack, and enough for everything
/// else.
fn leave_room() -> Vec<u8> {
    // This memory is in the heap. The later block keeps the heap from shrinking when it is dropped.
    let small: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 32 << 10]).collect();
    Box::leak(Box::new([1_u8; 64]));
    drop(small);
    vec![1; 3 << 19]
}

/// Returns a callback that prints its call.
fn printing_callback(name: &'static str) -> impl FnOnce(&Scope) + Send + 'static {
    move |_: &Scope| print_line(&format!("called {name}"))
}

fn hanging_callback(name: &'static str) -> impl FnOnce(&Scope) + Send + 'static {
    move |_: &Scope| {
        print_line(&format!("called {name}"));
        park_for_ever();
    }
}

/// Registers steps of every kind, in the order of their names.
async fn add_steps(ctx: &WorkerCtx) -> Result<(), MainError> {
    add_announcer(ctx)?;
    let (wake, woken) = mpsc::channel::<()>();
    let wakes = BodyOpts::new().wake(move || {
        let _ = wake.send(());
    });
    ctx.add_thread("receives", wakes, move |_: &Scope| woken.recv())?;
    ctx.defer_stop("1", CallOpts::new().order(1), printing_callback("1"))?;
    ctx.defer_stop("2", CallOpts::new().order(2), printing_callback("2"))?;
    ctx.defer_stop_async("3", CallOpts::new().order(3), || async {
        print_line("called 3")
    })?;
    ctx.defer_cleanup("4", CallOpts::new().order(-4), |scope| {
        scope.block_on(async { tokio::time::sleep(ms(1)).await });
        print_line("called 4");
    })?;
    ctx.add_closeable_with("5", CallOpts::new().order(-5), (), |(), scope| {
        scope.sleep(ms(1));
        print_line("called 5");
    })?;
    // Outside of a runtime the callback gets a runtime and a thread of its own.
    let outside = ctx.clone();
    let registers = move || {
        outside.defer_cleanup_async("6", CallOpts::new().order(-6), || async {
            tokio::time::sleep(ms(1)).await;
            print_line("called 6");
        })
    };
    let registered = thread::spawn(registers).join();
    registered.map_err(|_| "it panicked")??;
    ctx.defer_cleanup("7", CallOpts::new().order(-7), printing_callback("7"))?;
    Ok(())
}

/// Answers the first fifty requests on a port, and then closes it.
#[cfg(feature = "http")]
fn answers_for_a_while() -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::Builder::new().spawn(move || {
        for stream in listener.incoming().take(50).flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        print_line("fifty were answered");
    })?;
    Ok(port)
}

/// Plays a role of a starved worker. Returns `None` if the role is another.
pub fn play(role: &str) -> Option<ExitCode> {
    let (role, resource) = match role.split_once(" starved of ")? {
        (role, "threads") => (role.to_owned(), Resource::Threads),
        (role, "files") => (role.to_owned(), Resource::Files),
        _ => return None,
    };
    let limits = grace(Duration::from_secs(if role == "hangs in exit" {
        2
    } else {
        30
    }));
    if role == "hangs in exit" {
        AT_EXIT.with(|_| {});
    }
    let main = move |ctx: WorkerCtx| async move {
        let short = || CallOpts::new().timeout(ms(100));
        match &*role {
            "well" => add_steps(&ctx).await?,
            "one hangs" => {
                add_steps(&ctx).await?;
                ctx.defer_stop("0", short(), hanging_callback("0"))?;
            }
            "a wake and a step hang" => {
                let hangs_in_wake = BodyOpts::new().order(-10).timeout(ms(100)).wake(|| {
                    print_line("called wake");
                    park_for_ever();
                });
                ctx.add_thread("deaf", hangs_in_wake, |_: &Scope| park_for_ever())?;
                add_steps(&ctx).await?;
                ctx.defer_stop("0", short(), hanging_callback("0"))?;
            }
            "all hang" | "hangs in exit" => {
                add_announcer(&ctx)?;
                for name in ["1", "2", "3", "4", "5", "6"] {
                    ctx.defer_cleanup(name, short(), hanging_callback(name))?;
                }
            }
            #[cfg(feature = "http")]
            "is watched" => {
                add_announcer(&ctx)?;
                // The name has to be looked up, on a thread.
                let url = format!("http://localhost:{}/health", answers_for_a_while()?);
                let watchdog = Watchdog::http(&url)?.interval(ms(10)).attempts(1);
                ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)?;
            }
            _ => return Err("no child plays this".into()),
        }
        resource.use_up();
        Ok(())
    };
    Some(deadstop::run(
        Worker::new((), main).worker_threads(1).limits(limits),
    ))
}
