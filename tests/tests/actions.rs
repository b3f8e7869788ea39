//! Actions: one for all nodes of a chapter and for its hub, by command, on pages without a script, and out of reach of others.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{DocId, Kind as DocumentKind, ScopeId, Timestamp};
use serde_json::Value;
use store::NodeKind;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::isolated::{EVE, Standing, World, first, next, record_at, why};
use tests::logins::Login;
use tests::peer::Peer;
use tests::peer::wire::RefusedWhy;
use tests::two_chapters::{exchange, same};

fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap()).date().to_string()
}

/// A hub that serves, and so many nodes of one chapter.
fn network<const N: usize>(directory: &Path, nodes: [&str; N]) -> (Node, [Node; N]) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let nodes = nodes.map(|name| {
        let node = Node::chapter(&directory.join(name));
        let invite = hub.run(&["invite", "la"]).unwrap();
        node.run(&["join", &invite, "--accept-statement"]).unwrap();
        node
    });
    (hub, nodes)
}

fn add(node: &Node, name: &str) -> String {
    node.run(&["people", "add", "--given-name", name, "--email", &format!("{name}@example.org")]).unwrap()
}

/// The only action of a node.
fn only(node: &Node) -> Value {
    let listed = node.json(&["action", "list"]).unwrap();
    let actions = listed["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "{listed}");
    actions[0].clone()
}

/// Asked, said yes, came, came unasked.
fn turnout(action: &Value) -> [u64; 4] {
    ["asked", "yes", "came", "came_unasked"].map(|word| action[word].as_u64().unwrap())
}

fn refused(node: &Node, arguments: &[&str], words: &str) {
    let outcome = node.try_run(arguments).unwrap();
    assert_eq!(outcome.code, 4, "{arguments:?}: {outcome:?}");
    assert!(outcome.stderr.contains(words) && outcome.stdout.is_empty(), "{arguments:?}: {outcome:?}");
}

#[test]
fn two_nodes_of_a_chapter_and_its_hub_have_one_action_and_who_came() {
    let directory = TempDir::new().unwrap();
    let (hub, [one, two]) = network(directory.path(), ["one", "two"]);
    let [mary, jo, sam] = ["mary", "jo", "sam"].map(|name| add(&one, name));
    assert!(one.run(&["action", "list"]).unwrap().contains("no actions yet"));
    let picnic =
        one.run(&["action", "add", "Picnic", "--on", &today(), "--place", "Elysian Park", "--tag", "Summer"]).unwrap();
    assert_eq!(one.run(&["action", "ask", &picnic, &mary[28..], &jo]).unwrap(), "asked: 2");
    assert_eq!(one.run(&["action", "ask", &picnic, &mary]).unwrap(), "asked: 0; entered before: 1");
    let history = one.json(&["people", "history", &mary]).unwrap();
    let ask = history["events"].as_array().unwrap().iter().find(|event| event["kind"] == "ask").unwrap().clone();
    assert_eq!((&ask["ask_kind"], &ask["action"]), (&"come".into(), &picnic.as_str().into()));
    one.run(&["ask", "answer", ask["id"].as_str().unwrap(), "yes"]).unwrap();
    assert_eq!(one.run(&["action", "came", &picnic[28..], &mary, &mary, &sam]).unwrap(), "came: 2; entered before: 1");
    let action = only(&one);
    assert_eq!(turnout(&action), [2, 1, 2, 1]);
    assert_eq!(
        (&action["name"], &action["tag"], &action["chapter"]),
        (&"Picnic".into(), &"summer".into(), &"la".into())
    );

    for node in [&one, &two] {
        exchange(&hub, node);
    }
    assert_eq!((only(&hub), only(&two)), (action.clone(), action));
    let shown = hub.json(&["action", "show", &picnic]).unwrap();
    let people = shown["people"].as_array().unwrap();
    assert_eq!(people.len(), 3, "{shown}");
    assert!(people.iter().any(|her| her["id"] == jo.as_str() && her["asked"] == true && her["came"] == false));
    // What shows that she came carries her up, also at the other node.
    let came = two.json(&["people", "history", &sam]).unwrap();
    let came = came["events"].as_array().unwrap().iter().find(|event| event["kind"] == "came").unwrap().clone();
    two.run(&["ladder", "move", &sam, "conversation", "--because", "talked at the picnic"]).unwrap();
    two.run(&["ladder", "move", &sam, "commitment", "--evidence", came["id"].as_str().unwrap()]).unwrap();

    // Apart, both write where it is, and both enter who came.
    one.run(&["action", "edit", &picnic, "place=Union Hall"]).unwrap();
    two.run(&["action", "edit", &picnic, "place=City Hall", "name=Big picnic"]).unwrap();
    two.run(&["action", "came", &picnic, &jo, &mary]).unwrap();
    one.run(&["action", "came", &picnic, &sam, "--undo"]).unwrap();
    for node in [&one, &two, &one] {
        exchange(&hub, node);
    }
    for node in [&hub, &one, &two] {
        let action = only(node);
        assert_eq!((turnout(&action), &action["name"]), ([2, 1, 2, 0], &"Big picnic".into()), "{action}");
        assert_eq!(action["conflicts"][0]["field"], "place");
        assert_eq!(action["conflicts"][0]["values"].as_array().unwrap().len(), 2, "both are there");
    }
    one.run(&["action", "edit", &picnic, "place=City Hall"]).unwrap();
    one.run(&["action", "cancel", &picnic]).unwrap();
    for node in [&one, &two] {
        exchange(&hub, node);
    }
    for node in [&hub, &one, &two] {
        let action = only(node);
        assert_eq!((&action["place"], &action["cancelled"]), (&"City Hall".into(), &true.into()));
        assert_eq!(action["conflicts"], Value::Array(Vec::new()));
    }
    same(&hub, &one, "la");
    same(&hub, &two, "la");
}

#[test]
fn what_can_not_be_is_refused_in_words_and_nothing_of_it_is_kept() {
    let directory = TempDir::new().unwrap();
    let (hub, [la]) = network(directory.path(), ["la"]);
    let mary = add(&la, "mary");
    refused(&hub, &["action", "add", "Picnic", "--on", &today()], "actions are a chapter's");
    refused(&la, &["action", "add", " ", "--on", &today()], "an action needs a name");
    refused(&la, &["action", "add", &"x".repeat(201), "--on", &today()], "too long");
    refused(&la, &["action", "came", "ffffffff", &mary], "there is no action");
    assert_eq!(la.try_run(&["action", "add", "Picnic", "--on", "Tuesday"]).unwrap().code, 2);
    let [far, past] = ["2199-05-01", "2020-05-01"].map(|day| la.run(&["action", "add", "March", "--on", day]).unwrap());
    refused(&la, &["action", "came", &far, &mary], "is entered on that day, or later");
    refused(&la, &["action", "ask", &past, &mary], "is over");
    refused(&la, &["action", "came", &past, &mary, "ffffffff"], "nobody with the id");
    refused(&la, &["action", "came", &past, &mary, "--undo"], "nobody has entered that she came");
    refused(&la, &["action", "edit", &past, "when=now"], "has no field");
    refused(&la, &["action", "show", &mary], "there is no action");
    la.run(&["action", "cancel", &far]).unwrap();
    refused(&la, &["action", "ask", &far, &mary], "is cancelled");
    la.run(&["action", "cancel", &far, "--undo"]).unwrap();
    let history = la.json(&["people", "history", &mary]).unwrap().to_string();
    assert!(!history.contains("came") && !history.contains("\"ask\""), "{history}");
    la.run(&["action", "came", &past, &mary]).unwrap();
    let history = la.json(&["people", "history", &mary]).unwrap().to_string();
    assert!(history.contains("2020-05-01T12:00:00"), "she came on its day: {history}");
}

#[test]
fn a_sign_in_sheet_is_entered_on_the_page_without_a_script() {
    let directory = TempDir::new().unwrap();
    let (_hub, [mut la]) = network(directory.path(), ["la"]);
    let (mary, maria) = (add(&la, "mary"), add(&la, "maria"));
    la.serve().unwrap();
    let post = |path: &str, form: &str| la.login().unwrap().post(la.http(), path, form).unwrap();
    assert!(la.get("/actions").unwrap().body.contains("Add the first one above"), "it says how to start");
    let nameless = post("/actions", &format!("name=&on={}", today()));
    assert!(nameless.status == 422 && nameless.body.contains("say what the action is called"), "{nameless:?}");
    let made = post("/actions", &format!("name=Clinic+picket&on={}&place=City+Hall", today()));
    assert_eq!(made.status, 303, "{made:?}");
    let page = made.header("location").unwrap().to_owned();
    let id = page.strip_prefix("/actions/").unwrap().to_owned();
    assert!(la.get("/actions").unwrap().body.contains("Clinic picket"));

    // The first letters, by the form; what a script fetches is the same without the page around it.
    let found = la.get(&format!("{page}?query=mar")).unwrap().body;
    assert!(found.contains(&mary) && found.contains(&maria) && found.contains("<html"), "{found}");
    let part = la.get(&format!("{page}/find?query=mary")).unwrap().body;
    assert!(part.contains(&mary) && !part.contains(&maria) && !part.contains("<html"), "{part}");
    assert_eq!(post(&format!("{page}/asks"), &format!("person={maria}")).status, 303);
    assert_eq!(post(&format!("{page}/answers"), &format!("person={maria}&answer=yes")).status, 303);
    let unasked = post(&format!("{page}/answers"), &format!("person={mary}&answer=yes"));
    assert!(unasked.status == 422 && unasked.body.contains("she was not asked"), "{unasked:?}");
    let came = post(&format!("{page}/came"), &format!("person={mary}"));
    assert!(
        came.status == 303 && came.header("location").unwrap().ends_with("#sign-in"),
        "the next name follows: {came:?}"
    );
    let history = la.get(&format!("/people/{mary}")).unwrap().body;
    assert!(history.contains("Came to Clinic picket"), "{history}");

    // Nobody fits: she is added on the way, and came.
    let nobody = la.get(&format!("{page}?query=Zoe+New")).unwrap().body;
    assert!(nobody.contains("Nobody fits Zoe New") && nobody.contains("value=\"Zoe\""), "{nobody}");
    let known = post(&format!("{page}/newcomer"), "given_name=Zoe&email=mary%40example.org");
    assert!(known.status == 422 && known.body.contains("is here already"), "{known:?}");
    let new = post(&format!("{page}/newcomer"), "given_name=Zoe&family_name=New&phone=213-555-0142");
    assert_eq!(new.status, 303, "{new:?}");
    assert_eq!(turnout(&only(&la)), [1, 1, 2, 2]);
    let listed = la.get("/api/v1/actions").unwrap().json().unwrap();
    assert_eq!((&listed["actions"][0]["id"], turnout(&listed["actions"][0])), (&id.as_str().into(), [1, 1, 2, 2]));
    let zoe = la.json(&["people", "list", "--query", "zoe"]).unwrap()["people"][0]["id"].as_str().unwrap().to_owned();
    assert!(la.get(&page).unwrap().body.contains(&zoe));

    // Each entry can be taken back, and what was corrected meanwhile is not written over.
    assert_eq!(post(&format!("{page}/not_came"), &format!("person={zoe}")).status, 303);
    assert_eq!(turnout(&only(&la)), [1, 1, 1, 1]);
    assert_eq!(post(&format!("{page}/fields"), "name=Clinic+march&was_name=Clinic+picket").status, 303);
    let late = post(&format!("{page}/fields"), "name=Clinic+vigil&was_name=Clinic+picket");
    assert!(late.status == 422 && late.body.contains("was changed meanwhile"), "{late:?}");
    assert_eq!(post(&format!("{page}/cancel"), "").status, 303);
    assert!(la.get(&page).unwrap().body.contains("This action is cancelled"));
    assert_eq!(only(&la)["name"], "Clinic march");

    let [reader, caller] = ["reader", "caller"].map(|role| Login::new(&la, role, role).unwrap());
    let seen = reader.get(la.http(), &page).unwrap();
    assert!(seen.status == 200 && !seen.body.contains("Sign-in from paper"), "{seen:?}");
    assert_eq!(caller.get(la.http(), &page).unwrap().status, 403);
    for login in [&reader, &caller] {
        assert_eq!(login.post(la.http(), &format!("{page}/came"), &format!("person={maria}")).unwrap().status, 403);
    }
    assert_eq!(turnout(&only(&la)), [1, 1, 1, 1]);
}

#[test]
fn g9_another_chapters_action_is_out_of_reach() {
    let mut world = World::assemble();
    let theirs = world.cast.honest.run(&["action", "add", "Picnic", "--on", "2026-12-01"]).unwrap();
    until("the hub has it", || {
        let listed = world.cast.hub.json(&["action", "list"])?;
        Ok((listed["actions"][0]["id"] == theirs.as_str()).then_some(()))
    })
    .unwrap();
    world.before = Standing::of(&world.cast);
    let theirs: DocId = theirs.parse().unwrap();
    let mut record = record_at(&world.cast.hub, NodeKind::Hub, theirs);
    let mut peer = Peer::greeted(&world.cast);
    let (scope, network) = (peer.scope.clone(), ScopeId::NETWORK.as_bytes().to_vec());
    let new = |nth: u8| {
        let id = DocId::from_bytes([nth; 16]);
        (id, first(id, DocumentKind::Action, EVE))
    };
    let written = next(&mut record, "Mallory");
    let refused = peer.feed(&scope, vec![(theirs, written.clone())]);
    assert_eq!(why(&refused), [(1, RefusedWhy::NotYours)]);
    let refused = peer.feed(&network, vec![(theirs, written), new(0x61)]);
    assert_eq!(why(&refused), [(1, RefusedWhy::NotYours), (2, RefusedWhy::NotYours)]);
    // One of its own is its own.
    assert!(peer.feed(&scope, vec![new(0x62)]).is_empty());
    until("the hub has both", || {
        let listed = world.cast.hub.json(&["action", "list"])?;
        let rows = listed["actions"].as_array().cloned().unwrap_or_default();
        let chapters: Vec<Option<&str>> = rows.iter().map(|row| row["chapter"].as_str()).collect();
        Ok((chapters == [Some("honest"), Some("hostile")]).then_some(()))
    })
    .unwrap();
    assert_eq!(only(&world.cast.honest)["name"], "Picnic");
    world.stands(&[&peer], &["not its own"]);
}
