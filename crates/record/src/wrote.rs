//! What a change wrote, read from its bytes alone: for a person, where its document can't be or must not be loaded.
//!
//! **Invariant:** only what [`crate::inspect()`] lets pass is read. Keys and texts are about a person and print redacted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::legacy::{Key as AutomergeKey, OpType};
use automerge::{Change, ScalarValue};
use model::{Personal, Timestamp};

use crate::inspect::{Refusal, inspect};

/// One key that a change wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrote {
    /// The key. It may be an e-mail address or a number.
    pub key: Personal,
    /// What it put there, as text; none where it took the entry away or cleared the field.
    pub value: Option<Personal>,
}

/// A change as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadChange {
    /// Who wrote it: `<8 hex of the node id>/<login>`, if it says so.
    pub by: Option<Personal>,
    /// When, by the writer's clock, to the second.
    pub at: Timestamp,
    /// What it wrote, in its order; of several writes under one key the last. Not the id and the kind of a new document.
    pub writes: Vec<Wrote>,
}

/// Reads what a change wrote.
///
/// # Errors
/// When the bytes are no change of our grammar.
pub fn read_change(bytes: &[u8]) -> Result<ReadChange, Refusal> {
    inspect(bytes)?;
    catch_unwind(AssertUnwindSafe(|| read(bytes))).unwrap_or(Err(Refusal::NotAChange))
}

fn read(bytes: &[u8]) -> Result<ReadChange, Refusal> {
    let change = Change::try_from(bytes).map_err(|_| Refusal::NotAChange)?;
    let mut writes: Vec<Wrote> = Vec::new();
    for operation in &change.decode().operations {
        let AutomergeKey::Map(key) = &operation.key else { return Err(Refusal::NotFlat) };
        let key = key.as_str();
        if matches!(key, "id" | "kind") {
            continue;
        }
        let value = if let OpType::Put(scalar) = &operation.action { text(scalar) } else { None };
        // Settling is a delete and a put of one key: the put is what stands.
        match writes.iter_mut().find(|wrote| wrote.key.expose() == key) {
            Some(wrote) => wrote.value = value,
            None => writes.push(Wrote { key: Personal::new(key), value }),
        }
    }
    let at = Timestamp::from_millis(change.timestamp().saturating_mul(1000));
    Ok(ReadChange { by: change.message().map(Personal::new), at, writes })
}

/// A scalar as text; nothing for a cleared field.
fn text(scalar: &ScalarValue) -> Option<Personal> {
    match scalar.as_str() {
        Some(text) => Some(Personal::new(text)),
        None if *scalar == ScalarValue::Null => None,
        None => Some(Personal::new(scalar.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use model::{Body, DocId, Event, EventId, Kind};

    use super::*;
    use crate::{Record, Stamp, Value, Write};

    fn stamp(actor: u8) -> Stamp {
        Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_780_000_000_999) }
    }

    fn mary() -> Record {
        let entries = vec![("given_name".to_owned(), Value::text("Mary")), ("tag/clinic".to_owned(), Value::Flag)];
        Record::create(DocId::from_bytes([1; 16]), Kind::Supporter, entries, &stamp(1)).0
    }

    #[test]
    fn a_change_says_who_wrote_what_and_when_without_its_document() {
        let mut record = mary();
        let said = Event {
            id: EventId::from_bytes([2; 16]),
            at: Timestamp::from_millis(0),
            by: None,
            body: Body::Return { reason: "moved".into() },
        };
        let writes = [
            Write::field("family_name", "Brown"),
            Write::field("given_name", ""),
            Write::Delete("tag/clinic".into()),
            Write::event(&said),
        ];
        let written = record.edit(&writes, &stamp(2)).unwrap();
        let read = read_change(&written.bytes).unwrap();
        assert_eq!(read.by, Some("0badcafe/lee".into()));
        assert_eq!(read.at, Timestamp::from_millis(1_780_000_000_000));
        let found = |key: &str| read.writes.iter().find(|wrote| wrote.key.expose() == key).unwrap().value.clone();
        assert_eq!(found("family_name"), Some("Brown".into()));
        assert_eq!((found("given_name"), found("tag/clinic")), (None, None));
        let event = found(&format!("event/{}", said.id)).unwrap();
        assert!(event.expose().contains("\"kind\":\"return\"") && event.expose().contains("moved"));
        assert!(!format!("{read:?}").contains("Brown"), "what is about a person prints redacted");
    }

    #[test]
    fn a_settled_value_is_said_once_and_a_new_records_id_is_not_said() {
        let mut one = mary();
        let mut other = one.clone();
        one.edit(&[Write::field("family_name", "Brown")], &stamp(2)).unwrap();
        let theirs = other.edit(&[Write::field("family_name", "Braun")], &stamp(3)).unwrap();
        let mut heads = one.heads();
        heads.push(theirs.hash);
        let (mut both, _) = crate::fold(Some(&one.save()), [theirs.bytes.as_slice()], &heads).unwrap();
        let settled = both.edit(&[Write::Settle("family_name".into(), Value::text("Braun"))], &stamp(2)).unwrap();
        let read = read_change(&settled.bytes).unwrap();
        assert_eq!(read.writes, [Wrote { key: "family_name".into(), value: Some("Braun".into()) }]);
        let first = mary().changes().remove(0).1;
        let keys: Vec<String> =
            read_change(&first.bytes).unwrap().writes.iter().map(|wrote| wrote.key.expose().to_owned()).collect();
        assert_eq!(keys.len(), 2, "{keys:?}");
    }

    #[test]
    fn what_is_no_change_is_not_read() {
        assert!(read_change(&[]).is_err());
        let mut bytes = mary().changes().remove(0).1.bytes;
        bytes[4] ^= 1;
        assert!(read_change(&bytes).is_err());
    }
}
