//! Who is logged in.
//!
//! **Invariants:** only the hash of what a browser holds is here; a session ends with its login, and none lives on in a
//! database that was put back or moved. Which session is too old is decided where the clock is.

use model::{Digest, Role, Timestamp};
use rusqlite::params;

use crate::user::read_role;
use crate::{Read, StoreError, Tx};

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of what the browser holds.
    pub hash: Digest,
    /// Whose it is.
    pub name: String,
    /// What that login may do.
    pub role: Role,
    /// Whether that login has a second factor.
    pub second: bool,
    /// Since when it is there.
    pub created: Timestamp,
    /// When it was last seen, to the minute.
    pub seen: Timestamp,
    /// When it ends at the latest.
    pub ends: Timestamp,
    /// What the browser calls itself.
    pub agent: String,
}

const COLUMNS: &str = "SELECT s.hash, u.name, u.role, u.totp IS NOT NULL, s.created, s.seen, s.ends, s.agent
  FROM session s JOIN user u ON u.id = s.user WHERE u.removed IS NULL";

fn read_session(row: &rusqlite::Row<'_>) -> rusqlite::Result<Session> {
    let at = |column: usize| Ok::<_, rusqlite::Error>(Timestamp::from_millis(row.get(column)?));
    Ok(Session {
        hash: Digest(row.get(0)?),
        name: row.get(1)?,
        role: read_role(row, 2)?,
        second: row.get(3)?,
        created: at(4)?,
        seen: at(5)?,
        ends: at(6)?,
        agent: row.get(7)?,
    })
}

impl Read<'_> {
    /// The session with this hash, also one that is too old.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn session(&self, hash: &Digest) -> Result<Option<Session>, StoreError> {
        self.one("read a session", &format!("{COLUMNS} AND s.hash = ?"), params![hash.0], read_session)
    }

    /// The sessions of a login, the one last seen first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn sessions(&self, name: &str) -> Result<Vec<Session>, StoreError> {
        let sql = format!("{COLUMNS} AND u.name = ? ORDER BY s.seen DESC, s.hash");
        self.all("read sessions", &sql, params![name], read_session)
    }
}

impl Tx<'_> {
    /// Begins a session of the login that it names.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn add_session(&self, session: &Session) -> Result<(), StoreError> {
        let sql = "INSERT INTO session (hash, user, created, seen, ends, agent)
                   SELECT ?, id, ?, ?, ?, ? FROM user WHERE name = ? AND removed IS NULL";
        let row = params![
            session.hash.0,
            session.created.as_millis(),
            session.seen.as_millis(),
            session.ends.as_millis(),
            session.agent,
            session.name
        ];
        match self.run("begin a session", sql, row)? {
            0 => Err(StoreError::Unknown("login", session.name.clone())),
            _ => Ok(()),
        }
    }

    /// Notes that a session was seen.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn touch_session(&self, hash: &Digest, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE session SET seen = ? WHERE hash = ?";
        self.run("note that a session was seen", sql, params![at.as_millis(), hash.0]).map(drop)
    }

    /// Ends a session, if it is there.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn end_session(&self, hash: &Digest) -> Result<(), StoreError> {
        self.run("end a session", "DELETE FROM session WHERE hash = ?", params![hash.0]).map(drop)
    }

    /// Ends the sessions of a login, but for one.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn end_sessions(&self, name: &str, but: Option<&Digest>) -> Result<(), StoreError> {
        let sql = "DELETE FROM session WHERE user = (SELECT id FROM user WHERE name = ?) AND hash IS NOT ?";
        self.run("end sessions", sql, params![name, but.map(|hash| hash.0)]).map(drop)
    }

    /// Forgets sessions that ended before `at`, or were not seen since `idle`.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn forget_old_sessions(&self, at: Timestamp, idle: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM session WHERE ends < ? OR seen < ?";
        self.run("forget old sessions", sql, params![at.as_millis(), idle.as_millis()]).map(drop)
    }

    /// Ends every session: what a database that was put back says of them may be long over.
    pub(crate) fn end_all_sessions(&self) -> Result<(), StoreError> {
        self.run("end sessions", "DELETE FROM session", []).map(drop)
    }
}
