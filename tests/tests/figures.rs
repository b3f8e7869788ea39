//! Figures, the case on paper, leaders and stepping down, as a chapter's people and scripts meet them.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::Node;
use tests::logins::Login;
use tests::two_chapters;

/// A chapter that serves, beside a hub that keeps quiet.
fn chapter(directory: &Path) -> (Node, Node) {
    let (hub, mut la, _sf) = two_chapters::network(directory);
    la.serve().unwrap();
    (hub, la)
}

fn add(la: &Node, name: &str) -> String {
    let email = format!("{name}@example.org");
    let shown = ["people", "add", "--given-name", name, "--email", &email, "--postal-code", "90012"];
    la.run(&shown).unwrap()
}

fn talk(la: &Node, id: &str) -> String {
    la.run(&["one-to-one", "log", id, "--minutes", "20", "--ask", "bring two neighbours", "--by", "ana"]).unwrap()
}

/// Somebody is asked, and does it; gives the event that says so.
fn keeps(la: &Node, id: &str, kind: &str) -> String {
    let ask = la.run(&["ask", "add", id, "bring two neighbours", "--kind", kind, "--by", "ana"]).unwrap();
    la.run(&["ask", "answer", &ask, "kept"]).unwrap()
}

fn figure<'a>(metrics: &'a Value, name: &str) -> &'a Value {
    &metrics["figures"][name]["value"]
}

/// Mary climbs to leadership by what Nora keeps, whom she develops.
fn climb(la: &Node) -> (String, String) {
    let (mary, nora) = (add(la, "mary"), add(la, "nora"));
    let shown = [talk(la, &mary), keeps(la, &mary, "task")];
    for (rung, event) in ["conversation", "commitment"].iter().zip(&shown) {
        la.run(&["ladder", "move", &mary, rung, "--evidence", event]).unwrap();
    }
    la.run(&["people", "edit", &nora, &format!("developed_by={mary}")]).unwrap();
    let kept = keeps(la, &nora, "lead");
    la.run(&["ladder", "move", &mary, "leadership", "--evidence", &kept]).unwrap();
    (mary, nora)
}

#[test]
fn figures_say_what_they_count_as_of_when_and_against_what() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = chapter(directory.path());
    let empty = la.json(&["metrics"]).unwrap();
    assert_eq!((figure(&empty, "list"), figure(&empty, "kept_rate")), (&0.into(), &Value::Null));
    let (mary, _nora) = climb(&la);
    let others = ["ola", "pia"].map(|name| add(&la, name));
    talk(&la, &others[0]);
    la.run(&["ask", "add", &others[1], "call back", "--due", "2020-01-01", "--by", "ana"]).unwrap();

    let metrics = la.json(&["metrics"]).unwrap();
    let four = ["list", "base", "committed", "leaders"].map(|name| figure(&metrics, name).clone());
    assert_eq!(four, [4, 2, 1, 1].map(Value::from), "{metrics}");
    let moved = ["moved_up", "moved_down", "skips"].map(|name| figure(&metrics, name).clone());
    assert_eq!(moved, [3, 0, 0].map(Value::from));
    assert_eq!(figure(&metrics, "kept_rate"), &Value::from(66), "two of three that are due");
    assert_eq!(
        (figure(&metrics, "unrecorded"), &metrics["figures"]["kept_rate"]["doubtful"]),
        (&33.into(), &true.into())
    );
    assert_eq!(figure(&metrics, "held_in_full"), &100);
    let waited = &metrics["figures"]["first_attempt_hours"];
    assert!(waited["value"].as_f64().is_some_and(|hours| hours < 1.0), "half of four were tried at once: {waited}");
    assert!(waited["beside"].as_str().is_some_and(|words| words.starts_with("2 of 4 tried")), "{waited}");
    assert_eq!(metrics["chapter"], "la");
    let words = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md")).unwrap();
    for (name, figure) in metrics["figures"].as_object().unwrap() {
        assert_eq!(figure["as_of"], metrics["as_of"], "{name}");
        assert!(figure["counts"].as_str().is_some_and(|counts| counts.len() > 20), "{name}");
        assert!(words.contains(&format!("`{name}`")), "docs/METRICS.md does not define {name}");
    }
    let before = la.json(&["metrics", "--from", "2020-01-01", "--to", "2020-01-31"]).unwrap();
    assert_eq!((figure(&before, "moved_up"), figure(&before, "list")), (&0.into(), &4.into()), "the four are of now");
    assert_eq!(la.try_run(&["metrics", "--from", "2026-02-01", "--to", "2026-01-01"]).unwrap().code, 4);
    assert_eq!(la.try_run(&["metrics", "--to", "2026-01-01"]).unwrap().code, 2);

    let page = la.get("/figures").unwrap();
    assert_eq!(page.status, 200);
    for shown in ["the network has not said yet", "role=\"img\"", "The ladder as a table", "too much is not recorded"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    assert!(!page.body.contains("style=") && !page.body.contains(&mary), "no inline style, and nobody by her id");

    let leaders = la.get("/leaders").unwrap();
    assert!(leaders.status == 200 && leaders.body.contains("Asks to lead: 1, tasks: 4"), "{}", leaders.body);
}

#[test]
fn a_sheet_that_was_kept_says_the_same_for_ever_and_tells_no_small_number() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = chapter(directory.path());
    let ids = ["ada", "bea", "cleo", "dora", "ella", "fay"].map(|name| add(&la, name));
    ids.iter().take(5).for_each(|id| drop(talk(&la, id)));
    let number = la.run(&["case", "new", "--title", "Rent freeze", "--area", "900"]).unwrap();
    assert_eq!(number, "1");
    let shown = || la.run(&["case", "show", "1", "--json"]).unwrap();
    let kept = shown();
    let sheet: Value = serde_json::from_str(&kept).unwrap();
    let cells = sheet["sheet"]["numbers"].as_array().unwrap();
    let values: Vec<&str> = cells.iter().filter_map(|cell| cell["value"].as_str()).collect();
    assert_eq!(values, ["6", "5", "fewer than 5", "fewer than 5"]);
    assert_eq!(cells[1]["share"], "83 % of list");
    assert!(cells.iter().all(|cell| cell["counts"].as_str().is_some_and(|words| !words.is_empty())), "{kept}");

    let page = |path: &str| la.get(path).unwrap();
    let on_paper = |body: &str| {
        let from = body.find("<article").unwrap();
        body[from..body.find("</article>").unwrap()].to_owned()
    };
    let before = on_paper(&page("/case/1").body);
    assert!(before.contains("fewer than 5") && before.contains("No action is recorded"), "{before}");
    for name in ["bea", "cleo", "fay"] {
        assert!(!kept.contains(&format!("{name}@")) && !before.contains(name), "{name} is on the sheet");
    }
    add(&la, "gina");
    assert_eq!((shown(), on_paper(&page("/case/1").body)), (kept, before), "she came after it was kept");

    let ana = la.login().unwrap();
    let drawn = page("/case?area=900&draw=1").body;
    assert!(drawn.contains(">7</td>") && drawn.contains("Keep it"), "{drawn}");
    let answer = ana.post(la.http(), "/case", "title=Clinic&area=941&tag=").unwrap();
    assert_eq!((answer.status, answer.header("location")), (303, Some("/case/2")));
    assert!(page("/case/2").body.contains("postal codes that begin with 941"));
    assert_eq!(ana.post(la.http(), "/case", "title=&area=900").unwrap().status, 422);
    assert_eq!(page("/case/9").status, 404);
    assert_eq!(la.json(&["case", "list"]).unwrap()["cases"].as_array().unwrap().len(), 2);
    assert_eq!(la.try_run(&["case", "show", "9"]).unwrap().code, 4);
    for n in 0..5 {
        let email = format!("tenant{n}@example.org");
        la.run(&["people", "add", "--given-name", "Tess", "--email", &email, "--tags", "tenant"]).unwrap();
    }
    let picket = la.run(&["action", "add", "Picket", "--on", "2020-01-01", "--tag", "rent"]).unwrap();
    la.run(&["action", "add", "March", "--on", "2020-02-01", "--tag", "clinic"]).unwrap();
    let came: Vec<&str> =
        ["action", "came", &picket].into_iter().chain(ids.iter().take(5).map(String::as_str)).collect();
    la.run(&came).unwrap();
    la.run(&["case", "new", "--title", "Tenants", "--tag", "tenant", "--actions", "rent"]).unwrap();
    let tenants = la.json(&["case", "show", "3"]).unwrap();
    let actions = tenants["sheet"]["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "the other one has another tag: {tenants}");
    assert_eq!((&actions[0]["came"], &actions[0]["asked"]), (&"5".into(), &"fewer than 5".into()));
    assert_eq!(tenants["sheet"]["next"], Value::Null);
    assert_eq!(tenants["sheet"]["numbers"][0]["value"], "5", "a tag that stays in the chapter is its own, too");
}

/// Whom a login looks after.
fn mine(la: &Node, login: &str) -> usize {
    la.json(&["people", "list", "--mine", login]).unwrap()["people"].as_array().unwrap().len()
}

#[test]
fn whoever_steps_down_hands_on_her_people_and_asks_and_can_not_log_in_any_more() {
    let directory = TempDir::new().unwrap();
    let (_hub, la) = chapter(directory.path());
    let [admin, lee] = [("kim", "administrator"), ("lee", "organiser")].map(|(n, r)| Login::new(&la, n, r).unwrap());
    let ana = la.login().unwrap();
    let people = ["mary", "nora", "ola"].map(|name| add(&la, name));
    for id in &people {
        la.run(&["people", "edit", id, "looked_after_by=ana"]).unwrap();
    }
    let (asked, own) = (add(&la, "pia"), add(&la, "anna"));
    la.run(&["ask", "add", &asked, "call the landlord", "--by", "ana"]).unwrap();
    assert_eq!(ana.post(la.http(), "/account/record", &format!("person={own}")).unwrap().status, 303);

    let post = |who: &Login, form: &str| who.post(la.http(), "/stepping-down", form).unwrap();
    let page = admin.get(la.http(), "/stepping-down?login=ana").unwrap();
    assert!(page.status == 200 && page.body.contains("4 people are handed on"), "{}", page.body);
    assert!(page.body.contains("1 open ask") && page.body.contains("call the landlord"), "{}", page.body);
    assert_eq!(lee.get(la.http(), "/stepping-down?login=ana").unwrap().status, 403, "not for somebody else");
    assert_eq!(post(&lee, "login=ana&to=lee&sure=yes").status, 403);
    let rae = Login::new(&la, "rae", "reader").unwrap();
    assert_eq!(post(&rae, "sure=yes").status, 403, "who writes nothing hands nobody on");
    for (who, shown) in [(&rae, false), (&lee, true)] {
        for path in ["/figures", "/leaders"] {
            let page = who.get(la.http(), path).unwrap();
            assert_eq!((page.status, page.body.contains("href=\"/stepping-down\"")), (200, shown), "{path}");
        }
    }
    for refused in
        ["login=ana&to=lee", "login=ana&sure=yes", "login=ana&to=nobody&sure=yes", "login=ana&to=ana&sure=yes"]
    {
        assert_eq!(post(&admin, refused).status, 422, "{refused}");
    }
    assert_eq!((mine(&la, "ana"), mine(&la, "lee")), (3, 0), "nothing of what was refused was done");

    let done = post(&admin, "login=ana&to=lee&to=kim&sure=yes&thanks=Eight+years");
    assert_eq!(done.status, 200, "{done:?}");
    for said in ["Handed on: 4 people", "The login has ended", "The thanks stand on her own page", "call the landlord"]
    {
        assert!(done.body.contains(said), "{said}: {}", done.body);
    }
    assert_eq!((mine(&la, "ana"), mine(&la, "lee"), mine(&la, "kim")), (0, 2, 2));
    assert_eq!(ana.get(la.http(), "/").unwrap().status, 303, "she is logged out");
    assert!(!la.json(&["user", "list"]).unwrap().to_string().contains("\"ana\""));
    let notes = la.json(&["note", "list", &own]).unwrap().to_string();
    assert!(notes.contains("Role as organiser ended") && notes.contains("with thanks. Eight years"), "{notes}");

    let given = done.body.split("name=\"given\" value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let given: Vec<String> = given.map(|value| format!("given={}", value.replace('/', "%2F"))).collect();
    assert_eq!(given.len(), 4);
    let back = admin.post(la.http(), "/stepping-down/undo", &given.join("&")).unwrap();
    assert!(back.status == 200 && back.body.contains("4 of 4 people"), "{back:?}");
    assert_eq!((mine(&la, "ana"), mine(&la, "lee"), mine(&la, "kim")), (3, 0, 0));

    let last = post(&admin, "login=kim&sure=yes");
    assert!(last.status == 200 && last.body.contains("last administrator"), "{last:?}");
    assert_eq!(admin.get(la.http(), "/stepping-down").unwrap().status, 200, "she is still there");
}
