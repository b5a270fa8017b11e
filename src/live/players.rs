//! Processes for live runs: started, bounded in real time, and read.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::tempo::Tempo;
use crate::journal::{Cause, Event, SignalName, What};

/// How much longer than the simulated one a run may take, beside as long again.
const MARGIN: Duration = Duration::from_secs(5);

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(2);

/// How long a process may take to end once it has closed its journal.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// More of a process's standard error is of no use.
const SAID: u64 = 16 * 1024;

/// What a process is asked to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The scenario's name.
    pub name: String,
    /// Its file.
    pub text: String,
    /// Its tempo.
    pub tempo: Tempo,
}

/// A live run.
#[derive(Clone, Debug)]
pub struct Played {
    /// The journal, with what only an onlooker can write: that it was killed, and its exit.
    pub events: Vec<Event>,
    /// How late a thread was woken that does nothing but wait, at worst.
    pub lag: Duration,
    /// How long after its instant an event was written, at worst.
    pub late: Duration,
    /// What the process wrote to standard error.
    pub said: String,
}

/// A live run that has no journal to judge.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No process could be started, or read.
    #[error("no process for a live run: {0}")]
    System(#[from] std::io::Error),
    /// It overstayed, and was killed.
    #[error("the process was not over {:.1} s after the simulated one, and was killed", over.as_secs_f64())]
    Overstayed {
        /// By how much.
        over: Duration,
        /// What it had written.
        played: Played,
    },
    /// It ended otherwise than its journal says.
    #[error("the process ended ({status}) without a word of it in its journal")]
    Silent {
        /// How it ended.
        status: ExitStatus,
        /// What it had written.
        played: Played,
    },
    /// It wrote what is no event.
    #[error("the process wrote a line that is no event: {0}")]
    Garbled(String),
}

/// Starts processes that [`perform`](super::perform).
#[derive(Clone, Debug)]
pub struct Players {
    program: PathBuf,
    arguments: Vec<String>,
    margin: Duration,
}

impl Players {
    /// That program with those arguments performs.
    pub fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Players {
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            margin: MARGIN,
        }
    }

    /// A process is killed that takes more than twice its time and that much; 5 s without this.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Runs one, and waits for its end; it is killed if it overstays.
    ///
    /// # Errors
    ///
    /// If there is no journal to judge.
    pub fn play(&self, request: &Request) -> Result<Played, Failed> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for who asked for the run, not for the worker in it.
            .process_group(0)
            .spawn()?;
        let played = follow(&mut child, request, self.margin);
        if played.is_err() {
            // Whatever it is, nothing is left behind of it.
            let _ = child.kill();
            let _ = child.wait();
        }
        played
    }
}

fn follow(child: &mut Child, request: &Request, margin: Duration) -> Result<Played, Failed> {
    let bound = request.tempo.takes() * 2 + margin;
    let began = Instant::now();
    let (mut input, output, errors) = (
        child.stdin.take().expect("it is piped"),
        child.stdout.take().expect("it is piped"),
        child.stderr.take().expect("it is piped"),
    );
    // Kept open to the end: when it closes, the process takes itself for left alone.
    let line = serde_json::to_string(request).map_err(std::io::Error::from)?;
    // A process that ends without having heard it tells more by its end.
    let _ = input
        .write_all(line.as_bytes())
        .and_then(|()| input.write_all(b"\n"));
    let (lines, read) = mpsc::channel();
    let builder = || std::thread::Builder::new();
    builder().spawn(move || {
        for line in BufReader::new(output).lines() {
            if line.is_err() || lines.send(line.unwrap_or_default()).is_err() {
                return;
            }
        }
    })?;
    let (says, said) = mpsc::channel();
    builder().spawn(move || {
        let mut text = Vec::new();
        let mut errors = errors;
        let _ = (&mut errors).take(SAID).read_to_end(&mut text);
        let _ = says.send(String::from_utf8_lossy(&text).into_owned());
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
            Ok(line) => played.take(&line)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                played.said = said.recv_timeout(LAST_WORDS).unwrap_or_default();
                let over = began.elapsed().saturating_sub(request.tempo.takes());
                return Err(Failed::Overstayed { over, played });
            }
        }
    }
    let status = end_of(child)?;
    played.said = said.recv_timeout(LAST_WORDS).unwrap_or_default();
    drop(input);
    played.ends(status)
}

/// How a process ended that has closed its journal.
fn end_of(child: &mut Child) -> Result<ExitStatus, Failed> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > LAST_WORDS {
            child.kill()?;
            return Ok(child.wait()?);
        }
        std::thread::sleep(LOOK);
    }
}

impl Played {
    /// Takes a line: how late the machine was so far, how late the event is, the event.
    fn take(&mut self, line: &str) -> Result<(), Failed> {
        let garbled = || Failed::Garbled(line.chars().take(200).collect());
        let mut parts = line.splitn(3, ' ');
        let mut number = || parts.next()?.parse().ok().map(Duration::from_micros);
        let (lag, late) = (number().ok_or_else(garbled)?, number().ok_or_else(garbled)?);
        let event = parts
            .next()
            .and_then(|event| serde_json::from_str(event).ok());
        self.events.push(event.ok_or_else(garbled)?);
        self.lag = self.lag.max(lag);
        self.late = self.late.max(late);
        Ok(())
    }

    /// Adds what only an onlooker can say.
    fn ends(mut self, status: ExitStatus) -> Result<Self, Failed> {
        let t = self.events.last().map_or(0, |event| event.t);
        if let Some(Event {
            what: What::Exit { code, .. },
            ..
        }) = self.events.last_mut()
        {
            // The code that it came to is the one that counts, whatever was meant.
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
        // What is lost it has written itself: it knew that the signal comes.
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
