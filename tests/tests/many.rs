//! Many nodes that are new at once.

use tempfile::TempDir;
use tests::harness::{Node, until};

/// So many people that each node reads for a while.
const PEOPLE: usize = 6_000;
/// More nodes than a hub admits at once.
const NODES: usize = 8;

#[test]
fn many_new_nodes_at_once_are_admitted_some_at_a_time_and_all_of_them_get_everything() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*"]).unwrap();
    let file = directory.path().join("people.csv");
    std::fs::write(&file, tests::sign_ups::csv(PEOPLE, 9)).unwrap();
    hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
    hub.serve().unwrap();
    let mut laptops: Vec<Node> =
        (0..NODES).map(|n| Node::chapter(&directory.path().join(format!("laptop{n}")))).collect();
    for laptop in &laptops {
        let invite = hub.run(&["invite", "all"]).unwrap();
        laptop.run(&["join", &invite, "--accept-statement"]).unwrap();
    }
    for laptop in &mut laptops {
        laptop.serve().unwrap();
    }
    let hash = hub.run(&["state-hash", "--scope", "all"]).unwrap();
    for laptop in &laptops {
        until("it has everything", || Ok((laptop.run(&["state-hash"])? == hash).then_some(()))).unwrap();
        assert_eq!(laptop.json(&["status"]).unwrap()["refused"], 0);
    }
    assert!(hub.log().contains("busy with other nodes"), "some had to come again");
}
