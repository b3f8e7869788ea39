//! One person in two chapters, a chapter that asks for somebody, and somebody who asks for it herself.

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::two_chapters::{asked, exchange, mary, network, same, transfers, until_said};

fn gone(listed: &Value) -> usize {
    listed["gone"].as_array().map_or(0, Vec::len)
}

/// The word of a chapter that is asked.
fn agree(hub: &Node, chapter: &Node) {
    let listed = until_said(hub, chapter, "the chapter is asked", |listed| asked(listed).is_some());
    chapter.run(&["transfers", "take", &asked(&listed).unwrap()]).unwrap();
    exchange(hub, chapter);
}

fn person(node: &Node, id: &str) -> Value {
    node.json(&["people", "show", id]).unwrap()
}

#[test]
fn two_chapters_serve_one_person_and_only_her_home_moves_her() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.run(&["people", "transfer", &id, "sf", "--also", "--note", "works there on weekdays"]).unwrap();
    exchange(&hub, &la);
    agree(&hub, &sf);
    same(&hub, &sf, "sf");
    same(&hub, &la, "la");
    let at_hub = person(&hub, &id);
    assert_eq!((&at_hub["chapter"], &at_hub["chapters"]), (&"la".into(), &serde_json::json!(["la", "sf"])), "{at_hub}");
    let there = person(&sf, &id);
    assert_eq!((&there["home_elsewhere"], &there["given_name"]), (&true.into(), &"Mary".into()), "{there}");
    assert!(person(&la, &id).get("home_elsewhere").is_none());
    // She is counted once: by her home.
    for (node, supporters) in [(&hub, 1), (&la, 1), (&sf, 0)] {
        assert_eq!(node.json(&["status"]).unwrap()["supporters"], supporters);
    }
    // Both log; her home alone moves her, on what the other one logged.
    let talked = ["attempt", "log", id.as_str(), "--how", "call", "--result", "talked", "--line", "will host"];
    let logged = sf.json(&talked).unwrap()["id"].as_str().unwrap().to_owned();
    let refused = sf.try_run(&["ladder", "move", &id, "conversation", "--evidence", &logged]).unwrap();
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("her home"), "{refused:?}");
    assert_eq!(sf.try_run(&["people", "transfer", &id, "la"]).unwrap().code, 4, "nor does it give her to others");
    same(&hub, &sf, "sf");
    same(&hub, &la, "la");
    la.run(&["ladder", "move", &id, "conversation", "--evidence", &logged]).unwrap();
    same(&hub, &la, "la");
    same(&hub, &sf, "sf");
    assert_eq!(person(&sf, &id)["rung"], "conversation");
    // The one hands its part back; nothing changes for her home.
    sf.run(&["return", &id, "--reason", "has stopped working there"]).unwrap();
    until_said(&hub, &sf, "it has let her go", |listed| gone(listed) == 1);
    assert_eq!((&person(&hub, &id)["chapter"], &person(&la, &id)["rung"]), (&"la".into(), &"conversation".into()));
    same(&hub, &la, "la");
    // And once more; then her home hands her back, and the other one is her home.
    la.run(&["people", "transfer", &id, "sf", "--also"]).unwrap();
    exchange(&hub, &la);
    agree(&hub, &sf);
    same(&hub, &sf, "sf");
    same(&hub, &la, "la");
    la.run(&["return", &id, "--reason", "lives there now"]).unwrap();
    until_said(&hub, &la, "it has let her go", |listed| gone(listed) == 1);
    same(&hub, &sf, "sf");
    assert!(person(&sf, &id).get("home_elsewhere").is_none());
    assert_eq!(sf.json(&["status"]).unwrap()["supporters"], 1);
    assert_eq!(person(&hub, &id)["chapters"], serde_json::json!(["sf"]));
    hub.run(&["verify"]).unwrap();
}

#[test]
fn a_chapter_asks_for_somebody_and_her_chapter_answers() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let id = mary(&hub, &la);
    sf.run(&["people", "transfer", &id, "sf", "--note", "she moved here in May"]).unwrap();
    // Whoever guesses hears nothing.
    let nobody = "01900000-0000-7000-8000-000000000000";
    sf.run(&["people", "transfer", nobody, "sf"]).unwrap();
    assert_eq!(sf.try_run(&["people", "transfer", "0190", "sf"]).unwrap().code, 4, "a whole id");
    exchange(&hub, &sf);
    let listed = until_said(&hub, &la, "her chapter is asked", |listed| asked(listed).is_some());
    assert_eq!(listed["transfers"][0]["note"], "she moved here in May");
    exchange(&hub, &sf);
    let waiting = transfers(&sf).to_string();
    assert!(!waiting.contains("Mary"), "nothing is told of her before she comes: {waiting}");
    agree(&hub, &la);
    same(&hub, &sf, "sf");
    until("she has gone from the other", || {
        exchange(&hub, &sf);
        exchange(&hub, &la);
        Ok((gone(&transfers(&la)) == 1).then_some(()))
    })
    .unwrap();
    assert_eq!(person(&sf, &id)["given_name"], "Mary");
    let open: Vec<Value> = transfers(&sf)["transfers"].as_array().unwrap().clone();
    let about = |id: &str| open.iter().find(|row| row["person"] == id).unwrap()["state"].clone();
    assert_eq!((about(&id), about(nobody)), ("done".into(), "open".into()));
}

#[test]
fn who_asks_for_it_herself_goes_although_her_chapter_knows_her_but_not_everybody_at_once() {
    const PEOPLE: usize = 24;
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let ids = tests::people::add(&la, PEOPLE).unwrap();
    exchange(&hub, &la);
    same(&hub, &la, "la");
    assert_eq!(
        la.try_run(&["people", "transfer", &ids[0], "sf", "--her-word"]).unwrap().code,
        4,
        "the network's to note"
    );
    for id in &ids {
        hub.run(&["people", "transfer", id, "sf", "--her-word", "--note", "wrote to us"]).unwrap();
    }
    until_said(&hub, &sf, "the other chapter is asked", |listed| {
        listed["transfers"]
            .as_array()
            .is_some_and(|rows| rows.iter().filter(|row| row["asks_here"] == true).count() == PEOPLE)
    });
    for row in transfers(&sf)["transfers"].as_array().unwrap() {
        sf.run(&["transfers", "take", row["id"].as_str().unwrap()]).unwrap();
    }
    exchange(&hub, &sf);
    until("all but some have gone", || {
        exchange(&hub, &la);
        exchange(&hub, &sf);
        Ok((gone(&transfers(&la)) == 20).then_some(()))
    })
    .unwrap();
    let listed = transfers(&la);
    assert_eq!(
        listed["leaving"].as_array().unwrap().len(),
        PEOPLE - 20,
        "more than twenty a day wait for a person: {listed}"
    );
    assert!(listed["gone"].as_array().unwrap().iter().all(|row| row["reason"] == "her_word"), "{listed}");
    assert_eq!(sf.json(&["status"]).unwrap()["supporters"], PEOPLE);
}
