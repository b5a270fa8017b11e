//! The diagnostics of a file, as its author reads them. Each file below has the mistake or lint that the name of its
//! snapshot says (`tests/scenario/diagnostics/CODE.snap`, or `CODE-WHERE.snap`).
use std::fmt::Write as _;

use deadstop_harness::scenario::{self, CODES, Diagnostic, LINTS};

/// Returns a file's mistakes, or its lints if it has no mistake.
fn diagnostics(bytes: &[u8]) -> Vec<Diagnostic> {
    match scenario::parse_bytes("bad", bytes) {
        Ok(scenario) => scenario::lint(&scenario),
        Err(invalid) => invalid.diagnostics,
    }
}

/// Asserts that every diagnostic has a place in the file, a message and a label, and a known code.
fn assert_well_formed(diagnostics: &[Diagnostic], bytes: &[u8]) {
    for diagnostic in diagnostics {
        let code = diagnostic.code;
        assert!(
            CODES.contains(&code) || LINTS.iter().any(|(name, _)| *name == code),
            "{code} is in no list"
        );
        assert!(diagnostic.span.start <= diagnostic.span.end, "{code}");
        assert!(diagnostic.span.end <= bytes.len().max(1), "{code}");
        assert!(!diagnostic.message.is_empty() && !diagnostic.label.is_empty());
    }
}

fn snapshot(name: &str, bytes: &[u8]) {
    let found = diagnostics(bytes);
    assert_well_formed(&found, bytes);
    rendered(name, &found, &String::from_utf8_lossy(bytes));
}

fn rendered(name: &str, found: &[Diagnostic], text: &str) {
    insta::with_settings!({
        snapshot_path => "diagnostics",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, scenario::render(found, "bad.toml", text, false));
    });
}

/// Files with one kind of mistake each, by the code of the mistake.
const BAD: &[(&str, &str)] = &[
    (
        "bad-duration",
        r#"
title = "Durations"
[worker]
grace = "0s"
reserve = "1.5s"
components = [
  { thread = "flusher", takes = "2", join-timeout = "61m" },
  { stop = "drain", timeout = "forever", takes = "2 seconds" },
]
[timeline]
events = [{ at = "", hang = "drain", for = "for ever" }]
"#,
    ),
    (
        "bad-live",
        r#"
title = "Two hours"
live = "it takes two hours"
"#,
    ),
    (
        "bad-name",
        r#"
title = "Names"
[worker]
components = [
  { task = "" },
  { stop = "main" },
  { closeable = "d\u0007b" },
]
[timeline]
events = [{ on = "main", hang = "d\u0007b" }]
"#,
    ),
    (
        "bad-name-of-own",
        r#"
title = "Names of a worker of one's own"
[timeline]
events = [{ on = "", hang = "d\u0007b" }, { at = "1s", ignore = "a\u202Eb" }]
[expect]
closed = ["db", ""]
"#,
    ),
    (
        "unknown-name-reserved",
        r#"
title = "Main is no component"
[worker]
components = [{ closeable = "db", uses = ["main"] }]
[timeline]
events = [
  { at = "1s", ignore = "main" },
  { at = "1s", job = "main", takes = "1s" },
  { at = "1s", hang = "kill" },
  { at = "1s", call = "stop", from = "executor" },
]
[expect]
closed = ["main"]
"#,
    ),
    ("bad-title", "title = \"\"\n"),
    (
        "second-watchdog",
        r#"
title = "A watchdog for each endpoint"
[worker]
components = [
  { watchdog = "inference" },
  { task = "consumer" },
  { watchdog = "metrics" },
]
"#,
    ),
    (
        "duplicate-name",
        r#"
title = "Twins"
[worker]
components = [
  { task = "db" },
  { stop = "drain" },
  { closeable = "db" },
]
"#,
    ),
    (
        "floor-over-timeout",
        r#"
title = "A floor above its ceiling"
[worker]
components = [
  { closeable = "db", timeout = "1s", floor = "2s" },
]
"#,
    ),
    (
        "floors-over-reserve",
        r#"
title = "More is promised than there is"
[worker]
grace = "10s"
reserve = "2s"
components = [
  { cleanup = "flush", floor = "1500ms" },
  { closeable = "pool", floor = "1s" },
  { closeable = "db", floor = "1s" },
]
"#,
    ),
    (
        "misplaced-key",
        r#"
title = "Keys of others"
[worker]
components = [
  { task = "writer", join-timeout = "1s" },
  { stop = "drain", floor = "1s" },
]
[timeline]
events = [{ at = "1s", signal = "SIGTERM", for = "2s" }]
"#,
    ),
    (
        "misplaced-key-main",
        r#"
title = "Only main has a code and comes to a registration"
[worker]
components = [{ task = "writer" }, { closeable = "db" }]
[timeline]
events = [{ fail = "writer", before = "db", code = 3 }]
"#,
    ),
    (
        "misplaced-key-kill",
        r#"
title = "The kill tool fails without a word"
[worker]
components = [{ watchdog = "w" }]
[timeline]
events = [{ fail = "kill", message = "no such process" }]
"#,
    ),
    ("missing-key", "tags = [\"drain\"]\n"),
    (
        "missing-key-event",
        r#"
title = "Half said"
[worker]
components = [{ closeable = "pool" }]
[timeline]
events = [
  { at = "1s", slow = "pool" },
  { at = "1s", job = "pool", count = 2 },
  { after = "1s", signal = "SIGTERM" },
]
"#,
    ),
    (
        "names-itself",
        r#"
title = "Mirrors"
[worker]
components = [
  { thread = "flusher", needs = "flusher", told-by = "flusher" },
  { closeable = "db", uses = ["db"] },
]
"#,
    ),
    (
        "no-selector",
        r#"
title = "What is it?"
[worker]
components = [{ order = 100 }]
[timeline]
events = [{ at = "1s" }]
"#,
    ),
    (
        "no-share",
        r#"
title = "All of it for cleanup"
[worker]
grace = "10s"
reserve = "9500ms"
"#,
    ),
    (
        "no-share-grace",
        r#"
title = "A grace with no room"
[worker]
grace = "1ms"
"#,
    ),
    (
        "not-late",
        r#"
title = "Registered twice"
[worker]
components = [{ closeable = "db" }]
[timeline]
events = [{ at = "1s", register = "db" }]
"#,
    ),
    (
        "registered-twice",
        r#"
title = "The same again"
[worker]
components = [{ closeable = "db", late = true }]
[timeline]
events = [{ at = "1s", register = "db" }, { at = "2s", register = "db" }]
"#,
    ),
    (
        "out-of-range",
        r#"
title = "Ranges"
[worker]
components = [
  { watchdog = "health", attempts = 0 },
  { closeable = "db", order = 2147483648 },
]
[timeline]
events = [
  { at = "1s", health = "600" },
  { at = "2s", call = "stop", callers = 99999999999999999999 },
]
[expect]
exit = 256
"#,
    ),
    (
        "syntax",
        "title = \"One\ngrace = 1 2\n[worker\ncomponents = [\n",
    ),
    (
        "syntax-twice",
        "title = \"One\"\ntitle = \"Two\"\n[expect]\nexit = 0\n[expect]\nexit = 1\n",
    ),
    (
        "two-moments",
        r#"
title = "Now or then"
[worker]
components = [{ stop = "drain" }]
[timeline]
events = [{ at = "1s", on = "drain", after = "1s", signal = "SIGTERM" }]
"#,
    ),
    (
        "two-moments-of-three",
        r#"
title = "At its end, or at a number, or now"
[worker]
components = [{ stop = "drain" }]
[timeline]
events = [
  { at = "1s", on-end = "drain", signal = "SIGTERM" },
  { after-event = 12, on-end = "drain", at = "1s", signal = "SIGTERM" },
  { on = "drain", on-end = "drain", after = "1s", signal = "SIGTERM" },
  { at = "5s", after-event = 12, signal = "SIGTERM" },
]
"#,
    ),
    (
        "missing-key-after",
        r#"
title = "After what?"
[worker]
components = [{ stop = "drain" }]
[timeline]
events = [
  { at = "1s", after = "1s", signal = "SIGTERM" },
  { after-event = 12, after = "1s", signal = "SIGTERM" },
  { on-end = "drain", after = "1s", signal = "SIGTERM" },
]
"#,
    ),
    (
        "unknown-name-trigger",
        r#"
title = "Whose end?"
[worker]
components = [{ stop = "drain" }]
[timeline]
events = [
  { on-end = "drian", signal = "SIGTERM" },
  { on-end = "kill", signal = "SIGTERM" },
]
"#,
    ),
    (
        "out-of-range-event",
        r#"
title = "No run has such a number"
[timeline]
events = [
  { after-event = -1, signal = "SIGTERM" },
  { after-event = 200001, signal = "SIGTERM" },
]
"#,
    ),
    (
        "pre-stop-over-share",
        r#"
title = "A delay that leaves stop nothing"
[worker]
grace = "10s"
reserve = "4s"
pre-stop = "5500ms"
components = [{ closeable = "db" }]
[timeline]
events = [{ at = "1s", signal = "SIGTERM" }]
"#,
    ),
    (
        "two-selectors",
        r#"
title = "Both"
[worker]
components = [{ stop = "drain", closeable = "db" }]
[timeline]
events = [
  { at = "1s", hang = "db" },
  { at = "1s", signal = "SIGTERM", fail = "drain" },
]
"#,
    ),
    (
        "unknown-key",
        r#"
title = "Misspelt, elsewhere, and unheard of"
grace = "10s"
[worker]
start_timeout = "2s"
components = [
  { closable = "db", ordr = 3 },
  { thread = "flusher", timeout = "3s" },
  { task = "writer", colour = "red" },
]
[timeline]
events = [{ at = "1s", singal = "SIGTERM" }]
[expect]
exit-code = 0
"#,
    ),
    (
        "unknown-name",
        r#"
title = "Who?"
[worker]
components = [
  { task = "writer", uses = ["bd"], needs = "exekutor" },
  { closeable = "db" },
]
[timeline]
events = [
  { on = "mian", signal = "SIGTERM" },
  { at = "1s", hang = "kafka" },
  { at = "1s", call = "stop", from = "riter" },
]
[expect]
closed = ["DB"]
refused = ["strat"]
"#,
    ),
    (
        "unknown-word",
        r#"
title = "Words"
allow = ["bounds-over-grase"]
[worker]
ties = "lats"
components = [{ task = "writer", told = "later" }]
[timeline]
events = [
  { at = "1s", signal = "SIGHUP" },
  { at = "1s", call = "run" },
  { at = "1s", health = "down" },
]
[expect]
cause = "stoped"
"#,
    ),
    (
        "wrong-kind",
        r#"
title = "Not for these"
[worker]
components = [
  { closeable = "db" },
  { watchdog = "health" },
]
[timeline]
events = [
  { at = "1s", ignore = "db" },
  { at = "1s", hold = "db" },
  { at = "1s", job = "health", takes = "1s" },
]
"#,
    ),
    (
        "wrong-type",
        r#"
title = 3
tags = "drain"
[worker]
grace = 30
run = "no"
components = ["db", { closeable = true }]
[timeline]
events = { at = "1s", signal = "SIGTERM" }
[expect]
exit = "0"
closed = ["db", 1]
ends-at = 10.5
"#,
    ),
    (
        "wrong-type-tables",
        "title = \"Flat\"\nworker = \"mine\"\ntimeline = []\nexpect = 0\n",
    ),
];

/// Files that can be run, each with a lint.
const ODD: &[(&str, &str)] = &[
    (
        "bounds-over-grace",
        r#"
title = "A chain longer than the grace"
[worker]
grace = "30s"
components = [
  { thread = "flusher", join-timeout = "5s" },
  { task = "server", cancel-timeout = "15s", order = 10 },
  { task = "stream", cancel-timeout = "12s", order = 10 },
  { closeable = "pool", timeout = "20s" },
  { closeable = "db" },
]
[timeline]
events = [{ at = "1s", signal = "SIGTERM" }]
"#,
    ),
    (
        "cannot-hold",
        r#"
title = "Never so"
[worker]
components = [
  { thread = "flusher" },
  { stop = "drain" },
  { closeable = "db" },
]
[timeline]
events = [{ at = "10s", signal = "SIGTERM" }]
[expect]
watchdog = "fires"
closed = ["drain", "db", "db"]
aborted = ["flusher"]
timed-out = ["db"]
died = ["drain"]
ends-at = "9s"
"#,
    ),
    (
        "floors-cannot-fit",
        r#"
title = "Nothing left to share"
[worker]
grace = "10s"
reserve = "2s"
components = [
  { cleanup = "flush", floor = "2s" },
  { closeable = "db" },
]
[timeline]
events = [{ at = "1s", signal = "SIGTERM" }]
"#,
    ),
    (
        "never-registered",
        r#"
title = "Forgotten"
[worker]
components = [{ closeable = "db", late = true }]
[timeline]
events = [{ at = "1s", signal = "SIGTERM" }]
"#,
    ),
    (
        "never-strikes",
        r#"
title = "Too late, or after itself"
[worker]
grace = "10s"
components = [
  { task = "writer" },
  { closeable = "late pool", late = true },
]
[timeline]
events = [
  { at = "1s", signal = "SIGTERM" },
  { at = "11s", hang = "writer" },
  { at = "12s", hang = "writer" },
  { on = "late pool", register = "late pool" },
]
"#,
    ),
    (
        "never-strikes-at-an-end",
        r#"
title = "What it needs has ended by then"
[worker]
components = [
  { task = "writer" },
  { closeable = "late pool", late = true },
]
[timeline]
events = [
  { at = "1s", signal = "SIGTERM" },
  { on-end = "late pool", register = "late pool" },
  { on-end = "writer", after = "1s", call = "stop", from = "writer" },
  { on-end = "main", call = "stop", from = "main" },
]
"#,
    ),
    (
        "no-effect-at-an-end",
        r#"
title = "Faults of what has ended"
[worker]
components = [
  { task = "writer" },
  { closeable = "db" },
]
[timeline]
events = [
  { at = "1s", signal = "SIGTERM" },
  { on-end = "writer", hang = "writer" },
  { on-end = "db", after = "1ms", job = "db", takes = "1s" },
  { on-end = "main", fail = "main" },
  { on-end = "writer", hang = "db" },
  { on = "writer", hang = "writer", for = "1ms" },
]
"#,
    ),
    (
        "no-effect",
        r#"
title = "Keys and events that do nothing"
[worker]
components = [
  { task = "old hand", adopted = true, told = "in-turn" },
  { closeable = "pool", late = true, after = "1s" },
]
[timeline]
events = [
  { at = "1s", register = "pool" },
  { at = "1s", health = "503" },
  { fail = "main", before = "pool" },
  { at = "2s", signal = "SIGTERM" },
]
"#,
    ),
];

#[test]
fn every_mistake_is_reported_with_its_place_and_remedy() {
    for (name, text) in BAD {
        assert!(
            scenario::parse("bad", text).is_err(),
            "{name} is no mistake"
        );
        snapshot(name, text.trim_start().as_bytes());
    }
}

#[test]
fn every_lint_is_reported_and_can_be_allowed() {
    for (name, text) in ODD {
        let text = text.trim_start();
        let scenario = scenario::parse("odd", text).expect("what is odd can be run");
        let lints = scenario::lint(&scenario);
        let mut codes = LINTS.iter().map(|(code, _)| *code);
        let code = codes.find(|code| name.starts_with(code));
        let code = code.unwrap_or_else(|| panic!("{name} begins with no lint"));
        assert!(
            lints.iter().all(|lint| lint.code == code),
            "{name}: {lints:?}"
        );
        snapshot(name, text.as_bytes());
        let allowed = format!("allow = [\"{code}\"]\n{text}");
        let scenario = scenario::parse("odd", &allowed).expect("a lint can be allowed");
        assert_eq!(scenario::lint(&scenario), [], "{name} is allowed");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let mut text = String::from("title = \"Large\"\n");
    while text.len() <= 64 * 1024 {
        text.push_str("# padding, line after line\n");
    }
    snapshot("too-large", text.as_bytes());
    assert!(scenario::parse("bad", &text[..64 * 1024]).is_ok());
}

#[test]
fn more_than_a_thousand_components_or_events_are_refused() {
    let file = |components: usize, events: usize| {
        let mut text = String::from("title = \"Many\"\nworker.components = [");
        for n in 0..components {
            let _ = write!(text, "{{task=\"t{n}\"}},");
        }
        text.push_str("]\ntimeline.events = [");
        for n in 0..events {
            let _ = write!(text, "{{hang=\"t{}\"}},", n % 1_000);
        }
        text.push_str("]\n");
        text
    };
    assert!(scenario::parse("many", &file(1_000, 1_000)).is_ok());
    // There is one mistake for each list, and none for the thousand unknown names.
    let too_many = file(1_001, 1_001);
    let found = diagnostics(too_many.as_bytes());
    assert_eq!(
        found.iter().map(|it| it.code).collect::<Vec<_>>(),
        ["too-many", "too-many"]
    );
    snapshot("too-many", too_many.as_bytes());
}

#[test]
fn hundred_of_a_thousand_mistakes_are_reported() {
    let mut text = String::from(
        "title = \"Mistakes\"\n[worker]\ncomponents = [{ task = \"a\" }]\n[timeline]\nevents = [\n",
    );
    for n in 0..1_000 {
        let _ = writeln!(text, "  {{ hang = \"b{n}\" }},");
    }
    text.push_str("]\n");
    let found = diagnostics(text.as_bytes());
    assert_well_formed(&found, text.as_bytes());
    assert_eq!(found.len(), 101);
    rendered("too-many-mistakes", &found[99..], &text);
}

#[test]
fn non_utf8_file_is_reported_at_its_first_wrong_byte() {
    snapshot("not-utf8", b"title = \"Caf\xe9\"\n");
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_no_mistakes() {
    let text = "\u{feff}title = \"From elsewhere\"\r\n[worker]\r\ncomponents = [\r\n  { task = \"a\" },\r\n]\r\n";
    assert!(scenario::parse_bytes("bom", text.as_bytes()).is_ok());
    // A mistake behind the mark is still found at its line.
    let bad = text.replace("task", "tusk");
    let found = diagnostics(bad.as_bytes());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line(&bad), 4);
    snapshot("unknown-key-after-bom", bad.as_bytes());
}

#[test]
fn a_nul_byte_is_a_mistake_with_a_place() {
    snapshot("syntax-nul", b"title = \"a\0b\"\n");
}

#[test]
fn ten_thousand_brackets_are_a_mistake_and_no_overflow() {
    for open in ["[", "{ a = ", "[[", "a."] {
        let mut text = format!("title = {}", open.repeat(10_000));
        if open == "a." {
            text = format!("{}a = 1\n", open.repeat(10_000));
        }
        let found = diagnostics(text.as_bytes());
        assert_well_formed(&found, text.as_bytes());
        assert!(
            !found.is_empty() && found.len() <= 101,
            "{open}: {}",
            found.len()
        );
        let rendered = scenario::render(&found, "bad.toml", &text, false);
        assert!(rendered.len() < 1_000_000, "{open}: {}", rendered.len());
    }
}

#[test]
fn a_law_that_is_not_known_cannot_be_expected_to_break() {
    let text = "title = \"Laws\"\nexpect.breaks = [\"no/such-law\"]\n";
    let found = diagnostics(text.as_bytes());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, found[0].line(text)), ("unknown-word", 2));
    for law in deadstop_harness::laws::all() {
        let text = format!("title = \"Laws\"\nexpect.breaks = [\"{}\"]\n", law.name);
        assert!(scenario::parse("law", &text).is_ok(), "{}", law.name);
    }
}

#[test]
fn every_code_has_its_file() {
    let elsewhere = ["too-large", "too-many", "too-many-mistakes", "not-utf8"];
    let has = |code: &str, files: &[(&str, &str)]| files.iter().any(|(name, _)| *name == code);
    for code in CODES {
        let is_shown = has(code, BAD) || elsewhere.contains(code);
        assert!(is_shown, "add a file that shows `{code}` to BAD");
    }
    for (lint, _) in LINTS {
        assert!(has(lint, ODD), "add a file that shows `{lint}` to ODD");
    }
    // The file of a code shows that code, possibly among others.
    for (name, text) in BAD.iter().chain(ODD) {
        let codes: Vec<&str> = diagnostics(text.as_bytes())
            .iter()
            .map(|it| it.code)
            .collect();
        assert!(
            codes.iter().any(|code| name.starts_with(code)),
            "{name}: {codes:?}"
        );
    }
}

#[test]
fn name_of_a_wrong_type_is_reported_once() {
    let text = "title = \"A date\"\n[timeline]\nevents = [{ on = 1979-05-27, after = \"500ms\", signal = \"SIGTERM\" }]\n";
    let invalid = scenario::parse("date", text).expect_err("a date is no name");
    let codes: Vec<_> = invalid.diagnostics.iter().map(|wrong| wrong.code).collect();
    assert_eq!(codes, ["wrong-type"]);
}

#[test]
fn wrong_value_leads_to_no_second_mistake() {
    let file = |limits: &str, keys: &str| {
        format!(
            "title = \"One\"\n[worker]\n{limits}\ncomponents = [{{ cleanup = \"db\"{keys} }}]\n"
        )
    };
    // The defaults of a wrong bound, 10 s, and of a wrong grace, 30 s, would not fit what is right.
    for text in [
        file("grace = \"60s\"", ", timeout = 20, floor = \"11s\""),
        file("reserve = 20", ", timeout = \"20s\", floor = \"11s\""),
        file("grace = 60\nreserve = \"40s\"", ""),
        file("grace = 60\nreserve = \"10s\"\npre-stop = \"25s\"", ""),
        file("grace = \"2s\"\nreserve = 3", ""),
    ] {
        let invalid = scenario::parse("one", &text).expect_err("a number is no duration");
        let codes: Vec<_> = invalid.diagnostics.iter().map(|wrong| wrong.code).collect();
        assert_eq!(codes.len(), 1, "{codes:?} in\n{text}");
    }
}
