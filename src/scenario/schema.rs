//! The editor's schema, from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Place, Type};
use super::model::limits;

/// The JSON schema of a scenario file, for editors.
pub fn schema() -> String {
    let mut schema = object(Place::Top, None);
    let root = schema
        .as_object_mut()
        .into_iter()
        .flat_map(|root| root.iter_mut());
    let mut ordered = Map::new();
    ordered.insert(
        "$schema".into(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    ordered.insert("title".into(), json!("Deadstop scenario"));
    ordered.insert(
        "description".into(),
        json!("A worker, what happens to it, and what is expected of it."),
    );
    for (key, value) in root {
        ordered.insert(key.clone(), value.take());
    }
    ordered.insert("required".into(), json!(["title"]));
    let mut text = serde_json::to_string_pretty(&Value::Object(ordered)).unwrap_or_default();
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
    if let Some(selector) = selector {
        object["title"] = json!(selector.name);
        object["required"] = json!([selector.name]);
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
        Type::Time { forever: false, .. } => {
            json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" })
        }
        Type::Time { forever: true, .. } => {
            json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h)|forever)$" })
        }
        Type::NewName | Type::Name(_) => name,
        Type::Names | Type::NamesOrCalls => json!({ "type": "array", "items": name }),
        Type::Word(words) if key.name == "health" => {
            let words: Vec<_> = words()
                .into_iter()
                .filter(|word| !word.starts_with('2'))
                .collect();
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "^[2-5][0-9][0-9]$" }] })
        }
        Type::Word(words) => json!({ "enum": words() }),
        Type::Words(words) => json!({ "type": "array", "items": { "enum": words() } }),
        Type::Table => json!({ "type": "object" }),
        Type::Tables => json!({ "type": "array" }),
    }
}
