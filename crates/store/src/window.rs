//! What is kept for a time: the feeds' window, whose older rows go however far behind a peer is, and transfers that have
//! ended.
//!
//! **Invariants:** a feed stays dense from its first row to its last. Bytes that a row kept only to be sent stand in the
//! snapshot, from which they come out the same; a peer that was away longer compares. A transfer stays until everybody who
//! takes part has heard how it ended.

use model::Timestamp;
use rusqlite::params;

use crate::leave::DAY_MS;
use crate::{Read, StoreError, Tx};

/// How many of its newest rows a scope's feed keeps: a hundred thousand changes are a busy chapter's month, and about
/// 30 MB at most. A peer that is further behind compares, which costs less than reading so many rows.
pub const FEED_ROWS_KEPT: u64 = 100_000;
/// The most rows that go in one transaction, so that nobody waits for it.
const ROWS_AT_ONCE: u64 = 2_000;
/// How long a transfer is listed after it has ended, in ms: 30 days, in which whoever proposed it looks what came of it.
const ENDED_LISTED_MS: i64 = 30 * DAY_MS;

/// The most transfers of one chapter that are open: more would hide each other.
const OPEN_MAX: u64 = 1_000;
/// The most that one chapter proposes while ended ones are listed, a month: each stands in the audit log for ever.
const PROPOSED_MAX: u64 = 3_000;

impl Read<'_> {
    /// Whether a chapter has proposed as many transfers as may be open, or listed, at once.
    pub(crate) fn has_proposed_enough(&self, chapter: i64) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) >= ?2 OR total(state = 'open') >= ?3 FROM transfer WHERE proposer = ?1";
        Ok(self.number("count transfers", sql, params![chapter, PROPOSED_MAX, OPEN_MAX])? > 0)
    }
}

impl Tx<'_> {
    /// Lets rows go that are older than the newest `kept` of each feed, a few thousand at once; gives how many went.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn trim_feeds(&self, kept: u64) -> Result<u64, StoreError> {
        let mut gone = 0;
        let sql = "SELECT s.id, s.next_seq, (SELECT min(seq) FROM feed f WHERE f.scope = s.id) FROM scope s";
        let scopes = self.all("look for old rows", sql, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?, row.get::<_, Option<u64>>(2)?))
        })?;
        for (scope, next, first) in scopes {
            let Some(first) = first else { continue };
            // The newest row stays: a cursor is good by its digest.
            let until = next.saturating_sub(kept.max(1)).min(first + ROWS_AT_ONCE);
            if first >= until {
                continue;
            }
            // What is not folded is still needed; everything else stands in the snapshot.
            let sql = "UPDATE change SET raw = NULL WHERE id IN
                         (SELECT c.id FROM feed f JOIN change c ON c.id = f.ref JOIN document d ON d.id = c.document
                          WHERE f.scope = ? AND f.seq < ? AND f.kind = 'change' AND c.id <= d.folded)";
            self.run("empty old rows", sql, params![scope, until])?;
            let sql = "DELETE FROM feed WHERE scope = ? AND seq < ?";
            gone += self.run("let old rows go", sql, params![scope, until])? as u64;
        }
        Ok(gone)
    }

    /// Lets transfers go that ended long ago; what has ended since the last time is noted. To be called once a day.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn trim_transfers(&self, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE transfer SET ended = ? WHERE state != 'open' AND ended IS NULL";
        self.run("note what has ended", sql, params![at.as_millis()])?;
        // The word that was given is asked for until she has gone: her leave may come long after it.
        let sql = "DELETE FROM transfer WHERE ended <= ?
                     AND NOT EXISTS (SELECT 1 FROM leaving l WHERE l.document = transfer.document)
                     AND NOT EXISTS (SELECT 1 FROM assign a WHERE a.scope = transfer.giver AND a.document = transfer.document
                                     AND a.state = 'held' AND a.epoch = transfer.epoch AND transfer.state = 'done')
                     AND NOT EXISTS (SELECT 1 FROM feed f JOIN link n ON n.scope = f.scope AND n.state != 'revoked' AND n.state != 'left'
                                     LEFT JOIN link_scope c ON c.link = n.id AND c.scope = f.scope
                                     WHERE f.kind = 'transfer' AND f.ref = transfer.id AND f.seq > coalesce(c.acknowledged, 0))";
        self.run("let old transfers go", sql, params![at.as_millis() - ENDED_LISTED_MS]).map(drop)
    }
}
