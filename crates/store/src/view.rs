//! The view: rows that are made from documents, and can be dropped and made again.
//!
//! **Invariant:** counters move with the row that they count.

use std::collections::BTreeSet;

use model::{Action, Body, Channel, ChapterCard, ConsentState, Kind, Ladder, New, Supporter};
use record::Record;
use rusqlite::params;

use crate::home::ELSEWHERE;
use crate::words::words_of;
use crate::{Read, StoreError, Tx};

/// Why somebody waits whom a hub above has placed here: this hub has still to find her chapter.
pub const FROM_ABOVE: &str = "from_above";

/// What is shown of a document.
#[derive(Debug)]
pub(crate) enum View {
    /// A supporter.
    Supporter(Box<Shown>),
    /// A chapter's card.
    Card(ChapterCard),
    /// An action.
    Action(Action),
    /// Nothing: it is read where it is needed.
    Nothing,
}

impl View {
    pub(crate) fn of(record: &Record, kind: Kind, ladder: &Ladder) -> Self {
        match kind {
            Kind::Supporter => Self::Supporter(Box::new(Shown::of(record.supporter(ladder)))),
            Kind::ChapterCard => Self::Card(record.card()),
            Kind::Action => Self::Action(record.action()),
            Kind::NetworkSettings => Self::Nothing,
        }
    }
}

/// A supporter as she is stored and found. Made outside of the transaction: it is half of the work.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) supporter: Supporter,
    /// As it is stored.
    json: String,
    words: BTreeSet<String>,
    work: ToDo,
}

impl Shown {
    pub(crate) fn of(supporter: Supporter) -> Self {
        // A supporter is made of maps with text keys, texts and numbers: there is nothing that JSON could not say.
        let json = serde_json::to_string(&supporter).unwrap_or_default();
        Self { json, words: words_of(&supporter), work: ToDo::of(&supporter), supporter }
    }

    /// A row that the parent has sent is stored as it stands; `None` if it can't be read.
    pub(crate) fn sent(json: &str) -> Option<Self> {
        let supporter: Supporter = serde_json::from_str(json).ok()?;
        Some(Self { json: json.to_owned(), words: words_of(&supporter), work: ToDo::of(&supporter), supporter })
    }
}

/// The columns of what there is to do about somebody; none of it while it is asked that she be deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ToDo {
    pub(crate) new: Option<u8>,
    pub(crate) due: Option<String>,
    pub(crate) spoken: Option<i64>,
    pub(crate) kept: Option<i64>,
    pub(crate) tended: Option<i64>,
    pub(crate) ready: Option<bool>,
    pub(crate) unreachable: Option<bool>,
    pub(crate) contact: Option<i64>,
    pub(crate) planned: Option<String>,
    pub(crate) arrived: Option<i64>,
}

/// In `contact`: nobody may contact her.
pub(crate) const CLOSED_BIT: i64 = 16;

/// In `contact`: she agreed to a channel with somebody, and may be contacted.
pub(crate) const fn contact_bit(channel: Channel) -> i64 {
    match channel {
        Channel::Email => 1,
        Channel::Sms => 2,
        Channel::Phone => 4,
        Channel::Post => 8,
    }
}

fn contact_of(supporter: &Supporter) -> Option<i64> {
    if supporter.do_not_contact {
        return Some(CLOSED_BIT);
    }
    let granted = supporter.consents.iter().filter(|said| said.state == ConsentState::Granted);
    let bits = granted.filter_map(|said| Channel::from_word(&said.channel)).map(contact_bit);
    Some(bits.fold(0, |all, bit| all | bit)).filter(|bits| *bits != 0)
}

impl ToDo {
    pub(crate) fn of(supporter: &Supporter) -> Self {
        if supporter.erasure_asked {
            return Self::default();
        }
        let work = supporter.work();
        let new = match work.new {
            New::No => None,
            New::Waits => Some(1),
            New::Willing => Some(2),
        };
        Self {
            new,
            due: work.follow_up.map(|due| due.on.to_string()),
            spoken: work.spoken.map(model::Timestamp::as_millis),
            kept: work.kept.map(model::Timestamp::as_millis),
            tended: work.tended.map(model::Timestamp::as_millis),
            ready: work.ready.then_some(true),
            unreachable: (!supporter.is_reachable()).then_some(true),
            contact: contact_of(supporter),
            planned: work.planned.map(|due| due.on.to_string()),
            arrived: work.arrived.map(model::Timestamp::as_millis),
        }
    }
}

/// What stands beside a view in its row, for lists and figures to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    rung: String,
    conflicts: u64,
    tried: bool,
    work: ToDo,
    hidden: bool,
    looked_after_by: Option<String>,
}

impl Columns {
    /// Of a record: what is shown in its row is of `shown`, its set or itself; the others of a set have nothing to do.
    pub(crate) fn of(record: &Supporter, shown: Option<&Supporter>) -> Self {
        let figures = shown.unwrap_or(record);
        Self {
            rung: figures.rung.to_string(),
            conflicts: figures.conflicts.len() as u64,
            tried: tried(figures),
            work: shown.map(ToDo::of).unwrap_or_default(),
            hidden: record.erasure_asked,
            looked_after_by: record.looked_after_by.as_ref().map(|who| who.expose().to_owned()),
        }
    }
}

/// What the row before said, as far as counters and indexes depend on it.
pub(crate) struct Before {
    home: Option<i64>,
    pub(crate) view: Supporter,
    /// Whether the record is joined with others.
    pub(crate) joined: bool,
}

fn reaches(supporter: &Supporter) -> BTreeSet<&str> {
    let emails = supporter.emails.iter().map(|email| email.address.as_str());
    emails.chain(supporter.phones.iter().map(|phone| phone.number.as_str())).collect()
}

impl Read<'_> {
    /// Her e-mail addresses and numbers.
    pub(crate) fn reaches_of(&self, document: i64) -> Result<Vec<String>, StoreError> {
        let before = self.before(document)?;
        Ok(before.map_or_else(Vec::new, |before| reaches(&before.view).into_iter().map(str::to_owned).collect()))
    }

    /// The columns of a row as they stand, and under which row it is shown.
    pub(crate) fn columns(&self, document: i64) -> Result<Option<(Columns, Option<i64>)>, StoreError> {
        let sql = "SELECT rung, conflicts, tried, hidden, looked_after_by, shown_under, new, due, spoken, kept, tended, ready,
                     unreachable, contact, planned, arrived FROM supporter WHERE document = ?";
        self.one("read columns", sql, params![document], |row| {
            let work = ToDo {
                new: row.get(6)?,
                due: row.get(7)?,
                spoken: row.get(8)?,
                kept: row.get(9)?,
                tended: row.get(10)?,
                ready: row.get(11)?,
                unreachable: row.get(12)?,
                contact: row.get(13)?,
                planned: row.get(14)?,
                arrived: row.get(15)?,
            };
            let (rung, conflicts, tried, hidden) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let columns = Columns { rung, conflicts, tried, work, hidden, looked_after_by: row.get(4)? };
            Ok((columns, row.get(5)?))
        })
    }

    /// What is shown of it now.
    pub(crate) fn before(&self, document: i64) -> Result<Option<Before>, StoreError> {
        let sql = "SELECT home, view, shown_under IS NOT NULL FROM supporter WHERE document = ?";
        let found = self.one("read a view", sql, params![document], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        found
            .map(|(home, json, joined)| {
                let view = serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("supporter"))?;
                Ok(Before { home, view, joined })
            })
            .transpose()
    }
}

impl Read<'_> {
    /// Whether what is stored says the same as what was made from the record.
    pub(crate) fn shows(&self, document: i64, view: &View) -> Result<bool, StoreError> {
        match view {
            View::Supporter(shown) => {
                let made = &shown.supporter;
                let same = |before: Before| before.view == *made;
                Ok(self.before(document)?.is_some_and(same))
            }
            View::Card(card) => {
                let sql = "SELECT view FROM card WHERE document = ?";
                let json = self.one("read a card", sql, params![document], |row| row.get::<_, String>(0))?;
                Ok(json.and_then(|json| serde_json::from_str::<ChapterCard>(&json).ok()).as_ref() == Some(card))
            }
            View::Action(action) => Ok(self.shown_action(document)?.as_ref() == Some(action)),
            View::Nothing => Ok(true),
        }
    }

    /// The record that was made anew from this one, if it is here. An event stands in two records for no other reason, but
    /// for a move, which is written into each of a person's joined records.
    pub(crate) fn made_anew(&self, document: i64) -> Result<Option<i64>, StoreError> {
        let Some(before) = self.before(document)? else { return Ok(None) };
        for event in before.view.events.iter().filter(|event| !matches!(event.body, Body::Move { .. })) {
            let sql = "SELECT document FROM event WHERE event_id = ? AND document > ? LIMIT 1";
            let row = params![event.id.as_bytes(), document];
            let anew = self.one("look for her other record", sql, row, |row| row.get::<_, i64>(0))?;
            if anew.is_some() {
                return Ok(anew);
            }
        }
        Ok(None)
    }
}

impl Tx<'_> {
    pub(crate) fn put_view(&self, document: i64, view: &View) -> Result<(), StoreError> {
        match view {
            View::Supporter(shown) => self.put_shown(document, shown),
            View::Card(card) => {
                let json = serde_json::to_string(card).map_err(|_| StoreError::Corrupt("card"))?;
                let sql = "INSERT INTO card (document, chapter, view) VALUES (?1, ?2, ?3)
                           ON CONFLICT DO UPDATE SET view = ?3";
                let chapter = card.chapter.map(|scope| *scope.as_bytes());
                self.run("show a card", sql, params![document, chapter, json]).map(drop)
            }
            View::Action(action) => self.put_action(document, action),
            View::Nothing => Ok(()),
        }
    }

    /// The view of a document that has just been stored in its home: there is nothing before it to look for.
    pub(crate) fn put_new_view(&self, document: i64, view: &View, home: Option<i64>) -> Result<(), StoreError> {
        match view {
            View::Supporter(shown) => self.put_row(document, shown, None, home),
            View::Card(_) | View::Action(_) | View::Nothing => self.put_view(document, view),
        }
    }

    fn put_shown(&self, document: i64, shown: &Shown) -> Result<(), StoreError> {
        let (before, mut home) = (self.before(document)?, self.home_of(document)?);
        if before.is_none() && home == Some(ELSEWHERE) {
            // It has come back to a hub from who serves her beside her home.
            self.settle_home(document)?;
            home = self.home_of(document)?;
        }
        self.put_row(document, shown, before.as_ref(), home)
    }

    /// Writes the row, with everything that goes with it, and joins it with whom it belongs to.
    pub(crate) fn put_row(
        &self,
        document: i64,
        shown: &Shown,
        before: Option<&Before>,
        home: Option<i64>,
    ) -> Result<(), StoreError> {
        let parted = self.part_around(document, before, Some(&shown.supporter))?;
        self.put_alone(document, shown, before, home)?;
        self.join_again(parted)
    }

    fn put_alone(
        &self,
        document: i64,
        shown: &Shown,
        before: Option<&Before>,
        home: Option<i64>,
    ) -> Result<(), StoreError> {
        let (supporter, work) = (&shown.supporter, &shown.work);
        let hidden = supporter.erasure_asked;
        let waiting = if home.is_none() { waiting_reason(supporter) } else { None };
        // Two plain statements: a REPLACE or an upsert opens a savepoint of its own, at which the search index flushes.
        let sql = if before.is_some() {
            "UPDATE supporter SET home = ?2, rung = ?3, conflicts = ?4, looked_after_by = ?5, waiting = ?6, tried = ?7, view = ?8, hidden = ?9, listed = ?10,
                                  new = ?11, due = ?12, spoken = ?13, kept = ?14, tended = ?15, ready = ?16, contact = ?17,
                                  planned = ?18, arrived = ?19, unreachable = ?20
             WHERE document = ?1"
        } else {
            "INSERT INTO supporter (document, home, rung, conflicts, looked_after_by, waiting, tried, view, hidden, listed,
                                    new, due, spoken, kept, tended, ready, contact, planned, arrived, unreachable)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
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
            shown.json,
            hidden,
            !hidden,
            work.new,
            work.due,
            work.spoken,
            work.kept,
            work.tended,
            work.ready,
            work.contact,
            work.planned,
            work.arrived,
            work.unreachable
        ];
        self.run("show a supporter", sql, row)?;
        self.put_index(document, before.map(|before| &before.view), shown)?;
        if let Some(before) = before {
            self.count_supporter(before.home, &before.view, -1);
        }
        self.count_supporter(home, supporter, 1);
        Ok(())
    }

    /// Takes a document out of lists, search, exact look-ups and figures.
    pub(crate) fn take_from_view(&self, document: i64) -> Result<(), StoreError> {
        self.run("forget a card", "DELETE FROM card WHERE document = ?", params![document])?;
        self.run("forget an action", "DELETE FROM action WHERE document = ?", params![document])?;
        let Some(before) = self.before(document)? else { return Ok(()) };
        let parted = self.part_around(document, Some(&before), None)?;
        self.count_supporter(before.home, &before.view, -1);
        let words = words_of(&before.view).into_iter().collect::<Vec<_>>().join(" ");
        let sql = "INSERT INTO fts (fts, rowid, words) VALUES ('delete', ?, ?)";
        self.run("forget words", sql, params![document, words])?;
        for value in reaches(&before.view) {
            let sql = "DELETE FROM reach WHERE value = ? AND document = ?";
            self.run("forget an address", sql, params![value, document])?;
        }
        self.put_raised(document, Some(&before.view), None)?;
        for event in &before.view.events {
            let sql = "DELETE FROM event WHERE document = ? AND event_id = ?";
            self.run("forget an event", sql, params![document, event.id.as_bytes()])?;
        }
        self.put_parts(document, Some(&before.view), None)?;
        self.run("forget asks", "DELETE FROM ask WHERE document = ?", params![document])?;
        self.run("forget a supporter", "DELETE FROM supporter WHERE document = ?", params![document])?;
        self.join_again(parted)
    }

    /// Brings the search index, exact look-ups, events and asks in step; touches only what differs.
    fn put_index(&self, document: i64, before: Option<&Supporter>, shown: &Shown) -> Result<(), StoreError> {
        let now = &shown.supporter;
        let old = before.map(words_of).unwrap_or_default();
        if before.is_none() || old != shown.words {
            self.put_words(document, &old, &shown.words)?;
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
        self.put_parts(document, before, Some(now))?;
        self.put_raised(document, before, Some(now))?;
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
        self.put_asks(document, before, now)
    }

    /// Takes out the words that went and puts in those that came. Both are said, also when there are none: FTS5 counts rows.
    pub(crate) fn put_words(
        &self,
        document: i64,
        old: &BTreeSet<String>,
        new: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let join =
            |one: &BTreeSet<String>, other| one.difference(other).map(String::as_str).collect::<Vec<_>>().join(" ");
        if !old.is_empty() {
            let sql = "INSERT INTO fts (fts, rowid, words) VALUES ('delete', ?, ?)";
            self.run("forget words", sql, params![document, join(old, new)])?;
        }
        let sql = "INSERT INTO fts (rowid, words) VALUES (?, ?)";
        self.run("index words", sql, params![document, join(new, old)]).map(drop)
    }

    /// Counts a single record, unless it is hidden.
    pub(crate) fn count_supporter(&self, home: Option<i64>, supporter: &Supporter, by: i64) {
        for name in figures_of(supporter) {
            self.count(home.unwrap_or(0), name, by);
        }
    }

    /// After an assignment: the view's home and the counters follow.
    pub(crate) fn move_home(&self, document: i64) -> Result<(), StoreError> {
        self.settle_home(document)?;
        let (from, to) = (self.shown_home(document)?, self.home_of(document)?);
        let put = || match self.before(document)? {
            Some(before) => self.put_row(document, &Shown::of(before.view.clone()), Some(&before), to),
            None => Ok(()),
        };
        // Whose chapter has left is joined with nobody outside of it.
        if self.apart(from)? == self.apart(to)? { put() } else { self.rejoining(&[document], put) }
    }
}

/// The counters in which somebody stands as she is shown; none while it is asked that she be deleted.
pub(crate) fn figures_of(shown: &Supporter) -> impl Iterator<Item = String> {
    let rung = (!shown.erasure_asked).then(|| format!("rung/{}", shown.rung));
    let conflicts = rung.as_ref().filter(|_| !shown.conflicts.is_empty()).map(|_| "conflicts".to_owned());
    rung.into_iter().chain(conflicts)
}

/// Whether somebody has tried to reach her, or talked with her.
pub(crate) fn tried(supporter: &Supporter) -> bool {
    supporter.events.iter().any(|event| matches!(event.body, Body::Attempt { .. } | Body::OneToOne { .. }))
}

fn waiting_reason(supporter: &Supporter) -> Option<&str> {
    supporter.events.iter().rev().find_map(|event| {
        // Placed by somebody, and not by this node: a hub above gave her.
        if matches!(event.body, Body::Transfer { .. }) {
            return Some(FROM_ABOVE);
        }
        let Body::Placement(fact) = &event.body else { return None };
        Some(if fact.chapter.is_some() { FROM_ABOVE } else { fact.reason.as_str() })
    })
}
