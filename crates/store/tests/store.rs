//! The database by itself: files, races, search, and what refusing looks like.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach helper functions")]

use std::path::Path;

use model::{Digest, DocId, EmailAddress, Incarnation, Kind, Ladder, NodeId, ScopeId, SignUp, Timestamp};
use record::{Record, Stamp, Value, Write, from_sign_up};
use store::{
    DATABASE_FILE, DocState, Edited, Examined, Filter, Match, NewDocument, NodeKind, NodeRow, Page, ProofKey,
    ScopeRole, Store, StoreError, Writer,
};
use tempfile::TempDir;

const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);

fn make(directory: &Path) -> Store {
    let row = NodeRow {
        kind: NodeKind::Hub,
        name: "Test".to_owned(),
        country: "US".to_owned(),
        node_id: NodeId([1; 32]),
        incarnation: Incarnation::from_bytes([1; 16]),
        proof_key: ProofKey::new([1; 32]),
    };
    Store::create(directory, &row, AT, |tx| tx.add_scope(ScopeId::NETWORK, ScopeRole::Network)).unwrap()
}

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: "test/lee".to_owned(), at: AT }
}

fn add(writer: &mut Writer, n: u8, given_name: &str) -> DocId {
    let id = DocId::from_parts(AT, [n; 10]);
    let email = format!("p{n}@example.org");
    let sign_up = SignUp::from_fields([("given_name", given_name), ("email", email.as_str())], "US").unwrap();
    let (record, written) = Record::create(id, Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp(1));
    let new = NewDocument::new(id, Kind::Supporter, &record, written, [1; 16], &Ladder::default());
    writer.commit(|tx| tx.insert_document(&new, &[], DocState::Live)).unwrap();
    id
}

fn search(store: &Store, query: &str) -> usize {
    let filter = Filter { query: Some(query.to_owned()), ..Filter::default() };
    store.reader().unwrap().at_once(|read| read.people(&filter, Page { limit: 10, after: None })).unwrap().len()
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_directory_and_its_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    let home = directory.path().join("node");
    let store = make(&home);
    let mut writer = store.writer().unwrap();
    add(&mut writer, 1, "Mary");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    for entry in std::fs::read_dir(&home).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn an_edit_made_on_old_heads_is_refused_and_nothing_of_it_is_kept() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let id = add(&mut writer, 1, "Mary");
    let edit = |actor: u8, name: &str| {
        let mut loaded = store.reader().unwrap().at_once(|read| read.load(id)).unwrap().unwrap();
        let written = loaded.record.edit(&[Write::field("family_name", name)], &stamp(actor)).unwrap();
        Edited::new(loaded, written, [actor; 16], &Ladder::default())
    };
    let (first, second) = (edit(2, "Brown"), edit(3, "Braun"));
    writer.commit(|tx| tx.put_edit(&first)).unwrap();
    assert!(matches!(writer.commit(|tx| tx.put_edit(&second)), Err(StoreError::Stale(_))));
    let shown = store.reader().unwrap().at_once(|read| read.person(id)).unwrap().supporter;
    assert_eq!(shown.field("family_name"), "Brown");
    assert!(shown.conflicts.is_empty());
    assert!(store.reader().unwrap().at_once(|read| read.verify()).unwrap().is_empty());
}

#[test]
fn a_job_that_fails_takes_nothing_else_with_it() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let mut group = writer.begin().unwrap();
    let addresses = |port: u16| vec![format!("127.0.0.1:{port}"), "hub.example.org:8443".to_owned()];
    group.run(|tx| tx.set_addresses(&addresses(1))).unwrap();
    let failed: Result<(), StoreError> = group.run(|tx| {
        tx.set_addresses(&addresses(2))?;
        Err(StoreError::Refused("no".to_owned()))
    });
    assert!(failed.is_err());
    group.commit().unwrap();
    let kept = store.reader().unwrap().at_once(|read| read.addresses()).unwrap();
    assert_eq!(kept, addresses(1));
}

#[test]
fn search_finds_the_beginning_of_any_word_and_follows_a_correction() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let id = add(&mut writer, 1, "Zuleika");
    add(&mut writer, 2, "Mary");
    assert_eq!((search(&store, "zul"), search(&store, "p1@exam"), search(&store, "leika")), (1, 1, 0));
    let mut loaded = store.reader().unwrap().at_once(|read| read.load(id)).unwrap().unwrap();
    let written = loaded.record.edit(&[Write::Settle("given_name".into(), Value::text("Wren"))], &stamp(2)).unwrap();
    let edited = Edited::new(loaded, written, [2; 16], &Ladder::default());
    writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    assert_eq!((search(&store, "zul"), search(&store, "wren")), (0, 1));
}

#[test]
fn a_known_address_is_found_in_the_transaction_that_would_add_it_again() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let id = add(&mut writer, 1, "Mary");
    let known: EmailAddress = "P1@example.org".parse().unwrap();
    let unknown: EmailAddress = "p9@example.org".parse().unwrap();
    let matched = writer.commit(|tx| Ok((tx.match_emails(&[known])?, tx.match_emails(&[unknown])?))).unwrap();
    assert_eq!(matched, (Match::Known(id), Match::New));
}

/// Contentless, deleted by the `'delete'` command, with `secure-delete`: the words are gone from the file.
#[test]
fn words_that_the_index_forgets_are_gone_from_the_file() {
    let directory = TempDir::new().unwrap();
    make(directory.path());
    let path = directory.path().join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA secure_delete = ON").unwrap();
    let found = || std::fs::read(&path).unwrap().windows(9).any(|window| window == b"xylophoni");
    let settle = || connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    connection.execute("INSERT INTO fts (rowid, words) VALUES (7, 'xylophonia')", []).unwrap();
    settle();
    assert!(found(), "the words are looked for where they stand");
    connection.execute("INSERT INTO fts (fts, rowid, words) VALUES ('delete', 7, 'xylophonia')", []).unwrap();
    settle();
    assert!(!found());
}

#[test]
fn an_id_is_found_by_its_beginning_or_its_end_if_that_is_unique() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let (one, two) = (add(&mut writer, 1, "Mary"), add(&mut writer, 2, "Ana"));
    let resolve = |text: &str| store.reader().unwrap().at_once(|read| read.resolve(text));
    let text = one.to_string();
    assert_eq!(resolve(&text).unwrap().document, one);
    assert_eq!(resolve(&text[text.len() - 8..]).unwrap().document, one);
    assert_eq!(resolve(&two.to_string()[30..]).unwrap().document, two);
    assert!(matches!(resolve(&text[..8]), Err(StoreError::Ambiguous(_))), "both were made in the same millisecond");
    assert!(matches!(resolve("ffffffff"), Err(StoreError::NotFound(_))));
    assert!(matches!(resolve("%"), Err(StoreError::NotFound(_))));
}

#[test]
fn g2_a_batch_is_not_logged_without_the_one_before_it() {
    use engine::{Batch, Cursor, Position};
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let scope = ScopeId::from_bytes([5; 16]);
    writer.commit(|tx| tx.add_scope(scope, ScopeRole::Chapter)).unwrap();
    let new = store::NewLink::new(NodeId([2; 32]), store::Direction::Down, "x", scope);
    writer.commit(|tx| tx.put_link(&new)).unwrap();
    let link = store.reader().unwrap().at_once(|read| read.links()).unwrap().remove(0);
    let mut log = |after: u64, last: u64| {
        let last = Position { seq: last, hash: Digest([1; 32]) };
        let cursor = Cursor { incarnation: Incarnation::from_bytes([9; 16]), position: last };
        let empty = Examined::new(Batch { scope, after, last, entries: Vec::new() });
        writer.commit(|tx| tx.log(&link, &empty, cursor, AT))
    };
    log(0, 5).unwrap();
    assert!(log(9, 12).is_err(), "rows 6 to 9 were never committed");
    assert_eq!(log(5, 9).unwrap().seq, 9);
    assert_eq!(log(0, 3).unwrap().seq, 3, "a feed that begins anew is taken from its start");
}

/// A batch leaves out on the wire what is made of its last change again.
#[test]
fn whoever_reads_a_change_makes_the_digest_of_its_row() {
    use engine::{Content, Position};
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let scope = ScopeId::from_bytes([5; 16]);
    writer.commit(|tx| tx.add_scope(scope, ScopeRole::Own)).unwrap();
    let up = store::NewLink::new(NodeId([2; 32]), store::Direction::Up, "x", scope);
    writer.commit(|tx| tx.put_link(&up)).unwrap();
    let id = DocId::from_parts(AT, [7; 10]);
    let sign_up = SignUp::from_fields([("given_name", "Mary"), ("email", "m@example.org")], "US").unwrap();
    let (record, written) = Record::create(id, Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp(1));
    let new = NewDocument::new(id, Kind::Supporter, &record, written, [1; 16], &Ladder::default());
    writer.commit(|tx| tx.insert_document(&new, &[scope], DocState::Live)).unwrap();
    let mut reader = store.reader().unwrap();
    let link = reader.at_once(|read| read.links()).unwrap().remove(0);
    let page = reader.at_once(|read| read.feed_page(link.id, scope, 0, 1)).unwrap().unwrap();
    let Content::Change { bytes } = &page.entries[0].content else { panic!("{page:?}") };
    let hash = record::hash_of(bytes).unwrap();
    assert_eq!(page.last, Position { seq: 1, hash: Digest::of_change_row(scope, 1, id, hash) });
}

/// G9: whoever asks in a comparison gets nothing of what the link's scope does not hold.
#[test]
fn g9_a_comparison_says_nothing_of_documents_outside_its_scope() {
    use engine::{Found, Look, Question, Reply};
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    let [mine, theirs] = [5, 6].map(|n| ScopeId::from_bytes([n; 16]));
    writer.commit(|tx| tx.add_scope(mine, ScopeRole::Chapter)).unwrap();
    writer.commit(|tx| tx.add_scope(theirs, ScopeRole::Chapter)).unwrap();
    let id = DocId::from_parts(AT, [7; 10]);
    let sign_up = SignUp::from_fields([("given_name", "Secret"), ("email", "s@example.org")], "US").unwrap();
    let (record, written) = Record::create(id, Kind::Supporter, from_sign_up(&sign_up, &[]), &stamp(1));
    let hash = written.hash;
    let new = NewDocument::new(id, Kind::Supporter, &record, written, [1; 16], &Ladder::default());
    writer.commit(|tx| tx.insert_document(&new, &[theirs], DocState::Live)).unwrap();
    let look = |scope: ScopeId, look: Look| {
        store.reader().unwrap().at_once(|read| read.look(scope, &look, &mut None)).unwrap()
    };
    let give = || Look::Entries { documents: vec![id], changes: vec![(id, vec![hash])] };
    assert!(matches!(look(theirs, give()), Found::Entries(entries, ..) if entries.len() == 2), "it is there to give");
    assert!(matches!(look(mine, give()), Found::Entries(entries, ..) if entries.is_empty()));
    assert!(matches!(look(mine, Look::Changes(vec![id])), Found::Changes(found) if found == [(id, Vec::new())]));
    let fetch = Look::Answer(Question::Fetch(vec![(id, vec![hash])]));
    assert!(matches!(look(mine, fetch), Found::Reply(Reply::Fetched { entries, .. }) if entries.is_empty()));
    let compare = Look::Answer(Question::Compare(vec![(id, Vec::new())]));
    let have = |found| if let Found::Reply(Reply::Compared { have, .. }) = found { have } else { Vec::new() };
    assert_eq!(have(look(mine, compare.clone())), [(id, Vec::new())]);
    assert_eq!(have(look(theirs, compare)), [(id, vec![hash])]);
}

#[test]
fn an_edit_moves_only_the_words_that_changed_and_all_stay_findable() {
    let directory = TempDir::new().unwrap();
    let store = make(directory.path());
    let mut writer = store.writer().unwrap();
    // The name is also a part of her e-mail address: taking it away as a name must leave it findable.
    let id = add(&mut writer, 1, "P1");
    let mut rename = |field: &str, value: &str| {
        let mut loaded = store.reader().unwrap().at_once(|read| read.load(id)).unwrap().unwrap();
        let written = loaded.record.edit(&[Write::field(field, value)], &stamp(9)).unwrap();
        let edited = Edited::new(loaded, written, [9; 16], &Ladder::default());
        writer.commit(|tx| tx.put_edit(&edited)).unwrap();
    };
    rename("family_name", "Ünal-Brown");
    assert_eq!((search(&store, "unal"), search(&store, "BROWN p1"), search(&store, "example.org")), (1, 1, 1));
    rename("family_name", "Brown");
    assert_eq!((search(&store, "unal"), search(&store, "brown")), (0, 1));
    rename("given_name", "Mary");
    assert_eq!((search(&store, "p1@example.org"), search(&store, "mary brown")), (1, 1));
    rename("family_name", "");
    assert_eq!((search(&store, "brown"), search(&store, "mary")), (0, 1));
}
