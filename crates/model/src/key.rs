//! The grammar of a record's keys. Every key is in the root of its document.
//!
//! **Invariant:** the grammar only grows: a key that was accepted once is accepted for ever. Unknown keys within the
//! grammar are kept and fed on; they are not shown.

/// Plain text fields of a supporter, with OSDI's names where OSDI has one.
pub const TEXT_FIELDS: [&str; 14] = [
    "given_name",
    "family_name",
    "additional_name",
    "honorific_prefix",
    "honorific_suffix",
    "gender",
    "pronouns",
    "preferred_language",
    "employer",
    "occupation",
    "source",
    "hours_per_week",
    "would_like",
    "description",
];

/// `email/<normalised>`.
pub const EMAIL: &str = "email/";
/// `phone/<E.164>` or `phone/raw:<digits>`.
pub const PHONE: &str = "phone/";
/// `address/<uuid>`.
pub const ADDRESS: &str = "address/";
/// `tag/<slug>`.
pub const TAG: &str = "tag/";
/// `custom/<key>`.
pub const CUSTOM: &str = "custom/";
/// `status/<e-mail or phone>`.
pub const STATUS: &str = "status/";
/// `consent/<channel>/<sender>`.
pub const CONSENT: &str = "consent/";
/// `same_as/<doc_id>`: another record of the same person.
pub const SAME_AS: &str = "same_as/";
/// `event/<UUIDv7>`.
pub const EVENT: &str = "event/";

/// The longest key, in bytes: an e-mail address of 254 with its prefix.
const KEY_BYTES_MAX: usize = 300;

/// A key that is within the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A name without a slash: a field, a register or something of a later version.
    Field(&'a str),
    /// A name under a prefix (`tag/`, and its rest).
    Entry(&'a str, &'a str),
    /// An event: put once, never deleted.
    Event(&'a str),
}

/// Why a key is outside the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty or longer than a key may be.
    #[error("a key has 1 to 300 bytes")]
    Length,
    /// A character that no key has.
    #[error("a key begins with a lower-case name and has no control characters")]
    Character,
    /// An event key that is not followed by a UUID.
    #[error("an event's key is event/ and a UUID")]
    EventId,
}

impl<'a> Key<'a> {
    /// Reads a key.
    ///
    /// # Errors
    /// Outside the grammar: `name` or `prefix/rest`, the name of a-z, 0-9, `_`, the rest without control characters.
    pub fn parse(key: &'a str) -> Result<Self, KeyError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(KeyError::Length);
        }
        let (name, rest) = key.find('/').map_or((key, None), |at| (&key[..=at], Some(&key[at + 1..])));
        let plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if !plain(name.trim_end_matches('/')) || key.chars().any(char::is_control) {
            return Err(KeyError::Character);
        }
        match rest {
            None => Ok(Self::Field(name)),
            Some("") => Err(KeyError::Length),
            Some(id) if name == EVENT => {
                let canonical =
                    id.len() == 36 && uuid::Uuid::parse_str(id).is_ok() && !id.bytes().any(|b| b.is_ascii_uppercase());
                if canonical { Ok(Self::Event(id)) } else { Err(KeyError::EventId) }
            }
            Some(rest) => Ok(Self::Entry(name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_takes_what_is_written_and_what_may_come() {
        assert_eq!(Key::parse("given_name"), Ok(Key::Field("given_name")));
        assert_eq!(Key::parse("email/o'neil@a.org"), Ok(Key::Entry("email/", "o'neil@a.org")));
        assert_eq!(Key::parse("later/thing"), Ok(Key::Entry("later/", "thing")));
        assert!(matches!(Key::parse("event/0190a5c2-7d3e-7c1a-9b1e-2f6d1c0a4b11"), Ok(Key::Event(_))));
    }

    #[test]
    fn what_is_outside_is_refused() {
        let long = "a".repeat(301);
        for wrong in
            ["", "Given", "/x", "email/", "event/x", "event/0190A5C2-7d3e-7c1a-9b1e-2f6d1c0a4b11", "a\u{7}", &long]
        {
            assert!(Key::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
