//! The sum that says whether two nodes hold the same.
//!
//! A scope's sum is the sum modulo 2^256 of SHA-256(doc_id, sorted heads) over its documents: adding and taking away
//! one document costs the same however many there are, and the order of arrival leaves no trace.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Digest, DocId};

/// The sum of a set of documents at their heads, modulo 2^256, little-endian limbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSum([u64; 4]);

impl ScopeSum {
    /// The sum of one document. The heads are sorted here, so that two nodes hash the same bytes.
    pub fn of(document: DocId, heads: &[Digest]) -> Self {
        let mut sorted = heads.to_vec();
        sorted.sort_unstable();
        let mut hasher = Sha256::new();
        hasher.update(document.as_bytes());
        for head in &sorted {
            hasher.update(head.0);
        }
        Self::from_bytes(&hasher.finalize().into())
    }

    /// The same, of heads one after the other that are sorted already: as rows keep them.
    pub fn of_sorted(document: DocId, heads: &[u8]) -> Self {
        let hasher = Sha256::new().chain_update(document.as_bytes()).chain_update(heads);
        Self::from_bytes(&hasher.finalize().into())
    }

    /// From the 32 stored bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*chunk);
        }
        Self(limbs)
    }

    /// The 32 bytes as they are stored.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (limb, chunk) in self.0.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    /// With another set added.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut carry = false;
        let mut sum = self.0;
        for (mine, theirs) in sum.iter_mut().zip(other.0) {
            let (partial, over) = mine.overflowing_add(theirs);
            let (total, over_again) = partial.overflowing_add(u64::from(carry));
            *mine = total;
            carry = over || over_again;
        }
        Self(sum)
    }

    /// With another set taken away.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let mut borrow = false;
        let mut rest = self.0;
        for (mine, theirs) in rest.iter_mut().zip(other.0) {
            let (partial, under) = mine.overflowing_sub(theirs);
            let (total, under_again) = partial.overflowing_sub(u64::from(borrow));
            *mine = total;
            borrow = under || under_again;
        }
        Self(rest)
    }
}

impl fmt::Display for ScopeSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.to_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sorted_heads_give_the_same_as_heads_in_any_order() {
        let (id, heads) = (DocId::from_bytes([7; 16]), [Digest([2; 32]), Digest([1; 32])]);
        let sorted = [[1_u8; 32], [2; 32]].concat();
        assert_eq!(ScopeSum::of_sorted(id, &sorted), ScopeSum::of(id, &heads));
    }

    proptest! {
        #[test]
        fn taking_away_undoes_adding(a: [u64; 4], b: [u64; 4]) {
            prop_assert_eq!(ScopeSum(a).plus(ScopeSum(b)).minus(ScopeSum(b)), ScopeSum(a));
            prop_assert_eq!(ScopeSum(a).plus(ScopeSum(b)), ScopeSum(b).plus(ScopeSum(a)));
            prop_assert_eq!(ScopeSum::from_bytes(&ScopeSum(a).to_bytes()), ScopeSum(a));
        }
    }

    #[test]
    fn the_order_of_heads_leaves_no_trace() {
        let id = DocId::from_bytes([1; 16]);
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        assert_eq!(ScopeSum::of(id, &[a, b]), ScopeSum::of(id, &[b, a]));
    }
}
