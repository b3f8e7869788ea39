//! Wrong input: a clear error each, nothing half done, the process alive.

use std::path::Path;

use tempfile::TempDir;
use tests::harness::{Node, Outcome};
use tests::http;

fn hub(directory: &Path) -> Node {
    let hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub
}

fn refused(outcome: &Outcome, code: i32, words: &str) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    assert!(outcome.stderr.contains(words), "{words:?} is not in {:?}", outcome.stderr);
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
}

#[test]
fn an_unreadable_row_is_refused_and_the_others_stand() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let file = directory.path().join("list.csv");
    std::fs::write(
        &file,
        b"\xef\xbb\xbfgiven_name,email,postal_code\nMary,mary@example.org,90012\nBad,not an address,90012\nShort,short@example.org\nLatin,\xe9@example.org,1\nZip,zip@example.org,9001\n",
    )
    .unwrap();
    let printed = hub.run(&["signup", "import", file.to_str().unwrap(), "--json"]).unwrap();
    let lines: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<&str> = lines.iter().filter_map(|line| line["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["new", "refused", "refused", "refused", "new"]);
    assert_eq!(lines[0]["chapter"], "la");
    assert!(lines[1]["error"].as_str().unwrap().contains("e-mail"), "{}", lines[1]);
    assert_eq!(lines[4]["reason"], "unreadable_code", "a wrong postal code waits, it is not lost");
    assert_eq!(lines[5]["summary"]["refused"], 3);
    let people = hub.json(&["people", "list"]).unwrap();
    assert_eq!(people["people"].as_array().unwrap().len(), 2);
}

#[test]
fn a_file_that_is_no_list_stores_nothing() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let file = directory.path().join("list.csv");
    std::fs::write(&file, "song,singer\na,b\n").unwrap();
    refused(
        &hub.try_run(&["signup", "import", file.to_str().unwrap()]).unwrap(),
        4,
        "neither a column email nor phone",
    );
    refused(&hub.try_run(&["signup", "import", "nowhere.csv"]).unwrap(), 4, "can't be read");
}

#[test]
fn wrong_places_rungs_and_ids_are_said_in_words() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let try_run = |arguments: &[&str]| hub.try_run(arguments).unwrap();
    refused(&try_run(&["locate", "--postal-code", "9001"]), 4, "Did you mean");
    refused(&try_run(&["chapter", "add", "x", "--name", "X", "--postal", "9001"]), 4, "we don't know the postal code");
    refused(&try_run(&["chapter", "add", "la", "--name", "Again"]), 4, "already");
    refused(&try_run(&["chapter", "add", "x", "--name", "X", "--county", "99999"]), 4, "not a county");
    refused(&try_run(&["people", "show", "00000000-0000-7000-8000-000000000000"]), 4, "nobody");
    refused(&try_run(&["people", "show", "zz"]), 4, "nobody");
    refused(&try_run(&["chapter", "show", "nowhere"]), 4, "no chapter");
    refused(&try_run(&["invite", "la"]), 4, "never served");
    assert_eq!(try_run(&["locate", "--no-such-flag"]).code, 2);
    let json = try_run(&["people", "show", "00000000-0000-7000-8000-000000000000", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not_found");
    let chapters = hub.json(&["chapter", "list"]).unwrap();
    assert_eq!(chapters["chapters"].as_array().unwrap().len(), 1, "nothing of what was refused is there");
}

#[test]
fn a_directory_of_the_other_kind_a_newer_schema_and_none_at_all() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    refused(&Node::chapter(&hub.data).try_run(&["status"]).unwrap(), 4, "holds a hub's data");
    refused(&Node::hub(&directory.path().join("none")).try_run(&["status"]).unwrap(), 4, "no node");
    refused(&hub.try_run(&["init", "--name", "Again", "--country", "US"]).unwrap(), 4, "already");
    let database = hub.data.join(store::DATABASE_FILE);
    // The schema's number is the four bytes at offset 60 of the file (the file format's "user version").
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for file in ["chapterhouse.db-wal", "chapterhouse.db-shm"] {
        let _ = std::fs::remove_file(hub.data.join(file));
    }
    std::fs::write(&database, bytes).unwrap();
    refused(&hub.try_run(&["status"]).unwrap(), 4, "use the newer program");
}

#[test]
fn a_bad_invitation_and_pages_that_others_could_reach_are_refused() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    refused(&hub.try_run(&["serve", "--grpc", "127.0.0.1:0", "--http", "0.0.0.0:0"]).unwrap(), 4, "not encrypted");
    let named = ["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--grpc-public", "hub.example.org"];
    refused(&hub.try_run(&named).unwrap(), 4, "hub.example.org:8443");
    let chapter = Node::chapter(&directory.path().join("la"));
    refused(&chapter.try_run(&["join", "hello", "--accept-statement"]).unwrap(), 4, "not an invitation");
    hub.serve().unwrap();
    let invite = hub.run(&["invite", "la"]).unwrap();
    refused(
        &chapter.try_run(&["join", &invite[..invite.len() - 1], "--accept-statement"]).unwrap(),
        4,
        "copy the whole line",
    );
    refused(&chapter.try_run(&["join", &invite]).unwrap(), 4, "has to accept");
    chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
    chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
    let other = Node::chapter(&directory.path().join("other"));
    refused(&other.try_run(&["join", &invite, "--accept-statement"]).unwrap(), 4, "used by another node");
    hub.stop().unwrap();
    refused(&chapter.try_run(&["sync"]).unwrap(), 3, "can't be reached");
}

#[test]
fn a_web_request_that_is_wrong_is_answered_in_words_and_the_hub_lives_on() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    hub.serve().unwrap();
    let (address, path) = (hub.http().to_owned(), "/api/v1/people/person_signup_helper");
    let post = |body: &str| http::post_json(&address, path, body).unwrap();
    let malformed = post("{\"person\":");
    assert_eq!(malformed.status, 400, "{malformed:?}");
    assert!(malformed.head.contains("application/problem+json"));
    assert_eq!(post(r#"{"person":{"email_addresses":[{"address":"nobody"}]}}"#).status, 422);
    assert_eq!(post(&"x".repeat(10 * 1024 * 1024)).status, 413);
    assert_eq!(hub.get("/people/00000000-0000-7000-8000-000000000000").unwrap().status, 404);
    assert_eq!(http::get(&address, "/nowhere").unwrap().status, 404);
    let elsewhere = http::send(&address, "GET", "/people", &[("Host", "evil.example")], &[]).unwrap();
    assert_eq!(elsewhere.status, 421);
    let foreign = [("Origin", "http://evil.example"), ("Content-Type", "application/x-www-form-urlencoded")];
    let forged = http::send(&address, "POST", "/signup", &foreign, b"email=a%40b.org").unwrap();
    assert_eq!(forged.status, 403, "a form of another site is not taken");
    let wrong_code =
        http::post_form(&address, "/signup", "given_name=Mary&email=mary%40example.org&postal_code=9001").unwrap();
    assert_eq!(wrong_code.status, 422);
    assert!(
        wrong_code.body.contains("Did you mean") && wrong_code.body.contains("mary@example.org"),
        "what was typed stands"
    );
    let people = hub.json(&["people", "list"]).unwrap();
    assert!(people["people"].as_array().unwrap().is_empty(), "nothing of it was stored");
    let good = post(r#"{"person":{"email_addresses":[{"address":"mary@example.org"}]}}"#);
    assert_eq!(good.status, 200);
}

#[test]
fn an_idempotency_key_gets_the_same_answer_and_one_sign_up() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    hub.serve().unwrap();
    let body = br#"{"person":{"email_addresses":[{"address":"mary@example.org"}]}}"#;
    let send = |body: &[u8]| {
        let headers = [("Idempotency-Key", "a-1"), ("Content-Type", "application/json")];
        http::send(hub.http(), "POST", "/api/v1/people/person_signup_helper", &headers, body).unwrap()
    };
    let (once, twice) = (send(body), send(body));
    assert_eq!(once.body, twice.body);
    assert_eq!(send(br#"{"person":{"email_addresses":[{"address":"other@example.org"}]}}"#).status, 422);
    let id = hub.json(&["people", "list"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned();
    let events = hub.json(&["people", "history", &id]).unwrap();
    let sign_ups = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "sign_up").count();
    assert_eq!(sign_ups, 1);
    let receipt =
        once.json().unwrap()["identifiers"][0].as_str().unwrap().trim_start_matches("chapterhouse:").to_owned();
    let by_receipt = hub.json(&["people", "show", &receipt]).unwrap();
    assert_eq!(by_receipt["id"].as_str(), Some(id.as_str()), "commands accept the sign-up's id for the person");
}
