//! Who is let in, over a restore: that is not put back to before.
//!
//! **Invariants:** a node that was shut out, and a login or a token that was removed, in the database in whose place a backup
//! is put, stays so; roles, passwords and second factors stay as they were there. Where no such database can be read, whoever
//! is let in again is named, for a person to look at.

use std::path::Path;

use model::{AuditKind, NodeId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{OpenFlags, Row, params_from_iter};

use crate::node_row::NodeRow;
use crate::open::{connect, version};
use crate::{NewAudit, Read, SCHEMA_VERSION, StoreError, Tx};

/// Whom a database lets in that was put back, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetIn {
    /// Nodes of children: the chapter's name, and the node.
    pub nodes: Vec<(String, NodeId)>,
    /// Logins.
    pub logins: Vec<String>,
    /// Tokens.
    pub tokens: Vec<String>,
}

/// What the database says of it in whose place a backup is put. It has secrets in it, and is not printed.
pub(crate) struct Doors {
    node: NodeId,
    /// Who was shut out, and the words on that.
    shut_out: Vec<([u8; 32], String)>,
    users: Vec<Vec<Value>>,
    tokens: Vec<Vec<Value>>,
}

const USERS: &str =
    "SELECT name, role, password, totp, totp_step, recovery, failures, failed, created, removed FROM user ORDER BY id";
const TOKENS: &str = "SELECT hash, name, role, made_by, created, expires, used FROM api_token";

fn values(row: &Row<'_>, count: usize) -> rusqlite::Result<Vec<Value>> {
    (0..count).map(|column| row.get(column)).collect()
}

impl Doors {
    /// What stands in a file; none where no database of this version can be read.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
        if version(&connection).ok()? != SCHEMA_VERSION {
            return None;
        }
        let node = NodeRow::read(&connection).ok()?.node_id;
        let read = Read(&connection);
        let sql = "SELECT peer, detail FROM link WHERE direction = 'down' AND state = 'revoked' ORDER BY id";
        let shut_out = read.all("read who is shut out", sql, [], |row| Ok((row.get(0)?, row.get(1)?))).ok()?;
        let users = read.all("read logins", USERS, [], |row| values(row, 10)).ok()?;
        let tokens = read.all("read tokens", TOKENS, [], |row| values(row, 7)).ok()?;
        Some(Self { node, shut_out, users, tokens })
    }
}

impl Read<'_> {
    fn let_in(&self) -> Result<LetIn, StoreError> {
        let sql = "SELECT name, peer FROM link WHERE direction = 'down' AND state != 'revoked' AND state != 'left'
                   ORDER BY name, id";
        Ok(LetIn {
            nodes: self.all("read who is let in", sql, [], |row| Ok((row.get(0)?, NodeId(row.get(1)?))))?,
            logins: self.users()?.into_iter().map(|user| user.name).collect(),
            tokens: self.tokens()?.into_iter().map(|token| token.name).collect(),
        })
    }
}

impl Tx<'_> {
    /// Lets in, of a database that was put back, whom the one lets in that stood there. Where none did, or another node's,
    /// gives whom it lets in by itself.
    pub(crate) fn keep_doors(&self, stood: Option<&Doors>, at: Timestamp) -> Result<Option<LetIn>, StoreError> {
        let node = self.node()?.node_id;
        let Some(stood) = stood.filter(|stood| stood.node == node) else { return self.let_in().map(Some) };
        for (peer, words) in &stood.shut_out {
            let Some(link) = self.child(NodeId(*peer))? else { continue };
            if self.revoke(link.id, words, at)? {
                let words = format!("node {}, as before the restore", link.peer.short());
                self.audit(&NewAudit::new(AuditKind::Revoked, at).detail(words))?;
            }
        }
        // Her own record is one of those that were put back: the login that was tied to it then is, if it is the same one.
        let sql = "INSERT INTO user (name, role, password, totp, totp_step, recovery, failures, failed, created, removed)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (name) DO UPDATE SET role = ?2, password = ?3,
                     totp = ?4, totp_step = ?5, recovery = ?6, failures = ?7, failed = ?8, created = ?9, removed = ?10,
                     supporter = CASE WHEN created = ?9 AND ?10 IS NULL THEN supporter END";
        for user in &stood.users {
            self.run("keep a login", sql, params_from_iter(user))?;
        }
        self.run("forget tokens of then", "DELETE FROM api_token", [])?;
        let sql =
            "INSERT INTO api_token (hash, name, role, made_by, created, expires, used) VALUES (?, ?, ?, ?, ?, ?, ?)";
        stood.tokens.iter().try_for_each(|token| self.run("keep a token", sql, params_from_iter(token)).map(drop))?;
        Ok(None)
    }
}
