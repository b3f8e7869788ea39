//! A chapter that lies in a comparison, and in what it says of transfers: it wins nothing by either.
//!
//! **Invariant:** as in `isolation.rs`: what it heard has nothing of others, they stand as they stood, what it tried is written
//! down, and the other chapter does not notice.

use model::{DocId, Kind as DocumentKind, ScopeId, TransferId};
use rusqlite::Connection;
use serde_json::json;
use store::{DATABASE_FILE, NodeKind};
use tests::harness::until;
use tests::isolated::{EVE, NOBODY, World, first, later, look};
use tests::peer::wire::entry::Content;
use tests::peer::wire::frame::Kind;
use tests::peer::wire::{
    Answer, Claimed, Compared, Differ, DocumentChanges, DocumentPrint, Done, Entries, Entry, Erase, Listed, RefusedWhy,
    Told, Took, Transfer, TransferSide, TransferState, answer, ask, told,
};
use tests::peer::{Peer, position};

/// What it says that it was told of documents, in a comparison that it wins nothing by.
struct Lies {
    /// What it lists, each with a fingerprint.
    listed: Vec<(DocId, [u8; 16])>,
    /// What it says that it was told of each.
    told: Told,
    /// Who is none of its own: nothing is said of them.
    others: Vec<DocId>,
}

/// Says that its feed is adrift, and answers everything that it is asked with lies, to the end.
fn compare(peer: &mut Peer, lies: &Lies) {
    let id = |raw: &[u8]| DocId::from_bytes(raw.try_into().unwrap());
    assert!(peer.say(Kind::Adrift(Vec::new())));
    loop {
        let Kind::Ask(ask) = peer.hear().expect("the link stands") else { continue };
        let reply = match ask.question.expect("a question") {
            ask::Question::Sums(sums) => {
                let buckets = (0..u32::try_from(sums.sums.len()).unwrap()).collect();
                answer::Reply::Differ(Differ { buckets, head: Some(position(0)) })
            }
            ask::Question::List(_) => {
                let print = |(id, print): &(DocId, [u8; 16])| DocumentPrint {
                    document: id.as_bytes().to_vec(),
                    print: print.to_vec(),
                };
                answer::Reply::Listed(Listed { documents: lies.listed.iter().map(print).collect() })
            }
            ask::Question::Claim(claim) => {
                let told = |raw: &[u8; 16]| Told { document: raw.to_vec(), ..lies.told.clone() };
                answer::Reply::Claimed(Claimed {
                    documents: claim.documents.as_chunks::<16>().0.iter().map(told).collect(),
                })
            }
            ask::Question::Compare(asked) => {
                let others = || asked.documents.iter().filter(|named| lies.others.contains(&id(&named.document)));
                assert!(others().all(|named| named.hashes.is_empty()), "not one change of others is named");
                let made_up = || {
                    let one = |named: &DocumentChanges| DocumentChanges { hashes: vec![7; 32], ..named.clone() };
                    others().map(one).collect::<Vec<_>>()
                };
                let documents = u32::try_from(asked.documents.len()).unwrap();
                answer::Reply::Compared(Compared { documents, have: made_up(), need: made_up() })
            }
            ask::Question::Fetch(asked) => {
                let forged = |named: &DocumentChanges| Entry {
                    document: named.document.clone(),
                    content: Some(first(id(&named.document), DocumentKind::Supporter, EVE)),
                    ..Entry::default()
                };
                let asked: Vec<Entry> = asked.documents.iter().map(forged).collect();
                let answered = u32::try_from(asked.len()).unwrap();
                answer::Reply::Fetched(Entries { entries: asked, answered })
            }
            ask::Question::Take(given) => {
                let ends = |row: &Entry| matches!(row.content, Some(Content::Leave(_)));
                let theirs = |row: &Entry| lies.others.contains(&id(&row.document)) && !ends(row);
                assert!(!given.entries.iter().any(theirs), "nothing of others is given");
                answer::Reply::Took(Took {})
            }
            ask::Question::Done(_) => answer::Reply::Done(Done::default()),
        };
        let done = matches!(reply, answer::Reply::Done(_));
        assert!(peer.say(Kind::Answer(Answer { reply: Some(reply), ..Answer::default() })));
        if done {
            return;
        }
    }
}

#[test]
fn in_a_comparison_lies_win_nothing() {
    let mut world = World::assemble();
    // The hub's word for somebody whom it had then is not made up; it was given before she went.
    let once = world.own(0);
    let held = look(&world.cast.hostile, NodeKind::Chapter, |read| read.standing(once));
    assert!(held.contains("held proved"), "{held}");
    let file = Connection::open(world.cast.hostile.data.join(DATABASE_FILE)).unwrap();
    let sql = "SELECT a.proof, a.epoch FROM assign a JOIN document d ON d.id = a.document WHERE d.doc_id = ?";
    let true_word: (Vec<u8>, u64) =
        file.query_row(sql, [once.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    drop(file);
    world.moves_away(once);
    let made_up = |what, guest| Told { what: Some(what), guest, proof: vec![7; 16], ..Told::default() };
    let erase = Erase { erasure: vec![7; 16], at_ms: 0, proof: vec![7; 16], above: Vec::new() };
    let old = Told { what: Some(told::What::Held(true_word.1)), proof: true_word.0, ..Told::default() };
    let claims = [
        made_up(told::What::Held(99), false),
        made_up(told::What::Held(99), true),
        made_up(told::What::Left(99), false),
        made_up(told::What::Erased(erase), false),
        old,
    ];
    // Heads that nobody has; the same as a guest's; on its way out; erased.
    let prints = [[0; 16], [1; 16], [0xEA; 16], [0xEE; 16]];
    let others = vec![world.canary, world.second, once];
    let mut peers = Vec::new();
    for told in claims {
        for print in prints {
            let listed = others.iter().map(|id| (*id, print)).collect();
            let mut peer = Peer::greeted(&world.cast);
            compare(&mut peer, &Lies { listed, told: told.clone(), others: others.clone() });
            let scope = peer.scope.clone();
            assert_eq!(peer.feed(&scope, vec![(NOBODY, later(NOBODY))]).len(), 1, "the link goes on");
            peers.push(peer);
        }
    }
    for id in &others {
        let shown = world.cast.hub.json(&["people", "show", &id.to_string()]).unwrap();
        assert_eq!((&shown["chapter"], &shown["chapters"]), (&"honest".into(), &json!(["honest"])), "{shown}");
    }
    let peers: Vec<&Peer> = peers.iter().collect();
    world.stands(&peers, &["malformed"]);
}

fn rows(said: Vec<(DocId, Transfer)>) -> Vec<(DocId, Content)> {
    said.into_iter().map(|(id, said)| (id, Content::Transfer(said))).collect()
}

#[test]
fn transfers_of_others_are_nobody_elses_and_who_asks_hears_nothing() {
    let world = World::assemble();
    let hub = &world.cast.hub;
    hub.run(&["chapter", "add", "third", "--name", "Third", "--postal", "5*"]).unwrap();
    let canary = world.canary.to_string();
    let open = hub.json(&["people", "transfer", &canary, "third", "--note", "Zweitvogel knows her"]).unwrap();
    let open: TransferId = open["id"].as_str().unwrap().parse().unwrap();
    let listed = || hub.json(&["transfers", "list"]).unwrap()["transfers"].clone();
    let before = listed();
    let mut peer = Peer::greeted(&world.cast);
    let scope = peer.scope.clone();
    let says = |id: TransferId, side: TransferSide, state: TransferState| Transfer {
        transfer: id.as_bytes().to_vec(),
        side: side.into(),
        state: state.into(),
        epoch: 1,
        to: "hostile".to_owned(),
        agreed: true,
        her_word: true,
        ..Transfer::default()
    };
    let new = |nth: u8| TransferId::from_bytes([nth; 16]);
    let (give, take) = (TransferSide::Give, TransferSide::Take);
    let (agreed, opened) = (TransferState::Agreed, TransferState::Open);
    let said = [
        (world.canary, says(open, give, agreed)),
        (world.canary, says(open, take, agreed)),
        (world.canary, says(open, give, TransferState::Declined)),
        (world.own(0), says(open, give, agreed)),
        (world.canary, says(new(1), give, opened)),
        (world.canary, says(new(2), take, opened)),
        (world.canary, says(new(3), give, TransferState::Done)),
        (NOBODY, says(new(4), give, opened)),
        (NOBODY, says(new(5), take, opened)),
    ];
    assert!(peer.feed(&scope, rows(said.to_vec())).is_empty(), "it is answered as if it had spoken of nobody");
    assert_eq!(listed(), before);
    // Nor by way of the scope that everybody reads.
    let to_all = vec![(world.canary, says(new(7), take, opened)), (NOBODY, says(new(8), take, opened))];
    let refused = peer.feed(ScopeId::NETWORK.as_bytes(), rows(to_all));
    assert!(refused.len() == 2 && refused.iter().all(|refused| refused.why() == RefusedWhy::NotYours), "{refused:?}");
    // Whom it may ask for is asked for; that she wants it herself is not its to say, and her chapter's word is not, either.
    let asked = [(world.second, says(new(6), take, opened)), (world.second, says(new(6), give, agreed))];
    assert!(peer.feed(&scope, rows(asked.to_vec())).is_empty());
    let listed = listed();
    let of_her = listed.as_array().unwrap().iter().find(|row| row["person"] == world.second.to_string()).unwrap();
    assert_eq!((&of_her["given"], &of_her["taken"], &of_her["her_word"]), (&false.into(), &true.into(), &false.into()));
    until("her chapter is asked", || {
        let asks = world.cast.honest.json(&["transfers", "list"])?["transfers"].to_string();
        Ok(asks.contains(&world.second.to_string()).then_some(()))
    })
    .unwrap();
    let file = Connection::open(hub.data.join(DATABASE_FILE)).unwrap();
    let sql = "SELECT count(*) FROM feed f JOIN scope s ON s.id = f.scope WHERE s.scope = ? AND f.kind = 'transfer'";
    let told: u64 = file.query_row(sql, [&scope], |row| row.get(0)).unwrap();
    assert_eq!(told, 0, "it hears of no transfer");
    let attempts =
        ["spoke of a transfer of others", "gave somebody who never was its own", "asked for somebody in vain"];
    world.stands(&[&peer], &attempts);
}
