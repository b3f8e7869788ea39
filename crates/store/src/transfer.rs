//! Going from one chapter to another, or back to the network.
//!
//! **Invariants:** the giving side and the receiving side both say yes, each in its own database; the parent carries it
//! out in one transaction, and only while the assignment stands on which it was proposed. What was said about her (who she
//! is, the hand-over note) is forgotten when it ends.

use engine::{Side, Transfer, TransferState};
use model::{AuditKind, DocId, Personal, ScopeId, Supporter, Timestamp, TransferId};
use rusqlite::params;

use crate::audit::to_words;
use crate::document::{DocState, DocumentRow, Edited, Rows};
use crate::home::ELSEWHERE;
use crate::membership::FROZEN;
use crate::rows::one_named;
use crate::{NewAudit, NodeKind, Read, StoreError, Tx};

/// A transfer to be proposed.
#[derive(Clone, Debug)]
pub struct NewTransfer {
    /// Its id.
    pub id: TransferId,
    /// Who is to go.
    pub person: DocId,
    /// The receiving chapter's short name; none: back to the network.
    pub to: Option<String>,
    /// The hand-over note, or why she is handed back.
    pub text: Personal,
    /// Whether she was asked and agreed.
    pub agreed: bool,
    /// Whether she stays where she is, and the receiving chapter serves her, too.
    pub also: bool,
    /// Whether she asked for it herself: a parent's people say so, and her chapter is not asked.
    pub her_word: bool,
    /// When.
    pub at: Timestamp,
}

/// A transfer as a node knows it.
#[derive(Clone, Debug)]
pub struct TransferRow {
    /// Its id.
    pub id: TransferId,
    /// Who is to go.
    pub person: DocId,
    /// The giving chapter's short name, where it is known.
    pub from: Option<String>,
    /// The receiving chapter's short name; empty: back to the network.
    pub to: String,
    /// Who she is, while it is open.
    pub summary: Personal,
    /// The hand-over note, or why it was declined.
    pub text: Personal,
    /// Whether the giving side agrees.
    pub given: bool,
    /// Whether the receiving side agrees.
    pub taken: bool,
    /// Whether she was asked and agreed.
    pub agreed: bool,
    /// Whether she stays where she is, and the receiving chapter serves her, too.
    pub also: bool,
    /// Whether she asked for it herself.
    pub her_word: bool,
    /// Whether the giving chapter serves her beside her home.
    pub guest: bool,
    /// `open`, `declined` or `done`.
    pub state: String,
    /// Which part this node has; none at the parent.
    pub side: Option<Side>,
    /// When it was proposed.
    pub at: Timestamp,
    pub(crate) row: i64,
    pub(crate) document: i64,
    pub(crate) giver: Option<i64>,
    pub(crate) taker: Option<i64>,
    pub(crate) epoch: i64,
    pub(crate) here: bool,
}

/// What was said of a transfer when it was noted: by the giving side, by the receiving one; by which child, or by this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) given: bool,
    pub(crate) taken: bool,
    pub(crate) proposer: Option<i64>,
    pub(crate) here: bool,
}

/// A transfer to which both sides agree.
#[derive(Clone, Debug)]
pub struct AgreedTransfer {
    /// The transfer.
    pub transfer: TransferRow,
    /// The giving chapter.
    pub giver: Option<ScopeId>,
    /// The receiving one; none: back to the network.
    pub taker: Option<ScopeId>,
}

impl TransferRow {
    /// Whether she is to come to this node's chapter; otherwise she is to go from it, or it has no part.
    pub const fn comes_here(&self) -> bool {
        matches!(self.side, Some(Side::Take))
    }

    /// Whether this node's own word is asked for.
    pub const fn asks_here(&self) -> bool {
        match self.side {
            Some(Side::Give) => !self.given,
            Some(Side::Take) => !self.taken,
            None => false,
        }
    }
}

const COLUMNS: &str = "SELECT t.transfer_id, d.doc_id, g.slug, t.to_slug, t.summary, t.text, t.given, t.taken, t.agreed,
  t.state, t.at, t.id, t.document, t.giver, t.taker, t.epoch, t.here, t.also, t.her_word,
  EXISTS (SELECT 1 FROM assign a WHERE a.scope = t.giver AND a.document = t.document AND a.guest = 1) FROM transfer t JOIN document d ON d.id = t.document
  LEFT JOIN chapter g ON g.scope = t.giver";

impl Read<'_> {
    pub(crate) fn transfers_where(
        &self,
        condition: &str,
        row: impl rusqlite::Params,
    ) -> Result<Vec<TransferRow>, StoreError> {
        let own = match self.own_scope()? {
            Some(own) => Some(self.known_scope(own)?.id),
            None => None,
        };
        self.all("read transfers", &format!("{COLUMNS} {condition}"), row, |row| {
            let (giver, taker): (Option<i64>, Option<i64>) = (row.get(13)?, row.get(14)?);
            let side = match own {
                Some(_) if giver == own => Some(Side::Give),
                Some(_) if taker == own => Some(Side::Take),
                Some(_) | None => None,
            };
            Ok(TransferRow {
                id: TransferId::from_bytes(row.get(0)?),
                person: DocId::from_bytes(row.get(1)?),
                from: row.get(2)?,
                to: row.get(3)?,
                summary: row.get::<_, String>(4)?.into(),
                text: row.get::<_, String>(5)?.into(),
                given: row.get(6)?,
                taken: row.get(7)?,
                agreed: row.get(8)?,
                state: row.get(9)?,
                side,
                at: Timestamp::from_millis(row.get(10)?),
                row: row.get(11)?,
                document: row.get(12)?,
                giver,
                taker,
                epoch: row.get(15)?,
                here: row.get(16)?,
                also: row.get(17)?,
                her_word: row.get(18)?,
                guest: row.get(19)?,
            })
        })
    }

    /// Transfers that are open, the oldest first; and the ones that have ended, after them.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn transfers(&self, limit: usize) -> Result<Vec<TransferRow>, StoreError> {
        self.transfers_where("ORDER BY t.state != 'open', t.id LIMIT ?", params![limit as i64])
    }

    /// The open transfer that a full id or a unique beginning or end of one names.
    ///
    /// # Errors
    /// When none has it, or more than one.
    pub fn transfer(&self, text: &str) -> Result<TransferRow, StoreError> {
        let open = self.transfers_where("WHERE t.state = 'open'", [])?;
        one_named(text, "open transfer", open, |row| row.id.to_string())
    }

    /// Transfers to which both sides agree, at their parent: they are to be carried out.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn transfers_agreed(&self) -> Result<Vec<AgreedTransfer>, StoreError> {
        let condition = "JOIN scope s ON s.id = t.giver AND s.role = 'chapter'
                         WHERE t.state = 'open' AND t.given = 1 AND t.taken = 1 AND d.dirty IS NULL LIMIT 100";
        let with_scopes = |row: TransferRow| {
            let scope = |id: Option<i64>| id.map(|id| self.scope_of(id)).transpose();
            let (giver, taker) = (scope(row.giver)?, scope(row.taker)?);
            Ok(AgreedTransfer { transfer: row, giver, taker })
        };
        self.transfers_where(condition, [])?.into_iter().map(with_scopes).collect()
    }

    pub(crate) fn known_transfer(&self, id: TransferId) -> Result<Option<TransferRow>, StoreError> {
        Ok(self.transfers_where("WHERE t.transfer_id = ?", params![id.as_bytes()])?.pop())
    }

    /// A transfer as a feed's row brings it: as it stands now, and for the other end.
    pub(crate) fn transfer_content(&self, scope: i64, row: i64) -> Result<Option<engine::Content>, StoreError> {
        let Some(found) = self.transfers_where("WHERE t.id = ?", params![row])?.pop() else { return Ok(None) };
        let side = found.side.unwrap_or(if found.giver == Some(scope) { Side::Give } else { Side::Take });
        let agreed = match side {
            Side::Give => found.given,
            Side::Take => found.taken,
        };
        let state = match found.state.as_str() {
            "done" => TransferState::Done,
            "declined" => TransferState::Declined,
            _ if agreed && found.side.is_some() && !found.here => TransferState::Agreed,
            _ => TransferState::Open,
        };
        Ok(Some(engine::Content::Transfer(Transfer {
            id: found.id,
            side,
            state,
            epoch: found.epoch.unsigned_abs(),
            to: found.to,
            // Who asked for her learns nothing of her before she comes.
            summary: if side == Side::Take && found.taken { Personal::default() } else { found.summary },
            text: found.text,
            agreed: found.agreed,
            also: found.also,
            her_word: found.her_word,
            at: found.at,
        })))
    }

    /// Who she is, for people who do not have her record: a name and a place.
    pub(crate) fn summary_of(&self, document: i64) -> Result<String, StoreError> {
        let sql = "SELECT view FROM supporter WHERE document = ?";
        let json = self.one("read a view", sql, params![document], |row| row.get::<_, String>(0))?;
        let Some(json) = json else { return Ok(String::new()) };
        let supporter: Supporter = serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("supporter"))?;
        let place =
            supporter.addresses.first().and_then(|address| address.locality.as_ref().or(address.postal_code.as_ref()));
        let place = place.map_or_else(String::new, |place| format!(", {}", place.expose()));
        Ok(format!("{}{place}", supporter.display_name()).chars().take(200).collect())
    }
}

impl Tx<'_> {
    /// Proposes a transfer: at a chapter, to give someone or to ask for someone; at the parent, for both sides to agree.
    ///
    /// # Errors
    /// When she is in no chapter here, or another transfer of hers is open, or the chapter is not known.
    pub fn propose_transfer(&self, new: &NewTransfer) -> Result<(), StoreError> {
        let own = match self.own_scope()? {
            Some(own) if self.node()?.kind == NodeKind::Chapter => Some(self.known_scope(own)?.id),
            Some(_) | None => None,
        };
        let known = self.document(new.person)?;
        if let Some(row) = &known {
            let sql = "SELECT EXISTS (SELECT 1 FROM transfer WHERE document = ? AND state = 'open')";
            if self.number("look for a transfer", sql, params![row.id])? > 0 {
                return Err(StoreError::Refused("a transfer of hers is open already: decline it first".to_owned()));
            }
        }
        if let (Some(own), Some(to)) = (own, &new.to)
            && self.chapter_scope(to).is_ok_and(|to| to == own)
        {
            return self.ask_for(new, known.as_ref(), own);
        }
        let row = known.ok_or_else(|| StoreError::NotFound(new.person.to_string()))?;
        if row.state != DocState::Live {
            return Err(StoreError::NotWritable(new.person, "it is not this node's to give"));
        }
        if self.is_frozen(row.id)? {
            return Err(StoreError::NotWritable(new.person, FROZEN));
        }
        let giver = self.giver_of(&row, new, own)?;
        let taker = match (&new.to, own) {
            (Some(slug), None) => Some(self.chapter_scope(slug)?),
            (Some(_), Some(_)) | (None, _) => None,
        };
        if let Some(taker) = taker
            && let Some(known) = self.assignment(taker, row.id)?.filter(|known| known.held)
            && (new.also || !known.guest)
        {
            return Err(StoreError::Refused("she is in this chapter already".to_owned()));
        }
        let summary = if own.is_some() { String::new() } else { self.summary_of(row.id)? };
        let said = Said { given: own.is_some() || new.her_word, taken: new.to.is_none(), proposer: None, here: true };
        let id = self.insert_transfer(new, row.id, (Some(giver), taker), said, &summary)?;
        self.feed_transfer(id, row.id, Some(giver), taker)
    }

    /// Who gives her: her home; or a chapter that serves her beside her home, and will not any more.
    fn giver_of(&self, row: &DocumentRow, new: &NewTransfer, own: Option<i64>) -> Result<i64, StoreError> {
        let refuse = |words: &str| Err(StoreError::Refused(words.to_owned()));
        let home = self.home_of(row.id)?;
        match (home, own) {
            (None, _) => refuse("she is in no chapter"),
            (Some(ELSEWHERE), Some(own)) if new.to.is_none() => Ok(own),
            (Some(ELSEWHERE), _) => refuse("her home is another chapter: only that one gives her to a third"),
            (Some(_), Some(_)) if new.her_word => {
                refuse("this chapter's own word is enough: leave out that she asked for it")
            }
            (Some(home), _) => Ok(home),
        }
    }

    /// A chapter asks for someone, by her whole id: of whom it serves beside her home, or of whom it was told by her or by
    /// her chapter.
    fn ask_for(&self, new: &NewTransfer, known: Option<&DocumentRow>, own: i64) -> Result<(), StoreError> {
        let document = match known {
            Some(row) if row.state == DocState::Erased => {
                return Err(StoreError::Refused("she was deleted everywhere".to_owned()));
            }
            Some(row) => {
                let here = self.assignment(own, row.id)?.filter(|known| known.held);
                if here.is_some_and(|here| new.also || !here.guest) {
                    return Err(StoreError::Refused("she is in this chapter already".to_owned()));
                }
                row.id
            }
            None => self.insert_document_row(new.person, model::Kind::Supporter, &[], DocState::Gone, Rows::Written)?,
        };
        let said = Said { given: false, taken: true, proposer: None, here: true };
        let id = self.insert_transfer(new, document, (None, Some(own)), said, "")?;
        self.feed_transfer(id, document, None, Some(own))
    }

    pub(crate) fn insert_transfer(
        &self,
        new: &NewTransfer,
        document: i64,
        (giver, taker): (Option<i64>, Option<i64>),
        said: Said,
        summary: &str,
    ) -> Result<i64, StoreError> {
        let epoch = giver.map(|giver| self.assignment(giver, document)).transpose()?.flatten().map_or(0, |a| a.epoch);
        let sql = "INSERT INTO transfer (transfer_id, document, giver, taker, to_slug, epoch, given, taken, proposer, agreed, also, her_word, here, state, summary, text, at)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?)";
        let values = params![
            new.id.as_bytes(),
            document,
            giver,
            taker,
            new.to.as_deref().unwrap_or_default(),
            epoch,
            said.given,
            said.taken,
            said.proposer,
            new.agreed,
            new.also,
            new.her_word,
            said.here,
            summary,
            new.text.expose(),
            new.at.as_millis()
        ];
        self.insert("propose a transfer", sql, values)
    }

    /// Tells both sides where it stands; where this node is one of them, its parent.
    pub(crate) fn feed_transfer(
        &self,
        id: i64,
        document: i64,
        giver: Option<i64>,
        taker: Option<i64>,
    ) -> Result<(), StoreError> {
        for scope in [giver, taker].into_iter().flatten() {
            self.feed(scope, document, "transfer", id, None)?;
        }
        Ok(())
    }

    /// Open transfers are fed again after a comparison: they are in no sum.
    pub(crate) fn feed_open_transfers(&self, scope: i64) -> Result<(), StoreError> {
        let sql = "SELECT id, document FROM transfer WHERE state = 'open' AND (giver = ?1 OR taker = ?1)";
        let open: Vec<(i64, i64)> =
            self.all("look for transfers", sql, params![scope], |row| Ok((row.get(0)?, row.get(1)?)))?;
        open.into_iter().try_for_each(|(id, document)| self.feed(scope, document, "transfer", id, None).map(drop))
    }

    /// This chapter's word on a transfer.
    ///
    /// # Errors
    /// When its word is not asked for (any more); or when it agrees, and she is of a chapter that left.
    pub fn answer_transfer(&self, id: TransferId, agrees: bool, why: &str) -> Result<(), StoreError> {
        let found = self.known_transfer(id)?.filter(|row| row.state == "open");
        let row = found.ok_or_else(|| StoreError::Unknown("open transfer", id.to_string()))?;
        if agrees && !row.asks_here() {
            return Err(StoreError::Refused(
                "this node's word is not asked for: it waits for the other side".to_owned(),
            ));
        }
        if agrees && self.is_frozen(row.document)? {
            return Err(StoreError::NotWritable(row.person, FROZEN));
        }
        if agrees {
            let sql = "UPDATE transfer SET given = given OR ?2, taken = taken OR NOT ?2 WHERE id = ?1";
            self.run("agree to a transfer", sql, params![row.row, row.side == Some(Side::Give)])?;
        } else {
            self.decline(row.row, why)?;
        }
        self.feed_transfer(row.row, row.document, row.giver, row.taker)
    }

    pub(crate) fn decline(&self, row: i64, why: &str) -> Result<(), StoreError> {
        let sql = "UPDATE transfer SET state = 'declined', summary = '', text = ? WHERE id = ?";
        self.run("decline a transfer", sql, params![why, row]).map(drop)
    }

    /// Carries out a transfer to which both sides agree, with the edit that says so in her record. Gives whether it was;
    /// it is declined when its assignment no longer stands.
    ///
    /// # Errors
    /// When the edit is stale, or rows can't be written.
    pub fn complete_transfer(
        &self,
        id: TransferId,
        edited: Option<&Edited>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let found = self.known_transfer(id)?.filter(|row| row.state == "open" && row.given && row.taken);
        let Some(transfer) = found else { return Ok(false) };
        let row = self.document(transfer.person)?.ok_or(StoreError::NoDocument(transfer.person))?;
        let giver = transfer.giver.ok_or(StoreError::Corrupt("transfer"))?;
        let stands = self.assignment(giver, row.id)?.is_some_and(|a| a.held && a.epoch == transfer.epoch);
        if !stands || row.state != DocState::Live {
            self.decline(transfer.row, "her place has changed since it was proposed")?;
            let ended = NewAudit::new(AuditKind::TransferDeclined, at).about(transfer.person);
            self.audit(&ended.detail("her place has changed"))?;
            self.feed_transfer(transfer.row, row.id, transfer.giver, transfer.taker)?;
            return Ok(false);
        }
        let sql = "UPDATE transfer SET state = 'done', summary = '', text = '' WHERE id = ?";
        self.run("end a transfer", sql, params![transfer.row])?;
        let words = to_words(&transfer.to, transfer.also, transfer.her_word);
        self.audit(&NewAudit::new(AuditKind::TransferDone, at).about(transfer.person).detail(words))?;
        // The giving side hears that it is done before it hears that she leaves: its word is what lets her go.
        self.feed_transfer(transfer.row, row.id, transfer.giver, transfer.taker)?;
        match transfer.taker {
            Some(taker) if transfer.also => self.serve_too(transfer.person, taker, edited)?,
            _ => self.reassign(transfer.person, transfer.giver, transfer.taker, edited, at)?,
        }
        Ok(true)
    }
}
