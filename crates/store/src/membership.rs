//! A chapter that leaves the network, at its hub and at its own nodes; and that comes back.
//!
//! **Invariants:** nothing is dropped or erased by leaving. What the hub has of people whose home such a chapter is, is
//! frozen: shown, not written, joined with nobody outside of that chapter and in no total, until the chapter comes back, or
//! both have said that the network goes on with them. Whom another chapter of the network serves, too, has her home with that
//! one. Of whom no node of the chapter has heard goes back to the network.

use engine::{Cursor, CursorVerdict};
use model::{AuditKind, DocId, EraseId, NodeId, ScopeId, Timestamp, TransferId};
use rusqlite::params;

use crate::document::Edited;
use crate::home::ELSEWHERE;
use crate::log::Source;
use crate::transfer::Said;
use crate::{LinkStanding, NewAudit, NewTransfer, Read, StoreError, Tx};

/// Who is in no chapter that has left: in a condition on `supporter v`.
pub(crate) const STAYED: &str =
    "(v.home IS NULL OR v.home NOT IN (SELECT scope FROM chapter WHERE left_at IS NOT NULL))";
/// Why the hub's copy takes no edits.
pub(crate) const FROZEN: &str = "her chapter left the network, and what is known of her here is frozen";
/// Why a transfer comes to nothing, in words for both chapters.
const HAS_LEFT: &str = "one of the two chapters left the network";

/// What a chapter says, leaving, of the people whom the network has through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveWord {
    /// They are its own: what the network has of them stays frozen.
    Keep,
    /// The network may go on with them, if it says so, too.
    Release,
}

impl Read<'_> {
    /// When a chapter left the network; none: it belongs to it, or is not known.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn left_at(&self, chapter: ScopeId) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT c.left_at FROM scope s JOIN chapter c ON c.scope = s.id WHERE s.scope = ?";
        let found = self.one("look for a chapter", sql, params![chapter.as_bytes()], |row| row.get(0))?;
        Ok(found.flatten().map(Timestamp::from_millis))
    }

    /// A home, if it is a chapter that left: records of it are joined with nobody outside of it.
    pub(crate) fn apart(&self, home: Option<i64>) -> Result<Option<i64>, StoreError> {
        let Some(home) = home.filter(|home| *home != ELSEWHERE) else { return Ok(None) };
        let sql = "SELECT scope FROM chapter WHERE scope = ? AND left_at IS NOT NULL";
        self.one("look whether a chapter left", sql, params![home], |row| row.get(0))
    }

    /// Whether what is here of a document is a copy of a chapter's that left.
    pub(crate) fn is_frozen(&self, document: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM assign a JOIN chapter c ON c.scope = a.scope
                   WHERE a.document = ? AND a.state = 'held' AND a.guest = 0 AND c.left_at IS NOT NULL)";
        Ok(self.number("look whose copy it is", sql, params![document])? > 0)
    }

    /// The scope of a chapter that belongs to the network, by its short name.
    pub(crate) fn chapter_scope(&self, slug: &str) -> Result<i64, StoreError> {
        let sql = "SELECT scope FROM chapter WHERE slug = ? AND left_at IS NULL";
        let found = self.one("look for a chapter", sql, params![slug], |row| row.get(0))?;
        found.ok_or_else(|| StoreError::Unknown("chapter", slug.to_owned()))
    }

    /// Whose home a chapter is: people, not its actions.
    ///
    /// # Errors
    /// When the chapter is not known, or rows can't be read.
    pub fn at_home(&self, chapter: ScopeId) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM assign a JOIN document d ON d.id = a.document
                   WHERE a.scope = ? AND a.state = 'held' AND a.guest = 0 AND d.kind = 'supporter' ORDER BY d.id";
        let ids = self.all("list who is at home", sql, params![self.known_scope(chapter)?.id], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }

    /// Whose home a chapter is and of whom none of its nodes has heard: nobody there has said that it took the row that
    /// brings her, or has written into her record.
    ///
    /// # Errors
    /// When the chapter is not known, or rows can't be read.
    pub fn not_heard_of(&self, chapter: ScopeId) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT DISTINCT d.doc_id FROM feed f
                   CROSS JOIN assign a ON a.scope = f.scope AND a.document = f.document AND a.epoch = f.ref
                   CROSS JOIN document d ON d.id = f.document
                   WHERE f.scope = ?1 AND f.kind = 'enter' AND a.state = 'held' AND a.guest = 0
                     AND f.seq > (SELECT coalesce(max(c.acknowledged), 0) FROM link n
                                  JOIN link_scope c ON c.link = n.id AND c.scope = n.scope
                                  WHERE n.scope = ?1 AND n.direction = 'down')
                     AND NOT EXISTS (SELECT 1 FROM change w JOIN link n ON n.id = w.origin
                                     WHERE w.document = f.document AND n.scope = ?1)
                   ORDER BY d.doc_id";
        let ids =
            self.all("look of whom it has heard", sql, params![self.known_scope(chapter)?.id], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }
}

impl Tx<'_> {
    /// The hub's side: one of its nodes says that its chapter leaves. All of them are let in no more, nobody is invited into
    /// it any more, and what is proposed to it or by it ends. `read` is how far that node has read this hub's feed. Gives
    /// since when it is out. Said again, that stands, and people may be released beside. Who is [not heard of](Read::not_heard_of) there is to be handed back after it.
    ///
    /// # Errors
    /// When the node is not known, or was revoked.
    pub fn chapter_leaves(
        &self,
        peer: NodeId,
        word: LeaveWord,
        read: Option<Cursor>,
        at: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let link = self.child(peer)?.ok_or_else(|| StoreError::Unknown("node", peer.to_string()))?;
        if link.standing == LinkStanding::Revoked {
            return Err(StoreError::Refused("this node was shut out: it does not speak for its chapter".to_owned()));
        }
        let (scope, known) = (link.scope_row, self.left_at(link.scope)?);
        if known.is_none() && link.standing == LinkStanding::Left {
            // Its chapter has come back without it.
            return Ok(at);
        }
        let slug =
            self.one("read a name", "SELECT slug FROM chapter WHERE scope = ?", params![scope], |row| row.get(0))?;
        let slug: String = slug.ok_or(StoreError::Corrupt("chapter"))?;
        let said = NewAudit::new(AuditKind::LeftNetwork, at).by_node(peer);
        if known.is_none() {
            // What it has read and this hub has not been told of, as after a cut.
            if let CursorVerdict::Good(seq) = self.check_cursor(link.scope, read)?
                && seq > self.local_scope(link.id, link.scope)?.acknowledged
            {
                self.acknowledged(&link, link.scope, seq, &[], at)?;
            }
            let sql = "UPDATE chapter SET left_at = ?, released = 0 WHERE scope = ?";
            self.turning(scope, || self.run("let a chapter go", sql, params![at.as_millis(), scope]).map(drop))?;
            let sql = "UPDATE link SET state = 'left', detail = ?, confirmed = 0
                       WHERE scope = ? AND direction = 'down' AND state != 'revoked'";
            self.run("let nodes go", sql, params![format!("on {}", at.for_people()), scope])?;
            self.cancel_invites(link.scope, at)?;
            self.end_transfers(scope, at)?;
            self.home_with_others(scope)?;
            self.audit(&said.clone().detail(slug.clone()))?;
            let unknown = self.not_heard_of(link.scope)?.len() as u64;
            if unknown > 0 {
                let words = format!("{slug}: it had not heard of them");
                self.audit(&NewAudit::new(AuditKind::PeopleReleased, at).detail(words).number(unknown))?;
            }
        }
        if word == LeaveWord::Release {
            let sql = "UPDATE chapter SET released = 1 WHERE scope = ? AND released = 0";
            if self.run("release people", sql, params![scope])? > 0 {
                self.audit(&said.detail(format!("{slug}: the network may go on with its people")))?;
            }
        }
        Ok(known.unwrap_or(at))
    }

    /// A node of a chapter that left is let in by a new invitation: the chapter belongs to the network again, with everybody
    /// whose home it was. Gives whether it had left.
    pub(crate) fn come_back(&self, chapter: ScopeId, at: Timestamp) -> Result<bool, StoreError> {
        if self.left_at(chapter)?.is_none() {
            return Ok(false);
        }
        let scope = self.known_scope(chapter)?.id;
        let sql = "UPDATE chapter SET left_at = NULL, released = 0 WHERE scope = ?";
        self.turning(scope, || self.run("take a chapter back", sql, params![scope]).map(drop))?;
        self.was_away(scope, at)?;
        self.home_with_one_that_is_back(scope)?;
        Ok(true)
    }

    /// A node that was in this chapter before comes in anew: it may have been out, also by its own word alone.
    pub(crate) fn was_away(&self, scope: i64, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE chapter SET back_at = ? WHERE scope = ?";
        self.run("note that a chapter was away", sql, params![at.as_millis(), scope]).map(drop)
    }

    /// The hub's word, after the chapter's: the network goes on with whom it had through it. The chapter is closed here, and
    /// nobody is invited into it any more; [`Tx::hand_back`] follows for each of its people. Gives whether it was open until
    /// now.
    ///
    /// # Errors
    /// When the chapter did not leave, or did not release its people.
    pub fn agree_to_leaving(&self, chapter: ScopeId, at: Timestamp) -> Result<bool, StoreError> {
        let scope = self.known_scope(chapter)?.id;
        let sql = "SELECT left_at IS NOT NULL, released FROM chapter WHERE scope = ?";
        let found = self.one("look for a chapter", sql, params![scope], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (left, released): (bool, bool) = found.unwrap_or_default();
        let words = match (left, released) {
            (true, true) => {
                self.cancel_invites(chapter, at)?;
                let sql = "UPDATE chapter SET state = 'closed' WHERE scope = ? AND state != 'closed'";
                return Ok(self.run("close a chapter", sql, params![scope])? > 0);
            }
            (true, false) => {
                "this chapter has not said that the network may go on with its people: it says so with `chapter-node leave \
                 --release`"
            }
            (false, _) => "this chapter belongs to the network: there is nothing to agree on",
        };
        Err(StoreError::Refused(words.to_owned()))
    }

    /// Somebody of a chapter that left, with whom the network goes on, waits at this hub from now on, with the edit that says
    /// why. Gives whether she was the chapter's until now.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when her record changed meanwhile; when it can't be written, or the chapter has come back.
    pub fn hand_back(
        &self,
        person: DocId,
        chapter: ScopeId,
        edited: &Edited,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = self.document(person)?.ok_or(StoreError::NoDocument(person))?;
        let scope = self.known_scope(chapter)?.id;
        if self.left_at(chapter)?.is_none() {
            return Err(StoreError::Refused("the chapter has come back meanwhile: its people stay with it".to_owned()));
        }
        if self.assignment(scope, row.id)?.is_none_or(|known| !known.held) {
            return Ok(false);
        }
        // Who was parted from others while she was frozen, is joined again.
        self.rejoining(&[row.id], || self.reassign(person, Some(scope), None, Some(edited), at))?;
        Ok(true)
    }

    /// Before and after a chapter leaves or comes back: whose home it is, is parted from others, or joined again.
    fn turning(&self, scope: i64, change: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let linked = if self.any_links()? { self.linked_at_home(scope)? } else { Vec::new() };
        self.rejoining(&linked, change)
    }

    /// Transfers of a chapter that leaves end, and the other sides hear of it.
    fn end_transfers(&self, scope: i64, at: Timestamp) -> Result<(), StoreError> {
        let open = self.transfers_where("WHERE t.state = 'open' AND (t.giver = ?1 OR t.taker = ?1)", params![scope])?;
        open.into_iter().try_for_each(|open| {
            self.decline(open.row, HAS_LEFT)?;
            self.audit(&NewAudit::new(AuditKind::TransferDeclined, at).about(open.person).detail(HAS_LEFT))?;
            self.feed_transfer(open.row, open.document, open.giver, open.taker)
        })
    }

    /// Whom another chapter serves, too, has her home there from now on.
    fn home_with_others(&self, scope: i64) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT a.document FROM assign a
                   JOIN assign o ON o.document = a.document AND o.scope != a.scope AND o.state = 'held'
                   JOIN chapter c ON c.scope = o.scope AND c.left_at IS NULL
                   WHERE a.scope = ? AND a.state = 'held' AND a.guest = 0";
        let served: Vec<i64> = self.all("look who is served elsewhere", sql, params![scope], |row| row.get(0))?;
        served.into_iter().try_for_each(|document| self.move_home(document))
    }

    /// Whom a chapter that is back serves beside a home that left meanwhile has her home there from now on.
    fn home_with_one_that_is_back(&self, scope: i64) -> Result<(), StoreError> {
        let sql = "SELECT a.document FROM assign a
                   JOIN assign o ON o.document = a.document AND o.state = 'held' AND o.guest = 0
                   JOIN chapter c ON c.scope = o.scope AND c.left_at IS NOT NULL
                   WHERE a.scope = ? AND a.state = 'held' AND a.guest = 1";
        let served: Vec<i64> = self.all("look whose home has left", sql, params![scope], |row| row.get(0))?;
        served.into_iter().try_for_each(|document| self.move_home(document))
    }

    /// The chapter's side: this node belongs to no network any more. Everything stays, the link too, for when it comes back.
    /// Gives whether it belonged to one.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn leave_parent(&self, words: &str, at: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE link SET state = 'left', detail = ?, confirmed = 0, wanted = wanted + 1
                   WHERE direction = 'up' AND state != 'left'";
        let belonged = self.run("leave the network", sql, params![words])? > 0;
        if let Some(own) = self.own_scope()?.filter(|_| belonged) {
            self.end_transfers(self.known_scope(own)?.id, at)?;
        }
        Ok(belonged)
    }

    /// A node that comes back tells its parent whom it deleted by its own word while it was away.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn tell_deleted(&self, at: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT e.document, e.erasure FROM erasure e JOIN assign a ON a.document = e.document
                   JOIN scope s ON s.id = a.scope AND s.role = 'own' WHERE e.proof IS NULL";
        let deleted: Vec<(i64, [u8; 16])> =
            self.all("look who was deleted here", sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        deleted
            .into_iter()
            .try_for_each(|(document, erasure)| self.give_receipt(document, "erased", 0, Some(erasure), at))
    }

    /// A chapter that was away has deleted somebody by its own word. It has handed her back by that, and this hub's people
    /// decide whether she is deleted here, too.
    pub(crate) fn was_deleted_there(
        &self,
        source: &Source<'_>,
        id: DocId,
        document: i64,
        erasure: EraseId,
    ) -> Result<(), StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM chapter c JOIN assign a ON a.scope = c.scope AND a.document = ?2
                   WHERE c.scope = ?1 AND c.back_at IS NOT NULL AND a.state = 'held')
                   AND NOT EXISTS (SELECT 1 FROM transfer WHERE (document = ?2 AND state = 'open') OR transfer_id = ?3)";
        let row = params![source.scope_row, document, erasure.as_bytes()];
        if self.number("look who was deleted there", sql, row)? == 0 {
            return Ok(());
        }
        let new = NewTransfer {
            id: TransferId::from_bytes(*erasure.as_bytes()),
            person: id,
            to: None,
            text: "her chapter deleted her while it was away".into(),
            agreed: false,
            also: false,
            her_word: false,
            at: source.at,
        };
        let said = Said { given: true, taken: true, proposer: Some(source.scope_row), here: false };
        self.insert_transfer(&new, document, (Some(source.scope_row), None), said, "")?;
        self.audit_said(source, AuditKind::Returned, id, "deleted there while the chapter was away")
    }
}
