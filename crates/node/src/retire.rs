//! The end of a node on a machine that it has left: everything is overwritten, and a receipt stays.
//!
//! **Invariants:** only a node that was handed over retires. The receipt says that it is done only when it is: until then
//! it stands under another name, under which a retirement that was broken off goes on. Overwriting is no guarantee on
//! drives and file systems that write elsewhere (docs/OPERATING.md says so to whoever relies on it).

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::Timestamp;
use serde::{Deserialize, Serialize};
use store::{NodeKind, Store};

use crate::belongings::Belongings;
use crate::files::{sync, write_private};
use crate::lock::{LOCK_FILE, ServeLock};
use crate::{NodeError, draw};

/// The receipt. Where it is, nothing else of the node is left.
const RETIRED_FILE: &str = "retired.json";
/// What will be the receipt, while files are overwritten.
const RETIRING_FILE: &str = "retiring.json";
/// How much is overwritten at a time: large enough for the disk, small enough for the memory.
const PIECE_BYTES: usize = 1024 * 1024;

/// A node's word that nothing of it is left on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The node's id.
    pub node: String,
    /// Its name.
    pub name: String,
    /// `hub` or `chapter`.
    pub kind: String,
    /// When it was handed over.
    pub handed_over_at: Timestamp,
    /// When nothing was left.
    pub retired_at: Timestamp,
    /// What it held: the same that `handover` and `handover open` printed.
    pub state_hash: String,
}

/// What retiring does, or has done.
#[derive(Clone, Debug)]
pub struct Retirement {
    /// The receipt; before the work is done, as it will be.
    pub receipt: Receipt,
    /// Files that are overwritten and removed.
    pub wiped: Vec<String>,
    /// What else is in the directory: not the node's, and left as it is.
    pub left: Vec<String>,
}

/// Refuses when the node of a directory was retired, or is about to be.
///
/// # Errors
/// [`NodeError::Retired`] or [`NodeError::Retiring`].
pub fn refuse_retired(directory: &Path) -> Result<(), NodeError> {
    if let Some(receipt) = read_receipt(directory, RETIRED_FILE)? {
        return Err(NodeError::Retired(receipt.retired_at, directory.to_owned()));
    }
    if directory.join(RETIRING_FILE).exists() {
        return Err(NodeError::Retiring(directory.to_owned()));
    }
    Ok(())
}

/// Says what retiring would do, and changes nothing. Blocks.
///
/// # Errors
/// When the node was never handed over, or there is none.
pub fn plan_retirement(directory: &Path, kind: NodeKind) -> Result<Retirement, NodeError> {
    match read_receipt(directory, RETIRED_FILE)? {
        Some(receipt) => retirement(directory, receipt),
        None => retirement(directory, draft(directory, kind)?),
    }
}

/// Overwrites and removes everything of a node that was handed over, and leaves a receipt. Safe to repeat: what was broken
/// off goes on, and what is done gives its receipt again. Blocks.
///
/// # Errors
/// When the node was never handed over, serves, or a file can't be overwritten.
pub fn retire(directory: &Path, kind: NodeKind) -> Result<Retirement, NodeError> {
    if let Some(receipt) = read_receipt(directory, RETIRED_FILE)? {
        return retirement(directory, receipt);
    }
    let draft = draft(directory, kind)?;
    let lock = ServeLock::take(directory, &Arc::new(AtomicBool::new(false)))?;
    if !directory.join(RETIRING_FILE).exists() {
        write_receipt(directory, RETIRING_FILE, &draft)?;
    }
    let planned = retirement(directory, draft)?;
    for name in &planned.wiped {
        wipe(&directory.join(name))?;
    }
    sync(directory)?;
    let done = Retirement { receipt: Receipt { retired_at: draw::now(), ..planned.receipt }, ..planned };
    write_receipt(directory, RETIRED_FILE, &done.receipt)?;
    remove(&directory.join(RETIRING_FILE))?;
    drop(lock);
    remove(&directory.join(LOCK_FILE))?;
    sync(directory)?;
    Ok(done)
}

fn retirement(directory: &Path, receipt: Receipt) -> Result<Retirement, NodeError> {
    let found = Belongings::of(directory)?;
    let ours = |name: &String| name == RETIRED_FILE || name == RETIRING_FILE;
    let left = found.others.into_iter().filter(|name| !ours(name)).collect();
    Ok(Retirement { receipt, wiped: found.own.into_iter().map(|(name, _)| name).collect(), left })
}

/// What the receipt will say. Once files are being overwritten it stands beside them: the database can't be asked any more.
fn draft(directory: &Path, kind: NodeKind) -> Result<Receipt, NodeError> {
    if let Some(begun) = read_receipt(directory, RETIRING_FILE)? {
        return Ok(begun);
    }
    let mut reader = Store::open(directory, kind)?.reader()?;
    let (row, at, inventory) = reader.at_once(|read| Ok((read.node()?, read.handed_over()?, read.inventory()?)))?;
    let handed_over_at = at.ok_or(NodeError::NeverHandedOver)?;
    Ok(Receipt {
        node: row.node_id.to_string(),
        name: row.name,
        kind: row.kind.word().to_owned(),
        handed_over_at,
        retired_at: draw::now(),
        state_hash: inventory.state_hash.to_string(),
    })
}

fn read_receipt(directory: &Path, name: &str) -> Result<Option<Receipt>, NodeError> {
    let path = directory.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(|error| NodeError::File("read", path.display().to_string(), error))?;
    let unreadable = |_| NodeError::Refused(format!("{} can't be read: this node has retired", path.display()));
    serde_json::from_str(&text).map(Some).map_err(unreadable)
}

fn write_receipt(directory: &Path, name: &str, receipt: &Receipt) -> Result<(), NodeError> {
    let text = serde_json::to_string_pretty(receipt).map_err(|error| NodeError::Refused(error.to_string()))?;
    write_private(&directory.join(name), text.as_bytes())
}

/// Overwrites a file with zeros, waits for the disk, and removes it.
pub(crate) fn wipe(path: &Path) -> Result<(), NodeError> {
    let failed = |error| NodeError::File("overwrite", path.display().to_string(), error);
    let mut file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
    let mut left = file.metadata().map_err(failed)?.len();
    let zeros = vec![0; PIECE_BYTES];
    while left > 0 {
        let piece = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        file.write_all(&zeros[..piece]).map_err(failed)?;
        left -= piece as u64;
    }
    file.sync_all().map_err(failed)?;
    remove(path)
}

fn remove(path: &Path) -> Result<(), NodeError> {
    if !path.exists() {
        return Ok(());
    }
    fs::remove_file(path).map_err(|error| NodeError::File("remove", path.display().to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retirement_that_was_broken_off_goes_on_and_a_done_one_gives_its_receipt_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let at = Timestamp::from_millis(1_795_359_311_123);
        let begun = Receipt {
            node: "ab".to_owned(),
            name: "Los Angeles".to_owned(),
            kind: "chapter".to_owned(),
            handed_over_at: at,
            retired_at: at,
            state_hash: "cd".to_owned(),
        };
        assert!(retire(path, NodeKind::Chapter).is_err(), "there is no node");
        refuse_retired(path).unwrap();
        // Half of the database is overwritten already: it can't be opened any more.
        write_receipt(path, RETIRING_FILE, &begun).unwrap();
        fs::write(path.join("chapterhouse.db"), [vec![0; 5], b"Mary".repeat(1_000_000)].concat()).unwrap();
        fs::write(path.join("list.csv"), "Mary").unwrap();
        assert!(matches!(refuse_retired(path), Err(NodeError::Retiring(_))));
        let done = retire(path, NodeKind::Chapter).unwrap();
        assert_eq!(done.receipt, Receipt { retired_at: done.receipt.retired_at, ..begun });
        assert_eq!((done.wiped, &done.left), (vec!["chapterhouse.db".to_owned()], &vec!["list.csv".to_owned()]));
        assert!(matches!(refuse_retired(path), Err(NodeError::Retired(..))));
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["list.csv", RETIRED_FILE], "nothing but the receipt and what was not the node's");
        let again = retire(path, NodeKind::Chapter).unwrap();
        assert_eq!((again.receipt, again.wiped), (done.receipt, Vec::new()));
    }
}
