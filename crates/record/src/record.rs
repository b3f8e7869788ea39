//! One document in memory: made, loaded, edited and saved.
//!
//! **Invariant:** an edit is one change by the actor it was given; heads come from the document, never from memory of
//! what was done to it.

use automerge::transaction::{CommitOptions, Transactable as _};
use automerge::{Automerge, ChangeHash, ROOT, ReadDoc as _, ScalarValue, hydrate};
use model::{ActorId, Digest, DocId, Kind, Timestamp};

use crate::{Value, Write};

/// The largest saved document, in bytes: what a frame can carry beside its envelope. A node stops writing at half.
pub const SAVED_BYTES_MAX: usize = 512 * 1024;

/// A saved document that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the saved document can't be read")]
pub struct Corrupt(#[source] Box<automerge::AutomergeError>);

/// Who writes a change, and when. Time is for people; it never decides a merge.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Drawn for each process and rebuilt document.
    pub actor: ActorId,
    /// `<8 hex of the node id>/<login>`, at most 64 bytes.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

impl Stamp {
    pub(crate) fn options(&self) -> CommitOptions {
        let mut end = self.author.len().min(crate::MESSAGE_BYTES_MAX);
        while !self.author.is_char_boundary(end) {
            end -= 1;
        }
        CommitOptions::default().with_message(&self.author[..end]).with_time(self.at.as_seconds())
    }
}

/// A change that was written here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub hash: Digest,
    /// Its bytes, uncompressed.
    pub bytes: Vec<u8>,
    /// Its place among its actor's changes in this document, from 1.
    pub seq: u64,
    /// The greatest operation counter in it.
    pub max_op: u64,
    /// What it follows.
    pub deps: Vec<Digest>,
}

impl Written {
    pub(crate) fn from_change(change: &automerge::Change) -> Self {
        Self {
            hash: Digest(change.hash().0),
            bytes: change.raw_bytes().to_vec(),
            seq: change.seq(),
            max_op: change.max_op(),
            deps: change.deps().iter().map(|dep| Digest(dep.0)).collect(),
        }
    }
}

/// One document in memory.
#[derive(Clone, Debug)]
pub struct Record {
    pub(crate) doc: Automerge,
}

impl Record {
    /// Makes a document in one change, which is the only one without dependencies. Returns it with that change.
    ///
    /// # Panics
    /// If an entry names a key twice in a way that Automerge refuses, which a map can't.
    pub fn create(id: DocId, kind: Kind, entries: Vec<(String, Value)>, stamp: &Stamp) -> (Self, Written) {
        let scalars = entries.into_iter().map(|(key, value)| (key, value.into_scalar())).collect();
        Self::create_from(id, kind, scalars, stamp)
    }

    pub(crate) fn create_from(
        id: DocId,
        kind: Kind,
        entries: Vec<(String, ScalarValue)>,
        stamp: &Stamp,
    ) -> (Self, Written) {
        let mut map: std::collections::HashMap<String, hydrate::Value> = std::collections::HashMap::new();
        map.insert("id".to_owned(), hydrate::Value::Scalar(ScalarValue::Str(id.to_string().into())));
        if kind != Kind::Supporter {
            map.insert("kind".to_owned(), hydrate::Value::Scalar(ScalarValue::Str(kind.word().into())));
        }
        map.extend(entries.into_iter().map(|(key, value)| (key, hydrate::Value::Scalar(value))));
        let mut doc = Automerge::new().with_actor(automerge::ActorId::from(stamp.actor));
        let mut transaction = doc.transaction();
        transaction
            .init_root_from_hydrate(&hydrate::Map::from(map))
            .expect("a flat map of scalars fits an empty document");
        transaction.commit_with(stamp.options());
        let written = Written::from_change(&doc.get_last_local_change().expect("the change that was just written"));
        (Self { doc }, written)
    }

    /// Loads a saved document, verified.
    ///
    /// # Errors
    /// When the bytes are no document.
    pub fn load(saved: &[u8]) -> Result<Self, Corrupt> {
        Automerge::load(saved).map(|doc| Self { doc }).map_err(|error| Corrupt(Box::new(error)))
    }

    /// The bytes to store, not deflated (they load faster). Equal heads may save different bytes: never compare these.
    pub fn save(&self) -> Vec<u8> {
        self.doc.save_nocompress()
    }

    /// The changes that nothing follows yet, sorted.
    pub fn heads(&self) -> Vec<Digest> {
        let mut heads: Vec<Digest> = self.doc.get_heads().into_iter().map(|head| Digest(head.0)).collect();
        heads.sort_unstable();
        heads
    }

    /// The id that the first change put.
    pub fn id(&self) -> Option<DocId> {
        self.text("id")?.parse().ok()
    }

    /// The kind that the first change put.
    pub fn kind(&self) -> Option<Kind> {
        match self.text("kind") {
            None => Some(Kind::Supporter),
            Some(word) => Kind::from_word(&word),
        }
    }

    /// The shown value of a key, if it is a text.
    pub fn text(&self, key: &str) -> Option<String> {
        let (value, _) = self.doc.get(ROOT, key).ok().flatten()?;
        value.as_scalar().and_then(ScalarValue::as_str).map(str::to_owned)
    }

    /// Every key that stands, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.doc.keys(ROOT).collect()
    }

    /// Writes what differs from what stands, as one change; `None` when nothing does.
    ///
    /// # Panics
    /// If Automerge refuses a scalar in its root, which it does not.
    pub fn edit(&mut self, writes: &[Write], stamp: &Stamp) -> Option<Written> {
        let needed: Vec<&Write> = writes.iter().filter(|write| self.would_change(write)).collect();
        if needed.is_empty() {
            return None;
        }
        self.doc.set_actor(automerge::ActorId::from(stamp.actor));
        let conflicted: Vec<bool> = needed.iter().map(|write| self.standing(write.key()).len() > 1).collect();
        let mut transaction = self.doc.transaction();
        for (write, conflicted) in needed.into_iter().zip(conflicted) {
            let (key, value) = write.parts();
            if conflicted {
                transaction.delete(ROOT, key).expect("a key of the root can be deleted");
            }
            match value {
                Some(value) => transaction.put(ROOT, key, value.into_scalar()).expect("a scalar fits the root"),
                None if conflicted => {}
                None => transaction.delete(ROOT, key).expect("a key of the root can be deleted"),
            }
        }
        transaction.commit_with(stamp.options());
        self.doc.get_last_local_change().as_ref().map(Written::from_change)
    }

    /// A put of the shown value is no change, even over a conflict: a form that posts all its fields settles nothing.
    fn would_change(&self, write: &Write) -> bool {
        let shown = self.doc.get(ROOT, write.key()).ok().flatten();
        let stands = |value: &Value| {
            shown
                .as_ref()
                .is_some_and(|(now, _)| now.as_scalar().is_some_and(|now| *now == value.clone().into_scalar()))
        };
        match write {
            Write::Put(_, value) => !(stands(value) || shown.is_none() && *value == Value::Null),
            Write::Settle(key, value) => !stands(value) || self.standing(key).len() > 1,
            Write::Delete(_) => shown.is_some(),
        }
    }

    pub(crate) fn standing(&self, key: &str) -> Vec<(automerge::Value<'_>, automerge::ObjId)> {
        self.doc.get_all(ROOT, key).unwrap_or_default()
    }

    /// The bytes of a change as its author wrote them; `None` if the document does not hold it.
    pub fn change_bytes(&self, hash: Digest) -> Option<Vec<u8>> {
        self.doc.get_change_by_hash(&ChangeHash(hash.0)).map(|change| change.raw_bytes().to_vec())
    }

    /// Every change in it, in an order in which each follows its dependencies.
    pub fn changes(&self) -> Vec<(ActorId, Written)> {
        let changes = self.doc.get_changes(&[]);
        changes
            .iter()
            .map(|change| {
                let actor = ActorId::try_from(change.actor_id().to_bytes()).unwrap_or_default();
                (actor, Written::from_change(change))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn stamp(actor: u8) -> Stamp {
        Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_000_000) }
    }

    fn mary() -> Record {
        let entries =
            vec![("given_name".to_owned(), Value::text("Mary")), ("family_name".to_owned(), Value::text("Brown"))];
        Record::create(DocId::from_bytes([1; 16]), Kind::Supporter, entries, &stamp(1)).0
    }

    #[test]
    fn writing_what_stands_is_no_change() {
        let mut record = mary();
        assert_eq!(record.edit(&[Write::Put("given_name".into(), Value::text("Mary"))], &stamp(2)), None);
        assert!(record.edit(&[Write::Put("given_name".into(), Value::text("Maria"))], &stamp(2)).is_some());
        assert_eq!(record.edit(&[Write::Put("employer".into(), Value::Null)], &stamp(2)), None);
    }

    #[test]
    fn a_saved_document_gives_back_the_bytes_of_its_changes() {
        let mut record = mary();
        let written = record.edit(&[Write::Put("employer".into(), Value::text("City"))], &stamp(2)).unwrap();
        let again = Record::load(&record.save()).unwrap();
        assert_eq!(again.change_bytes(written.hash), Some(written.bytes));
        assert_eq!(again.heads(), record.heads());
    }

    #[test]
    fn each_value_says_who_wrote_it_and_when() {
        let mut record = mary();
        let later = Stamp { author: "00c0ffee/ana".into(), at: Timestamp::from_millis(2_000_000), ..stamp(2) };
        record.edit(&[Write::field("given_name", "Maria")], &later).unwrap();
        let said = |key: &str| {
            let [one] = <[model::Standing; 1]>::try_from(record.standing_values(key)).unwrap();
            (one.value.expose().to_owned(), one.by.unwrap().expose().to_owned(), one.at)
        };
        assert_eq!(
            said("given_name"),
            ("Maria".into(), "00c0ffee/ana".into(), Some(Timestamp::from_millis(2_000_000)))
        );
        assert_eq!(said("family_name").1, "0badcafe/lee");
        assert!(record.standing_values("employer").is_empty());
    }

    #[test]
    fn a_record_names_another_one_of_hers_until_that_is_taken_away() {
        let mut record = mary();
        let (other, ladder) = (DocId::from_bytes([2; 16]), model::Ladder::default());
        let strange = Write::Put("same_as/somebody".to_owned(), Value::Flag);
        let herself = Write::same_as(DocId::from_bytes([1; 16]));
        record.edit(&[Write::same_as(other), strange, herself], &stamp(2)).unwrap();
        let shown = record.supporter(&ladder);
        assert_eq!(shown.same_as.iter().copied().collect::<Vec<_>>(), [other]);
        assert_eq!(shown.flagged, ["same_as/somebody"]);
        assert_eq!(record.edit(&[Write::same_as(other)], &stamp(2)), None, "it stands already");
        assert!(record.edit(&[Write::not_same_as(other)], &stamp(2)).is_some());
        assert!(record.supporter(&ladder).same_as.is_empty());
    }

    #[test]
    fn a_record_of_another_kind_says_so() {
        let (record, _) = Record::create(DocId::from_bytes([2; 16]), Kind::ChapterCard, Vec::new(), &stamp(1));
        assert_eq!(record.kind(), Some(Kind::ChapterCard));
        assert_eq!(mary().kind(), Some(Kind::Supporter));
    }
}
