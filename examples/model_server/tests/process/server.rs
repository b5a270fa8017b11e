//! A server in a process of its own, in a folder of its own.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything is waited for. Much more than it takes: a test that gets here has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is gone with the test.
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

    /// Whether the database was closed: the last one to close it takes its log away.
    pub fn is_closed(&self) -> bool {
        !self.0.join("predictions.db-wal").exists()
    }

    /// The requests whose predictions are kept, sorted. The database has to be whole.
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
    /// Those that were looked at.
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

    /// All lines, once nobody writes any more.
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

/// What becomes of a server's log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Read,
    Unread,
    Full,
}

/// Fills a pipe, for as long as somebody could read from it.
fn fill(mut pipe: PipeWriter) {
    while pipe.write_all(&[b'.'; 4096]).is_ok() {}
}

/// A server.
pub struct Server {
    pid: Pid,
    ended: Receiver<ExitStatus>,
    waiter: Option<JoinHandle<()>>,
    pub address: SocketAddr,
    /// Where its routes begin.
    pub prefix: String,
    pub out: Lines,
    /// Its log, if it is read.
    pub log: Lines,
    /// Its log, if it is not.
    unread: Option<PipeReader>,
}

impl Server {
    /// Starts one, and waits until it listens.
    #[track_caller]
    pub fn start(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        Server::spawn(folder, settings, Log::Read)
    }

    /// Starts one whose log is full: somebody holds it, and does not read.
    #[track_caller]
    pub fn full(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        Server::spawn(folder, settings, Log::Full)
    }

    /// Starts one whose log nobody reads.
    #[track_caller]
    pub fn unread(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        Server::spawn(folder, settings, Log::Unread)
    }

    #[track_caller]
    fn spawn(folder: &Folder, settings: &[(&str, &str)], log: Log) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_model-server"));
        // A prefix that no other test has: the system may give a port again.
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
        // It keeps the other end of the pipe.
        drop(command);
        let mut out = Lines::of(child.stdout.take());
        let (read, unread) = match log {
            Log::Read => (Some(reader), None),
            Log::Unread | Log::Full => (None, Some(reader)),
        };
        if log == Log::Full {
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
            unread,
        }
    }

    /// Closes the end of its log at which nobody reads.
    pub fn close_log(&mut self) {
        drop(self.unread.take().unwrap());
    }

    /// Sends it a signal. Only before its end was waited for: its number may be somebody else's then.
    pub fn signal(&self, signal: Signal) {
        assert!(self.waiter.is_some());
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let Ok(status) = self.ended.recv_timeout(PATIENCE) else {
            panic!("it does not end:\n{}", self.log.seen.join("\n"));
        };
        self.waiter.take().unwrap().join().unwrap();
        status
    }

    /// Waits for its end, and returns its exit code.
    #[track_caller]
    pub fn code(&mut self) -> i32 {
        self.end().code().expect("no signal ends it")
    }

    /// The last figure of that name that it wrote.
    #[track_caller]
    pub fn figure(&mut self, name: &str) -> usize {
        let line = self.out.all().last().unwrap();
        let (_, figure) = line.split_once(&format!("{name}=")).unwrap();
        figure.split(' ').next().unwrap().parse().unwrap()
    }

    /// The components that cleanup came to, in order, by its log.
    pub fn cleaned(&mut self) -> Vec<String> {
        let lines = self.log.all().iter();
        let steps = lines.filter_map(|line| line.split_once("WorkerCtx cleanup: "));
        steps
            .map(|(_, step)| step.split_once(" (#").unwrap().0.to_owned())
            .collect()
    }

    /// How a step ended, by its log.
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
            // It has not been waited for, so that its number is still its own.
            if self.ended.try_recv().is_err() {
                let _ = kill_process(self.pid, Signal::KILL);
            }
            let _ = waiter.join();
        }
    }
}
