//! What a person is told whose database was put back to before, or copied to another machine.
//!
//! **Invariant:** nothing is lost by either: the database begins a new life and compares. But two machines with one identity
//! push each other off the link for ever, so the words say how both can work.

use store::NodeKind;

use crate::{Node, NodeError};

impl Node {
    /// What it means that a peer knew more of this database than it did itself, and what to do if two machines use it.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn copied_words(&self) -> Result<String, NodeError> {
        let found = "this database was put back to before, or is a copy with which another machine went on";
        if self.kind() == NodeKind::Hub {
            return Ok(format!("{found}. Only one machine can be this hub: stop the other one"));
        }
        let slug = self.read(|read| {
            let own = read.own_scope()?;
            Ok(read.chapters()?.into_iter().find(|chapter| Some(chapter.scope) == own).map(|chapter| chapter.slug))
        })?;
        let slug = slug.map_or_else(|| "SLUG".to_owned(), |slug| slug.to_string());
        Ok(format!(
            "{found}. If both are to be used, make this a second node of the chapter: `hub-node invite {slug}`, then \
             `chapter-node join` in an empty directory"
        ))
    }
}
