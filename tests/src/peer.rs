//! A chapter that has joined and says what it likes, on a real hub beside an honest one.
//!
//! **Invariant:** it has a key, a certificate and a row, so that it gets past the handshake. Its frames are written here by
//! the generated code of `proto/`: the engine would not say them. Beside it the honest chapter has its link open all along.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use engine::{FRAME_BYTES_MAX, PROTOCOL};
use model::{DocId, ScopeId};
use node::{NodeKey, channel_to};
use prost::Message as _;
use store::{LinkRow, NodeKind, NodeRow, Store};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use wire::frame::Kind;
use wire::sync_client::SyncClient;
use wire::{Batch, Entry, Frame, Hello, Position, Refused, ScopeHello, entry};

use crate::harness::{Node, PATIENCE, until};
use crate::http;

/// The wire as it is generated from `proto/sync.proto`.
#[doc(hidden)]
#[rustfmt::skip]
#[path = "../../crates/node/src/wire/chapterhouse.sync.v1.rs"]
#[allow(clippy::all, clippy::pedantic, clippy::wildcard_enum_match_arm, dead_code, missing_docs, unreachable_pub, reason = "generated")]
pub mod wire;

const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
/// What a peer may cost the hub, in KiB: a window at either end, and the page caches of the connections that serve it.
pub const GROWTH_KIB_MAX: u64 = 64 * 1024;
/// What the peer's end takes from the network while nobody reads there, in bytes: HTTP/2's own default.
const STREAM_WINDOW_BYTES: u32 = 65_535;
/// Frames that wait for the peer's stream: few, so that a hub that hangs up is noticed soon.
const FRAMES_WAITING: usize = 4;

/// A hub that serves, an honest chapter whose link is open, and a chapter that has joined and whose key is misused.
#[derive(Debug)]
pub struct Cast {
    /// The hub.
    pub hub: Node,
    /// Serves; postal codes that begin with 9 are its own.
    pub honest: Node,
    /// Does not serve: its key and its database are what the peer has. Postal codes that begin with 6 are its own.
    pub hostile: Node,
    /// On it peers run.
    pub runtime: Runtime,
    /// The most memory that the hub had used when everything honest was done, in KiB.
    peak_kib: u64,
    posted: usize,
    _directory: TempDir,
}

impl Cast {
    /// Everybody, with so many people in the hostile chapter, which are called `Given0`, `Given1` and so on.
    pub fn assemble(people: usize) -> Self {
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
    pub fn a_sign_up_arrives(&mut self) {
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
    pub fn goes_on(&mut self) {
        self.goes_on_within(GROWTH_KIB_MAX);
    }

    /// The same, where the hub may have grown by so many KiB meanwhile.
    pub fn goes_on_within(&mut self, growth_kib_max: u64) {
        self.a_sign_up_arrives();
        self.honest.stop().unwrap();
        self.honest.run(&["sync"]).unwrap();
        let ours = self.honest.run(&["state-hash"]).unwrap();
        assert_eq!(ours, self.hub.run(&["state-hash", "--scope", "honest"]).unwrap());
        let grown = peak_kib(&self.hub).saturating_sub(self.peak_kib);
        assert!(grown < growth_kib_max, "the hub grew by {grown} KiB");
    }

    /// What the hub's audit log says that was refused, the newest first.
    pub fn attempts(&self) -> Vec<String> {
        let log = self.hub.json(&["audit"]).unwrap();
        let refused = log["audit"].as_array().unwrap().iter().filter(|row| row["what"] == "refused");
        refused.map(|row| row["detail"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until an attempt stands in the hub's audit log: nobody who is refused waits for that.
    pub fn attempted(&self, words: &str) {
        let what = format!("{words:?} is in the audit log");
        until(&what, || Ok(self.attempts().iter().any(|attempt| attempt == words).then_some(()))).unwrap();
    }

    /// A word on the hostile link, as the hub's organiser reads it.
    ///
    /// # Errors
    /// When the hub can't be asked.
    pub fn hostile_link(&self, word: &str) -> Result<String> {
        let status = self.hub.json(&["status"])?;
        let links = status["links"].as_array().cloned().unwrap_or_default();
        let hostile = links.iter().find(|link| link["name"] == "Hostile");
        Ok(hostile.and_then(|link| link[word].as_str()).unwrap_or_default().to_owned())
    }

    /// A connection with the key and the certificate with which the hostile chapter joined; `None` when the hub hangs up at
    /// once.
    pub fn connect(&self) -> Option<SyncClient<Channel>> {
        let key = NodeKey::open(&self.hostile.data).unwrap().unwrap();
        let mut reader = Store::open(&self.hostile.data, NodeKind::Chapter).unwrap().reader().unwrap();
        let (link, _) = self.joined();
        let certificate = reader.at_once(|read| read.link_certificate(link.id)).unwrap().unwrap();
        let endpoint = Endpoint::from_static("http://hub.chapterhouse.internal");
        let endpoint = endpoint.initial_stream_window_size(STREAM_WINDOW_BYTES);
        let (address, me) = (self.hub.grpc().unwrap(), Some((&key, certificate.as_slice())));
        let opened = self.runtime.block_on(channel_to(endpoint, address, &link.parent.pins, me));
        opened.ok().map(|(channel, _)| SyncClient::new(channel))
    }

    /// What the hostile chapter's database says of its link and of itself.
    fn joined(&self) -> (LinkRow, NodeRow) {
        let mut reader = Store::open(&self.hostile.data, NodeKind::Chapter).unwrap().reader().unwrap();
        let (link, row) = reader.at_once(|read| Ok((read.parent()?, read.node()?))).unwrap();
        (link.unwrap(), row)
    }
}

/// The most memory that a node's process has ever used, in KiB.
fn peak_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A joined chapter that does not keep to the rules.
#[derive(Debug)]
pub struct Peer {
    /// On it frames are awaited.
    pub runtime: Handle,
    /// The hostile chapter's scope.
    pub scope: Vec<u8>,
    /// What it greets with, unless told otherwise.
    pub hello: Hello,
    /// Where its frames go.
    pub says: mpsc::Sender<Frame>,
    /// Where the hub's come from.
    pub hears: Streaming<Frame>,
    /// Everything that was heard so far, unpacked.
    heard: Vec<u8>,
    /// Up to which row it has fed each scope.
    fed: BTreeMap<Vec<u8>, u64>,
    /// The connection goes with it.
    _client: SyncClient<Channel>,
}

impl Peer {
    /// Opens the stream with the key and the certificate with which the hostile chapter joined. Nothing is said yet.
    pub fn open(cast: &Cast) -> Self {
        let (link, row) = cast.joined();
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
        let mut client = cast.connect().expect("the hub takes the connection");
        let request = tonic::Request::new(ReceiverStream::new(frames));
        let hears = cast.runtime.block_on(client.exchange(request)).unwrap().into_inner();
        Self {
            runtime: cast.runtime.handle().clone(),
            scope: link.scope.as_bytes().to_vec(),
            hello,
            says,
            hears,
            heard: Vec::new(),
            fed: BTreeMap::new(),
            _client: client,
        }
    }

    /// The stream with hello said.
    pub fn greeted(cast: &Cast) -> Self {
        let peer = Self::open(cast);
        assert!(peer.say(Kind::Hello(peer.hello.clone())));
        peer
    }

    /// Says something; `false` when the hub has hung up.
    pub fn say(&self, kind: Kind) -> bool {
        self.says.blocking_send(frame(Some(kind))).is_ok()
    }

    /// What the hub says next; `None` when it has ended the stream.
    pub fn hear(&mut self) -> Option<Kind> {
        let Self { runtime, hears, .. } = self;
        let heard = runtime.block_on(async { tokio::time::timeout(PATIENCE, hears.message()).await });
        let kind = heard.expect("the hub says something or ends the stream").ok().flatten()?.kind;
        let plain = kind.as_ref().and_then(batch_in).map(Kind::Batch).or(kind.clone());
        self.heard.extend(frame(plain).encode_to_vec());
        kind
    }

    /// Hears until it has heard a text.
    pub fn hear_of(&mut self, text: &str) {
        while !self.has_heard(text.as_bytes()) {
            self.hear().expect("the link stands");
        }
    }

    /// Whether these bytes were in anything that the hub has said.
    pub fn has_heard(&self, bytes: &[u8]) -> bool {
        self.heard.windows(bytes.len()).any(|window| window == bytes)
    }

    /// The reason that the hub gives; `None` when it ends the stream without one.
    pub fn last_words(&mut self) -> Option<String> {
        loop {
            if let Kind::Bye(bye) = self.hear()? {
                assert!(self.hear().is_none(), "a bye is the last frame");
                return Some(bye.reason);
            }
        }
    }

    /// Says the next rows of its feed of a scope; gives those that the hub did not take.
    pub fn feed(&mut self, scope: &[u8], rows: Vec<(DocId, entry::Content)>) -> Vec<Refused> {
        let after = self.fed.get(scope).copied().unwrap_or(0);
        let last = after + rows.len() as u64;
        let entry = |(seq, (document, content)): (u64, (DocId, entry::Content))| Entry {
            seq,
            document: document.as_bytes().to_vec(),
            content: Some(content),
        };
        let entries = (after + 1..).zip(rows).map(entry).collect();
        let batch = Batch { scope: scope.to_vec(), after, last: Some(position(last)), entries };
        assert!(self.say(Kind::Batch(batch)), "the hub takes what is said");
        self.fed.insert(scope.to_vec(), last);
        // No frame names the link's own scope.
        let named: &[u8] = if self.scope == scope { &[] } else { scope };
        loop {
            let heard = self.hear().expect("the link stands");
            if let Kind::Ack(ack) = heard
                && ack.scope == named
                && ack.seq == last
            {
                return ack.refused;
            }
        }
    }
}

/// A frame of this version.
pub fn frame(kind: Option<Kind>) -> Frame {
    Frame { critical: true, kind }
}

/// A place in a feed, by a digest that no row has.
pub fn position(seq: u64) -> Position {
    Position { seq, hash: vec![0; 32] }
}

/// The batch that a frame brings, packed or not.
pub fn batch_in(kind: &Kind) -> Option<Batch> {
    if let Kind::PackedBatch(packed) = kind {
        let plain = zstd::bulk::decompress(packed, FRAME_BYTES_MAX).unwrap();
        return Some(Batch::decode(plain.as_slice()).unwrap());
    }
    if let Kind::Batch(batch) = kind { Some(batch.clone()) } else { None }
}
