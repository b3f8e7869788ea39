//! People go from one chapter to another: both words, what was done meanwhile, and what a parent can't take.

use model::{Slug, Timestamp};
use store::{NodeKind, Store};
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::two_chapters::{asked, exchange, mary, network, same, transfers, until_said};

#[test]
fn somebody_goes_with_the_word_of_both_and_her_private_notes_stay() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.run(&["note", "add", &id, "her sister is ill"]).unwrap();
    la.run(&["attempt", "log", &id, "--how", "call", "--result", "talked", "--line", "moves in May"]).unwrap();
    la.run(&["people", "transfer", &id, "sf", "--note", "wants to go on canvassing", "--agreed"]).unwrap();
    assert_eq!(la.try_run(&["people", "transfer", &id, "sf"]).unwrap().code, 4, "one is open already");
    exchange(&hub, &la);
    let listed = until_said(&hub, &sf, "the other chapter is asked", |listed| asked(listed).is_some());
    let offer = &listed["transfers"][0];
    assert_eq!(offer["note"], "wants to go on canvassing");
    assert!(offer["name"].as_str().unwrap().contains("Mary"), "{offer}");
    assert_eq!(sf.try_run(&["people", "show", &id]).unwrap().code, 4, "her record is not there before it is taken");
    // Until she is taken Los Angeles goes on with her; what it writes goes with her.
    la.run(&["people", "edit", &id, "family_name=Brown"]).unwrap();
    sf.run(&["transfers", "take", &asked(&listed).unwrap()]).unwrap();
    exchange(&hub, &sf);
    // Los Angeles has not heard of it yet and writes once more.
    la.run(&["people", "edit", &id, "occupation=nurse"]).unwrap();
    let gone = until("she has come and gone", || {
        exchange(&hub, &sf);
        exchange(&hub, &la);
        let listed = transfers(&la);
        Ok((listed["gone"].as_array().map_or(0, Vec::len) == 1).then_some(listed))
    })
    .unwrap();
    assert_eq!(gone["gone"][0]["reason"], "transferred");
    assert!(!gone.to_string().contains("canvassing"), "the hand-over note is forgotten: {gone}");
    same(&hub, &la, "la");
    same(&hub, &sf, "sf");
    let shown = sf.json(&["people", "show", &id]).unwrap();
    assert_eq!((&shown["family_name"], &shown["chapter"]), (&"Brown".into(), &"sf".into()));
    let history = sf.json(&["people", "history", &id]).unwrap().to_string();
    assert!(history.contains("moves in May") && history.contains("transfer"), "{history}");
    assert!(!sf.files_contain("her sister is ill").unwrap() && !hub.files_contain("her sister is ill").unwrap());
    assert_eq!(la.try_run(&["people", "show", &id]).unwrap().code, 4, "her record has left");
    assert!(
        la.run(&["note", "list", &id]).unwrap().contains("her sister is ill"),
        "notes stay where they were written"
    );
    assert_eq!(
        hub.json(&["people", "show", &id]).unwrap()["occupation"],
        sf.json(&["people", "show", &id]).unwrap()["occupation"]
    );
    for node in [&hub, &la, &sf] {
        assert_eq!(node.json(&["status"]).unwrap()["refused"], 0);
    }
}

#[test]
fn a_transfer_can_be_declined_and_a_placed_person_handed_back() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.run(&["people", "transfer", &id, "sf", "--agreed"]).unwrap();
    exchange(&hub, &la);
    let listed = until_said(&hub, &sf, "the other chapter is asked", |listed| asked(listed).is_some());
    sf.run(&["transfers", "decline", &asked(&listed).unwrap(), "--because", "we are full until May"]).unwrap();
    exchange(&hub, &sf);
    let listed = until_said(&hub, &la, "the answer is here", |listed| listed["transfers"][0]["state"] == "declined");
    assert_eq!(listed["transfers"][0]["note"], "we are full until May");
    assert_eq!(la.json(&["people", "show", &id]).unwrap()["chapter"], "la");
    let unknown = la.json(&["people", "transfer", &id, "nowhere"]).unwrap();
    assert!(unknown["id"].is_string(), "a chapter does not know the names of others: the network answers");
    exchange(&hub, &la);
    until_said(&hub, &la, "the network does not know it", |listed| {
        listed["transfers"].to_string().contains("there is no chapter of this name")
    });
    // Back to the network.
    la.run(&["return", &id, "--reason", "lives in San Francisco now"]).unwrap();
    until_said(&hub, &la, "she has gone", |listed| listed["gone"].as_array().map_or(0, Vec::len) == 1);
    let waiting = hub.json(&["unplaced", "list"]).unwrap();
    assert_eq!(waiting["people"][0]["id"], id.as_str());
    hub.run(&["people", "transfer", &id, "sf"]).unwrap();
    same(&hub, &sf, "sf");
    assert_eq!(sf.json(&["people", "show", &id]).unwrap()["chapter"], "sf");
}

#[test]
fn three_transfers_while_a_chapter_is_away_lose_nothing() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la, sf) = network(directory.path());
    let id = mary(&hub, &la);
    la.run(&["people", "transfer", &id, "sf", "--agreed"]).unwrap();
    exchange(&hub, &la);
    let listed = until_said(&hub, &sf, "the other chapter is asked", |listed| asked(listed).is_some());
    sf.run(&["transfers", "take", &asked(&listed).unwrap()]).unwrap();
    exchange(&hub, &sf);
    // Los Angeles is away and writes; the others hand her about meanwhile.
    la.run(&["people", "edit", &id, "family_name=Away"]).unwrap();
    hub.stop().unwrap();
    for to in [None, Some("la"), Some("sf")] {
        move_person(&hub, &id, to);
    }
    hub.serve().unwrap();
    for _ in 0..3 {
        exchange(&hub, &la);
        exchange(&hub, &sf);
    }
    same(&hub, &la, "la");
    same(&hub, &sf, "sf");
    assert_eq!(sf.json(&["people", "show", &id]).unwrap()["family_name"], "Away", "what was written away has come");
}

/// The hub moves somebody without asking anybody: what only a broken or a hostile one would do.
fn move_person(hub: &Node, id: &str, to: Option<&str>) {
    let store = Store::open(&hub.data, NodeKind::Hub).unwrap();
    let chapter = |slug: &str| {
        let slug: Slug = slug.parse().unwrap();
        store.reader().unwrap().at_once(|read| read.chapter(slug.as_str())).unwrap().scope
    };
    let (to, at) = (to.map(chapter), Timestamp::from_millis(1_800_000_000_000));
    store.writer().unwrap().commit(|tx| tx.move_person(id.parse()?, to, at)).unwrap();
}

#[test]
fn a_parent_can_not_empty_a_chapter() {
    const PEOPLE: usize = 500;
    let directory = TempDir::new().unwrap();
    let (mut hub, la, sf) = network(directory.path());
    let ids = tests::people::add(&la, PEOPLE).unwrap();
    exchange(&hub, &la);
    same(&hub, &la, "la");
    hub.stop().unwrap();
    for (nth, id) in ids.iter().enumerate() {
        move_person(&hub, id, ["sf", ""].get(nth % 2).copied().filter(|slug| !slug.is_empty()));
    }
    hub.run(&["chapter", "close", "la"]).unwrap();
    assert_eq!(hub.try_run(&["chapter", "resume", "la"]).unwrap().code, 4, "closed for good");
    hub.serve().unwrap();
    for _ in 0..3 {
        exchange(&hub, &la);
        exchange(&hub, &sf);
    }
    let listed = transfers(&la);
    assert_eq!(listed["leaving"].as_array().unwrap().len(), PEOPLE, "the chapter is told of all of them");
    assert_eq!(listed["gone"].as_array().unwrap().len(), 0);
    for id in [&ids[0], &ids[PEOPLE / 2], &ids[PEOPLE - 1]] {
        assert!(la.json(&["people", "show", id]).unwrap()["given_name"].is_string());
        assert_eq!(la.try_run(&["people", "edit", id, "given_name=X"]).unwrap().code, 4, "read-only");
    }
    assert_eq!(la.json(&["status"]).unwrap()["supporters"], PEOPLE, "all are readable");
    assert_eq!(transfers(&hub)["kept"].as_array().unwrap().len(), PEOPLE, "both ends list the dispute");
    la.run(&["verify"]).unwrap();
    // And it may let somebody go.
    la.run(&["transfers", "take", &ids[0]]).unwrap();
    until_said(&hub, &la, "she has gone", |listed| listed["gone"].as_array().map_or(0, Vec::len) == 1);
    hub.run(&["chapter", "revoke", "la"]).unwrap();
    assert_eq!(la.try_run(&["sync"]).unwrap().code, 4, "it is shut out");
    assert_eq!(la.json(&["status"]).unwrap()["supporters"], PEOPLE - 1, "and keeps all the others");
    assert!(la.json(&["people", "show", &ids[PEOPLE - 1]]).unwrap()["given_name"].is_string());
}
