//! Documents: making one, loading one, committing an edit.
//!
//! **Invariant:** an edit is committed only on the heads and the state that it was made on.

use model::{ActorId, Digest, DocId, Kind, Ladder, ScopeId, ScopeSum};
use record::{Record, Written};
use rusqlite::params;

use crate::home::Place;
use crate::membership::FROZEN;
use crate::rows::{ScopeRole, join_hashes, split_hashes};
use crate::view::View;
use crate::{Read, StoreError, Tx};

/// The most bytes of one record's changes that are folded together: eight times the largest record, which is more than all
/// that was ever written to an honest one. Whoever logs more than that at once would have this node hold all of it.
const PENDING_BYTES_MAX: u64 = 8 * record::SAVED_BYTES_MAX as u64;

/// What may be done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocState {
    /// Shared and written.
    Live,
    /// Not shared (yet): in no feed.
    Kept,
    /// Shown, not written.
    ReadOnly,
    /// A change could not be folded: the last good view is shown.
    Quarantined,
    /// It has left this node: there are notes and a stub at most.
    Gone,
    /// It was deleted everywhere.
    Erased,
}

impl DocState {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Kept => "kept",
            Self::ReadOnly => "read_only",
            Self::Quarantined => "quarantined",
            Self::Gone => "gone",
            Self::Erased => "erased",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "live" => Self::Live,
            "kept" => Self::Kept,
            "read_only" => Self::ReadOnly,
            "gone" => Self::Gone,
            "erased" => Self::Erased,
            _ => Self::Quarantined,
        }
    }

    const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Live | Self::Kept => None,
            Self::ReadOnly => Some("it is read-only here"),
            Self::Quarantined => Some("a change to it could not be read"),
            Self::Gone => Some("it has left"),
            Self::Erased => Some("it was erased"),
        }
    }
}

/// What an edit was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The heads, sorted.
    pub heads: Vec<Digest>,
    /// The state.
    pub state: DocState,
}

/// A document in memory, with everything that is logged.
#[derive(Debug)]
pub struct Loaded {
    /// Its id.
    pub id: DocId,
    /// Its kind.
    pub kind: Kind,
    /// What it stands on.
    pub base: Base,
    /// The document.
    pub record: Record,
    indexed: bool,
}

/// A document that was made here.
#[derive(Debug)]
pub struct NewDocument {
    /// Its id.
    pub id: DocId,
    kind: Kind,
    actor: ActorId,
    written: Written,
    /// What follows the first change, in order.
    rest: Vec<Written>,
    saved: Vec<u8>,
    view: View,
}

impl NewDocument {
    /// Prepares a new document: the work that needs no transaction.
    pub fn new(id: DocId, kind: Kind, record: &Record, written: Written, actor: ActorId, ladder: &Ladder) -> Self {
        Self { id, kind, actor, written, rest: Vec::new(), saved: record.save(), view: View::of(record, kind, ladder) }
    }

    /// With the changes that follow the first one, where a document was made in several.
    #[must_use]
    pub fn followed_by(self, rest: Vec<Written>) -> Self {
        Self { rest, ..self }
    }
}

/// An edit that waits for its commit.
#[derive(Debug)]
pub struct Edited {
    pub(crate) id: DocId,
    pub(crate) base: Base,
    pub(crate) actor: ActorId,
    pub(crate) written: Written,
    heads: Vec<Digest>,
    saved: Vec<u8>,
    pub(crate) view: View,
    /// Every other change, where the rows do not have them yet.
    pub(crate) history: Vec<(ActorId, Written)>,
}

impl Edited {
    /// Prepares an edit of a loaded document: the work that needs no transaction.
    pub fn new(loaded: Loaded, written: Written, actor: ActorId, ladder: &Ladder) -> Self {
        let Loaded { id, kind, base, record, indexed } = loaded;
        let history = if indexed { Vec::new() } else { record.changes() };
        let view = View::of(&record, kind, ladder);
        let history = history.into_iter().filter(|(_, other)| other.hash != written.hash).collect();
        Self { id, base, actor, heads: record.heads(), saved: record.save(), view, history, written }
    }
}

/// A snapshot: its heads and its bytes.
pub(crate) type Snapshot = (Vec<Digest>, Vec<u8>);

/// A row of `document`.
#[derive(Clone, Debug)]
pub(crate) struct DocumentRow {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) heads: Vec<Digest>,
    pub(crate) dirty: Option<i64>,
    pub(crate) folded: i64,
    pub(crate) state: DocState,
    pub(crate) indexed: bool,
}

impl Read<'_> {
    pub(crate) fn document(&self, document: DocId) -> Result<Option<DocumentRow>, StoreError> {
        let sql = "SELECT id, kind, heads, dirty, folded, state, indexed FROM document WHERE doc_id = ?";
        self.one("read a document's row", sql, params![document.as_bytes()], |row| {
            Ok(DocumentRow {
                id: row.get(0)?,
                kind: Kind::from_word(row.get_ref(1)?.as_str()?).unwrap_or(Kind::Supporter),
                heads: split_hashes(row.get_ref(2)?.as_blob()?),
                dirty: row.get(3)?,
                folded: row.get(4)?,
                state: DocState::from_word(row.get_ref(5)?.as_str()?),
                indexed: row.get(6)?,
            })
        })
    }

    pub(crate) fn snapshot(&self, document: i64) -> Result<Option<Snapshot>, StoreError> {
        let sql = "SELECT heads, saved FROM snapshot WHERE document = ?";
        self.one("read a snapshot", sql, params![document], |row| {
            Ok((split_hashes(row.get_ref(0)?.as_blob()?), row.get(1)?))
        })
    }

    /// The bytes of changes that are logged and not folded, in the order in which they came; `None` when they are more than
    /// any record can take.
    pub(crate) fn pending(&self, row: &DocumentRow) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let sql = "SELECT coalesce(sum(length(raw)), 0) FROM change WHERE document = ? AND id > ? AND raw IS NOT NULL";
        if self.number("weigh changes", sql, params![row.id, row.folded])? > PENDING_BYTES_MAX {
            return Ok(None);
        }
        let sql = "SELECT raw FROM change WHERE document = ? AND id > ? AND raw IS NOT NULL ORDER BY id";
        self.all("read changes", sql, params![row.id, row.folded], |row| row.get(0)).map(Some)
    }

    /// A document with everything that is logged; `None` when it is not here (any more).
    ///
    /// # Errors
    /// When it can't be read.
    pub fn load(&self, document: DocId) -> Result<Option<Loaded>, StoreError> {
        let here = |row: &DocumentRow| !matches!(row.state, DocState::Gone | DocState::Erased);
        let Some(row) = self.document(document)?.filter(here) else { return Ok(None) };
        let snapshot = self.snapshot(row.id)?;
        let saved = snapshot.as_ref().map(|(_, saved)| saved.as_slice());
        let whole = row.dirty.is_none() || row.state == DocState::Quarantined;
        let record = if whole {
            let saved = saved.ok_or(StoreError::Corrupt("snapshot"))?;
            Record::load(saved).map_err(|error| StoreError::Record(document, error))?
        } else {
            let unread = || StoreError::NotWritable(document, "a change to it can't be read yet");
            let pending = self.pending(&row)?.ok_or_else(unread)?;
            let folded = record::fold(saved, pending.iter().map(Vec::as_slice), &row.heads);
            folded.map_err(|_| unread())?.0
        };
        let base = Base { heads: row.heads, state: row.state };
        Ok(Some(Loaded { id: document, kind: row.kind, base, record, indexed: row.indexed }))
    }

    pub(crate) fn held_in(&self, document: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT scope FROM assign WHERE document = ? AND state = 'held'";
        self.all("read where a document is", sql, params![document], |row| row.get(0))
    }
}

impl Tx<'_> {
    /// Stores a document that was made here, assigned to these scopes.
    ///
    /// # Errors
    /// When its id is there already.
    pub fn insert_document(&self, new: &NewDocument, scopes: &[ScopeId], state: DocState) -> Result<(), StoreError> {
        let heads = [new.rest.last().unwrap_or(&new.written).hash];
        let document = self.insert_document_row(new.id, new.kind, &heads, state, Rows::Written)?;
        let mut changes = Vec::with_capacity(1 + new.rest.len());
        for written in std::iter::once(&new.written).chain(&new.rest) {
            let change = self.insert_change(document, new.actor, written, Came::Here, Bytes::Keep)?;
            changes.push((change, written.hash));
        }
        let sql = "UPDATE document SET folded = ? WHERE id = ?";
        self.run("mark a fold", sql, params![changes.last().map(|(change, _)| *change), document])?;
        self.insert_snapshot(document, &heads, &new.saved)?;
        let mut home = None;
        for scope in scopes {
            let row = self.known_scope(*scope)?;
            self.assign_new(row.id, document, new.id, &heads, Place::home(1))?;
            match row.role {
                // What goes up is changes; what goes down is a snapshot.
                ScopeRole::Own => {
                    for change in &changes {
                        self.feed_change(row.id, document, *change, None)?;
                    }
                }
                ScopeRole::Network | ScopeRole::Above | ScopeRole::Chapter => {
                    self.feed(row.id, document, "enter", 1, None)?;
                }
            }
            home = home.or((row.role == ScopeRole::Chapter).then_some(row.id));
        }
        let home = if home.is_some() { home } else { self.home_of(document)? };
        self.put_new_view(document, &new.view, home)
    }

    /// Assigns a document that has just been stored, with the sum and count that go with it.
    pub(crate) fn assign_new(
        &self,
        scope: i64,
        document: i64,
        id: DocId,
        heads: &[Digest],
        place: Place,
    ) -> Result<(), StoreError> {
        self.insert_assignment(scope, document, place)?;
        self.add_to_sum(scope, ScopeSum::of(id, heads), 1);
        Ok(())
    }

    pub(crate) fn insert_document_row(
        &self,
        id: DocId,
        kind: Kind,
        heads: &[Digest],
        state: DocState,
        rows: Rows,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO document (doc_id, kind, heads, folded, state, indexed) VALUES (?, ?, ?, 0, ?, ?)";
        let row = params![id.as_bytes(), kind.word(), join_hashes(heads), state.word(), rows == Rows::Written];
        self.insert("store a document", sql, row)
    }

    /// Writes the assignment.
    pub(crate) fn assign(&self, scope: i64, document: i64, place: Place) -> Result<(), StoreError> {
        // Not as an upsert: see `put_row` of the view.
        let sql = "UPDATE assign SET epoch = ?3, state = 'held', guest = ?4, presumed = 0, proof = ?5 WHERE scope = ?1 AND document = ?2";
        let row = params![scope, document, place.epoch, place.guest, place.proof];
        if self.run("assign a document", sql, row)? > 0 {
            Ok(())
        } else {
            self.insert_assignment(scope, document, place)
        }
    }

    fn insert_assignment(&self, scope: i64, document: i64, place: Place) -> Result<(), StoreError> {
        let sql = "INSERT INTO assign (scope, document, epoch, state, guest, proof) VALUES (?, ?, ?, 'held', ?, ?)";
        self.run("assign a document", sql, params![scope, document, place.epoch, place.guest, place.proof]).map(drop)
    }

    /// The number of a document's next assignment by this node: counted over the scopes of all of its children.
    pub(crate) fn next_epoch(&self, document: i64) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(a.epoch), 0) + 1 FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ? AND (s.role = 'chapter' OR s.role = 'network')";
        let next = self.one("count assignments", sql, params![document], |row| row.get(0))?;
        Ok(next.unwrap_or(1))
    }

    /// Commits an edit that was made here.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the document is no longer what the edit was made on.
    pub fn put_edit(&self, edited: &Edited) -> Result<(), StoreError> {
        let row = self.document(edited.id)?.ok_or(StoreError::NoDocument(edited.id))?;
        if let Some(why) = row.state.refusal() {
            return Err(StoreError::NotWritable(edited.id, why));
        }
        if self.is_frozen(row.id)? {
            return Err(StoreError::NotWritable(edited.id, FROZEN));
        }
        if row.heads != edited.base.heads || row.state != edited.base.state {
            return Err(StoreError::Stale(edited.id));
        }
        if edited.saved.len() > record::SAVED_BYTES_MAX / 2 {
            return Err(StoreError::NotWritable(edited.id, "it has grown to its limit"));
        }
        for (actor, written) in &edited.history {
            self.insert_change(row.id, *actor, written, Came::Found(None), Bytes::InSnapshot)?;
        }
        let before = self.snapshot(row.id)?.map(|(heads, _)| heads);
        let change = self.insert_change(row.id, edited.actor, &edited.written, Came::Here, Bytes::Keep)?;
        let sql = "UPDATE document SET heads = ?, dirty = NULL, folded = ?, indexed = 1 WHERE id = ?";
        self.run("mark an edit", sql, params![join_hashes(&edited.heads), change, row.id])?;
        // Changes that were logged and not folded are folded with this edit, and fed on before it.
        self.feed_changes(row.id, row.folded, change)?;
        self.put_snapshot(row.id, &edited.heads, &edited.saved)?;
        self.move_sums(row.id, edited.id, before.as_deref(), &edited.heads)?;
        self.put_view(row.id, &edited.view)
    }

    /// Feeds every change of a document after one row and up to another, in every scope that holds it.
    pub(crate) fn feed_changes(&self, document: i64, after: i64, last: i64) -> Result<(), StoreError> {
        let sql = "SELECT id, hash, origin FROM change
                   WHERE document = ? AND id > ? AND id <= ? AND raw IS NOT NULL ORDER BY id";
        let rows = self.all("read changes", sql, params![document, after, last], |row| {
            Ok(((row.get(0)?, Digest(row.get(1)?)), row.get(2)?))
        })?;
        for scope in self.fed_to(document)? {
            for (change, origin) in &rows {
                let seq = self.feed_change(scope, document, *change, *origin)?;
                let sql = "UPDATE leaving SET seq = ? WHERE scope = ? AND document = ?
                           AND EXISTS (SELECT 1 FROM scope WHERE id = leaving.scope AND role = 'own')";
                self.run("wait for the parent", sql, params![seq, scope, document])?;
            }
        }
        Ok(())
    }

    pub(crate) fn insert_snapshot(&self, document: i64, heads: &[Digest], saved: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO snapshot (document, heads, saved) VALUES (?, ?, ?)";
        self.run("store a snapshot", sql, params![document, join_hashes(heads), saved]).map(drop)
    }

    pub(crate) fn put_snapshot(&self, document: i64, heads: &[Digest], saved: &[u8]) -> Result<(), StoreError> {
        // Not as an upsert: see `put_row` of the view.
        let sql = "UPDATE snapshot SET heads = ?2, saved = ?3 WHERE document = ?1";
        if self.run("store a snapshot", sql, params![document, join_hashes(heads), saved])? > 0 {
            return Ok(());
        }
        self.insert_snapshot(document, heads, saved)
    }

    /// Moves the sums of every scope that holds the document from its heads before to its heads now.
    pub(crate) fn move_sums(
        &self,
        document: i64,
        id: DocId,
        before: Option<&[Digest]>,
        now: &[Digest],
    ) -> Result<(), StoreError> {
        let gone = before.map_or_else(ScopeSum::default, |heads| ScopeSum::of(id, heads));
        let by = ScopeSum::of(id, now).minus(gone);
        for scope in self.held_in(document)? {
            self.add_to_sum(scope, by, i64::from(before.is_none()));
        }
        Ok(())
    }

    pub(crate) fn insert_change(
        &self,
        document: i64,
        actor: ActorId,
        written: &Written,
        came: Came,
        bytes: Bytes,
    ) -> Result<i64, StoreError> {
        let actor = self.actor_row(actor, came)?;
        let raw = match bytes {
            Bytes::Keep => Some(&written.bytes),
            Bytes::InSnapshot => None,
        };
        let deps = join_hashes(&written.deps);
        let sql = "INSERT INTO change (document, hash, actor, seq, max_op, deps, raw, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let row = params![document, written.hash.0, actor, written.seq, written.max_op, deps, raw, came.link()];
        self.insert("store a change", sql, row)
    }

    fn actor_row(&self, actor: ActorId, came: Came) -> Result<i64, StoreError> {
        let sql = "SELECT id, origin FROM actor WHERE actor = ?";
        let known: Option<(i64, Option<i64>)> =
            self.one("find an actor", sql, params![actor], |row| Ok((row.get(0)?, row.get(1)?)))?;
        match (known, came) {
            (Some((id, Some(ORIGIN_UNKNOWN))), Came::Over(link)) => {
                // It was met before its own link had it: now that is known.
                self.run("note where an actor writes", "UPDATE actor SET origin = ? WHERE id = ?", params![link, id])?;
                Ok(id)
            }
            (Some((id, _)), _) => Ok(id),
            (None, came) => {
                let origin = match came {
                    Came::Here => None,
                    Came::Over(link) => Some(link),
                    Came::Found(_) => Some(ORIGIN_UNKNOWN),
                };
                self.insert("store an actor", "INSERT INTO actor (actor, origin) VALUES (?, ?)", params![actor, origin])
            }
        }
    }

    /// Writes the narrow rows of a document that came as a snapshot.
    pub(crate) fn index(&self, row: &DocumentRow, changes: &[(ActorId, Written)]) -> Result<DocumentRow, StoreError> {
        let mut folded = 0;
        for (actor, written) in changes {
            folded = self.insert_change(row.id, *actor, written, Came::Found(None), Bytes::InSnapshot)?;
        }
        self.run(
            "mark a document",
            "UPDATE document SET indexed = 1, folded = ? WHERE id = ?",
            params![folded, row.id],
        )?;
        Ok(DocumentRow { indexed: true, folded, ..row.clone() })
    }

    /// Places a waiting document into a chapter's scope.
    ///
    /// # Errors
    /// When the chapter or the document is not known, the document is in a chapter already, or the chapter left.
    pub fn place(&self, document: DocId, chapter: ScopeId) -> Result<(), StoreError> {
        let row = self.document(document)?.ok_or(StoreError::NoDocument(document))?;
        if self.left_at(chapter)?.is_some() {
            return Err(StoreError::Refused("this chapter left the network: nobody is placed there".to_owned()));
        }
        if self.home_of(row.id)?.is_some() {
            return Err(StoreError::Refused("she is in a chapter already".to_owned()));
        }
        self.snapshot(row.id)?.ok_or(StoreError::Stale(document))?;
        let scope = self.known_scope(chapter)?.id;
        let place = Place { guest: self.is_guest_here(row.id)?, ..Place::home(self.next_epoch(row.id)?) };
        self.enter_scope(scope, &row, document, place)?;
        self.move_home(row.id)?;
        self.feed_proposals(scope, row.id)
    }
}

/// An actor that was met in a snapshot or a comparison: over which link it writes is not known yet. No link has this number.
pub(crate) const ORIGIN_UNKNOWN: i64 = 0;

/// How a change came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was written here.
    Here,
    /// Over this link's feed, from whom wrote it or passes it on.
    Over(i64),
    /// In a snapshot, or over this link in a comparison: who wrote it may be anybody.
    Found(Option<i64>),
}

impl Came {
    const fn link(self) -> Option<i64> {
        match self {
            Self::Here => None,
            Self::Over(link) => Some(link),
            Self::Found(link) => link,
        }
    }
}

/// Whether a document's changes have their narrow rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// They have, or get them in the same transaction.
    Written,
    /// It came as a snapshot: they get them when it is first changed, or read in the background.
    Later,
}

/// Whether a change's bytes are kept in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// They are: it has still to be sent or folded.
    Keep,
    /// They stand in the snapshot.
    InSnapshot,
}
