//! A failure as a person and a script meet it.

use model::{FieldErrors, IdError, TimeError};
use node::{ErrorKind, NodeError};
use serde_json::json;
use store::StoreError;

/// Exit codes of the contract.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const REFUSED: u8 = 4;
const INTEGRITY: u8 = 5;

/// One sentence, a word for scripts, what to do, and the exit code.
#[derive(Debug)]
pub struct Failure {
    exit: u8,
    code: String,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Not allowed or not valid.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: REFUSED, code: "refused".to_owned(), message: message.into(), hint: None }
    }

    /// Something failed that should not.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: FAILED, code: "failed".to_owned(), message: message.into(), hint: None }
    }

    /// The command was put together wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: USAGE, code: "usage".to_owned(), message: message.into(), hint: None }
    }

    /// The other end can't be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        let hint = Some("nothing is lost: it is sent when the network is back".to_owned());
        Self { exit: UNREACHABLE, code: "unreachable".to_owned(), message: message.into(), hint }
    }

    /// What is stored is damaged.
    pub fn integrity(message: impl Into<String>) -> Self {
        let hint = Some("stop the node and keep a copy of its directory before anything else".to_owned());
        Self { exit: INTEGRITY, code: "integrity".to_owned(), message: message.into(), hint }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The exit code.
    pub const fn exit(&self) -> u8 {
        self.exit
    }

    /// The sentence, and what to do.
    pub fn words(&self) -> String {
        self.hint.as_ref().map_or_else(|| self.message.clone(), |hint| format!("{}\n  {hint}", self.message))
    }

    /// As JSON, for scripts.
    pub fn json(&self) -> serde_json::Value {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}})
    }
}

/// An error with everything beneath it, as one sentence.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        next = cause.source();
    }
    words
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let exit = match error.kind() {
            ErrorKind::Failed => FAILED,
            ErrorKind::Unreachable => UNREACHABLE,
            ErrorKind::Refused | ErrorKind::NotFound => REFUSED,
            ErrorKind::Integrity => INTEGRITY,
        };
        Self { exit, code: error.code().to_owned(), message: chain(&error), hint: error.hint().map(str::to_owned) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        NodeError::Store(error).into()
    }
}

impl From<FieldErrors> for Failure {
    fn from(errors: FieldErrors) -> Self {
        NodeError::Fields(errors).into()
    }
}

macro_rules! refused_from {
    ($($error:ty),+) => { $(impl From<$error> for Failure {
        fn from(error: $error) -> Self {
            Self::refused(chain(&error))
        }
    })+ };
}

refused_from!(IdError, TimeError, model::LoginError, node::InviteError, node::PassphraseError);
