//! Comparing what the two ends of a link hold in a scope, without any feed.
//!
//! The parent asks and the child answers, one question at a time: sums of buckets, the documents of buckets that differ,
//! the changes of documents that differ, then the changes themselves, both ways. Nothing is ever taken away by it, so it
//! may break off anywhere and begin again.
//!
//! **Invariant:** each end names its feed's head from the same moment as its sums; what is fed after that moment is sent by
//! the feed. So once both have everything the other had, a cursor that was not good may be set to that head.

use std::collections::VecDeque;

use model::{Digest, DocId, EraseId, Incarnation, Timestamp};

use crate::frame::{Cursor, Entry, Position, Proof};

/// The fewest and the most buckets of a scope: 16 documents in each at least, and 8 KiB of sums at most.
const BUCKETS: (u32, u32) = (16, 1024);
/// How many documents a bucket has, about.
const BUCKET_DOCUMENTS: u64 = 100;
/// Buckets that are listed in one question: about 1,600 documents, 64 KiB.
const BUCKETS_LISTED: usize = 16;
/// Documents whose changes are compared in one question.
const DOCUMENTS_COMPARED: usize = 64;
/// The most changes that are fetched or given in one frame.
const CHANGES_MOVED: usize = 500;
/// Documents of which the child says in one answer what it knows of their assignment: 60 KiB.
const DOCUMENTS_CLAIMED: usize = 1_000;

/// What a child was told of a document by its parent, with the parent's own word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is in the scope.
    Held {
        /// Since which assignment.
        epoch: u64,
        /// Whether her home is another chapter.
        guest: bool,
        /// The parent's word.
        proof: Proof,
    },
    /// It has left the scope.
    Left {
        /// By which assignment.
        epoch: u64,
        /// The parent's word.
        proof: Proof,
    },
    /// It was erased.
    Erased {
        /// The erasure.
        erasure: EraseId,
        /// When.
        at: Timestamp,
        /// The parent's word.
        proof: Proof,
        /// The word of the parent's own parent.
        above: Option<Proof>,
    },
}

/// A document with what the child was told of it.
pub type Claim = (DocId, Claimed);

/// Says at which heads a document stands: the first 16 bytes of SHA-256(doc_id, sorted heads).
pub type Fingerprint = [u8; 16];
/// The fingerprint of a document that was erased.
pub const ERASED: Fingerprint = [0xEE; 16];
/// The fingerprint of a document that has left and is still at the child, on its way out.
pub const LEAVING: Fingerprint = [0xEA; 16];
/// Changes of a document, in the order in which they were made.
pub type Changes = (DocId, Vec<Digest>);

/// What the parent asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Which of these buckets differ? A document's bucket is the last four bytes of its id modulo their number; a
    /// bucket's sum is the sum of the first eight bytes of its documents' digests modulo 2^64.
    Sums(Vec<u64>),
    /// Which documents do you hold in these buckets?
    List {
        /// The buckets.
        buckets: Vec<u32>,
        /// Of how many.
        of: u32,
    },
    /// What did I tell you of these documents? One of us holds them here, the other does not.
    Claim(Vec<DocId>),
    /// These are my changes of documents that differ: which have you that I have not, and which do you need?
    Compare(Vec<Changes>),
    /// Send me these.
    Fetch(Vec<Changes>),
    /// Take these.
    Take(Vec<Entry>),
    /// That was all. With a position: go on reading my feed from there.
    Done(Option<Position>),
}

/// What the child answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Question::Sums`].
    Differ {
        /// The buckets that differ.
        buckets: Vec<u32>,
        /// Where the child's feed stood at that moment.
        head: Position,
    },
    /// To [`Question::List`].
    Listed(Vec<(DocId, Fingerprint)>),
    /// To [`Question::Claim`]: of those of which it was told something.
    Claimed(Vec<Claim>),
    /// To [`Question::Compare`].
    Compared {
        /// How many of the documents, from the first, were compared: as many as fit into a frame, at least one.
        documents: usize,
        /// What the parent has not.
        have: Vec<Changes>,
        /// What the child has not.
        need: Vec<Changes>,
    },
    /// To [`Question::Fetch`]: as many as fit into a frame, in order.
    Fetched {
        /// How many of the changes that were asked for, from the first, this answers: those that are gone are left out.
        answered: usize,
        /// The changes.
        entries: Vec<Entry>,
    },
    /// To [`Question::Take`].
    Took,
    /// To [`Question::Done`]. With a position: go on reading my feed from there.
    Done(Option<Position>),
}

/// What the database is to look up or to write.
#[derive(Clone, Debug)]
pub enum Look {
    /// The sums of so many buckets.
    Sums(u32),
    /// How what is held in these buckets differs from what the child holds there.
    Match {
        /// The buckets.
        buckets: Vec<u32>,
        /// Of how many.
        of: u32,
        /// What the child holds.
        theirs: Vec<(DocId, Fingerprint)>,
    },
    /// Settle which of these documents the scope holds, by what the child was told; write it.
    Settle {
        /// The documents, each with whether the child lists it.
        asked: Vec<(DocId, bool)>,
        /// What it was told.
        claims: Vec<Claim>,
    },
    /// The changes of these documents.
    Changes(Vec<DocId>),
    /// The bytes to give: whole documents (or that they left, or were erased), and changes.
    Entries {
        /// Documents that the child does not hold.
        documents: Vec<DocId>,
        /// Changes that it needs.
        changes: Vec<Changes>,
    },
    /// Log what was fetched.
    Log(Vec<Entry>),
    /// Go on reading the peer's feed from there.
    MoveCursor(Option<Cursor>),
    /// The child's side: answer; [`Question::Done`] comes as [`Look::MoveCursor`].
    Answer(Question),
}

/// What the database found.
#[derive(Clone, Debug)]
pub enum Found {
    /// To [`Look::Sums`], with the feed's head of that moment.
    Sums(Vec<u64>, Position),
    /// To [`Look::Match`].
    Matched {
        /// Documents that were erased here.
        give: Vec<DocId>,
        /// Documents that only one end holds, each with whether the child lists it.
        claim: Vec<(DocId, bool)>,
        /// Documents that are to be compared.
        differing: Vec<DocId>,
    },
    /// To [`Look::Settle`].
    Settled {
        /// Documents of which the child is to be told: that they are in the scope, or left it, or were erased.
        give: Vec<DocId>,
        /// Documents that are to be compared.
        compare: Vec<DocId>,
    },
    /// To [`Look::Changes`]: as many documents as fit into a frame, from the first, at least one.
    Changes(Vec<Changes>),
    /// To [`Look::Entries`]: as many as fit into a frame, in the order asked, and how many documents and changes that is.
    Entries(Vec<Entry>, usize, usize),
    /// To [`Look::Log`] and [`Look::MoveCursor`].
    Written,
    /// To [`Look::Answer`].
    Reply(Reply),
}

/// Which answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Sums,
    List,
    Claim,
    Compare,
    Fetch,
    Take,
    Done,
}

impl Asked {
    const fn of(question: &Question) -> Self {
        match question {
            Question::Sums(_) => Self::Sums,
            Question::List { .. } => Self::List,
            Question::Claim(_) => Self::Claim,
            Question::Compare(_) => Self::Compare,
            Question::Fetch(_) => Self::Fetch,
            Question::Take(_) => Self::Take,
            Question::Done(_) => Self::Done,
        }
    }

    const fn fits(self, reply: &Reply) -> bool {
        matches!(
            (self, reply),
            (Self::Sums, Reply::Differ { .. })
                | (Self::List, Reply::Listed(_))
                | (Self::Claim, Reply::Claimed(_))
                | (Self::Compare, Reply::Compared { .. })
                | (Self::Fetch, Reply::Fetched { .. })
                | (Self::Take, Reply::Took)
                | (Self::Done, Reply::Done(_))
        )
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Ask(Question),
    Look(Look),
    /// Both ends have what the other had.
    Finished,
}

/// The parent's side of one comparison.
#[derive(Debug)]
pub(crate) struct Reconciling {
    buckets: u32,
    /// Whether the own feed goes on from its head when this is over.
    pub(crate) adrift: bool,
    head: Position,
    their_head: Position,
    /// Where the child's feed goes on, if it was adrift too.
    pub(crate) goes_on: Option<Position>,
    finishing: bool,
    /// Which answer is waited for: an answer to nothing ends the link.
    asked: Option<Asked>,
    /// The child's feed was found adrift while this went on.
    pub(crate) again: bool,
    differing: VecDeque<u32>,
    listed: Vec<u32>,
    to_claim: VecDeque<(DocId, bool)>,
    claiming: Vec<(DocId, bool)>,
    to_compare: VecDeque<DocId>,
    comparing: Vec<DocId>,
    to_enter: VecDeque<DocId>,
    to_give: VecDeque<Changes>,
    to_fetch: VecDeque<Changes>,
    fetching: Vec<Changes>,
}

impl Reconciling {
    /// Begins; `documents` is how many either end holds at most.
    pub(crate) fn begin(documents: u64, adrift: bool) -> (Self, Next) {
        let wanted = u32::try_from(documents / BUCKET_DOCUMENTS).unwrap_or(u32::MAX);
        let buckets = wanted.min(BUCKETS.1).next_power_of_two().clamp(BUCKETS.0, BUCKETS.1);
        let fresh = Self {
            buckets,
            adrift,
            head: Position::START,
            their_head: Position::START,
            goes_on: None,
            finishing: false,
            asked: None,
            again: false,
            differing: VecDeque::new(),
            listed: Vec::new(),
            to_claim: VecDeque::new(),
            claiming: Vec::new(),
            to_compare: VecDeque::new(),
            comparing: Vec::new(),
            to_enter: VecDeque::new(),
            to_give: VecDeque::new(),
            to_fetch: VecDeque::new(),
            fetching: Vec::new(),
        };
        (fresh, Next::Look(Look::Sums(buckets)))
    }

    /// Where the own feed stood when the comparison began.
    pub(crate) const fn head(&self) -> Position {
        self.head
    }

    /// The database has found what was looked for; `None` if that does not fit.
    pub(crate) fn found(&mut self, found: Found) -> Option<Next> {
        let next = self.looked(found)?;
        Some(self.noted(next))
    }

    /// Remembers which answer a question waits for.
    fn noted(&mut self, next: Next) -> Next {
        if let Next::Ask(question) = &next {
            self.asked = Some(Asked::of(question));
        }
        next
    }

    fn looked(&mut self, found: Found) -> Option<Next> {
        match found {
            Found::Sums(sums, head) => {
                self.head = head;
                Some(Next::Ask(Question::Sums(sums)))
            }
            Found::Matched { give, claim, differing } => {
                self.to_enter.extend(give);
                self.to_claim.extend(claim);
                self.to_compare.extend(differing);
                Some(self.next())
            }
            Found::Settled { give, compare } => {
                self.to_enter.extend(give);
                self.to_compare.extend(compare);
                Some(self.next())
            }
            Found::Changes(changes) => {
                self.put_back(changes.len());
                Some(if changes.is_empty() { self.next() } else { Next::Ask(Question::Compare(changes)) })
            }
            Found::Entries(entries, documents, changes) => {
                self.to_enter.drain(..documents.min(self.to_enter.len()));
                take_changes(&mut self.to_give, changes);
                if documents == 0 && changes == 0 {
                    // Nothing moves: what is left is not there to give.
                    self.to_enter.clear();
                    self.to_give.clear();
                }
                Some(if entries.is_empty() { self.next() } else { Next::Ask(Question::Take(entries)) })
            }
            Found::Written => Some(if self.finishing { Next::Finished } else { self.next() }),
            Found::Reply(_) => None,
        }
    }

    /// The child has answered; `None` if that does not fit the question.
    pub(crate) fn reply(&mut self, reply: Reply, incarnation: Incarnation) -> Option<Next> {
        if !self.asked.take()?.fits(&reply) {
            return None;
        }
        let next = self.answered(reply, incarnation)?;
        Some(self.noted(next))
    }

    fn answered(&mut self, reply: Reply, incarnation: Incarnation) -> Option<Next> {
        Some(match reply {
            Reply::Differ { buckets, head } => {
                if buckets.iter().any(|bucket| *bucket >= self.buckets) {
                    return None;
                }
                self.their_head = head;
                self.differing = buckets.into();
                self.next()
            }
            Reply::Listed(theirs) => {
                let buckets = std::mem::take(&mut self.listed);
                Next::Look(Look::Match { buckets, of: self.buckets, theirs })
            }
            Reply::Claimed(mut claims) => {
                let asked = std::mem::take(&mut self.claiming);
                claims.retain(|(document, _)| asked.iter().any(|(asked, _)| asked == document));
                Next::Look(Look::Settle { asked, claims })
            }
            Reply::Compared { documents, have, need } => {
                self.put_back(documents.max(1));
                let named = std::mem::take(&mut self.comparing);
                let wanted = |(document, changes): &Changes| !changes.is_empty() && named.contains(document);
                self.to_fetch.extend(have.into_iter().filter(wanted));
                self.to_give.extend(need.into_iter().filter(wanted));
                self.next()
            }
            Reply::Fetched { answered, mut entries } => {
                let mut left: VecDeque<Changes> = std::mem::take(&mut self.fetching).into();
                entries.retain(|entry| left.iter().any(|(document, _)| *document == entry.document));
                // What did not fit is asked for again.
                take_changes(&mut left, answered.max(1));
                for changes in left.into_iter().rev() {
                    self.to_fetch.push_front(changes);
                }
                Next::Look(Look::Log(entries))
            }
            Reply::Took => self.next(),
            Reply::Done(go_on) => {
                // A feed that is adrift goes on from where it stood when the sums were taken, not from later.
                self.goes_on = go_on.map(|_| self.their_head);
                self.finishing = true;
                Next::Look(Look::MoveCursor(self.goes_on.map(|position| Cursor { incarnation, position })))
            }
        })
    }

    /// Documents after the first so many did not fit: they come next.
    fn put_back(&mut self, done: usize) {
        for document in self.comparing.drain(done.min(self.comparing.len())..).rev() {
            self.to_compare.push_front(document);
        }
    }

    fn next(&mut self) -> Next {
        if !self.to_fetch.is_empty() {
            self.fetching = portion(&self.to_fetch);
            take_changes(&mut self.to_fetch, self.fetching.iter().map(|(_, changes)| changes.len()).sum());
            return Next::Ask(Question::Fetch(self.fetching.clone()));
        }
        if !self.to_claim.is_empty() {
            let count = self.to_claim.len().min(DOCUMENTS_CLAIMED);
            self.claiming = self.to_claim.drain(..count).collect();
            return Next::Ask(Question::Claim(self.claiming.iter().map(|(document, _)| *document).collect()));
        }
        if !self.to_compare.is_empty() {
            let count = self.to_compare.len().min(DOCUMENTS_COMPARED);
            self.comparing = self.to_compare.drain(..count).collect();
            return Next::Look(Look::Changes(self.comparing.clone()));
        }
        // Taken before given: whoever is told that somebody left may forget her.
        if !self.to_enter.is_empty() || !self.to_give.is_empty() {
            let documents = self.to_enter.iter().take(CHANGES_MOVED).copied().collect();
            return Next::Look(Look::Entries { documents, changes: portion(&self.to_give) });
        }
        if !self.differing.is_empty() {
            let count = self.differing.len().min(BUCKETS_LISTED);
            self.listed = self.differing.drain(..count).collect();
            return Next::Ask(Question::List { buckets: self.listed.clone(), of: self.buckets });
        }
        Next::Ask(Question::Done(self.adrift.then_some(self.head)))
    }
}

/// The first changes of what waits, at most [`CHANGES_MOVED`].
fn portion(waiting: &VecDeque<Changes>) -> Vec<Changes> {
    let (mut room, mut taken) = (CHANGES_MOVED, Vec::new());
    for (document, changes) in waiting {
        let some: Vec<Digest> = changes.iter().take(room).copied().collect();
        room -= some.len();
        taken.push((*document, some));
        if room == 0 {
            break;
        }
    }
    taken
}

/// Takes so many changes from the front of what waits.
fn take_changes(waiting: &mut VecDeque<Changes>, mut count: usize) {
    while count > 0
        && let Some((_, changes)) = waiting.front_mut()
    {
        let taken = count.min(changes.len());
        changes.drain(..taken);
        count -= taken;
        if changes.is_empty() {
            waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Incarnation = Incarnation::from_bytes([1; 16]);
    const HEAD: Position = Position { seq: 5, hash: Digest([2; 32]) };

    fn id(n: u8) -> DocId {
        DocId::from_bytes([n; 16])
    }

    /// A comparison that has asked which documents lie in the buckets that differ.
    fn listing() -> Reconciling {
        let (mut parent, next) = Reconciling::begin(10, true);
        assert!(matches!(next, Next::Look(Look::Sums(16))));
        assert!(matches!(parent.found(Found::Sums(vec![0; 16], HEAD)), Some(Next::Ask(Question::Sums(_)))));
        let next = parent.reply(Reply::Differ { buckets: vec![3], head: HEAD }, LIFE);
        assert!(matches!(next, Some(Next::Ask(Question::List { .. }))));
        parent
    }

    #[test]
    fn an_answer_that_does_not_fit_the_question_is_none() {
        assert!(listing().reply(Reply::Took, LIFE).is_none());
        let mut parent = listing();
        assert!(parent.reply(Reply::Listed(Vec::new()), LIFE).is_some());
        assert!(parent.reply(Reply::Listed(Vec::new()), LIFE).is_none(), "one answer a question");
        let (mut parent, _) = Reconciling::begin(10, false);
        parent.found(Found::Sums(vec![0; 16], HEAD));
        assert!(parent.reply(Reply::Differ { buckets: vec![16], head: HEAD }, LIFE).is_none(), "there are sixteen");
    }

    #[test]
    fn a_child_that_needs_what_was_not_named_gets_nothing_and_the_comparison_ends() {
        let mut parent = listing();
        parent.reply(Reply::Listed(vec![(id(1), [0; 16])]), LIFE);
        let next = parent.found(Found::Matched { give: Vec::new(), claim: Vec::new(), differing: vec![id(1)] });
        assert!(matches!(next, Some(Next::Look(Look::Changes(documents))) if documents == [id(1)]));
        parent.found(Found::Changes(vec![(id(1), Vec::new())]));
        let need = vec![(id(9), vec![Digest([7; 32])]), (id(1), vec![Digest([8; 32])])];
        let next = parent.reply(Reply::Compared { documents: 1, have: Vec::new(), need }, LIFE);
        let wanted = [(id(1), vec![Digest([8; 32])])];
        assert!(matches!(next, Some(Next::Look(Look::Entries { changes, .. })) if changes == wanted));
        // It is not there to give: it is not looked for again.
        let next = parent.found(Found::Entries(Vec::new(), 0, 0));
        assert!(matches!(next, Some(Next::Ask(Question::Done(Some(HEAD))))));
        let next = parent.reply(Reply::Done(Some(HEAD)), LIFE);
        assert!(matches!(next, Some(Next::Look(Look::MoveCursor(Some(_))))));
        assert!(matches!(parent.found(Found::Written), Some(Next::Finished)));
    }
}
