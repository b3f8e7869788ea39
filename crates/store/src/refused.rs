//! Changes that were not taken, by this node or by another: kept so that a person can read what they said.
//!
//! **Invariants:** of a change of ours that another node refused, the content is kept here, because its own row may go; of
//! a change that this node refused, nothing is: its own node has it. The list is bounded for each link, so that one
//! peer's rubbish pushes out nobody else's, and what was written here goes last.

use engine::{Refused, RefusedWhy};
use model::{Digest, DocId, ScopeId, Timestamp};
use record::{ReadChange, read_change};
use rusqlite::params;

use crate::document::DocState;
use crate::link::LinkRow;
use crate::{Read, StoreError, Tx};

/// The most refused changes that are kept in all: beyond it the oldest go. More than a person reads, and 10 MB at most
/// of what is usual.
const REFUSED_MAX: usize = 10_000;
/// The most of one link.
const REFUSED_OF_A_LINK_MAX: usize = 1_000;
/// How many stay where there are too many, in hundredths: so that rows are not sorted at every batch of a flood.
const KEPT_PERCENT: usize = 90;
/// The largest change of which the bytes are kept, beyond the longest note that an act may have.
const REFUSED_BYTES_MAX: usize = 64 * 1024;

/// Whose change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This node's, by the peer.
    Ours,
    /// The peer's, by this node.
    Theirs,
}

impl Whose {
    const fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }
}

/// A change that was not taken.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its number in this list.
    pub id: i64,
    /// The document.
    pub document: DocId,
    /// Whose change it was: `ours` was refused by the other end, `theirs` here.
    pub whose: String,
    /// The scope of the link on which it was not taken, beside the network's; `None` when the link is gone.
    pub scope: Option<ScopeId>,
    /// The other end's name.
    pub peer: String,
    /// Why, as a word: `malformed`, `not_yours` or `missing`.
    pub why: String,
    /// Why, for a person.
    pub words: String,
    /// What kind of row it was: `change`, `transfer`, ...; empty for one of theirs.
    pub what: String,
    /// What it says, if it is a change of ours that can be read.
    pub change: Option<ReadChange>,
    /// When it was refused.
    pub at: Timestamp,
}

/// What of our own row is kept.
struct Own {
    what: String,
    hash: Option<[u8; 32]>,
    raw: Option<Vec<u8>>,
}

impl Read<'_> {
    /// Changes that were not taken, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn refusals(&self, limit: usize) -> Result<Vec<Refusal>, StoreError> {
        let sql = "SELECT r.id, r.doc_id, r.whose, coalesce(l.name, ''), r.why, r.words, r.what,
                     coalesce(r.raw, (SELECT c.raw FROM change c JOIN document d ON d.id = c.document
                                      WHERE d.doc_id = r.doc_id AND c.hash = r.hash)), r.at, s.scope
                   FROM refused r LEFT JOIN link l ON l.id = r.link LEFT JOIN scope s ON s.id = l.scope ORDER BY r.id DESC LIMIT ?";
        self.all("list what was refused", sql, params![limit as i64], |row| {
            let raw: Option<Vec<u8>> = row.get(7)?;
            Ok(Refusal {
                id: row.get(0)?,
                document: DocId::from_bytes(row.get(1)?),
                whose: row.get(2)?,
                peer: row.get(3)?,
                why: row.get(4)?,
                words: row.get(5)?,
                what: row.get(6)?,
                change: raw.and_then(|raw| read_change(&raw).ok()),
                at: Timestamp::from_millis(row.get(8)?),
                scope: row.get::<_, Option<[u8; 16]>>(9)?.map(ScopeId::from_bytes),
            })
        })
    }

    /// What our feed's row says that was refused; the peer may name a row that has gone, or never was.
    fn own_row(&self, scope: i64, refused: &Refused) -> Result<Own, StoreError> {
        let sql = "SELECT f.kind, f.ref FROM feed f JOIN document d ON d.id = f.document
                   WHERE f.scope = ? AND f.seq = ? AND d.doc_id = ?";
        let row = params![scope, refused.seq, refused.document.as_bytes()];
        let found =
            self.one("read what was refused", sql, row, |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let Some((what, change)) = found else { return Ok(Own { what: String::new(), hash: None, raw: None }) };
        if what != "change" {
            return Ok(Own { what, hash: None, raw: None });
        }
        let sql = "SELECT hash FROM change WHERE id = ?";
        let hash = self.one("read what was refused", sql, params![change], |row| row.get::<_, [u8; 32]>(0))?;
        let raw = match (hash, self.document(refused.document)?) {
            (Some(hash), Some(row)) => self.change_bytes(&row, Digest(hash), &mut None)?,
            (None, _) | (_, None) => None,
        };
        Ok(Own { what, hash, raw: raw.filter(|raw| raw.len() <= REFUSED_BYTES_MAX) })
    }
}

/// How many stay where there are more than so many.
const fn kept(most: usize) -> i64 {
    (most * KEPT_PERCENT / 100) as i64
}

impl Tx<'_> {
    /// Notes what was not taken. [`Tx::bound_refused`] follows when everything of one answer is noted.
    pub(crate) fn note_refused(
        &self,
        link: &LinkRow,
        scope: i64,
        refused: &Refused,
        whose: Whose,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if self.document(refused.document)?.is_some_and(|row| row.state == DocState::Erased) {
            // What was written to someone who is erased is meant to go.
            return Ok(());
        }
        let why = match refused.why {
            RefusedWhy::Malformed => "malformed",
            RefusedWhy::NotYours => "not_yours",
            RefusedWhy::Missing => "missing",
        };
        let own = match whose {
            Whose::Ours => self.own_row(scope, refused)?,
            Whose::Theirs => Own { what: String::new(), hash: None, raw: None },
        };
        let (id, whose) = (refused.document.as_bytes(), whose.word());
        // Said again, in a repeated answer or in the next comparison, it is the same.
        let sql =
            "DELETE FROM refused WHERE link = ? AND whose = ? AND scope = ? AND seq = ? AND doc_id = ? AND why = ?";
        self.run("note a refused change", sql, params![link.id.0, whose, scope, refused.seq, id, why])?;
        let sql = "INSERT INTO refused (link, scope, seq, doc_id, whose, why, words, what, hash, raw, at)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let Own { what, hash, raw } = own;
        let row =
            params![link.id.0, scope, refused.seq, id, whose, why, refused.words, what, hash, raw, at.as_millis()];
        self.run("note a refused change", sql, row).map(drop)
    }

    /// Lets the oldest go where there are too many: of this link, then of all.
    pub(crate) fn bound_refused(&self, link: &LinkRow) -> Result<(), StoreError> {
        let sql = "SELECT count(*) FROM refused WHERE link = ?";
        if self.number("count the refused", sql, params![link.id.0])? > REFUSED_OF_A_LINK_MAX as u64 {
            let sql = "DELETE FROM refused WHERE id IN (SELECT id FROM refused WHERE link = ?
                         ORDER BY whose = 'theirs', id DESC LIMIT -1 OFFSET ?)";
            self.run("bound the refused", sql, params![link.id.0, kept(REFUSED_OF_A_LINK_MAX)])?;
        }
        if self.number("count the refused", "SELECT count(*) FROM refused", [])? > REFUSED_MAX as u64 {
            let sql = "DELETE FROM refused WHERE id IN (SELECT id FROM refused
                         ORDER BY whose = 'theirs', id DESC LIMIT -1 OFFSET ?)";
            self.run("bound the refused", sql, params![kept(REFUSED_MAX)])?;
        }
        Ok(())
    }

    /// Forgets a refused change with which a person has dealt.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn dismiss_refused(&self, id: i64) -> Result<(), StoreError> {
        match self.run("forget a refused change", "DELETE FROM refused WHERE id = ?", params![id])? {
            0 => Err(StoreError::Unknown("refused change", id.to_string())),
            _ => Ok(()),
        }
    }
}
