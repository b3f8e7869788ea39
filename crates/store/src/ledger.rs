//! The ledger of erasures beside the database, which a restore does not put back to before.
//!
//! **Invariant:** an erasure stands in the ledger, on disk, before anybody hears that it is done. It holds ids only.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use engine::Proof;
use model::{Digest, DocId, EraseId, Timestamp};

use crate::open::file;
use crate::{Read, StoreError, Tx};

/// The ledger's file in a node's directory.
pub const LEDGER_FILE: &str = "erasures.jsonl";

/// One erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    person: DocId,
    erasure: EraseId,
    at: Timestamp,
    proof: Option<Proof>,
}

impl Line {
    fn text(&self) -> String {
        let proof = self.proof.map(|proof| proof.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let line = serde_json::json!({
            "person": self.person.to_string(), "erasure": self.erasure.to_string(),
            "at": self.at.as_millis(), "proof": proof,
        });
        format!("{line}\n")
    }

    fn read(text: &str) -> Option<Self> {
        let line: serde_json::Value = serde_json::from_str(text).ok()?;
        let proof = match line["proof"].as_str() {
            None => None,
            // Sixteen bytes as hex, filled up to what a digest has.
            Some(hex) => {
                let digest: Digest = format!("{hex}{}", "0".repeat(32)).parse().ok()?;
                Some(std::array::from_fn(|at| digest.0[at]))
            }
        };
        Some(Self {
            person: line["person"].as_str()?.parse().ok()?,
            erasure: line["erasure"].as_str()?.parse().ok()?,
            at: Timestamp::from_millis(line["at"].as_i64()?),
            proof,
        })
    }
}

/// Where the ledger of a directory is.
pub(crate) fn ledger_of(directory: &Path) -> PathBuf {
    directory.join(LEDGER_FILE)
}

/// The ledger's lines; `None` when there is no ledger.
///
/// # Errors
/// When it can't be read: a line that was cut off by a loss of power is left out, anything else is damage.
pub(crate) fn read_ledger(directory: &Path) -> Result<Option<Vec<Line>>, StoreError> {
    let path = ledger_of(directory);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(file("read", &path))?;
    let (whole, _cut) = text.rsplit_once('\n').unwrap_or(("", ""));
    let lines = whole.lines().filter(|line| !line.is_empty());
    let read = lines.map(|line| Line::read(line).ok_or(StoreError::Corrupt("the ledger of erasures")));
    read.collect::<Result<Vec<_>, _>>().map(Some)
}

/// Makes an empty ledger, readable by its owner only, unless there is one.
pub(crate) fn make_ledger(directory: &Path) -> Result<(), StoreError> {
    let path = ledger_of(directory);
    if path.exists() { Ok(()) } else { crate::open::private_file(&path) }
}

impl Read<'_> {
    /// Writes what was erased and is not scrubbed yet into the ledger beside the database, and waits for the disk.
    ///
    /// # Errors
    /// When the ledger can't be written: then nobody is told that it is done.
    pub fn write_ledger(&self, directory: &Path) -> Result<(), StoreError> {
        let known = read_ledger(directory)?.unwrap_or_default();
        let sql = "SELECT d.doc_id, e.erasure, e.at, e.proof FROM erasure e JOIN document d ON d.id = e.document
                   WHERE e.scrubbed = 0";
        let lines = self.all("read erasures", sql, [], |row| {
            Ok(Line {
                person: DocId::from_bytes(row.get(0)?),
                erasure: EraseId::from_bytes(row.get(1)?),
                at: Timestamp::from_millis(row.get(2)?),
                proof: row.get(3)?,
            })
        })?;
        make_ledger(directory)?;
        let path = ledger_of(directory);
        let mut ledger = fs::OpenOptions::new().append(true).open(&path).map_err(file("open", &path))?;
        // A line that was cut off by a loss of power goes, or the next one would be glued to it.
        let text = fs::read(&path).map_err(file("read", &path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            ledger.set_len(whole as u64).map_err(file("write", &path))?;
        }
        for line in lines.iter().filter(|line| !known.contains(line)) {
            ledger.write_all(line.text().as_bytes()).map_err(file("write", &path))?;
        }
        ledger.sync_all().map_err(file("write", &path))
    }
}

impl Tx<'_> {
    /// Erases again what the ledger says, after a restore.
    pub(crate) fn erase_again(&self, ledger: &[Line]) -> Result<(), StoreError> {
        ledger.iter().try_for_each(|line| self.erase(line.person, line.erasure, line.at, line.proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_went_and_a_cut_one_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_ledger(directory.path()).unwrap(), None);
        let line = |proof| Line {
            person: DocId::from_bytes([1; 16]),
            erasure: EraseId::from_bytes([2; 16]),
            at: Timestamp::from_millis(7),
            proof,
        };
        let lines = vec![line(None), line(Some([9; 16]))];
        let text: String = lines.iter().map(Line::text).collect();
        fs::write(ledger_of(directory.path()), format!("{text}{}", &text[..20])).unwrap();
        assert_eq!(read_ledger(directory.path()).unwrap(), Some(lines));
        fs::write(ledger_of(directory.path()), "garbage\n").unwrap();
        assert!(read_ledger(directory.path()).is_err());
    }
}
