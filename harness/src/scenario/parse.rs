//! Parses the text of a scenario file into a [`Scenario`], or returns all mistakes of the file at once.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::component::{DeclaredNames, component, declare_names, lookup_all};
use super::diagnostic::{Diagnostic, Invalid, time};
use super::event::event;
use super::keys::{self, Place};
use super::limits;
use super::model::{Component, Expect, Scenario, Timed, Verb, WatchdogVerdict, Worker};
use super::read::{Fields, Reader};
use super::span::Span;
use crate::journal::{Cause, Ties};
use crate::words::steers;
use deadstop::context::ResolvedLimits;

/// Parses a scenario file. `name` is its path below the scenarios' folder, without `.toml`.
///
/// # Errors
///
/// All mistakes of the file, in the order of the file.
pub fn parse(name: &str, text: &str) -> Result<Scenario, Invalid> {
    parse_with(name, text, None)
}

/// Parses a scenario file for a worker that may have `limits` of its own: a limit holds unless the file gives it.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_with(
    name: &str,
    text: &str,
    limits: Option<&ResolvedLimits>,
) -> Result<Scenario, Invalid> {
    let own = limits;
    let mut reader = Reader::default();
    if text.len() > limits::FILE_BYTES {
        reader.note(too_large(text.len()));
        return Err(invalid(reader, text));
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        reader.note(Diagnostic::error(
            "syntax",
            span,
            format!("this is not TOML: {}", error.message()),
            "here",
        ));
    }
    // After a syntax error, the mistakes that follow from it are noise.
    if errors.is_empty()
        && let Some(scenario) = file(&mut reader, name, document.get_ref(), own)
        && reader.is_empty()
    {
        return Ok(scenario);
    }
    Err(invalid(reader, text))
}

fn invalid(reader: Reader, text: &str) -> Invalid {
    Invalid {
        diagnostics: reader.into_diagnostics(text.len()),
    }
}

fn too_large(bytes: usize) -> Diagnostic {
    Diagnostic::error(
        "too-large",
        0..0,
        format!(
            "a scenario file has at most {} bytes, but this one has {bytes}",
            limits::FILE_BYTES
        ),
        "too large",
    )
    .help("split it into two scenarios")
}

/// Parses the bytes of a scenario file.
///
/// # Errors
///
/// As [`parse`]; also if the bytes are not UTF-8.
pub fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Scenario, Invalid> {
    let one = |diagnostic| Invalid {
        diagnostics: vec![diagnostic],
    };
    if bytes.len() > limits::FILE_BYTES {
        return Err(one(too_large(bytes.len())));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(name, text),
        Err(error) => {
            let at = error.valid_up_to();
            Err(one(Diagnostic::error(
                "not-utf8",
                at..at + 1,
                "a scenario file must be UTF-8, but this one is not",
                format!("the first wrong byte is byte {at} of the file"),
            )
            .help("save the file as UTF-8")))
        }
    }
}

fn subtable<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(Span, &'t DeTable<'i>)> {
    let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    match value.get_ref() {
        DeValue::Table(table) => Some((value.span(), table)),
        _ => None,
    }
}

/// Notes a late component that is registered a second time: that would be another component.
fn check_registered_once(reader: &mut Reader, timeline: &[Timed]) {
    let mut first: BTreeMap<&str, &Span> = BTreeMap::new();
    for Timed { verb, span, .. } in timeline {
        let Verb::Register { name } = verb else {
            continue;
        };
        if let Some(first) = first.get(&**name) {
            reader.note(
                Diagnostic::error(
                    "registered-twice",
                    span.clone(),
                    format!("a second event registers \"{name}\""),
                    "again",
                )
                .also((*first).clone(), "the first event")
                .help("add a second component with another name"),
            );
        } else {
            first.insert(name, span);
        }
    }
}

fn file(
    reader: &mut Reader,
    name: &str,
    document: &DeTable<'_>,
    own: Option<&ResolvedLimits>,
) -> Option<Scenario> {
    let top = reader.table(Place::Top, document, 0..0);
    check_title_and_live(reader, &top);
    let mut names = DeclaredNames::new();
    let (worker_fields, raw) = match subtable(document, "worker") {
        Some((span, table)) => {
            let fields = reader.table(Place::Worker, table, span);
            (fields, reader.tables(Place::Worker, "components", table))
        }
        None => (reader.table(Place::Worker, &DeTable::default(), 0..0), None),
    };
    let component_fields: Option<Vec<Fields>> = raw.map(|tables| {
        tables
            .into_iter()
            .map(|(span, table)| reader.table(Place::Component, table, span))
            .collect()
    });
    for fields in component_fields.iter().flatten() {
        declare_names(reader, &mut names, fields);
    }
    let components: Option<Vec<Component>> = component_fields.as_ref().map(|all| {
        all.iter()
            .filter_map(|fields| component(reader, &names, fields))
            .collect()
    });
    // The names of a user's own worker are not known to the file.
    let known = components.is_some().then_some(&names);
    let mut timeline = Vec::new();
    if let Some((span, table)) = subtable(document, "timeline") {
        reader.table(Place::Timeline, table, span);
        for (span, table) in reader
            .tables(Place::Timeline, "events", table)
            .unwrap_or_default()
        {
            let fields = reader.table(Place::Event, table, span);
            timeline.extend(event(reader, known, components.as_deref(), &fields));
        }
        check_registered_once(reader, &timeline);
    }
    let expect = match subtable(document, "expect") {
        Some((span, table)) => {
            let fields = reader.table(Place::Expect, table, span);
            expect(reader, known, &fields)
        }
        None => Expect::default(),
    };
    let mut worker = worker(reader, &worker_fields, own);
    let reserve = are_right(&worker_fields).then_some(worker.reserve);
    check_floors(reader, reserve, component_fields.iter().flatten());
    if components.is_some() {
        check_patience(reader, &top);
    }
    worker.components = components;
    let words = |key| {
        let texts = top.texts(key).unwrap_or_default().iter();
        texts.map(|text| text.value.clone()).collect()
    };
    Some(Scenario {
        name: name.into(),
        title: top.text("title")?.to_owned(),
        tags: words("tags"),
        not_live: top.text("live").and_then(reason).map(str::to_owned),
        patience: top.time("patience"),
        allow: words("allow"),
        worker,
        timeline,
        expect,
    })
}

/// Returns the reason in `live`, or `None` if it has no valid one.
fn reason(live: &str) -> Option<&str> {
    live.strip_prefix("no: ")
        .filter(|reason| !reason.contains(steers))
        .map(str::trim)
        .filter(|reason| !reason.is_empty())
}

fn check_title_and_live(reader: &mut Reader, top: &Fields) {
    if let (Some(title), Some(span)) = (top.text("title"), top.span_of("title"))
        && (title.trim().is_empty() || title.contains(steers))
    {
        reader.note(
            Diagnostic::error(
                "bad-title",
                span,
                "this cannot be the title",
                "expected one line of text that is not blank",
            )
            .help("write in one line what the scenario is about"),
        );
    }
    if let (Some(live), Some(span)) = (top.text("live"), top.span_of("live"))
        && reason(live).is_none()
    {
        reader.note(
            Diagnostic::error(
                "bad-live",
                span,
                format!("`live` cannot be {live:?}"),
                "expected \"no: REASON\", in one line",
            )
            .help("remove it if the scenario can be run live; otherwise give the reason: live = \"no: it takes two hours\""),
        );
    }
}

/// Notes `patience` if the components are scripted: their work takes no real time.
fn check_patience(reader: &mut Reader, top: &Fields) {
    if let Some(span) = top.span_of("patience") {
        reader.note(
            Diagnostic::error(
                "misplaced-key",
                span,
                "`patience` is only for a worker of your own, but this worker has scripted components",
                "does not go with `components`",
            )
            .help("remove it: scripted components take no real time"),
        );
    }
}

/// Returns whether neither the grace nor the reserve has a wrong value. One that has was noted, and the default in its
/// place could lead to a second mistake.
fn are_right(worker: &Fields) -> bool {
    let is_right = |key| !worker.has(key) || worker.time(key).is_some();
    is_right("grace") && is_right("reserve")
}

/// Returns the worker with its limits and without its components. Notes limits that do not fit one another.
fn worker(reader: &mut Reader, fields: &Fields, own: Option<&ResolvedLimits>) -> Worker {
    let defaults = default_worker(fields.time("grace"), own);
    let Worker { grace, margin, .. } = defaults;
    let reserve = fields.time("reserve").unwrap_or(defaults.reserve);
    let are_right = are_right(fields);
    if are_right && reserve + margin >= grace {
        let span = ["reserve", "grace"]
            .iter()
            .find_map(|key| fields.span_of(key));
        reader.note(
            Diagnostic::error(
                "no-share",
                span.unwrap_or(fields.span.clone()),
                format!(
                    "the grace of {} leaves no time for stop: the reserve for cleanup is {}, and the margin is {}",
                    time(grace),
                    time(reserve),
                    time(margin)
                ),
                "the grace has no time left for stop",
            )
            .help("make the reserve shorter, or the grace longer"),
        );
    }
    let pre_stop = fields.time("pre-stop").unwrap_or(defaults.pre_stop);
    let share = grace.saturating_sub(reserve + margin);
    if are_right && !share.is_zero() && pre_stop >= share {
        let span = fields.span_of("pre-stop");
        reader.note(
            Diagnostic::error(
                "pre-stop-over-share",
                span.unwrap_or(fields.span.clone()),
                format!(
                    "the pre-stop delay of {} must be shorter than stop's share of {}",
                    time(pre_stop),
                    time(share)
                ),
                "expected less than stop's share",
            )
            .help("make the delay shorter, or the grace longer"),
        );
    }
    Worker {
        grace,
        reserve,
        margin,
        pre_stop,
        ties: fields
            .text("ties")
            .and_then(|word| Ties::ALL.iter().find(|ties| ties.as_str() == word))
            .copied()
            .unwrap_or(defaults.ties),
        start_timeout: fields
            .time("start-timeout")
            .unwrap_or(defaults.start_timeout),
        run: fields.flag("run").unwrap_or(defaults.run),
        components: None,
    }
}

/// Returns a worker with the limits that hold where a file gives none, and without components. `grace` is the file's,
/// if it gives one, and `own` are the limits of a user's own worker.
pub(crate) fn default_worker(grace: Option<Duration>, own: Option<&ResolvedLimits>) -> Worker {
    let Some(own) = own else {
        return Worker::with_grace(grace.unwrap_or(limits::GRACE));
    };
    Worker {
        grace: grace.unwrap_or(own.grace),
        reserve: own.reserve,
        margin: own.margin,
        ties: own.ties,
        start_timeout: own.start_timeout,
        pre_stop: own.pre_stop,
        ..Worker::default()
    }
}

/// Notes a floor that exceeds its component's timeout, and the floor with which all of them exceed the reserve, if that
/// is known.
fn check_floors<'f>(
    reader: &mut Reader,
    reserve: Option<Duration>,
    components: impl Iterator<Item = &'f Fields>,
) {
    let mut promised = Duration::ZERO;
    for fields in components {
        let (Some(floor), Some(span)) = (fields.time("floor"), fields.span_of("floor")) else {
            continue;
        };
        // A timeout with a wrong value has been noted; the default in its place could lead to a second mistake.
        let timeout = match fields.time("timeout") {
            None if fields.has("timeout") => Duration::MAX,
            timeout => timeout.unwrap_or(limits::CALL_TIMEOUT),
        };
        if floor > timeout {
            reader.note(
                Diagnostic::error(
                    "floor-over-timeout",
                    span.clone(),
                    format!(
                        "the floor of {} is longer than the timeout of {}",
                        time(floor),
                        time(timeout)
                    ),
                    "longer than its timeout",
                )
                .help("make the floor shorter, or the `timeout` longer"),
            );
        }
        let Some(reserve) = reserve else { continue };
        let fitted = promised <= reserve;
        promised += floor;
        if fitted && promised > reserve {
            reader.note(
                Diagnostic::error(
                    "floors-over-reserve",
                    span,
                    format!(
                        "the floors up to here add up to {}, but the reserve is only {}",
                        time(promised),
                        time(reserve)
                    ),
                    "longer than the rest of the reserve",
                )
                .help("make the floors shorter, or the `reserve` in [worker] longer"),
            );
        }
    }
}

/// Returns the expectations of a table.
fn expect(reader: &mut Reader, names: Option<&DeclaredNames>, fields: &Fields) -> Expect {
    let mut set = |name: &str| {
        let key = keys::find(Place::Expect, name)?;
        let names = lookup_all(reader, names, key, fields.texts(name));
        fields.spanned(name, names)
    };
    let (closed, leaked) = (set("closed"), set("leaked"));
    let (timed_out, aborted) = (set("timed-out"), set("aborted"));
    let (failed, panicked) = (set("failed"), set("panicked"));
    let (not_awaited, lost, died) = (set("not-awaited"), set("lost"), set("died"));
    let (registered, ended) = (set("registered"), set("ended"));
    let refused = set("refused");
    let int = fields.int("exit").and_then(|code| i32::try_from(code).ok());
    let word = |key: &str| fields.text(key);
    Expect {
        exit: fields.spanned("exit", int),
        cause: fields.spanned(
            "cause",
            word("cause").and_then(|word| {
                Cause::ALL
                    .iter()
                    .find(|cause| cause.as_str() == word)
                    .copied()
            }),
        ),
        within: fields.spanned("within", fields.time("within")),
        ends_at: fields.spanned("ends-at", fields.time("ends-at")),
        ready: fields.spanned("ready", fields.flag("ready")),
        registered,
        watchdog: fields.spanned(
            "watchdog",
            word("watchdog").map(|word| {
                if word == "fires" {
                    WatchdogVerdict::Fires
                } else {
                    WatchdogVerdict::Quiet
                }
            }),
        ),
        closed,
        leaked,
        timed_out,
        aborted,
        failed,
        panicked,
        not_awaited,
        lost,
        died,
        ended,
        refused,
        lines: fields.spanned("lines", fields.texts("lines").map(<[_]>::to_vec)),
        breaks: fields
            .spanned(
                "breaks",
                fields
                    .texts("breaks")
                    .map(|laws| laws.iter().map(|law| law.value.as_str().into()).collect()),
            )
            .unwrap_or_default(),
    }
}
