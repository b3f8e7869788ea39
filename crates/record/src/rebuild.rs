//! A record made anew from what an older one shows: a new id, a new history, the same person.
//!
//! **Invariants:** what is in force stays in force: of a register's standing values the one by which the view goes is
//! taken, so that a withdrawal is never lost. Keys of later versions come along. Every change is one that another node
//! takes.

use automerge::transaction::Transactable as _;
use automerge::{ROOT, ReadDoc as _, ScalarValue};
use model::{CONSENT, DocId, EmailStatus, Kind, Ladder, STATUS, Supporter};

use crate::inspect::{CHANGE_BYTES_MAX, OPERATIONS_MAX};
use crate::register::Register;
use crate::{Record, Stamp, Written};

/// The most operations in one change of a record that is made anew: half of what is taken.
const PART_OPERATIONS: usize = OPERATIONS_MAX / 2;
/// The most bytes of keys and texts in it: half of what is taken.
const PART_BYTES: usize = CHANGE_BYTES_MAX / 2;

/// Keys with what stands under them.
type Entries = Vec<(String, ScalarValue)>;

impl Record {
    /// A new record of the supporter whose record this is, with everything that it shows; and its changes in order, the
    /// first of which makes it. Of a conflict the shown value comes along.
    ///
    /// # Panics
    /// If Automerge refuses a scalar in its root, which it does not.
    pub fn rebuilt(&self, id: DocId, ladder: &Ladder, stamp: &Stamp) -> (Self, Vec<Written>) {
        let shown = self.supporter(ladder);
        let carried = |key: &String| !matches!(key.as_str(), "id" | "kind");
        let entries = self.keys().into_iter().filter(carried);
        let entries = entries.filter_map(|key| self.in_force(&key, &shown).map(|value| (key, value)));
        let mut parts = parts(entries).into_iter();
        let (mut record, first) = Self::create_from(id, Kind::Supporter, parts.next().unwrap_or_default(), stamp);
        let mut changes = vec![first];
        for part in parts {
            let mut transaction = record.doc.transaction();
            for (key, value) in part {
                transaction.put(ROOT, key, value).expect("a scalar fits the root");
            }
            transaction.commit_with(stamp.options());
            changes.extend(record.doc.get_last_local_change().as_ref().map(Written::from_change));
        }
        (record, changes)
    }

    /// What is in force under a key; nothing for a cleared field.
    fn in_force(&self, key: &str, shown: &Supporter) -> Option<ScalarValue> {
        let standing = self.standing(key);
        let registers: Vec<Register> =
            standing.iter().filter_map(|(value, _)| Register::parse(value.as_str()?)).collect();
        let chosen = register_in_force(key, &registers, shown).map(|register| register.value().into_scalar());
        let winner = || self.doc.get(ROOT, key).ok().flatten().and_then(|(value, _)| value.as_scalar().cloned());
        chosen.or_else(winner).filter(|value| *value != ScalarValue::Null)
    }
}

/// The standing register by which the view goes; `None` for other keys.
fn register_in_force<'a>(key: &str, standing: &'a [Register], shown: &Supporter) -> Option<&'a Register> {
    let with_state = |state: &str| standing.iter().find(|register| register.state == state);
    if let Some((channel, sender)) = key.strip_prefix(CONSENT).and_then(|rest| rest.split_once('/')) {
        let said = shown.consents.iter().find(|said| said.channel == channel && said.sender == sender)?;
        let by_it = |register: &&Register| register.event == said.event && register.state == said.state.word();
        return standing.iter().find(by_it);
    }
    if key.starts_with(STATUS) {
        return standing.iter().max_by_key(|register| EmailStatus::from_word(&register.state));
    }
    match key {
        "rung" => with_state(shown.rung.as_str()),
        "do_not_contact" => with_state("set"),
        "erasure" => with_state("asked"),
        _ => None,
    }
}

/// Entries in parts of which each is one change. The first may be empty: the id is in it.
fn parts(entries: impl Iterator<Item = (String, ScalarValue)>) -> Vec<Entries> {
    let mut parts: Vec<Entries> = vec![Vec::new()];
    let mut bytes = 0;
    for (key, value) in entries {
        let weight = key.len() + value.as_str().map_or(16, str::len);
        let full = parts.last().is_none_or(|part| part.len() >= PART_OPERATIONS) || bytes + weight > PART_BYTES;
        if full {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += weight;
        if let Some(part) = parts.last_mut() {
            part.push((key, value));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use model::{Body, ConsentState, Event, EventId, Timestamp};

    use super::*;
    use crate::{Value, Write, inspect};

    fn stamp(actor: u8) -> Stamp {
        Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_000_000) }
    }

    fn consent(n: u8, state: ConsentState) -> [Write; 2] {
        let (id, at) = (EventId::from_bytes([n; 16]), Timestamp::from_millis(1_000));
        let (channel, sender) = ("email".to_owned(), "network".to_owned());
        let body = Body::Consent { channel, sender, state, source: "phone".into() };
        [Write::event(&Event { id, at, by: None, body }), Write::consent("email", "network", state, id)]
    }

    #[test]
    fn what_is_made_anew_shows_the_same_and_a_withdrawal_is_not_lost() {
        let id = DocId::from_bytes([1; 16]);
        let entries = vec![("given_name".to_owned(), Value::text("Mary")), ("tag/a".to_owned(), Value::Flag)];
        let (first, _) = Record::create(id, Kind::Supporter, entries, &stamp(1));
        // Two consents made apart: whichever of them Automerge shows, the withdrawal is in force.
        for (one, other) in [(2, 3), (3, 2)] {
            let (mut here, mut there) = (first.clone(), first.clone());
            here.edit(&consent(7, ConsentState::Granted), &stamp(one)).unwrap();
            let theirs = there.edit(&consent(8, ConsentState::Withdrawn), &stamp(other)).unwrap();
            let mut heads = here.heads();
            heads.push(theirs.hash);
            let (both, _) = crate::fold(Some(&here.save()), [theirs.bytes.as_slice()], &heads).unwrap();
            let (anew, changes) = both.rebuilt(DocId::from_bytes([2; 16]), &Ladder::default(), &stamp(9));
            let (old, new) = (both.supporter(&Ladder::default()), anew.supporter(&Ladder::default()));
            assert_eq!(new.consents, old.consents);
            assert_eq!(new.consents[0].state, ConsentState::Withdrawn);
            assert_eq!((new.field("given_name"), &new.tags, &new.events), ("Mary", &old.tags, &old.events));
            assert_eq!((anew.id(), changes.len()), (Some(DocId::from_bytes([2; 16])), 1));
        }
    }

    #[test]
    fn a_long_history_comes_in_changes_that_are_taken() {
        let id = DocId::from_bytes([1; 16]);
        let (mut record, _) = Record::create(id, Kind::Supporter, Vec::new(), &stamp(1));
        for n in 0..3_u8 {
            let writes: Vec<Write> = (0..400).map(|m| Write::Put(format!("tag/{n}-{m}"), Value::Flag)).collect();
            record.edit(&writes, &stamp(2)).unwrap();
        }
        let (anew, changes) = record.rebuilt(DocId::from_bytes([2; 16]), &Ladder::default(), &stamp(9));
        assert_eq!(changes.len(), 3);
        assert_eq!(anew.supporter(&Ladder::default()).tags.len(), 1_200);
        assert!(changes.iter().all(|written| inspect(&written.bytes).is_ok()));
        let seqs: Vec<u64> = changes.iter().map(|written| written.seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
        assert_eq!(anew.heads(), [changes[2].hash]);
    }
}
