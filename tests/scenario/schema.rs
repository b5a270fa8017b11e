//! Compares the schema with the parser. The schema takes every file that the parser takes, and refuses every mistake
//! that a schema can express.
use std::cell::RefCell;
use std::collections::BTreeMap;

use deadstop_harness::scenario::{self, Diagnostic};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use regex::Regex;
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::corpus;

/// Returns whether a value fits a schema. Panics at a keyword that is unknown here, because it would be ignored.
fn fits(schema: &Value, value: &Value) -> bool {
    let schema = schema.as_object().expect("a schema is an object");
    schema
        .iter()
        .all(|(keyword, rule)| fits_one(schema, keyword, rule, value))
}

/// Returns whether a text matches a pattern. Each pattern is compiled once.
fn matches(pattern: &str, text: &str) -> bool {
    thread_local!(static READ: RefCell<BTreeMap<String, Regex>> = RefCell::default());
    READ.with_borrow_mut(|read| {
        let read = read
            .entry(pattern.to_owned())
            .or_insert_with(|| Regex::new(pattern).expect("a pattern"));
        read.is_match(text)
    })
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("a list")
}

fn fits_one(schema: &Map<String, Value>, keyword: &str, rule: &Value, value: &Value) -> bool {
    let number = || rule.as_f64().expect("a number");
    let length = || value.as_str().map_or(0, |text| text.chars().count()) as f64;
    let has = |key: &Value| value.get(key.as_str().expect("a key")).is_some();
    let there = |key: &String| value.get(key).is_some();
    match keyword {
        "$schema" | "title" | "description" => true,
        "type" => match rule.as_str().expect("one type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            // By the standard, 1.0 is an integer too.
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            other => panic!("the type {other}"),
        },
        "enum" => list(rule).contains(value),
        "const" => rule == value,
        "pattern" => {
            let pattern = rule.as_str().expect("a pattern");
            value.as_str().is_none_or(|text| matches(pattern, text))
        }
        "minLength" => !value.is_string() || length() >= number(),
        "maxLength" => !value.is_string() || length() <= number(),
        "minimum" => value.as_f64().is_none_or(|value| value >= number()),
        "maximum" => value.as_f64().is_none_or(|value| value <= number()),
        "maxItems" => value
            .as_array()
            .is_none_or(|items| items.len() as f64 <= number()),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(rule, item))),
        "properties" => rule
            .as_object()
            .expect("an object")
            .iter()
            .all(|(key, schema)| value.get(key).is_none_or(|value| fits(schema, value))),
        "additionalProperties" => {
            assert_eq!(rule, &json!(false));
            let known = schema.get("properties").and_then(Value::as_object);
            let known = |key: &String| known.is_some_and(|known| known.contains_key(key));
            value
                .as_object()
                .is_none_or(|object| object.keys().all(known))
        }
        "required" => !value.is_object() || list(rule).iter().all(has),
        "dependentRequired" => rule
            .as_object()
            .expect("an object")
            .iter()
            .all(|(key, needs)| !there(key) || list(needs).iter().all(has)),
        "dependentSchemas" => rule
            .as_object()
            .expect("an object")
            .iter()
            .all(|(key, schema)| !there(key) || fits(schema, value)),
        "not" => !fits(rule, value),
        "anyOf" => list(rule).iter().any(|schema| fits(schema, value)),
        "oneOf" => {
            list(rule)
                .iter()
                .filter(|schema| fits(schema, value))
                .count()
                == 1
        }
        other => panic!("the keyword `{other}` of the schema is not known to this test"),
    }
}

/// Returns a file's text as the value that an editor checks against the schema.
fn as_json(text: &str) -> Option<Value> {
    fn table(table: &DeTable<'_>) -> Value {
        let entries = table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), of(value.get_ref())));
        Value::Object(entries.collect())
    }
    fn of(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => json!(text),
            DeValue::Integer(int) => i64::from_str_radix(int.as_str(), int.radix())
                .map_or_else(|_| json!(1e300), |int| json!(int)),
            DeValue::Float(float) => json!(float.as_str().parse::<f64>().unwrap_or(f64::MAX)),
            DeValue::Boolean(flag) => json!(flag),
            DeValue::Datetime(date) => json!(date.to_string()),
            DeValue::Array(array) => array.iter().map(|item| of(item.get_ref())).collect(),
            DeValue::Table(entries) => table(entries),
        }
    }
    DeTable::parse(text)
        .ok()
        .map(|document| table(document.get_ref()))
}

fn schema() -> Value {
    serde_json::from_str(&scenario::schema()).expect("the schema is JSON")
}

/// Returns whether the schema can express this mistake.
fn can_be_seen(problem: &Diagnostic, text: &str) -> bool {
    let value = &text[problem.span.clone()];
    match problem.code {
        "bad-duration" | "bad-live" | "bad-title" | "missing-key" | "no-selector"
        | "out-of-range" | "too-many" | "two-moments" | "two-selectors" | "unknown-key"
        | "unknown-word" | "misplaced-key" => true,
        // The schema counts characters, not bytes.
        "bad-name" => !(value.len() > 202 && value.chars().count() <= 202),
        "unknown-name" => problem.label == "a reserved name",
        // To JSON, 1.0 is a whole number, and a date is a text.
        "wrong-type" => value
            .parse::<f64>()
            .map_or(!value.starts_with("1979"), |number| number.fract() != 0.0),
        _ => false,
    }
}

/// Returns how the parser and the schema disagree about a file, if they do.
fn disagreement(schema: &Value, text: &str) -> Option<String> {
    let json = as_json(text)?;
    let fits = fits(schema, &json);
    match scenario::parse("any", text) {
        Ok(_) if !fits => Some(format!("the parser takes it, the schema does not:\n{text}")),
        Err(invalid) if fits => {
            let mut seen = invalid
                .diagnostics
                .iter()
                .filter(|problem| can_be_seen(problem, text));
            let problem = seen.next()?;
            Some(format!(
                "the schema takes it: {} ({})\n{text}",
                problem.message, problem.code
            ))
        }
        _ => None,
    }
}

/// Texts that some key takes and nearly every other key refuses.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\u{a0}",
    "x",
    "two words",
    "a\nb",
    "a\tb",
    "\u{1b}[31mx",
    "\u{9b}x",
    "\u{202e}x",
    "\u{2028}",
    "main",
    "kill",
    "executor",
    "db",
    "flusher",
    "writer",
    "start",
    "cleanup",
    "no: x",
    "no:",
    "no: ",
    "no:  ",
    "no: x\n",
    "no: \u{a0}",
    "first",
    "last",
    "at-once",
    "SIGTERM",
    "SIGTERM\n",
    "stopped",
    "quiet",
    "200",
    "200\n",
    "199",
    "599",
    "600",
    "0200",
    "refused",
    "forever",
    "forever\n",
    "0ms",
    "00ms",
    "1ms",
    "3600000ms",
    "3600001ms",
    "0003600000ms",
    "1s",
    "1s\n",
    "3600s",
    "3601s",
    "9999s",
    "60m",
    "61m",
    "0h",
    "1h",
    "01h",
    "2h",
    "s",
    "1",
    "1.5s",
    " 1s",
    "-1s",
    "1S",
    "1d",
    "99999999999999999999s",
    "999999ms",
    "1000000ms",
    "3599999ms",
    "2999999ms",
    "١s",
    "bounds-over-grace",
    "exit/code",
];

/// Values other than texts, as TOML.
const OTHERS: &[&str] = &[
    "true",
    "false",
    "0",
    "1",
    "-1",
    "255",
    "256",
    "1000",
    "1001",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "1.0",
    "1.5",
    "nan",
    "1979-05-27",
    "0x10",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "[1]",
    "[true]",
];

/// What a list of one text may hold.
const LISTED: &[&str] = &[
    "db",
    "main",
    "kill",
    "",
    "a\nb",
    "exit/code",
    "bounds-over-grace",
    "x",
    "start",
];

/// Returns values that some key takes and nearly every other key refuses.
fn values() -> Vec<String> {
    let long = "x".repeat(200);
    let too_long = format!("{long}x");
    let wide = "ä".repeat(150);
    let made = [&*long, &*too_long, &*wide];
    let texts = TEXTS.iter().copied().chain(made);
    let texts = texts.map(|text| json!(text).to_string());
    let others = OTHERS.iter().map(|&other| other.to_owned());
    let lists = LISTED.iter().map(|text| json!([text]).to_string());
    texts.chain(others).chain(lists).collect()
}

/// Returns a whole file around the example of each key, and the range of the example's value in it.
fn examples() -> Vec<(String, std::ops::Range<usize>)> {
    let all = scenario::examples().into_iter();
    let found = all.map(|(key, text)| {
        let example = text.find(key.example).expect("the example is in its file");
        let within = key
            .example
            .find(&format!("{} = ", key.name))
            .expect("the key is in its example");
        let from = example + within + key.name.len() + 3;
        // The value is a text, a list, a table or a word. This finds its end.
        let rest = &text[from..];
        let end = match rest.as_bytes()[0] {
            b'"' => rest[1..].find('"').map(|at| at + 2),
            b'[' => rest.find(']').map(|at| at + 1),
            b'{' => rest.find('}').map(|at| at + 1),
            _ => rest.find([' ', ',', '\n', '}']),
        };
        (text.clone(), from..from + end.expect("a value has an end"))
    });
    found.collect()
}

#[test]
fn schema_and_parser_agree_on_every_value_of_every_key() {
    let schema = schema();
    let (values, mut tried, mut taken) = (values(), 0, 0);
    let mut disagree = Vec::new();
    for (text, place) in examples() {
        for value in &values {
            let mut text = text.clone();
            text.replace_range(place.clone(), value);
            tried += 1;
            taken += usize::from(scenario::parse("any", &text).is_ok());
            disagree.extend(disagreement(&schema, &text));
        }
    }
    assert!(
        disagree.is_empty(),
        "{} of {tried}, the first:\n{}",
        disagree.len(),
        disagree[0]
    );
    assert!(
        taken > 500,
        "{taken} of {tried}: the test is about files that are taken too"
    );
}

#[test]
fn schema_and_parser_agree_on_combinations_of_keys() {
    let schema = schema();
    let file = |components: &str, events: &str| {
        format!("title = \"x\"\n[worker]\n{components}\n[timeline]\nevents = [{events}]\n")
    };
    let db = "components = [{ closeable = \"db\" }]";
    for (takes, text) in [
        (
            true,
            file(db, r#"{ fail = "main", before = "db", code = 3 }"#),
        ),
        (true, file(db, r#"{ panic = "main", before = "db" }"#)),
        (false, file(db, r#"{ fail = "db", before = "db" }"#)),
        (false, file(db, r#"{ fail = "db", code = 3 }"#)),
        (false, file(db, r#"{ panic = "db", before = "db" }"#)),
        (false, file(db, r#"{ panic = "main", code = 3 }"#)),
        (false, file(db, r#"{ at = "1s", on = "db", hang = "db" }"#)),
        (false, file(db, r#"{ after = "1s", hang = "db" }"#)),
        (true, file(db, r#"{ on-end = "db", hang = "db" }"#)),
        (
            true,
            file(db, r#"{ on-end = "main", after = "1s", hang = "db" }"#),
        ),
        (true, file(db, r#"{ after-event = 0, hang = "db" }"#)),
        (
            false,
            file(db, r#"{ at = "1s", on-end = "db", hang = "db" }"#),
        ),
        (
            false,
            file(db, r#"{ on = "db", on-end = "db", hang = "db" }"#),
        ),
        (
            false,
            file(db, r#"{ at = "1s", after-event = 3, hang = "db" }"#),
        ),
        (
            false,
            file(db, r#"{ on-end = "db", after-event = 3, hang = "db" }"#),
        ),
        (
            false,
            file(db, r#"{ after = "1s", after-event = 3, hang = "db" }"#),
        ),
        (
            false,
            file(db, r#"{ at = "1s", after = "1s", hang = "db" }"#),
        ),
        (
            false,
            file(
                db,
                r#"{ after = "1s", fail = "main", before = "db", code = 3 }"#,
            ),
        ),
        (
            false,
            file(db, r#"{ hang = "db", slow = "db", by = "1s" }"#),
        ),
        (false, file(db, r#"{ slow = "db" }"#)),
        (false, file(db, r#"{ at = "1s" }"#)),
        (false, file("components = [{ order = 1 }]", "")),
        (
            false,
            file("components = [{ stop = \"a\", cleanup = \"b\" }]", ""),
        ),
        (
            false,
            file("components = [{ thread = \"a\", floor = \"1s\" }]", ""),
        ),
        // Names are checked as names in a file for an own worker too.
        (true, file("", r#"{ hang = "db" }"#)),
        (true, file("", r#"{ fail = "main" }"#)),
        (false, file("", r#"{ ignore = "main" }"#)),
        (false, file("", r#"{ hang = "" }"#)),
        (false, file("", r#"{ hang = "a\nb" }"#)),
        (false, file("", r#"{ on = "kill", hang = "db" }"#)),
        (false, file("", r#"{ on-end = "kill", hang = "db" }"#)),
        (true, file("", r#"{ on-end = "main", hang = "db" }"#)),
        (false, file("", "") + "[expect]\nclosed = [\"\"]\n"),
        (false, file("", "") + "[expect]\nleaked = [\"executor\"]\n"),
    ] {
        assert_eq!(scenario::parse("any", &text).is_ok(), takes, "{text}");
        assert_eq!(
            fits(&schema, &as_json(&text).expect("it is TOML")),
            takes,
            "{text}"
        );
    }
}

#[test]
fn scenarios_of_the_corpus_fit_the_schema() {
    let schema = schema();
    let files = corpus::scenario_files();
    assert!(files.len() > 100);
    for file in files {
        if let Some(disagreement) = disagreement(&schema, &corpus::text_of(&file)) {
            panic!("{}: {disagreement}", file.name);
        }
    }
}

/// Generates an example with other values after some ` = `, some of which may stand in a text.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<Index>(), select(values()));
    (select(examples()), prop::collection::vec(change, 1..4)).prop_map(
        |((mut text, _), changes)| {
            for (at, value) in changes {
                let places: Vec<_> = text.match_indices(" = ").map(|(at, _)| at + 3).collect();
                let from = places[at.index(places.len())];
                let rest = &text[from..];
                let end = match rest.as_bytes().first() {
                    Some(b'"') => rest[1..].find('"').map_or(rest.len(), |at| at + 2),
                    Some(b'[' | b'{') => continue,
                    _ => rest.find([' ', ',', '\n', '}']).unwrap_or(rest.len()),
                };
                text.replace_range(from..from + end, &value);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn schema_and_parser_agree_on_any_mutated_file(text in mutated()) {
        thread_local!(static SCHEMA: Value = schema());
        let disagreement = SCHEMA.with(|schema| disagreement(schema, &text));
        prop_assert!(disagreement.is_none(), "{}", disagreement.unwrap_or_default());
    }
}
