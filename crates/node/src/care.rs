//! Who looks after whom, who may not be contacted, and taking back what was wrongly logged.
//!
//! **Invariant:** nothing is taken out of a history: what was wrong is voided by an event of its own, and what it had set
//! is put back only while it still stands.

use model::{Body, ConsentState, Date, DocId, Event, EventId, Personal, Supporter};
use record::Write;
use store::{Calling, NodeKind};

use crate::acts::{Plan, event, within};
use crate::conversations::asked_in;
use crate::{Node, NodeError, Priority};

/// The most people who are given out in one act: some seconds of work, and more than an evening's calls for ten organisers.
pub const GIVEN_AT_ONCE_MAX: usize = 500;
/// The channel of an event that is about all of them.
const ANY: &str = "any";

/// Who is to look after somebody, and when she is next to be contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CareDraft {
    /// The organiser's login or name; empty: nobody.
    pub who: String,
    /// The day of the next try. Nothing is due before it.
    pub on: Option<Date>,
}

impl Node {
    /// Takes somebody into an organiser's care, or says when she is to be contacted.
    ///
    /// # Errors
    /// When she is not here or can't be written.
    pub fn take_care(&self, person: DocId, draft: &CareDraft, by: &str) -> Result<EventId, NodeError> {
        within(&draft.who.as_str().into(), "the name")?;
        self.in_our_care(person)?;
        let who = Some(draft.who.trim()).filter(|who| !who.is_empty());
        let said = event(None, by, Body::Unknown);
        self.edit(person, by, |_, shown| {
            let body = Body::Care { who: who.map(Personal::from), before: shown.looked_after_by.clone(), on: draft.on };
            let mut writes = vec![Write::event(&Event { body, ..said.clone() })];
            if shown.looked_after_by.as_ref().map(Personal::expose) != who {
                writes.push(Write::field("looked_after_by", who.unwrap_or_default()));
            }
            Ok(Plan::writing(writes))
        })?;
        Ok(said.id)
    }

    /// Gives people out among organisers, one after another, so that each gets as many as the others. Gives the events.
    ///
    /// # Errors
    /// When nobody is chosen, they are too many, or one can't be written: those before are given out.
    pub fn give_out(
        &self,
        people: &[DocId],
        organisers: &[String],
        on: Option<Date>,
        by: &str,
    ) -> Result<Vec<(DocId, EventId)>, NodeError> {
        if people.is_empty() || organisers.is_empty() {
            return Err(NodeError::Refused("choose the people, and to whom they are given".to_owned()));
        }
        if people.len() > GIVEN_AT_ONCE_MAX {
            let words = format!("give out at most {GIVEN_AT_ONCE_MAX} people at once");
            return Err(NodeError::Refused(words));
        }
        let give = |(person, who): (&DocId, &String)| {
            let draft = CareDraft { who: who.clone(), on };
            Ok((*person, self.take_care(*person, &draft, by)?))
        };
        people.iter().zip(organisers.iter().cycle()).map(give).collect()
    }

    /// Opens somebody's number for a login. Gives who holds it, if that is somebody else.
    ///
    /// # Errors
    /// When she is not here.
    pub fn open_number(&self, person: DocId, by: &str) -> Result<Option<Calling>, NodeError> {
        let (by, now) = (by.to_owned(), self.now());
        self.write(Priority::Interactive, move |tx| tx.open_number(person, &by, now))
    }

    /// Says that nobody may contact her, or that this is lifted.
    ///
    /// # Errors
    /// When no reason is given, or she is not here.
    pub fn set_do_not_contact(
        &self,
        person: DocId,
        set: bool,
        reason: Personal,
        by: &str,
    ) -> Result<EventId, NodeError> {
        if reason.is_blank() {
            return Err(NodeError::Refused("say why: it stays in her history".to_owned()));
        }
        within(&reason, "the reason")?;
        let state = if set { ConsentState::Withdrawn } else { ConsentState::Granted };
        let body = Body::Consent { channel: ANY.to_owned(), sender: ANY.to_owned(), state, source: reason };
        let said = event(None, by, body);
        let write = if set { Write::do_not_contact(said.id) } else { Write::contact_again(said.id) };
        let audit = self.audit_by(model::AuditKind::DoNotContact, by).about(person);
        let audit = audit.detail(if set { "set" } else { "lifted" });
        self.edit(person, by, |_, _| {
            Ok(Plan::writing(vec![Write::event(&said), write.clone()]).auditing(audit.clone()))
        })?;
        Ok(said.id)
    }

    /// Takes back an event that was wrongly logged: it is voided, and what it had set is put back.
    ///
    /// # Errors
    /// When the event is not hers, is of a kind that is not taken back, or something has been built on it since.
    pub fn void_event(&self, person: DocId, wrong: EventId, by: &str) -> Result<EventId, NodeError> {
        let person = self.record_where(person, |her| her.event(wrong).is_some())?;
        self.in_our_care(person)?;
        let ladder = self.read(|read| read.settings())?.ladder;
        let void = event(None, by, Body::Void { of: wrong });
        self.edit(person, by, |_, shown| {
            let found = shown.event(wrong).ok_or_else(|| NodeError::NotFound("event", wrong.to_string()))?;
            let mut writes = vec![Write::event(&void)];
            not_built_on(wrong, &self.whole(shown, &ladder)?)?;
            writes.extend(put_back(found, shown, void.id)?);
            let of_it = asked_in(found, shown).into_iter();
            writes.extend(of_it.map(|of| Write::event(&event(None, by, Body::Void { of }))));
            let plan = Plan::writing(writes);
            let texts = matches!(found.body, Body::OneToOne { .. }) && self.kind() == NodeKind::Chapter;
            Ok(if texts { plan.forgetting_notes_of(wrong) } else { plan })
        })?;
        Ok(void.id)
    }
}

/// That no move in any of her records cites an event, and no answer is to it.
pub(crate) fn not_built_on(wrong: EventId, her: &Supporter) -> Result<(), NodeError> {
    let cited = her.events.iter().any(|event| {
        matches!(&event.body, Body::Move { evidence, .. } if evidence.contains(&wrong))
            || matches!(&event.body, Body::Answer { of, .. } if *of == wrong)
    });
    let words = "something was built on it since: take that back first";
    if cited { Err(NodeError::Refused(words.to_owned())) } else { Ok(()) }
}

/// What puts back what an event had set.
fn put_back(found: &Event, her: &Supporter, by: EventId) -> Result<Option<Write>, NodeError> {
    let refuse = |words: &str| Err(NodeError::Refused(words.to_owned()));
    match &found.body {
        Body::Attempt { .. } | Body::OneToOne { .. } | Body::Ask { .. } | Body::Answer { .. } | Body::Came { .. } => {
            Ok(None)
        }
        Body::Care { who, before, .. } => {
            // Given away and given back since, she is where she is by that.
            let last = her.events.iter().rev().find(|event| matches!(event.body, Body::Care { .. }));
            let stands = her.looked_after_by == *who && last.is_some_and(|last| last.id == found.id);
            let before = before.as_ref().map_or("", Personal::expose);
            Ok(stands.then(|| Write::field("looked_after_by", before)))
        }
        Body::Move { from, to, .. } => {
            let last = her.events.iter().rev().find(|event| matches!(event.body, Body::Move { .. }));
            if her.rung != *to || last.is_some_and(|last| last.id != found.id) {
                return refuse("she has moved since: move her back instead");
            }
            Ok(Some(Write::settle_rung(from, by)))
        }
        Body::SignUp { .. }
        | Body::Placement(_)
        | Body::Consent { .. }
        | Body::Transfer { .. }
        | Body::Return { .. }
        | Body::Donation { .. }
        | Body::Void { .. }
        | Body::Unknown => refuse("this is not taken back: say what holds now instead"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;

    #[test]
    fn who_was_given_away_and_back_since_stays_where_she_is() {
        let care = |before: &str| {
            event(None, "lee", Body::Care { who: Some("ana".into()), before: Some(before.into()), on: None })
        };
        let her = |events: &[&Event]| -> Supporter {
            serde_json::from_value(serde_json::json!({
                "id": draw::doc_id(), "rung": "contact", "peak_rung": "contact", "events": events,
                "modified_at": draw::now(), "looked_after_by": "ana",
            }))
            .unwrap()
        };
        let (first, later) = (care("lee"), care("bo"));
        let puts = |found: &Event, her: &Supporter| put_back(found, her, draw::event_id()).unwrap().is_some();
        assert!(puts(&first, &her(&[&first])));
        let both = her(&[&first, &later]);
        assert!(!puts(&first, &both) && puts(&later, &both));
    }
}
