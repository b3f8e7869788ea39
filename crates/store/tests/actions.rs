//! Actions in the database: who came is counted from people's own records, once a person, and goes with them.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use model::{
    AnswerKind, AskKind, Body, Date, DocId, EraseId, Event, EventId, Incarnation, Kind, Ladder, NodeId, ScopeId,
    SignUp, Timestamp,
};
use record::{Record, Stamp, Write, from_sign_up};
use store::{
    DATABASE_FILE, DocState, Edited, NewDocument, NodeKind, NodeRow, ProofKey, Read, Reader, ScopeRole, Store,
    StoreError, Turnout, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);
const PICNIC: u8 = 200;

/// A hub's database, in which each document has a number.
struct World {
    directory: TempDir,
    writer: Writer,
    reader: Reader,
    actor: u8,
}

fn id(n: u8) -> DocId {
    DocId::from_parts(AT, [n; 10])
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn event(n: u8, body: Body) -> Event {
    Event { id: EventId::from_bytes([n; 16]), at: AT, by: None, body }
}

fn asked(n: u8) -> Event {
    let (text, action) = ("come to the picnic".into(), Some(id(PICNIC)));
    event(n, Body::Ask { text, ask_kind: AskKind::Come, rung: None, due: None, action })
}

fn answered(n: u8, of: u8, answer: AnswerKind) -> Event {
    event(n, Body::Answer { of: EventId::from_bytes([of; 16]), answer, line: None })
}

fn came(n: u8) -> Event {
    event(n, Body::Came { action: id(PICNIC) })
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
        let network = |tx: &store::Tx<'_>| tx.add_scope(ScopeId::NETWORK, ScopeRole::Network);
        let store = Store::create(directory.path(), &row, AT, network).unwrap();
        let (writer, reader) = (store.writer().unwrap(), store.reader().unwrap());
        Self { directory, writer, reader, actor: 0 }
    }

    fn stamp(&mut self) -> Stamp {
        self.actor += 1;
        Stamp { actor: [self.actor; 16], author: "test/lee".to_owned(), at: AT }
    }

    fn insert(&mut self, n: u8, kind: Kind, entries: Vec<(String, record::Value)>) {
        let stamp = self.stamp();
        let (record, written) = Record::create(id(n), kind, entries, &stamp);
        let new = NewDocument::new(id(n), kind, &record, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.insert_document(&new, &[], DocState::Live)).unwrap();
    }

    fn person(&mut self, n: u8, events: &[Event]) {
        let email = format!("p{n}@example.org");
        let sign_up = SignUp::from_fields([("given_name", "Pat"), ("email", email.as_str())], "US").unwrap();
        self.insert(n, Kind::Supporter, from_sign_up(&sign_up, events));
    }

    fn action(&mut self, n: u8, name: &str, on: &str) {
        self.insert(n, Kind::Action, Record::action_entries(name, day(on), "", ""));
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

    /// Asked, said yes, came, came unasked: at the picnic, after everything was counted again.
    fn turnout(&mut self) -> [u64; 4] {
        let found = self.read(|read| read.verify());
        assert!(found.is_empty(), "{found:?}");
        let Turnout { asked, said_yes, came, came_unasked } = self.read(|read| read.action(id(PICNIC))).turnout;
        [asked, said_yes, came, came_unasked]
    }

    /// The actions of a list by their names.
    fn listed(&mut self, before: Option<u8>, limit: usize) -> Vec<String> {
        let rows = self.read(|read| read.actions(day("2026-11-22"), before.map(id), limit));
        rows.into_iter().map(|row| row.action.name).collect()
    }

    fn rows(&self, sql: &str) -> i64 {
        let file = rusqlite::Connection::open(self.directory.path().join(DATABASE_FILE)).unwrap();
        file.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Five people with a part in it: one came as she had said, one said no, one came unasked, one was asked as the one and came as the
/// other of two joined records, and of one it was wrongly entered.
fn a_picnic() -> World {
    let mut world = World::new();
    world.action(PICNIC, "Picnic", "2026-11-21");
    world.person(1, &[asked(1), answered(2, 1, AnswerKind::Yes), came(3)]);
    world.person(2, &[asked(11), answered(12, 11, AnswerKind::No)]);
    world.person(3, &[came(21)]);
    world.person(4, &[asked(31)]);
    world.person(5, &[came(41)]);
    world.write(4, &[Write::same_as(id(5))]);
    world.person(6, &[came(51)]);
    let void = event(52, Body::Void { of: EventId::from_bytes([51; 16]) });
    world.write(6, &[Write::event(&void)]);
    world.person(7, &[]);
    world
}

#[test]
fn a_turnout_counts_each_person_once_by_what_her_records_say() {
    let mut world = a_picnic();
    assert_eq!(world.turnout(), [3, 1, 3, 1]);
    let mut people: Vec<Vec<DocId>> = Vec::new();
    for (person, part) in world.read(|read| read.parts_in(id(PICNIC), 10)) {
        assert!(part.asked || part.came);
        people.push(person.supporter.ids().collect());
    }
    people.sort_unstable();
    assert_eq!(people, [vec![id(1)], vec![id(2)], vec![id(3)], vec![id(4), id(5)]]);
    // Apart they are two: one was asked, the other came without.
    world.write(4, &[Write::not_same_as(id(5))]);
    assert_eq!(world.turnout(), [3, 1, 3, 2]);
    // Who came is known of an action of which nothing else is.
    world.person(8, &[event(61, Body::Came { action: id(99) })]);
    assert_eq!(world.turnout(), [3, 1, 3, 2]);
}

#[test]
fn who_is_to_be_deleted_is_not_counted_and_who_was_left_nothing() {
    let mut world = a_picnic();
    assert_eq!(world.rows("SELECT count(*) FROM part"), 5);
    world.write(1, &[Write::erasure(true, EventId::from_bytes([91; 16]))]);
    assert_eq!(world.turnout(), [2, 0, 2, 1]);
    world.write(1, &[Write::erasure(false, EventId::from_bytes([92; 16]))]);
    assert_eq!(world.turnout(), [3, 1, 3, 1]);
    for n in [1, 3] {
        world.writer.commit(|tx| tx.erase(id(n), EraseId::from_parts(AT, [n; 10]), AT, None)).unwrap();
    }
    assert_eq!(world.turnout(), [2, 0, 1, 0]);
    assert_eq!(world.rows("SELECT count(*) FROM part"), 3);
}

#[test]
fn verify_finds_a_part_that_no_event_says() {
    let mut world = a_picnic();
    let file = rusqlite::Connection::open(world.directory.path().join(DATABASE_FILE)).unwrap();
    assert_eq!(file.execute("UPDATE part SET came = 1 WHERE came = 0 AND said_yes = 0 AND asked = 1", []).unwrap(), 2);
    let found = world.read(|read| read.verify());
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(file.execute("UPDATE action SET view = replace(view, 'Picnic', 'March')", []).unwrap(), 1);
    assert_eq!(world.read(|read| read.verify()).len(), 3);
}

#[test]
fn actions_to_come_are_listed_first_and_past_ones_in_pages() {
    let mut world = World::new();
    let days = [("old", "2026-11-01"), ("later", "2026-11-24"), ("yesterday", "2026-11-21"), ("today", "2026-11-22")];
    for (n, (name, on)) in (100..).zip(days) {
        world.action(n, name, on);
    }
    assert_eq!(world.listed(None, 10), ["today", "later", "yesterday", "old"]);
    assert_eq!(world.listed(None, 1), ["today", "later", "yesterday"]);
    assert_eq!(world.listed(Some(102), 10), ["old"]);
    world.write(100, &[Write::field("on", "2026-11-23")]);
    assert_eq!(world.listed(None, 10), ["today", "old", "later", "yesterday"]);
    let whole = id(101).to_string();
    assert_eq!(world.read(|read| read.action_named(&whole[28..])), id(101));
    let mut named = |text: &str| world.reader.at_once(|read| read.action_named(text));
    assert!(matches!(named(&whole[..8]), Err(StoreError::Ambiguous(_))));
    assert!(matches!(named("ffffffff"), Err(StoreError::Unknown("action", _))));
    let names = world.read(|read| read.action_names([id(101), id(55)]));
    assert_eq!(names.into_iter().collect::<Vec<_>>(), [(id(101), "later".to_owned())]);
}

#[test]
fn a_sheet_has_the_last_three_actions_and_the_next_one() {
    let mut world = a_picnic();
    let days = [("old", "2026-11-01"), ("older", "2026-11-02"), ("before", "2026-11-20"), ("off", "2026-11-19")];
    for (n, (name, on)) in (100..).zip(days) {
        world.action(n, name, on);
    }
    world.write(103, &[Write::cancelled()]);
    world.action(110, "later", "2026-11-24");
    world.action(111, "next", "2026-11-22");
    let (past, next) = world.read(|read| read.turnout(None, day("2026-11-22")));
    assert_eq!(past.iter().map(|action| action.name.as_str()).collect::<Vec<_>>(), ["Picnic", "before", "older"]);
    assert_eq!((past[0].asked, past[0].yes, past[0].came), (3, 1, 3));
    assert_eq!(next.map(|action| action.name).as_deref(), Some("next"));
}
