//! Joining records that are one person's, and parting them again.
//!
//! **Invariant:** a link is all that is written: nothing is copied from one record into another. It stands in a record only
//! if whoever sees that one sees the other, too; else it is said at this node alone, and no feed speaks of it.

use std::collections::BTreeMap;

use model::{AuditKind, DocId, JOINED_MAX, Ladder, RungId, Supporter, as_one};
use record::Write;
use store::{DocState, NewAudit, PersonRow, StoreError};

use crate::acts::Plan;
use crate::{Node, NodeError, Priority, draw};

/// What came of joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Every record of the person, the one under which she is shown first.
    pub records: Vec<DocId>,
    /// Whether any of it is said at this node only: no chapter hears of it.
    pub here_only: bool,
}

impl Node {
    /// Joins two records, with whatever each is joined with, as one person's. Every two of them are linked, so that whoever
    /// leaves leaves the others together.
    ///
    /// # Errors
    /// When it is one person already, somebody is not here or is to be deleted, or they would be too many.
    pub fn merge(&self, one: DocId, other: DocId, by: &str) -> Result<Joined, NodeError> {
        let (ones, others) = self.read(|read| Ok((read.records(one)?, read.records(other)?)))?;
        may_be_joined(&ones, &others)?;
        ones.iter().chain(&others).try_for_each(|row| self.not_frozen(row))?;
        let mut written: BTreeMap<DocId, Vec<DocId>> = BTreeMap::new();
        let mut here: Vec<(DocId, DocId)> = Vec::new();
        for first in &ones {
            for second in &others {
                let (a, b) = (first.supporter.id, second.supporter.id);
                let (smaller, larger) = (a.min(b), a.max(b));
                if self.seen_alike(first, second)? {
                    written.entry(smaller).or_default().push(larger);
                } else {
                    here.push((smaller, larger));
                }
            }
        }
        let here_only = !here.is_empty();
        for (record, others) in written {
            let said = self.says_of_two(AuditKind::Merged, by, record, &others);
            self.edit(record, by, |_, _| {
                let writes = others.iter().copied().map(Write::same_as).collect();
                Ok(Plan::writing(writes).auditing(said.clone()))
            })?;
        }
        if here_only {
            let said: Vec<NewAudit> = here
                .iter()
                .map(|(record, other)| self.says_of_two(AuditKind::Merged, by, *record, &[*other]))
                .collect();
            let (by, at) = (by.to_owned(), draw::now());
            self.write(Priority::Interactive, move |tx| {
                tx.join_here(&here, &by, at)?;
                said.iter().try_for_each(|said| tx.audit(said))
            })?;
        }
        let shown = self.read(|read| read.person(one))?.supporter;
        if !shown.covers(other) {
            let words = "one of them names too many records already: `merge undo` takes them back";
            return Err(NodeError::Refused(words.to_owned()));
        }
        Ok(Joined { records: shown.ids().collect(), here_only })
    }

    /// What was done with a record and others, for the audit log.
    fn says_of_two(&self, what: AuditKind, by: &str, record: DocId, others: &[DocId]) -> NewAudit {
        let others: Vec<String> = others.iter().map(DocId::to_string).collect();
        self.audit_by(what, by).about(record).detail(others.join(" "))
    }

    /// Whether the same nodes see both records and this one may write them: then one can say that the other is hers.
    fn seen_alike(&self, one: &PersonRow, other: &PersonRow) -> Result<bool, NodeError> {
        let writable = matches!(one.state, DocState::Live | DocState::Kept) && one.state == other.state;
        let (mut mine, mut theirs) =
            self.read(|read| Ok((read.holders(one.supporter.id)?, read.holders(other.supporter.id)?)))?;
        mine.sort_unstable();
        theirs.sort_unstable();
        Ok(writable && mine == theirs)
    }

    /// Takes a record out of its set: every link that it has or that names it. Gives with whom it was shown; those stay
    /// together as far as links between them say.
    ///
    /// # Errors
    /// When it is joined with nobody, or a record that says so can't be written.
    pub fn unmerge(&self, record: DocId, by: &str) -> Result<Vec<DocId>, NodeError> {
        let (shown, named, naming, here) = self.read(|read| {
            let named = read.record(record)?.supporter.same_as;
            Ok((read.person(record)?.supporter, named, read.naming(record)?, read.same_here(record)?))
        })?;
        if named.is_empty() && naming.is_empty() && here.is_empty() {
            return Err(NodeError::Refused("her record is joined with no other".to_owned()));
        }
        let part = |of: DocId, others: &[DocId]| {
            let said = self.says_of_two(AuditKind::Unmerged, by, of, others);
            let writes = others.iter().copied().map(Write::not_same_as).collect();
            if others.is_empty() { Plan::default() } else { Plan::writing(writes).auditing(said) }
        };
        self.edit(record, by, |_, shown| Ok(part(record, &shown.same_as.iter().copied().collect::<Vec<_>>())))?;
        for other in naming {
            self.edit(other, by, |_, _| Ok(part(other, &[record])))?;
        }
        if !here.is_empty() {
            let said = self.says_of_two(AuditKind::Unmerged, by, record, &here);
            self.write(Priority::Interactive, move |tx| {
                tx.part_here(record)?;
                tx.audit(&said)
            })?;
        }
        Ok(shown.ids().filter(|id| *id != record).collect())
    }

    /// Her as she is shown, with this record as it stands in what is logged.
    pub(crate) fn whole(&self, record: &Supporter, ladder: &Ladder) -> Result<Supporter, NodeError> {
        let others = self.read(|read| read.joined_with(record.id))?;
        Ok(as_one(others.iter().chain([record]), ladder).unwrap_or_else(|| record.clone()))
    }

    /// The record of hers of which this holds: the one that is named, unless only another one has it.
    pub(crate) fn record_where(&self, person: DocId, holds: impl Fn(&Supporter) -> bool) -> Result<DocId, NodeError> {
        let others = self.read(|read| read.joined_with(person))?;
        let Some(other) = others.iter().find(|other| holds(other)) else { return Ok(person) };
        let named = self.read(|read| read.record(person))?.supporter;
        Ok(if holds(&named) { person } else { other.id })
    }

    /// The same move in each other record of hers that stands lower, as far as this node moves it: the lowest is shown.
    pub(crate) fn move_others(
        &self,
        person: DocId,
        rung: &RungId,
        writes: &[Write],
        ladder: &Ladder,
        by: &str,
    ) -> Result<(), NodeError> {
        let others = self.read(|read| read.joined_with(person))?;
        for other in others.iter().filter(|other| ladder.position(&other.rung) < ladder.position(rung)) {
            if self.in_our_care(other.id).is_err() {
                continue;
            }
            match self.edit(other.id, by, |_, _| Ok(Plan::writing(writes.to_vec()))) {
                // What has left, or is in dispute, keeps its rung.
                Err(NodeError::Store(StoreError::NotWritable(..))) => {}
                done => done?,
            }
        }
        Ok(())
    }
}

fn may_be_joined(ones: &[PersonRow], others: &[PersonRow]) -> Result<(), NodeError> {
    let all = || ones.iter().chain(others).map(|row| &row.supporter);
    if ones.iter().any(|one| others.iter().any(|other| other.supporter.id == one.supporter.id)) {
        return Err(NodeError::Refused("they are one person already: name two".to_owned()));
    }
    if all().any(|record| record.erasure_asked) {
        let words = "it is asked that one of them be deleted: withdraw that first, or let it be done";
        return Err(NodeError::Refused(words.to_owned()));
    }
    if all().count() > JOINED_MAX {
        let words = format!("they would be {} records of one person; at most {JOINED_MAX} are joined", all().count());
        return Err(NodeError::Refused(words));
    }
    Ok(())
}
