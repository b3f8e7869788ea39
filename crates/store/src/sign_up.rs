//! Matching sign-ups with who is known, and answers that were given before.

use std::fmt;

use model::{DocId, EmailAddress, Timestamp};
use rusqlite::params;

use crate::{Read, StoreError, Tx};

/// Whether somebody with one of these addresses is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Nobody is.
    New,
    /// This person.
    Known(DocId),
}

/// An answer that was given before under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// None.
    Never,
    /// To the same request.
    Same(String),
    /// To another request: the key is used twice.
    Other,
}

/// An answer that is kept with what it answers, so that a repeated request gets the same one.
#[derive(Clone)]
pub struct KeptAnswer {
    /// SHA-256 of the idempotency key.
    pub key: [u8; 32],
    /// SHA-256 of the request's body.
    pub request: [u8; 32],
    /// What is answered.
    pub body: String,
}

impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptAnswer({} bytes)", self.body.len())
    }
}

impl Read<'_> {
    /// Who has one of these e-mail addresses; of several, the one who came first and is not asked to be deleted. Whose chapter
    /// has left is not looked for: whoever signs up at a network signs up with that.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn match_emails(&self, emails: &[EmailAddress]) -> Result<Match, StoreError> {
        let sql = "SELECT d.doc_id FROM reach r JOIN document d ON d.id = r.document
                   LEFT JOIN supporter v ON v.document = r.document LEFT JOIN chapter c ON c.scope = v.home
                   WHERE r.value = ? AND c.left_at IS NULL ORDER BY coalesce(v.hidden, 0), d.doc_id LIMIT 1";
        // Almost nobody is known: a look into the index alone costs a quarter of putting those who are in order.
        let known = "SELECT EXISTS (SELECT 1 FROM reach WHERE value = ?)";
        for email in emails {
            if self.number("match an address", known, params![email.as_str()])? == 0 {
                continue;
            }
            let found = self.one("match an address", sql, params![email.as_str()], |row| row.get(0))?;
            if let Some(id) = found {
                return Ok(Match::Known(DocId::from_bytes(id)));
            }
        }
        Ok(Match::New)
    }

    /// What was answered to this key before.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn answered(&self, key: &[u8; 32], request: &[u8; 32]) -> Result<Answered, StoreError> {
        let sql = "SELECT request, body FROM answer WHERE key = ?";
        let found =
            self.one("look for an answer", sql, params![key], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get(1)?)))?;
        Ok(match found {
            None => Answered::Never,
            Some((same, body)) if same == *request => Answered::Same(body),
            Some(_) => Answered::Other,
        })
    }
}

impl Tx<'_> {
    /// Keeps an answer, so that a repeated request gets the same one.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn keep_answer(&self, answer: &KeptAnswer, person: DocId, at: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO answer (key, request, body, document, at) VALUES (?, ?, ?, ?, ?)";
        let row = params![answer.key, answer.request, answer.body, self.document_row(person)?, at.as_millis()];
        self.run("keep an answer", sql, row).map(drop)
    }
}
