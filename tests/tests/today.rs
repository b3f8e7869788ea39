//! An evening of calls, at a chapter's pages and by command: who is called, who looks after whom, what is due, and taking
//! back what was wrongly logged.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::Node;
use tests::http::{self, Answer};
use tests::logins::Login;

/// Long ago: whatever is due on it is overdue.
const LONG_AGO: &str = "2020-01-02";

/// A chapter that serves, without its hub.
fn chapter(directory: &Path, config: &str) -> Node {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let mut la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    hub.stop().unwrap();
    std::fs::write(la.data.join("config.toml"), config).unwrap();
    la.serve().unwrap();
    la
}

fn add(la: &Node, name: &str, more: &[&str]) -> String {
    let email = format!("{name}@example.org");
    la.run(&[["people", "add", "--given-name", name, "--email", &email].as_slice(), more].concat()).unwrap()
}

/// Posts a form as a browser does.
fn post(la: &Node, who: &Login, path: &str, form: &str) -> Answer {
    let origin = format!("http://{}", la.http());
    let headers = [
        ("Cookie", who.cookie.as_str()),
        ("Origin", origin.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    http::send(la.http(), "POST", path, &headers, form.as_bytes()).unwrap()
}

/// Where an act leads back to.
fn led_to(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap()
}

fn page(la: &Node, who: &Login, path: &str) -> String {
    let answer = who.get(la.http(), path).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn today(la: &Node) -> Value {
    la.json(&["today"]).unwrap()
}

/// Who is in a list, in its order.
fn ids(today: &Value, list: &str) -> Vec<String> {
    today[list].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Who looks after somebody.
fn care(la: &Node, id: &str) -> Value {
    la.json(&["people", "show", id]).unwrap()["looked_after_by"].clone()
}

/// The event that the notice on a page offers to take back.
fn offered(la: &Node, who: &Login, at: &str) -> String {
    let shown = page(la, who, at);
    let form = shown.split("class=\"notice\"").nth(1).expect("a notice").split("</form>").next().unwrap();
    form.split("name=\"event\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn whom_an_organiser_takes_is_hers_to_call_and_an_attempt_is_taken_back_by_its_notice() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "");
    let (mary, nora) = (add(&la, "mary", &[]), add(&la, "nora", &[]));
    let ana = Login::new(&la, "ana", "organiser").unwrap();
    let all = page(&la, &ana, "/");
    assert!(all.contains("mary") && all.contains("nora") && all.contains("You look after nobody yet"), "{all}");
    assert_eq!(ids(&today(&la), "new"), [mary.as_str(), nora.as_str()], "who has waited longest is first");

    let taken = post(&la, &ana, &format!("/people/{mary}/care"), "who=ana&on=2030-01-01&back=%2F%3Fwhose%3Dchapter");
    let back = led_to(&taken).to_owned();
    assert!(back.starts_with(&format!("/?whose=chapter&did={mary}:")), "{back}");
    assert!(page(&la, &ana, &back).contains("Looked after by ana: mary"), "what was done is said");
    // Another one's page still shows that nobody looks after her.
    let lee = Login::new(&la, "lee", "organiser").unwrap();
    let late = post(&la, &lee, &format!("/people/{mary}/care"), "who=lee&was=&on=2030-01-01");
    assert!(late.status == 422 && late.body.contains("ana has taken her meanwhile"), "{late:?}");
    assert_eq!(care(&la, &mary), "ana");
    let mine = page(&la, &ana, "/");
    assert!(mine.contains("mary") && !mine.contains("nora"), "{mine}");
    let told = la.json(&["today", "--mine", "ana"]).unwrap();
    assert_eq!((ids(&told, "new"), ids(&told, "follow_ups")), (vec![mary.clone()], vec![]), "{told}");

    let log = |form: &str| post(&la, &ana, &format!("/people/{mary}/attempts"), form);
    log(&format!("how=call&result=talked&next_on={LONG_AGO}"));
    log("how=call&result=no-answer");
    let told = today(&la);
    assert_eq!((ids(&told, "new"), ids(&told, "follow_ups")), (vec![nora], vec![mary.clone()]), "{told}");
    let row = &told["follow_ups"][0];
    assert_eq!(
        (&row["due"]["on"], &row["due"]["why"], &row["due"]["by"]),
        (&LONG_AGO.into(), &"contact".into(), &"ana".into())
    );
    assert_eq!(row["tried"]["result"], "no-answer", "the last try stands beside what is due");
    assert!(page(&la, &ana, "/").contains("days overdue"));

    // Back on the page where it was logged, and only on a page of this node.
    let spoken = log("how=call&result=talked&back=%2F%3Fwhose%3Dmine");
    let elsewhere = log("how=call&result=talked&back=%2F%2Fevil.example");
    assert!(led_to(&elsewhere).starts_with("/?did="), "{elsewhere:?}");
    assert!(ids(&today(&la), "follow_ups").is_empty(), "they talked, and nothing was agreed");
    for answer in [&spoken, &elsewhere] {
        let event = offered(&la, &ana, led_to(answer));
        let form = format!("event={event}&back=%2F%3Fwhose%3Dmine");
        assert_eq!(led_to(&post(&la, &ana, &format!("/people/{mary}/undo"), &form)), "/?whose=mine");
        assert_eq!(post(&la, &ana, &format!("/people/{mary}/undo"), &form).status, 422, "it was taken back already");
    }
    assert_eq!(ids(&today(&la), "follow_ups"), [mary.as_str()], "as if it had never been logged");
    let later = post(&la, &ana, &format!("/people/{mary}/care"), "on=2030-01-01");
    assert!(led_to(&later).starts_with(&format!("/people/{mary}?did=")), "{later:?}");
    assert!(ids(&today(&la), "follow_ups").is_empty(), "put off");
    assert_eq!(care(&la, &mary), "ana", "with whom she was");
}

#[test]
fn a_caller_takes_back_only_what_she_logged_herself() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "");
    let mary = add(&la, "mary", &[]);
    la.run(&["people", "care", &mary, "--who", "cal"]).unwrap();
    let by_command = la.run(&["attempt", "log", &mary, "--how", "door", "--result", "no-answer"]).unwrap();
    let cal = Login::new(&la, "cal", "caller").unwrap();
    let undo = |event: &str| post(&la, &cal, &format!("/people/{mary}/undo"), &format!("event={event}")).status;
    assert_eq!(undo(&by_command), 403);
    let hers = post(&la, &cal, &format!("/people/{mary}/attempts"), "how=call&result=no-answer&back=%2F");
    assert_eq!(undo(&offered(&la, &cal, led_to(&hers))), 303);
    assert!(page(&la, &cal, "/").contains("Last tried by"), "what somebody else logged stands");
    la.run(&["undo", &by_command]).unwrap();
    assert_eq!(ids(&today(&la), "new"), [mary.as_str()], "nobody has tried any more");
    let again = la.try_run(&["undo", &by_command]).unwrap();
    assert_eq!(again.code, 4, "{again:?}");
}

#[test]
fn people_are_given_out_evenly_by_place_and_taken_back_in_one_act() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "");
    let homes = [("abel", "90001"), ("carl", "91001"), ("bert", "90002"), ("dora", "91002")];
    let people = homes.map(|(name, code)| add(&la, name, &["--postal-code", code]));
    let looked_after = || people.each_ref().map(|id| care(&la, id));
    let ana = Login::new(&la, "ana", "organiser").unwrap();
    let chosen = people.each_ref().map(|id| format!("person={id}")).join("&");
    let by_place = post(&la, &ana, "/give-out", &format!("{chosen}&who=ana&others=+Kim+&split=place&back=%2F"));
    assert_eq!(looked_after(), ["ana", "Kim", "ana", "Kim"], "neighbours together");
    let notice = page(&la, &ana, led_to(&by_place));
    assert!(notice.contains("4 people given out") && notice.contains("name=\"batch\" value=\"1\""), "{notice}");
    assert_eq!(led_to(&post(&la, &ana, "/give-out/undo", "batch=1&back=%2F")), "/");
    assert_eq!(looked_after(), [Value::Null, Value::Null, Value::Null, Value::Null]);
    assert_eq!(post(&la, &ana, "/give-out/undo", "batch=1").status, 422, "it was taken back already");
    assert_eq!(post(&la, &ana, "/give-out", &chosen).status, 422, "to nobody");
    assert_eq!(post(&la, &ana, "/give-out", "who=ana").status, 422, "nobody was chosen");

    let [abel, carl, bert, dora] = people.each_ref().map(String::as_str);
    let command = ["people", "care", abel, carl, bert, dora, "--who", "lee", "--who", "kim"];
    let given = la.json(&command).unwrap();
    let to: Vec<&str> = given["given"].as_array().unwrap().iter().map(|row| row["who"].as_str().unwrap()).collect();
    assert_eq!(to, ["lee", "kim", "lee", "kim"]);
    assert_eq!(la.json(&["today", "--mine", "lee"]).unwrap()["counts"]["new"], 2);
}

#[test]
fn whoever_opens_a_number_holds_it_until_she_logs_what_came_of_it() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "");
    let mary = add(&la, "mary", &["--phone", "+12135550142"]);
    let (ana, lee) = (Login::new(&la, "ana", "organiser").unwrap(), Login::new(&la, "lee", "organiser").unwrap());
    let call = format!("/people/{mary}/call");
    assert!(page(&la, &lee, "/").contains("+12135550142"), "a number is there for everybody");
    assert_eq!(led_to(&post(&la, &ana, &call, "back=%2F")), "/");
    let hers = page(&la, &ana, "/");
    assert!(hers.contains("You are calling") && hers.contains("href=\"tel:+12135550142\""), "{hers}");
    assert!(!hers.contains("ana is calling"), "{hers}");
    for path in ["/", &format!("/people/{mary}")] {
        assert!(page(&la, &lee, path).contains("ana is calling, for another"), "{path}");
    }
    assert_eq!(led_to(&post(&la, &lee, &call, "back=%2F")), format!("/?held={mary}"), "he is told whose it is");
    assert!(page(&la, &lee, "/").contains("Call anyway"), "and can call all the same");
    assert!(page(&la, &ana, "/").contains("You are calling"), "it stays hers");
    post(&la, &ana, &format!("/people/{mary}/attempts"), "how=call&result=no-answer");
    for path in ["/", &format!("/people/{mary}")] {
        assert!(!page(&la, &lee, path).contains("is calling"), "{path}");
    }
}

#[test]
fn whom_nobody_may_contact_is_on_no_list_until_an_administrator_lifts_it() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "");
    let mary = add(&la, "mary", &[]);
    la.run(&["ask", "add", &mary, "come on Tuesday", "--due", LONG_AGO]).unwrap();
    let told = today(&la);
    assert_eq!((ids(&told, "new"), ids(&told, "follow_ups")), (vec![mary.clone()], vec![mary.clone()]), "{told}");
    la.run(&["consent", "do-not-contact", &mary, "--because", "asked us at the door"]).unwrap();
    let told = today(&la);
    assert_eq!((ids(&told, "new"), ids(&told, "follow_ups")), (vec![], vec![]), "{told}");
    let (ana, root) = (Login::new(&la, "ana", "organiser").unwrap(), Login::new(&la, "root", "administrator").unwrap());
    assert!(page(&la, &ana, &format!("/people/{mary}")).contains("on no list to call"));
    let act = format!("/people/{mary}/do_not_contact");
    assert_eq!(post(&la, &ana, &act, "do=lift&because=wrote+to+us").status, 403);
    assert_eq!(post(&la, &root, &act, "do=lift").status, 422, "without a reason");
    assert_eq!(post(&la, &root, &act, "do=lift&because=wrote+to+us").status, 303);
    assert_eq!(ids(&today(&la), "new"), [mary.as_str()]);
    assert_eq!(post(&la, &ana, &act, "do=set&because=asked+again").status, 303);
    assert!(ids(&today(&la), "new").is_empty());
    la.run(&["consent", "do-not-contact", &mary, "--because", "wrote to us", "--lift"]).unwrap();
    assert_eq!(ids(&today(&la), "follow_ups"), [mary.as_str()]);
}

#[test]
fn what_was_kept_and_held_counts_against_the_goals_of_the_settings() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "one_to_ones_a_week = 3\nquiet_after_days = 30\n");
    let mary = add(&la, "mary", &[]);
    let ask = la.run(&["ask", "add", &mary, "come on Tuesday", "--due", LONG_AGO]).unwrap();
    let told = today(&la);
    let due = &told["follow_ups"][0]["due"];
    assert_eq!((&due["why"], &due["what"]), (&"ask".into(), &"asked: come on Tuesday".into()));
    let ana = Login::new(&la, "ana", "organiser").unwrap();
    assert!(page(&la, &ana, "/").contains("name=\"answer\" value=\"kept\""));
    let kept = post(&la, &ana, &format!("/people/{mary}/answers"), &format!("ask={ask}&answer=kept&back=%2F"));
    assert!(page(&la, &ana, led_to(&kept)).contains("Answer logged: mary"));
    la.run(&["one-to-one", "log", &mary, "--minutes", "40", "--by", "ana"]).unwrap();
    let told = today(&la);
    assert_eq!((ids(&told, "ready"), ids(&told, "follow_ups")), (vec![mary.clone()], vec![]), "{told}");
    assert_eq!((&told["one_to_ones"]["count"], &told["one_to_ones"]["goal"]), (&1.into(), &3.into()), "{told}");
    assert_eq!(told["one_to_ones"]["held"][0]["by"], "ana");
    assert_eq!(la.json(&["today", "--mine", "lee"]).unwrap()["one_to_ones"]["count"], 0, "they were not his");
    assert!(page(&la, &ana, "/").contains("talked with them in 30 days"), "the setting stands on the page");
    std::fs::write(la.data.join("config.toml"), "one_to_ones_a_week = 0\n").unwrap();
    assert_eq!(la.try_run(&["today"]).unwrap().code, 4, "a goal of none is refused");
}

#[test]
fn a_chapter_with_nobody_yet_is_told_what_will_be_here() {
    let directory = TempDir::new().unwrap();
    let la = chapter(directory.path(), "");
    let told = today(&la);
    for list in ["new", "follow_ups", "ready", "quiet", "needs_you"] {
        assert_eq!(told[list].as_array().map(Vec::len), Some(0), "{list}: {told}");
    }
    assert_eq!((&told["one_to_ones"]["count"], &told["counts"]["new"]), (&0.into(), &0.into()), "{told}");
    assert!(told["link"]["words"].as_str().unwrap().contains("Offline"), "{told}");
    let text = la.run(&["today"]).unwrap();
    assert!(text.contains("To call, new: nobody") && text.contains("Needs you: nothing"), "{text}");
    let shown = page(&la, la.login().unwrap(), "/");
    for words in
        ["Nobody new to call", "Nothing is due", "None yet", "Whoever keeps an ask", "Nobody. Leaders", "Offline"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let mary = add(&la, "mary", &[]);
    assert_eq!(today(&la)["needs_you"][0]["what"], "backup", "there is something to lose now");
    la.run(&["backup", directory.path().join("copy.db").to_str().unwrap()]).unwrap();
    assert_eq!((today(&la)["needs_you"].clone(), ids(&today(&la), "new")), (Value::Array(vec![]), vec![mary]));
}
