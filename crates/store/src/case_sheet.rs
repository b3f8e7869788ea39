//! The case on paper, as it was kept: numbers and words, no names.
//!
//! **Invariant:** a sheet that was kept is the same bytes for ever: triggers refuse to change or delete one.

use model::Timestamp;
use rusqlite::{Row, params};

use crate::{Read, StoreError, Tx};

/// A sheet that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseSheet {
    /// Its number.
    pub number: u64,
    /// When it was kept.
    pub made: Timestamp,
    /// By whom.
    pub by: String,
    /// What it is called.
    pub title: String,
    /// What stands on it, as JSON.
    pub body: String,
}

const COLUMNS: &str = "SELECT number, made, by, title, body FROM case_sheet";

fn read_sheet(row: &Row<'_>) -> rusqlite::Result<CaseSheet> {
    Ok(CaseSheet {
        number: row.get(0)?,
        made: Timestamp::from_millis(row.get(1)?),
        by: row.get(2)?,
        title: row.get(3)?,
        body: row.get(4)?,
    })
}

impl Read<'_> {
    /// Sheets that were kept, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn case_sheets(&self, limit: usize) -> Result<Vec<CaseSheet>, StoreError> {
        let sql = format!("{COLUMNS} ORDER BY number DESC LIMIT ?");
        self.all("list sheets", &sql, params![limit as i64], read_sheet)
    }

    /// The sheet with this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn case_sheet(&self, number: u64) -> Result<CaseSheet, StoreError> {
        let unknown = || StoreError::Unknown("sheet", number.to_string());
        let row = i64::try_from(number).map_err(|_| unknown())?;
        let found = self.one("read a sheet", &format!("{COLUMNS} WHERE number = ?"), params![row], read_sheet)?;
        found.ok_or_else(unknown)
    }
}

impl Tx<'_> {
    /// Keeps a sheet for ever; gives its number.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn keep_case(&self, made: Timestamp, by: &str, title: &str, body: &str) -> Result<u64, StoreError> {
        let sql = "INSERT INTO case_sheet (number, made, by, title, body)
                   VALUES ((SELECT coalesce(max(number), 0) + 1 FROM case_sheet), ?, ?, ?, ?)";
        Ok(self.insert("keep a sheet", sql, params![made.as_millis(), by, title, body])?.unsigned_abs())
    }
}
