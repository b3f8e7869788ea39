//! `chapter-node` without a command, in a directory in which there is nothing: one page with one field, and from there to the
//! first login in the same process.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::{Node, program, until};
use tests::http::{self, Answer};
use tests::logins::cookie;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// Stands for the desktop's opener: keeps what it was given, and what it can read there.
const OPENER: &str = "#!/bin/sh\ncp -p \"$1\" \"$HOME/seen.html\"\nprintf %s \"$1\" > \"$HOME/argument.new\"\nmv \"$HOME/argument.new\" \"$HOME/argument\"\n";

/// The program as a person starts it who has a desktop.
struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn new(data: &Path, home: &Path) -> Self {
        let tools = home.join("tools");
        fs::create_dir_all(&tools).unwrap();
        fs::create_dir_all(data).unwrap();
        fs::write(data.join("config.toml"), "http = \"127.0.0.1:0\"\n").unwrap();
        for name in ["xdg-open", "open"] {
            fs::write(tools.join(name), OPENER).unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program("chapter-node").unwrap());
        command.arg("--data").arg(data).env("HOME", home).env("PATH", path);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that it prints.
    fn says(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn stop(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "it ends cleanly");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Of a test that failed; else it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hub(directory: &Path) -> Node {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Tenants United", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles"]).unwrap();
    hub.serve().unwrap();
    hub
}

fn post(address: &str, path: &str, form: &str) -> Answer {
    http::send(address, "POST", path, &[FORM], form.as_bytes()).unwrap()
}

/// What the browser was opened on: the argument, the page that it names, and what that one's mode is.
fn opened(home: &Path) -> (String, String, u32) {
    let argument = until("the browser is opened", || Ok(fs::read_to_string(home.join("argument")).ok())).unwrap();
    let seen = home.join("seen.html");
    let mode = seen.metadata().unwrap().permissions().mode() & 0o777;
    (argument, fs::read_to_string(seen).unwrap(), mode)
}

fn used(hub: &Node) -> usize {
    let listed = hub.json(&["invites", "list"]).unwrap();
    listed["invites"].as_array().unwrap().iter().filter(|invite| invite["state"] == "used").count()
}

#[test]
fn a_chapter_joins_in_the_one_field_of_the_page_and_goes_on_to_its_first_login() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let invite = hub.run(&["invite", "la", "--link"]).unwrap();
    let (data, home) = (directory.path().join("la"), directory.path().join("home"));
    let mut la = Started::new(&data, &home);
    let said = la.says();
    let address = said["listening"]["http"].as_str().unwrap().to_owned();
    let link = said["join"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(&format!("http://{address}")).unwrap();
    let token = path.split_once("token=").unwrap().1;
    assert!(said["node"].is_null() && token.len() == 64, "{said}");

    // The browser is led there by a page that only this user can read.
    let (argument, seen, mode) = opened(&home);
    assert!(!argument.contains(token) && seen.contains(&link) && mode == 0o600, "{argument} {mode:o} {seen}");

    // Without the link, from another site or under another name nobody gets anywhere.
    let line = invite.replace('#', "%23");
    let with = |token: &str, more: &str| format!("token={token}&invite={line}{more}");
    for answer in [
        http::get(&address, "/").unwrap(),
        http::get(&address, "/join").unwrap(),
        http::get(&address, "/join?token=0123").unwrap(),
        post(&address, "/join", &with("0123", "")),
        post(&address, "/join/accept", &with("", "&version=1")),
    ] {
        assert!(answer.status == 410 && answer.body.contains("the terminal shows"), "{answer:?}");
        assert!(!answer.body.contains("Tenants"), "{answer:?}");
    }
    let right = with(token, "");
    let evil = [FORM, ("Host", "evil.example")];
    assert_eq!(http::send(&address, "POST", "/join", &evil, right.as_bytes()).unwrap().status, 421);
    let other = [FORM, ("Origin", "http://localhost:1")];
    assert_eq!(http::send(&address, "POST", "/join", &other, right.as_bytes()).unwrap().status, 403);

    let page = http::get(&address, path).unwrap();
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"), "{page:?}");
    let fields = page.body.matches("<input").count() - page.body.matches("type=\"hidden\"").count();
    assert!(fields == 1 && page.body.contains("name=\"invite\"") && !page.body.contains("<script"), "{}", page.body);
    let wrong = post(&address, "/join", &format!("token={token}&invite=hello"));
    assert!(wrong.status == 422 && wrong.body.contains("not an invitation"), "{wrong:?}");

    // What it is for is shown before anything is done.
    let offer = post(&address, "/join", &right);
    for shown in ["Tenants United", "Los Angeles", "The network sees", "Never leave your chapter", "name=\"version\""] {
        assert!(offer.status == 200 && offer.body.contains(shown), "{shown}: {offer:?}");
    }
    assert!(used(&hub) == 0 && !data.join(store::DATABASE_FILE).exists(), "nothing was done yet");
    let old = post(&address, "/join/accept", &with(token, "&version=7"));
    assert!(old.status == 422 && used(&hub) == 0, "another version than is in force: {old:?}");

    // Whoever presses twice joins once. What comes too late for this page is asked of those that follow it.
    let accepted = with(token, "&version=1");
    let accept = || post(&address, "/join/accept", &accepted);
    let (one, other) = thread::scope(|both| {
        let other = both.spawn(accept);
        (accept(), other.join().unwrap())
    });
    let (joined, again) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!(joined.status, 200, "{joined:?}");
    assert!(again.status == 404 || again.body == joined.body, "{again:?}");
    let said = la.says();
    assert_eq!(said["listening"]["http"].as_str(), Some(address.as_str()), "it goes on where it was");
    let listed = hub.json(&["node", "list"]).unwrap();
    let key = listed["nodes"][0]["key"].as_str().unwrap();
    assert!(joined.body.contains(key) && used(&hub) == 1, "{key}: {joined:?}");
    let set_up = said["setup"].as_str().unwrap().strip_prefix(&format!("http://{address}")).unwrap();
    assert!(joined.body.contains(&format!("href=\"{set_up}\"")), "the page leads there: {joined:?}");
    until("the page that led the browser is gone", || Ok((!Path::new(&argument).exists()).then_some(()))).unwrap();

    assert_eq!(http::get(&address, path).unwrap().status, 404, "there is nothing to join any more");
    let token = set_up.split_once("token=").unwrap().1;
    let form = format!("token={token}&name=lee&password=correct+horse&again=correct+horse");
    let done = post(&address, "/setup", &form);
    assert_eq!(done.status, 303, "{done:?}");
    let held = cookie(&done).unwrap();
    assert_eq!(http::send(&address, "GET", "/", &[("Cookie", &held)], &[]).unwrap().status, 200);
    la.stop();

    // The next time the browser is opened on the pages themselves: there is nothing secret in that.
    fs::remove_file(home.join("argument")).unwrap();
    let mut la = Started::new(&data, &home);
    let address = la.says()["listening"]["http"].as_str().unwrap().to_owned();
    let argument = until("the browser is opened", || Ok(fs::read_to_string(home.join("argument")).ok())).unwrap();
    assert_eq!(argument, format!("http://{address}"));
    la.stop();
}

#[test]
fn where_another_program_listens_it_is_said_what_to_do() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let other = Node::hub(&directory.path().join("other"));
    other.run(&["init", "--name", "Other", "--country", "US"]).unwrap();
    let taken = other.try_run(&["serve", "--http", hub.http(), "--grpc", "127.0.0.1:0"]).unwrap();
    assert_eq!((taken.code, taken.stdout.as_str()), (1, ""), "{taken:?}");
    assert!(taken.stderr.contains(hub.http()) && taken.stderr.contains("say another address"), "{taken:?}");
}

#[test]
fn nothing_is_made_by_a_program_that_nobody_has_joined_with() {
    let directory = TempDir::new().unwrap();
    let (data, home) = (directory.path().join("la"), directory.path().join("home"));
    let mut la = Started::new(&data, &home);
    assert!(la.says()["join"].is_string());
    let argument = opened(&home).0;
    la.stop();
    assert!(!Path::new(&argument).exists(), "the link is not good any more, and the page with it is gone");
    let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.toml"]);
}

#[test]
fn an_invitation_is_read_from_standard_input_and_needs_to_be_no_argument() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let invite = hub.run(&["invite", "la"]).unwrap();
    let la = Node::chapter(&directory.path().join("la"));
    let missing = la.try_run_with(&["join", "--accept-statement"], &invite).unwrap();
    assert!(missing.code == 2 && missing.stderr.contains("write -"), "{missing:?}");
    let wrong = la.try_run_with(&["join", "-", "--accept-statement"], "hello\n").unwrap();
    assert!(wrong.code == 4 && wrong.stderr.contains("not an invitation"), "{wrong:?}");
    let joined = la.try_run_with(&["join", "-", "--accept-statement"], &format!("{invite}\n")).unwrap();
    assert!(joined.code == 0 && joined.stdout.contains("joined Tenants United"), "{joined:?}");
}
