//! Whom somebody has recruited, and whom she develops: the other end of what records say.
//!
//! **Invariant:** made from documents, in the transaction of the view; who names nobody has no row here.

use std::collections::{BTreeMap, BTreeSet};

use model::{DocId, Personal, Supporter};
use rusqlite::params;

use crate::people::{BESIDE, COLUMNS, PersonRow, read_person};
use crate::{Read, StoreError, Tx};

/// The most people who are shown as raised by one person: who has more is asked for them with a list.
pub const RAISED_MAX: usize = 50;

/// The longest name for which a row is kept, in bytes: an id has 36, a login 40 at most. A record of elsewhere may have any.
const BY_BYTES_MAX: usize = 64;

/// How somebody came to be a leader of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raising {
    /// She brought them.
    Recruited,
    /// She develops them.
    Developed,
}

impl Raising {
    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recruited => "recruited",
            Self::Developed => "developed",
        }
    }

    /// What her record says about who did it.
    pub const fn by(self, her: &Supporter) -> Option<&Personal> {
        match self {
            Self::Recruited => her.recruited_by.as_ref(),
            Self::Developed => her.developed_by.as_ref(),
        }
    }
}

/// Somebody whom another one has raised.
#[derive(Clone, Debug)]
pub struct Raised {
    /// How.
    pub how: Raising,
    /// Who.
    pub person: PersonRow,
}

/// By whom, and how: what stands in rows.
pub(crate) fn raised(her: Option<&Supporter>) -> BTreeSet<(&str, &'static str)> {
    let short = |who: &&Personal| who.expose().len() <= BY_BYTES_MAX;
    let by = |how: Raising| her.and_then(|her| how.by(her)).filter(short).map(|who| (who.expose(), how.word()));
    [by(Raising::Recruited), by(Raising::Developed)].into_iter().flatten().collect()
}

impl Read<'_> {
    /// The names under which others say that a person raised them: the ids of her records, and logins that are tied to them.
    fn known_as(&self, her: &Supporter) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<String> = her.ids().map(|id| id.to_string()).collect();
        let sql = "SELECT u.name FROM user u JOIN document d ON d.id = u.supporter WHERE d.doc_id = ?
                   AND u.removed IS NULL";
        for id in her.ids() {
            names.extend(self.all("read her logins", sql, params![id.as_bytes()], |row| row.get::<_, String>(0))?);
        }
        Ok(names)
    }

    /// Whom a person has recruited, and whom she develops, the newest first: at most [`RAISED_MAX`] of each.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn raised_by(&self, her: &Supporter) -> Result<Vec<Raised>, StoreError> {
        let sql = format!(
            "{COLUMNS} FROM raised r JOIN supporter v ON v.document = r.document {BESIDE}
             WHERE r.by = ? AND r.how = ? AND v.hidden = 0 ORDER BY r.document DESC LIMIT ?"
        );
        let mut found: Vec<Raised> = Vec::new();
        for how in [Raising::Recruited, Raising::Developed] {
            for name in self.known_as(her)? {
                let row = params![name, how.word(), RAISED_MAX];
                for person in self.shown(self.all("read whom she raised", &sql, row, read_person)?)? {
                    let known = |other: &Raised| other.how == how && other.person.supporter.id == person.supporter.id;
                    if !her.covers(person.supporter.id) && !found.iter().any(known) {
                        found.push(Raised { how, person });
                    }
                }
            }
        }
        Ok(found)
    }

    /// Every row, by the record whose it is.
    pub(crate) fn all_raised(&self) -> Result<BTreeMap<i64, BTreeSet<(String, String)>>, StoreError> {
        let mut found: BTreeMap<i64, BTreeSet<(String, String)>> = BTreeMap::new();
        let sql = "SELECT document, by, how FROM raised";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?)));
        for (document, said) in self.all("read who raised whom", sql, [], read)? {
            found.entry(document).or_default().insert(said);
        }
        Ok(found)
    }

    /// The person of whom a record speaks by her id, or by a login that is tied to her; none if she is not here.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn named_person(&self, name: &str) -> Result<Option<DocId>, StoreError> {
        let id = match name.parse::<DocId>() {
            Ok(id) => Some(id),
            Err(_) => self.user(name)?.and_then(|user| user.supporter),
        };
        let Some(id) = id else { return Ok(None) };
        match self.person(id) {
            Ok(person) => Ok(Some(person.supporter.id)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Tx<'_> {
    /// Brings the rows of a record in step with it.
    pub(crate) fn put_raised(
        &self,
        document: i64,
        before: Option<&Supporter>,
        now: Option<&Supporter>,
    ) -> Result<(), StoreError> {
        let (old, new) = (raised(before), raised(now));
        for (by, how) in old.difference(&new) {
            let sql = "DELETE FROM raised WHERE by = ? AND how = ? AND document = ?";
            self.run("forget who raised her", sql, params![by, how, document])?;
        }
        for (by, how) in new.difference(&old) {
            let sql = "INSERT OR IGNORE INTO raised (by, how, document) VALUES (?, ?, ?)";
            self.run("note who raised her", sql, params![by, how, document])?;
        }
        Ok(())
    }
}
