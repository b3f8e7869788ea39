//! One person in two records, joined and parted with the real programs.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::{Node, until};

/// A node that joined a chapter and has what the chapter has.
fn laptop(hub: &Node, data: &Path, slug: &str) -> Node {
    let laptop = Node::chapter(data);
    let invite = hub.run(&["invite", slug]).unwrap();
    laptop.run(&["join", &invite, "--accept-statement"]).unwrap();
    laptop.run(&["sync"]).unwrap();
    laptop
}

/// What each laptop brings is at the hub, and at the other one.
fn exchange(hub: &mut Node, laptops: &[Node]) {
    hub.serve().unwrap();
    for _ in 0..2 {
        for laptop in laptops {
            laptop.run(&["sync"]).unwrap();
        }
        until("the hub has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
    }
}

fn people(node: &Node) -> Value {
    node.json(&["status"]).unwrap()["supporters"].clone()
}

fn show(node: &Node, id: &str) -> Value {
    node.json(&["people", "show", id]).unwrap()
}

/// Ids of the people whom a search finds.
fn found(node: &Node, query: &str) -> Result<Vec<String>> {
    let listed = node.json(&["people", "list", "--query", query])?;
    let people = listed["people"].as_array().cloned().unwrap_or_default();
    Ok(people.iter().filter_map(|person| person["id"].as_str().map(str::to_owned)).collect())
}

fn sound_and_equal(hub: &Node, laptops: &[Node]) {
    let wanted = hub.run(&["state-hash", "--scope", "all"]).unwrap();
    hub.run(&["verify"]).unwrap();
    for laptop in laptops {
        assert_eq!(laptop.run(&["state-hash"]).unwrap(), wanted);
        laptop.run(&["verify"]).unwrap();
    }
}

#[test]
fn two_records_made_apart_are_shown_as_one_and_apart_again() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "9*"]).unwrap();
    hub.serve().unwrap();
    let laptops = ["one", "two"].map(|name| laptop(&hub, &directory.path().join(name), "all"));
    let [one, two] = &laptops;
    hub.stop().unwrap();

    // The same e-mail address at two nodes is no error: it is for a person to see that she is one.
    let address = ["--email", "mary@example.org"];
    let add = |node: &Node, rest: &[&str]| node.run(&[&["people", "add"][..], &address, rest].concat()).unwrap();
    let first = add(one, &["--given-name", "Mary", "--family-name", "Brown"]);
    let second = add(two, &["--given-name", "Maria", "--phone", "213 555 0142"]);
    exchange(&mut hub, &laptops);
    hub.stop().unwrap();
    assert_eq!((people(one), people(two)), (json!(2), json!(2)));

    // Without a network: one laptop joins the records, the other goes on with them.
    let merged = one.json(&["merge", &second, &first]).unwrap();
    assert_eq!(merged, json!({"id": first, "merged": [second], "said_in": "record"}));
    assert_eq!(one.try_run(&["merge", &first, &second]).unwrap().code, 4, "they are one already");
    one.run(&["people", "edit", &second, "would_like=make calls"]).unwrap();
    two.run(&["people", "edit", &second, "occupation=nurse"]).unwrap();
    two.run(&["people", "edit", &first, "employer=City Hospital"]).unwrap();
    two.run(&["attempt", "log", &second, "--how", "call", "--result", "talked", "--line", "comes on Tuesday"]).unwrap();
    exchange(&mut hub, &laptops);
    for node in [&hub, one, two] {
        assert_eq!(people(node), 1);
        for id in [&first, &second] {
            let shown = show(node, id);
            assert_eq!((&shown["id"], &shown["merged"]), (&json!(first), &json!([second])));
            assert_eq!((&shown["given_name"], &shown["also"]["given_name"]), (&json!("Mary"), &json!(["Maria"])));
            assert_eq!(shown["email_addresses"].as_array().map(Vec::len), Some(1));
            assert_eq!(shown["phone_numbers"][0]["number"], "12135550142");
            let edits = ["would_like", "occupation", "employer"].map(|field| shown[field].clone());
            assert_eq!(edits, [json!("make calls"), json!("nurse"), json!("City Hospital")]);
            assert_eq!(shown["conflicts"], json!([]));
        }
        let history = node.json(&["people", "history", &first]).unwrap().to_string();
        assert!(history.contains("comes on Tuesday"), "what was logged with the other record is in her history");
        assert_eq!(found(node, "maria brown 213555").unwrap(), std::slice::from_ref(&first));
    }
    sound_and_equal(&hub, &laptops);

    hub.run(&["merge", "undo", &second]).unwrap();
    assert_eq!(hub.try_run(&["merge", "undo", &second]).unwrap().code, 4, "it is joined with no other");
    hub.stop().unwrap();
    exchange(&mut hub, &laptops);
    for node in [&hub, one, two] {
        assert_eq!(people(node), 2);
        let alone = show(node, &second);
        assert_eq!(
            (&alone["id"], &alone["given_name"], &alone["merged"]),
            (&json!(second), &json!("Maria"), &json!([]))
        );
        assert_eq!((&alone["occupation"], &alone["employer"]), (&json!("nurse"), &Value::Null));
    }
    sound_and_equal(&hub, &laptops);
}

#[test]
fn a_hub_counts_someone_of_two_chapters_once_and_tells_neither() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--postal", "900*"]).unwrap();
    hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "941*"]).unwrap();
    let file = directory.path().join("people.csv");
    let rows =
        "given_name,email,postal_code,country\nMary,mary@example.org,90012,US\nMaria,maria@example.org,94110,US\n";
    std::fs::write(&file, rows).unwrap();
    hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
    hub.serve().unwrap();
    let laptops = ["la", "sf"].map(|slug| laptop(&hub, &directory.path().join(slug), slug));
    let [mary, maria] = ["mary@", "maria@"].map(|query| found(&hub, query).unwrap().remove(0));
    let before = hub.run(&["state-hash", "--scope", "la"]).unwrap();

    let merged = hub.json(&["merge", &mary, &maria]).unwrap();
    assert_eq!(merged["said_in"], "here");
    let (first, second) = if mary < maria { (&mary, &maria) } else { (&maria, &mary) };
    let shown = show(&hub, second);
    assert_eq!((&shown["id"], &shown["merged"]), (&json!(first), &json!([second])));
    assert_eq!(shown["chapters"].as_array().map(Vec::len), Some(2));
    assert_eq!(people(&hub), 1);
    let chapters = hub.json(&["chapter", "list"]).unwrap()["chapters"].clone();
    assert_eq!((&chapters[0]["supporters"], &chapters[1]["supporters"]), (&json!(1), &json!(1)));
    for (laptop, id) in laptops.iter().zip([&mary, &maria]) {
        laptop.run(&["sync"]).unwrap();
        assert_eq!(people(laptop), 1, "each chapter goes on counting her");
        assert_eq!(show(laptop, id)["merged"], json!([]));
        laptop.run(&["verify"]).unwrap();
    }
    assert_eq!(hub.run(&["state-hash", "--scope", "la"]).unwrap(), before, "nothing was written for a chapter");
    assert_eq!(laptops[0].run(&["state-hash"]).unwrap(), before);
    hub.run(&["verify"]).unwrap();

    let asked = hub.json(&["erase", &mary, "--reason", "asked by phone"]).unwrap();
    assert_eq!(asked["set"], json!([maria]), "erasing says who else is her");
    let gone = hub.json(&["erase", &mary, "--reason", "asked by phone", "--yes"]).unwrap();
    assert_eq!(gone["left"], json!([maria]));
    assert_eq!((people(&hub), &show(&hub, &maria)["merged"]), (json!(1), &json!([])));
    hub.run(&["verify"]).unwrap();
    for (laptop, left) in laptops.iter().zip([0, 1]) {
        laptop.run(&["sync"]).unwrap();
        assert_eq!(people(laptop), left);
        laptop.run(&["verify"]).unwrap();
    }
}
