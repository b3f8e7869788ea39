//! Ids of people, events, scopes and nodes.
//!
//! **Invariant:** an id is only bytes with a name; nothing is drawn here. Documents, events and proposals have UUIDv7s
//! (RFC 9562), so that newer ones sort last and rows are inserted at the end of an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is no UUID.
    #[error("{0:?} is not an id: an id looks like 0190a5c2-7d3e-7c1a-9b1e-2f6d1c0a4b11")]
    NotUuid(String),
    /// The text is no SHA-256 in hex.
    #[error("{0:?} is not a digest of 64 hexadecimal digits")]
    NotDigest(String),
    /// The text can't be a slug.
    #[error("{0:?} is not a short name: use 1 to 40 of a-z, 0-9 and hyphens, beginning with a letter or digit")]
    NotSlug(String),
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// From the 16 bytes as they are stored.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// A UUIDv7 of this time; `random` fills the 74 bits that time leaves.
            pub fn from_parts(at: Timestamp, random: [u8; 10]) -> Self {
                let ms = u64::try_from(at.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
            }

            /// The 16 bytes as they are stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The time inside a UUIDv7; the epoch for any other UUID.
            pub fn created_at(&self) -> Timestamp {
                let b = self.0.as_bytes();
                if b[6] >> 4 != 7 {
                    return Timestamp::from_millis(0);
                }
                let ms = b[..6].iter().fold(0_i64, |ms, byte| (ms << 8) | i64::from(*byte));
                Timestamp::from_millis(ms)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError::NotUuid(text.to_owned()))
            }
        }
    };
}

uuid_id!(
    /// A document's id: of a supporter, of the network's settings, of a chapter's card, of an action.
    DocId
);
uuid_id!(
    /// An event's id, and with it the key under which the event stands in its record.
    EventId
);
uuid_id!(
    /// A proposal's id.
    ProposalId
);
uuid_id!(
    /// A transfer's id.
    TransferId
);
uuid_id!(
    /// An erasure's id.
    EraseId
);
uuid_id!(
    /// A scope's id. A chapter is a scope; its slug can be renamed, its id can't.
    ScopeId
);
uuid_id!(
    /// One life of a database file: drawn when it is made, restored or cloned.
    Incarnation
);

impl ScopeId {
    /// The scope that every node of a network reads.
    pub const NETWORK: Self = Self(Uuid::nil());
    /// At a hub with a parent, the scope that every node of the parent's network reads: its own network is another one.
    /// On the wire it is [`Self::NETWORK`].
    pub const ABOVE: Self = Self(Uuid::max());
}

/// An Automerge actor: drawn for each process and rebuilt document.
pub type ActorId = [u8; 16];

/// A SHA-256: the name of a change, of a feed row's content, of a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// The SHA-256 of a node's public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

macro_rules! hex32 {
    ($name:ident) => {
        impl $name {
            /// From stored bytes; `None` unless there are 32.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError::NotDigest(text.to_owned());
                if text.len() != 64 || !text.is_ascii() {
                    return Err(wrong());
                }
                let mut bytes = [0; 32];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

hex32!(Digest);
hex32!(NodeId);

impl NodeId {
    /// The first 8 hexadecimal digits, which stand in a change's message.
    pub fn short(&self) -> String {
        format!("{self:?}")
    }

    /// The first 16 hexadecimal digits in groups of four: what two people compare over the telephone.
    pub fn fingerprint(&self) -> String {
        let pairs = self.0[..8].as_chunks::<2>().0.iter().map(|[one, other]| format!("{one:02x}{other:02x}"));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// What a document is about. The engine moves all kinds alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One person's shared record.
    Supporter,
    /// The network's settings, written by its hub.
    NetworkSettings,
    /// A chapter's card, written by its chapter.
    ChapterCard,
    /// An action of a chapter, written by its chapter.
    Action,
}

impl Kind {
    /// The word in the database and on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Supporter => "supporter",
            Self::NetworkSettings => "network_settings",
            Self::ChapterCard => "chapter_card",
            Self::Action => "action",
        }
    }

    /// The kind of a word; `None` for a kind of a later version.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Supporter, Self::NetworkSettings, Self::ChapterCard, Self::Action];
        all.into_iter().find(|kind| kind.word() == word)
    }
}

/// A chapter's short name in commands and addresses: `la`, `san-francisco`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Slug {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::NotSlug(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_time() {
        let at = Timestamp::from_millis(1_795_359_311_123);
        assert_eq!(DocId::from_parts(at, [7; 10]).created_at(), at);
    }

    #[test]
    fn a_digest_reads_what_it_prints() {
        let digest = Digest([0xa7; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("x".repeat(64).parse::<Digest>().is_err());
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_id_in_groups() {
        let id = NodeId(std::array::from_fn(|at| (at as u8).wrapping_mul(16).wrapping_add(1)));
        assert_eq!(id.fingerprint(), "0111 2131 4151 6171");
        assert!(id.to_string().starts_with(&id.fingerprint().replace(' ', "")));
    }

    #[test]
    fn a_slug_is_short_and_plain() {
        assert!("la".parse::<Slug>().is_ok());
        for wrong in ["", "LA", "-a", "a b", "é"] {
            assert!(wrong.parse::<Slug>().is_err(), "{wrong}");
        }
    }
}
