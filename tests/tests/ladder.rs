//! The ladder, one-to-ones and asks, as an organiser meets them on the pages, without JavaScript, and by command.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Date, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tests::harness::Node;
use tests::http::Answer;

/// A hub, and a chapter that serves.
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

fn add(la: &Node, name: &str, family: &str) -> String {
    let email = format!("{name}@example.org");
    la.run(&["people", "add", "--given-name", name, "--family-name", family, "--email", &email]).unwrap()
}

fn post(la: &Node, path: &str, form: &str) -> Answer {
    la.login().unwrap().post(la.http(), path, form).unwrap()
}

fn page(la: &Node, path: &str) -> String {
    let answer = la.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

fn today() -> Date {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap()).date()
}

/// What stands in a column of the ladder.
fn column<'a>(ladder: &'a str, rung: &str) -> &'a str {
    let begins = format!("data-rung=\"{rung}\"");
    let column = ladder.split_once(&begins).unwrap().1;
    column.split_once("</section>").unwrap().0
}

/// Where an act led to: the person, and the event of it, as the notice reads it.
fn did(answer: &Answer, before: &str, person: &str) -> String {
    let location = answer.header("location").unwrap();
    let begins = format!("{before}did={person}:");
    location.strip_prefix(&begins).unwrap_or_else(|| panic!("{location} after {begins}")).to_owned()
}

#[test]
fn a_card_moves_by_what_shows_it_and_is_refused_in_words_without() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let mary = add(&la, "mary", "Brown");
    let path = format!("/people/{mary}/move");
    let ladder = page(&la, "/ladder");
    assert!(
        column(&ladder, "contact").contains("mary Brown") && column(&ladder, "contact").contains("1 new this month")
    );
    assert!(column(&ladder, "contact").contains(&format!("{path}?back=1&amp;to=conversation")), "{ladder}");

    let asked = page(&la, &format!("{path}?to=conversation&back=1"));
    assert!(asked.contains("Conversation is shown by a one-to-one that was held"), "the rule, in words: {asked}");
    assert!(asked.contains("Nothing that is logged shows it yet"), "{asked}");
    let refused = post(&la, &path, "to=conversation&back=1&because=");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("Not moved: nothing shows conversation yet"), "{refused:?}");
    assert!(refused.body.contains("name=\"back\""), "trying again leads back to the ladder, too");
    assert!(column(&page(&la, "/ladder"), "contact").contains("mary Brown"));

    let talked = ["attempt", "log", &mary, "--how", "call", "--result", "talked", "--line", "wants to help"];
    let talked = id(&la.json(&talked).unwrap());
    la.run(&["attempt", "log", &mary, "--how", "call", "--result", "no-answer"]).unwrap();
    let asked = page(&la, &format!("{path}?to=conversation"));
    assert_eq!(asked.matches("type=\"checkbox\"").count(), 1, "what shows nothing is not offered: {asked}");
    assert!(asked.contains(&talked) && asked.contains("wants to help"), "{asked}");
    let moved = post(&la, &path, &format!("to=conversation&back=1&mine=1&evidence={talked}"));
    assert_eq!(moved.status, 303, "{moved:?}");
    let event = did(&moved, "/ladder?mine=1&", &mary);
    let history = la.json(&["people", "history", &mary]).unwrap();
    let written = history["events"].as_array().unwrap().iter().find(|each| each["id"] == event.as_str()).unwrap();
    assert_eq!(
        (&written["how"], &written["evidence"][0], &written["by"]),
        (&"up".into(), &talked.into(), &"ana".into())
    );

    let skipped = post(&la, &path, "to=leadership&because=led+the+last+drive");
    did(&skipped, &format!("/people/{mary}?"), &mary);
    let ladder = page(&la, "/ladder");
    let top = column(&ladder, "leadership");
    assert!(top.contains("mary Brown") && top.contains("by a skip") && top.contains("1 came up this month"), "{top}");
    assert!(!column(&ladder, "conversation").contains("this month"), "she stands there no more");
    let down = page(&la, &format!("{path}?to=contact"));
    assert!(down.contains("A move down needs a written reason"), "{down}");
    assert_eq!(post(&la, &path, "to=contact").status, 422);
    did(&post(&la, &path, "to=contact&because=has+a+child+now"), &format!("/people/{mary}?"), &mary);
    let ladder = page(&la, "/ladder");
    assert!(column(&ladder, "contact").contains("was at Leadership"), "{ladder}");
    assert!(!ladder.contains("by a skip"), "that was the way to another rung");
}

#[test]
fn what_somebody_she_raised_has_kept_shows_leadership() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let (mary, nora) = (add(&la, "mary", "Brown"), add(&la, "nora", "Diaz"));
    la.run(&["ladder", "move", &mary, "commitment", "--because", "known for years"]).unwrap();
    la.run(&["people", "edit", &nora, &format!("recruited_by={mary}")]).unwrap();
    let ask = id(&la.json(&["ask", "add", &nora, "bring two neighbours", "--kind", "recruit"]).unwrap());
    let path = format!("/people/{mary}/move");
    assert!(page(&la, &path).contains("Nothing that is logged shows it yet"), "an ask alone shows nothing");
    let kept = id(&la.json(&["ask", "answer", &ask, "kept"]).unwrap());
    let asked = page(&la, &path);
    assert!(asked.contains(&kept) && asked.contains("nora Diaz. Kept: bring two neighbours"), "{asked}");
    did(&post(&la, &path, &format!("to=leadership&evidence={kept}")), &format!("/people/{mary}?"), &mary);
    let moved = la.json(&["people", "history", &mary]).unwrap();
    assert_eq!(moved["events"].as_array().unwrap().last().unwrap()["how"], "up");
    assert!(column(&page(&la, "/ladder"), "leadership").contains("mary Brown"));
    la.run(&["people", "edit", &nora, "looked_after_by=ana"]).unwrap();
    let mine = page(&la, "/ladder?mine=1");
    assert!(mine.contains("nora Diaz") && !mine.contains("mary Brown"), "{mine}");
    assert!(column(&mine, "contact").contains("<span class=\"num\">1</span>"), "{mine}");
}

#[test]
fn a_one_to_one_and_what_was_asked_in_it_are_one_act() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let mary = add(&la, "mary", "Brown");
    let path = format!("/people/{mary}/one-to-one");
    assert_eq!(post(&la, "/asks/offers", "rung=contact&kind=come&text=").status, 422);
    assert_eq!(post(&la, "/asks/offers", "rung=contact&kind=come&text=Come+on+Tuesday").status, 303);
    assert_eq!(post(&la, "/asks/offers", "rung=commitment&kind=lead&text=Win+the+repairs").status, 303);
    let form = page(&la, &path);
    assert!(form.contains("Come on Tuesday") && form.contains("not due yet"), "{form}");
    assert!(!form.contains("Win the repairs"), "that is for another rung");

    let refused = post(&la, &path, "story=&next=&minutes=&offer=&due=2020-01-01&in_person=yes");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("Not logged: say how long") && refused.body.contains("value=\"2020-01-01\""));
    let later = today().plus_days(3);
    let held = post(
        &la,
        &path,
        &format!(
            "minutes=40&in_person=yes&who=lee&story=her+rent+doubled&capacity=two+evenings&offer=come%3ACome+on+Tuesday\
             &due=2020-01-01&answer=yes&next=meet+her+sister&next_on={later}"
        ),
    );
    let event = did(&held, &format!("/people/{mary}?"), &mary);
    let history = la.json(&["people", "history", &mary]).unwrap();
    let events: Vec<&Value> = history["events"].as_array().unwrap().iter().filter(|each| each["by"] == "lee").collect();
    let kinds: Vec<&str> = events.iter().map(|each| each["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["one_to_one", "ask", "answer"], "{history}");
    assert_eq!((&events[0]["id"], &events[0]["in_person"]), (&event.as_str().into(), &true.into()));
    assert_eq!((&events[1]["ask_kind"], &events[1]["rung"]), (&"come".into(), &"contact".into()));
    let ask = id(events[1]);
    let notes = la.json(&["note", "list", &mary]).unwrap().to_string();
    assert!(notes.contains("two evenings") && notes.contains("capacity") && !history.to_string().contains("evenings"));

    let asks = page(&la, "/asks");
    assert!(asks.contains("Come on Tuesday") && asks.contains("(overdue)") && asks.contains("said yes"), "{asks}");
    assert!(page(&la, &path).contains("0 of 1 kept, 1 not recorded"), "nobody has written what came of it");
    let answer = format!("ask={ask}&person={mary}&answer=kept&line=she+needs+a+lift");
    did(&post(&la, "/asks/answers", &answer), "/asks?", &mary);
    assert!(page(&la, &path).contains("1 of 1 kept"));
    assert!(!page(&la, "/asks").contains("said yes"), "it is open no more");
    la.run(&["ask", "add", &mary, "Come on Tuesday", "--kind", "come", "--due", "2020-01-01"]).unwrap();
    assert!(page(&la, &path).contains("1 of 2 kept, 1 not recorded"));
    assert!(page(&la, &format!("/people/{mary}")).contains("Learnt: she needs a lift"));

    let week = page(&la, "/one-to-ones?all=1");
    assert!(week.contains("lee 1") && week.contains("mary Brown") && week.contains("meet her sister"), "{week}");
    assert!(week.contains(&later.to_string()), "{week}");
    assert!(!page(&la, "/one-to-ones").contains("meet her sister"), "she is not in my care");
}

#[test]
fn planned_one_to_ones_are_a_calendar_file_with_nothing_private_in_it() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let zoe = add(
        &la,
        "zoe",
        "Zo\u{eb} Fern\u{e1}ndez; Garc\u{ed}a, who has a name that no line of a calendar file can hold by itself",
    );
    let nora = add(&la, "nora", "Diaz");
    la.run(&["people", "edit", &zoe, "looked_after_by=ana"]).unwrap();
    let later = today().plus_days(3).to_string();
    let log = |person: &str| {
        let log = [
            "one-to-one",
            "log",
            person,
            "--minutes",
            "20",
            "--story",
            "her landlord",
            "--next",
            "bring keys; call, too",
        ];
        id(&la.json(&[&log[..], &["--next-on", &later, "--capacity", "evenings"]].concat()).unwrap())
    };
    let (hers, _other) = (log(&zoe), log(&nora));
    let file = la.get("/one-to-ones.ics").unwrap();
    assert_eq!(file.status, 200, "{file:?}");
    assert_eq!(file.header("content-type"), Some("text/calendar; charset=utf-8"));
    let body = &file.body;
    assert!(body.ends_with("END:VCALENDAR\r\n") && !body.replace("\r\n", "").contains(['\r', '\n']), "{body:?}");
    assert!(body.split("\r\n").all(|line| line.len() <= 75), "{body:?}");
    let unfolded = body.replace("\r\n ", "");
    let lines: Vec<&str> = unfolded.split("\r\n").collect();
    assert_eq!(&lines[..2], ["BEGIN:VCALENDAR", "VERSION:2.0"]);
    assert_eq!(lines.iter().filter(|line| **line == "BEGIN:VEVENT").count(), 1, "nora is not in my care: {body}");
    let uid = format!("UID:{hers}");
    let day = format!("DTSTART;VALUE=DATE:{}", later.replace('-', ""));
    assert!(lines.contains(&uid.as_str()) && lines.contains(&day.as_str()), "{body}");
    assert!(lines.contains(&"DESCRIPTION:bring keys\\; call\\, too"), "{body}");
    let summary = lines.iter().find(|line| line.starts_with("SUMMARY:")).unwrap();
    assert!(
        summary.ends_with("Garc\u{ed}a\\, who has a name that no line of a calendar file can hold by itself"),
        "{summary}"
    );
    assert!(!body.contains("landlord") && !body.contains("evenings"), "{body}");
    assert_eq!(la.get("/one-to-ones.ics").unwrap().body, *body, "read again it is the same");
}

#[test]
fn the_same_by_command() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = network(directory.path());
    let mary = add(&la, "mary", "Brown");
    let log = ["one-to-one", "log", &mary, "--in-person", "--capacity", "two evenings", "--ask", "Win the repairs"];
    let rest = ["--kind", "lead", "--due", "2020-01-01", "--answer", "yes", "--at", "2020-03-04T18:00"];
    let held = id(&la.json(&[&log[..], &rest].concat()).unwrap());
    let listed = la.json(&["one-to-one", "list", "--from", "2020-03-04", "--to", "2020-03-04"]).unwrap();
    assert_eq!(
        (&listed["one_to_ones"][0]["id"], &listed["one_to_ones"][0]["name"]),
        (&held.into(), &"mary Brown".into())
    );
    let none = la.json(&["one-to-one", "list", "--from", "2020-03-05", "--to", "2020-03-06"]).unwrap();
    assert_eq!(none["one_to_ones"], Value::Array(Vec::new()));

    let open = la.json(&["ask", "list", "--open"]).unwrap();
    let ask = &open["asks"][0];
    let said = [&ask["text"], &ask["ask_kind"], &ask["due"], &ask["outcome"], &ask["person"]];
    assert_eq!(said, ["Win the repairs", "lead", "2020-01-01", "yes", mary.as_str()], "{open}");
    let lead = |listed: &Value| {
        listed["kinds"].as_array().unwrap().iter().find(|each| each["kind"] == "lead").unwrap().clone()
    };
    assert_eq!((&lead(&open)["due"], &lead(&open)["unrecorded"]), (&1.into(), &1.into()), "{open}");
    la.run(&["ask", "answer", &id(ask), "kept", "--line", "letters work, calls do not"]).unwrap();
    assert_eq!(la.json(&["ask", "list", "--open"]).unwrap()["asks"], Value::Array(Vec::new()));
    let all = la.json(&["ask", "list"]).unwrap();
    assert_eq!((&all["asks"][0]["outcome"], &lead(&all)["kept"]), (&"kept".into(), &1.into()), "{all}");
    assert!(la.run(&["ask", "list"]).unwrap().contains("Win the repairs"));
    let rungs = la.json(&["ladder", "list"]).unwrap();
    assert_eq!((&rungs["rungs"][0]["id"], &rungs["rungs"][0]["count"]), (&"contact".into(), &1.into()));
}
