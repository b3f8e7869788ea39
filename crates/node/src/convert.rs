//! From the engine's frames to the wire's and back.
//!
//! **Invariant:** what comes from the wire is within its limits when it leaves here. Both ways are given the link's own
//! scope, which no frame names.

mod acts;
mod batch;
mod compare;

use engine::{
    Ack, Bye, Content, Cursor, ENTRIES_MAX, Entry, FRAME_BYTES_MAX, Frame, Head, Hello, Position, Refused, RefusedWhy,
    ScopeHello, ViewRow,
};
use model::{Digest, DocId, EventId, Incarnation, Kind, NodeId, ProposalId, ScopeId, ScopeSum, Timestamp};
use prost::Message as _;

use crate::wire::sync as wire;

/// From this size on a batch is compressed: below it, zstd costs more than it saves.
const PACK_BYTES_MIN: usize = 16 * 1024;
/// zstd's level: the fastest that still takes three quarters off.
const PACK_LEVEL: i32 = 1;
/// The longest text for a person in a frame, in bytes.
const WORDS_BYTES_MAX: usize = 1000;
/// The most refusals in one Ack: one for each entry of a batch.
const REFUSED_MAX: usize = ENTRIES_MAX;

/// Why a frame of the wire can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FromWireError {
    #[error("a frame has no {0}")]
    Absent(&'static str),
    #[error("a frame's {0} has the wrong length")]
    Length(&'static str),
    #[error("a frame's {0} is over its limit")]
    Limit(&'static str),
    #[error("a packed batch can't be read")]
    Packed,
    #[error("a frame that this version does not know has to be understood: this node needs an upgrade")]
    UnknownCritical,
}

type Outcome<T> = Result<T, FromWireError>;

fn bytes<const N: usize>(bytes: &[u8], what: &'static str) -> Outcome<[u8; N]> {
    bytes.try_into().map_err(|_| FromWireError::Length(what))
}

fn words(text: &str) -> String {
    text.chars().take(WORDS_BYTES_MAX / 4).collect()
}

fn within(count: usize, most: usize, what: &'static str) -> Outcome<()> {
    if count > most { Err(FromWireError::Limit(what)) } else { Ok(()) }
}

/// A number that a database can count.
fn counted(given: u64, what: &'static str) -> Outcome<u64> {
    i64::try_from(given).map(|_| given).map_err(|_| FromWireError::Limit(what))
}

/// The number of an assignment.
fn epoch(given: u64) -> Outcome<u64> {
    counted(given, "epoch")
}

/// The number of a feed's row.
fn row(given: u64) -> Outcome<u64> {
    counted(given, "row")
}

/// A frame as it goes over a link with this own scope.
pub(crate) fn to_wire(frame: &Frame, own: ScopeId) -> wire::Frame {
    use wire::frame::Kind as K;
    let kind = match frame {
        Frame::Hello(hello) => K::Hello(hello_to_wire(hello, own)),
        Frame::Batch(batch) => {
            let batch_wire = batch::batch_to_wire(batch, own);
            let packed = (batch.bytes() >= PACK_BYTES_MIN)
                .then(|| zstd::bulk::compress(&batch_wire.encode_to_vec(), PACK_LEVEL).ok())
                .flatten();
            packed.map_or(K::Batch(batch_wire), |packed| K::PackedBatch(packed.into()))
        }
        Frame::Ack(ack) => K::Ack(wire::Ack {
            scope: scope_to_wire(ack.scope, own),
            seq: ack.seq,
            folded: ack.folded,
            sum: ack.sum.to_bytes().to_vec(),
            count: ack.count,
            refused: ack.refused.iter().map(refused_to_wire).collect(),
        }),
        Frame::Head(head) => K::Head(wire::Head {
            scope: scope_to_wire(head.scope, own),
            position: Some(position_to_wire(head.position)),
            sum: head.sum.to_bytes().to_vec(),
            count: head.count,
            read: head.read,
            folded: head.folded,
            goes_on: head.goes_on,
        }),
        Frame::Adrift(scope) => K::Adrift(scope_to_wire(*scope, own)),
        Frame::Ask(scope, question) => K::Ask(compare::ask_to_wire(scope_to_wire(*scope, own), question)),
        Frame::Answer(scope, reply) => K::Answer(compare::answer_to_wire(scope_to_wire(*scope, own), reply)),
        Frame::Bye(bye) => K::Bye(wire::Bye { reason: words(&bye.reason), come_back: bye.come_back }),
    };
    wire::Frame { kind: Some(kind), critical: true }
}

/// A frame that came over a link with this own scope; `None` for one that this version does not know and may skip.
pub(crate) fn from_wire(frame: wire::Frame, own: ScopeId) -> Outcome<Option<Frame>> {
    use wire::frame::Kind as K;
    Ok(Some(match frame.kind {
        None if frame.critical => return Err(FromWireError::UnknownCritical),
        None => return Ok(None),
        Some(K::Hello(hello)) => Frame::Hello(hello_from_wire(hello, own)?),
        Some(K::Batch(batch)) => Frame::Batch(batch::batch_from_wire(batch, own)?),
        Some(K::PackedBatch(packed)) => {
            let plain = zstd::bulk::decompress(&packed, FRAME_BYTES_MAX).map_err(|_| FromWireError::Packed)?;
            let batch = wire::Batch::decode(plain.as_slice()).map_err(|_| FromWireError::Packed)?;
            Frame::Batch(batch::batch_from_wire(batch, own)?)
        }
        Some(K::Ack(ack)) => {
            within(ack.refused.len(), REFUSED_MAX, "refusals")?;
            Frame::Ack(Ack {
                scope: scope(&ack.scope, own)?,
                seq: ack.seq,
                folded: ack.folded,
                sum: sum(&ack.sum)?,
                count: ack.count,
                refused: ack.refused.into_iter().map(refused_from_wire).collect::<Outcome<_>>()?,
            })
        }
        Some(K::Head(head)) => Frame::Head(Head {
            scope: scope(&head.scope, own)?,
            position: position(head.position)?,
            sum: sum(&head.sum)?,
            count: head.count,
            read: head.read,
            folded: head.folded,
            goes_on: head.goes_on,
        }),
        Some(K::Adrift(raw)) => Frame::Adrift(scope(&raw, own)?),
        Some(K::Ask(ask)) => compare::ask_from_wire(ask, own)?,
        Some(K::Answer(answer)) => compare::answer_from_wire(answer, own)?,
        Some(K::Bye(bye)) => Frame::Bye(Bye { reason: words(&bye.reason), come_back: bye.come_back }),
    }))
}

/// Whether bytes are a frame that a link of this version takes. For the fuzzer, which has no link.
pub fn decodes(bytes: &[u8]) -> bool {
    let (within, own) = (bytes.len() <= crate::dial::MESSAGE_BYTES_MAX, ScopeId::from_bytes([1; 16]));
    within && wire::Frame::decode(bytes).is_ok_and(|frame| from_wire(frame, own).is_ok())
}

/// A scope as a frame names it: the link's own by no bytes.
fn scope_to_wire(scope: ScopeId, own: ScopeId) -> Vec<u8> {
    if scope == own { Vec::new() } else { scope.as_bytes().to_vec() }
}

fn scope(raw: &[u8], own: ScopeId) -> Outcome<ScopeId> {
    if raw.is_empty() { Ok(own) } else { bytes(raw, "scope").map(ScopeId::from_bytes) }
}

fn sum(raw: &[u8]) -> Outcome<ScopeSum> {
    Ok(ScopeSum::from_bytes(&bytes(raw, "sum")?))
}

fn position_to_wire(position: Position) -> wire::Position {
    wire::Position { seq: position.seq, hash: position.hash.0.to_vec() }
}

fn position(position: Option<wire::Position>) -> Outcome<Position> {
    let position = position.ok_or(FromWireError::Absent("position"))?;
    Ok(Position { seq: row(position.seq)?, hash: Digest(bytes(&position.hash, "row digest")?) })
}

fn hello_to_wire(hello: &Hello, own: ScopeId) -> wire::Hello {
    let scope = |scope: &ScopeHello| wire::ScopeHello {
        scope: scope_to_wire(scope.scope, own),
        cursor: scope.cursor.map(|cursor| wire::Cursor {
            incarnation: cursor.incarnation.as_bytes().to_vec(),
            position: Some(position_to_wire(cursor.position)),
        }),
        head: Some(position_to_wire(scope.head)),
        acknowledged: scope.acknowledged,
        sum: scope.sum.to_bytes().to_vec(),
        count: scope.count,
        folded: scope.folded,
    };
    wire::Hello {
        protocol_min: hello.protocol_min,
        protocol_max: hello.protocol_max,
        node: hello.node.0.to_vec(),
        incarnation: hello.incarnation.as_bytes().to_vec(),
        scopes: hello.scopes.iter().map(scope).collect(),
        view_version: hello.view_version,
        window_bytes: hello.window_bytes,
    }
}

fn hello_from_wire(hello: wire::Hello, own: ScopeId) -> Outcome<Hello> {
    within(hello.scopes.len(), engine::SCOPES_MAX, "scopes")?;
    let cursor = |cursor: wire::Cursor| -> Outcome<Cursor> {
        let incarnation = Incarnation::from_bytes(bytes(&cursor.incarnation, "incarnation")?);
        Ok(Cursor { incarnation, position: position(cursor.position)? })
    };
    let one = |said: wire::ScopeHello| -> Outcome<ScopeHello> {
        Ok(ScopeHello {
            scope: scope(&said.scope, own)?,
            cursor: said.cursor.map(cursor).transpose()?,
            head: position(said.head)?,
            acknowledged: said.acknowledged,
            sum: sum(&said.sum)?,
            count: said.count,
            folded: said.folded,
        })
    };
    Ok(Hello {
        protocol_min: hello.protocol_min,
        protocol_max: hello.protocol_max,
        node: NodeId(bytes(&hello.node, "node id")?),
        incarnation: Incarnation::from_bytes(bytes(&hello.incarnation, "incarnation")?),
        scopes: hello.scopes.into_iter().map(one).collect::<Outcome<_>>()?,
        view_version: hello.view_version,
        window_bytes: hello.window_bytes,
    })
}

fn entry_to_wire(entry: &Entry) -> wire::Entry {
    use wire::entry::Content as C;
    let content = match &entry.content {
        Content::Change { bytes } => C::Change(bytes.clone()),
        Content::Enter { kind, epoch, snapshot, heads, view, proof, guest } => C::Enter(wire::Enter {
            kind: kind.word().to_owned(),
            epoch: *epoch,
            snapshot: snapshot.clone(),
            heads: heads.iter().map(|head| head.0.to_vec()).collect(),
            view: view.as_ref().map(|view| view.json.clone()),
            view_version: view.as_ref().map_or(0, |view| view.version),
            proof: proof.to_vec(),
            guest: *guest,
        }),
        Content::Leave { epoch, proof, arrived } => {
            C::Leave(wire::Leave { epoch: *epoch, proof: proof.to_vec(), arrived: *arrived })
        }
        Content::Erase { erasure, at, proof, above } => C::Erase(acts::erase_to_wire((*erasure, *at, *proof, *above))),
        Content::Receipt(receipt) => C::Receipt(acts::receipt_to_wire(*receipt)),
        Content::Transfer(transfer) => C::Transfer(acts::transfer_to_wire(transfer)),
        Content::Propose { proposal, sign_up, key, value, at } => C::Propose(wire::Propose {
            proposal: proposal.as_bytes().to_vec(),
            sign_up: sign_up.as_bytes().to_vec(),
            key: key.clone(),
            value: value.expose().to_owned(),
            at_ms: at.as_millis(),
        }),
    };
    wire::Entry { seq: entry.seq, document: entry.document.as_bytes().to_vec(), content: Some(content) }
}

fn entry_from_wire(entry: wire::Entry) -> Outcome<Entry> {
    use wire::entry::Content as C;
    let content = match entry.content.ok_or(FromWireError::Absent("content"))? {
        C::Change(bytes) => Content::Change { bytes },
        C::Enter(enter) => {
            let version = enter.view_version;
            Content::Enter {
                kind: Kind::from_word(&enter.kind).ok_or(FromWireError::Absent("known kind of document"))?,
                epoch: epoch(enter.epoch)?,
                snapshot: enter.snapshot,
                heads: enter.heads.iter().map(|head| bytes(head, "head").map(Digest)).collect::<Outcome<_>>()?,
                view: enter.view.map(|json| ViewRow { version, json }),
                proof: bytes(&enter.proof, "proof")?,
                guest: enter.guest,
            }
        }
        C::Leave(leave) => {
            let (epoch, proof) = (epoch(leave.epoch)?, bytes(&leave.proof, "proof")?);
            Content::Leave { epoch, proof, arrived: leave.arrived }
        }
        C::Erase(erase) => {
            let (erasure, at, proof, above) = acts::erase_from_wire(&erase)?;
            Content::Erase { erasure, at, proof, above }
        }
        C::Receipt(receipt) => Content::Receipt(acts::receipt_from_wire(receipt)?),
        C::Transfer(transfer) => Content::Transfer(acts::transfer_from_wire(transfer)?),
        C::Propose(propose) => {
            within(propose.key.len(), 300, "key")?;
            Content::Propose {
                proposal: ProposalId::from_bytes(bytes(&propose.proposal, "proposal")?),
                sign_up: EventId::from_bytes(bytes(&propose.sign_up, "sign-up")?),
                key: propose.key,
                value: propose.value.into(),
                at: Timestamp::from_millis(propose.at_ms),
            }
        }
    };
    Ok(Entry { seq: row(entry.seq)?, document: DocId::from_bytes(bytes(&entry.document, "document id")?), content })
}

fn refused_to_wire(refused: &Refused) -> wire::Refused {
    let why = match refused.why {
        RefusedWhy::Malformed => wire::RefusedWhy::Malformed,
        RefusedWhy::NotYours => wire::RefusedWhy::NotYours,
        RefusedWhy::Missing => wire::RefusedWhy::Missing,
    };
    wire::Refused {
        seq: refused.seq,
        document: refused.document.as_bytes().to_vec(),
        why: why.into(),
        words: words(&refused.words),
    }
}

fn refused_from_wire(refused: wire::Refused) -> Outcome<Refused> {
    let why = match refused.why() {
        wire::RefusedWhy::NotYours => RefusedWhy::NotYours,
        wire::RefusedWhy::Missing => RefusedWhy::Missing,
        wire::RefusedWhy::Malformed | wire::RefusedWhy::Unspecified => RefusedWhy::Malformed,
    };
    let document = DocId::from_bytes(bytes(&refused.document, "document id")?);
    Ok(Refused { seq: row(refused.seq)?, document, why, words: words(&refused.words) })
}

#[cfg(test)]
mod tests {
    use engine::{Batch, Question, Reply};

    use super::*;

    const OWN: ScopeId = ScopeId::from_bytes([7; 16]);

    fn batch(bytes: usize) -> Frame {
        let entry =
            Entry { seq: 1, document: DocId::from_bytes([1; 16]), content: Content::Change { bytes: vec![7; bytes] } };
        let last = Position { seq: 1, hash: Digest([2; 32]) };
        Frame::Batch(Batch { scope: ScopeId::NETWORK, after: 0, last, entries: vec![entry] })
    }

    /// A frame of each kind that names a scope.
    fn frames(scope: ScopeId) -> Vec<Frame> {
        let (document, seq, folded) = (DocId::from_bytes([1; 16]), 9, true);
        let position = Position { seq, hash: Digest([2; 32]) };
        let (sum, count) = (ScopeSum::of(document, &[position.hash]), 3);
        let incarnation = Incarnation::from_bytes([4; 16]);
        let cursor = Some(Cursor { incarnation, position });
        let said = ScopeHello { scope, cursor, head: position, acknowledged: 5, sum, count, folded };
        let refused = Refused { seq, document, why: RefusedWhy::Missing, words: "it follows nothing".to_owned() };
        vec![
            Frame::Hello(Hello {
                protocol_min: 1,
                protocol_max: 2,
                node: NodeId([5; 32]),
                incarnation,
                scopes: vec![said],
                view_version: 6,
                window_bytes: 7,
            }),
            Frame::Batch(Batch { scope, after: 8, last: position, entries: Vec::new() }),
            Frame::Ack(Ack { scope, seq, folded, sum, count, refused: vec![refused] }),
            Frame::Head(Head { scope, position, read: 4, folded, sum, count, goes_on: true }),
            Frame::Adrift(scope),
            Frame::Ask(scope, Question::Done(Some(position))),
            Frame::Answer(scope, Reply::Took),
        ]
    }

    #[test]
    fn a_frame_comes_back_as_it_went() {
        let bye = Frame::Bye(Bye { reason: "the node stops".to_owned(), come_back: true });
        let others = [batch(10), batch(100_000), bye];
        for frame in others.into_iter().chain(frames(OWN)).chain(frames(ScopeId::NETWORK)) {
            assert_eq!(from_wire(to_wire(&frame, OWN), OWN).unwrap(), Some(frame));
        }
        assert!(to_wire(&batch(100_000), OWN).encoded_len() < 2_000, "a large batch is packed");
    }

    #[test]
    fn the_own_scope_is_not_named_on_the_wire_and_the_networks_is() {
        for (own, network) in frames(OWN).iter().zip(frames(ScopeId::NETWORK)) {
            let [own, network] = [own, &network].map(|frame| to_wire(frame, OWN).encode_to_vec());
            let names = |bytes: &[u8], scope: ScopeId| bytes.windows(16).any(|some| some == scope.as_bytes());
            assert!(!names(&own, OWN) && names(&network, ScopeId::NETWORK));
            assert!(own.len() + 16 <= network.len(), "{} and {} bytes", own.len(), network.len());
        }
    }

    #[test]
    fn an_epoch_that_no_database_can_count_is_refused() {
        let entry = |content| {
            let entry = Entry { seq: 1, document: DocId::from_bytes([1; 16]), content };
            let last = Position { seq: 1, hash: Digest([2; 32]) };
            Frame::Batch(Batch { scope: ScopeId::NETWORK, after: 0, last, entries: vec![entry] })
        };
        let leave = |epoch| entry(Content::Leave { epoch, proof: [3; 16], arrived: true });
        let enter = |epoch| {
            let (snapshot, heads, view) = (vec![4], vec![Digest([5; 32])], None);
            entry(Content::Enter { kind: Kind::Supporter, epoch, snapshot, heads, view, proof: [3; 16], guest: false })
        };
        let transfer = |epoch| {
            entry(Content::Transfer(engine::Transfer {
                id: model::TransferId::from_bytes([6; 16]),
                side: engine::Side::Give,
                state: engine::TransferState::Open,
                epoch,
                to: String::new(),
                summary: "".into(),
                text: "".into(),
                agreed: true,
                also: false,
                her_word: false,
                at: Timestamp::from_millis(7),
            }))
        };
        let left = |epoch| entry(Content::Receipt(engine::Receipt::Left { epoch }));
        let told = |epoch| {
            let claimed = engine::Claimed::Held { epoch, guest: false, proof: [3; 16] };
            Frame::Answer(ScopeId::NETWORK, engine::Reply::Claimed(vec![(DocId::from_bytes([1; 16]), claimed)]))
        };
        let most = i64::MAX.unsigned_abs();
        for frame in [leave(most), enter(most), transfer(most), left(most), told(most)] {
            assert_eq!(from_wire(to_wire(&frame, OWN), OWN).unwrap(), Some(frame));
        }
        for frame in [leave(most + 1), enter(u64::MAX), transfer(most + 1), left(most + 1), told(most + 1)] {
            assert!(matches!(from_wire(to_wire(&frame, OWN), OWN), Err(FromWireError::Limit("epoch"))), "{frame:?}");
        }
    }

    #[test]
    fn g16_an_unknown_optional_frame_is_skipped_and_a_critical_one_is_refused() {
        assert!(matches!(from_wire(wire::Frame { kind: None, critical: false }, OWN), Ok(None)));
        let critical = wire::Frame { kind: None, critical: true };
        assert!(matches!(from_wire(critical, OWN), Err(FromWireError::UnknownCritical)));
    }

    #[test]
    fn a_packed_batch_that_inflates_without_limit_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; FRAME_BYTES_MAX + 1], 1).unwrap();
        let frame = wire::Frame { kind: Some(wire::frame::Kind::PackedBatch(bomb.into())), critical: true };
        assert!(matches!(from_wire(frame, OWN), Err(FromWireError::Packed)));
    }
}
