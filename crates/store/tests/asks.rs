//! Asks as rows: what is open and what was kept follows every record, and goes with it.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use model::{
    AnswerKind, AskKind, AskOffer, Body, Date, DocId, EraseId, Event, EventId, Incarnation, Kind, Ladder, NodeId,
    RungId, ScopeId, SignUp, Timestamp,
};
use record::{Record, Stamp, Value, Write, from_sign_up};
use store::{
    DATABASE_FILE, DocState, Edited, Kept, NewDocument, NodeKind, NodeRow, PeriodAsks, ProofKey, Read, Reader,
    ScopeRole, Store, StoreError, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const DAY_MS: i64 = 24 * 3600 * 1000;

struct World {
    directory: TempDir,
    writer: Writer,
    reader: Reader,
    actor: u8,
}

fn id(n: u8) -> DocId {
    DocId::from_parts(AT, [n; 10])
}

fn event(n: u8) -> EventId {
    EventId::from_parts(AT, [n; 10])
}

/// A day, counted from that of [`AT`].
fn day(n: i64) -> Date {
    AT.date().plus_days(n)
}

fn put(n: u8, body: Body) -> Write {
    let at = AT.plus_millis(i64::from(n));
    Write::event(&Event { id: event(n), at, by: Some("lee".into()), body })
}

/// Asks her to come.
fn asks(n: u8, due: Option<Date>) -> Write {
    let rung = Some(RungId::new("contact"));
    put(n, Body::Ask { text: "Come on Tuesday".into(), ask_kind: AskKind::Come, rung, due, action: None })
}

fn answers(n: u8, of: u8, answer: AnswerKind) -> Write {
    put(n, Body::Answer { of: event(of), answer, line: None })
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
        Self { directory, writer, reader, actor: 0 }
    }

    fn stamp(&mut self) -> Stamp {
        self.actor += 1;
        Stamp { actor: [self.actor; 16], author: "test/lee".to_owned(), at: AT }
    }

    fn add(&mut self, n: u8) {
        let email = format!("p{n}@example.org");
        let sign_up = SignUp::from_fields([("given_name", "Mary"), ("email", email.as_str())], "US").unwrap();
        let stamp = self.stamp();
        let (record, written) = Record::create(id(n), Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp);
        let new = NewDocument::new(id(n), Kind::Supporter, &record, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.insert_document(&new, &[], DocState::Live)).unwrap();
    }

    fn write(&mut self, n: u8, writes: &[Write]) {
        let mut loaded = self.read(|read| read.load(id(n))).unwrap();
        let stamp = self.stamp();
        let written = loaded.record.edit(writes, &stamp).unwrap();
        let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    }

    fn read<T>(&mut self, job: impl FnOnce(&Read<'_>) -> Result<T, StoreError>) -> T {
        self.reader.at_once(job).unwrap()
    }

    /// Open asks, the first due first: each with whose it is. The rows say what the records say.
    fn open(&mut self) -> Vec<(EventId, DocId)> {
        let found = self.read(|read| read.verify());
        assert!(found.is_empty(), "{found:?}");
        self.read(|read| read.open_asks(None, None, 10)).iter().map(|row| (row.event, row.person)).collect()
    }

    /// Of asks to come: how many were asked, and what came of those that were due before a day. Counted one by one they are as many.
    fn figures(&mut self, today: Date) -> (u64, Kept) {
        let figures = self.read(|read| read.ask_figures(today));
        let come = figures.iter().find(|figures| figures.kind == AskKind::Come).unwrap();
        let mut counted = PeriodAsks::default();
        for ask in self.read(|read| read.asks_made(None, (AT, AT.plus_millis(DAY_MS)))) {
            counted.count(&ask, today);
        }
        let PeriodAsks { asked, declined, kept, missed, unrecorded, .. } = counted;
        let outcomes = Kept { kept, missed, unrecorded };
        assert_eq!((asked, declined, outcomes), (come.asked, come.no, come.outcomes));
        (come.asked, come.outcomes)
    }
}

#[test]
fn the_kept_rate_is_over_those_that_were_due_and_says_what_nobody_recorded() {
    let mut world = World::new();
    world.add(1);
    let due = |n| Some(day(n));
    world.write(1, &[asks(1, due(-1)), asks(2, due(-2)), asks(3, due(-3)), asks(4, due(5)), asks(5, None)]);
    world.write(1, &[asks(6, due(-1)), answers(10, 6, AnswerKind::No)]);
    let open = [3, 2, 1, 4, 5].map(|n| (event(n), id(1)));
    assert_eq!(world.open(), open, "the first due first, without a day last");
    assert_eq!(world.figures(day(0)), (6, Kept { kept: 0, missed: 0, unrecorded: 3 }), "a no was never due");

    world.write(1, &[answers(11, 1, AnswerKind::Kept), answers(12, 2, AnswerKind::Missed)]);
    world.write(1, &[answers(13, 3, AnswerKind::Yes), answers(14, 1, AnswerKind::Yes)]);
    let kept = Kept { kept: 1, missed: 1, unrecorded: 1 };
    assert_eq!((world.figures(day(0)), kept.due()), ((6, kept), 3), "a yes that comes late takes no outcome back");
    assert_eq!(world.open(), [3, 4, 5].map(|n| (event(n), id(1))));
    let waits = world.read(|read| read.open_asks(None, None, 1)).remove(0);
    assert_eq!((waits.outcome, waits.waits.clone()), (Some(AnswerKind::Yes), day(-3).to_string()));
    let after = world.read(|read| read.open_asks(None, Some((waits.waits.as_str(), waits.event)), 10));
    assert_eq!(after.iter().map(|row| row.event).collect::<Vec<_>>(), [event(4), event(5)], "the next page");
    assert!(world.read(|read| read.open_asks(Some("lee"), None, 10)).is_empty(), "nobody looks after her");

    // An offered ask has the figures of its own text.
    let offer = |text: &str| AskOffer { rung: RungId::new("contact"), kind: AskKind::Come, text: text.to_owned() };
    assert_eq!(world.read(|read| read.kept_of(&offer("Come on Tuesday"), day(0))), kept);
    assert_eq!(world.read(|read| read.kept_of(&offer("Come on Friday"), day(0))), Kept::default());
    assert_eq!(world.figures(day(6)).1.unrecorded, 2, "later the next one is due, too");
}

#[test]
fn who_came_to_the_action_to_which_she_was_asked_has_kept_that() {
    let mut world = World::new();
    world.add(1);
    let (text, due, action) = ("come to the picket".into(), Some(day(-1)), id(9));
    world.write(1, &[put(1, Body::Ask { text, ask_kind: AskKind::Come, rung: None, due, action: Some(action) })]);
    assert_eq!((world.open().len(), world.figures(day(0)).1.unrecorded), (1, 1));
    world.write(1, &[put(2, Body::Came { action })]);
    let kept = Kept { kept: 1, missed: 0, unrecorded: 0 };
    assert_eq!((world.open(), world.figures(day(0)).1), (Vec::new(), kept));
}

#[test]
fn asks_of_a_time_say_who_made_them_and_begin_as_they_were_written() {
    let mut world = World::new();
    world.add(1);
    let text = "x".repeat(10_000).as_str().into();
    world.write(1, &[put(1, Body::Ask { text, ask_kind: AskKind::Lead, rung: None, due: None, action: None })]);
    world.write(1, &[asks(2, Some(day(3))), answers(3, 2, AnswerKind::Yes)]);
    let made = |world: &mut World, from, to| {
        world.read(|read| read.asks_made(None, (AT.plus_millis(from), AT.plus_millis(to))))
    };
    let all = made(&mut world, 0, 10);
    let said: Vec<_> = all.iter().map(|ask| (ask.event, ask.person, ask.by.as_str(), ask.kind, ask.due)).collect();
    let wanted = [(event(1), id(1), "lee", AskKind::Lead, None), (event(2), id(1), "lee", AskKind::Come, Some(day(3)))];
    assert_eq!(said, wanted);
    assert_eq!(all[0].text.expose().len(), AskOffer::TEXT_BYTES_MAX + 1);
    assert_eq!((all[0].answer, all[1].answer, all[1].is_over()), (None, Some(AnswerKind::Yes), false));
    assert_eq!(made(&mut world, 1, 2).len(), 1, "the last moment is not of it");
}

#[test]
fn verify_finds_columns_and_rows_that_no_record_says() {
    let mut world = World::new();
    (1..=3).for_each(|n| world.add(n));
    world.write(1, &[asks(1, Some(day(1))), Write::field("developed_by", &id(2).to_string())]);
    world.write(2, &[Write::same_as(id(3))]);
    let sound = |world: &mut World| world.read(|read| read.verify()).is_empty();
    assert!(sound(&mut world));
    let file = rusqlite::Connection::open(world.directory.path().join(DATABASE_FILE)).unwrap();
    let copy = "INSERT INTO ask SELECT 99, event_id, at, by, kind, text, due, outcome, waits FROM ask";
    for (wrong, right) in [
        ("UPDATE supporter SET arrived = 5 WHERE listed = 1", "UPDATE supporter SET arrived = NULL"),
        ("UPDATE supporter SET unreachable = 1 WHERE listed = 0", "UPDATE supporter SET unreachable = NULL"),
        ("UPDATE supporter SET looked_after_by = 'ana'", "UPDATE supporter SET looked_after_by = NULL"),
        ("UPDATE ask SET waits = '2026-01-01'", "UPDATE ask SET waits = due"),
        ("UPDATE ask SET by = 'ana'", "UPDATE ask SET by = 'lee'"),
        (copy, "DELETE FROM ask WHERE document = 99"),
        ("UPDATE raised SET how = 'recruited'", "UPDATE raised SET how = 'developed'"),
        ("INSERT INTO raised VALUES ('ana', 'developed', 99)", "DELETE FROM raised WHERE document = 99"),
        ("INSERT INTO action VALUES (99, '', '{}')", "DELETE FROM action"),
    ] {
        assert!(file.execute(wrong, []).unwrap() > 0, "{wrong}");
        assert!(!sound(&mut world), "{wrong}");
        file.execute(right, []).unwrap();
        assert!(sound(&mut world), "{right}");
    }
}

#[test]
fn a_voided_ask_is_gone_and_so_is_an_answer_that_was_voided() {
    let mut world = World::new();
    world.add(1);
    world.write(1, &[asks(1, Some(day(-1))), asks(2, None), answers(10, 1, AnswerKind::Kept)]);
    assert_eq!(world.open(), [(event(2), id(1))]);
    world.write(1, &[put(11, Body::Void { of: event(10) })]);
    assert_eq!(world.open(), [(event(1), id(1)), (event(2), id(1))]);
    world.write(1, &[put(12, Body::Void { of: event(1) })]);
    assert_eq!((world.open(), world.figures(day(0)).0), (vec![(event(2), id(1))], 1));
}

#[test]
fn whoever_is_erased_or_is_to_be_is_in_no_figure() {
    let mut world = World::new();
    world.add(1);
    world.add(2);
    world.write(1, &[asks(1, Some(day(-1)))]);
    world.write(2, &[asks(2, Some(day(-1)))]);
    assert_eq!((world.open().len(), world.figures(day(0)).0), (2, 2));
    world.write(1, &[Write::erasure(true, event(20))]);
    assert_eq!((world.open(), world.figures(day(0)).0), (vec![(event(2), id(2))], 1));
    world.write(1, &[Write::erasure(false, event(21))]);
    assert_eq!(world.open().len(), 2, "it was taken back");
    world.writer.commit(|tx| tx.erase(id(1), EraseId::from_parts(AT, [9; 10]), AT, None)).unwrap();
    assert_eq!((world.open(), world.figures(day(0)).0), (vec![(event(2), id(2))], 1));
}

#[test]
fn asks_of_joined_records_are_of_one_person_and_each_stands_once() {
    let mut world = World::new();
    world.add(1);
    world.add(2);
    world.write(2, &[asks(1, Some(day(1))), asks(2, Some(day(2)))]);
    world.write(1, &[asks(2, Some(day(2))), asks(3, Some(day(3))), Write::same_as(id(2))]);
    assert_eq!(world.open(), [1, 2, 3].map(|n| (event(n), id(1))), "the one that stands in both, too");
    world.write(1, &[Write::not_same_as(id(2))]);
    let apart = [(1, 2), (2, 1), (2, 2), (3, 1)].map(|(n, of)| (event(n), id(of)));
    assert_eq!(world.open().len(), apart.len());
    assert!(apart.iter().all(|one| world.open().contains(one)));
}

#[test]
fn a_column_is_in_the_order_of_whom_somebody_was_last_busy_with() {
    let mut world = World::new();
    (1..=4).for_each(|n| world.add(n));
    let talked =
        |n: u8| put(n, Body::OneToOne { minutes: Some(30), in_person: None, ask: None, next: None, next_on: None });
    world.write(2, &[talked(1)]);
    world.write(1, &[talked(2)]);
    let column = store::Column { rung: RungId::new("contact"), mine: None, tag: None };
    let mut page = |after| world.read(|read| read.column(&column, after, 2));
    let ids = |cards: &[store::Card]| cards.iter().map(|card| card.person.supporter.id).collect::<Vec<_>>();
    let first = page(None);
    assert_eq!(ids(&first), [id(1), id(2)]);
    let second = page(first.last().map(|card| (card.tended, card.person.supporter.id)));
    assert_eq!(ids(&second), [id(4), id(3)], "then those with whom nobody talked, the newest first");
    assert!(page(second.last().map(|card| (card.tended, card.person.supporter.id))).is_empty());

    let tagged = [Write::Put("tag/door-team".to_owned(), Value::Flag)];
    world.write(2, &tagged);
    world.write(3, &tagged);
    let column = store::Column { tag: Some("door-team".to_owned()), ..column };
    assert_eq!(ids(&world.read(|read| read.column(&column, None, 5))), [id(2), id(3)]);
    let column = store::Column { tag: Some("door".to_owned()), ..column };
    assert!(world.read(|read| read.column(&column, None, 5)).is_empty(), "a tag is a whole word");
    world.write(3, &[Write::field("looked_after_by", "lee")]);
    let column = store::Column { tag: None, mine: Some("lee".to_owned()), ..column };
    assert_eq!(ids(&world.read(|read| read.column(&column, None, 5))), [id(3)]);
    assert_eq!(world.read(|read| read.rungs_of_login("lee")), [("contact".to_owned(), 1)]);

    // Who came up counts where she stands, until she goes on.
    let to = |n: u8, from: &str, to: &str| {
        let (from, rung) = (RungId::new(from), RungId::new(to));
        let body = Body::Move { from, to: rung.clone(), how: model::MoveKind::Up, evidence: Vec::new(), because: None };
        [put(n, body), Write::rung(&rung, event(n))]
    };
    world.write(1, &to(5, "contact", "conversation"));
    world.write(2, &to(6, "contact", "conversation"));
    world.write(2, &to(7, "conversation", "commitment"));
    let since = |world: &mut World, days: i64| {
        let mut counts = world.read(|read| read.arrivals(AT.plus_millis(days * DAY_MS), &RungId::new("contact")));
        counts.sort();
        counts
    };
    let counts = [("commitment", 1), ("contact", 2), ("conversation", 1)].map(|(rung, n)| (rung.to_owned(), n));
    assert_eq!(since(&mut world, 0), counts);
    assert_eq!(since(&mut world, 1), [("contact".to_owned(), 0)]);
}
