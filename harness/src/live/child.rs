//! The process of a live run: reads a [`Request`] from standard input, runs its scenario, and writes the journal to
//! standard output. [`Players`](super::Players) start such processes.

use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::executor::ask_executor;
use super::host::{LiveHost, LiveSink};
use super::pace;
use super::play::Play;
use super::players::Request;
use super::scene::Scene;
use super::server::Server;
use super::timeline;
use super::turns::{Turns, await_in_turns};
use crate::journal::{Call, What};
use crate::scenario;
use crate::sim::{Options, header, limits_of, start_thread};
use crate::stage::{Said, Stage};
use deadstop::context::{Life, LifeEnd, WorkerCtx};
use deadstop::host::block_on;
use deadstop::process::Signals;

/// Time that the threads of a run have to start before its clock begins.
const START_TIME: Duration = Duration::from_millis(20);

/// Length of one sleep of the thread that measures how late the machine wakes threads.
const LAG_SLEEP: Duration = Duration::from_millis(10);

/// Exit code of a process that cannot begin its run, that is orphaned, or whose worker's exit code does not fit.
const FAILURE_EXIT_CODE: u8 = 70;

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
    match prepare() {
        Ok(play) => run_worker(&play.0, play.1),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "deadstop: cannot begin the live run: {error}"
            );
            ExitCode::from(FAILURE_EXIT_CODE)
        }
    }
}

fn prepare() -> Result<(Arc<Play>, bool), Box<dyn std::error::Error>> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    let scenario = scenario::parse(&request.name, &request.text)
        .map_err(|invalid| format!("mistakes in the file: {}", invalid.diagnostics.len()))?;
    // When standard input closes, the caller is gone: nothing reads the journal any more, and nothing else would end
    // this process.
    start_thread("orphan", || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        signal_hook::low_level::exit(FAILURE_EXIT_CODE.into());
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let executor = runtime.handle().clone();
    start_thread("service", move || {
        runtime.block_on(std::future::pending::<()>());
    })?;
    let began = Instant::now() + START_TIME;
    let clock = Arc::new(Clock::new(request.tempo.time_map(), began));
    let server = Server::start(Arc::clone(&clock))?;
    let out = Box::new(Out(std::io::stdout().as_fd().try_clone_to_owned()?.into()));
    let play = Play::new(
        |play| {
            let asks = ask_executor(play, executor.clone());
            Scene::new(&scenario, Arc::clone(&clock), Box::new(asks), out)
        },
        Arc::clone(&clock),
        executor.clone(),
        server,
    );
    play.with_scene(|scene| {
        for what in header(&scenario, &Options::default(), false, "live") {
            scene.record(what);
        }
    });
    let host = Arc::new(LiveHost::new(Arc::clone(&play)));
    let _ = play.live.set(Arc::clone(&host.live));
    let ctx = WorkerCtx::builder()
        .limits(limits_of(&scenario.worker))
        .host(host)
        .own_sink(Arc::new(LiveSink(Arc::clone(&play))))
        .build(())?;
    let life = Life::new(&ctx);
    play.set_worker(ctx, life.clone());
    let uses_run = scenario.worker.run;
    if uses_run {
        std::mem::forget(Signals::listen(&life)?);
    }
    measure_lag(&clock)?;
    std::thread::sleep(began.saturating_duration_since(Instant::now()));
    Ok((play, uses_run))
}

/// Runs the worker and returns the exit code of the process.
fn run_worker(play: &Arc<Play>, uses_run: bool) -> ExitCode {
    // The call that begins the worker is caller 1: `start` in a program that only calls, `run` otherwise. The events
    // at the start strike before any code of the worker runs. `start` is queued before all other calls of that
    // instant; main begins only after all of them.
    let caller = play.with_scene(|scene| {
        if !uses_run {
            scene.stage().call(Call::Start, None, None);
        }
        uses_run.then(|| scene.next_caller())
    });
    timeline::strike_due(play);
    let theirs = Arc::clone(play);
    let code = if let Some(caller) = caller {
        play.with_scene(|scene| {
            scene.record(What::CallBegan {
                call: Call::Run,
                caller,
                from: None,
            });
        });
        start_timeline(theirs, uses_run);
        let _on = play.executor.enter();
        let life = pin!(play.life().run(pace::main(play)));
        let turns = Turns::new(play, false);
        let lives = await_in_turns(&turns, life, |end| {
            let LifeEnd {
                code,
                cause,
                started,
                report,
                ..
            } = end;
            let said = Said::of(&started, &report).returned(Call::Run, caller);
            play.with_scene(|scene| scene.record(said));
            (code, play.record_exit(code, cause))
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
        start_timeline(theirs, uses_run);
        play.wait_for_scene(None, |_| play.exit_code().is_some());
        play.exit_code().unwrap_or_default()
    };
    ExitCode::from(u8::try_from(code).unwrap_or(FAILURE_EXIT_CODE))
}

fn start_timeline(play: Arc<Play>, uses_run: bool) {
    start_thread("timeline", move || timeline::run_timeline(&play, uses_run))
        .expect("a live run can start its threads");
}

/// Starts a thread that does nothing but wait, and records how late it is woken: only the machine can delay it.
fn measure_lag(clock: &Arc<Clock>) -> std::io::Result<()> {
    let clock = Arc::clone(clock);
    start_thread("beat", move || {
        loop {
            let before = Instant::now();
            std::thread::sleep(LAG_SLEEP);
            let lag = before.elapsed().saturating_sub(LAG_SLEEP);
            // A new thread gets a CPU later than a thread that sleeps a lot, and most threads of a run are new.
            let before = Instant::now();
            if let Ok(new) = std::thread::Builder::new().spawn(|| {}) {
                let _ = new.join();
            }
            let lag = lag.max(before.elapsed());
            clock
                .lag
                .fetch_max(super::tempo::nanos(lag), Ordering::Relaxed);
        }
    })
}
