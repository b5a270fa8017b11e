//! The process of a live run: reads a [`Request`] from standard input, runs its scenario, and writes the journal to
//! standard output. [`Players`](super::Players) start such processes.

use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::host::{LiveHost, LiveSink};
use super::play::Play;
use super::players::Request;
use super::scene::{Clock, Scene};
use super::server::Server;
use super::timeline;
use super::turns::{Turns, await_in_turns};
use crate::context::{Life, LifeEnd};
use crate::host::block_on;
use crate::journal::{Call, What};
use crate::process::Signals;
use crate::scenario;
use crate::sim::{Options, header, limits_of};
use crate::stage::{Said, Stage};

/// Time that the threads of a run have to start before its clock begins.
const RISES: Duration = Duration::from_millis(20);

/// Length of one sleep of the thread that measures how late the machine wakes threads.
const BEAT: Duration = Duration::from_millis(10);

/// Exit code of a process that cannot begin its run, that is orphaned, or whose worker's exit code does not fit.
const BROKEN: u8 = 70;

/// Standard output without a buffer: a line leaves the process when it is written.
struct Out(std::fs::File);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Runs the scenario that standard input requests. The process ends as the scenario's worker does.
///
/// Writes the journal to standard output, one event a line. The process ends when standard input closes.
pub fn perform() -> ExitCode {
    match begin() {
        Ok(play) => live(&play.0, play.1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "deadstop: no live run: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn begin() -> Result<(Arc<Play>, bool), Box<dyn std::error::Error>> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    let scenario = scenario::parse(&request.name, &request.text)
        .map_err(|invalid| format!("mistakes in the file: {}", invalid.diagnostics.len()))?;
    // When standard input closes, the caller is gone: nothing reads the journal any more, and nothing else would end
    // this process.
    start("orphan", || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        signal_hook::low_level::exit(BROKEN.into());
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let executor = runtime.handle().clone();
    start("service", move || {
        runtime.block_on(std::future::pending::<()>());
    })?;
    let began = Instant::now() + RISES;
    let clock = Arc::new(Clock::new(request.tempo.score(), began));
    let server = Server::start(Arc::clone(&clock))?;
    let out = Box::new(Out(std::io::stdout().as_fd().try_clone_to_owned()?.into()));
    let play = Play::new(
        |play| Scene::new(&scenario, Arc::clone(&clock), executor.clone(), play, out),
        Arc::clone(&clock),
        executor.clone(),
        server,
    );
    play.look(|scene| {
        for what in header(&scenario, &Options::default(), false, "live") {
            scene.record(what);
        }
    });
    let host = Arc::new(LiveHost::new(Arc::clone(&play)));
    let _ = play.host.set(Arc::clone(&host));
    let ctx = limits_of(&scenario.worker)
        .host(host)
        .own_sink(Arc::new(LiveSink(Arc::clone(&play))))
        .build(())?;
    let life = Life::new(&ctx);
    play.opens(ctx, life.clone());
    let run = scenario.worker.run;
    if run {
        std::mem::forget(Signals::listen(&life)?);
    }
    watch_the_machine(&clock)?;
    std::thread::sleep(began.saturating_duration_since(Instant::now()));
    Ok((play, run))
}

/// Runs the worker and returns the exit code of the process.
fn live(play: &Arc<Play>, run: bool) -> ExitCode {
    // The call that begins the worker is caller 1: `start` in a program that only calls, `run` otherwise. The events
    // at the start strike before any code of the worker runs. `start` is queued before all other calls of that
    // instant; main begins only after all of them.
    let caller = play.look(|scene| {
        if !run {
            scene.stage().call(Call::Start, None, None);
        }
        run.then(|| scene.next_caller())
    });
    timeline::strike(play);
    let strikes = Arc::clone(play);
    let code = if let Some(caller) = caller {
        play.look(|scene| {
            scene.record(What::CallBegan {
                call: Call::Run,
                caller,
                from: None,
            });
        });
        strike(strikes, run);
        let _on = play.executor.enter();
        let life = pin!(play.life().live(play.main()));
        let turns = Turns::new(play, false);
        let lives = await_in_turns(&turns, life, |end| {
            let LifeEnd {
                code,
                cause,
                started,
                report,
            } = end;
            let said = Said::of(&started, &report).returned(Call::Run, caller);
            play.look(|scene| scene.record(said));
            (code, play.ends(code, cause))
        });
        let (code, first) = block_on(lives);
        if !first {
            // Another thread already ends the process.
            loop {
                std::thread::park();
            }
        }
        code
    } else {
        strike(strikes, run);
        play.watch(None, |_| play.returned().is_some());
        play.returned().unwrap_or_default()
    };
    ExitCode::from(u8::try_from(code).unwrap_or(BROKEN))
}

fn strike(play: Arc<Play>, run: bool) {
    start("timeline", move || timeline::strikes(&play, run))
        .expect("a live run can start its threads");
}

/// Starts a thread that does nothing but wait, and records how late it is woken: only the machine can delay it.
fn watch_the_machine(clock: &Arc<Clock>) -> std::io::Result<()> {
    let clock = Arc::clone(clock);
    start("beat", move || {
        loop {
            let before = Instant::now();
            std::thread::sleep(BEAT);
            let late = before.elapsed().saturating_sub(BEAT);
            // A new thread gets a CPU later than a thread that sleeps a lot, and most threads of a run are new.
            let before = Instant::now();
            if let Ok(new) = std::thread::Builder::new().spawn(|| {}) {
                let _ = new.join();
            }
            let late = late.max(before.elapsed());
            clock
                .lag
                .fetch_max(super::tempo::nanos(late), Ordering::Relaxed);
        }
    })
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map(drop)
}
