//! The audit log: who did what, when.
//!
//! **Invariants:** a row is written in the transaction of the act, and never changed: each carries a hash over the row
//! before it and itself. It holds ids, logins and fixed words, never a name, an address or a text about a person, so that
//! it may outlive her. What others can set in motion as often as they like is bounded in an hour, and the rest counted.

use model::{AuditKind, Digest, DocId, NodeId, Slug, Timestamp};
use rusqlite::{Row, params};
use sha2::{Digest as _, Sha256};

use crate::link::LinkRow;
use crate::log::Source;
use crate::{NewTransfer, Read, StoreError, Tx};

/// The most rows that one source writes in an hour, of what is bounded: enough to see what it tries.
const ROWS_AN_HOUR: u64 = 20;
/// An hour, in ms.
const HOUR_MS: i64 = 3_600_000;
/// How many rows are read at a time while the chain is walked: some hundred KiB.
const WALKED_AT_ONCE: i64 = 1_000;

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    what: AuditKind,
    at: Timestamp,
    who: Option<String>,
    about: Option<DocId>,
    detail: String,
    number: Option<u64>,
}

impl NewAudit {
    /// What was done, when; by this node by itself, until somebody is named.
    pub const fn new(what: AuditKind, at: Timestamp) -> Self {
        Self { what, at, who: None, about: None, detail: String::new(), number: None }
    }

    /// By somebody, by login.
    #[must_use]
    pub fn by(self, login: &str) -> Self {
        Self { who: Some(login.to_owned()), ..self }
    }

    /// By another node.
    #[must_use]
    pub fn by_node(self, node: NodeId) -> Self {
        Self { who: Some(format!("node {}", node.short())), ..self }
    }

    /// About a person.
    #[must_use]
    pub fn about(self, person: DocId) -> Self {
        Self { about: Some(person), ..self }
    }

    /// More on it: ids, short names of chapters and fixed words only.
    #[must_use]
    pub fn detail(self, words: impl Into<String>) -> Self {
        Self { detail: words.into(), ..self }
    }

    /// How many: people on a list, times that something was tried.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        Self { number: Some(number), ..self }
    }
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// A login, or a node; none: this node by itself.
    pub who: Option<String>,
    /// The word of a [`AuditKind`], perhaps of a later version.
    pub what: String,
    /// The person whom it is about.
    pub about: Option<DocId>,
    /// More on it.
    pub detail: String,
    /// How many.
    pub number: Option<u64>,
    hash: Vec<u8>,
}

impl AuditRow {
    /// SHA-256 over the hash of the row before, then every column with its length, so that no two rows have the same bytes.
    fn digest(&self, before: &[u8]) -> [u8; 32] {
        let (id, at) = (self.id.to_be_bytes(), self.at.as_millis().to_be_bytes());
        let number = self.number.map(u64::to_be_bytes);
        let columns: [Option<&[u8]>; 8] = [
            Some(before),
            Some(&id),
            Some(&at),
            self.who.as_deref().map(str::as_bytes),
            Some(self.what.as_bytes()),
            self.about.as_ref().map(|id| id.as_bytes().as_slice()),
            Some(self.detail.as_bytes()),
            number.as_ref().map(<[u8; 8]>::as_slice),
        ];
        let mut hasher = Sha256::new();
        for column in columns {
            // No column is so long: NULL is something else than nothing.
            let length = column.map_or(u64::MAX, |bytes| bytes.len() as u64);
            hasher.update(length.to_be_bytes());
            hasher.update(column.unwrap_or_default());
        }
        hasher.finalize().into()
    }
}

/// Where somebody goes. A name that can't be a chapter's is not repeated: it came from another node.
pub(crate) fn to_words(slug: &str, also: bool, her_word: bool) -> String {
    let where_to = match slug.parse::<Slug>() {
        Ok(slug) => format!("to {slug}"),
        Err(_) if slug.is_empty() => "to the network".to_owned(),
        Err(_) => "to a chapter that there is not".to_owned(),
    };
    let (also, word) = (if also { "also " } else { "" }, if her_word { ", by her own word" } else { "" });
    format!("{also}{where_to}{word}")
}

impl NewTransfer {
    /// Where she is to go, for the audit log.
    pub fn in_words(&self) -> String {
        to_words(self.to.as_deref().unwrap_or_default(), self.also, self.her_word)
    }
}

/// What walking the chain came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditChecked {
    /// How many rows there are, up to the first that does not fit.
    pub rows: u64,
    /// The hash of the last of them. Kept elsewhere, it shows later that nothing was cut off.
    pub last: Option<Digest>,
    /// The first row that does not fit: it was changed, or what stood before it is gone.
    pub broken: Option<i64>,
}

const COLUMNS: &str = "SELECT id, at, who, what, about, detail, number, hash FROM audit";

fn read_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        who: row.get(2)?,
        what: row.get(3)?,
        about: row.get::<_, Option<[u8; 16]>>(4)?.map(DocId::from_bytes),
        detail: row.get(5)?,
        number: row.get(6)?,
        hash: row.get(7)?,
    })
}

impl Read<'_> {
    /// Rows of the log, the newest first: since a moment, and before the row of this number.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn audit_rows(
        &self,
        since: Option<Timestamp>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE at >= ? AND id < ? ORDER BY id DESC LIMIT ?");
        let since = since.map_or(i64::MIN, Timestamp::as_millis);
        self.all("read the audit log", &sql, params![since, before.unwrap_or(i64::MAX), limit as i64], read_row)
    }

    /// Walks the chain from its first row.
    ///
    /// # Errors
    /// When rows can't be read at all.
    pub fn check_audit(&self) -> Result<AuditChecked, StoreError> {
        let sql = format!("{COLUMNS} WHERE id > ? ORDER BY id LIMIT ?");
        let (mut rows, mut last, mut hash) = (0, i64::MIN, Vec::new());
        loop {
            let walked = self.all("walk the audit log", &sql, params![last, WALKED_AT_ONCE], read_row)?;
            if walked.is_empty() {
                return Ok(AuditChecked { rows, last: Digest::from_slice(&hash), broken: None });
            }
            for row in walked {
                if row.hash != row.digest(&hash) {
                    return Ok(AuditChecked { rows, last: Digest::from_slice(&hash), broken: Some(row.id) });
                }
                (rows, last, hash) = (rows + 1, row.id, row.hash);
            }
        }
    }

    /// Whether somebody has done this with a person since a moment.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn audited_since(
        &self,
        what: AuditKind,
        who: &str,
        about: DocId,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM audit WHERE about = ? AND what = ? AND who = ? AND at > ?)";
        let row = params![about.as_bytes(), what.word(), who, since.as_millis()];
        Ok(self.number("look into the audit log", sql, row)? > 0)
    }

    /// Whether something was counted in an hour that is over, and stands in no row yet.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn counted_is_due(&self, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM audit_counted WHERE since <= ?1 - ?2 OR since > ?1)";
        Ok(self.number("look what was counted", sql, params![now.as_millis(), HOUR_MS])? > 0)
    }
}

impl Tx<'_> {
    /// Writes a row into the audit log.
    ///
    /// # Errors
    /// When it can't be written: then the act is not done either.
    pub fn audit(&self, new: &NewAudit) -> Result<(), StoreError> {
        let sql = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1";
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let (last, before) = self.one("read the last audit row", sql, [], read)?.unwrap_or_default();
        let NewAudit { what, at, who, about, detail, number } = new.clone();
        let what = what.word().to_owned();
        let row = AuditRow { id: last + 1, at, who, what, about, detail, number, hash: Vec::new() };
        let hash = row.digest(&before);
        let sql = "INSERT INTO audit (id, at, who, what, about, detail, number, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let about = row.about.map(|id| *id.as_bytes());
        let values =
            params![row.id, row.at.as_millis(), row.who, row.what, about, row.detail, row.number, hash.as_slice()];
        self.run("write into the audit log", sql, values).map(drop)
    }

    /// Writes a row that others can cause as often as they like. Of one source at most 20 are written in an hour; the rest
    /// is counted, and stands in one row when the hour is over.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn audit_bounded(&self, source: &str, new: &NewAudit) -> Result<(), StoreError> {
        // What was counted an hour ago comes before what happens now.
        self.tell_counted(new.at)?;
        let sql = "SELECT written FROM audit_counted WHERE source = ? AND what = ?";
        let key = (source, new.what.word());
        let written: Option<u64> = self.one("count an attempt", sql, params![key.0, key.1], |row| row.get(0))?;
        match written {
            Some(written) if written >= ROWS_AN_HOUR => {
                let sql = "UPDATE audit_counted SET more = more + ? WHERE source = ? AND what = ?";
                let more = new.number.unwrap_or(1);
                return self.run("count an attempt", sql, params![more, key.0, key.1]).map(drop);
            }
            Some(_) => {
                let sql = "UPDATE audit_counted SET written = written + 1 WHERE source = ? AND what = ?";
                self.run("count an attempt", sql, params![key.0, key.1])?;
            }
            None => {
                let sql =
                    "INSERT INTO audit_counted (source, what, who, since, written, more) VALUES (?, ?, ?, ?, 1, 0)";
                let row = params![key.0, key.1, new.who, new.at.as_millis()];
                self.run("count an attempt", sql, row)?;
            }
        }
        self.audit(new)
    }

    /// Writes what was counted in hours that are over: a row for each source.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn tell_counted(&self, now: Timestamp) -> Result<(), StoreError> {
        if !self.counted_is_due(now)? {
            return Ok(());
        }
        let due = "since <= ?1 - ?2 OR since > ?1";
        let sql = format!("SELECT source, what, who, more FROM audit_counted WHERE {due} ORDER BY source, what");
        let over = self.all("read what was counted", &sql, params![now.as_millis(), HOUR_MS], |row| {
            let (source, what): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((source, what, row.get::<_, Option<String>>(2)?, row.get::<_, u64>(3)?))
        })?;
        for (source, what, who, more) in over {
            let sql = "DELETE FROM audit_counted WHERE source = ? AND what = ?";
            self.run("forget what was counted", sql, params![source, what])?;
            if let Some(what) = AuditKind::from_word(&what).filter(|_| more > 0) {
                let new = NewAudit::new(what, now).detail("more of the same, in one hour").number(more);
                self.audit(&NewAudit { who, ..new })?;
            }
        }
        Ok(())
    }

    /// What the other end of a link says of somebody.
    pub(crate) fn audit_said(
        &self,
        source: &Source<'_>,
        what: AuditKind,
        about: DocId,
        words: &str,
    ) -> Result<(), StoreError> {
        self.audit(&NewAudit::new(what, source.at).by_node(source.link.peer).about(about).detail(words))
    }

    /// What a child says of somebody comes to nothing, and it hears nothing of that: who guesses ids must not learn who is where.
    pub(crate) fn in_vain(&self, source: &Source<'_>, person: DocId, why: &str) -> Result<(), StoreError> {
        self.audit_refused(source.link, why, (1, Some(person)), source.at)
    }

    /// A peer tried what it may not, or sent what can't be read: how many times, and the first document that it named.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn audit_refused(
        &self,
        link: &LinkRow,
        why: &str,
        (times, about): (u64, Option<DocId>),
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let new = NewAudit::new(AuditKind::Refused, at).by_node(link.peer).detail(why).number(times);
        self.audit_bounded(&format!("link {}", link.id.0), &NewAudit { about, ..new })
    }
}
