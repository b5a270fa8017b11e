//! From a file's text to a scenario: all that is wrong with the file at once.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Invalid, did_you_mean, list};
use super::keys::{self, Place, Type};
use super::model::{
    Answer, Component, Expect, Lasts, Needs, Scenario, Span, Spanned, Timed, Verb, WatchdogLimits,
    WatchdogVerdict, When, Worker, limits,
};
use super::read::{Fields, Reader};
use crate::journal::{Call, Cause, Kind, Name, SignalName, Ties, Told};

/// Parses a scenario file. `name` is its path below the scenarios' folder, without `.toml`.
///
/// # Errors
///
/// Everything that is wrong with the file, in its order.
pub fn parse(name: &str, text: &str) -> Result<Scenario, Invalid> {
    let mut reader = Reader::default();
    if text.len() > limits::FILE_BYTES {
        reader.note(Diagnostic::error(
            "too-large",
            0..0,
            format!(
                "a scenario file has at most {} bytes, and this has {}",
                limits::FILE_BYTES,
                text.len()
            ),
            "too large",
        ));
        return Err(Invalid {
            diagnostics: reader.diagnostics,
        });
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
    let scenario = file(&mut reader, name, document.get_ref());
    let mut diagnostics = reader.diagnostics;
    // Where the syntax is broken, what follows from that is noise.
    if !errors.is_empty() {
        diagnostics.truncate(errors.len());
    }
    match scenario {
        Some(scenario) if diagnostics.is_empty() => Ok(scenario),
        _ => {
            diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
            Err(Invalid { diagnostics })
        }
    }
}

/// Parses a scenario file as it was read from the disk.
///
/// # Errors
///
/// As [`parse`]; also if it is not UTF-8.
pub fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Scenario, Invalid> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(name, text),
        Err(error) => {
            let message = format!(
                "a scenario file is UTF-8, and this is not, from byte {} on",
                error.valid_up_to()
            );
            Err(Invalid {
                diagnostics: vec![Diagnostic::error("not-utf8", 0..0, message, "here")],
            })
        }
    }
}

/// What the names in a file refer to.
type Names = BTreeMap<String, (Kind, Span)>;

fn subtable<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(Span, &'t DeTable<'i>)> {
    let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    match value.get_ref() {
        DeValue::Table(table) => Some((value.span(), table)),
        _ => None,
    }
}

fn file(reader: &mut Reader, name: &str, document: &DeTable<'_>) -> Option<Scenario> {
    let top = reader.table(Place::Top, document, 0..0);
    if top.text("title").is_none() && !document.iter().any(|(key, _)| key.get_ref() == "title") {
        reader.note(
            Diagnostic::error(
                "missing-key",
                0..0,
                "a scenario has a title",
                "expected `title = \"…\"`",
            )
            .help("say in one line what it is about"),
        );
    }
    if let Some(live) = top.text("live")
        && !live
            .strip_prefix("no: ")
            .is_some_and(|reason| !reason.trim().is_empty())
    {
        let span = top.span_of("live").unwrap_or(0..0);
        reader.note(Diagnostic::error(
            "unknown-word",
            span,
            "`live` gives the reason why not",
            "expected \"no: REASON\"",
        ));
    }
    let mut names = Names::new();
    let worker_table = subtable(document, "worker");
    let (worker_fields, raw) = match worker_table {
        Some((span, table)) => {
            let fields = reader.table(Place::Worker, table, span);
            let raw = reader.tables(Place::Worker, "components", table);
            (fields, raw)
        }
        None => (reader.table(Place::Worker, &DeTable::default(), 0..0), None),
    };
    let components = raw.map(|tables| {
        let fields: Vec<Fields> = tables
            .into_iter()
            .map(|(span, table)| reader.table(Place::Component, table, span))
            .collect();
        for component in &fields {
            declare(reader, &mut names, component);
        }
        fields
            .iter()
            .filter_map(|component| self::component(reader, &names, component))
            .collect::<Vec<_>>()
    });
    let own_worker = components.is_none();
    let mut timeline = Vec::new();
    if let Some((span, table)) = subtable(document, "timeline") {
        reader.table(Place::Timeline, table, span);
        for (span, table) in reader
            .tables(Place::Timeline, "events", table)
            .unwrap_or_default()
        {
            let fields = reader.table(Place::Event, table, span);
            let known = if own_worker { None } else { Some(&names) };
            timeline.extend(event(reader, known, components.as_deref(), &fields));
        }
    }
    let expect = match subtable(document, "expect") {
        Some((span, table)) => {
            let fields = reader.table(Place::Expect, table, span);
            expect(
                reader,
                if own_worker { None } else { Some(&names) },
                &fields,
            )
        }
        None => Expect::default(),
    };
    let worker = worker(reader, &worker_fields, components);
    Some(Scenario {
        name: name.into(),
        title: top.text("title")?.to_owned(),
        tags: top
            .texts("tags")
            .unwrap_or_default()
            .iter()
            .map(|tag| tag.value.clone())
            .collect(),
        not_live: top
            .text("live")
            .map(|live| live.trim_start_matches("no: ").to_owned()),
        allow: top
            .texts("allow")
            .unwrap_or_default()
            .iter()
            .map(|lint| lint.value.clone())
            .collect(),
        worker,
        timeline,
        expect,
    })
}

/// The worker's limits, and that its floors fit in them.
fn worker(reader: &mut Reader, fields: &Fields, components: Option<Vec<Component>>) -> Worker {
    let grace = fields.time("grace").unwrap_or(Duration::from_secs(30));
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let reserve = fields
        .time("reserve")
        .unwrap_or(Duration::from_millis(ms(grace) / 3));
    let margin = Duration::from_millis(ms(grace).div_ceil(20).min(500));
    let at = |key: &str| fields.span_of(key).unwrap_or(fields.span.clone());
    if reserve + margin >= grace {
        reader.note(
            Diagnostic::error(
                "no-share",
                at("reserve"),
                format!("a reserve of {reserve:?} and the margin of {margin:?} leave stop nothing of a grace of {grace:?}"),
                "too much",
            )
            .help("reserve less, or ask for a longer grace"),
        );
    }
    let mut promised = Duration::ZERO;
    for component in components.iter().flatten() {
        let Some(floor) = component.floor else {
            continue;
        };
        promised += floor;
        if floor > component.timeout {
            reader.note(Diagnostic::error(
                "floors-do-not-fit",
                component.span.clone(),
                format!(
                    "the floor of \"{}\" is {floor:?}, and its timeout {:?}",
                    component.name, component.timeout
                ),
                "a floor is at most the timeout",
            ));
        } else if promised > reserve {
            reader.note(
                Diagnostic::error(
                    "floors-do-not-fit",
                    component.span.clone(),
                    format!("with the floor of \"{}\" {promised:?} are promised, and the reserve is {reserve:?}", component.name),
                    "one floor too many",
                )
                .help("a longer reserve, or shorter floors"),
            );
        }
    }
    Worker {
        grace,
        reserve,
        margin,
        ties: fields
            .text("ties")
            .and_then(|word| Ties::ALL.iter().find(|ties| ties.as_str() == word))
            .copied()
            .unwrap_or(Ties::First),
        start_timeout: fields
            .time("start-timeout")
            .unwrap_or(Duration::from_secs(5)),
        run: fields.flag("run").unwrap_or(true),
        components,
    }
}

fn kind_of(selector: &str) -> Option<Kind> {
    Kind::ALL
        .iter()
        .find(|kind| kind.as_str() == selector)
        .copied()
}

/// Takes note of a component's name.
fn declare(reader: &mut Reader, names: &mut Names, fields: &Fields) {
    let Some((selector, kind)) = fields
        .selector
        .and_then(|selector| Some((selector, kind_of(selector)?)))
    else {
        return;
    };
    let (Some(name), Some(span)) = (fields.text(selector), fields.span_of(selector)) else {
        return;
    };
    if name.is_empty() || name.len() > limits::NAME_BYTES || name.contains(char::is_control) {
        reader.note(Diagnostic::error(
            "bad-name",
            span,
            "this cannot be a name",
            format!(
                "a name has 1 to {} bytes and no control characters",
                limits::NAME_BYTES
            ),
        ));
    } else if ["main", "kill", "executor"].contains(&name) {
        reader.note(Diagnostic::error(
            "bad-name",
            span,
            format!("\"{name}\" is a reserved name"),
            "reserved",
        ));
    } else if let Some((_, first)) = names.get(name) {
        reader.note(
            Diagnostic::error(
                "duplicate-name",
                span,
                format!("there are two components called \"{name}\""),
                "the second",
            )
            .also(first.clone(), "the first"),
        );
    } else {
        names.insert(name.to_owned(), (kind, span));
    }
}

/// Looks a name up; `None` where it is not known, which is noted. Without names all are known.
fn lookup(
    reader: &mut Reader,
    names: Option<&Names>,
    name: &str,
    span: Span,
    also: &[&str],
) -> Option<Name> {
    let Some(names) = names else {
        return Some(name.into());
    };
    if names.contains_key(name) || also.contains(&name) {
        return Some(name.into());
    }
    let all = || names.keys().map(String::as_str).chain(also.iter().copied());
    let mut diagnostic = Diagnostic::error(
        "unknown-name",
        span,
        format!("no component is called \"{name}\""),
        "unknown name",
    );
    diagnostic.help = Some(match did_you_mean(name, all()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("there are {}", list(all())),
    });
    reader.note(diagnostic);
    None
}

fn lookup_all(
    reader: &mut Reader,
    names: Option<&Names>,
    texts: Option<&[Spanned<String>]>,
    also: &[&str],
) -> Option<Vec<Name>> {
    let texts = texts?;
    Some(
        texts
            .iter()
            .filter_map(|text| lookup(reader, names, &text.value, text.span.clone(), also))
            .collect(),
    )
}

fn component(reader: &mut Reader, names: &Names, fields: &Fields) -> Option<Component> {
    let selector = fields.selector?;
    let kind = kind_of(selector)?;
    let name: Name = fields.text(selector)?.into();
    let uses = lookup_all(reader, Some(names), fields.texts("uses"), &[]).unwrap_or_default();
    let needs = fields.text("needs").and_then(|needs| {
        let span = fields.span_of("needs")?;
        match needs {
            "executor" => Some(Needs::Executor),
            needs => lookup(reader, Some(names), needs, span, &["executor"]).map(Needs::Component),
        }
    });
    let told_by = fields
        .text("told-by")
        .and_then(|by| lookup(reader, Some(names), by, fields.span_of("told-by")?, &[]));
    let timeout = ["join-timeout", "cancel-timeout", "timeout"]
        .iter()
        .find_map(|key| fields.time(key));
    let default = if matches!(kind, Kind::Thread | Kind::Task | Kind::Watchdog) {
        2
    } else {
        10
    };
    Some(Component {
        name,
        kind,
        order: fields
            .int("order")
            .and_then(|order| i32::try_from(order).ok())
            .unwrap_or(0),
        after: fields.time("after").unwrap_or_default(),
        late: fields.flag("late").unwrap_or(false),
        uses,
        takes: fields.time("takes").unwrap_or_default(),
        needs,
        timeout: timeout.unwrap_or(Duration::from_secs(default)),
        floor: fields.time("floor"),
        is_async: fields.flag("async").unwrap_or(false),
        period: fields.time("period"),
        told: fields
            .text("told")
            .and_then(|word| Told::ALL.iter().find(|told| told.as_str() == word))
            .copied()
            .unwrap_or(Told::AtOnce),
        told_by,
        adopted: fields.flag("adopted").unwrap_or(false),
        watchdog: (kind == Kind::Watchdog).then(|| WatchdogLimits {
            interval: fields.time("interval").unwrap_or(Duration::from_secs(10)),
            attempts: fields.count("attempts").unwrap_or(3),
            request_timeout: fields
                .time("request-timeout")
                .unwrap_or(Duration::from_secs(120)),
            start_grace: fields.time("start-grace"),
        }),
        span: fields.span.clone(),
    })
}

/// One event of the timeline.
fn event(
    reader: &mut Reader,
    names: Option<&Names>,
    components: Option<&[Component]>,
    fields: &Fields,
) -> Option<Timed> {
    let verb = fields.selector?;
    let when = when(reader, names, fields)?;
    let span = fields.span_of(verb)?;
    let text = fields.text(verb)?.to_owned();
    let key = keys::find(Place::Event, verb)?;
    let from = fields
        .text("from")
        .and_then(|from| lookup(reader, names, from, fields.span_of("from")?, &[]));
    let before = fields
        .text("before")
        .and_then(|before| lookup(reader, names, before, fields.span_of("before")?, &[]));
    let message = fields.text("message").map(str::to_owned);
    let name = match key.ty {
        Type::Name(also) => {
            let name = lookup(reader, names, &text, span.clone(), also)?;
            check_target(reader, names, components, verb, &name, &span)?;
            name
        }
        _ => Name::from(""),
    };
    let lasts: Lasts = fields.lasts("for").flatten();
    let verb = match verb {
        "signal" => Verb::Signal(
            *SignalName::ALL
                .iter()
                .find(|signal| signal.as_str() == text)?,
        ),
        "call" => Verb::Call {
            call: *Call::ALL.iter().find(|call| call.as_str() == text)?,
            from,
            callers: fields.count("callers").unwrap_or(1),
            message,
        },
        "register" => Verb::Register { name, from },
        "hang" => Verb::Hang { name, lasts },
        "ignore" => Verb::Ignore { name, lasts },
        "slow" => Verb::Slow {
            name,
            by: required(reader, fields, "by", span)?.unwrap_or_default(),
        },
        "fail" => Verb::Fail {
            name,
            message,
            before,
            code: fields.int("code").and_then(|code| i32::try_from(code).ok()),
        },
        "panic" => Verb::Panic {
            name,
            message,
            before,
        },
        "end" => Verb::End { name },
        "hold" => Verb::Hold { name, lasts },
        "job" => Verb::Job {
            name,
            count: fields.count("count").unwrap_or(1),
            takes: required(reader, fields, "takes", span)?,
        },
        "health" => Verb::Health {
            answer: answer(&text)?,
            takes: fields.time("takes").unwrap_or_default(),
            lasts,
            every: fields.count("every").unwrap_or(1),
        },
        _ => return None,
    };
    Some(Timed {
        when,
        verb,
        span: fields.span.clone(),
    })
}

fn answer(word: &str) -> Option<Answer> {
    Some(match word {
        "refused" => Answer::Refused,
        "silent" => Answer::Silent,
        "stalls" => Answer::Stalls,
        "cut" => Answer::Cut,
        "garbage" => Answer::Garbage,
        status => Answer::Status(status.parse().ok()?),
    })
}

/// A duration that an event has to say.
fn required(reader: &mut Reader, fields: &Fields, key: &str, span: Span) -> Option<Lasts> {
    let lasts = fields.lasts(key);
    if lasts.is_none() && fields.span_of(key).is_none() {
        let verb = fields.selector.unwrap_or_default();
        reader.note(Diagnostic::error(
            "missing-key",
            span,
            format!("`{verb}` says `{key}`"),
            format!("expected `{key} = \"…\"` beside it"),
        ));
    }
    lasts
}

fn when(reader: &mut Reader, names: Option<&Names>, fields: &Fields) -> Option<When> {
    let (at, on) = (fields.time("at"), fields.text("on"));
    if let (Some(on_span), Some(at_span)) = (fields.span_of("on"), fields.span_of("at")) {
        reader.note(
            Diagnostic::error(
                "two-moments",
                on_span,
                "an event strikes `at` a moment or `on` a step, not both",
                "a second moment",
            )
            .also(at_span, "the first moment")
            .help("`after` counts from the begin of the step that `on` names"),
        );
        return None;
    }
    match on {
        Some(on) => {
            let on = lookup(reader, names, on, fields.span_of("on")?, &["main"])?;
            Some(When::On(on, fields.time("after").unwrap_or_default()))
        }
        None => {
            if let Some(span) = fields.span_of("after") {
                reader.note(
                    Diagnostic::error(
                        "missing-key",
                        span,
                        "`after` counts from the begin of a step",
                        "expected `on = NAME` beside it",
                    )
                    .help("a moment of its own is `at`"),
                );
            }
            Some(When::At(at.unwrap_or_default()))
        }
    }
}

/// Whether a verb can be about that component.
fn check_target(
    reader: &mut Reader,
    names: Option<&Names>,
    components: Option<&[Component]>,
    verb: &str,
    name: &str,
    span: &Span,
) -> Option<()> {
    let key = keys::find(Place::Event, verb)?;
    let Some((kind, declared)) = names.and_then(|names| names.get(name)) else {
        return Some(());
    };
    if !key.on.is_empty() && !key.on.contains(&kind.as_str()) {
        reader.note(
            Diagnostic::error(
                "wrong-kind",
                span.clone(),
                format!(
                    "`{verb}` is for {}, and \"{name}\" is a {kind}",
                    list(key.on.iter().copied())
                ),
                "wrong kind",
            )
            .also(declared.clone(), format!("a {kind}")),
        );
        return None;
    }
    let component =
        components.and_then(|all| all.iter().find(|component| &*component.name == name))?;
    if verb == "register" && !component.late {
        reader.note(
            Diagnostic::error(
                "not-late",
                span.clone(),
                format!("\"{name}\" is registered by main"),
                "not late",
            )
            .also(declared.clone(), "main registers it here")
            .help("say `late = true` there"),
        );
        return None;
    }
    if verb == "hold" && kind != &Kind::Task && !component.is_async {
        reader.note(
            Diagnostic::error(
                "wrong-kind",
                span.clone(),
                format!("\"{name}\" does not run on the executor"),
                "it blocks a thread of its own",
            )
            .help("only a task, or a callback with `async = true`, can hold the executor"),
        );
        return None;
    }
    Some(())
}

fn expect(reader: &mut Reader, names: Option<&Names>, fields: &Fields) -> Expect {
    let calls: Vec<&str> = Call::ALL.iter().map(|call| call.as_str()).collect();
    let mut set = |key: &str, also: &[&str]| {
        let names = lookup_all(reader, names, fields.texts(key), also);
        fields.spanned(key, names)
    };
    let (closed, leaked) = (set("closed", &[]), set("leaked", &["main"]));
    let (timed_out, aborted) = (set("timed-out", &[]), set("aborted", &["main"]));
    let (failed, panicked) = (set("failed", &["main"]), set("panicked", &["main"]));
    let (not_awaited, lost, died) = (
        set("not-awaited", &["main"]),
        set("lost", &[]),
        set("died", &[]),
    );
    let refused = set("refused", &calls);
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
