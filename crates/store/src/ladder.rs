//! The ladder as columns of cards: who stands on a rung, whom somebody was last busy with first.
//!
//! Knows nothing of what a move needs.

use model::{DocId, RungId, TAG, Timestamp};
use rusqlite::{params, params_from_iter, types::Value};

use crate::home::ELSEWHERE;
use crate::people::{BESIDE, COLUMNS, PEOPLE, TAGGED, TAGGED_HERE, read_person};
use crate::{PersonRow, Read, RungCounts, StoreError};

/// The most who are counted as new on the lowest rung: a list that was imported this month is "many".
const NEW_MAX: i64 = 1_000;
/// Whom a login looks after, as any of her records says.
const IN_CARE: &str =
    "v.document IN (SELECT coalesce(m.shown_under, m.document) FROM supporter m WHERE m.looked_after_by = ?)";
/// Who has a word in the index: what is looked at before a tag itself, which is read out of the record.
const WORDED: &str = "v.document IN (SELECT rowid FROM fts WHERE fts MATCH ?)";

/// Whose cards.
#[derive(Clone, Debug)]
pub struct Column {
    /// On this rung.
    pub rung: RungId,
    /// Looked after by this login.
    pub mine: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
}

/// A card, and where a page that ends with it goes on.
#[derive(Clone, Debug)]
pub struct Card {
    /// The person.
    pub person: PersonRow,
    /// When somebody last talked with or moved her.
    pub tended: Option<Timestamp>,
}

impl Column {
    /// What else is asked of a card, with its values; none: nobody can fit.
    fn filters(&self) -> Option<(String, Vec<Value>)> {
        let (mut sql, mut values) = (String::new(), Vec::<Value>::new());
        if let Some(login) = &self.mine {
            sql.push_str(&format!(" AND {IN_CARE}"));
            values.push(login.clone().into());
        }
        if let Some(tag) = &self.tag {
            sql.push_str(&format!(" AND (({WORDED} AND {TAGGED}) OR v.document IN ({TAGGED_HERE}))"));
            let given = [crate::words::exactly(tag)?, tag.clone(), tag.clone(), format!("{TAG}{tag}")];
            values.extend(given.map(Value::from));
        }
        Some((sql, values))
    }
}

impl Read<'_> {
    /// A page of a column: whom somebody talked with or moved last first, then those with whom nobody did, the newest
    /// first. Whom another chapter moves stands in none.
    ///
    /// # Errors
    /// When rows can't be read, or `after` names nobody.
    pub fn column(
        &self,
        column: &Column,
        after: Option<(Option<Timestamp>, DocId)>,
        limit: usize,
    ) -> Result<Vec<Card>, StoreError> {
        let Some(after) = after else { return self.cards(column, Some((i64::MAX, i64::MAX)), i64::MAX, limit) };
        let row = self.document_row(after.1)?.ok_or_else(|| StoreError::NotFound(after.1.to_string()))?;
        match after.0 {
            Some(tended) => self.cards(column, Some((tended.as_millis(), row)), i64::MAX, limit),
            None => self.cards(column, None, row, limit),
        }
    }

    /// Those who were tended after a place in their order, if any are wanted, and then others below a row.
    fn cards(
        &self,
        column: &Column,
        tended: Option<(i64, i64)>,
        below: i64,
        limit: usize,
    ) -> Result<Vec<Card>, StoreError> {
        let Some((filters, given)) = column.filters() else { return Ok(Vec::new()) };
        let rung = || Value::from(column.rung.as_str().to_owned());
        let mut rows: Vec<(i64, Option<i64>)> = Vec::new();
        if let Some((at, row)) = tended {
            let sql = format!(
                "SELECT v.document, v.tended FROM supporter v INDEXED BY supporter_tended
                 WHERE v.rung = ? AND v.tended IS NOT NULL AND (v.tended, v.document) < (?, ?) AND v.listed = 1
                   AND v.home IS NOT ?{filters} ORDER BY v.tended DESC, v.document DESC LIMIT ?"
            );
            let mut values = vec![rung(), at.into(), row.into(), ELSEWHERE.into()];
            values.extend(given.iter().cloned());
            values.push(many(limit));
            rows = self.all("read a column", &sql, params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        }
        if rows.len() < limit {
            let sql = format!(
                "SELECT v.document, v.tended FROM supporter v INDEXED BY supporter_home
                 WHERE v.home IS ? AND v.rung = ? AND v.document < ? AND v.tended IS NULL AND v.listed = 1{filters}
                 ORDER BY v.document DESC LIMIT ?"
            );
            let mut others: Vec<(i64, Option<i64>)> = Vec::new();
            for home in self.homes_here()? {
                let mut values = vec![home.map_or(Value::Null, Value::from), rung(), below.into()];
                values.extend(given.iter().cloned());
                values.push(many(limit - rows.len()));
                let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
                others.extend(self.all("read a column", &sql, params_from_iter(values), read)?);
            }
            others.sort_by_key(|(document, _)| std::cmp::Reverse(*document));
            others.truncate(limit - rows.len());
            rows.extend(others);
        }
        rows.into_iter().map(|(document, tended)| self.ladder_card(document, tended)).collect()
    }

    fn ladder_card(&self, document: i64, tended: Option<i64>) -> Result<Card, StoreError> {
        let sql = format!("{COLUMNS} {PEOPLE} {BESIDE} WHERE v.document = ?");
        let mut people = self.shown(self.all("read a card", &sql, params![document], read_person)?)?;
        let person = people.pop().ok_or(StoreError::Corrupt("supporter"))?;
        Ok(Card { person, tended: tended.map(Timestamp::from_millis) })
    }

    /// Where people are who are moved here: this chapter, or no chapter.
    fn homes_here(&self) -> Result<Vec<Option<i64>>, StoreError> {
        let own = self.own_scope()?.map(|own| self.known_scope(own)).transpose()?;
        Ok(own.map(|own| own.id).into_iter().map(Some).chain([None]).collect())
    }

    /// How many of whom a login looks after stand on each rung.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn rungs_of_login(&self, login: &str) -> Result<RungCounts, StoreError> {
        let sql = format!(
            "SELECT v.rung, count(*) FROM supporter v WHERE {IN_CARE} AND v.listed = 1 AND +v.home IS NOT {ELSEWHERE}
             GROUP BY +v.rung"
        );
        self.all("count whom she looks after", &sql, params![login], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// How many came up to each rung since a moment and still stand there; on the lowest, how many are new.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn arrivals(&self, since: Timestamp, lowest: &RungId) -> Result<RungCounts, StoreError> {
        let sql = "SELECT rung, count(*) FROM supporter INDEXED BY supporter_arrived
                   WHERE arrived >= ? AND home IS NOT ? GROUP BY rung";
        let row = params![since.as_millis(), ELSEWHERE];
        let mut counts: RungCounts = self.all("count who came up", sql, row, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sql = "SELECT count(*) FROM (SELECT 1 FROM document d JOIN supporter v ON v.document = d.id
                   WHERE d.doc_id >= ? AND v.rung = ? AND +v.home IS NOT ? AND v.listed = 1 LIMIT ?)";
        let first = DocId::from_parts(since, [0; 10]);
        let row = params![first.as_bytes(), lowest.as_str(), ELSEWHERE, NEW_MAX];
        let new = self.number("count who is new", sql, row)?;
        counts.retain(|(rung, _)| rung != lowest.as_str());
        counts.push((lowest.as_str().to_owned(), new));
        Ok(counts)
    }
}

fn many(limit: usize) -> Value {
    Value::from(i64::try_from(limit).unwrap_or(i64::MAX))
}
