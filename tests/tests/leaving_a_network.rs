//! A chapter leaves its network, goes on, and comes back: the hub's copy is frozen meanwhile, and nothing is lost at either
//! end.

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;
use tests::two_chapters::{asked, exchange, mary, network, same, transfers, until_said};

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

fn refused(node: &Node, command: &[&str], words: &str) {
    let outcome = node.try_run(command).unwrap();
    assert_eq!(outcome.code, 4, "{command:?}: {outcome:?}");
    assert!(outcome.stderr.contains(words), "{command:?}: {outcome:?}");
}

fn add(node: &Node, name: &str) -> String {
    let email = format!("{}@example.org", name.to_lowercase());
    node.json(&["people", "add", "--given-name", name, "--email", &email]).unwrap()["id"].as_str().unwrap().to_owned()
}

fn person(node: &Node, id: &str) -> Value {
    node.json(&["people", "show", id]).unwrap()
}

fn supporters(node: &Node) -> u64 {
    node.json(&["status"]).unwrap()["supporters"].as_u64().unwrap()
}

/// A chapter as its hub's `status` has it.
fn chapter(hub: &Node, slug: &str) -> Value {
    let status = hub.json(&["status"]).unwrap();
    status["chapters"].as_array().unwrap().iter().find(|chapter| chapter["slug"] == slug).unwrap().clone()
}

fn sign_up(hub: &Node, name: &str) {
    let body = format!(
        r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{}@example.org"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#,
        name.to_lowercase()
    );
    assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200);
}

/// Who waits at a hub, by given name.
fn waiting(hub: &Node) -> Vec<String> {
    let listed = hub.json(&["unplaced", "list"]).unwrap();
    let name = |person: &Value| person["given_name"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = listed["people"].as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

/// How many rows of a node's audit log are of a kind.
fn rows(node: &Node, what: &str) -> usize {
    let log = node.json(&["audit"]).unwrap();
    log["audit"].as_array().unwrap().iter().filter(|row| row["what"] == what).count()
}

#[test]
fn a_chapter_that_leaves_goes_on_and_the_hub_keeps_a_frozen_copy_until_it_is_back() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let mary = mary(&hub, &la);
    let jo = add(&la, "Jo");
    add(&sf, "Sol");
    exchange(&hub, &sf);
    let mut second = Node::chapter(&directory.path().join("second"));
    second.run(&["join", &la.run(&["invite"]).unwrap(), "--accept-statement"]).unwrap();
    same(&hub, &la, "la");
    same(&hub, &second, "la");
    second.serve().unwrap();
    until("the second node is connected", || {
        Ok((second.json(&["status"])?["links"][0]["state"] == "connected").then_some(()))
    })
    .unwrap();
    let spare = la.run(&["invite"]).unwrap();
    assert_eq!(supporters(&hub), 3);

    let left = la.json(&["leave", "--by", "lee"]).unwrap();
    assert_eq!((&left["network"], &left["told"]), (&"Test".into(), &true.into()), "{left}");
    assert_eq!(la.json(&["leave"]).unwrap()["left"], left["left"], "said again, it is the same day");
    assert_eq!((rows(&hub, "left_network"), rows(&la, "left_network")), (1, 1));

    // Every node of the chapter is out, and is told why.
    let detail = until("the second node is told", || {
        let link = second.json(&["status"])?["links"][0].clone();
        Ok((link["state"] == "refused").then(|| link["detail"].as_str().unwrap_or_default().to_owned()))
    })
    .unwrap();
    assert!(detail.contains("this chapter left the network on"), "{detail}");
    second.run(&["leave"]).unwrap();
    let third = Node::chapter(&directory.path().join("third"));
    refused(&third, &["join", &spare, "--accept-statement"], "taken back");
    for node in [&la, &second] {
        assert_eq!(node.json(&["status"]).unwrap()["links"][0]["state"], "left");
        refused(node, &["sync"], "this node left Test");
        refused(node, &["invite"], "this node left Test");
    }

    // It goes on with everybody.
    la.run(&["people", "edit", &mary, "family_name=Alone"]).unwrap();
    la.run(&["attempt", "log", &jo, "--how", "call", "--result", "talked", "--line", "wants to help"]).unwrap();
    add(&la, "Kim");
    assert_eq!(supporters(&la), 3);
    la.run(&["verify"]).unwrap();

    // The hub's copy is shown, not written, and in no total.
    assert_eq!(supporters(&hub), 1);
    let shown = chapter(&hub, "la");
    assert_eq!((&shown["state"], &shown["supporters"], &shown["left"]), (&"left".into(), &2.into(), &left["left"]));
    assert_eq!(hub.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().len(), 3);
    assert_eq!(person(&hub, &mary)["left"], left["left"]);
    refused(&hub, &["people", "edit", &mary, "family_name=Theirs"], "frozen");
    refused(&hub, &["attempt", "log", &mary, "--how", "call", "--result", "talked"], "left the network");
    refused(&hub, &["people", "transfer", &mary, "sf"], "left the network");
    refused(&hub, &["chapter", "resume", "la"], "left the network");
    for path in ["/", "/chapters/la"] {
        assert!(hub.get(path).unwrap().body.contains("not in the totals"), "{path}");
    }
    assert!(hub.get(&format!("/people/{mary}")).unwrap().body.contains("it is frozen"));
    hub.run(&["verify"]).unwrap();

    // Nobody is placed there. She who signs up again is somebody new: what was known of her stays as it was.
    assert_eq!(hub.json(&["locate", "--postal-code", "90012"]).unwrap()["placement"], "waiting");
    sign_up(&hub, "Nora");
    sign_up(&hub, "Mary");
    assert_eq!(waiting(&hub), ["Mary", "Nora"]);
    assert_eq!(supporters(&hub), 3);
    refused(&hub, &["unplaced", "assign", &waiting_id(&hub, "Nora"), "la"], "left the network");

    // By a fresh invitation it is back, with what was done meanwhile, and so are the totals.
    let again = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &again, "--accept-statement"]).unwrap();
    same(&hub, &la, "la");
    assert_eq!(person(&hub, &mary)["family_name"], "Alone");
    assert_eq!((supporters(&hub), chapter(&hub, "la")["state"].as_str().unwrap()), (6, "open"));
    assert_eq!(hub.json(&["locate", "--postal-code", "90012"]).unwrap()["chapter"], "la");
    hub.run(&["people", "edit", &mary, "occupation=nurse"]).unwrap();
    same(&hub, &la, "la");
    // Its other nodes come by its own invitation.
    second.run(&["join", &la.run(&["invite"]).unwrap(), "--accept-statement"]).unwrap();
    until("the second node has everything", || {
        Ok((second.run(&["state-hash"])? == la.run(&["state-hash"])?).then_some(()))
    })
    .unwrap();
    for node in [&hub, &la, &second, &sf] {
        node.run(&["verify"]).unwrap();
        assert_eq!(node.json(&["status"]).unwrap()["refused"], 0);
    }
}

fn waiting_id(hub: &Node, name: &str) -> String {
    let listed = hub.json(&["unplaced", "list"]).unwrap();
    let found = listed["people"].as_array().unwrap().iter().find(|person| person["given_name"] == name).cloned();
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_changes_when_the_hub_can_not_be_told_unless_somebody_says_so() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la, _sf) = network(directory.path());
    mary(&hub, &la);
    hub.stop().unwrap();
    let outcome = la.try_run(&["leave"]).unwrap();
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(outcome.stderr.contains("did not leave") && outcome.stderr.contains("--offline"), "{outcome:?}");
    assert_ne!(la.json(&["status"]).unwrap()["links"][0]["state"], "left");
    hub.serve().unwrap();
    same(&hub, &la, "la");

    hub.stop().unwrap();
    assert_eq!(la.json(&["leave", "--offline"]).unwrap()["told"], false);
    assert_eq!(la.json(&["status"]).unwrap()["links"][0]["state"], "left");
    hub.serve().unwrap();
    sign_up(&hub, "Nora");
    assert_eq!((chapter(&hub, "la")["state"].as_str().unwrap(), supporters(&hub)), ("open", 2));
    // It can be said later. Whom the chapter never heard of does not stay with it: nobody there would call her.
    la.run(&["leave"]).unwrap();
    assert_eq!((chapter(&hub, "la")["state"].as_str().unwrap(), supporters(&hub)), ("left", 1));
    assert_eq!((waiting(&hub), rows(&hub, "people_released")), (vec!["Nora".to_owned()], 1));
    let history = hub.json(&["people", "history", &waiting_id(&hub, "Nora")]).unwrap().to_string();
    assert!(history.contains("had not heard of her"), "{history}");
    assert_eq!(la.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().len(), 1);
    hub.run(&["verify"]).unwrap();
}

#[test]
fn what_is_under_way_when_a_chapter_leaves_is_exchanged_first() {
    let directory = TempDir::new().unwrap();
    let (hub, la, _sf) = network(directory.path());
    sign_up(&hub, "Nora");
    add(&la, "Jo");
    la.run(&["leave"]).unwrap();
    assert_eq!((supporters(&la), chapter(&hub, "la")["state"].as_str().unwrap()), (2, "left"));
    until("the hub has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
    assert_eq!(hub.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().len(), 2);
}

#[test]
fn with_the_word_of_both_the_network_goes_on_with_the_people_and_the_chapter_keeps_them() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let mary = mary(&hub, &la);
    add(&la, "Jo");
    same(&hub, &la, "la");
    refused(&hub, &["chapter", "agree", "la"], "belongs to the network");
    la.run(&["leave"]).unwrap();
    refused(&hub, &["chapter", "agree", "la"], "has not said");
    assert_eq!(supporters(&hub), 0);
    la.run(&["leave", "--release"]).unwrap();
    assert_eq!(rows(&la, "left_network"), 2, "what was released stands in the chapter's own log, too");
    let spare = hub.run(&["invite", "la"]).unwrap();
    assert_eq!((supporters(&hub), &chapter(&hub, "la")["released"]), (0, &true.into()), "one word is not two");

    let agreed = hub.json(&["chapter", "agree", "la"]).unwrap();
    assert_eq!((&agreed["people"], &agreed["frozen"]), (&2.into(), &0.into()));
    assert_eq!(hub.json(&["chapter", "agree", "la"]).unwrap()["people"], 0, "once");
    assert_eq!((waiting(&hub), supporters(&hub)), (vec!["Jo".to_owned(), "Mary".to_owned()], 2));
    let history = hub.json(&["people", "history", &mary]).unwrap().to_string();
    assert!(history.contains("both agreed"), "{history}");
    hub.run(&["unplaced", "assign", &mary, "sf"]).unwrap();
    same(&hub, &sf, "sf");
    assert_eq!(person(&sf, &mary)["chapter"], "sf");

    assert_eq!(supporters(&la), 2);
    refused(&la, &["join", &spare, "--accept-statement"], "taken back");
    la.run(&["people", "edit", &mary, "family_name=Ours"]).unwrap();
    la.run(&["verify"]).unwrap();
}

#[test]
fn whom_another_chapter_serves_too_has_her_home_there() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.run(&["people", "transfer", &id, "sf", "--also"]).unwrap();
    exchange(&hub, &la);
    let listed = until_said(&hub, &sf, "the other chapter is asked", |listed| asked(listed).is_some());
    sf.run(&["transfers", "take", &asked(&listed).unwrap()]).unwrap();
    same(&hub, &sf, "sf");
    same(&hub, &la, "la");
    // Somebody else is to go there when the chapter leaves: that ends.
    let jo = add(&la, "Jo");
    same(&hub, &la, "la");
    la.run(&["people", "transfer", &jo, "sf", "--agreed"]).unwrap();
    exchange(&hub, &la);
    until_said(&hub, &sf, "it is asked for her, too", |listed| asked(listed).is_some());

    la.run(&["leave"]).unwrap();
    let shown = person(&hub, &id);
    assert_eq!((&shown["chapter"], shown.get("left")), (&"sf".into(), None), "{shown}");
    assert_eq!(shown["chapters"], serde_json::json!(["sf"]));
    assert_eq!((supporters(&hub), rows(&hub, "transfer_declined"), rows(&la, "transfer_declined")), (1, 1, 1));
    same(&hub, &sf, "sf");
    assert!(person(&sf, &id).get("home_elsewhere").is_none());
    until_said(&hub, &sf, "nothing is asked any more", |listed| asked(listed).is_none());
    assert!(transfers(&la)["transfers"].as_array().unwrap().iter().all(|row| row["state"] != "open"));
    assert!(person(&la, &id).get("home_elsewhere").is_none(), "the chapter goes on as it was");

    let again = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &again, "--accept-statement"]).unwrap();
    same(&hub, &la, "la");
    assert_eq!(person(&la, &id)["home_elsewhere"], true);
    assert_eq!((supporters(&hub), person(&hub, &jo)["chapter"].as_str().unwrap()), (2, "la"));

    // Both leave; the one that is back first is her home.
    la.run(&["leave"]).unwrap();
    sf.run(&["leave"]).unwrap();
    let shown = person(&hub, &id);
    assert_eq!((&shown["chapter"], shown["left"].is_null(), supporters(&hub)), (&"sf".into(), false, 0), "{shown}");
    let again = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &again, "--accept-statement"]).unwrap();
    same(&hub, &la, "la");
    let shown = person(&hub, &id);
    assert_eq!((&shown["chapter"], shown.get("left"), supporters(&hub)), (&"la".into(), None, 2), "{shown}");
    assert!(person(&la, &id).get("home_elsewhere").is_none());
}

#[test]
fn who_was_deleted_meanwhile_at_either_end_does_not_come_back() {
    let directory = TempDir::new().unwrap();
    let (hub, la, _sf) = network(directory.path());
    let mary = mary(&hub, &la);
    let jo = add(&la, "Jo");
    same(&hub, &la, "la");
    la.run(&["leave"]).unwrap();

    // The hub deletes its copy; the chapter hears of it when it is back.
    hub.run(&["erase", &mary, "--reason", "asked by phone", "--yes"]).unwrap();
    let listed = hub.json(&["erasures"]).unwrap();
    let erasure = &listed["erasures"][0];
    assert_eq!(
        (&erasure["left"], &erasure["outstanding"]),
        (&serde_json::json!(["Los Angeles"]), &serde_json::json!([]))
    );
    assert_eq!(person(&la, &mary)["given_name"], "Mary");
    // The chapter has nobody above any more: it deletes at once.
    let deleted = la.try_run(&["erase", &jo, "--reason", "asked by phone", "--yes"]).unwrap();
    assert!(deleted.code == 0 && deleted.stdout.contains("ask it to delete that, too"), "{deleted:?}");
    assert_eq!(person(&hub, &jo)["given_name"], "Jo");

    let again = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &again, "--accept-statement"]).unwrap();
    until("the hub has the chapter's receipt", || {
        exchange(&hub, &la);
        let listed = hub.json(&["erasures"])?;
        let receipts = listed["erasures"][0]["receipts"].as_array().map_or(0, Vec::len);
        Ok((receipts == 1).then_some(()))
    })
    .unwrap();
    assert_eq!(la.try_run(&["people", "show", &mary]).unwrap().code, 4);
    // Whom the chapter deleted is handed back: the network's people decide.
    until("she waits at the network", || {
        exchange(&hub, &la);
        Ok((waiting(&hub) == ["Jo"]).then_some(()))
    })
    .unwrap();
    same(&hub, &la, "la");
    assert_eq!(la.try_run(&["people", "show", &jo]).unwrap().code, 4, "she does not come back there");
    hub.run(&["erase", &jo, "--reason", "her chapter has", "--yes"]).unwrap();
    same(&hub, &la, "la");
    assert_eq!((supporters(&hub), supporters(&la)), (0, 0));
}

#[test]
fn whom_a_chapter_deleted_that_had_left_without_a_word_waits_at_the_network_when_it_is_back() {
    let directory = TempDir::new().unwrap();
    let (hub, la, _sf) = network(directory.path());
    let jo = add(&la, "Jo");
    same(&hub, &la, "la");
    la.run(&["leave", "--offline"]).unwrap();
    la.run(&["erase", &jo, "--reason", "asked by phone", "--yes"]).unwrap();

    let again = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &again, "--accept-statement"]).unwrap();
    until("she waits at the network", || {
        exchange(&hub, &la);
        Ok((waiting(&hub) == ["Jo"]).then_some(()))
    })
    .unwrap();
    same(&hub, &la, "la");
    assert_eq!(la.try_run(&["people", "show", &jo]).unwrap().code, 4);
}
