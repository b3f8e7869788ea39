//! A record that can't be read, made anew: a new document takes its place, and the old one is deleted everywhere.
//!
//! **Invariants:** the new document and the end of the old one are one transaction, on what was read of the old one. What
//! a chapter keeps to itself about her, and what waits for its word, goes over to the new document.

use model::{DocId, EraseId, Kind, ScopeId, Timestamp};
use rusqlite::params;

use crate::document::{Base, Bytes, Came, DocState, Edited, NewDocument};
use crate::membership::FROZEN;
use crate::rows::join_hashes;
use crate::{Loaded, Read, StoreError, Tx};

/// A record in quarantine, as far as it can be read.
#[derive(Debug)]
pub struct Unread {
    /// As it was last read.
    pub loaded: Loaded,
    /// The scopes that hold it.
    pub scopes: Vec<ScopeId>,
    /// What it was before: shared, or kept here.
    pub state: DocState,
    /// The bytes of every change that came since, in the order in which they came; none where they are more than any record
    /// can take.
    pub pending: Vec<Vec<u8>>,
}

/// What becomes of the old document.
#[derive(Debug)]
pub enum OldRecord {
    /// It is deleted: nobody is above who would have to be asked.
    Erase(EraseId),
    /// The parent is asked, by this edit of what was last read.
    Ask(Box<Edited>),
}

impl Read<'_> {
    /// A supporter's record in quarantine.
    ///
    /// # Errors
    /// When it is not here, can be read, has left, is frozen, or nothing of it was ever read here.
    pub fn unread(&self, person: DocId) -> Result<Unread, StoreError> {
        let row = self.document(person)?.ok_or_else(|| StoreError::NotFound(person.to_string()))?;
        if row.state != DocState::Quarantined || row.kind != Kind::Supporter {
            return Err(StoreError::Refused("this record can be read: there is nothing to make anew".to_owned()));
        }
        let scopes = self.holders(person)?;
        if scopes.len() < self.fed_to(row.id)?.len() {
            return Err(StoreError::NotWritable(person, "it has left"));
        }
        if self.is_frozen(row.id)? {
            return Err(StoreError::NotWritable(person, FROZEN));
        }
        let loaded = match self.load(person) {
            // A snapshot of no bytes loads, too: as a document of nobody.
            Ok(loaded) => loaded.filter(|loaded| loaded.record.id() == Some(person)),
            Err(StoreError::Record(..) | StoreError::Corrupt(_)) => None,
            Err(error) => return Err(error),
        };
        let nothing = "nothing of this record was ever read here, so there is nothing to make it from. If another node has \
                       it, comparing brings it again";
        let loaded = loaded.ok_or_else(|| StoreError::Refused(nothing.to_owned()))?;
        let state = if self.was_kept(row.id)? { DocState::Kept } else { DocState::Live };
        Ok(Unread { loaded, scopes, state, pending: self.pending(&row)?.unwrap_or_default() })
    }
}

impl Tx<'_> {
    /// Puts a record that was made anew in the place of one that can't be read.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the old one is no longer what was read of it.
    pub fn rebuild(
        &self,
        (old, base): (DocId, &Base),
        new: &NewDocument,
        (scopes, state): (&[ScopeId], DocState),
        end: &OldRecord,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = self.document(old)?.ok_or(StoreError::NoDocument(old))?;
        if row.heads != base.heads || row.state != base.state {
            return Err(StoreError::Stale(old));
        }
        // She comes before she goes: whoever hears of both keeps what belongs to her.
        self.insert_document(new, scopes, state)?;
        let anew = self.document_row(new.id)?.ok_or(StoreError::NoDocument(new.id))?;
        self.move_proposals(row.id, anew)?;
        self.move_private(row.id, anew)?;
        match end {
            OldRecord::Erase(erasure) => self.erase(old, *erasure, at, None)?,
            OldRecord::Ask(edited) => self.ask_unread(edited)?,
        }
        // Now that the old one is said to go: before that, a child would put them to it.
        self.children_holding(anew)?.into_iter().try_for_each(|scope| self.feed_proposals(scope, anew))
    }

    /// Commits an edit of what was last read of a record in quarantine. It is fed at once, for folding waits for another
    /// version of this program; everybody who has the record has what it follows.
    fn ask_unread(&self, edited: &Edited) -> Result<(), StoreError> {
        let Edited { id, base, actor, written, view, history, .. } = edited;
        let row = self.document(*id)?.ok_or(StoreError::NoDocument(*id))?;
        if row.heads != base.heads || row.state != DocState::Quarantined {
            return Err(StoreError::Stale(*id));
        }
        let row = if row.indexed { row } else { self.index(&row, history)? };
        let change = self.insert_change(row.id, *actor, written, Came::Here, Bytes::Keep)?;
        let mut heads = row.heads.clone();
        heads.retain(|head| !written.deps.contains(head));
        heads.push(written.hash);
        let sql = "UPDATE document SET heads = ?, dirty = ? WHERE id = ?";
        self.run("log an edit", sql, params![join_hashes(&heads), change, row.id])?;
        for scope in self.fed_to(row.id)? {
            self.feed_change(scope, row.id, (change, written.hash), None)?;
        }
        self.put_view(row.id, view)
    }
}
