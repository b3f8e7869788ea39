//! The second stage of receiving: folding what was logged into documents, views, counters and feeds.
//!
//! **Invariant:** the work is done outside the transaction and committed only if nothing was folded meanwhile; what can't
//! be folded is quarantined with its document and stands in nobody's way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::{Digest, DocId, Kind, Ladder, Timestamp};
use record::Record;
use rusqlite::params;

use crate::document::DocState;
use crate::view::View;
use crate::{Read, StoreError, Tx};

/// A document with changes that are not folded.
#[derive(Debug)]
pub struct FoldJob {
    id: DocId,
    document: i64,
    kind: Kind,
    state: DocState,
    folded: i64,
    newest: i64,
    heads: Vec<Digest>,
    saved: Option<Vec<u8>>,
    before: Option<Vec<Digest>>,
    pending: Vec<Vec<u8>>,
}

impl FoldJob {
    /// The document.
    pub const fn id(&self) -> DocId {
        self.id
    }
}

/// What folding a document came to.
#[derive(Debug)]
pub struct Folded {
    job: FoldJob,
    outcome: Result<(Vec<u8>, View), String>,
}

/// What the commit of a fold came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldOutcome {
    /// It stands.
    Stands,
    /// The document moved meanwhile: it is still dirty and will be folded again.
    Redo,
    /// It was quarantined.
    Quarantined,
}

/// Folds one document: pure work, for any thread.
pub fn fold_one(job: FoldJob, ladder: &Ladder) -> Folded {
    let work = || {
        let pending = job.pending.iter().map(Vec::as_slice);
        let (record, saved) = record::fold(job.saved.as_deref(), pending, &job.heads).map_err(|e| e.to_string())?;
        check(&record, &job)?;
        Ok((saved, View::of(&record, job.kind, ladder)))
    };
    let outcome =
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("reading the record broke off".to_owned()));
    Folded { job, outcome }
}

fn check(record: &Record, job: &FoldJob) -> Result<(), String> {
    if record.id() == Some(job.id) { Ok(()) } else { Err("the record names another document".to_owned()) }
}

impl Read<'_> {
    /// Documents with changes that are not folded, at most `limit`, the oldest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn fold_work(&self, limit: usize) -> Result<Vec<FoldJob>, StoreError> {
        let sql = "SELECT doc_id FROM document WHERE dirty IS NOT NULL AND state NOT IN ('quarantined', 'erased') ORDER BY dirty LIMIT ?";
        let dirty = self.all("look for work", sql, params![limit as i64], |row| row.get(0))?;
        let mut jobs = Vec::with_capacity(dirty.len());
        for id in dirty.into_iter().map(DocId::from_bytes) {
            let Some(row) = self.document(id)? else { continue };
            let Some(newest) = row.dirty else { continue };
            let (before, saved) = self.snapshot(row.id)?.unzip();
            let pending = self.pending(&row)?;
            let heads = row.heads.clone();
            jobs.push(FoldJob {
                id,
                document: row.id,
                kind: row.kind,
                state: row.state,
                folded: row.folded,
                newest,
                heads,
                saved,
                before,
                pending,
            });
        }
        Ok(jobs)
    }
}

impl Tx<'_> {
    /// Commits a fold: snapshot, view, counters, feed rows for other links and sums.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_fold(&self, folded: &Folded, at: Timestamp) -> Result<FoldOutcome, StoreError> {
        let Folded { job, outcome } = folded;
        let Some(row) = self.document(job.id)? else { return Ok(FoldOutcome::Redo) };
        let same = row.folded == job.folded && row.dirty.is_some() && row.state == job.state;
        if !same {
            return Ok(FoldOutcome::Redo);
        }
        let (saved, view) = match outcome {
            Ok(made) => made,
            Err(words) => {
                if row.dirty != Some(job.newest) {
                    return Ok(FoldOutcome::Redo);
                }
                self.quarantine(job, words, at)?;
                return Ok(FoldOutcome::Quarantined);
            }
        };
        self.put_snapshot(job.document, &job.heads, saved)?;
        let sql = "UPDATE document SET folded = ?1, dirty = CASE WHEN dirty > ?1 THEN dirty END WHERE id = ?2";
        self.run("mark a fold", sql, params![job.newest, job.document])?;
        self.feed_changes(job.document, job.folded, job.newest)?;
        self.move_sums(job.document, job.id, job.before.as_deref(), &job.heads)?;
        self.put_view(job.document, view)?;
        Ok(FoldOutcome::Stands)
    }

    /// The last good view stays; the document takes no writes and leaves the sums.
    fn quarantine(&self, job: &FoldJob, words: &str, at: Timestamp) -> Result<(), StoreError> {
        if let Some(before) = &job.before {
            let gone = model::ScopeSum::default().minus(model::ScopeSum::of(job.id, before));
            for scope in self.held_in(job.document)? {
                self.add_to_sum(scope, gone, -1);
            }
        }
        let sql = "UPDATE document SET state = 'quarantined' WHERE id = ?";
        self.run("quarantine a document", sql, params![job.document])?;
        let sql = "INSERT OR REPLACE INTO quarantine (document, words, at) VALUES (?, ?, ?)";
        self.run("quarantine a document", sql, params![job.document, words, at.as_millis()]).map(drop)
    }
}
