//! Makes the grammar's page, `scenarios/README.md`, from the table of keys.

use std::fmt::Write as _;

use super::diagnostic::any_of;
use super::keys::{self, KEYS, Key, Place, Type, answers};
use super::lint_names::LINTS;
use super::value::type_words;
use crate::journal::Kind;
use crate::laws;

/// Returns the grammar as a page: every key with its type, its default, its purpose and an example, then the lints, the
/// laws and the limits.
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for (place, title) in [
        (Place::Top, "The file"),
        (Place::Worker, "`[worker]`"),
        (Place::Component, "A component"),
        (Place::Timeline, "`[timeline]`"),
        (Place::Event, "An event"),
        (Place::Expect, "`[expect]`"),
    ] {
        let _ = write!(page, "\n## {title}\n\n");
        if let Some(noun) = place.noun() {
            let _ = write!(page, "{title} has exactly one {noun}:\n\n");
            page.push_str("| key | value | purpose | example |\n| --- | --- | --- | --- |\n");
            for key in keys::of(place).filter(|key| key.selects) {
                row(&mut page, key, false);
            }
            page.push_str("\nIt can also have these keys:\n\n");
            table(&mut page, keys::of(place).filter(|key| !key.selects));
        } else {
            table(&mut page, keys::of(place));
        }
    }
    page.push_str(TRIGGERS);
    faults(&mut page);
    page.push_str(LINTS_TITLE);
    for (name, says) in LINTS {
        let _ = writeln!(page, "| `{name}` | {says} |");
    }
    if !laws::all().is_empty() {
        page.push_str(LAWS);
        for law in laws::all() {
            let _ = writeln!(page, "| `{}` | {} |", law.name, law.statement);
        }
    }
    page.push_str(LIMITS);
    page
}

fn table<'k>(page: &mut String, keys: impl Iterator<Item = &'k Key>) {
    page.push_str(
        "| key | value | default | purpose | example |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in keys {
        row(page, key, true);
    }
}

/// Adds the table of the kinds that each fault can strike.
fn faults(page: &mut String) {
    page.push_str(FAULTS_TITLE);
    let kinds = Kind::ALL.iter().filter(|kind| **kind != Kind::Main);
    let kinds: Vec<Kind> = kinds.chain([&Kind::Main]).copied().collect();
    let heads: String = kinds.iter().map(|kind| format!(" `{kind}` |")).collect();
    let _ = writeln!(page, "| |{heads} a worker of your own |");
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(kinds.len() + 1));
    for key in keys::faults() {
        let cell = |kind: &Kind| match key.can_strike(*kind) {
            false => "",
            true if key.on_executor && kind.is_callback() => "if `async`",
            true => "yes",
        };
        let cells: String = kinds
            .iter()
            .map(|kind| format!(" {} |", cell(kind)))
            .collect();
        let own = key
            .not_own
            .map_or("yes".to_owned(), |reason| format!("no: {reason}"));
        let _ = writeln!(page, "| `{}` |{cells} {own} |", key.name);
    }
}

fn row(page: &mut String, key: &Key, with_default: bool) {
    let mut doc = key.doc.to_owned();
    if !key.with.is_empty() {
        let main = if key.main_only { " of `main`" } else { "" };
        let with = any_of('`', key.with.iter().copied());
        let _ = write!(doc, " With {with}{main}.");
    }
    if !key.on.is_empty() {
        let _ = write!(doc, " For {}.", any_of('`', key.on.iter().copied()));
    }
    let _ = write!(page, "| `{}` | {} | ", key.name, value(key));
    if with_default {
        let _ = write!(page, "{} | ", default(key));
    }
    let _ = writeln!(page, "{doc} | `{}` |", key.example);
}

/// Returns the possible values of a key, in words.
fn value(key: &Key) -> String {
    match key.ty {
        Type::Word(words) => any_of('`', words()),
        Type::Answer => format!("`200` to `599`, {}", any_of('`', answers())),
        Type::Int(min, max) if max < i64::from(i32::MAX) => {
            format!("a whole number, {min} to {max}")
        }
        Type::Name(also) if !also.is_empty() => {
            let also: Vec<String> = also.iter().map(|also| format!("`{also}`")).collect();
            format!("a name, {}", also.join(", "))
        }
        ty => type_words(ty).to_owned(),
    }
}

/// Returns the effect of leaving a key out, in words.
fn default(key: &Key) -> String {
    match key.required {
        Some([]) => "required".to_owned(),
        Some(with) if key.default.is_empty() => {
            format!("required with {}", any_of('`', with.iter().copied()))
        }
        Some(with) => format!(
            "{}; required with {}",
            key.default,
            any_of('`', with.iter().copied())
        ),
        None if key.default.is_empty() && key.place == Place::Expect => "not checked".to_owned(),
        None => key.default.to_owned(),
    }
}

/// Returns every key with a whole scenario file around its example.
pub fn examples() -> Vec<(&'static Key, String)> {
    KEYS.iter().map(|key| (key, file_around(key))).collect()
}

/// Components to which the examples refer, by name.
const EXAMPLE_COMPONENTS: &[(&str, &str)] = &[
    ("flusher", r#"{ thread = "flusher", period = "1s" }"#),
    ("writer", r#"{ task = "writer" }"#),
    ("drain", r#"{ stop = "drain" }"#),
    ("flush", r#"{ cleanup = "flush" }"#),
    ("stdout flusher", r#"{ cleanup = "stdout flusher" }"#),
    ("thread pool", r#"{ closeable = "thread pool" }"#),
    ("predictor", r#"{ closeable = "predictor" }"#),
    ("db", r#"{ closeable = "db" }"#),
    ("late pool", r#"{ closeable = "late pool", late = true }"#),
    (
        "NIM Sidecar Watchdog",
        r#"{ watchdog = "NIM Sidecar Watchdog" }"#,
    ),
];

fn file_around(key: &Key) -> String {
    let stop = r#"{ at = "20s", signal = "SIGTERM" }"#;
    // An example of a component replaces the component of that name; the others are there to be named. A worker has one
    // watchdog, so an example of a watchdog replaces the other.
    let components_beside = |example: &str| {
        let brought = example.split('"').nth(1);
        let watched = example.contains("watchdog = ");
        let own = EXAMPLE_COMPONENTS
            .iter()
            .filter(|(name, line)| {
                brought != Some(name) && !(watched && line.contains("watchdog = "))
            })
            .map(|(_, line)| format!("  {line},\n"));
        own.collect::<String>()
    };
    let file = |top: &str, worker: &str, components: &str, events: &str, expect: &str| {
        format!(
            "title = \"An example\"\n{top}\n[worker]\n{worker}\ncomponents = [\n{components}]\n[timeline]\nevents = [\n  {events},\n]\n[expect]\n{expect}\n"
        )
    };
    match (key.place, key.name) {
        (Place::Top, "title") => file("", "", &components_beside(""), stop, "").replacen(
            "title = \"An example\"",
            key.example,
            1,
        ),
        (Place::Top, "worker" | "timeline" | "expect") => {
            format!("title = \"An example\"\n{}\n", key.example)
        }
        (Place::Top, "patience") => format!(
            "title = \"An example\"\n{}\n[timeline]\nevents = [{stop}]\n",
            key.example
        ),
        (Place::Top, _) => file(key.example, "", &components_beside(""), stop, ""),
        (Place::Worker, "components") => format!(
            "title = \"An example\"\n[worker]\n{}\n[timeline]\nevents = [{stop}]\n",
            key.example
        ),
        (Place::Worker, "run") => file(
            "",
            key.example,
            &components_beside(""),
            r#"{ at = "20s", call = "cleanup" }"#,
            "",
        ),
        (Place::Worker, _) => file("", key.example, &components_beside(""), stop, ""),
        (Place::Expect, "registered") => file("", "", "", stop, key.example),
        (Place::Component, _) => file(
            "",
            "",
            &format!("  {},\n{}", key.example, components_beside(key.example)),
            stop,
            "",
        ),
        (Place::Timeline, _) => {
            format!(
                "title = \"An example\"\n[worker]\ncomponents = [\n{}]\n[timeline]\n{}\n",
                components_beside(""),
                key.example
            )
        }
        (Place::Event, _) => {
            let events = if key.example.contains("SIGTERM") && key.example.contains("at =") {
                key.example.to_owned()
            } else {
                format!("{},\n  {stop}", key.example)
            };
            file("", "", &components_beside(""), &events, "")
        }
        // The expectation has to hold, so the file has only the components that the examples name.
        (Place::Expect, _) => {
            let components = "  { stop = \"drain\" },\n  { closeable = \"db\" },\n";
            file(
                "",
                "",
                components,
                r#"{ at = "10s", signal = "SIGTERM" }"#,
                key.example,
            )
        }
    }
}

const INTRODUCTION: &str = r#"# The grammar of a scenario file

A scenario is a TOML file in this folder or in a folder below it. It describes a worker, what happens to the worker, and the
expected result. This page lists every key. The page, the parser and the editor's schema (`schema/scenario.json`) are made from one
table.

```toml
title = "Cancel is not stop: the db waits for the task's last flush"

# The worker: main registers these at the start, in this order.
[worker]
components = [
  { task = "writer", cancel-timeout = "2s", takes = "500ms", uses = ["db"] },
  { closeable = "db" },
]

# What happens to it: a signal, ten seconds after the start.
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]

# The expected result: the task is awaited for half a second, and then the db is closed.
[expect]
exit = 0
closed = ["db"]
ends-at = "10500ms"
```

## How to write one

1. Write in `title` what goes wrong, or must not go wrong.
2. List the components in the order in which a program would register them. Each component is one table: its kind with its name
   (`closeable = "db"`), then the keys whose values differ from the defaults. The work of a component takes no time unless `takes`,
   a job or a fault makes it longer.
3. List the events. Each event is one table: a verb with its object (`hang = "db"`), then its trigger, which says when the event
   strikes: `at` a time since the start, `on` the begin of a component's step, `on-end` of a component's code, or after an event of
   the journal (`after-event`). `on` and `on-end` can have a delay (`after`). Without a trigger the event strikes at the start. See
   [below](#when-an-event-strikes).
4. Write the expected result. An expectation that you leave out is not checked. The laws are always checked: no law may break that
   `breaks` does not name.

In short, a shutdown has two phases. First, stop tells all threads and tasks to stop. Then it joins the threads, awaits the tasks and
calls the `stop` callbacks, in ascending `order`. After that, cleanup calls the `cleanup` callbacks and closes the closeables, in
descending `order`. Each step has a bound, and all steps together have the `grace`. A component that is not done at its bound is
aborted or left behind, and the next step begins.

- A duration is a whole number with its unit, in quotes: `"500ms"`, `"2s"`, `"1m"`, `"1h"`. If a key also accepts `"forever"`, its row says so.
- A name has 1 to 200 bytes and no control characters, and is unique in its file. `main` (the program's own start), `kill` and
  `executor` are reserved.
- The tables of a list can be written in one line each, as above, or as `[[worker.components]]` and `[[timeline.events]]`.
- Every table is closed: an unknown key is an error.
- *The plan* is the first draft of the context, with its flaws. A file can be run against it, too. `told-by` and `kill` are only for
  the plan.

`deadstop run FILE` runs one file and shows what happened. `deadstop check` runs all files.
"#;

const TRIGGERS: &str = r#"
## When an event strikes

A run consists of *turns*. A turn is what a component or the context does without being interrupted: from the point where it continues
to the point where it waits again. Jobs and holds that the clock ends at one instant are one turn too. An event strikes between two
turns: after the turn in which its trigger comes, and before the next turn. So it strikes before everything else that is still to come
in that instant, and never in the middle of an action. Each event strikes once. When the begin of a component's code is written to the
journal, the code has not had a turn yet.

- `at`: before the first turn of that instant.
- `on`: when the component's step begins for the first time (`step-started` in the journal). For `main`: when its code begins.
- `on-end`: when the component's code ends for the first time (`ended` in the journal). How it ends does not matter: it may return
  without an error, fail, panic or be dropped. The outcome of its step comes later, because the context has not had a turn yet. A
  component that is left behind ends when its code ends. If the code never ends, the event never strikes.
- `on` or `on-end` with `after`: before the first turn of the instant that comes this long after the begin or end.
- `after-event = N`: when the journal has its event number N, counted from 0 (`seq` in `deadstop run --format json FILE`). Events of
  the journal that are written by strikes count, too. All numbers of one turn mean the same place: the end of that turn. The number of
  an event that a strike writes means the place of that strike. So N selects one exact place between two turns, and nothing before that
  place changes. `after-event` cannot be combined with `at`, because event N already has an instant, nor with `after`.

Several events that strike at one place strike in the order of the file, whatever their triggers are. If one of them triggers another
event, that event also strikes at this place, in the same order, before the next turn. The calls of these events are made after all of
them have struck, one after another.

An event never strikes if its trigger never comes, or comes only with the end of the run. Examples are the end of a component that does
not end, a number past the last event, and an instant after the exit. `deadstop run` prints a note for such an event. In a test of a
worker of your own, it is a failure. The lint `never-strikes` reports the cases that can be found from the file alone.

The numbers belong to one run: the same file, seed, context and version of deadstop. With another seed, or after a change of the file,
the same number may mean another place. So a file that you keep should use `on`, `on-end` and `at` where it can. If it uses
`after-event`, its expectations should hold in every order. A live run has no place between two turns: `deadstop live` skips a file
with `after-event`, and counts it.
"#;

const FAULTS_TITLE: &str = r"
## Which fault goes with which kind

";

const LINTS_TITLE: &str = r"
## Lints

A file with one of these findings can be run, but it probably does not do what its author means. The key `allow` lists the lints that
are not reported for a file.

| lint | meaning |
| --- | --- |
";

const LAWS: &str = r"
## Laws

Every run is also judged by these laws. The expectation `breaks` lists the laws that a scenario is meant to break.

| law | statement |
| --- | --- |
";

const LIMITS: &str = r"
## What happens when

*Signals.* The first signal begins the grace: stop, then cleanup. A second signal, more than 200 ms later, ends all waiting except for
the floors: stop looks at each of its steps once more and does not wait for it, and each cleanup step has exactly its floor. A third
signal ends the process. A signal within 200 ms of the last counted one is regarded as the same signal, sent twice, and does not count.
SIGKILL ends the process immediately. It also comes by itself when the grace is over.

*Calls.* With `run = false` the program handles no signals. It calls `stop` and `cleanup` at the `call` events of the file, and returns
after the last event. A run in which nothing requests a stop never ends.

*Exit codes.* The first of these cases that applies gives the exit code and the `cause`: a third signal 128 + its number
(`third-signal`) · the watchdog 75 (`watchdog`) · SIGKILL 137 (`killed`) · a second signal 128 + its number, so 143 for SIGTERM and
130 for SIGINT (`second-signal`) · main failed: its `code`, or 1 without one (`start-failed`) · a step was not ok: 1, otherwise 0
(`stopped`, or `returned` with `run = false`).

*The executor* runs main, tasks and async callbacks. Threads, blocking callbacks and the clock continue while something holds it.

*Orders.* Stop runs its steps in ascending order, cleanup in descending order. Steps of equal order run as they were registered; with
`ties` set to `last`, cleanup reverses that. The orders may contradict `uses`. Then start warns and a law breaks; a file that is about this
lists the law in `breaks`.

*Bounds.* A bound that the file does not give is 2 s for threads, tasks and watchdogs, and 10 s for callbacks and closeables. At its
bound, a thread or a blocking callback is left behind (`leaked`). A task is aborted (`aborted`), and so is an async callback
(`timed-out`). If the abort does not end it within 100 ms, it is `leaked`. `deadstop run` begins with the budget, which lists for each
step its bound, its floor, and its bound in the worst case.

## Limits

A file has at most 64 KiB, 1,000 components and 1,000 events. A duration is at most one hour. A run ends at 24 hours of virtual time at
the latest. The verdict of a run is `spinning` if its journal has more than 10,000 events in one millisecond or more than 200,000 events
in all, or if the bodies have more than five million turns (a body that looks every millisecond has 3.6 million turns in an hour). The
verdict is `too-large` if the reports of the run have more than 200,000 rows in all: the report to each caller has one row for each
step. So the longest run takes some seconds and about a hundred MiB.

A seed chooses one of the orders that are possible in one instant. It never changes a duration. Snapshots belong to seed 0.
";
