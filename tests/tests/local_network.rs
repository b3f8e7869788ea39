//! `serve --lan`: the pages of a chapter for the local network, over TLS, for whoever has a login.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use tests::harness::Node;
use tests::{http, logins};

/// A chapter that nobody can log in to.
fn chapter(directory: &Path) -> (Node, Node) {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles"]).unwrap();
    hub.serve().unwrap();
    let la = Node::chapter(&directory.join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    (hub, la)
}

fn openssl(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl is needed: apt-get install openssl");
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap()
}

/// Asks over TLS; gives the whole answer.
fn ask(la: &Node, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request.push_str(&format!("Host: {}\r\n", la.http()));
    }
    headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
    request.push_str(&format!("\r\n{body}"));
    let answer = openssl(&["s_client", "-connect", la.http(), "-tls1_3", "-quiet"], request.as_bytes());
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[test]
fn the_local_network_gets_the_pages_over_tls_with_a_login_and_not_otherwise() {
    let directory = TempDir::new().unwrap();
    let (_hub, mut la) = chapter(directory.path());
    let nobody = la.try_run(&["serve", "--lan", "--http", "127.0.0.1:0"]).unwrap();
    assert!(nobody.code == 4 && nobody.stderr.contains("nobody can log in yet"), "{nobody:?}");
    assert!(nobody.stdout.is_empty(), "it never listened: {nobody:?}");
    let open = la.try_run(&["serve", "--http", "0.0.0.0:0"]).unwrap();
    assert!(open.code == 4 && open.stderr.contains("not encrypted"), "without TLS on this machine only: {open:?}");
    let password = logins::add(&la, "ana", "organiser").unwrap();
    la.serve_with(&["--lan"]).unwrap();
    assert_eq!(la.set_up(), None, "no link for a first login leaves this machine");

    // A person is told by what the certificate is known, and it is that one.
    let shown = openssl(&["s_client", "-connect", la.http(), "-tls1_3"], b"");
    let fingerprint = openssl(&["x509", "-noout", "-fingerprint", "-sha256"], &shown.stdout).stdout;
    let fingerprint = String::from_utf8(fingerprint).unwrap();
    let certificate = la.certificate().unwrap().to_owned();
    assert_eq!(fingerprint.trim().rsplit('=').next(), Some(certificate.as_str()));
    assert!(la.log().contains(&certificate) && la.log().contains("https://127.0.0.1:"), "{}", la.log());
    let older = openssl(&["s_client", "-connect", la.http(), "-tls1_2", "-quiet"], b"");
    assert!(older.stdout.is_empty() && !older.status.success(), "{older:?}");
    let plain = http::send(la.http(), "GET", "/login", &[], &[]);
    assert!(!plain.is_ok_and(|answer| answer.body.contains("Log in")), "nothing is said in clear text");

    // A stranger sees the way in and nothing behind it.
    assert!(ask(&la, "GET", "/livez", &[], "").ends_with("alive"));
    let people = ask(&la, "GET", "/people", &[], "");
    assert_eq!(header(&people, "location"), Some("/login?next=/people"), "{people}");
    assert!(ask(&la, "GET", "/api/v1/people", &[], "").starts_with("HTTP/1.1 401"));

    let form = format!("name=ana&password={password}&code=&next=%2F");
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let (ours, clear) = (format!("https://{}", la.http()), format!("http://{}", la.http()));
    let by = |more: (&str, &str)| ask(&la, "POST", "/login", &[kind, more], &form);
    assert!(by(("Origin", "https://evil.example")).starts_with("HTTP/1.1 403"));
    assert!(by(("Origin", clear.as_str())).starts_with("HTTP/1.1 403"), "clear text is another origin");
    assert!(by(("Host", "evil.example")).starts_with("HTTP/1.1 421"), "a name that was rebound");
    let entered = by(("Origin", ours.as_str()));
    let given = header(&entered, "set-cookie").unwrap_or_else(|| panic!("{entered}"));
    assert!(given.starts_with("__Host-session=") && given.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{given}");
    assert!(given.contains("; Path=/;") && !given.contains("Domain"), "{given}");
    let held = given.split(';').next().unwrap();
    assert!(ask(&la, "GET", "/", &[("Cookie", held)], "").starts_with("HTTP/1.1 200"));
    // It may be asked for under any address of its machine.
    let elsewhere = [("Host", "192.0.2.7:8090"), ("Cookie", held)];
    assert!(ask(&la, "GET", "/", &elsewhere, "").starts_with("HTTP/1.1 200"));

    la.stop().unwrap();
    la.serve_with(&["--lan"]).unwrap();
    assert_eq!(la.certificate(), Some(certificate.as_str()), "who has compared it once is not asked again");
    la.stop().unwrap();
    la.serve().unwrap();
    assert_eq!((http::get(la.http(), "/livez").unwrap().status, la.certificate()), (200, None));
}
