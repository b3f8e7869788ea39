//! Taking back what was just done: the notice on the page after an act, and the act that it offers.
//!
//! **Invariant:** an address says by ids alone what was done, and offers to take back only what this login did itself. Events
//! stand in it with a colon, an edit of fields (`undo_edit.rs`) as a number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{Body, DocId, Event, EventId, Personal, Right};
use node::{Node, Who};

use crate::entry::local;
use crate::forms::{Form, refused};
use crate::people::allowed;
use crate::undo_edit::UNDO_EDIT;
use crate::{Problem, Site, WebError, blocking};

/// The parameter of an address that says what was just done.
pub(crate) const DID: &str = "did";
/// The parameter that says whose number somebody else holds.
const HELD: &str = "held";
/// What stands before the number of people who were given out together.
const GIVEN: &str = "given";
/// Where people who were given out together are taken back.
pub(crate) const UNDO_GIVEN: &str = "/give-out/undo";
/// How many times of giving out can still be taken back in one act: the last ones of some ten organisers.
const BATCHES_MAX: usize = 32;

/// What was just done, and how it is taken back.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What was done.
    pub words: String,
    /// Where the form is posted to that takes it back.
    pub action: String,
    /// Its field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// The page to which it leads back.
    pub back: String,
}

/// What an act came to: what the page after it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Nothing that is taken back by an act of its own.
    Quietly,
    /// An event of somebody's.
    Logged(DocId, EventId),
    /// People who were given out together.
    Given(u64),
    /// An edit that is kept under this number.
    Edited(u64),
    /// Nothing: somebody else has opened her number.
    Held(DocId),
}

impl Done {
    /// The page to which an act leads back, told of it.
    pub(crate) fn back(&self, path: &str) -> String {
        let (page, query) = path.split_once('?').unwrap_or((path, ""));
        let older = |part: &str| [DID, HELD].iter().any(|name| part.split('=').next() == Some(*name));
        let kept = query.split('&').filter(|part| !part.is_empty() && !older(part)).map(str::to_owned);
        let told = match self {
            Self::Quietly => None,
            Self::Logged(person, event) => Some(format!("{DID}={person}:{event}")),
            Self::Given(batch) => Some(format!("{DID}={GIVEN}:{batch}")),
            Self::Edited(token) => Some(format!("{DID}={token}")),
            Self::Held(person) => Some(format!("{HELD}={person}")),
        };
        let query: Vec<String> = kept.chain(told).collect();
        if query.is_empty() { page.to_owned() } else { format!("{page}?{}", query.join("&")) }
    }
}

/// What people were given out together, while it can be taken back in one act.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batches(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    batches: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    id: u64,
    by: String,
    acts: Vec<(DocId, EventId)>,
}

impl Batches {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what somebody gave out; the oldest goes when there are too many.
    pub(crate) fn keep(&self, by: &str, acts: Vec<(DocId, EventId)>) -> Done {
        let mut kept = self.kept();
        kept.last += 1;
        let id = kept.last;
        kept.batches.push_back(Batch { id, by: by.to_owned(), acts });
        if kept.batches.len() > BATCHES_MAX {
            kept.batches.pop_front();
        }
        Done::Given(id)
    }

    fn count(&self, id: u64, by: &str) -> Option<usize> {
        let kept = self.kept();
        kept.batches.iter().find(|batch| batch.id == id && batch.by == by).map(|batch| batch.acts.len())
    }

    fn take(&self, id: u64, by: &str) -> Option<Vec<(DocId, EventId)>> {
        let mut kept = self.kept();
        let at = kept.batches.iter().position(|batch| batch.id == id && batch.by == by)?;
        kept.batches.remove(at).map(|batch| batch.acts)
    }
}

impl Site {
    /// The notice of what an address says was just done, for whoever did it; `back` is the page on which it stands. Blocks.
    pub fn notice(&self, did: Option<&str>, back: &str, who: &Who) -> Option<Notice> {
        let did = did?;
        let (whose, what) = did.split_once(':').unwrap_or(("", did));
        let notice = |words: String, action: String, field: &'static str| {
            Some(Notice { words, action, field, value: what.to_owned(), back: back.to_owned() })
        };
        if whose.is_empty() {
            let words = self.edits.words(what.parse().ok()?, &who.by, self.node.now())?;
            return notice(words, UNDO_EDIT.to_owned(), DID);
        }
        if whose == GIVEN {
            let count = self.batches.count(what.parse().ok()?, &who.by)?;
            let words = if count == 1 { "1 person given out".to_owned() } else { format!("{count} people given out") };
            return notice(words, UNDO_GIVEN.to_owned(), "batch");
        }
        let event: EventId = what.parse().ok()?;
        let person = allowed(&self.node, whose, who).ok()?;
        let her = self.node.read(|read| read.person(person)).ok()?.supporter;
        let own = her.event(event).filter(|event| is_own(event, who) && who.role.may(right_to_undo(&event.body)));
        let words = own.and_then(done_words)?;
        notice(format!("{words}: {}", her.display_name()), format!("/people/{person}/undo"), "event")
    }
}

fn is_own(event: &Event, who: &Who) -> bool {
    event.by.as_ref().is_some_and(|by| by.expose() == who.by)
}

/// What was done, before her name; nothing for what is not taken back.
fn done_words(event: &Event) -> Option<String> {
    let words = match &event.body {
        Body::Attempt { .. } => "Attempt logged",
        Body::OneToOne { .. } => "One-to-one logged",
        Body::Ask { .. } => "Ask added",
        Body::Answer { .. } => "Answer logged",
        Body::Came { .. } => "Noted that she came",
        Body::Move { .. } => "Moved",
        Body::Care { who, .. } => {
            let who = who.as_ref().map_or("Nobody", Personal::expose);
            return Some(format!("Looked after by {who}"));
        }
        Body::SignUp { .. }
        | Body::Placement(_)
        | Body::Consent { .. }
        | Body::Transfer { .. }
        | Body::Return { .. }
        | Body::Donation { .. }
        | Body::Void { .. }
        | Body::Unknown => return None,
    };
    Some(words.to_owned())
}

/// What it takes to take an event back: what it took to log it.
const fn right_to_undo(body: &Body) -> Right {
    if matches!(body, Body::Attempt { .. } | Body::Answer { .. }) {
        Right::LogAttempts
    } else if matches!(body, Body::Move { .. }) {
        Right::MoveRungs
    } else {
        Right::EditPeople
    }
}

/// Takes an event back: one's own, or, for whoever edits people, anybody's.
pub(crate) fn undo(node: &Node, person: DocId, form: &Form, who: &Who) -> Result<(), WebError> {
    let event: EventId = form.parse("event")?.ok_or_else(|| refused("choose what is to be taken back"))?;
    let her = node.read(|read| read.person(person))?.supporter;
    let gone = "this is not in her history: it may have been taken back already";
    let found = her.event(event).ok_or_else(|| refused(gone))?;
    let may = is_own(found, who) || who.role.may(Right::EditPeople);
    if !may || !who.role.may(right_to_undo(&found.body)) {
        let words = "your role here takes back only what you logged yourself: ask an organiser";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", words).into());
    }
    node.void_event(person, event, &who.by)?;
    Ok(())
}

/// Takes back what people were given out together. Whoever can't be taken back stands in nobody's way.
pub(crate) async fn undo_given(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let batch: Option<u64> = form.parse("batch")?;
        let acts = batch.and_then(|batch| site.batches.take(batch, &who.by));
        let gone = "this can't be taken back in one act any more: give these people out anew";
        let mut failed = None;
        for (person, event) in acts.ok_or_else(|| refused(gone))? {
            if let Err(error) = site.node.void_event(person, event, &who.by) {
                failed = failed.or(Some(error));
            }
        }
        failed.map_or(Ok(()), Err)?;
        Ok(Redirect::to(local(form.get("back").unwrap_or_default())).into_response())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (DocId, EventId) {
        (DocId::from_bytes([1; 16]), EventId::from_bytes([2; 16]))
    }

    #[test]
    fn an_address_says_what_was_just_done_and_nothing_of_before() {
        let (person, event) = ids();
        let did = format!("did={person}:{event}");
        assert_eq!(Done::Logged(person, event).back("/"), format!("/?{did}"));
        assert_eq!(Done::Logged(person, event).back("/?whose=chapter&did=x:y"), format!("/?whose=chapter&{did}"));
        assert_eq!(Done::Given(7).back("/people?query=mar"), "/people?query=mar&did=given:7");
        assert_eq!(Done::Edited(9).back("/people?tag=x&did=8"), "/people?tag=x&did=9");
        assert_eq!(Done::Held(person).back("/?did=x:y"), format!("/?held={person}"));
        assert_eq!(Done::Quietly.back("/people?held=x&did=x:y&digits=1"), "/people?digits=1");
    }

    #[test]
    fn what_was_given_out_is_taken_back_once_and_by_whoever_did_it() {
        let batches = Batches::default();
        assert_eq!(batches.keep("ana", vec![ids()]), Done::Given(1));
        assert_eq!((batches.count(1, "ana"), batches.count(1, "lee"), batches.take(1, "lee")), (Some(1), None, None));
        assert_eq!((batches.take(1, "ana"), batches.take(1, "ana")), (Some(vec![ids()]), None));
        for nth in 2..=40 {
            assert_eq!(batches.keep("ana", Vec::new()), Done::Given(nth));
        }
        assert_eq!((batches.count(8, "ana"), batches.count(9, "ana")), (None, Some(0)), "the oldest are forgotten");
    }
}
