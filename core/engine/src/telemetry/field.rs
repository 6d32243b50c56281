//! Fields of log lines, written so that no value can pass for another field or another line.
//!
//! **Invariants.** A written line holds no control character but its final LF, whatever the values hold. What tells
//! who the peer is comes before everything a peer can choose.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};

/// Names that come first in a line, in this order: what the server itself knows of a connection.
const FIRST: [&str; 3] = ["peer", "service", "session"];
/// Name under which tracing hands over the text of an event.
const MESSAGE: &str = "message";

/// A value as it will be written.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// Written bare: numbers and booleans.
    Plain(String),
    /// Written escaped, and in text quoted where it would be ambiguous.
    Text(String),
}

/// Named values, a later one of a name taking the place of an earlier one.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(it, _)| *it == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Gives back the room that is not used.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Takes all fields of another set in.
    pub(super) fn extend(&mut self, other: &Fields) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }

    /// In the order of writing: the peer, then the event's text, then the rest as they came.
    fn in_order(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let named = |wanted: &'static str| self.0.iter().filter(move |(name, _)| *name == wanted);
        let first = FIRST.into_iter().flat_map(named);
        let rest = |name: &str| name != MESSAGE && !FIRST.contains(&name);
        let rest = self.0.iter().filter(move |(name, _)| rest(name));
        first
            .chain(named(MESSAGE))
            .chain(rest)
            .map(|(name, value)| (*name, value))
    }

    /// ` name=value` for each; the event's text without its name.
    pub(super) fn write_text(&self, line: &mut String) {
        for (name, value) in self.in_order() {
            line.push(' ');
            if name != MESSAGE {
                line.push_str(name);
                line.push('=');
            }
            match value {
                Value::Plain(text) => line.push_str(text),
                Value::Text(text) if name == MESSAGE => escape(text, line),
                Value::Text(text) if is_bare(text) => line.push_str(text),
                Value::Text(text) => {
                    line.push('"');
                    escape(text, line);
                    line.push('"');
                }
            }
        }
    }

    /// `,"name":value` for each.
    pub(super) fn write_json(&self, line: &mut String) {
        for (name, value) in self.in_order() {
            line.push(',');
            write_json_string(name, line);
            line.push(':');
            match value {
                Value::Plain(text) => line.push_str(text),
                Value::Text(text) => write_json_string(text, line),
            }
        }
    }
}

/// Whether a value needs no quotes: nothing in it looks like the end of it or the begin of another field.
fn is_bare(text: &str) -> bool {
    let bare = |c: char| c.is_alphanumeric() || "._-:/@+[]<>".contains(c);
    !text.is_empty() && text.chars().all(bare)
}

/// Escapes quotes, backslashes and everything that could move a cursor, end a line or hide text.
fn escape(text: &str, line: &mut String) {
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            other if is_unsafe(other) => line.extend(other.escape_unicode()),
            other => line.push(other),
        }
    }
}

/// Control characters, line and paragraph separators, and the marks that turn the direction of text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// RFC 8259 section 7, with everything escaped that is unsafe in a line.
pub(super) fn write_json_string(text: &str, line: &mut String) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            // All unsafe characters lie in the basic plane: one unit of UTF-16 each.
            other if is_unsafe(other) => {
                let _ = write!(line, "\\u{:04x}", u32::from(other));
            }
            other => line.push(other),
        }
    }
    line.push('"');
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        let value = match value.is_finite() {
            true => Value::Plain(value.to_string()),
            false => Value::Text(value.to_string()),
        };
        self.set(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field.name(), Value::Text(value.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_value_breaks_its_line(value in any::<String>()) {
            let mut fields = Fields::default();
            fields.set("user", Value::Text(value.clone()));
            fields.set(MESSAGE, Value::Text(value.clone()));
            let mut text = String::new();
            fields.write_text(&mut text);
            prop_assert!(!text.chars().any(is_unsafe));
            let mut json = String::new();
            write_json_string(&value, &mut json);
            prop_assert!(!json.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(value));
        }
    }
}
