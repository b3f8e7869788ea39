//! Idempotency keys: what is asked again with its key is answered as the first time.
//!
//! **Invariant:** a key is its owner's: nobody is answered what somebody else has asked with the same one.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::Problem;

/// The longest idempotency key, in bytes: a UUID has 36.
const KEY_BYTES_MAX: usize = 255;

/// Idempotency keys whose requests are being answered: a second request with one waits for the first's answer.
#[derive(Clone, Debug, Default)]
pub struct KeysInUse(Arc<(Mutex<BTreeSet<[u8; 32]>>, Condvar)>);

/// Held while a key's request is answered.
#[derive(Debug)]
pub struct KeyHeld<'a>(&'a KeysInUse, [u8; 32]);

impl KeysInUse {
    fn keys(&self) -> MutexGuard<'_, BTreeSet<[u8; 32]>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a key until what is given is dropped. Blocks while somebody else does.
    pub fn hold(&self, key: [u8; 32]) -> KeyHeld<'_> {
        let mut keys = self.keys();
        while !keys.insert(key) {
            keys = self.0.1.wait(keys).unwrap_or_else(PoisonError::into_inner);
        }
        KeyHeld(self, key)
    }
}

impl Drop for KeyHeld<'_> {
    fn drop(&mut self) {
        self.0.keys().remove(&self.1);
        self.0.0.1.notify_all();
    }
}

/// The hash of a request's key and of who asks; `None` when it has none.
///
/// # Errors
/// When the key is empty or too long.
pub fn idempotency_key(headers: &HeaderMap, by: &str) -> Result<Option<[u8; 32]>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    if key.len() > KEY_BYTES_MAX || key.is_empty() {
        let words = format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", words));
    }
    Ok(Some(hash_of(&[by.as_bytes(), key.as_bytes()])))
}

/// The hash of parts with a zero byte between each: no part but the last may contain one.
pub(crate) fn hash_of(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.join(&0_u8)).into()
}

/// That a key was used for something else.
pub fn key_reused() -> Problem {
    let words = "this Idempotency-Key was used for another request";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", words)
}
