//! Hostile and broken peers on a real hub: each costs the hub a bounded amount of memory, and nobody else anything.
//!
//! What they can read and write is in `isolation.rs`, and every limit of a frame in `limits.rs`.

use std::thread;

use engine::{BATCH_BYTES_AIMED, FRAME_BYTES_MAX, WINDOW_BYTES};
use model::{DocId, Kind as DocumentKind, Timestamp};
use prost::Message as _;
use prost::bytes::Bytes;
use record::{Record, Stamp, Value, Write};
use tests::harness::{PATIENCE, until};
use tests::peer::wire::frame::Kind;
use tests::peer::wire::sync_client::SyncClient;
use tests::peer::wire::{Ack, Batch, Entry, Frame, Refused, RefusedWhy, entry};
use tests::peer::{Cast, Peer, batch_in, frame, position};
use tonic::transport::Channel;
use tonic::{Response, Streaming};

/// People of the hostile chapter where its feed has to be longer than the window: about 1.5 KiB each.
const PEOPLE: usize = 5_000;
/// What a peer tries to send, in bytes, where it is to be cut off.
const GIGABYTE: usize = 1 << 30;
/// What may have left the peer's hands before it is: the buffers of both ends.
const TAKEN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Batches of a flood that the hub has answered before the peer is content.
const FLOOD_ANSWERS: usize = 20_000;
/// Acks of a flood, and how many refusals of 1 KB each of them has: 150 MB.
const FLOOD_ACKS: usize = 300;
const REFUSALS: u64 = 500;
/// What is written to one record, in changes of as many bytes: 80 MB, where a record may have half of one.
const FLOOD_CHANGES: usize = 400;
const FLOOD_CHANGE_BYTES: usize = 200 * 1024;
/// What that may cost, in KiB: with the page cache of the connection that writes, which is 64 MiB then.
const FLOOD_GROWTH_KIB_MAX: u64 = 224 * 1024;
/// Connections that one chapter tries to open, and how many a hub takes of one key.
const CONNECTIONS: usize = 40;
const OF_A_KEY_MAX: usize = 32;
/// Streams that it opens on those.
const STREAMS: usize = 1_000;

/// Rows that bring nothing: all that came from the receiver.
fn rows(peer: &Peer, after: u64, last: u64) -> Batch {
    Batch { scope: peer.scope.clone(), after, last: Some(position(last)), ..Batch::default() }
}

/// Says one batch after another and reads what comes back; gives how many answers there were.
fn flood(peer: &mut Peer) -> usize {
    let Peer { runtime, scope, says, hears, .. } = peer;
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

/// A batch of one row that is refused, in a frame of some 300 bytes: far below any limit.
fn garbage(scope: &[u8], after: u64) -> Batch {
    let content = Some(entry::Content::Change(vec![7; 200]));
    let entries = vec![Entry { seq: after + 1, document: vec![7; 16], content }];
    Batch { scope: scope.to_vec(), after, last: Some(position(after + 1)), entries }
}

/// Opens a stream on a connection, on which nothing is said; `None` when the hub has closed the connection.
fn open(cast: &Cast, client: &mut SyncClient<Channel>) -> Option<Streaming<Frame>> {
    let call = client.exchange(tokio_stream::pending());
    let answered = cast.runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await });
    answered.expect("the hub answers").ok().map(Response::into_inner)
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
        let Some(batch) = batch_in(kind) else { return };
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
fn a_thousand_streams_of_one_chapter_cost_no_more_than_one() {
    let mut cast = Cast::assemble(0);
    let (mut clients, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let Some(mut client) = cast.connect() else { continue };
        if let Some(stream) = open(&cast, &mut client) {
            clients.push(client);
            streams.push(stream);
        }
    }
    assert_eq!(clients.len(), OF_A_KEY_MAX, "the others were closed: no chapter takes all that a hub can open");
    while streams.len() < STREAMS {
        let at = streams.len() % clients.len();
        streams.push(open(&cast, &mut clients[at]).expect("it is one of the connections that were taken"));
    }
    until("the hub speaks to it", || Ok((cast.hostile_link("state")? == "connected").then_some(()))).unwrap();
    cast.a_sign_up_arrives();
    drop((clients, streams));
    until("it can come again", || Ok(cast.connect().and_then(|mut client| open(&cast, &mut client)))).unwrap();
    cast.goes_on();
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
        let flooding = scope.spawn(|| flood(&mut peer));
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
    let foreign = Batch { scope: vec![9; 16], ..rows(&early, 0, 1) };
    let said = [
        (Kind::Ack(ahead), "acknowledged row 1000000, which was not sent"),
        (Kind::Batch(rows(&early, 7, 8)), "rows after 7 where rows after 0 are next"),
        (Kind::Batch(foreign), "a scope that is not on this link"),
        (Kind::Hello(early.hello.clone()), "a second hello where it does not belong"),
    ];
    assert!(early.say(Kind::Batch(rows(&early, 0, 1))));
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

#[test]
fn refusals_without_end_wait_for_the_disk_and_nobody_else_does() {
    let mut cast = Cast::assemble(0);
    let peer = Peer::greeted(&cast);
    // Words of 1,000 bytes: as many are kept.
    let refused = |seq| {
        let (document, why) = (vec![7; 16], RefusedWhy::NotYours.into());
        Refused { seq, document, why, words: "\u{1d51e}".repeat(250) }
    };
    let refused = (1..=REFUSALS).map(refused).collect();
    let ack = Kind::Ack(Ack { scope: peer.scope.clone(), sum: vec![0; 32], refused, ..Ack::default() });
    let says = peer.says.clone();
    let taken = thread::scope(|scope| {
        let says = |_: &usize| says.blocking_send(frame(Some(ack.clone()))).is_ok();
        let flooding = scope.spawn(move || (0..FLOOD_ACKS).filter(says).count());
        cast.a_sign_up_arrives();
        flooding.join().unwrap()
    });
    assert_eq!(taken, FLOOD_ACKS, "the link stands");
    cast.goes_on();
}

#[test]
fn a_record_that_grows_without_end_is_put_aside_and_costs_what_a_record_does() {
    let mut cast = Cast::assemble(0);
    let mut peer = Peer::greeted(&cast);
    let scope = peer.scope.clone();
    let stamp = Stamp { actor: [7; 16], author: "0badcafe/eve".to_owned(), at: Timestamp::from_millis(1_000_000) };
    let id = DocId::from_bytes([7; 16]);
    let (mut record, first) = Record::create(id, DocumentKind::Supporter, Vec::new(), &stamp);
    let change = |bytes| vec![(id, entry::Content::Change(bytes))];
    assert!(peer.feed(&scope, change(first.bytes)).is_empty());
    for nth in 0..FLOOD_CHANGES {
        let write = Write::Put(format!("custom/k{nth}"), Value::text("x".repeat(FLOOD_CHANGE_BYTES)));
        let written = record.edit(&[write], &stamp).unwrap();
        assert!(peer.feed(&scope, change(written.bytes)).is_empty(), "what follows is logged");
    }
    until("it is put aside", || Ok((cast.hub.json(&["status"])?["quarantined"] == 1).then_some(()))).unwrap();
    cast.hub.run(&["verify"]).unwrap();
    cast.goes_on_within(FLOOD_GROWTH_KIB_MAX);
}
