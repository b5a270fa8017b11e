//! Live runs: real processes, threads, signals and sockets, compared with the simulation.
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadstop_harness::journal::{Event, What};
use deadstop_harness::live::{Failed, Known, Pace, Played, Players, Request, Tempo, compare};
use deadstop_harness::report::{Style, side_by_side};
use deadstop_harness::scenario::{Scenario, parse};
use deadstop_harness::sim::{Options, Runners, run};

#[path = "../support/repository.rs"]
mod repository;

const STRETCH: Pace = Pace::Stretch(Duration::from_millis(200));

const DRAIN: &str = r#"
title = "A drain before a close"
[worker]
components = [{ stop = "drain", takes = "500ms" }, { closeable = "db", takes = "100ms" }]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
"#;

fn live(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deadstop"))
        .arg("live")
        .args(arguments)
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .current_dir(repository::root())
        .output()
        .expect("it can be run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live");
    fs::create_dir_all(&folder).expect("a folder of the tests' own");
    folder.join(name)
}

/// Writes a file of a test's own, and returns its path.
fn file(name: &str, text: &str) -> String {
    let file = scratch(name);
    fs::write(&file, text).expect("a file of the test's own");
    file.to_str().expect("plain ASCII").to_owned()
}

/// Inserts an event at an instant, before all events of that instant and of later ones.
fn insert_event(events: &mut Vec<Event>, t: u64, what: What) {
    let at = events.partition_point(|event| event.t < t);
    let like = events[at].clone();
    events.insert(at, Event { t, what, ..like });
}

/// Simulates a scenario, and returns it with the simulated journals and the request to a process.
fn simulate(name: &str, file: &str) -> (Arc<Scenario>, Known, Request) {
    let scenario = Arc::new(parse(name, file).expect("a valid file"));
    let runners = Runners::new(1).expect("a thread");
    let known = Known::new(&runners, &scenario, 8).expect("it can be simulated");
    let tempo = Tempo::new(known.instants(), known.ends(), STRETCH).expect("a stretch apart");
    let request = Request {
        name: name.to_owned(),
        text: file.to_owned(),
        tempo,
    };
    (scenario, known, request)
}

/// Returns players with a process that writes these events, as a live run does, and ends with that code.
fn players_that_write(name: &str, events: &[Event], code: i32) -> Players {
    let mut lines = String::new();
    for event in events {
        let json = serde_json::to_string(event).expect("an event is JSON");
        let _ = writeln!(lines, "0 0 {json}");
    }
    let script = format!("cat '{}'; exit {code}", file(name, &lines));
    Players::new("sh", &["-c", &script])
}

/// Signals, a wedged runtime, an exit in the middle of cleanup, a real endpoint, calls from inside, an adopted task,
/// a task aborted within a millisecond: each runs in a process of its own.
#[test]
fn hardest_scenarios_agree_with_the_simulation() {
    let files = [
        "context/double-stop-inside",
        "context/hung-cleanup-third-signal",
        "context/wedged-executor",
        "platform/sigkill",
        "tasks/adopted",
        "tasks/one-millisecond",
        "watchdog/never-boots",
        "watchdog/reset",
    ]
    .map(|name| format!("scenarios/{name}.toml"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let output = live(&files);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    assert!(stdout.starts_with("8 scenarios, 8 runs live"), "{stdout}");
    assert!(
        stdout.ends_with("all agree with the simulation\n"),
        "{stdout}"
    );
}

/// The machine chooses which caller comes first, and which comes when all is over. It chooses anew each time.
#[test]
fn callers_in_one_instant_always_agree_with_the_simulation() {
    let worker = |worker: &str, event: &str| {
        format!(
            "title = \"Several callers\"\n[worker]\n{worker}\n[timeline]\nevents = [{{ {event} }}]\n"
        )
    };
    let files = [
        (
            "at-once.toml",
            worker(
                "run = false\ncomponents = []",
                r#"at = "10s", call = "stop", callers = 3"#,
            ),
        ),
        (
            "from-inside.toml",
            worker(
                r#"components = [{ task = "leader" }]"#,
                r#"at = "10s", call = "stop", from = "leader", callers = 2"#,
            ),
        ),
        (
            "at-the-start.toml",
            worker(r#"components = [{ closeable = "db" }]"#, r#"call = "stop""#),
        ),
    ]
    .map(|(name, text)| file(name, &text));
    let mut arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    arguments.extend(["scenarios/context/stop-at-the-start.toml", "--times", "5"]);
    let output = live(&arguments);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    assert!(stdout.starts_with("4 scenarios, 20 runs live"), "{stdout}");
}

#[test]
fn a_journal_that_differs_is_shown_beside_the_simulated_one() {
    let (scenario, known, request) = simulate("drain", DRAIN);
    let mut events = run(&scenario, &Options::default()).events;
    // The drain takes 100 ms longer, and all that follows comes 100 ms later.
    for event in &mut events {
        if event.t >= 10_500 {
            event.t += 100;
        }
        if let What::StepEnded { took, .. } = &mut event.what
            && *took == 500
        {
            *took = 600;
        }
    }
    let played = players_that_write("later", &events, 0)
        .play(&request)
        .expect("a journal");
    let difference = compare(&known, &played.events).expect("a difference");
    assert_eq!(
        difference.headline,
        "the live run is late: \"ended drain (#1): ok\" of \"drain\" is due at 10.500, but came 100 ms later, at 10.600"
    );
    let shown = side_by_side(&difference, Style::default());
    insta::assert_snapshot!(shown);
}

#[test]
fn event_where_none_is_due_is_reported_as_out_of_time() {
    let (scenario, known, _) = simulate("between", DRAIN);
    let mut events = run(&scenario, &Options::default()).events;
    let heard = What::Heard {
        id: 1,
        name: "drain".into(),
    };
    insert_event(&mut events, 10_250, heard);
    let difference = compare(&known, &events).expect("a difference");
    assert_eq!(
        difference.headline,
        "the live run is late: \"heard drain (#1)\" came at 10.250, at which nothing is due: 250 ms after the last instant, 10.000"
    );
}

/// A call requests the stop, and SIGKILL comes with the first step, before that call has returned.
#[test]
fn events_that_a_kill_cut_off_are_not_missed() {
    let killed = r#"
title = "Killed with the first step"
[worker]
components = [{ stop = "drain" }, { task = "idle" }]
[timeline]
events = [{ at = "5s", call = "request-stop" }, { on = "drain", signal = "SIGKILL" }]
"#;
    let (scenario, known, _) = simulate("killed", killed);
    let events = run(&scenario, &Options::default()).events;
    assert_eq!(compare(&known, &events), None);
    let without = |gone: &dyn Fn(&What) -> bool| {
        let left = events.iter().filter(|event| !gone(&event.what));
        left.cloned().collect::<Vec<_>>()
    };
    let caller_2 = |what: &What| matches!(what, What::Returned { caller: 2, .. });
    let without_return = without(&caller_2);
    assert_eq!(
        without_return.len(),
        events.len() - 1,
        "it returns in that instant"
    );
    assert_eq!(compare(&known, &without_return), None);
    let began_idle = |what: &What| matches!(what, What::Began { name, .. } if **name == *"idle");
    assert!(
        compare(&known, &without(&began_idle)).is_some(),
        "that was five seconds before"
    );
    let is_killed = |what: &What| matches!(what, What::Killed { .. });
    assert!(
        compare(&known, &without(&is_killed)).is_some(),
        "that it was killed is known"
    );
    let again = events.iter().find(|event| began_idle(&event.what));
    let mut more = events.clone();
    insert_event(&mut more, 5_000, again.expect("it began").what.clone());
    assert!(
        compare(&known, &more).is_some(),
        "nothing begins in that instant"
    );
}

#[test]
fn the_same_journal_agrees() {
    let (scenario, known, request) = simulate("same", DRAIN);
    let events = run(&scenario, &Options::default()).events;
    let played = players_that_write("same", &events, 0)
        .play(&request)
        .expect("a journal");
    assert_eq!(compare(&known, &played.events), None);
}

#[test]
fn exit_code_is_that_of_the_process_not_of_its_journal() {
    let (scenario, known, request) = simulate("lies", DRAIN);
    let events = run(&scenario, &Options::default()).events;
    let played = players_that_write("lies", &events, 3)
        .play(&request)
        .expect("a journal");
    let difference = compare(&known, &played.events).expect("a difference");
    assert_eq!(
        difference.headline,
        "the process: the live run has \"exit code 3, stopped\" at 10.600, but the simulation has \"exit code 0, stopped\" at 10.600"
    );
}

#[test]
fn silent_or_garbled_process_has_no_journal() {
    let (scenario, _, request) = simulate("silent", DRAIN);
    let mut events = run(&scenario, &Options::default()).events;
    events.pop();
    let failed = players_that_write("silent", &events, 1).play(&request);
    let Err(Failed::Silent {
        played: Played {
            events: written, ..
        },
        ..
    }) = failed
    else {
        panic!("{failed:?}");
    };
    assert_eq!(written, events, "what it wrote is there to be looked at");
    let failed = Players::new("sh", &["-c", "echo raving"]).play(&request);
    assert!(matches!(failed, Err(Failed::Garbled(_))), "{failed:?}");
}

#[test]
fn a_process_that_overstays_is_killed() {
    let (_, _, request) = simulate(
        "overstays",
        "title = \"Over at once\"\n[worker]\nrun = false\ncomponents = []\n",
    );
    let players = Players::new("sh", &["-c", "exec sleep 600"]).margin(Duration::ZERO);
    let failed = players.play(&request);
    assert!(
        matches!(failed, Err(Failed::Overstayed { .. })),
        "{failed:?}"
    );
}

#[test]
fn files_not_for_live_runs_are_counted_and_too_fast_refused() {
    let not_live = format!("live = \"no: it is about a year\"\n{}", DRAIN.trim_start());
    let output = live(&[&file("not-live.toml", &not_live), "--verbose"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{stdout}");
    assert!(stdout.contains("not-live: it is about a year"), "{stdout}");
    assert!(
        stdout.ends_with("0 runs live, 1 cannot be run live; nothing was run\n"),
        "{stdout}"
    );

    let between_turns = format!(
        "{}events = [{{ after-event = 12, signal = \"SIGTERM\" }}]\n",
        DRAIN.trim_start().split("events").next().unwrap_or("")
    );
    let output = live(&[&file("between.toml", &between_turns), "--verbose"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{stdout}");
    assert!(
        stdout.contains("between: `after-event` strikes between two turns"),
        "{stdout}"
    );
    assert!(stdout.contains("1 cannot be run live"), "{stdout}");

    let output = live(&["scenarios/tasks/one-millisecond.toml", "--speed", "10"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("two of its instants are 1 ms apart"),
        "{stdout}"
    );
    assert!(
        stdout.contains("the highest possible speed is 0.02"),
        "{stdout}"
    );
}

#[test]
fn random_scenarios_agree_and_running_none_is_not_well() {
    let output = live(&["--random", "8", "--seed", "1"]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(
        stdout.contains("8 random scenarios live, seeds 1 to 8"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with(": all agree with the simulation\n"),
        "{stdout}"
    );

    let output = live(&["--random", "2", "--seed", "1", "--speed", "1000"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{stdout}");
    assert!(
        stdout
            .contains("0 random scenarios live, seeds 1 to 2, 2 skipped (two of its instants are "),
        "{stdout}"
    );
    assert!(stdout.ends_with("; nothing was run\n"), "{stdout}");
}

/// A command that a shell runs in the background ignores SIGINT, and so do the commands below it, as in a CI.
#[test]
fn unhandled_signal_kills_though_it_is_ignored_here() {
    let sigint = r#"title = "A SIGINT that is not handled"
[worker]
run = false
components = [{ thread = "poller" }]
[timeline]
events = [{ at = "1s", signal = "SIGINT" }]
"#;
    let output = Command::new("sh")
        .args(["-c", r#"trap '' INT; exec "$0" live "$1""#])
        .arg(env!("CARGO_BIN_EXE_deadstop"))
        .arg(file("sigint.toml", sigint))
        .output()
        .expect("it can be run");
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(
        stdout.ends_with("all agree with the simulation\n"),
        "{stdout}"
    );
}

#[test]
fn unmet_expectation_names_a_seed_that_misses_it_too() {
    let unmet = format!("{}\n[expect]\nexit = 3\n", DRAIN.trim_start());
    let file = file("unmet.toml", &unmet);
    let output = live(&[&file]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    let line = format!(
        "the simulation with seed 0 does not meet it either: deadstop check {file} --seed 0"
    );
    assert!(stdout.contains(&line), "{stdout}");
}

/// The four instants span two seconds of real time at this speed. From instant to instant they would take one.
#[test]
#[allow(clippy::disallowed_methods, reason = "it is about real time")]
fn run_at_an_even_speed_agrees_and_takes_its_full_time() {
    let drain = DRAIN.replace("10s", "1s").replace("100ms", "500ms");
    let file = file("even.toml", drain.trim_start());
    let began = Instant::now();
    let output = live(&[&file, "--speed", "1"]);
    let (stdout, took) = (text(&output.stdout), began.elapsed());
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("1 run live"), "{stdout}");
    assert!(took >= Duration::from_secs(2), "{took:?}: {stdout}");
    // The closest instants lie 500 ms apart, and have to lie 50 ms of real time apart. Any speed over 10 is refused.
    let output = live(&[&file, "--speed", "10.1"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("the highest possible speed is 10"),
        "{stdout}"
    );
}
