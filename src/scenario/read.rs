//! Reading a table of the file by the table of keys: every value checked, every error noted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, did_you_mean, quoted, time};
use super::keys::{self, ANSWERS, KEYS, Key, Place, Type};
use super::model::{Span, Spanned, limits};

/// A value that has the type of its key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<Spanned<String>>),
    Flag(bool),
    Int(i64),
    /// `None` is for ever.
    Time(Option<Duration>),
}

/// The values of one table, by key.
pub(crate) struct Fields {
    pub span: Span,
    /// The key that says what a component is or what an event does.
    pub selector: Option<&'static str>,
    values: BTreeMap<&'static str, (Span, Value)>,
}

impl Fields {
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

    /// A duration; for ever is none.
    pub fn time(&self, key: &str) -> Option<Duration> {
        self.lasts(key).flatten()
    }

    /// A duration, or for ever.
    pub fn lasts(&self, key: &str) -> Option<Option<Duration>> {
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

/// A table of the file, still as it was parsed.
pub(crate) type Table<'t> = DeTable<'t>;

/// Reads a file's tables, and notes all that is wrong.
#[derive(Default)]
pub(crate) struct Reader {
    diagnostics: Vec<Diagnostic>,
    /// Mistakes that are only counted.
    more: usize,
}

impl Reader {
    pub fn note(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether what is noted from here on is only counted.
    pub fn is_full(&self) -> bool {
        self.diagnostics.len() >= limits::DIAGNOSTICS
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Counts a mistake of which nothing is told.
    pub fn count_one(&mut self) {
        self.more += 1;
    }

    /// All that is wrong, in the order of the file; `end` is the file's end.
    pub fn into_diagnostics(mut self, end: usize) -> Vec<Diagnostic> {
        self.diagnostics
            .sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        if self.more > 0 {
            self.diagnostics.push(Diagnostic::error(
                "too-many-mistakes",
                end..end,
                format!("{} more mistakes are not told", self.more),
                "mend the others first",
            ));
        }
        self.diagnostics
    }

    /// Reads one table. What is wrong with it is noted, and left out.
    pub fn table(&mut self, place: Place, table: &Table<'_>, span: Span) -> Fields {
        let selector = self.selector(place, table, &span);
        let mut values = BTreeMap::new();
        let mut there = Vec::with_capacity(table.len());
        for (name, value) in table {
            let text: &Cow<'_, str> = name.get_ref();
            let Some(key) = keys::find(place, text) else {
                // A kind or verb that is spelt wrong is told, and read as the one that was meant.
                if let Some(key) = self.unknown_key(place, text, name.span(), selector)
                    && let Some(value) = self.value(key, value)
                {
                    values.insert(key.name, value);
                }
                continue;
            };
            there.push(key.name);
            if let Some(selector) =
                selector.filter(|selector| !key.selects && !key.goes_with(selector))
            {
                self.note(
                    Diagnostic::error(
                        "misplaced-key",
                        name.span(),
                        format!("`{text}` does not go with `{selector}`"),
                        format!("goes with {}", quoted('`', key.with.iter().copied())),
                    )
                    .help(format!(
                        "with `{selector}` go {}",
                        quoted('`', companions(place, selector))
                    )),
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
        };
        self.missing_keys(place, &there, &fields);
        fields
    }

    /// Notes the keys that have to be there, and are not.
    fn missing_keys(&mut self, place: Place, there: &[&str], fields: &Fields) {
        for key in keys::of(place)
            .filter(|key| key.is_required(fields.selector) && !there.contains(&key.name))
        {
            let (subject, span) = match fields.selector {
                Some(selector) => (
                    format!("`{selector}`"),
                    fields.span_of(selector).unwrap_or(fields.span.clone()),
                ),
                None => (place.title().to_owned(), fields.span.clone()),
            };
            self.note(
                Diagnostic::error(
                    "missing-key",
                    span,
                    format!("{subject} needs `{}`", key.name),
                    format!("expected `{} = …` here", key.name),
                )
                .help(format!("for example: {}", key.example)),
            );
        }
    }

    /// The one key of a component or event that says what it is.
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
                        "{} has exactly one {noun}, and this has none",
                        place.title()
                    ),
                    format!("expected one of {}", quoted('`', selectors(place))),
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
                            "{} has exactly one {noun}, and this has `{}` and `{}`",
                            place.title(),
                            first.name,
                            second.name
                        ),
                        format!("a second {noun}"),
                    )
                    .also(first_span.clone(), format!("the first {noun}"))
                    .help("make them two tables"),
                );
                None
            }
        }
    }

    /// Notes an unknown key; gives the kind or verb that it was probably meant to be.
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
            (None, Some(selector)) => format!(
                "with `{selector}` go {}",
                quoted('`', companions(place, selector))
            ),
            (None, None) if place.noun().is_some() => format!(
                "beside its {} it can have {}",
                place.noun().unwrap_or_default(),
                quoted(
                    '`',
                    fitting(place, None)
                        .filter(|key| !key.selects)
                        .map(|key| key.name)
                )
            ),
            (None, None) => format!(
                "known are {}",
                quoted('`', fitting(place, None).map(|key| key.name))
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

    /// Reads a value by the type of its key.
    fn value(
        &mut self,
        key: &'static Key,
        value: &TomlSpanned<DeValue<'_>>,
    ) -> Option<(Span, Value)> {
        let span = value.span();
        let read = match (key.ty, value.get_ref()) {
            (Type::Text | Type::NewName | Type::Name(_), DeValue::String(text)) => {
                Value::Text(text.to_string())
            }
            (Type::Word(words), DeValue::String(text)) => {
                if !self.is_word(key, text, &words(), &span) {
                    return None;
                }
                Value::Text(text.to_string())
            }
            (Type::Answer, DeValue::String(text)) => {
                if !self.is_answer(key, text, &span) {
                    return None;
                }
                Value::Text(text.to_string())
            }
            (
                Type::Texts | Type::Names | Type::NamesOrCalls | Type::Words(_),
                DeValue::Array(array),
            ) => {
                let mut texts = Vec::new();
                for item in array {
                    let span = item.span();
                    match item.get_ref() {
                        DeValue::String(text) => {
                            if let Type::Words(words) = key.ty
                                && !self.is_word(key, text, &words(), &span)
                            {
                                continue;
                            }
                            texts.push(Spanned {
                                value: text.to_string(),
                                span,
                            });
                        }
                        other => self.wrong_type(key, "a text", other, span),
                    }
                }
                Value::Texts(texts)
            }
            (Type::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
            (Type::Int(min, max), DeValue::Integer(int)) => {
                let number = i64::from_str_radix(int.as_str(), int.radix())
                    .ok()
                    .filter(|number| (min..=max).contains(number));
                let Some(number) = number else {
                    self.note(Diagnostic::error(
                        "out-of-range",
                        span,
                        format!("`{}` is out of its range", key.name),
                        format!("expected a whole number from {min} to {max}"),
                    ));
                    return None;
                };
                Value::Int(number)
            }
            (Type::Time { min, forever }, DeValue::String(text)) => {
                match duration(text, min, forever) {
                    Ok(time) => Value::Time(time),
                    Err(problem) => {
                        self.note(
                        Diagnostic::error("bad-duration", span, format!("`{}` cannot be {text:?}", key.name), problem)
                            .help("a duration is a whole number with its unit: \"500ms\", \"2s\", \"1m\" or \"1h\""),
                    );
                        return None;
                    }
                }
            }
            // Tables are read by whoever knows what is in them.
            (Type::Table, DeValue::Table(_)) | (Type::Tables, DeValue::Array(_)) => return None,
            (ty, other) => {
                self.wrong_type(key, type_words(ty), other, span);
                return None;
            }
        };
        Some((span, read))
    }

    fn is_answer(&mut self, key: &Key, text: &str, span: &Span) -> bool {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return self.is_word(key, text, ANSWERS, span);
        }
        let is_status = text.len() == 3 && ("200"..="599").contains(&text);
        if !is_status {
            self.note(Diagnostic::error(
                "out-of-range",
                span.clone(),
                format!("the status {text:?} is out of its range"),
                "expected \"200\" to \"599\"",
            ));
        }
        is_status
    }

    fn is_word(&mut self, key: &Key, text: &str, words: &[&'static str], span: &Span) -> bool {
        if words.contains(&text) {
            return true;
        }
        let mut diagnostic = Diagnostic::error(
            "unknown-word",
            span.clone(),
            format!("`{}` cannot be {text:?}", key.name),
            "unknown word",
        );
        diagnostic.help = Some(match did_you_mean(text, words.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if matches!(key.ty, Type::Answer) => format!(
                "it can be a status from \"200\" to \"599\", or {}",
                quoted('"', words.iter().copied())
            ),
            None if words.is_empty() => "there is none yet".to_owned(),
            None => format!("it can be {}", quoted('"', words.iter().copied())),
        });
        self.note(diagnostic);
        false
    }

    fn wrong_type(&mut self, key: &Key, expected: &str, was: &DeValue<'_>, span: Span) {
        let was = match was {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.note(
            Diagnostic::error(
                "wrong-type",
                span,
                format!("`{}` is {expected}, not {was}", key.name),
                format!("expected {expected}"),
            )
            .help(format!("for example: {}", key.example)),
        );
    }

    /// The tables of a list, if it is one.
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
        let most = if name == "components" {
            limits::COMPONENTS
        } else {
            limits::EVENTS
        };
        if array.len() > most {
            self.note(Diagnostic::error(
                "too-many",
                value.span(),
                format!("{} {name} are too many", array.len()),
                format!("at most {most}"),
            ));
            return None;
        }
        let mut tables = Vec::with_capacity(array.len());
        for item in array {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((item.span(), table)),
                other => self.wrong_type(key, "a list of tables", other, item.span()),
            }
        }
        Some(tables)
    }
}

/// The kinds of a component, the verbs of an event.
fn selectors(place: Place) -> impl Iterator<Item = &'static str> {
    keys::of(place)
        .filter(|key| key.selects)
        .map(|key| key.name)
}

/// The keys that can stand in a place, beside that kind or verb if there is one.
fn fitting(place: Place, selector: Option<&'static str>) -> impl Iterator<Item = &'static Key> {
    keys::of(place).filter(move |key| match selector {
        Some(selector) if key.selects => key.name == selector,
        Some(selector) => key.goes_with(selector),
        None => true,
    })
}

/// The key that an unknown one was probably meant to be.
fn meant_key(place: Place, text: &str, selector: Option<&'static str>) -> Option<&'static Key> {
    let meant = did_you_mean(text, fitting(place, selector).map(|key| key.name))?;
    keys::find(place, meant)
}

/// The keys that go with a kind or verb.
fn companions(place: Place, selector: &str) -> Vec<&'static str> {
    keys::of(place)
        .filter(|key| !key.selects && key.goes_with(selector))
        .map(|key| key.name)
        .collect()
}

/// A type in words.
pub(crate) fn type_words(ty: Type) -> &'static str {
    match ty {
        Type::Text => "a text",
        Type::Texts => "a list of texts",
        Type::Flag => "true or false",
        Type::Int(..) => "a whole number",
        Type::Time { forever: false, .. } => "a duration in quotes",
        Type::Time { forever: true, .. } => "a duration in quotes, or \"forever\"",
        Type::NewName | Type::Name(_) => "a name",
        Type::Answer => "a status in quotes, or a word",
        Type::Names => "a list of names",
        Type::NamesOrCalls => "a list of names or calls",
        Type::Word(_) => "a word",
        Type::Words(_) => "a list of words",
        Type::Table => "a table",
        Type::Tables => "a list of tables",
    }
}

/// A duration in whole milliseconds, with its unit; `None` is for ever.
fn duration(text: &str, min: u64, forever: bool) -> Result<Option<Duration>, String> {
    if text == "forever" {
        return if forever {
            Ok(None)
        } else {
            Err("this cannot be for ever".to_owned())
        };
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if digits > 0 => return Err("it has no unit".to_owned()),
        _ => return Err("expected a whole number and ms, s, m or h".to_owned()),
    };
    let most = u64::try_from(limits::DURATION.as_millis()).unwrap_or(u64::MAX);
    let ms = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|ms| *ms <= most);
    match ms {
        Some(ms) if ms >= min => Ok(Some(Duration::from_millis(ms))),
        Some(_) if !number.is_empty() => Err(format!(
            "it is at least {}",
            time(Duration::from_millis(min))
        )),
        _ if number.is_empty() => Err("expected a whole number and ms, s, m or h".to_owned()),
        _ => Err("it is at most 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_whole_number_and_a_unit() {
        let ms = |text| {
            duration(text, 0, false)
                .ok()
                .flatten()
                .map(|time| time.as_millis())
        };
        assert_eq!(
            ["500ms", "2s", "1m", "1h", "0ms"].map(ms),
            [
                Some(500),
                Some(2_000),
                Some(60_000),
                Some(3_600_000),
                Some(0)
            ]
        );
        assert_eq!(
            [
                "",
                "2",
                "s",
                "-1s",
                "1.5s",
                "2 s",
                "2S",
                "61m",
                "99999999999999999999s",
                "forever"
            ]
            .map(ms),
            [None; 10]
        );
    }

    #[test]
    fn forever_and_zero_are_said_where_they_can_be() {
        assert_eq!(duration("forever", 0, true), Ok(None));
        assert!(duration("0ms", 1, false).is_err_and(|problem| problem.contains("at least 1ms")));
    }
}
