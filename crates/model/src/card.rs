//! The chapter's card: what its people and new sign-ups see of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ScopeId;

/// A chapter's card. Written by the chapter, read by every node of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChapterCard {
    /// The chapter whose card it is.
    pub chapter: Option<ScopeId>,
    /// The fields that are set, by name (see [`ChapterCard::FIELDS`]).
    pub fields: BTreeMap<String, String>,
}

impl ChapterCard {
    /// Every field with its label. A chapter's card is public: nothing in it is personal by accident.
    pub const FIELDS: [(&'static str, &'static str); 6] = [
        ("name", "Name"),
        ("place", "Where"),
        ("contact", "Contact"),
        ("call_by", "Who calls"),
        ("next_meeting", "Next meeting"),
        ("working_on", "Working on"),
    ];
    /// The longest value, in bytes: a card is read on a telephone.
    pub const VALUE_BYTES_MAX: usize = 500;

    /// A field's value.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str).filter(|value| !value.is_empty())
    }
}
