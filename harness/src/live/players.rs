//! Processes for live runs: starts them, bounds them in real time, and reads their journals. `deadstop live` uses
//! this.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::tempo::Tempo;
use crate::journal::{Cause, Event, SignalName, What};
use crate::sim::start_thread;

/// Time that a run may take beyond twice the time that its tempo gives it.
const DEFAULT_MARGIN: Duration = Duration::from_secs(5);

/// Interval at which the end of a process is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Maximum time in which a process ends once it has closed its journal.
const MAX_EXIT_TIME: Duration = Duration::from_secs(2);

/// Maximum number of bytes that are kept of a process's standard error.
const MAX_STDERR_BYTES: u64 = 16 * 1024;

/// The run that a process is asked for.
///
/// It is exhaustive: the parent of a live run must not forget a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The scenario's name.
    pub name: String,
    /// The text of its file.
    pub text: String,
    /// The tempo of the run.
    pub tempo: Tempo,
}

/// The journal of a live run, and how late it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Played {
    /// The journal. It includes what only an observer can record: that the process was killed, and its exit.
    pub events: Vec<Event>,
    /// Maximum time by which a thread that only waits was woken late.
    pub lag: Duration,
    /// Maximum time between an instant and the writing of one of its events.
    pub late: Duration,
    /// The beginning of what the process wrote to standard error.
    pub said: String,
}

/// Reason why a live run has no journal to judge.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// The process could not be started, or read.
    #[error("cannot start or read a process for a live run: {0}")]
    System(#[from] std::io::Error),
    /// The process overstayed, and was killed.
    #[error("the process was still running {:.1} s after its planned end, and was killed", over.as_secs_f64())]
    Overstayed {
        /// How much longer it had run than its tempo plans.
        over: Duration,
        /// The journal up to then.
        played: Played,
    },
    /// The process ended in another way than its journal records.
    #[error("the process ended ({status}), but its journal does not record this end")]
    Silent {
        /// The status with which it ended.
        status: ExitStatus,
        /// The journal up to then.
        played: Played,
    },
    /// The process wrote a line that is no event.
    #[error("the process wrote a line that is not an event: {0}")]
    Garbled(String),
}

/// Starter of processes that [`perform`](super::perform) live runs.
#[derive(Clone, Debug)]
pub struct Players {
    program: PathBuf,
    arguments: Vec<String>,
    margin: Duration,
}

impl Players {
    /// Creates players that start `program` with `arguments`, which has to [`perform`](super::perform).
    pub fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Players {
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            margin: DEFAULT_MARGIN,
        }
    }

    /// Sets the time that a process may take beyond twice the time that its tempo gives it; then it is killed.
    /// Default: 5 s.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Runs one scenario in a process, and waits for its end. Kills the process if it overstays.
    ///
    /// # Errors
    ///
    /// If the run has no journal to judge.
    pub fn play(&self, request: &Request) -> Result<Played, Failed> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the command that asked for the run, not for the worker in it.
            .process_group(0)
            .spawn()?;
        let played = run_child(&mut child, request, self.margin);
        if played.is_err() {
            // No process is left behind, whatever the failure is.
            let _ = child.kill();
            let _ = child.wait();
        }
        played
    }
}

fn run_child(child: &mut Child, request: &Request, margin: Duration) -> Result<Played, Failed> {
    let bound = request.tempo.takes() * 2 + margin;
    let began = Instant::now();
    let (mut input, output, errors) = (
        child.stdin.take().expect("it is piped"),
        child.stdout.take().expect("it is piped"),
        child.stderr.take().expect("it is piped"),
    );
    // Standard input is kept open to the end: when it closes, the process considers itself orphaned.
    let line = serde_json::to_string(request).map_err(std::io::Error::from)?;
    // The result of the write is ignored: if the process ended before it read its request, its end explains more.
    let _ = input
        .write_all(line.as_bytes())
        .and_then(|()| input.write_all(b"\n"));
    let (lines, read) = mpsc::channel();
    start_thread("journal", move || {
        for line in BufReader::new(output).lines() {
            if line.is_err() || lines.send(line.unwrap_or_default()).is_err() {
                return;
            }
        }
    })?;
    let (text_sender, stderr_text) = mpsc::channel();
    start_thread("errors", move || {
        let mut text = Vec::new();
        let mut errors = errors;
        let _ = (&mut errors).take(MAX_STDERR_BYTES).read_to_end(&mut text);
        let _ = text_sender.send(String::from_utf8_lossy(&text).into_owned());
        let _ = std::io::copy(&mut errors, &mut std::io::sink());
    })?;
    let mut played = Played {
        events: Vec::new(),
        lag: Duration::ZERO,
        late: Duration::ZERO,
        said: String::new(),
    };
    loop {
        match read.recv_timeout(bound.saturating_sub(began.elapsed())) {
            Ok(line) => played.push_line(&line)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                played.said = stderr_text.recv_timeout(MAX_EXIT_TIME).unwrap_or_default();
                let over = began.elapsed().saturating_sub(request.tempo.takes());
                return Err(Failed::Overstayed { over, played });
            }
        }
    }
    let status = wait_for_exit(child)?;
    played.said = stderr_text.recv_timeout(MAX_EXIT_TIME).unwrap_or_default();
    drop(input);
    played.finish(status)
}

/// Waits for the end of a process that has closed its journal, and returns its status. Kills the process if it takes
/// longer than [`MAX_EXIT_TIME`].
fn wait_for_exit(child: &mut Child) -> Result<ExitStatus, Failed> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > MAX_EXIT_TIME {
            child.kill()?;
            return Ok(child.wait()?);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

impl Played {
    /// Takes a line of the process: how late the machine was so far and how late the event is, both in microseconds,
    /// and the event.
    fn push_line(&mut self, line: &str) -> Result<(), Failed> {
        let garbled = || Failed::Garbled(line.chars().take(200).collect());
        let mut fields = line.splitn(3, ' ');
        let mut number = || fields.next()?.parse().ok().map(Duration::from_micros);
        let (lag, late) = (number().ok_or_else(garbled)?, number().ok_or_else(garbled)?);
        let event = fields
            .next()
            .and_then(|event| serde_json::from_str(event).ok());
        self.events.push(event.ok_or_else(garbled)?);
        self.lag = self.lag.max(lag);
        self.late = self.late.max(late);
        Ok(())
    }

    /// Adds what only an observer can record: the real exit code, or the signal that killed the process.
    fn finish(mut self, status: ExitStatus) -> Result<Self, Failed> {
        let t = self.events.last().map_or(0, |event| event.t);
        if let Some(Event {
            what: What::Exit { code, .. },
            ..
        }) = self.events.last_mut()
        {
            // The real exit code is the one that counts, even if the process meant another.
            let Some(came_to) = status.code() else {
                return Err(Failed::Silent {
                    status,
                    played: self,
                });
            };
            *code = came_to;
            return Ok(self);
        }
        let number = status.signal().unwrap_or_default();
        let Some(signal) = SignalName::ALL
            .iter()
            .copied()
            .find(|signal| signal.number() == number)
        else {
            return Err(Failed::Silent {
                status,
                played: self,
            });
        };
        // The process has recorded its losses itself, since it knew that the signal would come. They belong after the
        // signal.
        let losses = self.events.iter().rev();
        let losses = losses.take_while(|event| matches!(event.what, What::Lost { .. }));
        let at = self.events.len() - losses.count();
        let event = |what| Event { t, seq: 0, what };
        self.events.insert(at, event(What::Killed { signal }));
        let code = 128 + signal.number();
        let cause = Cause::Killed;
        self.events.push(event(What::Exit { code, cause }));
        for (seq, event) in (0..).zip(&mut self.events) {
            event.seq = seq;
        }
        Ok(self)
    }
}
