//! Backing a node up while it serves, and putting a backup back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::{AuditKind, Timestamp};
use store::{LedgerRule, NewAudit, NodeKind, Restored, Store, StoreError, private_directory};

use crate::lock::ServeLock;
use crate::{Node, NodeError, Priority, draw};

impl Node {
    /// Writes a consistent copy of the database, whether or not the node serves; gives its size in bytes. Blocks.
    ///
    /// # Errors
    /// When the file is there already or can't be written.
    pub fn backup(&self, file: &Path, by: &str) -> Result<u64, NodeError> {
        // A copy that nobody is told of would be left when the note of it is refused.
        self.read(|read| read.lives_here())?;
        let at = draw::now();
        self.store().copy_to(file, at)?;
        let said = self.audit_by(AuditKind::BackedUp, by);
        self.write(Priority::Interactive, move |tx| {
            tx.set_backed_up(at)?;
            tx.audit(&said)
        })?;
        let found = std::fs::metadata(file);
        Ok(found.map_err(|error| NodeError::File("read", file.display().to_string(), error))?.len())
    }

    /// How old the newest backup is, in seconds.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn backup_age(&self, now: Timestamp) -> Result<Option<i64>, NodeError> {
        Ok(self.read(|read| read.backed_up())?.map(|at| (now.as_millis() - at.as_millis()).max(0) / 1000))
    }
}

/// Puts a backup into a directory: an empty one, or that of a node which does not serve. What it had told others since
/// the backup comes back from them at the next exchange. Blocks.
///
/// # Errors
/// When the node serves or was handed over, the file is not a sound backup of this kind of node, or nothing says who was
/// erased since: nothing was changed then.
pub fn restore(
    directory: &Path,
    file: &Path,
    kind: NodeKind,
    rule: LedgerRule,
    by: &str,
) -> Result<Restored, NodeError> {
    private_directory(directory)?;
    let _lock = ServeLock::take(directory, &Arc::new(AtomicBool::new(false)))?;
    // The node lives on another machine: an older state of it must not begin to live here.
    if let Some(at) = Store::handed_over_in(directory) {
        return Err(StoreError::HandedOver(at).into());
    }
    let (life, at) = ((kind, draw::incarnation()), draw::now());
    Ok(Store::restore(directory, file, life, (rule, at), &NewAudit::new(AuditKind::Restored, at).by(by))?)
}
