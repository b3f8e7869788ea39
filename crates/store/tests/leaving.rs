//! Who leaves: for whom a chapter waits, whose word is heard, what stays of her, and what a hub that was put back believes.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use engine::{
    Batch, Claimed, Content, Cursor, CursorVerdict, Entry, Found, Look, Position, Receipt, Side, Transfer,
    TransferState,
};
use model::{
    Digest, DocId, EraseId, EventId, Incarnation, Kind, Ladder, NodeId, Personal, ProposalId, ScopeId, SignUp, Slug,
    Timestamp, TransferId,
};
use record::{Record, Stamp, Write, Written, from_sign_up};
use rusqlite::Connection;
use store::{
    Direction, DocState, Edited, Examined, FoldOutcome, LeaveWord, LinkRow, LinkStanding, NewChapter, NewDocument,
    NewLink, NewProposal, NewTransfer, NodeKind, NodeRow, ProofKey, Read, ScopeRole, Store, StoreError, Tx, Writer,
    fold_one,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const DAY_MS: i64 = 24 * 3600 * 1000;
const LA: ScopeId = ScopeId::from_bytes([5; 16]);
const SF: ScopeId = ScopeId::from_bytes([6; 16]);
/// What a hub shares with the one above it.
const OWN: ScopeId = ScopeId::from_bytes([7; 16]);
/// Nodes by a byte.
const HUB: u8 = 1;
const LA_NODE: u8 = 2;
const SF_NODE: u8 = 3;
const PARENT: u8 = 4;
/// More than any page of these tests.
const PAGE_BYTES: usize = 1 << 20;

/// Somebody, as whoever made her has her.
struct Made {
    id: DocId,
    record: Record,
    first: Written,
}

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: "0badcafe/lee".to_owned(), at: AT }
}

fn made(n: u8, given_name: &str) -> Made {
    let id = DocId::from_parts(AT, [n; 10]);
    let email = format!("p{n}@example.org");
    let sign_up = SignUp::from_fields([("given_name", given_name), ("email", email.as_str())], "US").unwrap();
    let (record, first) = Record::create(id, Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp(n));
    Made { id, record, first }
}

fn link(peer: u8, direction: Direction, scope: ScopeId) -> NewLink<'static> {
    NewLink::new(NodeId([peer; 32]), direction, "Other", scope)
}

fn life(node: u8) -> Incarnation {
    Incarnation::from_bytes([node; 16])
}

/// Rows of a feed after so many others.
fn batch(scope: ScopeId, after: u64, contents: Vec<(DocId, Content)>) -> Batch {
    let last = Position { seq: after + contents.len() as u64, hash: Digest([7; 32]) };
    let entry = |(seq, (document, content))| Entry { seq, document, content };
    let entries = (after + 1..).zip(contents).map(entry).collect();
    Batch { scope, after, last, entries }
}

/// Of whom a page says that she leaves, and whether she is safe elsewhere.
fn leaves(page: &Batch) -> Vec<(DocId, bool)> {
    let leave = |entry: &Entry| {
        let Content::Leave { arrived, .. } = entry.content else { return None };
        Some((entry.document, arrived))
    };
    page.entries.iter().filter_map(leave).collect()
}

fn receipts(page: &Batch) -> Vec<Receipt> {
    let receipt = |entry: &Entry| {
        let Content::Receipt(receipt) = entry.content else { return None };
        Some(receipt)
    };
    page.entries.iter().filter_map(receipt).collect()
}

/// A node's database.
struct Node {
    incarnation: Incarnation,
    writer: Writer,
    store: Store,
    _directory: TempDir,
}

impl Node {
    fn new(kind: NodeKind, n: u8, first: impl FnOnce(&Tx<'_>) -> Result<(), StoreError>) -> Self {
        let directory = TempDir::new().unwrap();
        let row = NodeRow {
            kind,
            name: "Test".to_owned(),
            country: "US".to_owned(),
            node_id: NodeId([n; 32]),
            incarnation: life(n),
            proof_key: ProofKey::new([n; 32]),
        };
        let store = Store::create(directory.path(), &row, AT, |tx| {
            tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)?;
            first(tx)
        });
        let store = store.unwrap();
        Self { incarnation: life(n), writer: store.writer().unwrap(), store, _directory: directory }
    }

    /// A hub with two chapters, of which only Los Angeles has a node.
    fn hub() -> Self {
        Self::new(NodeKind::Hub, HUB, |tx| {
            for (scope, slug) in [(LA, "la"), (SF, "sf")] {
                add_chapter(tx, scope, slug, ScopeRole::Chapter)?;
            }
            tx.put_link(&link(LA_NODE, Direction::Down, LA)).map(drop)
        })
    }

    /// A node of Los Angeles.
    fn chapter(n: u8) -> Self {
        Self::new(NodeKind::Chapter, n, |tx| {
            add_chapter(tx, LA, "la", ScopeRole::Own)?;
            tx.put_link(&link(HUB, Direction::Up, LA)).map(drop)
        })
    }

    fn read<T>(&self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
        self.store.reader().unwrap().at_once(job).unwrap()
    }

    fn write<T>(&mut self, job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
        self.writer.commit(job).unwrap()
    }

    /// A hand in the file.
    fn file(&self) -> Connection {
        Connection::open(self.store.path()).unwrap()
    }

    fn link(&self, peer: u8) -> LinkRow {
        let links = self.read(|read| read.links());
        links.into_iter().find(|link| link.peer == NodeId([peer; 32])).unwrap()
    }

    fn join(&mut self, peer: u8, scope: ScopeId) {
        self.write(|tx| tx.put_link(&link(peer, Direction::Down, scope)).map(drop));
    }

    fn add(&mut self, made: &Made, scopes: &[ScopeId]) {
        let (first, ladder) = (made.first.clone(), Ladder::default());
        let actor = made.id.as_bytes()[15];
        let new = NewDocument::new(made.id, Kind::Supporter, &made.record, first, [actor; 16], &ladder);
        self.write(|tx| tx.insert_document(&new, scopes, DocState::Live));
    }

    fn rename(&mut self, id: DocId, actor: u8, family_name: &str) {
        let mut loaded = self.read(|read| read.load(id)).unwrap();
        let written = loaded.record.edit(&[Write::field("family_name", family_name)], &stamp(actor)).unwrap();
        let edited = Edited::new(loaded, written, [actor; 16], &Ladder::default());
        self.write(|tx| tx.put_edit(&edited));
    }

    fn move_to(&mut self, id: DocId, to: Option<ScopeId>) {
        self.write(|tx| tx.move_person(id, to, AT));
    }

    fn head(&self, peer: u8, scope: ScopeId) -> Position {
        let scopes = self.read(|read| read.local_scopes(self.link(peer).id));
        scopes.iter().find(|local| local.scope == scope).unwrap().head
    }

    /// What its feed brings to a peer after a row.
    fn page(&self, peer: u8, scope: ScopeId, after: u64) -> Batch {
        self.read(|read| read.feed_page(self.link(peer).id, scope, after, PAGE_BYTES)).unwrap()
    }

    /// Takes what a peer's feed brings.
    fn take(&mut self, peer: u8, batch: Batch) {
        assert_eq!(self.refused(peer, batch, AT), 0);
    }

    /// Takes what it can of what a peer's feed brings; gives how much it did not take.
    fn refused(&mut self, peer: u8, batch: Batch, at: Timestamp) -> usize {
        let cursor = Cursor { incarnation: life(peer), position: batch.last };
        let (link, examined) = (self.link(peer), Examined::new(batch));
        self.write(|tx| tx.log(&link, &examined, cursor, at)).refused.len()
    }

    /// A peer has committed all of its feed, and was not put back to before.
    fn acknowledged(&mut self, peer: u8, scope: ScopeId) {
        let link = self.committed(peer, scope);
        self.write(|tx| tx.confirmed(link.id, scope, AT));
    }

    /// A peer says that it has committed all of its feed.
    fn committed(&mut self, peer: u8, scope: ScopeId) -> LinkRow {
        let (link, head) = (self.link(peer), self.head(peer, scope));
        self.write(|tx| tx.acknowledged(&link, scope, head.seq, &[], AT));
        link
    }

    fn look(&mut self, peer: u8, scope: ScopeId, look: Look) -> Found {
        let link = self.link(peer);
        self.write(|tx| tx.write_look(&link, scope, look, AT))
    }

    /// What it is to do with somebody whom only one end lists.
    fn settled(&mut self, peer: u8, scope: ScopeId, asked: (DocId, bool), told: Option<Claimed>) -> [Vec<DocId>; 2] {
        let claims = told.into_iter().map(|told| (asked.0, told)).collect();
        let found = self.look(peer, scope, Look::Settle { asked: vec![asked], claims });
        let Found::Settled { give, compare } = found else { panic!("nothing is settled") };
        [give, compare]
    }

    fn standing(&self, id: DocId) -> String {
        self.read(|read| read.standing(id))
    }
}

fn add_chapter(tx: &Tx<'_>, scope: ScopeId, slug: &str, role: ScopeRole) -> Result<(), StoreError> {
    let slug: Slug = slug.parse().unwrap();
    tx.add_chapter(&NewChapter { scope, slug: &slug, name: "A chapter", card: None, intake: None, role, at: AT })
}

#[test]
fn what_was_fed_of_somebody_who_is_forgotten_brings_nothing_of_others() {
    let mut hub = Node::hub();
    let (mary, jo) = (made(10, "Mary"), made(11, "Jo"));
    let propose = |hub: &mut Node, id: DocId, n: u8| {
        let (key, value) = ("occupation".to_owned(), "nurse".into());
        let new = [NewProposal { id: ProposalId::from_bytes([n; 16]), key, value }];
        hub.write(|tx| tx.propose(id, EventId::from_bytes([n; 16]), &new, AT));
    };
    hub.add(&mary, &[LA]);
    hub.rename(mary.id, 20, "Browne");
    let at_change = hub.head(LA_NODE, LA);
    propose(&mut hub, mary.id, 1);
    assert_eq!(hub.page(LA_NODE, LA, 0).entries.len(), 3);
    hub.write(|tx| tx.erase(mary.id, EraseId::from_parts(AT, [1; 10]), AT, None));
    // The numbers of her rows are free: what others get stands where hers stood.
    hub.add(&jo, &[SF]);
    hub.rename(jo.id, 20, "Park");
    propose(&mut hub, jo.id, 2);
    let newest: i64 = hub.file().query_row("SELECT max(id) FROM change", [], |row| row.get(0)).unwrap();
    assert_eq!(newest, 2);
    let page = hub.page(LA_NODE, LA, 0);
    assert!(matches!(page.entries.as_slice(), [Entry { content: Content::Erase { .. }, .. }]), "{page:?}");
    let cursor = Cursor { incarnation: hub.incarnation, position: at_change };
    assert_eq!(hub.read(|read| read.check_cursor(LA, Some(cursor))), CursorVerdict::Good(at_change.seq));
}

#[test]
fn a_chapter_waits_for_the_taker_s_node_and_not_for_a_taker_without_one() {
    let mut hub = Node::hub();
    let (mary, jo) = (made(10, "Mary"), made(11, "Jo"));
    hub.add(&mary, &[LA]);
    hub.add(&jo, &[LA]);
    hub.move_to(mary.id, Some(SF));
    hub.join(SF_NODE, SF);
    hub.move_to(jo.id, Some(SF));
    assert_eq!(leaves(&hub.page(LA_NODE, LA, 2)), [(mary.id, true), (jo.id, false)]);
    hub.acknowledged(SF_NODE, SF);
    assert_eq!(leaves(&hub.page(LA_NODE, LA, 4)), [(jo.id, true)]);
}

#[test]
fn nobody_waits_for_a_node_that_was_revoked() {
    let mut hub = Node::hub();
    hub.join(SF_NODE, SF);
    let mary = made(10, "Mary");
    hub.add(&mary, &[LA]);
    hub.move_to(mary.id, Some(SF));
    hub.write(|tx| tx.end_waits(AT));
    assert_eq!(leaves(&hub.page(LA_NODE, LA, 1)), [(mary.id, false)], "both nodes are there");
    let (la, sf) = (hub.link(LA_NODE).id, hub.link(SF_NODE).id);
    hub.write(|tx| tx.set_standing(sf, LinkStanding::Revoked, ""));
    hub.write(|tx| tx.end_waits(AT));
    assert_eq!(leaves(&hub.page(LA_NODE, LA, 2)), [(mary.id, true)]);
    assert!(hub.standing(mary.id).contains("going"), "{}", hub.standing(mary.id));
    hub.write(|tx| tx.set_standing(la, LinkStanding::Revoked, ""));
    hub.write(|tx| tx.end_waits(AT));
    assert!(!hub.standing(mary.id).contains("going"), "{}", hub.standing(mary.id));
}

#[test]
fn whom_a_person_lets_go_stays_until_she_has_arrived() {
    let (mut hub, mut la) = (Node::hub(), Node::chapter(LA_NODE));
    hub.join(SF_NODE, SF);
    let mary = made(10, "Mary");
    hub.add(&mary, &[LA]);
    la.take(HUB, hub.page(LA_NODE, LA, 0));
    la.rename(mary.id, 20, "Browne");
    hub.move_to(mary.id, Some(SF));
    la.take(HUB, hub.page(LA_NODE, LA, 1));
    assert_eq!(la.read(|read| read.leaves()).len(), 1, "the chapter knows her");
    la.write(|tx| tx.answer_leave(mary.id, true, AT));
    la.acknowledged(HUB, LA);
    assert!(la.standing(mary.id).starts_with("read_only"), "{}", la.standing(mary.id));
    hub.acknowledged(SF_NODE, SF);
    la.take(HUB, hub.page(LA_NODE, LA, 2));
    assert!(la.standing(mary.id).starts_with("gone"), "{}", la.standing(mary.id));
}

/// The simulation's seed 70029: a parent was put back to before somebody came to it, and had said earlier that it had
/// committed everything.
#[test]
fn nobody_goes_before_the_parent_has_shown_that_it_was_not_put_back() {
    let (mut hub, mut la) = (Node::hub(), Node::chapter(LA_NODE));
    let mary = made(10, "Mary");
    hub.add(&mary, &[LA]);
    la.take(HUB, hub.page(LA_NODE, LA, 0));
    hub.move_to(mary.id, None);
    let up = la.link(HUB).id;
    la.write(|tx| tx.unconfirmed(up));
    la.take(HUB, hub.page(LA_NODE, LA, 1));
    la.committed(HUB, LA);
    assert!(la.standing(mary.id).starts_with("read_only"), "{}", la.standing(mary.id));
    la.write(|tx| tx.confirmed(up, LA, AT));
    assert!(la.standing(mary.id).starts_with("gone"), "{}", la.standing(mary.id));
}

#[test]
fn each_node_gives_its_word_on_the_last_time_that_somebody_left() {
    let (mut hub, mut la) = (Node::hub(), Node::chapter(LA_NODE));
    let (mary, jo) = (made(10, "Mary"), made(11, "Jo"));
    hub.add(&mary, &[LA]);
    hub.add(&jo, &[LA]);
    la.take(HUB, hub.page(LA_NODE, LA, 0));
    la.rename(jo.id, 20, "Park");
    hub.move_to(mary.id, None);
    hub.move_to(jo.id, None);
    la.take(HUB, hub.page(LA_NODE, LA, 2));
    la.acknowledged(HUB, LA);
    assert_eq!(receipts(&la.page(HUB, LA, 0)), [Receipt::Kept { epoch: 2 }, Receipt::Left { epoch: 2 }]);
    // Both come back and leave again while the chapter is away.
    for person in [mary.id, jo.id] {
        hub.move_to(person, Some(LA));
        hub.move_to(person, None);
    }
    la.take(HUB, hub.page(LA_NODE, LA, 4));
    assert_eq!(receipts(&la.page(HUB, LA, 3)), [Receipt::Left { epoch: 4 }, Receipt::Kept { epoch: 4 }]);
    hub.take(LA_NODE, la.page(HUB, LA, 0));
    assert!(!hub.standing(mary.id).contains("going"), "{}", hub.standing(mary.id));
    assert!(hub.standing(jo.id).contains("disputed"), "{}", hub.standing(jo.id));
    // A node that joined since has nothing of either.
    let mut second = Node::chapter(8);
    second.take(HUB, hub.page(LA_NODE, LA, 0));
    assert_eq!(receipts(&second.page(HUB, LA, 0)), [Receipt::Left { epoch: 4 }; 2]);
}

#[test]
fn an_ended_transfer_is_listed_for_a_month_and_until_everybody_has_heard_and_she_has_gone() {
    let (mut hub, mut la) = (Node::hub(), Node::chapter(LA_NODE));
    let (mary, id) = (made(10, "Mary"), TransferId::from_parts(AT, [1; 10]));
    hub.add(&mary, &[LA]);
    la.take(HUB, hub.page(LA_NODE, LA, 0));
    la.rename(mary.id, 20, "Browne");
    let to = Some("sf".to_owned());
    let (also, her_word, text) = (false, false, "moved in May".into());
    let new = NewTransfer { id, person: mary.id, to, text, agreed: true, also, her_word, at: AT };
    hub.write(|tx| tx.propose_transfer(&new));
    la.take(HUB, hub.page(LA_NODE, LA, 1));
    la.write(|tx| tx.answer_transfer(id, true, ""));
    hub.take(LA_NODE, la.page(HUB, LA, 0));
    hub.file().execute_batch("UPDATE transfer SET taken = 1").unwrap();
    assert!(hub.write(|tx| tx.complete_transfer(id, None, AT)));
    // The chapter hears that it is done, and is away before it hears that she leaves.
    let mut done = hub.page(LA_NODE, LA, 2);
    assert_eq!(done.entries.len(), 2);
    done.entries.truncate(1);
    done.last.seq = 3;
    la.take(HUB, done);
    la.acknowledged(HUB, LA);
    let (listed, late) = (AT.plus_millis(29 * DAY_MS), AT.plus_millis(30 * DAY_MS));
    let count = |node: &mut Node, at: Timestamp| {
        node.write(|tx| tx.trim_transfers(at));
        node.read(|read| read.transfers(10)).len()
    };
    assert_eq!((count(&mut la, AT), count(&mut la, late)), (1, 1), "her leave asks for the word that was given");
    la.take(HUB, hub.page(LA_NODE, LA, 3));
    assert!(la.read(|read| read.leaves()).is_empty(), "the word is remembered");
    assert_eq!(la.read(|read| read.stubs(10))[0].reason, "transferred");
    assert_eq!((count(&mut la, listed), count(&mut la, late)), (1, 0));
    hub.take(LA_NODE, la.page(HUB, LA, 2));
    assert_eq!((count(&mut hub, AT), count(&mut hub, late)), (1, 1), "the chapter may not have heard of it");
    hub.acknowledged(LA_NODE, LA);
    assert_eq!((count(&mut hub, listed), count(&mut hub, late)), (1, 0));
}

#[test]
fn who_lists_an_id_learns_nothing_and_who_has_had_her_is_told_that_she_left() {
    let mut hub = Node::hub();
    hub.join(SF_NODE, SF);
    let (mut mary, forged) = (made(10, "Mary"), made(10, "Maria"));
    hub.add(&mary, &[SF]);
    let late = mary.record.edit(&[Write::field("family_name", "Browne")], &stamp(20)).unwrap();
    let (before, nobody) = (hub.standing(mary.id), made(12, "Nobody").id);
    for id in [mary.id, nobody] {
        assert_eq!(hub.settled(LA_NODE, LA, (id, true), None), [vec![], vec![id]], "as for an id that nobody knows");
    }
    let brings = |changes: &[&Written]| {
        let entry = |change: &&Written| Entry {
            seq: 0,
            document: mary.id,
            content: Content::Change { bytes: change.bytes.clone() },
        };
        Look::Log(changes.iter().map(entry).collect())
    };
    hub.look(LA_NODE, LA, brings(&[&forged.first, &late]));
    assert_eq!(hub.standing(mary.id), before, "another first change is not hers");
    hub.look(LA_NODE, LA, brings(&[&mary.first, &late]));
    assert_eq!(leaves(&hub.page(LA_NODE, LA, 0)), [(mary.id, true)]);
    assert_eq!(hub.read(|read| read.holders(mary.id)), [SF]);
    assert_eq!(hub.read(|read| read.heads(mary.id)), Some(vec![late.hash]), "what it wrote before is taken");
}

#[test]
fn a_hub_that_was_put_back_gives_her_to_the_chapter_that_took_her_whoever_speaks_first() {
    let mary = made(10, "Mary");
    let [mut hub, mut one, mut other] = [(), (), ()].map(|()| {
        let mut hub = Node::hub();
        hub.join(SF_NODE, SF);
        hub.add(&mary, &[LA]);
        hub
    });
    hub.move_to(mary.id, Some(SF));
    let (left, entered) = (hub.page(LA_NODE, LA, 1), hub.page(SF_NODE, SF, 0));
    let Content::Leave { epoch, proof, .. } = left.entries[0].content else { panic!("{left:?}") };
    let left = Claimed::Left { epoch, proof };
    let Content::Enter { epoch, proof, .. } = entered.entries[0].content else { panic!("{entered:?}") };
    let held = Claimed::Held { epoch, guest: false, proof };
    // These two have forgotten the move. The giving chapter has her on her way out, or not at all.
    assert_eq!(one.settled(LA_NODE, LA, (mary.id, true), Some(left)), [vec![mary.id], vec![mary.id]]);
    assert_eq!(one.settled(SF_NODE, SF, (mary.id, true), Some(held)), [vec![], vec![mary.id]]);
    assert_eq!(other.settled(SF_NODE, SF, (mary.id, true), Some(held)), [vec![], vec![mary.id]]);
    other.settled(LA_NODE, LA, (mary.id, false), Some(left));
    for hub in [&one, &other] {
        assert_eq!(hub.read(|read| read.holders(mary.id)), [SF]);
        assert!(hub.read(|read| read.verify()).is_empty());
    }
}

#[test]
fn what_a_hub_can_not_read_of_a_child_s_does_not_go_with_the_record() {
    let (mut hub, mut mary) = (Node::hub(), made(10, "Mary"));
    hub.add(&mary, &[LA]);
    hub.write(|tx| tx.join_parent(&link(PARENT, Direction::Up, OWN)));
    let written = mary.record.edit(&[Write::field("family_name", "Browne")], &stamp(20)).unwrap();
    hub.take(LA_NODE, batch(LA, 0, vec![(mary.id, Content::Change { bytes: written.bytes })]));
    let newest = "UPDATE change SET raw = x'00' WHERE id = (SELECT max(id) FROM change)";
    assert_eq!(hub.file().execute(newest, []).unwrap(), 1);
    let job = hub.read(|read| read.fold_work(1)).remove(0);
    let folded = fold_one(job, &Ladder::default());
    assert_eq!(hub.write(|tx| tx.put_fold(&folded, AT)), FoldOutcome::Quarantined);
    let leave = Content::Leave { epoch: 2, proof: [0; 16], arrived: true };
    hub.take(PARENT, batch(OWN, 0, vec![(mary.id, leave)]));
    hub.take(LA_NODE, batch(LA, 1, vec![(mary.id, Content::Receipt(Receipt::Left { epoch: 2 }))]));
    hub.acknowledged(PARENT, OWN);
    let standing = hub.standing(mary.id);
    assert!(standing.starts_with("quarantined") && standing.contains("disputed"), "{standing}");
    assert_eq!(receipts(&hub.page(PARENT, OWN, 0)), [Receipt::Kept { epoch: 2 }]);
}

#[test]
fn whoever_was_erased_on_a_child_s_word_is_receipted_once_the_parent_asks() {
    let (mut la, mary) = (Node::chapter(LA_NODE), made(10, "Mary"));
    let erasure = EraseId::from_parts(AT, [1; 10]);
    la.add(&mary, &[LA]);
    la.write(|tx| tx.erase(mary.id, erasure, AT, None));
    la.write(|tx| tx.scrubbed(&[mary.id], AT));
    assert!(receipts(&la.page(HUB, LA, 0)).is_empty(), "nobody above has asked");
    let asked = || batch(LA, 0, vec![(mary.id, Content::Erase { erasure, at: AT, proof: [3; 16], above: None })]);
    la.take(HUB, asked());
    la.take(HUB, asked());
    assert_eq!(receipts(&la.page(HUB, LA, 0)), [Receipt::Erased { erasure }], "once");
}

#[test]
fn who_never_says_that_it_has_heard_of_a_leave_writes_late_for_a_month_only() {
    let (mut hub, mut mary) = (Node::hub(), made(10, "Mary"));
    hub.join(SF_NODE, SF);
    hub.add(&mary, &[LA]);
    hub.move_to(mary.id, Some(SF));
    let mut refused = |after: u64, name: &str, day: i64| {
        let written = mary.record.edit(&[Write::field("family_name", name)], &stamp(20)).unwrap();
        let late = batch(LA, after, vec![(mary.id, Content::Change { bytes: written.bytes })]);
        hub.refused(LA_NODE, late, AT.plus_millis(day * DAY_MS))
    };
    assert_eq!(refused(0, "Browne", 40), 0, "it was away for long");
    assert_eq!(refused(1, "Brown", 69), 0);
    assert_eq!(refused(2, "Braun", 71), 1, "it has written so for a month");
}

#[test]
fn whoever_asks_for_somebody_asks_for_itself_whatever_name_and_scope_it_gives() {
    let (mut hub, mary, jo) = (Node::hub(), made(10, "Mary"), made(11, "Jo"));
    hub.join(SF_NODE, SF);
    hub.add(&mary, &[LA]);
    hub.add(&jo, &[LA]);
    let asks = |n: u8, to: &str| {
        Content::Transfer(Transfer {
            id: TransferId::from_parts(AT, [n; 10]),
            side: Side::Take,
            state: TransferState::Open,
            epoch: 0,
            to: to.to_owned(),
            summary: Personal::default(),
            text: "she moved here in May".into(),
            agreed: true,
            also: false,
            her_word: false,
            at: AT,
        })
    };
    // Another chapter's name, or the network's, would be what her chapter is asked to agree to.
    hub.take(SF_NODE, batch(SF, 0, vec![(mary.id, asks(1, "oakland"))]));
    let listed = hub.read(|read| read.transfers(10));
    assert_eq!((listed.len(), listed[0].to.as_str()), (1, "sf"));
    // What comes into the network's scope would go to everybody.
    let everywhere = batch(ScopeId::NETWORK, 0, vec![(jo.id, asks(2, "sf"))]);
    assert_eq!(hub.refused(SF_NODE, everywhere, AT), 1);
    assert_eq!(hub.read(|read| read.transfers(10)).len(), 1);
}

#[test]
fn whom_a_chapter_that_leaves_has_not_heard_of_goes_back_to_the_network_and_nobody_else() {
    let mut hub = Node::hub();
    let (mary, jo) = (made(10, "Mary"), made(11, "Jo"));
    for (made, heard) in [(&mary, true), (&jo, false)] {
        hub.add(made, &[LA]);
        let (key, value) = ("occupation".to_owned(), "nurse".into());
        let n = made.id.as_bytes()[15];
        let new = [NewProposal { id: ProposalId::from_bytes([n; 16]), key, value }];
        hub.write(|tx| tx.propose(made.id, EventId::from_bytes([n; 16]), &new, AT));
        if heard {
            hub.acknowledged(LA_NODE, LA);
        }
    }
    let hand_back = |hub: &mut Node, id: DocId, family_name: &str| {
        let mut loaded = hub.read(|read| read.load(id)).unwrap();
        let written = loaded.record.edit(&[Write::field("family_name", family_name)], &stamp(20)).unwrap();
        let edited = Edited::new(loaded, written, [20; 16], &Ladder::default());
        hub.writer.commit(|tx| tx.hand_back(id, LA, &edited, AT))
    };
    let figures = |hub: &Node| {
        let tally = hub.read(|read| read.tally());
        (tally.supporters, tally.waiting, tally.proposals)
    };
    assert_eq!((hub.read(|read| read.not_heard_of(LA)), figures(&hub)), (vec![jo.id], (2, 0, 2)));
    assert!(hand_back(&mut hub, jo.id, "Park").is_err(), "the chapter is there");

    hub.write(|tx| tx.chapter_leaves(NodeId([LA_NODE; 32]), LeaveWord::Keep, None, AT));
    assert_eq!((hub.read(|read| read.not_heard_of(LA)), figures(&hub)), (vec![jo.id], (0, 0, 0)));
    assert!(hand_back(&mut hub, jo.id, "Park").unwrap());
    assert_eq!((hub.read(|read| read.not_heard_of(LA)), figures(&hub)), (Vec::new(), (1, 1, 1)));
    assert!(!hand_back(&mut hub, jo.id, "Lee").unwrap(), "once");
}
