//! Sign-ups that are held for review.
//!
//! **Invariants:** what is held is in no figure, no chapter and no feed, and nobody is found by it; it stays until a person
//! lets it through or drops it, or somebody is deleted who has an e-mail address or a number of it. It ends in the transaction
//! of the sign-up that it becomes, so it becomes one at most.

use model::{DocId, EventId, SignUp, SignUpOrigin, Timestamp};
use rusqlite::{Params, params};

use crate::rows::one_named;
use crate::{KeptAnswer, Read, StoreError, Tx};

/// Why a sign-up is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldWhy {
    /// More came from one block of addresses than come from one place.
    Address,
    /// More came with one e-mail address than one person posts.
    Email,
    /// A field was filled that people do not see.
    Honeypot,
    /// The form was sent faster than anybody fills it.
    FillTime,
}

impl HeldWhy {
    const ALL: [Self; 4] = [Self::Address, Self::Email, Self::Honeypot, Self::FillTime];

    /// The word in the database and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Email => "email",
            Self::Honeypot => "honeypot",
            Self::FillTime => "fill_time",
        }
    }

    /// For a person.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Address => "many at once from one address",
            Self::Email => "many with this e-mail address",
            Self::Honeypot => "filled in what people do not see",
            Self::FillTime => "sent faster than anybody types",
        }
    }

    fn from_word(word: &str) -> Result<Self, StoreError> {
        Self::ALL.into_iter().find(|why| why.word() == word).ok_or(StoreError::Corrupt("held_sign_up"))
    }
}

/// A sign-up that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSignUp {
    /// The sign-up's id, as it was answered, and its event's.
    pub receipt: EventId,
    /// When it was posted.
    pub at: Timestamp,
    /// Why it is held.
    pub why: HeldWhy,
    /// By which way it came.
    pub origin: SignUpOrigin,
    /// What was posted.
    pub sign_up: SignUp,
}

const COLUMNS: &str = "SELECT receipt, at, why, origin, body FROM held_sign_up";

impl Read<'_> {
    fn held_where(&self, condition: &str, row: impl Params) -> Result<Vec<HeldSignUp>, StoreError> {
        let rows = self.all("read what is held", &format!("{COLUMNS} {condition}"), row, |row| {
            let words: [String; 3] = [row.get(2)?, row.get(3)?, row.get(4)?];
            Ok((EventId::from_bytes(row.get(0)?), Timestamp::from_millis(row.get(1)?), words))
        })?;
        let read = |(receipt, at, [why, origin, body]): (EventId, Timestamp, [String; 3])| {
            let corrupt = || StoreError::Corrupt("held_sign_up");
            let origin = SignUpOrigin::from_word(&origin).ok_or_else(corrupt)?;
            let sign_up = serde_json::from_str(&body).map_err(|_| corrupt())?;
            Ok(HeldSignUp { receipt, at, why: HeldWhy::from_word(&why)?, origin, sign_up })
        };
        rows.into_iter().map(read).collect()
    }

    /// Sign-ups that are held, the oldest first, after this one.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn held_sign_ups(&self, after: Option<EventId>, limit: usize) -> Result<Vec<HeldSignUp>, StoreError> {
        let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        self.held_where("WHERE receipt > ? ORDER BY receipt LIMIT ?", params![after, limit as i64])
    }

    /// The held sign-up that a full id or a unique beginning or end of one names.
    ///
    /// # Errors
    /// When none has it, or more than one.
    pub fn held_one(&self, text: &str) -> Result<HeldSignUp, StoreError> {
        let sql = "SELECT receipt FROM held_sign_up";
        let all = self.all("look for what is held", sql, [], |row| row.get(0).map(EventId::from_bytes))?;
        let receipt = one_named(text, "held sign-up", all, EventId::to_string)?;
        let found = self.held_where("WHERE receipt = ?", params![receipt.as_bytes()])?.pop();
        found.ok_or_else(|| StoreError::Unknown("held sign-up", text.to_owned()))
    }

    /// How many are held.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn held_count(&self) -> Result<u64, StoreError> {
        self.number("count what is held", "SELECT count(*) FROM held_sign_up", [])
    }
}

impl Tx<'_> {
    /// Holds a sign-up, with the answer that is kept for its repetition, if one is.
    ///
    /// # Errors
    /// When rows can't be written.
    pub fn hold(&self, held: &HeldSignUp, answer: Option<&KeptAnswer>) -> Result<(), StoreError> {
        let body = serde_json::to_string(&held.sign_up).map_err(|_| StoreError::Corrupt("sign-up"))?;
        let sql = "INSERT INTO held_sign_up (receipt, at, why, origin, body, answer) VALUES (?, ?, ?, ?, ?, ?)";
        let (why, origin, at) = (held.why.word(), held.origin.word(), held.at.as_millis());
        let row = params![held.receipt.as_bytes(), at, why, origin, body, answer.map(|answer| answer.key)];
        self.run("hold a sign-up", sql, row)?;
        let Some(KeptAnswer { key, request, body }) = answer else { return Ok(()) };
        let sql = "INSERT OR IGNORE INTO answer (key, request, body, at) VALUES (?, ?, ?, ?)";
        self.run("keep an answer", sql, params![key, request, body, at]).map(drop)
    }

    /// A held sign-up is held no more: it is this person's now, or was dropped. An answer that was kept for its repetition
    /// goes over to her, or is forgotten with it.
    ///
    /// # Errors
    /// When it is not held (any more).
    pub fn end_held(&self, receipt: EventId, person: Option<DocId>) -> Result<(), StoreError> {
        let id = receipt.as_bytes();
        match person.map(|person| self.document_row(person)).transpose()?.flatten() {
            Some(person) => {
                let sql =
                    "UPDATE answer SET document = ?2 WHERE key = (SELECT answer FROM held_sign_up WHERE receipt = ?1)";
                self.run("keep an answer", sql, params![id, person])?;
            }
            None => {
                let sql = "DELETE FROM answer WHERE key = (SELECT answer FROM held_sign_up WHERE receipt = ?1)";
                self.run("forget an answer", sql, params![id])?;
            }
        }
        match self.run("end what is held", "DELETE FROM held_sign_up WHERE receipt = ?", params![id])? {
            0 => Err(StoreError::Unknown("held sign-up", receipt.to_string())),
            _ => Ok(()),
        }
    }

    /// Drops what is held with one of these e-mail addresses or numbers; gives how many that were.
    pub(crate) fn drop_held_of(&self, reaches: &[String]) -> Result<u64, StoreError> {
        let sql = "SELECT receipt FROM held_sign_up h WHERE EXISTS (SELECT 1 FROM json_each(h.body, '$.emails') WHERE value = ?1)
                   OR EXISTS (SELECT 1 FROM json_each(h.body, '$.phones') WHERE value = ?1)";
        let mut count = 0;
        for reach in reaches {
            for receipt in self.all("look for what is held", sql, params![reach], |row| row.get(0))? {
                self.end_held(EventId::from_bytes(receipt), None)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
