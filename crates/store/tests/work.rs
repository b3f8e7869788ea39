//! Lists of what there is to do: who is in them, in which order, and joined records once.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use model::{
    AnswerKind, AskKind, AttemptHow, AttemptResult, Body, Date, DocId, Event, EventId, Incarnation, Kind, Ladder,
    NodeId, RungId, ScopeId, SignUp, Timestamp,
};
use record::{Record, Stamp, Write, from_sign_up};
use store::{
    DocState, Edited, Filter, NewDocument, NodeKind, NodeRow, Page, ProofKey, Reader, ScopeRole, Store, ToDoList,
    Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);

/// A database in which each person has a number: the smaller it is, the earlier she came.
struct World {
    _directory: TempDir,
    writer: Writer,
    reader: Reader,
    drawn: u8,
}

fn id(n: u8) -> DocId {
    DocId::from_parts(AT, [n; 10])
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
        Self { _directory: directory, writer, reader, drawn: 0 }
    }

    fn stamp(&mut self) -> Stamp {
        self.drawn += 1;
        Stamp { actor: [self.drawn; 16], author: "test/lee".to_owned(), at: AT }
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
        let mut loaded = self.reader.at_once(|read| read.load(id(n))).unwrap().unwrap();
        let stamp = self.stamp();
        let written = loaded.record.edit(writes, &stamp).unwrap();
        let edited = Edited::new(loaded, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    }

    /// Writes an event; gives its id.
    fn event(&mut self, n: u8, body: Body) -> EventId {
        let id = EventId::from_parts(AT, [self.drawn + 1; 10]);
        self.write(n, &[Write::event(&Event { id, at: AT, by: Some("ana".into()), body })]);
        id
    }

    fn ask(&mut self, n: u8, due: Option<&str>) -> EventId {
        let due = due.map(|day| day.parse().unwrap());
        self.event(n, Body::Ask { text: "Come".into(), ask_kind: AskKind::Come, rung: None, due, action: None })
    }

    fn tries(&mut self, n: u8, result: AttemptResult, next_on: Option<&str>) {
        let next_on = next_on.map(|day| day.parse().unwrap());
        self.event(n, Body::Attempt { how: AttemptHow::Call, result, line: None, not_before: None, next_on });
    }

    /// Who is in a list, by the numbers of their records, in its order.
    fn list(&mut self, list: ToDoList, mine: Option<&str>) -> Vec<Vec<DocId>> {
        let filter = Filter { to_do: Some(list), mine: mine.map(str::to_owned), ..Filter::default() };
        let page = Page { limit: 100, after: None };
        let (people, count) =
            self.reader.at_once(|read| Ok((read.people(&filter, page)?, read.count_people(&filter)?))).unwrap();
        assert_eq!(people.len() as u64, count, "{filter:?}");
        let found = self.reader.at_once(|read| read.verify()).unwrap();
        assert!(found.is_empty(), "{found:?}");
        people.iter().map(|person| person.supporter.ids().collect()).collect()
    }
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn who_said_that_she_would_act_is_called_first_then_who_has_waited_longest_and_joined_records_once() {
    let mut world = World::new();
    (1..=4).for_each(|n| world.add(n));
    let ask = world.ask(3, None);
    world.event(3, Body::Answer { of: ask, answer: AnswerKind::Yes, line: None });
    assert_eq!(world.list(ToDoList::New, None), [[id(3)], [id(1)], [id(2)], [id(4)]]);
    world.write(4, &[Write::field("looked_after_by", "ana")]);
    assert_eq!(world.list(ToDoList::New, Some("ana")), [[id(4)]]);

    world.write(1, &[Write::same_as(id(4))]);
    assert_eq!(world.list(ToDoList::New, None), [vec![id(3)], vec![id(1), id(4)], vec![id(2)]]);
    assert_eq!(world.list(ToDoList::New, Some("ana")), [[id(1), id(4)]], "as any of her records says");
    world.tries(4, AttemptResult::NoAnswer, None);
    assert_eq!(world.list(ToDoList::New, None), [[id(3)], [id(2)]], "she was tried, whichever of her records says so");
    assert!(world.list(ToDoList::New, Some("ana")).is_empty());
    let event = EventId::from_parts(AT, [99; 10]);
    world.write(2, &[Write::do_not_contact(event)]);
    assert_eq!(world.list(ToDoList::New, None), [[id(3)]], "nobody may contact her");
}

#[test]
fn what_is_due_comes_with_the_longest_overdue_first_and_what_comes_later_between_its_days() {
    let mut world = World::new();
    (1..=3).for_each(|n| world.add(n));
    world.tries(1, AttemptResult::NoAnswer, Some("2026-05-20"));
    world.ask(2, Some("2026-05-10"));
    world.tries(3, AttemptResult::Talked, Some("2026-06-02"));
    assert_eq!(world.list(ToDoList::DueBy(day("2026-05-20")), None), [[id(2)], [id(1)]]);
    assert_eq!(world.list(ToDoList::DueBy(day("2026-05-19")), None), [[id(2)]]);
    assert_eq!(world.list(ToDoList::DueBetween(day("2026-05-20"), day("2026-06-02")), None), [[id(1)], [id(3)]]);
    assert!(world.list(ToDoList::DueBetween(day("2026-06-03"), day("2026-06-04")), None).is_empty());
}

#[test]
fn who_kept_an_ask_is_ready_below_the_top_and_who_was_long_not_talked_with_is_quiet() {
    let mut world = World::new();
    (1..=2).for_each(|n| world.add(n));
    let commitment = RungId::new("commitment");
    for n in [1, 2] {
        let ask = world.ask(n, None);
        world.event(n, Body::Answer { of: ask, answer: AnswerKind::Kept, line: None });
    }
    let leadership = RungId::new("leadership");
    assert_eq!(world.list(ToDoList::Ready(leadership), None), [[id(1)], [id(2)]]);
    assert!(world.list(ToDoList::Ready(RungId::new("contact")), None).is_empty(), "there is no rung above");

    world.tries(1, AttemptResult::Talked, None);
    world.tries(2, AttemptResult::Talked, None);
    let event = EventId::from_parts(AT, [99; 10]);
    world.write(1, &[Write::rung(&commitment, event)]);
    let upper = || vec![commitment.clone(), RungId::new("leadership")];
    assert_eq!(world.list(ToDoList::Quiet(upper(), AT.plus_millis(1)), None), [[id(1)]]);
    assert!(world.list(ToDoList::Quiet(upper(), AT), None).is_empty());
}
