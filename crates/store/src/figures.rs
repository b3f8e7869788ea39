//! Figures that many rows share: a scope's sum, count and next number, and the counters.
//!
//! **Invariant:** a job adds to them in memory and they are written once, when it ends, in its transaction. A job that
//! reads one of them writes them first.

use std::collections::BTreeMap;

use model::ScopeSum;
use rusqlite::params;

use crate::{StoreError, Tx};

/// What a job has added so far.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    scopes: BTreeMap<i64, ScopeFigures>,
    counters: BTreeMap<(i64, String), i64>,
}

/// What a job has added to a scope.
#[derive(Debug, Default)]
struct ScopeFigures {
    sum: ScopeSum,
    count: i64,
    /// The next number of its feed, once a row was fed.
    next_seq: Option<i64>,
}

impl Tx<'_> {
    /// Adds to a scope's sum and count.
    pub(crate) fn add_to_sum(&self, scope: i64, by: ScopeSum, count: i64) {
        let mut figures = self.figures.borrow_mut();
        let scope = figures.scopes.entry(scope).or_default();
        scope.sum = scope.sum.plus(by);
        scope.count += count;
    }

    /// Adds to a counter.
    pub(crate) fn count(&self, scope: i64, name: String, by: i64) {
        *self.figures.borrow_mut().counters.entry((scope, name)).or_default() += by;
    }

    /// The number of the last row of a scope's feed; 0 before the first.
    pub(crate) fn last_seq(&self, scope: i64) -> Result<i64, StoreError> {
        let known = self.figures.borrow().scopes.get(&scope).and_then(|scope| scope.next_seq);
        let sql = "SELECT next_seq FROM scope WHERE id = ?";
        let next = match known {
            Some(next) => Some(next),
            None => self.one("read a feed's last row", sql, params![scope], |row| row.get(0))?,
        };
        Ok(next.ok_or(StoreError::Corrupt("scope"))? - 1)
    }

    /// The next number of a scope's feed, which is used up by this.
    pub(crate) fn next_seq(&self, scope: i64) -> Result<i64, StoreError> {
        let known = self.figures.borrow().scopes.get(&scope).and_then(|scope| scope.next_seq);
        let sql = "SELECT next_seq FROM scope WHERE id = ?";
        let seq = match known {
            Some(seq) => seq,
            None => self
                .one("number a feed row", sql, params![scope], |row| row.get(0))?
                .ok_or(StoreError::Corrupt("scope"))?,
        };
        self.figures.borrow_mut().scopes.entry(scope).or_default().next_seq = Some(seq + 1);
        Ok(seq)
    }

    /// Writes what was added.
    pub(crate) fn write_figures(&self) -> Result<(), StoreError> {
        let Figures { scopes, counters } = self.figures.take();
        for (scope, added) in scopes {
            let sql = "SELECT sum FROM scope WHERE id = ?";
            let sum = self.one("read a sum", sql, params![scope], |row| row.get(0))?;
            let sum = ScopeSum::from_bytes(&sum.ok_or(StoreError::Corrupt("scope"))?).plus(added.sum);
            let sql = "UPDATE scope SET sum = ?, count = count + ?, next_seq = coalesce(?, next_seq) WHERE id = ?";
            self.run("move a sum", sql, params![sum.to_bytes(), added.count, added.next_seq, scope])?;
        }
        for ((scope, name), by) in counters.into_iter().filter(|(_, by)| *by != 0) {
            // Not as an upsert: see `put_row` of the view.
            let sql = "UPDATE counter SET value = value + ?3 WHERE scope = ?1 AND name = ?2";
            if self.run("count", sql, params![scope, name, by])? == 0 {
                let sql = "INSERT INTO counter (scope, name, value) VALUES (?1, ?2, ?3)";
                self.run("count", sql, params![scope, name, by])?;
            }
        }
        Ok(())
    }
}
