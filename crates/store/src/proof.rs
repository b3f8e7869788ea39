//! A parent's word for what it tells its children of documents.
//!
//! **Invariant:** only who has the key can make a proof. A child keeps it and returns it in a comparison, so that a parent
//! that was put back to before believes itself, not the child.

use std::fmt;

use engine::{Claimed, Proof};
use hmac::{Hmac, KeyInit as _, Mac as _};
use model::{DocId, EraseId, ScopeId};
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use sha2::Sha256;

/// The key by which a node proves what it says, and by which it hashes addresses of people who were erased.
#[derive(Clone)]
pub struct ProofKey {
    bytes: [u8; 32],
    /// The MAC with the key in it: two of its four blocks are done once.
    keyed: Hmac<Sha256>,
}

impl PartialEq for ProofKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ProofKey {}

impl ProofKey {
    /// From random bytes.
    ///
    /// # Panics
    /// Never: an HMAC takes a key of any length.
    pub fn new(random: [u8; 32]) -> Self {
        let keyed = Hmac::<Sha256>::new_from_slice(&random).expect("an HMAC takes a key of any length");
        Self { bytes: random, keyed }
    }

    /// HMAC-SHA-256 (RFC 2104) over a byte that says what is proved and parts of fixed length; the first 16 bytes.
    fn hash(&self, what: u8, parts: &[&[u8]]) -> Proof {
        let mut mac = self.keyed.clone();
        mac.update(&[what]);
        parts.iter().for_each(|part| mac.update(part));
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|at| whole[at])
    }

    /// That a document is in a scope since an assignment, at home or as a guest.
    pub(crate) fn held(&self, document: DocId, scope: ScopeId, epoch: u64, guest: bool) -> Proof {
        self.hash(if guest { b'g' } else { b'h' }, &[document.as_bytes(), scope.as_bytes(), &epoch.to_be_bytes()])
    }

    /// That it left a scope by an assignment.
    pub(crate) fn left(&self, document: DocId, scope: ScopeId, epoch: u64) -> Proof {
        self.hash(b'l', &[document.as_bytes(), scope.as_bytes(), &epoch.to_be_bytes()])
    }

    /// That it was erased.
    pub(crate) fn erased(&self, document: DocId, erasure: EraseId) -> Proof {
        self.hash(b'e', &[document.as_bytes(), erasure.as_bytes()])
    }

    /// Whether a child returns this node's own word.
    pub(crate) fn stands(&self, document: DocId, scope: ScopeId, claimed: &Claimed) -> bool {
        match *claimed {
            Claimed::Held { epoch, guest, proof } => proof == self.held(document, scope, epoch, guest),
            Claimed::Left { epoch, proof } => proof == self.left(document, scope, epoch),
            Claimed::Erased { erasure, proof, .. } => proof == self.erased(document, erasure),
        }
    }

    /// What is kept of an address or number of someone who was erased.
    pub(crate) fn fingerprint(&self, reach: &str) -> Proof {
        self.hash(b'r', &[reach.as_bytes()])
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(..)")
    }
}

impl FromSql for ProofKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self::new)
    }
}

impl ToSql for ProofKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.bytes.as_slice()))
    }
}
