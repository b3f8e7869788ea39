//! Taking a document's content out of the database.
//!
//! **Invariant:** every row that holds something of it goes in one transaction, and SQLite overwrites what it frees
//! (`secure_delete`); a feed's rows stay as they are, with nothing of it but its id, so that cursors stay good.

use model::{DocId, ScopeSum};
use rusqlite::params;

use crate::document::DocumentRow;
use crate::{StoreError, Tx};

/// What stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// What the chapter wrote for itself.
    Notes,
    /// Nothing.
    Nothing,
}

/// Tables with rows about one document, which go with it.
const WITH_IT: [&str; 8] = [
    "DELETE FROM change WHERE document = ?",
    "DELETE FROM snapshot WHERE document = ?",
    "DELETE FROM proposal WHERE document = ? AND state = 'open'",
    "DELETE FROM proposal WHERE document = ? AND state != 'open'",
    "DELETE FROM quarantine WHERE document = ?",
    "DELETE FROM leaving WHERE document = ?",
    "DELETE FROM calling WHERE document = ?",
    "DELETE FROM answer WHERE document = ?",
];
/// What was written at this node alone, and what was said about a transfer.
const PRIVATE: [&str; 5] = [
    "DELETE FROM private_note WHERE document = ?",
    "DELETE FROM private_field WHERE document = ?",
    "DELETE FROM stub WHERE document = ?",
    "DELETE FROM same_here WHERE document = ?1 OR other = ?1",
    "UPDATE user SET supporter = NULL WHERE supporter = ?",
];

impl Tx<'_> {
    /// Takes the content of a document out of every table. Its row stays, with nothing in it.
    pub(crate) fn forget(&self, row: &DocumentRow, id: DocId, keep: Keep) -> Result<(), StoreError> {
        if let Some(sum) = self.sum_of(row, id)? {
            for scope in self.held_in(row.id)? {
                self.add_to_sum(scope, ScopeSum::default().minus(sum), -1);
            }
        }
        self.take_from_view(row.id)?;
        for sql in WITH_IT {
            self.run("forget a document", sql, params![row.id])?;
        }
        self.run("forget a document", "DELETE FROM refused WHERE doc_id = ?", params![id.as_bytes()])?;
        // A child that was asked to take her, and never held her, hears of it by this row alone.
        let sql = "SELECT t.id, s.id FROM transfer t JOIN scope s ON (s.id = t.giver OR s.id = t.taker)
                   WHERE t.document = ? AND t.state = 'open' AND s.role = 'chapter'";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        for (transfer, scope) in self.all("look for transfers", sql, params![row.id], read)? {
            self.feed(scope, row.id, "transfer", transfer, None)?;
        }
        let sql =
            "UPDATE transfer SET summary = '', text = '', state = CASE state WHEN 'open' THEN 'done' ELSE state END
                   WHERE document = ?";
        self.run("forget what was said of it", sql, params![row.id])?;
        if keep == Keep::Nothing {
            for sql in PRIVATE {
                self.run("forget a document", sql, params![row.id])?;
            }
        }
        let sql = "UPDATE document SET heads = x'', dirty = NULL, folded = 0, indexed = 1 WHERE id = ?";
        self.run("empty a document", sql, params![row.id]).map(drop)
    }
}
