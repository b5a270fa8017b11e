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
            let _ = write!(page, "Each has exactly one {noun}:\n\n");
            page.push_str("| key | value | what for | example |\n| --- | --- | --- | --- |\n");
            for key in keys::of(place).filter(|key| key.selects) {
                row(&mut page, key, false);
            }
            page.push_str("\nand beside it:\n\n");
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
        "| key | value | without it | what for | example |\n| --- | --- | --- | --- | --- |\n",
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

A scenario is a TOML file in this folder, or in one below it: a worker, what happens to it, and what is expected of it. This page
lists every key. It is made from the same table as the parser and the editor's schema (`schema/scenario.json`).

```toml
title = "Cancel is not stop: the db waits for the task's last flush"

# The worker: main registers these at the start, in this order.
[worker]
components = [
  { task = "writer", cancel-timeout = "2s", takes = "500ms", uses = ["db"] },
  { closeable = "db" },
]

# What happens to it: ten seconds after the start a signal.
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]

# What is expected: the task is awaited for half a second, and then the db is closed.
[expect]
exit = 0
closed = ["db"]
ends-at = "10500ms"
```

## How to write one

1. Say in `title` what goes wrong, or must not go wrong.
2. List the components as a program would register them. Each is one table: its kind with its name (`closeable = "db"`), then what
   differs from the defaults. A component does its work at once unless `takes`, a job or a fault says otherwise.
3. List the events. Each is one table: a verb with its object (`hang = "db"`), then its trigger, which says when it strikes: `at` a time
   since the start, `on` the begin of a component's step, `on-end` of a component, or `after-event` of the journal. `on` and
   `on-end` can have a delay (`after`). Without a trigger it strikes at the start. See [below](#when-an-event-strikes).
4. Say what is expected. What is left out is not checked, except the laws: none may break that `breaks` does not name.

What a stop does, in short: it tells all threads and tasks, joins, awaits and calls what is for stop in ascending `order`, then calls
what is for cleanup in descending `order`. Each step has a bound, and all of them together the `grace`; what overruns its bound is
aborted or left behind, and the next step begins.

- A duration is a whole number with its unit, in quotes: `"500ms"`, `"2s"`, `"1m"`, `"1h"`. Where `"forever"` is one too, the key says so.
- A name has 1 to 200 bytes and no control characters, and is unique in its file. `main` (the program's own start), `kill` and
  `executor` are reserved.
- A list of tables can be written in one line each, as above, or as `[[worker.components]]` and `[[timeline.events]]`.
- Every table is closed: an unknown key is an error.
- *The plan* is a context as it was first sketched, with its flaws, against which a file can be run too. `told-by` and `kill` are for it.

`deadstop run FILE` runs one file and shows what happened; `deadstop check` runs all of them.
"#;

const TRIGGERS: &str = r#"
## When an event strikes

A run is made of *turns*: what a component, or the context, does without being interrupted, from where it goes on to where it waits
again. What the clock ends at an instant (jobs, holds) is one turn too. An event strikes between two turns: after the one in which its
trigger comes, and before any other. So it strikes before all else that is still to come in that instant, and sees nothing half
done. Each strikes once. The code of a component that begins has not had a turn yet when its begin is written.

- `at`: before the first turn of that instant.
- `on`: when the component's step begins (`step-started` in the journal), for the first time; of `main`, when its code does.
- `on-end`: when the component's code ends (`ended` in the journal), for the first time, and however it ends: well, by a failure or a
  panic, or dropped. The outcome of its step comes later: the context has not had a turn since. What is left behind ends, if at
  all, when its code does. What never ends strikes nothing.
- `on` or `on-end` with `after`: before the first turn of the instant so long after that begin or end.
- `after-event = N`: when the journal has its event number N, counted from 0 (`seq` in `deadstop run --format json FILE`). The events
  that strikes write are counted too. The numbers of one turn are one place, and a number that a strike writes is the place of
  that strike. With N, an event strikes at one exact place between two turns, and nothing before that place changes.
  It goes with no `at`, since event N has an instant already, and with no `after`.

Several that strike at one place strike in the order of the file, whatever triggers they have; what one of them triggers strikes at this
place too, in the same order, before the next turn. Their calls come after all of them, one after another.

An event whose trigger never comes, or comes with the end of the run, never strikes: a component that does not end, a number past the
last event, an instant after the exit. `deadstop run` notes it, and in a test of a worker of your own it is a failure. The lint
`never-strikes` names what can be known from the file alone.

Numbers belong to one run: the same file, seed and context, in this version. With another seed the same number may be elsewhere, as
with every change of the file before it. So a file that is kept says with `on`, `on-end` and `at` what it can, and expects of
`after-event` what holds in every order. A live run has no place between two turns: `deadstop live` passes over a file with
`after-event`, and counts it.
"#;

const FAULTS_TITLE: &str = r"
## Which fault goes with which kind

";

const LINTS_TITLE: &str = r"
## Lints

A file with one of these can be run, but hardly says what its author means. `allow` names those that a file does not want to hear.

| lint | says |
| --- | --- |
";

const LAWS: &str = r"
## Laws

Every run is judged by these too. `breaks` names those that a scenario is there to see broken.

| law | says |
| --- | --- |
";

const LIMITS: &str = r"
## What happens when

*Signals.* The first begins the grace: stop, then cleanup. A second one, more than 200 ms later, ends all waiting but for floors:
stop's steps are looked at once more and not awaited, each cleanup step has exactly its floor. A third ends the process.
One within 200 ms of the last counted is the same one, doubled, and counts for nothing. SIGKILL ends the process where
it stands; it also comes by itself when the grace is over.

*Calls.* With `run = false` nobody handles signals: the program calls `stop` and `cleanup` when the file says so, and
returns when nothing is to come any more. A file in which nothing asks for a stop never ends.

*Exit codes*, the first that matches, with the `cause`: a third signal 128 + its number (`third-signal`) · the watchdog 75
(`watchdog`) · SIGKILL 137 (`killed`) · a second signal 128 + its number, so 143 for SIGTERM and 130 for SIGINT
(`second-signal`) · main failed: its `code`, else 1 (`start-failed`) · a step that was not ok 1, else 0 (`stopped`, or
`returned` with `run = false`).

*The executor* runs main, tasks and async callbacks; threads, blocking callbacks and the clock go on when something holds it.

*Orders.* Stop runs ascending, cleanup descending, equal orders as registered (`ties` turns cleanup's round). They may well
contradict `uses`: then start warns, a law breaks, and `breaks` says that the file wants to see that.

A bound that the file does not give is 2 s for threads, tasks and watchdogs, and 10 s for callbacks and closeables. A step
at its bound: a thread or a blocking callback is `leaked`, a task is aborted (`aborted`), an async callback too
(`timed-out`), within 100 ms more; what does not go then is `leaked`. `deadstop run` begins with the budget: what each step
gets, is sure of, and gets at worst.

## Limits

A file has at most 64 KiB, 1,000 components and 1,000 events; a duration is at most an hour. A run ends at 24 hours of virtual
time at the latest. More than 10,000 events in its journal in one millisecond or 200,000 in all, or five million turns of
bodies (an hour of one that looks every millisecond is 3.6 million), are the verdict `spinning`; more than 200,000 rows in
all its reports (each caller's answer has a row a step) are `too-large`. So the longest run takes some seconds, and about a
hundred MiB.

A seed chooses among what is possible in one instant, and never changes a duration. Snapshots belong to seed 0.
";
