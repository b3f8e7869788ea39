//! Figures against a recount of everybody, whatever happened; and a sheet that was kept is never changed.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use std::collections::BTreeSet;

use model::{
    AnswerKind, AttemptResult, Body, DocId, Event, EventId, FourNumbers, Incarnation, Kind, Ladder, MoveKind, NodeId,
    RungId, ScopeId, SignUp, Slug, Supporter, Timestamp,
};
use record::{Record, Stamp, Write, from_sign_up};
use serde_json::{Value, json};
use store::{
    DATABASE_FILE, DocState, Edited, Filter, Moves, NewChapter, NewDocument, NodeKind, NodeRow, Page, ProofKey, Read,
    Reader, ScopeRole, Selection, Store, StoreError, Writer,
};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// People of the random history.
const PEOPLE: u8 = 12;

/// Numbers from a seed (a linear congruential generator, Knuth's constants).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(sides)) as u8
    }
}

fn id(n: u8) -> DocId {
    DocId::from_parts(NOW.plus_millis(-3 * DAY_MS), [n; 10])
}

fn days_ago(days: i64) -> Timestamp {
    NOW.plus_millis(-days * DAY_MS)
}

/// A hub's database with people in two chapters.
struct World {
    directory: TempDir,
    store: Store,
    writer: Writer,
    reader: Reader,
    written: u16,
    chapters: [ScopeId; 2],
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
        let store = Store::create(directory.path(), &row, NOW, first).unwrap();
        let (mut writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
        let chapters = [("la", 101), ("sf", 102)].map(|(slug, n)| {
            let (scope, slug) = (ScopeId::from_bytes([n; 16]), slug.parse::<Slug>().unwrap());
            let role = ScopeRole::Chapter;
            let new = NewChapter { scope, slug: &slug, name: "A chapter", card: None, intake: None, role, at: NOW };
            writer.commit(|tx| tx.add_chapter(&new)).unwrap();
            scope
        });
        Self { directory, store, writer, reader, written: 0, chapters }
    }

    fn stamp(&mut self) -> Stamp {
        self.written += 1;
        let mut actor = [0; 16];
        actor[..2].copy_from_slice(&self.written.to_be_bytes());
        Stamp { actor, author: "test/lee".to_owned(), at: NOW }
    }

    /// The odd ones are in the first chapter. Every fourth shares the e-mail address of the one before her.
    fn add(&mut self, n: u8) {
        self.add_by(n, "form");
    }

    /// By which way she came.
    fn add_by(&mut self, n: u8, origin: &str) {
        let email = format!("p{}@example.org", if n.is_multiple_of(4) { n - 2 } else { n });
        let fields = [
            ("given_name", "Mary"),
            ("email", email.as_str()),
            ("postal_code", ["90012", "94110"][usize::from(n % 2)]),
        ];
        let sign_up = SignUp::from_fields(fields, "US").unwrap();
        let signed = self.event(4, json!({"kind": "sign_up", "origin": origin}));
        let stamp = self.stamp();
        let (record, written) = Record::create(id(n), Kind::Supporter, from_sign_up(&sign_up, &[signed]), &stamp);
        let new = NewDocument::new(id(n), Kind::Supporter, &record, written, stamp.actor, &Ladder::default());
        let chapter = self.chapters[usize::from(n.is_multiple_of(2))];
        self.writer.commit(|tx| tx.insert_document(&new, &[chapter], DocState::Live)).unwrap();
    }

    fn write(&mut self, n: u8, writes: &[Write]) {
        let mut loaded = self.read(|read| read.load(id(n))).unwrap();
        let stamp = self.stamp();
        let Some(written) = loaded.record.edit(writes, &stamp) else { return };
        let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    }

    fn read<T>(&mut self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
        self.reader.at_once(job).unwrap()
    }

    /// An event of its own id, so many days ago.
    fn event(&mut self, days: i64, mut plain: Value) -> Event {
        self.written += 1;
        let mut bytes = [7; 10];
        bytes[..2].copy_from_slice(&self.written.to_be_bytes());
        plain["id"] = json!(EventId::from_parts(days_ago(days), bytes));
        plain["at"] = json!(days_ago(days));
        plain["by"] = json!("ana");
        serde_json::from_value(plain).unwrap()
    }

    fn people(&mut self, chapter: Option<ScopeId>) -> Vec<Supporter> {
        let filter = Filter { chapter, ..Filter::default() };
        let people = self.read(|read| read.people(&filter, Page { limit: 100, after: None }));
        people.into_iter().map(|person| person.supporter).collect()
    }
}

/// The four numbers as the words of docs/METRICS.md have them, of people as lists show them.
fn recount(people: &[Supporter]) -> FourNumbers {
    let since = |her: &Supporter, days: i64, counts: fn(&Body) -> bool| {
        her.events.iter().any(|event| event.at >= days_ago(days) && counts(&event.body))
    };
    let spoken = |body: &Body| {
        matches!(body, Body::Attempt { result: AttemptResult::Talked, .. } | Body::OneToOne { .. } | Body::Came { .. })
    };
    let kept_ask = |body: &Body| matches!(body, Body::Answer { answer: AnswerKind::Kept, .. });
    let kept = |body: &Body| matches!(body, Body::Answer { answer: AnswerKind::Kept, .. } | Body::Came { .. });
    let base = people.iter().filter(|her| !her.do_not_contact && !her.emails.is_empty() && since(her, 365, spoken));
    let base: Vec<&Supporter> = base.collect();
    let high = |her: &&&Supporter| ["commitment", "leadership"].contains(&her.rung.as_str()) && since(her, 90, kept);
    let committed: Vec<&Supporter> = base.iter().filter(high).copied().collect();
    let develops = |her: &&&Supporter| {
        let ids: BTreeSet<String> = her.ids().map(|id| id.to_string()).collect();
        let hers = |other: &&Supporter| other.developed_by.as_ref().is_some_and(|by| ids.contains(by.expose()));
        let others = people.iter().filter(hers).filter(|other| other.id != her.id);
        her.rung.as_str() == "leadership" && others.into_iter().any(|other| since(other, 90, kept_ask))
    };
    FourNumbers {
        list: people.len() as u64,
        base: base.len() as u64,
        committed: committed.len() as u64,
        leaders: committed.iter().filter(develops).count() as u64,
    }
}

fn recount_moves(people: &[Supporter]) -> Moves {
    let mut made = Moves::default();
    let lately = people.iter().flat_map(|her| &her.events).filter(|event| event.at >= days_ago(30));
    for event in lately {
        let Body::Move { how, .. } = &event.body else { continue };
        made.up += u64::from(*how == MoveKind::Up);
        made.down += u64::from(*how == MoveKind::Down);
        made.skips += u64::from(*how == MoveKind::Skip);
    }
    made
}

/// Something happens to somebody.
fn step(world: &mut World, dice: &mut Dice, asks: &mut Vec<(u8, EventId)>) {
    let n = dice.roll(PEOPLE) + 1;
    let days = i64::from(dice.roll(250)) * 2;
    match dice.roll(14) {
        0 | 10 => {
            let talked = world.event(days, json!({"kind": "attempt", "how": "call", "result": "talked"}));
            world.write(n, &[Write::event(&talked)]);
        }
        1 => {
            let held = json!({"kind": "one_to_one", "minutes": 20, "ask": "bring two"});
            let held = world.event(days, held);
            world.write(n, &[Write::event(&held)]);
        }
        2 | 11 => {
            let asked = json!({"kind": "ask", "text": "bring two", "ask_kind": "recruit", "due": "2026-05-01"});
            let asked = world.event(days, asked);
            asks.push((n, asked.id));
            world.write(n, &[Write::event(&asked)]);
        }
        3 | 4 => {
            let Some((who, of)) = asks.pop() else { return };
            let answer = ["kept", "kept", "kept", "missed"][usize::from(dice.roll(4))];
            let said = world.event(days / 6, json!({"kind": "answer", "of": of, "answer": answer}));
            world.write(who, &[Write::event(&said)]);
        }
        5 | 6 | 12 => {
            let rung = ["conversation", "commitment", "leadership", "leadership"][usize::from(dice.roll(4))];
            let how = ["up", "skip", "down", "baseline"][usize::from(dice.roll(4))];
            let moved = json!({"kind": "move", "from": "contact", "to": rung, "how": how});
            let moved = world.event(days / 4, moved);
            world.write(n, &[Write::event(&moved), Write::rung(&RungId::new(rung), moved.id)]);
        }
        7 => {
            let came = world.event(days, json!({"kind": "came", "action": DocId::from_bytes([9; 16])}));
            world.write(n, &[Write::event(&came)]);
        }
        // By one of four, so that some of them lead.
        8 => world.write(n, &[Write::field("developed_by", &id(dice.roll(4) + 1).to_string())]),
        // Two of one chapter are the same person, or are not.
        9 => {
            let other = id(if n > 2 { n - 2 } else { n + 2 });
            world.write(n, &[if dice.roll(3) == 0 { Write::same_as(other) } else { Write::not_same_as(other) }]);
        }
        _ => {
            let said =
                json!({"kind": "consent", "channel": "any", "sender": "any", "state": "withdrawn", "source": "x"});
            let said = world.event(1, said);
            let write = match dice.roll(4) {
                0 => Write::do_not_contact(said.id),
                1 => Write::erasure(true, said.id),
                2 => Write::erasure(false, said.id),
                _ => Write::contact_again(said.id),
            };
            world.write(n, &[write]);
        }
    }
}

#[test]
fn g11_figures_equal_a_recount_of_everybody_whatever_happened() {
    let mut reached = FourNumbers::default();
    for seed in 1..=8 {
        let (mut world, mut dice, mut asks) = (World::new(), Dice(seed), Vec::new());
        (1..=PEOPLE).for_each(|n| world.add(n));
        for at in 0..150 {
            step(&mut world, &mut dice, &mut asks);
            if at % 5 != 0 {
                continue;
            }
            for chapter in [Some(world.chapters[0]), Some(world.chapters[1]), None] {
                let people = world.people(chapter);
                let wanted = recount(&people);
                let (made, scanned) = world.read(|read| {
                    let all = Selection::default();
                    Ok((read.four_numbers(chapter, NOW)?, read.four_numbers_of(chapter, &all, NOW)?))
                });
                assert_eq!((made, scanned), (wanted, wanted), "seed {seed}, step {at}, {chapter:?}");
                assert!(made.list >= made.base && made.base >= made.committed && made.committed >= made.leaders);
                reached.committed = reached.committed.max(made.committed);
                reached.leaders = reached.leaders.max(made.leaders);
                let span = (days_ago(30), NOW.plus_millis(1));
                let moves = world.read(|read| read.moves(chapter, span));
                let hidden: Vec<Supporter> = shown_records(&mut world, chapter);
                assert_eq!(moves, recount_moves(&hidden), "seed {seed}, step {at}, {chapter:?}");
            }
        }
    }
    assert!(reached.committed > 1 && reached.leaders > 0, "the history has somebody in every number: {reached:?}");
}

/// Every record of a chapter that is not hidden, each by itself.
fn shown_records(world: &mut World, chapter: Option<ScopeId>) -> Vec<Supporter> {
    let numbers =
        (1..=PEOPLE).filter(|n| chapter.is_none_or(|chapter| chapter == world.chapters[usize::from(n % 2 == 0)]));
    let numbers: Vec<u8> = numbers.collect();
    let records = numbers.into_iter().map(|n| world.read(|read| read.record(id(n))).supporter);
    records.filter(|record| !record.erasure_asked).collect()
}

#[test]
fn a_selection_counts_who_lives_there() {
    let mut world = World::new();
    (1..=4).for_each(|n| world.add(n));
    let list = |world: &mut World, area: &str| {
        let selection = Selection { area: Some(area.to_owned()), tag: None };
        world.read(|read| read.four_numbers_of(None, &selection, NOW)).list
    };
    let counted = ["900", "90012", "941*", "9", "1"].map(|area| list(&mut world, area));
    assert_eq!(counted, [2, 2, 2, 4, 0]);
    let tagged = Selection { area: None, tag: Some("tenant".to_owned()) };
    assert_eq!(world.read(|read| read.four_numbers_of(None, &tagged, NOW)).list, 0);
}

#[test]
fn who_shares_an_address_may_be_the_same() {
    let mut world = World::new();
    (1..=8).for_each(|n| world.add(n));
    let [la, sf] = world.chapters;
    let fewer = |world: &mut World, chapter| world.read(|read| read.possible_duplicates(chapter));
    assert_eq!((fewer(&mut world, Some(la)), fewer(&mut world, Some(sf)), fewer(&mut world, None)), (0, 2, 2));
    world.write(4, &[Write::same_as(id(2))]);
    assert_eq!(fewer(&mut world, Some(sf)), 1, "they are one already");
}

#[test]
fn whoever_waits_for_a_first_attempt_counts_as_not_yet() {
    let mut world = World::new();
    for (n, origin) in [(1, "form"), (2, "api"), (3, "organiser"), (5, "import")] {
        world.add_by(n, origin);
    }
    let span = (days_ago(7), NOW);
    let first = |world: &mut World| world.read(|read| read.first_attempts(None, span));
    let made = first(&mut world);
    assert_eq!((made.signed_up, made.tried, made.median_ms), (3, 0, None));
    for (n, days) in [(1, 3), (2, 1)] {
        let tried = world.event(days, json!({"kind": "attempt", "how": "call", "result": "no-answer"}));
        world.write(n, &[Write::event(&tried)]);
    }
    let made = first(&mut world);
    assert_eq!((made.tried, made.within_day, made.within_two_days), (2, 1, 1));
    assert_eq!((made.median_ms, made.p90_ms), (Some(3 * DAY_MS), None), "the third was not tried yet");
    let signed = world.event(3, json!({"kind": "sign_up", "origin": "form"}));
    world.write(5, &[Write::event(&signed)]);
    assert_eq!(first(&mut world).signed_up, 4, "who came with a list and has signed up herself since counts, too");
    let before = world.read(|read| read.first_attempts(None, (days_ago(30), days_ago(20))));
    assert_eq!((before.signed_up, before.median_ms), (0, None));
}

#[test]
fn one_to_ones_stand_in_their_week_and_asks_with_their_outcome() {
    let mut world = World::new();
    world.add(1);
    for days in [1, 2, 8, 100] {
        let held = world.event(days, json!({"kind": "one_to_one", "minutes": 20, "ask": "bring two"}));
        world.write(1, &[Write::event(&held)]);
    }
    let weeks = world.read(|read| read.one_to_ones_by_week(None, NOW, 3));
    assert_eq!(weeks.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 1, 2]);
    let talks = world.read(|read| read.conversations(None, (days_ago(30), NOW)));
    assert!(talks.len() == 3 && talks.iter().all(|talk| talk.asked && !talk.next && talk.minutes == Some(20)));
    let asked = world.event(5, json!({"kind": "ask", "text": "lead it", "ask_kind": "lead"}));
    let kept = world.event(2, json!({"kind": "answer", "of": asked.id, "answer": "kept"}));
    world.write(1, &[Write::event(&asked), Write::event(&kept)]);
    let asks = world.read(|read| read.asks_made(None, (days_ago(30), NOW)));
    assert_eq!((asks.len(), asks[0].answer, asks[0].by.as_str()), (1, Some(AnswerKind::Kept), "ana"));
}

#[test]
fn a_kept_sheet_is_the_same_for_ever() {
    let mut world = World::new();
    let keep = |world: &mut World, title: &'static str| {
        world.writer.commit(|tx| tx.keep_case(NOW, "ana", title, "{\"numbers\":[]}")).unwrap()
    };
    assert_eq!((keep(&mut world, "Rent freeze"), keep(&mut world, "Clinic")), (1, 2));
    let kept = world.read(|read| read.case_sheet(1));
    let connection = rusqlite::Connection::open(world.directory.path().join(DATABASE_FILE)).unwrap();
    for sql in [
        "UPDATE case_sheet SET body = 'other' WHERE number = 1",
        "DELETE FROM case_sheet",
        "INSERT OR REPLACE INTO case_sheet VALUES (1, 0, 'lee', 'x', '{}')",
        "INSERT INTO case_sheet VALUES (9, 0, 'lee', 'x', '{}')",
    ] {
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
    assert_eq!(world.read(|read| read.case_sheet(1)), kept);
    assert_eq!(world.read(|read| read.case_sheets(10)).len(), 2);
    assert!(matches!(
        world.store.reader().unwrap().at_once(|read| read.case_sheet(u64::MAX)),
        Err(StoreError::Unknown(..))
    ));
}
