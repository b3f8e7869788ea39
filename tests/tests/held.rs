//! The public sign-up under a burst: what is beyond a limit is answered as any other, held, and let through by a person.

use std::fs;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http::{self, Answer};

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
/// Who posts beside each other where many are posted.
const AT_ONCE: usize = 4;

/// A hub that serves with these settings, and a chapter that has joined.
fn network(directory: &Path, settings: &str) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    fs::write(hub.data.join("config.toml"), settings).unwrap();
    hub.serve().unwrap();
    let la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    (hub, la)
}

fn body(email: &str) -> String {
    format!(
        r#"{{"person":{{"given_name":"Pat","email_addresses":[{{"address":"{email}"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
    )
}

fn post_as(hub: &Node, email: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [headers, &[("Content-Type", "application/json")]].concat();
    let answer = http::send(hub.http(), "POST", SIGN_UP, &headers, body(email).as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn post(hub: &Node, nth: usize) -> Answer {
    post_as(hub, &format!("p{nth}@example.org"), &[])
}

/// An answer without what is another one's at every sign-up.
fn said(answer: &Answer) -> Value {
    let mut said = answer.json().unwrap();
    let object = said.as_object_mut().unwrap();
    for own in ["identifiers", "created_date", "modified_date", "email_addresses", "_links"] {
        assert!(object.remove(own).is_some(), "{own} is in an answer");
    }
    said
}

/// How many are counted, and how many are held.
fn counts(hub: &Node) -> (u64, u64) {
    let status = hub.json(&["status"]).unwrap();
    (status["supporters"].as_u64().unwrap(), status["held"].as_u64().unwrap())
}

fn held(hub: &Node) -> Vec<Value> {
    hub.json(&["signup", "held", "list"]).unwrap()["held"].as_array().unwrap().clone()
}

fn whys(hub: &Node) -> Vec<String> {
    let mut whys: Vec<String> = held(hub).iter().map(|held| held["why"].as_str().unwrap().to_owned()).collect();
    whys.sort();
    whys
}

fn at_the_chapter(la: &Node) -> u64 {
    la.run(&["sync"]).unwrap();
    la.json(&["status"]).unwrap()["supporters"].as_u64().unwrap()
}

fn form(hub: &Node, more: &str) -> Answer {
    let form = format!("given_name=Pat&postal_code=90012&{more}");
    let answer = http::post_form(hub.http(), "/signup", &form).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[test]
fn a_burst_is_answered_as_ever_held_and_ends_in_its_chapter_when_somebody_has_looked() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path(), "[sign_up_limits]\naddress_most = 20\n");
    let answers: Vec<Answer> = (0..30).map(|nth| post(&hub, nth)).collect();
    for answer in &answers {
        assert_eq!(said(answer), said(&answers[0]), "an answer does not tell that it is held");
        assert_eq!(answer.json().unwrap()["chapterhouse:placement"]["chapter"], "la");
    }
    assert_eq!(counts(&hub), (20, 10));
    assert_eq!(whys(&hub), ["address"; 10]);
    assert_eq!(at_the_chapter(&la), 20, "nobody who is held is in a chapter's feed");
    assert!(hub.json(&["unplaced", "list"]).unwrap()["people"].as_array().unwrap().is_empty(), "nor do they wait");

    let one = held(&hub)[0].clone();
    let receipt = one["id"].as_str().unwrap();
    assert!(answers.iter().any(|answer| answer.body.contains(receipt)), "held under the id that was answered");
    hub.run(&["signup", "held", "release", receipt]).unwrap();
    assert_eq!(hub.try_run(&["signup", "held", "release", receipt]).unwrap().code, 4, "it is let through once");
    assert_eq!(counts(&hub), (21, 9));
    let history = hub.json(&["people", "history", receipt]).unwrap();
    let signed_up = history["events"].as_array().unwrap().iter().find(|event| event["kind"] == "sign_up").unwrap();
    assert_eq!((&signed_up["id"], &signed_up["at"]), (&one["id"], &one["at"]), "with the time when it was posted");
    let her = hub.json(&["people", "show", receipt]).unwrap();
    assert_eq!((&her["chapter"], &her["rung"]), (&json!("la"), &json!("contact")));

    let released = hub.json(&["signup", "held", "release", "--all"]).unwrap();
    assert_eq!(released["released"].as_array().unwrap().len(), 9);
    assert_eq!(counts(&hub), (30, 0));
    assert_eq!(hub.json(&["signup", "held", "release", "--all"]).unwrap()["released"], json!([]));
    assert_eq!(at_the_chapter(&la), 30);
    assert_eq!(la.run(&["state-hash"]).unwrap(), hub.run(&["state-hash", "--scope", "la"]).unwrap());
    hub.run(&["verify"]).unwrap();

    let audit = hub.json(&["audit"]).unwrap();
    let let_through = |row: &&Value| row["what"] == "sign_up_released" && row["about"].is_string();
    assert_eq!(audit["audit"].as_array().unwrap().iter().filter(let_through).count(), 10);
    assert!(!audit.to_string().contains("example.org") && !audit.to_string().contains("Pat"), "ids only");
    hub.run(&["audit", "--verify"]).unwrap();
}

#[test]
fn a_hall_of_three_hundred_behind_one_address_all_end_up_in_their_chapter() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path(), "");
    thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let hub = &hub;
            scope.spawn(move || (first..300).step_by(AT_ONCE).for_each(|nth| drop(post(hub, nth))));
        }
    });
    assert_eq!(counts(&hub), (300, 0));
    assert_eq!(at_the_chapter(&la), 300);
}

#[test]
fn one_address_of_mail_posted_again_and_again_is_held_and_adds_to_one_person() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path(), "");
    let answers: Vec<Answer> = (0..7).map(|_| post_as(&hub, "pat@example.org", &[])).collect();
    assert!(answers.iter().all(|answer| said(answer) == said(&answers[0])));
    assert_eq!((counts(&hub), whys(&hub)), ((1, 2), vec!["email".to_owned(); 2]));
    let events = |hub: &Node| {
        let receipt = answers[0].json().unwrap()["identifiers"][0].as_str().unwrap().replace("chapterhouse:", "");
        let history = hub.json(&["people", "history", &receipt]).unwrap();
        history["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "sign_up").count()
    };
    assert_eq!(events(&hub), 5);
    let dropped = held(&hub)[0]["id"].as_str().unwrap().to_owned();
    hub.run(&["signup", "held", "drop", &dropped]).unwrap();
    hub.run(&["signup", "held", "release", "--all"]).unwrap();
    assert_eq!((counts(&hub), events(&hub)), ((1, 0), 6), "what was dropped is nowhere, what was let through is hers");
}

#[test]
fn what_people_do_not_see_and_what_nobody_types_so_fast_is_held_and_the_page_is_the_same() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path(), "[sign_up_limits]\nfill_seconds = 3600\n");
    let page = http::get(hub.http(), "/signup").unwrap().body;
    let shown = page.split("name=\"shown\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let ordinary = form(&hub, "email=a%40example.org&website=&shown=1000000000000");
    assert_eq!(counts(&hub), (1, 0));
    let filled = form(&hub, "email=b%40example.org&website=http%3A%2F%2Fexample.org&shown=1000000000000");
    let fast = form(&hub, &format!("email=c%40example.org&website=&shown={shown}"));
    assert_eq!((&filled.body, &fast.body), (&ordinary.body, &ordinary.body));
    assert_eq!((counts(&hub), whys(&hub)), ((1, 2), vec!["fill_time".to_owned(), "honeypot".to_owned()]));

    // On the page of those who wait: one by one, or those that it shows.
    let page = hub.get("/unplaced").unwrap().body;
    assert!(page.contains("Held for review (2)") && page.contains("c@example.org"), "{page}");
    let one = held(&hub)[1]["id"].as_str().unwrap().to_owned();
    let let_through = |path: &str, form: &str| hub.login().unwrap().post(hub.http(), path, form).unwrap();
    let through = let_through(&format!("/held/{one}/release"), "");
    assert_eq!((through.status, counts(&hub)), (303, (2, 1)));
    let nobody_looked = let_through("/held/release", "");
    assert_eq!((nobody_looked.status, counts(&hub)), (303, (2, 1)));
    let through = let_through("/held/release", &format!("through={one}"));
    assert_eq!((through.status, counts(&hub)), (303, (3, 0)));
}

#[test]
fn a_forged_address_does_not_evade_and_a_trusted_proxy_is_believed() {
    let directory = TempDir::new().unwrap();
    let limits = "[sign_up_limits]\naddress_most = 5\n";
    let (mut hub, _la) = network(directory.path(), limits);
    let from = |hub: &Node, nth: usize| {
        let (email, address) = (format!("p{nth}@example.org"), format!("203.0.{nth}.1"));
        post_as(hub, &email, &[("X-Forwarded-For", address.as_str())]);
    };
    (0..8).for_each(|nth| from(&hub, nth));
    assert_eq!(counts(&hub), (5, 3));
    hub.stop().unwrap();
    fs::write(hub.data.join("config.toml"), format!("trusted_proxies = [\"127.0.0.0/8\"]\n{limits}")).unwrap();
    hub.serve().unwrap();
    (8..16).for_each(|nth| from(&hub, nth));
    assert_eq!(counts(&hub), (13, 3));
    // What the client itself wrote before the proxy's word counts for nothing.
    for nth in 16..24 {
        let forged = format!("198.51.{nth}.1, 192.0.2.1");
        post_as(&hub, &format!("p{nth}@example.org"), &[("X-Forwarded-For", forged.as_str())]);
    }
    assert_eq!(counts(&hub), (18, 6));
}

#[test]
fn a_repeated_request_that_is_held_gets_its_answer_again_and_is_held_once() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path(), "[sign_up_limits]\naddress_most = 0\n");
    let key = [("Idempotency-Key", "k")];
    let answer = post_as(&hub, "pat@example.org", &key);
    assert_eq!(post_as(&hub, "pat@example.org", &key).body, answer.body);
    assert_eq!(counts(&hub), (0, 1));
    hub.run(&["signup", "held", "release", "--all"]).unwrap();
    assert_eq!(post_as(&hub, "pat@example.org", &key).body, answer.body);
    assert_eq!(counts(&hub), (1, 0));
    let id = hub.json(&["people", "list"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned();
    assert!(hub.files_contain("pat@example.org").unwrap(), "it is looked for where it stands");
    hub.run(&["erase", &id, "--reason", "asked by phone", "--yes"]).unwrap();
    until("the answer that was kept has gone with her", || Ok((!hub.files_contain("pat@example.org")?).then_some(())))
        .unwrap();
}

#[test]
fn who_shows_a_token_is_counted_as_any_other_and_hears_of_nobody_who_is_held() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path(), "[sign_up_limits]\naddress_most = 1\n");
    let token = hub.run(&["token", "add", "website", "--role", "staff"]).unwrap();
    let [taken, held] = ["a@example.org", "b@example.org"]
        .map(|email| post_as(&hub, email, &[("OSDI-API-Token", token.as_str())]).json().unwrap());
    assert_eq!(counts(&hub), (1, 1));
    assert!(taken["id"].is_string(), "{taken}");
    assert!(held.get("id").is_none() && held["identifiers"][0].is_string(), "{held}");
}

#[test]
fn who_is_deleted_takes_along_what_is_held_with_her_address_and_nobody_elses() {
    let directory = TempDir::new().unwrap();
    let (hub, _la) = network(directory.path(), "[sign_up_limits]\nemail_most = 1\n");
    for email in ["pat@example.org", "kim@example.org"] {
        post_as(&hub, email, &[]);
        post_as(&hub, email, &[("Idempotency-Key", email)]);
    }
    post_as(&hub, "pat@example.org", &[]);
    assert_eq!(counts(&hub), (2, 3));
    let found = hub.json(&["people", "list"]).unwrap();
    let is_pat = |person: &&Value| person["email_addresses"][0]["address"] == "pat@example.org";
    let pat = found["people"].as_array().unwrap().iter().find(is_pat).unwrap();
    let id = pat["id"].as_str().unwrap().to_owned();
    let hers = held(&hub).iter().find(|held| held.to_string().contains("pat@example.org")).unwrap().clone();
    hub.run(&["erase", &id, "--reason", "asked by phone", "--yes"]).unwrap();
    assert_eq!(counts(&hub), (1, 1));
    assert!(held(&hub)[0].to_string().contains("kim@example.org"));
    until("no byte of her is left", || Ok((!hub.files_contain("pat@example.org")?).then_some(()))).unwrap();
    let released = hub.try_run(&["signup", "held", "release", hers["id"].as_str().unwrap()]).unwrap();
    assert_eq!(released.code, 4, "{released:?}");
    let audit = hub.json(&["audit"]).unwrap();
    let dropped = audit["audit"].as_array().unwrap().iter().find(|row| row["what"] == "sign_up_dropped").unwrap();
    assert_eq!((&dropped["about"], &dropped["number"]), (&json!(id), &json!(2)));
    // She herself can come back, and that is as new.
    let back = post_as(&hub, "pat@example.org", &[("Idempotency-Key", "pat@example.org")]);
    assert_eq!((back.status, counts(&hub)), (200, (1, 2)));
}
