//! Erasing: deleting someone everywhere, with a ledger, receipts, and hashes that keep an import from bringing her back.
//!
//! **Invariants:** what is erased stays erased: later changes for that id are refused, whoever sends them. A receipt is
//! given only when no byte is left in the file and its log. What is asked from below waits 72 hours where nobody is
//! above, and more than 20 a day from one node wait for a second administrator.

use engine::Proof;
use model::{AuditKind, DocId, EraseId, Kind, NodeId, Timestamp};
use rusqlite::params;

use crate::document::{DocState, Rows};
use crate::forget::Keep;
use crate::leave::DAY_MS;
use crate::log::Source;
use crate::{NewAudit, Read, StoreError, Tx};

/// How long an erasure that was asked for from below waits, in ms: 72 hours, in which it can be withdrawn there.
pub const ERASURE_WAITS_MS: i64 = 3 * DAY_MS;
/// How many one node may ask for in a day; more wait for a second administrator.
pub const ERASURES_A_DAY: u64 = 20;

/// A row of the ledger: the erasure, when it was, the parent's word for it, and that of the parent's own parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErasureRow {
    pub(crate) erasure: EraseId,
    pub(crate) at: Timestamp,
    pub(crate) proof: Option<Proof>,
    pub(crate) above: Option<Proof>,
}

/// Someone who was deleted everywhere.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Her id.
    pub person: DocId,
    /// The erasure's.
    pub id: EraseId,
    /// When it was carried out here.
    pub at: Timestamp,
    /// Whether not one byte is left here.
    pub scrubbed: bool,
    /// Which nodes below have said so, and when.
    pub receipts: Vec<(String, Timestamp)>,
    /// Which nodes below have not.
    pub outstanding: Vec<String>,
    /// Which belong to a chapter that left: they hear of it when it comes back, and are not waited for.
    pub left: Vec<String>,
}

/// Someone whose erasure was asked for.
#[derive(Clone, Debug)]
pub struct ErasureAsked {
    /// Her id.
    pub person: DocId,
    /// When this node heard of it.
    pub at: Timestamp,
    /// Whether it is over the limit of a day and waits for a second administrator.
    pub waits_for_word: bool,
    /// The name of the child that asked; none: asked here.
    pub from: Option<String>,
}

impl Read<'_> {
    /// The ledger, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn erasures(&self, limit: usize) -> Result<Vec<Erasure>, StoreError> {
        let sql = "SELECT d.doc_id, e.erasure, e.at, e.scrubbed, e.document FROM erasure e
                   CROSS JOIN document d ON d.id = e.document ORDER BY e.at DESC, e.document DESC LIMIT ?";
        let rows = self.all("read the ledger", sql, params![limit as i64], |row| {
            let erasure = Erasure {
                person: DocId::from_bytes(row.get(0)?),
                id: EraseId::from_bytes(row.get(1)?),
                at: Timestamp::from_millis(row.get(2)?),
                scrubbed: row.get(3)?,
                receipts: Vec::new(),
                outstanding: Vec::new(),
                left: Vec::new(),
            };
            Ok((erasure, row.get::<_, i64>(4)?))
        })?;
        let full = |(erasure, document): (Erasure, i64)| {
            let sql = "SELECT n.name, (SELECT min(r.at) FROM receipt r WHERE r.link = n.id AND r.document = ?1 AND r.what = 'erased'),
                         n.state = 'left' FROM link n WHERE n.direction = 'down' AND n.state != 'revoked'
                         AND n.scope IN (SELECT scope FROM assign WHERE document = ?1) ORDER BY n.name, n.id";
            let nodes = self.all("read receipts", sql, params![document], |row| {
                let at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
                Ok((row.get::<_, String>(0)?, at, row.get::<_, bool>(2)?))
            })?;
            let (said, silent): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|(_, at, _)| at.is_some());
            let receipts = said.into_iter().filter_map(|(name, at, _)| Some((name, at?))).collect();
            let (away, there): (Vec<_>, Vec<_>) = silent.into_iter().partition(|(_, _, left)| *left);
            let names =
                |nodes: Vec<(String, Option<Timestamp>, bool)>| nodes.into_iter().map(|(name, ..)| name).collect();
            Ok(Erasure { receipts, outstanding: names(there), left: names(away), ..erasure })
        };
        rows.into_iter().map(full).collect()
    }

    /// What was asked for and is not carried out, the oldest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn erasures_asked(&self) -> Result<Vec<ErasureAsked>, StoreError> {
        let sql =
            "SELECT d.doc_id, e.at, e.approved = 0, n.name FROM erasure_asked e CROSS JOIN document d ON d.id = e.document
                   LEFT JOIN link n ON n.id = e.link ORDER BY e.at, d.id";
        self.all("read what is asked", sql, [], |row| {
            Ok(ErasureAsked {
                person: DocId::from_bytes(row.get(0)?),
                at: Timestamp::from_millis(row.get(1)?),
                waits_for_word: row.get(2)?,
                from: row.get(3)?,
            })
        })
    }

    /// Whom it is time to erase: asked for long enough ago and within the limit. Only where nobody is above.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn erasures_due(&self, now: Timestamp) -> Result<Vec<DocId>, StoreError> {
        if self.has_parent()? {
            return Ok(Vec::new());
        }
        let sql = "SELECT d.doc_id FROM erasure_asked e JOIN document d ON d.id = e.document
                   WHERE e.approved = 1 AND e.at <= ? AND (d.dirty IS NULL OR d.state = 'quarantined')
                   ORDER BY e.at LIMIT 100";
        let due = self.all("look what is due", sql, params![now.as_millis() - ERASURE_WAITS_MS], |row| row.get(0))?;
        Ok(due.into_iter().map(DocId::from_bytes).collect())
    }

    /// Whether what was asked for is not noted yet, or was withdrawn.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn asks_to_note(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM supporter v WHERE v.hidden = 1
                                  AND NOT EXISTS (SELECT 1 FROM erasure_asked e WHERE e.document = v.document))
                   OR EXISTS (SELECT 1 FROM erasure_asked e
                              WHERE NOT EXISTS (SELECT 1 FROM supporter v WHERE v.document = e.document AND v.hidden = 1))";
        Ok(self.number("look what is asked", sql, [])? > 0)
    }

    /// Whether something that was erased may still be in the file or its log.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn unscrubbed(&self) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM erasure e JOIN document d ON d.id = e.document WHERE e.scrubbed = 0";
        let ids = self.all("look what is erased", sql, [], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }

    /// When somebody with one of these e-mail addresses or numbers was erased.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn erased_before<'a>(
        &self,
        reaches: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let any = self.number("look for erasures", "SELECT EXISTS (SELECT 1 FROM fingerprint)", [])?;
        if any == 0 {
            return Ok(None);
        }
        let key = self.proof_key()?;
        for reach in reaches {
            let sql = "SELECT at FROM fingerprint WHERE hash = ?";
            let found = self.one("look for an erasure", sql, params![key.fingerprint(reach)], |row| row.get(0))?;
            if let Some(at) = found {
                return Ok(Some(Timestamp::from_millis(at)));
            }
        }
        Ok(None)
    }

    /// The row of the ledger.
    pub(crate) fn erasure_of(&self, document: i64) -> Result<Option<ErasureRow>, StoreError> {
        let sql = "SELECT erasure, at, proof, above FROM erasure WHERE document = ?";
        self.one("read the ledger", sql, params![document], |row| {
            let (erasure, at) = (EraseId::from_bytes(row.get(0)?), Timestamp::from_millis(row.get(1)?));
            Ok(ErasureRow { erasure, at, proof: row.get(2)?, above: row.get(3)? })
        })
    }
}

impl Tx<'_> {
    /// Deletes someone: here at once, and everywhere that ever held her by the feeds. Whoever was erased stays so; the
    /// parent's word for it may come after a child's.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn erase(&self, id: DocId, erasure: EraseId, at: Timestamp, proof: Option<Proof>) -> Result<(), StoreError> {
        self.erase_by(id, ErasureRow { erasure, at, proof, above: None })
    }

    fn erase_by(&self, id: DocId, ErasureRow { erasure, at, proof, above }: ErasureRow) -> Result<(), StoreError> {
        if self.document(id)?.is_none() {
            self.insert_document_row(id, Kind::Supporter, &[], DocState::Erased, Rows::Written)?;
        }
        let row = self.document(id)?.ok_or(StoreError::NoDocument(id))?;
        if self.erasure_of(row.id)?.is_some() {
            let sql = "UPDATE erasure SET proof = coalesce(proof, ?2), above = coalesce(above, ?3) WHERE document = ?1";
            return self.run("note an erasure", sql, params![row.id, proof, above]).map(drop);
        }
        if let Some(anew) = self.made_anew(row.id)? {
            // Only this record of hers goes: what is kept about her here stays with her, and she may be on a list.
            self.move_private(row.id, anew)?;
        } else {
            let (key, reaches) = (self.proof_key()?, self.reaches_of(row.id)?);
            for reach in &reaches {
                let sql = "INSERT OR REPLACE INTO fingerprint (hash, at) VALUES (?, ?)";
                self.run("keep a hash", sql, params![key.fingerprint(reach), at.as_millis()])?;
            }
            self.drop_filters_for(&reaches)?;
            let dropped = self.drop_held_of(&reaches)?;
            if dropped > 0 {
                self.audit(&NewAudit::new(AuditKind::SignUpDropped, at).about(id).number(dropped))?;
            }
        }
        self.forget(&row, id, Keep::Nothing)?;
        let sql = "UPDATE document SET state = 'erased' WHERE id = ?";
        self.run("erase a document", sql, params![row.id])?;
        let sql = "INSERT INTO erasure (document, erasure, at, proof, above, scrubbed) VALUES (?, ?, ?, ?, ?, 0)";
        self.run("note an erasure", sql, params![row.id, erasure.as_bytes(), at.as_millis(), proof, above])?;
        let word = if proof.is_some() { "by the network's word" } else { "" };
        self.audit(&NewAudit::new(AuditKind::Erased, at).about(id).detail(word))?;
        self.run("end assignments", "UPDATE assign SET state = 'left' WHERE document = ?", params![row.id])?;
        self.run("forget an ask", "DELETE FROM erasure_asked WHERE document = ?", params![row.id])?;
        let sql =
            "SELECT a.scope FROM assign a JOIN scope s ON s.id = a.scope WHERE a.document = ? AND s.role = 'chapter'";
        for scope in self.all("find who ever held her", sql, params![row.id], |row| row.get(0))? {
            self.feed(scope, row.id, "erase", 0, None)?;
        }
        Ok(())
    }

    /// The parent has erased someone.
    pub(crate) fn take_erase(&self, source: &Source<'_>, id: DocId, erased: ErasureRow) -> Result<(), StoreError> {
        self.erase_by(id, erased)?;
        let document = self.document_row(id)?.ok_or(StoreError::NoDocument(id))?;
        // Also for someone who never was here: the ledger of a scope is the same at all of its nodes.
        let sql = "INSERT OR IGNORE INTO assign (scope, document, epoch, state) VALUES (?, ?, 0, 'left')";
        self.run("note an erasure", sql, params![source.scope_row, document])?;
        // Erased on a child's word before this came, it may be gone already.
        self.give_erasure_receipt(document, source.at)
    }

    /// Notes what is asked for since the last time, and forgets what was withdrawn.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn note_asked(&self, now: Timestamp) -> Result<(), StoreError> {
        let asked = |withdrawn: bool, (id, peer): (DocId, [u8; 32])| {
            let what = if withdrawn { AuditKind::ErasureWithdrawn } else { AuditKind::ErasureAsked };
            let peer = NodeId(peer);
            // To ask and to withdraw is one edit each: a node may do both as often as it likes.
            self.audit_bounded(&format!("node {}", peer.short()), &NewAudit::new(what, now).by_node(peer).about(id))
        };
        let read = |row: &rusqlite::Row<'_>| Ok((DocId::from_bytes(row.get(0)?), row.get::<_, [u8; 32]>(1)?));
        // Of links only: what was asked for here stands in the log already.
        let sql = "SELECT d.doc_id, n.peer FROM erasure_asked e JOIN document d ON d.id = e.document
                   JOIN link n ON n.id = e.link JOIN supporter v ON v.document = e.document AND v.hidden = 0";
        let withdrawn = self.all("look what was withdrawn", sql, [], read)?;
        withdrawn.into_iter().try_for_each(|by| asked(true, by))?;
        let sql = "DELETE FROM erasure_asked WHERE NOT EXISTS
                   (SELECT 1 FROM supporter v WHERE v.document = erasure_asked.document AND v.hidden = 1)";
        self.run("forget what was withdrawn", sql, [])?;
        let sql = "SELECT v.document, (SELECT c.origin FROM change c WHERE c.document = v.document ORDER BY c.id DESC LIMIT 1)
                   FROM supporter v WHERE v.hidden = 1
                     AND NOT EXISTS (SELECT 1 FROM erasure_asked e WHERE e.document = v.document) ORDER BY v.document";
        let new = self.all("look what is asked", sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        for (document, link) in new {
            let link: Option<i64> = link;
            let sql = "SELECT count(*) FROM erasure_asked WHERE link IS ? AND at > ?";
            let today = self.number("count asks", sql, params![link, now.as_millis() - DAY_MS])?;
            let sql = "INSERT INTO erasure_asked (document, link, at, approved) VALUES (?, ?, ?, ?)";
            self.run("note an ask", sql, params![document, link, now.as_millis(), today < ERASURES_A_DAY])?;
            let sql = "SELECT d.doc_id, n.peer FROM document d JOIN link n ON n.id = ? WHERE d.id = ?";
            self.one("look who asks", sql, params![link, document], read)?.map_or(Ok(()), |by| asked(false, by))?;
        }
        Ok(())
    }

    /// A second administrator says that what is over the limit may go on.
    ///
    /// # Errors
    /// When nothing waits for that.
    pub fn approve_erasure(&self, person: DocId) -> Result<(), StoreError> {
        let sql = "UPDATE erasure_asked SET approved = 1 WHERE approved = 0
                   AND document = (SELECT id FROM document WHERE doc_id = ?)";
        match self.run("approve an erasure", sql, params![person.as_bytes()])? {
            0 => Err(StoreError::Unknown("erasure that waits for a word", person.to_string())),
            _ => Ok(()),
        }
    }

    /// The log was emptied after these were erased: not one byte is left.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn scrubbed(&self, people: &[DocId], at: Timestamp) -> Result<(), StoreError> {
        for person in people {
            let sql = "UPDATE erasure SET scrubbed = 1 WHERE document = (SELECT id FROM document WHERE doc_id = ?)
                       RETURNING document";
            let document = self.one("note that it is gone", sql, params![person.as_bytes()], |row| row.get(0))?;
            document.map_or(Ok(()), |document| self.give_erasure_receipt(document, at))?;
        }
        Ok(())
    }

    /// Gives the parent this node's word on someone who is gone here and at every node below.
    pub(crate) fn give_erasure_receipt(&self, document: i64, at: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT e.erasure FROM erasure e WHERE e.document = ? AND e.scrubbed = 1 AND e.proof IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.document = e.document AND r.link IS NULL AND r.what = 'erased')
                     AND NOT EXISTS (SELECT 1 FROM assign a JOIN link n ON n.scope = a.scope
                           WHERE a.document = e.document AND n.direction = 'down' AND n.state != 'revoked' AND n.state != 'left'
                           AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.link = n.id AND r.document = e.document AND r.what = 'erased'))";
        let done = self.one("look what is gone", sql, params![document], |row| row.get(0))?;
        done.map_or(Ok(()), |erasure| self.give_receipt(document, "erased", 0, Some(erasure), at))
    }

    /// The same for everybody in the ledger.
    pub(crate) fn give_due_receipts(&self, at: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT document FROM erasure WHERE scrubbed = 1 AND proof IS NOT NULL";
        let erased: Vec<i64> = self.all("read the ledger", sql, [], |row| row.get(0))?;
        erased.into_iter().try_for_each(|document| self.give_erasure_receipt(document, at))
    }
}
