//! The one text of a state: keys sorted, one exercise per line, so that it merges in git.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Entry, Progress};

impl Progress {
    /// The text of `progress.json`: the same for the same state, ending in a newline.
    pub fn to_json(&self) -> String {
        let mut fields: BTreeMap<&str, String> = self
            .other
            .iter()
            .map(|(name, value)| (name.as_str(), one_line(value)))
            .collect();
        fields.insert("version", self.version.to_string());
        fields.insert("exercises", self.exercises_text());
        let fields: Vec<String> = fields
            .into_iter()
            .map(|(name, value)| format!("  {}: {value}", quoted(name)))
            .collect();
        format!("{{\n{}\n}}\n", fields.join(",\n"))
    }

    fn exercises_text(&self) -> String {
        if self.exercises.is_empty() {
            return "{}".to_owned();
        }
        let entries: Vec<String> = self
            .exercises
            .iter()
            .map(|(slug, entry)| format!("    {}: {}", quoted(slug), of_entry(entry)))
            .collect();
        format!("{{\n{}\n  }}", entries.join(",\n"))
    }
}

/// An entry on one line, keys sorted.
pub(super) fn of_entry(entry: &Entry) -> String {
    let value = serde_json::to_value(entry).expect("an entry has string keys only");
    one_line(&value)
}

/// JSON on one line, keys sorted at every depth, with a blank after `:` and
/// `,` for whoever edits it by hand.
fn one_line(value: &Value) -> String {
    match value {
        Value::Object(fields) => one_line_object(fields),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        plain => plain.to_string(),
    }
}

fn one_line_object(fields: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
    let fields: Vec<String> = sorted
        .into_iter()
        .map(|(name, value)| format!("{}: {}", quoted(name), one_line(value)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
