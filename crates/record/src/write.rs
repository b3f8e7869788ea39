//! What can be written into a record, and how a sign-up becomes keys.

use automerge::ScalarValue;
use model::{
    ADDRESS, CUSTOM, ConsentState, DocId, EMAIL, EVENT, Event, EventId, PHONE, PostalAddress, RungId, SAME_AS, SignUp,
    TAG,
};
use serde::Serialize;

use crate::register::Register;

/// A scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// That it is so (a tag).
    Flag,
    /// A cleared field.
    Null,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn into_scalar(self) -> ScalarValue {
        match self {
            Self::Text(text) => ScalarValue::Str(text.into()),
            Self::Flag => ScalarValue::Boolean(true),
            Self::Null => ScalarValue::Null,
        }
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Puts a value where another one is shown.
    Put(String, Value),
    /// Puts a value in place of all that stand.
    Settle(String, Value),
    /// Takes an entry away.
    Delete(String),
}

impl Write {
    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(key, _) | Self::Settle(key, _) | Self::Delete(key) => key,
        }
    }

    pub(crate) fn parts(&self) -> (&str, Option<Value>) {
        match self {
            Self::Put(key, value) | Self::Settle(key, value) => (key, Some(value.clone())),
            Self::Delete(key) => (key, None),
        }
    }

    /// A text field; an empty text clears it.
    pub fn field(name: &str, text: &str) -> Self {
        let text = text.trim();
        Self::Put(name.to_owned(), if text.is_empty() { Value::Null } else { Value::text(text) })
    }

    /// An event, put once.
    pub fn event(event: &Event) -> Self {
        let (key, value) = event_entry(event);
        Self::Put(key, value)
    }

    /// The rung, by the event of its move.
    pub fn rung(rung: &RungId, by: EventId) -> Self {
        Self::Put("rung".to_owned(), Register::new(rung.as_str(), by).value())
    }

    /// The rung in place of all that stand.
    pub fn settle_rung(rung: &RungId, by: EventId) -> Self {
        Self::Settle("rung".to_owned(), Register::new(rung.as_str(), by).value())
    }

    /// What she agreed to. A withdrawal over a withdrawal is an operation of its own, by its event.
    pub fn consent(channel: &str, sender: &str, state: ConsentState, by: EventId) -> Self {
        Self::Put(format!("{}{channel}/{sender}", model::CONSENT), Register::new(state.word(), by).value())
    }
}

impl Write {
    /// That nobody may contact her, by an event.
    pub fn do_not_contact(by: EventId) -> Self {
        Self::Put("do_not_contact".to_owned(), Register::new("set", by).value())
    }

    /// That she may be contacted again, in place of all that was said of it.
    pub fn contact_again(by: EventId) -> Self {
        Self::Settle("do_not_contact".to_owned(), Register::new("lifted", by).value())
    }

    /// That she is to be deleted everywhere, or no longer, in place of all that was said of it.
    pub fn erasure(asked: bool, by: EventId) -> Self {
        let state = if asked { "asked" } else { "withdrawn" };
        Self::Settle("erasure".to_owned(), Register::new(state, by).value())
    }

    /// That another record is hers, too.
    pub fn same_as(other: DocId) -> Self {
        Self::Put(format!("{SAME_AS}{other}"), Value::Flag)
    }

    /// That it is not, or no longer known to be.
    pub fn not_same_as(other: DocId) -> Self {
        Self::Delete(format!("{SAME_AS}{other}"))
    }
}

/// An event without its id, which is its key.
#[derive(Serialize)]
struct StoredEvent<'a> {
    at: model::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a model::Personal>,
    #[serde(flatten)]
    body: &'a model::Body,
}

fn event_entry(event: &Event) -> (String, Value) {
    let stored = StoredEvent { at: event.at, by: event.by.as_ref(), body: &event.body };
    let json = serde_json::to_string(&stored).expect("an event is plain JSON");
    (format!("{EVENT}{}", event.id), Value::Text(json))
}

/// An entry's value: compact JSON, `{"primary":true}` for the first of its kind.
fn entry_value(primary: bool) -> Value {
    Value::text(if primary { r#"{"primary":true}"# } else { "{}" })
}

fn address_value(address: &PostalAddress) -> Value {
    Value::Text(serde_json::to_string(address).expect("an address is plain JSON"))
}

/// The entries of a new record from a sign-up, with its events. Consent registers point at the consent events.
pub fn from_sign_up(sign_up: &SignUp, events: &[Event]) -> Vec<(String, Value)> {
    let mut entries = values_of(sign_up);
    for event in events {
        if let model::Body::Consent { channel, sender, state, .. } = &event.body {
            let (key, value) = Write::consent(channel, sender, *state, event.id).into_entry();
            entries.push((key, value));
        }
        entries.push(event_entry(event));
    }
    entries
}

/// What a sign-up for a known person proposes: key and value of everything that was posted, none of it written.
/// A consent is `consent/<channel>/network` and its state.
pub fn proposals_of(sign_up: &SignUp) -> Vec<(String, String)> {
    let shown = |value: Value| match value {
        Value::Text(text) => text,
        Value::Flag => "true".to_owned(),
        Value::Null => String::new(),
    };
    let consents = sign_up
        .consents
        .iter()
        .map(|said| (format!("{}{}/network", model::CONSENT, said.channel.word()), said.state.word().to_owned()));
    values_of(sign_up).into_iter().map(|(key, value)| (key, shown(value))).chain(consents).collect()
}

fn values_of(sign_up: &SignUp) -> Vec<(String, Value)> {
    let mut entries: Vec<(String, Value)> =
        sign_up.fields.iter().map(|(name, text)| (name.clone(), Value::text(text.expose()))).collect();
    entries.extend(
        sign_up.emails.iter().enumerate().map(|(i, e)| (format!("{EMAIL}{}", e.as_str()), entry_value(i == 0))),
    );
    entries.extend(
        sign_up.phones.iter().enumerate().map(|(i, p)| (format!("{PHONE}{}", p.as_str()), entry_value(i == 0))),
    );
    entries.extend(sign_up.addresses.iter().map(|a| (address_key(a), address_value(a))));
    entries.extend(sign_up.tags.iter().map(|tag| (format!("{TAG}{tag}"), Value::Flag)));
    entries.extend(sign_up.custom.iter().map(|(key, text)| (format!("{CUSTOM}{key}"), Value::text(text.expose()))));
    entries
}

/// An address has no natural key: its own bytes name it (a UUIDv8 of their SHA-256), so that the same address entered
/// twice is one entry.
fn address_key(address: &PostalAddress) -> String {
    use sha2::{Digest as _, Sha256};
    let json = serde_json::to_vec(address).expect("an address is plain JSON");
    let digest: [u8; 32] = Sha256::digest(&json).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    format!("{ADDRESS}{}", model::DocId::from_bytes(bytes))
}

impl Write {
    fn into_entry(self) -> (String, Value) {
        let (key, value) = self.parts();
        (key.to_owned(), value.unwrap_or(Value::Null))
    }
}
