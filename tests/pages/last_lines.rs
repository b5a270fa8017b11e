//! Compares the lines that docs/service.md explains with the lines that are logged. An operator reads that page with
//! a log in hand.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::panic::Location;
use std::sync::{Arc, Mutex};

use deadstop::context::exit_code;
use deadstop::journal::{Record as Reported, Sink, Tracing};
use deadstop_harness::journal::{self, BoundBy, Level, Outcome, What};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

use crate::journal::{events_of_the_code, sections};
use crate::page::{in_backticks, read, table_rows};

/// Returns the part of the page from a heading to the next.
fn part(heading: &str) -> String {
    let page = read("docs/service.md");
    let (_, part) = page.split_once(&format!("\n{heading}\n")).expect(heading);
    part.split("\n## ").next().unwrap().to_owned()
}

/// A row of the table of the last lines.
#[derive(Debug)]
struct Row {
    line: String,
    level: String,
    event: String,
}

fn rows() -> Vec<Row> {
    let rows = table_rows(&part("## What the last lines mean"));
    let rows = rows.iter().map(|row| {
        assert_eq!(row.len(), 4, "{row:?}");
        let cell = |n: usize| in_backticks(&row[n])[0].to_owned();
        Row {
            line: cell(0),
            level: cell(1),
            event: cell(2),
        }
    });
    rows.collect()
}

/// What a log line has beside the event.
enum Extra {
    No,
    /// The place of the registration.
    Place,
    Why(&'static str),
}
use Extra::{No, Place, Why};

/// The event of each row, in the order of the rows.
const EVENTS: &[(&str, Extra)] = &[
    (
        r#"{"event":"requested","reason":"SIGTERM","by":"signal"}"#,
        No,
    ),
    (
        // tests/tracing/main.rs tests that the context logs this cause.
        r#"{"event":"requested","reason":"SIGTERM","by":"signal"}"#,
        Why("a second signal, from now on only the floors are awaited"),
    ),
    (
        r#"{"event":"grace-began","stop_ends":29500,"cleanup_ends":39500,"last_resort":39750,"kill":40000}"#,
        No,
    ),
    (
        r#"{"event":"step-started","phase":"stop","name":"flusher","order":0,"bound":2000,"bound_by":"join-timeout","id":2,"kind":"thread","group":1}"#,
        No,
    ),
    (
        r#"{"event":"step-started","phase":"cleanup","name":"db","order":0,"bound":10000,"bound_by":"timeout","id":1,"kind":"closeable","group":2}"#,
        No,
    ),
    (
        r#"{"event":"still-waiting","name":"flusher","waited":1000,"bound":2000,"id":2}"#,
        Place,
    ),
    (r#"{"event":"abort","name":"server","id":3}"#, No),
    (
        r#"{"event":"leak","id":4,"name":"thread pool","kind":"closeable"}"#,
        No,
    ),
    (
        r#"{"event":"step-ended","phase":"stop","name":"flusher","order":0,"outcome":"leaked","took":2000,"id":2,"error":null}"#,
        No,
    ),
    (
        r#"{"event":"step-ended","phase":"stop","name":"drain","order":0,"outcome":"failed","took":20,"id":5,"error":"no connection"}"#,
        No,
    ),
    (
        r#"{"event":"step-ended","phase":"cleanup","name":"thread pool","order":100,"outcome":"leaked","took":10000,"id":4,"error":null}"#,
        No,
    ),
    (
        r#"{"event":"step-ended","phase":"cleanup","name":"db","order":0,"outcome":"failed","took":200,"id":1,"error":"still in use"}"#,
        No,
    ),
    (
        r#"{"event":"ended","id":2,"name":"flusher","nth":1,"how":"panicked","error":"index out of bounds"}"#,
        No,
    ),
    (
        r#"{"event":"wake-panicked","id":2,"name":"consumer","error":"no such queue"}"#,
        No,
    ),
    (
        r#"{"event":"ended","id":3,"name":"poller","nth":1,"how":"dropped","error":null}"#,
        No,
    ),
    (
        r#"{"event":"refused","what":"cleanup","name":"cache","reason":"phase-began"}"#,
        No,
    ),
    (
        r#"{"event":"closes-before-user","name":"predictor","order":200,"id":4,"user":"thread pool","user_order":100,"user_id":2}"#,
        No,
    ),
    (
        r#"{"event":"uses-unknown","id":2,"name":"thread pool","used":"predicter"}"#,
        No,
    ),
    (
        r#"{"event":"ends-before-user","name":"writer","id":2,"user":"producer","user_id":1}"#,
        No,
    ),
    (
        r#"{"event":"bound-over-share","id":1,"name":"server","bound":20000,"phase":"stop","share":19500}"#,
        No,
    ),
    (
        r#"{"event":"watchdog","is":"failed","attempt":2}"#,
        Why("the answer was 503"),
    ),
    (r#"{"event":"watchdog","is":"fired","attempt":3}"#, No),
    (r#"{"event":"abandoned","names":["flusher","poller"]}"#, No),
    (
        r#"{"event":"phase-ended","phase":"cleanup","ends":39500}"#,
        No,
    ),
];

/// A subscriber that keeps the level and the message of each logged event.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<(String, String)>>>);

impl tracing::Subscriber for Capture {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Words(String);
        impl Visit for Words {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                if field.name() == "message" {
                    write!(self.0, "{value:?}").unwrap();
                }
            }
        }
        let mut words = Words(String::new());
        event.record(&mut words);
        let level = event.metadata().level().as_str().to_lowercase();
        self.0.lock().unwrap().push((level, words.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Returns the level and the message with which the library logs an event.
fn logged(what: &What, extra: &Extra) -> (String, String) {
    let (capture, sink) = (Capture::default(), Tracing::default());
    let claim = what
        .to_claim()
        .unwrap_or_else(|| panic!("no log has {what:?}"));
    let record = Reported::of(&claim);
    tracing::subscriber::with_default(capture.clone(), || match extra {
        No => sink.record(&record),
        Place => sink.record(&record.at(Location::caller())),
        Why(why) => sink.record(&record.because(why)),
    });
    let mut lines = capture.0.lock().unwrap();
    assert_eq!(lines.len(), 1, "{what:?}");
    lines.remove(0)
}

/// Returns whether a line matches the page's pattern, in which `…` stands for anything.
fn is_like(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn ellipsis_in_the_pages_line_matches_anything() {
    assert!(is_like("a … c …", "a b c d"));
    assert!(is_like("a b", "a b"));
    for other in ["a b d", "b a c d", "a b c"] {
        assert!(!is_like("a … c …", other), "{other}");
    }
    assert!(!is_like("a", "a b"));
}

#[test]
fn every_row_of_the_last_lines_is_a_line_that_is_logged() {
    let rows = rows();
    for (row, (event, extra)) in rows.iter().zip(EVENTS) {
        let what: What = serde_json::from_str(event).unwrap_or_else(|e| panic!("{event}: {e}"));
        let (level, words) = logged(&what, extra);
        // The logged place is in this file, so any place has to match.
        let pattern = row.line.replace("src/main.rs:17:9", "…");
        assert!(is_like(&pattern, &words), "{row:?}: {words}");
        assert_eq!(
            (&*row.level, &*row.event),
            (&*level, what.name()),
            "{row:?}"
        );
    }
    assert_eq!(rows.len(), EVENTS.len(), "each row has its event");
}

#[test]
fn every_warning_and_error_stands_in_the_page_of_the_last_lines() {
    let rows = rows();
    let explained: BTreeSet<(&str, &str)> =
        rows.iter().map(|row| (&*row.event, &*row.level)).collect();
    for (name, _) in &explained {
        assert!(events_of_the_code().contains(*name), "no event: {name}");
    }
    let mut bad = 0;
    for section in sections().values() {
        for example in section.examples.concat().lines() {
            let event = journal::parse_json(example).unwrap().remove(0);
            if let Some(level @ (Level::Warn | Level::Error)) =
                event.what.to_claim().and_then(|claim| claim.level())
            {
                bad += 1;
                let line = (event.what.name(), level.as_str());
                assert!(explained.contains(&line), "{line:?} is not explained");
            }
        }
    }
    assert!(bad > 5, "{bad}");
}

#[test]
fn every_outcome_and_source_of_a_bound_is_explained() {
    let page = part("## What the last lines mean");
    let words: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("- `"))
        .flat_map(|line| in_backticks(line.split(": ").next().unwrap()))
        .collect();
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.as_str());
    let bounds = BoundBy::ALL.iter().map(|by| by.as_str());
    let mut all: BTreeSet<&str> = outcomes.chain(bounds).collect();
    all.remove(Outcome::Ok.as_str());
    assert_eq!(words.into_iter().collect::<BTreeSet<_>>(), all);
}

#[test]
fn exit_codes_of_the_page_are_those_of_the_code() {
    let rows: Vec<[String; 2]> = part("### Exit codes")
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            [(); 2].map(|()| cells.next().unwrap().to_owned())
        })
        .collect();
    let code = |code: i32, name: &str| [code.to_string(), format!("`{name}`")];
    let signal = exit_code::SIGNAL;
    let right = [
        code(exit_code::OK, "OK"),
        code(exit_code::FAILED, "FAILED"),
        code(exit_code::WATCHDOG, "WATCHDOG"),
        code(exit_code::LAST_RESORT, "LAST_RESORT"),
        [format!("{signal} + n"), "`SIGNAL` + n".to_owned()],
    ];
    assert_eq!(rows, right);
    let source = read("src/host/exit_code.rs");
    assert_eq!(source.matches("pub const ").count(), right.len());
}
