//! What a chapter keeps to itself about a supporter.
//!
//! **Invariant:** no other module reads these tables, but for who has a tag; no feed can. A text stays with its person when
//! her record is made anew.

use std::collections::BTreeSet;

use model::{DocId, EventId, Personal, TAG, Timestamp};
use rusqlite::params;

use crate::{Read, StoreError, Tx};

/// Which kind of private text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A note.
    Note,
    /// Her story, from a one-to-one.
    Story,
    /// Her self-interest, from a one-to-one.
    Interest,
    /// Her relationships, from a one-to-one.
    Relationships,
    /// What she has time and strength for, from a one-to-one.
    Capacity,
}

impl NoteKind {
    /// The word in the database and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Story => "story",
            Self::Interest => "interest",
            Self::Relationships => "relationships",
            Self::Capacity => "capacity",
        }
    }
}

/// A note to be kept.
#[derive(Clone, Debug)]
pub struct NewNote {
    /// Its id.
    pub id: EventId,
    /// The one-to-one to which it belongs.
    pub event: Option<EventId>,
    /// Which kind.
    pub kind: NoteKind,
    /// Who wrote it.
    pub by: Personal,
    /// The text.
    pub text: Personal,
    /// When.
    pub at: Timestamp,
}

/// A note that is kept.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its id.
    pub id: EventId,
    /// The one-to-one to which it belongs.
    pub event: Option<EventId>,
    /// Which kind: a [`NoteKind`]'s word.
    pub kind: String,
    /// Who wrote it.
    pub by: Personal,
    /// The text.
    pub text: Personal,
    /// When.
    pub at: Timestamp,
}

impl Read<'_> {
    /// The private notes on a person, the newest first.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn notes(&self, person: DocId) -> Result<Vec<Note>, StoreError> {
        let sql = "SELECT n.note_id, n.event, n.kind, n.by, n.text, n.at FROM private_note n
                   JOIN document d ON d.id = n.document WHERE d.doc_id = ? ORDER BY n.at DESC, n.id DESC";
        self.all("read notes", sql, params![person.as_bytes()], |row| {
            Ok(Note {
                id: EventId::from_bytes(row.get(0)?),
                event: row.get::<_, Option<[u8; 16]>>(1)?.map(EventId::from_bytes),
                kind: row.get(2)?,
                by: row.get::<_, String>(3)?.into(),
                text: row.get::<_, String>(4)?.into(),
                at: Timestamp::from_millis(row.get(5)?),
            })
        })
    }

    /// How many private notes are kept here.
    pub(crate) fn note_count(&self) -> Result<u64, StoreError> {
        self.number("count notes", "SELECT count(*) FROM private_note", [])
    }

    /// Fields that the network has not declared.
    ///
    /// # Errors
    /// When rows can't be read.
    pub fn private_fields(&self, person: DocId) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT f.name, f.value FROM private_field f JOIN document d ON d.id = f.document WHERE d.doc_id = ?";
        self.all("read private fields", sql, params![person.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
    }
}

impl Read<'_> {
    /// Whose records have a tag that the network has not declared: a private field, `tag/` and its word.
    pub(crate) fn with_private_tag(&self, tag: &str) -> Result<BTreeSet<DocId>, StoreError> {
        let sql = "SELECT d.doc_id FROM private_field f JOIN document d ON d.id = f.document
                   WHERE f.name = ? AND f.name >= 'tag/' AND f.name < 'tag0'";
        let ids = self.all("look who has a private tag", sql, params![format!("{TAG}{tag}")], |row| row.get(0))?;
        Ok(ids.into_iter().map(DocId::from_bytes).collect())
    }
}

impl Tx<'_> {
    /// Keeps a note.
    ///
    /// # Errors
    /// When the person is not here.
    pub fn add_note(&self, person: DocId, note: &NewNote) -> Result<(), StoreError> {
        let document = self.document_row(person)?.ok_or(StoreError::NoDocument(person))?;
        let sql =
            "INSERT INTO private_note (note_id, document, event, kind, by, text, at) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let event = note.event.map(|event| *event.as_bytes());
        let row = params![
            note.id.as_bytes(),
            document,
            event,
            note.kind.word(),
            note.by.expose(),
            note.text.expose(),
            note.at.as_millis()
        ];
        self.run("keep a note", sql, row).map(drop)
    }

    /// What is kept about someone goes over to her other record; of a field that both have, that one's stays.
    pub(crate) fn move_private(&self, from: i64, to: i64) -> Result<(), StoreError> {
        let sql = "UPDATE private_note SET document = ? WHERE document = ?";
        self.run("keep notes with her", sql, params![to, from])?;
        let sql = "UPDATE user SET supporter = ? WHERE supporter = ?";
        self.run("keep her login with her", sql, params![to, from])?;
        let sql = "UPDATE OR IGNORE private_field SET document = ? WHERE document = ?";
        self.run("keep private fields with her", sql, params![to, from]).map(drop)
    }

    /// Keeps a field that the network has not declared.
    ///
    /// # Errors
    /// When the person is not here.
    pub fn put_private_field(&self, person: DocId, name: &str, value: &str) -> Result<(), StoreError> {
        let document = self.document_row(person)?.ok_or(StoreError::NoDocument(person))?;
        let sql = "INSERT OR REPLACE INTO private_field (document, name, value) VALUES (?, ?, ?)";
        self.run("keep a private field", sql, params![document, name, value]).map(drop)
    }

    /// Forgets a field that the network has not declared; says whether it was there.
    ///
    /// # Errors
    /// When the person is not here.
    pub fn drop_private_field(&self, person: DocId, name: &str) -> Result<bool, StoreError> {
        let document = self.document_row(person)?.ok_or(StoreError::NoDocument(person))?;
        let sql = "DELETE FROM private_field WHERE document = ? AND name = ?";
        Ok(self.run("forget a private field", sql, params![document, name])? > 0)
    }
}
