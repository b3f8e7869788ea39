//! What can go wrong in the database.

use std::path::PathBuf;

use model::{DocId, IdError, Timestamp};

/// What went wrong, and on what.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says so.
    #[error("the database could not {0}")]
    Sql(&'static str, #[source] rusqlite::Error),
    /// A file or directory.
    #[error("could not {step} {path}")]
    File {
        /// The step.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no node in the directory.
    #[error("there is no node in {0}")]
    NoNode(PathBuf),
    /// There is one already.
    #[error("there is a node in {0} already")]
    NodeThere(PathBuf),
    /// A backup is to be put where nothing says who was erased since.
    #[error("there is no ledger of erasures in {0}: people who were deleted since the backup would come back")]
    NoLedger(PathBuf),
    /// The directory is of the other program.
    #[error("{path} holds a {found}'s data, this is the program of a {wanted}")]
    OtherKind {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// A newer program wrote it.
    #[error(
        "the database has schema {found}, this program knows up to {known}: use the newer program, nothing was changed"
    )]
    NewerSchema {
        /// As found.
        found: u32,
        /// As known.
        known: u32,
    },
    /// The library has a bug that can corrupt a database.
    #[error("SQLite {0} can corrupt a database with several connections; 3.51.3 or newer is needed")]
    OldSqlite(&'static str),
    /// What stands in a row can't be read.
    #[error("a row of {0} can't be read")]
    Corrupt(&'static str),
    /// A stored id.
    #[error("a stored id can't be read")]
    Id(#[from] IdError),
    /// No such person.
    #[error("there is nobody with the id {0}")]
    NotFound(String),
    /// More than one person.
    #[error("{0} fits more than one: give more of the id")]
    Ambiguous(String),
    /// No such document here.
    #[error("document {0} is not here")]
    NoDocument(DocId),
    /// The document changed meanwhile: read it again and redo the work.
    #[error("document {0} changed meanwhile")]
    Stale(DocId),
    /// The document takes no writes.
    #[error("the record of {0} can't be written: {1}")]
    NotWritable(DocId, &'static str),
    /// A saved document that can't be read.
    #[error("the record of {0} can't be read")]
    Record(DocId, #[source] record::Corrupt),
    /// No such thing, by its name.
    #[error("there is no {0} {1:?}")]
    Unknown(&'static str, String),
    /// A name that is taken.
    #[error("there is a {0} {1:?} already")]
    Taken(&'static str, String),
    /// The disk has no room: nothing of the transaction is kept.
    #[error("the disk is full: nothing was stored")]
    Full,
    /// A commit failed with everything that was in it.
    #[error("the commit failed, nothing was stored: {0}")]
    NotCommitted(String),
    /// SQLite took a whole transaction back.
    #[error("the database took its transaction back: nothing was stored")]
    RolledBack,
    /// A library broke off.
    #[error("a write broke off inside a library")]
    Panicked,
    /// The node was handed over to another machine: this database takes no writes.
    #[error("this node was handed over on {when}: use the new one, or `handover cancel` if it never came up", when = .0.for_people())]
    HandedOver(Timestamp),
    /// Another limit.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the file itself is damaged.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        if let Self::Sql(_, error) = self {
            return error.sqlite_error_code().is_some_and(|code| code == DatabaseCorrupt || code == NotADatabase);
        }
        matches!(self, Self::Corrupt(_) | Self::Record(..) | Self::Id(_))
    }

    /// Whether the same work, begun anew, can succeed.
    pub const fn can_be_redone(&self) -> bool {
        matches!(self, Self::Stale(_))
    }
}

/// Whether there is no room. Who opens a database meets that as an error of its shared memory.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        error.code == rusqlite::ErrorCode::DiskFull || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}

/// Names the step that an SQLite call was.
pub(crate) trait During<T> {
    fn during(self, step: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, rusqlite::Error> {
    fn during(self, step: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| if is_full(&error) { StoreError::Full } else { StoreError::Sql(step, error) })
    }
}
