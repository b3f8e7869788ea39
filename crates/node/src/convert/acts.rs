//! What is said of a document as a whole: that it leaves, is erased, goes to another chapter; and that it was done.

use engine::{Proof, Receipt, Side, Transfer, TransferState};
use model::{EraseId, Timestamp, TransferId};

use super::{FromWireError, Outcome, bytes, epoch, within};
use crate::wire::sync as wire;

/// The longest short name of a chapter, in bytes.
const SLUG_BYTES_MAX: usize = 40;
/// The longest summary of a person, in bytes: a name and a place.
const SUMMARY_BYTES_MAX: usize = 1_000;
/// The longest hand-over note, in bytes: some ten pages.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// An erasure with when it was, the parent's word for it, and that of the parent's own parent.
type Erased = (EraseId, Timestamp, Proof, Option<Proof>);

pub(super) fn erase_to_wire((erasure, at, proof, above): Erased) -> wire::Erase {
    let above = above.map_or_else(Vec::new, |above| above.to_vec());
    wire::Erase { erasure: erasure.as_bytes().to_vec(), at_ms: at.as_millis(), proof: proof.to_vec(), above }
}

pub(super) fn erase_from_wire(erase: &wire::Erase) -> Outcome<Erased> {
    let erasure = EraseId::from_bytes(bytes(&erase.erasure, "erasure")?);
    let above = if erase.above.is_empty() { None } else { Some(bytes(&erase.above, "proof")?) };
    Ok((erasure, Timestamp::from_millis(erase.at_ms), bytes(&erase.proof, "proof")?, above))
}

pub(super) fn receipt_to_wire(receipt: Receipt) -> wire::Receipt {
    use wire::receipt::What as W;
    let what = match receipt {
        Receipt::Left { epoch } => W::Left(epoch),
        Receipt::Kept { epoch } => W::Kept(epoch),
        Receipt::Erased { erasure } => W::Erased(erasure.as_bytes().to_vec()),
    };
    wire::Receipt { what: Some(what) }
}

pub(super) fn receipt_from_wire(receipt: wire::Receipt) -> Outcome<Receipt> {
    use wire::receipt::What as W;
    Ok(match receipt.what.ok_or(FromWireError::Absent("receipt"))? {
        W::Left(given) => Receipt::Left { epoch: epoch(given)? },
        W::Kept(given) => Receipt::Kept { epoch: epoch(given)? },
        W::Erased(raw) => Receipt::Erased { erasure: EraseId::from_bytes(bytes(&raw, "erasure")?) },
    })
}

pub(super) fn transfer_to_wire(transfer: &Transfer) -> wire::Transfer {
    let side = match transfer.side {
        Side::Give => wire::TransferSide::Give,
        Side::Take => wire::TransferSide::Take,
    };
    let state = match transfer.state {
        TransferState::Open => wire::TransferState::Open,
        TransferState::Agreed => wire::TransferState::Agreed,
        TransferState::Declined => wire::TransferState::Declined,
        TransferState::Done => wire::TransferState::Done,
    };
    wire::Transfer {
        transfer: transfer.id.as_bytes().to_vec(),
        side: side.into(),
        state: state.into(),
        epoch: transfer.epoch,
        to: transfer.to.clone(),
        summary: transfer.summary.expose().to_owned(),
        text: transfer.text.expose().to_owned(),
        agreed: transfer.agreed,
        at_ms: transfer.at.as_millis(),
        also: transfer.also,
        her_word: transfer.her_word,
    }
}

pub(super) fn transfer_from_wire(transfer: wire::Transfer) -> Outcome<Transfer> {
    within(transfer.to.len(), SLUG_BYTES_MAX, "short name")?;
    within(transfer.summary.len(), SUMMARY_BYTES_MAX, "summary")?;
    within(transfer.text.len(), TEXT_BYTES_MAX, "note")?;
    let side = match transfer.side() {
        wire::TransferSide::Give => Side::Give,
        wire::TransferSide::Take => Side::Take,
        wire::TransferSide::Unspecified => return Err(FromWireError::Absent("side of a transfer")),
    };
    let state = match transfer.state() {
        wire::TransferState::Open => TransferState::Open,
        wire::TransferState::Agreed => TransferState::Agreed,
        wire::TransferState::Declined => TransferState::Declined,
        wire::TransferState::Done => TransferState::Done,
        wire::TransferState::Unspecified => return Err(FromWireError::Absent("state of a transfer")),
    };
    Ok(Transfer {
        id: TransferId::from_bytes(bytes(&transfer.transfer, "transfer")?),
        side,
        state,
        epoch: epoch(transfer.epoch)?,
        to: transfer.to,
        summary: transfer.summary.into(),
        text: transfer.text.into(),
        agreed: transfer.agreed,
        also: transfer.also,
        her_word: transfer.her_word,
        at: Timestamp::from_millis(transfer.at_ms),
    })
}
