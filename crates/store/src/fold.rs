//! The second stage of receiving: folding what was logged into documents, views, counters and feeds.
//!
//! **Invariant:** the work is done outside the transaction and committed only if nothing was folded meanwhile; what can't
//! be folded is quarantined with its document and stands in nobody's way. What is in quarantine is folded the same way,
//! when another version of this program tries it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::{Digest, DocId, Kind, Ladder, Timestamp};
use record::Record;
use rusqlite::params;

use crate::document::DocState;
use crate::view::View;
use crate::{Read, StoreError, Tx};

/// After how many bytes of snapshots and changes no further document is read into one round: with what is made of them, a few
/// times that is in memory at once.
const ROUND_BYTES: usize = 16 * 1024 * 1024;
/// Why a record is put aside to which more was written than it could ever hold.
const TOO_MUCH: &str = "more was written to it at once than a record can hold";

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
    /// `None`: more than any record can take.
    pending: Option<Vec<Vec<u8>>>,
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
        let Some(pending) = &job.pending else { return Err(TOO_MUCH.to_owned()) };
        let pending = pending.iter().map(Vec::as_slice);
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
    /// Documents with changes that are not folded, at most `limit` and as many as are read at once, the oldest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn fold_work(&self, limit: usize) -> Result<Vec<FoldJob>, StoreError> {
        let sql = "SELECT doc_id FROM document WHERE dirty IS NOT NULL AND state NOT IN ('quarantined', 'erased') ORDER BY dirty LIMIT ?";
        self.fold_jobs(self.all("look for work", sql, params![limit as i64], |row| row.get(0))?)
    }

    /// Documents in quarantine that were last tried by another version of this program, at most `limit`.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn retry_work(&self, version: &str, limit: usize) -> Result<Vec<FoldJob>, StoreError> {
        let sql = "SELECT d.doc_id FROM quarantine q JOIN document d ON d.id = q.document
                   WHERE q.version != ? AND d.state = 'quarantined' ORDER BY q.document LIMIT ?";
        self.fold_jobs(self.all("look what can be tried again", sql, params![version, limit as i64], |row| row.get(0))?)
    }

    fn fold_jobs(&self, documents: Vec<[u8; 16]>) -> Result<Vec<FoldJob>, StoreError> {
        let (mut jobs, mut weight) = (Vec::with_capacity(documents.len()), 0);
        for id in documents.into_iter().map(DocId::from_bytes) {
            if weight > ROUND_BYTES {
                break;
            }
            let Some(row) = self.document(id)? else { continue };
            let newest = row.dirty.unwrap_or(row.folded);
            let (before, saved) = self.snapshot(row.id)?.unzip();
            let pending = self.pending(&row)?;
            weight += saved.as_ref().map_or(0, Vec::len) + pending.iter().flatten().map(Vec::len).sum::<usize>();
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
        let retried = job.state == DocState::Quarantined;
        let same = row.folded == job.folded && (retried || row.dirty.is_some()) && row.state == job.state;
        if !same {
            return Ok(FoldOutcome::Redo);
        }
        let (saved, view) = match outcome {
            Ok(made) => made,
            Err(words) => {
                // Also where more has come since: nothing that follows makes it readable, and who goes on writing would have it
                // tried for ever.
                self.quarantine(&row, job.id, words, at)?;
                return Ok(FoldOutcome::Quarantined);
            }
        };
        self.put_snapshot(job.document, &job.heads, saved)?;
        let sql = "UPDATE document SET folded = ?1, dirty = CASE WHEN dirty > ?1 THEN dirty END WHERE id = ?2";
        self.run("mark a fold", sql, params![job.newest, job.document])?;
        self.feed_changes(job.document, job.folded, job.newest)?;
        if retried {
            self.release(job.document, job.id, &job.heads)?;
        } else {
            self.move_sums(job.document, job.id, job.before.as_deref(), &job.heads)?;
        }
        self.put_view(job.document, view)?;
        Ok(FoldOutcome::Stands)
    }
}
