//! Logging in: who is told what, who has to wait, when a session ends, and the first login of all.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http::{self, Answer};
use tests::logins::{Login, add, cookie, enter, knock};
use totp_rs::{Builder, Secret};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn hub(directory: &Path) -> Node {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.serve().unwrap();
    hub
}

/// Changes rows behind the node's back, as time would.
fn change(node: &Node, sql: &str) {
    let database = Connection::open(node.data.join(store::DATABASE_FILE)).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
}

fn with(node: &Node, cookie: &str, path: &str) -> Answer {
    http::send(node.http(), "GET", path, &[("Cookie", cookie)], &[]).unwrap()
}

/// Whether a session is good: a page is shown, or it is sent to the login page.
fn is_in(node: &Node, cookie: &str) -> bool {
    let page = with(node, cookie, "/chapters");
    let sent_away = page.status == 303 && page.header("location") == Some("/login?next=/chapters");
    assert!(sent_away || page.status == 200, "{page:?}");
    page.status == 200
}

fn post(node: &Node, cookie: &str, path: &str, form: &str) -> Answer {
    http::send(node.http(), "POST", path, &[("Cookie", cookie), FORM], form.as_bytes()).unwrap()
}

/// What stands in a page between two texts.
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    page.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(found, _)| found).unwrap()
}

#[test]
fn a_name_that_nobody_has_answers_and_costs_what_a_wrong_password_does() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    add(&hub, "lee", "staff").unwrap();
    add(&hub, "kim", "staff").unwrap();
    let mut times: [Vec<Duration>; 2] = Default::default();
    let mut said: [Vec<String>; 2] = Default::default();
    for nth in 0..8 {
        let (known, unknown) = (["lee", "kim"][nth % 2].to_owned(), format!("n{nth}y"));
        for (kind, name) in [known, unknown].into_iter().enumerate() {
            let began = Instant::now();
            let answer = knock(hub.http(), &name, "not+the+password", "").unwrap();
            times[kind].push(began.elapsed());
            assert_eq!(answer.status, 422, "{answer:?}");
            let body = answer.body.replace(&format!("value=\"{name}\""), "");
            said[kind].push(body);
        }
    }
    let [known, unknown] = &mut said;
    known.dedup();
    assert_eq!(known.len(), 1);
    unknown.dedup();
    assert_eq!(known, unknown);
    assert!(known[0].contains("the name, the password or the code is not right"), "{}", known[0]);
    // Hashing takes tens of milliseconds and everything else one or two: without it, the one would be far below the other.
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(unknown * 3 > known && known * 3 > unknown, "{known:?} for a known name, {unknown:?} for an unknown one");
}

#[test]
fn guessing_is_slowed_down_for_any_name_and_says_how_long_to_wait() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    let password = add(&hub, "lee", "staff").unwrap();
    for name in ["lee", "nobody"] {
        for _ in 0..5 {
            assert_eq!(knock(hub.http(), name, "wrong+password", "").unwrap().status, 422);
        }
        let waits = knock(hub.http(), name, &password, "").unwrap();
        assert_eq!(waits.status, 429, "also with the right password: {waits:?}");
        assert!(waits.body.contains("that failed too often: wait"), "{waits:?}");
        let seconds: u64 = waits.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");
    }
    until("she may try again", || Ok((knock(hub.http(), "lee", &password, "")?.status == 303).then_some(()))).unwrap();
    // What was counted is in her row, too: starting the program again does not begin anew.
    change(&hub, "UPDATE user SET failures = 12, failed = (SELECT max(created) FROM session) WHERE name = 'lee'");
    hub.stop().unwrap();
    hub.serve().unwrap();
    let waits = knock(hub.http(), "lee", &password, "").unwrap();
    assert!(waits.status == 429 && waits.body.contains("minutes"), "{waits:?}");
}

#[test]
fn another_password_ends_the_wait_that_guesses_have_brought() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    add(&hub, "lee", "staff").unwrap();
    for _ in 0..5 {
        assert_eq!(knock(hub.http(), "lee", "wrong+password", "").unwrap().status, 422);
    }
    // Rows are written in the order in which they are asked for: after this one stand all failures.
    Login::new(&hub, "kim", "staff").unwrap();
    let made = hub.json(&["user", "passwd", "lee"]).unwrap();
    enter(hub.http(), "lee", made["password"].as_str().unwrap(), "").unwrap();
}

#[test]
fn guessing_from_one_address_is_slowed_down_and_a_trusted_proxy_says_which_it_is() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    std::fs::write(hub.data.join("config.toml"), "trusted_proxies = [\"127.0.0.0/8\"]\n").unwrap();
    hub.serve().unwrap();
    let try_from = |address: &str, nth: usize| {
        let form = format!("name=n{nth}y&password=wrong+password");
        let headers = [("X-Forwarded-For", address), FORM];
        http::send(hub.http(), "POST", "/login", &headers, form.as_bytes()).unwrap().status
    };
    for nth in 0..20 {
        assert_eq!(try_from("203.0.113.9", nth), 422);
    }
    assert_eq!(try_from("203.0.113.9", 20), 429, "whatever the name");
    assert_eq!(try_from("198.51.100.7", 21), 422, "somebody else's address");
}

#[test]
fn a_session_ends_when_she_logs_out_when_it_is_old_and_when_her_login_goes() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let lee = Login::new(&hub, "lee", "staff").unwrap();
    let again = || enter(hub.http(), "lee", &lee.password, "").unwrap();
    assert!(is_in(&hub, &lee.cookie));

    let out = post(&hub, &lee.cookie, "/logout", "");
    assert_eq!((out.status, out.header("location")), (303, Some("/login")));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(!is_in(&hub, &lee.cookie), "she logged out");

    let idle = again();
    change(&hub, "UPDATE session SET seen = seen - 12 * 3600 * 1000 - 1000");
    assert!(!is_in(&hub, &idle), "nobody used it for twelve hours");

    let old = again();
    change(&hub, "UPDATE session SET ends = created - 1");
    assert!(!is_in(&hub, &old), "it is a month old");

    let before = again();
    let headers = [("Cookie", before.as_str()), FORM];
    let form = format!("name=lee&password={}", lee.password);
    let rotated = cookie(&http::send(hub.http(), "POST", "/login", &headers, form.as_bytes()).unwrap()).unwrap();
    assert!(rotated != before && is_in(&hub, &rotated) && !is_in(&hub, &before), "each login is a new session");

    let (here, there) = (again(), again());
    let form = format!("old={}&password=a+new+password&again=a+new+password", lee.password);
    let changed = post(&hub, &here, "/account/password", &form);
    assert_eq!((changed.status, changed.header("location")), (303, Some("/account")), "{changed:?}");
    assert!(is_in(&hub, &here) && !is_in(&hub, &there), "a new password logs out everywhere else");
    assert_eq!(knock(hub.http(), "lee", &lee.password, "").unwrap().status, 422);
    let there = enter(hub.http(), "lee", "a+new+password", "").unwrap();

    let page = with(&hub, &here, "/account").body;
    let other = page.split("name=\"session\" value=\"").skip(1).find(|rest| rest.contains("Log out there")).unwrap();
    assert_eq!(post(&hub, &here, "/account/sessions", &format!("session={}", &other[..64])).status, 303);
    assert!(is_in(&hub, &here) && !is_in(&hub, &there), "one session can end another of the same login");

    hub.run(&["user", "passwd", "lee"]).unwrap();
    assert!(!is_in(&hub, &here), "somebody gave her another password");
    let made = hub.json(&["user", "passwd", "lee"]).unwrap();
    let last = enter(hub.http(), "lee", made["password"].as_str().unwrap(), "").unwrap();
    assert!(is_in(&hub, &last));
    hub.run(&["user", "remove", "lee"]).unwrap();
    assert!(!is_in(&hub, &last), "her login is gone");
    add(&hub, "lee", "viewer").unwrap();
    assert!(!is_in(&hub, &last), "and a new one of the same name is another one");
}

#[test]
fn a_page_that_was_left_open_does_not_keep_a_session_alive() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let lee = Login::new(&hub, "lee", "staff").unwrap();
    let seen = || {
        // As above: after this one stands what was asked for before it.
        Login::new(&hub, "kim", "staff").unwrap();
        hub.run(&["user", "remove", "kim"]).unwrap();
        let database = Connection::open(hub.data.join(store::DATABASE_FILE)).unwrap();
        let sql = "SELECT s.created - s.seen FROM session s JOIN user u ON u.id = s.user WHERE u.name = 'lee'";
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    change(&hub, "UPDATE session SET seen = seen - 3600000");
    let follows = [("Cookie", lee.cookie.as_str()), ("Sec-Fetch-Dest", "empty")];
    assert_eq!(http::send(hub.http(), "GET", "/chapters", &follows, &[]).unwrap().status, 200);
    assert_eq!(seen(), 3_600_000, "the page has asked, not she");
    assert!(is_in(&hub, &lee.cookie));
    assert!(seen() <= 0, "she was here");
}

#[test]
fn what_the_browser_holds_is_closed_to_scripts_and_other_sites() {
    let directory = TempDir::new().unwrap();
    let mut hub = Node::hub(&directory.path().join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    std::fs::write(hub.data.join("config.toml"), "hosts = [\"hub.example.org\"]\n").unwrap();
    hub.serve().unwrap();
    let password = add(&hub, "lee", "staff").unwrap();
    let plain = knock(hub.http(), "lee", &password, "").unwrap();
    let given = plain.header("set-cookie").unwrap();
    assert!(given.starts_with("session-") && given.contains("; HttpOnly; SameSite=Lax"), "{given}");
    assert!(given.contains("; Path=/;") && !given.contains("Secure") && !given.contains("Domain"), "{given}");
    let page = with(&hub, &cookie(&plain).unwrap(), "/chapters");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));

    let through = |origin: &str| {
        let headers = [("Host", "hub.example.org"), ("Origin", origin), FORM];
        let form = format!("name=lee&password={password}&next=%2F%09%2Fevil.example");
        http::send(hub.http(), "POST", "/login", &headers, form.as_bytes()).unwrap()
    };
    let secure = through("https://hub.example.org");
    let given = secure.header("set-cookie").unwrap();
    assert!(given.starts_with("__Host-session=") && given.ends_with("; Secure"), "{given}");
    assert_eq!(secure.header("location"), Some("/"), "only to a page of this node");
    assert_eq!(through("http://hub.example.org").status, 403);
    assert_eq!(through("https://evil.example").status, 403);
    let elsewhere = http::send(hub.http(), "GET", "/login", &[("Host", "other.example.org")], &[]).unwrap();
    assert_eq!(elsewhere.status, 421);
    let long = "x".repeat(40 * 1024);
    assert_eq!(http::send(hub.http(), "GET", "/login", &[("X-Long", &long)], &[]).unwrap().status, 431);
}

/// The code of a secret in base 32, so many half minutes from now.
fn code(secret: &str, steps: u64) -> String {
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build_noncompliant();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    totp.generate(now + 30 * steps).to_string()
}

#[test]
fn a_hubs_administrator_needs_a_second_factor_and_each_code_works_once() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let root = Login::new(&hub, "root", "administrator").unwrap();
    let closed = root.get(hub.http(), "/chapters").unwrap();
    assert_eq!((closed.status, closed.header("location")), (303, Some("/account")));
    let refused = root.get(hub.http(), "/api/v1/chapters").unwrap();
    assert_eq!((refused.status, refused.json().unwrap()["code"].clone()), (403, "second_factor_needed".into()));

    let page = root.get(hub.http(), "/account").unwrap().body;
    assert!(page.contains("needs a second factor") && page.contains("<svg"), "{page}");
    let secret = between(&page, "name=\"secret\" value=\"", "\"").to_owned();
    let set = |code: &str, password: &str| {
        let form = format!("secret={secret}&code={code}&password={password}");
        root.post(hub.http(), "/account/second", &form).unwrap()
    };
    assert_eq!(set("000000", &root.password).status, 422);
    let first = code(&secret, 0);
    assert_eq!(set(&first, "not+her+password").status, 422);
    let shown = set(&first, &root.password);
    let codes: Vec<&str> = shown.body.split("<li><code>").skip(1).map(|rest| &rest[..19]).collect();
    assert_eq!((shown.status, codes.len()), (200, 10), "{shown:?}");
    assert_eq!(root.get(hub.http(), "/chapters").unwrap().status, 200, "everything is open now");

    let try_with = |code: &str| knock(hub.http(), "root", &root.password, code).unwrap();
    let without = try_with("");
    assert_eq!(without.status, 422);
    assert!(without.body.contains("the name, the password or the code is not right"), "as for a wrong password");
    assert_eq!(try_with(&first).status, 422, "this code was used");
    let next = code(&secret, 1);
    assert_eq!(try_with(&next).status, 303);
    assert_eq!(try_with(&next).status, 422, "it was used, too");
    let failures = "SELECT failures FROM user WHERE name = 'root'";
    let database = Connection::open(hub.data.join(store::DATABASE_FILE)).unwrap();
    let counted = || Ok((database.query_row(failures, [], |row| row.get::<_, u32>(0))? == 1).then_some(()));
    until("it counts as a failure, and those before it are over", counted).unwrap();
    let recovery = codes[4].to_lowercase().replace('-', " ");
    assert_eq!(try_with(&recovery).status, 303);
    assert_eq!(try_with(&recovery).status, 422, "a recovery code works once");
    assert!(root.get(hub.http(), "/account").unwrap().body.contains("Recovery codes left: 9"));

    let made = hub.json(&["user", "passwd", "root", "--without-second-factor"]).unwrap();
    let again = enter(hub.http(), "root", made["password"].as_str().unwrap(), "").unwrap();
    assert_eq!(with(&hub, &again, "/chapters").header("location"), Some("/account"), "it has to be set up again");
}

#[test]
fn a_second_factor_goes_only_by_a_code_of_it() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let lee = Login::new(&hub, "lee", "staff").unwrap();
    let page = lee.get(hub.http(), "/account").unwrap().body;
    let secret = between(&page, "name=\"secret\" value=\"", "\"").to_owned();
    let posted = |path: &str, code: &str| {
        let form = format!("secret={secret}&code={code}&password={}", lee.password);
        lee.post(hub.http(), path, &form).unwrap()
    };
    assert_eq!(posted("/account/second", &code(&secret, 0)).status, 200);
    let another = posted("/account/second", &code(&secret, 1));
    assert!(another.status == 422 && another.body.contains("set up already"), "{another:?}");
    assert_eq!(posted("/account/second/drop", "").status, 422, "her password is not enough");
    assert_eq!(posted("/account/second/drop", &code(&secret, 1)).status, 303);
    assert_eq!(knock(hub.http(), "lee", &lee.password, "").unwrap().status, 303);
}

#[test]
fn the_link_for_the_first_login_works_once() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    let la = {
        hub.run(&["chapter", "add", "la", "--name", "Los Angeles"]).unwrap();
        let invite = hub.run(&["invite", "la"]).unwrap();
        let mut la = Node::chapter(&directory.path().join("la"));
        la.run(&["join", &invite, "--accept-statement"]).unwrap();
        la.serve().unwrap();
        la
    };
    for (node, first_page) in [(&hub, 303), (&la, 200)] {
        let visit = http::get(node.http(), "/").unwrap();
        assert_eq!((visit.status, visit.header("location")), (303, Some("/login?next=/")));
        let said = http::get(node.http(), "/login").unwrap().body;
        assert!(said.contains("link that the terminal shows") && said.contains("user add NAME"), "{said}");
        let link = node.set_up().unwrap().to_owned();
        assert!(node.log().contains(&link), "a person sees it, too");
        let path = link.strip_prefix(&format!("http://{}", node.http())).unwrap();
        let token = path.split_once("token=").unwrap().1;
        assert_eq!(http::get(node.http(), path).unwrap().status, 200);
        assert_eq!(http::get(node.http(), "/setup?token=0123").unwrap().status, 410);
        let set_up = |token: &str, name: &str, password: &str, again: &str| {
            let form = format!("token={token}&name={name}&password={password}&again={again}");
            http::send(node.http(), "POST", "/setup", &[FORM], form.as_bytes()).unwrap()
        };
        for (token, name, password, again, words) in [
            (token, "lee", "correct+horse", "correct+house", "not the same"),
            (token, "lee", "short", "short", "at least 8 characters"),
            (token, "Lee!", "correct+horse", "correct+horse", "be a login: use"),
            (token, "token-lee", "correct+horse", "correct+horse", "how tokens are named"),
        ] {
            let refused = set_up(token, name, password, again);
            assert!(refused.status == 422 && refused.body.contains(words), "{words}: {refused:?}");
        }
        assert_eq!(set_up("0123", "lee", "correct+horse", "correct+horse").status, 422);
        let done = set_up(token, "Lee", "correct+horse", "correct+horse");
        assert_eq!((done.status, done.header("location")), (303, Some("/")), "{done:?}");
        assert_eq!(with(node, &cookie(&done).unwrap(), "/").status, first_page);
        assert_eq!(set_up(token, "kim", "correct+horse", "correct+horse").status, 422, "it was used");
        assert_eq!(http::get(node.http(), path).unwrap().status, 410);
        let users = node.json(&["user", "list"]).unwrap();
        assert_eq!((&users["users"][0]["name"], &users["users"][0]["role"]), (&"lee".into(), &"administrator".into()));
        assert_eq!(users["users"].as_array().unwrap().len(), 1);
    }
    hub.stop().unwrap();
    hub.serve().unwrap();
    assert_eq!(hub.set_up(), None, "there is a login");
}

#[test]
fn a_database_that_was_put_back_knows_logins_and_no_session() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    let lee = Login::new(&hub, "lee", "staff").unwrap();
    let copy = directory.path().join("copy.db");
    hub.run(&["backup", copy.to_str().unwrap()]).unwrap();
    hub.stop().unwrap();
    hub.run(&["restore", copy.to_str().unwrap()]).unwrap();
    hub.serve().unwrap();
    assert!(!is_in(&hub, &lee.cookie));
    assert!(is_in(&hub, &enter(hub.http(), "lee", &lee.password, "").unwrap()));
}
