//! Every limit of what a chapter says to its hub, at its number and one beyond: at it the hub reads, beyond it the link ends in
//! words, or what is over is refused.
//!
//! **Invariant:** the numbers stand here as `proto/` gives them, where a crate keeps them to itself. Limits that are reached
//! otherwise: a message of more than a frame and what inflates to more, `a_peer_that_sends_a_gigabyte_is_cut_off`; the window,
//! `g15_a_peer_that_never_acknowledges_costs_a_window_and_no_more`; streams and connections,
//! `a_thousand_streams_of_one_chapter_cost_no_more_than_one`; a record's size,
//! `a_record_that_grows_without_end_is_put_aside_and_costs_what_a_record_does` (all in `peers.rs`); invitations of a chapter,
//! `whom_a_chapter_has_invited_counts_until_it_is_shut_out` (`invites.rs` of the store).

use engine::{ENTRIES_MAX, SCOPES_MAX};
use model::{DocId, Kind as DocumentKind, Timestamp};
use record::{CHANGE_BYTES_MAX, MESSAGE_BYTES_MAX, OPERATIONS_MAX, Record, Stamp, Value};
use tests::peer::wire::frame::Kind;
use tests::peer::wire::{
    Ack, Answer, Ask, Batch, Claim, Claimed, Compare, Compared, Differ, DocumentChanges, DocumentPrint, Entries, Entry,
    Hello, List, Listed, Propose, Receipt, Refused, RefusedWhy, Sums, Told, Transfer, TransferSide, TransferState,
    answer, ask, entry, receipt, told,
};
use tests::peer::{Cast, Peer, position};

const SUMS_MAX: usize = 1_024;
const BUCKETS_MAX: usize = 1_024;
const LISTED_MAX: usize = 20_000;
const CLAIMED_MAX: usize = 1_000;
const DOCUMENTS_MAX: usize = 2_000;
const SLUG_BYTES_MAX: usize = 40;
const SUMMARY_BYTES_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 32 * 1024;
const KEY_BYTES_MAX: usize = 300;
/// The greatest number that a database counts.
const COUNTED_MAX: u64 = i64::MAX as u64;

/// A limit: what a frame that is over it is told, the number, and a frame with so many.
type Limit<'a> = (&'static str, usize, Box<dyn Fn(usize) -> Kind + 'a>);

fn batch(entries: Vec<Entry>) -> Kind {
    let last = Some(position(entries.len() as u64));
    Kind::Batch(Batch { last, entries, ..Batch::default() })
}

fn row(content: entry::Content) -> Entry {
    Entry { document: vec![7; 16], content: Some(content), ..Entry::default() }
}

fn transfer() -> Transfer {
    let (side, state) = (TransferSide::Give.into(), TransferState::Open.into());
    Transfer { transfer: vec![7; 16], side, state, ..Transfer::default() }
}

fn says(transfer: Transfer) -> Kind {
    batch(vec![row(entry::Content::Transfer(transfer))])
}

fn told() -> Told {
    Told { document: vec![7; 16], proof: vec![7; 16], what: Some(told::What::Held(1)), ..Told::default() }
}

fn changes(count: usize) -> Vec<DocumentChanges> {
    vec![DocumentChanges { document: vec![7; 16], hashes: vec![7; 32] }; count]
}

fn asks(question: ask::Question) -> Kind {
    Kind::Ask(Ask { question: Some(question), ..Ask::default() })
}

fn answers(reply: answer::Reply) -> Kind {
    Kind::Answer(Answer { reply: Some(reply), ..Answer::default() })
}

fn entries(count: usize) -> Vec<Entry> {
    vec![row(entry::Content::Change(vec![7; 20])); count]
}

/// Limits of what both ends say, and of rows of a feed.
fn of_feeds(hello: &Hello) -> Vec<Limit<'_>> {
    let refused = || {
        let (document, why) = (vec![7; 16], RefusedWhy::Malformed.into());
        Refused { seq: 1, document, why, ..Refused::default() }
    };
    let ack = move |count: usize| Ack { sum: vec![0; 32], refused: vec![refused(); count], ..Ack::default() };
    let scopes = |count: usize| vec![hello.scopes[1].clone(); count];
    vec![
        ("scopes", SCOPES_MAX, Box::new(move |n: usize| Kind::Hello(Hello { scopes: scopes(n), ..hello.clone() }))),
        ("entries", ENTRIES_MAX, Box::new(|n: usize| batch(entries(n)))),
        ("refusals", ENTRIES_MAX, Box::new(move |n: usize| Kind::Ack(ack(n)))),
        ("short name", SLUG_BYTES_MAX, Box::new(|n: usize| says(Transfer { to: "x".repeat(n), ..transfer() }))),
        ("summary", SUMMARY_BYTES_MAX, Box::new(|n: usize| says(Transfer { summary: "x".repeat(n), ..transfer() }))),
        ("note", TEXT_BYTES_MAX, Box::new(|n: usize| says(Transfer { text: "x".repeat(n), ..transfer() }))),
        (
            "key",
            KEY_BYTES_MAX,
            Box::new(|n: usize| {
                let (proposal, sign_up) = (vec![7; 16], vec![7; 16]);
                let propose = Propose { proposal, sign_up, key: "x".repeat(n), ..Propose::default() };
                batch(vec![row(entry::Content::Propose(propose))])
            }),
        ),
    ]
}

/// Limits of a comparison's frames. To ask is the hub's, and an answer to nothing ends the link, but both are read before.
fn of_comparing<'a>() -> Vec<Limit<'a>> {
    use answer::Reply as R;
    use ask::Question as Q;
    vec![
        ("sums", SUMS_MAX, Box::new(|n: usize| asks(Q::Sums(Sums { sums: vec![7; n] })))),
        ("buckets", BUCKETS_MAX, Box::new(|n: usize| asks(Q::List(List { buckets: vec![7; n], of: 16 })))),
        ("documents", CLAIMED_MAX, Box::new(|n: usize| asks(Q::Claim(Claim { documents: vec![7; 16 * n] })))),
        ("documents", DOCUMENTS_MAX, Box::new(|n: usize| asks(Q::Compare(Compare { documents: changes(n) })))),
        ("documents", DOCUMENTS_MAX, Box::new(|n: usize| asks(Q::Fetch(Compare { documents: changes(n) })))),
        ("entries", ENTRIES_MAX, Box::new(|n: usize| asks(Q::Take(Entries { entries: entries(n), answered: 0 })))),
        (
            "buckets",
            BUCKETS_MAX,
            Box::new(|n: usize| answers(R::Differ(Differ { buckets: vec![7; n], head: Some(position(0)) }))),
        ),
        (
            "documents",
            LISTED_MAX,
            Box::new(|n: usize| {
                let print = DocumentPrint { document: vec![7; 16], print: vec![7; 16] };
                answers(R::Listed(Listed { documents: vec![print; n] }))
            }),
        ),
        ("documents", CLAIMED_MAX, Box::new(|n: usize| answers(R::Claimed(Claimed { documents: vec![told(); n] })))),
        (
            "documents",
            DOCUMENTS_MAX,
            Box::new(|n: usize| {
                answers(R::Compared(Compared { documents: 1, have: changes(n), need: changes(n / 2) }))
            }),
        ),
        (
            "documents",
            DOCUMENTS_MAX,
            Box::new(|n: usize| {
                answers(R::Compared(Compared { documents: 1, have: changes(n / 2), need: changes(n) }))
            }),
        ),
        (
            "entries",
            ENTRIES_MAX,
            Box::new(|n: usize| answers(R::Fetched(Entries { entries: entries(n), answered: 1 }))),
        ),
    ]
}

/// Why the link ends after a frame, or after an acknowledgement of what was not sent if it stands.
fn words_after(cast: &Cast, kind: Kind) -> String {
    let greets = matches!(kind, Kind::Hello(_));
    let mut peer = if greets { Peer::open(cast) } else { Peer::greeted(cast) };
    assert!(peer.say(kind));
    // It may have hung up already.
    peer.say(Kind::Ack(Ack { seq: 1_000_000, sum: vec![0; 32], ..Ack::default() }));
    peer.last_words().expect("the hub says why")
}

#[test]
fn what_has_a_limit_is_read_at_it_and_ends_the_link_beyond() {
    let mut cast = Cast::assemble(0);
    let hello = Peer::open(&cast).hello;
    for (what, most, with) in of_feeds(&hello).into_iter().chain(of_comparing()) {
        let over = format!("a frame's {what} is over its limit");
        let at_it = words_after(&cast, with(most));
        assert!(!at_it.contains("is over its limit"), "{what}, {most}: {at_it}");
        let beyond = words_after(&cast, with(most + 1));
        assert!(beyond.contains(&over), "{what}, {most} and one more: {beyond}");
    }
    cast.attempted("a frame that can't be read");
    cast.goes_on();
}

#[test]
fn a_number_that_no_database_counts_ends_the_link() {
    let mut cast = Cast::assemble(0);
    let beyond = COUNTED_MAX + 1;
    let left = |epoch| row(entry::Content::Receipt(Receipt { what: Some(receipt::What::Left(epoch)) }));
    let refused = Refused { seq: beyond, document: vec![7; 16], why: RefusedWhy::Missing.into(), ..Refused::default() };
    let numbered = Entry { seq: beyond, ..left(1) };
    let rows = |after, last, entry| {
        Kind::Batch(Batch { after, last: Some(position(last)), entries: vec![entry], ..Batch::default() })
    };
    let held = Told { what: Some(told::What::Held(beyond)), ..told() };
    let said = [
        ("epoch", batch(vec![left(beyond)])),
        ("epoch", answers(answer::Reply::Claimed(Claimed { documents: vec![held] }))),
        ("row", Kind::Ack(Ack { sum: vec![0; 32], refused: vec![refused], ..Ack::default() })),
        ("row", rows(beyond, beyond, left(1))),
        ("row", rows(COUNTED_MAX, 0, left(1))),
        ("row", rows(0, beyond, left(1))),
        ("row", rows(0, 1, numbered.clone())),
        ("row", answers(answer::Reply::Fetched(Entries { entries: vec![numbered], answered: 1 }))),
    ];
    for (what, kind) in said {
        let words = words_after(&cast, kind);
        assert!(words.contains(&format!("a frame's {what} is over its limit")), "{words}");
    }
    let at_it = words_after(&cast, batch(vec![left(COUNTED_MAX)]));
    assert!(at_it.contains("which was not sent"), "{at_it}");
    cast.goes_on();
}

/// The first change of a record with so many operations, the first of which puts a text of so many bytes, and with the longest
/// author.
fn first(id: DocId, operations: usize, bytes: usize) -> Vec<u8> {
    let one = |nth: usize| (format!("custom/k{nth}"), Value::text("x".repeat(if nth == 0 { bytes } else { 1 })));
    // One more puts the id.
    let entries = (0..operations - 1).map(one).collect();
    let (author, at) = ("e".repeat(MESSAGE_BYTES_MAX), Timestamp::from_millis(1_000_000));
    Record::create(id, DocumentKind::Supporter, entries, &Stamp { actor: [7; 16], author, at }).1.bytes
}

#[test]
fn a_change_is_taken_at_its_limits_and_refused_beyond_and_never_made_of_more_than_it_brings() {
    let mut cast = Cast::assemble(0);
    let mut peer = Peer::greeted(&cast);
    let scope = peer.scope.clone();
    let id = |nth: u8| DocId::from_bytes([nth; 16]);
    let around = first(id(1), 2, CHANGE_BYTES_MAX - 1_000);
    let largest = first(id(1), 2, 2 * CHANGE_BYTES_MAX - 1_000 - around.len());
    assert_eq!(largest.len(), CHANGE_BYTES_MAX);
    let larger = first(id(2), 2, 2 * CHANGE_BYTES_MAX - 999 - around.len());
    let claims = [
        include_bytes!("../../fuzz/corpus/change/broken-claims-operations").to_vec(),
        include_bytes!("../../fuzz/corpus/change/broken-claims-replaced").to_vec(),
        include_bytes!("../../fuzz/corpus/change/broken-long-message").to_vec(),
    ];
    let [operations, replaced, message] = claims;
    let changes = [
        (1, largest, None),
        (2, larger, Some("a change of 262145 bytes")),
        (3, first(id(3), OPERATIONS_MAX, 1), None),
        (4, first(id(4), OPERATIONS_MAX + 1, 1), Some("a change of 1001 operations")),
        (5, operations, Some("a change of 1152921504606846976 operations")),
        (6, replaced, Some("replaces 1099511627776 values")),
        (7, message, Some("a short message")),
    ];
    for (nth, bytes, words) in changes {
        let refused = peer.feed(&scope, vec![(id(nth), entry::Content::Change(bytes))]);
        let told: Vec<&str> = refused.iter().map(|refused| refused.words.as_str()).collect();
        match words {
            None => assert!(told.is_empty(), "{nth}: {told:?}"),
            Some(words) => assert!(told.len() == 1 && told[0].contains(words), "{nth}: {told:?}"),
        }
    }
    cast.attempted("malformed");
    cast.hub.run(&["verify"]).unwrap();
    cast.goes_on();
}
