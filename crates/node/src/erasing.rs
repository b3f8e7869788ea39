//! Deleting someone everywhere, by whoever has nobody above; asking for it, for whoever has.
//!
//! **Invariant:** she is hidden and not contacted from the moment of asking; a receipt follows only when the log is empty.

use model::{AuditKind, Body, ConsentState, DocId, Personal, Sender};
use record::Write;
use store::{Filter, NewAudit, Page, PersonRow};

use crate::acts::{Plan, event};
use crate::{Node, NodeError, Priority, draw};

/// How often the log is emptied again when somebody reads an older moment; then the next round does it.
const EMPTYING_TRIES: u32 = 20;
/// How many records with the same e-mail address or number are shown before erasing.
const SAME_SHOWN: usize = 20;

/// What came of erasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// She is deleted here, and everywhere as soon as each node hears of it.
    Now,
    /// She is hidden and not contacted; the network deletes her after 72 hours unless it is withdrawn.
    Asked,
}

impl Node {
    /// Others who have an e-mail address or a number of hers, and are not joined with her: perhaps they are her, too.
    ///
    /// # Errors
    /// When she is not here.
    pub fn same_reach(&self, person: DocId) -> Result<Vec<PersonRow>, NodeError> {
        let her = self.read(|read| read.person(person))?.supporter;
        let emails = her.emails.iter().map(|email| email.address.as_str().to_owned());
        let reaches: Vec<String> =
            emails.chain(her.phones.iter().map(|phone| phone.number.as_str().to_owned())).collect();
        let mut found: Vec<PersonRow> = Vec::new();
        for reach in reaches {
            let filter = Filter { query: Some(reach), ..Filter::default() };
            for other in self.read(|read| read.people(&filter, Page { limit: SAME_SHOWN, after: None }))? {
                let known = found.iter().any(|row| row.supporter.id == other.supporter.id);
                if !her.covers(other.supporter.id) && !known {
                    found.push(other);
                }
            }
        }
        Ok(found)
    }

    /// Deletes someone everywhere, or asks the network for it where there is one above. Records that are joined with this
    /// one are not touched.
    ///
    /// # Errors
    /// When she is not here, or no reason is given. What is asked keeps its reason in her record, and goes with it.
    pub fn erase(&self, person: DocId, reason: &Personal, by: &str) -> Result<Erased, NodeError> {
        let her = self.read(|read| read.record(person))?.supporter;
        if reason.is_blank() {
            return Err(NodeError::Refused("say why: `asked by phone` is enough".to_owned()));
        }
        if !self.read(|read| read.has_parent())? {
            self.erase_now(person, by)?;
            return Ok(Erased::Now);
        }
        if her.erasure_asked {
            return Ok(Erased::Asked);
        }
        let (channel, sender) = ("any".to_owned(), Sender::Network.to_string());
        let state = ConsentState::Withdrawn;
        let said = event(None, by, Body::Consent { channel, sender, state, source: reason.clone() });
        let writes = vec![Write::event(&said), Write::do_not_contact(said.id), Write::erasure(true, said.id)];
        let asked = self.asks_erasure(person, by);
        self.edit(person, by, |_, _| Ok(Plan::writing(writes.clone()).auditing(asked.clone())))?;
        Ok(Erased::Asked)
    }

    /// Withdraws what was asked. That nobody may contact her stays: lifting it needs a reason of its own.
    ///
    /// # Errors
    /// When nothing was asked.
    pub fn withdraw_erasure(&self, person: DocId, by: &str) -> Result<(), NodeError> {
        if !self.read(|read| read.record(person))?.supporter.erasure_asked {
            return Err(NodeError::Refused("nobody asked that she be deleted".to_owned()));
        }
        let id = draw::event_id();
        let said = self.audit_by(AuditKind::ErasureWithdrawn, by).about(person);
        self.edit(person, by, |_, _| Ok(Plan::writing(vec![Write::erasure(false, id)]).auditing(said.clone())))
    }

    /// A second administrator's word on what is over the limit of a day.
    ///
    /// # Errors
    /// When nothing waits for it.
    pub fn approve_erasure(&self, person: DocId, by: &str) -> Result<(), NodeError> {
        let said = self.audit_by(AuditKind::ErasureApproved, by).about(person);
        self.write(Priority::Interactive, move |tx| {
            tx.approve_erasure(person)?;
            tx.audit(&said)
        })
    }

    /// That a reason was given stands in the log; what it is goes with her.
    fn asks_erasure(&self, person: DocId, by: &str) -> NewAudit {
        self.audit_by(AuditKind::ErasureAsked, by).about(person).detail("with a reason")
    }

    fn erase_now(&self, person: DocId, by: &str) -> Result<(), NodeError> {
        let (erasure, at, asked) = (draw::erase_id(), draw::now(), self.asks_erasure(person, by));
        self.write(Priority::Interactive, move |tx| {
            tx.audit(&asked)?;
            tx.erase(person, erasure, at, None)
        })?;
        self.scrub().map(drop)
    }

    /// Empties the log after erasing, and says so. Gives whether everything that is erased is gone from the disk.
    ///
    /// # Errors
    /// When the database fails.
    pub fn scrub(&self) -> Result<bool, NodeError> {
        let people = self.read(|read| read.unscrubbed())?;
        if people.is_empty() {
            return Ok(true);
        }
        self.read(|read| read.write_ledger(self.directory()))?;
        let checkpointer = self.store().checkpointer()?;
        for tried in 0..EMPTYING_TRIES {
            if checkpointer.empty()? {
                let at = draw::now();
                self.write(Priority::Interactive, move |tx| tx.scrubbed(&people, at))?;
                return Ok(true);
            }
            draw::pause(u64::from(tried) + 1);
        }
        Ok(false)
    }

    /// Notes what was asked for from below and carries out what is due; gives how many were deleted.
    pub(crate) fn carry_out_erasures(&self) -> Result<usize, NodeError> {
        let now = draw::now();
        if self.read(|read| read.asks_to_note())? {
            self.write(Priority::Interactive, move |tx| tx.note_asked(now))?;
        }
        let due = self.read(|read| read.erasures_due(now))?;
        let count = due.len();
        for person in due {
            let (erasure, at) = (draw::erase_id(), now);
            self.write(Priority::Interactive, move |tx| {
                // Withdrawn meanwhile, or not read to the end: not now.
                if tx.erasures_due(at)?.contains(&person) { tx.erase(person, erasure, at, None) } else { Ok(()) }
            })?;
        }
        self.scrub()?;
        Ok(count)
    }
}
