//! The view: rows that are made from documents, and can be dropped and made again.
//!
//! **Invariant:** counters move with the row that they count.

use std::collections::BTreeSet;

use model::{Body, ChapterCard, Kind, Ladder, Supporter};
use record::Record;
use rusqlite::params;

use crate::{Read, StoreError, Tx};

/// What is shown of a document.
#[derive(Debug)]
pub(crate) enum View {
    /// A supporter.
    Supporter(Box<Supporter>),
    /// A chapter's card.
    Card(ChapterCard),
    /// Nothing: it is read where it is needed.
    Nothing,
}

impl View {
    pub(crate) fn of(record: &Record, kind: Kind, ladder: &Ladder) -> Self {
        match kind {
            Kind::Supporter => Self::Supporter(Box::new(record.supporter(ladder))),
            Kind::ChapterCard => Self::Card(record.card()),
            Kind::NetworkSettings => Self::Nothing,
        }
    }
}

fn as_json(supporter: &Supporter) -> Result<String, StoreError> {
    serde_json::to_string(supporter).map_err(|_| StoreError::Corrupt("supporter"))
}

/// What the row before said, as far as counters and indexes depend on it.
pub(crate) struct Before {
    home: Option<i64>,
    rung: String,
    conflicts: bool,
    view: Supporter,
}

/// The words by which someone is found: names, e-mail addresses, numbers, tags, place.
fn words(supporter: &Supporter) -> String {
    let mut words: Vec<&str> =
        ["given_name", "additional_name", "family_name"].iter().map(|name| supporter.field(name)).collect();
    words.extend(supporter.emails.iter().map(|email| email.address.as_str()));
    for phone in &supporter.phones {
        // With and without the country code: people type either.
        words.extend([phone.number.digits(), phone.number.national()]);
    }
    words.extend(supporter.tags.iter().map(String::as_str));
    for address in &supporter.addresses {
        words.extend(address.postal_code.iter().chain(&address.locality).map(model::Personal::expose));
    }
    words.join(" ")
}

fn reaches(supporter: &Supporter) -> BTreeSet<&str> {
    let emails = supporter.emails.iter().map(|email| email.address.as_str());
    emails.chain(supporter.phones.iter().map(|phone| phone.number.as_str())).collect()
}

impl Read<'_> {
    /// The chapter that has the document: at a hub the child's scope, at a chapter its own.
    pub(crate) fn home_of(&self, document: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT s.id FROM assign a JOIN scope s ON s.id = a.scope
                   WHERE a.document = ? AND a.state = 'held'
                     AND (s.role = 'chapter' OR (s.role = 'own' AND (SELECT kind FROM node) = 'chapter'))
                   ORDER BY s.role LIMIT 1";
        self.one("find a home", sql, params![document], |row| row.get(0))
    }

    fn before(&self, document: i64) -> Result<Option<Before>, StoreError> {
        let sql = "SELECT home, rung, conflicts, view FROM supporter WHERE document = ?";
        let found = self.one("read a view", sql, params![document], |row| {
            let conflicts: i64 = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, conflicts > 0, row.get::<_, String>(3)?))
        })?;
        found
            .map(|(home, rung, conflicts, json)| {
                let view = serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("supporter"))?;
                Ok(Before { home, rung, conflicts, view })
            })
            .transpose()
    }
}

impl Tx<'_> {
    pub(crate) fn put_view(&self, document: i64, view: &View) -> Result<(), StoreError> {
        match view {
            View::Supporter(supporter) => self.put_supporter(document, supporter),
            View::Card(card) => {
                let json = serde_json::to_string(card).map_err(|_| StoreError::Corrupt("card"))?;
                let sql = "INSERT INTO card (document, chapter, view) VALUES (?1, ?2, ?3)
                           ON CONFLICT DO UPDATE SET view = ?3";
                let chapter = card.chapter.map(|scope| *scope.as_bytes());
                self.run("show a card", sql, params![document, chapter, json]).map(drop)
            }
            View::Nothing => Ok(()),
        }
    }

    /// The view of a document that has just been stored in its home: there is nothing before it to look for.
    pub(crate) fn put_new_view(&self, document: i64, view: &View, home: Option<i64>) -> Result<(), StoreError> {
        match view {
            View::Supporter(supporter) => self.put_row(document, supporter, &as_json(supporter)?, None, home),
            View::Card(_) | View::Nothing => self.put_view(document, view),
        }
    }

    fn put_supporter(&self, document: i64, supporter: &Supporter) -> Result<(), StoreError> {
        let (before, home) = (self.before(document)?, self.home_of(document)?);
        self.put_row(document, supporter, &as_json(supporter)?, before.as_ref(), home)
    }

    /// Writes the row; `json` is the supporter as it is stored, which a parent has sent as it stands.
    pub(crate) fn put_row(
        &self,
        document: i64,
        supporter: &Supporter,
        json: &str,
        before: Option<&Before>,
        home: Option<i64>,
    ) -> Result<(), StoreError> {
        let waiting = if home.is_none() { waiting_reason(supporter) } else { None };
        // Two plain statements: a REPLACE or an upsert opens a savepoint of its own, at which the search index flushes.
        let sql = if before.is_some() {
            "UPDATE supporter SET home = ?2, rung = ?3, conflicts = ?4, looked_after_by = ?5, waiting = ?6, tried = ?7, view = ?8
             WHERE document = ?1"
        } else {
            "INSERT INTO supporter (document, home, rung, conflicts, looked_after_by, waiting, tried, view)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        };
        let care = supporter.looked_after_by.as_ref().map(model::Personal::expose);
        let row = params![
            document,
            home,
            supporter.rung.as_str(),
            supporter.conflicts.len(),
            care,
            waiting,
            tried(supporter),
            json
        ];
        self.run("show a supporter", sql, row)?;
        self.put_index(document, before.map(|before| &before.view), supporter)?;
        if let Some(before) = before {
            self.count_supporter(before.home, &before.rung, before.conflicts, -1);
        }
        self.count_supporter(home, supporter.rung.as_str(), !supporter.conflicts.is_empty(), 1);
        Ok(())
    }

    /// Brings the search index, exact look-ups and events in step; touches only what differs.
    fn put_index(&self, document: i64, before: Option<&Supporter>, now: &Supporter) -> Result<(), StoreError> {
        let (old, new) = (before.map(words), words(now));
        if old.as_ref() != Some(&new) {
            if let Some(old) = &old {
                let sql = "INSERT INTO fts (fts, rowid, words) VALUES ('delete', ?, ?)";
                self.run("forget words", sql, params![document, old])?;
            }
            self.run("index words", "INSERT INTO fts (rowid, words) VALUES (?, ?)", params![document, new])?;
        }
        let (old, new) = (before.map(reaches).unwrap_or_default(), reaches(now));
        for value in old.difference(&new) {
            self.run(
                "forget an address",
                "DELETE FROM reach WHERE value = ? AND document = ?",
                params![value, document],
            )?;
        }
        for value in new.difference(&old) {
            self.run(
                "index an address",
                "INSERT OR IGNORE INTO reach (value, document) VALUES (?, ?)",
                params![value, document],
            )?;
        }
        let ids = |view: &Supporter| view.events.iter().map(|event| event.id).collect::<BTreeSet<_>>();
        let (old, new) = (before.map(ids).unwrap_or_default(), ids(now));
        for id in old.difference(&new) {
            let sql = "DELETE FROM event WHERE document = ? AND event_id = ?";
            self.run("hide an event", sql, params![document, id.as_bytes()])?;
        }
        for event in now.events.iter().filter(|event| !old.contains(&event.id)) {
            let sql = "INSERT OR IGNORE INTO event (document, event_id, kind, at) VALUES (?, ?, ?, ?)";
            let row = params![document, event.id.as_bytes(), event.body.kind(), event.at.as_millis()];
            self.run("show an event", sql, row)?;
        }
        Ok(())
    }

    fn count_supporter(&self, home: Option<i64>, rung: &str, conflicts: bool, by: i64) {
        let scope = home.unwrap_or(0);
        self.count(scope, format!("rung/{rung}"), by);
        if conflicts {
            self.count(scope, "conflicts".to_owned(), by);
        }
    }

    /// After an assignment: the view's home and the counters follow.
    pub(crate) fn move_home(&self, document: i64) -> Result<(), StoreError> {
        match self.before(document)? {
            Some(before) => self.put_supporter(document, &before.view),
            None => Ok(()),
        }
    }
}

/// Whether somebody has tried to reach her, or talked with her.
fn tried(supporter: &Supporter) -> bool {
    supporter.events.iter().any(|event| matches!(event.body, Body::Attempt { .. } | Body::OneToOne { .. }))
}

fn waiting_reason(supporter: &Supporter) -> Option<&str> {
    supporter
        .events
        .iter()
        .rev()
        .find_map(|event| if let Body::Placement(fact) = &event.body { Some(fact.reason.as_str()) } else { None })
}
