//! A hub and two chapters that exchange when a test says so: for tests of who is where.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Node, until};
use crate::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

/// A hub that serves, and two chapters that are not connected.
pub fn network(directory: &Path) -> (Node, Node, Node) {
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

/// Mary signs up in Los Angeles; gives her id.
pub fn mary(hub: &Node, la: &Node) -> String {
    let body = r#"{"person":{"given_name":"Mary","email_addresses":[{"address":"mary@example.org"}],"postal_addresses":[{"postal_code":"90012","locality":"Los Angeles","country":"US"}]}}"#;
    assert_eq!(http::post_json(hub.http(), SIGN_UP, body).unwrap().status, 200);
    la.run(&["sync"]).unwrap();
    la.json(&["people", "list"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned()
}

/// An exchange, after which the hub has done what it owes.
pub fn exchange(hub: &Node, chapter: &Node) {
    chapter.run(&["sync"]).unwrap();
    until("the hub has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
}

/// The lists of transfers, of who is to leave, and of who went.
pub fn transfers(node: &Node) -> Value {
    node.json(&["transfers", "list"]).unwrap()
}

/// Exchanges until a node's list says so.
pub fn until_said(hub: &Node, chapter: &Node, what: &str, said: impl Fn(&Value) -> bool) -> Value {
    until(what, || {
        exchange(hub, chapter);
        let listed = transfers(chapter);
        Ok(said(&listed).then_some(listed))
    })
    .unwrap()
}

/// The first transfer that waits for this node's word.
pub fn asked(listed: &Value) -> Option<String> {
    let asks = |row: &&Value| row["asks_here"] == true;
    let row = listed["transfers"].as_array()?.iter().find(asks)?;
    row["id"].as_str().map(str::to_owned)
}

/// Exchanges until both ends hold the same and verify.
pub fn same(hub: &Node, chapter: &Node, slug: &str) {
    until("both hold the same", || {
        exchange(hub, chapter);
        let here = chapter.run(&["state-hash"])?;
        Ok((hub.run(&["state-hash", "--scope", slug])? == here).then_some(()))
    })
    .unwrap();
    chapter.run(&["verify"]).unwrap();
    hub.run(&["verify"]).unwrap();
}
