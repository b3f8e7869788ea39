//! What needs somebody, on the pages where it is settled: conflicts, who comes and goes, and the link to the network.

use std::path::Path;

use model::{DocId, Slug, Timestamp};
use node::FieldEdit;
use rusqlite::{Connection, params};
use serde_json::Value;
use store::{DATABASE_FILE, NodeKind, PROGRAM_VERSION, Store};
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http::Answer;
use tests::logins::Login;
use tests::two_chapters::{exchange, mary, network, until_said};

fn post(node: &Node, who: &Login, path: &str, form: &str) -> Answer {
    who.post(node.http(), path, form).unwrap()
}

fn page(node: &Node, who: &Login, path: &str) -> String {
    let answer = who.get(node.http(), path).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// A page, as soon as it says so.
fn page_with(node: &Node, who: &Login, path: &str, words: &str) -> String {
    until(&format!("{path} says {words:?}"), || {
        let shown = who.get(node.http(), path)?.body;
        Ok(shown.contains(words).then_some(shown))
    })
    .unwrap()
}

/// The value of the first hidden field of a name.
fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the field is there");
    field.split('"').next().unwrap()
}

/// Gives people a family name at a node, apart from the others.
fn rename(directory: &Path, kind: NodeKind, people: &[String], name: &str) {
    let node = node::Node::open(directory, kind).unwrap();
    for person in people {
        let edit = FieldEdit { field: "family_name".to_owned(), value: name.to_owned(), shown: None };
        node.edit_fields(person.parse().unwrap(), &[edit], "kim").unwrap();
    }
}

fn file(node: &Node) -> Connection {
    Connection::open(node.data.join(DATABASE_FILE)).unwrap()
}

#[test]
fn conflicts_of_everybody_are_settled_on_one_page_and_it_leads_back_there() {
    const PEOPLE: usize = 22;
    let directory = TempDir::new().unwrap();
    let (hub, mut la, _sf) = network(directory.path());
    let people = tests::people::add(&la, PEOPLE).unwrap();
    exchange(&hub, &la);
    rename(&la.data, NodeKind::Chapter, &people, "Browne");
    rename(&hub.data, NodeKind::Hub, &people, "Braun");
    exchange(&hub, &la);
    let conflicts = |node: &Node| node.json(&["status"]).unwrap()["conflicts"].as_u64().unwrap();
    until("both have both values", || {
        exchange(&hub, &la);
        Ok((conflicts(&la) == 22 && conflicts(&hub) == 22).then_some(()))
    })
    .unwrap();
    la.serve().unwrap();
    let (ana, reader) = (Login::new(&la, "ana", "organiser").unwrap(), Login::new(&la, "rae", "reader").unwrap());
    assert!(page(&la, &ana, "/").contains("<a href=\"/conflicts\">22 people of whom"), "Today leads there");
    let first = page(&la, &ana, "/conflicts");
    assert_eq!(first.matches("class=\"panel conflict\"").count(), 20, "a page of them");
    assert!(first.contains("Browne") && first.contains("Braun") && first.contains("kim, here"), "{first}");
    assert_eq!(first.matches("<button>Keep this one").count(), 40);
    let next = first.split("<p class=\"more\"><a href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = page(&la, &ana, next);
    assert_eq!(second.matches("class=\"panel conflict\"").count(), 2);
    assert!(!page(&la, &reader, "/conflicts").contains("Keep this one"), "who may only see settles nothing");

    let person = second.split("action=\"/people/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let settle = format!("/people/{person}/settle");
    let form = "field=family_name&value=Braun&seen=Braun&seen=Browne&back=%2Fconflicts";
    assert_eq!(post(&la, &reader, &settle, form).status, 403);
    let unseen = "field=family_name&value=Braun&seen=Braun&back=%2Fconflicts";
    assert_eq!(post(&la, &ana, &settle, unseen).status, 422, "a value came that the page did not show");
    let settled = post(&la, &ana, &settle, form);
    assert_eq!((settled.status, settled.header("location")), (303, Some("/conflicts")));
    assert!(page(&la, &ana, "/conflicts").contains("21 people of whom"));
    assert_eq!(la.json(&["people", "show", &person]).unwrap()["family_name"], "Braun");
    let staff = hub.login().unwrap();
    page_with(&hub, staff, "/conflicts", "21 people of whom");
    assert!(page(&hub, staff, "/").contains("<a href=\"/conflicts\">"));
    assert_eq!(ana.get(la.http(), "/conflicts?after=nobody").unwrap().status, 400);
    for (nth, person) in people.iter().filter(|id| **id != person).enumerate() {
        let answer = post(&la, &ana, &format!("/people/{person}/settle"), form);
        assert_eq!(answer.status, 303, "{nth}: {answer:?}");
    }
    assert!(page(&la, &ana, "/conflicts").contains("Nothing to settle"));
}

#[test]
fn who_comes_and_goes_is_answered_on_a_page_with_a_reason() {
    let directory = TempDir::new().unwrap();
    let (hub, mut la, mut sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.serve().unwrap();
    sf.serve().unwrap();
    let (ana, kim) = (Login::new(&la, "ana", "organiser").unwrap(), Login::new(&sf, "kim", "organiser").unwrap());
    let reader = Login::new(&sf, "rae", "reader").unwrap();
    assert!(page(&sf, &kim, "/transfers").contains("Waiting for our word (0)"));
    la.run(&["people", "transfer", &id, "sf", "--note", "wants to go on canvassing", "--agreed"]).unwrap();
    let ours = page(&la, &ana, "/transfers");
    assert!(ours.contains("Waiting for others (1)") && ours.contains("Mary") && ours.contains("to sf"), "{ours}");

    let asked = page_with(&sf, &kim, "/transfers", "Waiting for our word (1)");
    assert!(asked.contains("Mary") && asked.contains("wants to go on canvassing") && asked.contains("she agreed"));
    assert!(page(&sf, &kim, "/").contains("<a href=\"/transfers\">One person is to come or to go"));
    assert!(!page(&sf, &reader, "/transfers").contains("<form method=\"post\" action=\"/transfers"));
    let transfer = value(&asked, "transfer").to_owned();
    let answer = |who: &Login, form: &str| post(&sf, who, "/transfers/answers", &format!("transfer={transfer}&{form}"));
    assert_eq!(answer(&reader, "do=take").status, 403);
    assert_eq!(answer(&kim, "do=perhaps").status, 422);
    let without = answer(&kim, "do=decline");
    assert!(without.status == 422 && without.body.contains("say why not"), "{without:?}");
    let declined = answer(&kim, "do=decline&because=we+are+full+until+May");
    assert_eq!((declined.status, declined.header("location")), (303, Some("/transfers")));
    let over = answer(&kim, "do=take");
    assert!(over.status == 404 && over.body.contains("Not done: there is no open transfer"), "{over:?}");
    let ended = page_with(&la, &ana, "/transfers", "we are full until May");
    assert!(ended.contains("to sf: declined") && ended.contains("Waiting for others (0)"), "{ended}");

    // Proposed anew and taken back; and anew, and taken.
    la.run(&["people", "transfer", &id, "sf", "--agreed"]).unwrap();
    let transfer = value(&page(&la, &ana, "/transfers"), "transfer").to_owned();
    assert_eq!(post(&la, &ana, "/transfers/answers", &format!("transfer={transfer}&do=take")).status, 422);
    assert_eq!(post(&la, &ana, "/transfers/answers", &format!("transfer={transfer}&do=decline")).status, 303);
    assert!(page(&la, &ana, "/transfers").contains("Waiting for others (0)"));
    la.run(&["people", "transfer", &id, "sf", "--note", "for the third time", "--agreed"]).unwrap();
    let asked = page_with(&sf, &kim, "/transfers", "for the third time");
    let transfer = value(&asked, "transfer").to_owned();
    assert_eq!(post(&sf, &kim, "/transfers/answers", &format!("transfer={transfer}&do=take")).status, 303);
    page_with(&sf, &kim, "/people", "Mary");
    page_with(&la, &ana, "/transfers", "to sf: done");
}

#[test]
fn whom_the_network_takes_away_and_who_is_to_be_deleted_is_an_administrators_word() {
    let directory = TempDir::new().unwrap();
    let (mut hub, mut la, _sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.serve().unwrap();
    let (ana, root) = (Login::new(&la, "ana", "organiser").unwrap(), Login::new(&la, "root", "administrator").unwrap());
    la.run(&["erase", &id, "--reason", "asked on her doorstep", "--yes"]).unwrap();
    let shown = page_with(&la, &root, "/transfers", "To be deleted everywhere (1)");
    assert_eq!(value(&shown, "person"), id);
    assert!(!page(&la, &ana, "/transfers").contains("To be deleted"));
    let form = format!("person={id}");
    assert_eq!(post(&la, &ana, "/transfers/erasures", &form).status, 403);
    assert_eq!(post(&la, &root, "/transfers/erasures", &form).status, 303);
    assert_eq!(la.json(&["people", "list"]).unwrap()["people"][0]["id"], id.as_str(), "she is back");
    assert_eq!(post(&la, &root, "/transfers/erasures", &form).status, 422, "nobody asks for it any more");
    page_with(&la, &root, "/transfers", "To be deleted everywhere (0)");
    la.stop().unwrap();
    exchange(&hub, &la);

    // The hub gives her away unasked; the chapter knows her.
    la.run(&["attempt", "log", &id, "--how", "call", "--result", "talked"]).unwrap();
    exchange(&hub, &la);
    hub.stop().unwrap();
    let store = Store::open(&hub.data, NodeKind::Hub).unwrap();
    let slug: Slug = "sf".parse().unwrap();
    let sf = store.reader().unwrap().at_once(|read| read.chapter(slug.as_str())).unwrap().scope;
    let at = Timestamp::from_millis(1_800_000_000_000);
    store.writer().unwrap().commit(|tx| tx.move_person(id.parse()?, Some(sf), at)).unwrap();
    drop(store);
    hub.serve().unwrap();
    until_said(&hub, &la, "the chapter is told", |listed| listed["leaving"].as_array().map_or(0, Vec::len) == 1);
    la.serve().unwrap();
    let shown = page(&la, &ana, "/transfers");
    assert!(shown.contains("Waiting for our word (1)") && shown.contains("kept here, read-only"), "{shown}");
    assert!(shown.contains("An administrator of this chapter decides") && !shown.contains("Let her go"), "{shown}");
    let form = format!("person={id}&do=go");
    assert_eq!(post(&la, &ana, "/transfers/leaves", &form).status, 403);
    assert_eq!(post(&la, &root, "/transfers/leaves", &format!("person={id}")).status, 422);
    assert!(page(&la, &root, "/transfers").contains("Let her go"));
    assert_eq!(post(&la, &root, "/transfers/leaves", &form).status, 303);
    page_with(&la, &root, "/transfers", "Waiting for our word (0)");
}

#[test]
fn the_link_says_how_it_stands_what_was_not_taken_and_what_to_do() {
    let directory = TempDir::new().unwrap();
    let (mut hub, mut la, _sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.serve().unwrap();
    let ana = Login::new(&la, "ana", "organiser").unwrap();
    let (reader, caller) = (Login::new(&la, "rae", "reader").unwrap(), Login::new(&la, "cal", "caller").unwrap());
    let shown = page_with(&la, &ana, "/link", "In step with Test");
    let status = la.json(&["status"]).unwrap();
    for id in [&status["node"], &status["links"][0]["peer"]] {
        let id = id.as_str().unwrap();
        let key = format!("<code>{} {} {} {}</code>", &id[..4], &id[4..8], &id[8..12], &id[12..16]);
        assert!(shown.contains(&key), "{key}: {shown}");
    }
    for words in [
        "Exchange now",
        "Certificate ends",
        ", accepted by",
        "There is no backup of this node yet",
        "chapter-node backup FILE",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(page(&la, &ana, "/").contains("<a href=\"/link\">In step"), "the line on Today leads here");
    assert!(page(&la, &ana, "/").contains("<a href=\"/link#backup\">"));
    assert!(!page(&la, &reader, "/link").contains("Exchange now"));
    assert_eq!(caller.get(la.http(), "/link").unwrap().status, 403);
    la.run(&["backup", directory.path().join("copy.db").to_str().unwrap()]).unwrap();
    assert!(page(&la, &ana, "/link").contains("The newest backup was made"));

    let wanted = || -> i64 {
        file(&la).query_row("SELECT wanted FROM link WHERE direction = 'up'", [], |row| row.get(0)).unwrap()
    };
    let before = wanted();
    assert_eq!(post(&la, &reader, "/link/exchange", "").status, 403);
    let asked = post(&la, &ana, "/link/exchange", "");
    assert_eq!((asked.status, asked.header("location"), wanted()), (303, Some("/link?asked=1"), before + 1));
    assert!(page(&la, &ana, "/link?asked=1").contains("An exchange was asked for"));

    hub.stop().unwrap();
    page_with(&la, &ana, "/link", "Offline");
    la.run(&["people", "edit", &id, "family_name=Brown"]).unwrap();
    assert!(page(&la, &ana, "/link").contains("<dd>1 change</dd>"));
    refuse_and_break(&la, &id);
    let shown = page(&la, &ana, "/link");
    for words in [
        "Not taken (1)",
        "she is not in the scope",
        "What to do: she has left this node",
        "Shown in an older state (1)",
        "people rebuild",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains(&format!("<a href=\"/people/{id}\">Mary Brown</a>")), "by name: {shown}");
    for part in ["refused", "unreadable"] {
        assert!(page(&la, &ana, "/").contains(&format!("<a href=\"/link#{part}\">")), "{part}");
    }
    let row = value(&shown, "refused").to_owned();
    assert_eq!(post(&la, &reader, "/link/refused", &format!("refused={row}")).status, 403);
    assert_eq!(post(&la, &ana, "/link/refused", "refused=x").status, 422);
    assert_eq!(post(&la, &ana, "/link/refused", &format!("refused={row}")).status, 303);
    assert!(page(&la, &ana, "/link").contains("Not taken (0)"));
    assert_eq!(la.json(&["refused", "list"]).unwrap()["refused"], Value::Array(Vec::new()));
}

/// As if a change had been refused by the hub, and another could not be read.
fn refuse_and_break(la: &Node, id: &str) {
    let (file, person) = (file(la), *id.parse::<DocId>().unwrap().as_bytes());
    let sql = "INSERT INTO refused (link, scope, seq, doc_id, whose, why, words, what, at)
               SELECT id, scope, 1, ?, 'ours', 'not_yours', 'she is not in the scope', 'change', 1800000000000
               FROM link WHERE direction = 'up'";
    assert_eq!(file.execute(sql, params![person]).unwrap(), 1);
    let sql = "INSERT INTO quarantine (document, words, version, was, at)
               SELECT id, 'a change can''t be read', ?, 'live', 1800000000000 FROM document WHERE doc_id = ?";
    assert_eq!(file.execute(sql, params![PROGRAM_VERSION, person]).unwrap(), 1);
    assert_eq!(file.execute("UPDATE document SET state = 'quarantined' WHERE doc_id = ?", params![person]).unwrap(), 1);
}
