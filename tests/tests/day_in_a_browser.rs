//! An organiser's day as a person does it, in a real browser: at both widths, with JavaScript and without. And every page
//! of both dashboards, looked at by axe-core; pictures of them are left in `target/screenshots`, for a person.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::{javascript, logins};

/// The four days: their names, the postal code whose people are theirs, the width, and whether scripts run.
const MODES: [(&str, &str, u32, bool); 4] = [
    ("wide", "90012", 1280, true),
    ("wide-without-script", "90013", 1280, false),
    ("narrow", "90014", 360, true),
    ("narrow-without-script", "90015", 360, false),
];
/// Each day's people: three whom it knows by name, and forty who are new.
const PEOPLE: usize = 43;
const KNOWN: [&str; 3] = ["Mary,Brown", "Jo,Park", "Rosa,Alvarez"];
const GIVEN: [&str; 20] = [
    "Ida", "Wen", "Lupe", "Tess", "Omar", "Dan", "Kofi", "Mei", "Ruth", "Sam", "Vera", "Nils", "Ines", "Abe", "Lin",
    "Zora", "Bea", "Uma", "Noor", "Ola",
];
const FAMILY: [&str; 9] = ["Okafor", "Chen", "Nguyen", "Silva", "Baker", "Haddad", "Moore", "Ito", "Garcia"];
/// Stands in each story that stays in the chapter.
const CANARY: &str = "alone at nineteen";

/// Who signed up: those who are known by name first, so that they wait longest.
fn sign_ups() -> String {
    let mut text = String::from("given_name,family_name,email,phone,postal_code,country\n");
    for nth in 0..PEOPLE {
        for (day, (_, code, _, _)) in MODES.iter().enumerate() {
            let made =
                || format!("{},{}", GIVEN[(nth * 7 + day) % GIVEN.len()], FAMILY[(nth * 5 + day) % FAMILY.len()]);
            let name = KNOWN.get(nth).map_or_else(made, |name| (*name).to_owned());
            let line = 1000 + nth * MODES.len() + day;
            let _ = writeln!(text, "{name},n{code}{nth:02}@example.org,213555{line},{code},US");
        }
    }
    text.push_str("Far,Away,far@example.org,,99501,US\nNo,Place,no@example.org,,,US\n");
    text
}

/// A hub that serves and two laptops of its chapter, of which none is served yet.
fn network(directory: &Path) -> (Node, Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Tenants United", "--country", "US"]).unwrap();
    std::fs::write(hub.data.join("config.toml"), "second_factor = \"optional\"\n").unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    let file = directory.join("people.csv");
    std::fs::write(&file, sign_ups()).unwrap();
    hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
    hub.serve().unwrap();
    let [la, two] = ["la", "two"].map(|name| {
        let laptop = Node::chapter(&directory.join(name));
        let invite = hub.run(&["invite", "la"]).unwrap();
        laptop.run(&["join", &invite, "--accept-statement"]).unwrap();
        laptop.run(&["sync"]).unwrap();
        laptop
    });
    (hub, la, two)
}

/// The people of a day.
fn people(la: &Node, code: &str) -> Vec<Value> {
    let listed = la.json(&["people", "list", "--query", code, "--limit", "100"]).unwrap();
    listed["people"].as_array().unwrap().clone()
}

fn named(people: &[Value], given_name: &str) -> String {
    let her = people.iter().find(|person| person["given_name"] == given_name).expect(given_name);
    her["id"].as_str().unwrap().to_owned()
}

/// Two laptops write different names while they are apart.
fn differ(hub: &Node, la: &Node, two: &Node, people: &[&str]) {
    for person in people {
        la.run(&["--by", "lee", "people", "edit", person, "family_name=Parker"]).unwrap();
        two.run(&["--by", "ana", "people", "edit", person, "family_name=Parks"]).unwrap();
    }
    for laptop in [la, two] {
        laptop.run(&["sync"]).unwrap();
    }
    until("the hub has folded", || Ok((hub.json(&["status"])?["unfolded"] == 0).then_some(()))).unwrap();
    la.run(&["sync"]).unwrap();
}

fn login(node: &Node, name: &str, role: &str) -> Value {
    json!({"name": name, "password": logins::add(node, name, role).unwrap()})
}

fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots")
}

/// What a day has left at the chapter, and what of it the network sees.
fn came_of(hub: &Node, la: &Node, mode: &Value) {
    let name = mode["name"].as_str().unwrap();
    let [mary, jo, rosa] = ["mary", "jo", "rosa"].map(|who| mode[who].as_str().unwrap());
    for node in [la, hub] {
        let history = node.json(&["people", "history", mary]).unwrap();
        let events = history["events"].as_array().unwrap();
        let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
        let results: Vec<&Value> = of("attempt").into_iter().map(|event| &event["result"]).collect();
        assert_eq!(results, ["no-answer", "talked"], "{name}: {history}");
        assert_eq!(of("attempt")[1]["line"], "wants to speak at the rent meeting", "{name}: {history}");
        let [talk, moved] = ["one_to_one", "move"].map(|kind| of(kind)[0].clone());
        assert_eq!((&talk["minutes"], &talk["by"]), (&45.into(), &"ana".into()), "{name}: {history}");
        assert_eq!((&moved["how"], &moved["evidence"]), (&"up".into(), &json!([talk["id"]])), "{name}: {history}");
        assert_eq!((of("one_to_one").len(), of("move").len()), (1, 1), "{name}: {history}");
        assert_eq!(node.json(&["people", "show", mary]).unwrap()["rung"], "conversation", "{name}");
        let settled = node.json(&["people", "show", jo]).unwrap();
        assert_eq!((&settled["family_name"], &settled["conflicts"]), (&"Parks".into(), &json!([])), "{name}");
        let away = node.json(&["people", "history", rosa]).unwrap();
        let tried = away["events"].as_array().unwrap().iter().find(|event| event["kind"] == "attempt").unwrap();
        assert_eq!(tried["line"], "said while nobody was there", "{name}: {away}");
    }
    // Mary, too, is ana's: she took her before.
    let mut care: BTreeMap<String, usize> = BTreeMap::new();
    for person in people(la, mode["code"].as_str().unwrap()) {
        if let Some(who) = person["looked_after_by"].as_str().filter(|_| person["id"] != mary) {
            *care.entry(who.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(care, [("ana".to_owned(), 20), ("lee".to_owned(), 20)].into(), "{name}: given out evenly");
}

#[test]
fn an_organisers_day_in_a_browser_at_both_widths_with_javascript_and_without() {
    let directory = TempDir::new().unwrap();
    let (mut hub, mut la, two) = network(directory.path());
    let modes = MODES.map(|(name, code, width, script)| {
        let people = people(&la, code);
        assert_eq!(people.len(), PEOPLE);
        let [mary, jo, rosa] = ["Mary", "Jo", "Rosa"].map(|given_name| named(&people, given_name));
        json!({"name": name, "code": code, "width": width, "script": script, "mary": mary, "jo": jo, "rosa": rosa})
    });
    // One more than the days settle: for the pictures.
    let far = named(&people(&la, "90015"), "Ida");
    let mut apart: Vec<&str> = modes.iter().map(|mode| mode["jo"].as_str().unwrap()).collect();
    apart.push(&far);
    differ(&hub, &la, &two, &apart);
    let silent = named(&people(&la, "90012"), "Tess");
    la.run(&["consent", "do-not-contact", &silent, "--because", "asked us at the door"]).unwrap();
    la.run(&["note", "add", modes[0]["mary"].as_str().unwrap(), "Her sister works nights: call after six."]).unwrap();
    let sheet = la.json(&["case", "new", "--title", "Rent freeze"]).unwrap()["number"].clone();
    let [ana, ada] = [("ana", "organiser"), ("ada", "administrator")].map(|(name, role)| login(&la, name, role));
    login(&la, "lee", "organiser");
    let nat = login(&hub, "nat", "administrator");
    la.serve().unwrap();

    let given = json!({
        "hub": hub.http(), "chapter": la.http(), "modes": modes, "screenshots": screenshots(),
        "logins": {"ana": ana, "ada": ada, "nat": nat},
        "pages": {"mary": modes[0]["mary"], "differs": far, "closed": silent, "code": "90012", "sheet": sheet},
    });
    let came = javascript::attended("day.mjs", &javascript::browser().unwrap(), &given, |wanted| match wanted {
        "stop the hub" => hub.stop(),
        "start the hub" => hub.serve(),
        other => anyhow::bail!("{other} can't be done"),
    });
    let came = came.unwrap();

    let tried = came["tried"].to_string();
    for found in ["color-contrast", "image-alt", "px wide"] {
        assert!(tried.contains(found), "what is wrong on purpose is found: {tried}");
    }
    let wrong = came["wrong"].as_array().unwrap();
    let words: Vec<&str> = wrong.iter().filter_map(Value::as_str).collect();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), words.join("\n"));
    assert!(came["looked"].as_u64() > Some(200), "every page was looked at: {}", came["looked"]);

    until("the hub has what was done while it was away", || {
        let heard = hub.run(&["state-hash", "--scope", "la"])? == la.run(&["state-hash"])?;
        Ok(heard.then_some(()))
    })
    .unwrap();
    for mode in &modes {
        came_of(&hub, &la, mode);
        let did = &came["did"][mode["name"].as_str().unwrap()];
        assert!(did["away"].as_str().unwrap().contains("waiting") && did["back"].is_string(), "{did}");
        assert_eq!(did["keys"].is_null(), mode["script"] == false, "{did}");
    }
    let actions = la.json(&["action", "list"]).unwrap();
    let turnouts: Vec<&Value> = actions["actions"].as_array().unwrap().iter().map(|action| &action["came"]).collect();
    assert_eq!(turnouts, [12; MODES.len()], "{actions}");
    assert!(la.files_contain(CANARY).unwrap() && !hub.files_contain(CANARY).unwrap(), "a story stays in the chapter");
    for node in [&hub, &la] {
        node.run(&["verify"]).unwrap();
    }
}
