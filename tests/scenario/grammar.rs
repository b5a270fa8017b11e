//! The grammar: its examples parse, run and hold, and the files that are made from its table of keys are checked in.
use deadstop_harness::scenario::{self, Scenario};
use deadstop_harness::{journal, laws, sim};

use crate::repository;

/// Parses a file that must have no mistake and no lint.
fn parse_without_lints(text: &str) -> Scenario {
    let scenario = scenario::parse("example", text).unwrap_or_else(|invalid| {
        panic!(
            "{}",
            scenario::render(&invalid.diagnostics, "example.toml", text, false)
        )
    });
    let lints = scenario::lint(&scenario);
    assert!(
        lints.is_empty(),
        "{}",
        scenario::render(&lints, "example.toml", text, false)
    );
    scenario
}

/// Runs a file, and asserts that its laws and expectations hold.
fn assert_holds(text: &str) {
    let scenario = parse_without_lints(text);
    let journal = sim::run(&scenario, &sim::Options::default());
    let log = journal::text(&journal.events);
    let broken: Vec<&str> = laws::judge(&journal.events)
        .iter()
        .map(|broken| broken.law.name)
        .collect();
    for law in &broken {
        let expected = scenario.expect.breaks.value.iter().any(|it| &**it == *law);
        assert!(expected, "the law {law} breaks\n{log}");
    }
    let unmet: Vec<_> = scenario::judge(&scenario, &journal.events, &broken)
        .iter()
        .map(scenario::Unmet::diagnostic)
        .collect();
    assert!(
        unmet.is_empty(),
        "{}\n{log}",
        scenario::render(&unmet, "example.toml", text, false)
    );
}

#[test]
fn a_cancelled_task_is_awaited_before_its_db_is_closed() {
    assert_holds(
        r#"
title = "The writer flushes for half a second after it is told"
[worker]
components = [
  { task = "writer", cancel-timeout = "2s", takes = "500ms", uses = ["db"] },
  { closeable = "db" },
]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
[expect]
exit = 0
closed = ["db"]
ends-at = "10500ms"
"#,
    );
}

#[test]
fn a_second_signal_leaves_a_cleanup_step_its_floor() {
    assert_holds(
        r#"
title = "A second SIGTERM while the flush runs"
[worker]
components = [
  { closeable = "predictor", order = 200 },
  { cleanup = "flush", order = 50, takes = "2s", floor = "1s" },
  { closeable = "db" },
]
[timeline]
events = [
  { at = "10s", signal = "SIGTERM" },
  { on = "flush", after = "500ms", signal = "SIGTERM" },
]
[expect]
exit = 143
closed = ["predictor", "db"]
leaked = ["flush"]
ends-at = "11s"
"#,
    );
}

#[test]
fn a_start_is_finished_before_it_is_rolled_back() {
    assert_holds(
        r#"
title = "SIGTERM while main still loads"
[worker]
components = [
  { closeable = "predictor", order = 200, after = "300ms" },
  { closeable = "db", after = "700ms" },
]
[timeline]
events = [{ at = "400ms", signal = "SIGTERM" }]
[expect]
exit = 0
closed = ["predictor", "db"]
ends-at = "1s"
"#,
    );
}

#[test]
fn the_watchdog_is_still_while_a_server_drains() {
    assert_holds(
        r#"
title = "The endpoint refuses, for the server drains"
[worker]
grace = "60s"
reserve = "5s"
components = [
  { watchdog = "NIM Sidecar Watchdog", join-timeout = "5s" },
  { task = "server", cancel-timeout = "45s" },
]
[timeline]
events = [
  { at = "12s", job = "server", takes = "45s" },
  { at = "13s", signal = "SIGTERM" },
  { at = "13s", health = "refused" },
]
[expect]
exit = 0
watchdog = "quiet"
ends-at = "57s"
"#,
    );
}

#[test]
fn jobs_in_flight_keep_their_pool_open() {
    assert_holds(
        r#"
title = "The predictor goes before the pool whose jobs call it"
[worker]
components = [
  { closeable = "predictor", order = 200 },
  { closeable = "thread pool", order = 100, uses = ["predictor"] },
]
[timeline]
events = [
  { at = "59s", job = "thread pool", count = 4, takes = "3s" },
  { at = "60s", signal = "SIGTERM" },
]
[expect]
exit = 0
breaks = ["uses/closed-after-users"]
ends-at = "62s"
"#,
    );
}

#[test]
fn each_phase_runs_once_however_often_it_is_called() {
    assert_holds(
        r#"
title = "Two callers for each phase, and one more"
[worker]
run = false
components = [{ stop = "drain", takes = "1s" }, { closeable = "pool", takes = "1s" }]
[timeline]
events = [
  { at = "10s", call = "stop", callers = 2 },
  { at = "20s", call = "cleanup", callers = 2 },
  { at = "30s", call = "stop" },
]
[expect]
exit = 0
closed = ["pool"]
"#,
    );
}

#[test]
fn an_answer_that_comes_too_late_is_a_failure() {
    assert_holds(
        r#"
title = "Every answer is a second too late"
[worker]
components = [{ watchdog = "NIM Sidecar Watchdog", request-timeout = "120s", interval = "10s", attempts = 3 }]
[timeline]
events = [{ at = "30s", health = "200", takes = "121s" }]
[expect]
exit = 75
watchdog = "fires"
ends-at = "410s"   # 30+120, +4+120, +16+120
"#,
    );
}

#[test]
fn stop_takes_late_cleanups_and_refuses_late_callbacks() {
    assert_holds(
        r#"
title = "Two registrations in the middle of stop"
[worker]
components = [
  { stop = "drain", takes = "1s" },
  { closeable = "late pool", late = true },
  { stop = "late callback", late = true },
]
[timeline]
events = [
  { on = "drain", after = "500ms", register = "late pool" },
  { on = "drain", after = "500ms", register = "late callback" },
  { at = "10s", signal = "SIGTERM" },
]
[expect]
exit = 0
refused = ["late callback"]
closed = ["late pool"]
"#,
    );
}

#[test]
fn a_file_is_the_same_in_either_way_to_write_lists() {
    let inline = r#"
title = "Lists"
[worker]
components = [{ stop = "drain", takes = "1s" }]
[timeline]
events = [{ at = "1s", signal = "SIGTERM" }]
[expect]
ends-at = "2s"
"#;
    let blocks = r#"
title = "Lists"
expect.ends-at = "2s"
[[worker.components]]
stop = "drain"
takes = "1s"
[[timeline.events]]
at = "1s"
signal = "SIGTERM"
"#;
    assert_holds(inline);
    assert_holds(blocks);
    let run = |text| sim::run(&parse_without_lints(text), &sim::Options::default());
    assert_eq!(run(inline), run(blocks));
}

#[test]
fn every_example_of_a_key_parses_and_its_expectations_hold() {
    for (key, text) in scenario::examples() {
        let named = format!("{}: {}\n{text}", key.place.title(), key.name);
        let scenario = scenario::parse("example", &text).unwrap_or_else(|invalid| {
            panic!(
                "{named}{}",
                scenario::render(&invalid.diagnostics, "example.toml", &text, false)
            )
        });
        assert!(
            text.contains(key.example),
            "the example is not in its file: {named}"
        );
        let journal = sim::run(&scenario, &sim::Options::default());
        if key.place == scenario::keys::Place::Expect {
            let log = journal::text(&journal.events);
            let unmet = scenario::judge(&scenario, &journal.events, &[]);
            assert!(unmet.is_empty(), "{named}{unmet:?}\n{log}");
        }
    }
}

/// Asserts that a checked-in file is what the table of keys makes of it. `INSTA_UPDATE=always` rewrites the file, as
/// it does with snapshots.
fn assert_checked_in(path: &str, should: &str, command: &str) {
    let file = repository::root().join(path);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&file, should).expect("the file can be written");
    }
    let is = std::fs::read_to_string(&file).unwrap_or_default();
    let same = is.lines().zip(should.lines()).take_while(|(a, b)| a == b);
    assert!(
        is == should,
        "{path} is out of date from line {} on; write it anew: {command}",
        same.count() + 1
    );
}

#[test]
fn the_schema_that_is_checked_in_is_the_table_of_keys() {
    let text = scenario::schema();
    assert_checked_in(
        "schema/scenario.json",
        &text,
        "cargo run -- schema > schema/scenario.json",
    );
    let schema: serde_json::Value = serde_json::from_str(&text).expect("the schema is JSON");
    assert_eq!(schema["required"], serde_json::json!(["title"]));
    let kinds = &schema["properties"]["worker"]["properties"]["components"]["items"]["oneOf"];
    assert_eq!(kinds.as_array().map(Vec::len), Some(6));
}

#[test]
fn the_page_that_is_checked_in_is_the_table_of_keys() {
    let page = scenario::page();
    assert_checked_in(
        "scenarios/README.md",
        &page,
        "INSTA_UPDATE=always cargo test --test scenario grammar",
    );
    for key in scenario::keys::KEYS {
        assert!(
            page.contains(&format!("| `{}` | ", key.name)),
            "{}",
            key.name
        );
    }
}

#[test]
fn first_example_of_the_page_holds() {
    let page = scenario::page();
    let example = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the page has an example");
    assert_holds(example);
}

/// The report counts the failed thread among the deaths, because stop has not begun.
#[test]
fn thread_that_fails_while_main_is_awaited_is_a_death() {
    let unmet = |died: &str| {
        let text = format!(
            "title = \"A thread dies while main is awaited\"\n[worker]\n\
             components = [{{ thread = \"pump\" }}, {{ closeable = \"db\", after = \"4s\" }}]\n\
             [timeline]\nevents = [{{ at = \"1s\", signal = \"SIGTERM\" }}, {{ at = \"2s\", fail = \"pump\" }}]\n\
             [expect]\ndied = {died}\nfailed = []\n"
        );
        let scenario = scenario::parse("dies", &text).expect("the file is valid");
        let journal = sim::run(&scenario, &sim::Options::default());
        let unmet = scenario::judge(&scenario, &journal.events, &[]);
        unmet.into_iter().map(|unmet| unmet.message).collect()
    };
    let none: Vec<String> = unmet("[\"pump\"]");
    assert_eq!(none, [""; 0]);
    let empty = "expected died to be empty: it was \"pump\"";
    assert_eq!(unmet("[]"), [empty]);
}

/// Main needs 3 s until the pool is registered. After the first of them it is stuck for three seconds more.
#[test]
fn main_that_was_stuck_for_a_while_goes_on_where_it_was() {
    assert_holds(
        r#"
title = "Main is stuck for three seconds of its start, and SIGTERM finds it at work again"
[worker]
components = [{ closeable = "db" }, { cleanup = "pool", after = "3s" }]
[timeline]
events = [
  { at = "1s", hang = "main", for = "3s" },
  { at = "5s", signal = "SIGTERM" },
]
[expect]
exit = 0
closed = ["db", "pool"]
ends-at = "6s"
"#,
    );
}

/// In a run that ends within an hour, `forever` is the same as an hour.
#[test]
fn forever_lasts_longer_than_any_run() {
    let mut tried = Vec::new();
    for key in scenario::keys::KEYS {
        let scenario::keys::Type::Time { forever: true, .. } = key.ty else {
            continue;
        };
        for verb in key.with {
            let value = match *verb {
                "hold" => "task",
                "job" => "db",
                "health" => "200",
                _ => "thread",
            };
            // With `for`, the answer has to be one that has an effect.
            let value = if (*verb, key.name) == ("health", "for") {
                "503"
            } else {
                value
            };
            let run = |time: &str| {
                let text = format!(
                    "title = \"How long\"\n[worker]\ncomponents = [{{ thread = \"thread\" }}, {{ task = \"task\" }}, \
                     {{ closeable = \"db\" }}, {{ watchdog = \"dog\", request-timeout = \"1s\", attempts = 3 }}]\n\
                     [timeline]\nevents = [{{ at = \"5s\", {verb} = \"{value}\", {} = \"{time}\" }}, \
                     {{ at = \"30s\", signal = \"SIGTERM\" }}]\n",
                    key.name
                );
                let scenario = scenario::parse("how-long", &text)
                    .unwrap_or_else(|invalid| panic!("{:?}\n{text}", invalid.diagnostics));
                let mut events = sim::run(&scenario, &sim::Options::default()).events;
                let ended = events.last().expect("no journal is empty");
                assert!(ended.t < 3_600_000, "{text}{ended:?}");
                // The fault's own event records its duration, so it differs. Its consequences must not.
                events.retain(|event| !matches!(event.what, journal::What::Fault { .. }));
                journal::text(&events)
            };
            let (hour, forever, moment) = (run("1h"), run("forever"), run("1ms"));
            assert_eq!(hour, forever, "`{}` of `{verb}`", key.name);
            assert_ne!(moment, forever, "`{}` of `{verb}`", key.name);
            tried.push((key.name, *verb));
        }
    }
    let all = [
        ("for", "hang"),
        ("for", "ignore"),
        ("for", "hold"),
        ("for", "health"),
        ("takes", "job"),
        ("takes", "health"),
    ];
    assert_eq!(tried, all);
}
