//! Opening a node's database: directory, pragmas, migrations.

use std::fs;
use std::path::{Path, PathBuf};

use model::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::During as _;
use crate::ledger::make_ledger;
use crate::node_row::NodeRow;
use crate::writer::{Checkpointer, LOG_PAGES_MAX, Reader, Tx, Writer};
use crate::{NodeKind, SCHEMA_VERSION, StoreError};

/// The database's file in a node's directory.
pub const DATABASE_FILE: &str = "chapterhouse.db";
/// Migrations by number, from 1. A released one is never edited.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [include_str!("migrations/0001.sql")];
/// The first SQLite without the WAL-reset bug, as `sqlite3_libversion_number` counts.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a connection waits for another process's write, in ms: the longest group of a busy server is 50 ms.
const BUSY_MS: u64 = 10_000;

/// The writer's page cache, in KiB: the pages into which new rows fall, of a chapter with 100,000 people.
const WRITER_CACHE_KIB: i64 = 64 * 1024;

/// A node's database file.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Makes a new database with its first rows in a directory, which is made if it is not there (mode 0700, files 0600).
    ///
    /// # Errors
    /// When there is one already, or the directory can't be written.
    pub fn create(
        directory: &Path,
        node: &NodeRow,
        at: Timestamp,
        first: impl FnOnce(&Tx<'_>) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE_FILE);
        if path.exists() {
            return Err(StoreError::NodeThere(directory.to_owned()));
        }
        private_directory(directory)?;
        // Made under another name and moved into place: a crash leaves no half of a node behind.
        let fresh = directory.join("chapterhouse.new");
        if fresh.exists() {
            fs::remove_file(&fresh).map_err(file("remove", &fresh))?;
        }
        private_file(&fresh)?;
        {
            let mut connection = connect(&fresh, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.pragma_update(None, "journal_mode", "DELETE").during("set its journal")?;
            migrate(&mut connection)?;
            node.insert(&connection, at)?;
            Writer::new(connection).commit(first)?;
        }
        fs::rename(&fresh, &path).map_err(file("move into place", &path))?;
        make_ledger(directory)?;
        let store = Self { path };
        store.writer()?;
        Ok(store)
    }

    /// Opens the database in a directory, migrating it if it is older.
    ///
    /// # Errors
    /// When there is none, it is of the other program, or a newer program wrote it.
    pub fn open(directory: &Path, wanted: NodeKind) -> Result<Self, StoreError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            return Err(StoreError::OldSqlite(rusqlite::version()));
        }
        let path = directory.join(DATABASE_FILE);
        if !path.exists() {
            return Err(StoreError::NoNode(directory.to_owned()));
        }
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if version(&connection)? == 0 {
            // A node's file has had a schema since its first moment: this one lost its content.
            return Err(StoreError::Corrupt("chapterhouse.db"));
        }
        migrate(&mut connection)?;
        let found = NodeRow::read(&connection)?.kind;
        if found != wanted {
            let (found, wanted) = (found.word(), wanted.word());
            return Err(StoreError::OtherKind { path: directory.to_owned(), found, wanted });
        }
        Ok(Self { path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that writes. One a process; others wait for its transactions.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "WAL").during("set its journal")?;
        connection.pragma_update(None, "synchronous", "FULL").during("set its durability")?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).during("set its cache")?;
        connection.pragma_update(None, "secure_delete", "ON").during("set its erasing")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX).during("set its log")?;
        Ok(Writer::new(connection))
    }

    /// A connection that copies the log into the file.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn checkpointer(&self) -> Result<Checkpointer, StoreError> {
        Ok(Checkpointer::new(connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?))
    }

    /// A connection that only reads.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "query_only", "ON").during("be opened for reading")?;
        Ok(Reader::new(connection))
    }
}

pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).during("be opened")?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS)).during("be opened")?;
    connection.pragma_update(None, "foreign_keys", "OFF").during("be opened")?;
    connection.pragma_update(None, "cache_size", -16_000).during("be opened")?;
    connection.pragma_update(None, "temp_store", "MEMORY").during("be opened")?;
    // Plans do not depend on bound values: without this, SQLite plans a statement again at most of its runs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).during("be opened")?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

pub(crate) fn version(connection: &Connection) -> Result<u32, StoreError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).during("say its schema")
}

pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if version(connection)? > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema { found: version(connection)?, known: SCHEMA_VERSION });
    }
    while version(connection)? < SCHEMA_VERSION {
        let tx =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).during("be migrated")?;
        // Read again inside the transaction: two programs may start at once.
        let at = version(&tx)?;
        if let Some(sql) = MIGRATIONS.get(at as usize) {
            tx.execute_batch(sql).during("be migrated")?;
            tx.pragma_update(None, "user_version", at + 1).during("be migrated")?;
        }
        tx.commit().during("be migrated")?;
    }
    Ok(())
}

pub(crate) fn file(step: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { step, path, source }
}

/// Makes a directory, and those above it, that only the owner may enter.
///
/// # Errors
/// When it can't be made.
#[cfg(unix)]
pub fn private_directory(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(file("close to others", path))
}

/// What is made with these options, only its owner may read. Elsewhere than on Unix the directory has to see to that.
pub fn only_for_owner(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Only the owner may read it. SQLite gives the WAL and its index the same mode.
pub(crate) fn private_file(path: &Path) -> Result<(), StoreError> {
    let made = only_for_owner(fs::OpenOptions::new().write(true).create_new(true)).open(path);
    made.map(drop).map_err(file("make", path))
}
