//! Where time and randomness enter.

use std::time::{SystemTime, UNIX_EPOCH};

use model::{ActorId, DocId, EraseId, EventId, Incarnation, ProposalId, ScopeId, Timestamp, TransferId};
use store::TOTP_SECRET_BYTES;

use crate::seal::{Passphrase, SALT_BYTES};

/// Four groups of four symbols with their hyphens.
const SHORT_SECRET_CHARS: usize = 19;

/// The time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Waits for a random part of so many milliseconds.
pub(crate) fn pause(most_ms: u64) {
    std::thread::sleep(std::time::Duration::from_millis(rand::random_range(0..=most_ms)));
}

pub(crate) fn doc_id() -> DocId {
    DocId::from_parts(now(), rand::random())
}

/// An id for somebody who came at another time than now.
pub(crate) fn doc_id_of(at: Timestamp) -> DocId {
    DocId::from_parts(at, rand::random())
}

pub(crate) fn event_id() -> EventId {
    EventId::from_parts(now(), rand::random())
}

pub(crate) fn proposal_id() -> ProposalId {
    ProposalId::from_parts(now(), rand::random())
}

pub(crate) fn scope_id() -> ScopeId {
    ScopeId::from_parts(now(), rand::random())
}

pub(crate) fn incarnation() -> Incarnation {
    Incarnation::from_bytes(rand::random())
}

pub(crate) fn transfer_id() -> TransferId {
    TransferId::from_parts(now(), rand::random())
}

pub(crate) fn erase_id() -> EraseId {
    EraseId::from_parts(now(), rand::random())
}

pub(crate) fn proof_key() -> store::ProofKey {
    store::ProofKey::new(rand::random())
}

pub(crate) fn actor() -> ActorId {
    rand::random()
}

pub(crate) fn secret() -> [u8; 16] {
    rand::random()
}

pub(crate) fn token() -> [u8; 32] {
    rand::random()
}

/// What opens the key of a hub's authority at rest.
pub(crate) fn unlock() -> [u8; 32] {
    rand::random()
}

/// The serial number of a certificate: positive, and never twice.
pub(crate) fn serial() -> [u8; 16] {
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x3f | 0x40;
    serial
}

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new(rand::random())
}

/// Four groups of four letters and digits, 80 random bits: a password or a recovery code, short enough to be typed.
pub(crate) fn short_secret() -> String {
    let mut drawn = passphrase().to_string();
    drawn.truncate(SHORT_SECRET_CHARS);
    drawn
}

pub(crate) fn totp_secret() -> [u8; TOTP_SECRET_BYTES] {
    rand::random()
}

pub(crate) fn salt() -> [u8; SALT_BYTES] {
    rand::random()
}
