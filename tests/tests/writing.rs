//! Writing by JSON: what a program logs with a token, once for a key, refused by field; and that all of it is described.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::Node;
use tests::http::{self, Answer};
use tests::logins::Login;
use web::Route;

/// More than any request may have.
const TOO_LONG: usize = web::BODY_BYTES_MAX + 1;

/// A hub and a chapter, both serving.
fn network(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let mut la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.serve().unwrap();
    (hub, la)
}

fn token(node: &Node, name: &str, role: &str) -> String {
    node.run(&["token", "add", name, "--role", role]).unwrap()
}

/// Asks with a token.
fn ask(node: &Node, token: &str, method: &str, path: &str, more: &[(&str, &str)], body: &Value) -> Answer {
    let own = [("OSDI-API-Token", token), ("Content-Type", "application/json")];
    http::send(node.http(), method, path, &[&own[..], more].concat(), body.to_string().as_bytes()).unwrap()
}

/// Posts with a token; gives the id of what was added.
fn post(node: &Node, token: &str, path: &str, body: &Value) -> String {
    added(&ask(node, token, "POST", path, &[], body))
}

fn added(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json().unwrap()["id"].as_str().unwrap().to_owned()
}

/// The status and the fields that were wrong.
fn refused(answer: &Answer) -> (u16, Vec<String>) {
    assert!(answer.head.contains("application/problem+json"), "{answer:?}");
    let said = answer.json().unwrap();
    let fields = said["errors"].as_array().unwrap().iter();
    (answer.status, fields.map(|error| error["field"].as_str().unwrap().to_owned()).collect())
}

/// Her events of a kind.
fn events(node: &Node, id: &str, kind: &str) -> Vec<Value> {
    let history = node.json(&["people", "history", id]).unwrap();
    history["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).cloned().collect()
}

#[test]
fn what_an_organiser_does_on_a_page_a_program_does_by_json() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let phones = token(&la, "phones", "organiser");
    let body =
        json!({"given_name": "Mary", "email": "mary@example.org", "postal_code": "90012", "tags": ["volunteer"]});
    let mary = post(&la, &phones, "/api/v1/people", &body);
    let path = |act: &str| format!("/api/v1/people/{mary}/{act}");
    let change = json!({"family_name": " Brown ", "occupation": "nurse", "phone": "+12135550142"});
    assert_eq!(ask(&la, &phones, "PATCH", &format!("/api/v1/people/{mary}"), &[], &change).status, 200);
    let cleared = ask(&la, &phones, "PATCH", &format!("/api/v1/people/{mary}"), &[], &json!({"occupation": null}));
    assert_eq!(cleared.json().unwrap()["id"], mary.as_str());
    let attempt = json!({"how": "call", "result": "talked", "line": "will come", "next_on": "2030-01-02"});
    let attempt = post(&la, &phones, &path("attempts"), &attempt);
    let held = json!({"minutes": 40, "in_person": true, "story": "her sister is ill", "ask": "host a meeting",
                      "kind": "host", "due": "2030-02-01", "answer": "yes"});
    let held = post(&la, &phones, &path("one_to_ones"), &held);
    let asked = post(&la, &phones, &path("asks"), &json!({"text": "bring two neighbours", "kind": "recruit"}));
    post(&la, &phones, &path("moves"), &json!({"rung": "conversation", "evidence": [held]}));
    let note = post(&la, &phones, &path("notes"), &json!({"text": "prefers the evening"}));

    let shown = ask(&la, &phones, "GET", &format!("/api/v1/people/{mary}"), &[], &Value::Null).json().unwrap();
    assert_eq!((&shown["family_name"], &shown["rung"]), (&json!("Brown"), &json!("conversation")), "{shown}");
    assert!(
        shown["occupation"].as_str().unwrap_or_default().is_empty() && shown["phone_numbers"][0]["number"].is_string(),
        "{shown}"
    );
    assert!(!shown.to_string().contains("sister"), "{shown}");
    let logged = events(&la, &mary, "attempt");
    assert_eq!((&logged[0]["id"], &logged[0]["by"]), (&json!(attempt), &json!("token-phones")), "{logged:?}");
    assert_eq!((&logged[0]["line"], &logged[0]["next_on"]), (&json!("will come"), &json!("2030-01-02")));
    assert_eq!(events(&la, &mary, "move")[0]["evidence"], json!([held]));
    let asks = events(&la, &mary, "ask");
    assert!(asks.len() == 2 && asks.iter().any(|event| event["id"] == asked.as_str()), "{asks:?}");
    let notes = la.json(&["note", "list", &mary]).unwrap()["notes"].to_string();
    assert!(notes.contains(&note) && notes.contains("prefers the evening") && notes.contains("her sister"), "{notes}");
}

#[test]
fn what_is_asked_twice_with_one_key_is_done_once_also_after_a_power_cut() {
    let directory = TempDir::new().unwrap();
    let (_hub, mut la) = network(directory.path());
    let (one, other) = (token(&la, "one", "organiser"), token(&la, "other", "organiser"));
    let key = [("Idempotency-Key", "k-1")];
    let mary = json!({"given_name": "Mary", "email": "mary@example.org"});
    let made = ask(&la, &one, "POST", "/api/v1/people", &key, &mary);
    let id = added(&made);
    assert_eq!(ask(&la, &one, "POST", "/api/v1/people", &key, &mary).body, made.body);
    let again = ask(&la, &one, "POST", "/api/v1/people", &[], &mary);
    assert_eq!(again.status, 422, "without the key she is somebody who is here already: {again:?}");

    let path = format!("/api/v1/people/{id}/attempts");
    let (call, key) = (json!({"how": "call", "result": "no-answer"}), [("Idempotency-Key", "k-2")]);
    let first = added(&ask(&la, &one, "POST", &path, &key, &call));
    assert_eq!(added(&ask(&la, &one, "POST", &path, &key, &call)), first);
    la.kill().unwrap();
    la.serve().unwrap();
    assert_eq!(added(&ask(&la, &one, "POST", &path, &key, &call)), first, "the answer was kept with the act");
    assert_eq!(events(&la, &id, "attempt").len(), 1);
    let asks = format!("/api/v1/people/{id}/asks");
    for (path, body) in [(&path, json!({"how": "text", "result": "no-answer"})), (&asks, call.clone())] {
        let reused = ask(&la, &one, "POST", path, &key, &body);
        assert_eq!((reused.status, reused.json().unwrap()["code"].clone()), (422, json!("key_reused")), "{path}");
    }
    assert_ne!(added(&ask(&la, &other, "POST", &path, &key, &call)), first, "a key is its owner's");
    for (act, body) in [
        ("asks", json!({"text": "come on Tuesday"})),
        ("one_to_ones", json!({"minutes": 30, "ask": "host"})),
        ("notes", json!({"text": "a note"})),
        ("moves", json!({"rung": "conversation", "because": "known for years"})),
    ] {
        let (path, key) = (format!("/api/v1/people/{id}/{act}"), [("Idempotency-Key", act)]);
        let first = added(&ask(&la, &one, "POST", &path, &key, &body));
        assert_eq!(added(&ask(&la, &one, "POST", &path, &key, &body)), first, "{act}");
    }
    let count = |kind: &str| events(&la, &id, kind).len();
    assert_eq!((count("attempt"), count("ask"), count("one_to_one"), count("move")), (2, 2, 1, 1));
    assert_eq!(la.json(&["note", "list", &id]).unwrap()["notes"].as_array().unwrap().len(), 1);
    let long = "k".repeat(256);
    assert_eq!(ask(&la, &one, "POST", &path, &[("Idempotency-Key", &long)], &call).status, 400);
}

#[test]
fn wrong_input_is_refused_by_field_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let one = token(&la, "one", "organiser");
    let id = la.run(&["people", "add", "--given-name", "Mary", "--email", "mary@example.org"]).unwrap();
    let before = la.json(&["people", "history", &id]).unwrap();
    let wrong =
        |act: &str, body: &Value| refused(&ask(&la, &one, "POST", &format!("/api/v1/people/{id}/{act}"), &[], body));
    let by_field = |fields: &[&str]| (422, fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>());
    assert_eq!(wrong("attempts", &json!({})), by_field(&["how", "result"]));
    let unknown = json!({"how": "call", "result": "talked", "lien": "x"});
    assert_eq!(wrong("attempts", &unknown), by_field(&["lien"]), "a field that is not known");
    let many = json!({"how": "pigeon", "result": "talked", "next_on": "soon", "at": "yesterday", "line": 3});
    let mut fields = wrong("attempts", &many).1;
    fields.sort_unstable();
    assert_eq!(fields, ["at", "how", "line", "next_on"]);
    assert_eq!(wrong("one_to_ones", &json!({"minutes": "forty"})), by_field(&["minutes"]));
    assert_eq!(wrong("one_to_ones", &json!({})), by_field(&[]), "nothing is said of it");
    assert_eq!(wrong("asks", &json!({"text": " "})), by_field(&["text"]));
    assert_eq!(wrong("asks", &json!({"text": "come", "rung": "president"})).0, 422);
    assert_eq!(wrong("moves", &json!({"rung": "conversation"})).0, 422, "nothing shows it");
    assert_eq!(wrong("moves", &json!({"rung": "conversation", "evidence": "x"})), by_field(&["evidence"]));
    assert_eq!(wrong("notes", &json!({"text": null})), by_field(&["text"]));
    assert_eq!(wrong("notes", &json!(["a note"])).0, 400);
    assert_eq!(wrong("notes", &json!({"text": "x".repeat(TOO_LONG)})).0, 413);
    let person = |body: &Value| refused(&ask(&la, &one, "POST", "/api/v1/people", &[], body));
    assert_eq!(person(&json!({"given_name": "Nora", "email": "nora"})), by_field(&["email"]));
    assert_eq!(person(&json!({"given_name": "Nora"})), by_field(&["email"]), "nobody could reach her");
    assert_eq!(person(&json!({"name": "Nora", "email": "nora@example.org"})), by_field(&["name"]));
    let patch = |body: &Value| refused(&ask(&la, &one, "PATCH", &format!("/api/v1/people/{id}"), &[], body));
    assert_eq!(patch(&json!({"rung": "leadership"})), by_field(&["rung"]));
    assert_eq!(patch(&json!({"given_name": ["Mary"]})), by_field(&["given_name"]));
    assert_eq!(patch(&json!({})).0, 400);
    let nobody = "/api/v1/people/00000000-0000-7000-8000-000000000000/asks";
    assert_eq!(ask(&la, &one, "POST", nobody, &[], &json!({"text": "come"})).status, 404);
    let headers = [("OSDI-API-Token", one.as_str())];
    let torn = http::send(la.http(), "POST", &format!("/api/v1/people/{id}/asks"), &headers, b"{\"text\":").unwrap();
    assert_eq!(refused(&torn).0, 400);
    assert_eq!(la.json(&["people", "history", &id]).unwrap(), before);
    assert_eq!(la.json(&["status"]).unwrap()["supporters"], 1);
}

#[test]
fn a_program_writes_what_its_role_may_and_a_page_of_another_site_nothing() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let (calls, reads) = (token(&la, "calls", "caller"), token(&la, "reads", "reader"));
    let add = |name: &str| {
        la.run(&["people", "add", "--given-name", name, "--email", &format!("{name}@example.org")]).unwrap()
    };
    let (hers, other) = (add("mary"), add("nora"));
    la.run(&["people", "edit", &hers, "looked_after_by=token-calls"]).unwrap();
    let call = json!({"how": "call", "result": "talked"});
    let log =
        |token: &str, id: &str| ask(&la, token, "POST", &format!("/api/v1/people/{id}/attempts"), &[], &call).status;
    assert_eq!(
        (log(&calls, &hers), log(&calls, &other), log(&reads, &hers), log("wrong", &hers)),
        (201, 404, 403, 401)
    );
    for act in ["asks", "moves", "one_to_ones", "notes"] {
        let path = format!("/api/v1/people/{hers}/{act}");
        assert_eq!(ask(&la, &calls, "POST", &path, &[], &json!({})).status, 403, "{act}");
    }
    assert_eq!(ask(&la, &calls, "PATCH", &format!("/api/v1/people/{hers}"), &[], &json!({"gender": "x"})).status, 403);
    assert_eq!(ask(&la, &calls, "POST", "/api/v1/people", &[], &json!({})).status, 403);

    // With a cookie only our own pages; with a token, beside which no cookie counts, whoever has it.
    let ana = Login::new(&la, "ana", "organiser").unwrap();
    let own = format!("http://{}", la.http());
    let path = format!("/api/v1/people/{other}/attempts");
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let headers = [headers, &[("Cookie", ana.cookie.as_str())]].concat();
        http::send(la.http(), method, path, &headers, call.to_string().as_bytes()).unwrap().status
    };
    let evil = ("Origin", "http://evil.example");
    assert_eq!(send("POST", &path, &[evil]), 403);
    assert_eq!(send("PATCH", &format!("/api/v1/people/{other}"), &[evil]), 403);
    assert_eq!(send("POST", &path, &[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(send("POST", &path, &[evil, ("OSDI-API-Token", "wrong")]), 401, "her cookie does not stand in for it");
    assert_eq!(send("POST", &format!("/people/{other}/attempts"), &[evil, ("OSDI-API-Token", "wrong")]), 403);
    assert!(events(&la, &other, "attempt").is_empty(), "nothing was written");
    assert_eq!(send("POST", &path, &[("Origin", &own), ("Sec-Fetch-Site", "same-origin")]), 201);
    assert_eq!(events(&la, &other, "attempt")[0]["by"], "ana");
    let organises = token(&la, "organises", "organiser");
    assert_eq!(ask(&la, &organises, "POST", &path, &[evil], &call).status, 201);
}

/// The methods and paths of the interface.
fn of_the_interface(routes: &[Route]) -> BTreeSet<(String, String)> {
    let told = |route: &&Route| route.path.starts_with("/api/") || ["/livez", "/readyz"].contains(&route.path);
    let of = |route: &Route| (route.method.as_str().to_ascii_lowercase(), route.path.to_owned());
    routes.iter().filter(told).map(of).collect()
}

#[test]
fn the_description_names_every_route_that_is_served_and_no_other() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    for (node, routes) in [(&hub, hub_node::routes()), (&la, chapter_node::routes())] {
        let answer = http::get(node.http(), "/api/openapi.json").unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let told = answer.json().unwrap();
        let mut found = BTreeSet::new();
        for (path, methods) in told["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path} is not described");
                found.insert((method.clone(), path.clone()));
            }
        }
        assert_eq!(found, of_the_interface(&routes));
        let attempt = &told["paths"]["/api/v1/people/{id}/attempts"]["post"];
        let schema = &attempt["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["how", "result"]), &json!(false)));
    }
    let chapters_own = ("post".to_owned(), "/api/v1/people/{id}/notes".to_owned());
    assert!(of_the_interface(&chapter_node::routes()).contains(&chapters_own));
    assert!(!of_the_interface(&hub_node::routes()).contains(&chapters_own), "a hub keeps no private text");
}
