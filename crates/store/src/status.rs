//! The figures of `status`: counters, never scans.

use model::{DocId, ScopeId};
use rusqlite::params;

use crate::home::ELSEWHERE;
use crate::membership::STAYED;
use crate::same::WAITS;
use crate::{Read, StoreError};

/// Which counters make up the whole: not those of whom a chapter elsewhere counts, nor of a chapter that left.
fn in_totals() -> String {
    format!("scope != {ELSEWHERE} AND scope NOT IN (SELECT scope FROM chapter WHERE left_at IS NOT NULL)")
}

/// Counts by rung.
pub type RungCounts = Vec<(String, u64)>;

/// The figures of one node.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Supporters.
    pub supporters: u64,
    /// Supporters by rung.
    pub rungs: RungCounts,
    /// Of them, who wait for a chapter.
    pub waiting: u64,
    /// People with a conflict.
    pub conflicts: u64,
    /// Proposals that wait.
    pub proposals: u64,
    /// Records with a change that could not be read.
    pub quarantined: u64,
    /// Changes that were not taken.
    pub refused: u64,
    /// Of them, those that follow what is not here.
    pub missing: u64,
    /// Records with changes that are not folded.
    pub unfolded: u64,
}

impl Read<'_> {
    /// The figures of this node.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn tally(&self) -> Result<Tally, StoreError> {
        let in_totals = in_totals();
        let sql = format!(
            "SELECT substr(name, 6), sum(value) FROM counter WHERE name LIKE 'rung/%' AND {in_totals}
             GROUP BY name HAVING sum(value) > 0"
        );
        let rungs: RungCounts = self.all("read counters", &sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let conflicts = format!("SELECT coalesce(sum(value), 0) FROM counter WHERE name = 'conflicts' AND {in_totals}");
        // Looked up one by one only where a chapter has left.
        let proposals = format!(
            "SELECT (SELECT count(*) FROM proposal WHERE state = 'open')
               - CASE WHEN EXISTS (SELECT 1 FROM chapter WHERE left_at IS NOT NULL) THEN
                   (SELECT count(*) FROM proposal p JOIN supporter v ON v.document = p.document
                    WHERE p.state = 'open' AND NOT {STAYED}) ELSE 0 END"
        );
        let count = |sql: &str| self.number("count", sql, []);
        Ok(Tally {
            supporters: rungs.iter().map(|(_, count)| count).sum(),
            rungs,
            waiting: count("SELECT coalesce(sum(value), 0) FROM counter WHERE scope = 0 AND name LIKE 'rung/%'")?,
            conflicts: count(&conflicts)?,
            proposals: count(&proposals)?,
            quarantined: count("SELECT count(*) FROM quarantine")?,
            refused: count("SELECT count(*) FROM refused WHERE why != 'missing'")?,
            missing: count("SELECT count(*) FROM refused WHERE why = 'missing'")?,
            unfolded: self.unfolded()?,
        })
    }

    /// Counts by rung of people who wait for a chapter.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn waiting_by_reason(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = format!(
            "SELECT coalesce(v.waiting, ''), count(*) FROM supporter v WHERE v.listed = 1 AND {WAITS}
             GROUP BY v.waiting ORDER BY 2 DESC"
        );
        self.all("count who waits", &sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// People whose place in a scope is disputed: left out of sums, count and hash.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn disputed(&self, scope: ScopeId) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM assign a JOIN document d ON d.id = a.document
                   WHERE a.scope = ? AND a.state = 'held' AND d.state = 'quarantined'";
        let ids = self.all("list who is disputed", sql, params![self.known_scope(scope)?.id], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }
}

impl Read<'_> {
    /// How many records have changes that are not folded.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn unfolded(&self) -> Result<u64, StoreError> {
        self.number(
            "look for work",
            "SELECT count(*) FROM document WHERE dirty IS NOT NULL AND state NOT IN ('quarantined', 'erased')",
            [],
        )
    }
}
