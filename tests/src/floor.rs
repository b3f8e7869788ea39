//! The floor of the benchmark: plain SQLite inserting the same rows, with an index and full-text search.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use rusqlite::{Connection, params};

/// Rows in one commit: what the bulk path commits together.
const GROUP: usize = 250;
/// Single commits that are timed.
const COMMITS: usize = 50;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is searched.
    pub words: String,
    /// As large as a saved record.
    pub blob: Vec<u8>,
    /// As large as a view.
    pub view: String,
}

/// What plain SQLite does.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// Rows a second, durable, indexed, searchable.
    pub rows_per_second: f64,
    /// One row in one commit, in ms.
    pub commit_ms: f64,
    /// Bytes of file a row.
    pub bytes_per_row: f64,
}

impl Floor {
    /// Measures it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn measure(directory: &Path, rows: &[Row]) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join("floor.db");
        let mut connection = Connection::open(&path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE record (id INTEGER PRIMARY KEY, email TEXT NOT NULL, saved BLOB NOT NULL, view TEXT NOT NULL) STRICT;
             CREATE INDEX record_email ON record (email);
             CREATE VIRTUAL TABLE fts USING fts5 (words, content = '', prefix = '2 3');",
        )?;
        let began = Instant::now();
        for group in rows.chunks(GROUP) {
            let tx = connection.transaction()?;
            for row in group {
                insert(&tx, row)?;
            }
            tx.commit()?;
        }
        let rows_per_second = rows.len() as f64 / began.elapsed().as_secs_f64();
        let began = Instant::now();
        for row in rows.iter().take(COMMITS) {
            let tx = connection.transaction()?;
            insert(&tx, row)?;
            tx.commit()?;
        }
        let commit_ms = began.elapsed().as_secs_f64() * 1000.0 / COMMITS.min(rows.len()) as f64;
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let bytes_per_row = std::fs::metadata(&path)?.len() as f64 / rows.len() as f64;
        Ok(Self { rows_per_second, commit_ms, bytes_per_row })
    }
}

fn insert(connection: &Connection, row: &Row) -> Result<()> {
    let sql = "INSERT INTO record (email, saved, view) VALUES (?, ?, ?)";
    let id = connection.prepare_cached(sql)?.insert(params![row.words, row.blob, row.view])?;
    connection.prepare_cached("INSERT INTO fts (rowid, words) VALUES (?, ?)")?.execute(params![id, row.words])?;
    Ok(())
}
