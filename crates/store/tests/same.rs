//! Joined records: shown as one person under the smallest id, counted once, and apart again when a link or a half goes.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use std::collections::BTreeSet;

use model::{
    Digest, DocId, EmailAddress, EraseId, EventId, Incarnation, JOINED_MAX, Kind, Ladder, NodeId, RungId, ScopeId,
    SignUp, Slug, Timestamp,
};
use record::{Record, Stamp, Write, from_sign_up};
use store::{
    Acceptance, Direction, DocState, Edited, Enrolling, Filter, InviteOutcome, LeaveWord, LinkCertificate, Match,
    NewChapter, NewDocument, NewInvite, NewLink, NodeKind, NodeRow, Page, ProofKey, Read, Reader, ScopeRole, Store,
    StoreError, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const NODE: NodeId = NodeId([9; 32]);

/// A hub's database, in which each person has a number: the smaller it is, the smaller is her id.
struct World {
    _directory: TempDir,
    writer: Writer,
    reader: Reader,
    actor: u16,
}

fn id(n: u8) -> DocId {
    DocId::from_parts(AT, [n; 10])
}

/// People as lists of their records' ids.
fn people<const N: usize>(people: [Vec<DocId>; N]) -> BTreeSet<Vec<DocId>> {
    people.into()
}

impl World {
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
        let first = |tx: &store::Tx<'_>| tx.add_scope(ScopeId::NETWORK, ScopeRole::Network);
        let store = Store::create(directory.path(), &row, AT, first).unwrap();
        let (writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
        Self { _directory: directory, writer, reader, actor: 0 }
    }

    fn chapter(&mut self, slug: &str, n: u8) -> ScopeId {
        let (scope, slug) = (ScopeId::from_bytes([n; 16]), slug.parse::<Slug>().unwrap());
        let new = NewChapter {
            scope,
            slug: &slug,
            name: "A chapter",
            card: None,
            intake: None,
            role: ScopeRole::Chapter,
            at: AT,
        };
        self.writer.commit(|tx| tx.add_chapter(&new)).unwrap();
        scope
    }

    /// Every process and every edit has an actor of its own.
    fn stamp(&mut self) -> Stamp {
        self.actor += 1;
        let mut actor = [0; 16];
        actor[..2].copy_from_slice(&self.actor.to_be_bytes());
        Stamp { actor, author: "test/lee".to_owned(), at: AT }
    }

    fn add(&mut self, n: u8, name: &str, chapter: Option<ScopeId>) -> DocId {
        let email = format!("p{n}@example.org");
        let sign_up = SignUp::from_fields([("given_name", name), ("email", email.as_str())], "US").unwrap();
        let stamp = self.stamp();
        let (record, written) = Record::create(id(n), Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp);
        let new = NewDocument::new(id(n), Kind::Supporter, &record, written, stamp.actor, &Ladder::default());
        let scopes: Vec<ScopeId> = chapter.into_iter().collect();
        self.writer.commit(|tx| tx.insert_document(&new, &scopes, DocState::Live)).unwrap();
        id(n)
    }

    /// Writes into a record; nothing if that stands already.
    fn write(&mut self, n: u8, writes: &[Write]) {
        let mut loaded = self.read(|read| read.load(id(n))).unwrap();
        let stamp = self.stamp();
        let Some(written) = loaded.record.edit(writes, &stamp) else { return };
        let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    }

    fn erase(&mut self, n: u8) {
        self.writer.commit(|tx| tx.erase(id(n), EraseId::from_parts(AT, [n; 10]), AT, None)).unwrap();
    }

    fn read<T>(&mut self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
        self.reader.at_once(job).unwrap()
    }

    /// Each person of a list as the numbers of her records.
    fn list(&mut self, filter: &Filter) -> BTreeSet<Vec<DocId>> {
        let people = self.read(|read| read.people(filter, Page { limit: 100, after: None }));
        people.iter().map(|person| person.supporter.ids().collect()).collect()
    }

    fn search(&mut self, query: &str) -> Vec<DocId> {
        let found = self.list(&Filter { query: Some(query.to_owned()), ..Filter::default() });
        found.iter().map(|ids| ids[0]).collect()
    }

    /// How many people there are in all, after everything was counted again.
    fn counted(&mut self) -> u64 {
        let found = self.read(|read| read.verify());
        assert!(found.is_empty(), "{found:?}");
        self.read(|read| read.tally()).supporters
    }

    /// A chapter leaves the network.
    fn leaves(&mut self, chapter: ScopeId) {
        let left = self.writer.commit(|tx| {
            tx.put_link(&NewLink::new(NODE, Direction::Down, "a chapter", chapter))?;
            tx.chapter_leaves(NODE, LeaveWord::Keep, None, AT)
        });
        assert_eq!(left.unwrap(), AT);
    }

    /// And comes back by an invitation.
    fn comes_back(&mut self, chapter: ScopeId) {
        let (secret_hash, until) = (Digest([7; 32]), AT.plus_millis(60_000));
        let invite = NewInvite { secret_hash, chapter, link: None, by: "lee", at: AT, expires: until };
        let node = Enrolling {
            peer: NODE,
            certificate: LinkCertificate { bytes: vec![1], expires: until },
            accepted: Acceptance { version: 1, by: "lee".to_owned(), at: AT },
        };
        let came = self.writer.commit(|tx| {
            tx.add_invite(&invite)?;
            tx.enrol(&secret_hash.0, &node, AT)
        });
        assert_eq!(came.unwrap(), InviteOutcome::Enrolled(chapter));
    }

    fn chapters(&mut self) -> Vec<(u64, Vec<(String, u64)>)> {
        let chapters = self.read(|read| read.chapters());
        chapters.iter().map(|chapter| (chapter.supporters(), chapter.rungs.clone())).collect()
    }
}

fn event(n: u8) -> EventId {
    EventId::from_bytes([n; 16])
}

#[test]
fn a_link_that_came_before_the_other_half_joins_when_it_comes() {
    let mut world = World::new();
    let second = world.add(2, "Maria", None);
    world.write(2, &[Write::same_as(id(1))]);
    assert_eq!(world.counted(), 1);
    assert!(world.read(|read| read.person(second)).supporter.merged.is_empty(), "the other half is not here");

    let first = world.add(1, "Mary", None);
    assert_eq!(world.counted(), 1);
    assert_eq!(world.list(&Filter::default()), people([vec![first, second]]));
    for of in [first, second] {
        let shown = world.read(|read| read.person(of)).supporter;
        assert_eq!((shown.id, shown.field("given_name"), shown.emails.len()), (first, "Mary", 2));
    }
    for words in ["maria", "p2@example.org", "mary p2", "maria p1"] {
        assert_eq!(world.search(words), [first], "{words} is of either record, and she is shown under the first");
    }
    let alone = world.read(|read| read.record(second)).supporter;
    assert_eq!((alone.field("given_name"), alone.emails.len()), ("Maria", 1));
    let known: [EmailAddress; 1] = ["p2@example.org".parse().unwrap()];
    assert_eq!(
        world.read(|read| read.match_emails(&known)),
        Match::Known(second),
        "a sign-up goes to whose address it is"
    );
}

#[test]
fn edits_to_either_are_shown_and_taking_the_link_back_shows_two() {
    let mut world = World::new();
    let (first, second) = (world.add(1, "Mary", None), world.add(2, "Mary", None));
    world.write(1, &[Write::same_as(second)]);
    world.write(2, &[Write::field("employer", "Port of Oakland")]);
    world.write(1, &[Write::field("family_name", "Brown")]);
    let shown = world.read(|read| read.person(second)).supporter;
    assert_eq!((shown.field("family_name"), shown.field("employer")), ("Brown", "Port of Oakland"));
    assert_eq!((world.counted(), world.search("brown p2")), (1, vec![first]));

    world.write(1, &[Write::not_same_as(second)]);
    assert_eq!(world.counted(), 2);
    assert_eq!(world.list(&Filter::default()), people([vec![first], vec![second]]));
    assert_eq!((world.search("brown p2"), world.search("p2")), (Vec::new(), vec![second]));
    let alone = world.read(|read| read.person(first)).supporter;
    assert_eq!((alone.field("employer"), alone.emails.len()), ("", 1));
}

#[test]
fn the_lower_rung_counts_and_the_set_is_hidden_with_one_of_its_records() {
    let mut world = World::new();
    world.add(1, "Mary", None);
    world.add(2, "Mary", None);
    world.write(1, &[Write::rung(&RungId::new("commitment"), event(1)), Write::same_as(id(2))]);
    world.write(2, &[Write::rung(&RungId::new("conversation"), event(2))]);
    assert_eq!(world.counted(), 1);
    assert_eq!(world.read(|read| read.tally()).rungs, [("conversation".to_owned(), 1)]);
    let on = |rung: &str| Filter { rung: Some(RungId::new(rung)), ..Filter::default() };
    assert_eq!((world.list(&on("conversation")).len(), world.list(&on("commitment")).len()), (1, 0));

    world.write(2, &[Write::erasure(true, event(3))]);
    assert_eq!((world.counted(), world.list(&Filter::default()).len()), (0, 0));
    assert!(world.read(|read| read.asks_to_note()), "it is asked of one record");
    world.write(2, &[Write::erasure(false, event(4))]);
    assert_eq!((world.counted(), world.list(&Filter::default()).len()), (1, 1));
    assert!(!world.read(|read| read.asks_to_note()));
}

#[test]
fn erasing_one_half_shows_the_other_again() {
    for gone in [1, 2] {
        let mut world = World::new();
        world.add(1, "Mary", None);
        world.add(2, "Maria", None);
        world.write(1, &[Write::same_as(id(2))]);
        assert_eq!(world.counted(), 1);
        world.erase(gone);
        let stays = id(3 - gone);
        assert_eq!(world.counted(), 1);
        assert_eq!(world.list(&Filter::default()), people([vec![stays]]));
        assert!(world.search(&format!("p{gone}@example.org")).is_empty(), "nothing of her words is left in the other");
        assert!(world.reader.at_once(|read| read.person(id(gone))).is_err());
    }
}

#[test]
fn whoever_leaves_a_fully_linked_set_leaves_the_others_together() {
    let mut world = World::new();
    for n in 1..=3 {
        world.add(n, "Mary", None);
    }
    world.write(1, &[Write::same_as(id(2)), Write::same_as(id(3))]);
    world.write(2, &[Write::same_as(id(3))]);
    assert_eq!(world.list(&Filter::default()), people([vec![id(1), id(2), id(3)]]));
    world.erase(1);
    assert_eq!((world.counted(), world.list(&Filter::default())), (1, people([vec![id(2), id(3)]])));
}

#[test]
fn a_hub_joins_records_of_two_chapters_and_each_counts_her_as_it_did() {
    let mut world = World::new();
    let (la, sf) = (world.chapter("la", 5), world.chapter("sf", 6));
    let (first, second) = (world.add(1, "Mary", Some(la)), world.add(2, "Maria", Some(sf)));
    world.add(3, "Wanda", None);
    world.write(2, &[Write::rung(&RungId::new("conversation"), event(2))]);
    let before = world.chapters();
    assert_eq!(before.iter().map(|(people, _)| *people).collect::<Vec<_>>(), [1, 1]);
    let heads = world.read(|read| Ok((read.heads(first)?, read.heads(second)?)));

    world.writer.commit(|tx| tx.join_here(&[(first, second)], "lee", AT)).unwrap();
    assert_eq!(world.counted(), 2, "Mary once, and Wanda");
    assert_eq!(world.chapters(), before, "what the hub sees of a chapter, the chapter sees too");
    assert_eq!(world.read(|read| Ok((read.heads(first)?, read.heads(second)?))), heads, "no record says anything");
    let shown = world.read(|read| read.person(second));
    assert_eq!((shown.supporter.id, shown.chapters), (first, vec!["la".to_owned(), "sf".to_owned()]));
    for chapter in [la, sf] {
        let found = world.list(&Filter { chapter: Some(chapter), ..Filter::default() });
        assert_eq!(found, people([vec![first, second]]));
    }
    let waits = Filter { waiting: Some(true), ..Filter::default() };
    assert_eq!(world.list(&waits), people([vec![id(3)]]));

    // Who is in a chapter does not wait, whichever of her records does.
    world.writer.commit(|tx| tx.join_here(&[(first, id(3))], "lee", AT)).unwrap();
    assert_eq!((world.counted(), world.read(|read| read.tally()).waiting, world.list(&waits).len()), (1, 0, 0));
    assert_eq!(world.read(|read| read.same_here(first)), [second, id(3)]);
    world.writer.commit(|tx| tx.part_here(first)).unwrap();
    assert_eq!((world.counted(), world.chapters(), world.list(&waits).len()), (3, before, 1));
}

#[test]
fn too_many_records_stay_apart_until_they_are_few_enough() {
    let mut world = World::new();
    let last = u8::try_from(JOINED_MAX).unwrap() + 1;
    for n in 1..=last {
        world.add(n, "Mary", None);
    }
    for n in 1..last {
        world.write(n, &[Write::same_as(id(n + 1))]);
        let people = u64::from(if n + 1 < last { last - n } else { last });
        assert_eq!(world.counted(), people, "after {} were linked", n + 1);
    }
    world.write(8, &[Write::not_same_as(id(9))]);
    assert_eq!((world.counted(), world.list(&Filter::default()).len()), (2, 2));
    // A record that names more than fit names nobody.
    let many: Vec<Write> = (20..40).map(|n| Write::same_as(id(n))).collect();
    world.write(1, &many);
    assert_eq!(world.counted(), 3);
}

/// Numbers that look drawn and are the same every time (xorshift, 64 bits).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u8::try_from(self.0 % u64::from(sides)).unwrap()
    }
}

/// Whoever is here, in the sets that links make; a larger set than is joined is its records.
fn sets(here: &BTreeSet<u8>, links: &BTreeSet<(u8, u8)>) -> BTreeSet<Vec<DocId>> {
    let mut left = here.clone();
    let mut made = BTreeSet::new();
    while let Some(one) = left.pop_first() {
        let mut set = BTreeSet::from([one]);
        loop {
            let reached =
                |n: u8| links.iter().any(|(a, b)| (*a == n && set.contains(b)) || (*b == n && set.contains(a)));
            let Some(next) = left.iter().copied().find(|n| reached(*n)) else { break };
            left.remove(&next);
            set.insert(next);
        }
        if set.len() > JOINED_MAX {
            made.extend(set.iter().map(|n| vec![id(*n)]));
        } else {
            made.insert(set.iter().map(|n| id(*n)).collect());
        }
    }
    made
}

#[test]
fn sets_are_what_links_say_whatever_comes_and_goes() {
    for seed in 1..=6 {
        let (mut world, mut dice) = (World::new(), Dice(seed));
        let homes = [None, Some(world.chapter("la", 5)), Some(world.chapter("sf", 6))];
        let (mut here, mut erased) = (BTreeSet::new(), BTreeSet::new());
        let (mut said, mut said_here) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..40 {
            let (one, other) = (dice.roll(8) + 1, dice.roll(8) + 1);
            let known = here.contains(&one);
            match dice.roll(10) {
                _ if !known => {
                    if !erased.contains(&one) {
                        world.add(one, ["Mary", "Maria"][usize::from(one % 2)], homes[usize::from(dice.roll(3))]);
                        here.insert(one);
                    }
                }
                0..=3 if one != other => {
                    world.write(one, &[Write::same_as(id(other))]);
                    said.insert((one, other));
                }
                4 | 5 => {
                    let links: Vec<(u8, u8)> = said.iter().copied().filter(|(by, _)| *by == one).collect();
                    world.write(one, &links.iter().map(|(_, of)| Write::not_same_as(id(*of))).collect::<Vec<_>>());
                    said.retain(|(by, _)| *by != one);
                }
                6 if one != other && here.contains(&other) => {
                    world.writer.commit(|tx| tx.join_here(&[(id(one), id(other))], "lee", AT)).unwrap();
                    said_here.insert((one, other));
                }
                7 => {
                    world.writer.commit(|tx| tx.part_here(id(one))).unwrap();
                    said_here.retain(|(a, b)| *a != one && *b != one);
                }
                8 if dice.roll(4) == 0 => {
                    world.erase(one);
                    here.remove(&one);
                    erased.insert(one);
                    said.retain(|(by, _)| *by != one);
                    said_here.retain(|(a, b)| *a != one && *b != one);
                }
                _ => {
                    let rung = ["contact", "conversation", "commitment"][usize::from(dice.roll(3))];
                    world.write(one, &[Write::rung(&RungId::new(rung), event(dice.roll(200)))]);
                }
            }
            let wanted = sets(&here, &said.union(&said_here).copied().collect());
            assert_eq!(world.list(&Filter::default()), wanted, "seed {seed}");
            assert_eq!(world.counted(), wanted.len() as u64, "seed {seed}");
        }
    }
}

#[test]
fn whose_chapter_left_is_in_no_total_and_joined_with_nobody_outside_of_it_until_it_is_back() {
    let mut world = World::new();
    let (la, sf) = (world.chapter("la", 101), world.chapter("sf", 102));
    for (n, name, chapter) in [(1, "Maria", Some(la)), (2, "Mary", Some(sf)), (3, "M", None), (4, "Ma", Some(la))] {
        world.add(n, name, chapter);
    }
    world.add(5, "Ana", Some(la));
    world.add(6, "Sol", None);
    world.write(2, &[Write::same_as(id(1))]);
    world.write(3, &[Write::same_as(id(1)), Write::same_as(id(2))]);
    world.write(4, &[Write::same_as(id(1))]);
    let all = |world: &mut World| world.list(&Filter::default());
    let together = people([vec![id(1), id(2), id(3), id(4)], vec![id(5)], vec![id(6)]]);
    let totals = |world: &mut World| world.chapters().into_iter().map(|(count, _)| count).collect::<Vec<_>>();
    assert_eq!((world.counted(), all(&mut world), totals(&mut world)), (3, together.clone(), vec![2, 1]));

    world.leaves(la);
    let apart = people([vec![id(1), id(4)], vec![id(2), id(3)], vec![id(5)], vec![id(6)]]);
    assert_eq!((world.counted(), all(&mut world), totals(&mut world)), (2, apart, vec![2, 1]), "its own figure stays");
    assert_eq!(world.read(|read| read.tally()).waiting, 1, "who is in another chapter does not wait");
    assert_eq!(world.read(|read| read.person(id(1))).left, Some(AT));
    let address: EmailAddress = "p1@example.org".parse().unwrap();
    assert_eq!(world.read(|read| read.match_emails(&[address])), Match::New);
    let mut loaded = world.read(|read| read.load(id(5))).unwrap();
    let stamp = world.stamp();
    let written = loaded.record.edit(&[Write::field("family_name", "Lee")], &stamp).unwrap();
    let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
    let refused = world.writer.commit(|tx| tx.put_edit(&edited)).unwrap_err();
    assert!(matches!(refused, StoreError::NotWritable(..)), "{refused}");
    assert!(world.writer.commit(|tx| tx.place(id(6), la)).is_err());
    // What is linked meanwhile is joined with those who stayed, and with the others when they are back.
    world.write(6, &[Write::same_as(id(1)), Write::same_as(id(2))]);
    world.erase(5);
    assert_eq!((world.counted(), totals(&mut world)), (1, vec![1, 1]));

    world.comes_back(la);
    let back = people([vec![id(1), id(2), id(3), id(4), id(6)]]);
    assert_eq!((world.counted(), all(&mut world), totals(&mut world)), (1, back, vec![1, 1]));
}
