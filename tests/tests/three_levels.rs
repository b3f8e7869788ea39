//! A national hub over two states over four chapters.

use std::path::Path;

use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
const NAME: &str = "Quixotania";

/// National, two states below it, and two chapters below each; hubs serve, chapters serve.
struct Country {
    national: Node,
    states: [Node; 2],
    chapters: [Node; 4],
}

impl Country {
    fn new(directory: &Path) -> Self {
        let hub = |name: &str| {
            let hub = Node::hub(&directory.join(name));
            hub.run(&["init", "--name", name, "--country", "US"]).unwrap();
            hub
        };
        let mut national = hub("national");
        national.run(&["chapter", "add", "ca", "--name", "California", "--region", "US-CA"]).unwrap();
        national.run(&["chapter", "add", "ny", "--name", "New York", "--region", "US-NY"]).unwrap();
        national.serve().unwrap();
        let [mut california, mut new_york] = ["california", "newyork"].map(hub);
        california.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
        california.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "941*"]).unwrap();
        new_york.run(&["chapter", "add", "nyc", "--name", "New York City", "--postal", "100*,101*"]).unwrap();
        new_york.run(&["chapter", "add", "buf", "--name", "Buffalo", "--postal", "142*"]).unwrap();
        // One joins with people already there, the other with none.
        post(
            &{
                california.serve().unwrap();
                california.http().to_owned()
            },
            "Early",
            "90012",
        );
        for (state, slug) in [(&california, "ca"), (&new_york, "ny")] {
            let invite = national.run(&["invite", slug]).unwrap();
            state.run(&["join", &invite]).unwrap();
        }
        new_york.serve().unwrap();
        let chapter = |state: &Node, slug: &str| {
            let mut chapter = Node::chapter(&directory.join(slug));
            let invite = state.run(&["invite", slug]).unwrap();
            chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
            chapter.serve().unwrap();
            chapter
        };
        let chapters = [
            chapter(&california, "la"),
            chapter(&california, "sf"),
            chapter(&new_york, "nyc"),
            chapter(&new_york, "buf"),
        ];
        Self { national, states: [california, new_york], chapters }
    }

    /// Waits until every pair of ends holds the same, with nothing refused; then verifies all.
    fn agree(&self) {
        let pairs = [
            (&self.national, &self.states[0], "ca"),
            (&self.national, &self.states[1], "ny"),
            (&self.states[0], &self.chapters[0], "la"),
            (&self.states[0], &self.chapters[1], "sf"),
            (&self.states[1], &self.chapters[2], "nyc"),
            (&self.states[1], &self.chapters[3], "buf"),
        ];
        for (above, below, slug) in pairs {
            until(&format!("{slug} and the hub above it hold the same"), || {
                Ok((above.run(&["state-hash", "--scope", slug])? == below.run(&["state-hash"])?).then_some(()))
            })
            .unwrap();
        }
        for node in [&self.national].into_iter().chain(&self.states).chain(&self.chapters) {
            node.run(&["verify"]).unwrap();
            let status = node.json(&["status"]).unwrap();
            assert_eq!((&status["refused"], &status["missing"]), (&0.into(), &0.into()), "{status}");
        }
    }
}

fn post(address: &str, name: &str, code: &str) {
    let body = format!(
        r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{}@example.org"}}],"postal_addresses":[{{"postal_code":"{code}","country":"US"}}]}}}}"#,
        name.to_lowercase()
    );
    assert_eq!(http::post_json(address, SIGN_UP, &body).unwrap().status, 200);
}

fn found(node: &Node, name: &str) -> anyhow::Result<Option<String>> {
    let listed = node.json(&["people", "list", "--query", name])?;
    Ok(listed["people"][0]["id"].as_str().map(str::to_owned))
}

#[test]
fn a_sign_up_goes_down_two_levels_and_a_move_comes_up() {
    let directory = TempDir::new().unwrap();
    let country = Country::new(directory.path());
    let national = &country.national;
    for (name, code) in [("Mary", "90012"), ("Nora", "94110"), ("Otto", "10001"), ("Pia", "14201")] {
        post(national.http(), name, code);
    }
    for (chapter, name) in country.chapters.iter().zip(["mary", "nora", "otto", "pia"]) {
        until(&format!("{name} is at her chapter"), || found(chapter, name)).unwrap();
    }
    until("who was at the state before it joined is known above", || found(national, "early")).unwrap();
    let mary = found(national, "mary").unwrap().unwrap();
    let la = &country.chapters[0];
    let attempt =
        la.run(&["attempt", "log", &mary, "--how", "call", "--result", "talked", "--line", "wants to help"]).unwrap();
    la.run(&["ladder", "move", &mary, "conversation", "--evidence", &attempt]).unwrap();
    until("national sees the move", || {
        Ok((national.json(&["people", "show", &mary])?["rung"] == "conversation").then_some(()))
    })
    .unwrap();
    let status = national.json(&["status"]).unwrap();
    assert_eq!((&status["supporters"], &status["counts"]["conversation"]), (&5.into(), &1.into()));
    country.agree();
}

#[test]
fn the_middle_hub_is_put_back_to_yesterday_while_all_of_them_work() {
    let directory = TempDir::new().unwrap();
    let mut country = Country::new(directory.path());
    let backup = directory.path().join("california.backup").display().to_string();
    post(country.national.http(), "Before", "90012");
    until("she is at her chapter", || found(&country.chapters[0], "before")).unwrap();
    country.states[0].run(&["backup", &backup]).unwrap();
    // Everybody goes on.
    post(country.national.http(), "After", "94110");
    until("she is at her chapter", || found(&country.chapters[1], "after")).unwrap();
    let before = found(&country.chapters[0], "before").unwrap().unwrap();
    country.chapters[0].run(&["people", "edit", &before, "occupation=nurse"]).unwrap();
    country.chapters[0].run(&["people", "add", "--given-name", "Own", "--email", "own@example.org"]).unwrap();
    until("national knows whom the chapter added", || found(&country.national, "own")).unwrap();
    country.states[0].stop().unwrap();
    country.states[0].run(&["restore", &backup]).unwrap();
    post(country.national.http(), "Meanwhile", "94110");
    country.chapters[1].run(&["people", "add", "--given-name", "Else", "--email", "else@example.org"]).unwrap();
    country.states[0].serve().unwrap();
    for (name, chapter) in [("after", 1), ("meanwhile", 1), ("own", 0), ("else", 1), ("before", 0)] {
        for node in [&country.national, &country.states[0], &country.chapters[chapter]] {
            until(&format!("{name} is everywhere"), || found(node, name)).unwrap();
        }
    }
    country.agree();
    assert_eq!(country.national.json(&["people", "show", &before]).unwrap()["occupation"], "nurse");
}

#[test]
fn deleting_goes_down_three_levels_and_receipts_come_up() {
    let directory = TempDir::new().unwrap();
    let country = Country::new(directory.path());
    post(country.national.http(), NAME, "90012");
    let id = until("she is at her chapter", || found(&country.chapters[0], NAME)).unwrap();
    country.chapters[0].run(&["note", "add", &id, &format!("{NAME} is ill")]).unwrap();
    // The state in the middle can only ask, as a chapter can.
    let asked = country.states[0].json(&["erase", &id, "--reason", "asked", "--yes"]).unwrap();
    assert_eq!(asked["state"], "asked");
    until("she is hidden at national", || {
        Ok((country.national.json(&["erasures", "list"])?["asked"].as_array().map_or(0, Vec::len) == 1).then_some(()))
    })
    .unwrap();
    country.national.run(&["erase", &id, "--reason", "asked", "--yes"]).unwrap();
    until("every node has given its word", || {
        let listed = country.national.json(&["erasures", "list"])?;
        let one = &listed["erasures"][0];
        let done = one["gone_here"] == true && one["outstanding"].as_array().is_some_and(Vec::is_empty);
        Ok(done.then_some(()))
    })
    .unwrap();
    for node in [&country.national, &country.states[0], &country.chapters[0]] {
        assert!(!node.files_contain(NAME).unwrap() && !node.files_contain("quixotania").unwrap());
    }
    country.agree();
}
