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
/// So many of the last digits of a number are it: who writes it down leaves out what is before.
const NUMBER_DIGITS: usize = 7;
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

    /// Forgets lists that look for an e-mail address or a number of somebody who is deleted.
    pub(crate) fn drop_filters_for(&self, reaches: &[String]) -> Result<(), StoreError> {
        let sql = "SELECT user, name, query FROM saved_filter";
        let saved = self.all("read saved lists", sql, [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        for (login, name, query) in saved {
            let query = plain(&query);
            if reaches.iter().any(|reach| looks_for(&query, reach)) {
                self.drop_filter(&login, &name)?;
            }
        }
        Ok(())
    }
}

/// What a query says, without the escapes of an address.
fn plain(query: &str) -> String {
    let (mut said, mut rest) = (Vec::with_capacity(query.len()), query.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%');
        said.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&said).to_lowercase()
}

/// Whether a query has an e-mail address in it, or the end of a number, however it is written.
fn looks_for(query: &str, reach: &str) -> bool {
    if reach.contains('@') {
        return query.contains(reach);
    }
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (query, number) = (digits(query), digits(reach));
    let end = number.len().checked_sub(NUMBER_DIGITS).and_then(|from| number.get(from..));
    end.is_some_and(|end| query.contains(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_looks_for_somebody_by_her_address_or_number_is_known_however_it_is_written() {
        assert!(looks_for(&plain("rung=contact&q=Mary%40Example.org"), "mary@example.org"));
        assert!(looks_for(&plain("q=(213)+555-0142"), "+12135550142"));
        assert!(looks_for(&plain("q=%2B12135550142"), "+12135550142"));
        assert!(!looks_for(&plain("q=mary&tag=100%"), "mary@example.org"));
        assert!(!looks_for(&plain("q=90012"), "+12135550142"));
    }
}
