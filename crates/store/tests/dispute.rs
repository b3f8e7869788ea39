//! What was not taken and what can't be read: kept, listed, tried again, repaired.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use engine::{Batch, Content, Cursor, Entry, Position, Refused, RefusedWhy, Saved};
use model::{Digest, DocId, Incarnation, Kind, Ladder, NodeId, Personal, ScopeId, SignUp, Slug, Timestamp};
use record::{Record, Stamp, Write, from_sign_up};
use rusqlite::{Connection, params};
use store::{
    Difference, Direction, DocState, Edited, Examined, FoldJob, FoldOutcome, LinkRow, NewChapter, NewDocument, NewLink,
    NodeKind, NodeRow, PROGRAM_VERSION, ProofKey, Read, Recounted, ScopeRole, SnapshotOutcome, Store, StoreError,
    Writer, fold_one, read_snapshot,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const SCOPE: ScopeId = ScopeId::from_bytes([5; 16]);
/// More than any page of these tests.
const PAGE_BYTES: usize = 1 << 20;

/// A node's database, with a chapter and a link.
struct End {
    incarnation: Incarnation,
    link: LinkRow,
    writer: Writer,
    store: Store,
    _directory: TempDir,
}

impl End {
    fn new(kind: NodeKind, n: u8) -> Self {
        let directory = TempDir::new().unwrap();
        let incarnation = Incarnation::from_bytes([n; 16]);
        let row = NodeRow {
            kind,
            name: "Test".to_owned(),
            country: "US".to_owned(),
            node_id: NodeId([n; 32]),
            incarnation,
            proof_key: ProofKey::new([n; 32]),
        };
        let (role, direction) = match kind {
            NodeKind::Hub => (ScopeRole::Chapter, Direction::Down),
            NodeKind::Chapter => (ScopeRole::Own, Direction::Up),
        };
        let slug: Slug = "la".parse().unwrap();
        let chapter =
            NewChapter { scope: SCOPE, slug: &slug, name: "Los Angeles", card: None, intake: None, role, at: AT };
        let other = NewLink::new(NodeId([99; 32]), direction, "Other", SCOPE);
        let store = Store::create(directory.path(), &row, AT, |tx| {
            tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)?;
            tx.add_chapter(&chapter)?;
            tx.put_link(&other).map(drop)
        });
        let store = store.unwrap();
        let writer = store.writer().unwrap();
        let link = store.reader().unwrap().at_once(|read| read.links()).unwrap().remove(0);
        Self { incarnation, link, writer, store, _directory: directory }
    }

    fn read<T>(&self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
        self.store.reader().unwrap().at_once(job).unwrap()
    }

    /// A hand in the file, as of a disk or of somebody who means well.
    fn file(&self) -> Connection {
        Connection::open(self.store.path()).unwrap()
    }

    fn add(&mut self, n: u8, given_name: &str) -> DocId {
        let id = DocId::from_parts(AT, [n; 10]);
        let email = format!("p{n}@example.org");
        let sign_up = SignUp::from_fields([("given_name", given_name), ("email", email.as_str())], "US").unwrap();
        let stamp = Stamp { actor: [n; 16], author: "0badcafe/lee".to_owned(), at: AT };
        let (record, written) = Record::create(id, Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp);
        let new = NewDocument::new(id, Kind::Supporter, &record, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.insert_document(&new, &[SCOPE], DocState::Live)).unwrap();
        id
    }

    fn rename(&mut self, id: DocId, actor: u8, family_name: &str) {
        let stamp = Stamp { actor: [actor; 16], author: "0badcafe/lee".to_owned(), at: AT };
        let mut loaded = self.read(|read| read.load(id)).unwrap();
        let written = loaded.record.edit(&[Write::field("family_name", family_name)], &stamp).unwrap();
        let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    }

    fn family_name(&self, id: DocId) -> String {
        self.read(|read| read.person(id)).supporter.field("family_name").to_owned()
    }

    /// The number of the newest row of its feed.
    fn head(&self) -> u64 {
        let scopes = self.read(|read| read.local_scopes(self.link.id));
        scopes.iter().find(|local| local.scope == SCOPE).unwrap().head.seq
    }

    /// What its feed brings after a row.
    fn page(&self, after: u64) -> Batch {
        self.read(|read| read.feed_page(self.link.id, SCOPE, after, PAGE_BYTES)).unwrap()
    }

    /// Takes what the other's feed brings.
    fn take(&mut self, from: Incarnation, batch: Batch) -> Saved {
        let cursor = Cursor { incarnation: from, position: batch.last };
        let (link, examined) = (self.link.clone(), Examined::new(batch));
        self.writer.commit(|tx| tx.log(&link, &examined, cursor, AT)).unwrap()
    }

    fn commit_folds(&mut self, jobs: Vec<FoldJob>) -> Vec<FoldOutcome> {
        let folded = jobs.into_iter().map(|job| fold_one(job, &Ladder::default())).collect::<Vec<_>>();
        folded.iter().map(|folded| self.writer.commit(|tx| tx.put_fold(folded, AT)).unwrap()).collect()
    }

    fn fold(&mut self) -> Vec<FoldOutcome> {
        let jobs = self.read(|read| read.fold_work(10));
        self.commit_folds(jobs)
    }

    /// What a later version of the program does when it begins.
    fn try_again(&mut self) -> Vec<FoldOutcome> {
        let jobs = self.read(|read| read.retry_work("a later version", 10));
        self.commit_folds(jobs)
    }

    /// What a serving node does in the background.
    fn read_snapshots(&mut self) -> Vec<SnapshotOutcome> {
        let jobs = self.read(|read| read.unread_snapshots(None, 10));
        let read = jobs.into_iter().map(|job| read_snapshot(job, &Ladder::default())).collect::<Vec<_>>();
        read.iter().map(|read| self.writer.commit(|tx| tx.put_read_snapshot(read, AT)).unwrap()).collect()
    }

    fn cut_snapshot(&self, id: DocId) {
        let sql = "UPDATE snapshot SET saved = substr(saved, 1, 40)
                   WHERE document = (SELECT id FROM document WHERE doc_id = ?)";
        assert_eq!(self.file().execute(sql, params![id.as_bytes()]).unwrap(), 1);
    }
}

fn refused(seq: u64, document: DocId, why: RefusedWhy) -> Refused {
    Refused { seq, document, why, words: "the record is not in the scope of this link".to_owned() }
}

#[test]
fn what_was_written_here_and_refused_can_be_read_until_somebody_has_dealt_with_it() {
    let mut chapter = End::new(NodeKind::Chapter, 2);
    let id = chapter.add(1, "Mary");
    chapter.rename(id, 3, "Browne");
    let (seq, link) = (chapter.head(), chapter.link.clone());
    for _ in 0..2 {
        let said = [refused(seq, id, RefusedWhy::NotYours)];
        chapter.writer.commit(|tx| tx.acknowledged(&link, SCOPE, seq, &said, AT)).unwrap();
    }
    // Its own row may go before somebody reads the list.
    chapter.file().execute_batch("UPDATE change SET raw = NULL; DELETE FROM snapshot").unwrap();
    let listed = chapter.read(|read| read.refusals(10));
    assert_eq!(listed.len(), 1, "an answer that is repeated says the same");
    assert_eq!(
        (listed[0].whose.as_str(), listed[0].what.as_str(), listed[0].peer.as_str()),
        ("ours", "change", "Other")
    );
    let change = listed[0].change.as_ref().unwrap();
    assert_eq!((change.by.clone(), change.at), (Some("0badcafe/lee".into()), AT));
    let wrote: Vec<_> = change.writes.iter().map(|wrote| (wrote.key.expose(), wrote.value.clone())).collect();
    assert_eq!(wrote, [("family_name", Some(Personal::from("Browne")))]);
    assert!(!format!("{listed:?}").contains("Browne"), "what is about a person prints redacted");
    let number = listed[0].id;
    chapter.writer.commit(|tx| tx.dismiss_refused(number)).unwrap();
    assert!(chapter.read(|read| read.refusals(10)).is_empty());
    assert!(chapter.writer.commit(|tx| tx.dismiss_refused(number)).is_err(), "it is forgotten already");
}

#[test]
fn a_peer_that_floods_the_list_of_what_was_refused_pushes_out_nobody_elses() {
    let mut hub = End::new(NodeKind::Hub, 1);
    let id = hub.add(1, "Mary");
    let honest = hub.link.clone();
    let said = [refused(hub.head(), id, RefusedWhy::Malformed)];
    hub.writer.commit(|tx| tx.acknowledged(&honest, SCOPE, 1, &said, AT)).unwrap();
    let (peer, direction) = (NodeId([98; 32]), Direction::Down);
    let hostile = NewLink::new(peer, direction, "Hostile", SCOPE);
    hub.writer.commit(|tx| tx.put_link(&hostile)).unwrap();
    hub.link = hub.read(|read| read.links()).into_iter().find(|link| link.peer == peer).unwrap();
    let rubbish =
        |seq| Entry { seq, document: DocId::from_parts(AT, [7; 10]), content: Content::Change { bytes: vec![7; 20] } };
    for n in 0..8_u64 {
        let (after, until) = (n * 250, (n + 1) * 250);
        let last = Position { seq: until, hash: Digest([1; 32]) };
        let entries = (after + 1..=until).map(rubbish).collect();
        let saved = hub.take(Incarnation::from_bytes([7; 16]), Batch { scope: SCOPE, after, last, entries });
        assert_eq!(saved.refused.len(), 250);
    }
    let listed = hub.read(|read| read.refusals(20_000));
    let of = |name: &str| listed.iter().filter(|refusal| refusal.peer == name).count();
    assert_eq!(of("Other"), 1);
    assert!((500..=1_000).contains(&of("Hostile")), "{}", of("Hostile"));
    assert!(listed.iter().all(|refusal| refusal.peer == "Other" || refusal.change.is_none()), "nothing of it is kept");
}

#[test]
fn a_change_that_can_not_be_folded_waits_for_another_version_and_is_live_again() {
    let (mut hub, mut chapter) = (End::new(NodeKind::Hub, 1), End::new(NodeKind::Chapter, 2));
    let id = chapter.add(1, "Mary");
    hub.take(chapter.incarnation, chapter.page(0));
    assert_eq!(hub.fold(), [FoldOutcome::Stands]);
    chapter.rename(id, 3, "Browne");
    hub.take(chapter.incarnation, chapter.page(1));
    // This version can't read it, so to say.
    let newest = "SELECT raw FROM change ORDER BY id DESC LIMIT 1";
    let raw: Vec<u8> = hub.file().query_row(newest, [], |row| row.get(0)).unwrap();
    let set = "UPDATE change SET raw = ? WHERE id = (SELECT max(id) FROM change)";
    hub.file().execute(set, params![vec![0_u8]]).unwrap();
    assert_eq!(hub.fold(), [FoldOutcome::Quarantined]);
    assert!(hub.fold().is_empty(), "nobody turns in circles");
    let listed = hub.read(|read| read.quarantined(10));
    assert_eq!((listed.len(), listed[0].document, listed[0].version.as_str()), (1, id, PROGRAM_VERSION));
    assert_eq!(hub.family_name(id), "", "the last good view is shown");
    assert!(hub.read(|read| read.verify()).is_empty(), "it is in no sum");
    assert!(hub.read(|read| read.retry_work(PROGRAM_VERSION, 10)).is_empty(), "this version has tried");
    assert_eq!(hub.try_again(), [FoldOutcome::Quarantined], "another one tries, in vain");
    assert_eq!(hub.read(|read| read.tally()).quarantined, 1);
    hub.file().execute(set, params![raw]).unwrap();
    let fed = hub.head();
    assert_eq!(hub.try_again(), [FoldOutcome::Stands]);
    assert_eq!((hub.family_name(id), hub.head()), ("Browne".to_owned(), fed + 1), "it is shown and passed on");
    assert!(hub.read(|read| read.quarantined(10)).is_empty());
    assert!(hub.read(|read| read.verify()).is_empty());
    hub.rename(id, 4, "Brown");
    assert_eq!(hub.family_name(id), "Brown", "and can be written");
}

#[test]
fn a_view_that_came_otherwise_than_the_record_says_is_mended_in_the_background() {
    let (mut hub, mut chapter) = (End::new(NodeKind::Hub, 1), End::new(NodeKind::Chapter, 2));
    let (mary, jo) = (hub.add(1, "Mary"), hub.add(2, "Jo"));
    chapter.take(hub.incarnation, hub.page(0));
    let sql = "UPDATE supporter SET view = json_set(view, '$.fields.employer', 'Wrong')
               WHERE document = (SELECT id FROM document WHERE doc_id = ?)";
    chapter.file().execute(sql, params![mary.as_bytes()]).unwrap();
    let employer = |end: &End| end.read(|read| read.person(mary)).supporter.field("employer").to_owned();
    assert_eq!(employer(&chapter), "Wrong");
    assert_eq!(chapter.read(|read| read.unread_snapshots(Some(mary), 10)).len(), 1, "the one after her");
    let again = chapter.read(|read| read.unread_snapshots(None, 1)).remove(0);
    assert_eq!(chapter.read_snapshots(), [SnapshotOutcome::Repaired, SnapshotOutcome::Sound]);
    assert_eq!(employer(&chapter), "");
    assert!(chapter.read(|read| read.unread_snapshots(None, 10)).is_empty());
    // Somebody else was faster: nothing is written twice.
    let late = read_snapshot(again, &Ladder::default());
    let outcome = chapter.writer.commit(|tx| tx.put_read_snapshot(&late, AT)).unwrap();
    assert_eq!(outcome, SnapshotOutcome::Moved);
    assert!(chapter.read(|read| read.verify()).is_empty());
    chapter.rename(jo, 3, "Park");
    assert_eq!(chapter.family_name(jo), "Park");
}

#[test]
fn a_snapshot_that_was_cut_is_quarantined_in_the_background() {
    let (mut hub, mut chapter) = (End::new(NodeKind::Hub, 1), End::new(NodeKind::Chapter, 2));
    let (mary, _) = (hub.add(1, "Mary"), hub.add(2, "Jo"));
    chapter.take(hub.incarnation, hub.page(0));
    chapter.cut_snapshot(mary);
    assert_eq!(chapter.read_snapshots(), [SnapshotOutcome::Quarantined, SnapshotOutcome::Sound]);
    let listed = chapter.read(|read| read.quarantined(10));
    assert_eq!((listed.len(), listed[0].document), (1, mary));
    assert!(!listed[0].words.is_empty());
    assert!(chapter.read(|read| read.check_scope(SCOPE)).is_empty(), "it is in no sum");
    assert!(chapter.read_snapshots().is_empty(), "nobody turns in circles");
    let unread = chapter.store.reader().unwrap().at_once(|read| read.unread(mary));
    assert!(matches!(unread, Err(StoreError::Refused(_))), "there is nothing to make it anew from");
}

#[test]
fn g14_a_record_that_can_not_be_read_stops_nobody_elses_and_comes_again_whole() {
    let (mut hub, mut chapter) = (End::new(NodeKind::Hub, 1), End::new(NodeKind::Chapter, 2));
    let (mary, jo) = (hub.add(1, "Mary"), hub.add(2, "Jo"));
    chapter.take(hub.incarnation, hub.page(0));
    chapter.cut_snapshot(mary);
    let before = hub.head();
    hub.rename(mary, 3, "Browne");
    hub.rename(jo, 4, "Park");
    for _ in 0..2 {
        let saved = chapter.take(hub.incarnation, hub.page(before));
        let refused: Vec<_> = saved.refused.iter().map(|refused| (refused.document, refused.why)).collect();
        assert_eq!(refused, [(mary, RefusedWhy::Missing)]);
    }
    assert_eq!(chapter.fold(), [FoldOutcome::Stands]);
    assert_eq!((chapter.family_name(jo), chapter.family_name(mary)), ("Park".to_owned(), String::new()));
    assert_eq!(chapter.read(|read| read.quarantined(10)).len(), 1);
    assert!(chapter.read(|read| read.check_scope(SCOPE)).is_empty());
    // As it comes when both compare: whole.
    let saved = chapter.take(hub.incarnation, hub.page(0));
    assert!(saved.refused.is_empty());
    assert_eq!(chapter.family_name(mary), "Browne");
    assert!(chapter.read(|read| read.quarantined(10)).is_empty());
    assert!(chapter.read(|read| read.verify()).is_empty());
    let link = chapter.link.clone();
    chapter.writer.commit(|tx| tx.nothing_missing(&link, SCOPE)).unwrap();
    assert!(chapter.read(|read| read.refusals(10)).is_empty());
    let sums = [&hub, &chapter].map(|end| end.read(|read| read.recount(SCOPE)));
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn what_was_counted_again_is_kept_with_what_differed() {
    let mut hub = End::new(NodeKind::Hub, 1);
    hub.add(1, "Mary");
    assert!(hub.read(|read| read.check_counters()).is_empty());
    assert_eq!(hub.read(|read| read.recounted()), None);
    hub.file().execute_batch("UPDATE counter SET value = value + 1").unwrap();
    let mut found = hub.read(|read| read.check_counters());
    assert_eq!((found.len(), found[0].what.as_str()), (1, "counters"));
    found.extend((0..50).map(|n| Difference { what: format!("{n}"), words: "long ".repeat(1_000) }));
    hub.writer.commit(|tx| tx.set_recounted(&Recounted { at: AT, found })).unwrap();
    let kept = hub.read(|read| read.recounted()).unwrap();
    assert_eq!((kept.at, kept.found.len(), kept.found[0].what.as_str()), (AT, 20, "counters"));
    assert!(kept.found.iter().all(|each| each.words.len() <= 500));
}
