//! Feeds: a scope's ordered changes, and reading them as batches.
//!
//! **Invariant:** `seq` is dense and given in the writer's transaction. What came over a link is not sent back there.

use engine::{Batch, Content, Cursor, CursorVerdict, Entry, LocalScope, Position, Receipt, ViewRow};
use model::{Digest, DocId, EraseId, EventId, Kind, ProposalId, ScopeId, Timestamp, VIEW_VERSION};
use record::Record;
use rusqlite::params;

use crate::document::DocumentRow;
use crate::erase::ErasureRow;
use crate::error::During as _;
use crate::link::LinkId;
use crate::{ProofKey, Read, StoreError, Tx};

/// A row of `feed`.
struct FeedRow {
    seq: u64,
    document: i64,
    id: DocId,
    kind: String,
    reference: i64,
    origin: Option<i64>,
    mark: Option<i64>,
}

/// To which scope something is sent, and by what it is proved.
pub(crate) struct Sent {
    scope: ScopeId,
    row: i64,
    key: ProofKey,
}

const FEED_ROW: &str = "SELECT f.seq, f.document, f.kind, f.ref, f.origin_link, d.doc_id, f.mark FROM feed f
  CROSS JOIN document d ON d.id = f.document";

impl Tx<'_> {
    /// Appends a row; gives its number.
    pub(crate) fn feed(
        &self,
        scope: i64,
        document: i64,
        kind: &'static str,
        reference: i64,
        origin: Option<i64>,
    ) -> Result<i64, StoreError> {
        let seq = self.next_seq(scope)?;
        let sql = "INSERT INTO feed (scope, seq, document, kind, ref, origin_link) VALUES (?, ?, ?, ?, ?, ?)";
        self.run("feed a row", sql, params![scope, seq, document, kind, reference, origin])?;
        Ok(seq)
    }

    /// Appends a row that brings a change; gives its number.
    pub(crate) fn feed_change(
        &self,
        scope: i64,
        document: i64,
        (change, hash): (i64, Digest),
        origin: Option<i64>,
    ) -> Result<i64, StoreError> {
        let seq = self.next_seq(scope)?;
        let sql =
            "INSERT INTO feed (scope, seq, document, kind, ref, origin_link, mark) VALUES (?, ?, ?, 'change', ?, ?, ?)";
        self.run("feed a change", sql, params![scope, seq, document, change, origin, hash.mark()])?;
        Ok(seq)
    }
}

impl Read<'_> {
    /// The scopes of a link as they stand.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn local_scopes(&self, link: LinkId) -> Result<Vec<LocalScope>, StoreError> {
        let sql =
            "SELECT s.scope FROM scope s JOIN link l ON l.id = ? WHERE s.id = l.scope
             OR s.role = CASE WHEN l.direction = 'up' AND EXISTS (SELECT 1 FROM scope WHERE role = 'above') THEN 'above' ELSE 'network' END";
        let scopes = self.all("read a link's scopes", sql, params![link.0], |row| row.get(0))?;
        scopes.into_iter().map(|scope| self.local_scope(link, ScopeId::from_bytes(scope))).collect()
    }

    /// How far the peer's feed of a scope was read; none: not at all.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn cursor(&self, link: LinkId, scope: ScopeId) -> Result<Option<Cursor>, StoreError> {
        Ok(self.local_scope(link, scope)?.cursor)
    }

    pub(crate) fn local_scope(&self, link: LinkId, scope: ScopeId) -> Result<LocalScope, StoreError> {
        let row = self.known_scope(scope)?;
        let sql = "SELECT incarnation, seq, hash, acknowledged FROM link_scope WHERE link = ? AND scope = ?";
        let known = self.one("read a cursor", sql, params![link.0, row.id], |row| {
            let incarnation: Option<[u8; 16]> = row.get(0)?;
            let position =
                Position { seq: row.get(1)?, hash: Digest(row.get::<_, Option<[u8; 32]>>(2)?.unwrap_or_default()) };
            let cursor = incarnation.map(|life| Cursor { incarnation: model::Incarnation::from_bytes(life), position });
            Ok((cursor, row.get(3)?))
        })?;
        let (cursor, acknowledged) = known.unwrap_or((None, 0));
        let folded = self.number(
            "look for work",
            "SELECT EXISTS (SELECT 1 FROM document WHERE dirty IS NOT NULL AND state NOT IN ('quarantined', 'erased'))",
            [],
        )? == 0;
        let head = self.head(scope)?;
        Ok(LocalScope { scope, head, cursor, acknowledged, sum: row.sum, count: row.count, folded })
    }

    /// Where a scope's feed stands.
    pub(crate) fn head(&self, scope: ScopeId) -> Result<Position, StoreError> {
        let row = self.known_scope(scope)?;
        Ok(self.position(scope, row.id, row.next_seq - 1)?.unwrap_or(Position::START))
    }

    /// The row at a place of a feed with its digest; the start for 0; `None` when it is not there.
    fn position(&self, scope: ScopeId, id: i64, seq: u64) -> Result<Option<Position>, StoreError> {
        if seq == 0 {
            return Ok(Some(Position::START));
        }
        let sql = format!("{FEED_ROW} WHERE f.scope = ? AND f.seq = ?");
        let row = self.one("read a feed row", &sql, params![id, seq], read_feed_row)?;
        Ok(row.map(|row| Position { seq, hash: digest_of(scope, &row) }))
    }

    /// What the peer's cursor into our feed is worth.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn check_cursor(&self, scope: ScopeId, cursor: Option<Cursor>) -> Result<CursorVerdict, StoreError> {
        let row = self.known_scope(scope)?;
        let sql = "SELECT min(seq) FROM feed WHERE scope = ?";
        let first = self.one("read a feed", sql, params![row.id], |row| row.get::<_, Option<u64>>(0))?.flatten();
        let from_start =
            if first.unwrap_or(row.next_seq) == 1 { CursorVerdict::FromStart } else { CursorVerdict::Adrift };
        let Some(cursor) = cursor else { return Ok(from_start) };
        if cursor.incarnation != self.node()?.incarnation {
            return Ok(CursorVerdict::Adrift);
        }
        if cursor.position.seq == 0 {
            return Ok(from_start);
        }
        if cursor.position.seq >= row.next_seq {
            return Ok(CursorVerdict::RolledBack);
        }
        Ok(match self.position(scope, row.id, cursor.position.seq)? {
            Some(position) if position == cursor.position => CursorVerdict::Good(position.seq),
            Some(_) => CursorVerdict::RolledBack,
            None => CursorVerdict::Adrift,
        })
    }

    /// A page of a feed for a link, of about `bytes` bytes. Rows that came over the link are covered, not sent. `None` when
    /// the rows after that one have gone: the peer's cursor is no longer good.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn feed_page(
        &self,
        link: LinkId,
        scope: ScopeId,
        after: u64,
        bytes: usize,
    ) -> Result<Option<Batch>, StoreError> {
        let to = self.sent_to(scope)?;
        let id = to.row;
        let sql = format!("{FEED_ROW} WHERE f.scope = ? AND f.seq > ? ORDER BY f.seq LIMIT ?");
        let step = "read a feed";
        let mut statement = self.0.prepare_cached(&sql).during(step)?;
        let mut rows = statement.query(params![id, after, engine::ENTRIES_MAX as i64]).during(step)?;
        let mut batch =
            Batch { scope, after, last: Position { seq: after, hash: Digest([0; 32]) }, entries: Vec::new() };
        let (mut weight, mut last) = (0, None);
        while let Some(row) = rows.next().during(step)? {
            let row = read_feed_row(row).during(step)?;
            if last.is_none() && row.seq != after + 1 {
                return Ok(None);
            }
            if row.origin != Some(link.0)
                && let Some(entry) = self.entry(&to, &row)?
            {
                let entry_weight = 64 + entry.content.bytes();
                if weight > 0 && weight + entry_weight > bytes {
                    break;
                }
                weight += entry_weight;
                batch.entries.push(entry);
            }
            last = Some(row);
        }
        if let Some(row) = last {
            batch.last = Position { seq: row.seq, hash: digest_of(scope, &row) };
        }
        Ok(Some(batch))
    }

    pub(crate) fn sent_to(&self, scope: ScopeId) -> Result<Sent, StoreError> {
        Ok(Sent { scope, row: self.known_scope(scope)?.id, key: self.proof_key()? })
    }

    /// What a row brings; `None` if there is nothing to bring any more.
    fn entry(&self, to: &Sent, row: &FeedRow) -> Result<Option<Entry>, StoreError> {
        let content = match row.kind.as_str() {
            "change" => self.change_content(row)?,
            "enter" => self.enter_content(to, row.id, row.document)?,
            "leave" | "erase" => self.end_content(to, row.id, row.document)?,
            "receipt" => self.receipt_content(row.reference)?,
            "transfer" => self.transfer_content(to.row, row.reference)?,
            _ => self.proposal_content(row)?,
        };
        Ok(content.map(|content| Entry { seq: row.seq, document: row.id, content }))
    }

    fn change_content(&self, row: &FeedRow) -> Result<Option<Content>, StoreError> {
        let sql = "SELECT raw, hash FROM change WHERE id = ?";
        let found = self.one("read a change", sql, params![row.reference], |row| {
            Ok((row.get::<_, Option<Vec<u8>>>(0)?, Digest(row.get(1)?)))
        })?;
        // The newest rows' numbers are given again once these rows went with their document.
        let same = |(_, hash): &(_, Digest)| row.mark == Some(hash.mark());
        let Some((raw, hash)) = found.filter(same) else { return Ok(None) };
        let bytes = if raw.is_some() { raw } else { self.bytes_in_snapshot(row.document, hash, &mut None)? };
        Ok(bytes.map(|bytes| Content::Change { bytes }))
    }

    /// The bytes of a change, from its row or out of the snapshot, which is loaded once.
    pub(crate) fn change_bytes(
        &self,
        row: &DocumentRow,
        hash: Digest,
        loaded: &mut Option<Record>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT raw FROM change WHERE document = ? AND hash = ?";
        let raw = self.one("read a change", sql, params![row.id, hash.0], |row| row.get::<_, Option<Vec<u8>>>(0))?;
        match raw.flatten() {
            Some(raw) => Ok(Some(raw)),
            None => self.bytes_in_snapshot(row.id, hash, loaded),
        }
    }

    fn bytes_in_snapshot(
        &self,
        document: i64,
        hash: Digest,
        loaded: &mut Option<Record>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if loaded.is_none() {
            let Some((_, saved)) = self.snapshot(document)? else { return Ok(None) };
            // One record that can't be read stops no feed: what is not brought is found out by comparing.
            let Ok(record) = Record::load(&saved) else { return Ok(None) };
            *loaded = Some(record);
        }
        Ok(loaded.as_ref().and_then(|record| record.change_bytes(hash)))
    }

    /// A document as it enters a scope that holds it.
    pub(crate) fn enter_content(&self, to: &Sent, id: DocId, document: i64) -> Result<Option<Content>, StoreError> {
        let sql = "SELECT d.kind, s.heads, s.saved, v.view, a.epoch, a.guest FROM document d
                   JOIN snapshot s ON s.document = d.id
                   JOIN assign a ON a.document = d.id AND a.scope = ?2 AND a.state = 'held'
                   LEFT JOIN supporter v ON v.document = d.id WHERE d.id = ?1";
        self.one("read a document that enters", sql, params![document, to.row], |row| {
            // Without its view a record always fits a frame; the child reads the document instead.
            let view: Option<String> = row.get(3)?;
            let view = view.filter(|view| view.len() <= engine::FRAME_BYTES_MAX / 4);
            Ok(Content::Enter {
                kind: Kind::from_word(row.get_ref(0)?.as_str()?).unwrap_or(Kind::Supporter),
                heads: crate::rows::split_hashes(row.get_ref(1)?.as_blob()?),
                snapshot: row.get(2)?,
                view: view.map(|json| ViewRow { version: VIEW_VERSION, json }),
                epoch: row.get(4)?,
                proof: to.key.held(id, to.scope, row.get(4)?, row.get(5)?),
                guest: row.get(5)?,
            })
        })
    }

    /// That a document has left a scope, or was erased; nothing if it is in the scope (again).
    pub(crate) fn end_content(&self, to: &Sent, id: DocId, document: i64) -> Result<Option<Content>, StoreError> {
        if let Some(ErasureRow { erasure, at, proof: above, .. }) = self.erasure_of(document)? {
            return Ok(Some(Content::Erase { erasure, at, proof: to.key.erased(id, erasure), above }));
        }
        let ended = self.assignment(to.row, document)?.filter(|assignment| !assignment.held);
        let arrived = self.has_arrived(to.row, document)?;
        Ok(ended.map(|assignment| {
            let epoch = assignment.epoch.unsigned_abs();
            Content::Leave { epoch, proof: to.key.left(id, to.scope, epoch), arrived }
        }))
    }

    fn receipt_content(&self, row: i64) -> Result<Option<Content>, StoreError> {
        let sql = "SELECT what, epoch, erasure FROM receipt WHERE id = ?";
        self.one("read a receipt", sql, params![row], |row| {
            let (what, epoch): (String, u64) = (row.get(0)?, row.get(1)?);
            let erasure = row.get::<_, Option<[u8; 16]>>(2)?.unwrap_or_default();
            Ok(Content::Receipt(match what.as_str() {
                "left" => Receipt::Left { epoch },
                "kept" => Receipt::Kept { epoch },
                _ => Receipt::Erased { erasure: EraseId::from_bytes(erasure) },
            }))
        })
    }

    fn proposal_content(&self, row: &FeedRow) -> Result<Option<Content>, StoreError> {
        let sql = "SELECT proposal_id, sign_up, key, value, at FROM proposal WHERE id = ?";
        self.one("read a proposal", sql, params![row.reference], |row| {
            Ok(Content::Propose {
                proposal: ProposalId::from_bytes(row.get(0)?),
                sign_up: EventId::from_bytes(row.get(1)?),
                key: row.get(2)?,
                value: row.get::<_, String>(3)?.into(),
                at: Timestamp::from_millis(row.get(4)?),
            })
        })
    }

    /// The documents of a scope, oldest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn held(&self, scope: ScopeId) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM assign a JOIN document d ON d.id = a.document
                   WHERE a.scope = ? AND a.state = 'held' ORDER BY d.id";
        let scope = self.known_scope(scope)?.id;
        let ids = self.all("read what a scope holds", sql, params![scope], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }
}

fn read_feed_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<FeedRow> {
    Ok(FeedRow {
        seq: row.get(0)?,
        document: row.get(1)?,
        kind: row.get(2)?,
        reference: row.get(3)?,
        origin: row.get(4)?,
        id: DocId::from_bytes(row.get(5)?),
        mark: row.get(6)?,
    })
}

/// By what a cursor knows a row.
fn digest_of(scope: ScopeId, row: &FeedRow) -> Digest {
    Digest::of_row(scope, row.seq, row.id, &row.kind, row.mark.unwrap_or(row.reference))
}
