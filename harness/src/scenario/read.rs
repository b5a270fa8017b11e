//! Reads the tables of a file by the table of keys: checks every value and notes every mistake.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, all_of, any_of, did_you_mean};
use super::keys::{self, KEYS, Key, Place};
use super::limits;
use super::span::{Span, Spanned};

/// A value that has the type of its key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<Spanned<String>>),
    Flag(bool),
    Int(i64),
    /// `None` is forever.
    Time(Option<Duration>),
}

/// The values of one table, by key.
pub(crate) struct Fields {
    pub span: Span,
    /// The component's kind or the event's verb.
    pub selector: Option<&'static str>,
    values: BTreeMap<&'static str, (Span, Value)>,
    /// The known keys that the file has, also those that were left out of `values` because they are wrong.
    present: Vec<&'static str>,
}

impl Fields {
    /// Returns whether the file has the key, also if its value is wrong.
    pub fn has(&self, key: &str) -> bool {
        self.present.contains(&key)
    }

    pub fn span_of(&self, key: &str) -> Option<Span> {
        self.values.get(key).map(|(span, _)| span.clone())
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some((_, Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    pub fn texts(&self, key: &str) -> Option<&[Spanned<String>]> {
        match self.values.get(key) {
            Some((_, Value::Texts(texts))) => Some(texts),
            _ => None,
        }
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key) {
            Some((_, Value::Flag(flag))) => Some(*flag),
            _ => None,
        }
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        match self.values.get(key) {
            Some((_, Value::Int(int))) => Some(*int),
            _ => None,
        }
    }

    pub fn count(&self, key: &str) -> Option<u32> {
        self.int(key).and_then(|int| u32::try_from(int).ok())
    }

    /// Returns a duration; `None` if it is forever.
    pub fn time(&self, key: &str) -> Option<Duration> {
        self.time_or_forever(key).flatten()
    }

    /// Returns a duration; `Some(None)` if it is forever.
    pub fn time_or_forever(&self, key: &str) -> Option<Option<Duration>> {
        match self.values.get(key) {
            Some((_, Value::Time(time))) => Some(*time),
            _ => None,
        }
    }

    pub fn spanned<T>(&self, key: &str, value: Option<T>) -> Option<Spanned<T>> {
        Some(Spanned {
            value: value?,
            span: self.span_of(key)?,
        })
    }
}

/// A table of the file as TOML, before its keys and values are checked.
pub(crate) type Table<'t> = DeTable<'t>;

/// Reader of a file's tables, which collects the mistakes.
#[derive(Default)]
pub(crate) struct Reader {
    diagnostics: Vec<Diagnostic>,
    /// Number of mistakes that are only counted.
    not_shown: usize,
}

impl Reader {
    pub fn note(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.not_shown += 1;
        } else {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Returns whether further mistakes are only counted.
    pub fn is_full(&self) -> bool {
        self.diagnostics.len() >= limits::DIAGNOSTICS
    }

    /// Returns whether no mistake was noted.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Counts a mistake that is not shown.
    pub fn count_not_shown(&mut self) {
        self.not_shown += 1;
    }

    /// Returns the mistakes in the order of the file, and then, at `end`, the number of those that were only counted.
    /// `end` is the file's end.
    pub fn into_diagnostics(mut self, end: usize) -> Vec<Diagnostic> {
        self.diagnostics
            .sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        if self.not_shown > 0 {
            self.diagnostics.push(Diagnostic::error(
                "too-many-mistakes",
                end..end,
                format!("{} more mistakes are not shown", self.not_shown),
                "correct the others first",
            ));
        }
        self.diagnostics
    }

    /// Reads one table. Notes its mistakes, and leaves out keys and values that are wrong.
    pub fn table(&mut self, place: Place, table: &Table<'_>, span: Span) -> Fields {
        let selector = self.selector(place, table, &span);
        let mut values = BTreeMap::new();
        let mut present = Vec::with_capacity(table.len());
        for (name, value) in table {
            let text: &Cow<'_, str> = name.get_ref();
            let Some(key) = keys::find(place, text) else {
                // A misspelt kind or verb is noted, and read as the one that was probably meant.
                if let Some(key) = self.unknown_key(place, text, name.span(), selector)
                    && let Some(value) = self.value(key, value)
                {
                    values.insert(key.name, value);
                }
                continue;
            };
            present.push(key.name);
            if let Some(selector) =
                selector.filter(|selector| !key.selects && !key.goes_with(selector))
            {
                self.note(
                    Diagnostic::error(
                        "misplaced-key",
                        name.span(),
                        format!("`{text}` does not go with `{selector}`"),
                        format!("goes with {}", any_of('`', key.with.iter().copied())),
                    )
                    .help(
                        match did_you_mean(text, keys_beside(place, selector)) {
                            Some(meant) => format!("use `{meant}` with `{selector}`"),
                            None => keys_beside_words(place, selector),
                        },
                    ),
                );
                continue;
            }
            if let Some(value) = self.value(key, value) {
                values.insert(key.name, value);
            }
        }
        let fields = Fields {
            span,
            selector,
            values,
            present,
        };
        self.missing_keys(place, &fields);
        fields
    }

    /// Notes the required keys that the file does not have.
    fn missing_keys(&mut self, place: Place, fields: &Fields) {
        for key in
            keys::of(place).filter(|key| key.is_required(fields.selector) && !fields.has(key.name))
        {
            let (subject, where_, span) = match fields.selector {
                Some(selector) => (
                    format!("`{selector}`"),
                    "in the same table",
                    fields.span_of(selector).unwrap_or(fields.span.clone()),
                ),
                None => (place.title().to_owned(), "here", fields.span.clone()),
            };
            self.note(
                Diagnostic::error(
                    "missing-key",
                    span,
                    format!("{subject} needs `{}`", key.name),
                    format!("expected `{} = …` {where_}", key.name),
                )
                .help(format!("for example: {}", key.example)),
            );
        }
    }

    /// Returns the kind of a component or the verb of an event, also if it is misspelt. Notes a table that has none or
    /// several.
    fn selector(&mut self, place: Place, table: &Table<'_>, span: &Span) -> Option<&'static str> {
        let noun = place.noun()?;
        let mut found: Vec<(Span, &'static Key)> = table
            .iter()
            .filter_map(|(name, _)| Some((name.span(), keys::find(place, name.get_ref())?)))
            .filter(|(_, key)| key.selects)
            .collect();
        found.sort_by_key(|(span, _)| span.start);
        match found.as_slice() {
            [] => {
                let meant = table
                    .iter()
                    .filter(|(name, _)| keys::find(place, name.get_ref()).is_none())
                    .filter_map(|(name, _)| meant_key(place, name.get_ref(), None))
                    .find(|key| key.selects);
                if let Some(meant) = meant {
                    return Some(meant.name);
                }
                self.note(Diagnostic::error(
                    "no-selector",
                    span.clone(),
                    format!(
                        "{} must have exactly one {noun}, but this one has none",
                        place.title()
                    ),
                    format!("expected one of {}", any_of('`', selectors(place))),
                ));
                None
            }
            [(_, key)] => Some(key.name),
            [(first_span, first), (second_span, second), ..] => {
                self.note(
                    Diagnostic::error(
                        "two-selectors",
                        second_span.clone(),
                        format!(
                            "{} must have exactly one {noun}, but this one has `{}` and `{}`",
                            place.title(),
                            first.name,
                            second.name
                        ),
                        format!("the second {noun}"),
                    )
                    .also(first_span.clone(), format!("the first {noun}"))
                    .help("write two tables"),
                );
                None
            }
        }
    }

    /// Notes an unknown key. Returns the key of `selector`, the table's kind or verb, if that was probably meant.
    fn unknown_key(
        &mut self,
        place: Place,
        text: &str,
        span: Span,
        selector: Option<&'static str>,
    ) -> Option<&'static Key> {
        let meant = meant_key(place, text, selector);
        let elsewhere = || {
            KEYS.iter()
                .find(|key| key.name == text && key.place != place)
        };
        let help = match (meant, selector) {
            (Some(meant), _) => format!("did you mean `{}`?", meant.name),
            (None, _) if elsewhere().is_some() => {
                let title = elsewhere().map_or("", |key| key.place.title());
                format!("`{text}` is a key of {title}")
            }
            (None, Some(selector)) => keys_beside_words(place, selector),
            (None, None) if place.noun().is_some() => format!(
                "besides its {} it can have the keys {}",
                place.noun().unwrap_or_default(),
                any_of(
                    '`',
                    allowed_keys(place, None)
                        .filter(|key| !key.selects)
                        .map(|key| key.name)
                )
            ),
            (None, None) => format!(
                "the known keys are {}",
                all_of('`', allowed_keys(place, None).map(|key| key.name))
            ),
        };
        self.note(
            Diagnostic::error(
                "unknown-key",
                span,
                format!("there is no key `{text}` in {}", place.title()),
                "unknown key",
            )
            .help(help),
        );
        meant.filter(|meant| meant.selects && selector == Some(meant.name))
    }

    /// Returns the tables of a list, or `None` if the value is not a list or has too many items.
    pub fn tables<'t, 'i>(
        &mut self,
        place: Place,
        name: &str,
        table: &'t Table<'i>,
    ) -> Option<Vec<(Span, &'t Table<'i>)>> {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        let key = keys::find(place, name)?;
        let DeValue::Array(array) = value.get_ref() else {
            return None;
        };
        let max_items = if name == "components" {
            limits::COMPONENTS
        } else {
            limits::EVENTS
        };
        if array.len() > max_items {
            self.note(
                Diagnostic::error(
                    "too-many",
                    value.span(),
                    format!("there are too many {name}: {}", array.len()),
                    format!("at most {max_items}"),
                )
                .help("split it into two scenarios"),
            );
            return None;
        }
        let mut tables = Vec::with_capacity(array.len());
        for item in array {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((item.span(), table)),
                other => self.wrong_type(key, true, "a table", other, item.span()),
            }
        }
        Some(tables)
    }
}

/// Returns the kinds of a component, or the verbs of an event.
fn selectors(place: Place) -> impl Iterator<Item = &'static str> {
    keys::of(place)
        .filter(|key| key.selects)
        .map(|key| key.name)
}

/// Returns the keys that can stand in a place, beside that kind or verb if there is one.
fn allowed_keys(
    place: Place,
    selector: Option<&'static str>,
) -> impl Iterator<Item = &'static Key> {
    keys::of(place).filter(move |key| match selector {
        Some(selector) if key.selects => key.name == selector,
        Some(selector) => key.goes_with(selector),
        None => true,
    })
}

/// Returns the key that an unknown one was probably meant to be.
fn meant_key(place: Place, text: &str, selector: Option<&'static str>) -> Option<&'static Key> {
    let meant = did_you_mean(text, allowed_keys(place, selector).map(|key| key.name))?;
    keys::find(place, meant)
}

/// Returns the keys that go with a kind or verb.
fn keys_beside(place: Place, selector: &str) -> Vec<&'static str> {
    keys::of(place)
        .filter(|key| !key.selects && key.goes_with(selector))
        .map(|key| key.name)
        .collect()
}

fn keys_beside_words(place: Place, selector: &str) -> String {
    format!(
        "`{selector}` can have the keys {}",
        all_of('`', keys_beside(place, selector))
    )
}
