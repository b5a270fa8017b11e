//! Tests of the real server in its own process, with real signals, sockets and files.
//!
//! Exit codes follow the contract's rule 17, and each test works out its own.

#[path = "process/client.rs"]
mod client;
#[path = "process/server.rs"]
mod server;

use std::sync::mpsc;
use std::time::Instant;

use client::{Client, RequestResult};
use rustix::process::Signal;
use server::{Folder, PATIENCE, Server};

/// A request of the load, and its result.
struct LoadRequest {
    name: String,
    /// When all of it was written; `None` if the server no longer listened.
    written: Option<Instant>,
    result: RequestResult,
}

/// Callers that ask for one prediction after another until the server no longer listens.
struct Load {
    callers: Vec<std::thread::JoinHandle<Vec<LoadRequest>>>,
    answers: mpsc::Receiver<()>,
}

impl Load {
    /// Starts four callers: two keep their connection, two take a new one for each request.
    fn start(server: &Server) -> Self {
        let (answered, answers) = mpsc::channel();
        let callers = (0..4).map(|n| {
            let (mut client, answered) = (Client::new(server), answered.clone());
            std::thread::spawn(move || {
                let mut asked = Vec::new();
                loop {
                    let name = format!("{n}-{}", asked.len());
                    let written = client.begin_predict(&name, 5);
                    let result = client.answer();
                    if n % 2 == 0 {
                        client.hang_up();
                    }
                    let refused = result == RequestResult::Refused;
                    asked.push(LoadRequest {
                        name,
                        written,
                        result,
                    });
                    if refused {
                        return asked;
                    }
                    let _ = answered.send(());
                }
            })
        });
        Load {
            callers: callers.collect(),
            answers,
        }
    }

    /// Waits until that number of requests have ended.
    fn wait_for(&self, requests: usize) {
        for _ in 0..requests {
            self.answers.recv_timeout(PATIENCE).unwrap();
        }
    }

    fn end(self) -> Vec<LoadRequest> {
        let callers = self.callers.into_iter();
        callers.flat_map(|caller| caller.join().unwrap()).collect()
    }
}

/// Asks for that number of predictions, and returns their names, sorted.
fn predict(server: &Server, times: usize) -> Vec<String> {
    let mut client = Client::new(server);
    let names: Vec<String> = (0..times).map(|n| format!("asked {n}")).collect();
    for name in &names {
        assert_eq!(client.predict(name, 1).status(), 200);
    }
    names
}

/// Asserts that no request is lost. A request that was written before the signal was sent is answered, a request that
/// the server has read is answered, and an answered prediction is kept. A request that was written later, and never
/// read, may be refused.
#[track_caller]
fn assert_nothing_is_lost(
    asked: &[LoadRequest],
    signalled: Instant,
    server: &mut Server,
    folder: &Folder,
) {
    let mut answered = Vec::new();
    for LoadRequest {
        name,
        written,
        result,
    } in asked
    {
        match result {
            RequestResult::Answer { status, .. } => {
                assert_eq!(*status, 200, "{name}: {result:?}");
                answered.push(name.clone());
            }
            RequestResult::Part => panic!("{name} has part of an answer"),
            RequestResult::Nothing | RequestResult::Refused => assert!(
                written.is_none_or(|written| written >= signalled),
                "{name} was written before the signal: {result:?}"
            ),
        }
    }
    answered.sort();
    assert_eq!(
        server.figure("requests"),
        answered.len(),
        "what was read is answered"
    );
    assert_eq!(server.figure("predictions"), answered.len());
    assert_eq!(folder.rows(), answered, "what was answered is kept");
    let nothing = asked
        .iter()
        .filter(|asked| asked.result == RequestResult::Nothing);
    let (answered, nothing) = (answered.len(), nothing.count());
    println!("{answered} answered, {nothing} written too late and never read");
}

#[test]
fn a_signal_under_load_loses_no_request() {
    let folder = Folder::new("load");
    let mut server = Server::start(&folder, &[]);
    let load = Load::start(&server);
    load.wait_for(200);
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    // Every step ends well: 0.
    assert_eq!(server.code(), 0);
    assert_nothing_is_lost(&load.end(), signalled, &mut server, &folder);
    assert!(folder.is_closed());
    assert_eq!(server.cleaned(), CLEANUP);
}

/// Cleanup's steps, in order.
const CLEANUP: [&str; 5] = [
    "thread pool",
    "predictor",
    "stdout flusher",
    "telemetry",
    "db",
];

#[test]
fn request_in_flight_is_answered_despite_idle_connections() {
    let folder = Folder::new("idle");
    let mut server = Server::start(&folder, &[]);
    let mut idle = Client::new(&server);
    assert_eq!(idle.get("/health").status(), 200);
    let mut busy = Client::new(&server);
    busy.begin_predict("in flight", 400).unwrap();
    server.signal(Signal::TERM);
    let RequestResult::Answer {
        status: 200,
        last: true,
        body,
    } = busy.answer()
    else {
        panic!("no last answer");
    };
    assert!(body.contains("in flight"), "{body}");
    assert_eq!(
        idle.answer(),
        RequestResult::Nothing,
        "closed without a word"
    );
    assert_eq!(server.code(), 0);
    assert_eq!(server.outcome("http"), "ok");
    assert_eq!(folder.rows(), ["in flight"]);
}

#[test]
fn request_past_the_drain_is_cut_off_but_its_prediction_is_kept() {
    let folder = Folder::new("outlasts");
    let mut server = Server::start(&folder, &[("MODEL_SERVER_DRAIN_MS", "300")]);
    let mut slow = Client::new(&server);
    slow.begin_predict("slow", 1_200).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(slow.answer(), RequestResult::Nothing, "cut off");
    // A step did not end well: 1. The pool's thread has 2 s from then on, and needs less.
    assert_eq!(server.code(), 1);
    assert_eq!(server.outcome("http"), "aborted");
    assert_eq!(server.outcome("thread pool"), "ok");
    assert_eq!(folder.rows(), ["slow"]);
}

#[test]
fn readiness_says_no_while_requests_are_still_taken() {
    let folder = Folder::new("ready");
    let mut server = Server::start(&folder, &[("MODEL_SERVER_PRE_STOP_MS", "2000")]);
    let mut probe = Client::new(&server);
    let until = |probe: &mut Client, status| {
        let begun = Instant::now();
        while probe.get("/ready").status() != status {
            assert!(begun.elapsed() < PATIENCE, "never {status}");
        }
    };
    // The server listens before main has returned, and is ready only after that.
    until(&mut probe, 200);
    server.signal(Signal::TERM);
    until(&mut probe, 503);
    // A new connection is served: the load balancer may not know yet that the server is not ready.
    let result = Client::new(&server).predict("late", 1);
    assert!(matches!(
        result,
        RequestResult::Answer {
            status: 200,
            last: false,
            ..
        }
    ));
    assert_eq!(server.code(), 0);
    assert_eq!(folder.rows(), ["late"]);
}

/// Leaves a request without end in flight, and sends two signals. The second is sent when stop has waited for half a
/// second: long after the 200 ms within which it would count as a double of the first.
#[track_caller]
fn send_two_signals(server: &mut Server) -> Client {
    let mut hung = Client::new(server);
    hung.begin_predict("never", 600_000).unwrap();
    server.signal(Signal::TERM);
    server.log.until("still waiting for http ");
    server.signal(Signal::TERM);
    hung
}

#[test]
fn second_signal_leaves_each_cleanup_step_only_its_floor() {
    let folder = Folder::new("second");
    let limits = [
        ("MODEL_SERVER_DRAIN_MS", "1000"),
        ("MODEL_SERVER_CLOSE_MS", "8000"),
        ("MODEL_SERVER_FLOOR_MS", "600"),
    ];
    let mut server = Server::start(&folder, &limits);
    let names = predict(&server, 5);
    let _hung = send_two_signals(&mut server);
    // The code of the second signal: 128 + 15.
    assert_eq!(server.code(), 143);
    assert_eq!(server.outcome("http"), "not-awaited");
    // The pool's job never ends. The pool gets its floor and no more, and then the next step begins.
    assert_eq!(server.outcome("thread pool"), "leaked");
    assert_eq!(server.cleaned(), CLEANUP);
    assert_eq!(server.outcome("db"), "ok");
    assert!(folder.is_closed());
    assert_eq!(folder.rows(), names);
}

#[test]
fn a_third_signal_ends_it_at_once() {
    let folder = Folder::new("third");
    let limits = [
        ("MODEL_SERVER_DRAIN_MS", "1000"),
        ("MODEL_SERVER_CLOSE_MS", "8000"),
        ("MODEL_SERVER_FLOOR_MS", "1800"),
    ];
    let mut server = Server::start(&folder, &limits);
    let names = predict(&server, 5);
    let _hung = send_two_signals(&mut server);
    // The log has this line at half of the pool's floor, 900 ms after the second signal.
    server.log.until("still waiting for thread pool ");
    server.signal(Signal::TERM);
    // The code of the third signal: 128 + 15.
    assert_eq!(server.code(), 143);
    assert_eq!(
        server.cleaned(),
        ["thread pool"],
        "the others are never begun"
    );
    assert!(!folder.is_closed());
    assert_eq!(folder.rows(), names, "what was kept is kept");
}

/// Settings with a short bound, for a cleanup step that hangs for ever.
const HUNG: [(&str, &str); 1] = [("MODEL_SERVER_CLOSE_MS", "800")];

fn hang_predictor(server: &Server) {
    let planted = Client::new(server).post("/faults/predictor-hangs");
    assert_eq!(planted.status(), 200);
}

/// Asserts that a step is left behind, so that the exit code is 1; that the rest is closed, the database last; and
/// that what was answered is kept.
#[track_caller]
fn assert_left_behind(step: &str, server: &mut Server, folder: &Folder, names: &[String]) {
    assert_eq!(server.code(), 1);
    assert_eq!(server.outcome(step), "leaked");
    assert_eq!(server.cleaned(), CLEANUP);
    assert_eq!(server.outcome("db"), "ok");
    assert!(folder.is_closed());
    assert_eq!(folder.rows(), names);
}

#[test]
fn a_hung_predictor_is_left_behind_and_the_rest_is_closed() {
    let folder = Folder::new("hung");
    let mut server = Server::start(&folder, &HUNG);
    let names = predict(&server, 5);
    hang_predictor(&server);
    server.signal(Signal::TERM);
    assert_left_behind("predictor", &mut server, &folder, &names);
}

/// OpenTelemetry's own shutdown blocks like this, for seconds, when its collector is gone.
#[test]
fn blocking_telemetry_is_left_behind_and_the_database_is_closed() {
    let folder = Folder::new("export");
    let late = [("MODEL_SERVER_EXPORT_MS", "20000"), HUNG[0]];
    let mut server = Server::start(&folder, &late);
    let names = predict(&server, 5);
    server.signal(Signal::TERM);
    assert_left_behind("telemetry", &mut server, &folder, &names);
}

#[test]
fn unread_log_does_not_change_the_end_under_load() {
    let folder = Folder::new("unread-load");
    let mut server = Server::start_with_unread_log(&folder, &[]);
    let load = Load::start(&server);
    load.wait_for(50);
    server.close_log();
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.code(), 0);
    assert_nothing_is_lost(&load.end(), signalled, &mut server, &folder);
    assert!(folder.is_closed());
}

#[test]
fn unread_log_does_not_keep_a_hung_predictor_awaited() {
    let folder = Folder::new("unread-hung");
    let mut server = Server::start_with_unread_log(&folder, &HUNG);
    let names = predict(&server, 5);
    hang_predictor(&server);
    server.close_log();
    server.signal(Signal::TERM);
    assert_eq!(server.code(), 1);
    assert!(folder.is_closed());
    assert_eq!(folder.rows(), names);
}

#[test]
fn a_log_that_is_full_holds_up_nothing() {
    let folder = Folder::new("full");
    let limits = [
        ("MODEL_SERVER_GRACE_MS", "6000"),
        ("MODEL_SERVER_FLOOR_MS", "300"),
    ];
    let mut server = Server::start_with_full_log(&folder, &limits);
    let load = Load::start(&server);
    load.wait_for(50);
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    // Not the last resort's 124.
    assert_eq!(server.code(), 0);
    assert_nothing_is_lost(&load.end(), signalled, &mut server, &folder);
    assert!(folder.is_closed());
}

#[test]
fn wedged_runtime_holds_up_only_its_own_task() {
    let folder = Folder::new("wedged");
    let limits = [
        ("MODEL_SERVER_DRAIN_MS", "500"),
        // With more threads, a blocked one may keep the task that would block the next: a task that is woken by a
        // thread's own task waits for that thread alone.
        ("TOKIO_WORKER_THREADS", "1"),
    ];
    let mut server = Server::start(&folder, &limits);
    let names = predict(&server, 5);
    let mut blocker = Client::new(&server);
    blocker.begin("POST", "/faults/block-runtime", "").unwrap();
    server.out.until("blocked a thread of the runtime");
    server.signal(Signal::TERM);
    // The server's task can be neither drained nor aborted any more. The code is not the last resort's 124.
    assert_left_behind("http", &mut server, &folder, &names);
    for step in CLEANUP {
        assert_eq!(server.outcome(step), "ok", "{step}");
    }
}

#[test]
fn a_kill_in_the_middle_of_cleanup_leaves_a_whole_database() {
    let folder = Folder::new("killed");
    let mut server = Server::start(&folder, &[]);
    let load = Load::start(&server);
    load.wait_for(50);
    hang_predictor(&server);
    server.signal(Signal::TERM);
    server.log.until("WorkerCtx cleanup: predictor ");
    server.signal(Signal::KILL);
    assert_eq!(server.end().code(), None, "a signal has ended it");
    assert!(!folder.is_closed());
    let asked = load.end();
    let answered = asked.iter().filter(|asked| asked.result.status() == 200);
    let mut names: Vec<String> = answered.map(|asked| asked.name.clone()).collect();
    names.sort();
    assert_eq!(folder.rows(), names, "what was answered is kept");

    let mut again = Server::start(&folder, &[]);
    names.extend(predict(&again, 3));
    again.signal(Signal::TERM);
    assert_eq!(again.code(), 0);
    names.sort();
    assert_eq!(folder.rows(), names);
}

/// Asserts that the watchdog ends the process. Its first success arms it; then the first failure is one too many: 75,
/// without cleanup.
#[track_caller]
fn assert_watchdog_fires(test: &str, fault: &str) {
    let folder = Folder::new(test);
    let watchdog = [
        ("USE_NIM_WATCHDOG", r#"{"type":"boolean","payload":true}"#),
        ("NIM_WATCHDOG_MAX_ATTEMPTS", "1"),
        ("NIM_WATCHDOG_REQUEST_TIMEOUT", "1"),
        ("MODEL_SERVER_PROBE_MS", "50"),
    ];
    let mut server = Server::start(&folder, &watchdog);
    let names = predict(&server, 5);
    server.log.until("armed");
    assert_eq!(Client::new(&server).post(fault).status(), 200);
    assert_eq!(server.code(), 75);
    assert!(server.cleaned().is_empty());
    assert_eq!(folder.rows(), names);
}

#[test]
fn a_health_endpoint_that_says_no_ends_the_process() {
    assert_watchdog_fires("bad", "/faults/health-bad");
}

#[test]
fn a_health_endpoint_that_says_nothing_ends_the_process() {
    assert_watchdog_fires("silent", "/faults/health-silent");
}

// The log in the README.

/// Returns whether a line is as expected: `…` in `expected` stands for anything.
fn matches_line(expected: &str, line: &str) -> bool {
    let mut rest = line;
    for (n, part) in expected.split('…').enumerate() {
        match rest.find(part) {
            Some(at) if n > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || expected.ends_with('…')
}

#[test]
fn the_log_is_as_the_readme_shows_it() {
    let readme = include_str!("../README.md");
    let (_, block) = readme.split_once("```text\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();

    let folder = Folder::new("readme");
    let settings = [HUNG[0], ("MODEL_SERVER_LOG", "info")];
    let mut server = Server::start(&folder, &settings);
    let names = predict(&server, 1);
    hang_predictor(&server);
    server.log.until("phase-ended");
    let before = server.log.seen.len();
    server.signal(Signal::TERM);
    assert_eq!(server.code(), 1);
    assert_eq!(folder.rows(), names);

    // Each line is there once. Lines of several threads can come in either order.
    let mut lines = server.log.all()[before..].to_vec();
    for expected in block.lines() {
        let Some(at) = lines.iter().position(|line| matches_line(expected, line)) else {
            panic!("no {expected} in\n{}", lines.join("\n"));
        };
        lines.remove(at);
    }
    // On a slow machine more steps than the hung one may take longer than half of their bound.
    lines.retain(|line| !line.contains("still waiting for"));
    assert!(lines.is_empty(), "and besides\n{}", lines.join("\n"));
}
