//! Making a record anew that can't be read.
//!
//! **Invariants:** the new record is made from what was last read and nothing else; what came since is listed, so that a
//! person can write it again. The old one is deleted as any other: at once where nobody is above, else by asking.

use model::{AuditKind, Body, ConsentState, DocId, Event, Kind, Personal, Sender, Supporter};
use record::{ReadChange, Stamp, Write, Wrote, read_change};
use store::{Edited, Loaded, NewDocument, OldRecord, StoreError, Unread};

use crate::{Erased, Node, NodeError, Priority, draw};

/// How often it is begun again when a change came meanwhile.
const ATTEMPTS: usize = 10;
/// Where it is said why the old record goes.
const BECAUSE: &str = "her record could not be read and was made anew";

/// A record that was made anew.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The new record.
    pub id: DocId,
    /// What became of the old one.
    pub old: Erased,
    /// What was written to the old one and is not in the new one, as far as it can be read.
    pub left_out: Vec<ReadChange>,
    /// How many changes of the old one can't be read at all.
    pub unreadable: usize,
}

impl Node {
    /// Makes a supporter's record anew that can't be read: a new document with everything that was last read, in the same
    /// chapters. The old one is deleted everywhere, or the network is asked for it.
    ///
    /// # Errors
    /// When her record can be read, has left this node, or nothing of it was ever read here.
    pub fn rebuild(&self, person: DocId, by: &str) -> Result<Rebuilt, NodeError> {
        for _ in 0..ATTEMPTS {
            match self.rebuild_once(person, by) {
                Err(NodeError::Store(error)) if error.can_be_redone() => {}
                Ok(rebuilt) => {
                    // Where it was deleted: no byte of the old record is to stay.
                    self.scrub()?;
                    return Ok(rebuilt);
                }
                Err(error) => return Err(error),
            }
        }
        Err(NodeError::Busy)
    }

    fn rebuild_once(&self, person: DocId, by: &str) -> Result<Rebuilt, NodeError> {
        let (unread, settings, parent) =
            self.read(|read| Ok((read.unread(person)?, read.settings()?, read.parent()?)))?;
        let Unread { loaded, scopes, state, pending } = unread;
        // With an actor of its own: the old record may hold changes by this process that can't be read.
        let stamp = Stamp { actor: draw::actor(), ..self.stamp(by) };
        let (id, ladder, base) = (draw::doc_id(), &settings.ladder, loaded.base.clone());
        let (record, mut changes) = loaded.record.rebuilt(id, ladder, &stamp);
        let rest = changes.split_off(1);
        let first = changes.pop().ok_or_else(|| NodeError::Refused("there is nothing to make it from".to_owned()))?;
        let new = NewDocument::new(id, Kind::Supporter, &record, first, stamp.actor, ladder).followed_by(rest);
        let (mut left_out, unreadable) = read_all(&pending);
        left_out.extend(not_shown(&loaded.record.supporter(ladder)));
        let shared = parent.is_some_and(|parent| scopes.contains(&parent.scope));
        let (end, old) = if shared {
            (OldRecord::Ask(Box::new(asked(loaded, ladder, &stamp)?)), Erased::Asked)
        } else {
            (OldRecord::Erase(draw::erase_id()), Erased::Now)
        };
        let at = stamp.at;
        let said = self.audit_by(AuditKind::Rebuilt, by).about(person).detail(format!("as {id}"));
        self.write(Priority::Interactive, move |tx| {
            tx.audit(&said)?;
            tx.rebuild((person, &base), &new, (scopes.as_slice(), state), &end, at)
        })?;
        Ok(Rebuilt { id, old, left_out, unreadable })
    }
}

/// The edit that asks the network to delete the old record.
fn asked(mut loaded: Loaded, ladder: &model::Ladder, stamp: &Stamp) -> Result<Edited, NodeError> {
    let (channel, sender) = ("any".to_owned(), Sender::Network.to_string());
    let body = Body::Consent { channel, sender, state: ConsentState::Withdrawn, source: BECAUSE.into() };
    let said = Event { id: draw::event_id(), at: stamp.at, by: None, body };
    let writes = [Write::event(&said), Write::do_not_contact(said.id), Write::erasure(true, said.id)];
    let written = loaded.record.edit(&writes, stamp);
    let written = written.ok_or_else(|| NodeError::Store(StoreError::Stale(loaded.id)))?;
    Ok(Edited::new(loaded, written, stamp.actor, ladder))
}

/// What changes say, and how many of them can't be read.
fn read_all(pending: &[Vec<u8>]) -> (Vec<ReadChange>, usize) {
    let read: Vec<ReadChange> = pending.iter().filter_map(|bytes| read_change(bytes).ok()).collect();
    let unreadable = pending.len() - read.len();
    (read, unreadable)
}

/// Of every conflict the values that were not shown: only the shown one comes along.
fn not_shown(her: &Supporter) -> Vec<ReadChange> {
    let one = |field: &str, standing: &model::Standing| ReadChange {
        by: standing.by.clone(),
        at: standing.at.unwrap_or(her.modified_at),
        writes: vec![Wrote { key: Personal::from(field), value: Some(standing.value.clone()) }],
    };
    let others = her.conflicts.iter().flat_map(|conflict| {
        conflict.values.iter().skip(1).map(|standing| one(&conflict.field, standing)).collect::<Vec<_>>()
    });
    others.collect()
}
