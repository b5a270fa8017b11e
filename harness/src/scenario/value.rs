//! Reads the values of a file: each by the type of its key, and notes every mistake.

use std::time::Duration;

use toml::Spanned as TomlSpanned;
use toml::de::DeValue;

use super::diagnostic::{Diagnostic, any_of, did_you_mean, time};
use super::keys::{Key, Type, answers};
use super::limits;
use super::read::{Reader, Value};
use super::span::{Span, Spanned};
use crate::journal::ms_rounded_down;

impl Reader {
    /// Reads a value by the type of its key. Returns `None` for a wrong value, which it notes, for a table, and for a
    /// list of tables.
    pub fn value(
        &mut self,
        key: &'static Key,
        value: &TomlSpanned<DeValue<'_>>,
    ) -> Option<(Span, Value)> {
        let span = value.span();
        let read = match (key.ty, value.get_ref()) {
            (
                Type::Text | Type::Title | Type::NotLive | Type::NewName | Type::Name(_),
                DeValue::String(text),
            ) => Value::Text(text.to_string()),
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
                Type::Texts | Type::Names(_) | Type::NamesOrCalls | Type::Words(_),
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
                        other => self.wrong_type(key, true, "a text", other, span),
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
                        format!("`{}` is out of range", key.name),
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
            // `Reader::table` and `Reader::tables` read these.
            (Type::Table, DeValue::Table(_)) | (Type::Tables, DeValue::Array(_)) => return None,
            (ty, other) => {
                self.wrong_type(key, false, type_words(ty), other, span);
                return None;
            }
        };
        Some((span, read))
    }

    fn is_answer(&mut self, key: &Key, text: &str, span: &Span) -> bool {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return self.is_word(key, text, &answers(), span);
        }
        let is_status = text.len() == 3 && ("200"..="599").contains(&text);
        if !is_status {
            self.note(Diagnostic::error(
                "out-of-range",
                span.clone(),
                format!("the status {text:?} is out of range"),
                "expected a status from \"200\" to \"599\"",
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
                "expected a status from \"200\" to \"599\", or {}",
                any_of('"', words.iter().copied())
            ),
            None if words.is_empty() => "there are no words for this key yet".to_owned(),
            None => format!("expected {}", any_of('"', words.iter().copied())),
        });
        self.note(diagnostic);
        false
    }

    /// Notes a value of a wrong type, or an item of a list if `item` is true.
    pub fn wrong_type(
        &mut self,
        key: &Key,
        item: bool,
        expected: &str,
        was: &DeValue<'_>,
        span: Span,
    ) {
        let subject = if item { "an item of " } else { "" };
        let was = match was {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a decimal point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.note(
            Diagnostic::error(
                "wrong-type",
                span,
                format!("{subject}`{}` must be {expected}, but is {was}", key.name),
                format!("expected {expected}"),
            )
            .help(format!("for example: {}", key.example)),
        );
    }
}

/// Returns the words for a type.
pub(crate) fn type_words(ty: Type) -> &'static str {
    match ty {
        Type::Text | Type::Title => "a text",
        Type::NotLive => "`no: ` and a reason",
        Type::Texts => "a list of texts",
        Type::Flag => "true or false",
        Type::Int(..) => "a whole number",
        Type::Time { forever: false, .. } => "a duration in quotes",
        Type::Time { forever: true, .. } => "a duration in quotes, or \"forever\"",
        Type::NewName | Type::Name(_) => "a name",
        Type::Answer => "a status in quotes, or a word",
        Type::Names(_) => "a list of names",
        Type::NamesOrCalls => "a list of names or calls",
        Type::Word(_) => "a word",
        Type::Words(_) => "a list of words",
        Type::Table => "a table",
        Type::Tables => "a list of tables",
    }
}

/// Parses a duration: a whole number with its unit. `None` is forever. `min` is in milliseconds. The error is the
/// mistake, in words.
pub(crate) fn duration(text: &str, min: u64, forever: bool) -> Result<Option<Duration>, String> {
    if text == "forever" {
        return if forever {
            Ok(None)
        } else {
            Err("this key does not accept \"forever\"".to_owned())
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
    let max_ms = ms_rounded_down(limits::DURATION);
    let ms = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|ms| *ms <= max_ms);
    match ms {
        Some(ms) if ms >= min => Ok(Some(Duration::from_millis(ms))),
        Some(_) if !number.is_empty() => Err(format!(
            "expected at least {}",
            time(Duration::from_millis(min))
        )),
        _ if number.is_empty() => Err("expected a whole number and ms, s, m or h".to_owned()),
        _ => Err("expected at most 1h".to_owned()),
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
    fn forever_and_zero_are_accepted_only_where_allowed() {
        assert_eq!(duration("forever", 0, true), Ok(None));
        assert!(duration("0ms", 1, false).is_err_and(|problem| problem.contains("at least 1ms")));
    }
}
