//! Backups: a consistent copy of a database that is in use, and putting one back.
//!
//! **Invariant:** a copy is whole or not there; a database that was put back begins a new life before anything reads it.

use std::fs;
use std::path::{Path, PathBuf};

use model::{Incarnation, Timestamp};
use rusqlite::{OpenFlags, Params, params};

use crate::error::During as _;
use crate::ledger::{Line, make_ledger, read_ledger};
use crate::let_in::{Doors, LetIn};
use crate::node_row::NodeRow;
use crate::open::{connect, file, migrate, private_file, version};
use crate::writer::Writer;
use crate::{DATABASE_FILE, NewAudit, NodeKind, SCHEMA_VERSION, Store, StoreError, Tx, private_directory};

/// What is done when a backup is put where no ledger of erasures is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerRule {
    /// Nothing is put back: people who were erased since the backup would be in it.
    MustBeThere,
    /// A person says that it is so: they go again as soon as a neighbour says so.
    MayBeMissing,
}

/// What was put back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What node it is.
    pub node: NodeRow,
    /// When the backup was made, if it says so.
    pub made: Option<Timestamp>,
    /// Where the database is that stood there before.
    pub before: Option<PathBuf>,
    /// Who is let in as it was then, where no database of this node stood there that could be read; none: who is let in stays
    /// as it was in that one.
    pub let_in: Option<LetIn>,
}

impl Store {
    /// Writes a consistent copy, readable by its owner only, while others read and write (`VACUUM INTO`).
    ///
    /// # Errors
    /// When the copy can't be written, or is there already.
    pub fn copy_to(&self, path: &Path, at: Timestamp) -> Result<(), StoreError> {
        if path.exists() {
            return Err(StoreError::Refused(format!("{} is there already: name another file", path.display())));
        }
        let fresh = beside(path, "part");
        if fresh.exists() {
            fs::remove_file(&fresh).map_err(file("remove", &fresh))?;
        }
        self.copy_fresh(&fresh, "UPDATE node SET backed_up = ?", params![at.as_millis()])?;
        fs::rename(&fresh, path).map_err(file("move into place", path))
    }

    /// Copies everything as it stands at one moment into a new file, and notes there what the copy is for.
    pub(crate) fn copy_fresh(&self, fresh: &Path, note: &str, row: impl Params) -> Result<(), StoreError> {
        private_file(fresh)?;
        let connection = connect(self.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute("VACUUM INTO ?", [fresh.to_string_lossy()]).during("be copied")?;
        let copy = connect(fresh, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copy.execute(note, row).during("be copied")?;
        drop(copy);
        fs::File::open(fresh).and_then(|copy| copy.sync_all()).map_err(file("write", fresh))
    }

    /// Puts a backup into a directory that nobody serves. A database that stands there is kept beside it, and who is let in
    /// stays as it says.
    ///
    /// # Errors
    /// When the file is not a sound database of this kind of node: nothing was changed then.
    pub fn restore(
        directory: &Path,
        backup: &Path,
        (wanted, incarnation): (NodeKind, Incarnation),
        (rule, at): (LedgerRule, Timestamp),
        audit: &NewAudit,
    ) -> Result<Restored, StoreError> {
        let ledger = read_ledger(directory)?;
        if ledger.is_none() && rule == LedgerRule::MustBeThere {
            return Err(StoreError::NoLedger(directory.to_owned()));
        }
        let ledger = ledger.unwrap_or_default();
        private_directory(directory)?;
        let fresh = directory.join("chapterhouse.restoring");
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let left = beside_exact(&fresh, suffix);
            if left.exists() {
                fs::remove_file(&left).map_err(file("remove", &left))?;
            }
        }
        private_file(&fresh)?;
        let path = directory.join(DATABASE_FILE);
        let there = path.exists();
        let stood = Doors::of(&path);
        let prepared = copy_bytes(backup, &fresh)
            .and_then(|()| prepare(&fresh, backup, (wanted, incarnation), &ledger, audit))
            .and_then(|prepared| Ok((prepared, shut_doors(&fresh, stood.as_ref(), at)?)));
        let ((node, made), let_in) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // Half of a backup is worth nothing; the error says what is wrong with the whole.
                let _ = fs::remove_file(&fresh);
                return Err(error);
            }
        };
        if there {
            // What its log holds goes into the file. One that can't be opened is kept with its log as it is.
            drop(connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|old| {
                old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).during("copy its log")
            }));
        }
        // Every restore keeps what it replaced: a wrong file first, then the right one, must not cost the original.
        let kept = directory.join(format!("before-restore-{}.db", at.as_millis()));
        for suffix in ["-wal", "-shm", ""] {
            let from = beside_exact(&path, suffix);
            if from.exists() {
                fs::rename(&from, beside_exact(&kept, suffix)).map_err(file("move aside", &from))?;
            }
        }
        let before = there.then_some(kept);
        fs::rename(&fresh, &path).map_err(file("move into place", &path))?;
        make_ledger(directory)?;
        fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(file("write", directory))?;
        Ok(Restored { node, made, before, let_in })
    }
}

/// Copies content only: the copy keeps its own mode.
fn copy_bytes(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut source = fs::File::open(from).map_err(file("read", from))?;
    let mut target = fs::OpenOptions::new().write(true).open(to).map_err(file("write", to))?;
    std::io::copy(&mut source, &mut target).map_err(file("read", from))?;
    target.sync_all().map_err(file("write", to))
}

/// Checks the copy of a backup and begins its new life.
pub(crate) fn prepare(
    fresh: &Path,
    backup: &Path,
    (wanted, incarnation): (NodeKind, Incarnation),
    ledger: &[Line],
    audit: &NewAudit,
) -> Result<(NodeRow, Option<Timestamp>), StoreError> {
    let not_one = || StoreError::Refused(format!("{} is not a backup of a node", backup.display()));
    let mut connection = connect(fresh, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|_| not_one())?;
    let found = version(&connection).map_err(|_| not_one())?;
    if found == 0 {
        return Err(not_one());
    }
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema { found, known: SCHEMA_VERSION });
    }
    connection.pragma_update(None, "journal_mode", "DELETE").during("set its journal")?;
    connection.pragma_update(None, "secure_delete", "ON").during("set its erasing")?;
    let check: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).during("check its file")?;
    if check != "ok" {
        return Err(StoreError::Refused(format!("{} is damaged: {check}", backup.display())));
    }
    migrate(&mut connection)?;
    let found = NodeRow::read(&connection)?.kind;
    if found != wanted {
        let (found, wanted) = (found.word(), wanted.word());
        return Err(StoreError::OtherKind { path: backup.to_owned(), found, wanted });
    }
    let mut writer = Writer::new(connection);
    writer.commit(|tx: &Tx<'_>| {
        // The log goes on after its last row in the copy; what is erased again comes after this.
        tx.audit(audit)?;
        tx.begin_life(incarnation)?;
        tx.end_all_sessions()?;
        tx.all_offline()?;
        tx.erase_again(ledger)?;
        Ok((tx.node()?, tx.backed_up()?))
    })
}

/// What would let in again whom nobody wants in: invitations that somebody may have used since, nodes and logins.
fn shut_doors(fresh: &Path, stood: Option<&Doors>, at: Timestamp) -> Result<Option<LetIn>, StoreError> {
    let connection = connect(fresh, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Writer::new(connection).commit(|tx| {
        tx.cancel_open_invites(at)?;
        tx.keep_doors(stood, at)
    })
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    beside_exact(path, &format!(".{extension}"))
}

fn beside_exact(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
