//! Reads the events of a timeline: when each event strikes, which component, and how.

use std::time::Duration;

use super::answer::{ANSWERS, Answer};
use super::component::{DeclaredNames, lookup};
use super::diagnostic::{Diagnostic, any_of};
use super::fault::Fault;
use super::keys::{self, AFTER_EVENT, DELAYED_TRIGGERS, Place, TRIGGERS, Type};
use super::model::{Component, Timed, Verb};
use super::read::{Fields, Reader};
use super::span::Span;
use super::trigger::Trigger;
use crate::journal::{Call, FaultVerb, Kind, Name, SignalName};

/// Returns the event of a table, or `None` if a mistake leaves it unclear; the mistake is noted.
pub(super) fn event(
    reader: &mut Reader,
    names: Option<&DeclaredNames>,
    components: Option<&[Component]>,
    fields: &Fields,
) -> Option<Timed> {
    let verb = fields.selector?;
    let key = keys::find(Place::Event, verb)?;
    let trigger = trigger(reader, names, fields);
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
    note_misplaced_keys(reader, fields, &text);
    let name = match key.ty {
        Type::Name(_) => {
            let name = lookup(reader, names, key, &text, span.clone())?;
            check_target(reader, names, components, verb, &name, &span)?;
            name
        }
        _ => Name::from(""),
    };
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
        "register" => Verb::Register { name },
        "fail" if *name == *"kill" => Verb::KillFails,
        "health" => Verb::Health {
            answer: answer(&text)?,
            takes: fields
                .time_or_forever("takes")
                .unwrap_or(Some(Duration::ZERO)),
            lasts: fields.time_or_forever("for").flatten(),
            every: fields.count("every").unwrap_or(1),
        },
        verb => {
            let verb = FaultVerb::ALL.iter().find(|fault| fault.as_str() == verb)?;
            let fault = Fault::read(*verb, fields, before)?;
            Verb::Fault { name, fault }
        }
    };
    Some(Timed {
        trigger: trigger?,
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

/// Notes the keys that do not go with what the event is about.
fn note_misplaced_keys(reader: &mut Reader, fields: &Fields, about: &str) {
    for key in keys::of(Place::Event) {
        let label = if key.main_only && about != "main" {
            "goes only with \"main\""
        } else if key.not_about.contains(&about) {
            "does not go with this name"
        } else {
            continue;
        };
        if let Some(span) = fields.span_of(key.name) {
            reader.note(
                Diagnostic::error(
                    "misplaced-key",
                    span,
                    format!("`{}` does not go with \"{about}\"", key.name),
                    label,
                )
                .help(format!("for example: {}", key.example)),
            );
        }
    }
}

/// Returns what makes an event strike, or `None` if a mistake leaves that unclear; the mistake is noted.
fn trigger(reader: &mut Reader, names: Option<&DeclaredNames>, fields: &Fields) -> Option<Trigger> {
    let mut found: Vec<(Span, &str)> = TRIGGERS
        .iter()
        .filter_map(|key| Some((fields.span_of(key)?, *key)))
        .collect();
    found.sort_by_key(|(span, _)| span.start);
    if let [(first_span, first), (second_span, second), ..] = found.as_slice() {
        reader.note(
            Diagnostic::error(
                "two-moments",
                second_span.clone(),
                format!(
                    "an event has only one trigger, but this one has both `{first}` and `{second}`"
                ),
                "the second trigger",
            )
            .also(first_span.clone(), "the first trigger")
            .help("write two events, or remove one trigger; for a delay after `on` or `on-end` use `after`"),
        );
        return None;
    }
    note_after_without_place(reader, fields);
    let after = fields.time("after").unwrap_or_default();
    let Some((span, key)) = found.into_iter().next() else {
        return Some(Trigger::At(Duration::ZERO));
    };
    match key {
        "at" => fields.time(key).map(Trigger::At),
        AFTER_EVENT => {
            let number = u64::try_from(fields.int(key)?).ok();
            number.map(Trigger::AfterEvent)
        }
        _ => {
            let key = keys::find(Place::Event, key)?;
            let name = lookup(reader, names, key, fields.text(key.name)?, span)?;
            Some(match key.name {
                "on" => Trigger::On { name, after },
                _ => Trigger::OnEnd { name, after },
            })
        }
    }
}

/// Notes an `after` without a begin or an end from which it could count.
fn note_after_without_place(reader: &mut Reader, fields: &Fields) {
    // A name with a wrong value has been noted, and is not missing.
    let Some(span) = fields
        .span_of("after")
        .filter(|_| !DELAYED_TRIGGERS.iter().any(|key| fields.has(key)))
    else {
        return;
    };
    let help = if fields.has(AFTER_EVENT) {
        "an event with `after-event` has no delay; use `at` for a time since the start"
    } else {
        "use `at` for a time since the start"
    };
    reader.note(
        Diagnostic::error(
            "missing-key",
            span,
            "`after` is a delay, and needs the begin or end from which it counts",
            "expected `on = NAME` or `on-end = NAME` beside it",
        )
        .help(help),
    );
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
    if !key.can_strike(*kind) {
        reader.note(
            Diagnostic::error(
                "wrong-kind",
                span.clone(),
                format!(
                    "`{verb}` is for {}, but \"{name}\" is a {kind}",
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
                format!("main registers \"{name}\" at the start, so an event cannot register it"),
                "not late",
            )
            .also(declared.clone(), "main registers it here")
            .help("write `late = true` there"),
        );
        return None;
    }
    if key.on_executor && kind != &Kind::Task && !component.is_async {
        reader.note(
            Diagnostic::error(
                "wrong-kind",
                span.clone(),
                format!("\"{name}\" does not run on the executor"),
                "it blocks a thread of its own",
            )
            .help(format!(
                "`{verb}` is for a task, or a callback with `async = true`"
            )),
        );
        return None;
    }
    Some(())
}
