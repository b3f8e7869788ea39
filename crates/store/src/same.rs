//! Which records are of one person, and under which of them she is shown.
//!
//! **Invariants:** a link joins what is here: a set is whatever links connect among the records in the view, at most
//! [`JOINED_MAX`] of them; more stay apart. Rows, words and counters know single records only: before a record's row is
//! written, every set around it is parted into single records, and afterwards joined again from the links. Who knows a link
//! and how it came is not asked here.

use std::collections::{BTreeMap, BTreeSet};

use model::{DocId, JOINED_MAX, Ladder, Supporter, Timestamp, as_one};
use rusqlite::params;

use crate::home::ELSEWHERE;
use crate::view::{Before, ToDo, figures_of, tried};
use crate::words::words_of;
use crate::{Read, StoreError, Tx};

/// Who waits: in a condition on `supporter v`. Of joined records it is enough that one is in a chapter.
pub(crate) const WAITS: &str = "v.home IS NULL AND (v.shown_under IS NULL OR NOT EXISTS
  (SELECT 1 FROM supporter m WHERE m.shown_under = v.document AND m.home IS NOT NULL))";
/// Where the counters hold, as a negative number, whom several chapters count: no scope has this number.
const COUNTED_TWICE: i64 = -1;

/// A record in a set.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) document: i64,
    home: Option<i64>,
    view: Supporter,
}

/// A record in the view that a link reaches.
struct Near {
    id: DocId,
    document: i64,
    shown_under: Option<i64>,
    /// Her home, if that chapter has left.
    apart: Option<i64>,
}

/// Whom a record names. One that names more than fit into a set names nobody: that bounds what a change can set in motion.
pub(crate) fn named(record: Option<&Supporter>) -> BTreeSet<DocId> {
    let named = record.map(|record| &record.same_as).filter(|named| named.len() < JOINED_MAX);
    named.cloned().unwrap_or_default()
}

/// What a set adds to the counters. Every chapter that has a record of hers counts her once, as it does by itself; what is
/// too much for the whole is taken off apart. Who is in a chapter does not wait.
pub(crate) fn counted(set: &[Member], ladder: &Ladder) -> BTreeMap<(i64, String), i64> {
    let mut homes: BTreeMap<Option<i64>, Vec<&Supporter>> = BTreeMap::new();
    for member in set {
        homes.entry(member.home).or_default().push(&member.view);
    }
    for nowhere in [None, Some(ELSEWHERE)] {
        if homes.len() > 1 {
            homes.remove(&nowhere);
        }
    }
    let mut counted: BTreeMap<(i64, String), i64> = BTreeMap::new();
    let mut add = |scope: i64, records: &[&Supporter], by: i64| {
        let shown = as_one(records.iter().copied(), ladder);
        for name in shown.iter().flat_map(figures_of) {
            *counted.entry((scope, name)).or_default() += by;
        }
    };
    for (home, records) in &homes {
        add(home.unwrap_or(0), records, 1);
        add(COUNTED_TWICE, records, -1);
    }
    let all: Vec<&Supporter> = set.iter().map(|member| &member.view).collect();
    add(COUNTED_TWICE, &all, 1);
    counted
}

/// The set as one supporter; `None` for an empty one.
pub(crate) fn whole(set: &[Member], ladder: &Ladder) -> Option<Supporter> {
    as_one(set.iter().map(|member| &member.view), ladder)
}

impl Read<'_> {
    /// The records of the set that is shown under a row, the smallest id first.
    pub(crate) fn members(&self, under: i64) -> Result<Vec<Member>, StoreError> {
        let sql = "SELECT v.document, v.home, v.view FROM supporter v JOIN document d ON d.id = v.document
                   WHERE v.shown_under = ? ORDER BY d.doc_id";
        let rows = self.all("read a set", sql, params![under], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?))
        })?;
        let member = |(document, home, json): (i64, Option<i64>, String)| {
            let view = serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("supporter"))?;
            Ok(Member { document, home, view })
        };
        rows.into_iter().map(member).collect()
    }

    /// Whoever is in the view of a record, those that it names, and those that name it.
    fn near(&self, document: i64) -> Result<Vec<Near>, StoreError> {
        let sql = "SELECT d.doc_id, v.document, v.shown_under,
                     (SELECT c.scope FROM chapter c WHERE c.scope = v.home AND c.left_at IS NOT NULL)
                   FROM supporter v JOIN document d ON d.id = v.document
                   WHERE v.document IN (
                     SELECT ?1
                     UNION SELECT o.id FROM same s JOIN document o ON o.doc_id = s.other WHERE s.document = ?1
                     UNION SELECT s.document FROM document o JOIN same s ON s.other = o.doc_id WHERE o.id = ?1
                     UNION SELECT other FROM same_here WHERE document = ?1
                     UNION SELECT document FROM same_here WHERE other = ?1)";
        self.all("look who is the same", sql, params![document], |row| {
            let (id, document, shown_under) = (DocId::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?);
            Ok(Near { id, document, shown_under, apart: row.get(3)? })
        })
    }

    /// The home that a record's row in the view has.
    pub(crate) fn shown_home(&self, document: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT home FROM supporter WHERE document = ?";
        Ok(self.one("read where she is shown", sql, params![document], |row| row.get(0))?.flatten())
    }

    /// The rows of everybody whose home a chapter is and whom a link names.
    pub(crate) fn linked_at_home(&self, home: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT v.document FROM supporter v JOIN document d ON d.id = v.document WHERE v.home = ?
                   AND (EXISTS (SELECT 1 FROM same WHERE document = v.document) OR EXISTS (SELECT 1 FROM same WHERE other = d.doc_id)
                     OR EXISTS (SELECT 1 FROM same_here WHERE document = v.document)
                     OR EXISTS (SELECT 1 FROM same_here WHERE other = v.document))";
        self.all("look who is linked", sql, params![home], |row| row.get(0))
    }

    /// The rows of everybody whom links connect with a record, itself included, the smallest id first; nobody if they are
    /// more than are joined. Whose chapter has left is joined with others of that chapter only.
    pub(crate) fn connected(&self, document: i64) -> Result<Vec<i64>, StoreError> {
        let apart = self.apart(self.shown_home(document)?)?;
        let mut found: BTreeMap<DocId, i64> = BTreeMap::new();
        let mut ahead = vec![document];
        while let Some(row) = ahead.pop() {
            for near in self.near(row)?.into_iter().filter(|near| near.apart == apart) {
                if found.insert(near.id, near.document).is_none() && near.document != row {
                    ahead.push(near.document);
                }
            }
            if found.len() > JOINED_MAX {
                return Ok(Vec::new());
            }
        }
        Ok(found.into_values().collect())
    }

    /// Records here that name this one as hers, too.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn naming(&self, record: DocId) -> Result<Vec<DocId>, StoreError> {
        let sql =
            "SELECT d.doc_id FROM same s JOIN document d ON d.id = s.document WHERE s.other = ? ORDER BY d.doc_id";
        let ids = self.all("look who names her", sql, params![record.as_bytes()], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }

    /// Records that are said to be hers at this node only.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn same_here(&self, record: DocId) -> Result<Vec<DocId>, StoreError> {
        let sql = "SELECT o.doc_id FROM document d JOIN same_here h ON h.document = d.id OR h.other = d.id
                   JOIN document o ON o.id = CASE h.document WHEN d.id THEN h.other ELSE h.document END
                   WHERE d.doc_id = ? ORDER BY o.doc_id";
        let ids = self.all("look who is the same here", sql, params![record.as_bytes()], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }

    /// Whom a record's row in the view names.
    pub(crate) fn named_by(&self, document: i64) -> Result<BTreeSet<DocId>, StoreError> {
        let sql = "SELECT other FROM same WHERE document = ?";
        let ids = self.all("read who is named", sql, params![document], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }
}

impl Tx<'_> {
    /// Says at this node only that records are of one person, two by two.
    ///
    /// # Errors
    /// When one is not here.
    pub fn join_here(&self, pairs: &[(DocId, DocId)], by: &str, at: Timestamp) -> Result<(), StoreError> {
        let row = |id: DocId| self.document_row(id)?.ok_or(StoreError::NoDocument(id));
        for (one, other) in pairs {
            let (one, other) = (row(*one)?, row(*other)?);
            let mut near = self.near(one)?;
            near.extend(self.near(other)?);
            let parted = self.part_sets(near)?;
            let sql = "INSERT OR IGNORE INTO same_here (document, other, by, at) VALUES (?, ?, ?, ?)";
            self.run("join records here", sql, params![one, other, by, at.as_millis()])?;
            self.any_links.set(Some(true));
            self.join_again(parted)?;
        }
        Ok(())
    }

    /// Takes back what was said at this node only of a record.
    ///
    /// # Errors
    /// When it is not here.
    pub fn part_here(&self, record: DocId) -> Result<(), StoreError> {
        let row = self.document_row(record)?.ok_or(StoreError::NoDocument(record))?;
        let parted = self.part_sets(self.near(row)?)?;
        self.run("part records", "DELETE FROM same_here WHERE document = ?1 OR other = ?1", params![row])?;
        self.join_again(parted)
    }

    /// Parts every set around a record before its row is written (`now`) or goes, and notes whom it names now. Gives whom
    /// to join again: nobody for almost everybody, at the price of one look a job.
    pub(crate) fn part_around(
        &self,
        document: i64,
        before: Option<&Before>,
        now: Option<&Supporter>,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let (said, says) = (named(before.map(|before| &before.view)), named(now));
        let (joined, stays) = (before.is_some_and(|before| before.joined), before.is_some() && now.is_some());
        if said == says && !joined && (stays || !self.any_links()?) {
            return Ok(BTreeSet::new());
        }
        let mut near = self.near(document)?;
        for other in said.difference(&says) {
            let sql = "DELETE FROM same WHERE document = ? AND other = ?";
            self.run("forget a link", sql, params![document, other.as_bytes()])?;
        }
        for other in says.difference(&said) {
            let sql = "INSERT OR IGNORE INTO same (document, other) VALUES (?, ?)";
            self.run("note a link", sql, params![document, other.as_bytes()])?;
            self.any_links.set(Some(true));
        }
        near.extend(self.near(document)?);
        let mut parted = self.part_sets(near)?;
        if now.is_some() {
            parted.insert(document);
        } else {
            parted.remove(&document);
        }
        Ok(parted)
    }

    /// Parts every set around these records, and joins again whom links connect once something has changed that is no link:
    /// whether their chapter has left.
    pub(crate) fn rejoining(
        &self,
        rows: &[i64],
        change: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut parted = self.part_sets(self.all_near(rows)?)?;
        change()?;
        // Around them may be others now than before.
        parted.extend(self.part_sets(self.all_near(rows)?)?);
        self.join_again(parted)
    }

    fn all_near(&self, rows: &[i64]) -> Result<Vec<Near>, StoreError> {
        let mut near = Vec::new();
        for row in rows {
            near.extend(self.near(*row)?);
        }
        Ok(near)
    }

    pub(crate) fn any_links(&self) -> Result<bool, StoreError> {
        if let Some(known) = self.any_links.get() {
            return Ok(known);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM same) OR EXISTS (SELECT 1 FROM same_here)";
        let any = self.number("look for links", sql, [])? > 0;
        self.any_links.set(Some(any));
        Ok(any)
    }

    /// Parts the sets of these; gives them and everybody who was in one.
    fn part_sets(&self, near: Vec<Near>) -> Result<BTreeSet<i64>, StoreError> {
        let sets: BTreeSet<i64> = near.iter().filter_map(|near| near.shown_under).collect();
        let mut parted: BTreeSet<i64> = near.iter().map(|near| near.document).collect();
        for under in sets {
            let set = self.members(under)?;
            set.iter().try_for_each(|member| self.put_to_do(member.document, &ToDo::of(&member.view)))?;
            self.move_figures(&set, -1)?;
            let sql = "UPDATE supporter SET shown_under = NULL, listed = 1 - hidden WHERE shown_under = ?";
            self.run("part a set", sql, params![under])?;
            parted.extend(set.iter().map(|member| member.document));
        }
        Ok(parted)
    }

    /// Joins whom links connect, beginning with each of these; all of them are single records.
    pub(crate) fn join_again(&self, mut parted: BTreeSet<i64>) -> Result<(), StoreError> {
        while let Some(row) = parted.pop_first() {
            let rows = self.connected(row)?;
            let [first, _, ..] = rows.as_slice() else { continue };
            for row in &rows {
                let sql = "UPDATE supporter SET shown_under = ?, listed = 0 WHERE document = ?";
                self.run("join a set", sql, params![first, row])?;
                self.put_to_do(*row, &ToDo::default())?;
                parted.remove(row);
            }
            self.move_figures(&self.members(*first)?, 1)?;
        }
        Ok(())
    }

    /// Moves counters, words, and what lists look at, from single records to the set (1) or back (-1).
    fn move_figures(&self, set: &[Member], by: i64) -> Result<(), StoreError> {
        let ladder = self.settings()?.ladder;
        let (Some(first), Some(whole)) = (set.first(), whole(set, &ladder)) else { return Ok(()) };
        for member in set {
            self.count_supporter(member.home, &member.view, -by);
        }
        for ((scope, name), value) in counted(set, &ladder) {
            self.count(scope, name, by * value);
        }
        let (own, all) = (words_of(&first.view), words_of(&whole));
        if own != all {
            let (old, new) = if by > 0 { (&own, &all) } else { (&all, &own) };
            self.put_words(first.document, old, new)?;
        }
        let shown = if by > 0 { &whole } else { &first.view };
        let sql = "UPDATE supporter SET rung = ?, conflicts = ?, tried = ?, listed = ? WHERE document = ?";
        let listed = !shown.erasure_asked;
        let row = params![shown.rung.as_str(), shown.conflicts.len(), tried(shown), listed, first.document];
        self.run("show a set", sql, row)?;
        self.put_to_do(first.document, &ToDo::of(shown))
    }

    fn put_to_do(&self, row: i64, work: &ToDo) -> Result<(), StoreError> {
        let sql =
            "UPDATE supporter SET new = ?2, due = ?3, spoken = ?4, kept = ?5, tended = ?6, ready = ?7, contact = ?8,
                                         planned = ?9, arrived = ?10, unreachable = ?11 WHERE document = ?1";
        let ToDo { new, due, spoken, kept, tended, ready, unreachable, contact, planned, arrived } = work;
        let values = params![row, new, due, spoken, kept, tended, ready, contact, planned, arrived, unreachable];
        self.run("show what there is to do", sql, values).map(drop)
    }
}
