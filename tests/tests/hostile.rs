//! What a hostile tester tried, kept: each was a defect once.

use std::path::Path;
use std::thread;

use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";

fn network(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "941*"]).unwrap();
    hub.serve().unwrap();
    let la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    (hub, la)
}

fn mary(code: &str) -> String {
    format!(
        r#"{{"person":{{"given_name":"Mary","email_addresses":[{{"address":"mary@example.org"}}],"postal_addresses":[{{"postal_code":"{code}","country":"US"}}]}}}}"#
    )
}

fn first_id(node: &Node) -> String {
    node.json(&["people", "list"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned()
}

fn events(node: &Node, id: &str, kind: &str) -> usize {
    let history = node.json(&["people", "history", id]).unwrap();
    history["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).count()
}

#[test]
fn one_idempotency_key_posted_at_once_is_one_sign_up_and_one_answer() {
    let directory = TempDir::new().unwrap();
    let (hub, _) = network(directory.path());
    let send = |address: String| {
        thread::spawn(move || {
            let headers = [("Idempotency-Key", "k"), ("Content-Type", "application/json")];
            http::send(&address, "POST", SIGN_UP, &headers, mary("90012").as_bytes()).unwrap().body
        })
    };
    let threads: Vec<_> = (0..12).map(|_| send(hub.http().to_owned())).collect();
    let mut answers: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(events(&hub, &first_id(&hub), "sign_up"), 1);
}

#[test]
fn a_form_can_not_fill_somebodys_record() {
    let directory = TempDir::new().unwrap();
    let (mut hub, _) = network(directory.path());
    hub.stop().unwrap();
    // All of them in one hour are held otherwise, and what holds a record together is not tried.
    std::fs::write(hub.data.join("config.toml"), "[sign_up_limits]\nemail_most = 1000\n").unwrap();
    hub.serve().unwrap();
    for n in 0..70 {
        let body =
            format!(r#"{{"person":{{"given_name":"Otto{n}","email_addresses":[{{"address":"mary@example.org"}}]}}}}"#);
        assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200, "the answer stays as it is");
    }
    assert!(events(&hub, &first_id(&hub), "sign_up") <= 50);
    let waiting = hub.json(&["proposals", "list"]).unwrap();
    assert!(waiting["proposals"].as_array().unwrap().len() <= 50);
}

#[test]
fn a_person_is_placed_into_one_chapter_and_then_kept_by_it() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    http::post_json(hub.http(), SIGN_UP, &mary("59937")).unwrap();
    let id = first_id(&hub);
    hub.run(&["attempt", "log", &id, "--how", "call", "--result", "no-answer"]).unwrap();
    // A stranger posts for her while she waits: what he posted goes with her.
    http::post_json(hub.http(), SIGN_UP, &mary("59937").replace("Mary", "Otto")).unwrap();
    hub.run(&["unplaced", "assign", &id, "la"]).unwrap();
    for slug in ["la", "sf"] {
        assert_eq!(hub.try_run(&["unplaced", "assign", &id, slug]).unwrap().code, 4);
    }
    let refused = hub.try_run(&["attempt", "log", &id, "--how", "call", "--result", "talked"]).unwrap();
    assert!(refused.code == 4 && refused.stderr.contains("Los Angeles"), "{refused:?}");
    la.run(&["sync"]).unwrap();
    assert_eq!(first_id(&la), id);
    assert_eq!(la.json(&["proposals", "list"]).unwrap()["proposals"][0]["value"], "Otto");
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
    hub.run(&["verify"]).unwrap();
}

#[test]
fn sync_beside_a_server_is_a_real_exchange() {
    let directory = TempDir::new().unwrap();
    let (mut hub, mut la) = network(directory.path());
    la.serve().unwrap();
    la.run(&["sync"]).unwrap();
    hub.stop().unwrap();
    assert_eq!(la.try_run(&["sync"]).unwrap().code, 3);
    hub.serve().unwrap();
    la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    la.run(&["sync"]).unwrap();
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
}

#[test]
fn a_chapter_follows_its_hub_to_another_address() {
    let directory = TempDir::new().unwrap();
    let (mut hub, la) = network(directory.path());
    la.run(&["sync"]).unwrap();
    hub.stop().unwrap();
    // Another node object has no memory of the port: the hub comes up elsewhere.
    let mut moved = Node::hub(&hub.data);
    moved.serve().unwrap();
    assert_eq!(la.try_run(&["sync"]).unwrap().code, 3);
    let invite = moved.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.run(&["sync"]).unwrap();
    moved.stop().unwrap();
    let mut again = Node::hub(&hub.data);
    again.serve().unwrap();
    let wrong = again.run(&["invite", "sf"]).unwrap();
    assert_eq!(
        la.try_run(&["join", &wrong, "--accept-statement"]).unwrap().code,
        4,
        "an invitation into another chapter"
    );
}

#[test]
fn commands_at_once_on_one_person_all_succeed() {
    let directory = TempDir::new().unwrap();
    let (_hub, mut la) = network(directory.path());
    la.serve().unwrap();
    la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    let id = first_id(&la);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| la.run(&["attempt", "log", &id, "--how", "call", "--result", "no-answer"]).unwrap());
        }
    });
    assert_eq!(events(&la, &id, "attempt"), 12);
    la.run(&["verify"]).unwrap();
}

#[test]
fn a_damaged_database_is_said_with_exit_5() {
    let directory = TempDir::new().unwrap();
    let (mut hub, _) = network(directory.path());
    hub.stop().unwrap();
    let database = hub.data.join(store::DATABASE_FILE);
    let bytes = std::fs::read(&database).unwrap();
    for damaged in [vec![], vec![7; bytes.len()], bytes[..bytes.len() / 2].to_vec()] {
        std::fs::write(&database, damaged).unwrap();
        let outcome = hub.try_run(&["verify"]).unwrap();
        assert_eq!(outcome.code, 5, "{outcome:?}");
        assert!(outcome.stderr.contains("keep a copy"), "{outcome:?}");
    }
}

#[test]
fn a_quotation_mark_that_never_closes_stores_nothing_and_says_where() {
    let directory = TempDir::new().unwrap();
    let (hub, _) = network(directory.path());
    let file = directory.path().join("list.csv");
    let rows: String = (0..30).map(|n| format!("P{n},p{n}@example.org\n")).collect();
    std::fs::write(&file, format!("given_name,email\nA,a@example.org\n\"B,b@example.org\n{rows}")).unwrap();
    let outcome = hub.try_run(&["signup", "import", file.to_str().unwrap()]).unwrap();
    assert!(outcome.code == 4 && outcome.stderr.contains("opens in line 3"), "{outcome:?}");
    assert!(hub.json(&["people", "list"]).unwrap()["people"].as_array().unwrap().is_empty());
}

#[test]
fn what_can_not_have_happened_is_refused() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    let id = first_id(&la);
    for wrong in [
        &["one-to-one", "log", &id, "--at", "2999-01-01", "--minutes", "30"][..],
        &["one-to-one", "log", &id],
        &["attempt", "log", &id, "--how", "call", "--result", "talked", "--at", "0000-01-01"],
        &["note", "add", &id, "a\u{1b}[31mred"],
        &["people", "list", "--rung", "captain"],
    ] {
        assert_eq!(la.try_run(wrong).unwrap().code, 4, "{wrong:?}");
    }
}

#[test]
fn errors_over_http_are_problems_and_pages_escape_what_they_show() {
    let directory = TempDir::new().unwrap();
    let (hub, _) = network(directory.path());
    for path in ["/api/v1/people?limit=-1", "/api/v1/nowhere", "/api/v1/people?after=x"] {
        let answer = hub.get(path).unwrap();
        assert!(answer.head.contains("application/problem+json"), "{path}: {answer:?}");
    }
    let body = mary("90012").replace("Mary", "<script>alert(1)</script>");
    assert_eq!(http::post_json(hub.http(), SIGN_UP, &body).unwrap().status, 200);
    let shown = until("she is listed", || {
        let page = hub.get("/people")?.body;
        Ok(page.contains("alert(1)").then_some(page))
    })
    .unwrap();
    assert!(!shown.contains("<script>alert"), "a name is text");
}

#[test]
fn a_conflict_settled_at_the_hub_is_settled_at_the_chapter_too() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    http::post_json(hub.http(), SIGN_UP, &mary("90012")).unwrap();
    la.run(&["sync"]).unwrap();
    let id = first_id(&la);
    la.run(&["people", "edit", &id, "family_name=Browne"]).unwrap();
    hub.run(&["people", "edit", &id, "family_name=Braun"]).unwrap();
    la.run(&["sync"]).unwrap();
    let refused = la.try_run(&["people", "edit", &id, "family_name=Broun"]).unwrap();
    assert!(refused.code == 4 && refused.stderr.contains("settle that first"), "{refused:?}");
    until("the hub has both", || {
        let listed = hub.json(&["conflicts", "list"])?;
        Ok(listed["conflicts"].as_array().is_some_and(|conflicts| conflicts.len() == 1).then_some(()))
    })
    .unwrap();
    hub.run(&["conflicts", "settle", &id, "family_name", "Braun"]).unwrap();
    la.run(&["sync"]).unwrap();
    for node in [&hub, &la] {
        assert!(node.json(&["conflicts", "list"]).unwrap()["conflicts"].as_array().unwrap().is_empty());
        assert_eq!(node.json(&["people", "show", &id]).unwrap()["family_name"], "Braun");
    }
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
}

#[test]
fn an_open_page_hears_that_something_moved() {
    use std::io::{Read as _, Write as _};
    let directory = TempDir::new().unwrap();
    let (hub, _) = network(directory.path());
    let cookie = &hub.login().unwrap().cookie;
    let mut stream = std::net::TcpStream::connect(hub.http()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    write!(stream, "GET /live HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", hub.http()).unwrap();
    let mut heard = String::new();
    let mut buffer = [0; 1024];
    let mut read_until = |text: &str| {
        while !heard.contains(text) {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the stream ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    read_until("text/event-stream");
    http::post_json(hub.http(), SIGN_UP, &mary("90012")).unwrap();
    read_until("event: moved");
}
