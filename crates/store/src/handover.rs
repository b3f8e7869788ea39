//! A node that goes to another machine: marked here, copied, counted again there.
//!
//! **Invariant:** from the mark on nothing is written here (`Group::run` looks at it in the transaction of every job), so
//! that what is copied after it is everything.

use std::path::Path;

use model::{Digest, Incarnation, ScopeId, Timestamp};
use rusqlite::{OpenFlags, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use crate::backup::prepare;
use crate::error::During as _;
use crate::node_row::NodeRow;
use crate::open::connect;
use crate::writer::Reader;
use crate::{DATABASE_FILE, NewAudit, NodeKind, Read, Store, StoreError, Tx};

/// What has to be equal on both machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// At a chapter what `state-hash` prints; at a hub a hash over the sums of all of its scopes.
    pub state_hash: Digest,
    /// People, as in `status`.
    pub people: u64,
    /// Private notes.
    pub notes: u64,
}

impl Read<'_> {
    /// Counts what has to be equal on both machines, from documents and rows, not from figures that were kept.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn inventory(&self) -> Result<Inventory, StoreError> {
        let people = self.number("count people", "SELECT count(*) FROM supporter WHERE hidden = 0", [])?;
        Ok(Inventory { state_hash: self.whole_hash()?, people, notes: self.note_count()? })
    }

    fn whole_hash(&self) -> Result<Digest, StoreError> {
        if let (NodeKind::Chapter, Some(own)) = (self.node()?.kind, self.own_scope()?) {
            return Ok(Digest(self.recount(own)?.0.to_bytes()));
        }
        // Sorted, so that two machines hash the same bytes.
        let scopes = self.all("read scopes", "SELECT scope FROM scope ORDER BY scope", [], |row| row.get(0))?;
        let mut hasher = Sha256::new();
        for scope in scopes.into_iter().map(ScopeId::from_bytes) {
            hasher.update(scope.as_bytes());
            hasher.update(self.recount(scope)?.0.to_bytes());
        }
        Ok(Digest(hasher.finalize().into()))
    }

    /// When this node was handed over to another machine; `None`: it lives here.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn handed_over(&self) -> Result<Option<Timestamp>, StoreError> {
        let found = self.one("read where it lives", "SELECT handed_over FROM node", [], |row| row.get(0))?;
        Ok(found.flatten().map(Timestamp::from_millis))
    }

    /// Refuses when this node was handed over to another machine.
    ///
    /// # Errors
    /// [`StoreError::HandedOver`], or when the row can't be read.
    pub fn lives_here(&self) -> Result<(), StoreError> {
        self.handed_over()?.map_or(Ok(()), |at| Err(StoreError::HandedOver(at)))
    }
}

impl Store {
    /// Marks the node as handed over: every later write is refused, by whichever process.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn hand_over(&self, at: Timestamp, audit: &NewAudit) -> Result<(), StoreError> {
        self.mark(Some(at), audit)
    }

    /// Takes the mark away: the node lives here again.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn take_back(&self, audit: &NewAudit) -> Result<(), StoreError> {
        self.mark(None, audit)
    }

    /// Not through a writer: that one refuses while the mark stands.
    fn mark(&self, handed_over: Option<Timestamp>, audit: &NewAudit) -> Result<(), StoreError> {
        let step = "note where it lives";
        let mut connection = connect(self.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "synchronous", "FULL").during("set its durability")?;
        let open = connection.transaction_with_behavior(TransactionBehavior::Immediate).during(step)?;
        let at = handed_over.map(Timestamp::as_millis);
        open.execute("UPDATE node SET handed_over = ?", params![at]).during(step)?;
        Tx::over(&open).audit(audit)?;
        open.commit().during(step)
    }

    /// Copies a marked database for the other machine, into a new file that only its owner may read. The copy has no mark.
    ///
    /// # Errors
    /// When the copy can't be written, or is there already.
    pub fn copy_to_move(&self, fresh: &Path) -> Result<(), StoreError> {
        self.copy_fresh(fresh, "UPDATE node SET handed_over = NULL", [])
    }

    /// Makes the copy that came from the other machine ready to live here: it is checked, begins a new life and is
    /// counted. `source` is the file out of which it came, for words.
    ///
    /// # Errors
    /// When it is not a sound database of this kind of node, or a newer program wrote it.
    pub fn prepare_moved(
        copy: &Path,
        source: &Path,
        (wanted, incarnation): (NodeKind, Incarnation),
        audit: &NewAudit,
    ) -> Result<(NodeRow, Inventory), StoreError> {
        // The database was copied together with its ledger of erasures: nothing stands there that it does not know.
        let (node, _) = prepare(copy, source, (wanted, incarnation), &[], audit)?;
        let connection = connect(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let inventory = Reader::new(connection).at_once(|read| read.inventory())?;
        Ok((node, inventory))
    }

    /// When the node in a directory was handed over; `None` also when there is none that can be read.
    pub fn handed_over_in(directory: &Path) -> Option<Timestamp> {
        let connection = connect(&directory.join(DATABASE_FILE), OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
        Reader::new(connection).at_once(|read| read.handed_over()).ok().flatten()
    }
}
