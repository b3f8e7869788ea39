//! Who may do what: every route for every role, what a caller and a viewer see, tokens, and the commands for logins.

use std::path::Path;

use model::Role;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tests::harness::Node;
use tests::http::{self, Answer};
use tests::logins::Login;
use web::{Access, Route};

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A hub and a chapter, both serving. No second factor is asked for, so that administrators can be tried like others.
fn network(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    std::fs::write(hub.data.join("config.toml"), "second_factor = \"optional\"\n").unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let mut la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.serve().unwrap();
    (hub, la)
}

fn sign_up(hub: &Node, name: &str, code: &str, headers: &[(&str, &str)]) -> Answer {
    let body = format!(
        r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{name}@example.org"}}],"postal_addresses":[{{"postal_code":"{code}","country":"US"}}]}}}}"#
    );
    let headers = [headers, &[("Content-Type", "application/json")]].concat();
    http::send(hub.http(), "POST", SIGN_UP, &headers, body.as_bytes()).unwrap()
}

fn first_id(node: &Node) -> String {
    node.json(&["people", "list"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned()
}

fn add(la: &Node, name: &str) -> String {
    la.run(&["people", "add", "--given-name", name, "--email", &format!("{name}@example.org")]).unwrap()
}

/// Asks for a route as somebody, or as nobody; gives the head of the answer.
fn ask(node: &Node, who: Option<&Login>, route: &Route, id: &str) -> Answer {
    let path = route.path.replace("{id}", id).replace("{slug}", "la");
    assert!(!path.contains('{'), "{path} has a parameter that this test does not know");
    let json = ("Content-Type", "application/json");
    let kind = if path.starts_with("/api/") { json } else { FORM };
    let body = if kind == json && route.method.as_str() == "POST" { "{}" } else { "" };
    let cookie = who.map_or("", |login| login.cookie.as_str());
    http::head(node.http(), route.method.as_str(), &path, &[("Cookie", cookie), kind], body.as_bytes()).unwrap()
}

fn asked_to_log_in(answer: &Answer) -> bool {
    let sent = answer.header("location").is_some_and(|location| location.starts_with("/login?next="));
    answer.status == 401 || (answer.status == 303 && sent)
}

/// Tries every route as nobody and as every role.
fn try_all(node: &Node, routes: &[Route], roles: &[Role], id: &str) {
    assert!(routes.len() > 20, "the routes are found");
    let logins: Vec<(Role, Login)> =
        roles.iter().map(|role| (*role, Login::new(node, role.word(), role.word()).unwrap())).collect();
    // Logging out is last: it ends the session by which the others are tried.
    let mut routes = routes.to_vec();
    routes.sort_by_key(|route| route.path == "/logout");
    for route in &routes {
        let answer = ask(node, None, route, id);
        assert_eq!(asked_to_log_in(&answer), route.access != Access::Open, "nobody, {route:?}: {answer:?}");
        assert_ne!(answer.status, 403, "nobody, {route:?}: {answer:?}");
    }
    for (role, login) in &logins {
        for route in &routes {
            let answer = ask(node, Some(login), route, id);
            let may = match route.access {
                Access::Open | Access::SignedIn => true,
                Access::Needs(right) => role.may(right),
            };
            assert!(!asked_to_log_in(&answer), "{role:?}, {route:?}: {answer:?}");
            assert_eq!(answer.status == 403, !may, "{role:?}, {route:?}: {answer:?}");
            assert_ne!(answer.status, 405, "{role:?}, {route:?}: {answer:?}");
            assert!(answer.status < 500, "{role:?}, {route:?}: {answer:?}");
        }
    }
}

#[test]
fn every_route_of_a_hub_lets_in_whom_its_table_says_and_nobody_else() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path());
    assert_eq!(sign_up(&hub, "wanda", "59937", &[]).status, 200);
    try_all(&hub, &hub_node::routes(), &Role::AT_HUB, &first_id(&hub));
}

#[test]
fn every_route_of_a_chapter_lets_in_whom_its_table_says_and_nobody_else() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let id = add(&la, "mary");
    // The caller's login in that test is called so: what she may do, she may do with people who are given to her.
    la.run(&["people", "edit", &id, "looked_after_by=caller"]).unwrap();
    try_all(&la, &chapter_node::routes(), &Role::AT_CHAPTER, &id);
}

#[test]
fn a_caller_sees_the_people_given_to_her_and_nobody_else() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let (hers, other) = (add(&la, "mary"), add(&la, "nora"));
    la.run(&["people", "edit", &hers, "looked_after_by=cal"]).unwrap();
    la.run(&["people", "edit", &other, "looked_after_by=kim"]).unwrap();
    la.run(&["note", "add", &hers, "her sister is ill"]).unwrap();
    let ask = la.run(&["ask", "add", &hers, "bring two neighbours"]).unwrap();
    let cal = Login::new(&la, "cal", "caller").unwrap();
    let get = |path: &str| cal.get(la.http(), path).unwrap();
    let post = |path: &str, form: &str| cal.post(la.http(), path, form).unwrap().status;

    let today = get("/").body;
    assert!(today.contains("mary") && !today.contains("nora"), "{today}");
    assert!(!today.contains("supporters") && !today.contains("href=\"/people\""), "no figure, no list: {today}");
    let page = get(&format!("/people/{hers}"));
    assert!(page.status == 200 && page.body.contains("Log the attempt"), "{page:?}");
    for hidden in
        ["her sister is ill", "Save what I changed", "Log the one-to-one", "Add the ask", "Move on the ladder"]
    {
        assert!(!page.body.contains(hidden), "{hidden}");
    }
    assert_eq!(post(&format!("/people/{hers}/attempts"), "how=call&result=talked&line=will+come"), 303);
    assert_eq!(post(&format!("/people/{hers}/answers"), &format!("ask={ask}&answer=kept")), 303);
    let history = la.json(&["people", "history", &hers]).unwrap();
    let attempt = history["events"].as_array().unwrap().iter().find(|event| event["kind"] == "attempt").unwrap();
    assert_eq!(attempt["by"], "cal", "it stands in her name");

    // Somebody else's people are as if they were not here.
    let nobody = "00000000-0000-7000-8000-000000000000";
    let said = |id: &str| {
        let page = get(&format!("/people/{id}"));
        assert_eq!((page.status, get(&format!("/api/v1/people/{id}")).status), (404, 404));
        assert_eq!(post(&format!("/people/{id}/attempts"), "how=call&result=talked"), 404);
        assert_eq!(post("/account/record", &format!("person={id}")), 422);
        page.body.replace(id, "")
    };
    assert_eq!(said(&other), said(nobody));
    assert_eq!(get(&format!("/people/{}", &other[28..])).status, 404, "nor by the end of an id");
    for path in ["/people", "/people?query=mary", "/api/v1/people", "/api/v1/people?query=mary", "/stepping-down"] {
        assert_eq!(get(path).status, 403, "{path}");
    }
    let before = la.json(&["people", "history", &other]).unwrap();
    assert!(!before.to_string().contains("attempt"), "nothing was written: {before}");
    assert_eq!(post("/account/record", &format!("person={hers}")), 303);
    assert!(get("/account").body.contains("Your login belongs to"), "she may be tied to her own record");
}

#[test]
fn a_viewer_sees_totals_and_no_name() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path());
    for (name, code) in [("mary", "90012"), ("wanda", "59937")] {
        assert_eq!(sign_up(&hub, name, code, &[]).status, 200);
    }
    let id = first_id(&hub);
    let vera = Login::new(&hub, "vera", "viewer").unwrap();
    let get = |path: &str| vera.get(hub.http(), path).unwrap();
    for path in ["/", "/chapters", "/chapters/la", "/api/v1/chapters"] {
        let page = get(path);
        assert_eq!(page.status, 200, "{path}");
        for name in ["mary", "wanda", &id] {
            assert!(!page.body.contains(name), "{name} stands on {path}");
        }
        assert!(!page.body.contains("href=\"/people") && !page.body.contains("href=\"/unplaced"), "{path}");
    }
    for path in ["/people", "/unplaced", &format!("/people/{id}")] {
        let refused = get(path);
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.body.contains("your role here, viewer, may not see people"), "{path}: {refused:?}");
    }
    for path in ["/api/v1/people", "/api/v1/unplaced"] {
        let refused = get(path);
        assert_eq!((refused.status, refused.json().unwrap()["code"].clone()), (403, "not_allowed".into()), "{path}");
    }
}

#[test]
fn a_page_of_another_site_can_not_post_to_a_node_on_localhost() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let id = add(&la, "mary");
    let cookie = la.login().unwrap().cookie.clone();
    let log = |headers: &[(&str, &str)]| {
        let headers = [headers, &[("Cookie", cookie.as_str()), FORM]].concat();
        let path = format!("/people/{id}/attempts");
        http::send(la.http(), "POST", &path, &headers, b"how=call&result=no-answer").unwrap().status
    };
    // A browser sends her cookie along when it is asked to by a page that she has open, and says where it was asked.
    assert_eq!(log(&[("Origin", "http://evil.example")]), 403);
    assert_eq!(log(&[("Origin", "null")]), 403);
    assert_eq!(log(&[("Origin", "http://localhost:1")]), 403, "another port of this machine");
    assert_eq!(log(&[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(log(&[("Sec-Fetch-Site", "same-site")]), 403);
    assert_eq!(log(&[("Host", "evil.example"), ("Origin", "http://evil.example")]), 421, "a name that was rebound");
    let history = la.json(&["people", "history", &id]).unwrap();
    assert!(!history.to_string().contains("attempt"), "nothing was written: {history}");
    let own = format!("http://{}", la.http());
    assert_eq!(log(&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")]), 303);
}

#[test]
fn a_token_does_what_its_role_may_until_it_ends() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path());
    assert_eq!(sign_up(&hub, "wanda", "59937", &[]).status, 200);
    let id = first_id(&hub);
    let staff = hub.run(&["token", "add", "website", "--role", "staff"]).unwrap();
    let viewer = hub.run(&["token", "add", "screen", "--role", "viewer", "--expires", "12h"]).unwrap();
    assert!(staff.starts_with("chapterhouse-token-1.") && staff.lines().count() == 1, "it can be kept in a file");
    let get = |token: &str, path: &str| {
        let headers: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("OSDI-API-Token", token)] };
        http::send(hub.http(), "GET", path, headers, &[]).unwrap()
    };
    let none = get("", "/api/v1/people");
    assert_eq!((none.status, none.json().unwrap()["code"].clone()), (401, "not_signed_in".into()));
    assert!(none.head.contains("application/problem+json"), "{none:?}");
    assert_eq!(get("chapterhouse-token-1.0", "/api/v1/people").status, 401);
    assert_eq!(get(&viewer, "/api/v1/people").status, 403);
    assert_eq!(get(&viewer, "/api/v1/chapters").status, 200);
    assert_eq!(get(&staff, "/account").status, 403, "a token has no account");
    for path in ["/api/v1/people", &format!("/api/v1/people/{id}"), "/api/v1/unplaced", "/api/v1/chapters"] {
        assert_eq!(get(&staff, path).status, 200, "{path}");
    }

    // Whoever shows a token is told who it is; a stranger with the same key is told what strangers are told.
    let key = ("Idempotency-Key", "one");
    let token = ("OSDI-API-Token", staff.as_str());
    let known = sign_up(&hub, "wanda", "59937", &[token, key]).json().unwrap();
    assert_eq!((&known["id"], &known["given_name"]), (&id.as_str().into(), &"wanda".into()), "{known}");
    assert!(known["identifiers"][0].as_str().unwrap().starts_with("chapterhouse:"), "{known}");
    for headers in [&[key][..], &[key, ("OSDI-API-Token", "stolen")], &[key, ("OSDI-API-Token", viewer.as_str())]] {
        let stranger = sign_up(&hub, "wanda", "59937", headers);
        assert!(stranger.status == 200 && !stranger.body.contains(&id), "{headers:?}: {stranger:?}");
    }

    let headers = [token, ("Content-Type", "application/json")];
    let path = format!("/api/v1/unplaced/{id}/assign");
    let assigned = http::send(hub.http(), "POST", &path, &headers, br#"{"chapter":"la"}"#).unwrap();
    assert_eq!(assigned.status, 200, "{assigned:?}");
    let history = hub.json(&["people", "history", &id]).unwrap().to_string();
    assert!(history.contains("\"by\":\"token-website\""), "{history}");

    let listed = hub.json(&["token", "list"]).unwrap();
    assert_eq!((&listed["tokens"][1]["name"], &listed["tokens"][1]["role"]), (&"website".into(), &"staff".into()));
    assert!(!hub.files_contain(&staff).unwrap(), "only its hash is kept");
    let database = Connection::open(hub.data.join(store::DATABASE_FILE)).unwrap();
    assert_eq!(database.execute("UPDATE api_token SET expires = created WHERE name = 'screen'", []).unwrap(), 1);
    assert_eq!(get(&viewer, "/api/v1/chapters").status, 401, "it is over");
    hub.run(&["token", "remove", "website"]).unwrap();
    assert_eq!(get(&staff, "/api/v1/people").status, 401, "it was removed");
}

#[test]
fn a_list_in_json_beyond_a_page_is_an_export_and_stands_in_the_log() {
    let directory = TempDir::new().unwrap();
    let (hub, mut la) = network(directory.path());
    la.stop().unwrap();
    tests::people::add(&la, 60).unwrap();
    la.serve().unwrap();
    let [ana, root] =
        [("ana", "organiser"), ("root", "administrator")].map(|(name, role)| Login::new(&la, name, role).unwrap());
    let list = |who: &Login, path: &str| {
        let listed = who.get(la.http(), path).unwrap().json().unwrap();
        let next = listed["next"].as_str().map(str::to_owned);
        (listed["people"].as_array().unwrap().len(), next)
    };
    let exports = || {
        let audit = la.json(&["audit"]).unwrap();
        let exported = audit["audit"].as_array().unwrap().iter().filter(|row| row["what"] == "exported");
        exported.map(|row| format!("{} {} {}", row["who"], row["detail"], row["number"])).collect::<Vec<_>>()
    };
    let (seen, next) = list(&ana, "/api/v1/people?limit=200");
    let after = format!("after={}", next.unwrap());
    assert_eq!(seen, 50, "what a page shows");
    let refused = ana.get(la.http(), &format!("/api/v1/people?{after}")).unwrap();
    assert_eq!((refused.status, refused.json().unwrap()["code"].clone()), (403, "not_allowed".into()));
    assert!(refused.body.contains("may not export or print lists"), "{refused:?}");
    assert_eq!(ana.get(la.http(), &format!("/people?{after}")).unwrap().status, 200, "the page goes on");
    assert_eq!(list(&root, "/api/v1/people?query=person7"), (1, None));
    assert_eq!(exports(), [""; 0]);
    assert_eq!(list(&root, "/api/v1/people?limit=200"), (60, None));
    assert_eq!(list(&root, &format!("/api/v1/people?{after}")), (10, None));
    assert_eq!(exports(), ["\"root\" \"json\" 10", "\"root\" \"json\" 60"]);

    assert_eq!(sign_up(&hub, "wanda", "59937", &[]).status, 200);
    let token = hub.run(&["token", "add", "website", "--role", "staff"]).unwrap();
    let headers = [("OSDI-API-Token", token.as_str())];
    let waiting =
        |more: &str| http::send(hub.http(), "GET", &format!("/api/v1/unplaced{more}"), &headers, &[]).unwrap();
    assert_eq!(waiting("").json().unwrap()["people"][0]["given_name"], "wanda");
    assert_eq!(waiting(&format!("?after={}", first_id(&hub))).status, 403);
}

#[test]
fn a_proposal_is_ended_on_the_page_of_whom_it_is_for_and_on_nobody_elses() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path());
    for name in ["mary", "nora"] {
        assert_eq!(sign_up(&hub, name, "90012", &[]).status, 200);
    }
    let id = |name: &str| {
        let found = hub.json(&["people", "list", "--query", name]).unwrap();
        found["people"][0]["id"].as_str().unwrap().to_owned()
    };
    let (mary, nora) = (id("mary"), id("nora"));
    let again = r#"{"person":{"given_name":"Maria","email_addresses":[{"address":"mary@example.org"}]}}"#;
    assert_eq!(http::post_json(hub.http(), SIGN_UP, again).unwrap().status, 200);
    let proposals = || hub.json(&["proposals", "list"]).unwrap()["proposals"].as_array().unwrap().clone();
    let proposal = proposals()[0]["id"].as_str().unwrap().to_owned();
    let end = |person: &str, act: &str| {
        let form = format!("proposal={proposal}&do={act}");
        hub.login().unwrap().post(hub.http(), &format!("/people/{person}/proposals"), &form).unwrap().status
    };
    assert_eq!((end(&nora, "take"), end(&nora, "drop"), proposals().len()), (404, 404, 1));
    assert_eq!((end(&mary, "take"), proposals().len()), (303, 0));
    assert_eq!(hub.json(&["people", "show", &mary]).unwrap()["given_name"], "Maria");
}

#[test]
fn another_role_ends_sessions_and_a_login_takes_its_tokens_along() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path());
    let lee = Login::new(&hub, "lee", "administrator").unwrap();
    let token =
        |name: &str, role: &str, by: &str| hub.run(&["token", "add", name, "--role", role, "--by", by]).unwrap();
    let (big, small, other) =
        (token("big", "staff", "lee"), token("small", "viewer", "lee"), token("other", "staff", "kim"));
    let shows = |token: &str| {
        http::send(hub.http(), "GET", "/api/v1/chapters", &[("OSDI-API-Token", token)], &[]).unwrap().status
    };
    for (name, role, words) in [
        ("lee", "viewer", "lee is the last administrator here"),
        ("nobody", "viewer", "there is no login \"nobody\""),
        ("lee", "organiser", "a hub has no role organiser"),
    ] {
        let refused = hub.try_run(&["user", "role", name, role]).unwrap();
        assert!(refused.code == 4 && refused.stderr.contains(words), "{refused:?}");
    }
    assert_eq!(lee.get(hub.http(), "/people").unwrap().status, 200, "nothing of it was done");
    tests::logins::add(&hub, "root", "administrator").unwrap();
    let changed = hub.json(&["user", "role", "lee", "viewer", "--by", "root"]).unwrap();
    assert_eq!((&changed["role"], &changed["tokens_ended"]), (&json!("viewer"), &json!(["big"])));
    assert_eq!(lee.get(hub.http(), "/").unwrap().status, 303, "she is logged out");
    let cookie = tests::logins::enter(hub.http(), "lee", &lee.password, "").unwrap();
    let lee = Login { cookie, ..lee };
    assert_eq!((lee.get(hub.http(), "/").unwrap().status, lee.get(hub.http(), "/people").unwrap().status), (200, 403));
    assert_eq!((shows(&big), shows(&small), shows(&other)), (401, 200, 200), "what she may not do, none of hers may");
    assert_eq!(hub.json(&["user", "remove", "lee"]).unwrap()["tokens_ended"], json!(["small"]));
    assert_eq!((shows(&small), shows(&other)), (401, 200));
    let audit = hub.json(&["audit"]).unwrap();
    let row = |what: &str| {
        let found = audit["audit"].as_array().unwrap().iter().find(|row| row["what"] == what).unwrap();
        (found["who"].as_str().unwrap().to_owned(), found["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(row("role_changed"), ("root".to_owned(), "lee from administrator to viewer".to_owned()));
    assert_eq!(row("token_ended").1, "small, made by lee");
}

#[test]
fn logins_are_made_changed_and_refused_in_words() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    let refused = |node: &Node, arguments: &[&str], stdin: &str, words: &str| {
        let outcome = node.try_run_with(arguments, stdin).unwrap();
        assert_eq!(outcome.code, 4, "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(words) && outcome.stdout.is_empty(), "{arguments:?}: {outcome:?}");
    };
    let drawn = la.run(&["user", "add", "Ana", "--role", "organiser"]).unwrap();
    assert!(drawn.contains("ana may log in as organiser") && drawn.contains("shown this once"), "{drawn}");
    let given = la.try_run_with(&["user", "add", "lee", "--role", "reader", "--json"], "correct horse\n").unwrap();
    assert!(!given.stdout.contains("correct") && given.json().unwrap().get("password").is_none(), "{given:?}");
    assert_eq!(tests::logins::knock(la.http(), "lee", "correct+horse", "").unwrap().status, 303);
    refused(&la, &["user", "add", "ana", "--role", "caller"], "", "there is a login \"ana\" already");
    refused(&la, &["user", "add", "kim", "--role", "staff"], "", "a chapter has no role staff");
    refused(&hub, &["user", "add", "kim", "--role", "organiser"], "", "a hub has no role organiser");
    refused(&la, &["user", "add", "ki m", "--role", "caller"], "", "can't be a login");
    refused(&la, &["user", "add", "kim", "--role", "caller"], "short\n", "at least 8 characters");
    refused(&la, &["user", "passwd", "nobody"], "", "there is no login \"nobody\"");
    refused(&la, &["user", "remove", "nobody"], "", "there is no login \"nobody\"");
    refused(&la, &["token", "remove", "nothing"], "", "there is no token \"nothing\"");
    refused(&la, &["token", "add", "x", "--role", "reader", "--expires", "soon"], "", "not a span of time");
    assert_eq!(la.try_run(&["user", "add", "kim", "--role", "captain"]).unwrap().code, 2);
    let listed = la.json(&["user", "list"]).unwrap();
    let names: Vec<&str> =
        listed["users"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ana", "lee"], "nothing of what was refused is there");
    la.run(&["user", "remove", "ana"]).unwrap();
    la.run(&["user", "add", "ana", "--role", "caller"]).unwrap();
    assert_eq!(la.json(&["user", "list"]).unwrap()["users"][0]["role"], "caller", "the name can be had again");
}
