//! Who is faster: a fold, an edit, an erasure, another process. Each was planned on what stood before the other.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use engine::{Batch, Content, Cursor, Entry, Position};
use model::{Digest, DocId, EraseId, Incarnation, Kind, Ladder, NodeId, ScopeId, SignUp, Slug, Timestamp};
use record::{Record, Stamp, Write, from_sign_up};
use store::{
    Direction, DocState, Edited, Examined, FoldOutcome, LinkRow, NewChapter, NewDocument, NewLink, NodeKind, NodeRow,
    ProofKey, Reader, ScopeRole, Store, StoreError, Writer, fold_one,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const CHAPTER: ScopeId = ScopeId::from_bytes([7; 16]);

/// A hub with one chapter's link, and somebody in that chapter.
struct Hub {
    store: Store,
    writer: Writer,
    reader: Reader,
    link: LinkRow,
    person: DocId,
    /// The chapter's own copy of her.
    copy: Record,
    sent: u64,
    _directory: TempDir,
}

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: "test/lee".to_owned(), at: AT }
}

impl Hub {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let row = NodeRow {
            kind: NodeKind::Hub,
            name: "Test".to_owned(),
            country: "US".to_owned(),
            node_id: NodeId([1; 32]),
            incarnation: Incarnation::from_bytes([1; 16]),
            proof_key: ProofKey::new([1; 32]),
        };
        let store = Store::create(directory.path(), &row, AT, |tx| tx.add_scope(ScopeId::NETWORK, ScopeRole::Network));
        let store = store.unwrap();
        let (mut writer, mut reader) = (store.writer().unwrap(), store.reader().unwrap());
        let slug: Slug = "la".parse().unwrap();
        let (scope, role) = (CHAPTER, ScopeRole::Chapter);
        let new = NewChapter { scope, slug: &slug, name: "LA", card: None, intake: None, role, at: AT };
        let peer = NodeId([2; 32]);
        let link = NewLink::new(peer, Direction::Down, "LA", scope);
        let person = DocId::from_parts(AT, [3; 10]);
        let sign_up = SignUp::from_fields([("given_name", "Mary"), ("email", "mary@example.org")], "US").unwrap();
        let (copy, written) = Record::create(person, Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp(1));
        let document = NewDocument::new(person, Kind::Supporter, &copy, written, [1; 16], &Ladder::default());
        writer
            .commit(|tx| {
                tx.add_chapter(&new)?;
                tx.put_link(&link)?;
                tx.insert_document(&document, &[CHAPTER], DocState::Live)
            })
            .unwrap();
        let link = reader.at_once(|read| read.links()).unwrap().pop().unwrap();
        Self { store, writer, reader, link, person, copy, sent: 0, _directory: directory }
    }

    /// The chapter writes a field, and the hub logs it.
    fn hears(&mut self, field: &str, value: &str) {
        let written = self.copy.edit(&[Write::field(field, value)], &stamp(9)).unwrap();
        let (after, seq) = (self.sent, self.sent + 1);
        self.sent = seq;
        let last = Position { seq, hash: Digest([u8::try_from(seq).unwrap(); 32]) };
        let content = Content::Change { bytes: written.bytes };
        let batch = Batch { scope: CHAPTER, after, last, entries: vec![Entry { seq, document: self.person, content }] };
        let cursor = Cursor { incarnation: Incarnation::from_bytes([5; 16]), position: last };
        let (examined, link) = (Examined::new(batch), self.link.clone());
        let saved = self.writer.commit(|tx| tx.log(&link, &examined, cursor, AT)).unwrap();
        assert!(saved.refused.is_empty(), "{:?}", saved.refused);
    }

    fn fold(&mut self) -> store::Folded {
        let job = self.reader.at_once(|read| read.fold_work(1)).unwrap().pop().expect("something to fold");
        fold_one(job, &Ladder::default())
    }

    fn edited(&mut self, field: &str, value: &str, actor: u8) -> Edited {
        let mut loaded = self.reader.at_once(|read| read.load(self.person)).unwrap().unwrap();
        let written = loaded.record.edit(&[Write::field(field, value)], &stamp(actor)).unwrap();
        Edited::new(loaded, written, [actor; 16], &Ladder::default())
    }

    fn shown(&mut self, field: &str) -> String {
        let person = self.reader.at_once(|read| read.person(self.person)).unwrap();
        person.supporter.field(field).to_owned()
    }

    fn sound(&mut self) {
        let found = self.reader.at_once(|read| read.verify()).unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_fold_that_an_edit_overtook_is_done_again_and_both_stand() {
    let mut hub = Hub::new();
    hub.hears("family_name", "Brown");
    let folded = hub.fold();
    let edited = hub.edited("occupation", "nurse", 4);
    hub.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    assert_eq!(hub.writer.commit(|tx| tx.put_fold(&folded, AT)).unwrap(), FoldOutcome::Redo);
    assert_eq!((hub.shown("family_name"), hub.shown("occupation")), ("Brown".to_owned(), "nurse".to_owned()));
    hub.sound();
}

#[test]
fn an_edit_that_a_log_overtook_is_planned_again_and_both_stand() {
    let mut hub = Hub::new();
    let early = hub.edited("occupation", "nurse", 4);
    hub.hears("family_name", "Brown");
    assert!(matches!(hub.writer.commit(|tx| tx.put_edit(&early)), Err(StoreError::Stale(_))));
    let again = hub.edited("occupation", "nurse", 4);
    hub.writer.commit(|tx| tx.put_edit(&again)).unwrap();
    assert_eq!((hub.shown("family_name"), hub.shown("occupation")), ("Brown".to_owned(), "nurse".to_owned()));
    hub.sound();
}

#[test]
fn what_is_logged_while_a_fold_is_made_is_folded_next() {
    let mut hub = Hub::new();
    hub.hears("family_name", "Brown");
    let first = hub.fold();
    hub.hears("family_name", "Braun");
    assert_eq!(hub.writer.commit(|tx| tx.put_fold(&first, AT)).unwrap(), FoldOutcome::Stands);
    assert_eq!(hub.shown("family_name"), "Brown");
    let second = hub.fold();
    assert_eq!(hub.writer.commit(|tx| tx.put_fold(&second, AT)).unwrap(), FoldOutcome::Stands);
    assert_eq!(hub.shown("family_name"), "Braun");
    hub.sound();
}

#[test]
fn neither_a_fold_nor_an_edit_brings_back_somebody_who_was_erased_meanwhile() {
    let mut hub = Hub::new();
    hub.hears("family_name", "Brown");
    let (folded, edited) = (hub.fold(), hub.edited("occupation", "nurse", 4));
    let (person, erasure) = (hub.person, EraseId::from_parts(AT, [1; 10]));
    hub.writer.commit(|tx| tx.erase(person, erasure, AT, None)).unwrap();
    assert_eq!(hub.writer.commit(|tx| tx.put_fold(&folded, AT)).unwrap(), FoldOutcome::Redo);
    assert!(matches!(hub.writer.commit(|tx| tx.put_edit(&edited)), Err(StoreError::NotWritable(..))));
    assert!(hub.reader.at_once(|read| read.person(person)).is_err());
    assert_eq!(hub.reader.at_once(|read| read.heads(person)).unwrap(), Some(Vec::new()));
    hub.sound();
}

#[test]
fn an_edit_of_another_process_is_not_lost_under_this_one() {
    let mut hub = Hub::new();
    let mine = hub.edited("occupation", "nurse", 4);
    let theirs = hub.edited("family_name", "Brown", 5);
    // Another process has a connection of its own.
    let mut other = hub.store.writer().unwrap();
    other.commit(|tx| tx.put_edit(&theirs)).unwrap();
    assert!(matches!(hub.writer.commit(|tx| tx.put_edit(&mine)), Err(StoreError::Stale(_))));
    let again = hub.edited("occupation", "nurse", 4);
    hub.writer.commit(|tx| tx.put_edit(&again)).unwrap();
    assert_eq!((hub.shown("family_name"), hub.shown("occupation")), ("Brown".to_owned(), "nurse".to_owned()));
    hub.sound();
}

#[test]
fn a_leave_and_an_edit_at_once_do_not_lose_the_edit() {
    let mut hub = Hub::new();
    let edited = hub.edited("occupation", "nurse", 4);
    let person = hub.person;
    hub.writer.commit(|tx| tx.move_person(person, None, AT)).unwrap();
    hub.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    // The chapter has not heard of it and writes: it is taken, for it has given no receipt.
    hub.hears("family_name", "Brown");
    let folded = hub.fold();
    assert_eq!(hub.writer.commit(|tx| tx.put_fold(&folded, AT)).unwrap(), FoldOutcome::Stands);
    assert_eq!((hub.shown("family_name"), hub.shown("occupation")), ("Brown".to_owned(), "nurse".to_owned()));
    hub.sound();
}
