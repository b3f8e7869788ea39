//! What a change wrote, in words: a key of the record and the text under it as a person says them.
//!
//! **Invariant:** nothing is lost: what has no words here is shown as it stands in the record.

use model::{ADDRESS, CUSTOM, EMAIL, EVENT, PHONE, TAG};
use serde_json::{Map, Value};

/// What an event says of itself beside its kind, in the order in which it is read.
const SAID: [&str; 17] = [
    "how",
    "result",
    "line",
    "minutes",
    "text",
    "ask",
    "next",
    "next_on",
    "answer",
    "from",
    "to",
    "because",
    "channel",
    "state",
    "source",
    "reason",
    "explanation",
];
/// What an entry says that was taken away, or a field that was cleared.
const TAKEN_AWAY: &str = "(taken away)";

/// A field's name and its value, as a person reads them.
pub fn in_words(key: &str, value: Option<&str>) -> (String, String) {
    let shown = |value: Option<&str>| value.map_or_else(|| TAKEN_AWAY.to_owned(), without_event);
    if key.starts_with(EVENT) {
        return value.and_then(event).unwrap_or_else(|| ("event".to_owned(), shown(value)));
    }
    for (prefix, field) in [(EMAIL, "email"), (PHONE, "phone"), (TAG, "tag")] {
        if let Some(rest) = key.strip_prefix(prefix) {
            let gone = if value.is_none() { format!(" {TAKEN_AWAY}") } else { String::new() };
            return (field.to_owned(), format!("{}{gone}", rest.trim_start_matches("raw:")));
        }
    }
    if key.starts_with(ADDRESS) {
        return ("address".to_owned(), value.and_then(address).unwrap_or_else(|| shown(value)));
    }
    (key.strip_prefix(CUSTOM).unwrap_or(key).to_owned(), shown(value))
}

/// A register's value without the event that it carries.
fn without_event(text: &str) -> String {
    let register = text.rsplit_once(' ').filter(|(_, event)| event.parse::<model::EventId>().is_ok());
    register.map_or(text, |(state, _)| state).to_owned()
}

fn object(json: &str) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(object)) = serde_json::from_str(json) { Some(object) } else { None }
}

/// A kind, and what the event says.
fn event(json: &str) -> Option<(String, String)> {
    let object = object(json)?;
    let kind = object.get("kind")?.as_str()?.replace('_', " ");
    let said: Vec<String> = SAID.iter().filter_map(|name| plain(object.get(*name)?)).collect();
    Some((kind, said.join(", ")))
}

/// An address in one line.
fn address(json: &str) -> Option<String> {
    let object = object(json)?;
    let lines = object.values().flat_map(|value| {
        let several = value.as_array().map(Vec::as_slice);
        several.unwrap_or(std::slice::from_ref(value)).iter().filter_map(plain).collect::<Vec<_>>()
    });
    Some(lines.collect::<Vec<_>>().join(", "))
}

/// A text or a number as it is read; nothing for the rest.
fn plain(value: &Value) -> Option<String> {
    let number = || value.as_i64().map(|number| number.to_string());
    value.as_str().map(str::to_owned).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_said_as_a_person_would() {
        let words = |key: &str, value: Option<&str>| {
            let (field, value) = in_words(key, value);
            format!("{field}: {value}")
        };
        assert_eq!(words("family_name", Some("Browne")), "family_name: Browne");
        assert_eq!(words("family_name", None), "family_name: (taken away)");
        assert_eq!(words("email/m@a.org", Some("{}")), "email: m@a.org");
        assert_eq!(words("tag/clinic", None), "tag: clinic (taken away)");
        let id = "0190a5c2-7d3e-7c1a-9b1e-2f6d1c0a4b11";
        assert_eq!(words("rung", Some(&format!("conversation {id}"))), "rung: conversation");
        let attempt = r#"{"at":"2026-11-22T18:40:00.000Z","by":"lee","kind":"attempt","how":"call","result":"talked","line":"wants to help"}"#;
        assert_eq!(words(&format!("event/{id}"), Some(attempt)), "attempt: call, talked, wants to help");
        assert_eq!(
            words("address/x", Some(r#"{"address_lines":["1 Main St"],"postal_code":"90012"}"#)),
            "address: 1 Main St, 90012"
        );
        assert_eq!(words(&format!("event/{id}"), Some("no json")), "event: no json");
        assert_eq!(words("custom/shirt", Some("M")), "shirt: M");
    }
}
