//! A chapter that is properly enrolled and speaks the protocol fluently, against a real hub with another chapter beside it: it
//! learns nothing of the other's, changes nothing of it, is written down, and the other does not notice.
//!
//! **Invariant:** at the end of each test nothing that it heard has a word of what only the other chapter and the network may
//! know; the other's scope and the network's figures are what they were, and `verify` finds nothing; what it tried stands in the
//! audit log; a sign-up arrives at the other chapter over the link that was open all along, and the hub has not grown by more
//! than a named bound (`World::stands`, by the most memory that it ever had, which is more than what it has). That what is heard can
//! be read at all is shown by its own people, whom it hears of.
//!
//! Elsewhere, and not again here:
//! - comparisons and transfers: `lies.rs`, on the same terms.
//! - frames before hello, rows with a gap, acks ahead, a second hello: `frames_out_of_place_end_the_link_in_words_and_nobody_elses`;
//!   floods, a thousand streams, a record without end: the others of `peers.rs`. Every limit: `limits.rs`.
//! - whose invitation, which key: `a_key_belongs_to_one_chapter`, `an_invitation_lets_one_key_in_as_often_as_that_asks_and_counts_the_others`
//!   (the store's `invites.rs`), `an_invitation_that_was_used_altered_expired_or_taken_back_is_refused_in_words`. An invitation that a
//!   chapter asks for names no chapter, its own is meant: `a_chapter_invites_a_further_node_of_its_own_without_staff`.
//! - renewing with another key, a certificate that has ended: `a_certificate_that_has_ended_is_renewed_without_anybody`; none, one of
//!   another authority, a key without a row: `without_a_certificate_of_this_hub_one_may_look_and_nothing_else` (all in `identity.rs`).
//! - a comparison by the store alone: `g9_a_comparison_says_nothing_of_documents_outside_its_scope`,
//!   `who_lists_an_id_learns_nothing_and_who_has_had_her_is_told_that_she_left`. Private notes: the canary of the simulation.
//! - pages of other origins: `bad_input.rs`, `people_and_roles.rs`, by the headers that a browser sends.
//!
//! What it can learn: who knows somebody's whole id learns that she is at another chapter, or was deleted, by writing to her.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use model::{DocId, Kind as DocumentKind, ScopeId};
use rusqlite::Connection;
use serde_json::Value;
use store::{DATABASE_FILE, NodeKind};
use tests::harness::until;
use tests::isolated::{EVE, NOBODY, SECRETS, Standing, World, first, later, look, next, record_at, why};
use tests::peer::wire::entry::Content;
use tests::peer::wire::frame::Kind;
use tests::peer::wire::{
    Ack, Answer, Ask, Batch, Cursor, Enter, Entry, Erase, Head, Leave, Propose, Receipt, RefusedWhy, ScopeHello, Sums,
    Took, answer, ask, receipt,
};
use tests::peer::{Cast, Peer, batch_in, position};

/// A month and a day, in ms: longer than a chapter may write to whom it no longer has.
const OVER_A_MONTH_MS: i64 = 31 * 24 * 3600 * 1000;

fn receipt(what: receipt::What) -> Content {
    Content::Receipt(Receipt { what: Some(what) })
}

/// Hears until it is said that somebody leaves; gives by which assignment.
fn hear_of_leaving(peer: &mut Peer, person: DocId) -> u64 {
    let epoch = |row: Entry| match row.content {
        Some(Content::Leave(leave)) if row.document == person.as_bytes() => Some(leave.epoch),
        Some(_) | None => None,
    };
    loop {
        let heard = batch_in(&peer.hear().expect("the link stands"));
        if let Some(epoch) = heard.into_iter().flat_map(|batch| batch.entries).find_map(epoch) {
            return epoch;
        }
    }
}

#[test]
fn anothers_scope_is_answered_as_one_that_there_is_not() {
    let world = World::assemble();
    let honest = world.honest.as_bytes().to_vec();
    // Named in a hello it is not answered at all.
    let mut peer = Peer::open(&world.cast);
    let cursor = Some(Cursor { incarnation: vec![7; 16], position: Some(position(1)) });
    let named = ScopeHello { scope: honest.clone(), cursor, ..peer.hello.scopes[1].clone() };
    peer.hello.scopes.push(named);
    assert!(peer.say(Kind::Hello(peer.hello.clone())));
    let Some(Kind::Hello(greeted)) = peer.hear() else { panic!("a hello comes first") };
    let mut named: Vec<Vec<u8>> = greeted.scopes.into_iter().map(|said| said.scope).collect();
    named.sort();
    assert_eq!(named, [vec![], ScopeId::NETWORK.as_bytes().to_vec()], "its own, which has no name, and the network's");
    peer.hear_of("Given0");
    // Anywhere else it ends the link, in the same words as any other.
    let frames = |scope: &[u8]| {
        let (scope, sum) = (scope.to_vec(), vec![0; 32]);
        let sums = Some(ask::Question::Sums(Sums { sums: vec![0; 16] }));
        let took = Some(answer::Reply::Took(Took {}));
        [
            Kind::Batch(Batch { scope: scope.clone(), last: Some(position(1)), ..Batch::default() }),
            Kind::Ack(Ack { scope: scope.clone(), sum: sum.clone(), ..Ack::default() }),
            Kind::Head(Head { scope: scope.clone(), position: Some(position(0)), sum, ..Head::default() }),
            Kind::Adrift(scope.clone()),
            Kind::Answer(Answer { scope: scope.clone(), reply: took }),
            Kind::Ask(Ask { scope, question: sums }),
        ]
    };
    for (theirs, nobodys) in frames(&honest).into_iter().zip(frames(&[9; 16])) {
        let [theirs, nobodys] = [theirs, nobodys].map(|kind| {
            let mut peer = Peer::greeted(&world.cast);
            assert!(peer.say(kind));
            peer.last_words().expect("the hub says why")
        });
        assert_eq!(theirs, nobodys);
    }
    world.stands(&[&peer], &["a scope that is not on its link", "a frame against the protocol"]);
}

#[test]
fn nothing_is_written_to_anothers_records_by_whatever_row() {
    let world = World::assemble();
    let mut peer = Peer::greeted(&world.cast);
    let scope = peer.scope.clone();
    let rows = |id: DocId| {
        let proof = vec![7; 16];
        let enter = Enter { kind: "supporter".to_owned(), epoch: 99, proof: proof.clone(), ..Enter::default() };
        let propose =
            Propose { proposal: vec![7; 16], sign_up: vec![7; 16], key: "employer".to_owned(), ..Propose::default() };
        vec![
            (id, receipt(receipt::What::Left(1))),
            (id, receipt(receipt::What::Kept(1))),
            (id, receipt(receipt::What::Erased(vec![7; 16]))),
            (id, Content::Enter(enter)),
            (id, Content::Leave(Leave { epoch: 99, proof: proof.clone(), arrived: true })),
            (id, Content::Erase(Erase { erasure: vec![7; 16], at_ms: 0, proof, above: Vec::new() })),
            (id, Content::Propose(propose)),
        ]
    };
    // Rows that only tell are answered as for somebody of whom nobody ever heard.
    let [theirs, nobodys] = [world.canary, NOBODY].map(|id| {
        let refused = peer.feed(&scope, rows(id));
        refused.into_iter().map(|refused| (refused.why, refused.words)).collect::<Vec<_>>()
    });
    assert_eq!(theirs, nobodys);
    let other_direction =
        |(why, words): &(i32, String)| *why == i32::from(RefusedWhy::NotYours) && words.contains("the other direction");
    assert!(theirs.len() == 4 && theirs.iter().all(other_direction), "{theirs:?}");
    // Changes are not taken, whichever scope they come for and whatever they follow.
    let mut hers = record_at(&world.cast.hub, NodeKind::Hub, world.canary);
    let forged = |id| first(id, DocumentKind::Supporter, EVE);
    let changes = [
        (world.canary, forged(world.canary)),
        (world.canary, later(world.canary)),
        (world.canary, next(&mut hers, "Mallory")),
        (world.second, forged(world.second)),
    ];
    for named in [scope.clone(), ScopeId::NETWORK.as_bytes().to_vec()] {
        let refused = peer.feed(&named, changes.to_vec());
        assert_eq!(refused.len(), changes.len());
        assert!(refused.iter().all(|refused| refused.words.contains("not in the scope of this link")), "{refused:?}");
    }
    let refused = peer.feed(&scope, vec![(NOBODY, later(NOBODY))]);
    assert!(refused.len() == 1 && refused[0].why() == RefusedWhy::Missing, "{refused:?}");
    world.stands(&[&peer], &["not its own"]);
}

#[test]
fn in_the_networks_scope_a_chapter_writes_its_own_card_and_nothing_else() {
    let world = World::assemble();
    let network = ScopeId::NETWORK.as_bytes().to_vec();
    let held = look(&world.cast.hub, NodeKind::Hub, |read| read.held(ScopeId::NETWORK));
    let [own, honest] =
        ["hostile", "honest"].map(|slug| look(&world.cast.hub, NodeKind::Hub, |read| read.chapter(slug)).card.unwrap());
    let settings = held.into_iter().find(|id| *id != own && *id != honest).unwrap();
    let heads = |id| look(&world.cast.hub, NodeKind::Hub, |read| read.heads(id)).unwrap();
    let before = [settings, honest].map(heads);
    let mut peer = Peer::greeted(&world.cast);
    let scope = peer.scope.clone();
    // It has them all, by right, and so it knows what a change has to follow.
    let edited = |id, value: &str| {
        let mut record = record_at(&world.cast.hostile, NodeKind::Chapter, id);
        (id, next(&mut record, value))
    };
    let new = |nth: u8, kind| {
        let id = DocId::from_bytes([nth; 16]);
        (id, first(id, kind, EVE))
    };
    let rows = vec![
        edited(settings, "Mallory"),
        edited(honest, "Mallory"),
        new(0x41, DocumentKind::Supporter),
        new(0x42, DocumentKind::ChapterCard),
        new(0x43, DocumentKind::NetworkSettings),
    ];
    let refused = peer.feed(&network, rows);
    assert_eq!(why(&refused), [1, 2, 3, 4, 5].map(|seq| (seq, RefusedWhy::NotYours)));
    let rows = vec![
        edited(settings, "Mallory"),
        edited(own, "Mallory"),
        new(0x44, DocumentKind::ChapterCard),
        new(0x45, DocumentKind::NetworkSettings),
    ];
    let refused = peer.feed(&scope, rows);
    assert_eq!(why(&refused), [1, 2, 3, 4].map(|seq| (seq, RefusedWhy::NotYours)), "nor as its own");
    assert!(peer.feed(&network, vec![edited(own, "Mallory")]).is_empty(), "its own card is its own");
    assert_eq!([settings, honest].map(heads), before);
    world.stands(&[&peer], &["not its own"]);
}

#[test]
fn whoever_left_is_written_to_until_the_receipt_and_a_month_at_most_also_by_who_never_acknowledges() {
    let mut world = World::assemble();
    let (one, other) = (world.own(0), world.own(1));
    let [mut late, mut gone] = [one, other].map(|id| record_at(&world.cast.hostile, NodeKind::Chapter, id));
    world.moves_away(one);
    world.moves_away(other);
    let mut peer = Peer::greeted(&world.cast);
    let scope = peer.scope.clone();
    let epoch = hear_of_leaving(&mut peer, other);
    // What was written before it heard of that is taken: she is the other chapter's by then.
    assert!(peer.feed(&scope, vec![(one, next(&mut late, "before"))]).is_empty());
    until("her chapter has it", || {
        Ok((world.cast.honest.json(&["people", "show", &one.to_string()])?["employer"] == "before").then_some(()))
    })
    .unwrap();
    let (left, change) = (receipt(receipt::What::Left(epoch)), next(&mut gone, "after"));
    assert_eq!(why(&peer.feed(&scope, vec![(other, left), (other, change)])), [(3, RefusedWhy::NotYours)]);
    world.before = Standing::of(&world.cast);
    // A month later, in which it has acknowledged nothing.
    let file = Connection::open(world.cast.hub.data.join(DATABASE_FILE)).unwrap();
    let moved = file.execute("UPDATE leaving SET told = told - ? WHERE told IS NOT NULL", [OVER_A_MONTH_MS]).unwrap();
    assert_eq!(moved, 1, "the time has begun when it wrote");
    drop(file);
    let refused = peer.feed(&scope, vec![(one, next(&mut late, "a month later"))]);
    assert_eq!(why(&refused), [(4, RefusedWhy::NotYours)]);
    world.stands(&[&peer], &["not its own"]);
}

#[test]
fn nobody_writes_as_somebody_else() {
    let world = World::assemble();
    let mut peer = Peer::greeted(&world.cast);
    let scope = peer.scope.clone();
    // Of the hub, who wrote down the sign-up; of the honest chapter; and one of its own.
    let author = |id| record_at(&world.cast.hub, NodeKind::Hub, id).changes()[0].0;
    let actors = [author(world.canary), author(world.second), EVE];
    let forged = |(nth, actor): (u8, [u8; 16])| {
        let id = DocId::from_bytes([nth; 16]);
        (id, first(id, DocumentKind::Supporter, actor))
    };
    let refused = peer.feed(&scope, (0x51..).zip(actors).map(forged).collect());
    assert_eq!(why(&refused), [1, 2].map(|seq| (seq, RefusedWhy::Malformed)));
    assert!(refused.iter().all(|refused| refused.words.contains("came over another link")), "{refused:?}");
    world.stands(&[&peer], &["malformed"]);
}

#[test]
fn what_was_said_before_changes_nothing_when_it_is_said_again() {
    let world = World::assemble();
    let (id, hash) = (DocId::from_bytes([0x51; 16]), ["state-hash", "--scope", "hostile"]);
    let rows = || vec![(id, first(id, DocumentKind::Supporter, EVE))];
    let mut before = Peer::greeted(&world.cast);
    let scope = before.scope.clone();
    let told = loop {
        let heard = before.hear().expect("the link stands");
        if let Some(batch) = batch_in(&heard).filter(|batch| batch.scope.is_empty() && !batch.entries.is_empty()) {
            break batch;
        }
    };
    assert!(before.feed(&scope, rows()).is_empty());
    let stood = world.cast.hub.run(&hash).unwrap();
    // On another stream: its own rows, with the same numbers; the hub's, as if they were its own.
    let mut peer = Peer::greeted(&world.cast);
    assert!(peer.feed(&scope, rows()).is_empty(), "known is known");
    let echoed = told.entries.into_iter().filter_map(|row| Some((row.document.try_into().ok()?, row.content?)));
    let echoed: Vec<(DocId, Content)> = echoed.map(|(id, content)| (DocId::from_bytes(id), content)).collect();
    let count = echoed.len();
    let refused = peer.feed(&scope, echoed);
    assert!(count > 0 && refused.len() == count, "{refused:?}");
    assert!(refused.iter().all(|refused| refused.why() == RefusedWhy::NotYours), "{refused:?}");
    // Acks of before, once more and backwards.
    peer.hear_of("Given0");
    for seq in [1, 1, 0] {
        assert!(peer.say(Kind::Ack(Ack { seq, sum: vec![0; 32], ..Ack::default() })));
    }
    assert!(peer.feed(&scope, rows()).is_empty());
    assert_eq!(world.cast.hub.run(&hash).unwrap(), stood);
    world.stands(&[&before, &peer], &["not its own"]);
}

#[test]
fn whoever_claims_a_place_ahead_of_the_feed_makes_the_hub_compare_and_lose_nothing() {
    let mut world = World::assemble();
    let hostile = world.cast.hostile.json(&["status"]).unwrap()["node"].as_str().unwrap()[..8].to_owned();
    let life = |cast: &Cast| {
        let Some(Kind::Hello(hello)) = Peer::open(cast).hear() else { panic!("a hello comes first") };
        hello.incarnation
    };
    let ahead = |cast: &Cast, seq: u64| {
        let cursor = Cursor { incarnation: life(cast), position: Some(position(seq)) };
        let mut peer = Peer::open(cast);
        peer.hello.scopes[0].cursor = Some(cursor);
        assert!(peer.say(Kind::Hello(peer.hello.clone())));
        peer
    };
    // A hub that has just begun can't know better: it takes itself for one that was put back to before, once.
    let first_life = life(&world.cast);
    let mut peer = ahead(&world.cast, 1_000_000);
    assert!(peer.last_words().expect("the hub says why").contains("rolled back"));
    let log = world.cast.hub.json(&["audit"]).unwrap();
    let rows: Vec<&Value> =
        log["audit"].as_array().unwrap().iter().filter(|row| row["what"] == "rolled_back").collect();
    assert!(rows.len() == 1 && rows[0]["who"] == format!("node {hostile}"), "{log}");
    let second_life = life(&world.cast);
    assert_ne!(second_life, first_life);
    // After that it compares with whoever says so, and stays what it is. A row that is there has another digest.
    for seq in [1_000_000, 1] {
        let mut peer = ahead(&world.cast, seq);
        while !matches!(peer.hear().expect("the link stands"), Kind::Ask(_)) {}
        assert!(!peer.has_heard(SECRETS[0].as_bytes()));
    }
    assert_eq!(life(&world.cast), second_life);
    world.cast.a_sign_up_arrives();
    world.before = Standing::of(&world.cast);
    world.stands(&[&peer], &["a place in a feed that there is not"]);
}

/// The kinds of the HTTP/2 frames in what was said, after whose type all of it has come (RFC 9113, section 4.1).
fn frame_kinds(mut said: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, rest @ ..] = said {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        said = rest.get(5 + length..).unwrap_or_default();
    }
    kinds
}

#[test]
fn whoever_shows_no_certificate_hears_the_handshake_and_nothing_beyond() {
    let world = World::assemble();
    let client = |more: &[&str], said: &[u8]| -> Output {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", world.cast.hub.grpc().unwrap(), "-tls1_3", "-alpn", "h2"]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is needed: apt-get install openssl");
        child.stdin.take().unwrap().write_all(said).unwrap();
        child.wait_with_output().unwrap()
    };
    // It speaks HTTP/2 and takes its leave: settings and a goodbye come back, no head and no data.
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let goodbye = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let heard = client(&["-quiet"], &[hello.as_slice(), goodbye].concat());
    let kinds = frame_kinds(&heard.stdout);
    assert!(kinds.contains(&4), "settings: {kinds:?}, {}", String::from_utf8_lossy(&heard.stderr));
    assert!(kinds.iter().all(|kind| [4, 6, 7, 8].contains(kind)), "settings, pings, goodbyes, windows: {kinds:?}");
    // Nor do the certificates name anybody.
    let shown = client(&["-showcerts"], b"");
    let shown = [shown.stdout, shown.stderr, heard.stdout].concat();
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("BEGIN CERTIFICATE"), "{shown}");
    for name in SECRETS.into_iter().chain(["Honest", "Hostile", "honest", "hostile"]) {
        assert!(!shown.contains(name), "{name}: {shown}");
    }
    world.stands(&[], &[]);
}
