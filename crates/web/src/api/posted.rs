//! Reading posted JSON, field by field.
//!
//! **Invariant:** which fields there are stands in one table for each request; the description of the interface is made
//! from the same one.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::StatusCode;
use model::{FieldErrors, Personal};
use node::FieldEdit;
use serde_json::{Map, Value};

use crate::Problem;

/// How much of a name that is not known is said again, in characters.
const NAME_SHOWN: usize = 64;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds {
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A day, `2026-11-24`.
    Day,
    /// A time (RFC 3339).
    Time,
    /// A whole number.
    Whole,
    /// Yes or no.
    Flag,
    /// Texts.
    Texts,
}

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// Whether it has to be given.
    pub(super) needed: bool,
    /// What it is.
    pub(super) words: &'static str,
}

impl Field {
    /// A field that has to be given.
    pub(super) const fn must(name: &'static str, holds: Holds, words: &'static str) -> Self {
        Self { name, holds, needed: true, words }
    }

    /// A field that may be left out.
    pub(super) const fn may(name: &'static str, holds: Holds, words: &'static str) -> Self {
        Self { name, holds, needed: false, words }
    }
}

/// What was posted, while it is read.
pub(super) struct Posted {
    fields: &'static [Field],
    given: Map<String, Value>,
    errors: FieldErrors,
}

fn unreadable(words: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid", words)
}

fn text_of(value: Value) -> Result<String, String> {
    if let Value::String(text) = value { Ok(text.trim().to_owned()) } else { Err("this has to be a text".to_owned()) }
}

impl Posted {
    /// A body with some of these fields and no others.
    ///
    /// # Errors
    /// When it is no JSON object. What is wrong with a field is said when all are read.
    pub(super) fn read(body: &[u8], fields: &'static [Field]) -> Result<Self, Problem> {
        let value =
            serde_json::from_slice::<Value>(body).map_err(|error| unreadable(format!("this is not JSON: {error}")))?;
        let Value::Object(given) = value else { return Err(unreadable("the body has to be a JSON object".to_owned())) };
        let mut errors = FieldErrors::default();
        for name in given.keys().filter(|name| !fields.iter().any(|field| field.name == name.as_str())) {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let shown: String = name.chars().take(NAME_SHOWN).collect();
            errors.add(&shown, format_args!("there is no such field here; there are {}", names.join(", ")));
        }
        let is_there = |field: &&Field| match given.get(field.name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => true,
        };
        for field in fields.iter().filter(|field| field.needed && !is_there(field)) {
            errors.add(field.name, format_args!("this has to be given: {}", field.words));
        }
        Ok(Self { fields, given, errors })
    }

    fn take<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        let value = self.given.remove(name).filter(|value| !value.is_null())?;
        match read(value) {
            Ok(made) => Some(made),
            Err(words) => {
                self.errors.add(name, words);
                None
            }
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, text_of).filter(|text| !text.is_empty())
    }

    /// A text about a person.
    pub(super) fn personal(&mut self, name: &str) -> Option<Personal> {
        self.text(name).map(Personal::new)
    }

    /// A text that is read into something.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.take(name, |value| text_of(value)?.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// One of the words of its field.
    pub(super) fn word<T>(&mut self, name: &str, from_word: fn(&str) -> Option<T>) -> Option<T> {
        let words = self.fields.iter().find(|field| field.name == name).map_or_else(String::new, |field| {
            if let Holds::Word(words) = field.holds { words.join(", ") } else { String::new() }
        });
        self.take(name, |value| from_word(&text_of(value)?).ok_or_else(|| format!("this is one of {words}")))
    }

    /// A whole number.
    pub(super) fn whole(&mut self, name: &str) -> Option<u32> {
        let read = |value: Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.take(name, |value| read(value).ok_or_else(|| "this has to be a whole number".to_owned()))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.take(name, |value| value.as_bool().ok_or_else(|| "this has to be true or false".to_owned()))
    }

    /// Texts; none where there is nothing.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let list = |value: Value| {
            let Value::Array(items) = value else { return Err("this has to be a list of texts".to_owned()) };
            items.into_iter().map(text_of).collect::<Result<Vec<_>, _>>()
        };
        self.take(name, list).unwrap_or_default()
    }

    /// What was made of it.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub(super) fn end<T>(self, made: Option<T>) -> Result<T, Problem> {
        match made {
            Some(made) if self.errors.0.is_empty() => Ok(made),
            Some(_) | None => {
                let invalid = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", self.errors.to_string());
                Err(Problem { fields: self.errors.0, ..invalid })
            }
        }
    }

    /// Its fields as corrections: a text is put there, and nothing (`null`) empties it.
    ///
    /// # Errors
    /// Everything that is wrong, by field; and when nothing is named.
    pub(super) fn edits(mut self) -> Result<Vec<FieldEdit>, Problem> {
        if self.given.is_empty() {
            return Err(unreadable("name the fields that are to be changed".to_owned()));
        }
        let mut edits = Vec::new();
        for field in self.fields {
            let empties = self.given.get(field.name).is_some_and(Value::is_null);
            let value = if empties { Some(String::new()) } else { self.take(field.name, text_of) };
            edits.extend(value.map(|value| FieldEdit { field: field.name.to_owned(), value, shown: None }));
        }
        self.end(Some(edits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIELDS: [Field; 3] = [
        Field::must("how", Holds::Word(&["call", "text"]), "how"),
        Field::may("line", Holds::Text, "a line"),
        Field::may("minutes", Holds::Whole, "how long"),
    ];

    fn read(body: &str) -> Result<(Option<String>, Option<u32>), Problem> {
        let mut posted = Posted::read(body.as_bytes(), &FIELDS)?;
        let how = posted.word("how", |word| ["call", "text"].contains(&word).then(|| word.to_owned()));
        let (line, minutes) = (posted.text("line"), posted.whole("minutes"));
        posted.end(how.map(|_| (line, minutes)))
    }

    #[test]
    fn what_is_wrong_is_said_by_field_and_all_at_once() {
        let wrong = |body: &str| -> Vec<String> {
            read(body).unwrap_err().fields.into_iter().map(|error| error.field).collect()
        };
        assert_eq!(read(r#"{"how":"call","line":" yes ","minutes":3}"#).unwrap(), (Some("yes".to_owned()), Some(3)));
        assert_eq!(read(r#"{"how":"text","line":null}"#).unwrap(), (None, None));
        assert_eq!(wrong(r#"{"how":"carrier pigeon"}"#), ["how"]);
        assert_eq!(wrong("{}"), ["how"], "it has to be given");
        assert_eq!(wrong(r#"{"how":"call","lien":"x","minutes":-1}"#), ["lien", "minutes"]);
        assert_eq!(wrong(r#"{"how":"call","line":["x"]}"#), ["line"]);
        for body in ["", "{", "[]", "3", "\u{0}"] {
            assert_eq!(read(body).unwrap_err().status, StatusCode::BAD_REQUEST, "{body:?}");
        }
    }

    #[test]
    fn a_correction_empties_what_is_null_and_names_something() {
        static NAMES: [Field; 2] =
            [Field::may("given_name", Holds::Text, "hers"), Field::may("family_name", Holds::Text, "hers")];
        let edits = |body: &str| Posted::read(body.as_bytes(), &NAMES).and_then(Posted::edits);
        let made = edits(r#"{"family_name":null}"#).unwrap();
        assert_eq!(
            made.iter().map(|e| (e.field.as_str(), e.value.as_str())).collect::<Vec<_>>(),
            [("family_name", "")]
        );
        assert_eq!(edits("{}").unwrap_err().status, StatusCode::BAD_REQUEST);
        assert_eq!(edits(r#"{"rung":"leadership"}"#).unwrap_err().fields[0].field, "rung");
    }
}
