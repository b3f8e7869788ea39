//! Territories of chapters and the index that finds them.
//!
//! **Invariant:** a set of territories is immutable and has a version; a change is a new set.

use std::collections::{BTreeMap, HashMap};

use model::{ScopeId, Slug};
use serde::{Deserialize, Serialize};

use crate::rule::{Rule, RuleError};

/// Where one chapter works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Territory {
    /// The chapter's scope id, as text.
    pub chapter: String,
    /// Its slug.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// The chapter that it belongs under, by scope id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Higher wins where all else is equal.
    #[serde(default)]
    pub priority: i32,
    /// Takes nobody for now.
    #[serde(default)]
    pub paused: bool,
    /// The chapter left the network: its lines serve no place, and are kept for when it comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// Its lines, as text.
    pub rules: Vec<String>,
}

impl Territory {
    /// The chapter's scope.
    ///
    /// # Errors
    /// When the stored text is no id.
    pub fn scope(&self) -> Result<ScopeId, model::IdError> {
        self.chapter.parse()
    }
}

/// All territories of a network at one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerritorySet {
    /// Counts up with every change.
    pub version: u64,
    /// The territories.
    pub territories: Vec<Territory>,
}

/// A territory and one of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) territory: usize,
    pub(crate) rule: usize,
}

/// A range of codes of one country and length.
#[derive(Debug)]
pub(crate) struct CodeRange {
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) claim: Claim,
}

/// The index over a set of territories: answers which chapter serves a place.
#[derive(Debug)]
pub struct Atlas {
    pub(crate) set: TerritorySet,
    pub(crate) rules: Vec<Vec<Rule>>,
    pub(crate) scopes: Vec<ScopeId>,
    pub(crate) ancestors: Vec<Vec<usize>>,
    pub(crate) home: String,
    pub(crate) codes: HashMap<String, Vec<Claim>>,
    pub(crate) prefixes: HashMap<String, Vec<Claim>>,
    pub(crate) ranges: BTreeMap<String, Vec<CodeRange>>,
    pub(crate) areas: HashMap<String, Vec<Claim>>,
}

/// Why a set of territories can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TerritoryError {
    /// A rule that this version does not know.
    #[error("a rule of chapter {0} can't be read")]
    Rule(Slug, #[source] RuleError),
    /// A scope id that is none.
    #[error("the id of chapter {0} can't be read")]
    Scope(Slug, #[source] model::IdError),
}

impl Atlas {
    /// Builds the index; `home` is the hub's country (ISO 3166-1 alpha-2), taken where a sign-up names none.
    ///
    /// # Errors
    /// When a stored rule or id can't be read.
    pub fn new(set: TerritorySet, home: &str) -> Result<Self, TerritoryError> {
        let mut atlas = Self {
            rules: Vec::with_capacity(set.territories.len()),
            scopes: Vec::with_capacity(set.territories.len()),
            ancestors: Vec::new(),
            home: home.to_owned(),
            codes: HashMap::new(),
            prefixes: HashMap::new(),
            ranges: BTreeMap::new(),
            areas: HashMap::new(),
            set: TerritorySet::default(),
        };
        for (at, territory) in set.territories.iter().enumerate() {
            atlas.scopes.push(territory.scope().map_err(|e| TerritoryError::Scope(territory.slug.clone(), e))?);
            let rules: Result<Vec<Rule>, RuleError> = territory.rules.iter().map(|rule| rule.parse()).collect();
            let rules = rules.map_err(|error| TerritoryError::Rule(territory.slug.clone(), error))?;
            for (nth, rule) in rules.iter().enumerate().filter(|_| !territory.left) {
                atlas.index(rule, Claim { territory: at, rule: nth });
            }
            atlas.rules.push(rules);
        }
        atlas.ancestors = ancestors(&set.territories);
        atlas.set = set;
        Ok(atlas)
    }

    fn index(&mut self, rule: &Rule, claim: Claim) {
        match rule {
            Rule::Postal(country, code) => self.codes.entry(format!("{country}{code}")).or_default().push(claim),
            Rule::Prefix(country, prefix) => self.prefixes.entry(format!("{country}{prefix}")).or_default().push(claim),
            Rule::Range(country, first, last) => {
                let range = CodeRange { first: first.clone(), last: last.clone(), claim };
                self.ranges.entry(country.clone()).or_default().push(range);
            }
            Rule::County(_) | Rule::Region(..) | Rule::Country(_) => {
                self.areas.entry(rule.to_string()).or_default().push(claim);
            }
        }
    }

    /// The set of territories.
    pub fn set(&self) -> &TerritorySet {
        &self.set
    }
}

/// Each territory's ancestors, nearest first; a circle ends where it closes.
fn ancestors(territories: &[Territory]) -> Vec<Vec<usize>> {
    let parent = |at: usize| {
        let parent = territories[at].parent.as_ref()?;
        territories.iter().position(|other| other.chapter == *parent)
    };
    let line = |at: usize| {
        let mut line = Vec::new();
        let mut next = parent(at);
        while let Some(above) = next.filter(|above| *above != at && !line.contains(above)) {
            line.push(above);
            next = parent(above);
        }
        line
    };
    (0..territories.len()).map(line).collect()
}
