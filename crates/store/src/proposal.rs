//! Proposals: values that a form brought for someone who is known. They wait for a person's word.

use model::{DocId, EventId, Personal, ProposalId, Timestamp};
use rusqlite::params;

use crate::rows::one_named;
use crate::{Read, StoreError, Tx};

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// It was written into the record.
    Taken,
    /// It was forgotten.
    Dropped,
}

/// A value to be proposed.
#[derive(Clone, Debug)]
pub struct NewProposal {
    /// Its id.
    pub id: ProposalId,
    /// The key that it is for.
    pub key: String,
    /// The value.
    pub value: Personal,
}

/// A proposal that waits.
#[derive(Clone, Debug)]
pub struct ProposalRow {
    /// Its id.
    pub id: ProposalId,
    /// For whom.
    pub person: DocId,
    /// With which sign-up it came.
    pub sign_up: EventId,
    /// The key that it is for.
    pub key: String,
    /// The value.
    pub value: Personal,
    /// When it was posted.
    pub at: Timestamp,
}

const COLUMNS: &str = "SELECT p.proposal_id, d.doc_id, p.sign_up, p.key, p.value, p.at FROM proposal p
  JOIN document d ON d.id = p.document WHERE p.state = 'open'";

fn read_proposal(row: &rusqlite::Row<'_>) -> rusqlite::Result<ProposalRow> {
    Ok(ProposalRow {
        id: ProposalId::from_bytes(row.get(0)?),
        person: DocId::from_bytes(row.get(1)?),
        sign_up: EventId::from_bytes(row.get(2)?),
        key: row.get(3)?,
        value: row.get::<_, String>(4)?.into(),
        at: Timestamp::from_millis(row.get(5)?),
    })
}

impl Read<'_> {
    /// Proposals that wait, the oldest first: for one person, or for all (at most 500).
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn proposals(&self, person: Option<DocId>) -> Result<Vec<ProposalRow>, StoreError> {
        match person {
            Some(person) => {
                let sql = format!("{COLUMNS} AND d.doc_id = ? ORDER BY p.id");
                self.all("read proposals", &sql, params![person.as_bytes()], read_proposal)
            }
            None => self.all("read proposals", &format!("{COLUMNS} ORDER BY p.id LIMIT 500"), [], read_proposal),
        }
    }

    /// The proposal that a full id or a unique beginning or end of one names.
    ///
    /// # Errors
    /// When none that waits has it, or more than one.
    pub fn proposal(&self, text: &str) -> Result<ProposalRow, StoreError> {
        let waiting = self.all("read proposals", COLUMNS, [], read_proposal)?;
        one_named(text, "open proposal", waiting, |row| row.id.to_string())
    }
}

impl Tx<'_> {
    /// Stores a proposal and feeds it to the chapter that has the person.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn propose(
        &self,
        person: DocId,
        sign_up: EventId,
        proposals: &[NewProposal],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let document = self.document_row(person)?.ok_or(StoreError::NoDocument(person))?;
        for new in proposals {
            let row = self.put_proposal(document, new.id, sign_up, &new.key, new.value.expose(), at)?;
            let sql = "SELECT a.scope FROM assign a JOIN scope s ON s.id = a.scope
                       WHERE a.document = ? AND a.state = 'held' AND s.role = 'chapter'";
            for scope in self.all("find who has her", sql, params![document], |row| row.get(0))? {
                self.feed(scope, document, "propose", row, None)?;
            }
        }
        Ok(())
    }

    /// Proposals that waited with her go with her.
    pub(crate) fn feed_proposals(&self, scope: i64, document: i64) -> Result<(), StoreError> {
        let sql = "SELECT id FROM proposal WHERE document = ? AND state = 'open' ORDER BY id";
        let open: Vec<i64> = self.all("read proposals", sql, params![document], |row| row.get(0))?;
        open.into_iter().try_for_each(|row| self.feed(scope, document, "propose", row, None).map(drop))
    }

    pub(crate) fn put_proposal(
        &self,
        document: i64,
        id: ProposalId,
        sign_up: EventId,
        key: &str,
        value: &str,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO proposal (proposal_id, document, sign_up, key, value, at, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open')
                   ON CONFLICT (proposal_id) DO UPDATE SET proposal_id = ?1 RETURNING id";
        let row = params![id.as_bytes(), document, sign_up.as_bytes(), key, value, at.as_millis()];
        self.one("store a proposal", sql, row, |row| row.get(0))?.ok_or(StoreError::Corrupt("proposal"))
    }

    /// What waits for a word about someone goes over to her other record.
    pub(crate) fn move_proposals(&self, from: i64, to: i64) -> Result<(), StoreError> {
        let sql = "UPDATE proposal SET document = ? WHERE document = ? AND state = 'open'";
        self.run("keep proposals with her", sql, params![to, from]).map(drop)
    }

    /// Ends a proposal. A dropped value is forgotten.
    ///
    /// # Errors
    /// When it no longer waits.
    pub fn end_proposal(&self, id: ProposalId, state: ProposalState) -> Result<(), StoreError> {
        let (word, forget) = match state {
            ProposalState::Taken => ("taken", false),
            ProposalState::Dropped => ("dropped", true),
        };
        let sql = "UPDATE proposal SET state = ?1, value = CASE WHEN ?2 THEN '' ELSE value END
                   WHERE proposal_id = ?3 AND state = 'open'";
        match self.run("end a proposal", sql, params![word, forget, id.as_bytes()])? {
            0 => Err(StoreError::Unknown("open proposal", id.to_string())),
            _ => Ok(()),
        }
    }
}
