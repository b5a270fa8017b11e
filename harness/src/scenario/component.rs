//! Reads the components of a scenario file, and looks up the names by which the rest of the file refers to them.
//!
//! It uses the fields that `read.rs` has checked. `parse.rs` and `event.rs` use it.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, all_of, any_of, did_you_mean};
use super::keys::{self, KEYS, Key, Place, RESERVED};
use super::limits;
use super::model::{Component, Needs, WatchdogLimits};
use super::read::{Fields, Reader};
use super::span::{Span, Spanned};
use crate::journal::{Kind, Name, Told};
use crate::words::steers;

/// The names of a file's components, each with the component's kind and the name's place.
pub(super) type DeclaredNames = BTreeMap<String, (Kind, Span)>;

fn kind_of(selector: &str) -> Option<Kind> {
    Kind::ALL
        .iter()
        .find(|kind| kind.as_str() == selector)
        .copied()
}

/// Adds a component's name to `names`. Notes a name that is invalid, reserved or taken, and a second watchdog.
///
/// If a component has two kinds, adds the names of both, so that an event that names either is not reported as well.
pub(super) fn declare_names(reader: &mut Reader, names: &mut DeclaredNames, fields: &Fields) {
    for kind in Kind::ALL {
        let selector = kind.as_str();
        let (Some(name), Some(span)) = (fields.text(selector), fields.span_of(selector)) else {
            continue;
        };
        if !is_name(name) {
            reader.note(bad_name(span.clone()));
        } else if RESERVED.contains(&name) {
            reader.note(
                Diagnostic::error(
                    "bad-name",
                    span.clone(),
                    format!("a component cannot have the name \"{name}\""),
                    "a reserved name",
                )
                .help(format!(
                    "the reserved names are {}",
                    all_of('"', RESERVED.iter().copied())
                )),
            );
        }
        let of_its_kind = names.values().filter(|(other, _)| other == kind);
        if *kind == Kind::Watchdog
            && let Some((_, first)) = of_its_kind.min_by_key(|(_, span)| span.start)
        {
            reader.note(
                Diagnostic::error(
                    "second-watchdog",
                    span.clone(),
                    "a worker can have only one watchdog",
                    "the second watchdog",
                )
                .also(first.clone(), "the first watchdog"),
            );
        }
        match names.get(name) {
            Some((_, first)) => reader.note(
                Diagnostic::error(
                    "duplicate-name",
                    span,
                    format!("two components have the name \"{name}\""),
                    "the second component",
                )
                .also(first.clone(), "the first component")
                .help("give one of them another name"),
            ),
            None => {
                names.insert(name.to_owned(), (*kind, span));
            }
        }
    }
}

/// Returns whether a text can be a component's name: 1 to 200 bytes, without characters that steer a terminal.
fn is_name(text: &str) -> bool {
    (1..=limits::NAME_BYTES).contains(&text.len()) && !text.contains(steers)
}

fn bad_name(span: Span) -> Diagnostic {
    Diagnostic::error(
        "bad-name",
        span,
        "this cannot be a name",
        format!(
            "a name has 1 to {} bytes, no control characters, and no characters that change the direction of writing",
            limits::NAME_BYTES
        ),
    )
}

/// Returns the diagnostic for a reserved name at a key that takes components only. Its help lists the keys at which
/// that name can stand.
fn not_a_component(name: &str, key: &Key, span: Span) -> Diagnostic {
    let places = KEYS
        .iter()
        .filter(|key| key.place != Place::Expect && key.ty.also().contains(&name));
    Diagnostic::error(
        "unknown-name",
        span,
        format!(
            "\"{name}\" is not a component, and cannot be the value of `{}`",
            key.name
        ),
        "a reserved name",
    )
    .help(format!(
        "it can be the value of {}",
        any_of('`', places.map(|key| key.name))
    ))
}

/// Returns the name that stands at a key. If the name is not known, notes that and returns `None`.
///
/// `names` is `None` in a file for a user's own worker. Then every name that a component can have is known.
pub(super) fn lookup(
    reader: &mut Reader,
    names: Option<&DeclaredNames>,
    key: &Key,
    name: &str,
    span: Span,
) -> Option<Name> {
    let also = key.ty.also();
    if also.contains(&name) {
        return Some(name.into());
    }
    if RESERVED.contains(&name) {
        reader.note(not_a_component(name, key, span));
        return None;
    }
    let Some(names) = names else {
        if is_name(name) {
            return Some(name.into());
        }
        reader.note(bad_name(span));
        return None;
    };
    if names.contains_key(name) {
        return Some(name.into());
    }
    // A suggestion compares the name with all others, and a file may have a thousand names and as many mistakes: a
    // mistake that is only counted gets none.
    if reader.is_full() {
        reader.count_not_shown();
        return None;
    }
    let all = || names.keys().map(String::as_str).chain(also.iter().copied());
    let mut diagnostic = Diagnostic::error(
        "unknown-name",
        span,
        format!("no component has the name \"{name}\""),
        "unknown name",
    );
    diagnostic.help = Some(match did_you_mean(name, all()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None if names.is_empty() && also.is_empty() => "the worker has no components".to_owned(),
        None => format!("expected {}", any_of('"', all())),
    });
    reader.note(diagnostic);
    None
}

pub(super) fn lookup_all(
    reader: &mut Reader,
    names: Option<&DeclaredNames>,
    key: &Key,
    texts: Option<&[Spanned<String>]>,
) -> Option<Vec<Name>> {
    let texts = texts?;
    Some(
        texts
            .iter()
            .filter_map(|text| lookup(reader, names, key, &text.value, text.span.clone()))
            .collect(),
    )
}

/// Notes a component that names itself in `uses`, `needs` or `told-by`.
fn note_self_reference(reader: &mut Reader, name: &str, key: &str, text: &str, span: &Span) {
    if text == name {
        reader.note(Diagnostic::error(
            "names-itself",
            span.clone(),
            format!("`{key}` of \"{name}\" names the component itself"),
            "expected the name of another component",
        ));
    }
}

/// Returns the component of a table, or `None` if its kind or name is not known.
pub(super) fn component(
    reader: &mut Reader,
    names: &DeclaredNames,
    fields: &Fields,
) -> Option<Component> {
    let selector = fields.selector?;
    let kind = kind_of(selector)?;
    let name: Name = fields.text(selector)?.into();
    let key = |name: &str| keys::find(Place::Component, name);
    let mut uses =
        lookup_all(reader, Some(names), key("uses")?, fields.texts("uses")).unwrap_or_default();
    // A name in `uses` counts once, as it does in the context.
    let mut seen = BTreeSet::new();
    uses.retain(|name| seen.insert(name.clone()));
    for used in fields.texts("uses").unwrap_or_default() {
        note_self_reference(reader, &name, "uses", &used.value, &used.span);
    }
    let mut other = |name_of: &str| {
        let (text, span) = (fields.text(name_of)?, fields.span_of(name_of)?);
        note_self_reference(reader, &name, name_of, text, &span);
        lookup(reader, Some(names), key(name_of)?, text, span)
    };
    let needs = other("needs").map(|needs| match &*needs {
        "executor" => Needs::Executor,
        _ => Needs::Component(needs),
    });
    let told_by = other("told-by");
    let timeout = ["join-timeout", "cancel-timeout", "timeout"]
        .iter()
        .find_map(|key| fields.time(key));
    let defaults = Component::new(kind, name.clone());
    Some(Component {
        name,
        kind,
        order: fields
            .int("order")
            .and_then(|order| i32::try_from(order).ok())
            .unwrap_or(defaults.order),
        after: fields.time("after").unwrap_or(defaults.after),
        late: fields.flag("late").unwrap_or(defaults.late),
        uses,
        takes: fields.time("takes").unwrap_or(defaults.takes),
        needs,
        timeout: timeout.unwrap_or(defaults.timeout),
        floor: fields.time("floor"),
        is_async: fields.flag("async").unwrap_or(defaults.is_async),
        period: fields.time("period"),
        told: fields
            .text("told")
            .and_then(|word| Told::ALL.iter().find(|told| told.as_str() == word))
            .copied()
            .unwrap_or(defaults.told),
        told_by,
        adopted: fields.flag("adopted").unwrap_or(defaults.adopted),
        watchdog: defaults.watchdog.map(|defaults| WatchdogLimits {
            interval: fields.time("interval").unwrap_or(defaults.interval),
            attempts: fields.count("attempts").unwrap_or(defaults.attempts),
            request_timeout: fields
                .time("request-timeout")
                .unwrap_or(defaults.request_timeout),
            start_grace: fields.time("start-grace").or(defaults.start_grace),
        }),
        span: fields.span.clone(),
    })
}
