//! Handing people on: from one chapter to another, or back to the network.
//!
//! **Invariant:** nobody goes without the giving chapter's word and nobody comes without the receiving one's; the parent
//! carries it out with the event that says so in her record.

use model::{AuditKind, Body, DocId, Event, Personal, PlacementFact};
use store::{AgreedTransfer, Edited, NewAudit, NewTransfer, NodeKind, StoreError, TransferRow};

use crate::acts::{Plan, event, within};
use crate::{Node, NodeError, Priority, draw};

/// Who carries out what others agreed to.
const NETWORK: &str = "network";

/// A transfer to be proposed.
#[derive(Clone, Debug)]
pub struct TransferDraft {
    /// The receiving chapter's short name.
    pub to: String,
    /// The hand-over note.
    pub note: Personal,
    /// Whether she was asked and agreed.
    pub agreed: bool,
    /// Whether she stays where she is, and the receiving chapter serves her, too.
    pub also: bool,
    /// Whether she asked for it herself; only a hub's people say so.
    pub her_word: bool,
}

/// What came of asking for a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferAsked {
    /// It waits for the word of one side or both.
    Proposed(model::TransferId),
    /// She waited at this hub: she is there at once.
    Placed,
}

impl Node {
    /// Proposes that someone go to another chapter, or be served by it, too. At a hub, who waits for a chapter is placed at
    /// once. A chapter may ask for someone by naming itself.
    ///
    /// # Errors
    /// When she is in no chapter, is there already, or the chapter is not known.
    pub fn propose_transfer(&self, person: DocId, draft: TransferDraft, by: &str) -> Result<TransferAsked, NodeError> {
        let TransferDraft { to, note, agreed, also, her_word } = draft;
        within(&note, "the hand-over note")?;
        let slug: model::Slug = to.parse().map_err(|error: model::IdError| NodeError::Refused(error.to_string()))?;
        if self.kind() == NodeKind::Hub {
            let (row, there) = self.read(|read| Ok((read.record(person)?, read.chapter(slug.as_str())?)))?;
            self.not_frozen(&row)?;
            if there.left.is_some() {
                return Err(NodeError::Refused(format!("{} left the network: nobody goes there", there.name)));
            }
            if row.chapter.is_none() && !row.elsewhere {
                self.place_by_hand(person, slug.as_str(), by)?;
                return Ok(TransferAsked::Placed);
            }
        } else if her_word {
            let words = "only her network notes that she asked for it herself: say --agreed, and her chapter is asked";
            return Err(NodeError::Refused(words.to_owned()));
        }
        self.need_parent()?;
        let (id, at) = (draw::transfer_id(), draw::now());
        let new = NewTransfer { id, person, to: Some(slug.to_string()), text: note, agreed, also, her_word, at };
        let said = self.audit_by(AuditKind::TransferProposed, by).about(person).detail(new.in_words());
        self.write(Priority::Interactive, move |tx| {
            tx.propose_transfer(&new)?;
            tx.audit(&said)
        })?;
        Ok(TransferAsked::Proposed(id))
    }

    /// A chapter hands back someone whom it was given.
    ///
    /// # Errors
    /// Without a reason, or when she is not this chapter's.
    pub fn return_person(&self, person: DocId, reason: Personal, by: &str) -> Result<model::TransferId, NodeError> {
        if reason.is_blank() {
            return Err(NodeError::Refused("say why she is handed back".to_owned()));
        }
        within(&reason, "the reason")?;
        self.need_parent()?;
        let (id, at) = (draw::transfer_id(), draw::now());
        let returned = event(None, by, Body::Return { reason: reason.clone() });
        let (also, her_word) = (false, false);
        let new = NewTransfer { id, person, to: None, text: reason, agreed: false, also, her_word, at };
        let said = self.audit_by(AuditKind::Returned, by).about(person).detail(new.in_words());
        self.edit(person, by, |_, _| Ok(Plan::event(&returned).transferring(new.clone()).auditing(said.clone())))?;
        Ok(id)
    }

    fn need_parent(&self) -> Result<(), NodeError> {
        if self.kind() == NodeKind::Chapter && !self.read(|read| read.has_parent())? {
            return Err(self.no_parent());
        }
        Ok(())
    }

    /// This chapter's word on a transfer.
    ///
    /// # Errors
    /// When it is not asked for.
    pub fn answer_transfer(&self, transfer: &TransferRow, agrees: bool, why: &str, by: &str) -> Result<(), NodeError> {
        let (id, why) = (transfer.id, why.to_owned());
        within(&why.as_str().into(), "the reason")?;
        let what = if agrees { AuditKind::TransferAgreed } else { AuditKind::TransferDeclined };
        let said = self.audit_by(what, by).about(transfer.person);
        self.write(Priority::Interactive, move |tx| {
            tx.answer_transfer(id, agrees, &why)?;
            tx.audit(&said)
        })
    }

    /// This chapter's word on someone who is to leave without it.
    ///
    /// # Errors
    /// When nobody asks for her.
    pub fn answer_leave(&self, person: DocId, goes: bool, by: &str) -> Result<(), NodeError> {
        let at = draw::now();
        let said = self.audit_by(if goes { AuditKind::LetGo } else { AuditKind::KeptHere }, by).about(person);
        self.write(Priority::Interactive, move |tx| {
            tx.answer_leave(person, goes, at)?;
            tx.audit(&said)
        })
    }

    /// Carries out what both sides agree to; gives how many.
    pub(crate) fn complete_transfers(&self) -> Result<usize, NodeError> {
        let agreed = self.read(|read| read.transfers_agreed())?;
        let mut done = 0;
        for transfer in &agreed {
            match self.complete(transfer) {
                Ok(carried_out) => done += usize::from(carried_out),
                // Somebody was faster: it is tried again when that is folded.
                Err(NodeError::Store(error)) if error.can_be_redone() => {}
                // Her record takes no event: both sides hear of it, and nobody else waits for her.
                Err(NodeError::Store(StoreError::NotWritable(..) | StoreError::Record(..))) => {
                    let (id, at) = (transfer.transfer.id, draw::now());
                    let said = NewAudit::new(AuditKind::TransferDeclined, at).about(transfer.transfer.person);
                    self.write(Priority::Interactive, move |tx| {
                        tx.answer_transfer(id, false, "her record can't be written at the network")?;
                        tx.audit(&said.detail("her record can't be written"))
                    })?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn complete(&self, agreed: &AgreedTransfer) -> Result<bool, NodeError> {
        let AgreedTransfer { transfer, giver, taker } = agreed;
        let (giver, taker) = (*giver, *taker);
        let (id, person) = (transfer.id, transfer.person);
        let (loaded, settings) = self.read(|read| Ok((read.load(person)?, read.settings()?)))?;
        let stamp = self.stamp(NETWORK);
        let body = match taker {
            Some(to) => Some(Body::Transfer { from: giver.filter(|_| !transfer.also), to }),
            // A chapter that served her beside her home hands back nothing but its own part.
            None if transfer.guest => None,
            None => Some(Body::Placement(PlacementFact {
                chapter: None,
                reason: "returned".to_owned(),
                explanation: "Her chapter handed her back.".to_owned(),
                flags: Vec::new(),
                territory_version: 0,
                gazetteer_version: String::new(),
            })),
        };
        let edited = loaded.zip(body).and_then(|(mut loaded, body)| {
            let said = Event { id: draw::event_id(), at: stamp.at, by: None, body };
            let written = loaded.record.edit(&[record::Write::event(&said)], &stamp)?;
            Some(Edited::new(loaded, written, stamp.actor, &settings.ladder))
        });
        let at = stamp.at;
        self.write(Priority::Interactive, move |tx| tx.complete_transfer(id, edited.as_ref(), at))
    }
}
