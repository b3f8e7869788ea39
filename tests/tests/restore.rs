//! Backups put back, and databases that were rolled back: what others hold comes back from them.

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::{http, sign_ups};

/// A hub that serves, with a chapter for everybody that has joined.
struct Network {
    directory: TempDir,
    hub: Node,
    chapter: Node,
}

impl Network {
    fn new(people: usize) -> Result<Self> {
        let directory = TempDir::new()?;
        let mut hub = Node::hub(&directory.path().join("hub"));
        hub.run(&["init", "--name", "Test", "--country", "US"])?;
        hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*"])?;
        let file = directory.path().join("people.csv");
        std::fs::write(&file, sign_ups::csv(people, 21))?;
        hub.run(&["signup", "import", file.to_str().unwrap_or_default()])?;
        hub.serve()?;
        let chapter = Node::chapter(&directory.path().join("all"));
        let invite = hub.run(&["invite", "all"])?;
        chapter.run(&["join", &invite, "--accept-statement"])?;
        chapter.run(&["sync"])?;
        Ok(Self { directory, hub, chapter })
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Something that only one end knows of at first, then both.
    fn live_on(&mut self, word: &str) -> Result<String> {
        let someone = self.chapter.json(&["people", "list", "--query", "supporter21-7"])?;
        let id = someone["people"][0]["id"].as_str().unwrap_or_default().to_owned();
        self.chapter.run(&["people", "edit", &id, &format!("family_name={word}")])?;
        self.chapter.run(&["people", "add", "--given-name", word, "--email", &format!("{word}@example.org")])?;
        let posted = format!(
            r#"{{"person":{{"given_name":"New","email_addresses":[{{"address":"new-{word}@example.org"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
        );
        let answer = http::post_json(self.hub.http(), "/api/v1/people/person_signup_helper", &posted)?;
        anyhow::ensure!(answer.status == 200, "the sign-up was answered {}", answer.status);
        self.chapter.run(&["sync"])?;
        Ok(id)
    }

    fn same(&mut self) -> Result<()> {
        self.chapter.serve()?;
        let here = self.chapter.run(&["state-hash"])?;
        until("both hold the same", || Ok((self.hub.run(&["state-hash", "--scope", "all"])? == here).then_some(())))?;
        for node in [&self.hub, &self.chapter] {
            let settled = || Ok(node.json(&["status"])?["missing"].as_u64().filter(|missing| *missing == 0));
            until("nothing is missing any more", settled)?;
        }
        self.chapter.stop()?;
        self.hub.run(&["verify"])?;
        self.chapter.run(&["verify"])?;
        for node in [&self.hub, &self.chapter] {
            let status = node.json(&["status"])?;
            anyhow::ensure!(status["refused"] == 0, "something was not taken: {status}");
        }
        Ok(())
    }

    fn found(node: &Node, query: &str) -> Result<usize> {
        Ok(node.json(&["people", "list", "--query", query])?["people"].as_array().map_or(0, Vec::len))
    }
}

#[test]
fn a_hub_restored_from_a_backup_gets_back_what_its_children_have() {
    let mut network = Network::new(120).unwrap();
    let backup = network.path("hub.backup");
    let made = network.hub.json(&["backup", &backup]).unwrap();
    assert!(made["bytes"].as_u64().unwrap() > 0);
    let id = network.live_on("Afterwards").unwrap();
    network.hub.stop().unwrap();
    let restored = network.hub.json(&["restore", &backup]).unwrap();
    assert!(restored["backup_made"].is_string() && restored["before"].is_string());
    assert_eq!(Network::found(&network.hub, "afterwards").unwrap(), 0, "the backup is of before");
    network.hub.serve().unwrap();
    // While the hub was away the chapter went on, on top of what the hub has forgotten.
    network.chapter.run(&["people", "edit", &id, "given_name=Later"]).unwrap();
    network.chapter.run(&["sync"]).unwrap();
    network.same().unwrap();
    assert_eq!(Network::found(&network.hub, "afterwards").unwrap(), 3);
    assert_eq!(Network::found(&network.hub, "new-afterwards@example.org").unwrap(), 1);
    let shown = network.hub.json(&["people", "show", &id]).unwrap();
    assert_eq!((&shown["given_name"], &shown["family_name"]), (&"Later".into(), &"Afterwards".into()));
    // And the feeds go on from there.
    network.live_on("Onwards").unwrap();
    network.same().unwrap();
    let status = network.hub.json(&["status"]).unwrap();
    assert!(status["backup_age_seconds"].is_u64());
}

#[test]
fn a_chapter_restored_from_a_backup_gets_back_what_the_hub_has() {
    let mut network = Network::new(120).unwrap();
    let backup = network.path("chapter.backup");
    network.chapter.run(&["backup", &backup]).unwrap();
    network.live_on("Afterwards").unwrap();
    network.chapter.run(&["restore", &backup]).unwrap();
    network.hub.run(&["signup", "import", &network.path("people.csv")]).unwrap();
    network.chapter.run(&["sync"]).unwrap();
    network.same().unwrap();
    assert_eq!(Network::found(&network.chapter, "afterwards").unwrap(), 3);
    network.live_on("Onwards").unwrap();
    network.same().unwrap();
}

#[test]
fn who_was_shut_out_or_removed_stays_so_when_the_hub_is_put_back_and_is_named_where_nothing_says_it() {
    let mut network = Network::new(10).unwrap();
    let backup = network.path("hub.backup");
    for name in ["lee", "ana"] {
        network.hub.run(&["user", "add", name, "--role", "staff"]).unwrap();
    }
    network.hub.run(&["token", "add", "website", "--role", "staff"]).unwrap();
    network.hub.run(&["backup", &backup]).unwrap();
    let node = network.chapter.json(&["status"]).unwrap()["node"].as_str().unwrap().to_owned();
    network.hub.run(&["node", "revoke", &node]).unwrap();
    network.hub.run(&["user", "remove", "lee"]).unwrap();
    network.hub.run(&["user", "role", "ana", "viewer"]).unwrap();
    network.hub.run(&["user", "add", "kim", "--role", "staff"]).unwrap();
    network.hub.run(&["token", "remove", "website"]).unwrap();
    network.hub.stop().unwrap();
    let restored = network.hub.json(&["restore", &backup]).unwrap();
    assert!(restored["let_in"].is_null() && restored["before"].is_string(), "{restored}");
    let listed = |node: &Node, what: &str, names: [&str; 2]| {
        let listed = node.json(&[what, "list"]).unwrap();
        let each = listed[format!("{what}s")].as_array().unwrap().clone();
        each.iter().map(|it| names.map(|name| it[name].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(listed(&network.hub, "node", ["node", "state"]), [[node.as_str(), "revoked"]]);
    assert_eq!(listed(&network.hub, "user", ["name", "role"]), [["ana", "viewer"], ["kim", "staff"]]);
    assert!(listed(&network.hub, "token", ["name", "role"]).is_empty());
    let audit = network.hub.json(&["audit"]).unwrap();
    assert_eq!((&audit["audit"][0]["what"], &audit["audit"][1]["what"]), (&"revoked".into(), &"restored".into()));
    network.hub.serve().unwrap();
    assert_eq!(network.chapter.try_run(&["sync"]).unwrap().code, 4, "it is not let in");
    network.hub.run(&["verify"]).unwrap();

    // In a new directory nothing says who was shut out since: whoever is let in is named.
    let elsewhere = Node::hub(&network.directory.path().join("elsewhere"));
    let restored = elsewhere.json(&["restore", &backup, "--without-ledger"]).unwrap();
    assert_eq!(restored["let_in"]["nodes"][0]["node"], node.as_str());
    assert_eq!(restored["let_in"]["logins"], json!(["ana", "lee"]));
    assert_eq!(restored["let_in"]["tokens"], json!(["website"]));
    assert_eq!(listed(&elsewhere, "user", ["name", "role"]), [["ana", "staff"], ["lee", "staff"]]);
}

#[test]
fn g13_a_hub_that_was_rolled_back_without_a_word_is_found_out_and_gets_everything_back() {
    let mut network = Network::new(120).unwrap();
    let copy = network.path("hub.copy");
    network.hub.run(&["backup", &copy]).unwrap();
    let before = network.hub.json(&["status"]).unwrap()["incarnation"].clone();
    network.live_on("Afterwards").unwrap();
    network.hub.stop().unwrap();
    for name in ["chapterhouse.db-wal", "chapterhouse.db-shm"] {
        let _ = std::fs::remove_file(network.hub.data.join(name));
    }
    std::fs::copy(&copy, network.hub.data.join(store::DATABASE_FILE)).unwrap();
    network.hub.serve().unwrap();
    network.chapter.run(&["sync"]).unwrap();
    network.same().unwrap();
    assert_eq!(Network::found(&network.hub, "afterwards").unwrap(), 3);
    assert_ne!(network.hub.json(&["status"]).unwrap()["incarnation"], before, "it began a new life");
}

#[test]
fn g14_what_is_no_backup_is_refused_and_nothing_is_changed() {
    let mut network = Network::new(10).unwrap();
    let (backup, garbage, cut) = (network.path("hub.backup"), network.path("garbage"), network.path("cut"));
    network.hub.run(&["backup", &backup]).unwrap();
    assert_eq!(network.hub.try_run(&["backup", &backup]).unwrap().code, 4, "a backup is never written over");
    assert_eq!(network.hub.try_run(&["restore", &backup]).unwrap().code, 4, "it serves");
    network.hub.stop().unwrap();
    let hash = network.hub.run(&["state-hash", "--scope", "all"]).unwrap();
    std::fs::write(&garbage, "no database at all").unwrap();
    let bytes = std::fs::read(&backup).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(network.hub.try_run(&["restore", &garbage]).unwrap().code, 4, "no database at all");
    for file in [&cut, &network.path("nowhere")] {
        let refused = network.hub.try_run(&["restore", file]).unwrap();
        assert!(refused.code == 4 || refused.code == 5 || refused.code == 1, "{file}: {refused:?}");
    }
    assert_eq!(network.chapter.try_run(&["restore", &backup]).unwrap().code, 4, "a hub's backup in a chapter");
    assert_eq!(network.hub.run(&["state-hash", "--scope", "all"]).unwrap(), hash);
    network.chapter.run(&["verify"]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
