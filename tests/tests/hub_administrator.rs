//! A hub's administrator can't get into a chapter's node, nor to what it keeps to itself: by no login, token, certificate,
//! command, page or frame. What a hub can hear over a link at all is in `isolation.rs` and the canary of the simulation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tests::harness::{Node, until};
use tests::http;
use tests::logins::{self, Login};
use web::Route;

/// What the chapter keeps to itself: a note, a story, an interest.
const PRIVATE: [&str; 3] = ["her brother hides from the police", "grew up in a shelter", "her landlord is her cousin"];
/// Commands of a hub that print what it has of people. HER stands for her id.
const COMMANDS: [&[&str]; 18] = [
    &["people", "list"],
    &["people", "show", "HER"],
    &["people", "history", "HER"],
    &["people", "unreadable"],
    &["conflicts", "list"],
    &["proposals", "list"],
    &["transfers", "list"],
    &["refused", "list"],
    &["erasures"],
    &["unplaced", "list"],
    &["signup", "held", "list"],
    &["chapter", "list"],
    &["chapter", "show", "la"],
    &["node", "list"],
    &["user", "list"],
    &["token", "list"],
    &["audit"],
    &["status"],
];

/// A hub without second factors, so that its administrator has no other hindrance than the chapter, and a chapter.
fn network(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    fs::write(hub.data.join("config.toml"), "second_factor = \"optional\"\n").unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.serve().unwrap();
    let mut la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    la.serve().unwrap();
    (hub, la)
}

/// Mary, of whom the chapter has what stays in it; both ends have the rest.
fn mary(hub: &Node, la: &Node) -> String {
    let id = la.run(&["people", "add", "--given-name", "Mary", "--email", "mary@example.org"]).unwrap();
    la.run(&["note", "add", &id, PRIVATE[0]]).unwrap();
    let one_to_one = ["one-to-one", "log", &id, "--minutes", "40", "--story", PRIVATE[1], "--interest", PRIVATE[2]];
    la.run(&one_to_one).unwrap();
    until("the hub has all that is shared", || {
        let (here, there) = (la.run(&["state-hash"])?, hub.run(&["state-hash", "--scope", "la"])?);
        Ok((here == there).then_some(()))
    })
    .unwrap();
    let history = hub.run(&["people", "history", &id, "--json"]).unwrap();
    assert!(history.contains("one_to_one"), "the fact is shared: {history}");
    id
}

fn holds_nothing(what: &str, text: &str) {
    for private in PRIVATE {
        assert!(!text.contains(private), "{what} holds {private:?}: {text}");
    }
}

/// Every page of a hub, and every answer for programs.
fn seen(hub: &Node, by: &Login, routes: &[Route], id: &str) -> usize {
    // What follows changes never ends, and says that something has changed, and nothing else.
    let read = |route: &&Route| route.method.as_str() == "GET" && route.path != "/live";
    let pages: Vec<String> =
        routes.iter().filter(read).map(|route| route.path.replace("{id}", id).replace("{slug}", "la")).collect();
    for path in &pages {
        let answer = by.get(hub.http(), path).unwrap();
        assert!(answer.status < 500, "{path}: {answer:?}");
        holds_nothing(path, &answer.body);
    }
    assert!(by.get(hub.http(), &format!("/people/{id}")).unwrap().body.contains("Mary"), "the administrator is in");
    pages.len()
}

/// The ports on which a process listens (Linux: /proc).
fn listens(pid: u32) -> BTreeSet<u16> {
    let links =
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let inode = |link: std::path::PathBuf| {
        let name = link.to_str()?.to_owned();
        Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    let sockets: BTreeSet<String> = links.filter_map(inode).collect();
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    // Of each socket: number, own address, the other's, state (0A listens), ... and in the tenth column its inode.
    let port = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let ours = columns.get(3) == Some(&"0A") && sockets.contains(*columns.get(9)?);
        let port = u16::from_str_radix(columns.get(1)?.rsplit(':').next()?, 16).ok()?;
        ours.then_some(port)
    };
    tables.iter().flat_map(|table| table.lines()).filter_map(port).collect()
}

#[test]
fn a_hubs_administrator_gets_neither_into_a_chapter_nor_to_what_it_keeps_to_itself() {
    let directory = TempDir::new().unwrap();
    let (hub, la) = network(directory.path());
    let id = mary(&hub, &la);
    let root = Login::new(&hub, "root", "administrator").unwrap();
    let token = hub.run(&["token", "add", "spy", "--role", "administrator"]).unwrap();
    // The chapter has a login of the same name: nothing but the name is the same.
    let own = Login::new(&la, "root", "administrator").unwrap();
    assert!(own.get(la.http(), &format!("/people/{id}")).unwrap().body.contains(PRIVATE[0]), "it is there to be seen");

    // Into the chapter's pages: by the hub's password, its session under either name, its token.
    assert_eq!(logins::knock(la.http(), "root", &root.password, "").unwrap().status, 422);
    let (name, _) = own.cookie.split_once('=').unwrap();
    let (its, session) = root.cookie.split_once('=').unwrap();
    for name in [name, its, "__Host-session"] {
        for path in ["/".to_owned(), format!("/people/{id}")] {
            let held = format!("{name}={session}");
            let answer = http::send(la.http(), "GET", &path, &[("Cookie", &held)], &[]).unwrap();
            assert!(answer.status == 303 && answer.header("location").unwrap().starts_with("/login"), "{answer:?}");
        }
    }
    for path in ["/api/v1/people".to_owned(), format!("/api/v1/people/{id}")] {
        for shown in [("OSDI-API-Token", token.clone()), ("Authorization", format!("Bearer {token}"))] {
            let answer = http::send(la.http(), "GET", &path, &[(shown.0, &shown.1)], &[]).unwrap();
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    }
    let good = http::send(hub.http(), "GET", "/api/v1/people", &[("OSDI-API-Token", &token)], &[]).unwrap();
    assert_eq!(good.status, 200, "the token is good where it was made");

    // A certificate of the hub's authority has nothing to be shown to: the chapter listens for its pages, and for nothing else.
    let pages: u16 = la.http().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!((listens(la.pid().unwrap()), la.grpc()), (BTreeSet::from([pages]), None));
    assert_eq!(listens(hub.pid().unwrap()).len(), 2, "as the hub does, for its pages and its chapters");

    // By the hub's commands, pages and files.
    for command in COMMANDS {
        let command: Vec<&str> = command.iter().map(|word| if *word == "HER" { id.as_str() } else { *word }).collect();
        let shapes: [&[&str]; 2] = [&[], &["--json"]];
        for shape in shapes {
            holds_nothing(&format!("{command:?}"), &hub.run(&[&command[..], shape].concat()).unwrap());
        }
    }
    for command in [&["note", "list", &id][..], &["note", "add", &id, "x"]] {
        assert_eq!(hub.try_run(command).unwrap().code, 2, "a hub has no such command");
    }
    assert!(seen(&hub, &root, &hub_node::routes(), &id) > 10, "the pages are found");
    let copy = directory.path().join("copy.db");
    hub.run(&["backup", copy.to_str().unwrap()]).unwrap();
    let copied = fs::read(copy).unwrap();
    for private in PRIVATE {
        assert!(
            !copied.windows(private.len()).any(|window| window == private.as_bytes()),
            "a backup holds {private:?}"
        );
        assert!(!hub.files_contain(private).unwrap(), "the hub's files hold {private:?}");
        assert!(la.files_contain(private).unwrap(), "and the chapter's do, where it was looked for, too");
    }

    // Nor by shutting the chapter out: that ends the link, and opens nothing.
    hub.run(&["chapter", "revoke", "la"]).unwrap();
    assert!(la.run(&["note", "list", &id]).unwrap().contains(PRIVATE[0]));
    assert!(own.get(la.http(), &format!("/people/{id}")).unwrap().body.contains(PRIVATE[0]));
}
