//! Which people a list is of: the filters of its address, each as a chip that can be taken away.
//!
//! **Invariant:** the address says everything: a list that is saved, printed or sent to somebody is its address.

use model::{Channel, RungId, Timestamp};
use node::Who;
use serde::Deserialize;
use store::{Filter, Read, StoreError};

use crate::routes::encoded;

/// How somebody's own people are asked for, whoever she is.
const MINE: &str = "1";

/// What the address of a list says; what is empty is not asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sought {
    /// Words, each the beginning of one.
    pub(super) query: String,
    /// A rung's id.
    pub(super) rung: String,
    pub(super) tag: String,
    /// A login, or 1 for one's own.
    pub(super) mine: String,
    /// A chapter's short name.
    pub(super) chapter: String,
    /// A day.
    pub(super) not_since: String,
    /// A channel.
    pub(super) consent: String,
    /// Anything: whom nobody may contact.
    pub(super) closed: String,
    /// Anything: with something to settle.
    pub(super) conflicts: String,
    /// After whom the page begins.
    pub(super) after: String,
    /// What was just done.
    pub(super) did: String,
}

/// A filter that is on.
pub(super) struct Chip {
    pub(super) words: String,
    /// The list without it.
    pub(super) without: String,
}

fn address<'a>(parts: impl Iterator<Item = &'a (&'static str, &'a str)>) -> String {
    parts.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

fn day(text: &str) -> Result<Timestamp, StoreError> {
    let wrong = |_| StoreError::Refused(format!("{text:?} is no day: write it as 2026-05-01"));
    text.parse().map_err(wrong)
}

impl Sought {
    fn parts(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("query", &self.query),
            ("rung", &self.rung),
            ("tag", &self.tag),
            ("mine", &self.mine),
            ("chapter", &self.chapter),
            ("not_since", &self.not_since),
            ("consent", &self.consent),
            ("closed", &self.closed),
            ("conflicts", &self.conflicts),
        ];
        all.into_iter().map(|(name, value)| (name, value.trim())).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// What stands behind the `?` of the list's address: its filters.
    pub(super) fn query_string(&self) -> String {
        address(self.parts().iter())
    }

    /// The list's address.
    pub(super) fn list(&self) -> String {
        let query = self.query_string();
        if query.is_empty() { "/people".to_owned() } else { format!("/people?{query}") }
    }

    /// Whether nothing is asked: it is the list of all.
    pub(super) fn is_everybody(&self) -> bool {
        self.parts().is_empty()
    }

    /// Whether it is the list of one's own people.
    pub(super) fn is_own(&self, who: &Who) -> bool {
        self.mine.trim() == MINE || self.mine.trim() == who.by
    }

    /// Each filter that is on, but for the words, which stand in the field for them.
    pub(super) fn chips(&self, label: impl Fn(&'static str, &str) -> String) -> Vec<Chip> {
        let parts = self.parts();
        let chip = |(name, value): &(&'static str, &str)| {
            let others = address(parts.iter().filter(|(other, _)| other != name));
            Chip { words: label(name, value), without: format!("/people?{others}") }
        };
        parts.iter().filter(|(name, _)| *name != "query").map(chip).collect()
    }

    /// The same for the database.
    pub(super) fn filter(&self, read: &Read<'_>, who: &Who) -> Result<Filter, StoreError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let chapter = given(&self.chapter).map(|slug| read.chapter(&slug)).transpose()?;
        let wrong = |word: &str| StoreError::Refused(format!("there is no channel {word:?}"));
        let channel = |word: String| Channel::from_word(&word).ok_or_else(|| wrong(&word));
        Ok(Filter {
            query: given(&self.query),
            rung: given(&self.rung).map(RungId::new),
            tag: given(&self.tag).map(|tag| model::SignUp::tag(&tag)),
            mine: given(&self.mine).map(|login| if login == MINE { who.by.clone() } else { login }),
            chapter: chapter.map(|chapter| chapter.scope),
            conflicts: !self.conflicts.is_empty(),
            not_spoken_since: given(&self.not_since).as_deref().map(day).transpose()?,
            consents: given(&self.consent).map(channel).transpose()?,
            do_not_contact: !self.closed.is_empty(),
            ..Filter::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chip_leads_to_the_list_without_it() {
        let sought = Sought {
            query: "mary & jo".to_owned(),
            rung: "contact".to_owned(),
            closed: "1".to_owned(),
            after: "x".to_owned(),
            ..Sought::default()
        };
        assert_eq!(sought.list(), "/people?query=mary%20%26%20jo&rung=contact&closed=1");
        let chips = sought.chips(|name, value| format!("{name} {value}"));
        let chips: Vec<(&str, &str)> = chips.iter().map(|chip| (chip.words.as_str(), chip.without.as_str())).collect();
        let without = [
            ("rung contact", "/people?query=mary%20%26%20jo&closed=1"),
            ("closed 1", "/people?query=mary%20%26%20jo&rung=contact"),
        ];
        assert_eq!(chips, without);
        assert!(Sought { after: "x".to_owned(), ..Sought::default() }.is_everybody());
    }
}
