//! Counting again: whether what was kept step by step is what the documents say.

use std::collections::BTreeMap;

use model::{DocId, Kind, ScopeId, ScopeSum};
use record::Record;
use rusqlite::params;

use crate::rows::split_hashes;
use crate::view::View;
use crate::{Read, StoreError};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub what: String,
    /// How it differs.
    pub words: String,
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

    /// Everything that differs: the file, sums and counts, documents against rows, view against documents, counters.
    ///
    /// # Errors
    /// When rows can't be read at all.
    pub fn verify(&self) -> Result<Vec<Difference>, StoreError> {
        let mut found = self.check_file()?;
        found.extend(self.check_sums()?);
        found.extend(self.check_documents()?);
        found.extend(self.check_counters()?);
        Ok(found)
    }

    fn check_file(&self) -> Result<Vec<Difference>, StoreError> {
        let lines = self.all("check its file", "PRAGMA integrity_check(20)", [], |row| row.get::<_, String>(0))?;
        Ok(lines.into_iter().filter(|line| line != "ok").map(|line| difference("file", line)).collect())
    }

    fn check_sums(&self) -> Result<Vec<Difference>, StoreError> {
        let scopes = self.all("read scopes", "SELECT scope FROM scope", [], |row| row.get(0))?;
        let mut found = Vec::new();
        for scope in scopes.into_iter().map(ScopeId::from_bytes) {
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
        let mut found = Vec::new();
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
            if row.kind == Kind::Supporter
                && let View::Supporter(made) = View::of(&record, row.kind, &ladder)
                && self.person(id)?.supporter != made.supporter
            {
                found.push(difference(format!("view of {id}"), "the row differs from the record"));
            }
        }
        Ok(found)
    }

    fn check_counters(&self) -> Result<Vec<Difference>, StoreError> {
        let read =
            |row: &rusqlite::Row<'_>| Ok(((row.get::<_, i64>(0)?, row.get::<_, String>(1)?), row.get::<_, i64>(2)?));
        let kept = self.all("read counters", "SELECT scope, name, value FROM counter WHERE value != 0", [], read)?;
        let sql = "SELECT coalesce(home, 0), 'rung/' || rung, count(*) FROM supporter WHERE hidden = 0 GROUP BY 1, 2
                   UNION ALL SELECT coalesce(home, 0), 'conflicts', count(*) FROM supporter WHERE conflicts > 0 AND hidden = 0 GROUP BY 1";
        let counted = self.all("count again", sql, [], read)?;
        let (kept, counted): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (kept.into_iter().collect(), counted.into_iter().collect());
        if kept == counted {
            return Ok(Vec::new());
        }
        Ok(vec![difference("counters", format!("kept {kept:?}, counted {counted:?}"))])
    }
}
