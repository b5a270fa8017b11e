//! A server in its own process, with its own folder.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Maximum time to wait for anything. It is much longer than anything takes: a test that gets here has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is deleted at the end of the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let name = format!("model-server-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn database(&self) -> PathBuf {
        self.0.join("predictions.db")
    }

    /// Returns whether the database was closed: the last connection that closes deletes the write-ahead log.
    pub fn is_closed(&self) -> bool {
        !self.0.join("predictions.db-wal").exists()
    }

    /// Returns the requests of the predictions that are kept, sorted. Asserts that the database is whole.
    pub fn rows(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.database()).unwrap();
        let whole: String = db
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
        let mut rows = db
            .prepare("SELECT request FROM predictions ORDER BY request")
            .unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The lines of a pipe, as they come.
pub struct Lines {
    come: Receiver<String>,
    /// Lines that were received so far.
    pub seen: Vec<String>,
}

impl Lines {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (send, come) = mpsc::channel();
        std::thread::spawn(move || {
            for line in pipe
                .into_iter()
                .flat_map(|pipe| BufReader::new(pipe).lines())
            {
                let Ok(line) = line else { return };
                let _ = send.send(line);
            }
        });
        Lines {
            come,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that contains `words`, and returns it.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.come.recv_timeout(left) else {
                panic!("no line {words:?} in\n{}", self.seen.join("\n"));
            };
            self.seen.push(line);
            if let Some(line) = self.seen.last().filter(|line| line.contains(words)) {
                return line.clone();
            }
        }
    }

    /// Waits until the writer is gone, and returns all lines.
    pub fn all(&mut self) -> &[String] {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .come
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        &self.seen
    }
}

/// What happens to a server's log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LogPipe {
    Read,
    Unread,
    Full,
}

/// Fills a pipe until its reader is gone.
fn fill(mut pipe: PipeWriter) {
    while pipe.write_all(&[b'.'; 4096]).is_ok() {}
}

/// A server that runs.
pub struct Server {
    pid: Pid,
    ended: Receiver<ExitStatus>,
    waiter: Option<JoinHandle<()>>,
    pub address: SocketAddr,
    /// Prefix of its routes.
    pub prefix: String,
    pub out: Lines,
    /// Lines of its log, if it is read.
    pub log: Lines,
    /// Reading end of its log, if it is not read.
    unread_log: Option<PipeReader>,
}

impl Server {
    /// Starts a server, and waits until it listens.
    #[track_caller]
    pub fn start(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        Server::spawn(folder, settings, LogPipe::Read)
    }

    /// Starts a server with a full log: the reading end is open, and is not read.
    #[track_caller]
    pub fn start_with_full_log(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        Server::spawn(folder, settings, LogPipe::Full)
    }

    /// Starts a server with a log that is not read.
    #[track_caller]
    pub fn start_with_unread_log(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        Server::spawn(folder, settings, LogPipe::Unread)
    }

    #[track_caller]
    fn spawn(folder: &Folder, settings: &[(&str, &str)], log: LogPipe) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_model-server"));
        // No other test has this prefix: the system may give a port again.
        let name: &Path = folder.0.file_name().unwrap().as_ref();
        let prefix = format!("/{}", name.display());
        command
            .env_clear()
            .env("MODEL_SERVER_LISTEN", "127.0.0.1:0")
            .env("MODEL_SERVER_DATABASE", folder.database())
            .env("MODEL_SERVER_FAULTS", "1")
            .env("MODEL_SERVER_LOG", "debug")
            .env("URL_PREFIX", &prefix)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (reader, writer) = std::io::pipe().unwrap();
        command.stderr(writer.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        // The command keeps the writing end of the pipe.
        drop(command);
        let mut out = Lines::of(child.stdout.take());
        let (read, unread_log) = match log {
            LogPipe::Read => (Some(reader), None),
            LogPipe::Unread | LogPipe::Full => (None, Some(reader)),
        };
        if log == LogPipe::Full {
            std::thread::spawn(move || fill(writer));
        }
        let pid = Pid::from_child(&child);
        let (send, ended) = mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let _ = send.send(child.wait().unwrap());
        });
        let line = out.until("listening on ");
        let (_, url) = line.split_once("http://").unwrap();
        let address = url.strip_suffix(&prefix).unwrap().parse().unwrap();
        Server {
            pid,
            ended,
            waiter: Some(waiter),
            address,
            prefix,
            out,
            log: Lines::of(read),
            unread_log,
        }
    }

    /// Closes the reading end of a log that is not read.
    pub fn close_log(&mut self) {
        drop(self.unread_log.take().unwrap());
    }

    /// Sends the server a signal. That is possible only before [`end`](Self::end), since its number may belong to
    /// another process then.
    pub fn signal(&self, signal: Signal) {
        assert!(self.waiter.is_some());
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits for the end of the server.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let Ok(status) = self.ended.recv_timeout(PATIENCE) else {
            panic!("it does not end:\n{}", self.log.seen.join("\n"));
        };
        self.waiter.take().unwrap().join().unwrap();
        status
    }

    /// Waits for the end of the server, and returns its exit code.
    #[track_caller]
    pub fn code(&mut self) -> i32 {
        self.end().code().expect("no signal ends it")
    }

    /// Returns the last figure of that name that the server wrote.
    #[track_caller]
    pub fn figure(&mut self, name: &str) -> usize {
        let line = self.out.all().last().unwrap();
        let (_, figure) = line.split_once(&format!("{name}=")).unwrap();
        figure.split(' ').next().unwrap().parse().unwrap()
    }

    /// Returns the components that cleanup reached, in order, from the log.
    pub fn cleaned(&mut self) -> Vec<String> {
        let lines = self.log.all().iter();
        let steps = lines.filter_map(|line| line.split_once("WorkerCtx cleanup: "));
        steps
            .map(|(_, step)| step.split_once(" (#").unwrap().0.to_owned())
            .collect()
    }

    /// Returns how a step ended, from the log.
    #[track_caller]
    pub fn outcome(&mut self, component: &str) -> String {
        let lines = self.log.all();
        let ended = |line: &&String| {
            let of = line.contains(&format!(" {component} (#"))
                || line.contains(&format!(" {component}: "));
            of && line.contains(", order ") && line.contains("): ")
        };
        let Some(line) = lines.iter().find(ended) else {
            panic!("{component} has no end in\n{}", lines.join("\n"));
        };
        let (_, outcome) = line.rsplit_once("): ").unwrap();
        outcome.split(' ').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            // Its end has not been awaited, so that the number is still its own.
            if self.ended.try_recv().is_err() {
                let _ = kill_process(self.pid, Signal::KILL);
            }
            let _ = waiter.join();
        }
    }
}
