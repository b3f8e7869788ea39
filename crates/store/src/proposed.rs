//! What the other end says of transfers: a child proposes, agrees or declines; a parent offers, and says how it ended.
//!
//! **Invariants:** a child's word counts for its own side only, and on whom it never had it hears nothing: who guesses ids
//! must not learn who is where.

use engine::{Side, Transfer, TransferState};
use model::{AuditKind, DocId};
use rusqlite::params;

use crate::audit::to_words;
use crate::document::{DocState, DocumentRow, Rows};
use crate::home::ELSEWHERE;
use crate::log::{NotTaken, Source, Taken};
use crate::transfer::Said;
use crate::{NewAudit, NewTransfer, StoreError, Tx};

impl Tx<'_> {
    /// The other end says where a transfer stands.
    pub(crate) fn take_transfer(&self, source: &Source<'_>, id: DocId, said: &Transfer) -> Taken {
        if source.link.direction == crate::Direction::Up {
            return self.take_offer(source, id, said).map(Ok);
        }
        let Some(row) = self.document(id)? else {
            return Ok(Ok(()));
        };
        let known = self.known_transfer(said.id)?;
        let Some(known) = known else { return self.take_proposed(source, id, &row, said) };
        let part = match said.side {
            Side::Give => known.giver,
            Side::Take => known.taker,
        };
        if part != Some(source.scope_row) || known.person != id {
            return self.in_vain(source, id, "spoke of a transfer of others").map(Ok);
        }
        if known.state != "open" {
            // It has ended meanwhile: the child is told so again.
            self.feed(source.scope_row, row.id, "transfer", known.row, None)?;
            return Ok(Ok(()));
        }
        match said.state {
            TransferState::Agreed => {
                let gives = said.side == Side::Give;
                // Said again, it is the same word.
                let said_before = if gives { known.given } else { known.taken };
                if !said_before {
                    self.audit_said(source, AuditKind::TransferAgreed, id, if gives { "to give" } else { "to take" })?;
                }
                let sql = "UPDATE transfer SET given = given OR ?2, taken = taken OR NOT ?2 WHERE id = ?1";
                self.run("agree to a transfer", sql, params![known.row, gives])?;
            }
            TransferState::Declined => {
                self.audit_said(source, AuditKind::TransferDeclined, id, "")?;
                self.decline(known.row, said.text.expose())?;
                self.feed_transfer(known.row, row.id, known.giver, known.taker)?;
            }
            TransferState::Open | TransferState::Done => {}
        }
        Ok(Ok(()))
    }

    /// A chapter proposes to give someone, or asks for someone.
    fn take_proposed(&self, source: &Source<'_>, id: DocId, row: &DocumentRow, said: &Transfer) -> Taken {
        if said.state != TransferState::Open {
            // A word on what this node has forgotten, or has never proposed.
            return Ok(Ok(()));
        }
        if row.kind != model::Kind::Supporter {
            return self.in_vain(source, id, "gave or asked for what is nobody").map(Ok);
        }
        if self.has_proposed_enough(source.scope_row)? {
            return Ok(Err(NotTaken::not_yours("this chapter has proposed too many transfers already")));
        }
        let new = NewTransfer {
            id: said.id,
            person: id,
            to: Some(said.to.clone()).filter(|to| !to.is_empty()),
            text: said.text.clone(),
            agreed: said.agreed,
            also: said.also,
            her_word: false,
            at: said.at,
        };
        match said.side {
            Side::Give => self.take_given(source, row, &new, said.epoch.cast_signed()),
            Side::Take => {
                // Whoever asks, asks for itself, whatever name it gives: her chapter decides by that name.
                let sql = "SELECT slug FROM chapter WHERE scope = ?";
                let to = self.one("look for a chapter", sql, params![source.scope_row], |row| row.get(0))?;
                self.take_asked(source, row, &NewTransfer { to, ..new })
            }
        }
    }

    fn take_given(&self, source: &Source<'_>, row: &DocumentRow, new: &NewTransfer, epoch: i64) -> Taken {
        let Some(known) = self.assignment(source.scope_row, row.id)? else {
            return self.in_vain(source, new.person, "gave somebody who never was its own").map(Ok);
        };
        let held = Some(known).filter(|known| known.held);
        let taker = new.to.as_ref().and_then(|to| self.chapter_scope(to).ok());
        let there = taker.map(|taker| self.assignment(taker, row.id)).transpose()?.flatten();
        let wrong = if held.is_none_or(|held| held.epoch != epoch) {
            Some("she is no longer in this chapter as it knew it")
        } else if held.is_some_and(|held| held.guest && new.to.is_some()) {
            Some("her home is another chapter")
        } else if taker.is_none() && new.to.is_some() {
            Some("there is no chapter of this name")
        } else if there.is_some_and(|there| there.held && (new.also || !there.guest)) {
            Some("she is in this chapter already")
        } else {
            None
        };
        let summary = if wrong.is_none() { self.summary_of(row.id)? } else { String::new() };
        let said = Said { given: true, taken: new.to.is_none(), proposer: Some(source.scope_row), here: false };
        let transfer = self.insert_transfer(new, row.id, (Some(source.scope_row), taker), said, &summary)?;
        let what = if new.to.is_none() { AuditKind::Returned } else { AuditKind::TransferProposed };
        self.audit_said(source, what, new.person, &new.in_words())?;
        if let Some(why) = wrong {
            self.audit(&NewAudit::new(AuditKind::TransferDeclined, source.at).about(new.person).detail(why))?;
            self.decline(transfer, why)?;
        }
        self.feed_transfer(transfer, row.id, Some(source.scope_row), taker.filter(|_| wrong.is_none()))?;
        Ok(Ok(()))
    }

    /// A chapter asks for someone. Where that comes to nothing it hears nothing.
    fn take_asked(&self, source: &Source<'_>, row: &DocumentRow, new: &NewTransfer) -> Taken {
        let home = self.home_of(row.id)?.filter(|home| *home != ELSEWHERE && *home != source.scope_row);
        let here = self.assignment(source.scope_row, row.id)?.is_some_and(|known| known.held && new.also);
        let here = here || self.is_frozen(row.id)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM transfer WHERE document = ? AND state = 'open')";
        let open = self.number("look for a transfer", sql, params![row.id])? > 0;
        let Some(home) = home.filter(|_| row.state == DocState::Live && !here && !open) else {
            return self.in_vain(source, new.person, "asked for somebody in vain").map(Ok);
        };
        self.audit_said(source, AuditKind::TransferProposed, new.person, &new.in_words())?;
        let said = Said { given: false, taken: true, proposer: Some(source.scope_row), here: false };
        let (sides, summary) = ((Some(home), Some(source.scope_row)), self.summary_of(row.id)?);
        let transfer = self.insert_transfer(new, row.id, sides, said, &summary)?;
        self.feed_transfer(transfer, row.id, Some(home), None)?;
        Ok(Ok(()))
    }

    /// The child's side: the parent asks for its word, or says how it ended.
    fn take_offer(&self, source: &Source<'_>, id: DocId, said: &Transfer) -> Result<(), StoreError> {
        let word = match said.state {
            TransferState::Done => "done",
            TransferState::Declined => "declined",
            TransferState::Open | TransferState::Agreed => "open",
        };
        if let Some(known) = self.known_transfer(said.id)? {
            if known.state == "open" && word != "open" {
                let sql = "UPDATE transfer SET state = ?, summary = '', text = ? WHERE id = ?";
                let text = if word == "declined" { said.text.expose() } else { "" };
                self.run("end a transfer", sql, params![word, text, known.row])?;
                let done = said.state == TransferState::Done;
                let what = if done { AuditKind::TransferDone } else { AuditKind::TransferDeclined };
                self.audit_said(source, what, id, &to_words(&known.to, known.also, known.her_word))?;
            } else if known.state == "open" && !known.asks_here() {
                // The parent has forgotten this node's word: it was put back to before.
                self.feed_transfer(known.row, known.document, known.giver, known.taker)?;
            }
            return Ok(());
        }
        // Her own word is needed for the leave that follows, also where the transfer has ended before it was heard of.
        let hers = said.her_word && said.side == Side::Give && said.state == TransferState::Done;
        if word != "open" && !hers {
            return Ok(());
        }
        let document = match self.document(id)? {
            Some(row) if row.state == DocState::Erased => return Ok(()),
            Some(row) => row.id,
            None => self.insert_document_row(id, model::Kind::Supporter, &[], DocState::Gone, Rows::Written)?,
        };
        let giver = (said.side == Side::Give).then_some(source.scope_row);
        let taker = (said.side == Side::Take).then_some(source.scope_row);
        let new = NewTransfer {
            id: said.id,
            person: id,
            to: Some(said.to.clone()),
            text: said.text.clone(),
            agreed: said.agreed,
            also: said.also,
            her_word: said.her_word,
            at: said.at,
        };
        let words = Said { given: said.her_word && giver.is_some(), taken: false, proposer: None, here: false };
        let transfer = self.insert_transfer(&new, document, (giver, taker), words, said.summary.expose())?;
        let sql = "UPDATE transfer SET epoch = ?, state = ? WHERE id = ?";
        self.run("note a transfer", sql, params![said.epoch, word, transfer])?;
        self.audit_said(source, AuditKind::TransferProposed, id, &new.in_words())
    }
}
