//! By what a cursor knows a row of a feed.
//!
//! **Invariant:** who has read a change makes the same digest of its row as who fed it, and need not be told.

use sha2::{Digest as _, Sha256};

use crate::{Digest, DocId, ScopeId};

/// The kind of a row that brings a change.
const CHANGE: &str = "change";

impl Digest {
    /// What stays of a change's hash in the rows that bring it: its first eight bytes.
    pub const fn mark(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Of a feed's row; `reference` is a change's mark, or what the row of another kind refers to. Two databases that were
    /// one give the same number to different changes.
    pub fn of_row(scope: ScopeId, seq: u64, document: DocId, kind: &str, reference: i64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(scope.as_bytes());
        hasher.update(seq.to_be_bytes());
        hasher.update(document.as_bytes());
        hasher.update(kind.as_bytes());
        hasher.update(reference.to_be_bytes());
        Self(hasher.finalize().into())
    }

    /// Of a row that brings the change with this hash.
    pub fn of_change_row(scope: ScopeId, seq: u64, document: DocId, change: Self) -> Self {
        Self::of_row(scope, seq, document, CHANGE, change.mark())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_link_make_the_same_digest_of_a_row() {
        let mut hash = Digest([0xff; 32]);
        hash.0[..8].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let digest = Digest::of_change_row(ScopeId::from_bytes([3; 16]), 7, DocId::from_bytes([1; 16]), hash);
        // SHA-256 of scope, number, document, "change" and the first eight bytes of the hash: docs/PROTOCOL.md.
        assert_eq!(digest.to_string(), "6d20e9618e1eb56ddf6535186d2887ca6ca4350780600d8f3dad941bffaeb684");
    }
}
