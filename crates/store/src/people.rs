//! Finding people: by id, by words, by rung; in pages by key.

use model::{DocId, EventId, RungId, ScopeId, Supporter};
use rusqlite::{Row, params, params_from_iter, types::Value};

use crate::document::DocState;
use crate::{Read, StoreError};

/// The most people in one page.
const PAGE_MAX: usize = 500;
/// The fewest digits of an id that are looked for: fewer fit too many.
const ID_DIGITS_MIN: usize = 4;

/// Which people.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Words, each the beginning of a word of name, e-mail, number, tag or place.
    pub query: Option<String>,
    /// On this rung.
    pub rung: Option<RungId>,
    /// With this tag.
    pub tag: Option<String>,
    /// Looked after by this login.
    pub mine: Option<String>,
    /// In this chapter.
    pub chapter: Option<ScopeId>,
    /// Who wait, or who do not.
    pub waiting: Option<bool>,
    /// Who wait for this reason.
    pub waits_for: Option<&'static str>,
    /// Whom nobody has tried to reach.
    pub untried: bool,
    /// With a conflict.
    pub conflicts: bool,
}

/// Which page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The most people.
    pub limit: usize,
    /// After this one.
    pub after: Option<DocId>,
}

/// A person as listed.
#[derive(Clone, Debug)]
pub struct PersonRow {
    /// What her record says.
    pub supporter: Supporter,
    /// Her chapter; `None` when she waits.
    pub chapter: Option<ScopeId>,
    /// Its slug, where it is known.
    pub slug: Option<String>,
    /// Its name.
    pub chapter_name: Option<String>,
    /// Why she waits.
    pub waiting: Option<String>,
    /// What may be done with the record.
    pub state: DocState,
}

/// What an id named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The person.
    pub document: DocId,
    /// The event, if it was an event's id.
    pub event: Option<EventId>,
}

const COLUMNS: &str = "SELECT v.view, s.scope, c.slug, c.name, v.waiting, d.state FROM supporter v
  JOIN document d ON d.id = v.document LEFT JOIN scope s ON s.id = v.home LEFT JOIN chapter c ON c.scope = v.home";

fn read_person(row: &Row<'_>) -> rusqlite::Result<PersonRow> {
    let json = row.get_ref(0)?.as_str()?;
    let supporter = serde_json::from_str(json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(PersonRow {
        supporter,
        chapter: row.get::<_, Option<[u8; 16]>>(1)?.map(ScopeId::from_bytes),
        slug: row.get(2)?,
        chapter_name: row.get(3)?,
        waiting: row.get(4)?,
        state: DocState::from_word(row.get_ref(5)?.as_str()?),
    })
}

impl Read<'_> {
    /// A page of people, the newest arrivals first.
    ///
    /// # Errors
    /// When rows can't be read, or `after` names nobody.
    pub fn people(&self, filter: &Filter, page: Page) -> Result<Vec<PersonRow>, StoreError> {
        let mut conditions = vec!["v.hidden = 0".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut add = |condition: &str, value: Value| {
            conditions.push(condition.to_owned());
            values.push(value);
        };
        if let Some(query) = &filter.query {
            match crate::words::query(query) {
                Some(words) => add("v.document IN (SELECT rowid FROM fts WHERE fts MATCH ?)", words.into()),
                None => return Ok(Vec::new()),
            }
        }
        if let Some(rung) = &filter.rung {
            add("v.rung = ?", rung.as_str().to_owned().into());
        }
        if let Some(tag) = &filter.tag {
            add("EXISTS (SELECT 1 FROM json_each(v.view, '$.tags') WHERE value = ?)", tag.clone().into());
        }
        if let Some(login) = &filter.mine {
            add("v.looked_after_by = ?", login.clone().into());
        }
        if let Some(chapter) = filter.chapter {
            add("v.home = ?", self.known_scope(chapter)?.id.into());
        }
        if let Some(reason) = filter.waits_for {
            add("v.home IS NULL AND v.waiting = ?", reason.to_owned().into());
        }
        if let Some(after) = page.after {
            let row = self.document_row(after)?.ok_or_else(|| StoreError::NotFound(after.to_string()))?;
            add("v.document < ?", row.into());
        }
        let plain = [
            (filter.waiting == Some(true), "v.home IS NULL"),
            (filter.waiting == Some(false), "v.home IS NOT NULL"),
            (filter.untried, "v.tried = 0"),
            (filter.conflicts, "v.conflicts > 0"),
        ];
        conditions.extend(plain.into_iter().filter(|(wanted, _)| *wanted).map(|(_, sql)| sql.to_owned()));
        values.push(Value::from(page.limit.clamp(1, PAGE_MAX) as i64));
        let sql = format!("{COLUMNS} WHERE {} ORDER BY v.document DESC LIMIT ?", conditions.join(" AND "));
        self.all("list people", &sql, params_from_iter(values), read_person)
    }

    /// One person.
    ///
    /// # Errors
    /// When there is nobody with this id (any more).
    pub fn person(&self, document: DocId) -> Result<PersonRow, StoreError> {
        let sql = format!("{COLUMNS} WHERE d.doc_id = ?");
        let found = self.one("read a person", &sql, params![document.as_bytes()], read_person)?;
        found.ok_or_else(|| StoreError::NotFound(document.to_string()))
    }

    /// The person, or the person and event, that a full id or a unique beginning or end of one names.
    ///
    /// # Errors
    /// When nobody has it, or more than one.
    pub fn resolve(&self, text: &str) -> Result<Resolved, StoreError> {
        let digits: String = text.trim().to_ascii_lowercase().chars().filter(|c| *c != '-').collect();
        let hex = (ID_DIGITS_MIN..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex {
            return Err(StoreError::NotFound(text.trim().chars().take(64).collect()));
        }
        let mut found = self.people_by_digits(&digits)?;
        if found.is_empty() {
            found = self.events_by_digits(&digits)?;
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(StoreError::NotFound(text.trim().to_owned())),
            [..] => Err(StoreError::Ambiguous(text.trim().to_owned())),
        }
    }

    fn people_by_digits(&self, digits: &str) -> Result<Vec<Resolved>, StoreError> {
        let (low, high) = (padded(digits, '0'), padded(digits, 'f'));
        let read = |row: &Row<'_>| Ok(Resolved { document: DocId::from_bytes(row.get(0)?), event: None });
        let sql = "SELECT doc_id FROM document WHERE doc_id BETWEEN unhex(?) AND unhex(?)
                   AND kind = 'supporter' AND state != 'erased' LIMIT 2";
        let mut found = self.all("find a person", sql, params![low, high], read)?;
        if found.is_empty() {
            // An end of an id has no index (it would cost every insert a random page): this reads one column of all.
            let sql = "SELECT doc_id FROM document WHERE lower(hex(doc_id)) LIKE '%' || ?
                       AND kind = 'supporter' AND state != 'erased' LIMIT 2";
            found = self.all("find a person", sql, params![digits], read)?;
        }
        Ok(found)
    }

    fn events_by_digits(&self, digits: &str) -> Result<Vec<Resolved>, StoreError> {
        let read = |row: &Row<'_>| {
            Ok(Resolved { document: DocId::from_bytes(row.get(0)?), event: Some(EventId::from_bytes(row.get(1)?)) })
        };
        let columns = "SELECT d.doc_id, e.event_id FROM event e JOIN document d ON d.id = e.document
                       WHERE d.state != 'erased' AND";
        let (low, high) = (padded(digits, '0'), padded(digits, 'f'));
        let sql = format!("{columns} e.event_id BETWEEN unhex(?) AND unhex(?) LIMIT 2");
        let found = self.all("find an event", &sql, params![low, high], read)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let sql = format!("{columns} lower(hex(e.event_id)) LIKE '%' || ? LIMIT 2");
        self.all("find an event", &sql, params![digits], read)
    }
}

fn padded(digits: &str, with: char) -> String {
    format!("{digits}{}", with.to_string().repeat(32 - digits.len()))
}
