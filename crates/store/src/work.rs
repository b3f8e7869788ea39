//! What organisers of this node see of each other's work: whose number is open, and what was held this week.

use model::{DocId, EventId, Timestamp};
use rusqlite::params;

use crate::people::Which;
use crate::{Filter, Read, StoreError, Tx};

/// How long whoever opens a number holds it, in ms: 20 minutes, the length of a call.
pub const CALLING_MS: i64 = 20 * 60 * 1000;
/// The most people that are counted for a list: beyond it nobody reads the number but as "many".
pub const COUNTED_MAX: u64 = 10_000;

/// Who holds somebody's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    /// Whose number.
    pub person: DocId,
    /// The login.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
}

impl Read<'_> {
    /// How many people a filter finds, at most [`COUNTED_MAX`].
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn count_people(&self, filter: &Filter) -> Result<u64, StoreError> {
        self.count_people_to(filter, COUNTED_MAX)
    }

    /// The same, at most so many: what is counted while somebody types is counted in milliseconds.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn count_people_to(&self, filter: &Filter, most: u64) -> Result<u64, StoreError> {
        let Some(Which { from, condition, mut values, .. }) = self.which(filter)? else { return Ok(0) };
        values.push(rusqlite::types::Value::from(most.cast_signed()));
        let sql = format!("SELECT count(*) FROM (SELECT 1 {from} WHERE {condition} LIMIT ?)");
        self.number("count people", &sql, rusqlite::params_from_iter(values))
    }

    /// Who looks after people here, and after how many, by name. Reads the index alone.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn carers(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT looked_after_by, count(*) FROM supporter INDEXED BY supporter_care
                   WHERE looked_after_by IS NOT NULL GROUP BY looked_after_by";
        self.all("count who looks after whom", sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Whose numbers are open at this moment, and with whom.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn calling(&self, now: Timestamp) -> Result<Vec<Calling>, StoreError> {
        let sql =
            "SELECT d.doc_id, c.by, c.until FROM calling c JOIN document d ON d.id = c.document WHERE c.until > ?";
        self.all("look who is calling", sql, params![now.as_millis()], |row| {
            Ok(Calling {
                person: DocId::from_bytes(row.get(0)?),
                by: row.get(1)?,
                until: Timestamp::from_millis(row.get(2)?),
            })
        })
    }

    /// One-to-ones that were held from one moment until before another: the event and whose it is, oldest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn one_to_ones(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(EventId, DocId)>, StoreError> {
        let sql =
            "SELECT e.event_id, d.doc_id FROM event e INDEXED BY event_one_to_one JOIN document d ON d.id = e.document
                   JOIN supporter v ON v.document = e.document
                   WHERE e.kind = 'one_to_one' AND e.at >= ? AND e.at < ? AND v.hidden = 0 ORDER BY e.at, e.event_id";
        self.all("list one-to-ones", sql, params![from.as_millis(), to.as_millis()], |row| {
            Ok((EventId::from_bytes(row.get(0)?), DocId::from_bytes(row.get(1)?)))
        })
    }
}

impl Tx<'_> {
    /// Opens somebody's number: it is this login's for [`CALLING_MS`]. Gives who holds it, if that is somebody else.
    ///
    /// # Errors
    /// When she is not here, or rows can't be written.
    pub fn open_number(&self, person: DocId, by: &str, now: Timestamp) -> Result<Option<Calling>, StoreError> {
        let document = self.document_row(person)?.ok_or(StoreError::NoDocument(person))?;
        self.run("let numbers go", "DELETE FROM calling WHERE until <= ?", params![now.as_millis()])?;
        let held = self.calling(now)?.into_iter().find(|held| held.person == person && held.by != by);
        if held.is_none() {
            let sql = "INSERT INTO calling (document, by, until) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET by = ?2, until = ?3";
            let row = params![document, by, now.plus_millis(CALLING_MS).as_millis()];
            self.run("open a number", sql, row)?;
        }
        Ok(held)
    }

    /// The number is free again.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn close_number(&self, person: DocId, by: &str) -> Result<(), StoreError> {
        let Some(document) = self.document_row(person)? else { return Ok(()) };
        let sql = "DELETE FROM calling WHERE document = ? AND by = ?";
        self.run("close a number", sql, params![document, by]).map(drop)
    }

    /// Forgets the private texts of an event that was wrongly logged.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn forget_notes_of(&self, event: EventId) -> Result<(), StoreError> {
        self.run("forget notes", "DELETE FROM private_note WHERE event = ?", params![event.as_bytes()]).map(drop)
    }
}
