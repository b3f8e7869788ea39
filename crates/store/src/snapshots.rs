//! Documents that came as snapshots: read in the background, and given the narrow rows of their changes.
//!
//! **Invariants:** what was read is written only if the document has not moved meanwhile. A view that came from the parent
//! is shown until the record itself was read here; then the record's own stands.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::{ActorId, Digest, DocId, Kind, Ladder, Timestamp};
use record::{Record, Written};
use rusqlite::params;

use crate::document::{DocState, DocumentRow};
use crate::rows::split_hashes;
use crate::view::View;
use crate::{Read, StoreError, Tx};

/// A document that came as a snapshot and was not read here yet.
#[derive(Debug)]
pub struct SnapshotJob {
    id: DocId,
    kind: Kind,
    heads: Vec<Digest>,
    /// The snapshot with its heads, if it is there.
    snapshot: Option<(Vec<Digest>, Vec<u8>)>,
}

impl SnapshotJob {
    /// The document.
    pub const fn id(&self) -> DocId {
        self.id
    }
}

/// Who wrote what, in an order in which each change follows its dependencies.
type Changes = Vec<(ActorId, Written)>;

/// What reading a snapshot came to.
#[derive(Debug)]
pub struct SnapshotRead {
    id: DocId,
    heads: Vec<Digest>,
    outcome: Result<(Changes, View), String>,
}

/// What the commit of a snapshot that was read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotOutcome {
    /// It is as it should be.
    Sound,
    /// The view that came with it was another: the record's own stands now.
    Repaired,
    /// It can't be read.
    Quarantined,
    /// The document moved meanwhile: somebody else has read it.
    Moved,
}

/// Reads one snapshot: pure work, for any thread.
pub fn read_snapshot(job: SnapshotJob, ladder: &Ladder) -> SnapshotRead {
    let SnapshotJob { id, kind, heads, snapshot } = job;
    let work = || {
        let (folded, saved) = snapshot.as_ref().ok_or("its snapshot is not there")?;
        if *folded != heads {
            return Err("the snapshot has other heads than its document".to_owned());
        }
        let record = load_sound(saved, id, folded)?;
        Ok((record.changes(), View::of(&record, kind, ladder)))
    };
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(BROKE_OFF.to_owned()));
    SnapshotRead { id, heads, outcome }
}

/// Why a snapshot is not sound on which the library itself breaks off.
const BROKE_OFF: &str = "reading the record broke off";

/// Loads a snapshot that has to be of this document, at these heads; otherwise says in words what it is.
pub(crate) fn load_sound(saved: &[u8], id: DocId, heads: &[Digest]) -> Result<Record, String> {
    let load = || {
        let record = Record::load(saved).map_err(|error| error.to_string())?;
        let mut promised = heads.to_vec();
        promised.sort_unstable();
        if record.id() != Some(id) {
            return Err("the record names another document".to_owned());
        }
        if record.heads() == promised {
            Ok(record)
        } else {
            Err("the snapshot has other heads than its row".to_owned())
        }
    };
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err(BROKE_OFF.to_owned()))
}

impl Read<'_> {
    /// Documents that came as snapshots and were not read here yet, at most `limit`, in the order in which they came after
    /// this one.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn unread_snapshots(&self, after: Option<DocId>, limit: usize) -> Result<Vec<SnapshotJob>, StoreError> {
        let sql = "SELECT d.doc_id, d.kind, d.heads, s.heads, s.saved FROM document d
                   LEFT JOIN snapshot s ON s.document = d.id
                   WHERE d.indexed = 0 AND d.id > coalesce((SELECT id FROM document WHERE doc_id = ?), 0)
                     AND (d.state = 'live' OR d.state = 'kept' OR d.state = 'read_only')
                   ORDER BY d.id LIMIT ?";
        let after = after.map(|id| *id.as_bytes());
        self.all("look for snapshots", sql, params![after, limit as i64], |row| {
            let folded = row.get_ref(3)?.as_blob_or_null()?.map(split_hashes);
            Ok(SnapshotJob {
                id: DocId::from_bytes(row.get(0)?),
                kind: Kind::from_word(row.get_ref(1)?.as_str()?).unwrap_or(Kind::Supporter),
                heads: split_hashes(row.get_ref(2)?.as_blob()?),
                snapshot: folded.zip(row.get::<_, Option<Vec<u8>>>(4)?),
            })
        })
    }
}

impl Tx<'_> {
    /// Commits what reading a snapshot came to: the rows of its changes, and its own view where another one came with it.
    /// What can't be read is quarantined.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_read_snapshot(&self, read: &SnapshotRead, at: Timestamp) -> Result<SnapshotOutcome, StoreError> {
        let same = |row: &DocumentRow| {
            let here = matches!(row.state, DocState::Live | DocState::Kept | DocState::ReadOnly);
            here && !row.indexed && row.heads == read.heads
        };
        let Some(row) = self.document(read.id)?.filter(same) else { return Ok(SnapshotOutcome::Moved) };
        let (changes, view) = match &read.outcome {
            Ok(read) => read,
            Err(words) => {
                self.quarantine(&row, read.id, words, at)?;
                return Ok(SnapshotOutcome::Quarantined);
            }
        };
        self.index(&row, changes)?;
        if self.shows(row.id, view)? {
            return Ok(SnapshotOutcome::Sound);
        }
        self.put_view(row.id, view)?;
        Ok(SnapshotOutcome::Repaired)
    }

    /// A document that came as a snapshot, with its narrow rows; `None` if it can't be read, and is in quarantine now.
    pub(crate) fn indexed(
        &self,
        row: &DocumentRow,
        id: DocId,
        at: Timestamp,
    ) -> Result<Option<DocumentRow>, StoreError> {
        let read = match self.snapshot(row.id)? {
            Some((_, saved)) => load_sound(&saved, id, &row.heads),
            None => Err("its snapshot is not there".to_owned()),
        };
        match read {
            Ok(record) => self.index(row, &record.changes()).map(Some),
            Err(words) => {
                self.quarantine(row, id, &words, at)?;
                Ok(None)
            }
        }
    }
}
