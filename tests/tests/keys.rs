//! Keys that are lost, kept elsewhere and put back: a node stays who it is, or says what to do.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::{Node, until};

fn hub(directory: &TempDir) -> Node {
    let hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub
}

fn join(hub: &Node, directory: &TempDir) -> Node {
    let la = Node::chapter(&directory.path().join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la
}

/// Exits with 4 and says these words.
fn refused(node: &Node, command: &[&str], words: &str) {
    let outcome = node.try_run(command).unwrap();
    assert_eq!(outcome.code, 4, "{command:?}: {outcome:?}");
    assert!(outcome.stderr.contains(words), "{command:?}: {outcome:?}");
}

#[test]
fn a_backup_holds_no_key_and_a_database_without_its_key_says_what_to_do_and_gets_a_new_one() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(&directory);
    hub.serve().unwrap();
    let la = join(&hub, &directory);
    let (key, backup) = (la.data.join("node.key"), directory.path().join("la.backup"));
    let pem = fs::read_to_string(&key).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    la.run(&["sync"]).unwrap();
    la.run(&["backup", backup.to_str().unwrap()]).unwrap();
    let line = pem.lines().nth(1).unwrap();
    assert!(!String::from_utf8_lossy(&fs::read(&backup).unwrap()).contains(line));

    // The laptop is lost; its backup is put back on another one.
    let new = Node::chapter(&directory.path().join("new"));
    let put_back = new.try_run(&["restore", backup.to_str().unwrap(), "--without-ledger"]).unwrap();
    assert!(put_back.code == 0 && put_back.stderr.contains("node.key"), "{put_back:?}");
    assert_eq!(new.json(&["people", "list"]).unwrap()["people"][0]["given_name"], "Jo", "everything else works");
    refused(&new, &["sync"], "node.key");
    new.run(&["people", "add", "--given-name", "Ana", "--email", "ana@example.org"]).unwrap();
    let lost = hub.json(&["node", "list"]).unwrap()["nodes"][0]["node"].as_str().unwrap().to_owned();
    hub.run(&["node", "revoke", &lost]).unwrap();
    let invite = hub.run(&["invite", "la"]).unwrap();
    new.run(&["join", &invite, "--accept-statement"]).unwrap();
    new.run(&["sync"]).unwrap();
    assert_ne!(new.json(&["status"]).unwrap()["node"], lost.as_str(), "it has a new key");
    until("both hold the same", || {
        Ok((hub.run(&["state-hash", "--scope", "la"])? == new.run(&["state-hash"])?).then_some(()))
    })
    .unwrap();
    refused(&la, &["sync"], "shut this node out");
    new.run(&["verify"]).unwrap();
    hub.run(&["verify"]).unwrap();
}

#[test]
fn a_hub_is_the_same_hub_again_from_its_two_backups() {
    let directory = TempDir::new().unwrap();
    let mut old = hub(&directory);
    old.serve().unwrap();
    let la = join(&old, &directory);
    la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    la.run(&["sync"]).unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    old.run(&["backup", &path("hub.db")]).unwrap();
    let made = old.json(&["ca", "backup", &path("hub.keys")]).unwrap();
    fs::write(path("passphrase"), made["passphrase"].as_str().unwrap()).unwrap();
    let keys = fs::read(path("hub.keys")).unwrap();
    assert!(!keys.windows(11).any(|window| window == b"PRIVATE KEY"), "it is sealed");
    refused(&old, &["ca", "backup", &path("hub.keys")], "there already");
    let again = old.json(&["ca", "backup", &path("again"), "--passphrase-file", &path("passphrase")]).unwrap();
    assert_eq!(again["passphrase"], Value::Null, "one that was printed before is not printed again");
    let node = old.json(&["status"]).unwrap()["node"].clone();
    old.stop().unwrap();
    drop(old);

    let mut new = Node::hub(&directory.path().join("new"));
    new.run(&["restore", &path("hub.db"), "--without-ledger"]).unwrap();
    let serve = ["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    refused(&new, &serve, "ca restore");
    fs::write(path("wrong"), "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ").unwrap();
    refused(&new, &["ca", "restore", &path("hub.keys"), "--passphrase-file", &path("wrong")], "does not open");
    new.run(&["ca", "restore", &path("hub.keys"), "--passphrase-file", &path("passphrase")]).unwrap();
    new.serve().unwrap();
    assert_eq!(new.json(&["status"]).unwrap()["node"], node);
    // The chapter knows it by its authority; only the address is another one.
    let invite = new.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.run(&["sync"]).unwrap();
    assert_eq!(la.run(&["state-hash"]).unwrap(), new.run(&["state-hash", "--scope", "la"]).unwrap());
}

#[test]
fn the_key_file_of_the_authority_may_stand_on_another_disk() {
    let directory = TempDir::new().unwrap();
    let disk = TempDir::new().unwrap();
    let file = disk.path().join("hub.unlock");
    let mut hub = Node::hub(&directory.path().join("hub"));
    let named = ["--ca-key-file", file.to_str().unwrap()];
    hub.run(&[&["init", "--name", "Test", "--country", "US"][..], &named].concat()).unwrap();
    assert!(file.exists() && !hub.data.join("ca.unlock").exists());
    let sealed = fs::read(hub.data.join("ca.key.sealed")).unwrap();
    assert!(!sealed.windows(11).any(|window| window == b"PRIVATE KEY"));
    let serve = ["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    refused(&hub, &serve, "ca.unlock");
    fs::write(hub.data.join("config.toml"), format!("ca_key_file = {file:?}\n")).unwrap();
    hub.serve().unwrap();
    hub.stop().unwrap();
    // Without that disk the directory is worth little.
    fs::remove_file(&file).unwrap();
    refused(&hub, &serve, "hub.unlock");
}
