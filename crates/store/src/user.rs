//! Logins of this node's pages, and tokens of programs.
//!
//! **Invariants:** a password is here as its Argon2id only, a recovery code or token as its SHA-256; a code of the second
//! factor is used up in the transaction that lets somebody in by it. Knows nothing of how a password is checked.

use std::fmt;

use model::{Digest, DocId, Right, Role, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Row, params};

use crate::rows::{join_hashes, split_hashes};
use crate::{Read, StoreError, Tx};

/// The length of a secret of the second factor, in bytes: as RFC 4226 recommends.
pub const TOTP_SECRET_BYTES: usize = 20;

/// A login.
#[derive(Clone)]
pub struct User {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Argon2id as a PHC string.
    pub password: String,
    /// The secret of the second factor, if one is set up.
    pub totp: Option<[u8; TOTP_SECRET_BYTES]>,
    /// SHA-256 of each recovery code that was not used yet.
    pub recovery: Vec<Digest>,
    /// Her own record.
    pub supporter: Option<DocId>,
    /// Failures that count, and when the last was.
    pub failures: (u32, Timestamp),
    /// Since when it is there.
    pub created: Timestamp,
    /// How many sessions it has, and when one of them was last seen.
    pub sessions: (u64, Option<Timestamp>),
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({}, {})", self.name, self.role.word())
    }
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it: a login, or how whoever it was called herself. It goes with that login.
    pub made_by: String,
    /// Since when it is there.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// When it was last used, to the minute.
    pub used: Option<Timestamp>,
}

const USERS: &str = "SELECT u.name, u.role, u.password, u.totp, u.recovery, d.doc_id, u.failures,
  coalesce(u.failed, 0), u.created, (SELECT count(*) FROM session s WHERE s.user = u.id),
  (SELECT max(seen) FROM session s WHERE s.user = u.id)
  FROM user u LEFT JOIN document d ON d.id = u.supporter WHERE u.removed IS NULL";
const TOKENS: &str = "SELECT name, role, created, expires, used, made_by FROM api_token";

/// The role of a column.
pub(crate) fn read_role(row: &Row<'_>, column: usize) -> rusqlite::Result<Role> {
    let unknown = || rusqlite::Error::InvalidColumnType(column, "role".to_owned(), Type::Text);
    Role::from_word(row.get_ref(column)?.as_str()?).ok_or_else(unknown)
}

fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        name: row.get(0)?,
        role: read_role(row, 1)?,
        password: row.get(2)?,
        totp: row.get(3)?,
        recovery: split_hashes(row.get_ref(4)?.as_blob()?),
        supporter: row.get::<_, Option<[u8; 16]>>(5)?.map(DocId::from_bytes),
        failures: (row.get(6)?, at(row, 7)?),
        created: at(row, 8)?,
        sessions: (row.get(9)?, row.get::<_, Option<i64>>(10)?.map(Timestamp::from_millis)),
    })
}

fn read_token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        name: row.get(0)?,
        role: read_role(row, 1)?,
        created: at(row, 2)?,
        expires: at(row, 3)?,
        used: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
        made_by: row.get(5)?,
    })
}

/// Refuses when no row was written.
fn one_login(name: &str, rows: usize) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::Unknown("login", name.to_owned())) }
}

impl Read<'_> {
    /// Whether anybody can log in.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn has_users(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM user WHERE removed IS NULL)";
        Ok(self.number("look for logins", sql, [])? > 0)
    }

    /// Everybody who can log in, by name.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        self.all("read logins", &format!("{USERS} ORDER BY u.name"), [], read_user)
    }

    /// The login of this name, if there is one.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.one("read a login", &format!("{USERS} AND u.name = ?"), params![name], read_user)
    }

    /// Every token, by name.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.all("read tokens", &format!("{TOKENS} ORDER BY name"), [], read_token)
    }

    /// The token with this hash, also one that is not good any more.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn token(&self, hash: &Digest) -> Result<Option<Token>, StoreError> {
        self.one("read a token", &format!("{TOKENS} WHERE hash = ?"), params![hash.0], read_token)
    }
}

impl Tx<'_> {
    /// Adds a login; a removed one of the same name begins anew.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn add_user(&self, name: &str, role: Role, password: &str, at: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO user (name, role, password, created) VALUES (?, ?, ?, ?)
                   ON CONFLICT (name) DO UPDATE SET role = excluded.role, password = excluded.password, totp = NULL,
                     recovery = x'', supporter = NULL, failures = 0, failed = NULL, created = excluded.created,
                     removed = NULL WHERE removed IS NOT NULL";
        match self.run("add a login", sql, params![name, role.word(), password, at.as_millis()])? {
            0 => Err(StoreError::Taken("login", name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Gives a login another password. Failures by the old one do not count any more, also at a process that serves.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn set_password(&self, name: &str, password: &str, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE user SET password = ?, failures = 0, failed = ? WHERE name = ? AND removed IS NULL";
        one_login(name, self.run("change a password", sql, params![password, at.as_millis(), name])?)
    }

    /// Removes a login and ends its sessions.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn remove_user(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.end_sessions(name, None)?;
        let sql = "UPDATE user SET removed = ?, password = '', totp = NULL, recovery = x'', supporter = NULL
                   WHERE name = ? AND removed IS NULL";
        one_login(name, self.run("remove a login", sql, params![at.as_millis(), name])?)
    }

    /// Gives a login another role and ends its sessions; gives the role that it had.
    ///
    /// # Errors
    /// When there is no such login, or nobody would be left who is an administrator.
    pub fn set_role(&self, name: &str, role: Role) -> Result<Role, StoreError> {
        let users = self.users()?;
        let user = users.iter().find(|user| user.name == name);
        let was = user.ok_or_else(|| StoreError::Unknown("login", name.to_owned()))?.role;
        let other = |user: &User| user.role == Role::Administrator && user.name != name;
        if was == Role::Administrator && role != Role::Administrator && !users.iter().any(other) {
            let words = format!("{name} is the last administrator here: make somebody else one first");
            return Err(StoreError::Refused(words));
        }
        self.end_sessions(name, None)?;
        let sql = "UPDATE user SET role = ? WHERE name = ? AND removed IS NULL";
        one_login(name, self.run("change a role", sql, params![role.word(), name])?)?;
        Ok(was)
    }

    /// Removes the tokens that a login has made and that may do what it may not; of a removed one, all of them. Gives their
    /// names.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn end_tokens_of(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let role = self.user(name)?.map(|user| user.role);
        let within = |token: &Token| {
            let both = |role: Role| Right::ALL.iter().all(|right| !token.role.may(*right) || role.may(*right));
            role.is_some_and(both)
        };
        let hers = |token: &Token| token.made_by.eq_ignore_ascii_case(name);
        let beyond = self.tokens()?.into_iter().filter(|token| hers(token) && !within(token));
        let names: Vec<String> = beyond.map(|token| token.name).collect();
        names.iter().try_for_each(|name| self.remove_token(name))?;
        Ok(names)
    }

    /// Notes how often it failed to log in by this name; nothing for a name that nobody has.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn note_failures(&self, name: &str, count: u32, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE user SET failures = ?, failed = ? WHERE name = ?";
        self.run("note a failure", sql, params![count, at.as_millis(), name]).map(drop)
    }

    /// Sets a second factor up with its recovery codes, or takes it away.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn set_second(
        &self,
        name: &str,
        secret: Option<&[u8; TOTP_SECRET_BYTES]>,
        recovery: &[Digest],
    ) -> Result<(), StoreError> {
        let sql = "UPDATE user SET totp = ?, totp_step = 0, recovery = ? WHERE name = ? AND removed IS NULL";
        let row = params![secret, join_hashes(recovery), name];
        one_login(name, self.run("set a second factor", sql, row)?)
    }

    /// Uses up the code of a step of the second factor; says whether it was still good.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn use_step(&self, name: &str, step: u64) -> Result<bool, StoreError> {
        let sql = "UPDATE user SET totp_step = ?1 WHERE name = ?2 AND totp_step < ?1";
        Ok(self.run("use a code", sql, params![step, name])? == 1)
    }

    /// Uses up a recovery code; says whether it was there.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn use_recovery(&self, name: &str, code: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT recovery FROM user WHERE name = ?";
        let kept = self.one("read recovery codes", sql, params![name], |row| row.get::<_, Vec<u8>>(0))?;
        let kept = split_hashes(&kept.unwrap_or_default());
        let left: Vec<Digest> = kept.iter().copied().filter(|hash| hash != code).collect();
        let sql = "UPDATE user SET recovery = ? WHERE name = ?";
        self.run("use a recovery code", sql, params![join_hashes(&left), name])?;
        Ok(left.len() < kept.len())
    }

    /// Ties a login to its person's own record, or to none.
    ///
    /// # Errors
    /// When she or the login is not here.
    pub fn tie_user(&self, name: &str, person: Option<DocId>) -> Result<(), StoreError> {
        let row = |id| self.document_row(id)?.ok_or(StoreError::NoDocument(id));
        let document = person.map(row).transpose()?;
        let sql = "UPDATE user SET supporter = ? WHERE name = ? AND removed IS NULL";
        one_login(name, self.run("tie a login", sql, params![document, name])?)
    }

    /// Adds a token.
    ///
    /// # Errors
    /// When there is one of this name.
    pub fn add_token(&self, hash: &Digest, token: &Token) -> Result<(), StoreError> {
        let sql =
            "INSERT OR IGNORE INTO api_token (hash, name, role, made_by, created, expires) VALUES (?, ?, ?, ?, ?, ?)";
        let (created, expires) = (token.created.as_millis(), token.expires.as_millis());
        let row = params![hash.0, token.name, token.role.word(), token.made_by, created, expires];
        match self.run("add a token", sql, row)? {
            0 => Err(StoreError::Taken("token", token.name.clone())),
            _ => Ok(()),
        }
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn touch_token(&self, hash: &Digest, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE api_token SET used = ? WHERE hash = ?";
        self.run("note that a token was used", sql, params![at.as_millis(), hash.0]).map(drop)
    }

    /// Removes a token: it is not good any more.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn remove_token(&self, name: &str) -> Result<(), StoreError> {
        match self.run("remove a token", "DELETE FROM api_token WHERE name = ?", params![name])? {
            0 => Err(StoreError::Unknown("token", name.to_owned())),
            _ => Ok(()),
        }
    }
}
