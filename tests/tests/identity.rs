//! Nobody gets in who does not belong, and whoever belongs stays: invitations, certificates, revoking.
//!
//! **Invariant:** what is refused is refused in words, and nobody who is refused has lost anything.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use enrolment::enrolment_client::EnrolmentClient;
use enrolment::{InviteRequest, LeaveRequest, LookRequest, RenewRequest};
use model::{Digest, Timestamp};
use node::{Authority, Inviting, NodeKey, Priority, channel_to, unlock_file};
use store::{LinkCertificate, LinkRow, NodeKind};
use sync::sync_client::SyncClient;
use tempfile::TempDir;
use tests::harness::{Node, PATIENCE, until};
use tests::proxy::{Policy, Proxy};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

#[rustfmt::skip]
#[path = "../../crates/node/src/wire/chapterhouse.sync.v1.rs"]
#[allow(clippy::all, clippy::pedantic, clippy::wildcard_enum_match_arm, dead_code, missing_docs, unreachable_pub, reason = "generated")]
mod sync;

#[rustfmt::skip]
#[path = "../../crates/node/src/wire/chapterhouse.enrolment.v1.rs"]
#[allow(clippy::all, clippy::pedantic, clippy::wildcard_enum_match_arm, dead_code, missing_docs, unreachable_pub, reason = "generated")]
mod enrolment;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// What is promised of revoking.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A hub that serves, with a chapter for everybody that nobody has joined yet.
fn hub(directory: &Path) -> Node {
    let mut hub = Node::hub(&directory.join("hub"));
    hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    hub.run(&["chapter", "add", "la", "--name", "Los Angeles", "--county", "06037"]).unwrap();
    hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "941*"]).unwrap();
    hub.serve().unwrap();
    hub
}

fn join(hub: &Node, slug: &str, data: &Path) -> Node {
    let chapter = Node::chapter(data);
    let invite = hub.run(&["invite", slug]).unwrap();
    chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
    chapter
}

fn refused(node: &Node, command: &[&str], words: &str) {
    let outcome = node.try_run(command).unwrap();
    assert_eq!(outcome.code, 4, "{command:?}: {outcome:?}");
    assert!(outcome.stderr.contains(words), "{command:?}: {outcome:?}");
}

fn nodes(hub: &Node) -> Vec<serde_json::Value> {
    hub.json(&["node", "list"]).unwrap()["nodes"].as_array().unwrap().clone()
}

fn link_is(node: &Node, state: &str) {
    until(
        &format!("the link is {state}"),
        || Ok((node.json(&["status"])?["links"][0]["state"] == state).then_some(())),
    )
    .unwrap();
}

/// A chapter's node in this process, and its link.
fn opened(chapter: &Node) -> (node::Node, LinkRow) {
    let node = node::Node::open(&chapter.data, NodeKind::Chapter).unwrap();
    let link = node.read(|read| read.parent()).unwrap().unwrap();
    (node, link)
}

fn authority(hub: &Node) -> Authority {
    Authority::open(&hub.data, &unlock_file(&hub.data)).unwrap()
}

/// A channel to the hub for somebody with these credentials; none when the hub hangs up first.
fn try_channel(runtime: &Runtime, hub: &Node, me: Option<(&NodeKey, &[u8])>) -> Option<Channel> {
    let (endpoint, pin) = (Endpoint::from_static("http://hub.chapterhouse.internal"), authority(hub).pin().unwrap());
    let opened = runtime.block_on(channel_to(endpoint, hub.grpc().unwrap(), &[pin], me));
    opened.ok().map(|(channel, _)| channel)
}

fn channel(runtime: &Runtime, hub: &Node, me: Option<(&NodeKey, &[u8])>) -> Channel {
    try_channel(runtime, hub, me).expect("the hub takes the connection")
}

/// What opening the stream comes to.
fn exchange(runtime: &Runtime, channel: Channel) -> Result<(), Status> {
    let call = async { SyncClient::new(channel).exchange(tokio_stream::pending()).await.map(drop) };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await.expect("the hub answers") })
}

/// Waits until a refusal stands in the hub's audit log: nobody who is refused waits for that.
fn audited(hub: &Node, words: &str) {
    until(&format!("{words:?} is in the audit log"), || {
        let log = hub.json(&["audit"])?;
        let rows = log["audit"].as_array().cloned().unwrap_or_default();
        Ok(rows.iter().any(|row| row["what"] == "refused" && row["detail"] == words).then_some(()))
    })
    .unwrap();
}

#[test]
fn an_invitation_that_was_used_altered_expired_or_taken_back_is_refused_in_words() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let la = join(&hub, "la", &directory.path().join("la"));
    let used = hub.json(&["invites", "list"]).unwrap()["invites"][0].clone();
    assert_eq!((&used["state"], &used["used_by"]), (&"used".into(), &la.json(&["status"]).unwrap()["node"]));

    let thief = Node::chapter(&directory.path().join("thief"));
    let tried = |line: &str, words: &str| refused(&thief, &["join", line, "--accept-statement"], words);
    let invite = hub.run(&["invite", "la"]).unwrap();
    let by_one = Node::chapter(&directory.path().join("one"));
    by_one.run(&["join", &invite, "--accept-statement"]).unwrap();
    tried(&invite, "used by another node");
    assert_eq!(hub.json(&["status"]).unwrap()["invites_misused"], 1, "and it is noted");

    let fresh: node::Invite = hub.run(&["invite", "la"]).unwrap().parse().unwrap();
    let (line, mut guessed) = (fresh.to_string(), fresh);
    tried(&line.replacen(&line[24..26], if &line[24..26] == "00" { "01" } else { "00" }, 1), "copy the whole line");
    guessed.secret[3] ^= 1;
    tried(&guessed.to_string(), "does not know this invitation");

    let newest = hub.json(&["invites", "list"]).unwrap()["invites"][0].clone();
    assert_eq!(newest["state"], "open");
    hub.run(&["invites", "cancel", newest["id"].as_str().unwrap()]).unwrap();
    tried(&line, "taken back");

    let late = node::Node::open(&hub.data, NodeKind::Hub).unwrap();
    let ended = late.invite("la", &Inviting { addresses: None, life_ms: -1, by: "lee", link: None }).unwrap();
    drop(late);
    tried(&ended.to_string(), "expired");
    assert!(!thief.data.join(store::DATABASE_FILE).exists());
    assert_eq!(nodes(&hub).len(), 2);
    // The same machine gets in by an invitation of its own.
    thief.run(&["join", &hub.run(&["invite", "la", "--link"]).unwrap(), "--accept-statement"]).unwrap();
    assert!(hub.run(&["invite", "la", "--qr"]).unwrap().contains("<svg"));
}

#[test]
fn joining_over_a_line_that_is_cut_anywhere_is_repeated_until_it_works_and_counts_once() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let line = Proxy::start(hub.grpc().unwrap().parse().unwrap());
    let invite = hub.run(&["invite", "la", "--address", &line.address().to_string()]).unwrap();
    let la = Node::chapter(&directory.path().join("la"));
    let (mut lost, mut cut) = (0, 1_500);
    loop {
        line.set(Policy::CutAfter { bytes: vec![cut] });
        let outcome = la.try_run(&["join", &invite, "--accept-statement"]).unwrap();
        if outcome.code == 0 {
            break;
        }
        assert_eq!(outcome.code, 3, "cut after {cut} bytes: {outcome:?}");
        lost += usize::from(!nodes(&hub).is_empty());
        cut += 40;
    }
    assert!(lost > 0, "the hub had enrolled it before it heard of that");
    let known = nodes(&hub);
    assert_eq!(known.len(), 1, "with one key, whatever was lost");
    assert_eq!(known[0]["node"], la.json(&["status"]).unwrap()["node"]);
    line.set(Policy::Pass);
    la.run(&["sync"]).unwrap();
}

#[test]
fn both_ends_show_the_same_key_and_keep_who_accepted_what() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let la = Node::chapter(&directory.path().join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    let joined = la.json(&["join", &invite, "--accept-statement", "--by", "lee"]).unwrap();
    let known = nodes(&hub).remove(0);
    assert_eq!(known["key"], joined["key"]);
    assert!(hub.log().contains(joined["key"].as_str().unwrap()), "the hub says it when it joins");
    assert_eq!((&known["accepted"]["by"], &known["accepted"]["version"]), (&"lee".into(), &1.into()));
    let (_, link) = opened(&la);
    let accepted = link.accepted.unwrap();
    assert_eq!((accepted.by.as_str(), accepted.version), ("lee", 1));
    let until = known["certificate_expires"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(Some(until), link.expires);
    assert!((89 * DAY_MS..=90 * DAY_MS).contains(&until.since(accepted.at)), "{until}");
    let status = la.json(&["status"]).unwrap();
    assert_eq!(status["links"][0]["certificate_expires"], known["certificate_expires"]);
}

#[test]
fn g10_revocation_cuts_an_open_stream_within_a_second() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let mut la = Node::chapter(&directory.path().join("la"));
    let invite = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &invite, "--accept-statement"]).unwrap();
    let jo = la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    la.serve().unwrap();
    link_is(&la, "connected");
    until("the hub has her", || Ok((hub.json(&["status"])?["supporters"] == 1).then_some(()))).unwrap();

    hub.run(&["node", "revoke", nodes(&hub)[0]["node"].as_str().unwrap()]).unwrap();
    let began = Instant::now();
    let detail = until("the chapter knows", || {
        let link = la.json(&["status"])?["links"][0].clone();
        Ok((link["state"] == "refused").then(|| link["detail"].as_str().unwrap_or_default().to_owned()))
    })
    .unwrap();
    assert!(began.elapsed() < ONE_SECOND, "it took {:?}", began.elapsed());
    assert!(detail.contains("shut this node out"), "{detail}");
    assert_eq!(nodes(&hub)[0]["state"], "revoked");

    // It keeps what it has and works on; the network hears nothing of that.
    assert_eq!(la.json(&["people", "list"]).unwrap()["people"][0]["given_name"], "Jo");
    la.run(&["people", "edit", &jo, "family_name=Alone"]).unwrap();
    la.stop().unwrap();
    refused(&la, &["sync"], "shut this node out");
    refused(&la, &["join", &invite, "--accept-statement"], "new invitation");
    assert_ne!(hub.json(&["people", "show", &jo]).unwrap()["family_name"], "Alone");
    hub.run(&["verify"]).unwrap();

    // By a fresh invitation of the network it is back, with everything.
    let again = hub.run(&["invite", "la"]).unwrap();
    la.run(&["join", &again, "--accept-statement"]).unwrap();
    la.run(&["sync"]).unwrap();
    until("the hub has it", || Ok((hub.json(&["people", "show", &jo])?["family_name"] == "Alone").then_some(())))
        .unwrap();
    assert_eq!(nodes(&hub).len(), 1);
}

#[test]
fn a_revoked_chapter_is_out_with_all_its_nodes_and_invitations() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let [one, two] = ["one", "two"].map(|name| join(&hub, "la", &directory.path().join(name)));
    let sf = join(&hub, "sf", &directory.path().join("sf"));
    let open = hub.run(&["invite", "la"]).unwrap();
    let own = one.run(&["invite"]).unwrap();
    assert_eq!(hub.json(&["chapter", "revoke", "la"]).unwrap()["revoked"].as_array().unwrap().len(), 2);
    for node in [&one, &two] {
        refused(node, &["sync"], "shut this node out");
        refused(node, &["invite"], "shut this node out");
    }
    let third = Node::chapter(&directory.path().join("third"));
    for invite in [open, own] {
        refused(&third, &["join", &invite, "--accept-statement"], "taken back");
    }
    sf.run(&["sync"]).unwrap();
}

#[test]
fn a_chapter_invites_a_further_node_of_its_own_without_staff() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let la = join(&hub, "la", &directory.path().join("la"));
    let invite = la.run(&["invite", "--expires", "12h", "--by", "ana"]).unwrap();
    let second = Node::chapter(&directory.path().join("second"));
    let joined = second.json(&["join", &invite, "--accept-statement"]).unwrap();
    assert_eq!(joined["chapter"], "la");
    let made = hub.json(&["invites", "list"]).unwrap()["invites"][0].clone();
    assert_eq!((&made["by"], &made["by_chapter"], &made["chapter"]), (&"ana".into(), &true.into(), &"la".into()));
    la.run(&["people", "add", "--given-name", "Jo", "--email", "jo@example.org"]).unwrap();
    la.run(&["sync"]).unwrap();
    until("the second node has her", || {
        second.run(&["sync"])?;
        Ok((second.run(&["state-hash"])? == la.run(&["state-hash"])?).then_some(()))
    })
    .unwrap();
    refused(&la, &["invite", "--expires", "60d"], "a month at most");

    // Whoever shuts out the first hears of the second: it came by that one's word.
    let [first, second] =
        [&la, &second].map(|node| node.json(&["status"]).unwrap()["node"].as_str().unwrap().to_owned());
    let revoked = hub.json(&["node", "revoke", &first]).unwrap();
    assert_eq!(revoked["brought_in"], serde_json::json!([second]));
    assert_eq!(hub.json(&["node", "revoke", &second]).unwrap()["brought_in"], serde_json::json!([]));
}

#[test]
fn a_certificate_that_has_ended_is_renewed_without_anybody() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let la = join(&hub, "la", &directory.path().join("la"));
    let (key, runtime) = (NodeKey::open(&la.data).unwrap().unwrap(), Runtime::new().unwrap());
    let (node, link) = opened(&la);
    let now = node.now();
    let (from, until_then) = (now.plus_millis(-100 * DAY_MS), now.plus_millis(-10 * DAY_MS));
    let ended = authority(&hub).certify(&key.request().unwrap(), from, until_then).unwrap();

    // It is let through the door, and may do one thing.
    let channel = channel(&runtime, &hub, Some((&key, ended.certificate.as_slice())));
    let told = exchange(&runtime, channel.clone()).unwrap_err();
    assert_eq!(told.code(), Code::Unauthenticated, "{told}");
    let mut client = EnrolmentClient::new(channel);
    let invited = runtime.block_on(client.invite(InviteRequest { life_ms: DAY_MS, by: "lee".to_owned() }));
    assert_eq!(invited.unwrap_err().code(), Code::Unauthenticated);
    let other = NodeKey::draw().unwrap().request().unwrap();
    let foreign = runtime.block_on(client.renew(RenewRequest { request: other })).unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied, "for its own key only: {foreign}");
    runtime.block_on(client.renew(RenewRequest { request: key.request().unwrap() })).unwrap();
    audited(&hub, "called with a certificate that has ended");
    audited(&hub, "asked for a certificate of another key");

    // The second time its own clock is wrong: it believes the certificate to be good.
    for believed in [ended.expires, now.plus_millis(80 * DAY_MS)] {
        let certificate = LinkCertificate { bytes: ended.certificate.clone(), expires: believed };
        node.write(Priority::Interactive, move |tx| tx.renewed(link.id, &certificate)).unwrap();
        la.run(&["sync"]).unwrap();
        let (_, renewed) = opened(&la);
        assert!(renewed.expires.unwrap().since(now) > 89 * DAY_MS, "{:?}", renewed.expires);
    }
    assert_eq!(nodes(&hub).len(), 1);
}

#[test]
fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let mut la = join(&hub, "la", &directory.path().join("la"));
    let (node, link) = opened(&la);
    let key = NodeKey::open(&la.data).unwrap().unwrap();
    let now = node.now();
    // A third of its life is left: it is good, and it is time.
    let soon = authority(&hub).certify(&key.request().unwrap(), now, now.plus_millis(29 * DAY_MS)).unwrap();
    let certificate = LinkCertificate { bytes: soon.certificate, expires: soon.expires };
    node.write(Priority::Interactive, move |tx| tx.renewed(link.id, &certificate)).unwrap();
    la.serve().unwrap();
    link_is(&la, "connected");
    let (_, renewed) = opened(&la);
    assert!(renewed.expires.unwrap().since(now) > 89 * DAY_MS, "{:?}", renewed.expires);
}

#[test]
fn without_a_certificate_of_this_hub_one_may_look_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let la = join(&hub, "la", &directory.path().join("la"));
    let (runtime, now) = (Runtime::new().unwrap(), opened(&la).0.now());

    let nobody = channel(&runtime, &hub, None);
    assert_eq!(exchange(&runtime, nobody.clone()).unwrap_err().code(), Code::PermissionDenied);
    let mut client = EnrolmentClient::new(nobody);
    let looked = runtime.block_on(client.look(LookRequest { secret: vec![7; 16] })).unwrap_err();
    assert!(looked.message().contains("does not know this invitation"), "{looked}");
    let long = runtime.block_on(client.look(LookRequest { secret: vec![7; 32 * 1024] })).unwrap_err();
    assert_eq!(long.code(), Code::OutOfRange, "a stranger costs little memory: {long}");
    let request = NodeKey::draw().unwrap().request().unwrap();
    let renewed = runtime.block_on(client.renew(RenewRequest { request })).unwrap_err();
    assert_eq!(renewed.code(), Code::PermissionDenied);
    let invited = runtime.block_on(client.invite(InviteRequest { life_ms: DAY_MS, by: String::new() })).unwrap_err();
    assert_eq!(invited.code(), Code::PermissionDenied);
    let left = runtime.block_on(client.leave(LeaveRequest { release: true, ..LeaveRequest::default() })).unwrap_err();
    assert_eq!(left.code(), Code::PermissionDenied);

    // A certificate of this hub's authority for a key that is in no row: who signed it says nothing.
    let stranger = NodeKey::draw().unwrap();
    let signed = authority(&hub).certify(&stranger.request().unwrap(), now, now.plus_millis(DAY_MS)).unwrap();
    let told =
        exchange(&runtime, channel(&runtime, &hub, Some((&stranger, signed.certificate.as_slice())))).unwrap_err();
    assert!(told.code() == Code::PermissionDenied && told.message().contains("not enrolled"), "{told}");

    // The chapter's own key, in a certificate of another authority: the handshake fails, after which nothing is said.
    let (key, other) = (NodeKey::open(&la.data).unwrap().unwrap(), Authority::make(now).unwrap());
    let forged = other.certify(&key.request().unwrap(), now, now.plus_millis(DAY_MS)).unwrap();
    if let Some(open) = try_channel(&runtime, &hub, Some((&key, forged.certificate.as_slice()))) {
        let broken = exchange(&runtime, open).unwrap_err();
        let said = [Code::PermissionDenied, Code::Unauthenticated].contains(&broken.code());
        assert!(!said, "it never got to a call: {broken}");
    }
    audited(&hub, "called without a certificate");
    audited(&hub, "called with a key that is in no row");

    la.run(&["sync"]).unwrap();
}

#[test]
fn whoever_answers_in_a_hubs_place_is_not_talked_to() {
    let directory = TempDir::new().unwrap();
    let mut hub = hub(directory.path());
    let la = join(&hub, "la", &directory.path().join("la"));
    la.run(&["sync"]).unwrap();
    hub.stop().unwrap();
    // Another hub takes the address.
    let mut impostor = Node::hub(&directory.path().join("impostor"));
    impostor.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
    impostor.serve().unwrap();
    let address = impostor.grpc().unwrap().to_owned();
    let (node, link) = opened(&la);
    node.write(Priority::Interactive, move |tx| tx.set_parent_addresses(&[address])).unwrap();
    drop(node);
    refused(&la, &["sync"], "not the hub");
    // Nor does an invitation lead to another hub than the one that made it.
    let invite = node::Invite {
        secret: [7; 16],
        hub: store::ParentAt {
            addresses: vec![impostor.grpc().unwrap().to_owned()],
            pins: vec![Digest([7; 32]), link.parent.pins[0]],
        },
    };
    let fresh = Node::chapter(&directory.path().join("fresh"));
    refused(&fresh, &["join", &invite.to_string(), "--accept-statement"], "not the hub");
    assert!(impostor.json(&["node", "list"]).unwrap()["nodes"].as_array().unwrap().is_empty());
}

/// What a client says first that speaks TLS 1.2 at most (RFC 5246, section 7.4.1.2).
fn hello_1_2() -> Vec<u8> {
    let extensions = [
        // supported_groups: secp256r1.
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        // signature_algorithms: ecdsa_secp256r1_sha256.
        &[0, 13, 0, 4, 0, 2, 4, 3],
    ]
    .concat();
    let length = u8::try_from(extensions.len()).unwrap();
    // Version, random, no session, two suites of ECDHE with AES-GCM, no compression.
    let hello =
        [&[3, 3][..], &[7; 32], &[0], &[0, 4, 0xc0, 0x2b, 0xc0, 0x2f], &[1, 0], &[0, length], &extensions].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat()
}

#[test]
fn nothing_older_than_tls_1_3_is_spoken_and_nothing_without_it() {
    let directory = TempDir::new().unwrap();
    let hub = hub(directory.path());
    let answer = |said: &[u8]| {
        let mut line = TcpStream::connect(hub.grpc().unwrap()).unwrap();
        line.set_read_timeout(Some(PATIENCE)).unwrap();
        line.write_all(said).unwrap();
        let mut heard = Vec::new();
        // It may end with a reset: what came before that is there all the same.
        let _ = line.read_to_end(&mut heard);
        heard
    };
    let alert = answer(&hello_1_2());
    assert!(alert.starts_with(&[21, 3]) && alert.ends_with(&[2, 70]), "protocol_version, fatal: {alert:?}");
    let plain = answer(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(plain.is_empty() || plain.starts_with(&[21, 3]), "an alert at most: {plain:?}");
}
