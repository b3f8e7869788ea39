//! The writing connection with its transactions, and the reading ones.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, Params};

use crate::StoreError;
use crate::error::During as _;
use crate::figures::Figures;
use crate::rows::Read;

/// How many pages (of 4 KiB) the log holds before they are copied into the file: as many bytes as by SQLite's default.
const LOG_PAGES: i64 = 1_000;
/// The most pages that the log grows to when writing never pauses: the writer itself copies them then. Bounds the disk.
pub(crate) const LOG_PAGES_MAX: i64 = 16_000;

/// The connection that writes.
#[derive(Debug)]
pub struct Writer(Connection);

impl Writer {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Opens a transaction that takes several jobs, each of which succeeds or fails alone.
    ///
    /// # Errors
    /// When another process writes for longer than this one waits.
    pub fn begin(&mut self) -> Result<Group<'_>, StoreError> {
        self.0.execute_batch("BEGIN IMMEDIATE").during("begin to write")?;
        Ok(Group { connection: &self.0, open: true, empty: true })
    }

    /// Runs one job in a transaction of its own.
    ///
    /// # Errors
    /// The job's, or the commit's: nothing of it is kept then.
    pub fn commit<T>(&mut self, job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut group = self.begin()?;
        let made = group.run(job)?;
        group.commit()?;
        Ok(made)
    }
}

/// A transaction of several jobs. Dropped without a commit, it is as if it had not been.
#[derive(Debug)]
pub struct Group<'a> {
    connection: &'a Connection,
    open: bool,
    empty: bool,
}

impl Group<'_> {
    /// Runs a job; when it fails, what it wrote is taken back and the others stand.
    ///
    /// # Errors
    /// The job's.
    pub fn run<T>(&mut self, job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // The first job needs no savepoint (which copies every page that it touches): failing, it ends the transaction.
        let alone = std::mem::replace(&mut self.empty, false);
        if !alone {
            self.step("SAVEPOINT job")?;
        }
        // A panic (of a library, on what a peer sent) is a job that failed: the writer goes on.
        let run = || {
            let tx = Tx::over(self.connection);
            // Looked at in every job: the node may be handed over by another process.
            tx.lives_here()?;
            let made = job(&tx)?;
            tx.write_figures()?;
            Ok(made)
        };
        let made = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(StoreError::Panicked));
        if self.connection.is_autocommit() {
            // SQLite itself rolled everything back (a full disk): nothing of the group stands.
            self.open = false;
            return made.and(Err(StoreError::RolledBack));
        }
        match (alone, &made) {
            (true, Ok(_)) => {}
            (true, Err(_)) => {
                self.open = false;
                self.step("ROLLBACK")?;
                self.step("BEGIN IMMEDIATE")?;
                (self.open, self.empty) = (true, true);
            }
            (false, Ok(_)) => self.step("RELEASE job")?,
            (false, Err(_)) => {
                self.step("ROLLBACK TO job")?;
                self.step("RELEASE job")?;
            }
        }
        made
    }

    fn step(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).during("write")
    }

    /// Whether the transaction still stands: SQLite ends it by itself when the disk is full.
    pub const fn stands(&self) -> bool {
        self.open
    }

    /// Makes it last: after this, it survives the loss of power.
    ///
    /// # Errors
    /// When the disk refuses; nothing is kept then.
    pub fn commit(mut self) -> Result<(), StoreError> {
        if !self.open {
            return Err(StoreError::RolledBack);
        }
        self.connection.execute_batch("COMMIT").during("commit")?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if self.open {
            // SQLite rolls back by itself when the connection goes; there is nobody to tell of a failure here.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// An open transaction.
#[derive(Debug)]
pub struct Tx<'a> {
    read: Read<'a>,
    pub(crate) figures: RefCell<Figures>,
    /// Whether any record is said to be the same person's as another one, once that was looked for.
    pub(crate) any_links: Cell<Option<bool>>,
}

impl<'a> Deref for Tx<'a> {
    type Target = Read<'a>;

    fn deref(&self) -> &Read<'a> {
        &self.read
    }
}

impl<'a> Tx<'a> {
    /// What a job writes by, over a transaction that is open.
    pub(crate) fn over(connection: &'a Connection) -> Self {
        Self { read: Read(connection), figures: RefCell::default(), any_links: Cell::default() }
    }
}

impl Tx<'_> {
    /// Runs a statement; gives the number of rows.
    pub(crate) fn run(&self, step: &'static str, sql: &'static str, row: impl Params) -> Result<usize, StoreError> {
        self.read.0.prepare_cached(sql).and_then(|mut statement| statement.execute(row)).during(step)
    }

    /// Runs an insert; gives the new row's number.
    pub(crate) fn insert(&self, step: &'static str, sql: &'static str, row: impl Params) -> Result<i64, StoreError> {
        self.read.0.prepare_cached(sql).and_then(|mut statement| statement.insert(row)).during(step)
    }
}

/// A connection that copies the log into the file beside the writer, so that commits do not stop for it.
#[derive(Debug)]
pub struct Checkpointer(Connection);

impl Checkpointer {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Copies what the log holds, once that is 4 MiB; readers and the writer go on meanwhile.
    ///
    /// # Errors
    /// When the disk refuses: the log keeps everything.
    pub fn copy(&self) -> Result<(), StoreError> {
        let counted = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        let waiting = self.0.query_row("PRAGMA wal_checkpoint(NOOP)", [], counted).during("measure its log")?;
        if waiting >= LOG_PAGES {
            self.0.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).during("copy its log")?;
        }
        Ok(())
    }
}

impl Checkpointer {
    /// Copies everything that the log holds and empties it: what was overwritten in the file is then nowhere. Gives whether
    /// it could; somebody who reads an older moment stands in its way for as long as that takes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn empty(&self) -> Result<bool, StoreError> {
        let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        Ok(self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy).during("empty its log")? == 0)
    }
}

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader(Connection);

impl Reader {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Reads at one moment: everything that the job sees stood at once.
    ///
    /// # Errors
    /// The job's, or when the read can't begin.
    pub fn at_once<T>(&mut self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let tx = self.0.transaction().during("begin to read")?;
        let made = job(&Read(&tx));
        drop(tx);
        made
    }

    /// A number that differs from the last one when another connection has written meanwhile.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.0.pragma_query_value(None, "data_version", |row| row.get(0)).during("say whether it changed")
    }
}
