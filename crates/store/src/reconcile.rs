//! Comparing what two nodes hold in a scope: sums of buckets, lists of documents, changes by hash.
//!
//! **Invariant:** only what is folded is compared, in one moment with the feed's head; documents in dispute are left out.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Changes, Content, ERASED, Entry, Fingerprint, Found, LEAVING, Look, Position, Question, Reply};
use model::{Digest, DocId, ScopeId, ScopeSum, Timestamp};
use rusqlite::params;

use crate::document::{DocState, DocumentRow};
use crate::link::{Direction, LinkRow};
use crate::rows::ScopeRole;
use crate::{Examined, Read, StoreError, Tx};

/// How many of its newest receipts a node gives again after a comparison.
const RECEIPTS_SAID_AGAIN: i64 = 10_000;
/// How many hashes one frame lists: 256 KiB.
const HASHES_LISTED: usize = 8_000;

impl Read<'_> {
    /// Looks something up for a comparison. [`Tx::write_look`] takes what writes. `kept` is what a look before it has read:
    /// 40 bytes a document, for as long as whoever compares keeps it.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn look(&self, scope: ScopeId, look: &Look, kept: &mut Option<Prints>) -> Result<Found, StoreError> {
        Ok(match look {
            Look::Sums(buckets) => {
                let prints = self.prints(scope, Wanted::Sums, kept)?;
                Found::Sums(prints.sums(*buckets), prints.head)
            }
            Look::Match { buckets, of, theirs } => {
                // What lies in other buckets was not asked for.
                let asked = |(id, _): &&(DocId, Fingerprint)| {
                    buckets.iter().any(|bucket| *bucket as usize == bucket_of(*id, *of))
                };
                let theirs: BTreeMap<DocId, Fingerprint> = theirs.iter().filter(asked).copied().collect();
                let mine: BTreeMap<DocId, Fingerprint> =
                    self.prints(scope, Wanted::Lists, kept)?.within(buckets, *of).collect();
                let (mut give, mut claim, mut differing) = (Vec::new(), Vec::new(), Vec::new());
                for (id, print) in &mine {
                    match theirs.get(id) {
                        Some(other) if other == print => {}
                        _ if *print == ERASED => give.push(*id),
                        None => claim.push((*id, false)),
                        Some(other) if *other == ERASED => claim.push((*id, false)),
                        Some(other) if *other == LEAVING => claim.push((*id, true)),
                        // What the child was told of her place differs, and perhaps more.
                        Some(other) if is_guest(other) != is_guest(print) => claim.push((*id, true)),
                        Some(_) => differing.push(*id),
                    }
                }
                claim.extend(theirs.keys().filter(|id| !mine.contains_key(id)).map(|id| (*id, true)));
                Found::Matched { give, claim, differing }
            }
            Look::Changes(documents) => Found::Changes(self.changes_of(scope, documents)?),
            Look::Entries { documents, changes } => {
                let (entries, documents, changes) = self.entries(scope, documents, changes)?;
                Found::Entries(entries, documents, changes)
            }
            Look::Answer(question) => Found::Reply(self.reply(scope, question, kept)?),
            Look::Log(_) | Look::Settle { .. } | Look::MoveCursor(_) => {
                return Err(StoreError::Refused("a read can't write".to_owned()));
            }
        })
    }

    fn reply(&self, scope: ScopeId, question: &Question, kept: &mut Option<Prints>) -> Result<Reply, StoreError> {
        Ok(match question {
            Question::Sums(theirs) => {
                let prints = self.prints(scope, Wanted::Sums, kept)?;
                let mine = prints.sums(u32::try_from(theirs.len()).unwrap_or(u32::MAX));
                let differ = mine.iter().zip(theirs).zip(0..).filter(|((mine, theirs), _)| mine != theirs);
                Reply::Differ { buckets: differ.map(|(_, bucket)| bucket).collect(), head: prints.head }
            }
            Question::Claim(documents) => Reply::Claimed(self.claims(scope, documents)?),
            Question::List { buckets, of } => {
                Reply::Listed(self.prints(scope, Wanted::Lists, kept)?.within(buckets, *of).collect())
            }
            Question::Compare(theirs) => {
                let (mut have, mut need, mut listed, mut documents) = (Vec::new(), Vec::new(), 0, 0);
                for (id, theirs) in theirs {
                    if documents > 0 && listed > HASHES_LISTED {
                        break;
                    }
                    let mine = self.changes_of_one(scope, *id)?;
                    let only = |one: &[Digest], other: &[Digest]| {
                        let other: BTreeSet<&Digest> = other.iter().collect();
                        one.iter().filter(|hash| !other.contains(hash)).copied().collect::<Vec<_>>()
                    };
                    let (only_mine, only_theirs) = (only(&mine, theirs), only(theirs, &mine));
                    listed += only_mine.len() + only_theirs.len();
                    documents += 1;
                    have.push((*id, only_mine));
                    need.push((*id, only_theirs));
                }
                Reply::Compared { documents, have, need }
            }
            Question::Fetch(wanted) => {
                let (entries, _, answered) = self.entries(scope, &[], wanted)?;
                Reply::Fetched { answered, entries }
            }
            Question::Take(_) | Question::Done(_) => return Err(StoreError::Refused("a read can't write".to_owned())),
        })
    }

    /// Every document of a scope that is not in dispute, with what stands for it: also what was in it and is erased, or is
    /// still here on its way out.
    fn each_folded(&self, scope: ScopeId, mut take: impl FnMut(DocId, Print<'_>)) -> Result<(), StoreError> {
        // The snapshot is read only where its heads are not those of the document's row: it is a hundred times as wide.
        let sql = "SELECT d.doc_id, CASE WHEN d.dirty IS NULL THEN d.heads
                     ELSE (SELECT s.heads FROM snapshot s WHERE s.document = d.id) END, d.state = 'erased', a.state = 'left', a.guest
                   FROM assign a CROSS JOIN document d ON d.id = a.document
                   WHERE a.scope = ?1 AND ((a.state = 'held' AND d.state != 'quarantined') OR d.state = 'erased'
                     OR (?2 AND a.state = 'left' AND d.state = 'read_only'
                         AND EXISTS (SELECT 1 FROM leaving l WHERE l.scope = ?1 AND l.document = d.id)))";
        let found = self.known_scope(scope)?;
        // What leaves a child's scope is the child's to list.
        let own = found.role == ScopeRole::Own;
        let each = |row: &rusqlite::Row<'_>| {
            let id = DocId::from_bytes(row.get(0)?);
            if row.get(2)? {
                take(id, Print::Erased);
            } else if row.get(3)? {
                take(id, Print::Leaving);
            } else if let Some(heads) = row.get_ref(1)?.as_blob_or_null()? {
                take(id, Print::Heads(heads, row.get(4)?));
            }
            Ok(())
        };
        self.all("compare a scope", sql, params![found.id, own], each).map(drop)
    }

    /// What stands for each document of a scope: one pass over its rows; the lists of a comparison are of the moment of its
    /// sums. Sums are never of a moment that sums were of before.
    fn prints<'a>(
        &self,
        scope: ScopeId,
        wanted: Wanted,
        kept: &'a mut Option<Prints>,
    ) -> Result<&'a Prints, StoreError> {
        let fits = |kept: &Prints| kept.scope == scope && (wanted == Wanted::Lists || !kept.summed);
        if !kept.as_ref().is_some_and(fits) {
            let mut documents = Vec::with_capacity(usize::try_from(self.known_scope(scope)?.count).unwrap_or(0));
            self.each_folded(scope, |id, print| documents.push(print.of(id)))?;
            *kept = Some(Prints { scope, head: self.head(scope)?, summed: false, documents });
        }
        let found = kept.as_mut().ok_or(StoreError::Corrupt("scope"))?;
        found.summed |= wanted == Wanted::Sums;
        Ok(found)
    }

    /// Reads what a comparison will ask for, before it asks: while the other end does the same.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn look_ahead(&self, scope: ScopeId, kept: &mut Option<Prints>) -> Result<(), StoreError> {
        if kept.is_none() {
            self.prints(scope, Wanted::Lists, kept)?;
        }
        Ok(())
    }

    /// The changes of documents, as many as fit into a frame; of a document that is not here, none.
    fn changes_of(&self, scope: ScopeId, documents: &[DocId]) -> Result<Vec<Changes>, StoreError> {
        let (mut found, mut listed) = (Vec::new(), 0);
        for id in documents {
            let changes = self.changes_of_one(scope, *id)?;
            listed += changes.len();
            if !found.is_empty() && listed > HASHES_LISTED {
                break;
            }
            found.push((*id, changes));
        }
        Ok(found)
    }

    /// A document that the scope holds. What it does not hold is nobody's business on this link, whoever asks.
    fn held_document(&self, scope: ScopeId, id: DocId) -> Result<Option<DocumentRow>, StoreError> {
        let scope = self.known_scope(scope)?.id;
        let here = |row: &DocumentRow| !matches!(row.state, DocState::Gone | DocState::Erased);
        let Some(row) = self.document(id)?.filter(here) else { return Ok(None) };
        Ok(self.fed_to(row.id)?.contains(&scope).then_some(row))
    }

    /// Every change of a document that is logged, in an order in which they can be applied; none if the scope does not
    /// hold it.
    fn changes_of_one(&self, scope: ScopeId, id: DocId) -> Result<Vec<Digest>, StoreError> {
        let Some(row) = self.held_document(scope, id)? else { return Ok(Vec::new()) };
        if row.indexed {
            let sql = "SELECT hash FROM change WHERE document = ? ORDER BY id";
            return self.all("list changes", sql, params![row.id], |row| Ok(Digest(row.get(0)?)));
        }
        let Some((_, saved)) = self.snapshot(row.id)? else { return Ok(Vec::new()) };
        // What can't be read is as good as not here: the other end gives what it has of it.
        let Ok(record) = record::Record::load(&saved) else { return Ok(Vec::new()) };
        Ok(record.changes().into_iter().map(|(_, written)| written.hash).collect())
    }

    /// Whole documents and single changes, as many as fit into a frame, in the order given; and how many of the documents
    /// and of the changes that answers.
    fn entries(
        &self,
        scope: ScopeId,
        documents: &[DocId],
        changes: &[Changes],
    ) -> Result<(Vec<Entry>, usize, usize), StoreError> {
        let (mut entries, mut weight) = (Vec::new(), 0);
        let mut fits = |entry: Entry, entries: &mut Vec<Entry>| {
            weight += 64 + entry.content.bytes();
            let fits = entries.is_empty() || weight <= engine::BATCH_BYTES_AIMED;
            if fits {
                entries.push(entry);
            }
            fits
        };
        let to = self.sent_to(scope)?;
        let mut taken = 0;
        for id in documents {
            let content = match self.document_row(*id)? {
                None => None,
                Some(row) => match self.enter_content(&to, *id, row)? {
                    None => self.end_content(&to, *id, row)?,
                    enters => enters,
                },
            };
            if let Some(content) = content
                && !fits(Entry { seq: 0, document: *id, content }, &mut entries)
            {
                return Ok((entries, taken, 0));
            }
            taken += 1;
        }
        let mut taken_changes = 0;
        for (id, hashes) in changes {
            let Some(row) = self.held_document(scope, *id)? else {
                taken_changes += hashes.len();
                continue;
            };
            let mut whole = None;
            for hash in hashes {
                let bytes = self.change_bytes(&row, *hash, &mut whole)?;
                let Some(bytes) = bytes else {
                    taken_changes += 1;
                    continue;
                };
                if !fits(Entry { seq: 0, document: *id, content: Content::Change { bytes } }, &mut entries) {
                    return Ok((entries, taken, taken_changes));
                }
                taken_changes += 1;
            }
        }
        Ok((entries, taken, taken_changes))
    }
}

impl Tx<'_> {
    /// Writes what a comparison brought.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn write_look(&self, link: &LinkRow, scope: ScopeId, look: Look, at: Timestamp) -> Result<Found, StoreError> {
        match look {
            Look::Log(entries) => {
                self.log_entries(link, &Examined::entries(scope, entries), true, at)?;
                Ok(Found::Written)
            }
            Look::Answer(Question::Take(entries)) => {
                self.log_entries(link, &Examined::entries(scope, entries), true, at)?;
                Ok(Found::Reply(Reply::Took))
            }
            Look::MoveCursor(cursor) => {
                if let Some(cursor) = cursor {
                    self.move_cursor(link, scope, cursor)?;
                }
                if link.direction == Direction::Down {
                    self.feed_open_proposals(scope)?;
                }
                self.say_again(scope, at)?;
                Ok(Found::Written)
            }
            Look::Settle { asked, claims } => self.settle(scope, &asked, &claims, at),
            Look::Sums(_) | Look::Match { .. } | Look::Changes(_) | Look::Entries { .. } | Look::Answer(_) => {
                self.look(scope, &look, &mut None)
            }
        }
    }
}

impl Tx<'_> {
    /// What is in no sum and may have been lost with a feed: open transfers, and this node's own receipts.
    fn say_again(&self, scope: ScopeId, at: Timestamp) -> Result<(), StoreError> {
        let row = self.known_scope(scope)?;
        self.feed_open_transfers(row.id)?;
        if row.role == ScopeRole::Own {
            let sql = "SELECT id, document FROM receipt WHERE link IS NULL ORDER BY id DESC LIMIT ?";
            let given: Vec<(i64, i64)> =
                self.all("read receipts", sql, params![RECEIPTS_SAID_AGAIN], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for (receipt, document) in given {
                self.feed(row.id, document, "receipt", receipt, None)?;
            }
            self.let_go(at)?;
        }
        Ok(())
    }

    /// Proposals are in no sum: those that are open are fed again, and the child knows the ones that it has.
    fn feed_open_proposals(&self, scope: ScopeId) -> Result<(), StoreError> {
        let scope = self.known_scope(scope)?.id;
        let sql = "SELECT DISTINCT p.document FROM proposal p JOIN assign a ON a.document = p.document
                   WHERE p.state = 'open' AND a.scope = ? AND a.state = 'held'";
        let documents: Vec<i64> = self.all("look for proposals", sql, params![scope], |row| row.get(0))?;
        documents.into_iter().try_for_each(|document| self.feed_proposals(scope, document))
    }

    /// Both ends hold the same: what was not taken of what the scope holds has come since, or was nothing.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn nothing_missing(&self, link: &LinkRow, scope: ScopeId) -> Result<(), StoreError> {
        let scope = self.known_scope(scope)?.id;
        let sql = "DELETE FROM refused WHERE link = ? AND why = 'missing' AND NOT EXISTS
                     (SELECT 1 FROM document d WHERE d.doc_id = refused.doc_id
                      AND NOT EXISTS (SELECT 1 FROM assign a WHERE a.document = d.id AND a.scope = ?))";
        self.run("forget what was missing", sql, params![link.id.0, scope])?;
        let sql = "DELETE FROM refused WHERE link = ? AND EXISTS
                     (SELECT 1 FROM document d JOIN assign a ON a.document = d.id WHERE d.doc_id = refused.doc_id
                      AND a.scope = ? AND a.state = 'held' AND d.state != 'quarantined')";
        self.run("forget what has come", sql, params![link.id.0, scope]).map(drop)
    }
}

/// Whether a look-up is to run as a write.
pub const fn writes(look: &Look) -> bool {
    matches!(look, Look::Log(_) | Look::Settle { .. } | Look::MoveCursor(_) | Look::Answer(Question::Take(_)))
}

/// The bit of a fingerprint's first byte that says whether her home is another chapter.
const GUEST: u8 = 1;

const fn is_guest(print: &Fingerprint) -> bool {
    print[0] & GUEST != 0
}

fn bucket_of(id: DocId, buckets: u32) -> usize {
    let bytes = id.as_bytes();
    let [.., a, b, c, d] = *bytes;
    (u32::from_be_bytes([a, b, c, d]) % buckets.max(1)) as usize
}

/// What prints are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Sums,
    Lists,
}

/// What stands for every document of a scope at one moment.
#[derive(Debug)]
pub struct Prints {
    scope: ScopeId,
    /// Where the scope's feed stood.
    head: Position,
    /// Whether a comparison has begun with it.
    summed: bool,
    documents: Vec<(DocId, u64, Fingerprint)>,
}

impl Prints {
    fn sums(&self, buckets: u32) -> Vec<u64> {
        let mut sums = vec![0_u64; buckets as usize];
        for (id, in_sum, _) in &self.documents {
            if let Some(sum) = sums.get_mut(bucket_of(*id, buckets)) {
                *sum = sum.wrapping_add(*in_sum);
            }
        }
        sums
    }

    fn within(&self, buckets: &[u32], of: u32) -> impl Iterator<Item = (DocId, Fingerprint)> {
        let wanted: BTreeSet<usize> = buckets.iter().map(|bucket| *bucket as usize).collect();
        let inside = move |(id, _, _): &&(DocId, u64, Fingerprint)| wanted.contains(&bucket_of(*id, of));
        self.documents.iter().filter(inside).map(|(id, _, print)| (*id, *print))
    }
}

/// What stands for a document in a comparison.
enum Print<'a> {
    /// It is in the scope, at these heads, and perhaps as a guest.
    Heads(&'a [u8], bool),
    /// It was in the scope and is erased.
    Erased,
    /// It has left the scope and is still here.
    Leaving,
}

impl Print<'_> {
    /// The document, what it adds to its bucket's sum, and what stands for it in a list.
    fn of(&self, id: DocId) -> (DocId, u64, Fingerprint) {
        let digest = |heads: &[u8]| ScopeSum::of_sorted(id, heads).to_bytes();
        let (digest, beside, listed) = match self {
            Self::Heads(heads, guest) => (digest(heads), u64::from(*guest), None),
            Self::Erased => (digest(&[]), 0, Some(ERASED)),
            Self::Leaving => (digest(&[]), 1, Some(LEAVING)),
        };
        let in_sum = u64::from_le_bytes(std::array::from_fn(|at| digest[at])).wrapping_add(beside);
        let mut print: Fingerprint = std::array::from_fn(|at| digest[at]);
        print[0] = (print[0] & !GUEST) | if beside == 1 { GUEST } else { 0 };
        (id, in_sum, listed.unwrap_or(print))
    }
}
