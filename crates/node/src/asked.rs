//! In whose name an act is done, and what is answered to a request that is repeated.
//!
//! **Invariant:** an act and the answer that is kept for its key are one commit: whoever asks again is answered, and
//! nothing is done twice.

use std::fmt::Display;

use serde_json::json;
use store::KeptAnswer;

/// A request with an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// SHA-256 of the key and of whose it is.
    pub key: [u8; 32],
    /// SHA-256 of what is asked.
    pub request: [u8; 32],
}

/// In whose name an act is done.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    login: &'a str,
    asked: Option<Asked>,
}

impl<'a> By<'a> {
    /// Somebody whose request may be repeated, if it has a key.
    pub const fn asking(login: &'a str, asked: Option<Asked>) -> Self {
        Self { login, asked }
    }

    /// Her login or name.
    pub(crate) const fn login(self) -> &'a str {
        self.login
    }

    /// The answer that is kept, if her request may be repeated.
    pub(crate) fn answer(self, id: impl Display) -> Option<KeptAnswer> {
        let Asked { key, request } = self.asked?;
        Some(KeptAnswer { key, request, body: added_json(id) })
    }
}

impl<'a> From<&'a str> for By<'a> {
    fn from(login: &'a str) -> Self {
        Self { login, asked: None }
    }
}

impl<'a> From<&'a String> for By<'a> {
    fn from(login: &'a String) -> Self {
        Self::from(login.as_str())
    }
}

/// What is answered to an act that has added something: its id.
pub fn added_json(id: impl Display) -> String {
    json!({"id": id.to_string()}).to_string()
}
