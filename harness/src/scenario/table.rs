//! A table of a file that is written: its keys and their values, as TOML.

use std::time::Duration;

use super::written::time;

/// One key of a table with its value.
pub(super) struct Field {
    pub key: &'static str,
    pub value: Value,
    /// Whether the key can be left out: its value is the default.
    pub is_default: bool,
}

/// The value of a key, as TOML.
pub(super) enum Value {
    One(String),
    List(Vec<String>),
    Tables(Vec<Table>),
}

/// The keys of a table, in the order of the file.
#[derive(Default)]
pub(super) struct Table {
    pub fields: Vec<Field>,
}

impl Table {
    /// Adds a key, and whether its value is the default.
    pub(super) fn put(&mut self, key: &'static str, value: Value, is_default: bool) {
        self.fields.push(Field {
            key,
            value,
            is_default,
        });
    }

    /// Adds a key that has no default.
    pub(super) fn set(&mut self, key: &'static str, value: String) {
        self.put(key, Value::One(value), false);
    }

    /// Adds a key if it has a value.
    pub(super) fn set_some(&mut self, key: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Adds a key whose default is `default`.
    pub(super) fn set_or_default<T: PartialEq>(
        &mut self,
        key: &'static str,
        value: T,
        default: T,
        text: impl FnOnce(T) -> String,
    ) {
        let is_default = value == default;
        self.put(key, Value::One(text(value)), is_default);
    }

    /// Adds a limit of the worker. Zero is what some limits are where a file does not give them, and no file can state
    /// it.
    pub(super) fn set_bound(&mut self, key: &'static str, value: Duration, default: Duration) {
        if !value.is_zero() {
            self.set_or_default(key, value, default, time);
        }
    }

    /// Adds a list whose default is the empty list.
    pub(super) fn set_list(&mut self, key: &'static str, items: Vec<String>) {
        let is_default = items.is_empty();
        self.put(key, Value::List(items), is_default);
    }
}
