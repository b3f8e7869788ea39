//! Finding people, doing something with many of them, and a person's page, at a chapter that serves.

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::Node;
use tests::http::Answer;
use tests::logins::Login;
use tests::two_chapters;

/// A chapter that serves, with these people; gives their ids.
fn chapter<const N: usize>(directory: &TempDir, names: [&str; N]) -> (Node, Node, [String; N]) {
    let (hub, mut la, _sf) = two_chapters::network(directory.path());
    let ids = names.map(|name| {
        la.run(&["people", "add", "--given-name", name, "--email", &format!("{name}@example.org")]).unwrap()
    });
    la.serve().unwrap();
    (hub, la, ids)
}

/// Posts as the chapter's organiser, who is called ana.
fn post(la: &Node, path: &str, form: &str) -> Answer {
    la.login().unwrap().post(la.http(), path, form).unwrap()
}

/// Posts, and is sent on.
fn done(la: &Node, path: &str, form: &str) -> String {
    let answer = post(la, path, form);
    assert_eq!(answer.status, 303, "{path} {form}: {answer:?}");
    answer.header("location").unwrap().to_owned()
}

/// Takes back what an address says was just done.
fn undo(la: &Node, address: &str) -> u16 {
    let did = address.split_once("did=").unwrap().1;
    assert!(la.get(address).unwrap().body.contains("<button class=\"quiet\">Undo</button>"), "{address}");
    match did.strip_prefix("given:") {
        Some(batch) => post(la, "/give-out/undo", &format!("batch={batch}")).status,
        None => post(la, "/undo", &format!("did={did}")).status,
    }
}

fn page(la: &Node, path: &str) -> String {
    let answer = la.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

fn show(la: &Node, id: &str) -> Value {
    la.json(&["people", "show", id]).unwrap()
}

/// The given names on a page of the list, in its order.
fn listed(la: &Node, path: &str) -> Vec<String> {
    let body = page(la, path);
    let rows = body.split("<th scope=\"row\"><a href=\"/people/").skip(1);
    rows.map(|row| row.split(['>', '<']).nth(1).unwrap().to_owned()).collect()
}

#[test]
fn filters_combine_and_each_can_be_taken_away_and_saved() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [mary, marta, malik]) = chapter(&directory, ["mary", "marta", "malik"]);
    la.run(&["people", "edit", &mary, "looked_after_by=ana"]).unwrap();
    la.run(&["people", "edit", &malik, "looked_after_by=ana"]).unwrap();
    la.run(&["attempt", "log", &malik, "--how", "call", "--result", "talked"]).unwrap();
    la.run(&[
        "consent",
        "set",
        &marta,
        "--channel",
        "email",
        "--sender",
        "network",
        "--state",
        "granted",
        "--source",
        "paper",
    ])
    .unwrap();
    assert_eq!(listed(&la, "/people"), ["malik", "marta", "mary"]);
    assert_eq!(listed(&la, "/people?query=mar"), ["marta", "mary"]);
    assert_eq!(listed(&la, "/people?query=mar&mine=1"), ["mary"]);
    assert_eq!(listed(&la, "/people?mine=ana"), ["malik", "mary"]);
    assert_eq!(listed(&la, "/people?mine=ana&not_since=2020-01-01"), ["mary"]);
    assert_eq!(listed(&la, "/people?consent=email"), ["marta"]);
    assert!(listed(&la, "/people?consent=sms").is_empty());
    let filtered = page(&la, "/people?query=mar&mine=ana&consent=email");
    assert!(
        filtered.contains("href=\"/people?query=mar&#38;mine=ana\"")
            || filtered.contains("href=\"/people?query=mar&amp;mine=ana\""),
        "{filtered}"
    );
    assert_eq!(la.get("/people?not_since=soon").unwrap().status, 422);
    assert_eq!(la.get("/people?consent=pigeon").unwrap().status, 422);

    assert_eq!(done(&la, "/people/saved", "here=query%3Dmar%26mine%3Dana&name=My+ones"), "/people?query=mar&mine=ana");
    assert!(page(&la, "/people").contains(">My ones</a>"));
    let lee = Login::new(&la, "lee", "organiser").unwrap();
    assert!(!lee.get(la.http(), "/people").unwrap().body.contains("My ones"), "it is ana's");
    done(&la, "/people/saved", "here=&name=My+ones&do=forget");
    assert!(!page(&la, "/people").contains("My ones"));

    let organisers = page(&la, "/organisers");
    assert!(
        organisers.contains("href=\"/people?mine=ana\"")
            && organisers.contains("<td data-label=\"People\" class=\"num\">2</td>"),
        "{organisers}"
    );
    assert!(!organisers.contains("share them out"));
}

#[test]
fn a_tag_and_an_organiser_for_many_at_once_and_both_taken_back() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [mary, jo, kim]) = chapter(&directory, ["mary", "jo", "kim"]);
    let tagged = || listed(&la, "/people?tag=clinic-now");
    done(&la, "/people/tag", &format!("person={mary}&tag=Clinic+now&do=add"));
    let both = done(&la, "/people/tag", &format!("here=query%3Do&person={mary}&person={jo}&tag=clinic-now&do=add"));
    assert!(both.starts_with("/people?query=o&did="), "back to the list: {both}");
    assert_eq!(tagged(), ["jo", "mary"]);
    assert_eq!(undo(&la, &both), 303);
    assert_eq!(tagged(), ["mary"], "she had it before");
    assert_eq!(post(&la, "/undo", &format!("did={}", both.split_once("did=").unwrap().1)).status, 422, "it is undone");
    let off = done(&la, "/people/tag", &format!("person={mary}&person={kim}&tag=clinic-now&do=remove"));
    assert!(tagged().is_empty());
    assert_eq!((undo(&la, &off), tagged()), (303, vec!["mary".to_owned()]));

    let care = |id: &str| show(&la, id)["looked_after_by"].clone();
    la.run(&["people", "edit", &kim, "looked_after_by=lee"]).unwrap();
    let given = done(
        &la,
        "/give-out",
        &format!("person={mary}&person={jo}&person={kim}&who=ana&who=zoe&on=2027-01-01&back=%2Fpeople%3Fquery%3Do"),
    );
    assert!(given.starts_with("/people?query=o&did=given:"), "{given}");
    assert_eq!([care(&mary), care(&jo), care(&kim)], ["ana", "zoe", "ana"]);
    la.run(&["people", "edit", &jo, "looked_after_by=max"]).unwrap();
    assert_eq!(undo(&la, &given), 303);
    assert_eq!(
        [care(&mary), care(&jo), care(&kim)],
        [Value::Null, "max".into(), "lee".into()],
        "what came since stands"
    );

    for (form, words) in [
        (format!("person={mary}&tag=+&do=add"), "write the tag"),
        ("tag=x&do=add".to_owned(), "choose the people first"),
    ] {
        let refused = post(&la, "/people/tag", &form);
        assert!(refused.status == 422 && refused.body.contains(words) && refused.body.contains("mary"), "{refused:?}");
    }
}

#[test]
fn a_file_of_what_is_seen_needs_the_right_and_leaves_out_whom_nobody_may_contact() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [_mary, marta, _jo]) = chapter(&directory, ["mary", "marta", "jo"]);
    done(&la, &format!("/people/{marta}/do_not_contact"), "because=she+asked");
    let refused = post(&la, "/people/export", "here=query%3Dmar&format=csv");
    assert_eq!(refused.status, 403);
    let root = Login::new(&la, "root", "administrator").unwrap();
    let file = |form: &str| root.post(la.http(), "/people/export", form).unwrap();
    let csv = file("here=query%3Dmar&format=csv");
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert_eq!(csv.body.lines().count(), 2, "{csv:?}");
    assert!(csv.body.starts_with("id,given_name") && csv.body.contains("\"mary@example.org\""), "{csv:?}");
    let lines = file("here=&format=jsonl");
    let names: Vec<Value> =
        lines.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["given_name"].clone()).collect();
    assert_eq!(names, ["jo", "mary"]);
    let closed = file("here=closed%3D1&format=csv");
    assert!(closed.body.contains("marta@"), "who asks for them gets them: {closed:?}");
    let audit = la.json(&["audit"]).unwrap();
    let exported = audit["audit"].as_array().unwrap().iter().filter(|row| row["what"] == "exported");
    let said: Vec<String> = exported.map(|row| format!("{} {} {}", row["who"], row["detail"], row["number"])).collect();
    assert_eq!(said, ["\"root\" \"csv\" 1", "\"root\" \"jsonl\" 2", "\"root\" \"csv\" 1"]);
}

#[test]
fn an_edited_field_is_put_back_unless_somebody_has_changed_it_since() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [mary]) = chapter(&directory, ["mary"]);
    let edit = |was: &str, now: &str| {
        done(&la, &format!("/people/{mary}/fields"), &format!("family_name={now}&was_family_name={was}"))
    };
    let name = || show(&la, &mary)["family_name"].as_str().unwrap().to_owned();
    let changed = edit("", "Brown");
    assert!(changed.starts_with(&format!("/people/{mary}?did=")) && !changed.contains("Brown"), "{changed}");
    assert!(page(&la, &changed).contains("Changed: Family name<"));
    let lee = Login::new(&la, "lee", "organiser").unwrap();
    let did = changed.split_once("did=").unwrap().1;
    assert_eq!(lee.post(la.http(), "/undo", &format!("did={did}")).unwrap().status, 422, "it is not hers");
    assert_eq!((undo(&la, &changed), name()), (303, String::new()));
    assert_eq!(edit("", ""), format!("/people/{mary}"), "nothing was changed, nothing is undone");
    let changed = edit("", "Brown");
    la.run(&["people", "edit", &mary, "family_name=Browne"]).unwrap();
    assert_eq!((undo(&la, &changed), name()), (422, "Browne".to_owned()));
    let authors = page(&la, &format!("/people/{mary}/authors"));
    assert!(authors.contains("<td>Browne</td>") && authors.contains("<td>here</td>"), "{authors}");
}

#[test]
fn what_the_network_sees_has_nothing_of_what_stays_in_the_chapter() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [mary]) = chapter(&directory, ["mary"]);
    la.run(&["note", "add", &mary, "canary-note"]).unwrap();
    la.run(&[
        "one-to-one",
        "log",
        &mary,
        "--minutes",
        "40",
        "--story",
        "canary-story",
        "--interest",
        "canary-interest",
        "--relationships",
        "canary-relationships",
        "--ask",
        "come on Tuesday",
    ])
    .unwrap();
    done(&la, "/people/tag", &format!("person={mary}&tag=canary-tag&do=add"));
    done(&la, &format!("/people/{mary}/fields"), "would_like=shared-wish&was_would_like=");
    let whole = page(&la, &format!("/people/{mary}"));
    for private in ["canary-note", "canary-story", "canary-interest", "canary-relationships", "canary-tag"] {
        assert!(whole.contains(private), "her page has {private}");
    }
    let shared = page(&la, &format!("/people/{mary}/shared"));
    let command = la.json(&["share", "show", &mary]).unwrap();
    for seen in [&shared, &command.to_string()] {
        assert!(seen.contains("come on Tuesday") && seen.contains("shared-wish"), "{seen}");
        assert!(!seen.contains("canary"), "{seen}");
    }
    assert_eq!((&command["kept_here"], &command["person"]["given_name"]), (&false.into(), &"mary".into()));
}

#[test]
fn consent_is_a_sentence_and_do_not_contact_is_lifted_by_an_administrator_alone() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [mary]) = chapter(&directory, ["mary"]);
    let hers = format!("/people/{mary}");
    done(&la, &format!("{hers}/consents"), "channel=email&sender=network&state=granted&source=paper+sheet");
    assert!(page(&la, &hers).contains("<li>E-mail from the network: yes, from: paper sheet, on "));
    let refused = post(&la, &format!("{hers}/consents"), "channel=email&sender=network&state=granted&source=");
    assert!(refused.status == 422 && refused.body.contains("say where she said it"), "{refused:?}");
    done(&la, &format!("{hers}/do_not_contact"), "because=she+asked+at+the+door");
    let silent = page(&la, &hers);
    assert!(silent.contains("Nobody may contact her: she asked at the door (ana, "), "{silent}");
    assert!(silent.contains("An administrator can lift it") && !silent.contains("Lift it</button>"));
    assert_eq!(listed(&la, "/people?closed=1"), ["mary"]);
    assert_eq!(post(&la, &format!("{hers}/do_not_contact"), "do=lift&because=she+called").status, 403);
    let root = Login::new(&la, "root", "administrator").unwrap();
    let lift = |form: &str| root.post(la.http(), &format!("{hers}/do_not_contact"), form).unwrap().status;
    assert_eq!((lift("do=lift&because="), lift("do=lift&because=she+called")), (422, 303));
    assert!(!page(&la, &hers).contains("Nobody may contact her: she asked"));
    assert_eq!(show(&la, &mary)["do_not_contact"], false);
}

#[test]
fn who_raised_whom_is_a_tree_and_never_a_ring() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [mary, marta, jo]) = chapter(&directory, ["mary", "marta", "jo"]);
    let say = |her: &str, form: &str| post(&la, &format!("/people/{her}/raised"), form);
    let said = say(&jo, "how=recruited&was=&who=marta");
    assert_eq!(said.status, 303, "by the beginning of a name: {said:?}");
    assert_eq!(show_field(&la, &jo, "recruited_by"), marta);
    let several = say(&marta, "how=recruited&was=&who=mar");
    assert!(several.status == 422 && several.body.contains("Whom do you mean?"), "{several:?}");
    assert!(several.body.contains(&format!("value=\"{mary}\"")), "{several:?}");
    let form = "name=\"how\" value=\"recruited\"><input type=\"hidden\" name=\"was\" value=\"\">";
    assert_eq!(several.body.matches(form).count(), 2, "the choice says what it takes the place of: {several:?}");
    let chosen = say(&marta, &format!("how=recruited&was=&who={mary}"));
    assert!(chosen.header("location").is_some_and(|to| to.contains("did=")), "it can be taken back: {chosen:?}");
    let ring = say(&mary, &format!("how=recruited&was=&who={jo}"));
    assert!(ring.status == 422 && ring.body.contains("somebody whom she has recruited"), "{ring:?}");
    assert_eq!(say(&mary, &format!("how=recruited&was=&who={mary}")).status, 422, "nor by herself");
    assert_eq!(say(&mary, "how=recruited&was=&who=zora").status, 422);
    assert_eq!(say(&mary, &format!("how=developed&was=&who={jo}")).status, 303, "that is another line");
    let tree = page(&la, &format!("/people/{marta}"));
    assert!(tree.contains(&format!("Recruited by <a href=\"/people/{mary}\">")), "{tree}");
    assert!(tree.contains(&format!("She recruited<ul><li><a href=\"/people/{jo}\">")), "{tree}");
    assert!(page(&la, &format!("/people/{jo}")).contains(&format!("She develops<ul><li><a href=\"/people/{mary}\">")));
    let gone = say(&jo, &format!("how=recruited&was={marta}&who="));
    assert_eq!((undo(&la, gone.header("location").unwrap()), show_field(&la, &jo, "recruited_by")), (303, marta));
}

/// A value that her history or page has and her JSON has not.
fn show_field(la: &Node, id: &str, field: &str) -> String {
    let body = page(la, &format!("/people/{id}"));
    let how = field.trim_end_matches("_by");
    let form = body.split(&format!("name=\"how\" value=\"{how}\"")).nth(1).unwrap();
    form.split("name=\"was\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn a_program_turns_no_pages_of_the_list_without_the_right_to_export() {
    let directory = TempDir::new().unwrap();
    let (_hub, la, [_mary, _marta, jo]) = chapter(&directory, ["mary", "marta", "jo"]);
    let after = format!("/people?after={jo}");
    let token = |role: &str| la.run(&["token", "add", role, "--role", role]).unwrap();
    let get =
        |token: &str, path: &str| tests::http::send(la.http(), "GET", path, &[("OSDI-API-Token", token)], &[]).unwrap();
    let [reader, administrator] = ["reader", "administrator"].map(token);
    assert_eq!((get(&reader, "/people").status, get(&reader, &after).status), (200, 403));
    let page = get(&administrator, &after);
    assert!(page.status == 200 && page.body.contains(">marta<"), "{page:?}");
    assert_eq!(listed(&la, &after), ["marta", "mary"], "a person turns pages");
    let audit = la.json(&["audit"]).unwrap();
    let exported = audit["audit"].as_array().unwrap().iter().filter(|row| row["what"] == "exported");
    let said: Vec<String> = exported.map(|row| format!("{} {} {}", row["who"], row["detail"], row["number"])).collect();
    assert_eq!(said, ["\"token-administrator\" \"html\" 2"]);
}
