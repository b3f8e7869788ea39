//! The floor of the benchmark: plain SQLite inserting the same rows, with an index and full-text search; and reading
//! what a comparison has to read.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

/// Rows in one commit: what the bulk path commits together.
const GROUP: usize = 250;
/// Single commits that are timed.
const COMMITS: usize = 50;
/// Passes that are timed.
const PASSES: usize = 5;

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

/// How long plain SQLite needs to read so many documents' ids and heads, from a table that has nothing else, and to hash
/// each: the least that one end of a comparison can do. The middle one of five passes, after one to warm up.
///
/// # Errors
/// When the file can't be written.
pub fn one_pass(directory: &Path, documents: usize) -> Result<Duration> {
    std::fs::create_dir_all(directory)?;
    let mut connection = Connection::open(directory.join("pass.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE document (id INTEGER PRIMARY KEY, doc_id BLOB NOT NULL, heads BLOB NOT NULL) STRICT;",
    )?;
    let tx = connection.transaction()?;
    for nth in 0..documents {
        let hash: [u8; 32] = Sha256::digest(nth.to_be_bytes()).into();
        let sql = "INSERT INTO document (doc_id, heads) VALUES (?, ?)";
        tx.prepare_cached(sql)?.execute(params![&hash[..16], &hash[..]])?;
    }
    tx.commit()?;
    pass(&connection)?;
    let mut times = (0..PASSES).map(|_| pass(&connection)).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    times.get(PASSES / 2).copied().context("there are passes")
}

fn pass(connection: &Connection) -> Result<Duration> {
    let began = Instant::now();
    let mut sum = 0_u64;
    let mut statement = connection.prepare_cached("SELECT doc_id, heads FROM document")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut hasher = Sha256::new();
        hasher.update(row.get_ref(0)?.as_blob()?);
        hasher.update(row.get_ref(1)?.as_blob()?);
        let hash: [u8; 32] = hasher.finalize().into();
        sum = hash[..8].iter().fold(sum, |sum, byte| sum.rotate_left(8).wrapping_add(u64::from(*byte)));
    }
    // Used, so that no compiler leaves the hashing out.
    std::hint::black_box(sum);
    Ok(began.elapsed())
}
