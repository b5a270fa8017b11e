//! Reads the events of a timeline: when each event strikes, which component, and how.

use std::time::Duration;

use super::component::{DeclaredNames, lookup};
use super::diagnostic::{Diagnostic, any_of};
use super::keys::{self, ANSWERS, Place, Type};
use super::model::{Answer, Component, Lasts, Span, Timed, Verb, When};
use super::read::{Fields, Reader};
use crate::journal::{Call, Kind, Name, SignalName};

/// Returns the event of a table, or `None` if a mistake leaves it unclear; the mistake is noted.
pub(super) fn event(
    reader: &mut Reader,
    names: Option<&DeclaredNames>,
    components: Option<&[Component]>,
    fields: &Fields,
) -> Option<Timed> {
    let verb = fields.selector?;
    let key = keys::find(Place::Event, verb)?;
    let when = moment(reader, names, fields);
    let mut other = |name: &str| {
        let key = keys::find(Place::Event, name)?;
        lookup(
            reader,
            names,
            key,
            fields.text(name)?,
            fields.span_of(name)?,
        )
    };
    let (from, before) = (other("from"), other("before"));
    let message = fields.text("message").map(str::to_owned);
    let text = fields.text(verb)?.to_owned();
    let span = fields.span_of(verb)?;
    note_main_only_keys(reader, fields, &text);
    let name = match key.ty {
        Type::Name(_) => {
            let name = lookup(reader, names, key, &text, span.clone())?;
            check_target(reader, names, components, verb, &name, &span)?;
            name
        }
        _ => Name::from(""),
    };
    let lasts: Lasts = fields.time_or_forever("for").flatten();
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
            by: fields.time("by")?,
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
            takes: fields.time_or_forever("takes")?,
        },
        "health" => Verb::Health {
            answer: answer(&text)?,
            takes: fields
                .time_or_forever("takes")
                .unwrap_or(Some(Duration::ZERO)),
            lasts,
            every: fields.count("every").unwrap_or(1),
        },
        _ => return None,
    };
    Some(Timed {
        when: when?,
        verb,
        span: fields.span.clone(),
    })
}

fn answer(word: &str) -> Option<Answer> {
    match ANSWERS.iter().find(|(known, _)| *known == word) {
        Some((_, answer)) => Some(*answer),
        None => word.parse().ok().map(Answer::Status),
    }
}

/// Notes the keys that go with `main` only, if the event is about another component.
fn note_main_only_keys(reader: &mut Reader, fields: &Fields, about: &str) {
    for key in keys::of(Place::Event).filter(|key| key.main_only && about != "main") {
        if let Some(span) = fields.span_of(key.name) {
            reader.note(
                Diagnostic::error(
                    "misplaced-key",
                    span,
                    format!("`{}` does not go with \"{about}\"", key.name),
                    "goes with \"main\" only",
                )
                .help(format!("for example: {}", key.example)),
            );
        }
    }
}

/// Returns when an event strikes, or `None` if a mistake leaves that unclear; the mistake is noted.
fn moment(reader: &mut Reader, names: Option<&DeclaredNames>, fields: &Fields) -> Option<When> {
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
            let key = keys::find(Place::Event, "on")?;
            let on = lookup(reader, names, key, on, fields.span_of("on")?)?;
            Some(When::On(on, fields.time("after").unwrap_or_default()))
        }
        None => {
            // An `on` with a wrong value has been noted, and is not missing.
            if let Some(span) = fields.span_of("after")
                && !fields.has("on")
            {
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

/// Returns `None`, and notes the reason, if a verb cannot be about that component.
fn check_target(
    reader: &mut Reader,
    names: Option<&DeclaredNames>,
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
                    any_of('`', key.on.iter().copied())
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
