//! Taking sign-ups at a hub: one by one from a form, or many from a file.
//!
//! **Invariants:** whether somebody is known is decided inside the writer's transaction. A form adds, it never rewrites:
//! for someone who is known it adds a sign-up event, and every posted value waits as a proposal. One sign-up is one commit,
//! with the answer that is kept for it, whether she is known, new or held: how long it takes does not say which.

use model::{
    AuditKind, Body, ConsentState, DocId, EmailAddress, Event, EventId, Kind, Ladder, PlacementFact, Sender, SignUp,
    SignUpOrigin, Supporter, Timestamp,
};
use record::{Record, from_sign_up, proposals_of};
use store::{DocState, HeldSignUp, KeptAnswer, Match, NewAudit, NewDocument, NewProposal, StoreError, Tx};

use crate::acts::Plan;
use crate::{Node, NodeError, Priority, draw};

/// Sign-ups prepared and committed together: large enough that a commit costs little, small enough to yield.
const GROUP: usize = 500;
/// The most sign-up events that one record takes, and the most values that wait for one person: a form is open to the
/// world, and must not be able to fill somebody's record until her own chapter can't write it.
const REPEATS_MAX: usize = 50;
/// Who writes what a form brings, and what bounds the rows of what came to nothing.
const FORM: &str = "sign-up";

/// A sign-up with where it belongs.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Who signs up.
    pub sign_up: SignUp,
    /// By which way.
    pub origin: SignUpOrigin,
    /// Where what was posted belongs.
    pub placement: PlacementFact,
}

/// What became of a sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedUp {
    /// The person.
    pub person: DocId,
    /// The sign-up's own id, which commands accept for the person.
    pub receipt: EventId,
    /// Whether she was not known.
    pub new: bool,
}

/// A new record that waits for its transaction.
struct Prepared {
    document: NewDocument,
    emails: Vec<EmailAddress>,
    /// What an import must not bring back.
    refused_if_erased: Vec<String>,
    chapter: Option<model::ScopeId>,
    receipt: EventId,
}

/// A sign-up that came: drawn before it is stored, so that its answer can be made and kept with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Its own id.
    pub receipt: EventId,
    /// When it was posted.
    pub at: Timestamp,
}

impl Came {
    /// One that comes now.
    pub fn now() -> Self {
        Self { receipt: draw::event_id(), at: draw::now() }
    }
}

/// What else is done in the transaction of a sign-up of somebody who is known.
#[derive(Clone, Default)]
struct Beside {
    /// That she is known by them still; nothing: that was decided.
    known_by: Vec<EmailAddress>,
    /// What is said of a sign-up that was held until now.
    released: Option<NewAudit>,
    /// What is answered to a repetition.
    answer: Option<KeptAnswer>,
}

impl Node {
    /// Takes one sign-up; what it is answered is kept with it, if that is given.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sign_up(&self, posted: &Posted, came: Came, answer: Option<KeptAnswer>) -> Result<SignedUp, NodeError> {
        let ladder = self.read(|read| read.settings())?.ladder;
        // Made for who is known, too: neither is answered sooner.
        let prepared = self.prepare(posted, came, &ladder);
        let emails = &posted.sign_up.emails;
        if let Match::Known(known) = self.read(|read| read.match_emails(emails))? {
            let beside = Beside { known_by: emails.clone(), answer: answer.clone(), ..Beside::default() };
            match self.sign_up_again(known, posted, came, &beside) {
                // Meanwhile it is somebody else, or nobody: that is decided below.
                Err(NodeError::Store(StoreError::NotFound(_))) => {}
                other => return other,
            }
        }
        let (person, kept) = (prepared.document.id, answer.clone());
        let inserted = self.write(Priority::Interactive, move |tx| {
            let inserted = insert_unless_known(tx, &prepared)?;
            if let (Inserted::New, Some(kept)) = (&inserted, &kept) {
                tx.keep_answer(kept, person, came.at)?;
            }
            Ok(inserted)
        })?;
        match inserted {
            Inserted::New => Ok(SignedUp { person, receipt: came.receipt, new: true }),
            // She came while this was looked at.
            Inserted::Known(known) => self.sign_up_again(known, posted, came, &Beside { answer, ..Beside::default() }),
            Inserted::Erased(at) => Err(was_erased(at)),
        }
    }

    /// Holds a sign-up for a person to look at. It is answered as any other, and what it is answered is kept with it, if
    /// that is given.
    ///
    /// # Errors
    /// When the database fails.
    pub fn hold_sign_up(&self, held: HeldSignUp, answer: Option<KeptAnswer>) -> Result<(), NodeError> {
        self.write(Priority::Interactive, move |tx| tx.hold(&held, answer.as_ref()))
    }

    /// Lets a held sign-up through: what would have been done when it was posted is done now, with the time of then. It is
    /// held no more in the same transaction.
    ///
    /// # Errors
    /// When it is not held any more, or the database fails.
    pub fn release_held(&self, held: &HeldSignUp, placement: PlacementFact, by: &str) -> Result<SignedUp, NodeError> {
        let posted = Posted { sign_up: held.sign_up.clone(), origin: held.origin, placement };
        let came = Came { receipt: held.receipt, at: held.at };
        let ladder = self.read(|read| read.settings())?.ladder;
        let prepared = self.prepare(&posted, came, &ladder);
        let (person, receipt) = (prepared.document.id, held.receipt);
        let said = self.audit_by(AuditKind::SignUpReleased, by).detail(held.why.word());
        let new = said.clone().about(person);
        let inserted = self.write(Priority::Interactive, move |tx| {
            let inserted = insert_unless_known(tx, &prepared)?;
            if matches!(inserted, Inserted::New) {
                tx.end_held(receipt, Some(person))?;
                tx.audit(&new)?;
            }
            Ok(inserted)
        })?;
        match inserted {
            Inserted::New => Ok(SignedUp { person, receipt, new: true }),
            Inserted::Known(known) => {
                let beside = Beside { released: Some(said.about(known)), ..Beside::default() };
                self.sign_up_again(known, &posted, came, &beside)
            }
            Inserted::Erased(at) => Err(was_erased(at)),
        }
    }

    /// Drops a held sign-up: nothing of it is kept.
    ///
    /// # Errors
    /// When it is not held any more.
    pub fn drop_held(&self, receipt: EventId, by: &str) -> Result<(), NodeError> {
        let said = self.audit_by(AuditKind::SignUpDropped, by).detail(receipt.to_string());
        self.write(Priority::Interactive, move |tx| {
            tx.end_held(receipt, None)?;
            tx.audit(&said)
        })
    }

    /// Takes many sign-ups; gives what became of each, in order: one that fails does not stop the others. `progress` is
    /// told how many are done.
    ///
    /// # Errors
    /// When the database fails: groups that were committed stand, and taking the same file again changes nothing more
    /// than a sign-up event each.
    pub fn sign_up_many(
        &self,
        posted: &[Posted],
        progress: impl Fn(usize),
    ) -> Result<Vec<Result<SignedUp, NodeError>>, NodeError> {
        let ladder = self.read(|read| read.settings())?.ladder;
        let mut done = Vec::with_capacity(posted.len());
        let prepare = |group: &[Posted]| self.prepare_group(group, &ladder);
        let mut next = posted.chunks(GROUP).next().map(prepare);
        for (nth, group) in posted.chunks(GROUP).enumerate() {
            let Some(prepared) = next.take() else { break };
            // The next group is prepared while this one is committed.
            let (outcomes, following) = std::thread::scope(|scope| {
                let committing = scope.spawn(|| self.insert_group(prepared));
                let following = posted.chunks(GROUP).nth(nth + 1).map(prepare);
                (committing.join(), following)
            });
            next = following;
            let outcomes = outcomes.map_err(|_| NodeError::ShuttingDown)??;
            for ((inserted, person, receipt), posted) in outcomes.into_iter().zip(group) {
                done.push(match inserted {
                    Inserted::New => Ok(SignedUp { person, receipt, new: true }),
                    Inserted::Known(known) => self.sign_up_again(known, posted, Came::now(), &Beside::default()),
                    Inserted::Erased(at) => Err(was_erased(at)),
                });
            }
            progress(done.len());
        }
        Ok(done)
    }

    /// On all cores: making a record costs half as much again as storing it.
    fn prepare_group(&self, group: &[Posted], ladder: &Ladder) -> Vec<Prepared> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shares = group.chunks(group.len().div_ceil(cores).max(1));
        std::thread::scope(|scope| {
            let prepare = |share: &[Posted]| {
                share.iter().map(|posted| self.prepare(posted, Came::now(), ladder)).collect::<Vec<_>>()
            };
            let threads: Vec<_> = shares.map(|share| scope.spawn(move || prepare(share))).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn insert_group(&self, group: Vec<Prepared>) -> Result<Vec<(Inserted, DocId, EventId)>, NodeError> {
        self.write(Priority::Bulk, move |tx| {
            let insert =
                |prepared: &Prepared| Ok((insert_unless_known(tx, prepared)?, prepared.document.id, prepared.receipt));
            group.iter().map(insert).collect::<Result<Vec<_>, StoreError>>()
        })
    }

    /// Makes the record of somebody who is new, outside of any transaction.
    fn prepare(&self, posted: &Posted, Came { receipt, at }: Came, ladder: &Ladder) -> Prepared {
        let stamp = self.stamp(FORM);
        let event = |body| Event { id: draw::event_id(), at, by: None, body };
        let signed_up = Event { id: receipt, ..event(sign_up_body(posted)) };
        let mut events = vec![signed_up, event(Body::Placement(posted.placement.clone()))];
        events.extend(posted.sign_up.consents.iter().map(|said| {
            event(Body::Consent {
                channel: said.channel.word().to_owned(),
                sender: Sender::Network.to_string(),
                state: said.state,
                source: "sign-up form".into(),
            })
        }));
        // She is here since she signed up, also if that was looked at for a while.
        let id = draw::doc_id_of(at);
        let entries = from_sign_up(&posted.sign_up, &events);
        let (record, written) = Record::create(id, Kind::Supporter, entries, &stamp);
        let document = NewDocument::new(id, Kind::Supporter, &record, written, stamp.actor, ladder);
        let emails = posted.sign_up.emails.clone();
        // Her own later sign-up is a new person; a list that somebody kept is not her word.
        let refused_if_erased =
            if posted.origin == SignUpOrigin::Import { reaches_of(&posted.sign_up) } else { Vec::new() };
        Prepared { document, emails, refused_if_erased, chapter: posted.placement.chapter, receipt }
    }

    /// Somebody who is known: one more event and no other key; what was posted waits.
    fn sign_up_again(
        &self,
        person: DocId,
        posted: &Posted,
        Came { receipt, at }: Came,
        beside: &Beside,
    ) -> Result<SignedUp, NodeError> {
        let signed_up = Event { id: receipt, at, by: None, body: sign_up_body(posted) };
        let left_out = NewAudit::new(AuditKind::SignUpLeftOut, draw::now()).about(person).number(1);
        let ends = |plan: Plan| {
            let plan = plan.if_known_by(beside.known_by.clone()).answering(beside.answer.clone());
            match &beside.released {
                Some(said) => plan.releasing(receipt).auditing(said.clone()),
                None => plan,
            }
        };
        let values = proposals_of(&posted.sign_up);
        let waiting = self.read(|read| read.proposals(Some(person)))?.len();
        self.edit(person, FORM, |loaded, shown| {
            let sign_ups = shown.events.iter().filter(|event| matches!(event.body, Body::SignUp { .. })).count();
            if sign_ups >= REPEATS_MAX || waiting >= REPEATS_MAX {
                return Ok(ends(Plan::default().auditing_bounded(FORM, left_out.clone())));
            }
            let news = values.iter().filter(|(key, value)| !stands(loaded, shown, key, value));
            let proposals = news.map(|(key, value)| NewProposal {
                id: draw::proposal_id(),
                key: key.clone(),
                value: value.as_str().into(),
            });
            Ok(ends(Plan::event(&signed_up).proposing(signed_up.id, proposals.collect())))
        })?;
        Ok(SignedUp { person, receipt: signed_up.id, new: false })
    }
}

/// E-mail addresses and numbers, as they are kept.
pub(crate) fn reaches_of(sign_up: &SignUp) -> Vec<String> {
    let emails = sign_up.emails.iter().map(|email| email.as_str().to_owned());
    emails.chain(sign_up.phones.iter().map(|phone| phone.as_str().to_owned())).collect()
}

fn sign_up_body(posted: &Posted) -> Body {
    let source = posted.sign_up.fields.get("source").map(|source| source.expose().to_owned());
    Body::SignUp { origin: posted.origin, source }
}

/// What became of a record that was prepared.
enum Inserted {
    New,
    Known(DocId),
    /// She was deleted then: an import does not bring her back.
    Erased(Timestamp),
}

/// The refusal of an import that would bring somebody back.
pub(crate) fn was_erased(at: Timestamp) -> NodeError {
    NodeError::Refused(format!("she was deleted on {}: only she herself can come back, by signing up", at.for_people()))
}

fn insert_unless_known(tx: &Tx<'_>, prepared: &Prepared) -> Result<Inserted, StoreError> {
    if let Match::Known(known) = tx.match_emails(&prepared.emails)? {
        return Ok(Inserted::Known(known));
    }
    if let Some(at) = tx.erased_before(prepared.refused_if_erased.iter().map(String::as_str))? {
        return Ok(Inserted::Erased(at));
    }
    let mut scopes: Vec<model::ScopeId> = prepared.chapter.into_iter().chain(tx.own_scope()?).collect();
    if let Some(chapter) = prepared.chapter
        && tx.left_at(chapter)?.is_some()
    {
        // It left since she was placed there: she waits.
        scopes.retain(|scope| *scope != chapter);
    }
    tx.insert_document(&prepared.document, &scopes, DocState::Live)?;
    Ok(Inserted::New)
}

/// Whether a posted value stands already: then there is nothing to propose.
fn stands(loaded: &store::Loaded, shown: &Supporter, key: &str, value: &str) -> bool {
    if let Some((channel, sender)) = key.strip_prefix(model::CONSENT).and_then(|rest| rest.split_once('/')) {
        let state = ConsentState::from_word(value);
        return shown
            .consents
            .iter()
            .any(|said| said.channel == channel && said.sender == sender && Some(said.state) == state);
    }
    let entry = [model::EMAIL, model::PHONE, model::TAG, model::ADDRESS].iter().any(|prefix| key.starts_with(prefix));
    if entry {
        loaded.record.keys().iter().any(|known| known == key)
    } else {
        loaded.record.text(key).as_deref() == Some(value)
    }
}
