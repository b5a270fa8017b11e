//! The grammar's page, `scenarios/README.md`, from the table of keys.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, Place, Type};
use super::lint::LINTS;
use super::read::type_words;

/// The grammar as a page: every key with its type, its default, what it is for, and an example.
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
        if matches!(place, Place::Component | Place::Event) {
            let noun = if place == Place::Component {
                "kind"
            } else {
                "verb"
            };
            let _ = write!(page, "Each has exactly one {noun}:\n\n");
            table(&mut page, super::keys::of(place).filter(|key| key.selects));
            page.push_str("\nand beside it:\n\n");
            table(&mut page, super::keys::of(place).filter(|key| !key.selects));
        } else {
            table(&mut page, super::keys::of(place));
        }
    }
    page.push_str("\n## Lints\n\n| lint | says |\n| --- | --- |\n");
    for (name, says) in LINTS {
        let _ = writeln!(page, "| `{name}` | {says} |");
    }
    page.push_str(LIMITS);
    page
}

fn table<'k>(page: &mut String, keys: impl Iterator<Item = &'k Key>) {
    page.push_str(
        "| key | value | without it | what for | example |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in keys {
        let value = match key.ty {
            Type::Word(words) if key.name != "health" => words()
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" "),
            ty => type_words(ty).to_owned(),
        };
        let with = if key.with.is_empty() || key.selects {
            String::new()
        } else {
            format!(
                " With {}.",
                key.with
                    .iter()
                    .map(|with| format!("`{with}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let _ = writeln!(
            page,
            "| `{}` | {value} | {} | {}{with} | `{}` |",
            key.name, key.default, key.doc, key.example
        );
    }
}

/// For every key a whole scenario file around its example.
pub fn examples() -> Vec<(&'static Key, String)> {
    KEYS.iter().map(|key| (key, file_around(key))).collect()
}

/// The components that the examples refer to.
const CAST: &[(&str, &str)] = &[
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
    let cast = |but: &str| {
        let own = CAST
            .iter()
            .filter(|(name, _)| !but.contains(&format!("= \"{name}\"")))
            .map(|(_, line)| format!("  {line},\n"));
        own.collect::<String>()
    };
    let file = |top: &str, worker: &str, components: &str, events: &str, expect: &str| {
        format!(
            "title = \"An example\"\n{top}\n[worker]\n{worker}\ncomponents = [\n{components}]\n[timeline]\nevents = [\n  {events},\n]\n[expect]\n{expect}\n"
        )
    };
    match (key.place, key.name) {
        (Place::Top, "title") => {
            file("", "", &cast(""), stop, "").replacen("title = \"An example\"", key.example, 1)
        }
        (Place::Top, "worker" | "timeline" | "expect") => {
            format!("title = \"An example\"\n{}\n", key.example)
        }
        (Place::Top, _) => file(key.example, "", &cast(""), stop, ""),
        (Place::Worker, "components") => format!(
            "title = \"An example\"\n[worker]\n{}\n[timeline]\nevents = [{stop}]\n",
            key.example
        ),
        (Place::Worker, "run") => file(
            "",
            key.example,
            &cast(""),
            r#"{ at = "20s", call = "cleanup" }"#,
            "",
        ),
        (Place::Worker, _) => file("", key.example, &cast(""), stop, ""),
        (Place::Component, _) => file(
            "",
            "",
            &format!("  {},\n{}", key.example, cast(key.example)),
            stop,
            "",
        ),
        (Place::Timeline, _) => {
            format!(
                "title = \"An example\"\n[worker]\ncomponents = [\n{}]\n[timeline]\n{}\n",
                cast(""),
                key.example
            )
        }
        (Place::Event, _) => {
            let events = if key.example.contains("SIGTERM") && key.example.contains("at =") {
                key.example.to_owned()
            } else {
                format!("{},\n  {stop}", key.example)
            };
            file("", "", &cast(""), &events, "")
        }
        // What is expected has to hold: nothing that is open is there but what the example names.
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

A scenario is a TOML file below `scenarios/`: a worker, what happens to it, and what is expected of it. This page lists every key; it is
made from the same table as the parser and the editor's schema (`schema/scenario.json`).

```toml
title = "Cancel is not stop: the db waits for the task's last flush"

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
```

A duration is a whole number with its unit: `"500ms"`, `"2s"`, `"1m"`, `"1h"`. A name has 1 to 200 bytes and no control characters, and is
unique in its file; `main`, `kill` and `executor` are reserved. What `[expect]` leaves out is not checked, except `breaks`: no law may break
that is not named there.
"#;

const LIMITS: &str = r#"
## Limits

A file has at most 64 KiB, 1,000 components and 1,000 events; a duration is at most an hour. A run ends at 24 hours of virtual time at the
latest. More than 10,000 events in one millisecond, or 200,000 in a run, are the verdict `spinning`.

A seed chooses among what is possible in one instant, and never changes a duration. Snapshots belong to seed 0.
"#;
