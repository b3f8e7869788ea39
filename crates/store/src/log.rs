//! The first stage of receiving: logging what came, without loading documents.
//!
//! **Invariant:** rows, heads, cursor and the answer are one transaction. What is refused is said, listed and does not
//! stand in the way of the rest.

use engine::{Batch, Content, Cursor, Entry, Position, Refused, RefusedWhy, Saved, ViewRow};
use model::{DocId, Kind, ScopeId, Timestamp};
use record::{Context, Dependency, Inspected, Record, Refusal, Written, inspect};
use rusqlite::params;

use crate::document::{Bytes, Came, DocState, DocumentRow, ORIGIN_UNKNOWN, Rows};
use crate::erase::ErasureRow;
use crate::home::{ELSEWHERE, Place};
use crate::link::{Direction, LinkRow};
use crate::refused::Whose;
use crate::rows::{ScopeRole, join_hashes, split_hashes};
use crate::snapshots::load_sound;
use crate::view::{Shown, View};
use crate::{Read, StoreError, Tx};

/// Why a change to a record whose snapshot can't be read is not taken: the record comes again, and the change with it.
const UNREAD: &str = "the record as it came can't be read here: comparing brings it again";

/// Why an entry is not taken.
pub(crate) struct NotTaken(RefusedWhy, String);

impl NotTaken {
    fn malformed(refusal: &Refusal) -> Self {
        Self(RefusedWhy::Malformed, refusal.to_string())
    }

    pub(crate) fn not_yours(words: &str) -> Self {
        Self(RefusedWhy::NotYours, words.to_owned())
    }
}

/// Taken, or not: the outer error is the database's.
pub(crate) type Taken = Result<Result<(), NotTaken>, StoreError>;

/// A batch that was read as far as that goes without a database.
#[derive(Debug)]
pub struct Examined {
    batch: Batch,
    found: Vec<Found>,
    bytes: usize,
}

/// What an entry brings, read.
#[derive(Debug)]
enum Found {
    Change(Result<Inspected, Refusal>),
    /// The parent's view row, if it is of our version.
    Shown(Option<Box<Shown>>),
    /// Small enough to be read where it is written.
    Other,
}

impl Examined {
    /// Reads entries that came without a place in a feed.
    pub(crate) fn entries(scope: ScopeId, entries: Vec<Entry>) -> Self {
        Self::new(Batch { scope, after: 0, last: Position::START, entries })
    }

    /// Reads what a batch brings: the work that needs no transaction, for any thread.
    pub fn new(batch: Batch) -> Self {
        let shown = |view: &ViewRow| Shown::sent(&view.json).map(Box::new);
        let read = |entry: &Entry| match &entry.content {
            Content::Change { bytes } => Found::Change(inspect(bytes)),
            Content::Enter { kind: Kind::Supporter, view: Some(view), .. } if view.version == model::VIEW_VERSION => {
                Found::Shown(shown(view))
            }
            Content::Enter { .. } => Found::Shown(None),
            Content::Propose { .. }
            | Content::Leave { .. }
            | Content::Erase { .. }
            | Content::Receipt(_)
            | Content::Transfer(_) => Found::Other,
        };
        let found = batch.entries.iter().map(read).collect();
        Self { bytes: batch.bytes(), batch, found }
    }

    /// What the batch weighs in a window, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Source<'_> {
    const fn came(&self) -> Came {
        if self.asked_for { Came::Found(Some(self.link.id.0)) } else { Came::Over(self.link.id.0) }
    }
}

/// Where entries come from.
pub(crate) struct Source<'a> {
    pub(crate) link: &'a LinkRow,
    scope: ScopeId,
    pub(crate) scope_row: i64,
    /// Whether what enters this scope has its home here. A hub under a hub looks whether a chapter of its own has her.
    at_home: bool,
    /// Whether it was asked for in a comparison: who wrote it may be anybody, for a node that lost something takes it back
    /// from whoever has it.
    asked_for: bool,
    pub(crate) at: Timestamp,
}

impl Tx<'_> {
    /// Logs a batch of the peer's feed and moves the cursor.
    ///
    /// # Errors
    /// When the database fails; nothing of the batch is kept then.
    pub fn log(&self, link: &LinkRow, examined: &Examined, cursor: Cursor, at: Timestamp) -> Result<Saved, StoreError> {
        let batch = &examined.batch;
        let before = self.local_scope(link.id, batch.scope)?.cursor;
        let follows = before.is_some_and(|c| c.incarnation == cursor.incarnation && batch.after <= c.position.seq);
        if batch.after != 0 && !follows {
            // A batch before this one was not committed: the cursor must not pass over it.
            return Err(StoreError::Refused("rows came without the rows before them".to_owned()));
        }
        let refused = self.log_entries(link, examined, false, at)?;
        self.move_cursor(link, batch.scope, cursor)?;
        self.heard(link.id, at)?;
        self.write_figures()?;
        let (local, entries) = (self.local_scope(link.id, batch.scope)?, batch.entries.len());
        Ok(Saved { local, seq: cursor.position.seq, entries, refused })
    }

    /// Goes on reading the peer's feed from there.
    pub(crate) fn move_cursor(&self, link: &LinkRow, scope: ScopeId, cursor: Cursor) -> Result<(), StoreError> {
        let scope = self.known_scope(scope)?.id;
        let sql = "INSERT INTO link_scope (link, scope, incarnation, seq, hash) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET incarnation = ?3, seq = ?4, hash = ?5";
        let position = cursor.position;
        let row = params![link.id.0, scope, cursor.incarnation.as_bytes(), position.seq, position.hash.0];
        self.run("move a cursor", sql, row).map(drop)
    }

    /// Logs entries; gives what was not taken.
    pub(crate) fn log_entries(
        &self,
        link: &LinkRow,
        examined: &Examined,
        asked_for: bool,
        at: Timestamp,
    ) -> Result<Vec<Refused>, StoreError> {
        let Examined { batch, found, .. } = examined;
        let scope = self.known_scope(batch.scope)?;
        let at_home = scope.role == ScopeRole::Own && self.node()?.kind == crate::NodeKind::Chapter;
        let source = Source { link, scope: batch.scope, scope_row: scope.id, at_home, asked_for, at };
        let mut refused = Vec::new();
        for (entry, found) in batch.entries.iter().zip(found) {
            if let Err(NotTaken(why, words)) = self.take(&source, entry, found)? {
                let refusal = Refused { seq: entry.seq, document: entry.document, why, words };
                self.note_refused(link, scope.id, &refusal, Whose::Theirs, at)?;
                refused.push(refusal);
            }
        }
        if !refused.is_empty() {
            self.bound_refused(link)?;
            self.audit_attempts(link, &refused, at)?;
        }
        Ok(refused)
    }

    /// What a peer may not write stands in the audit log. What follows something that is not here is no attempt: it is what
    /// is left of a restore.
    fn audit_attempts(&self, link: &LinkRow, refused: &[Refused], at: Timestamp) -> Result<(), StoreError> {
        let attempts = || refused.iter().filter(|refused| refused.why != RefusedWhy::Missing);
        let Some(first) = attempts().next() else { return Ok(()) };
        let words = if first.why == RefusedWhy::NotYours { "not its own" } else { "malformed" };
        self.audit_refused(link, words, (attempts().count() as u64, Some(first.document)), at)
    }

    fn take(&self, source: &Source<'_>, entry: &Entry, found: &Found) -> Taken {
        match (&entry.content, found, source.link.direction) {
            (Content::Change { bytes }, Found::Change(inspected), _) => match inspected {
                Ok(inspected) => self.take_change(source, entry.document, inspected, bytes),
                Err(refusal) => Ok(Err(NotTaken::malformed(refusal))),
            },
            (Content::Enter { kind, epoch, snapshot, heads, proof, guest, .. }, Found::Shown(shown), Direction::Up) => {
                let place = Place { epoch: epoch.cast_signed(), guest: *guest, proof: Some(*proof) };
                let entering = Entering { id: entry.document, kind: *kind, place, snapshot, heads };
                self.take_enter(source, &entering, shown.as_deref())
            }
            (Content::Propose { .. }, _, Direction::Up) => self.take_proposal(entry),
            (Content::Leave { epoch, proof, arrived }, _, Direction::Up) => {
                self.take_leave(source, entry.document, (*epoch, *proof, *arrived)).map(Ok)
            }
            (Content::Erase { erasure, at, proof, above }, _, Direction::Up) => {
                let ledger = ErasureRow { erasure: *erasure, at: *at, proof: Some(*proof), above: *above };
                self.take_erase(source, entry.document, ledger).map(Ok)
            }
            (Content::Receipt(receipt), _, Direction::Down) => {
                self.take_receipt(source, entry.document, *receipt).map(Ok)
            }
            // Who comes to a scope is given to whoever reads it: nobody goes into the network's.
            (Content::Transfer(said), _, _) if source.scope_row == source.link.scope_row => {
                self.take_transfer(source, entry.document, said)
            }
            _ => Ok(Err(NotTaken::not_yours("this flows in the other direction, or in another scope"))),
        }
    }

    fn take_change(&self, source: &Source<'_>, id: DocId, inspected: &Inspected, bytes: &[u8]) -> Taken {
        let row = match self.document(id)? {
            None => None,
            Some(row) if row.state == DocState::Erased => return Ok(Err(NotTaken::not_yours("the record was erased"))),
            Some(row) if row.state == DocState::Gone => return self.take_gone(source, &row, id, inspected, bytes),
            // A head is known without any row; anything else needs the rows of a document that came as a snapshot.
            Some(row) if row.heads.contains(&inspected.hash) => {
                return self.known_to_bringer(source, &row, id, inspected).map(Ok);
            }
            Some(row) if !row.indexed => match self.indexed(&row, id, source.at)? {
                Some(row) => Some(row),
                None => return Ok(Err(NotTaken(RefusedWhy::Missing, UNREAD.to_owned()))),
            },
            Some(row) => Some(row),
        };
        let Some(row) = row else { return self.take_new(source, id, inspected, bytes) };
        if self.has_change(row.id, inspected)? {
            return self.known_to_bringer(source, &row, id, inspected).map(Ok);
        }
        if !self.may_write(source, id, row.id)? {
            return Ok(Err(NotTaken::not_yours("the record is not in the scope of this link")));
        }
        let Some(dependencies) = self.dependencies(row.id, inspected)? else {
            return Ok(Err(NotTaken(RefusedWhy::Missing, "it follows changes that are not here".to_owned())));
        };
        if let Err(refusal) = self.check_actor(source, inspected)? {
            return Ok(Err(NotTaken::malformed(&refusal)));
        }
        let context = Context {
            document: id,
            exists: true,
            dependencies,
            actor_seq: self.actor_seq(row.id, inspected)?,
            others_known: self.others_known(row.id, inspected)?,
        };
        if let Err(refusal) = inspected.check(&context) {
            return Ok(Err(NotTaken::malformed(&refusal)));
        }
        let mut heads = row.heads.clone();
        heads.retain(|head| !inspected.deps.contains(head));
        heads.push(inspected.hash);
        let change =
            self.insert_change(row.id, inspected.actor, &as_written(inspected, bytes), source.came(), Bytes::Keep)?;
        let sql = "UPDATE document SET heads = ?, dirty = ? WHERE id = ?";
        self.run("log a change", sql, params![join_hashes(&heads), change, row.id])?;
        Ok(Ok(()))
    }

    /// Whether this link may write the document: it is in the scope, and in the network's it is the chapter's own card.
    fn may_write(&self, source: &Source<'_>, id: DocId, document: i64) -> Result<bool, StoreError> {
        if !self.held_in(document)?.contains(&source.scope_row) {
            return self.may_write_late(source, document);
        }
        if source.scope != ScopeId::NETWORK || source.link.direction == Direction::Up {
            return Ok(true);
        }
        let sql = "SELECT count(*) FROM chapter WHERE scope = ? AND card = ?";
        Ok(self.number("look for a card", sql, params![source.link.scope_row, id.as_bytes()])? > 0)
    }

    /// A change that is here already. A child that brings the first change of somebody in a comparison has had her: this node
    /// was put back to before it knew that, and heard of her from elsewhere since. Where another child holds her, it is told
    /// that she left.
    fn known_to_bringer(
        &self,
        source: &Source<'_>,
        row: &DocumentRow,
        id: DocId,
        inspected: &Inspected,
    ) -> Result<(), StoreError> {
        let brings = source.asked_for && source.link.direction == Direction::Down && inspected.deps.is_empty();
        let hers = source.scope_row == source.link.scope_row && row.kind == Kind::Supporter;
        if !brings || !hers || self.assignment(source.scope_row, row.id)?.is_some() {
            return Ok(());
        }
        if !self.children_holding(row.id)?.is_empty() {
            return self.say_it_left(source.scope_row, row.id, source.at);
        }
        if row.state != DocState::Live {
            return Ok(());
        }
        self.begin_assignment(source.scope_row, row, id, Place::home(self.next_epoch(row.id)?))?;
        self.move_home(row.id)
    }

    /// A change of a document that has left. The parent's feed may still bring what it brought before that. A child may
    /// bring back what this node only has a place for, because it heard of it from elsewhere.
    fn take_gone(
        &self,
        source: &Source<'_>,
        row: &DocumentRow,
        id: DocId,
        inspected: &Inspected,
        bytes: &[u8],
    ) -> Taken {
        if source.link.direction == Direction::Down && self.assignment(source.scope_row, row.id)?.is_none() {
            return self.take_new(source, id, inspected, bytes);
        }
        Ok(Ok(()))
    }

    /// The first change of a document that is not here: what a child creates is assigned to its scope on arrival.
    fn take_new(&self, source: &Source<'_>, id: DocId, inspected: &Inspected, bytes: &[u8]) -> Taken {
        let link = source.link;
        if !inspected.deps.is_empty() {
            return Ok(Err(NotTaken(RefusedWhy::Missing, "it follows changes that are not here".to_owned())));
        }
        let context =
            Context { document: id, exists: false, dependencies: Vec::new(), actor_seq: 0, others_known: true };
        if let Err(refusal) = inspected.check(&context) {
            return Ok(Err(NotTaken::malformed(&refusal)));
        }
        let kind = inspected.kind.as_deref().map_or(Some(Kind::Supporter), Kind::from_word);
        let allowed = match (link.direction, kind) {
            (Direction::Up, Some(_)) => true,
            // A chapter's people and actions are in its own scope.
            (Direction::Down, Some(Kind::Supporter | Kind::Action)) => source.scope != ScopeId::NETWORK,
            (Direction::Down, Some(Kind::NetworkSettings | Kind::ChapterCard)) | (_, None) => false,
        };
        let Some(kind) = kind.filter(|_| allowed) else {
            return Ok(Err(NotTaken::not_yours("a document of this kind can't be made over this link")));
        };
        if let Err(refusal) = self.check_actor(source, inspected)? {
            return Ok(Err(NotTaken::malformed(&refusal)));
        }
        let document = self.place_for(id, kind, &[inspected.hash], Rows::Written)?;
        let change =
            self.insert_change(document, inspected.actor, &as_written(inspected, bytes), source.came(), Bytes::Keep)?;
        self.run("log a change", "UPDATE document SET dirty = ? WHERE id = ?", params![change, document])?;
        let (place, held) = self.claimed_place(source.scope_row, id)?.unwrap_or((Place::home(1), true));
        if held {
            self.assign(source.scope_row, document, place)?;
        } else {
            let proof = self.proof_key()?.left(id, source.scope, place.epoch.unsigned_abs());
            self.put_left(source.scope_row, document, place.epoch, Some(proof))?;
            self.still_there(source.scope_row, document, place.epoch, source.at)?;
        }
        if let (Direction::Down, Some(own)) = (link.direction, self.own_scope()?) {
            self.assign(self.known_scope(own)?.id, document, Place::home(1))?;
        }
        if kind == Kind::NetworkSettings {
            self.take_settings(source, id)?;
        }
        Ok(Ok(()))
    }

    /// The network's settings have come from the parent. A hub passes them on to its own children, in place of its own.
    fn take_settings(&self, source: &Source<'_>, id: DocId) -> Result<(), StoreError> {
        let before = self.one("read the settings' name", "SELECT settings FROM node", [], |row| row.get(0))?.flatten();
        self.set_settings(id)?;
        if source.scope != ScopeId::ABOVE {
            return Ok(());
        }
        let network = self.known_scope(ScopeId::NETWORK)?.id;
        if let Some(before) = before.map(DocId::from_bytes).filter(|before| *before != id)
            && let Some(row) = self.document(before)?
        {
            self.leave_scope(network, &row, before, self.next_epoch(row.id)?, source.at)?;
        }
        let row = self.document(id)?.ok_or(StoreError::NoDocument(id))?;
        self.enter_scope(network, &row, id, Place::home(1)).map(drop)
    }

    /// `shown` is the parent's view row.
    fn take_enter(&self, source: &Source<'_>, entering: &Entering<'_>, shown: Option<&Shown>) -> Taken {
        if entering.snapshot.len() > record::SAVED_BYTES_MAX {
            return Ok(Err(NotTaken(RefusedWhy::Malformed, "the record is over the size limit".to_owned())));
        }
        let known_row = self.document(entering.id)?;
        if let Some(row) = &known_row {
            let known = self.assignment(source.scope_row, row.id)?;
            if known.is_some_and(|known| entering.place.epoch < known.epoch) {
                // The parent has forgotten a newer assignment: comparing reminds it.
                return Ok(Ok(()));
            }
            match row.state {
                DocState::Erased => return Ok(Err(NotTaken::not_yours("the record was erased"))),
                DocState::Gone => {}
                DocState::Live | DocState::Kept | DocState::ReadOnly | DocState::Quarantined => {
                    return self.enter_known(source, entering, row);
                }
            }
        }
        // The parent's view row serves lists at once; without one of our version the document is read here.
        let read = match shown {
            Some(_) => None,
            None => match Record::load(entering.snapshot) {
                Ok(record) => Some(View::of(&record, entering.kind, &self.settings()?.ladder)),
                Err(error) => return Ok(Err(NotTaken(RefusedWhy::Malformed, error.to_string()))),
            },
        };
        let (id, heads, scope) = (entering.id, entering.heads, source.scope_row);
        let place = entering.place;
        let document = if known_row.is_none() {
            let document = self.insert_document_row(id, entering.kind, heads, DocState::Live, Rows::Later)?;
            self.assign_new(scope, document, id, heads, place)?;
            document
        } else {
            let document = self.place_for(id, entering.kind, heads, Rows::Later)?;
            self.assign(scope, document, place)?;
            self.add_to_sum(scope, model::ScopeSum::of(id, heads), 1);
            document
        };
        self.insert_snapshot(document, heads, entering.snapshot)?;
        if entering.kind == Kind::NetworkSettings {
            self.take_settings(source, entering.id)?;
        }
        let home = match (source.at_home, place.guest) {
            (true, false) => Some(source.scope_row),
            (true, true) => Some(ELSEWHERE),
            (false, _) => self.home_of(document)?,
        };
        if let Some(shown) = shown {
            self.put_row(document, shown, None, home)?;
        }
        read.map_or(Ok(()), |view| self.put_new_view(document, &view, home)).map(Ok)
    }

    /// The row of a document that comes: a new one, or the one that stayed when it left.
    fn place_for(&self, id: DocId, kind: Kind, heads: &[model::Digest], rows: Rows) -> Result<i64, StoreError> {
        let Some(known) = self.document_row(id)? else {
            return self.insert_document_row(id, kind, heads, DocState::Live, rows);
        };
        let sql = "UPDATE document SET kind = ?, heads = ?, state = 'live', indexed = ? WHERE id = ?";
        self.run("store a document", sql, params![kind.word(), join_hashes(heads), rows == Rows::Written, known])?;
        self.run("forget a stub", "DELETE FROM stub WHERE document = ?", params![known])?;
        Ok(known)
    }

    /// A document that is here already: its assignment is renewed, and changes that are new are logged one by one.
    fn enter_known(&self, source: &Source<'_>, entering: &Entering<'_>, row: &DocumentRow) -> Taken {
        let scope_row = source.scope_row;
        if row.state == DocState::Quarantined && !row.indexed {
            return self.enter_unread(source, entering, row);
        }
        let before = self.assignment(scope_row, row.id)?.filter(|known| known.held);
        self.begin_assignment(scope_row, row, entering.id, entering.place)?;
        if before.is_none() {
            let sql = "UPDATE document SET state = 'live' WHERE id = ? AND state = 'read_only'";
            self.run("open a document", sql, params![row.id])?;
        }
        if before.is_none_or(|before| before.guest != entering.place.guest) {
            self.move_home(row.id)?;
        }
        if entering.heads.iter().all(|head| row.heads.contains(head)) {
            return Ok(Ok(()));
        }
        let record = match Record::load(entering.snapshot) {
            Ok(record) => record,
            Err(error) => return Ok(Err(NotTaken(RefusedWhy::Malformed, error.to_string()))),
        };
        for (_, written) in record.changes() {
            let taken = match inspect(&written.bytes) {
                Ok(inspected) => self.take_change(source, entering.id, &inspected, &written.bytes)?,
                Err(refusal) => Err(NotTaken::malformed(&refusal)),
            };
            if taken.is_err() {
                return Ok(taken);
            }
        }
        Ok(Ok(()))
    }

    /// A document that came as a snapshot and can't be read comes again: whole, it takes that one's place. Nothing was
    /// written to it here, for that begins with reading it.
    fn enter_unread(&self, source: &Source<'_>, entering: &Entering<'_>, row: &DocumentRow) -> Taken {
        let record = match load_sound(entering.snapshot, entering.id, entering.heads) {
            Ok(record) => record,
            Err(words) => return Ok(Err(NotTaken(RefusedWhy::Malformed, words))),
        };
        self.begin_assignment(source.scope_row, row, entering.id, entering.place)?;
        let sql = "UPDATE document SET heads = ? WHERE id = ?";
        self.run("store a document", sql, params![join_hashes(entering.heads), row.id])?;
        self.put_snapshot(row.id, entering.heads, entering.snapshot)?;
        self.release(row.id, entering.id, entering.heads)?;
        self.put_view(row.id, &View::of(&record, row.kind, &self.settings()?.ladder))?;
        Ok(Ok(()))
    }

    fn take_proposal(&self, entry: &Entry) -> Taken {
        let Content::Propose { proposal, sign_up, key, value, at } = &entry.content else { return Ok(Ok(())) };
        let Some(row) = self.document(entry.document)? else {
            return Ok(Err(NotTaken::not_yours("the proposal is for somebody who is not here")));
        };
        if matches!(row.state, DocState::Gone | DocState::Erased) {
            return Ok(Ok(()));
        }
        self.put_proposal(row.id, *proposal, *sign_up, key, value.expose(), *at)?;
        Ok(Ok(()))
    }
}

/// A document that comes in as a snapshot.
struct Entering<'a> {
    id: DocId,
    kind: Kind,
    place: Place,
    snapshot: &'a [u8],
    heads: &'a [model::Digest],
}

fn as_written(inspected: &Inspected, bytes: &[u8]) -> Written {
    Written {
        hash: inspected.hash,
        bytes: bytes.to_vec(),
        seq: inspected.seq,
        max_op: inspected.max_op,
        deps: inspected.deps.clone(),
    }
}

impl Read<'_> {
    fn has_change(&self, document: i64, inspected: &Inspected) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM change WHERE document = ? AND hash = ?";
        Ok(self.number("look for a change", sql, params![document, inspected.hash.0])? > 0)
    }

    /// Each dependency as the rows have it; `None` if one is not here.
    fn dependencies(&self, document: i64, inspected: &Inspected) -> Result<Option<Vec<Dependency>>, StoreError> {
        let sql = "SELECT max_op FROM change WHERE document = ? AND hash = ?";
        let mut found = Vec::with_capacity(inspected.deps.len());
        for dep in &inspected.deps {
            let max_op = self.one("look for a change", sql, params![document, dep.0], |row| row.get(0))?;
            let Some(max_op) = max_op else { return Ok(None) };
            found.push(Dependency { max_op });
        }
        Ok(Some(found))
    }

    fn actor_seq(&self, document: i64, inspected: &Inspected) -> Result<u64, StoreError> {
        let sql = "SELECT max(c.seq) FROM change c JOIN actor a ON a.id = c.actor WHERE c.document = ? AND a.actor = ?";
        let found = self.one("read an actor's last change", sql, params![document, inspected.actor], |row| {
            row.get::<_, Option<u64>>(0)
        })?;
        Ok(found.flatten().unwrap_or(0))
    }

    fn others_known(&self, document: i64, inspected: &Inspected) -> Result<bool, StoreError> {
        let sql =
            "SELECT count(*) FROM change c JOIN actor a ON a.id = c.actor WHERE c.document = ? AND a.actor = ? LIMIT 1";
        for other in &inspected.other_actors {
            if self.number("look for an actor", sql, params![document, other])? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An actor belongs to the link over which it first came: a child can't write as someone else. The parent passes on
    /// the changes of everyone.
    fn check_actor(&self, source: &Source<'_>, inspected: &Inspected) -> Result<Result<(), Refusal>, StoreError> {
        if source.link.direction == Direction::Up || source.asked_for {
            return Ok(Ok(()));
        }
        let sql = "SELECT origin FROM actor WHERE actor = ?";
        let origin = self.one("find an actor", sql, params![inspected.actor], |row| row.get::<_, Option<i64>>(0))?;
        let mine = match origin {
            None => true,
            Some(Some(ORIGIN_UNKNOWN)) => self.writes_in(inspected.actor, source.link.scope_row)?,
            Some(origin) => origin == Some(source.link.id.0),
        };
        Ok(if mine { Ok(()) } else { Err(Refusal::ForeignActor) })
    }

    /// Whether an actor has written in a document of this scope: so one chapter can't claim the actor of another.
    fn writes_in(&self, actor: model::ActorId, scope: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM change c JOIN assign a ON a.document = c.document AND a.scope = ?2
                   WHERE c.actor = (SELECT id FROM actor WHERE actor = ?1) AND a.state = 'held')";
        Ok(self.number("look for an actor", sql, params![actor, scope])? > 0)
    }

    /// The heads of a document as they are logged.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn heads(&self, document: DocId) -> Result<Option<Vec<model::Digest>>, StoreError> {
        let sql = "SELECT heads FROM document WHERE doc_id = ?";
        self.one("read heads", sql, params![document.as_bytes()], |row| Ok(split_hashes(row.get_ref(0)?.as_blob()?)))
    }
}
