//! What was refused, what can't be read and what differs, as the people at both ends meet it.

use std::path::Path;

use anyhow::{Context as _, Result};
use model::{DocId, Timestamp};
use rusqlite::{Connection, params};
use serde_json::Value;
use store::{DATABASE_FILE, NodeKind, Store};
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

/// A hub that serves, and a chapter that has joined and holds Mary and Jo.
struct Network {
    hub: Node,
    la: Node,
    mary: String,
    jo: String,
    _directory: TempDir,
}

impl Network {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut hub = Node::hub(&directory.path().join("hub"));
        hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
        hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--postal", "9*"]).unwrap();
        hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "8*"]).unwrap();
        hub.serve().unwrap();
        for name in ["Mary", "Jo"] {
            let body = format!(
                r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{name}@example.org"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
            );
            assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200);
        }
        let la = Node::chapter(&directory.path().join("la"));
        let invite = hub.run(&["invite", "la"]).unwrap();
        la.run(&["join", &invite, "--accept-statement"]).unwrap();
        la.run(&["sync"]).unwrap();
        let [mary, jo] = ["mary@example.org", "jo@example.org"].map(|email| id_of(&la, email).unwrap());
        Self { hub, la, mary, jo, _directory: directory }
    }
}

fn people(node: &Node, query: &str) -> Result<Vec<Value>> {
    let listed = node.json(&["people", "list", "--query", query])?;
    Ok(listed["people"].as_array().cloned().unwrap_or_default())
}

fn id_of(node: &Node, query: &str) -> Result<String> {
    let found = people(node, query)?;
    Ok(found.first().context("somebody is found")?["id"].as_str().unwrap_or_default().to_owned())
}

fn file(data: &Path) -> Connection {
    Connection::open(data.join(DATABASE_FILE)).unwrap()
}

fn bytes(id: &str) -> [u8; 16] {
    *id.parse::<DocId>().unwrap().as_bytes()
}

/// A change that can't be folded: the newest one of somebody else, which follows what is not in this record.
fn break_record(node: &Node, broken: &str, other: &str) {
    let file = file(&node.data);
    let sql = "INSERT INTO change (document, hash, actor, seq, max_op, deps, raw, origin)
               SELECT (SELECT id FROM document WHERE doc_id = ?), c.hash, c.actor, c.seq, c.max_op, c.deps, c.raw, NULL
               FROM change c JOIN document d ON d.id = c.document WHERE d.doc_id = ? ORDER BY c.id DESC LIMIT 1";
    assert_eq!(file.execute(sql, params![bytes(broken), bytes(other)]).unwrap(), 1);
    let change = file.last_insert_rowid();
    let hash: Vec<u8> = file.query_row("SELECT hash FROM change WHERE id = ?", [change], |row| row.get(0)).unwrap();
    let sql = "SELECT heads FROM document WHERE doc_id = ?";
    let heads: Vec<u8> = file.query_row(sql, params![bytes(broken)], |row| row.get(0)).unwrap();
    let sql = "UPDATE document SET dirty = ?, heads = ? WHERE doc_id = ?";
    file.execute(sql, params![change, [heads, hash].concat(), bytes(broken)]).unwrap();
}

/// The hub has given her to another chapter, and this one heard of it more than 30 days ago, on another laptop.
fn moved_away(hub: &Node, person: &str) {
    let store = Store::open(&hub.data, NodeKind::Hub).unwrap();
    let sf = store.reader().unwrap().at_once(|read| read.chapter("sf")).unwrap().scope;
    let (person, at) = (person.parse().unwrap(), Timestamp::from_millis(1_780_000_000_000));
    store.writer().unwrap().commit(|tx| tx.move_person(person, Some(sf), at)).unwrap();
    assert!(file(&hub.data).execute("UPDATE leaving SET told = 1", []).unwrap() > 0);
}

fn notes(node: &Node, person: &str) -> Value {
    node.json(&["note", "list", person]).unwrap()["notes"][0]["text"].clone()
}

#[test]
fn g5_what_a_chapter_wrote_to_someone_who_is_no_longer_its_own_is_listed_for_it() {
    let Network { hub, la, mary, .. } = &mut Network::new();
    hub.stop().unwrap();
    la.run(&["people", "edit", mary, "family_name=Browne", "--by", "lee"]).unwrap();
    let line = "wants to help";
    let attempt =
        ["attempt", "log", mary.as_str(), "--how", "call", "--result", "talked", "--line", line, "--by", "lee"];
    la.run(&attempt).unwrap();
    moved_away(hub, mary);
    hub.serve().unwrap();
    la.run(&["sync"]).unwrap();
    let listed = until("both changes are listed", || {
        let listed = la.json(&["refused", "list"])?["refused"].as_array().cloned().unwrap_or_default();
        Ok((listed.len() == 2).then_some(listed))
    })
    .unwrap();
    let found = |field: &str| {
        let of = |row: &&Value| row["fields"].as_array().unwrap().iter().any(|line| line["field"] == field);
        listed.iter().find(of).unwrap()
    };
    for row in [found("family_name"), found("attempt")] {
        assert_eq!((&row["name"], &row["by"]), (&"Mary Browne".into(), &"lee".into()), "{row}");
        assert_eq!((&row["whose"], &row["why"]), (&"ours".into(), &"not_yours".into()), "{row}");
        assert!(row["words"].as_str().unwrap().contains("not in the scope"), "{row}");
        assert!(row["what_to_do"].as_str().unwrap().contains("write it as a note"), "{row}");
        assert!(row["written_at"].is_string() && row["refused_at"].is_string());
    }
    assert_eq!(found("family_name")["fields"][0]["value"], "Browne");
    assert_eq!(found("attempt")["fields"][0]["value"], "call, talked, wants to help");
    let words = la.run(&["refused", "list"]).unwrap();
    assert!(words.contains("family_name: Browne") && words.contains("what to do: "), "{words}");
    // The hub knows that it refused something, and keeps nothing of what it was.
    let theirs = hub.json(&["refused", "list"]).unwrap();
    assert!(theirs["refused"][0]["whose"] == "theirs" && !theirs.to_string().contains("Browne"), "{theirs}");
    let log = hub.json(&["audit"]).unwrap();
    let attempt = log["audit"].as_array().unwrap().iter().find(|row| row["what"] == "refused").unwrap();
    assert_eq!((&attempt["about"], &attempt["detail"]), (&mary.as_str().into(), &"not its own".into()), "{log}");
    for row in &listed {
        la.run(&["refused", "dismiss", row["id"].as_str().unwrap()]).unwrap();
    }
    assert_eq!(la.run(&["refused", "list"]).unwrap(), "nothing was refused");
    assert_eq!(la.try_run(&["refused", "dismiss", listed[0]["id"].as_str().unwrap()]).unwrap().code, 4);
    assert_eq!(la.json(&["people", "show", mary]).unwrap()["family_name"], "Browne", "her record stays readable");
}

#[test]
fn a_record_that_a_hub_can_not_read_is_made_anew_and_her_chapter_keeps_its_notes() {
    let Network { hub, la, mary, jo, .. } = &mut Network::new();
    la.run(&["note", "add", mary, "prefers the evening"]).unwrap();
    hub.stop().unwrap();
    hub.run(&["people", "edit", jo, "family_name=Park", "--by", "kim"]).unwrap();
    break_record(hub, mary, jo);
    assert_eq!(hub.json(&["status"]).unwrap()["quarantined"], 1);
    let unreadable = hub.json(&["people", "unreadable"]).unwrap();
    assert_eq!(
        (&unreadable["unreadable"][0]["id"], &unreadable["unreadable"][0]["name"]),
        (&mary.as_str().into(), &"Mary".into())
    );
    assert_eq!(hub.try_run(&["people", "edit", mary, "family_name=B"]).unwrap().code, 4, "nobody can write it");
    assert_eq!(hub.try_run(&["people", "rebuild", jo]).unwrap().code, 4, "this one can be read");
    let rebuilt = hub.json(&["people", "rebuild", mary, "--by", "kim"]).unwrap();
    let anew = rebuilt["id"].as_str().unwrap().to_owned();
    assert_eq!(rebuilt["old"]["state"], "erased");
    let left_out = &rebuilt["left_out"][0];
    assert_eq!((&left_out["by"], &left_out["fields"][0]["value"]), (&"kim".into(), &"Park".into()), "{rebuilt}");
    assert_eq!(hub.json(&["people", "show", &anew]).unwrap()["given_name"], "Mary");
    assert_eq!(hub.try_run(&["people", "show", mary]).unwrap().code, 4);
    assert_eq!(hub.json(&["status"]).unwrap()["quarantined"], 0);
    hub.serve().unwrap();
    la.run(&["sync"]).unwrap();
    assert_eq!(id_of(la, "mary@example.org").unwrap(), anew);
    assert_eq!(people(la, "mary@example.org").unwrap().len(), 1);
    assert_eq!(notes(la, &anew), "prefers the evening");
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
    hub.run(&["verify"]).unwrap();
    la.run(&["verify"]).unwrap();
    // Her own record goes on as any other.
    la.run(&["people", "edit", &anew, "family_name=Browne"]).unwrap();
    la.run(&["sync"]).unwrap();
    until("the hub shows it", || Ok((hub.json(&["people", "show", &anew])?["family_name"] == "Browne").then_some(())))
        .unwrap();
}

#[test]
fn a_record_that_a_chapter_can_not_read_is_made_anew_and_the_network_is_asked_to_delete_the_old_one() {
    let Network { hub, la, mary, jo, .. } = &mut Network::new();
    la.run(&["people", "edit", mary, "employer=City"]).unwrap();
    la.run(&["people", "edit", jo, "family_name=Park"]).unwrap();
    la.run(&["note", "add", mary, "prefers the evening"]).unwrap();
    la.run(&["sync"]).unwrap();
    break_record(la, mary, jo);
    let rebuilt = la.json(&["people", "rebuild", mary]).unwrap();
    let anew = rebuilt["id"].as_str().unwrap().to_owned();
    assert_eq!((&rebuilt["old"]["state"], &rebuilt["unreadable"]), (&"asked".into(), &0.into()), "{rebuilt}");
    assert_eq!(people(la, "mary@example.org").unwrap().len(), 1, "the old one is in no list");
    assert_eq!(notes(la, &anew), "prefers the evening");
    la.run(&["sync"]).unwrap();
    until("the hub has the new one and is asked about the old one", || {
        let (found, erasures) = (people(hub, "mary@example.org")?, hub.json(&["erasures"])?);
        let asked =
            erasures["asked"].as_array().is_some_and(|asked| asked.iter().any(|row| row["person"] == mary.as_str()));
        Ok((asked && found.len() == 1 && found[0]["id"] == anew.as_str()).then_some(()))
    })
    .unwrap();
    assert_eq!(hub.json(&["people", "show", &anew]).unwrap()["employer"], "City");
    hub.run(&["verify"]).unwrap();
}

#[test]
fn a_serving_chapter_mends_what_came_wrong_and_gets_again_what_can_not_be_read() {
    let Network { hub, la, mary, jo, .. } = &mut Network::new();
    hub.stop().unwrap();
    let sql = "UPDATE supporter SET view = json_set(view, '$.fields.employer', 'Wrong')
               WHERE document = (SELECT id FROM document WHERE doc_id = ?)";
    file(&la.data).execute(sql, params![bytes(mary)]).unwrap();
    let sql = "UPDATE snapshot SET saved = substr(saved, 1, 40)
               WHERE document = (SELECT id FROM document WHERE doc_id = ?)";
    file(&la.data).execute(sql, params![bytes(jo)]).unwrap();
    assert_eq!(la.json(&["people", "show", mary]).unwrap()["employer"], "Wrong");
    la.serve().unwrap();
    until("what came is read", || Ok((la.json(&["status"])?["quarantined"] == 1).then_some(()))).unwrap();
    assert!(la.json(&["people", "show", mary]).unwrap()["employer"].is_null());
    assert_eq!(la.json(&["people", "unreadable"]).unwrap()["unreadable"][0]["id"], jo.as_str());
    la.stop().unwrap();
    hub.serve().unwrap();
    la.serve().unwrap();
    until("it comes again", || Ok((la.json(&["status"])?["quarantined"] == 0).then_some(()))).unwrap();
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
    la.run(&["verify"]).unwrap();
}

#[test]
fn g11_what_differs_is_found_when_it_is_counted_again_and_said_in_status() {
    let Network { hub, .. } = &mut Network::new();
    let counted =
        until("it is counted", || Ok(hub.json(&["status"])?["checked_at"].as_str().map(str::to_owned))).unwrap();
    assert!(hub.run(&["status"]).unwrap().contains("nothing differs"));
    hub.stop().unwrap();
    let sql = "UPDATE counter SET value = value + 1 WHERE name LIKE 'rung/%'; UPDATE node SET checked = 1";
    file(&hub.data).execute_batch(sql).unwrap();
    hub.serve().unwrap();
    let found = until("it is counted again", || {
        let status = hub.json(&["status"])?;
        Ok((status["checked_at"].as_str() > Some(counted.as_str())).then(|| status["check_found"].clone()))
    })
    .unwrap();
    assert_eq!(found[0]["what"], "counters", "{found}");
    assert!(hub.run(&["status"]).unwrap().contains("counters differ, see `verify`"));
}

#[test]
fn a_chapter_whose_database_was_put_back_is_told_how_two_machines_work_together() {
    let Network { la, _directory: directory, .. } = &mut Network::new();
    assert!(la.json(&["status"]).unwrap()["rolled_back_at"].is_null());
    let copy = directory.path().join("la.copy");
    la.run(&["backup", copy.to_str().unwrap()]).unwrap();
    la.run(&["people", "add", "--given-name", "Kim", "--email", "kim@example.org"]).unwrap();
    la.run(&["sync"]).unwrap();
    for name in ["chapterhouse.db-wal", "chapterhouse.db-shm"] {
        let _ = std::fs::remove_file(la.data.join(name));
    }
    std::fs::copy(&copy, la.data.join(DATABASE_FILE)).unwrap();
    la.run(&["sync"]).unwrap();
    assert!(la.json(&["status"]).unwrap()["rolled_back_at"].is_string());
    let words = la.run(&["status"]).unwrap();
    assert!(words.contains("`hub-node invite la`") && words.contains("`chapter-node join`"), "{words}");
}
