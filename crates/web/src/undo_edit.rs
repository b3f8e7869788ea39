//! Taking back what was just edited: what stood before is kept in memory for a minute, and never in an address.
//!
//! **Invariant:** only the login that did something takes it back, and only where nobody has changed it since. What events
//! have set is taken back by voiding them (`undo.rs`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{DocId, Timestamp};
use node::{FieldEdit, Node, NodeError, Tagging, Who};

use crate::entry::local;
use crate::forms::{Form, refused};
use crate::undo::{DID, Done};
use crate::{Site, WebError, blocking};

/// Where an edit is taken back.
pub(crate) const UNDO_EDIT: &str = "/undo";
/// The most edits that can be taken back at once, of all logins: more than a chapter does in a minute.
const KEPT_MAX: usize = 200;
/// How long an edit can be taken back, in ms.
const UNDO_MS: i64 = 60_000;

/// What takes an edit back.
pub(crate) enum Back {
    /// Fields as they were, where they are still as they were edited.
    Fields(DocId, Vec<FieldEdit>),
    /// A tag, put on or taken off those for whom that changes something.
    Tag(Vec<DocId>, String, Tagging),
}

struct Kept {
    token: u64,
    by: String,
    at: Timestamp,
    words: String,
    back: Back,
}

/// The edits that can be taken back. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Edits(Arc<Mutex<VecDeque<Kept>>>);

impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edits")
    }
}

impl Kept {
    fn is(&self, token: u64, by: &str, now: Timestamp) -> bool {
        self.token == token && self.by == by && now.since(self.at) < UNDO_MS
    }
}

impl Edits {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what takes an edit back, with the words in which a page says it; the oldest goes when there are too many.
    pub(crate) fn keep(&self, (by, at): (&str, Timestamp), words: String, back: Back) -> Done {
        let mut kept = self.kept();
        let last = kept.back().map_or(0, |last| last.token + 1);
        // Begun with the time: what another process has kept is not taken for this.
        let token = at.as_millis().unsigned_abs().max(last);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Kept { token, by: by.to_owned(), at, words, back });
        Done::Edited(token)
    }

    /// What was done, if it is hers and can still be taken back.
    pub(crate) fn words(&self, token: u64, by: &str, now: Timestamp) -> Option<String> {
        let kept = self.kept();
        kept.iter().find(|kept| kept.is(token, by, now)).map(|kept| kept.words.clone())
    }

    fn take(&self, token: u64, by: &str, now: Timestamp) -> Option<Back> {
        let mut kept = self.kept();
        let at = kept.iter().position(|kept| kept.is(token, by, now))?;
        kept.remove(at).map(|kept| kept.back)
    }
}

/// Takes an edit back.
pub(crate) async fn undo_edit(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let token: Option<u64> = form.parse(DID)?;
        let kept = token.and_then(|token| site.edits.take(token, &who.by, site.node.now()));
        let gone = "this can't be undone any more: it was done more than a minute ago, or is undone already";
        take_back(&site.node, kept.ok_or_else(|| refused(gone))?, &who.by)?;
        Ok(Redirect::to(local(form.get("back").unwrap_or_default())).into_response())
    })
    .await
}

fn take_back(node: &Node, back: Back, by: &str) -> Result<(), NodeError> {
    match back {
        Back::Fields(person, edits) => node.edit_fields(person, &edits, by),
        Back::Tag(people, tag, how) => node.tag(&people, &tag, how, by).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_780_000_000_000);

    fn kept(edits: &Edits, by: &str) -> u64 {
        let back = Back::Tag(Vec::new(), "x".to_owned(), Tagging::Add);
        let Done::Edited(token) = edits.keep((by, AT), "done".to_owned(), back) else { panic!("an edit is kept") };
        token
    }

    #[test]
    fn whoever_did_it_takes_it_back_once_within_a_minute() {
        let edits = Edits::default();
        let (first, second) = (kept(&edits, "ana"), kept(&edits, "ana"));
        assert_ne!(first, second);
        let soon = AT.plus_millis(UNDO_MS - 1);
        assert_eq!(edits.words(first, "ana", soon), Some("done".to_owned()));
        assert!(edits.words(first, "lee", soon).is_none(), "it is not hers");
        assert!(edits.words(first, "ana", AT.plus_millis(UNDO_MS)).is_none(), "it is too long ago");
        assert!(edits.take(first, "lee", soon).is_none());
        assert!(edits.take(first, "ana", soon).is_some());
        assert!(edits.take(first, "ana", soon).is_none(), "it is done already");
        assert!(edits.words(second, "ana", soon).is_some());
    }

    #[test]
    fn as_many_are_kept_as_a_chapter_does_in_a_minute() {
        let edits = Edits::default();
        let first = kept(&edits, "ana");
        let mut last = first;
        for _ in 0..KEPT_MAX {
            last = kept(&edits, "ana");
        }
        assert!(edits.words(first, "ana", AT).is_none());
        assert!(edits.words(last, "ana", AT).is_some());
    }
}
