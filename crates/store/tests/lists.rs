//! Lists of people: words in their order, tags, consent, who raised whom, who looks after whom, lists that are saved.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use model::{
    Channel, ConsentState, DocId, EraseId, EventId, Incarnation, Kind, Ladder, NodeId, Role, ScopeId, SignUp, TAG,
    Timestamp,
};
use record::{Record, Stamp, Value, Write, from_sign_up};
use store::{
    DocState, Edited, Filter, NewDocument, NodeKind, NodeRow, Page, ProofKey, Raising, Read, Reader, SAVED_MAX,
    SavedFilter, ScopeRole, Store, StoreError, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);

/// A chapter's database, in which each person has a number: whoever came later has a greater one.
struct World {
    _directory: TempDir,
    writer: Writer,
    reader: Reader,
    actor: u16,
}

fn id(n: u8) -> DocId {
    DocId::from_parts(AT, [n; 10])
}

fn only(query: &str) -> Filter {
    Filter { query: Some(query.to_owned()), ..Filter::default() }
}

fn with_tag(tag: &str) -> Filter {
    Filter { tag: Some(tag.to_owned()), ..Filter::default() }
}

impl World {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let row = NodeRow {
            kind: NodeKind::Chapter,
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

    fn stamp(&mut self) -> Stamp {
        self.actor += 1;
        let mut actor = [0; 16];
        actor[..2].copy_from_slice(&self.actor.to_be_bytes());
        Stamp { actor, author: "test/lee".to_owned(), at: AT }
    }

    fn add(&mut self, n: u8, name: &str) -> DocId {
        let email = format!("p{n}@example.org");
        let sign_up = SignUp::from_fields([("given_name", name), ("email", email.as_str())], "US").unwrap();
        let stamp = self.stamp();
        let (record, written) = Record::create(id(n), Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp);
        let new = NewDocument::new(id(n), Kind::Supporter, &record, written, stamp.actor, &Ladder::default());
        self.writer.commit(|tx| tx.insert_document(&new, &[], DocState::Live)).unwrap();
        id(n)
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

    /// A page of a list, and how many it has in all.
    fn page(&mut self, filter: &Filter, limit: usize, after: Option<DocId>) -> (Vec<DocId>, u64) {
        let people = self.read(|read| read.people(filter, Page { limit, after }));
        let counted = self.read(|read| read.count_people(filter));
        (people.iter().map(|person| person.supporter.id).collect(), counted)
    }

    fn list(&mut self, filter: &Filter) -> Vec<DocId> {
        let (people, counted) = self.page(filter, 100, None);
        assert_eq!(people.len() as u64, counted, "{filter:?}");
        people
    }

    /// Whom somebody has raised.
    fn raised(&mut self, n: u8) -> Vec<(Raising, DocId)> {
        let raised = self.read(|read| read.raised_by(&read.person(id(n))?.supporter));
        raised.iter().map(|one| (one.how, one.person.supporter.id)).collect()
    }
}

#[test]
fn what_words_find_is_in_the_order_of_the_list_and_goes_on_page_by_page() {
    let mut world = World::new();
    for (n, name) in (1..).zip(["Mary", "Jo", "Marta", "Kim", "Malik"]) {
        world.add(n, name);
    }
    let ma = only("ma");
    assert_eq!(world.page(&ma, 2, None), (vec![id(5), id(3)], 3));
    assert_eq!(world.page(&ma, 2, Some(id(3))).0, [id(1)]);
    assert_eq!(world.page(&ma, 2, Some(id(4))).0, [id(3), id(1)], "after somebody who is not in it");
    let lowest = Some(Ladder::default().lowest().clone());
    assert_eq!(world.list(&Filter { rung: lowest, ..only("ma") }), [id(5), id(3), id(1)]);
    assert_eq!(world.list(&only("mary")), [id(1)]);
    assert!(world.list(&only("zora")).is_empty() && world.list(&only("-")).is_empty());
    let most = world.read(|read| read.count_people_to(&only("ma"), 2));
    assert_eq!(most, 2, "no more is counted than is asked for");
}

#[test]
fn a_tag_is_found_whole_whether_it_is_shared_or_stays_here() {
    let mut world = World::new();
    for (n, name) in (1..).zip(["Mary", "Tenant", "Jo", "Kim"]) {
        world.add(n, name);
    }
    world.write(1, &[Write::Put(format!("{TAG}tenant"), Value::Flag)]);
    world.write(3, &[Write::Put(format!("{TAG}tenant-union"), Value::Flag)]);
    assert_eq!(world.list(&with_tag("tenant")), [id(1)], "neither a name nor a longer tag");
    assert_eq!(world.list(&with_tag("tenant-union")), [id(3)]);
    world.writer.commit(|tx| tx.put_private_field(id(4), "tag/tenant", "true")).unwrap();
    assert_eq!(world.list(&with_tag("tenant")), [id(4), id(1)]);
    assert_eq!(world.list(&Filter { query: Some("ki".to_owned()), ..with_tag("tenant") }), [id(4)]);
    assert!(world.writer.commit(|tx| tx.drop_private_field(id(4), "tag/tenant")).unwrap());
    assert!(!world.writer.commit(|tx| tx.drop_private_field(id(4), "tag/tenant")).unwrap());
    assert_eq!(world.list(&with_tag("tenant")), [id(1)]);
    assert!(world.list(&with_tag("-")).is_empty());
}

#[test]
fn who_agreed_to_a_channel_is_found_until_nobody_may_contact_her() {
    let mut world = World::new();
    let event = |n: u8| EventId::from_parts(AT, [n; 10]);
    for n in 1..=3 {
        world.add(n, "Mary");
    }
    world.write(1, &[Write::consent("email", "network", ConsentState::Granted, event(1))]);
    world.write(2, &[Write::consent("sms", "network", ConsentState::Withdrawn, event(2))]);
    let says_yes = |channel| Filter { consents: Some(channel), ..Filter::default() };
    let closed = Filter { do_not_contact: true, ..Filter::default() };
    assert_eq!(world.list(&says_yes(Channel::Email)), [id(1)]);
    assert!(world.list(&says_yes(Channel::Sms)).is_empty() && world.list(&closed).is_empty());
    world.write(1, &[Write::do_not_contact(event(3))]);
    assert!(world.list(&says_yes(Channel::Email)).is_empty());
    assert_eq!(world.list(&closed), [id(1)]);
    world.write(1, &[Write::contact_again(event(4))]);
    assert_eq!(world.list(&says_yes(Channel::Email)), [id(1)]);
    let long_ago = Filter { not_spoken_since: Some(AT), ..Filter::default() };
    assert_eq!(world.list(&long_ago).len(), 3, "nobody has talked with them");
}

#[test]
fn whom_somebody_raised_is_looked_up_from_her_end_and_a_ring_ends() {
    let mut world = World::new();
    for n in 1..=3 {
        world.add(n, "Mary");
    }
    let by = |field: &str, n: u8| Write::field(field, &id(n).to_string());
    world.write(2, &[by("recruited_by", 1), by("developed_by", 3)]);
    world.write(3, &[by("recruited_by", 1)]);
    assert_eq!(world.raised(1), [(Raising::Recruited, id(3)), (Raising::Recruited, id(2))]);
    assert_eq!(world.raised(3), [(Raising::Developed, id(2))]);
    // By a login that is tied to her, too; and never herself.
    world.writer.commit(|tx| tx.add_user("ana", Role::Organiser, "x", AT)).unwrap();
    world.writer.commit(|tx| tx.tie_user("ana", Some(id(1)))).unwrap();
    world.write(3, &[Write::field("recruited_by", "ana")]);
    world.write(1, &[by("developed_by", 1), by("recruited_by", 3)]);
    assert_eq!(world.raised(1), [(Raising::Recruited, id(2)), (Raising::Recruited, id(3))]);
    assert_eq!(world.raised(3), [(Raising::Recruited, id(1)), (Raising::Developed, id(2))]);
    let named = |world: &mut World, name: &str| world.read(|read| read.named_person(name));
    assert_eq!(named(&mut world, "ana"), Some(id(1)));
    assert_eq!((named(&mut world, "kim"), named(&mut world, &id(9).to_string())), (None, None));
    world.write(2, &[Write::field("recruited_by", ""), Write::field("developed_by", "")]);
    assert_eq!(world.raised(1), [(Raising::Recruited, id(3))]);
    assert!(world.read(|read| read.verify()).is_empty());
}

#[test]
fn who_looks_after_how_many_is_counted() {
    let mut world = World::new();
    for n in 1..=3 {
        world.add(n, "Mary");
    }
    assert!(world.read(|read| read.carers()).is_empty());
    for (n, who) in [(1, "lee"), (2, "ana"), (3, "lee")] {
        world.write(n, &[Write::field("looked_after_by", who)]);
    }
    assert_eq!(world.read(|read| read.carers()), [("ana".to_owned(), 1), ("lee".to_owned(), 2)]);
}

#[test]
fn a_saved_list_is_its_logins_and_no_later_ones() {
    let mut world = World::new();
    let saved = |name: &str| SavedFilter { name: name.to_owned(), query: "rung=contact".to_owned() };
    let later = AT.plus_millis(1);
    world.writer.commit(|tx| tx.add_user("ana", Role::Organiser, "x", AT)).unwrap();
    let save = |world: &mut World, name: &str, at| world.writer.commit(|tx| tx.save_filter("ana", &saved(name), at));
    let names = |world: &mut World, login: &str| {
        let saved = world.read(|read| read.saved_filters(login));
        saved.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    save(&mut world, "new", AT).unwrap();
    save(&mut world, "new", AT).unwrap();
    assert_eq!((names(&mut world, "ana"), names(&mut world, "lee")), (vec!["new".to_owned()], Vec::new()));
    for n in 1..SAVED_MAX {
        save(&mut world, &format!("list {n}"), AT).unwrap();
    }
    for wrong in ["one more", "", &"x".repeat(41)] {
        assert!(matches!(save(&mut world, wrong, AT), Err(StoreError::Refused(_))), "{wrong:?}");
    }
    world.writer.commit(|tx| tx.drop_filter("ana", "new")).unwrap();
    assert!(!names(&mut world, "ana").contains(&"new".to_owned()));
    world.writer.commit(|tx| tx.remove_user("ana", AT)).unwrap();
    assert!(names(&mut world, "ana").is_empty());
    world.writer.commit(|tx| tx.add_user("ana", Role::Caller, "x", later)).unwrap();
    assert!(names(&mut world, "ana").is_empty(), "she is somebody else");
    save(&mut world, "hers", later).unwrap();
    assert_eq!(names(&mut world, "ana"), ["hers"]);
}

#[test]
fn a_saved_list_that_looks_for_somebody_goes_with_her() {
    let mut world = World::new();
    world.add(1, "Mary");
    world.writer.commit(|tx| tx.add_user("ana", Role::Organiser, "x", AT)).unwrap();
    for (name, query) in [("all", "rung=contact"), ("hers", "q=P1%40example.org")] {
        let saved = SavedFilter { name: name.to_owned(), query: query.to_owned() };
        world.writer.commit(|tx| tx.save_filter("ana", &saved, AT)).unwrap();
    }
    assert_eq!(world.read(|read| read.saved_filters("ana")).len(), 2);
    world.writer.commit(|tx| tx.erase(id(1), EraseId::from_parts(AT, [9; 10]), AT, None)).unwrap();
    let left = world.read(|read| read.saved_filters("ana"));
    assert_eq!(left.into_iter().map(|saved| saved.name).collect::<Vec<_>>(), ["all"]);
}
