//! Counting again: whether what was kept step by step is what the documents say.

use std::collections::BTreeMap;

use model::{DocId, Ladder, ScopeId, ScopeSum, Supporter, Timestamp};
use record::Record;
use rusqlite::params;

use crate::ask::asks_of;
use crate::raised::raised;
use crate::rows::split_hashes;
use crate::same::{counted, named, whole};
use crate::view::{Columns, View};
use crate::{Read, StoreError, Tx};

/// The most differences that are kept of a counting: who has more looks with `verify`.
const KEPT_MAX: usize = 20;
/// The longest words that are kept of one, in characters.
const WORDS_CHARS_MAX: usize = 500;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub what: String,
    /// How it differs.
    pub words: String,
}

/// What counting everything again last came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recounted {
    /// When.
    pub at: Timestamp,
    /// What differed.
    pub found: Vec<Difference>,
}

fn difference(what: impl Into<String>, words: impl Into<String>) -> Difference {
    Difference { what: what.into(), words: words.into() }
}

impl Read<'_> {
    /// The sum of a scope, made again from its documents; documents in dispute are left out.
    ///
    /// # Errors
    /// When rows can't be read, or the scope is not known.
    pub fn recount(&self, scope: ScopeId) -> Result<(ScopeSum, u64), StoreError> {
        let sql = "SELECT d.doc_id, s.heads FROM assign a JOIN document d ON d.id = a.document
                   JOIN snapshot s ON s.document = d.id
                   WHERE a.scope = ? AND a.state = 'held' AND d.state != 'quarantined'";
        let id = self.known_scope(scope)?.id;
        let sums = self.all("sum a scope again", sql, params![id], |row| {
            Ok(ScopeSum::of(DocId::from_bytes(row.get(0)?), &split_hashes(row.get_ref(1)?.as_blob()?)))
        })?;
        let count = sums.len() as u64;
        Ok((sums.into_iter().fold(ScopeSum::default(), ScopeSum::plus), count))
    }

    /// Everything that differs: the file, sums and counts, documents against rows, view against documents, joined records
    /// against links, counters.
    ///
    /// # Errors
    /// When rows can't be read at all.
    pub fn verify(&self) -> Result<Vec<Difference>, StoreError> {
        let mut found = self.check_file()?;
        found.extend(self.check_sums()?);
        found.extend(self.check_documents()?);
        found.extend(self.check_joined()?);
        found.extend(self.check_homes()?);
        found.extend(self.check_left()?);
        found.extend(self.check_counters()?);
        Ok(found)
    }

    fn check_file(&self) -> Result<Vec<Difference>, StoreError> {
        // The check itself reads the search index by what this connection remembers of it; a search makes it look again.
        self.number("look into the search index", "SELECT count(*) FROM fts WHERE fts MATCH '\"a\"'", [])?;
        let lines = self.all("check its file", "PRAGMA integrity_check(20)", [], |row| row.get::<_, String>(0))?;
        Ok(lines.into_iter().filter(|line| line != "ok").map(|line| difference("file", line)).collect())
    }

    fn check_sums(&self) -> Result<Vec<Difference>, StoreError> {
        let mut found = Vec::new();
        for scope in self.scopes()? {
            found.extend(self.check_scope(scope)?);
        }
        Ok(found)
    }

    /// Every scope that is known here.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn scopes(&self) -> Result<Vec<ScopeId>, StoreError> {
        let scopes = self.all("read scopes", "SELECT scope FROM scope ORDER BY id", [], |row| row.get(0))?;
        Ok(scopes.into_iter().map(ScopeId::from_bytes).collect())
    }

    /// What differs in a scope: its sum and count, its feed.
    ///
    /// # Errors
    /// When rows can't be read, or the scope is not known.
    pub fn check_scope(&self, scope: ScopeId) -> Result<Vec<Difference>, StoreError> {
        let mut found = Vec::new();
        let kept = self.known_scope(scope)?;
        let (sum, count) = self.recount(scope)?;
        if kept.sum != sum || kept.count != count {
            let words = format!("kept {} of {} documents, counted {sum} of {count}", kept.sum, kept.count);
            found.push(difference(format!("sum of scope {scope}"), words));
        }
        let sql = "SELECT count(*), coalesce(min(seq), ?1) FROM feed WHERE scope = ?2";
        let counted = self.one("count feed rows", sql, params![kept.next_seq, kept.id], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
        })?;
        let (rows, first) = counted.unwrap_or_default();
        if rows != kept.next_seq - first {
            let words = format!("{rows} rows from {first} to {}", kept.next_seq - 1);
            found.push(difference(format!("feed of scope {scope}"), words));
        }
        Ok(found)
    }

    fn check_documents(&self) -> Result<Vec<Difference>, StoreError> {
        let ladder = self.settings()?.ladder;
        let ids = self.all(
            "list documents",
            "SELECT doc_id FROM document WHERE state != 'erased' AND state != 'gone'",
            [],
            |row| row.get(0),
        )?;
        let (mut found, mut raising) = (Vec::new(), self.all_raised()?);
        for id in ids.into_iter().map(DocId::from_bytes) {
            let Some(row) = self.document(id)? else { continue };
            let Some((heads, saved)) = self.snapshot(row.id)? else { continue };
            let record = match Record::load(&saved) {
                Ok(record) if record.heads() == heads && record.id() == Some(id) => record,
                Ok(_) => {
                    found.push(difference(format!("record {id}"), "the snapshot has other heads than its row"));
                    continue;
                }
                Err(error) => {
                    found.push(difference(format!("record {id}"), error.to_string()));
                    continue;
                }
            };
            if row.dirty.is_none() && row.heads != heads {
                found.push(difference(format!("record {id}"), "logged and folded heads differ with nothing to fold"));
            }
            let view = View::of(&record, row.kind, &ladder);
            let sound = match &view {
                View::Supporter(made) => {
                    let said = raising.remove(&row.id).unwrap_or_default();
                    let said = said.iter().map(|(by, how)| (by.as_str(), how.as_str()));
                    self.record(id)?.supporter == made.supporter
                        && self.columns_fit(row.id, &made.supporter, &ladder)?
                        && said.eq(raised(Some(&made.supporter)))
                        && self.named_by(row.id)? == named(Some(&made.supporter))
                        && self.parts_of(row.id)? == made.supporter.parts()
                        && self.asks_shown(row.id)? == asks_of(&made.supporter)
                }
                View::Action(_) => self.shows(row.id, &view)?,
                View::Card(_) | View::Nothing => true,
            };
            if !sound {
                found.push(difference(format!("view of {id}"), "the row differs from the record"));
            }
        }
        Ok(found)
    }

    /// Whether the columns of a row say what its record says; of joined records the first one's what the set says.
    fn columns_fit(&self, document: i64, made: &Supporter, ladder: &Ladder) -> Result<bool, StoreError> {
        let Some((columns, under)) = self.columns(document)? else { return Ok(false) };
        let wanted = match under {
            None => Columns::of(made, Some(made)),
            Some(first) if first == document => Columns::of(made, whole(&self.members(first)?, ladder).as_ref()),
            Some(_) => Columns::of(made, None),
        };
        Ok(columns == wanted)
    }

    /// Rows of a view whose document is not here any more.
    fn check_left(&self) -> Result<Vec<Difference>, StoreError> {
        let mut found = Vec::new();
        for (table, sql) in [
            ("part", "SELECT count(*) FROM part WHERE document NOT IN (SELECT document FROM supporter)"),
            ("ask", "SELECT count(*) FROM ask WHERE document NOT IN (SELECT document FROM supporter)"),
            ("raised", "SELECT count(*) FROM raised WHERE document NOT IN (SELECT document FROM supporter)"),
            (
                "action",
                "SELECT count(*) FROM action v LEFT JOIN document d ON d.id = v.document
                 WHERE d.kind IS NOT 'action' OR d.state = 'gone' OR d.state = 'erased'",
            ),
        ] {
            let left = self.number("look for what is left", sql, [])?;
            if left > 0 {
                found.push(difference(format!("rows of {table}"), format!("{left} are of what is not here")));
            }
        }
        Ok(found)
    }

    /// Whether every record is shown under whom links say, and with the figures of its set.
    fn check_joined(&self) -> Result<Vec<Difference>, StoreError> {
        let ladder = self.settings()?.ladder;
        let sql = "SELECT v.document, v.shown_under, v.listed, v.hidden, v.rung, v.conflicts FROM supporter v
                   WHERE v.shown_under IS NOT NULL OR v.listed != 1 - v.hidden OR v.document IN (
                     SELECT document FROM same
                     UNION SELECT d.id FROM same s JOIN document d ON d.doc_id = s.other
                     UNION SELECT document FROM same_here UNION SELECT other FROM same_here)";
        let rows = self.all("read joined records", sql, [], |row| {
            let (listed, hidden) = (row.get::<_, bool>(2)?, row.get::<_, bool>(3)?);
            let figures = (row.get::<_, String>(4)?, row.get::<_, u64>(5)?);
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, listed, hidden, figures))
        })?;
        let mut found = Vec::new();
        for (document, under, listed, hidden, figures) in rows {
            let set = self.connected(document)?;
            let wanted = set.first().copied().filter(|_| set.len() > 1);
            let fits = match wanted {
                _ if wanted != under => false,
                None => listed != hidden,
                Some(first) if first != document => !listed,
                Some(first) => {
                    let shown = whole(&self.members(first)?, &ladder).ok_or(StoreError::Corrupt("supporter"))?;
                    let set_figures = (shown.rung.to_string(), shown.conflicts.len() as u64);
                    listed != shown.erasure_asked && figures == set_figures
                }
            };
            if !fits {
                let words = format!("shown under {under:?}, links say {wanted:?}");
                found.push(difference(format!("joined records, row {document}"), words));
            }
        }
        Ok(found)
    }

    /// Whether everybody whom chapters of this hub serve has one home.
    fn check_homes(&self) -> Result<Vec<Difference>, StoreError> {
        let sql = "SELECT d.doc_id, count(*), sum(a.guest) FROM assign a JOIN scope s ON s.id = a.scope JOIN document d ON d.id = a.document
                   WHERE s.role = 'chapter' AND a.state = 'held' AND d.state != 'erased' GROUP BY a.document
                   HAVING count(*) - sum(a.guest) != CASE WHEN EXISTS (SELECT 1 FROM assign o JOIN scope t ON t.id = o.scope
                     WHERE o.document = a.document AND o.state = 'held' AND o.guest = 1 AND t.role = 'own') THEN 0 ELSE 1 END";
        let homes = self.all("look who is at home where", sql, [], |row| {
            Ok((DocId::from_bytes(row.get(0)?), row.get::<_, u64>(1)?, row.get::<_, u64>(2)?))
        })?;
        let words = |chapters, guests| format!("{chapters} chapters serve her, {guests} of them beside her home");
        Ok(homes.into_iter().map(|(id, n, guests)| difference(format!("home of {id}"), words(n, guests))).collect())
    }

    /// What differs in the counters.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn check_counters(&self) -> Result<Vec<Difference>, StoreError> {
        let read =
            |row: &rusqlite::Row<'_>| Ok(((row.get::<_, i64>(0)?, row.get::<_, String>(1)?), row.get::<_, i64>(2)?));
        let kept = self.all("read counters", "SELECT scope, name, value FROM counter WHERE value != 0", [], read)?;
        let sql = "SELECT coalesce(home, 0), 'rung/' || rung, count(*) FROM supporter
                   WHERE hidden = 0 AND shown_under IS NULL GROUP BY 1, 2
                   UNION ALL SELECT coalesce(home, 0), 'conflicts', count(*) FROM supporter
                   WHERE conflicts > 0 AND hidden = 0 AND shown_under IS NULL GROUP BY 1";
        let alone = self.all("count again", sql, [], read)?;
        let kept: BTreeMap<(i64, String), i64> = kept.into_iter().collect();
        let mut recount: BTreeMap<(i64, String), i64> = alone.into_iter().collect();
        let sql = "SELECT DISTINCT shown_under FROM supporter WHERE shown_under IS NOT NULL";
        let ladder = self.settings()?.ladder;
        for under in self.all("list sets", sql, [], |row| row.get::<_, i64>(0))? {
            for (name, value) in counted(&self.members(under)?, &ladder) {
                *recount.entry(name).or_default() += value;
            }
        }
        recount.retain(|_, value| *value != 0);
        if kept == recount {
            return Ok(Vec::new());
        }
        Ok(vec![difference("counters", format!("kept {kept:?}, counted {recount:?}"))])
    }
}

impl Read<'_> {
    /// What counting again last came to; `None` before the first time.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn recounted(&self) -> Result<Option<Recounted>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<String>>(1)?));
        let found = self.one("read what was counted", "SELECT checked, check_found FROM node", [], read)?;
        let (Some(at), found) = found.unwrap_or_default() else { return Ok(None) };
        let found: Vec<(String, String)> = match found {
            Some(json) => serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("node"))?,
            None => Vec::new(),
        };
        let found = found.into_iter().map(|(what, words)| Difference { what, words }).collect();
        Ok(Some(Recounted { at: Timestamp::from_millis(at), found }))
    }
}

impl Tx<'_> {
    /// Keeps what counting again came to, as much as a person reads.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn set_recounted(&self, recounted: &Recounted) -> Result<(), StoreError> {
        let short = |each: &Difference| (each.what.clone(), each.words.chars().take(WORDS_CHARS_MAX).collect());
        let found: Vec<(String, String)> = recounted.found.iter().take(KEPT_MAX).map(short).collect();
        let json = serde_json::to_string(&found).map_err(|_| StoreError::Corrupt("node"))?;
        let sql = "UPDATE node SET checked = ?, check_found = ?";
        self.run("keep what was counted", sql, params![recounted.at.as_millis(), json]).map(drop)
    }
}
