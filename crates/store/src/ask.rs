//! Asks as rows, so that what is open, what is due and how much was kept is looked up and not read out of records; and
//! the asks that this chapter offers.
//!
//! **Invariant:** for every supporter who is shown and not hidden, the rows are what her record says; `verify` compares.

use std::collections::BTreeMap;

use model::{AnswerKind, AskKind, AskOffer, Body, Date, DocId, EventId, Personal, RungId, ScopeId, Supporter};
use rusqlite::params;

use crate::happened::Span;
use crate::{Read, StoreError, Tx};

/// The most asks that a chapter offers: some ten for each of the six kinds, more than anybody reads.
pub const OFFERS_MAX: u64 = 60;
/// An ask of which nobody knows what came.
const OPEN: &str = "open";
/// When an ask without a day is due.
const NO_DAY: &str = "9999-12-31";
/// The most asks kept by people whom somebody raised: more nobody looks through for what shows a move.
const KEPT_BY_RAISED_MAX: u64 = 200;

/// An ask as its row says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    at: i64,
    by: String,
    kind: String,
    text: String,
    due: Option<String>,
    outcome: String,
}

impl Said {
    /// Whether nobody knows what came of it.
    fn is_open(&self) -> bool {
        self.outcome == OPEN || self.outcome == AnswerKind::Yes.word()
    }

    /// The day on which it is due, while nobody knows what came of it.
    fn waits(&self) -> Option<&str> {
        self.is_open().then_some(self.due.as_deref().unwrap_or(NO_DAY))
    }
}

/// What her record says was asked of her; nothing while it is asked that she be deleted.
pub(crate) fn asks_of(her: &Supporter) -> BTreeMap<EventId, Said> {
    let mut asks = BTreeMap::new();
    if her.erasure_asked {
        return asks;
    }
    for event in &her.events {
        let Body::Ask { text, ask_kind, due, .. } = &event.body else { continue };
        let said = Said {
            at: event.at.as_millis(),
            by: event.by.as_ref().map_or_else(String::new, |by| beginning(by.expose())),
            kind: ask_kind.word().to_owned(),
            text: beginning(text.expose()),
            due: due.map(|day| day.to_string()),
            outcome: OPEN.to_owned(),
        };
        asks.insert(event.id, said);
    }
    if asks.is_empty() {
        return asks;
    }
    for event in &her.events {
        // A yes that was logged late takes no outcome back.
        if let Body::Answer { of, answer, .. } = &event.body
            && let Some(said) = asks.get_mut(of)
            && (*answer != AnswerKind::Yes || said.outcome == OPEN)
        {
            said.outcome = answer.word().to_owned();
        }
    }
    // Whoever came to the action to which she was asked has kept it, also where nobody wrote that down.
    let came = her.came_to();
    for event in &her.events {
        if let Body::Ask { action: Some(action), .. } = &event.body
            && came.contains(action)
            && let Some(said) = asks.get_mut(&event.id)
            && said.is_open()
        {
            said.outcome = AnswerKind::Kept.word().to_owned();
        }
    }
    asks
}

/// As much of a text as an offer may have, and a little more, so that a longer one is no offer's. A record of elsewhere may
/// have any text: rows and their indexes do not.
fn beginning(text: &str) -> String {
    text.trim().chars().take(AskOffer::TEXT_BYTES_MAX + 1).collect()
}

/// An ask in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskRow {
    /// Its event.
    pub event: EventId,
    /// Of whom, as she is shown.
    pub person: DocId,
    /// What came of it; none: no answer yet.
    pub outcome: Option<AnswerKind>,
    /// The day on which it is due, or a day that never comes; empty once its outcome is known. With the event it says
    /// where a page ends.
    pub waits: String,
}

/// What came of asks that are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// She did it.
    pub kept: u64,
    /// She did not.
    pub missed: u64,
    /// The day is over, and nobody wrote what came of it.
    pub unrecorded: u64,
}

impl Kept {
    /// All that were due.
    pub const fn due(self) -> u64 {
        self.kept + self.missed + self.unrecorded
    }
}

/// An ask, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskMade {
    /// Who was asked.
    pub person: DocId,
    /// The ask.
    pub event: EventId,
    /// Who asked.
    pub by: String,
    /// Of which kind.
    pub kind: AskKind,
    /// What was asked, its beginning.
    pub text: Personal,
    /// By when.
    pub due: Option<Date>,
    /// What came of it; none: no answer yet.
    pub answer: Option<AnswerKind>,
}

impl AskMade {
    /// Whether its outcome is known: it was kept, missed or declined.
    pub const fn is_over(&self) -> bool {
        matches!(self.answer, Some(AnswerKind::Kept | AnswerKind::Missed | AnswerKind::No))
    }
}

/// Asks counted, as docs/METRICS.md defines them. Due are those whose day is past or whose outcome is known, and to which she
/// did not say no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodAsks {
    /// All asks, due or not.
    pub asked: u64,
    /// She said yes, or did it.
    pub yes: u64,
    /// She said no.
    pub declined: u64,
    /// She did it.
    pub kept: u64,
    /// She did not.
    pub missed: u64,
    /// The day is past, and nobody wrote down what came of it.
    pub unrecorded: u64,
}

impl PeriodAsks {
    /// So many with this outcome, and of them so many whose day is over. Nowhere else is it said what counts as what.
    fn add(&mut self, outcome: Option<AnswerKind>, count: u64, over: u64) {
        self.asked += count;
        match outcome {
            Some(AnswerKind::Kept) => (self.yes, self.kept) = (self.yes + count, self.kept + count),
            Some(AnswerKind::Missed) => self.missed += count,
            Some(AnswerKind::No) => self.declined += count,
            Some(AnswerKind::Yes) => (self.yes, self.unrecorded) = (self.yes + count, self.unrecorded + over),
            None => self.unrecorded += over,
        }
    }

    /// Counts an ask, as of a day.
    pub fn count(&mut self, ask: &AskMade, today: Date) {
        self.add(ask.answer, 1, u64::from(ask.due.is_some_and(|day| day < today)));
    }

    /// Those that are due.
    pub const fn due(&self) -> u64 {
        self.kept + self.missed + self.unrecorded
    }

    /// What came of those that are due.
    const fn outcomes(self) -> Kept {
        Kept { kept: self.kept, missed: self.missed, unrecorded: self.unrecorded }
    }
}

/// The figures of one kind of ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskFigures {
    /// The kind.
    pub kind: AskKind,
    /// How many were asked.
    pub asked: u64,
    /// Of them, how many were answered with no.
    pub no: u64,
    /// What came of those that are due.
    pub outcomes: Kept,
}

impl Read<'_> {
    /// Asks whose outcome nobody knows, the first due first, without a day last: a page, after one that is said by
    /// [`AskRow::waits`] and its event; of whom a login looks after, or of everybody.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn open_asks(
        &self,
        mine: Option<&str>,
        after: Option<(&str, EventId)>,
        limit: usize,
    ) -> Result<Vec<AskRow>, StoreError> {
        let sql = "SELECT DISTINCT a.waits, a.event_id, d.doc_id, a.outcome FROM ask a INDEXED BY ask_waits
                   JOIN supporter v ON v.document = a.document
                   JOIN supporter s ON s.document = coalesce(v.shown_under, v.document)
                   JOIN document d ON d.id = s.document
                   WHERE a.waits IS NOT NULL AND (a.waits, a.event_id) > (?1, ?2) AND s.listed = 1
                     AND (?3 IS NULL OR v.looked_after_by = ?3 OR s.looked_after_by = ?3)
                   ORDER BY a.waits, a.event_id LIMIT ?4";
        let (waits, event) = after.unwrap_or(("", EventId::from_bytes([0; 16])));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all("list open asks", sql, params![waits, event.as_bytes(), mine, limit], read_ask)
    }

    /// Every ask, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn asks(&self, limit: usize) -> Result<Vec<AskRow>, StoreError> {
        let sql = "SELECT DISTINCT coalesce(a.waits, ''), a.event_id, d.doc_id, a.outcome FROM ask a INDEXED BY ask_at
                   JOIN supporter v ON v.document = a.document
                   JOIN supporter s ON s.document = coalesce(v.shown_under, v.document)
                   JOIN document d ON d.id = s.document WHERE s.listed = 1 ORDER BY a.at DESC, a.event_id DESC LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all("list asks", sql, params![limit], read_ask)
    }

    /// Asks by kind, and what came of those that were due before a day.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn ask_figures(&self, today: Date) -> Result<Vec<AskFigures>, StoreError> {
        // In the order of its index, so that nothing is sorted: some 20 ms for 50,000 asks.
        let sql = "SELECT kind, outcome, count(*), coalesce(sum(waits < ?), 0) FROM ask INDEXED BY ask_figures
                   GROUP BY kind, outcome";
        let rows = self.all("count asks", sql, params![today.to_string()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u64>(2)?, row.get::<_, u64>(3)?))
        })?;
        let figures = |kind: &AskKind| {
            let mut made = PeriodAsks::default();
            for (_, outcome, count, over) in rows.iter().filter(|row| row.0 == kind.word()) {
                made.add(AnswerKind::from_word(outcome), *count, *over);
            }
            AskFigures { kind: *kind, asked: made.asked, no: made.declined, outcomes: made.outcomes() }
        };
        Ok(AskKind::ALL.iter().map(figures).collect())
    }

    /// Asks that were made from one moment until before another, the oldest first.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn asks_made(&self, chapter: Option<ScopeId>, (from, to): Span) -> Result<Vec<AskMade>, StoreError> {
        let records = self.records_of(chapter)?;
        let sql = format!(
            "SELECT d.doc_id, a.event_id, a.by, a.text, a.kind, a.due, a.outcome FROM ask a INDEXED BY ask_at
             CROSS JOIN supporter v ON v.document = a.document CROSS JOIN document d ON d.id = a.document
             WHERE a.at >= ?1 AND a.at < ?2 AND {records} ORDER BY a.at"
        );
        let rows = self.all("read what was asked", &sql, params![from.as_millis(), to.as_millis()], |row| {
            let Some(kind) = AskKind::from_word(row.get_ref(4)?.as_str()?) else { return Ok(None) };
            let (text, due) = (row.get::<_, String>(3)?, row.get::<_, Option<String>>(5)?);
            Ok(Some(AskMade {
                person: DocId::from_bytes(row.get(0)?),
                event: EventId::from_bytes(row.get(1)?),
                by: row.get(2)?,
                kind,
                text: text.into(),
                due: due.and_then(|day| day.parse().ok()),
                answer: AnswerKind::from_word(row.get_ref(6)?.as_str()?),
            }))
        })?;
        rows.into_iter().map(|made| made.ok_or(StoreError::Corrupt("ask"))).collect()
    }

    /// What came of an offered ask whenever it was due before a day.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn kept_of(&self, offer: &AskOffer, today: Date) -> Result<Kept, StoreError> {
        let sql = "SELECT outcome, count(*), coalesce(sum(waits < ?3), 0) FROM ask WHERE text = ?2 AND kind = ?1 GROUP BY outcome";
        let row = params![offer.kind.word(), beginning(&offer.text), today.to_string()];
        let rows = self.all("count an ask", sql, row, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?))
        })?;
        let mut made = PeriodAsks::default();
        rows.iter().for_each(|(outcome, count, over)| made.add(AnswerKind::from_word(outcome), *count, *over));
        Ok(made.outcomes())
    }

    /// Asks that were kept by people whom somebody recruited or develops, the newest first: each with whose it is.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn kept_by_raised(&self, her: &[DocId]) -> Result<Vec<(EventId, DocId)>, StoreError> {
        let sql = "SELECT a.event_id, d.doc_id FROM ask a JOIN document d ON d.id = a.document
                   WHERE a.document IN (SELECT document FROM raised WHERE by IN (SELECT value FROM json_each(?1)))
                     AND a.outcome = 'kept' ORDER BY a.event_id DESC LIMIT ?2";
        let ids = serde_json::to_string(her).unwrap_or_default();
        self.all("look whom she raised", sql, params![ids, KEPT_BY_RAISED_MAX], |row| {
            Ok((EventId::from_bytes(row.get(0)?), DocId::from_bytes(row.get(1)?)))
        })
    }

    /// What this chapter offers to ask, with numbers.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn ask_offers(&self) -> Result<Vec<(i64, AskOffer)>, StoreError> {
        let sql = "SELECT id, rung, kind, text FROM ask_offer ORDER BY id";
        let rows = self.all("read offered asks", sql, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?))
        })?;
        let offer = |(id, rung, kind, text): (i64, String, String, String)| {
            let kind = AskKind::from_word(&kind).ok_or(StoreError::Corrupt("ask_offer"))?;
            Ok((id, AskOffer { rung: RungId::new(rung), kind, text }))
        };
        rows.into_iter().map(offer).collect()
    }

    /// The rows of a document's asks.
    pub(crate) fn asks_shown(&self, document: i64) -> Result<BTreeMap<EventId, Said>, StoreError> {
        let sql = "SELECT event_id, at, by, kind, text, due, outcome, waits FROM ask WHERE document = ?";
        let rows = self.all("read asks", sql, params![document], |row| {
            let (at, by, kind, text) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            let said = Said { at, by, kind, text, due: row.get(5)?, outcome: row.get(6)? };
            Ok((EventId::from_bytes(row.get(0)?), said, row.get::<_, Option<String>>(7)?))
        })?;
        // A row that waits for another day than it should is none of hers.
        let sound = rows.into_iter().filter(|(_, said, waits)| said.waits() == waits.as_deref());
        Ok(sound.map(|(id, said, _)| (id, said)).collect())
    }
}

fn read_ask(row: &rusqlite::Row<'_>) -> rusqlite::Result<AskRow> {
    let (event, person) = (EventId::from_bytes(row.get(1)?), DocId::from_bytes(row.get(2)?));
    Ok(AskRow { event, person, outcome: AnswerKind::from_word(row.get_ref(3)?.as_str()?), waits: row.get(0)? })
}

impl Tx<'_> {
    /// Brings the rows of somebody's asks in step; touches only what differs.
    pub(crate) fn put_asks(
        &self,
        document: i64,
        before: Option<&Supporter>,
        now: &Supporter,
    ) -> Result<(), StoreError> {
        let (old, new) = (before.map(asks_of).unwrap_or_default(), asks_of(now));
        for (id, _) in old.iter().filter(|(id, said)| new.get(*id) != Some(*said)) {
            let sql = "DELETE FROM ask WHERE document = ? AND event_id = ?";
            self.run("forget an ask", sql, params![document, id.as_bytes()])?;
        }
        for (id, said) in new.iter().filter(|(id, said)| old.get(*id) != Some(*said)) {
            let sql = "INSERT INTO ask (document, event_id, at, by, kind, text, due, outcome, waits)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let Said { at, by, kind, text, due, outcome } = said;
            let row = params![document, id.as_bytes(), at, by, kind, text, due, outcome, said.waits()];
            self.run("show an ask", sql, row)?;
        }
        Ok(())
    }

    /// Offers an ask at this chapter.
    ///
    /// # Errors
    /// When as many are offered as anybody reads.
    pub fn add_ask_offer(&self, offer: &AskOffer) -> Result<(), StoreError> {
        if self.number("count offered asks", "SELECT count(*) FROM ask_offer", [])? >= OFFERS_MAX {
            return Err(StoreError::Refused(format!(
                "a chapter offers at most {OFFERS_MAX} asks: take one away first"
            )));
        }
        let sql = "INSERT OR IGNORE INTO ask_offer (rung, kind, text) VALUES (?, ?, ?)";
        self.run("offer an ask", sql, params![offer.rung.as_str(), offer.kind.word(), offer.text]).map(drop)
    }

    /// Offers an ask no more.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn remove_ask_offer(&self, id: i64) -> Result<(), StoreError> {
        self.run("take an offered ask away", "DELETE FROM ask_offer WHERE id = ?", params![id]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_due_when_its_day_is_past_or_its_outcome_is_known() {
        let today: Date = "2026-05-10".parse().unwrap();
        let ask = |due: Option<&str>, answer| AskMade {
            person: DocId::from_bytes([1; 16]),
            event: EventId::from_bytes([2; 16]),
            by: "ana".to_owned(),
            kind: AskKind::Task,
            text: "Come".into(),
            due: due.map(|day| day.parse().unwrap()),
            answer,
        };
        let mut counted = PeriodAsks::default();
        for ask in [
            ask(Some("2026-05-09"), None),
            ask(Some("2026-05-10"), Some(AnswerKind::Yes)),
            ask(Some("2026-06-01"), Some(AnswerKind::Kept)),
            ask(None, Some(AnswerKind::Missed)),
            ask(Some("2026-05-01"), Some(AnswerKind::No)),
            ask(None, None),
        ] {
            counted.count(&ask, today);
        }
        let wanted = PeriodAsks { asked: 6, yes: 2, declined: 1, kept: 1, missed: 1, unrecorded: 1 };
        assert_eq!((counted, counted.due()), (wanted, 3));
    }
}
