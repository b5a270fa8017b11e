//! The editor's schema, from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Place, Type, answers};
use super::model::limits;

/// The JSON schema of a scenario file, for editors.
pub fn schema() -> String {
    let mut schema = object(Place::Top, None);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Deadstop scenario");
    schema["description"] = json!("A worker, what happens to it, and what is expected of it.");
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A closed table: for a component or event, with the keys that go with one kind or verb.
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
        // A moment of its own, or one after a step's begin.
        object["not"] = json!({ "required": ["at", "on"] });
        object["dependentRequired"] = json!({ "after": ["on"] });
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

fn tables(place: Place, most: usize) -> Value {
    let one_of: Vec<Value> = keys::of(place)
        .filter(|key| key.selects)
        .map(|key| object(place, Some(key)))
        .collect();
    json!({ "type": "array", "maxItems": most, "items": { "oneOf": one_of } })
}

fn of_type(key: &Key) -> Value {
    let name = json!({ "type": "string", "minLength": 1, "maxLength": limits::NAME_BYTES });
    match key.ty {
        Type::Text => json!({ "type": "string" }),
        Type::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Type::Flag => json!({ "type": "boolean" }),
        Type::Int(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Type::Time { min, forever } => {
            let number = if min > 0 { "0*[1-9][0-9]*" } else { "[0-9]+" };
            let time = format!("{number}(ms|s|m|h)");
            let pattern = if forever {
                format!("^({time}|forever)$")
            } else {
                format!("^{time}$")
            };
            json!({ "type": "string", "pattern": pattern })
        }
        Type::NewName | Type::Name(_) => name,
        Type::Names | Type::NamesOrCalls => json!({ "type": "array", "items": name }),
        Type::Answer => json!({
            "anyOf": [{ "enum": answers() }, { "type": "string", "pattern": "^[2-5][0-9][0-9]$" }],
        }),
        Type::Word(words) => json!({ "enum": words() }),
        Type::Words(words) => {
            let words = words();
            // A list of nothing is no schema.
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
