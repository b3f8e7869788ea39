//! Quarantine: documents with a change that could not be folded, or a snapshot that could not be read.
//!
//! **Invariants:** such a document is shown as it was last read and takes no writes of this node; changes from others are
//! logged and wait. It is in no sum. Two ways lead out: another version of this program that can read it, and a person
//! who has it made anew.

use model::{Digest, DocId, Kind, ScopeSum, Timestamp};
use rusqlite::params;

use crate::document::{DocState, DocumentRow};
use crate::{Read, StoreError, Tx};

/// The version of this program. It stands beside what could not be read, and another one tries again: not a number of our
/// own for the format, for what reads a change is a library too, and who renews it would have to think of that number. A
/// try in vain costs one fold for each document and release.
pub const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A document that can't be read.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The document.
    pub document: DocId,
    /// Its kind.
    pub kind: Kind,
    /// Why, for a person.
    pub words: String,
    /// Which version of the program could not read it.
    pub version: String,
    /// Since when.
    pub at: Timestamp,
}

impl Read<'_> {
    /// Documents that can't be read, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        let sql = "SELECT d.doc_id, d.kind, q.words, q.version, q.at FROM quarantine q
                   JOIN document d ON d.id = q.document ORDER BY q.at DESC, q.document DESC LIMIT ?";
        self.all("list what can't be read", sql, params![limit as i64], |row| {
            Ok(Quarantined {
                document: DocId::from_bytes(row.get(0)?),
                kind: Kind::from_word(row.get_ref(1)?.as_str()?).unwrap_or(Kind::Supporter),
                words: row.get(2)?,
                version: row.get(3)?,
                at: Timestamp::from_millis(row.get(4)?),
            })
        })
    }

    /// Whether something was last tried by another version of this program.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn waits_for_version(&self, version: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM quarantine WHERE version != ?)";
        Ok(self.number("look what can't be read", sql, params![version])? > 0)
    }

    /// Whether a document in quarantine was kept here before, in no feed.
    pub(crate) fn was_kept(&self, document: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM quarantine WHERE document = ? AND was = 'kept')";
        Ok(self.number("look what it was", sql, params![document])? > 0)
    }
}

impl Tx<'_> {
    /// Puts a document into quarantine, or notes that this version could not read it either.
    pub(crate) fn quarantine(
        &self,
        row: &DocumentRow,
        id: DocId,
        words: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if row.state == DocState::Quarantined {
            let sql = "UPDATE quarantine SET words = ?, version = ? WHERE document = ?";
            return self.run("quarantine a document", sql, params![words, PROGRAM_VERSION, row.id]).map(drop);
        }
        if let Some(sum) = self.sum_of(row, id)? {
            for scope in self.held_in(row.id)? {
                self.add_to_sum(scope, ScopeSum::default().minus(sum), -1);
            }
        }
        let sql = "UPDATE document SET state = 'quarantined' WHERE id = ?";
        self.run("quarantine a document", sql, params![row.id])?;
        let sql = "INSERT OR REPLACE INTO quarantine (document, words, version, was, at) VALUES (?, ?, ?, ?, ?)";
        let quarantined = params![row.id, words, PROGRAM_VERSION, row.state.word(), at.as_millis()];
        self.run("quarantine a document", sql, quarantined).map(drop)
    }

    /// A document can be read (again), at these heads: it is what it was, and in the sums.
    pub(crate) fn release(&self, document: i64, id: DocId, heads: &[Digest]) -> Result<(), StoreError> {
        // It may have been told to leave meanwhile, which closes what is on its way.
        let sql = "UPDATE document SET state = CASE
                     WHEN EXISTS (SELECT 1 FROM leaving l JOIN scope s ON s.id = l.scope
                                  WHERE l.document = document.id AND s.role = 'own') THEN 'read_only'
                     WHEN EXISTS (SELECT 1 FROM quarantine q WHERE q.document = document.id AND q.was = 'kept') THEN 'kept'
                     ELSE 'live' END
                   WHERE id = ? AND state = 'quarantined'";
        self.run("release a document", sql, params![document])?;
        self.run("release a document", "DELETE FROM quarantine WHERE document = ?", params![document])?;
        self.move_sums(document, id, None, heads)
    }
}
