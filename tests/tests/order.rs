//! What people see of time: nothing older after something newer, a chapter's order kept, and no hub needed.

use std::path::Path;

use tempfile::TempDir;
use tests::harness::{Node, until};

/// A hub that serves, and a chapter that serves.
fn network(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let mut la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.serve().unwrap();
    (hub, la)
}

fn add(la: &Node, name: &str) -> String {
    la.run(&["people", "add", "--given-name", name, "--email", &format!("{name}@example.org")]).unwrap()
}

/// The number in a field that says `n<number>`; none before the first.
fn number(node: &Node, id: &str) -> anyhow::Result<Option<u32>> {
    let outcome = node.try_run(&["people", "show", id, "--json"])?;
    if outcome.code != 0 {
        return Ok(None);
    }
    let said = outcome.json()?["occupation"].as_str().unwrap_or_default().trim_start_matches('n').to_owned();
    Ok(said.parse().ok())
}

#[test]
fn g7_a_page_never_shows_an_older_state_after_a_newer() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    let id = add(&la, "mary");
    for n in 0..20 {
        let word = format!("Brown{n}x");
        la.run(&["people", "edit", &id, &format!("family_name={word}"), &format!("occupation=n{n}")]).unwrap();
        // Each read may be served by another connection: all of them show what was acknowledged before.
        for _ in 0..4 {
            let page = la.get(&format!("/people/{id}")).unwrap();
            assert_eq!(page.status, 200);
            assert!(page.body.contains(&word), "the page after edit {n}");
        }
    }
    until("the hub has the last one", || Ok(number(&hub, &id)?.filter(|n| *n == 19))).unwrap();
}

#[test]
fn g8_a_chapters_order_is_kept() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la) = network(directory.path());
    let (first, second) = (add(&la, "mary"), add(&la, "nora"));
    until("the hub knows both", || Ok((hub.json(&["status"])?["supporters"] == 2).then_some(()))).unwrap();
    let writing = std::thread::spawn({
        let data = la.data.clone();
        let ids = [first.clone(), second.clone()];
        move || {
            let la = Node::chapter(&data);
            for n in 1..=25 {
                // Always the first before the second.
                for id in &ids {
                    la.run(&["people", "edit", id, &format!("occupation=n{n}")]).unwrap();
                }
            }
        }
    });
    let (mut last, mut rounds) = ((0, 0), 0);
    until("the hub has the last one", || {
        // The second is read first: what was written before it is there when it is.
        let later = number(&hub, &second)?.unwrap_or(0);
        let earlier = number(&hub, &first)?.unwrap_or(0);
        assert!(earlier >= later, "{earlier} of the first after {later} of the second");
        assert!(earlier >= last.0 && later >= last.1, "({earlier}, {later}) after {last:?}");
        last = (earlier, later);
        rounds += 1;
        Ok((later == 25).then_some(()))
    })
    .unwrap();
    assert!(rounds > 1);
    writing.join().unwrap();
    hub.stop().unwrap();
}

#[test]
fn g6_a_chapter_works_without_its_hub_and_rejoins_without_help() {
    let directory = TempDir::new().unwrap();
    let (mut hub, mut la) = network(directory.path());
    let id = add(&la, "mary");
    until("the hub knows her", || Ok((hub.json(&["status"])?["supporters"] == 1).then_some(()))).unwrap();
    hub.stop().unwrap();
    la.run(&["attempt", "log", &id, "--how", "call", "--result", "talked", "--line", "wants to help"]).unwrap();
    add(&la, "nora");
    la.stop().unwrap();
    la.serve().unwrap();
    la.run(&["people", "edit", &id, "family_name=Brown"]).unwrap();
    assert_eq!(la.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().len(), 2);
    hub.serve().unwrap();
    until("both hold the same, and nobody had to say anything", || {
        Ok((hub.run(&["state-hash", "--scope", "la"])? == la.run(&["state-hash"])?).then_some(()))
    })
    .unwrap();
    assert_eq!(hub.json(&["people", "show", &id]).unwrap()["family_name"], "Brown");
}

#[test]
fn a_lost_laptops_successor_gets_all_but_private_notes() {
    let directory = TempDir::new().unwrap();
    let (hub, mut la) = network(directory.path());
    let id = add(&la, "mary");
    la.run(&["note", "add", &id, "her sister is ill"]).unwrap();
    until("the hub knows her", || Ok((hub.json(&["status"])?["supporters"] == 1).then_some(()))).unwrap();
    let hash = la.run(&["state-hash"]).unwrap();
    la.stop().unwrap();
    std::fs::remove_dir_all(&la.data).unwrap();
    let successor = Node::chapter(&directory.path().join("successor"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    successor.run(&["join", &invite, "--accept-statement"]).unwrap();
    successor.run(&["sync"]).unwrap();
    assert_eq!(successor.run(&["state-hash"]).unwrap(), hash);
    assert_eq!(successor.json(&["note", "list", &id]).unwrap()["notes"].as_array().unwrap().len(), 0);
}

#[test]
fn a_log_that_was_cut_off_costs_nothing_that_the_network_knows() {
    let directory = TempDir::new().unwrap();
    let (hub, mut la) = network(directory.path());
    let ids: Vec<String> = (0..20).map(|n| add(&la, &format!("person{n}"))).collect();
    until("the hub knows them", || Ok((hub.json(&["status"])?["supporters"] == 20).then_some(()))).unwrap();
    la.kill().unwrap();
    let log = la.data.join(format!("{}-wal", store::DATABASE_FILE));
    let bytes = std::fs::metadata(&log).unwrap().len();
    assert!(bytes > 0, "the log holds something when the power goes");
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(bytes / 3).unwrap();
    la.run(&["verify"]).unwrap();
    assert!(la.json(&["status"]).unwrap()["supporters"].as_u64().unwrap() < 20, "some are gone from its disk");
    la.serve().unwrap();
    until("they come back from the network", || {
        Ok((la.json(&["status"])?["supporters"] == 20
            && hub.run(&["state-hash", "--scope", "la"])? == la.run(&["state-hash"])?)
        .then_some(()))
    })
    .unwrap();
    for id in &ids {
        la.run(&["people", "show", id]).unwrap();
    }
    la.run(&["verify"]).unwrap();
}

#[test]
fn a_directory_that_was_copied_and_started_twice_is_found_out_and_loses_nothing() {
    let directory = TempDir::new().unwrap();
    let (hub, mut la) = network(directory.path());
    let id = add(&la, "mary");
    until("the hub knows her", || Ok((hub.json(&["status"])?["supporters"] == 1).then_some(()))).unwrap();
    la.stop().unwrap();
    let copy = Node::chapter(&directory.path().join("copy"));
    std::fs::create_dir(&copy.data).unwrap();
    for entry in std::fs::read_dir(&la.data).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.data.join(path.file_name().unwrap())).unwrap();
    }
    // Both go on, in turns.
    la.run(&["people", "edit", &id, "family_name=Original"]).unwrap();
    la.run(&["sync"]).unwrap();
    copy.run(&["people", "edit", &id, "occupation=copied"]).unwrap();
    copy.run(&["people", "add", "--given-name", "Nora", "--email", "nora@example.org"]).unwrap();
    copy.run(&["sync"]).unwrap();
    let told = copy.json(&["status"]).unwrap();
    assert!(told["rolled_back_at"].is_string(), "it is told that another one has gone further: {told}");
    let words = copy.run(&["status"]).unwrap();
    assert!(words.contains("second node") || words.contains("invite"), "and what to do about it: {words}");
    for node in [&la, &copy, &la] {
        node.run(&["sync"]).unwrap();
    }
    until("all three hold the same", || {
        la.run(&["sync"])?;
        copy.run(&["sync"])?;
        let hash = hub.run(&["state-hash", "--scope", "la"])?;
        Ok((la.run(&["state-hash"])? == hash && copy.run(&["state-hash"])? == hash).then_some(()))
    })
    .unwrap();
    let shown = la.json(&["people", "show", &id]).unwrap();
    assert_eq!((&shown["family_name"], &shown["occupation"]), (&"Original".into(), &"copied".into()));
    assert_eq!(hub.json(&["status"]).unwrap()["supporters"], 2);
    for node in [&hub, &la, &copy] {
        assert_eq!(node.json(&["status"]).unwrap()["refused"], 0);
    }
}
