//! Tags on several people at once.
//!
//! **Invariant:** what the network has not declared stays in the chapter.

use std::cell::Cell;

use model::{DocId, SignUp, TAG};
use record::{Value, Write};
use store::NodeKind;

use crate::acts::Plan;
use crate::{Node, NodeError, Priority};

/// The most people who are tagged in one act: some seconds of work, and more than a person looks through.
pub const TAGGED_AT_ONCE_MAX: usize = 500;

/// What is done with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// It is put on.
    Add,
    /// It is taken off.
    Remove,
}

impl Tagging {
    /// What takes it back.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::Add => Self::Remove,
            Self::Remove => Self::Add,
        }
    }
}

impl Node {
    /// Puts a tag on people, or takes it off. Gives the tag as it is kept, and those for whom something has changed.
    ///
    /// # Errors
    /// When there is no tag, nobody is chosen, they are too many, or one can't be written: those before are tagged.
    pub fn tag(&self, people: &[DocId], tag: &str, how: Tagging, by: &str) -> Result<(String, Vec<DocId>), NodeError> {
        let refuse = |words: String| Err(NodeError::Refused(words));
        let tag = SignUp::tag(tag);
        if tag.is_empty() {
            return refuse("write the tag: it needs letters or digits".to_owned());
        }
        if people.is_empty() {
            return refuse("choose the people first".to_owned());
        }
        if people.len() > TAGGED_AT_ONCE_MAX {
            return refuse(format!("tag at most {TAGGED_AT_ONCE_MAX} people at once"));
        }
        let shared = self.read(|read| read.settings())?.tags.contains(&tag);
        if how == Tagging::Add && !shared && self.kind() == NodeKind::Hub {
            return refuse(format!("the network shares no tag {tag:?}: a chapter may keep it for itself"));
        }
        let mut changed = Vec::new();
        for person in people {
            let here = match how {
                Tagging::Add if shared => self.tag_shared(*person, &tag, how, by)?,
                Tagging::Add => self.tag_here(*person, &tag, how)?,
                // It may stand in her record and here: it came with a sign-up before it was kept here.
                Tagging::Remove => {
                    let here = self.kind() == NodeKind::Chapter && self.tag_here(*person, &tag, how)?;
                    self.tag_shared(*person, &tag, how, by)? || here
                }
            };
            if here {
                changed.push(*person);
            }
        }
        Ok((tag, changed))
    }

    /// In her record, and in whichever of her joined records it stands; says whether that changes anything.
    fn tag_shared(&self, person: DocId, tag: &str, how: Tagging, by: &str) -> Result<bool, NodeError> {
        let person = self.record_where(person, |her| her.tags.contains(tag))?;
        let changed = Cell::new(false);
        self.edit(person, by, |_, shown| {
            let key = format!("{TAG}{tag}");
            let write = match (how, shown.tags.contains(tag)) {
                (Tagging::Add, false) => Some(Write::Put(key, Value::Flag)),
                (Tagging::Remove, true) => Some(Write::Delete(key)),
                (Tagging::Add, true) | (Tagging::Remove, false) => None,
            };
            changed.set(write.is_some());
            Ok(Plan::writing(write.into_iter().collect()))
        })?;
        Ok(changed.get())
    }

    /// In this chapter alone; says whether that changes anything.
    fn tag_here(&self, person: DocId, tag: &str, how: Tagging) -> Result<bool, NodeError> {
        let name = format!("{TAG}{tag}");
        let has = self.read(|read| {
            Ok(read.private_fields(person)?.iter().any(|(field, _)| *field == name)
                || read.record(person)?.supporter.tags.contains(tag))
        })?;
        match (how, has) {
            (Tagging::Add, true) => Ok(false),
            (Tagging::Add, false) => {
                self.write(Priority::Interactive, move |tx| tx.put_private_field(person, &name, "true"))?;
                Ok(true)
            }
            (Tagging::Remove, _) => self.write(Priority::Interactive, move |tx| tx.drop_private_field(person, &name)),
        }
    }
}
