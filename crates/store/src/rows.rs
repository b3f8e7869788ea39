//! Reading rows: the pieces that every other module stands on.

use model::{Digest, DocId, NetworkSettings, ScopeId, ScopeSum};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use crate::error::During as _;
use crate::{StoreError, Tx};

/// A moment of the database that can be read.
#[derive(Debug)]
pub struct Read<'a>(pub(crate) &'a Connection);

/// What a scope is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeRole {
    /// Every node reads it.
    Network,
    /// Every node of the parent's network reads it: at a hub with a parent.
    Above,
    /// What this node shares with its parent.
    Own,
    /// A child's, at its hub.
    Chapter,
}

impl ScopeRole {
    fn from_word(word: &str) -> Self {
        match word {
            "own" => Self::Own,
            "above" => Self::Above,
            "chapter" => Self::Chapter,
            _ => Self::Network,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Above => "above",
            Self::Own => "own",
            Self::Chapter => "chapter",
        }
    }
}

/// A row of `scope`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScopeRow {
    pub(crate) id: i64,
    pub(crate) next_seq: u64,
    pub(crate) count: u64,
    pub(crate) sum: ScopeSum,
    pub(crate) role: ScopeRole,
}

impl Read<'_> {
    pub(crate) fn one<T>(
        &self,
        step: &'static str,
        sql: &str,
        row: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.0.prepare_cached(sql).and_then(|mut statement| statement.query_row(row, read).optional()).during(step)
    }

    pub(crate) fn all<T>(
        &self,
        step: &'static str,
        sql: &str,
        row: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let collect = |mut statement: rusqlite::CachedStatement<'_>| statement.query_map(row, read)?.collect();
        self.0.prepare_cached(sql).and_then(collect).during(step)
    }

    pub(crate) fn number(&self, step: &'static str, sql: &str, row: impl Params) -> Result<u64, StoreError> {
        Ok(self.one(step, sql, row, |row| row.get::<_, i64>(0))?.unwrap_or(0).unsigned_abs())
    }

    pub(crate) fn scope_row(&self, scope: ScopeId) -> Result<Option<ScopeRow>, StoreError> {
        let sql = "SELECT id, next_seq, count, sum, role FROM scope WHERE scope = ?";
        self.one("read a scope", sql, params![scope.as_bytes()], |row| {
            Ok(ScopeRow {
                id: row.get(0)?,
                next_seq: row.get(1)?,
                count: row.get(2)?,
                sum: ScopeSum::from_bytes(&row.get(3)?),
                role: ScopeRole::from_word(row.get_ref(4)?.as_str()?),
            })
        })
    }

    pub(crate) fn known_scope(&self, scope: ScopeId) -> Result<ScopeRow, StoreError> {
        self.scope_row(scope)?.ok_or_else(|| StoreError::Unknown("scope", scope.to_string()))
    }

    pub(crate) fn scope_of(&self, id: i64) -> Result<ScopeId, StoreError> {
        let found = self.one("read a scope", "SELECT scope FROM scope WHERE id = ?", params![id], |row| row.get(0))?;
        found.map(ScopeId::from_bytes).ok_or(StoreError::Corrupt("scope"))
    }

    /// The scope that this node shares with its parent; none at a hub without one.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn own_scope(&self) -> Result<Option<ScopeId>, StoreError> {
        let sql = "SELECT scope FROM scope WHERE role = 'own'";
        let found = self.one("read its own scope", sql, [], |row| row.get(0))?;
        Ok(found.map(ScopeId::from_bytes))
    }

    pub(crate) fn document_row(&self, document: DocId) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT id FROM document WHERE doc_id = ?";
        self.one("find a document", sql, params![document.as_bytes()], |row| row.get(0))
    }

    /// The network's settings; the defaults until they have come.
    ///
    /// # Errors
    /// When the document can't be read.
    pub fn settings(&self) -> Result<NetworkSettings, StoreError> {
        let sql = "SELECT d.doc_id, s.saved FROM document d JOIN snapshot s ON s.document = d.id
                   WHERE d.doc_id = (SELECT settings FROM node)";
        let found = self.one("read the settings", sql, [], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let Some((id, saved)) = found else { return Ok(NetworkSettings::default()) };
        let record = record::Record::load(&saved).map_err(|e| StoreError::Record(DocId::from_bytes(id), e))?;
        Ok(record.settings())
    }
}

impl Tx<'_> {
    /// Makes a scope known.
    ///
    /// # Errors
    /// When it is known already.
    pub fn add_scope(&self, scope: ScopeId, role: ScopeRole) -> Result<(), StoreError> {
        let sql = "INSERT INTO scope (scope, role, sum) VALUES (?, ?, ?)";
        let row = params![scope.as_bytes(), role.word(), ScopeSum::default().to_bytes()];
        self.run("add a scope", sql, row).map(drop)
    }

    /// Makes a document the network's settings.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_settings(&self, document: DocId) -> Result<(), StoreError> {
        self.run("name the settings", "UPDATE node SET settings = ?", params![document.as_bytes()]).map(drop)
    }
}

/// The fewest digits of an id that are looked for: fewer fit too many.
pub(crate) const ID_DIGITS_MIN: usize = 4;

/// The one row of these that a full id or a unique beginning or end of one names; `what` they are, in words.
pub(crate) fn one_named<T>(
    text: &str,
    what: &'static str,
    mut rows: Vec<T>,
    id: impl Fn(&T) -> String,
) -> Result<T, StoreError> {
    let plain = |id: &str| id.trim().to_ascii_lowercase().replace('-', "");
    let digits = plain(text);
    rows.retain(|row| {
        let whole = plain(&id(row));
        digits.len() >= ID_DIGITS_MIN && (whole.starts_with(&digits) || whole.ends_with(&digits))
    });
    match (rows.pop(), rows.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(StoreError::Ambiguous(text.to_owned())),
        (None, _) => Err(StoreError::Unknown(what, text.to_owned())),
    }
}

/// Hashes in one blob, sorted.
pub(crate) fn join_hashes(hashes: &[Digest]) -> Vec<u8> {
    let mut sorted = hashes.to_vec();
    sorted.sort_unstable();
    sorted.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a blob.
pub(crate) fn split_hashes(blob: &[u8]) -> Vec<Digest> {
    blob.as_chunks::<32>().0.iter().copied().map(Digest).collect()
}
