//! The audit log of real nodes: what is done stands in it with ids and logins, and what was changed in it is found.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use store::DATABASE_FILE;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

/// A hub that serves, and two chapters that are not connected.
fn network(directory: &Path) -> (Node, Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "941*"]).unwrap();
    hub.serve().unwrap();
    let [la, sf] = ["la", "sf"].map(|slug| {
        let chapter = Node::chapter(&directory.join(slug));
        let invite = hub.run(&["invite", slug]).unwrap();
        chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
        chapter
    });
    (hub, la, sf)
}

/// Somebody signs up in Los Angeles; gives her id.
fn sign_up(hub: &Node, la: &Node, name: &str) -> String {
    let body = format!(
        r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{name}@example.org"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
    );
    assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200);
    la.run(&["sync"]).unwrap();
    la.json(&["people", "list", "--query", name]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned()
}

fn log(node: &Node) -> Vec<Value> {
    node.json(&["audit"]).unwrap()["audit"].as_array().unwrap().clone()
}

/// Rows of one kind, the newest first.
fn rows(node: &Node, what: &str) -> Vec<Value> {
    log(node).into_iter().filter(|row| row["what"] == what).collect()
}

/// Who did it, about whom, and more.
fn row<'a>(row: &'a Value) -> (&'a str, &'a str, &'a str) {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    (text("who"), text("about"), text("detail"))
}

/// As another node's log names this one.
fn as_peer(node: &Node) -> String {
    let id = node.json(&["status"]).unwrap()["node"].as_str().unwrap().to_owned();
    format!("node {}", &id[..8])
}

#[test]
fn what_is_done_stands_in_the_log_with_ids_and_logins_and_never_a_name() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let (mary, otto) = (sign_up(&hub, &la, "Mary"), sign_up(&hub, &la, "Otto"));
    la.run(&["people", "transfer", &mary, "sf", "--note", "moved in May", "--agreed", "--by", "lee"]).unwrap();
    la.run(&["sync"]).unwrap();
    let taken = until("the other chapter is asked", || {
        sf.run(&["sync"])?;
        let listed = sf.json(&["transfers", "list"])?;
        Ok(listed["transfers"][0]["id"].as_str().map(str::to_owned))
    })
    .unwrap();
    sf.run(&["transfers", "take", &taken, "--by", "ana"]).unwrap();
    sf.run(&["sync"]).unwrap();
    until("it is carried out", || Ok(rows(&hub, "transfer_done").pop())).unwrap();
    hub.run(&["erase", &otto, "--reason", "asked by phone", "--yes", "--by", "kim"]).unwrap();
    for _ in 0..2 {
        assert_eq!(http::get(hub.http(), &format!("/people/{mary}")).unwrap().status, 200);
    }
    hub.run(&["backup", directory.path().join("hub.backup").to_str().unwrap(), "--by", "kim"]).unwrap();

    let (la_there, sf_there, hub_there) = (as_peer(&la), as_peer(&sf), as_peer(&hub));
    assert_eq!(rows(&hub, "invited").len(), 2);
    assert_eq!(row(&rows(&hub, "enrolled")[0]), (sf_there.as_str(), "", "San Francisco"));
    assert_eq!(row(&rows(&hub, "transfer_proposed")[0]), (la_there.as_str(), mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&hub, "transfer_agreed")[0]), (sf_there.as_str(), mary.as_str(), "to take"));
    assert_eq!(row(&rows(&hub, "transfer_done")[0]), ("", mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&hub, "erasure_asked")[0]), ("kim", otto.as_str(), "with a reason"));
    assert_eq!(row(&rows(&hub, "erased")[0]), ("", otto.as_str(), ""));
    assert_eq!(row(&rows(&hub, "backed_up")[0]), ("kim", "", ""));
    let opened = rows(&hub, "person_opened");
    assert_eq!((opened.len(), row(&opened[0])), (1, ("organiser", mary.as_str(), "")), "one look is one opening");
    assert_eq!(row(&rows(&la, "transfer_proposed")[0]), ("lee", mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&sf, "transfer_proposed")[0]), (hub_there.as_str(), mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&sf, "transfer_agreed")[0]), ("ana", mary.as_str(), ""));
    la.run(&["sync"]).unwrap();
    assert_eq!(row(&rows(&la, "erased")[0]), ("", otto.as_str(), "by the network's word"));
    for node in [&hub, &la, &sf] {
        let text = Value::from(log(node)).to_string();
        for private in ["Mary", "Otto", "example.org", "moved", "phone"] {
            assert!(!text.contains(private), "{private} is in the log: {text}");
        }
        assert_eq!(node.json(&["audit", "--verify"]).unwrap()["ok"], true);
    }
    let page = http::get(hub.http(), "/audit").unwrap().body;
    assert!(page.contains("erasure asked") && page.contains(&otto) && !page.contains("Otto"), "{page}");
    let older = http::get(hub.http(), "/audit?before=2").unwrap().body;
    assert!(older.contains("invited") && !older.contains("erasure asked"), "{older}");
}

#[test]
fn a_row_that_was_changed_in_the_file_is_found_and_ends_with_5() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la, _sf) = network(directory.path());
    sign_up(&hub, &la, "Mary");
    hub.stop().unwrap();
    let sound = hub.json(&["audit", "--verify"]).unwrap();
    assert_eq!((&sound["ok"], &sound["rows"]), (&true.into(), &4.into()), "two invited, two enrolled: {sound}");
    let file = Connection::open(hub.data.join(DATABASE_FILE)).unwrap();
    file.execute_batch("DROP TRIGGER audit_not_changed; UPDATE audit SET who = 'node 00000000' WHERE id = 2").unwrap();
    drop(file);
    let found = hub.try_run(&["audit", "--verify"]).unwrap();
    assert!(found.code == 5 && found.stderr.contains("row 2"), "{found:?}");
}
