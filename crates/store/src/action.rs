//! Actions, and who was asked to them, said yes and came.
//!
//! **Invariants:** both tables are views: an action's row is made from its document, somebody's part in actions from the
//! events of her record, in the transaction that writes that. Joined records count as one person. An action's chapter is
//! looked up by its assignment, and stands nowhere else.

use std::collections::BTreeMap;

use model::{Action, Date, DocId, Part, Supporter};
use rusqlite::{Row, params, params_from_iter, types::Value};

use crate::rows::one_named;
use crate::{PersonRow, Read, StoreError, Tx};

/// The most actions to come in one list: nobody plans more, and what is further off follows when its day is nearer.
const UPCOMING_MAX: usize = 200;

const COLUMNS: &str = "SELECT v.view, (SELECT c.slug FROM assign a JOIN chapter c ON c.scope = a.scope
    WHERE a.document = v.document AND a.state = 'held' AND a.guest = 0 LIMIT 1) FROM action v";
/// Records that are joined, with whose row shows each, and whether that is in lists. Few: looked up once a question.
const JOINED: &str =
    "WITH joined AS MATERIALIZED (SELECT m.document AS document, m.shown_under AS under, f.listed AS listed
    FROM supporter m JOIN supporter f ON f.document = m.shown_under WHERE m.shown_under IS NOT NULL)";
/// Parts of people who are in lists, with the document under which each is shown.
const PARTS: &str = "part p LEFT JOIN joined j ON j.document = p.document
    JOIN document d ON d.id = coalesce(j.under, p.document)
    WHERE coalesce(j.listed, 1) = 1 AND p.document NOT IN (SELECT document FROM supporter WHERE hidden = 1)";

/// How many people had which part in an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnout {
    /// Were asked.
    pub asked: u64,
    /// Of them, said yes.
    pub said_yes: u64,
    /// Came.
    pub came: u64,
    /// Of those, without having been asked.
    pub came_unasked: u64,
}

/// An action as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// What its document says.
    pub action: Action,
    /// The slug of its chapter, where it is known.
    pub chapter: Option<String>,
    /// Who came.
    pub turnout: Turnout,
}

/// An action, and the slug of its chapter.
pub(crate) type Found = (Action, Option<String>);

fn read_action(row: &Row<'_>) -> rusqlite::Result<Found> {
    let json = row.get_ref(0)?.as_str()?;
    let action = serde_json::from_str(json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok((action, row.get(1)?))
}

impl Read<'_> {
    /// Actions: those to come, the next one first, and then so many of the past ones, the last one first; or, after one of the past
    /// ones, so many before it.
    ///
    /// # Errors
    /// When rows can't be read, or the action named is not here.
    pub fn actions(&self, today: Date, before: Option<DocId>, limit: usize) -> Result<Vec<ActionRow>, StoreError> {
        self.with_turnout(self.found_actions(today, before, limit)?)
    }

    /// The same, and nobody is counted.
    pub(crate) fn found_actions(
        &self,
        today: Date,
        before: Option<DocId>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        let (day, row, mut found) = match before {
            Some(before) => {
                let sql =
                    "SELECT v.on_day, v.document FROM action v JOIN document d ON d.id = v.document WHERE d.doc_id = ?";
                let place = self.one("find an action", sql, params![before.as_bytes()], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
                })?;
                let (day, row) = place.ok_or_else(|| StoreError::Unknown("action", before.to_string()))?;
                (day, row, Vec::new())
            }
            None => {
                let day = today.to_string();
                let sql = format!("{COLUMNS} WHERE v.on_day >= ? ORDER BY v.on_day, v.document LIMIT ?");
                let upcoming = self.all("list actions", &sql, params![day, UPCOMING_MAX as i64], read_action)?;
                // No document has this number: what is on this day is still to come.
                (day, 0, upcoming)
            }
        };
        let sql =
            format!("{COLUMNS} WHERE (v.on_day, v.document) < (?, ?) ORDER BY v.on_day DESC, v.document DESC LIMIT ?");
        found.extend(self.all("list actions", &sql, params![day, row, limit as i64], read_action)?);
        Ok(found)
    }

    /// One action.
    ///
    /// # Errors
    /// When it is not here.
    pub fn action(&self, id: DocId) -> Result<ActionRow, StoreError> {
        let sql = format!("{COLUMNS} JOIN document d ON d.id = v.document WHERE d.doc_id = ?");
        let found = self.all("read an action", &sql, params![id.as_bytes()], read_action)?;
        let row = self.with_turnout(found)?.pop();
        row.ok_or_else(|| StoreError::Unknown("action", id.to_string()))
    }

    /// The action that a full id, or a unique beginning or end of one, names.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn action_named(&self, text: &str) -> Result<DocId, StoreError> {
        let sql = "SELECT d.doc_id FROM action v JOIN document d ON d.id = v.document";
        let ids = self.all("find an action", sql, [], |row| row.get(0))?;
        let ids: Vec<DocId> = ids.into_iter().map(DocId::from_bytes).collect();
        one_named(text.get(..64).unwrap_or(text), "action", ids, DocId::to_string)
    }

    /// What these are called, as far as they are here.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn action_names(
        &self,
        actions: impl IntoIterator<Item = DocId>,
    ) -> Result<BTreeMap<DocId, String>, StoreError> {
        let sql = "SELECT v.view ->> '$.name' FROM action v JOIN document d ON d.id = v.document WHERE d.doc_id = ?";
        let mut names = BTreeMap::new();
        for action in actions {
            let name = self.one("read an action's name", sql, params![action.as_bytes()], |row| row.get(0))?;
            names.extend(name.map(|name| (action, name)));
        }
        Ok(names)
    }

    /// Who had a part in an action, at most `limit` people: first who came, then who said yes.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn parts_in(&self, action: DocId, limit: usize) -> Result<Vec<(PersonRow, Part)>, StoreError> {
        let sql = format!(
            "{JOINED} SELECT d.doc_id, max(p.asked), max(p.said_yes), max(p.came) FROM {PARTS} AND p.action = ?1
             GROUP BY d.id ORDER BY 4 DESC, 3 DESC, d.doc_id DESC LIMIT ?2"
        );
        let found = self.all("read who came", &sql, params![action.as_bytes(), limit as i64], |row| {
            let part = Part { asked: row.get(1)?, said_yes: row.get(2)?, came: row.get(3)? };
            Ok((DocId::from_bytes(row.get(0)?), part))
        })?;
        found.into_iter().map(|(person, part)| Ok((self.person(person)?, part))).collect()
    }

    /// Who came to each of these.
    pub(crate) fn with_turnout(&self, found: Vec<Found>) -> Result<Vec<ActionRow>, StoreError> {
        let ids: Vec<Value> = found.iter().map(|(action, _)| Value::Blob(action.id.as_bytes().to_vec())).collect();
        let marks = vec!["?"; ids.len()].join(", ");
        let sql = format!(
            "{JOINED} SELECT action, sum(asked), sum(said_yes), sum(came), sum(came AND NOT asked) FROM
               (SELECT p.action AS action, max(p.asked) AS asked, max(p.said_yes) AS said_yes, max(p.came) AS came
                FROM {PARTS} AND p.action IN ({marks}) GROUP BY p.action, d.id)
             GROUP BY action"
        );
        let counted = self.all("count who came", &sql, params_from_iter(ids), |row| {
            let turnout =
                Turnout { asked: row.get(1)?, said_yes: row.get(2)?, came: row.get(3)?, came_unasked: row.get(4)? };
            Ok((DocId::from_bytes(row.get(0)?), turnout))
        })?;
        let counted: BTreeMap<DocId, Turnout> = counted.into_iter().collect();
        let with = |(action, chapter): Found| {
            let turnout = counted.get(&action.id).copied().unwrap_or_default();
            ActionRow { action, chapter, turnout }
        };
        Ok(found.into_iter().map(with).collect())
    }

    /// What is shown of an action's document now.
    pub(crate) fn shown_action(&self, document: i64) -> Result<Option<Action>, StoreError> {
        let found =
            self.one("read an action", "SELECT view FROM action WHERE document = ?", params![document], |row| {
                row.get::<_, String>(0)
            })?;
        Ok(found.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// The parts that stand in the view of somebody's record.
    pub(crate) fn parts_of(&self, document: i64) -> Result<BTreeMap<DocId, Part>, StoreError> {
        let sql = "SELECT action, asked, said_yes, came FROM part WHERE document = ?";
        let parts = self.all("read her parts", sql, params![document], |row| {
            let part = Part { asked: row.get(1)?, said_yes: row.get(2)?, came: row.get(3)? };
            Ok((DocId::from_bytes(row.get(0)?), part))
        })?;
        Ok(parts.into_iter().collect())
    }
}

impl Tx<'_> {
    pub(crate) fn put_action(&self, document: i64, action: &Action) -> Result<(), StoreError> {
        let json = serde_json::to_string(action).map_err(|_| StoreError::Corrupt("action"))?;
        let day = action.on.map_or_else(String::new, |day| day.to_string());
        let sql = "INSERT INTO action (document, on_day, view) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET on_day = ?2, view = ?3";
        self.run("show an action", sql, params![document, day, json]).map(drop)
    }

    /// Brings somebody's parts in step with her events; touches only what differs, and nothing for almost everybody.
    pub(crate) fn put_parts(
        &self,
        document: i64,
        before: Option<&Supporter>,
        now: Option<&Supporter>,
    ) -> Result<(), StoreError> {
        let (old, new) =
            (before.map(Supporter::parts).unwrap_or_default(), now.map(Supporter::parts).unwrap_or_default());
        for (action, _) in old.iter().filter(|(action, part)| new.get(*action) != Some(*part)) {
            let sql = "DELETE FROM part WHERE action = ? AND document = ?";
            self.run("forget a part", sql, params![action.as_bytes(), document])?;
        }
        for (action, part) in new.iter().filter(|(action, part)| old.get(*action) != Some(*part)) {
            let sql = "INSERT OR IGNORE INTO part (action, document, asked, said_yes, came) VALUES (?, ?, ?, ?, ?)";
            let row = params![action.as_bytes(), document, part.asked, part.said_yes, part.came];
            self.run("note a part", sql, row)?;
        }
        Ok(())
    }
}
