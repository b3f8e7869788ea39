//! Two laptops of one chapter, both without a network for a day over the same people.

use anyhow::Result;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::sign_ups;

/// People whom both laptops have.
const PEOPLE: usize = 200;
/// Of them, whom both laptops call: 300 attempts.
const CALLED: usize = 150;
/// Who is moved on the first laptop, and on the second: 60 moves, a quarter of the people on both.
const MOVED: [std::ops::Range<usize>; 2] = [0..30, 15..45];

#[test]
fn g4_two_nodes_of_a_chapter_work_apart_for_a_day_and_agree() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*"]).unwrap();
    let file = directory.path().join("people.csv");
    std::fs::write(&file, sign_ups::csv(PEOPLE, 33)).unwrap();
    hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
    hub.serve().unwrap();
    let laptops = ["one", "two"].map(|name| {
        let laptop = Node::chapter(&directory.path().join(name));
        let invite = hub.run(&["invite", "all"]).unwrap();
        laptop.run(&["join", &invite, "--accept-statement"]).unwrap();
        laptop.run(&["sync"]).unwrap();
        laptop
    });
    hub.stop().unwrap();

    let ids = ids(&laptops[0]).unwrap();
    assert_eq!(ids.len(), PEOPLE);
    for (nth, id) in ids.iter().take(CALLED).enumerate() {
        for (laptop, node) in laptops.iter().enumerate() {
            let (by, line) = (["lee", "kim"][laptop], format!("talked on laptop {laptop}"));
            let shown = ["attempt", "log", id, "--how", "call", "--result", "talked", "--by", by, "--line", &line];
            let attempt = node.run(&shown).unwrap();
            // Moved on one laptop or on both: twice up with what shows it is no disagreement.
            if MOVED[laptop].contains(&nth) {
                node.run(&["ladder", "move", id, "conversation", "--evidence", &attempt]).unwrap();
            }
        }
    }
    // One real disagreement.
    laptops[0].run(&["people", "edit", &ids[0], "family_name=Left"]).unwrap();
    laptops[1].run(&["people", "edit", &ids[0], "family_name=Right"]).unwrap();

    hub.serve().unwrap();
    // What one laptop brings, the hub passes on once it has folded it: the other has it at its next exchange.
    for node in &laptops {
        node.run(&["sync"]).unwrap();
    }
    until("the hub has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
    for node in &laptops {
        node.run(&["sync"]).unwrap();
        assert_eq!(node.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "all"]).unwrap());
        let status = node.json(&["status"]).unwrap();
        assert_eq!(status["conflicts"], 1, "only what two people wrote differently is a conflict");
        assert_eq!(status["counts"]["conversation"], 45);
        assert_eq!((&status["refused"], &status["missing"]), (&0.into(), &0.into()));
        let history = node.json(&["people", "history", &ids[2]]).unwrap().to_string();
        assert!(history.contains("laptop 0") && history.contains("laptop 1"), "both attempts are there");
        node.run(&["verify"]).unwrap();
    }
}

fn ids(node: &Node) -> Result<Vec<String>> {
    let listed = node.json(&["people", "list", "--limit", "200"])?;
    let people = listed["people"].as_array().cloned().unwrap_or_default();
    Ok(people.iter().filter_map(|person| person["id"].as_str().map(str::to_owned)).collect())
}
