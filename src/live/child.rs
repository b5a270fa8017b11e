//! One scenario, live, in a process of its own.

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

/// How long a run's threads are given to be there before its clock begins.
const RISES: Duration = Duration::from_millis(20);

/// How often the thread that only waits looks how late it was woken.
const BEAT: Duration = Duration::from_millis(10);

/// The code of a process that could not begin a run.
const BROKEN: u8 = 70;

/// The standard output, a line at a time: nothing of it is kept back.
struct Out(std::fs::File);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Runs the scenario that standard input asks for, and ends as its worker does.
///
/// The journal goes to standard output, a line an event. When standard input ends, so does the process.
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
        .map_err(|invalid| format!("{} mistakes in the file", invalid.diagnostics.len()))?;
    // Who asked for the run has gone: nobody reads its journal, and nobody would end it.
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

/// Lives, and returns with the code with which the process ends.
fn live(play: &Arc<Play>, run: bool) -> ExitCode {
    // Who begins is the first caller. What strikes at the start strikes before anything runs: a program that
    // only calls calls start before all else, but main waits for the rest.
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
            // Something else ends the process already.
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

/// A thread that does nothing but wait: how late it is woken is the machine's doing.
fn watch_the_machine(clock: &Arc<Clock>) -> std::io::Result<()> {
    let clock = Arc::clone(clock);
    start("beat", move || {
        loop {
            let before = Instant::now();
            std::thread::sleep(BEAT);
            let late = before.elapsed().saturating_sub(BEAT);
            // A thread that is new comes later than one that sleeps a lot, and most of a run's are new.
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
