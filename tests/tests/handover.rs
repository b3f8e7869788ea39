//! A node goes to another machine: everything comes along, the old one takes no writes and then leaves nothing but a receipt.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use tempfile::TempDir;
use tests::harness::{Node, Outcome, until};
use tests::sign_ups;

/// People who come from the hub.
const PEOPLE: usize = 120;
/// A name that is in no other word.
const NAME: &str = "Zyxwvutia";
/// What is written about her, and never leaves the chapter.
const NOTE: &str = "prefers the quiet evening";
/// Where the header of a hand-over file ends: magic, version, salt, check.
const HEADER_BYTES: usize = 49;

/// A hub that serves, with a chapter for everybody that has joined and has people, a person of its own and two notes.
struct Network {
    directory: TempDir,
    hub: Node,
    old: Node,
    /// The chapter's own person.
    id: String,
}

impl Network {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut hub = Node::hub(&directory.path().join("hub"));
        hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
        hub.run(&["chapter", "add", "all", "--name", "Everywhere", "--postal", "0*,1*,2*,3*,4*,5*,6*,7*,8*,9*"])
            .unwrap();
        let file = directory.path().join("people.csv");
        fs::write(&file, sign_ups::csv(PEOPLE, 44)).unwrap();
        hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
        hub.serve().unwrap();
        let old = Node::chapter(&directory.path().join("old"));
        let invite = hub.run(&["invite", "all"]).unwrap();
        old.run(&["join", &invite, "--accept-statement"]).unwrap();
        old.run(&["sync"]).unwrap();
        let added = ["people", "add", "--given-name", NAME, "--email", "zyx@example.org"];
        let id = old.json(&added).unwrap()["id"].as_str().unwrap().to_owned();
        old.run(&["note", "add", &id, &format!("{NAME} {NOTE}")]).unwrap();
        old.run(&["note", "add", &id, "has two children"]).unwrap();
        old.run(&["sync"]).unwrap();
        Self { directory, hub, old, id }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A directory in which there is no node yet.
    fn machine(&self, name: &str) -> Node {
        Node::chapter(&self.directory.path().join(name))
    }

    /// Hands the old one over; gives what it printed, the file, and a file with the passphrase.
    fn hand_over(&self, name: &str) -> (Value, String, String) {
        hand_over(&self.old, &self.path(name))
    }

    /// Both ends have the same after an exchange.
    fn in_step(&self, node: &Node) {
        node.run(&["sync"]).unwrap();
        let here = node.run(&["state-hash"]).unwrap();
        let there = || Ok((self.hub.run(&["state-hash", "--scope", "all"])? == here).then_some(()));
        until("the hub has the same", there).unwrap();
    }

    fn known_at_hub(&self, field: &str) -> Value {
        self.hub.json(&["people", "show", &self.id]).unwrap()[field].clone()
    }
}

fn hand_over(node: &Node, file: &str) -> (Value, String, String) {
    let made = node.json(&["handover", file]).unwrap();
    let secret = format!("{file}.passphrase");
    fs::write(&secret, format!("{}\n", made["passphrase"].as_str().unwrap())).unwrap();
    (made, file.to_owned(), secret)
}

fn open(node: &Node, file: &str, secret: &str) -> Outcome {
    node.try_run(&["handover", "open", file, "--passphrase-file", secret, "--json"]).unwrap()
}

/// Every one of these commands is refused, in words.
fn refused(node: &Node, words: &str, commands: &[&[&str]]) {
    for command in commands {
        let outcome = node.try_run(command).unwrap();
        assert_eq!(outcome.code, 4, "{command:?}: {outcome:?}");
        assert!(outcome.stderr.contains(words), "{command:?}: {outcome:?}");
    }
}

fn notes(node: &Node, id: &str) -> String {
    node.json(&["note", "list", id]).unwrap()["notes"].to_string()
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_chapter_moves_to_another_laptop_with_everything_and_the_old_one_takes_no_writes() {
    let network = Network::new();
    let (old, new) = (&network.old, network.machine("new"));
    let before = old.run(&["state-hash"]).unwrap();
    let backup = network.path("backup");
    old.run(&["backup", &backup]).unwrap();
    fs::write(old.data.join("config.toml"), "http = \"127.0.0.1:0\"\n").unwrap();

    let (made, file, secret) = network.hand_over("la.move");
    assert_eq!((made["state_hash"].as_str(), &made["notes"]), (Some(before.as_str()), &2.into()));
    assert_eq!(
        (&made["people"], &made["exchange"]),
        (&old.json(&["status"]).unwrap()["supporters"], &"in_step".into())
    );
    assert!(!fs::read(&file).unwrap().windows(NAME.len()).any(|window| window == NAME.as_bytes()), "it is sealed");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!old.data.join("chapterhouse.moving").exists());

    let (again, later) = (network.path("again"), network.path("later"));
    let id = network.id.as_str();
    refused(
        old,
        "handed over on",
        &[
            &["sync"],
            &["serve", "--http", "127.0.0.1:0"],
            &["people", "edit", id, "given_name=X"],
            &["people", "add", "--given-name", "X", "--email", "x@example.org"],
            &["note", "add", id, "X"],
            &["backup", &later],
            &["restore", &backup],
            &["handover", &again],
        ],
    );
    assert!(!Path::new(&again).exists() && !Path::new(&later).exists());
    assert_eq!(old.run(&["state-hash"]).unwrap(), before, "it can be read still");
    assert!(old.json(&["status"]).unwrap()["handed_over_at"].is_string());

    let opened = open(&new, &file, &secret).json().unwrap();
    for same in ["state_hash", "people", "notes", "handed_over_at"] {
        assert_eq!(opened[same], made[same], "{same}");
    }
    assert_eq!(new.run(&["state-hash"]).unwrap(), before);
    assert_eq!(notes(&new, id), notes(old, id));
    assert_eq!(fs::read(new.data.join("config.toml")).unwrap(), fs::read(old.data.join("config.toml")).unwrap());
    let (then, now) = (old.json(&["status"]).unwrap(), new.json(&["status"]).unwrap());
    assert_eq!(then["node"], now["node"], "it is the same node");
    assert_ne!(then["incarnation"], now["incarnation"], "in a new life");
    assert!(now["handed_over_at"].is_null());

    new.run(&["people", "edit", id, "family_name=Moved"]).unwrap();
    network.in_step(&new);
    assert_eq!(network.known_at_hub("family_name"), "Moved");
    network.hub.run(&["people", "edit", id, "family_name=Settled"]).unwrap();
    network.in_step(&new);
    assert_eq!(new.json(&["people", "show", id]).unwrap()["family_name"], "Settled");
    assert_eq!(network.hub.json(&["node", "list"]).unwrap()["nodes"].as_array().unwrap().len(), 1);
    new.run(&["verify"]).unwrap();
    network.hub.run(&["verify"]).unwrap();
}

#[test]
fn retiring_leaves_nothing_but_a_receipt() {
    let network = Network::new();
    let (old, backup) = (&network.old, network.path("backup"));
    // A database that a restore replaced is the node's, too.
    old.run(&["backup", &backup]).unwrap();
    old.run(&["restore", &backup]).unwrap();
    network.in_step(old);
    refused(old, "never handed over", &[&["retire"], &["retire", "--yes"]]);
    let (made, file, secret) = network.hand_over("la.move");

    let shown = old.json(&["retire"]).unwrap();
    let would = shown["would_wipe"].to_string();
    assert!(would.contains("chapterhouse.db") && would.contains("before-restore-"), "{would}");
    assert!(old.files_contain(NAME).unwrap() && old.files_contain(NOTE).unwrap(), "nothing is changed without --yes");

    let receipt = old.json(&["retire", "--yes"]).unwrap();
    for text in [NAME, NOTE, "example.org"] {
        assert!(!old.files_contain(text).unwrap(), "{text}");
    }
    assert_eq!(names_in(&old.data), ["retired.json"]);
    assert_eq!(receipt["state_hash"], made["state_hash"]);
    assert_eq!(receipt["handed_over_at"], made["handed_over_at"]);
    let kept: Value = serde_json::from_slice(&fs::read(old.data.join("retired.json")).unwrap()).unwrap();
    let mut printed = receipt.clone();
    assert_eq!(printed.as_object_mut().unwrap().remove("left").unwrap().to_string(), "[]");
    assert_eq!(kept, printed);

    let invite = network.hub.run(&["invite", "all"]).unwrap();
    refused(
        old,
        "retired",
        &[
            &["status"],
            &["people", "list"],
            &["state-hash"],
            &["sync"],
            &["serve", "--http", "127.0.0.1:0"],
            &["restore", &backup],
            &["join", &invite, "--accept-statement"],
            &["handover", &network.path("again")],
            &["handover", "cancel"],
            &["handover", "open", &file, "--passphrase-file", &secret],
        ],
    );
    assert_eq!(old.json(&["retire", "--yes"]).unwrap(), receipt, "safe to repeat");
    assert_eq!(names_in(&old.data), ["retired.json"]);
    assert_eq!(open(&network.machine("new"), &file, &secret).code, 0);
}

#[test]
fn a_file_that_is_not_whole_or_not_meant_for_here_leaves_nothing() {
    let network = Network::new();
    let (_, file, secret) = network.hand_over("la.move");
    let new = network.machine("new");
    let tried = |file: &str, secret: &str, code: i32, why: &str| {
        let outcome = open(&new, file, secret);
        assert_eq!(outcome.code, code, "{why}: {outcome:?}");
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("\"message\""), "{why}: {outcome:?}");
        assert!(!new.data.exists(), "{why}: the directory is as before");
    };
    let other = network.path("other.passphrase");
    for (text, why) in
        [("0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ", "another passphrase"), ("please", "none"), ("", "empty")]
    {
        fs::write(&other, text).unwrap();
        tried(&file, &other, 4, why);
    }
    let whole = fs::read(&file).unwrap();
    let changed = network.path("changed");
    for (at, code) in [(0, 4), (16, 4), (20, 4), (HEADER_BYTES, 5), (whole.len() / 2, 5), (whole.len() - 1, 5)] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&changed, &bytes).unwrap();
        tried(&changed, &secret, code, &format!("changed at {at}"));
    }
    for (length, code) in [(0, 4), (10, 4), (30, 5), (HEADER_BYTES, 5), (whole.len() / 2, 5), (whole.len() - 1, 5)] {
        fs::write(&changed, &whole[..length]).unwrap();
        tried(&changed, &secret, code, &format!("cut at {length}"));
    }
    fs::write(&changed, [whole.as_slice(), b"x"].concat()).unwrap();
    tried(&changed, &secret, 5, "lengthened");
    tried(&network.path("people.csv"), &secret, 4, "no hand-over file");

    let hub = Node::hub(&network.directory.path().join("hub2"));
    assert_eq!(open(&hub, &file, &secret).code, 4, "of the other program");
    assert!(!hub.data.exists());
    assert_eq!(open(&network.old, &file, &secret).code, 4, "there is a node already");
    fs::create_dir(&new.data).unwrap();
    fs::write(new.data.join("mine.txt"), "mine").unwrap();
    assert_eq!(open(&new, &file, &secret).code, 4, "not empty");
    assert_eq!(names_in(&new.data), ["mine.txt"]);
    fs::remove_file(new.data.join("mine.txt")).unwrap();
    assert_eq!(open(&new, &changed, &secret).code, 5);
    assert!(names_in(&new.data).is_empty(), "an empty directory stays one");
    assert_eq!(open(&new, &file, &secret).code, 0);
    new.run(&["verify"]).unwrap();
}

#[test]
fn a_hand_over_can_be_taken_back_and_one_that_fails_changes_nothing() {
    let mut network = Network::new();
    let inside = network.old.data.join("la.move").display().to_string();
    let there = network.path("people.csv");
    refused(&network.old, "outside", &[&["handover", &inside]]);
    refused(&network.old, "there already", &[&["handover", &there]]);
    refused(&network.old, "nothing to take back", &[&["handover", "cancel"]]);
    assert_eq!(network.old.try_run(&["handover"]).unwrap().code, 2);
    network.old.serve().unwrap();
    let file = network.path("served.move");
    refused(&network.old, "serves", &[&["handover", &file]]);
    assert!(!Path::new(&file).exists());
    network.old.stop().unwrap();

    // The hub is away: it goes on and says so.
    network.hub.stop().unwrap();
    let (made, file, _) = network.hand_over("la.move");
    assert_eq!(made["exchange"], "unreachable");
    network.hub.serve().unwrap();
    refused(&network.old, "handed over on", &[&["sync"]]);
    network.old.run(&["handover", "cancel"]).unwrap();
    assert!(Path::new(&file).exists(), "the file is for a person to destroy");
    network.old.run(&["people", "edit", &network.id, "family_name=Back"]).unwrap();
    network.in_step(&network.old);
    assert_eq!(network.known_at_hub("family_name"), "Back");
    refused(&network.old, "never handed over", &[&["retire", "--yes"]]);
    network.old.run(&["verify"]).unwrap();
}

#[test]
fn two_databases_of_one_node_compare_whenever_they_take_turns_and_lose_nothing() {
    let network = Network::new();
    let (old, new, id) = (&network.old, network.machine("new"), network.id.as_str());
    let (_, file, secret) = network.hand_over("la.move");
    assert_eq!(open(&new, &file, &secret).code, 0);
    old.run(&["handover", "cancel"]).unwrap();
    for turn in ["one", "two"] {
        for (node, name, field) in [(&new, "new", "family_name"), (old, "old", "additional_name")] {
            let (given_name, email) = (format!("Added{turn}{name}"), format!("{turn}-{name}@example.org"));
            node.run(&["people", "add", "--given-name", &given_name, "--email", &email]).unwrap();
            node.run(&["people", "edit", id, &format!("{field}={turn}")]).unwrap();
            network.in_step(node);
        }
    }
    network.in_step(&new);
    for node in [&new, &network.hub] {
        for added in ["addedonenew", "addedoneold", "addedtwonew", "addedtwoold"] {
            let found = node.json(&["people", "list", "--query", added]).unwrap();
            assert_eq!(found["people"].as_array().unwrap().len(), 1, "{added}");
        }
        let her = node.json(&["people", "show", id]).unwrap();
        assert_eq!((&her["family_name"], &her["additional_name"]), (&"two".into(), &"two".into()));
        assert_eq!(node.json(&["status"]).unwrap()["refused"], 0);
    }
    new.run(&["verify"]).unwrap();
}

#[test]
fn a_hub_moves_too_and_its_chapter_follows() {
    let mut network = Network::new();
    network.hub.stop().unwrap();
    let before = network.hub.run(&["state-hash", "--scope", "all"]).unwrap();
    let (made, file, secret) = hand_over(&network.hub, &network.path("hub.move"));
    assert_eq!((&made["exchange"], &made["notes"]), (&"none".into(), &0.into()));
    let mut new = Node::hub(&network.directory.path().join("hub2"));
    let opened = open(&new, &file, &secret).json().unwrap();
    assert_eq!((&opened["state_hash"], &opened["people"]), (&made["state_hash"], &made["people"]));
    assert_eq!(new.run(&["state-hash", "--scope", "all"]).unwrap(), before);
    new.serve().unwrap();
    // It has another address: a fresh invitation into the same chapter says so.
    let invite = new.run(&["invite", "all"]).unwrap();
    network.old.run(&["join", &invite, "--accept-statement"]).unwrap();
    network.old.run(&["people", "edit", &network.id, "family_name=Follows"]).unwrap();
    network.old.run(&["sync"]).unwrap();
    let shown = || -> Result<Option<()>> {
        Ok((new.json(&["people", "show", &network.id])?["family_name"] == "Follows").then_some(()))
    };
    until("the new hub has it", shown).unwrap();
    assert_eq!(network.hub.try_run(&["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]).unwrap().code, 4);
    network.hub.run(&["retire", "--yes"]).unwrap();
    // The harness keeps the log of a node that served in its directory; it holds ids, and is not the node's.
    assert_eq!(names_in(&network.hub.data), ["retired.json", "serve.log"]);
    new.run(&["verify"]).unwrap();
}
