//! Makes the editor's schema from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, DELAYED_TRIGGERS, Key, Place, RESERVED, TRIGGERS, Type, answers};
use super::limits;

/// Returns the JSON schema of a scenario file, for editors.
pub fn schema() -> String {
    let mut schema = object(Place::Top, None);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Deadstop scenario");
    schema["description"] = json!(
        "A worker, what happens to it, and the expected result. This schema does not check everything. `deadstop lint` \
         also checks that names are those of components of the right kind, that a name has at most 200 bytes (this \
         schema counts characters), that there is at most one watchdog, that whole numbers are written without a \
         decimal point, and that the limits fit each other."
    );
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Returns the schema of a closed table. With a `selector`, a kind or verb, it has the keys that go with that one.
fn object(place: Place, selector: Option<&'static Key>) -> Value {
    let mut properties = Map::new();
    for key in keys::of(place) {
        let fits = match selector {
            None => true,
            Some(selector) => {
                (key.selects && key.name == selector.name)
                    || (!key.selects && key.goes_with(selector.name))
            }
        };
        if fits {
            properties.insert(key.name.into(), property(key));
        }
    }
    let mut object =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let required: Vec<_> = keys::of(place)
        .filter(|key| match selector {
            Some(selector) => key.name == selector.name || key.is_required(Some(selector.name)),
            None => key.is_required(None),
        })
        .map(|key| key.name)
        .collect();
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if let Some(selector) = selector {
        object["title"] = json!(selector.name);
        object["description"] = json!(selector.doc);
    }
    if place == Place::Event {
        // An event has one trigger, and `after` counts from a begin or an end.
        let two = |(n, first): (usize, &&'static str)| {
            let others = TRIGGERS[n + 1..].iter();
            let first = *first;
            others.map(move |other| json!({ "required": [first, other] }))
        };
        let two: Vec<_> = TRIGGERS.iter().enumerate().flat_map(two).collect();
        object["not"] = json!({ "anyOf": two });
        let delayed = DELAYED_TRIGGERS.iter();
        let delayed: Vec<_> = delayed.map(|key| json!({ "required": [key] })).collect();
        let mut dependent = Map::new();
        dependent.insert("after".to_owned(), json!({ "anyOf": delayed }));
        if let Some(selector) = selector {
            let with_selector = keys::of(place).filter(|key| key.goes_with(selector.name));
            dependent.extend(with_selector.filter_map(|key| {
                let about = if key.main_only {
                    json!({ "const": "main" })
                } else if !key.not_about.is_empty()
                    && selector
                        .ty
                        .also()
                        .iter()
                        .any(|also| key.not_about.contains(also))
                {
                    json!({ "not": { "enum": key.not_about } })
                } else {
                    return None;
                };
                let about = json!({ "properties": { selector.name: about } });
                Some((key.name.to_owned(), about))
            }));
        }
        object["dependentSchemas"] = Value::Object(dependent);
    }
    object
}

fn property(key: &Key) -> Value {
    let mut value = match (key.place, key.name) {
        (Place::Top, "worker") => object(Place::Worker, None),
        (Place::Top, "timeline") => object(Place::Timeline, None),
        (Place::Top, "expect") => object(Place::Expect, None),
        (Place::Worker, "components") => tables(Place::Component, limits::COMPONENTS),
        (Place::Timeline, "events") => tables(Place::Event, limits::EVENTS),
        _ => of_type(key),
    };
    value["description"] = json!(key.doc);
    if !key.default.is_empty() {
        value["description"] = json!(format!("{} Default: {}.", key.doc, key.default));
    }
    value
}

fn tables(place: Place, max_items: usize) -> Value {
    let one_of: Vec<Value> = keys::of(place)
        .filter(|key| key.selects)
        .map(|key| object(place, Some(key)))
        .collect();
    json!({ "type": "array", "maxItems": max_items, "items": { "oneOf": one_of } })
}

/// Pattern of one character that steers a terminal.
const STEERS: &str = r"[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]";

/// Returns the schema of the values of a key's type. A check of the parser that a schema cannot make is named in the
/// description of the whole schema.
fn of_type(key: &Key) -> Value {
    match key.ty {
        Type::Text => json!({ "type": "string" }),
        Type::Title => json!({ "type": "string", "pattern": r"\S", "not": { "pattern": STEERS } }),
        Type::NotLive => {
            json!({ "type": "string", "pattern": r"^no: \s*\S", "not": { "pattern": STEERS } })
        }
        Type::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Type::Flag => json!({ "type": "boolean" }),
        Type::Int(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Type::Time { min, forever } => {
            let time = times(min > 0);
            let pattern = if forever {
                format!("^({time}|forever)$")
            } else {
                format!("^({time})$")
            };
            // In some languages `$` also matches before a line break at the end, so `not` excludes line breaks.
            json!({ "type": "string", "pattern": pattern, "not": { "pattern": "[^0-9a-z]" } })
        }
        Type::NewName => name(RESERVED),
        Type::Name(also) => name(&reserved_but(also)),
        Type::Names(also) => json!({ "type": "array", "items": name(&reserved_but(also)) }),
        Type::NamesOrCalls => json!({ "type": "array", "items": name(RESERVED) }),
        Type::Answer => json!({
            "anyOf": [
                { "enum": answers() },
                { "type": "string", "pattern": "^[2-5][0-9][0-9]$", "maxLength": 3 },
            ],
        }),
        Type::Word(words) => json!({ "enum": words() }),
        Type::Words(words) => {
            let words = words();
            // An empty `enum` is not a valid schema.
            let items = if words.is_empty() {
                json!({ "type": "string" })
            } else {
                json!({ "enum": words })
            };
            json!({ "type": "array", "items": items })
        }
        Type::Table => json!({ "type": "object" }),
        Type::Tables => json!({ "type": "array" }),
    }
}

/// Returns the schema of a name that is not reserved. It limits the number of characters, the parser that of bytes.
fn name(reserved: &[&str]) -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": limits::NAME_BYTES,
        "not": { "anyOf": [{ "pattern": STEERS }, { "enum": reserved }] },
    })
}

fn reserved_but(also: &[&str]) -> Vec<&'static str> {
    let mut reserved = RESERVED.to_vec();
    reserved.retain(|word| !also.contains(word));
    reserved
}

/// Returns the pattern of a duration of at most an hour: for each unit, the numbers that it can have.
fn times(above_zero: bool) -> String {
    let zero = if above_zero { "" } else { "0|" };
    let units = [
        (r"[1-9][0-9]{0,5}|[12][0-9]{6}|3[0-5][0-9]{5}|3600000", "ms"),
        (r"[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600", "s"),
        (r"[1-9]|[1-5][0-9]|60", "m"),
        ("1", "h"),
    ];
    debug_assert_eq!(limits::DURATION.as_secs(), 3_600, "the numbers above");
    let unit = |(numbers, unit)| format!("0*({zero}{numbers}){unit}");
    units.map(unit).join("|")
}
