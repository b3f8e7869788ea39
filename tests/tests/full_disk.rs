//! A full disk: what does not fit is refused in words, what was acknowledged stays, and with room it goes on.
//!
//! **Invariant:** the disk is a real file system that is full, not a stand-in for one. Each test runs again in a mount
//! namespace of its own, where one directory is a tmpfs of a few MiB. That takes `unshare` and `mount`, which every
//! Debian has, and no rights; where the kernel forbids it, the test fails and says so.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use tempfile::TempDir;
use tests::harness::{Node, Outcome, until};
use tests::http::{self, Answer};
use tests::sign_ups;

/// Names the small disk to a test that runs again beside it.
const DISK: &str = "CHAPTERHOUSE_TEST_DISK";
/// How large it is: room for the people of an import, and for the log of its writes.
const DISK_SIZE: &str = "size=32m";
/// Mounts it over a directory, then becomes the program that was named.
const MOUNT: &str = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;
const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
/// People in a file: about 8 MiB with the log of their writes.
const PEOPLE: usize = 2_000;
/// What is left for them, in bytes: room for some.
const ROOM_BYTES: u64 = 4 * 1024 * 1024;

/// Runs a test beside a disk that is small. `test` is its name.
fn on_a_small_disk(test: &str, story: impl FnOnce(&Path)) {
    if let Some(disk) = std::env::var_os(DISK) {
        return story(Path::new(&disk));
    }
    let disk = TempDir::new().unwrap();
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", DISK_SIZE]).arg(disk.path());
    again.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(DISK, disk.path());
    let output = again.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{test} on a small disk: {said}");
}

/// A file that leaves no room beside it.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(disk: &Path) -> Self {
        Self::leave(disk, 0)
    }

    /// Takes all room but so many bytes.
    fn leave(disk: &Path, bytes: u64) -> Self {
        let path = disk.join("ballast");
        let mut file = File::create(&path).unwrap();
        let full = io::copy(&mut io::repeat(0), &mut file).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
        Self(path)
    }

    fn remove(self) {
        fs::remove_file(self.0).unwrap();
    }
}

fn hub(directory: &Path) -> Node {
    let hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--postal", "9*"]).unwrap();
    hub
}

fn email(nth: usize) -> String {
    format!("p{nth}@example.org")
}

fn sign_up(hub: &Node, nth: usize) -> Answer {
    let email = email(nth);
    let body = format!(
        r#"{{"person":{{"given_name":"Pat","email_addresses":[{{"address":"{email}"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
    );
    http::post_json(hub.http(), SIGN_UP, &body).unwrap()
}

fn add(chapter: &Node, name: &str) -> Outcome {
    let email = format!("{name}@example.org");
    chapter.try_run(&["people", "add", "--given-name", name, "--email", &email]).unwrap()
}

/// Everybody whom a node lists, as JSON.
fn listed(node: &Node) -> Vec<String> {
    let people = node.json(&["people", "list", "--limit", "100"]).unwrap();
    people["people"].as_array().unwrap().iter().map(ToString::to_string).collect()
}

fn lists(node: &Node, email: &str) -> usize {
    listed(node).iter().filter(|person| person.contains(email)).count()
}

/// A command failed, as one that can be tried again, and says why.
fn assert_says_full(outcome: &Outcome) {
    assert!([1, 4].contains(&outcome.code), "{outcome:?}");
    assert!(outcome.stderr.contains("disk is full"), "{outcome:?}");
}

#[test]
fn g15_a_hub_without_room_refuses_in_words_and_goes_on_when_there_is_room() {
    on_a_small_disk("g15_a_hub_without_room_refuses_in_words_and_goes_on_when_there_is_room", |disk| {
        let mut hub = hub(disk);
        hub.serve().unwrap();
        for nth in 0..5 {
            assert_eq!(sign_up(&hub, nth).status, 200);
        }
        hub.login().unwrap();
        let ballast = Ballast::fill(disk);
        for nth in 5..8 {
            let refused = sign_up(&hub, nth);
            assert!((500..600).contains(&refused.status), "it may be sent again: {refused:?}");
            assert!(refused.head.contains("application/problem+json"), "{refused:?}");
            assert!(refused.body.contains("nothing was stored"), "{refused:?}");
        }
        let form = "given_name=Pat&email=p8%40example.org&postal_code=90012";
        let page = http::post_form(hub.http(), "/signup", form).unwrap();
        assert!((500..600).contains(&page.status) && page.body.contains("nothing was stored"), "{page:?}");
        assert_eq!(hub.get("/people").unwrap().status, 200, "what is there can be read");
        let more = ["chapter", "add", "den", "--name", "Denver", "--postal", "8*"];
        assert_says_full(&hub.try_run(&more).unwrap());
        let copy = disk.join("copy.db");
        assert_says_full(&hub.try_run(&["backup", copy.to_str().unwrap()]).unwrap());
        assert!(!copy.exists(), "a copy is whole or not there");
        // A power cut on top of it.
        hub.kill().unwrap();
        hub.run(&["verify"]).unwrap();
        assert_eq!(listed(&hub).len(), 5, "nothing that was refused is there");
        ballast.remove();
        hub.serve().unwrap();
        assert_eq!(sign_up(&hub, 5).status, 200);
        for nth in 0..6 {
            assert_eq!(lists(&hub, &email(nth)), 1, "{nth} was acknowledged");
        }
        hub.run(&more).unwrap();
        hub.stop().unwrap();
        hub.run(&["verify"]).unwrap();
    });
}

#[test]
fn a_chapter_without_room_keeps_what_it_has_and_catches_up() {
    on_a_small_disk("a_chapter_without_room_keeps_what_it_has_and_catches_up", |disk| {
        let elsewhere = TempDir::new().unwrap();
        let mut hub = hub(elsewhere.path());
        hub.serve().unwrap();
        let mut la = Node::chapter(&disk.join("la"));
        let invite = hub.run(&["invite", "la"]).unwrap();
        la.run(&["join", &invite, "--accept-statement"]).unwrap();
        la.serve().unwrap();
        assert_eq!(add(&la, "jo").code, 0);
        assert_eq!(sign_up(&hub, 0).status, 200);
        until("both are at both", || Ok((listed(&la).len() == 2 && listed(&hub).len() == 2).then_some(()))).unwrap();

        let ballast = Ballast::fill(disk);
        let links_ended = |hub: &Node| hub.log().matches("a child's link ended").count();
        let before = links_ended(&hub);
        for nth in 1..4 {
            assert_eq!(sign_up(&hub, nth).status, 200);
        }
        until("the chapter could not save them", || Ok((links_ended(&hub) > before).then_some(()))).unwrap();
        assert_says_full(&add(&la, "ko"));
        let status = hub.json(&["status"]).unwrap();
        assert_eq!(status["links"][0]["pending"], 3, "saved before said: {status}");
        assert_eq!(lists(&la, "jo@example.org"), 1, "what is there can be read");

        ballast.remove();
        until("it has caught up by itself", || {
            Ok((la.run(&["state-hash"])? == hub.run(&["state-hash", "--scope", "la"])?).then_some(()))
        })
        .unwrap();
        assert_eq!((listed(&la).len(), lists(&la, "ko@example.org")), (5, 0));
        assert_eq!(add(&la, "ko").code, 0);
        la.stop().unwrap();
        la.run(&["sync"]).unwrap();
        for node in [&la, &hub] {
            assert_eq!(lists(node, "ko@example.org"), 1);
            node.run(&["verify"]).unwrap();
        }
    });
}

#[test]
fn an_import_that_does_not_fit_keeps_what_it_stored_and_can_be_taken_again() {
    on_a_small_disk("an_import_that_does_not_fit_keeps_what_it_stored_and_can_be_taken_again", |disk| {
        let elsewhere = TempDir::new().unwrap();
        let file = elsewhere.path().join("people.csv");
        fs::write(&file, sign_ups::csv(PEOPLE, 9)).unwrap();
        let import = ["signup", "import", file.to_str().unwrap()];
        let hub = hub(disk);
        let ballast = Ballast::leave(disk, ROOM_BYTES);
        assert_says_full(&hub.try_run(&import).unwrap());
        hub.run(&["verify"]).unwrap();
        let stored = |hub: &Node| hub.json(&["status"]).unwrap()["supporters"].as_u64().unwrap();
        let kept = stored(&hub);
        assert!(0 < kept && kept < PEOPLE as u64, "{kept} were stored");
        ballast.remove();
        hub.run(&import).unwrap();
        assert_eq!(stored(&hub), PEOPLE as u64, "nobody is missing, nobody is there twice");
        hub.run(&["verify"]).unwrap();
    });
}

#[test]
fn a_node_that_can_not_be_opened_for_want_of_room_is_not_called_damaged() {
    on_a_small_disk("a_node_that_can_not_be_opened_for_want_of_room_is_not_called_damaged", |disk| {
        let mut hub = hub(disk);
        let ballast = Ballast::fill(disk);
        for command in ["status", "verify"] {
            assert_says_full(&hub.try_run(&[command]).unwrap());
        }
        ballast.remove();
        hub.serve().unwrap();
        hub.run(&["verify"]).unwrap();
    });
}

#[test]
fn a_node_without_room_does_not_turn_in_circles() {
    on_a_small_disk("a_node_without_room_does_not_turn_in_circles", |disk| {
        let elsewhere = TempDir::new().unwrap();
        let mut hub = hub(disk);
        // Its log has room.
        let log = elsewhere.path().join("serve.log");
        std::os::unix::fs::symlink(&log, hub.data.join("serve.log")).unwrap();
        hub.serve().unwrap();
        assert_eq!(sign_up(&hub, 0).status, 200);
        let signal = |name: &str| {
            let pid = hub.pid().unwrap().to_string();
            assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
        };
        // The room goes after something was logged and before it is folded.
        signal("-STOP");
        let database = Connection::open(hub.data.join(store::DATABASE_FILE)).unwrap();
        let sql = "UPDATE document SET dirty = (SELECT max(id) FROM change WHERE document = document.id)";
        database.execute_batch(sql).unwrap();
        let ballast = Ballast::fill(disk);
        signal("-CONT");
        let failures = || hub.log().matches("a fold could not be committed").count();
        until("it has tried to fold", || Ok((failures() > 0).then_some(()))).unwrap();
        let before = failures();
        // Each waits a while for what is not folded.
        for _ in 0..2 {
            hub.run(&["status"]).unwrap();
        }
        let tried = failures() - before;
        assert!(tried < 20, "it tried {tried} times, and nothing had changed");
        ballast.remove();
        assert_eq!(sign_up(&hub, 1).status, 200);
        until("it has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
        hub.stop().unwrap();
        hub.run(&["verify"]).unwrap();
    });
}
