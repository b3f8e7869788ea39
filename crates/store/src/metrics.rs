//! Figures about the people of a chapter, as docs/METRICS.md defines them.
//!
//! **Invariants:** joined records count as one person; a record that is hidden counts nowhere; what a page shows is found
//! by indexes and bounded by what happened in its window, and only a selection reads everybody, one after another.

use std::collections::{BTreeMap, BTreeSet};

use model::{Date, DocId, EvidenceRule, FourNumbers, Ladder, RungId, ScopeId, Since, Supporter, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Params, Row, params, params_from_iter};

use crate::action::Found;
use crate::error::During as _;
use crate::home::ELSEWHERE;
use crate::membership::STAYED;
use crate::people::SHOWN_ELSEWHERE;
use crate::same::whole;
use crate::{ActionRow, Read, RungCounts, StoreError, Turnout};

/// The most people who are read for the tree of who develops whom: more than anybody reads, in a chapter of any size.
pub const TREE_MAX: usize = 2_000;

/// The last actions on a sheet.
const LAST: usize = 3;
/// Past actions among which they are looked for: two years of two a week.
const PAST_READ: usize = 200;

/// Which people of a chapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// With a postal code that begins so.
    pub area: Option<String>,
    /// With this tag, shared or of the chapter alone.
    pub tag: Option<String>,
}

impl Selection {
    /// Whether she is one of them; `tagged` are those with the tag as one that stays in the chapter.
    fn fits(&self, her: &Supporter, tagged: &BTreeSet<DocId>) -> bool {
        let plain = |code: &str| code.to_ascii_uppercase().replace([' ', '-', '*'], "");
        let area = self.area.as_deref().map(plain);
        let codes = || her.addresses.iter().filter_map(|address| address.postal_code.as_ref());
        let there = area.is_none_or(|area| codes().any(|code| plain(code.expose()).starts_with(&area)));
        let has = |tag: &String| her.tags.contains(tag) || her.ids().any(|id| tagged.contains(&id));
        there && self.tag.as_ref().is_none_or(has)
    }
}

/// An action as it stands on a sheet: numbers, no names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionFigures {
    /// What it is called.
    pub name: String,
    /// Its day.
    pub on: Date,
    /// Who was asked.
    pub asked: u64,
    /// Of them, who said yes.
    pub yes: u64,
    /// Who came; of one that is still to come, nobody.
    pub came: u64,
}

/// Somebody above the lowest two rungs, and who develops her.
#[derive(Clone, Debug)]
pub struct Developing {
    /// Her records.
    pub ids: Vec<DocId>,
    /// Her name.
    pub name: String,
    /// Her rung.
    pub rung: RungId,
    /// Who develops her: a login or an id.
    pub by: Option<String>,
}

pub(crate) fn read_view(json: &str) -> Result<Supporter, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Corrupt("supporter"))
}

/// The view of a row, and under which row its person is shown.
pub(crate) fn shown_row(row: &Row<'_>) -> rusqlite::Result<(String, Option<i64>)> {
    Ok((row.get(0)?, row.get(1)?))
}

impl Read<'_> {
    /// Reads rows one after another, without holding them all.
    pub(crate) fn each<T>(
        &self,
        step: &'static str,
        sql: &str,
        row: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        mut with: impl FnMut(T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(sql).during(step)?;
        let mut rows = statement.query(row).during(step)?;
        while let Some(row) = rows.next().during(step)? {
            with(read(row).during(step)?)?;
        }
        Ok(())
    }

    /// Whose people count, as a condition on the row `v` under which somebody is shown: a chapter's, or everybody's but for
    /// chapters that left and homes elsewhere.
    pub(crate) fn people_of(&self, chapter: Option<ScopeId>) -> Result<String, StoreError> {
        let joined = |home: &str| {
            format!(
                "v.document IN (SELECT m.shown_under FROM supporter m INDEXED BY supporter_under
                   WHERE m.home {home} AND m.shown_under IS NOT NULL)"
            )
        };
        let Some(chapter) = chapter else {
            return Ok(format!("(v.home IS NOT {ELSEWHERE} OR {}) AND {STAYED}", joined("> 0")));
        };
        let home = self.known_scope(chapter)?.id;
        // Almost nowhere: and an OR would keep the index from being used.
        Ok(if self.number("look for records elsewhere", SHOWN_ELSEWHERE, params![home])? > 0 {
            format!("(v.home = {home} OR {})", joined(&format!("= {home}")))
        } else {
            format!("v.home = {home}")
        })
    }

    /// The same for single records, as a condition on their row `v` that leaves the index to others.
    pub(crate) fn records_of(&self, chapter: Option<ScopeId>) -> Result<String, StoreError> {
        Ok(match chapter {
            Some(chapter) => format!("v.hidden = 0 AND +v.home = {}", self.known_scope(chapter)?.id),
            None => format!("v.hidden = 0 AND v.home IS NOT {ELSEWHERE} AND {STAYED}"),
        })
    }

    /// The person whose row this is: her records together.
    pub(crate) fn whole_of(
        &self,
        (json, under): &(String, Option<i64>),
        ladder: &Ladder,
    ) -> Result<Supporter, StoreError> {
        match under {
            Some(under) => whole(&self.members(*under)?, ladder).ok_or(StoreError::Corrupt("supporter")),
            None => read_view(json),
        }
    }

    /// How many people stand on each rung: counters.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn on_rungs(&self, chapter: Option<ScopeId>) -> Result<RungCounts, StoreError> {
        let Some(chapter) = chapter else { return Ok(self.tally()?.rungs) };
        let sql = "SELECT substr(name, 6), value FROM counter WHERE scope = ? AND name LIKE 'rung/%' AND value > 0";
        self.all("read counters", sql, params![self.known_scope(chapter)?.id], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The four numbers of a chapter or of everybody, by counters and indexes.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn four_numbers(&self, chapter: Option<ScopeId>, now: Timestamp) -> Result<FourNumbers, StoreError> {
        let (ladder, since, people) = (self.settings()?.ladder, Since::of(now), self.people_of(chapter)?);
        let base = format!("{people} AND v.spoken >= ?1 AND v.unreachable IS NULL");
        let sql = format!("SELECT count(*) FROM supporter v WHERE {base}");
        let in_base = self.number("count the base", &sql, params![since.spoken.as_millis()])?;
        let on = |rule| {
            let rungs = ladder.above(rule);
            let marks: Vec<String> = (0..rungs.len()).map(|nth| format!("?{}", nth + 3)).collect();
            let mut values: Vec<Value> = vec![since.spoken.as_millis().into(), since.kept.as_millis().into()];
            values.extend(rungs.iter().map(|rung| Value::from(rung.id.as_str().to_owned())));
            (format!("{base} AND v.kept >= ?2 AND v.rung IN ({})", marks.join(", ")), values)
        };
        let (committed, values) = on(EvidenceRule::Commitment);
        let sql = format!("SELECT count(*) FROM supporter v WHERE {committed}");
        let committed = self.number("count who is committed", &sql, params_from_iter(values))?;
        let (leading, values) = on(EvidenceRule::Leadership);
        let sql = format!(
            "SELECT d.doc_id, v.shown_under FROM supporter v CROSS JOIN document d ON d.id = v.document WHERE {leading}"
        );
        let leading = self.all("look who may lead", &sql, params_from_iter(values), |row| {
            Ok((DocId::from_bytes(row.get(0)?), row.get::<_, Option<i64>>(1)?))
        })?;
        let mut known_as: Vec<Vec<String>> = Vec::new();
        for (id, under) in leading {
            known_as.push(match under {
                Some(under) => {
                    let all = whole(&self.members(under)?, &ladder);
                    all.iter().flat_map(Supporter::ids).map(|id| id.to_string()).collect()
                }
                None => vec![id.to_string()],
            });
        }
        let raising = self.raising(&known_as, &people, since, &ladder)?;
        let leads = |ids: &&Vec<String>| ids.iter().any(|id| raising.contains(id));
        let leaders = known_as.iter().filter(leads).count() as u64;
        let list = self.on_rungs(chapter)?.iter().map(|(_, count)| count).sum();
        Ok(FourNumbers { list, base: in_base, committed, leaders })
    }

    /// Which of these ids are of somebody who develops people of whom one kept an ask lately: bounded by whom they develop.
    fn raising(
        &self,
        known_as: &[Vec<String>],
        people: &str,
        since: Since,
        ladder: &Ladder,
    ) -> Result<BTreeSet<String>, StoreError> {
        let sql = format!(
            "SELECT v.view, v.shown_under FROM
               (SELECT DISTINCT coalesce(m.shown_under, m.document) AS document FROM raised r
                JOIN supporter m ON m.document = r.document
                WHERE r.how = 'developed' AND r.by IN (SELECT value FROM json_each(?1))) r
             CROSS JOIN supporter v ON v.document = r.document WHERE v.kept >= ?2 AND {people}"
        );
        let ids: Vec<&String> = known_as.iter().flatten().collect();
        let row = params![serde_json::to_string(&ids).unwrap_or_default(), since.kept.as_millis()];
        let mut raising = BTreeSet::new();
        self.each("look whose people keep asks", &sql, row, shown_row, |row| {
            let her = self.whole_of(&row, ladder)?;
            raising.extend(her.raised_by().filter(|_| her.kept_an_ask(since)).map(str::to_owned));
            Ok(())
        })?;
        Ok(raising)
    }

    /// The four numbers of a selection. Reads everybody, one after another.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn four_numbers_of(
        &self,
        chapter: Option<ScopeId>,
        selection: &Selection,
        now: Timestamp,
    ) -> Result<FourNumbers, StoreError> {
        let (ladder, since, people) = (self.settings()?.ladder, Since::of(now), self.people_of(chapter)?);
        let sql = format!("SELECT v.view, v.shown_under FROM supporter v WHERE v.listed = 1 AND {people}");
        let tag = selection.tag.as_ref().map(|tag| self.with_private_tag(tag)).transpose()?;
        let tagged = tag.unwrap_or_default();
        let (mut made, mut raising, mut leading) = (FourNumbers::default(), BTreeSet::new(), Vec::new());
        self.each("read everybody", &sql, [], shown_row, |row| {
            let her = self.whole_of(&row, &ladder)?;
            // Whoever develops is in the selection or not; whom she develops may live anywhere.
            raising.extend(her.raised_by().filter(|_| her.kept_an_ask(since)).map(str::to_owned));
            if !selection.fits(&her, &tagged) {
                return Ok(());
            }
            let in_base = her.in_base(since);
            let committed = in_base && her.is_committed(&ladder, since);
            made.list += 1;
            made.base += u64::from(in_base);
            made.committed += u64::from(committed);
            if committed && her.stands_above(&ladder, EvidenceRule::Leadership) {
                leading.push(her.ids().map(|id| id.to_string()).collect::<Vec<_>>());
            }
            Ok(())
        })?;
        let leads = |ids: &&Vec<String>| ids.iter().any(|id| raising.contains(id));
        made.leaders = leading.iter().filter(leads).count() as u64;
        Ok(made)
    }

    /// How many fewer people there would be if all who share an e-mail address or a number were one: couples do, too.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn possible_duplicates(&self, chapter: Option<ScopeId>) -> Result<u64, StoreError> {
        let people = self.people_of(chapter)?;
        let sql = format!(
            "SELECT s.value, v.document FROM (SELECT value FROM reach GROUP BY value HAVING count(*) > 1) s
             CROSS JOIN reach r ON r.value = s.value CROSS JOIN supporter m ON m.document = r.document
             CROSS JOIN supporter v ON v.document = coalesce(m.shown_under, m.document) WHERE v.listed = 1 AND {people}"
        );
        let (mut first, mut same) = (BTreeMap::new(), BTreeMap::new());
        let mut fewer = 0;
        let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
        self.each("look who shares an address", &sql, [], read, |(value, row)| {
            let other = *first.entry(value).or_insert(row);
            let (one, other) = (root(&same, row), root(&same, other));
            if one != other {
                same.insert(one.max(other), one.min(other));
                fewer += 1;
            }
            Ok(())
        })?;
        Ok(fewer)
    }

    /// How many people each organiser looks after, most first.
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn looked_after(&self, chapter: Option<ScopeId>) -> Result<Vec<(String, u64)>, StoreError> {
        let records = self.records_of(chapter)?;
        let sql = format!(
            "SELECT v.looked_after_by, count(*) FROM supporter v INDEXED BY supporter_care
             WHERE v.looked_after_by IS NOT NULL AND v.listed = 1 AND {records} GROUP BY 1 ORDER BY 2 DESC, 1"
        );
        self.all("count who is looked after", &sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// People above the lowest two rungs, with who develops each; at most [`TREE_MAX`].
    ///
    /// # Errors
    /// When rows can't be read, or the chapter is not known.
    pub fn developing(&self, chapter: Option<ScopeId>) -> Result<Vec<Developing>, StoreError> {
        let (ladder, people) = (self.settings()?.ladder, self.people_of(chapter)?);
        let rungs = ladder.rungs().iter().skip(2);
        let mut values: Vec<Value> = rungs.map(|rung| Value::from(rung.id.as_str().to_owned())).collect();
        let marks = vec!["?"; values.len()].join(", ");
        values.push(Value::from(TREE_MAX as i64));
        let sql = format!(
            "SELECT v.view, v.shown_under FROM supporter v WHERE v.listed = 1 AND {people} AND v.rung IN ({marks})
             ORDER BY v.document LIMIT ?"
        );
        let mut found = Vec::new();
        self.each("read who develops whom", &sql, params_from_iter(values), shown_row, |row| {
            let her = self.whole_of(&row, &ladder)?;
            let by = her.raised_by().map(str::to_owned);
            found.push(Developing { ids: her.ids().collect(), name: her.display_name(), rung: her.rung, by });
            Ok(())
        })?;
        Ok(found)
    }

    /// The last three actions before a day, the newest first, and the next one from it on: numbers alone. Only those with
    /// this tag, if there is one; none that were cancelled.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn turnout(
        &self,
        tag: Option<&str>,
        today: Date,
    ) -> Result<(Vec<ActionFigures>, Option<ActionFigures>), StoreError> {
        let wanted = |(action, _): &Found| !action.cancelled && tag.is_none_or(|tag| action.tag == tag);
        let to_come = |(action, _): &Found| action.on.is_some_and(|on| on >= today);
        let past = |found: &Found| found.0.on.is_some() && !to_come(found);
        let listed: Vec<Found> = self.found_actions(today, None, PAST_READ)?.into_iter().filter(wanted).collect();
        // Those to come are listed first, the next one before the others; then the past ones, the last one first.
        let next = listed.iter().filter(|found| to_come(found)).take(1);
        let chosen = next.chain(listed.iter().filter(|found| past(found)).take(LAST)).cloned().collect();
        let figures = |row: ActionRow| {
            let Turnout { asked, said_yes, came, .. } = row.turnout;
            row.action.on.map(|on| ActionFigures { name: row.action.name, on, asked, yes: said_yes, came })
        };
        let figures = self.with_turnout(chosen)?.into_iter().filter_map(figures);
        let (mut to_come, past): (Vec<_>, Vec<_>) = figures.partition(|action| action.on >= today);
        Ok((past, to_come.pop()))
    }
}

/// Under which row somebody stands who may be the same as others.
fn root(same: &BTreeMap<i64, i64>, mut row: i64) -> i64 {
    while let Some(up) = same.get(&row) {
        row = *up;
    }
    row
}
