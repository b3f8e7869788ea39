//! Batches. What the receiver can make of the rest is left out.
//!
//! **Invariant:** what is left out is made again exactly; a batch of which it can't be made is not read.

use engine::{Batch, Content, ENTRIES_MAX, Entry, Position};
use model::{Digest, ScopeId};

use super::{FromWireError, Outcome, bytes, entry_from_wire, entry_to_wire, row, scope, scope_to_wire, within};
use crate::wire::sync as wire;

pub(super) fn batch_to_wire(batch: &Batch, own: ScopeId) -> wire::Batch {
    let mut before = batch.after;
    let mut entries = Vec::with_capacity(batch.entries.len());
    for entry in &batch.entries {
        let mut row = entry_to_wire(entry);
        if before.checked_add(1) == Some(entry.seq) {
            row.seq = 0;
        }
        before = entry.seq;
        entries.push(row);
    }
    let Position { seq, hash } = batch.last;
    let last = if made(batch.scope, &batch.entries, seq) == Some(hash) {
        None
    } else {
        let is_entry = batch.entries.last().is_some_and(|entry| entry.seq == seq);
        Some(wire::Position { seq: if is_entry { 0 } else { seq }, hash: hash.0.to_vec() })
    };
    wire::Batch { scope: scope_to_wire(batch.scope, own), after: batch.after, last, entries }
}

pub(super) fn batch_from_wire(batch: wire::Batch, own: ScopeId) -> Outcome<Batch> {
    within(batch.entries.len(), ENTRIES_MAX, "entries")?;
    let scope = scope(&batch.scope, own)?;
    let after = row(batch.after)?;
    let mut before = after;
    let mut entries = Vec::with_capacity(batch.entries.len());
    for entry in batch.entries {
        let mut entry = entry_from_wire(entry)?;
        if entry.seq == 0 {
            entry.seq = row(before + 1)?;
        }
        before = entry.seq;
        entries.push(entry);
    }
    let said = batch.last.unwrap_or_default();
    let seq = match entries.last() {
        Some(last) if said.seq == 0 => last.seq,
        None if said.seq == 0 => return Err(FromWireError::Absent("last row")),
        Some(_) | None => row(said.seq)?,
    };
    let hash = if said.hash.is_empty() {
        made(scope, &entries, seq).ok_or(FromWireError::Absent("row digest"))?
    } else {
        Digest(bytes(&said.hash, "row digest")?)
    };
    Ok(Batch { scope, after, last: Position { seq, hash }, entries })
}

/// The digest of a batch's last row as its entries tell it: if the last of them is that row, and brings a change. The
/// scope is as the wire names it.
fn made(scope: ScopeId, entries: &[Entry], seq: u64) -> Option<Digest> {
    let last = entries.last().filter(|last| last.seq == seq)?;
    let Content::Change { bytes } = &last.content else { return None };
    Some(Digest::of_change_row(scope, seq, last.document, record::hash_of(bytes)?))
}

#[cfg(test)]
mod tests {
    use engine::Frame;
    use model::DocId;
    use prost::Message as _;

    use super::*;

    const OWN: ScopeId = ScopeId::from_bytes([7; 16]);
    const DOCUMENT: DocId = DocId::from_bytes([1; 16]);

    fn change(seq: u64) -> Entry {
        Entry { seq, document: DOCUMENT, content: Content::Change { bytes: vec![3; 150] } }
    }

    fn leave(seq: u64) -> Entry {
        Entry { seq, document: DOCUMENT, content: Content::Leave { epoch: 1, proof: [3; 16], arrived: true } }
    }

    /// A batch whose last row is a change, with that row's own digest.
    fn edits(scope: ScopeId) -> Batch {
        let hash = record::hash_of(&[3; 150]).unwrap();
        let last = Position { seq: 6, hash: Digest::of_change_row(scope, 6, DOCUMENT, hash) };
        Batch { scope, after: 4, last, entries: vec![change(5), change(6)] }
    }

    #[test]
    fn what_the_receiver_can_make_is_left_out() {
        let left_out = wire::Batch {
            scope: Vec::new(),
            after: 4,
            last: None,
            entries: [5, 6].map(|seq| wire::Entry { seq: 0, ..entry_to_wire(&change(seq)) }).to_vec(),
        };
        assert_eq!(batch_to_wire(&edits(OWN), OWN), left_out);
        let named = wire::Batch { scope: vec![0; 16], ..left_out };
        assert_eq!(batch_to_wire(&edits(ScopeId::NETWORK), OWN), named);
    }

    #[test]
    fn an_edit_of_150_bytes_is_at_most_200_with_the_framing_of_grpc_and_http_2() {
        let (seq, hash) = (100_000, record::hash_of(&[3; 150]).unwrap());
        let last = Position { seq, hash: Digest::of_change_row(OWN, seq, DOCUMENT, hash) };
        let batch = Batch { scope: OWN, after: seq - 1, last, entries: vec![change(seq)] };
        let frame = crate::convert::to_wire(&Frame::Batch(batch), OWN);
        assert!(frame.encoded_len() + 5 + 9 <= 200, "{} bytes", frame.encoded_len());
    }

    #[test]
    fn a_batch_comes_back_as_it_went_whatever_is_left_out() {
        let another = Position { seq: 6, hash: Digest([2; 32]) };
        let later = Position { seq: 9, ..another };
        for scope in [OWN, ScopeId::NETWORK] {
            let batches = [
                edits(scope),
                // Its digest is not the one that the receiver makes: the scope has another name at this end.
                Batch { last: another, ..edits(scope) },
                Batch { last: later, ..edits(scope) },
                Batch { last: another, entries: vec![change(5), leave(6)], ..edits(scope) },
                Batch { after: 1, entries: vec![leave(2), change(4), change(6)], ..edits(scope) },
                Batch { last: later, entries: Vec::new(), ..edits(scope) },
            ];
            for batch in batches {
                assert_eq!(batch_from_wire(batch_to_wire(&batch, OWN), OWN).unwrap(), batch);
            }
        }
    }

    #[test]
    fn a_batch_of_which_the_rest_can_not_be_made_is_refused() {
        let honest = || batch_to_wire(&edits(OWN), OWN);
        let short = Content::Change { bytes: vec![3; 7] };
        let ends_with = |entry: Entry| wire::Batch { entries: vec![entry_to_wire(&entry)], ..honest() };
        let refused = [
            (wire::Batch { entries: Vec::new(), ..honest() }, "last row"),
            (ends_with(leave(6)), "row digest"),
            (ends_with(Entry { content: short, ..change(6) }), "row digest"),
            (wire::Batch { last: Some(wire::Position { seq: 9, hash: Vec::new() }), ..honest() }, "row digest"),
        ];
        for (batch, what) in refused {
            let error = batch_from_wire(batch, OWN).unwrap_err();
            assert!(matches!(error, FromWireError::Absent(absent) if absent == what), "{error}");
        }
        let beyond = wire::Batch { after: u64::MAX, ..honest() };
        assert!(matches!(batch_from_wire(beyond, OWN), Err(FromWireError::Limit("row"))));
    }
}
