//! Receiving foreign changes into a document.
//!
//! **Invariant:** what comes out has been saved and loaded again to the heads that the changes promise: a hostile change
//! can apply well and save a document that can never be loaded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, Change};
use model::Digest;

use crate::record::{Record, SAVED_BYTES_MAX};

/// Why changes could not be folded in.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The stored document itself can't be read.
    #[error("the stored document can't be read")]
    Stored(#[source] crate::Corrupt),
    /// Automerge refused them.
    #[error("the changes can't be applied")]
    Refused(#[source] Box<automerge::AutomergeError>),
    /// The bytes are no change.
    #[error("the bytes of a change can't be read")]
    Bytes(#[source] automerge::LoadChangeError),
    /// Automerge panicked on them.
    #[error("applying the changes broke off inside the library")]
    Panicked,
    /// It would be over what a frame can carry.
    #[error("the record would have {0} bytes; a record may have at most {SAVED_BYTES_MAX}")]
    TooLarge(usize),
    /// What would be stored can't be loaded, or to other heads.
    #[error("the document could not be loaded again after the changes")]
    NotReloadable,
}

/// The document with the changes applied, and the bytes to store. `saved` is absent for a new document.
///
/// # Errors
/// When the changes must be quarantined; nothing of the given document is touched.
pub fn fold<'a>(
    saved: Option<&[u8]>,
    changes: impl IntoIterator<Item = &'a [u8]>,
    heads: &[Digest],
) -> Result<(Record, Vec<u8>), FoldError> {
    let mut doc = match saved {
        Some(saved) => Record::load(saved).map_err(FoldError::Stored)?.doc,
        None => Automerge::new(),
    };
    let changes: Vec<Change> =
        changes.into_iter().map(Change::try_from).collect::<Result<_, _>>().map_err(FoldError::Bytes)?;
    let attempt = catch_unwind(AssertUnwindSafe(move || {
        doc.apply_changes(changes).map_err(|error| FoldError::Refused(Box::new(error)))?;
        let bytes = doc.save_nocompress();
        let again = Record::load(&bytes).map_err(|_| FoldError::NotReloadable)?;
        Ok((again, bytes))
    }));
    let (again, bytes) = attempt.unwrap_or(Err(FoldError::Panicked))?;
    if bytes.len() > SAVED_BYTES_MAX {
        return Err(FoldError::TooLarge(bytes.len()));
    }
    let mut promised = heads.to_vec();
    promised.sort_unstable();
    if again.heads() == promised { Ok((again, bytes)) } else { Err(FoldError::NotReloadable) }
}
