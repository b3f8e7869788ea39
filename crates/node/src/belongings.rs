//! Which files of a directory are the node's own, and what becomes of each when the node moves.
//!
//! **Invariant:** a file that is not known here is somebody else's: it is neither packed nor overwritten, and a person is
//! told of it.

use std::fs;
use std::path::{Path, PathBuf};

use store::{DATABASE_FILE, LEDGER_FILE};

use crate::NodeError;
use crate::files::PART_ENDING;
use crate::lock::LOCK_FILE;

/// The settings beside the database.
const CONFIG_FILE: &str = "config.toml";
/// How the names of keys and certificates end: `node.key`, `ca.pem`, `ca.key.sealed`, `ca.unlock`, and what people put there.
const KEY_ENDINGS: [&str; 6] = [".pem", ".key", ".crt", ".der", ".sealed", ".unlock"];
/// How the names of the database, its log, its index and its unfinished copies begin.
const DATABASE_PREFIX: &str = "chapterhouse.";
/// How the names of databases begin that a restore replaced.
const REPLACED_PREFIX: &str = "before-restore-";
/// The copy of the database while it is packed. Begins like the database, so that `retire` finds one that was left.
const MOVING_FILE: &str = "chapterhouse.moving";

/// What becomes of a file of the node's when the node moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belonging {
    /// It goes with the node, and is wiped when the node retires here.
    Moves,
    /// It does not go (of the database a fresh copy does), and is wiped when the node retires here.
    Stays,
}

/// What a file is to the node, by its plain name; `None`: it is not the node's. What a loss of power left of one of its
/// files is its own, too: it may be half of a key.
pub(crate) fn belonging(name: &str) -> Option<Belonging> {
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    if let Some(whole) = name.strip_suffix(PART_ENDING) {
        return belonging(whole).map(|_| Belonging::Stays);
    }
    let moves = [CONFIG_FILE, LEDGER_FILE].contains(&name) || KEY_ENDINGS.iter().any(|ending| name.ends_with(ending));
    let stays = [DATABASE_PREFIX, REPLACED_PREFIX].iter().any(|prefix| name.starts_with(prefix));
    if stays { Some(Belonging::Stays) } else { moves.then_some(Belonging::Moves) }
}

/// Whether a name can stand in a hand-over file: the database's, or of a file that goes with it.
pub(crate) fn may_come(name: &str) -> bool {
    name == DATABASE_FILE || belonging(name) == Some(Belonging::Moves)
}

/// Where the database is copied to while it is packed.
pub(crate) fn moving_file(directory: &Path) -> PathBuf {
    directory.join(MOVING_FILE)
}

/// The files of a directory, by name.
#[derive(Debug, Default)]
pub(crate) struct Belongings {
    /// The node's own.
    pub(crate) own: Vec<(String, Belonging)>,
    /// Others, and folders.
    pub(crate) others: Vec<String>,
}

impl Belongings {
    /// Looks what is in a directory. The lock is left out: it holds nothing.
    pub(crate) fn of(directory: &Path) -> Result<Self, NodeError> {
        let unreadable = |error| NodeError::File("read", directory.display().to_string(), error);
        let mut found = Self::default();
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A link is somebody's arrangement: what it leads to is not in this directory.
            let plain = entry.file_type().map_err(unreadable)?.is_file();
            match belonging(&name).filter(|_| plain) {
                Some(belonging) => found.own.push((name, belonging)),
                None if name == LOCK_FILE => {}
                None => found.others.push(name),
            }
        }
        found.own.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.others.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_somebody_elses() {
        for name in ["list.csv", "serve.log", "../config.toml", "keys/node.pem", ".pem", "retired.json", LOCK_FILE] {
            assert_eq!(belonging(name), None, "{name}");
            assert_eq!(belonging(&format!("{name}.part")), None, "half of {name}");
        }
        for name in ["config.toml", "erasures.jsonl", "node.key", "ca.pem", "ca.key.sealed", "ca.unlock"] {
            assert_eq!(belonging(name), Some(Belonging::Moves), "{name}");
        }
        for name in [DATABASE_FILE, "chapterhouse.db-wal", "before-restore-1.db", MOVING_FILE, "node.key.part"] {
            assert_eq!(belonging(name), Some(Belonging::Stays), "{name}");
        }
        assert!(may_come(DATABASE_FILE) && may_come("node.key") && !may_come("chapterhouse.db-wal"));
    }
}
