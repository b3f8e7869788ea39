//! The frames of a comparison.

use engine::{Changes, Claim, Claimed, ENTRIES_MAX, Entry, Frame, Question, Reply};
use model::{Digest, DocId, ScopeId};

use super::{
    FromWireError, Outcome, acts, bytes, entry_from_wire, entry_to_wire, epoch, position, position_to_wire, scope,
    within,
};
use crate::wire::sync as wire;

/// The most sums of a question: 8 KiB.
const SUMS_MAX: usize = 1024;
/// The most buckets that are listed at once.
const BUCKETS_MAX: usize = 1024;
/// The most documents in a list: 16 buckets of some hundred each, with room for a scope that the other end does not know.
const LISTED_MAX: usize = 20_000;
/// The most documents of which a child says in one answer what it was told.
const CLAIMED_MAX: usize = 1_000;
/// The most documents of which changes are named in one frame.
const DOCUMENTS_MAX: usize = 2_000;

pub(super) fn ask_to_wire(scope: Vec<u8>, question: &Question) -> wire::Ask {
    use wire::ask::Question as Q;
    let question = match question {
        Question::Sums(sums) => Q::Sums(wire::Sums { sums: sums.clone() }),
        Question::List { buckets, of } => Q::List(wire::List { buckets: buckets.clone(), of: *of }),
        Question::Claim(documents) => {
            Q::Claim(wire::Claim { documents: documents.iter().flat_map(|id| *id.as_bytes()).collect() })
        }
        Question::Compare(documents) => Q::Compare(wire::Compare { documents: changes_to_wire(documents) }),
        Question::Fetch(documents) => Q::Fetch(wire::Compare { documents: changes_to_wire(documents) }),
        Question::Take(entries) => Q::Take(entries_to_wire(entries, 0)),
        Question::Done(go_on) => Q::Done(wire::Done { go_on: go_on.map(position_to_wire) }),
    };
    wire::Ask { scope, question: Some(question) }
}

pub(super) fn ask_from_wire(ask: wire::Ask, own: ScopeId) -> Outcome<Frame> {
    use wire::ask::Question as Q;
    let question = match ask.question.ok_or(FromWireError::Absent("question"))? {
        Q::Sums(sums) => {
            within(sums.sums.len(), SUMS_MAX, "sums")?;
            Question::Sums(sums.sums)
        }
        Q::List(list) => {
            within(list.buckets.len(), BUCKETS_MAX, "buckets")?;
            Question::List { buckets: list.buckets, of: list.of }
        }
        Q::Claim(claim) => {
            let (documents, rest) = claim.documents.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(FromWireError::Length("documents"));
            }
            within(documents.len(), CLAIMED_MAX, "documents")?;
            Question::Claim(documents.iter().copied().map(DocId::from_bytes).collect())
        }
        Q::Compare(compare) => Question::Compare(changes_from_wire(compare.documents)?),
        Q::Fetch(compare) => Question::Fetch(changes_from_wire(compare.documents)?),
        Q::Take(entries) => Question::Take(entries_from_wire(entries)?),
        Q::Done(done) => Question::Done(done.go_on.map(|go_on| position(Some(go_on))).transpose()?),
    };
    Ok(Frame::Ask(scope(&ask.scope, own)?, question))
}

pub(super) fn answer_to_wire(scope: Vec<u8>, reply: &Reply) -> wire::Answer {
    use wire::answer::Reply as R;
    let reply = match reply {
        Reply::Differ { buckets, head } => {
            R::Differ(wire::Differ { buckets: buckets.clone(), head: Some(position_to_wire(*head)) })
        }
        Reply::Listed(documents) => {
            let print = |(document, print): &(DocId, [u8; 16])| wire::DocumentPrint {
                document: document.as_bytes().to_vec(),
                print: print.to_vec(),
            };
            R::Listed(wire::Listed { documents: documents.iter().map(print).collect() })
        }
        Reply::Claimed(claims) => R::Claimed(wire::Claimed { documents: claims.iter().map(claim_to_wire).collect() }),
        Reply::Compared { documents, have, need } => R::Compared(wire::Compared {
            documents: u32::try_from(*documents).unwrap_or(u32::MAX),
            have: changes_to_wire(have),
            need: changes_to_wire(need),
        }),
        Reply::Fetched { answered, entries } => R::Fetched(entries_to_wire(entries, *answered)),
        Reply::Took => R::Took(wire::Took {}),
        Reply::Done(go_on) => R::Done(wire::Done { go_on: go_on.map(position_to_wire) }),
    };
    wire::Answer { scope, reply: Some(reply) }
}

pub(super) fn answer_from_wire(answer: wire::Answer, own: ScopeId) -> Outcome<Frame> {
    use wire::answer::Reply as R;
    let reply = match answer.reply.ok_or(FromWireError::Absent("reply"))? {
        R::Differ(differ) => {
            within(differ.buckets.len(), BUCKETS_MAX, "buckets")?;
            Reply::Differ { buckets: differ.buckets, head: position(differ.head)? }
        }
        R::Listed(listed) => {
            within(listed.documents.len(), LISTED_MAX, "documents")?;
            let print = |one: &wire::DocumentPrint| {
                Ok((DocId::from_bytes(bytes(&one.document, "document id")?), bytes(&one.print, "print")?))
            };
            Reply::Listed(listed.documents.iter().map(print).collect::<Outcome<_>>()?)
        }
        R::Claimed(claimed) => {
            within(claimed.documents.len(), CLAIMED_MAX, "documents")?;
            Reply::Claimed(claimed.documents.into_iter().map(claim_from_wire).collect::<Outcome<_>>()?)
        }
        R::Compared(compared) => Reply::Compared {
            documents: compared.documents as usize,
            have: changes_from_wire(compared.have)?,
            need: changes_from_wire(compared.need)?,
        },
        R::Fetched(entries) => {
            Reply::Fetched { answered: entries.answered as usize, entries: entries_from_wire(entries)? }
        }
        R::Took(_) => Reply::Took,
        R::Done(done) => Reply::Done(done.go_on.map(|go_on| position(Some(go_on))).transpose()?),
    };
    Ok(Frame::Answer(scope(&answer.scope, own)?, reply))
}

fn claim_to_wire((document, claimed): &Claim) -> wire::Told {
    use wire::told::What as W;
    let guest = matches!(claimed, Claimed::Held { guest: true, .. });
    let (what, proof) = match *claimed {
        Claimed::Held { epoch, proof, .. } => (W::Held(epoch), proof.to_vec()),
        Claimed::Left { epoch, proof } => (W::Left(epoch), proof.to_vec()),
        Claimed::Erased { erasure, at, proof, above } => {
            (W::Erased(acts::erase_to_wire((erasure, at, proof, above))), Vec::new())
        }
    };
    wire::Told { document: document.as_bytes().to_vec(), what: Some(what), proof, guest }
}

fn claim_from_wire(told: wire::Told) -> Outcome<Claim> {
    use wire::told::What as W;
    let document = DocId::from_bytes(bytes(&told.document, "document id")?);
    let proof = |raw: &[u8]| bytes(raw, "proof");
    let claimed = match told.what.ok_or(FromWireError::Absent("claim"))? {
        W::Held(given) => Claimed::Held { epoch: epoch(given)?, guest: told.guest, proof: proof(&told.proof)? },
        W::Left(given) => Claimed::Left { epoch: epoch(given)?, proof: proof(&told.proof)? },
        W::Erased(erase) => {
            let (erasure, at, proof, above) = acts::erase_from_wire(&erase)?;
            Claimed::Erased { erasure, at, proof, above }
        }
    };
    Ok((document, claimed))
}

fn changes_to_wire(documents: &[Changes]) -> Vec<wire::DocumentChanges> {
    let one = |(document, hashes): &Changes| wire::DocumentChanges {
        document: document.as_bytes().to_vec(),
        hashes: hashes.iter().flat_map(|hash| hash.0).collect(),
    };
    documents.iter().map(one).collect()
}

fn changes_from_wire(documents: Vec<wire::DocumentChanges>) -> Outcome<Vec<Changes>> {
    within(documents.len(), DOCUMENTS_MAX, "documents")?;
    let one = |one: wire::DocumentChanges| {
        let (hashes, rest) = one.hashes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(FromWireError::Length("hashes"));
        }
        let hashes = hashes.iter().copied().map(Digest).collect();
        Ok((DocId::from_bytes(bytes(&one.document, "document id")?), hashes))
    };
    documents.into_iter().map(one).collect()
}

fn entries_to_wire(entries: &[Entry], answered: usize) -> wire::Entries {
    let answered = u32::try_from(answered).unwrap_or(u32::MAX);
    wire::Entries { entries: entries.iter().map(entry_to_wire).collect(), answered }
}

fn entries_from_wire(entries: wire::Entries) -> Outcome<Vec<Entry>> {
    within(entries.entries.len(), ENTRIES_MAX, "entries")?;
    entries.entries.into_iter().map(entry_from_wire).collect()
}
