//! At a hub, people who wait for a chapter are organised with a chapter's own acts: by command, on their page, by JSON.
//! Whoever is in a chapter is its own.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::Node;
use tests::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

/// A hub that serves, with a chapter of which no node serves.
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

/// Somebody signs up; gives her id.
fn sign_up(hub: &Node, name: &str, code: &str) -> String {
    let body = format!(
        r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{name}@example.org"}}],"postal_addresses":[{{"postal_code":"{code}","country":"US"}}]}}}}"#
    );
    assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200);
    let found = hub.json(&["people", "list", "--query", name]).unwrap();
    found["people"][0]["id"].as_str().unwrap().to_owned()
}

fn kinds(node: &Node, id: &str) -> Vec<String> {
    let history = node.json(&["people", "history", id]).unwrap();
    let events = history["events"].as_array().unwrap().iter();
    events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn who_waits_is_called_asked_met_and_moved_at_the_hub_by_command_and_it_goes_with_her() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    let wanda = sign_up(&hub, "wanda", "59937");
    assert_eq!(hub.json(&["unplaced", "list"]).unwrap()["people"][0]["id"], wanda.as_str());
    hub.run(&["attempt", "log", &wanda, "--how", "call", "--result", "left-message"]).unwrap();
    let ask = hub.run(&["ask", "add", &wanda, "bring two neighbours", "--kind", "recruit"]).unwrap();
    hub.run(&["ask", "answer", &ask, "kept"]).unwrap();
    let without = hub.try_run(&["ladder", "move", &wanda, "conversation"]).unwrap();
    assert_eq!(without.code, 4, "{without:?}");
    let held = hub.run(&["one-to-one", "log", &wanda, "--minutes", "30", "--ask", "host a meeting"]).unwrap();
    let private = hub.try_run(&["one-to-one", "log", &wanda, "--story", "her sister is ill"]).unwrap();
    assert!(private.code == 4 && private.stderr.contains("a hub keeps none"), "{private:?}");
    hub.run(&["ladder", "move", &wanda, "conversation", "--evidence", &held]).unwrap();
    assert_eq!(hub.json(&["people", "show", &wanda]).unwrap()["rung"], "conversation");
    assert!(!hub.files_contain("her sister is ill").unwrap());
    hub.run(&["verify"]).unwrap();

    hub.run(&["unplaced", "assign", &wanda, "la"]).unwrap();
    la.run(&["sync"]).unwrap();
    for kind in ["attempt", "ask", "answer", "one_to_one", "move"] {
        assert!(kinds(&la, &wanda).iter().any(|one| one == kind), "{kind} went with her: {:?}", kinds(&la, &wanda));
    }
    assert_eq!(la.json(&["people", "show", &wanda]).unwrap()["rung"], "conversation");
    let before = kinds(&hub, &wanda);
    for command in [
        &["attempt", "log", &wanda, "--how", "call", "--result", "talked"][..],
        &["ask", "add", &wanda, "come on Tuesday"],
        &["one-to-one", "log", &wanda, "--minutes", "30"],
        &["ladder", "move", &wanda, "commitment", "--because", "known for years"],
    ] {
        let refused = hub.try_run(command).unwrap();
        assert!(refused.code == 4 && refused.stderr.contains("she is in Los Angeles"), "{command:?}: {refused:?}");
    }
    assert_eq!(kinds(&hub, &wanda), before);
}

#[test]
fn the_hubs_page_and_its_json_do_the_same_and_refuse_the_same() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path());
    let (wanda, mary) = (sign_up(&hub, "wanda", "59937"), sign_up(&hub, "mary", "90012"));
    let staff = hub.login().unwrap();
    let token = hub.run(&["token", "add", "phones", "--role", "staff"]).unwrap();
    let headers = [("OSDI-API-Token", token.as_str())];
    let acts: [(&str, &str, Value); 4] = [
        ("attempts", "how=call&result=talked&line=will+come", json!({"how": "call", "result": "no-answer"})),
        ("one_to_ones", "minutes=30&next=visit", json!({"minutes": 20})),
        ("asks", "text=bring+two&ask_kind=recruit", json!({"text": "come", "kind": "come"})),
        ("moves", "rung=conversation&because=known", json!({"rung": "contact", "because": "by mistake"})),
    ];
    for (act, form, body) in &acts {
        let by_page = |id: &str| staff.post(hub.http(), &format!("/people/{id}/{act}"), form).unwrap();
        let by_json = |id: &str| {
            let path = format!("/api/v1/people/{id}/{act}");
            http::send(hub.http(), "POST", &path, &headers, body.to_string().as_bytes()).unwrap()
        };
        assert_eq!((by_page(&wanda).status, by_json(&wanda).status), (303, 201), "{act}");
        let (page, json) = (by_page(&mary), by_json(&mary));
        assert_eq!((page.status, json.status), (422, 422), "{act}");
        assert!(page.body.contains("she is in Los Angeles") && json.body.contains("she is in Los Angeles"), "{act}");
    }
    let made = kinds(&hub, &wanda);
    for kind in ["attempt", "one_to_one", "ask", "move"] {
        assert_eq!(made.iter().filter(|one| *one == kind).count(), 2, "{kind}: {made:?}");
    }
    let note = format!("/api/v1/people/{wanda}/notes");
    let refused = http::send(hub.http(), "POST", &note, &headers, br#"{"text":"a note"}"#).unwrap();
    assert_eq!(refused.status, 404, "a hub has no such route: {refused:?}");
    assert!(!kinds(&hub, &mary).iter().any(|kind| kind == "attempt"));
}
