//! Lists of people to which a login comes back: a name for what stands in an address.
//!
//! **Invariant:** of this node alone. What an earlier login of the same name has saved is nobody's.

use model::Timestamp;
use rusqlite::params;

use crate::{Read, StoreError, Tx};

/// The most that one login saves: more names are a list to search in.
pub const SAVED_MAX: u64 = 20;
/// The longest name, in characters: a line on a telephone.
const NAME_CHARS_MAX: usize = 40;
/// The longest query, in bytes: every filter at once with room.
const QUERY_BYTES_MAX: usize = 1_000;

/// A list that was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedFilter {
    /// Its name.
    pub name: String,
    /// What stands behind the `?` of the list's address.
    pub query: String,
}

impl Read<'_> {
    /// What a login has saved, by name.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn saved_filters(&self, login: &str) -> Result<Vec<SavedFilter>, StoreError> {
        let sql = "SELECT f.name, f.query FROM saved_filter f JOIN user u ON u.name = f.user
                   WHERE f.user = ? AND u.removed IS NULL AND f.at >= u.created ORDER BY f.name";
        self.all("read saved lists", sql, params![login], |row| {
            Ok(SavedFilter { name: row.get(0)?, query: row.get(1)? })
        })
    }
}

impl Tx<'_> {
    /// Saves a list under a name; one of this name is replaced.
    ///
    /// # Errors
    /// When it has no name, is too long, or there are too many.
    pub fn save_filter(&self, login: &str, saved: &SavedFilter, at: Timestamp) -> Result<(), StoreError> {
        let SavedFilter { name, query } = saved;
        let refuse = |words: String| Err(StoreError::Refused(words));
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return refuse(format!("a list is saved under a name of 1 to {NAME_CHARS_MAX} characters"));
        }
        if query.len() > QUERY_BYTES_MAX {
            return refuse("these filters are too long to be saved: leave some out".to_owned());
        }
        let sql = "DELETE FROM saved_filter WHERE user = ?1
                   AND at < (SELECT created FROM user WHERE name = ?1 AND removed IS NULL)";
        self.run("forget lists of an earlier login", sql, params![login])?;
        let others = "SELECT count(*) FROM saved_filter WHERE user = ? AND name != ?";
        if self.number("count saved lists", others, params![login, name])? >= SAVED_MAX {
            return refuse(format!("at most {SAVED_MAX} lists are saved: forget one first"));
        }
        let sql = "INSERT INTO saved_filter (user, name, query, at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET query = ?3, at = ?4";
        self.run("save a list", sql, params![login, name, query, at.as_millis()]).map(drop)
    }

    /// Forgets a saved list, if there is one of this name.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn drop_filter(&self, login: &str, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM saved_filter WHERE user = ? AND name = ?";
        self.run("forget a list", sql, params![login, name]).map(drop)
    }
}
