//! Where what is known of somebody comes from: who wrote each value, when and at which node; who has raised her.
//!
//! **Invariant:** a line of people who raised each other has an end: a link that would close it to a ring is refused.

use model::{DocId, EVENT, Personal, Standing};
use store::Raising;

use crate::{FieldEdit, Node, NodeError};

/// How far a line of people who raised each other is followed: no movement is deeper, and a ring that came from elsewhere ends.
const LINE_MAX: usize = 50;

/// The most people who are shown to choose from, where a text names several.
const CHOICE_MAX: usize = 10;

/// A value of a record, with who wrote it.
#[derive(Clone, Debug)]
pub struct Known {
    /// In which of her records.
    pub record: DocId,
    /// Under which key.
    pub key: String,
    /// What stands, the shown value first.
    pub values: Vec<Standing>,
}

/// Whom a field that names a person is to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Nobody.
    Nobody,
    /// This one: an id, or a login.
    One(String),
    /// Any of these: somebody has to choose.
    Some(Vec<DocId>),
}

impl Node {
    /// Every value of her records with who wrote it, but for events, which say it themselves. Loads the records.
    ///
    /// # Errors
    /// When she is not here, or a record can't be read.
    pub fn known(&self, person: DocId) -> Result<Vec<Known>, NodeError> {
        let records = self.read(|read| {
            let her = read.person(person)?.supporter;
            her.ids().map(|id| Ok((id, read.load(id)?))).collect::<Result<Vec<_>, store::StoreError>>()
        })?;
        let mut known = Vec::new();
        for (id, loaded) in records {
            let Some(loaded) = loaded else { continue };
            for key in loaded.record.keys() {
                if !key.starts_with(EVENT) && key != "id" && key != "kind" {
                    let values = loaded.record.standing_values(&key);
                    known.push(Known { record: id, key, values });
                }
            }
        }
        Ok(known)
    }

    /// Whom a text names: nobody, an id or a part of one, a login, or the beginning of a name.
    ///
    /// # Errors
    /// When it names nobody, or too many.
    pub fn name_person(&self, text: &str) -> Result<Named, NodeError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Named::Nobody);
        }
        if let Ok(found) = self.read(|read| read.resolve(text)) {
            return Ok(Named::One(found.document.to_string()));
        }
        if self.read(|read| read.user(&text.to_lowercase()))?.is_some() {
            return Ok(Named::One(text.to_lowercase()));
        }
        let filter = store::Filter { query: Some(text.to_owned()), ..store::Filter::default() };
        let page = store::Page { limit: CHOICE_MAX + 1, after: None };
        let found = self.read(|read| read.people(&filter, page))?;
        match found.as_slice() {
            [] => Err(NodeError::Refused(format!("nobody here is found by {text:?}"))),
            [one] => Ok(Named::One(one.supporter.id.to_string())),
            many if many.len() > CHOICE_MAX => Err(NodeError::Refused(format!(
                "more than {CHOICE_MAX} people are found by {text:?}: write more of the name"
            ))),
            many => Ok(Named::Some(many.iter().map(|one| one.supporter.id).collect())),
        }
    }

    /// Says who has recruited or who develops somebody; empty: nobody.
    ///
    /// # Errors
    /// When that would be herself, or somebody whom she has raised, or it has changed since it was shown.
    pub fn set_raised(&self, person: DocId, how: Raising, edit: FieldEdit, by: &str) -> Result<(), NodeError> {
        let her = self.read(|read| read.person(person))?.supporter;
        let mut next = Some(Personal::from(edit.value.as_str()));
        for _ in 0..LINE_MAX {
            let Some(name) = next.take() else { break };
            let Some(id) = self.read(|read| read.named_person(name.expose()))? else { break };
            if her.covers(id) {
                let words = match how {
                    Raising::Recruited => "she can't be recruited by somebody whom she has recruited",
                    Raising::Developed => "she can't be developed by somebody whom she develops",
                };
                return Err(NodeError::Refused(words.to_owned()));
            }
            next = how.by(&self.read(|read| read.person(id))?.supporter).cloned();
        }
        self.edit_fields(person, &[edit], by)
    }
}
