//! The network's settings: one document that every node reads.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{AskKind, Ladder, RungId};

/// An ask that the network offers for a rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskOffer {
    /// The rung that it is for.
    pub rung: RungId,
    /// Its kind.
    pub kind: AskKind,
    /// What is asked.
    pub text: String,
}

impl AskOffer {
    /// The longest text of an offered ask, in bytes: a line beside a button.
    pub const TEXT_BYTES_MAX: usize = 200;
}

/// What the network has settled for all its chapters. What is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkSettings {
    /// The network's name.
    #[serde(default)]
    pub name: String,
    /// The ladder.
    #[serde(default)]
    pub ladder: Ladder,
    /// Tags that are shared; others stay in their chapter.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Custom fields that are shared, with their labels; others stay in their chapter.
    #[serde(default)]
    pub custom_fields: BTreeMap<String, String>,
    /// What a chapter accepts when it joins; empty means the built-in statement.
    #[serde(default)]
    pub sharing_statement: String,
    /// Which version of it this is, counted from 1; 0 is the first one, too.
    #[serde(default)]
    pub sharing_statement_version: u64,
    /// Asks offered for each rung.
    #[serde(default)]
    pub asks: Vec<AskOffer>,
    /// The median of each figure over the network's chapters, by the figure's name in docs/METRICS.md.
    #[serde(default)]
    pub medians: BTreeMap<String, f64>,
}

impl NetworkSettings {
    /// The built-in sharing statement, shown when a chapter joins.
    pub const STATEMENT: &'static str = "\
The network sees, of every person your chapter shares: names, e-mail addresses, telephone numbers, postal addresses, \
consent, shared tags and fields, the rung, and the facts of attempts, one-to-ones, asks, moves and actions she came to \
(who, when, what came of it, and the line written beside an attempt or an outcome). A chapter to which the person later \
belongs sees the same. Of your actions the network sees name, day, place and tag.\n\
Never leave your chapter: notes, the story, interest, relationships and capacity of a one-to-one, and fields and tags that the \
network has not declared.";

    /// The statement in force.
    pub fn statement(&self) -> &str {
        if self.sharing_statement.is_empty() { Self::STATEMENT } else { &self.sharing_statement }
    }

    /// The version of the statement in force, from 1.
    pub fn statement_version(&self) -> u64 {
        self.sharing_statement_version.max(1)
    }
}
