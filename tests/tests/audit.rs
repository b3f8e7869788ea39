//! The audit log of real nodes: what is done stands in it with ids and logins, and what was changed in it is found.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use store::DATABASE_FILE;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;
use tests::logins::{Login, knock};

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

/// A hub that serves, and two chapters that are not connected. No second factor is asked for.
fn network(directory: &Path) -> (Node, Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    std::fs::write(hub.data.join("config.toml"), "second_factor = \"optional\"\n").unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "941*"]).unwrap();
    hub.serve().unwrap();
    let [la, sf] = ["la", "sf"].map(|slug| {
        let chapter = Node::chapter(&directory.join(slug));
        let invite = hub.run(&["invite", slug]).unwrap();
        chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
        chapter
    });
    (hub, la, sf)
}

/// Somebody signs up in Los Angeles; gives her id.
fn sign_up(hub: &Node, la: &Node, name: &str) -> String {
    let body = format!(
        r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{name}@example.org"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
    );
    assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200);
    la.run(&["sync"]).unwrap();
    la.json(&["people", "list", "--query", name]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned()
}

fn log(node: &Node) -> Vec<Value> {
    node.json(&["audit"]).unwrap()["audit"].as_array().unwrap().clone()
}

/// Rows of one kind, the newest first.
fn rows(node: &Node, what: &str) -> Vec<Value> {
    log(node).into_iter().filter(|row| row["what"] == what).collect()
}

/// Who did it, about whom, and more.
fn row(row: &Value) -> (&str, &str, &str) {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    (text("who"), text("about"), text("detail"))
}

/// As another node's log names this one.
fn as_peer(node: &Node) -> String {
    let id = node.json(&["status"]).unwrap()["node"].as_str().unwrap().to_owned();
    format!("node {}", &id[..8])
}

#[test]
fn what_is_done_stands_in_the_log_with_ids_and_logins_and_never_a_name() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let (mary, otto) = (sign_up(&hub, &la, "Mary"), sign_up(&hub, &la, "Otto"));
    la.run(&["people", "transfer", &mary, "sf", "--note", "moved in May", "--agreed", "--by", "lee"]).unwrap();
    la.run(&["sync"]).unwrap();
    let taken = until("the other chapter is asked", || {
        sf.run(&["sync"])?;
        let listed = sf.json(&["transfers", "list"])?;
        Ok(listed["transfers"][0]["id"].as_str().map(str::to_owned))
    })
    .unwrap();
    sf.run(&["transfers", "take", &taken, "--by", "ana"]).unwrap();
    sf.run(&["sync"]).unwrap();
    until("it is carried out", || Ok(rows(&hub, "transfer_done").pop())).unwrap();
    hub.run(&["erase", &otto, "--reason", "asked by phone", "--yes", "--by", "kim"]).unwrap();
    for _ in 0..2 {
        assert_eq!(hub.get(&format!("/people/{mary}")).unwrap().status, 200);
    }
    hub.run(&["backup", directory.path().join("hub.backup").to_str().unwrap(), "--by", "kim"]).unwrap();

    let (la_there, sf_there, hub_there) = (as_peer(&la), as_peer(&sf), as_peer(&hub));
    assert_eq!(rows(&hub, "invited").len(), 2);
    assert_eq!(row(&rows(&hub, "enrolled")[0]), (sf_there.as_str(), "", "San Francisco"));
    assert_eq!(row(&rows(&hub, "transfer_proposed")[0]), (la_there.as_str(), mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&hub, "transfer_agreed")[0]), (sf_there.as_str(), mary.as_str(), "to take"));
    assert_eq!(row(&rows(&hub, "transfer_done")[0]), ("", mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&hub, "erasure_asked")[0]), ("kim", otto.as_str(), "with a reason"));
    assert_eq!(row(&rows(&hub, "erased")[0]), ("", otto.as_str(), ""));
    assert_eq!(row(&rows(&hub, "backed_up")[0]), ("kim", "", ""));
    let opened = rows(&hub, "person_opened");
    assert_eq!((opened.len(), row(&opened[0])), (1, ("ana", mary.as_str(), "")), "one look is one opening");
    assert_eq!(row(&rows(&la, "transfer_proposed")[0]), ("lee", mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&sf, "transfer_proposed")[0]), (hub_there.as_str(), mary.as_str(), "to sf"));
    assert_eq!(row(&rows(&sf, "transfer_agreed")[0]), ("ana", mary.as_str(), ""));
    la.run(&["sync"]).unwrap();
    assert_eq!(row(&rows(&la, "erased")[0]), ("", otto.as_str(), "by the network's word"));
    for node in [&hub, &la, &sf] {
        let text = Value::from(log(node)).to_string();
        for private in ["Mary", "Otto", "example.org", "moved", "phone"] {
            assert!(!text.contains(private), "{private} is in the log: {text}");
        }
        assert_eq!(node.json(&["audit", "--verify"]).unwrap()["ok"], true);
    }
    assert_eq!(hub.get("/audit").unwrap().status, 403, "it is for administrators");
    let root = Login::new(&hub, "root", "administrator").unwrap();
    let page = root.get(hub.http(), "/audit").unwrap().body;
    assert!(page.contains("erasure asked") && page.contains(&otto) && !page.contains("Otto"), "{page}");
    let older = root.get(hub.http(), "/audit?before=4").unwrap().body;
    assert!(older.contains("invited") && !older.contains("erasure asked"), "{older}");
}

#[test]
fn who_came_in_who_tried_and_what_a_role_may_not_stand_in_the_log_and_nothing_that_was_typed() {
    let directory = TempDir::new().unwrap();
    let (hub, la, _sf) = network(directory.path());
    let mary = sign_up(&hub, &la, "Mary");
    let vera = Login::new(&hub, "vera", "viewer").unwrap();
    for _ in 0..25 {
        assert_eq!(vera.get(hub.http(), "/people").unwrap().status, 403);
    }
    for name in ["vera", "correct+horse"] {
        assert_eq!(knock(hub.http(), name, "battery+staple", "").unwrap().status, 422);
    }
    // Rows are written in the order in which they are asked for: after this one stand all that came before.
    assert_eq!(vera.post(hub.http(), "/logout", "").unwrap().status, 303);
    assert_eq!(row(&rows(&hub, "logged_in")[0]), ("vera", "", ""));
    assert_eq!(row(&rows(&hub, "logged_out")[0]), ("vera", "", ""));
    let refused = rows(&hub, "refused");
    let wanted = ("vera", "", "viewer may not see people");
    assert_eq!((refused.len(), row(&refused[0])), (20, wanted), "of one login not more in an hour");
    let failed = rows(&hub, "login_failed");
    let failed: Vec<_> = failed.iter().map(row).collect();
    assert_eq!(failed, [("", "", "a name that nobody has"), ("vera", "", "")]);

    let by_kim = |arguments: &[&str]| hub.run(&[arguments, &["--by", "kim"]].concat()).unwrap();
    by_kim(&["user", "add", "lee", "--role", "staff"]);
    by_kim(&["user", "passwd", "lee", "--without-second-factor"]);
    by_kim(&["user", "remove", "lee"]);
    let token = by_kim(&["token", "add", "website", "--role", "staff"]);
    let token = [("OSDI-API-Token", token.as_str())];
    let path = format!("/api/v1/people/{mary}");
    assert_eq!(http::send(hub.http(), "GET", &path, &token, &[]).unwrap().status, 200);
    by_kim(&["token", "remove", "website"]);
    for (what, of) in [
        ("user_added", "lee as staff"),
        ("password_changed", "lee"),
        ("second_factor_changed", "lee"),
        ("user_removed", "lee"),
        ("token_made", "website as staff"),
        ("token_ended", "website"),
    ] {
        assert_eq!(row(&rows(&hub, what)[0]), ("kim", "", of), "{what}");
    }
    assert_eq!(row(&rows(&hub, "person_opened")[0]), ("token-website", mary.as_str(), ""));
    let text = Value::from(log(&hub)).to_string();
    for typed in ["correct", "battery", vera.password.as_str(), token[0].1] {
        assert!(!text.contains(typed), "{typed} is in the log: {text}");
    }
    assert_eq!(hub.json(&["audit", "--verify"]).unwrap()["ok"], true);
}

#[test]
fn who_was_invited_let_in_refused_and_shut_out_stands_in_the_log() {
    let directory = TempDir::new().unwrap();
    let (hub, la, sf) = network(directory.path());
    let by_kim = |arguments: &[&str]| hub.run(&[arguments, &["--by", "kim"]].concat()).unwrap();
    let (la_there, sf_there) = (as_peer(&la), as_peer(&sf));
    assert_eq!(row(&rows(&la, "joined_network")[0]).2, as_peer(&hub).replace("node", "hub"));
    let taken_back = by_kim(&["invite", "la"]);
    let number = hub.json(&["invites", "list"]).unwrap()["invites"][0]["id"].as_str().unwrap().to_owned();
    by_kim(&["invites", "cancel", &number]);
    la.run(&["invite", "--by", "ana"]).unwrap();
    let invited = rows(&hub, "invited");
    assert_eq!(row(&invited[0]), (la_there.as_str(), "", "la"), "whoever runs a chapter is nobody here");
    assert_eq!(row(&invited[1]), ("kim", "", "la"));
    assert_eq!(row(&rows(&hub, "invite_cancelled")[0]), ("kim", "", format!("{number} la").as_str()));

    let thief = Node::chapter(&directory.path().join("thief"));
    assert_eq!(thief.try_run(&["join", &taken_back, "--accept-statement"]).unwrap().code, 4);
    let looked = until("it stands in the log", || Ok(rows(&hub, "enrolment_refused").pop())).unwrap();
    assert_eq!(row(&looked), ("", "", "cancelled"), "whoever only looks shows no key");
    let used = by_kim(&["invite", "sf"]);
    let second = Node::chapter(&directory.path().join("second"));
    second.run(&["join", &used, "--accept-statement"]).unwrap();
    assert_eq!(thief.try_run(&["join", &used, "--accept-statement"]).unwrap().code, 4);
    let tried = rows(&hub, "enrolment_refused");
    assert_eq!((tried.len(), row(&tried[0]).2), (2, "used"));
    assert!(row(&tried[0]).0.starts_with("node "), "by the key that it has shown: {tried:?}");

    by_kim(&["node", "revoke", sf_there.trim_start_matches("node ")]);
    assert_eq!(row(&rows(&hub, "revoked")[0]), ("kim", "", sf_there.as_str()));
    assert_eq!(sf.try_run(&["sync"]).unwrap().code, 4);
    let refused = until("it stands in the log", || Ok(rows(&hub, "refused").pop())).unwrap();
    assert_eq!(row(&refused), (sf_there.as_str(), "", "called with a key that was revoked"));
    by_kim(&["chapter", "revoke", "sf"]);
    let revoked: Vec<String> = rows(&hub, "revoked").iter().map(|it| row(it).2.to_owned()).collect();
    assert_eq!(revoked, [as_peer(&second), "every node of sf".to_owned(), sf_there], "nobody is shut out twice");
    for node in [&hub, &la] {
        assert_eq!(node.json(&["audit", "--verify"]).unwrap()["ok"], true);
    }
}

#[test]
fn what_is_done_to_chapters_cards_keys_and_logins_stands_in_the_log() {
    let directory = TempDir::new().unwrap();
    let (hub, la, _sf) = network(directory.path());
    let mary = sign_up(&hub, &la, "Mary");
    let by_kim = |arguments: &[&str]| hub.run(&[arguments, &["--by", "kim"]].concat()).unwrap();
    by_kim(&["chapter", "add", "ny", "--name", "New York", "--postal", "100*"]);
    assert_eq!(row(&rows(&hub, "chapter_added")[0]), ("kim", "", "ny"));
    for act in ["pause", "resume", "close"] {
        by_kim(&["chapter", act, "ny"]);
    }
    assert_eq!(hub.try_run(&["chapter", "resume", "ny"]).unwrap().code, 4, "it was closed");
    let changed = rows(&hub, "chapter_changed");
    let changed: Vec<_> = changed.iter().map(row).collect();
    assert_eq!(
        changed,
        ["closed", "open", "paused"].map(|state| format!("ny: {state}")).each_ref().map(|it| ("kim", "", it.as_str()))
    );

    la.run(&["card", "edit", "next_meeting=Tuesday at Ana's", "--by", "lee"]).unwrap();
    assert_eq!(row(&rows(&la, "card_edited")[0]), ("lee", "", "next_meeting"));
    assert_eq!(
        hub.login().unwrap().post(hub.http(), "/account/record", &format!("person={mary}")).unwrap().status,
        303
    );
    assert_eq!(row(&rows(&hub, "login_tied")[0]), ("ana", mary.as_str(), ""));

    let [keys, passphrase] = ["hub.keys", "passphrase"].map(|name| directory.path().join(name).display().to_string());
    let made = hub.json(&["ca", "backup", &keys, "--by", "kim"]).unwrap();
    assert_eq!(row(&rows(&hub, "keys_backed_up")[0]), ("kim", "", ""));
    std::fs::write(&passphrase, made["passphrase"].as_str().unwrap()).unwrap();
    by_kim(&["ca", "restore", &keys, "--passphrase-file", &passphrase]);
    assert_eq!(row(&rows(&hub, "keys_restored")[0]), ("kim", "", ""));
    assert_eq!(rows(&hub, "keys_backed_up").len(), 1);
    assert_eq!(hub.json(&["audit", "--verify"]).unwrap()["ok"], true);
}

#[test]
fn a_row_that_was_changed_in_the_file_is_found_and_ends_with_5() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la, _sf) = network(directory.path());
    sign_up(&hub, &la, "Mary");
    hub.stop().unwrap();
    let sound = hub.json(&["audit", "--verify"]).unwrap();
    assert_eq!((&sound["ok"], &sound["rows"]), (&true.into(), &6.into()), "two added, invited, enrolled: {sound}");
    let file = Connection::open(hub.data.join(DATABASE_FILE)).unwrap();
    file.execute_batch("DROP TRIGGER audit_not_changed; UPDATE audit SET who = 'node 00000000' WHERE id = 2").unwrap();
    drop(file);
    let found = hub.try_run(&["audit", "--verify"]).unwrap();
    assert!(found.code == 5 && found.stderr.contains("row 2"), "{found:?}");
}
