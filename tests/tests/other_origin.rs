//! A browser on another origin can't do anything at a node on this machine, although somebody is logged in there in the same
//! browser. With a real browser: what it sends along and what it says of where a form comes from is its own word.

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::Node;
use tests::{javascript, logins};

fn events(la: &Node, person: &str) -> Vec<Value> {
    la.json(&["people", "history", person]).unwrap()["events"].as_array().unwrap().clone()
}

#[test]
fn a_page_of_another_origin_can_neither_post_to_a_node_on_localhost_nor_read_it() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles"]).unwrap();
    hub.serve().unwrap();
    let invite = hub.run(&["invite", "la"]).unwrap();
    let mut la = Node::chapter(&directory.path().join("la"));
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.serve().unwrap();
    let person =
        la.run(&["people", "add", "--given-name", "Mary", "--family-name", "Canary", "--email", "mary@example.org"]);
    let person = person.unwrap();
    let password = logins::add(&la, "ana", "organiser").unwrap();
    let before = (events(&la, &person), la.run(&["state-hash"]).unwrap());

    let given = json!({"node": la.http(), "name": "ana", "password": password, "person": person}).to_string();
    let output = javascript::run("other_origin.mjs", &javascript::browser().unwrap(), &given).unwrap();
    let came: Value = serde_json::from_slice(&output.stdout).unwrap();

    for origin in ["another site", "another port"] {
        let tried = &came["tries"][origin];
        for sent in ["no-cors post", "no-cors text"] {
            assert_eq!(tried[sent], "sent", "the browser let it out: the node has to refuse it. {origin}: {tried}");
        }
        for stopped in ["cors post", "json post", "read", "read api", "image", "frame"] {
            assert_eq!(tried[stopped], "stopped", "{origin}, {stopped}: {tried}");
        }
        assert_eq!(tried["frame of its own"], "shown", "a frame would be seen: {tried}");
        assert_eq!((&tried["beacon"], &tried["form"]), (&json!("true"), &json!(403)), "{origin}: {tried}");
    }
    let rebound = &came["tries"]["rebound"];
    assert_eq!(rebound["status"], 421, "{rebound}");
    assert!(!rebound["body"].as_str().unwrap().contains("Canary"), "{rebound}");
    for refused in ["no-cors post", "no-cors text", "cors post", "json post", "read", "read api"] {
        assert_eq!(rebound[refused], "read 421", "{refused}: {rebound}");
    }

    // The node's own page posts the same form, by the same browser and login: that one is there, and nothing else.
    assert_eq!(came["own"], json!({"form": 303, "script": 200}));
    let after = events(&la, &person);
    assert_eq!(after.len(), before.0.len() + 1, "{after:?}");
    let logged = after.iter().find(|event| event["kind"] == "attempt").unwrap();
    assert_eq!((&logged["line"], &logged["by"]), (&json!("her own"), &json!("ana")));
    assert_ne!(la.run(&["state-hash"]).unwrap(), before.1);
    assert_eq!(la.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().len(), 1);
    let cookie = &came["cookie"][0];
    assert!(cookie["httpOnly"] == true && cookie["sameSite"] == "Lax", "{cookie}");
}
