//! Workers with one mistake each, under the kit, with a file that scripts only a SIGTERM: which mistakes are found,
//! and in which words. Beside them are correct workers, which must not be accused. Each test runs in a process of its
//! own, because some workers keep threads for good. No test may hang.

#![allow(
    clippy::disallowed_methods,
    reason = "the workers are a user's code, and the processes are real"
)]

mod workers;

use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

/// Name of the variable that names the worker under test in this process.
const WORKER: &str = "DEADSTOP_TEST_WORKER";
/// Suffix of the name of a worker with all files in one test, as under the usual harness, with the logs shown.
const IN_ONE_TEST: &str = ", in one test";
/// Maximum real time of one process.
const GUARD: Duration = Duration::from_secs(60);

/// The way in which the test of a worker has to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The test fails.
    Fails,
    /// The test passes with a note, which has the expected words.
    Notes,
    /// The test passes without a note.
    Passes,
}
use Ends::{Fails, Notes, Passes};

/// Each worker, the end of its test, and the words that the test has to print.
const EXPECTED: &[(&str, Ends, &[&str])] = &[
    (
        "main never gets ready",
        Fails,
        &[
            r#"FAIL sigterm: broken law ends/explained: "main" was aborted at 15.000, after 5 s of its bound of 5 s"#,
            "main has waited since 0.000; nothing had been registered by then",
            "no timer, task or body of this run could have woken it",
            "sqlx, a resolver, reqwest",
            "spawn_blocking(move || handle.block_on(connect()))",
        ],
    ),
    (
        "main waits for the real world",
        Fails,
        &[
            r#"broken law ends/explained: "main" was aborted at 15.000"#,
            "such as a thread or a socket?",
        ],
    ),
    (
        "main takes a minute",
        Fails,
        &[
            r#"broken law ends/explained: "main" was aborted at 15.000"#,
            r#"main has waited since 0.000; "db" had been registered by then"#,
            "without a stop, main is done at 60.000",
            "`start-timeout`",
        ],
    ),
    (
        "registers nothing",
        Fails,
        &[
            "FAIL sigterm: tests nothing: main was done at 0.000, and no component was registered and no code was run before that",
            "`registered = []` in [expect]",
        ],
    ),
    (
        "body ends at once",
        Notes,
        &[r#"note: "consumer" ended by itself at 0.000"#],
    ),
    (
        "body panics early",
        Fails,
        &[
            r#"broken law ends/explained: "consumer" panicked at 3.000 (no such topic)"#,
            r#""consumer" panicked at harness/../tests/mistakes/workers.rs:"#,
        ],
    ),
    (
        "uses an unknown name",
        Fails,
        &[
            r#"FAIL sigterm: "indexer" uses "dbb", but no component is registered with that name"#,
            r#"did you mean "db"?"#,
        ],
    ),
    (
        "blocking pool hangs",
        Fails,
        &[
            r#"FAIL sigterm: the run stands still at 0.000: "loader" has a job on the blocking pool, which blocks its thread on a channel"#,
            r#""loader" has awaited since 0.000"#,
            "Virtual time stands still until a job of `spawn_blocking`",
        ],
    ),
    (
        "blocking pool is slow",
        Fails,
        &[
            r#"a job of "loader" on the blocking pool took "#,
            "of real time at 10.000, longer than its bound of 1 s",
        ],
    ),
    (
        "detached blocking job",
        Notes,
        &[
            r#"note: 1 job on the blocking pool, started by "loader", had not ended when the process ended"#,
        ],
    ),
    (
        "sleeps for real",
        Fails,
        &[
            r#"FAIL sigterm: "consumer" kept its thread for "#,
            "of real time at 10.000, longer than its bound of 1 s",
        ],
    ),
    (
        "holds a lock across a wait",
        Fails,
        &[
            r#"FAIL sigterm: the run stands still at 0.000: "consumer" blocks its thread in a lock"#,
            r#""flusher" has waited in its scope since 0.000, at harness/../tests/mistakes/workers.rs:"#,
            "scope.lock(&mutex)",
        ],
    ),
    (
        "receives from a std channel",
        Fails,
        &[
            r#"the run stands still at 0.000: "writer" blocks its thread on a channel"#,
            "workers::receives_from_a_std_channel",
            "scope.recv(&receiver)",
        ],
    ),
    (
        "computes for ever",
        Fails,
        &[
            r#"the run stands still at 0.000: "trainer" computes without end"#,
            "scope.running()",
        ],
    ),
    (
        "reads a pipe",
        Fails,
        &[
            r#"the run stands still at 0.000: "importer" blocks its thread in read of fd "#,
            ", a pipe",
            "workers::reads_a_pipe",
        ],
    ),
    (
        "waits for a child process",
        Fails,
        &[
            r#"the run stands still at 10.000: "archive" blocks its thread, waiting for a child process"#,
            "put it behind the state",
        ],
    ),
    (
        "joins a thread of std's",
        Fails,
        &[
            r#"the run stands still at 0.000: "indexer" blocks its thread, waiting for the end of another thread"#,
        ],
    ),
    (
        "locks standard output",
        Fails,
        &[r#"the run stands still at 0.000: "reporter" blocks its thread on a channel"#],
    ),
    (
        "locks standard output, in one test",
        Fails,
        &[
            r#"the run stands still at 0.000: "reporter" blocks its thread on a channel"#,
            "standard output is locked by code that was left behind",
        ],
    ),
    (
        "none is picked",
        Fails,
        &["DEADSTOP_SCENARIO matches none of the 1 scenario"],
    ),
    (
        "none is picked, in one test",
        Fails,
        &["DEADSTOP_SCENARIO matches none of the 1 scenario"],
    ),
    (
        "timers without end",
        Fails,
        &[
            r#"FAIL sigterm: the run has not ended after 3 s of real time: at "#,
            r#", the last turn was that of "ticker""#,
            "Every turn ends, but the run does not",
        ],
    ),
    (
        "app blocks",
        Fails,
        &[
            "the run stands still at 0.000: the code that makes the state (`app`) blocks its thread on a channel",
        ],
    ),
    (
        "destructor of the state blocks",
        Fails,
        &[
            "FAIL sigterm: the run stands still at 10.000: a destructor at the end of the run (of the state, of a task that the",
            "blocks its thread on a channel",
            "\nserver        ─",
        ],
    ),
    (
        "destructor blocks beside a job on the pool",
        Fails,
        &[
            "FAIL sigterm: the run stands still at 10.000: a destructor at the end of the run (of the state, of a task that the",
            "blocks its thread on a channel",
        ],
    ),
    (
        "destructor of a spawned task blocks",
        Fails,
        &[
            "FAIL sigterm: the run stands still at 10.000: a destructor at the end of the run (of the state, of a task that the",
            "blocks its thread on a channel",
        ],
    ),
    (
        "second needs to run after first",
        Fails,
        &[
            r#"FAIL sigterm: broken law ends/explained: with seed "#,
            r#": "second" panicked at 10.000"#,
        ],
    ),
    (
        "a static that the runs share",
        Fails,
        &[
            // Chance decides which seed it is, because the seeds run side by side.
            r#"FAIL sigterm: broken law ends/explained: with seed "#,
            r#": "main" failed at 0.000 (no more connections)"#,
            "Do two runs share a port, a file or a lock?",
        ],
    ),
    (
        "detached task",
        Notes,
        &["note: 1 task that the context does not know was alive at the end"],
    ),
    (
        "holds a strong handle",
        Notes,
        &[r#"note: "server" held a strong handle of the context until it ended"#],
    ),
    (
        "closed before its user",
        Fails,
        &[r#"FAIL sigterm: broken law uses/closed-after-users: "predictor" was closed"#],
    ),
    (
        "ends before its user",
        Notes,
        &[
            r#"note: "writer" may end before "producer", which uses it: to prevent this, let it be told in turn, and give it an order after "producer""#,
        ],
    ),
    (
        "bounds do not fit",
        Notes,
        &[
            r#"note: "reader" has a bound of 20 s, but stop has at most 19.5 s: it is never awaited for the whole bound"#,
            r#"note: "worker" has a bound of 20 s"#,
            r#"note: "writer" has a bound of 20 s"#,
        ],
    ),
    (
        "ignores stop",
        Fails,
        &[
            r#"broken law ends/explained: "flusher" was leaked at 12.000, after 2 s of its bound of 2 s"#,
            "it was told to stop at 10.000",
            "`scope.running()` becomes false",
        ],
    ),
    (
        "task ignores stop",
        Fails,
        &[
            r#"broken law ends/explained: "poller" was aborted at 12.000, after 2 s of its bound of 2 s"#,
            "it was told to stop at 10.000",
            "await `token.cancelled()`",
        ],
    ),
    (
        "close waits for ever",
        Fails,
        &[
            r#"broken law ends/explained: "db" was leaked at 20.000, after 10 s of its bound of 10 s"#,
            "Does it wait for something that cannot come, because stop or cleanup has already ended other components?",
        ],
    ),
    (
        "spawns from a thread body",
        Fails,
        &[
            r#"broken law ends/explained: "importer" panicked at 0.000 (there is no reactor running"#,
            "workers::spawns_from_a_thread_body",
        ],
    ),
    (
        "select is not biased",
        Fails,
        &[
            "two runs with seed 0 gave two journals",
            "`select!` without `biased`",
        ],
    ),
    (
        "a fixed port",
        Fails,
        &[
            "FAIL sigterm: main failed only in the second of two runs: Address already in use",
            "Bind port 0",
        ],
    ),
    ("right: flusher and db", Passes, &[]),
    ("right: consumer and drain", Passes, &[]),
    ("right: connections in a join set", Passes, &[]),
    ("right: blocking main", Passes, &[]),
    ("right: short blocking jobs", Passes, &[]),
    ("right: std channel and lock through the scope", Passes, &[]),
    ("right: main connects on the blocking pool", Passes, &[]),
];

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(WORKER) {
        let own = workers::named(&name).expect("a worker of that name");
        let suite = deadstop_harness::kit::Suite::new(
            env!("CARGO_MANIFEST_DIR"),
            "../tests/mistakes/scenarios",
            env!("CARGO_PKG_NAME"),
            file!(),
            env!("CARGO_CRATE_NAME"),
            own,
        );
        if name.ends_with(IN_ONE_TEST) {
            suite.test();
            return ExitCode::SUCCESS;
        }
        return suite.main();
    }
    let trials = EXPECTED.iter().map(|(name, ends, words)| {
        Trial::test(*name, move || {
            let output = run_test_of(name)?;
            check_expected(&output, *ends, words)
                .map_err(|why| Failed::from(format!("{why}\n{output}")))
        })
    });
    let mut arguments = Arguments::from_args();
    // Most of them wait.
    arguments.test_threads = arguments.test_threads.or(Some(8));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Runs the test of a worker in a process of its own, and returns its output, with the exit code last.
fn run_test_of(name: &str) -> Result<String, Failed> {
    let here = std::env::current_exe()?;
    let mut command = Command::new(here);
    command
        .env(WORKER, name)
        .env_remove("DEADSTOP_SCENARIO")
        .env_remove("DEADSTOP_PATIENCE")
        .env_remove("DEADSTOP_TIME_LIMIT")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if name.ends_with(IN_ONE_TEST) {
        command.arg("--nocapture");
    }
    match name {
        // These have to be judged by the time that they take, and not be given up.
        "blocking pool is slow" | "sleeps for real" => {}
        "none is picked" | "none is picked, in one test" => {
            command.env("DEADSTOP_SCENARIO", "sigkill");
        }
        "timers without end" => {
            command.env("DEADSTOP_TIME_LIMIT", "3s");
            command.env("DEADSTOP_PATIENCE", "1s");
        }
        _ => {
            command.env("DEADSTOP_PATIENCE", "1s");
        }
    }
    let mut child = command.spawn()?;
    let mut streams: Vec<Box<dyn Read + Send>> = Vec::new();
    streams.extend(child.stdout.take().map(|stream| Box::new(stream) as Box<_>));
    streams.extend(child.stderr.take().map(|stream| Box::new(stream) as Box<_>));
    let (sender, texts) = mpsc::channel();
    for mut stream in streams {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text);
            let _ = sender.send(text);
        });
    }
    drop(sender);
    let mut all = String::new();
    for _ in 0..2 {
        match texts.recv_timeout(GUARD) {
            Ok(text) => all += &text,
            Err(_) => {
                child.kill()?;
                child.wait()?;
                return Err(format!("{name}: it hangs\n{all}").into());
            }
        }
    }
    let status = child.wait()?;
    Ok(format!("{all}\nexit code {:?}", status.code()))
}

fn check_expected(output: &str, ends: Ends, words: &[&str]) -> Result<(), String> {
    let code = if ends == Fails { 101 } else { 0 };
    if !output.ends_with(&format!("exit code Some({code})")) {
        return Err(format!("it is to end with {code}"));
    }
    if ends == Passes && output.contains("note:") {
        return Err("it is accused".to_owned());
    }
    match words.iter().find(|word| !output.contains(**word)) {
        Some(word) => Err(format!("it does not say {word:?}")),
        None => Ok(()),
    }
}
