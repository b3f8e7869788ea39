//! Documents that leave a scope, and what stays of them.
//!
//! **Invariants:** a child lets a document go only when its parent has everything that was written here, and nothing of it
//! was refused. Whom a chapter has tried, talked to, annotated or added does not go without the chapter's word: the record
//! stays readable. Private notes stay in any case.

use engine::{Proof, Receipt};
use model::{DocId, Kind, ScopeId, ScopeSum, Timestamp};
use rusqlite::{Params, params};

use crate::document::{DocState, DocumentRow, Rows};
use crate::forget::Keep;
use crate::home::Place;
use crate::log::Source;
use crate::{NodeKind, Read, StoreError, Tx};

/// How many people may leave a chapter in a day without its word, of whom it knows nothing yet: what one evening's
/// correction of a territory moves. More wait for its administrator.
pub const LEAVES_A_DAY: u64 = 20;
/// A day, in ms.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;
/// How long a parent takes changes to what has left, after the child first heard of it or wrote one, in ms: 30 days.
const LATE_CHANGES_MS: i64 = 30 * DAY_MS;
/// The most documents that are let go in one transaction.
const LET_GO_AT_ONCE: usize = 200;

/// An assignment as its row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) epoch: i64,
    pub(crate) held: bool,
    pub(crate) guest: bool,
    pub(crate) presumed: bool,
}

/// Someone whose leaving waits for this chapter's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The person.
    pub person: DocId,
    /// Whether it is one of too many in a day; otherwise her record stays here, read-only, until somebody lets her go.
    pub one_of_many: bool,
    /// Since when.
    pub at: Timestamp,
}

/// Whose word lets somebody go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhoseWord {
    Chapter,
    Hers,
}

/// Who went from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stub {
    /// The person.
    pub person: DocId,
    /// When.
    pub at: Timestamp,
    /// `transferred`, `returned`, `her_word` or `left`.
    pub reason: String,
}

impl Read<'_> {
    pub(crate) fn assignment(&self, scope: i64, document: i64) -> Result<Option<Assignment>, StoreError> {
        let sql = "SELECT epoch, state = 'held', guest, presumed FROM assign WHERE scope = ? AND document = ?";
        self.one("find an assignment", sql, params![scope, document], |row| {
            Ok(Assignment { epoch: row.get(0)?, held: row.get(1)?, guest: row.get(2)?, presumed: row.get(3)? })
        })
    }

    /// What a document adds to the sum of a scope that holds it; nothing while it is in dispute or not folded at all.
    pub(crate) fn sum_of(&self, row: &DocumentRow, id: DocId) -> Result<Option<ScopeSum>, StoreError> {
        if matches!(row.state, DocState::Quarantined | DocState::Gone | DocState::Erased) {
            return Ok(None);
        }
        Ok(self.snapshot(row.id)?.map(|(heads, _)| ScopeSum::of(id, &heads)))
    }

    /// Whether this chapter knows her: notes, something that was written here, or anything that was tried with her.
    fn touched(&self, document: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM private_note WHERE document = ?1)
                   OR EXISTS (SELECT 1 FROM private_field WHERE document = ?1)
                   OR EXISTS (SELECT 1 FROM change c JOIN actor a ON a.id = c.actor WHERE c.document = ?1 AND a.origin IS NULL)";
        if self.number("look whether she is known", sql, params![document])? > 0 {
            return Ok(true);
        }
        let Some(before) = self.before(document)? else { return Ok(false) };
        let tried = |kind: &str| matches!(kind, "attempt" | "care" | "one_to_one" | "ask" | "answer" | "came" | "move");
        let view = before.view;
        Ok(view.looked_after_by.is_some() || view.events.iter().any(|event| tried(event.body.kind())))
    }

    /// Whether this chapter agreed that she goes, under this assignment; or she did, as the parent has it.
    fn word_given(&self, document: i64, epoch: i64) -> Result<Option<WhoseWord>, StoreError> {
        let sql = "SELECT min(her_word) FROM transfer WHERE document = ? AND given = 1 AND giver IS NOT NULL
                   AND also = 0 AND state != 'declined' AND epoch = ?";
        let hers = self.one("look for a word", sql, params![document, epoch], |row| row.get::<_, Option<bool>>(0))?;
        Ok(hers.flatten().map(|hers| if hers { WhoseWord::Hers } else { WhoseWord::Chapter }))
    }

    /// What is to be done with a leave that came.
    fn step_of_leave(&self, row: &DocumentRow, ended: i64, at: Timestamp) -> Result<&'static str, StoreError> {
        let word = self.word_given(row.id, ended)?;
        if self.node()?.kind == NodeKind::Hub || word == Some(WhoseWord::Chapter) {
            return Ok("going");
        }
        if word.is_none() && self.touched(row.id)? {
            return Ok("disputed");
        }
        // What the parent says that she said is bounded, too: it could say so of everybody.
        let sql = "SELECT (SELECT count(*) FROM stub WHERE (reason = 'left' OR reason = 'her_word') AND at > ?1)
                   + (SELECT count(*) FROM leaving WHERE step = 'going' AND at > ?1)";
        let today = self.number("count who left today", sql, params![at.as_millis() - DAY_MS])?;
        Ok(if today < LEAVES_A_DAY { "going" } else { "asks" })
    }

    /// Whether what leaves a child's scope is safe where it goes.
    pub(crate) fn has_arrived(&self, scope: i64, document: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM leaving WHERE scope = ? AND document = ? AND taker IS NOT NULL)";
        Ok(self.number("look where it is", sql, params![scope, document])? == 0)
    }

    /// Where changes of a document are fed: the scopes that hold it, and the own scope until it has gone from here.
    pub(crate) fn fed_to(&self, document: i64) -> Result<Vec<i64>, StoreError> {
        let mut scopes = self.held_in(document)?;
        let sql =
            "SELECT l.scope FROM leaving l JOIN scope s ON s.id = l.scope WHERE l.document = ? AND s.role = 'own'";
        scopes.extend(self.all("look for a leave", sql, params![document], |row| row.get::<_, i64>(0))?);
        Ok(scopes)
    }

    /// The scopes that hold a document.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn holders(&self, document: DocId) -> Result<Vec<ScopeId>, StoreError> {
        let sql = "SELECT s.scope FROM assign a JOIN scope s ON s.id = a.scope JOIN document d ON d.id = a.document
                   WHERE d.doc_id = ? AND a.state = 'held'";
        let scopes = self.all("read where a document is", sql, params![document.as_bytes()], |row| row.get(0))?;
        Ok(scopes.into_iter().map(ScopeId::from_bytes).collect())
    }

    /// How a document stands here, for somebody who looks for a mistake: its state, its assignments, what is under way.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn standing(&self, document: DocId) -> Result<String, StoreError> {
        let Some(row) = self.document(document)? else { return Ok("not here".to_owned()) };
        let sql = "SELECT s.role || ' ' || a.epoch || ' ' || a.state || CASE a.guest WHEN 1 THEN ' guest' ELSE '' END || CASE WHEN a.proof IS NULL THEN '' ELSE ' proved' END
                     || coalesce((SELECT ' ' || l.step FROM leaving l WHERE l.scope = a.scope AND l.document = a.document), '')
                   FROM assign a JOIN scope s ON s.id = a.scope WHERE a.document = ?";
        let assigned: Vec<String> = self.all("read how it stands", sql, params![row.id], |row| row.get(0))?;
        Ok(format!("{} with {} heads, {}", row.state.word(), row.heads.len(), assigned.join("; ")))
    }

    /// Whose leaving waits for this node's people.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn leaves(&self) -> Result<Vec<Leave>, StoreError> {
        let sql = "SELECT d.doc_id, l.step = 'asks', l.at FROM leaving l JOIN document d ON d.id = l.document
                   JOIN scope s ON s.id = l.scope WHERE s.role = 'own' AND (l.step = 'asks' OR l.step = 'disputed') ORDER BY l.at, d.id";
        self.all("list who is to leave", sql, [], |row| {
            Ok(Leave {
                person: DocId::from_bytes(row.get(0)?),
                one_of_many: row.get(1)?,
                at: Timestamp::from_millis(row.get(2)?),
            })
        })
    }

    /// Whom a child keeps although she was to leave it, with the child's slug.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn kept_by_children(&self) -> Result<Vec<(DocId, String)>, StoreError> {
        let sql = "SELECT d.doc_id, c.slug FROM leaving l JOIN document d ON d.id = l.document
                   JOIN chapter c ON c.scope = l.scope JOIN scope s ON s.id = l.scope
                   WHERE s.role = 'chapter' AND l.step = 'disputed' ORDER BY d.id";
        self.all("list who is kept", sql, [], |row| Ok((DocId::from_bytes(row.get(0)?), row.get(1)?)))
    }

    /// Who went from here, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn stubs(&self, limit: usize) -> Result<Vec<Stub>, StoreError> {
        let sql = "SELECT d.doc_id, s.at, s.reason FROM stub s JOIN document d ON d.id = s.document
                   WHERE d.state = 'gone' ORDER BY s.at DESC LIMIT ?";
        self.all("list who went", sql, params![limit as i64], |row| {
            Ok(Stub {
                person: DocId::from_bytes(row.get(0)?),
                at: Timestamp::from_millis(row.get(1)?),
                reason: row.get(2)?,
            })
        })
    }
}

impl Tx<'_> {
    /// The parent's side: a document leaves a child's scope, and its nodes are told.
    pub(crate) fn leave_scope(
        &self,
        scope: i64,
        row: &DocumentRow,
        id: DocId,
        epoch: i64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_assignment(scope, row, id, epoch, None)?;
        let seq = self.feed(scope, row.id, "leave", epoch, None)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM link WHERE scope = ? AND direction = 'down' AND state != 'revoked' AND state != 'left')";
        if self.number("look for nodes", sql, params![scope])? > 0 {
            self.put_leaving(scope, row.id, epoch, seq, at, "going")?;
        }
        Ok(())
    }

    /// Whether a link may still write what its scope no longer holds: until its receipt, and at most for 30 days.
    pub(crate) fn may_write_late(&self, source: &Source<'_>, document: i64) -> Result<bool, StoreError> {
        // Whoever writes is there to hear of it: one that never says that it has heard does not write for ever.
        let sql = "UPDATE leaving SET told = ? WHERE scope = ? AND document = ? AND told IS NULL";
        self.run("note who was told", sql, params![source.at.as_millis(), source.scope_row, document])?;
        let sql = "SELECT EXISTS (SELECT 1 FROM leaving l WHERE l.scope = ?1 AND l.document = ?2 AND l.told > ?3
                     AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.document = l.document AND r.link = ?4
                                     AND r.what = 'left' AND r.epoch = l.epoch))";
        let row = params![source.scope_row, document, source.at.as_millis() - LATE_CHANGES_MS, source.link.id.0];
        Ok(self.number("look for a leave", sql, row)? > 0)
    }

    /// What leaves a child's scope stays there, read-only, until another one has it. One without a node is not waited for:
    /// it is safe at this node, which gives it to the first that joins.
    pub(crate) fn wait_for(&self, scope: i64, document: i64, taker: i64, seq: i64) -> Result<(), StoreError> {
        let sql = "UPDATE leaving SET taker = ?1, taker_seq = ?2 WHERE scope = ?3 AND document = ?4
                   AND EXISTS (SELECT 1 FROM link WHERE scope = ?1 AND direction = 'down' AND state != 'revoked' AND state != 'left')";
        self.run("wait for where it goes", sql, params![taker, seq, scope, document]).map(drop)
    }

    /// A child has committed our feed of its scope up to a row: who waited for that may go on.
    pub(crate) fn arrived(&self, scope: i64, seq: u64, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE leaving SET told = ? WHERE scope = ? AND told IS NULL AND seq <= ?";
        self.run("note who was told", sql, params![at.as_millis(), scope, seq])?;
        let sql = "UPDATE leaving SET taker = NULL, taker_seq = NULL WHERE taker = ? AND taker_seq <= ?
                   RETURNING scope, document, epoch";
        self.safe_now(sql, params![scope, seq])
    }

    /// Runs what notes that documents are safe where they go, and tells who waited for that.
    fn safe_now(&self, sql: &'static str, row: impl Params) -> Result<(), StoreError> {
        let come = self.all("note what has come", sql, row, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        for (from, document, epoch) in come {
            self.feed(from, document, "leave", epoch, None)?;
        }
        Ok(())
    }

    /// What waits for the word of nodes that were revoked since, or have left, goes on without them. To be called now and
    /// then.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn end_waits(&self, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE leaving SET taker = NULL, taker_seq = NULL
                   WHERE taker IN (SELECT s.id FROM scope s WHERE s.role = 'chapter' AND NOT EXISTS
                     (SELECT 1 FROM link n WHERE n.scope = s.id AND n.direction = 'down' AND n.state != 'revoked' AND n.state != 'left'))
                   RETURNING scope, document, epoch";
        self.safe_now(sql, [])?;
        let sql = "DELETE FROM leaving WHERE scope IN (SELECT id FROM scope WHERE role = 'chapter') AND NOT EXISTS
                     (SELECT 1 FROM link n WHERE n.scope = leaving.scope AND n.direction = 'down' AND n.state != 'revoked' AND n.state != 'left'
                      AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.link = n.id AND r.document = leaving.document
                                      AND r.what = 'left' AND r.epoch = leaving.epoch))
                   RETURNING document";
        for document in self.all("note what has left", sql, [], |row| row.get(0))? {
            self.go_on_letting_go(document)?;
        }
        self.let_go(at)?;
        self.give_due_receipts(at)
    }

    /// What was kept here for a child's sake goes once every child has let go; `let_go` looks again.
    fn go_on_letting_go(&self, document: i64) -> Result<(), StoreError> {
        let sql = "UPDATE leaving SET step = 'going' WHERE document = ?1 AND step = 'disputed'
                   AND scope IN (SELECT id FROM scope WHERE role = 'own')
                   AND NOT EXISTS (SELECT 1 FROM leaving o WHERE o.document = ?1 AND o.scope != leaving.scope)";
        self.run("go on letting go", sql, params![document]).map(drop)
    }

    /// The scope no longer holds it, in row and sum.
    pub(crate) fn end_assignment(
        &self,
        scope: i64,
        row: &DocumentRow,
        id: DocId,
        epoch: i64,
        proof: Option<Proof>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE assign SET state = 'left', epoch = ?, proof = ? WHERE scope = ? AND document = ?";
        self.run("end an assignment", sql, params![epoch, proof, scope, row.id])?;
        if let Some(sum) = self.sum_of(row, id)? {
            self.add_to_sum(scope, ScopeSum::default().minus(sum), -1);
        }
        Ok(())
    }

    /// The parent's side: a document comes into a child's scope, and its nodes are told: by this row.
    pub(crate) fn enter_scope(
        &self,
        scope: i64,
        row: &DocumentRow,
        id: DocId,
        place: Place,
    ) -> Result<i64, StoreError> {
        self.begin_assignment(scope, row, id, place)?;
        self.feed(scope, row.id, "enter", place.epoch, None)
    }

    /// The scope holds it, in row and sum.
    pub(crate) fn begin_assignment(
        &self,
        scope: i64,
        row: &DocumentRow,
        id: DocId,
        place: Place,
    ) -> Result<(), StoreError> {
        let held = self.assignment(scope, row.id)?.is_some_and(|known| known.held);
        self.assign(scope, row.id, place)?;
        self.run("forget a leave", "DELETE FROM leaving WHERE scope = ? AND document = ?", params![scope, row.id])?;
        if let Some(sum) = self.sum_of(row, id)?.filter(|_| !held) {
            self.add_to_sum(scope, sum, 1);
        }
        Ok(())
    }

    pub(crate) fn put_leaving(
        &self,
        scope: i64,
        document: i64,
        epoch: i64,
        seq: i64,
        at: Timestamp,
        step: &str,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO leaving (scope, document, epoch, seq, at, step) VALUES (?, ?, ?, ?, ?, ?)";
        self.run("note a leave", sql, params![scope, document, epoch, seq, at.as_millis(), step]).map(drop)
    }

    /// The child's side: the parent says that a document leaves.
    pub(crate) fn take_leave(
        &self,
        source: &Source<'_>,
        id: DocId,
        (epoch, proof, arrived): (u64, Proof, bool),
    ) -> Result<(), StoreError> {
        let epoch = epoch.cast_signed();
        let Some(row) = self.document(id)?.filter(|row| !matches!(row.state, DocState::Gone | DocState::Erased)) else {
            return self.is_not_here(source, id, epoch);
        };
        if arrived {
            let sql = "UPDATE leaving SET taker = NULL WHERE scope = ? AND document = ? AND epoch <= ?";
            self.run("note what has come", sql, params![source.scope_row, row.id, epoch])?;
        }
        // Equal where the parent was put back to before and counted anew: what it says now stands.
        let known = self.assignment(source.scope_row, row.id)?.filter(|known| known.epoch <= epoch);
        let Some(known) = known else { return self.let_go(source.at) };
        if !known.held {
            if known.epoch < epoch {
                self.left_again(source, row.id, (epoch, proof, arrived))?;
            }
            return self.let_go(source.at);
        }
        let step = self.step_of_leave(&row, known.epoch, source.at)?;
        self.end_assignment(source.scope_row, &row, id, epoch, Some(proof))?;
        if row.kind != Kind::Supporter {
            // A card or settings: nobody's notes hang on it, and nothing of it is this node's.
            self.forget(&row, id, Keep::Nothing)?;
            let sql = "UPDATE document SET state = 'gone' WHERE id = ?";
            return self.run("let a document go", sql, params![row.id]).map(drop);
        }
        let last = self.last_seq(source.scope_row)?;
        self.put_leaving(source.scope_row, row.id, epoch, last, source.at, step)?;
        if !arrived {
            let sql = "UPDATE leaving SET taker = scope WHERE scope = ? AND document = ?";
            self.run("wait for where it goes", sql, params![source.scope_row, row.id])?;
        }
        for scope in self.children_holding(row.id)? {
            self.leave_scope(scope, &row, id, self.next_epoch(row.id)?, source.at)?;
        }
        let sql = "UPDATE document SET state = 'read_only' WHERE id = ? AND state != 'quarantined'";
        self.run("close a document", sql, params![row.id])?;
        self.move_home(row.id)?;
        if step == "disputed" {
            self.give_receipt(row.id, "kept", epoch, None, source.at)?;
        }
        self.let_go(source.at)
    }

    /// It came back and left again while this node was away: the parent waits for its word on the last time.
    fn left_again(
        &self,
        source: &Source<'_>,
        document: i64,
        (epoch, proof, arrived): (i64, Proof, bool),
    ) -> Result<(), StoreError> {
        self.put_left(source.scope_row, document, epoch, Some(proof))?;
        let sql = "UPDATE leaving SET epoch = ?3, taker = CASE WHEN ?4 THEN NULL ELSE scope END
                   WHERE scope = ?1 AND document = ?2 RETURNING step";
        let row = params![source.scope_row, document, epoch, arrived];
        let step = self.one("leave once more", sql, row, |row| row.get::<_, String>(0))?;
        match step.as_deref() {
            Some("disputed") => self.give_receipt(document, "kept", epoch, None, source.at),
            Some(_) | None => Ok(()),
        }
    }

    /// It had left before, was deleted, or never was at this node of the chapter: the parent waits for each node's word.
    fn is_not_here(&self, source: &Source<'_>, id: DocId, epoch: i64) -> Result<(), StoreError> {
        if source.scope_row != source.link.scope_row {
            return Ok(());
        }
        let document = match self.document(id)? {
            None => self.insert_document_row(id, Kind::Supporter, &[], DocState::Gone, Rows::Written)?,
            Some(row) if matches!(row.state, DocState::Gone | DocState::Erased) => row.id,
            Some(_) => return Ok(()),
        };
        let sql = "SELECT count(*) FROM receipt WHERE document = ? AND link IS NULL AND what = 'left' AND epoch = ?";
        match self.number("look for a receipt", sql, params![document, epoch])? {
            0 => self.give_receipt(document, "left", epoch, None, source.at),
            _ => Ok(()),
        }
    }

    pub(crate) fn children_holding(&self, document: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT a.scope FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ? AND a.state = 'held' AND s.role = 'chapter'";
        self.all("find who has it", sql, params![document], |row| row.get(0))
    }

    /// Lets go what may go: it is safe where it goes, the parent has acknowledged everything that was fed of it and was not
    /// put back to before that, and every child has let it go. What a child wrote and what can't be read here, and so was not
    /// fed, keeps it here.
    pub(crate) fn let_go(&self, at: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT l.document, d.doc_id, l.epoch, l.scope,
                     EXISTS (SELECT 1 FROM leaving o WHERE o.document = l.document AND o.scope != l.scope)
                     OR EXISTS (SELECT 1 FROM refused r WHERE r.doc_id = d.doc_id AND r.whose = 'ours')
                     OR EXISTS (SELECT 1 FROM change n WHERE n.document = l.document AND n.id > d.folded AND n.origin != up.id)
                   FROM scope s CROSS JOIN leaving l ON l.scope = s.id JOIN document d ON d.id = l.document
                   JOIN link_scope c ON c.scope = l.scope
                   JOIN link up ON up.id = c.link AND up.direction = 'up' AND up.confirmed = 1
                   WHERE s.role = 'own' AND l.step = 'going' AND l.taker IS NULL AND l.seq <= c.acknowledged
                     AND (d.dirty IS NULL OR d.state = 'quarantined')
                     AND NOT EXISTS (SELECT 1 FROM leaving o WHERE o.document = l.document AND o.scope != l.scope
                                     AND o.step != 'disputed')
                   LIMIT ?";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, DocId::from_bytes(row.get(1)?), row.get(2)?, row.get(3)?, row.get(4)?))
        };
        let going: Vec<(i64, DocId, i64, i64, bool)> =
            self.all("look who may go", sql, params![LET_GO_AT_ONCE as i64], read)?;
        for (document, id, epoch, scope, kept) in going {
            if kept {
                let sql = "UPDATE leaving SET step = 'disputed' WHERE scope = ? AND document = ?";
                self.run("keep what is in dispute", sql, params![scope, document])?;
                self.give_receipt(document, "kept", epoch, None, at)?;
                continue;
            }
            let Some(row) = self.document(id)? else { continue };
            let sql =
                "SELECT CASE WHEN to_slug = '' THEN 'returned' WHEN her_word = 1 THEN 'her_word' ELSE 'transferred' END
                       FROM transfer WHERE document = ? AND given = 1 AND giver IS NOT NULL AND also = 0
                         AND state != 'declined' ORDER BY id DESC LIMIT 1";
            let reason = self.one("look why she goes", sql, params![document], |row| row.get::<_, String>(0))?;
            self.forget(&row, id, Keep::Notes)?;
            let sql = "UPDATE document SET state = 'gone' WHERE id = ?";
            self.run("let a document go", sql, params![document])?;
            let sql = "INSERT OR REPLACE INTO stub (document, at, reason) VALUES (?, ?, ?)";
            let reason = reason.unwrap_or_else(|| "left".to_owned());
            self.run("keep a stub", sql, params![document, at.as_millis(), reason])?;
            self.give_receipt(document, "left", epoch, None, at)?;
        }
        Ok(())
    }

    /// A person of this chapter lets someone go, or keeps her.
    ///
    /// # Errors
    /// When nobody asks for her.
    pub fn answer_leave(&self, person: DocId, goes: bool, at: Timestamp) -> Result<(), StoreError> {
        let document = self.document_row(person)?.ok_or_else(|| StoreError::NotFound(person.to_string()))?;
        let sql = "SELECT l.scope, l.epoch, l.step FROM leaving l JOIN scope s ON s.id = l.scope
                   WHERE l.document = ? AND s.role = 'own' AND (l.step = 'asks' OR l.step = 'disputed')";
        let found = self.one("look for a leave", sql, params![document], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?;
        let (scope, epoch, step) = found.ok_or_else(|| StoreError::Unknown("leave of", person.to_string()))?;
        let next = if goes { "going" } else { "disputed" };
        let sql = "UPDATE leaving SET step = ?, seq = ? WHERE scope = ? AND document = ?";
        self.run("answer a leave", sql, params![next, self.last_seq(scope)?, scope, document])?;
        if !goes && step == "asks" {
            self.give_receipt(document, "kept", epoch, None, at)?;
        }
        self.let_go(at)
    }

    /// Gives this node's word to its parent.
    pub(crate) fn give_receipt(
        &self,
        document: i64,
        what: &str,
        epoch: i64,
        erasure: Option<[u8; 16]>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(own) = self.own_scope()? else { return Ok(()) };
        let sql = "INSERT INTO receipt (document, what, epoch, erasure, at) VALUES (?, ?, ?, ?, ?)";
        let id = self.insert("give a receipt", sql, params![document, what, epoch, erasure, at.as_millis()])?;
        self.feed(self.known_scope(own)?.id, document, "receipt", id, None).map(drop)
    }

    /// A child gives its word.
    pub(crate) fn take_receipt(&self, source: &Source<'_>, id: DocId, receipt: Receipt) -> Result<(), StoreError> {
        let Some(document) = self.document_row(id)? else { return Ok(()) };
        let (what, epoch, erasure) = match receipt {
            Receipt::Left { epoch } => ("left", epoch, None),
            Receipt::Kept { epoch } => ("kept", epoch, None),
            Receipt::Erased { erasure } => ("erased", 0, Some(*erasure.as_bytes())),
        };
        let Ok(epoch) = i64::try_from(epoch) else { return Ok(()) };
        // A word on what is not under way says nothing.
        let sql = "SELECT EXISTS (SELECT 1 FROM leaving WHERE scope = ? AND document = ? AND epoch = ?)";
        let asked = self.number("look for a leave", sql, params![source.scope_row, document, epoch])? > 0;
        if what != "erased" && !asked {
            return Ok(());
        }
        let sql = "INSERT INTO receipt (link, document, what, epoch, erasure, at) SELECT ?1, ?2, ?3, ?4, ?5, ?6
                   WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE link = ?1 AND document = ?2 AND what = ?3 AND epoch = ?4)";
        let link = source.link.id.0;
        self.run("take a receipt", sql, params![link, document, what, epoch, erasure, source.at.as_millis()])?;
        match receipt {
            Receipt::Erased { erasure } => {
                self.was_deleted_there(source, id, document, erasure)?;
                return self.give_erasure_receipt(document, source.at);
            }
            Receipt::Kept { .. } => {
                let sql = "UPDATE leaving SET step = 'disputed' WHERE scope = ? AND document = ? AND epoch = ?";
                self.run("note what is kept", sql, params![source.scope_row, document, epoch])?;
            }
            Receipt::Left { .. } => {
                let sql = "DELETE FROM leaving WHERE scope = ?1 AND document = ?2 AND epoch = ?3 AND NOT EXISTS
                             (SELECT 1 FROM link n WHERE n.scope = ?1 AND n.direction = 'down' AND n.state != 'revoked' AND n.state != 'left'
                              AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.link = n.id AND r.document = ?2
                                              AND r.what = 'left' AND r.epoch = ?3))";
                self.run("note what has left", sql, params![source.scope_row, document, epoch])?;
                self.go_on_letting_go(document)?;
            }
        }
        // What the child wrote up to its receipt has been logged before it: it is fed up before this node lets go.
        if let Some(own) = self.own_scope()? {
            let own = self.known_scope(own)?.id;
            let sql = "UPDATE leaving SET seq = ? WHERE scope = ? AND document = ?";
            self.run("wait for the parent", sql, params![self.last_seq(own)?, own, document])?;
        }
        self.let_go(source.at)
    }
}
