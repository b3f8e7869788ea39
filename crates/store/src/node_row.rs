//! What this node is: one row.

use model::{Incarnation, NodeId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::During as _;
use crate::link::split_addresses;
use crate::{ProofKey, Read, StoreError, Tx};

/// Which program's database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A hub's.
    Hub,
    /// A chapter's.
    Chapter,
}

impl NodeKind {
    /// The word in the database and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Chapter => "chapter",
        }
    }
}

/// What this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Hub or chapter.
    pub kind: NodeKind,
    /// Its name.
    pub name: String,
    /// ISO 3166-1 alpha-2, taken where a sign-up names none.
    pub country: String,
    /// The SHA-256 of its public key.
    pub node_id: NodeId,
    /// This life of its database.
    pub incarnation: Incarnation,
    /// By which it proves to its children what it says of documents.
    pub proof_key: ProofKey,
}

impl NodeRow {
    pub(crate) fn insert(&self, connection: &Connection, at: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO node (one, kind, name, country, node_id, incarnation, proof_key, created) VALUES (1, ?, ?, ?, ?, ?, ?, ?)";
        let row = params![
            self.kind.word(),
            self.name,
            self.country,
            self.node_id.0,
            self.incarnation.as_bytes(),
            self.proof_key,
            at.as_millis()
        ];
        connection.execute(sql, row).map(drop).during("say what node it is")
    }

    pub(crate) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let sql = "SELECT kind, name, country, node_id, incarnation, proof_key FROM node";
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_row([], |row| {
                    let kind: String = row.get(0)?;
                    Ok(Self {
                        kind: if kind == "hub" { NodeKind::Hub } else { NodeKind::Chapter },
                        name: row.get(1)?,
                        country: row.get(2)?,
                        node_id: NodeId(row.get(3)?),
                        incarnation: Incarnation::from_bytes(row.get(4)?),
                        proof_key: row.get(5)?,
                    })
                })
            })
            .optional()
            .during("say what node it is")?
            .ok_or(StoreError::Corrupt("node"))
    }
}

impl Read<'_> {
    /// What this node is.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn node(&self) -> Result<NodeRow, StoreError> {
        NodeRow::read(self.0)
    }

    pub(crate) fn proof_key(&self) -> Result<ProofKey, StoreError> {
        let found = self.one("read its key", "SELECT proof_key FROM node", [], |row| row.get(0))?;
        found.ok_or(StoreError::Corrupt("node"))
    }

    /// When the newest backup was made.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn backed_up(&self) -> Result<Option<Timestamp>, StoreError> {
        let found = self.one("read its backup's time", "SELECT backed_up FROM node", [], |row| row.get(0))?;
        Ok(found.flatten().map(Timestamp::from_millis))
    }

    /// When a peer last knew more of this database than it did itself: it was put back, or is a copy of one that went on.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn rolled_back(&self) -> Result<Option<Timestamp>, StoreError> {
        let found = self.one("read when it was rolled back", "SELECT rolled_back FROM node", [], |row| row.get(0))?;
        Ok(found.flatten().map(Timestamp::from_millis))
    }

    /// Where children reach this node, as it last served; empty before that.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn addresses(&self) -> Result<Vec<String>, StoreError> {
        let found = self.one("read its addresses", "SELECT addresses FROM node", [], |row| row.get::<_, String>(0))?;
        Ok(split_addresses(&found.unwrap_or_default()))
    }
}

impl Tx<'_> {
    /// Notes that a backup was made.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_backed_up(&self, at: Timestamp) -> Result<(), StoreError> {
        self.run("note a backup", "UPDATE node SET backed_up = ?", params![at.as_millis()]).map(drop)
    }

    /// Notes where children reach this node.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_addresses(&self, addresses: &[String]) -> Result<(), StoreError> {
        self.run("note its addresses", "UPDATE node SET addresses = ?", params![addresses.join(",")]).map(drop)
    }

    /// Notes that this node has another key: the one that it had is lost.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_node_id(&self, node: NodeId) -> Result<(), StoreError> {
        self.run("note its key", "UPDATE node SET node_id = ?", params![node.0]).map(drop)
    }

    /// Begins a new life of this database: after a restore, or when it was found to have been rolled back. Cursors into its
    /// feeds are not good any more, so that what was lost is compared instead of overlooked.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn begin_life(&self, incarnation: Incarnation) -> Result<(), StoreError> {
        self.run("begin a new life", "UPDATE node SET incarnation = ?", params![incarnation.as_bytes()]).map(drop)
    }

    /// Notes that a peer knew more of this database than it did itself.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_rolled_back(&self, at: Timestamp) -> Result<(), StoreError> {
        self.run("note a rollback", "UPDATE node SET rolled_back = ?", params![at.as_millis()]).map(drop)
    }

    /// Renames the node.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn rename_node(&self, name: &str) -> Result<(), StoreError> {
        self.run("rename the node", "UPDATE node SET name = ?", params![name]).map(drop)
    }
}
