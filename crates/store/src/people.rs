//! Finding people: by id, by words, by rung; in pages by key.
//!
//! **Invariant:** joined records are one person in every list, and for any of their ids; one record by itself has to be
//! asked for as such.

use model::{Channel, Date, DocId, EventId, Ladder, RungId, ScopeId, Supporter, TAG, Timestamp, as_one};
use rusqlite::{Row, params, params_from_iter, types::Value};

use crate::document::DocState;
use crate::home::ELSEWHERE;
use crate::membership::STAYED;
use crate::rows::ID_DIGITS_MIN;
use crate::same::WAITS;
use crate::view::{CLOSED_BIT, contact_bit};
use crate::{Read, StoreError};

/// The most people in one page.
const PAGE_MAX: usize = 500;

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
    /// Whom nobody has tried to reach, and who is in no chapter that left: nobody here calls those.
    pub untried: bool,
    /// With a conflict, and in no chapter that left.
    pub conflicts: bool,
    /// Whom nobody has talked with since this moment, or ever.
    pub not_spoken_since: Option<Timestamp>,
    /// Who agreed to this channel with somebody, and may be contacted.
    pub consents: Option<Channel>,
    /// Whom nobody may contact.
    pub do_not_contact: bool,
    /// What there is to do about her.
    pub to_do: Option<ToDoList>,
}

/// A filter in SQL.
pub(crate) struct Which {
    /// From where: `supporter v`, behind the index of words where that is read in the order of the list.
    pub(crate) from: &'static str,
    /// What numbers the rows of the list.
    key: &'static str,
    pub(crate) condition: String,
    pub(crate) values: Vec<Value>,
}

/// A list of what there is to do, each in its own order; in no chapter that left, of whom nobody here calls anybody.
#[derive(Clone, Debug)]
pub enum ToDoList {
    /// Whom nobody has tried to reach: those who said that they would act, then those who have waited longest.
    New,
    /// Who is to be contacted on this day or was before it, the longest overdue first.
    DueBy(Date),
    /// Who is to be contacted between these two days, both included, the first one first.
    DueBetween(Date, Date),
    /// With whom something is planned on a day from the first to the second, whatever else is due; the earliest first.
    Planned(Date, Date),
    /// Who stands on one of these rungs and was last talked with before this moment, the longest ago first.
    Quiet(Vec<RungId>, Timestamp),
    /// Who has kept an ask where she stands, is asked nothing, and stands below this rung.
    Ready(RungId),
}

impl ToDoList {
    /// The condition and the order, with what stands for each `?`.
    fn sql(&self) -> (String, &'static str, Vec<Value>) {
        let text = |text: &str| Value::from(text.to_owned());
        match self {
            Self::New => ("v.new IS NOT NULL".to_owned(), "v.new DESC, v.document", Vec::new()),
            Self::DueBy(day) => ("v.due <= ?".to_owned(), "v.due, v.document", vec![text(&day.to_string())]),
            Self::DueBetween(first, last) => {
                let values = vec![text(&first.to_string()), text(&last.to_string())];
                ("v.due >= ? AND v.due <= ?".to_owned(), "v.due, v.document", values)
            }
            Self::Planned(first, last) => {
                let values = vec![text(&first.to_string()), text(&last.to_string())];
                ("v.planned >= ? AND v.planned <= ?".to_owned(), "v.planned, v.document", values)
            }
            Self::Quiet(rungs, before) => {
                let marks = vec!["?"; rungs.len()].join(", ");
                let mut values: Vec<Value> = rungs.iter().map(|rung| text(rung.as_str())).collect();
                values.push(before.as_millis().into());
                (format!("v.rung IN ({marks}) AND v.tended < ?"), "v.tended, v.document", values)
            }
            Self::Ready(top) => {
                ("v.ready IS NOT NULL AND v.rung != ?".to_owned(), "v.document", vec![text(top.as_str())])
            }
        }
    }
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
    /// What her record says, or her records together.
    pub supporter: Supporter,
    /// Her chapter; `None` when she waits.
    pub chapter: Option<ScopeId>,
    /// Its slug, where it is known.
    pub slug: Option<String>,
    /// Its name.
    pub chapter_name: Option<String>,
    /// The slugs of all chapters that have a record of hers; of one that left, of her home only.
    pub chapters: Vec<String>,
    /// Whether she is served here while her home is a chapter elsewhere, which alone moves her up the ladder.
    pub elsewhere: bool,
    /// When her chapter left the network: what is shown is a copy of then, in no total.
    pub left: Option<Timestamp>,
    /// Why she waits.
    pub waiting: Option<String>,
    /// What may be done with the record; of several, with the one whose id is shown.
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

pub(crate) const COLUMNS: &str = "SELECT v.view, s.scope, c.slug, c.name, v.waiting, d.state, v.shown_under, v.home,
  (SELECT group_concat(g.slug, ' ') FROM assign a JOIN chapter g ON g.scope = a.scope
   WHERE a.document = v.document AND a.guest = 1 AND a.state = 'held' AND g.left_at IS NULL), c.left_at";
/// Beside `supporter v`, what [`COLUMNS`] reads.
pub(crate) const BESIDE: &str = "JOIN document d ON d.id = v.document LEFT JOIN scope s ON s.id = v.home
  LEFT JOIN chapter c ON c.scope = v.home";
/// Everybody.
pub(crate) const PEOPLE: &str = "FROM supporter v";
/// Everybody, for one organiser's people alone: they are read by their row numbers.
const BY_ROW: &str = "FROM supporter v NOT INDEXED";
/// Whom words find, the newest first: the index is read in that order, and no further than to the end of a page. As a list
/// behind `IN` the whole of it would be read first: of 100,000 people 9.9 ms instead of 0.3 for `ma`, which 20,000 have.
const FOUND: &str = "FROM fts f CROSS JOIN supporter v ON v.document = f.rowid";

/// With a tag, in any of her records.
pub(crate) const TAGGED: &str = "(EXISTS (SELECT 1 FROM json_each(v.view, '$.tags') WHERE value = ?)
  OR (v.shown_under IS NOT NULL AND EXISTS (SELECT 1 FROM supporter m, json_each(m.view, '$.tags') t
                                            WHERE m.shown_under = v.document AND t.value = ?)))";
/// With a private tag of this chapter, in any of her records. That it is a tag is said as the index says it.
pub(crate) const TAGGED_HERE: &str = "SELECT coalesce(m.shown_under, m.document) FROM private_field p
  JOIN supporter m ON m.document = p.document WHERE p.name = ? AND p.name >= 'tag/' AND p.name < 'tag0'";
/// Looked after by a login, as any of her records says. An organiser has fewer people than any list of what there is to do.
const LOOKED_AFTER: &str = "v.document IN
  (SELECT m.document FROM supporter m INDEXED BY supporter_care WHERE m.looked_after_by = ? UNION ALL
   SELECT m.shown_under FROM supporter m INDEXED BY supporter_care WHERE m.looked_after_by = ? AND m.shown_under IS NOT NULL)";
/// With a record in a chapter: her row, or one that is shown under a row elsewhere.
const IN_CHAPTER: &str = "(v.home = ? OR v.document IN
  (SELECT m.shown_under FROM supporter m INDEXED BY supporter_under WHERE m.home = ? AND m.shown_under IS NOT NULL))";
/// What she agreed to stands in an index: it alone is read.
const CONTACT: &str = "v.document IN (SELECT document FROM supporter INDEXED BY supporter_home WHERE contact & ? != 0)";
/// Whether a chapter has a record that is shown under a row elsewhere: asked first, so that lists stay as fast without.
pub(crate) const SHOWN_ELSEWHERE: &str = "SELECT EXISTS (SELECT 1 FROM supporter m INDEXED BY supporter_under
  JOIN supporter p ON p.document = m.shown_under WHERE m.shown_under IS NOT NULL AND m.home = ? AND p.home IS NOT m.home)";

/// A record, and under whose row her set of records is shown.
pub(crate) type Found = (PersonRow, Option<i64>);

pub(crate) fn read_person(row: &Row<'_>) -> rusqlite::Result<Found> {
    let json = row.get_ref(0)?.as_str()?;
    let supporter = serde_json::from_str(json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))?;
    let slug: Option<String> = row.get(2)?;
    let guest: String = row.get::<_, Option<String>>(8)?.unwrap_or_default();
    let left = row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis);
    let state = DocState::from_word(row.get_ref(5)?.as_str()?);
    let person = PersonRow {
        supporter,
        chapter: row.get::<_, Option<[u8; 16]>>(1)?.map(ScopeId::from_bytes),
        chapters: slug.iter().map(String::as_str).chain(guest.split_whitespace()).map(str::to_owned).collect(),
        elsewhere: row.get::<_, Option<i64>>(7)? == Some(ELSEWHERE),
        slug,
        chapter_name: row.get(3)?,
        waiting: row.get(4)?,
        left,
        state: if left.is_some() && state == DocState::Live { DocState::ReadOnly } else { state },
    };
    Ok((person, row.get(6)?))
}

/// Joined records as one person: in the first chapter that serves her, if any does.
fn one_person(records: Vec<PersonRow>, ladder: &Ladder) -> Option<PersonRow> {
    let supporter = as_one(records.iter().map(|record| &record.supporter), ladder)?;
    let state = records.first()?.state;
    let mut chapters: Vec<String> = Vec::new();
    for slug in records.iter().flat_map(|record| &record.chapters) {
        if !chapters.contains(slug) {
            chapters.push(slug.clone());
        }
    }
    let at = records.iter().position(|record| record.chapter.is_some()).unwrap_or(0);
    let place = records.into_iter().nth(at)?;
    Some(PersonRow { supporter, chapters, state, ..place })
}

impl Read<'_> {
    /// A page of people, the newest arrivals first, or in the order of what there is to do.
    ///
    /// # Errors
    /// When rows can't be read, or `after` names nobody.
    pub fn people(&self, filter: &Filter, page: Page) -> Result<Vec<PersonRow>, StoreError> {
        let Some(which) = self.which(filter)? else { return Ok(Vec::new()) };
        let Which { from, key, mut condition, mut values } = which;
        if let Some(after) = page.after {
            let row = self.document_row(after)?.ok_or_else(|| StoreError::NotFound(after.to_string()))?;
            condition.push_str(&format!(" AND {key} < ?"));
            values.push(row.into());
        }
        values.push(Value::from(page.limit.clamp(1, PAGE_MAX) as i64));
        let sql = match &filter.to_do {
            // Who comes first is found in an index alone: nobody else's row is read.
            Some(list) => {
                let order = list.sql().1;
                let first = format!("SELECT v.document {from} WHERE {condition} ORDER BY {order} LIMIT ?");
                format!("{COLUMNS} {PEOPLE} {BESIDE} WHERE v.document IN ({first}) ORDER BY {order}")
            }
            None => format!("{COLUMNS} {from} {BESIDE} WHERE {condition} ORDER BY {key} DESC LIMIT ?"),
        };
        self.shown(self.all("list people", &sql, params_from_iter(values), read_person)?)
    }

    /// A filter in SQL; none: it finds nobody.
    pub(crate) fn which(&self, filter: &Filter) -> Result<Option<Which>, StoreError> {
        // Only who is listed has something to do: those lists are read from their indexes alone.
        let listed = filter.to_do.is_none().then(|| "v.listed = 1".to_owned());
        let mut conditions: Vec<String> = listed.into_iter().collect();
        let mut values: Vec<Value> = Vec::new();
        let mut add = |condition: &str, given: &[Value]| {
            conditions.push(condition.to_owned());
            values.extend_from_slice(given);
        };
        let text = |text: &str| Value::from(text.to_owned());
        let mut words: Vec<String> = Vec::new();
        if let Some(query) = &filter.query {
            match crate::words::query(query) {
                Some(found) => words.push(found),
                None => return Ok(None),
            }
        }
        // A tag is among the words by which she is found: only those who have them are looked at.
        let tagged = filter.tag.as_ref().and_then(|tag| Some((tag, crate::words::exactly(tag)?)));
        if let Some((tag, exactly)) = tagged {
            let name = Value::from(format!("{TAG}{tag}"));
            let look =
                "SELECT EXISTS (SELECT 1 FROM private_field WHERE name = ? AND name >= 'tag/' AND name < 'tag0')";
            if self.number("look for a private tag", look, params![name])? > 0 {
                let either = format!(
                    "v.document IN (SELECT rowid FROM fts WHERE fts MATCH ? UNION {TAGGED_HERE})
                     AND ({TAGGED} OR v.document IN ({TAGGED_HERE}))"
                );
                add(&either, &[exactly.into(), name.clone(), text(tag), text(tag), name]);
            } else {
                words.push(exactly);
                add(TAGGED, &[text(tag), text(tag)]);
            }
        } else if filter.tag.is_some() {
            return Ok(None);
        }
        let streamed = !words.is_empty() && filter.to_do.is_none();
        if !words.is_empty() {
            let found = words.join(" ");
            let listed = "v.document IN (SELECT rowid FROM fts WHERE fts MATCH ?)";
            add(if streamed { "f.fts MATCH ?" } else { listed }, &[found.into()]);
        }
        if let Some(rung) = &filter.rung {
            add("v.rung = ?", &[text(rung.as_str())]);
        }
        if let Some(login) = &filter.mine {
            add(LOOKED_AFTER, &[text(login), text(login)]);
        }
        if let Some(chapter) = filter.chapter {
            let home = self.known_scope(chapter)?.id;
            if self.number("look for records elsewhere", SHOWN_ELSEWHERE, params![home])? > 0 {
                add(IN_CHAPTER, &[home.into(), home.into()]);
            } else {
                add("v.home = ?", &[home.into()]);
            }
        }
        if let Some(reason) = filter.waits_for {
            add("v.home IS NULL AND v.waiting = ?", &[text(reason)]);
        }
        if let Some(since) = filter.not_spoken_since {
            add("(v.spoken IS NULL OR v.spoken < ?)", &[since.as_millis().into()]);
        }
        let mask = filter.consents.map(contact_bit).into_iter().chain(filter.do_not_contact.then_some(CLOSED_BIT));
        mask.for_each(|bit| add(CONTACT, &[bit.into()]));
        if let Some(list) = &filter.to_do {
            let (condition, _, given) = list.sql();
            add(&format!("{condition} AND {STAYED}"), &given);
        }
        let plain = [
            (filter.waiting == Some(true), WAITS.to_owned()),
            (filter.waiting == Some(false), format!("NOT ({WAITS})")),
            (filter.untried, format!("v.tried = 0 AND {STAYED}")),
            (filter.conflicts, format!("v.conflicts > 0 AND {STAYED}")),
        ];
        conditions.extend(plain.into_iter().filter(|(wanted, _)| *wanted).map(|(_, sql)| sql));
        let (from, key) = match (streamed, &filter.mine) {
            (true, _) => (FOUND, "f.rowid"),
            (false, Some(_)) => (BY_ROW, "v.document"),
            (false, None) => (PEOPLE, "v.document"),
        };
        Ok(Some(Which { from, key, condition: conditions.join(" AND "), values }))
    }

    /// The people whom rows show: joined records together.
    pub(crate) fn shown(&self, found: Vec<Found>) -> Result<Vec<PersonRow>, StoreError> {
        if found.iter().all(|(_, under)| under.is_none()) {
            return Ok(found.into_iter().map(|(person, _)| person).collect());
        }
        let ladder = self.settings()?.ladder;
        let show = |(person, under): Found| {
            let Some(under) = under else { return Ok(person) };
            one_person(self.records_under(under)?, &ladder).ok_or(StoreError::Corrupt("supporter"))
        };
        found.into_iter().map(show).collect()
    }

    /// One person, by the id of any of her records.
    ///
    /// # Errors
    /// When there is nobody with this id (any more).
    pub fn person(&self, document: DocId) -> Result<PersonRow, StoreError> {
        let shown = self.shown(vec![self.found(document)?])?.pop();
        shown.ok_or_else(|| StoreError::NotFound(document.to_string()))
    }

    /// One record by itself, whatever it is joined with.
    ///
    /// # Errors
    /// When it is not here (any more).
    pub fn record(&self, document: DocId) -> Result<PersonRow, StoreError> {
        Ok(self.found(document)?.0)
    }

    /// Every record of the person who has this one, each by itself, the smallest id first.
    ///
    /// # Errors
    /// When it is not here (any more).
    pub fn records(&self, document: DocId) -> Result<Vec<PersonRow>, StoreError> {
        let (person, under) = self.found(document)?;
        under.map_or_else(|| Ok(vec![person]), |under| self.records_under(under))
    }

    /// What the other records of a person say, each by itself; nothing for almost everybody.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn joined_with(&self, document: DocId) -> Result<Vec<Supporter>, StoreError> {
        let sql = "SELECT m.view FROM document d JOIN supporter v ON v.document = d.id
                   JOIN supporter m ON m.shown_under = v.shown_under AND m.document != v.document
                   JOIN document o ON o.id = m.document WHERE d.doc_id = ? ORDER BY o.doc_id";
        let views = self.all("read other records", sql, params![document.as_bytes()], |row| row.get::<_, String>(0))?;
        let read = |json: String| serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("supporter"));
        views.into_iter().map(read).collect()
    }

    fn found(&self, document: DocId) -> Result<Found, StoreError> {
        let sql = format!("{COLUMNS} {PEOPLE} {BESIDE} WHERE d.doc_id = ?");
        let found = self.one("read a person", &sql, params![document.as_bytes()], read_person)?;
        found.ok_or_else(|| StoreError::NotFound(document.to_string()))
    }

    fn records_under(&self, under: i64) -> Result<Vec<PersonRow>, StoreError> {
        let sql = format!("{COLUMNS} {PEOPLE} {BESIDE} WHERE v.shown_under = ? ORDER BY d.doc_id");
        let found = self.all("read a set", &sql, params![under], read_person)?;
        Ok(found.into_iter().map(|(record, _)| record).collect())
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
        // Of a record that was made anew the old one, which has the same events, is hidden until it is gone.
        let columns = "SELECT d.doc_id, e.event_id FROM event e JOIN document d ON d.id = e.document
                       JOIN supporter v ON v.document = e.document
                       WHERE d.state != 'erased' AND v.hidden = 0 AND";
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
