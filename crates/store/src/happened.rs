//! What happened among the people of a chapter in a span of time: moves, one-to-ones, first attempts. Asks
//! are in rows of their own.
//!
//! **Invariant:** events are found by their day, so that a question costs what happened in its span; what stands in a
//! hidden record counts nowhere.

use std::collections::{BTreeMap, BTreeSet};

use model::{Body, DocId, Event, MoveKind, Personal, ScopeId, SignUpOrigin, Supporter, Timestamp};
use rusqlite::{Row, params};

use crate::metrics::{read_view, shown_row};
use crate::{Read, StoreError};

/// A week, in ms.
const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
/// A day, in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Moves on the ladder. What came with a list, and what was settled between two, is neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// One rung up, with what shows it.
    pub up: u64,
    /// Down.
    pub down: u64,
    /// Up with a written reason in place of what would show it, or more than one rung.
    pub skips: u64,
}

/// How long people who signed up waited until somebody first tried to reach them. Imports are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstAttempts {
    /// Who signed up.
    pub signed_up: u64,
    /// Of them, whom somebody has tried to reach.
    pub tried: u64,
    /// Half of all who signed up were tried within this, in ms; none: more than half were not tried yet, or nobody signed up.
    pub median_ms: Option<i64>,
    /// Nine of ten, in ms.
    pub p90_ms: Option<i64>,
    /// Tried within 24 hours.
    pub within_day: u64,
    /// Tried within 48 hours.
    pub within_two_days: u64,
}

/// A one-to-one as figures see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Who held it.
    pub by: String,
    /// How long, in minutes, if that was written down.
    pub minutes: Option<u32>,
    /// Whether something was asked.
    pub asked: bool,
    /// Whether there is a next step.
    pub next: bool,
}

/// What is looked for by its day.
#[derive(Clone, Copy, Debug)]
enum Happened {
    Move,
    OneToOne,
}

impl Happened {
    /// The part of a query that finds events of this kind from one moment until before another.
    const fn sql(self) -> &'static str {
        match self {
            Self::Move => "event e INDEXED BY event_move WHERE e.kind = 'move' AND e.at >= ?1 AND e.at < ?2",
            Self::OneToOne => {
                "event e INDEXED BY event_one_to_one WHERE e.kind = 'one_to_one' AND e.at >= ?1 AND e.at < ?2"
            }
        }
    }
}

/// From one moment until before another.
pub(crate) type Span = (Timestamp, Timestamp);

fn by_whom(event: &Event) -> String {
    event.by.as_ref().map_or_else(String::new, |by| by.expose().to_owned())
}

/// The value below which so many of a hundred are, of `all` of whom only these are known; none: it is not known yet.
fn nearest_rank(known: &[i64], all: usize, percent: usize) -> Option<i64> {
    let rank = (all * percent).div_ceil(100);
    known.get(rank.checked_sub(1)?).copied()
}

impl Read<'_> {
    /// Every record with an event of this kind in a span.
    fn each_with(
        &self,
        happened: Happened,
        chapter: Option<ScopeId>,
        (from, to): Span,
        mut with: impl FnMut(&Supporter),
    ) -> Result<(), StoreError> {
        let (events, records) = (happened.sql(), self.records_of(chapter)?);
        let sql = format!(
            "SELECT v.view FROM (SELECT DISTINCT e.document AS document FROM {events}) e
             CROSS JOIN supporter v ON v.document = e.document WHERE {records}"
        );
        let row = params![from.as_millis(), to.as_millis()];
        let read = |row: &Row<'_>| row.get::<_, String>(0);
        self.each("read what happened", &sql, row, read, |json| {
            with(&read_view(&json)?);
            Ok(())
        })
    }

    /// Moves on the ladder in a span, each once.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn moves(&self, chapter: Option<ScopeId>, span: Span) -> Result<Moves, StoreError> {
        let (mut made, mut seen) = (Moves::default(), BTreeSet::new());
        self.each_with(Happened::Move, chapter, span, |her| {
            for event in within(her, span) {
                let Body::Move { how, .. } = &event.body else { continue };
                // It is written into each of a person's joined records.
                if !seen.insert(event.id) {
                    continue;
                }
                match how {
                    MoveKind::Up => made.up += 1,
                    MoveKind::Down => made.down += 1,
                    MoveKind::Skip => made.skips += 1,
                    MoveKind::Baseline | MoveKind::Settled => {}
                }
            }
        })?;
        Ok(made)
    }

    /// One-to-ones that were held in a span.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn conversations(&self, chapter: Option<ScopeId>, span: Span) -> Result<Vec<Conversation>, StoreError> {
        let mut found = Vec::new();
        self.each_with(Happened::OneToOne, chapter, span, |her| {
            found.extend(within(her, span).filter_map(|event| {
                let Body::OneToOne { minutes, ask, next, .. } = &event.body else { return None };
                let said = |text: &Option<Personal>| text.as_ref().is_some_and(|text| !text.is_blank());
                let (asked, next) = (said(ask), said(next));
                Some(Conversation { by: by_whom(event), minutes: *minutes, asked, next })
            }));
        })?;
        Ok(found)
    }

    /// How many one-to-ones were held in each of so many weeks that end at a moment, the oldest first.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn one_to_ones_by_week(
        &self,
        chapter: Option<ScopeId>,
        to: Timestamp,
        weeks: usize,
    ) -> Result<Vec<(Timestamp, u64)>, StoreError> {
        let from = to.plus_millis(-WEEK_MS * weeks as i64);
        let records = self.records_of(chapter)?;
        let sql = format!(
            "SELECT (e.at - ?1) / {WEEK_MS}, count(*) FROM (SELECT e.document AS document, e.at AS at FROM {}) e
             CROSS JOIN supporter v ON v.document = e.document WHERE {records} GROUP BY 1",
            Happened::OneToOne.sql()
        );
        let row = params![from.as_millis(), to.as_millis()];
        let counted =
            self.all("count one-to-ones", &sql, row, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?)))?;
        let counted: BTreeMap<i64, u64> = counted.into_iter().collect();
        let week = |nth: i64| (from.plus_millis(nth * WEEK_MS), counted.get(&nth).copied().unwrap_or(0));
        Ok((0..weeks as i64).map(week).collect())
    }

    /// How long people who came in a span waited for the first attempt.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn first_attempts(&self, chapter: Option<ScopeId>, (from, to): Span) -> Result<FirstAttempts, StoreError> {
        let (ladder, people) = (self.settings()?.ladder, self.people_of(chapter)?);
        // Who came with a list alone is not read: that may be everybody.
        let others = SignUpOrigin::ALL.iter().filter(|origin| **origin != SignUpOrigin::Import);
        let others: Vec<String> =
            others.map(|origin| format!("instr(v.view, '\"origin\":\"{}\"') > 0", origin.word())).collect();
        // An id begins with its time. Ids are compared as they are indexed.
        let sql = format!(
            "SELECT v.view, v.shown_under FROM document d CROSS JOIN supporter v ON v.document = d.id
             WHERE d.doc_id >= ? AND d.doc_id < ? AND v.listed = 1 AND {people}
               AND (v.shown_under IS NOT NULL OR {})",
            others.join(" OR ")
        );
        let bounds = [from, to].map(|at| DocId::from_parts(at, [0; 10]));
        let (mut made, mut waited) = (FirstAttempts::default(), Vec::new());
        let row = params![bounds[0].as_bytes(), bounds[1].as_bytes()];
        self.each("read who signed up", &sql, row, shown_row, |row| {
            let her = self.whole_of(&row, &ladder)?;
            let by_herself =
                |event: &&Event| matches!(event.body, Body::SignUp { origin, .. } if origin != SignUpOrigin::Import);
            let signed_up = her.events.iter().find(by_herself).map(|event| event.at);
            let Some(signed_up) = signed_up else { return Ok(()) };
            let tries = |event: &&Event| matches!(event.body, Body::Attempt { .. } | Body::OneToOne { .. });
            made.signed_up += 1;
            waited.extend(her.events.iter().find(tries).map(|event| event.at.since(signed_up).max(0)));
            Ok(())
        })?;
        waited.sort_unstable();
        let within = |ms: i64| waited.partition_point(|waited| *waited <= ms) as u64;
        made.tried = waited.len() as u64;
        (made.within_day, made.within_two_days) = (within(DAY_MS), within(2 * DAY_MS));
        let all = usize::try_from(made.signed_up).unwrap_or(usize::MAX);
        (made.median_ms, made.p90_ms) = (nearest_rank(&waited, all, 50), nearest_rank(&waited, all, 90));
        Ok(made)
    }
}

/// What happened to her in a span.
fn within(her: &Supporter, (from, to): Span) -> impl Iterator<Item = &Event> {
    her.events.iter().filter(move |event| event.at >= from && event.at < to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_tried_yet_waits_longest() {
        assert_eq!(nearest_rank(&[1, 2, 9], 4, 50), Some(2));
        assert_eq!(nearest_rank(&[1, 2, 9], 4, 90), None, "the fourth was not tried yet");
        assert_eq!(nearest_rank(&[], 0, 50), None);
        assert_eq!(nearest_rank(&[5], 1, 50), Some(5));
        assert_eq!(nearest_rank(&[5], 3, 50), None);
    }
}
