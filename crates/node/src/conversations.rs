//! One-to-ones with what was asked in them, what came of asks, and what a chapter offers to ask.
//!
//! **Invariant:** a one-to-one, its ask and the answer are one commit, and are taken back together while nothing was
//! built on them.

use model::{AnswerKind, AskOffer, Body, Date, DocId, Event, EventId, Personal, Supporter, Timestamp};
use record::Write;
use store::{NodeKind, NoteKind};

use crate::acts::{AskDraft, Plan, event, happened, within};
use crate::{By, Node, NodeError, Priority, draw};

/// A one-to-one.
#[derive(Clone, Debug, Default)]
pub struct OneToOneDraft {
    /// When; now, if nothing is said.
    pub at: Option<Timestamp>,
    /// Who held it, as a login or a name; whoever logs it, if nothing is said.
    pub who: Option<String>,
    /// How long, in minutes.
    pub minutes: Option<u32>,
    /// Whether they sat together.
    pub in_person: Option<bool>,
    /// What was asked.
    pub ask: Option<AskDraft>,
    /// What she said to it.
    pub answer: Option<AnswerKind>,
    /// The next step.
    pub next: Option<Personal>,
    /// Its day.
    pub next_on: Option<Date>,
    /// Her story. Stays in the chapter.
    pub story: Option<Personal>,
    /// Her self-interest. Stays in the chapter.
    pub interest: Option<Personal>,
    /// Her relationships. Stays in the chapter.
    pub relationships: Option<Personal>,
    /// What she has time and strength for. Stays in the chapter.
    pub capacity: Option<Personal>,
}

/// The events of a one-to-one in the order in which they count, all at one time, so by their ids; and its own id.
fn events_of(draft: &OneToOneDraft, by: &str) -> (EventId, Vec<Event>) {
    let mut ids = [draw::event_id(), draw::event_id(), draw::event_id()];
    ids.sort_unstable();
    let at = draft.at.unwrap_or_else(draw::now);
    let by = draft.who.as_deref().unwrap_or(by);
    let [held, asked, answered] = ids;
    let made = |id, body| Event { id, at, by: Some(by.into()), body };
    let body = Body::OneToOne {
        minutes: draft.minutes,
        in_person: draft.in_person,
        ask: draft.ask.as_ref().map(|ask| ask.text.clone()),
        next: draft.next.clone(),
        next_on: draft.next_on,
    };
    let mut events = vec![made(held, body)];
    if let Some(ask) = &draft.ask {
        let AskDraft { text, kind, rung, due } = ask.clone();
        events.push(made(asked, Body::Ask { text, ask_kind: kind, rung, due, action: None }));
        let answer = draft.answer.map(|answer| Body::Answer { of: asked, answer, line: None });
        events.extend(answer.map(|body| made(answered, body)));
    }
    (held, events)
}

/// What was asked and answered in a one-to-one; nothing if more was built on it since.
pub(crate) fn asked_in(held: &Event, her: &Supporter) -> Vec<EventId> {
    let Body::OneToOne { ask: Some(said), .. } = &held.body else { return Vec::new() };
    let is_it = |event: &&Event| event.at == held.at && matches!(&event.body, Body::Ask { text, .. } if text == said);
    let Some(ask) = her.events.iter().find(is_it) else { return Vec::new() };
    let answers = her.events.iter().filter(|event| matches!(&event.body, Body::Answer { of, .. } if *of == ask.id));
    let answers: Vec<&Event> = answers.collect();
    let mut asked = vec![ask.id];
    asked.extend(answers.iter().map(|answer| answer.id));
    let cited = her.events.iter().any(|event| {
        matches!(&event.body, Body::Move { evidence, .. } if evidence.iter().any(|cited| asked.contains(cited)))
    });
    let later = answers.iter().any(|answer| answer.at != held.at);
    if cited || later { Vec::new() } else { asked }
}

impl Node {
    /// Logs a one-to-one: the fact into the record, with what was asked and answered, and the text into the chapter's private
    /// notes, in one commit.
    ///
    /// # Errors
    /// When the person is not here, nothing is said of it, or a hub is given private text.
    pub fn log_one_to_one<'a>(
        &self,
        person: DocId,
        draft: OneToOneDraft,
        by: impl Into<By<'a>>,
    ) -> Result<EventId, NodeError> {
        let by: By<'a> = by.into();
        happened(draft.at)?;
        self.in_our_care(person)?;
        let draft = OneToOneDraft {
            ask: draft.ask.filter(|ask| !ask.text.is_blank()),
            who: draft.who.map(|who| who.trim().to_owned()).filter(|who| !who.is_empty()),
            ..draft
        };
        let private = [
            (NoteKind::Story, &draft.story),
            (NoteKind::Interest, &draft.interest),
            (NoteKind::Relationships, &draft.relationships),
            (NoteKind::Capacity, &draft.capacity),
        ];
        let said = private.iter().any(|(_, text)| text.as_ref().is_some_and(|text| !text.is_blank()));
        let next = draft.next.as_ref().is_some_and(|next| !next.is_blank());
        if draft.minutes.is_none() && draft.ask.is_none() && !next && !said {
            let words = "say how long the one-to-one was, what was asked, or what was said";
            return Err(NodeError::Refused(words.to_owned()));
        }
        draft.next.as_ref().map_or(Ok(()), |text| within(text, "the next step"))?;
        draft.who.as_ref().map_or(Ok(()), |who| within(&who.as_str().into(), "the name"))?;
        if let Some(ask) = &draft.ask {
            within(&ask.text, "the ask")?;
            ask.rung.as_ref().map_or(Ok(()), |rung| self.known_rung(rung))?;
        }
        let (answers, by) = (by, by.login());
        let (held, events) = events_of(&draft, by);
        let answer = answers.answer(held);
        let mut notes = Vec::new();
        for (kind, text) in private {
            let Some(text) = text.clone().filter(|text| !text.is_blank()) else { continue };
            notes.push(self.note(kind, Some(held), text, by)?);
        }
        let writes: Vec<Write> = events.iter().map(Write::event).collect();
        self.edit(person, by, |_, _| {
            let plan = Plan::writing(writes.clone()).noting(notes.clone()).freeing_number_of(by);
            Ok(plan.answering(answer.clone()))
        })?;
        Ok(held)
    }

    /// Logs what came of an ask, and what was learnt.
    ///
    /// # Errors
    /// When the event is no ask of this person.
    pub fn answer_ask(
        &self,
        person: DocId,
        ask: EventId,
        answer: AnswerKind,
        line: Option<Personal>,
        by: &str,
    ) -> Result<EventId, NodeError> {
        let line = line.filter(|line| !line.is_blank());
        line.as_ref().map_or(Ok(()), |line| within(line, "the line"))?;
        let person = self.record_where(person, |her| her.event(ask).is_some())?;
        self.in_our_care(person)?;
        let answered = event(None, by, Body::Answer { of: ask, answer, line });
        self.edit(person, by, |_, shown| match shown.event(ask).map(|event| &event.body) {
            Some(Body::Ask { .. }) => Ok(Plan::event(&answered)),
            Some(_) => Err(NodeError::Refused("this event is not an ask".to_owned())),
            None => Err(NodeError::NotFound("ask", ask.to_string())),
        })?;
        Ok(answered.id)
    }

    /// Offers an ask at this chapter, beside the network's.
    ///
    /// # Errors
    /// At a hub; when it has no text or a long one, its rung is unknown, or too many are offered.
    pub fn add_ask_offer(&self, offer: AskOffer) -> Result<(), NodeError> {
        if self.kind() == NodeKind::Hub {
            return Err(NodeError::Refused("a hub offers asks in the network's settings".to_owned()));
        }
        let offer = AskOffer { text: offer.text.trim().to_owned(), ..offer };
        if offer.text.is_empty() {
            return Err(NodeError::Refused("say what is asked".to_owned()));
        }
        if offer.text.len() > AskOffer::TEXT_BYTES_MAX {
            let words = format!("an offered ask is a line: at most {} bytes", AskOffer::TEXT_BYTES_MAX);
            return Err(NodeError::Refused(words));
        }
        within(&offer.text.as_str().into(), "the ask")?;
        self.known_rung(&offer.rung)?;
        self.write(Priority::Interactive, move |tx| tx.add_ask_offer(&offer))
    }

    /// Offers an ask of this chapter no more. What was asked stays.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn remove_ask_offer(&self, id: i64) -> Result<(), NodeError> {
        self.write(Priority::Interactive, move |tx| tx.remove_ask_offer(id))
    }
}

#[cfg(test)]
mod tests {
    use model::AskKind;

    use super::*;

    #[test]
    fn what_was_asked_in_a_one_to_one_is_of_it_until_more_is_built_on_it() {
        let ask = AskDraft { text: "Come".into(), kind: AskKind::Come, rung: None, due: None };
        let answer = Some(AnswerKind::Yes);
        let draft = OneToOneDraft { ask: Some(ask), answer, who: Some("lee".to_owned()), ..OneToOneDraft::default() };
        let (held, events) = events_of(&draft, "ana");
        assert_eq!(events.iter().map(|event| event.body.kind()).collect::<Vec<_>>(), ["one_to_one", "ask", "answer"]);
        assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].at == pair[1].at));
        assert!(events.iter().all(|event| event.by.as_ref().is_some_and(|by| by.expose() == "lee")));
        let her = |events: &[Event]| -> Supporter {
            serde_json::from_value(serde_json::json!({
                "id": draw::doc_id(), "rung": "contact", "peak_rung": "contact", "events": events,
                "modified_at": draw::now(),
            }))
            .unwrap()
        };
        assert_eq!(events[0].id, held);
        assert_eq!(asked_in(&events[0], &her(&events)), [events[1].id, events[2].id]);
        let kept = Body::Answer { of: events[1].id, answer: AnswerKind::Kept, line: None };
        let later = Event { at: events[0].at.plus_millis(1), ..event(None, "ana", kept) };
        assert!(asked_in(&events[0], &her(&[events.clone(), vec![later]].concat())).is_empty());
    }
}
