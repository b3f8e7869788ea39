//! Which chapter is her home, and which serve her beside it.
//!
//! **Invariants:** at a hub somebody has one home among the chapters that serve her, unless her home is under another hub;
//! only her home moves her up the ladder, gives her to others, and counts her.

use engine::Proof;
use model::{DocId, ScopeId, Timestamp};
use rusqlite::params;

use crate::document::Edited;
use crate::{NodeKind, Read, StoreError, Tx};

/// The home of whom a chapter here serves whose home is not here, and the counters in which she stands: no scope has this
/// number.
pub(crate) const ELSEWHERE: i64 = -2;

/// What is said of a document's place in a scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The assignment's number.
    pub(crate) epoch: i64,
    /// Whether the scope serves her while her home is another chapter.
    pub(crate) guest: bool,
    /// The parent's word for it; none where this node is the parent.
    pub(crate) proof: Option<Proof>,
}

impl Place {
    /// This node's own word.
    pub(crate) const fn home(epoch: i64) -> Self {
        Self { epoch, guest: false, proof: None }
    }
}

impl Read<'_> {
    /// The chapter that has the document: at a hub the child's scope, at a chapter its own; or [`ELSEWHERE`].
    pub(crate) fn home_of(&self, document: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT CASE WHEN a.guest = 1 THEN ?2 ELSE s.id END FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ?1 AND a.state = 'held'
                     AND (s.role = 'chapter' OR (s.role = 'own' AND (SELECT kind FROM node) = 'chapter'))
                   ORDER BY a.guest, s.role LIMIT 1";
        self.one("find a home", sql, params![document, ELSEWHERE], |row| row.get(0))
    }

    /// Whom a scope serves while her home is another chapter.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn guests(&self, scope: ScopeId) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM assign a JOIN document d ON d.id = a.document
                   WHERE a.scope = ? AND a.state = 'held' AND a.guest = 1 AND d.state != 'erased' ORDER BY d.doc_id";
        let scope = self.known_scope(scope)?.id;
        let ids = self.all("list guests", sql, params![scope], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }

    /// Whether this node serves her while her home is elsewhere.
    pub(crate) fn is_guest_here(&self, document: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ? AND a.state = 'held' AND a.guest = 1 AND s.role = 'own')";
        Ok(self.number("look where her home is", sql, params![document])? > 0)
    }

    /// The number of a document's next assignment to a home: counted over the chapters that were her home by somebody's word,
    /// of which only the newest counts.
    pub(crate) fn next_home_epoch(&self, document: i64) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(a.epoch), 0) + 1 FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ? AND a.guest = 0 AND a.presumed = 0 AND (s.role = 'chapter' OR s.role = 'network')";
        let next = self.one("count assignments", sql, params![document], |row| row.get(0))?;
        Ok(next.unwrap_or(1))
    }
}

impl Tx<'_> {
    /// Brings the places that a hub gave in step with the one that it has: in one chapter she is at home, unless her home
    /// is under another hub.
    pub(crate) fn settle_home(&self, document: i64) -> Result<(), StoreError> {
        if self.node()?.kind != NodeKind::Hub {
            return Ok(());
        }
        let elsewhere = self.is_guest_here(document)?;
        // Of a chapter that left only if no other one serves her.
        let sql = "SELECT a.scope, a.guest, d.doc_id FROM assign a JOIN scope s ON s.id = a.scope JOIN document d ON d.id = a.document
                   LEFT JOIN chapter c ON c.scope = a.scope
                   WHERE a.document = ? AND a.state = 'held' AND s.role = 'chapter' ORDER BY c.left_at IS NOT NULL, a.guest, a.presumed, a.epoch DESC";
        let places: Vec<(i64, bool, [u8; 16])> =
            self.all("look who has her", sql, params![document], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for (at, (scope, guest, id)) in places.into_iter().enumerate() {
            let wanted = elsewhere || at > 0;
            if guest != wanted
                && let Some(row) = self.document(DocId::from_bytes(id))?
            {
                let place = Place { guest: wanted, ..Place::home(self.next_epoch(document)?) };
                self.enter_scope(scope, &row, DocId::from_bytes(id), place)?;
                if !wanted {
                    let sql = "UPDATE assign SET presumed = 1 WHERE scope = ? AND document = ?";
                    self.run("presume a home", sql, params![scope, document])?;
                }
            }
        }
        Ok(())
    }

    /// A chapter serves someone beside her home.
    pub(crate) fn serve_too(&self, id: DocId, taker: i64, edited: Option<&Edited>) -> Result<(), StoreError> {
        edited.map_or(Ok(()), |edited| self.put_edit(edited))?;
        let row = self.document(id)?.ok_or(StoreError::NoDocument(id))?;
        let place = Place { guest: true, ..Place::home(self.next_epoch(row.id)?) };
        self.enter_scope(taker, &row, id, place)?;
        self.move_home(row.id)?;
        self.feed_proposals(taker, row.id)
    }

    /// Moves a document from one child's scope into another, in one step. What the edit says is told to the one only that
    /// takes it.
    pub(crate) fn reassign(
        &self,
        id: DocId,
        from: Option<i64>,
        to: Option<i64>,
        edited: Option<&Edited>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = self.document(id)?.ok_or(StoreError::NoDocument(id))?;
        let epoch = self.next_epoch(row.id)?;
        if let Some(from) = from {
            self.leave_scope(from, &row, id, epoch, at)?;
        }
        if let Some(edited) = edited {
            self.put_edit(edited)?;
        }
        let row = self.document(id)?.ok_or(StoreError::NoDocument(id))?;
        if let Some(to) = to {
            let seq = self.enter_scope(to, &row, id, Place::home(epoch))?;
            from.map_or(Ok(()), |from| self.wait_for(from, row.id, to, seq))?;
        }
        self.move_home(row.id)?;
        to.map_or(Ok(()), |to| self.feed_proposals(to, row.id))
    }

    /// Moves someone between two chapters of this node without asking either: for a chapter that was closed, and for tests
    /// of what a parent can't do.
    ///
    /// # Errors
    /// When she is not here, or a chapter is not known.
    pub fn move_person(&self, person: DocId, to: Option<ScopeId>, at: Timestamp) -> Result<(), StoreError> {
        let row = self.document(person)?.ok_or(StoreError::NoDocument(person))?;
        let to = to.map(|to| self.known_scope(to)).transpose()?.map(|to| to.id);
        let home = self.home_of(row.id)?.filter(|home| *home != ELSEWHERE);
        self.reassign(person, home, to, None, at)
    }
}
