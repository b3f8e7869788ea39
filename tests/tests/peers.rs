//! Hostile and broken peers on a real hub: each costs the hub a bounded amount of memory, and nobody else anything.
//!
//! **Invariant:** the hostile peer is a chapter that has joined, so that its key and certificate get it past the handshake
//! and the row. Its frames are written here by the generated code of `proto/`: the engine would not say them. Beside it an
//! honest chapter has its link open all along.

use std::fs;
use std::thread;

use engine::{BATCH_BYTES_AIMED, FRAME_BYTES_MAX, PROTOCOL, WINDOW_BYTES};
use model::ScopeId;
use node::{NodeKey, channel_to};
use prost::Message as _;
use prost::bytes::Bytes;
use store::{NodeKind, Store};
use tempfile::TempDir;
use tests::harness::{Node, PATIENCE, until};
use tests::http;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use wire::frame::Kind;
use wire::sync_client::SyncClient;
use wire::{Ack, Batch, Entry, Frame, Hello, Position, ScopeHello, entry};

#[rustfmt::skip]
#[path = "../../crates/node/src/wire/chapterhouse.sync.v1.rs"]
#[allow(clippy::all, clippy::pedantic, clippy::wildcard_enum_match_arm, dead_code, missing_docs, unreachable_pub, reason = "generated")]
mod wire;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
/// What a peer may cost the hub, in KiB: a window at either end, and the page caches of the connections that serve it.
const GROWTH_KIB_MAX: u64 = 64 * 1024;
/// People of the hostile chapter where its feed has to be longer than the window: about 1.5 KiB each.
const PEOPLE: usize = 5_000;
/// What the peer's end takes from the network while nobody reads there, in bytes: HTTP/2's own default.
const STREAM_WINDOW_BYTES: u32 = 65_535;
/// Frames that wait for the peer's stream: few, so that a hub that hangs up is noticed soon.
const FRAMES_WAITING: usize = 4;
/// What a peer tries to send, in bytes, where it is to be cut off.
const GIGABYTE: usize = 1 << 30;
/// What may have left the peer's hands before it is: the buffers of both ends.
const TAKEN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Batches of a flood that the hub has answered before the peer is content.
const FLOOD_ANSWERS: usize = 20_000;
/// Streams that one peer opens beside each other.
const STREAMS: usize = 60;

/// A hub that serves, an honest chapter whose link is open, and a chapter that has joined and whose key is misused.
struct Cast {
    hub: Node,
    honest: Node,
    hostile: Node,
    runtime: Runtime,
    /// The most memory that the hub had used when everything honest was done, in KiB.
    peak_kib: u64,
    posted: usize,
    _directory: TempDir,
}

impl Cast {
    /// Everybody, with so many people in the hostile chapter.
    fn assemble(people: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let mut hub = Node::hub(&directory.path().join("hub"));
        hub.run(&["init", "--name", "Test", "--country", "US"]).unwrap();
        hub.run(&["chapter", "add", "honest", "--name", "Honest", "--postal", "9*"]).unwrap();
        hub.run(&["chapter", "add", "hostile", "--name", "Hostile", "--postal", "6*"]).unwrap();
        if people > 0 {
            let file = directory.path().join("people.csv");
            let line = |n| format!("Given{n},Family{n},p{n}@example.org,2135551234,60601,US\n");
            let head = "given_name,family_name,email,phone,postal_code,country\n".to_owned();
            fs::write(&file, head + &(0..people).map(line).collect::<String>()).unwrap();
            hub.run(&["signup", "import", file.to_str().unwrap()]).unwrap();
        }
        hub.serve().unwrap();
        let [mut honest, hostile] = ["honest", "hostile"].map(|slug| {
            let chapter = Node::chapter(&directory.path().join(slug));
            let invite = hub.run(&["invite", slug]).unwrap();
            chapter.run(&["join", &invite, "--accept-statement"]).unwrap();
            chapter
        });
        honest.serve().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut cast = Self { hub, honest, hostile, runtime, peak_kib: 0, posted: 0, _directory: directory };
        cast.a_sign_up_arrives();
        cast.peak_kib = peak_kib(&cast.hub);
        cast
    }

    /// Somebody signs up, and the honest chapter has her, over the link that was open all along.
    fn a_sign_up_arrives(&mut self) {
        self.posted += 1;
        let email = format!("new{}@example.org", self.posted);
        let body = format!(
            r#"{{"person":{{"given_name":"New","email_addresses":[{{"address":"{email}"}}],"postal_addresses":[{{"postal_code":"90012","country":"US"}}]}}}}"#
        );
        assert_eq!(http::post_json(self.hub.http(), SIGN_UP, &body).unwrap().status, 200);
        until("a sign-up has arrived", || {
            let listed = self.honest.json(&["people", "list", "--query", &email])?;
            Ok(listed["people"].as_array().is_some_and(|people| !people.is_empty()).then_some(()))
        })
        .unwrap();
        assert!(!self.honest.log().contains("is down"), "the honest link went: {}", self.honest.log());
    }

    /// What the peer did is over or still goes on: the honest chapter does not notice, and the hub's memory is bounded.
    fn goes_on(&mut self) {
        self.a_sign_up_arrives();
        self.honest.stop().unwrap();
        self.honest.run(&["sync"]).unwrap();
        let ours = self.honest.run(&["state-hash"]).unwrap();
        assert_eq!(ours, self.hub.run(&["state-hash", "--scope", "honest"]).unwrap());
        let grown = peak_kib(&self.hub).saturating_sub(self.peak_kib);
        assert!(grown < GROWTH_KIB_MAX, "the hub grew by {grown} KiB");
    }

    /// What the hub's audit log says that was refused, the newest first.
    fn attempts(&self) -> Vec<String> {
        let log = self.hub.json(&["audit"]).unwrap();
        let refused = log["audit"].as_array().unwrap().iter().filter(|row| row["what"] == "refused");
        refused.map(|row| row["detail"].as_str().unwrap().to_owned()).collect()
    }

    /// A word on the hostile link, as the hub's organiser reads it.
    fn hostile_link(&self, word: &str) -> anyhow::Result<String> {
        let status = self.hub.json(&["status"])?;
        let links = status["links"].as_array().cloned().unwrap_or_default();
        let hostile = links.iter().find(|link| link["name"] == "Hostile");
        Ok(hostile.and_then(|link| link[word].as_str()).unwrap_or_default().to_owned())
    }
}

/// The most memory that a node's process has ever used, in KiB.
fn peak_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A joined chapter that does not keep to the rules.
struct Peer {
    runtime: Handle,
    scope: Vec<u8>,
    hello: Hello,
    says: mpsc::Sender<Frame>,
    hears: Streaming<Frame>,
    /// The connection goes with it.
    _client: SyncClient<Channel>,
}

impl Peer {
    /// Opens the stream with the key and the certificate with which the hostile chapter joined. Nothing is said yet.
    fn open(cast: &Cast) -> Self {
        let key = NodeKey::open(&cast.hostile.data).unwrap().unwrap();
        let mut reader = Store::open(&cast.hostile.data, NodeKind::Chapter).unwrap().reader().unwrap();
        let (link, row) = reader.at_once(|read| Ok((read.parent()?, read.node()?))).unwrap();
        let link = link.unwrap();
        let certificate = reader.at_once(|read| read.link_certificate(link.id)).unwrap().unwrap();
        let said = |scope: ScopeId| ScopeHello {
            scope: scope.as_bytes().to_vec(),
            head: Some(position(0)),
            sum: vec![0; 32],
            ..ScopeHello::default()
        };
        let hello = Hello {
            protocol_min: PROTOCOL.0,
            protocol_max: PROTOCOL.1,
            node: row.node_id.0.to_vec(),
            incarnation: row.incarnation.as_bytes().to_vec(),
            scopes: [link.scope, ScopeId::NETWORK].map(said).to_vec(),
            window_bytes: u32::MAX,
            ..Hello::default()
        };
        let (says, frames) = mpsc::channel(FRAMES_WAITING);
        let request = tonic::Request::new(ReceiverStream::new(frames));
        let endpoint = Endpoint::from_static("http://hub.chapterhouse.internal");
        let endpoint = endpoint.initial_stream_window_size(STREAM_WINDOW_BYTES);
        let (client, hears) = cast.runtime.block_on(async {
            let (address, me) = (cast.hub.grpc().unwrap(), Some((&key, certificate.as_slice())));
            let (channel, _) = channel_to(endpoint, address, &link.parent.pins, me).await.unwrap();
            let mut client = SyncClient::new(channel);
            let hears = client.exchange(request).await.unwrap().into_inner();
            (client, hears)
        });
        let (runtime, scope) = (cast.runtime.handle().clone(), link.scope.as_bytes().to_vec());
        Self { runtime, scope, hello, says, hears, _client: client }
    }

    /// The stream with hello said.
    fn greeted(cast: &Cast) -> Self {
        let peer = Self::open(cast);
        assert!(peer.say(Kind::Hello(peer.hello.clone())));
        peer
    }

    /// Says something; `false` when the hub has hung up.
    fn say(&self, kind: Kind) -> bool {
        self.says.blocking_send(frame(Some(kind))).is_ok()
    }

    /// What the hub says next; `None` when it has ended the stream.
    fn hear(&mut self) -> Option<Kind> {
        let Self { runtime, hears, .. } = self;
        let heard = runtime.block_on(async { tokio::time::timeout(PATIENCE, hears.message()).await });
        heard.expect("the hub says something or ends the stream").ok().flatten()?.kind
    }

    /// The reason that the hub gives; `None` when it ends the stream without one.
    fn last_words(&mut self) -> Option<String> {
        loop {
            if let Kind::Bye(bye) = self.hear()? {
                assert!(self.hear().is_none(), "a bye is the last frame");
                return Some(bye.reason);
            }
        }
    }

    /// Rows that bring nothing: all that came from the receiver.
    fn rows(&self, after: u64, last: u64) -> Batch {
        Batch { scope: self.scope.clone(), after, last: Some(position(last)), ..Batch::default() }
    }

    /// Says one batch after another and reads what comes back; gives how many answers there were.
    fn flood(&mut self) -> usize {
        let Self { runtime, scope, says, hears, .. } = self;
        runtime.block_on(async {
            let (mut row, mut answers) = (0, 0);
            while answers < FLOOD_ANSWERS {
                tokio::select! {
                    room = says.reserve() => {
                        let Ok(room) = room else { break };
                        room.send(frame(Some(Kind::Batch(garbage(scope, row)))));
                        row += 1;
                    }
                    heard = hears.message() => {
                        let Ok(Some(heard)) = heard else { break };
                        answers += usize::from(matches!(heard.kind, Some(Kind::Ack(_))));
                    }
                }
            }
            answers
        })
    }
}

fn frame(kind: Option<Kind>) -> Frame {
    Frame { critical: true, kind }
}

/// A place in a feed, by a digest that no row has.
fn position(seq: u64) -> Position {
    Position { seq, hash: vec![0; 32] }
}

/// A batch of one row that is refused, in a frame of some 300 bytes: far below any limit.
fn garbage(scope: &[u8], after: u64) -> Batch {
    let content = Some(entry::Content::Change(vec![7; 200]));
    let entries = vec![Entry { seq: after + 1, document: vec![7; 16], content }];
    Batch { scope: scope.to_vec(), after, last: Some(position(after + 1)), entries }
}

/// What of its feed the hub has sent.
#[derive(Default)]
struct Sent {
    rows: usize,
    /// What they weigh in the window, within a few per cent.
    bytes: usize,
}

impl Sent {
    fn count(&mut self, kind: &Kind) {
        let batch = if let Kind::PackedBatch(packed) = kind {
            let plain = zstd::bulk::decompress(packed, FRAME_BYTES_MAX).unwrap();
            Batch::decode(plain.as_slice()).unwrap()
        } else if let Kind::Batch(batch) = kind {
            batch.clone()
        } else {
            return;
        };
        self.rows += batch.entries.len();
        self.bytes += batch.encoded_len();
    }
}

#[test]
fn g15_a_peer_that_never_acknowledges_costs_a_window_and_no_more() {
    let mut cast = Cast::assemble(PEOPLE);
    let mut peer = Peer::greeted(&cast);
    let mut sent = Sent::default();
    while sent.bytes < WINDOW_BYTES - 2 * BATCH_BYTES_AIMED {
        sent.count(&peer.hear().expect("the window is filled"));
    }
    // What the hub would send beyond the window comes before one of these answers.
    for row in 1..=3 {
        assert!(peer.say(Kind::Batch(garbage(&peer.scope, row - 1))));
        loop {
            let heard = peer.hear().expect("the link stands");
            sent.count(&heard);
            if matches!(&heard, Kind::Ack(ack) if ack.seq == row) {
                break;
            }
        }
    }
    assert!(sent.rows < PEOPLE, "there was more to send");
    assert!(sent.bytes <= WINDOW_BYTES + FRAME_BYTES_MAX, "{} bytes were sent unacknowledged", sent.bytes);
    cast.goes_on();
}

#[test]
fn a_peer_that_reads_nothing_costs_no_memory() {
    let mut cast = Cast::assemble(PEOPLE);
    let peer = Peer::greeted(&cast);
    until("the hub speaks to it", || Ok((cast.hostile_link("state")? == "connected").then_some(()))).unwrap();
    cast.goes_on();
    drop(peer);
}

#[test]
fn a_peer_that_opens_stream_upon_stream_costs_no_more_than_one() {
    let mut cast = Cast::assemble(PEOPLE);
    let peers: Vec<Peer> = (0..STREAMS).map(|_| Peer::greeted(&cast)).collect();
    until("the hub speaks to it", || Ok((cast.hostile_link("state")? == "connected").then_some(()))).unwrap();
    cast.goes_on();
    drop(peers);
}

#[test]
fn a_peer_that_sends_a_gigabyte_is_cut_off() {
    let mut cast = Cast::assemble(0);
    let too_large = vec![7; FRAME_BYTES_MAX + FRAME_BYTES_MAX / 8];
    let no_batch = vec![7; FRAME_BYTES_MAX / 2];
    let inflating = zstd::bulk::compress(&vec![0; 64 * FRAME_BYTES_MAX], 1).unwrap();
    for packed in [too_large, no_batch, inflating].map(Bytes::from) {
        let peer = Peer::greeted(&cast);
        let mut taken = 0;
        while taken < GIGABYTE && peer.say(Kind::PackedBatch(packed.clone())) {
            taken += packed.len();
        }
        assert!(taken < TAKEN_BYTES_MAX, "{taken} bytes went, in frames of {}", packed.len());
        cast.a_sign_up_arrives();
    }
    cast.goes_on();
}

#[test]
fn a_flood_of_small_batches_waits_for_the_disk_and_nobody_else_does() {
    let mut cast = Cast::assemble(0);
    let mut peer = Peer::greeted(&cast);
    let answers = thread::scope(|scope| {
        let flooding = scope.spawn(|| peer.flood());
        cast.a_sign_up_arrives();
        flooding.join().unwrap()
    });
    assert!(answers > 0, "the flood never began");
    cast.goes_on();
    let attempts = cast.attempts();
    assert!((1..=20).contains(&attempts.len()), "a flood does not fill the audit log: {} rows", attempts.len());
}

#[test]
fn frames_out_of_place_end_the_link_in_words_and_nobody_elses() {
    let mut cast = Cast::assemble(0);
    let mut early = Peer::open(&cast);
    let ahead = Ack { scope: early.scope.clone(), seq: 1_000_000, sum: vec![0; 32], ..Ack::default() };
    let foreign = Batch { scope: vec![9; 16], ..early.rows(0, 1) };
    let said = [
        (Kind::Ack(ahead), "acknowledged row 1000000, which was not sent"),
        (Kind::Batch(early.rows(7, 8)), "rows after 7 where rows after 0 are next"),
        (Kind::Batch(foreign), "a scope that is not on this link"),
        (Kind::Hello(early.hello.clone()), "a second hello where it does not belong"),
    ];
    assert!(early.say(Kind::Batch(early.rows(0, 1))));
    assert!(early.last_words().expect("words before hello").contains("a batch where it does not belong"));
    for (kind, words) in said {
        let mut peer = Peer::greeted(&cast);
        assert!(peer.say(kind));
        let last = peer.last_words().expect(words);
        assert!(last.contains(words), "{last}");
        until("the hub's organiser can read why", || Ok(cast.hostile_link("detail")?.contains(words).then_some(())))
            .unwrap();
        cast.a_sign_up_arrives();
    }
    cast.goes_on();
    let attempts = cast.attempts();
    for words in ["a scope that is not on its link", "an acknowledgement of what was not sent"] {
        assert!(attempts.iter().any(|attempt| attempt == words), "{words} is in the audit log: {attempts:?}");
    }
}

#[test]
fn what_can_not_be_read_ends_the_link_in_words_too() {
    let mut cast = Cast::assemble(0);
    let said = [
        (None, "this node needs an upgrade"),
        (Some(Kind::PackedBatch(Bytes::from_static(b"no batch"))), "a packed batch can't be read"),
        (Some(Kind::Adrift(vec![9; 5])), "scope has the wrong length"),
    ];
    for (kind, words) in said {
        let mut peer = Peer::greeted(&cast);
        peer.says.blocking_send(frame(kind)).unwrap();
        let last = peer.last_words().expect(words);
        assert!(last.contains(words), "{last}");
    }
    cast.goes_on();
}
