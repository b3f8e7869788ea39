//! Deleting someone everywhere: not one byte is left, nothing brings her back, and a chapter can only ask.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
/// A name that is in no other word.
const NAME: &str = "Zyxwvutia";
const EMAIL: &str = "zyxwvutia.unmistakable@example.org";

/// A hub that serves, and a chapter.
fn network(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    (hub, la)
}

fn post(hub: &Node, given_name: &str, key: &str) -> Result<()> {
    let body = format!(
        r#"{{"person":{{"given_name":"{given_name}","family_name":"Unmistakable","email_addresses":[{{"address":"{EMAIL}"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
    );
    let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
    let answer = http::send(hub.http(), "POST", SIGN_UP, &headers, body.as_bytes())?;
    anyhow::ensure!(answer.status == 200, "the sign-up was answered {}", answer.status);
    Ok(())
}

/// Somebody with a history at both ends; gives her id.
fn somebody(hub: &Node, la: &Node) -> String {
    post(hub, NAME, "first").unwrap();
    la.run(&["sync"]).unwrap();
    let id = la.json(&["people", "list"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned();
    la.run(&["note", "add", &id, &format!("{NAME} is ill")]).unwrap();
    la.run(&["attempt", "log", &id, "--how", "call", "--result", "talked", "--line", &format!("{NAME} comes")])
        .unwrap();
    la.run(&["people", "edit", &id, &format!("additional_name={NAME}")]).unwrap();
    // A proposal with her name waits, too.
    post(hub, &format!("{NAME}2"), "second").unwrap();
    la.run(&["sync"]).unwrap();
    until("the hub has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
    id
}

fn nowhere(node: &Node) -> bool {
    [NAME, "Unmistakable", "unmistakable", "zyxwvutia"].iter().all(|text| !node.files_contain(text).unwrap())
}

fn closed(hub: &Node) -> Result<Option<()>> {
    let listed = hub.json(&["erasures", "list"])?;
    let one = &listed["erasures"][0];
    let closed = one["gone_here"] == true
        && one["outstanding"].as_array().is_some_and(Vec::is_empty)
        && one["receipts"].as_array().is_some_and(|receipts| receipts.len() == 1);
    Ok(closed.then_some(()))
}

#[test]
fn g12_not_one_byte_of_her_is_left_once_the_receipt_is_given() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    let id = somebody(&hub, &la);
    assert!(hub.files_contain(NAME).unwrap() && la.files_contain(NAME).unwrap(), "the search can find her");
    let shown = hub.json(&["erase", &id, "--reason", "asked by phone"]).unwrap();
    assert_eq!(shown["erased"], false, "without --yes it only shows");
    hub.run(&["erase", &id, "--reason", "asked by phone", "--yes"]).unwrap();
    assert!(nowhere(&hub), "the hub has no byte of her");
    until("the chapter's receipt is here", || {
        la.run(&["sync"])?;
        closed(&hub)
    })
    .unwrap();
    assert!(nowhere(&la), "the chapter has no byte of her");
    for node in [&hub, &la] {
        assert_eq!(node.try_run(&["people", "show", &id]).unwrap().code, 4);
        assert_eq!(node.json(&["status"]).unwrap()["supporters"], 0);
        node.run(&["verify"]).unwrap();
    }
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
}

#[test]
fn an_import_does_not_bring_her_back_and_she_herself_can_come() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    let id = somebody(&hub, &la);
    hub.run(&["erase", &id, "--reason", "asked", "--yes"]).unwrap();
    la.run(&["sync"]).unwrap();
    let list = directory.path().join("list.csv");
    std::fs::write(&list, format!("given_name,email,postal_code\nA,{EMAIL},90012\nB,other@example.org,90012\n"))
        .unwrap();
    let outcome = hub.try_run(&["signup", "import", list.to_str().unwrap(), "--json"]).unwrap();
    assert!(outcome.stdout.contains("was deleted on"), "the row is refused with the date: {}", outcome.stdout);
    assert_eq!(hub.json(&["status"]).unwrap()["supporters"], 1, "the other row is taken");
    let refused = la.try_run(&["people", "add", "--given-name", "A", "--email", EMAIL]).unwrap();
    assert!(refused.code == 4 && refused.stderr.contains("was deleted on"), "{refused:?}");
    post(&hub, "Back", "third").unwrap();
    let found = hub.json(&["people", "list", "--query", "back"]).unwrap();
    assert_eq!(found["people"].as_array().unwrap().len(), 1, "her own sign-up is a new person");
    assert_ne!(found["people"][0]["id"], id.as_str());
}

#[test]
fn g12_a_backup_from_before_does_not_bring_her_back() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la) = network(directory.path());
    let id = somebody(&hub, &la);
    let [hub_copy, la_copy] = ["hub.backup", "la.backup"].map(|name| directory.path().join(name).display().to_string());
    hub.run(&["backup", &hub_copy]).unwrap();
    la.run(&["backup", &la_copy]).unwrap();
    hub.run(&["erase", &id, "--reason", "asked", "--yes"]).unwrap();
    until("the chapter's receipt is here", || {
        la.run(&["sync"])?;
        closed(&hub)
    })
    .unwrap();
    // Over the node: its ledger knows.
    la.run(&["restore", &la_copy]).unwrap();
    assert_eq!(la.json(&["status"]).unwrap()["supporters"], 0, "the ledger is beside the database");
    // In a new directory: nothing knows, and it says so.
    let elsewhere = Node::chapter(&directory.path().join("elsewhere"));
    let refused = elsewhere.try_run(&["restore", &la_copy]).unwrap();
    assert!(refused.code == 4 && refused.stderr.contains("ledger"), "{refused:?}");
    elsewhere.run(&["restore", &la_copy, "--without-ledger"]).unwrap();
    assert_eq!(elsewhere.json(&["status"]).unwrap()["supporters"], 1, "as it was in the backup");
    // Its key is in no backup: it is brought from the old directory.
    std::fs::copy(la.data.join("node.key"), elsewhere.data.join("node.key")).unwrap();
    elsewhere.run(&["sync"]).unwrap();
    elsewhere.run(&["sync"]).unwrap();
    assert_eq!(elsewhere.json(&["status"]).unwrap()["supporters"], 0, "the network says who was deleted");
    until("no byte is left", || Ok((nowhere(&elsewhere)).then_some(()))).unwrap();
    // The hub itself, without its ledger: its chapter returns the hub's own word.
    hub.stop().unwrap();
    std::fs::remove_file(hub.data.join(store::LEDGER_FILE)).unwrap();
    hub.run(&["restore", &hub_copy, "--without-ledger"]).unwrap();
    assert_eq!(hub.json(&["status"]).unwrap()["supporters"], 1);
    hub.serve().unwrap();
    until("the hub has heard of it", || {
        elsewhere.run(&["sync"])?;
        Ok((hub.json(&["status"])?["supporters"] == 0).then_some(()))
    })
    .unwrap();
    hub.run(&["verify"]).unwrap();
}

#[test]
fn a_chapter_asks_she_is_hidden_at_once_and_the_network_waits_three_days() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la) = network(directory.path());
    let id = somebody(&hub, &la);
    la.run(&["erase", &id, "--reason", "asked on her doorstep", "--yes"]).unwrap();
    assert_eq!(la.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().len(), 0, "hidden here at once");
    let noted = || Ok((hub.json(&["erasures", "list"])?["asked"].as_array().map_or(0, Vec::len) == 1).then_some(()));
    la.run(&["sync"]).unwrap();
    until("the network has noted it", noted).unwrap();
    assert_eq!(hub.json(&["status"]).unwrap()["supporters"], 0, "and in no figure of the network");
    // Withdrawn there, she is back; asked again, she is hidden again.
    la.run(&["erasures", "withdraw", &id]).unwrap();
    la.run(&["sync"]).unwrap();
    until("she is back", || Ok((hub.json(&["status"])?["supporters"] == 1).then_some(()))).unwrap();
    la.run(&["erase", &id, "--reason", "asked again", "--yes"]).unwrap();
    la.run(&["sync"]).unwrap();
    until("the network has noted it", noted).unwrap();
    assert!(hub.files_contain(NAME).unwrap(), "three days have not passed");
    hub.stop().unwrap();
    set_clock_back(&hub, 73);
    hub.serve().unwrap();
    until("it is carried out and receipted", || {
        la.run(&["sync"])?;
        closed(&hub)
    })
    .unwrap();
    assert!(nowhere(&la) && nowhere(&hub));
}

/// As if what was asked for had been asked so many hours earlier.
fn set_clock_back(hub: &Node, hours: i64) {
    let database = Connection::open(hub.data.join(store::DATABASE_FILE)).unwrap();
    database.execute("UPDATE erasure_asked SET at = at - ?", [hours * 3_600_000]).unwrap();
}

#[test]
fn more_than_twenty_in_a_day_wait_for_a_second_administrator() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la) = network(directory.path());
    let ids = tests::people::add(&la, 23).unwrap();
    la.run(&["sync"]).unwrap();
    for id in &ids {
        la.run(&["erase", id, "--reason", "asked", "--yes"]).unwrap();
    }
    la.run(&["sync"]).unwrap();
    let asked = until("the network has noted them", || {
        let listed = hub.json(&["erasures", "list"])?;
        Ok((listed["asked"].as_array().map_or(0, Vec::len) == 23).then_some(listed))
    })
    .unwrap();
    let waits: Vec<&str> = asked["asked"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|asked| asked["waits_for_approval"] == true)
        .map(|asked| asked["person"].as_str().unwrap())
        .collect();
    assert_eq!(waits.len(), 3);
    hub.run(&["erasures", "approve", waits[0]]).unwrap();
    hub.stop().unwrap();
    set_clock_back(&hub, 73);
    hub.serve().unwrap();
    until("those that may are carried out", || {
        Ok((hub.json(&["erasures", "list"])?["erasures"].as_array().map_or(0, Vec::len) == 21).then_some(()))
    })
    .unwrap();
    assert_eq!(hub.json(&["erasures", "list"]).unwrap()["asked"].as_array().unwrap().len(), 2, "the others wait");
}
