//! What organisers and staff do with one person: the same acts for commands, pages and the API.
//!
//! **Invariant:** an act is planned on what is logged and committed only on that; if somebody was faster it is planned
//! again, so that nobody's write is lost under it.

use std::collections::BTreeMap;

use model::{
    AskKind, AttemptHow, AttemptResult, AuditKind, Body, Channel, ConsentState, Date, DocId, EmailAddress, Event,
    EventId, Evidence, Kind, MoveKind, Personal, ProposalId, Relation, RungId, ScopeId, Sender, SignUp, SignUpOrigin,
    Supporter, Timestamp,
};
use record::{Write, from_sign_up};
use store::{
    DocState, Edited, KeptAnswer, Loaded, Match, NewAudit, NewDocument, NewNote, NewTransfer, NodeKind, NoteKind,
    PersonRow, ProposalState, Resolved, StoreError,
};

use crate::sign_up::{reaches_of, was_erased};
use crate::{By, Node, NodeError, Priority, draw};

/// How often an edit is planned again when somebody was faster. Twenty at once on one record lose up to nineteen times.
const ATTEMPTS: u64 = 60;
/// The longest pause before an edit is planned again, in ms for each time it lost: apart, so that not all come at once.
const PAUSE_MS: u64 = 4;
/// The longest text of a note, a line or a reason, in bytes: some ten pages.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// An attempt to reach someone.
#[derive(Clone, Debug)]
pub struct AttemptDraft {
    /// By which channel.
    pub how: AttemptHow,
    /// What came of it.
    pub result: AttemptResult,
    /// A line on what was said; it travels.
    pub line: Option<Personal>,
    /// Not again before this day.
    pub not_before: Option<Date>,
    /// The day of the next try.
    pub next_on: Option<Date>,
    /// When; now, if nothing is said.
    pub at: Option<Timestamp>,
}

/// An ask.
#[derive(Clone, Debug)]
pub struct AskDraft {
    /// What is asked.
    pub text: Personal,
    /// Of which kind.
    pub kind: AskKind,
    /// The rung that it is for.
    pub rung: Option<RungId>,
    /// By when.
    pub due: Option<Date>,
}

/// A person whom an organiser adds.
pub type PersonDraft = SignUp;

/// What an act writes.
#[derive(Default)]
pub(crate) struct Plan {
    writes: Vec<Write>,
    notes: Vec<NewNote>,
    ends: Option<(ProposalId, ProposalState)>,
    proposals: Option<(EventId, Vec<store::NewProposal>)>,
    places: Option<ScopeId>,
    transfer: Option<NewTransfer>,
    releases: Option<EventId>,
    forgets: Option<EventId>,
    frees: Option<String>,
    audits: Vec<NewAudit>,
    bounded: Option<(&'static str, NewAudit)>,
    known_by: Vec<EmailAddress>,
    answer: Option<KeptAnswer>,
}

impl Plan {
    pub(crate) fn writing(writes: Vec<Write>) -> Self {
        Self { writes, ..Self::default() }
    }

    pub(crate) fn ending(mut self, proposal: ProposalId, state: ProposalState) -> Self {
        self.ends = Some((proposal, state));
        self
    }

    pub(crate) fn event(event: &Event) -> Self {
        Self { writes: vec![Write::event(event)], ..Self::default() }
    }

    /// With private texts.
    pub(crate) fn noting(mut self, notes: Vec<NewNote>) -> Self {
        self.notes = notes;
        self
    }

    pub(crate) fn proposing(mut self, sign_up: EventId, proposals: Vec<store::NewProposal>) -> Self {
        self.proposals = Some((sign_up, proposals));
        self
    }

    pub(crate) fn transferring(mut self, transfer: NewTransfer) -> Self {
        self.transfer = Some(transfer);
        self
    }

    /// With a held sign-up that this is, and that is held no more.
    pub(crate) fn releasing(mut self, held: EventId) -> Self {
        self.releases = Some(held);
        self
    }

    /// With the private texts of an event gone.
    pub(crate) fn forgetting_notes_of(mut self, event: EventId) -> Self {
        self.forgets = Some(event);
        self
    }

    /// With her number free again, if this login holds it.
    pub(crate) fn freeing_number_of(mut self, by: &str) -> Self {
        self.frees = Some(by.to_owned());
        self
    }

    /// With a row of the audit log.
    pub(crate) fn auditing(mut self, said: NewAudit) -> Self {
        self.audits.push(said);
        self
    }

    /// With a row that others can cause as often as they like.
    pub(crate) fn auditing_bounded(mut self, source: &'static str, said: NewAudit) -> Self {
        self.bounded = Some((source, said));
        self
    }

    /// Only if she is still the one whom a sign-up with these addresses is of.
    pub(crate) fn if_known_by(mut self, emails: Vec<EmailAddress>) -> Self {
        self.known_by = emails;
        self
    }

    /// With an answer that is kept.
    pub(crate) fn answering(mut self, answer: Option<KeptAnswer>) -> Self {
        self.answer = answer;
        self
    }

    fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.bounded.is_none()
            && self.answer.is_none()
            && self.transfer.is_none()
            && self.releases.is_none()
            && self.audits.is_empty()
            && self.notes.is_empty()
            && self.ends.is_none()
            && self.proposals.is_none()
            && self.places.is_none()
    }
}

pub(crate) fn within(text: &Personal, what: &str) -> Result<(), NodeError> {
    if text.expose().len() > TEXT_BYTES_MAX {
        return Err(NodeError::Refused(format!("{what} is too long: at most {TEXT_BYTES_MAX} bytes")));
    }
    if text.expose().chars().any(|c| c.is_control() && !"\n\r\t".contains(c)) {
        return Err(NodeError::Refused(format!("{what} has characters that can't be shown")));
    }
    Ok(())
}

/// When something happened: not before people could have logged it, not after tomorrow (clocks differ by a day at most).
pub(crate) fn happened(at: Option<Timestamp>) -> Result<(), NodeError> {
    let first = Timestamp::from_millis(-2_208_988_800_000);
    let last = draw::now().plus_millis(24 * 3600 * 1000);
    match at {
        Some(at) if at < first || at > last => {
            Err(NodeError::Refused(format!("{at} can't be when it happened: give a day in the past")))
        }
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn event(at: Option<Timestamp>, by: &str, body: Body) -> Event {
    Event { id: draw::event_id(), at: at.unwrap_or_else(draw::now), by: Some(by.into()), body }
}

impl Node {
    /// Plans and commits an edit of one document. What is asked for on a condition that stands no more is as for a document
    /// that is not here.
    pub(crate) fn edit(
        &self,
        document: DocId,
        by: &str,
        plan: impl Fn(&Loaded, &Supporter) -> Result<Plan, NodeError>,
    ) -> Result<(), NodeError> {
        for lost in 0..ATTEMPTS {
            let (loaded, settings) = self.read(|read| Ok((read.load(document)?, read.settings()?)))?;
            let loaded = loaded.ok_or_else(|| NodeError::Store(StoreError::NotFound(document.to_string())))?;
            let shown = loaded.record.supporter(&settings.ladder);
            let plan = plan(&loaded, &shown)?;
            if plan.is_empty() {
                return Ok(());
            }
            let Plan {
                writes,
                notes,
                ends,
                proposals,
                places,
                transfer,
                releases,
                forgets,
                frees,
                audits,
                bounded,
                known_by,
                answer,
            } = plan;
            let mut loaded = loaded;
            let stamp = self.stamp(by);
            let written = loaded.record.edit(&writes, &stamp);
            let edited = written.map(|written| Edited::new(loaded, written, stamp.actor, &settings.ladder));
            let at = stamp.at;
            let committed = self.write(Priority::Interactive, move |tx| {
                if !known_by.is_empty() && tx.match_emails(&known_by)? != Match::Known(document) {
                    return Err(StoreError::NotFound(document.to_string()));
                }
                if let Some(edited) = &edited {
                    tx.put_edit(edited)?;
                }
                notes.iter().try_for_each(|note| tx.add_note(document, note))?;
                if let Some((proposal, state)) = ends {
                    tx.end_proposal(proposal, state)?;
                }
                if let Some((sign_up, proposals)) = &proposals {
                    tx.propose(document, *sign_up, proposals, at)?;
                }
                if let Some(transfer) = &transfer {
                    tx.propose_transfer(transfer)?;
                }
                releases.map_or(Ok(()), |held| tx.end_held(held, Some(document)))?;
                forgets.map_or(Ok(()), |event| tx.forget_notes_of(event))?;
                frees.map_or(Ok(()), |by| tx.close_number(document, &by))?;
                audits.iter().try_for_each(|said| tx.audit(said))?;
                bounded.map_or(Ok(()), |(source, said)| tx.audit_bounded(source, &said))?;
                answer.map_or(Ok(()), |answer| tx.keep_answer(&answer, document, at))?;
                places.map_or(Ok(()), |chapter| tx.place(document, chapter))
            });
            match committed {
                Err(NodeError::Store(error)) if error.can_be_redone() => draw::pause(PAUSE_MS * (lost + 1)),
                other => return other,
            }
        }
        Err(NodeError::Busy)
    }

    /// What a hub has of somebody whose chapter left stays as it is.
    pub(crate) fn not_frozen(&self, row: &PersonRow) -> Result<(), NodeError> {
        let Some(left) = row.left else { return Ok(()) };
        let (chapter, when) = (row.chapter_name.as_deref().unwrap_or("her chapter"), left.for_people());
        let words =
            format!("she is in {chapter}, which left the network on {when}: what is known of her here is frozen");
        Err(NodeError::Refused(words))
    }

    /// At a hub only people who are in no chapter are called, asked and moved: the others are their chapter's.
    pub(crate) fn in_our_care(&self, person: DocId) -> Result<(), NodeError> {
        let row = self.read(|read| read.record(person))?;
        self.not_frozen(&row)?;
        match row.chapter_name.filter(|_| self.kind() == NodeKind::Hub) {
            Some(chapter) => Err(NodeError::Refused(format!("she is in {chapter}: her chapter keeps this with her"))),
            None if self.kind() == NodeKind::Hub && row.elsewhere => {
                Err(NodeError::Refused("her home is a chapter of another network: it keeps this with her".to_owned()))
            }
            None => Ok(()),
        }
    }

    /// Where she stands on the ladder is her home chapter's to say.
    pub(crate) fn at_home_here(&self, person: DocId) -> Result<(), NodeError> {
        if self.read(|read| read.record(person))?.elsewhere {
            let words = "another chapter is her home and alone moves her: log what happened here, it will see it";
            return Err(NodeError::Refused(words.to_owned()));
        }
        Ok(())
    }

    fn log(&self, person: DocId, by: By<'_>, event: Event) -> Result<EventId, NodeError> {
        self.in_our_care(person)?;
        let (login, answer) = (by.login(), by.answer(event.id));
        self.edit(person, login, |_, _| Ok(Plan::event(&event).freeing_number_of(login).answering(answer.clone())))?;
        Ok(event.id)
    }

    /// Adds a person to this chapter; fields and tags that the network has not declared stay here.
    ///
    /// # Errors
    /// When somebody with the same e-mail address is here already.
    pub fn add_person<'a>(&self, person: PersonDraft, by: impl Into<By<'a>>) -> Result<DocId, NodeError> {
        let by: By<'a> = by.into();
        let settings = self.read(|read| read.settings())?;
        let id = draw::doc_id();
        let (answer, by) = (by.answer(id), by.login());
        let signed_up = event(None, by, Body::SignUp { origin: SignUpOrigin::Organiser, source: None });
        let mut shared = person;
        let (emails, reaches) = (shared.emails.clone(), reaches_of(&shared));
        if let Some(at) = self.read(|read| read.erased_before(reaches.iter().map(String::as_str)))? {
            return Err(was_erased(at));
        }
        let mut private: BTreeMap<String, String> = BTreeMap::new();
        shared.custom.retain(|name, value| {
            let declared = settings.custom_fields.contains_key(name);
            if !declared {
                private.insert(name.clone(), value.expose().to_owned());
            }
            declared
        });
        shared.tags.retain(|tag| {
            let declared = settings.tags.contains(tag);
            if !declared {
                private.insert(format!("tag/{tag}"), "true".to_owned());
            }
            declared
        });
        let stamp = self.stamp(by);
        let at = stamp.at;
        let entries = from_sign_up(&shared, &[signed_up]);
        let (record, written) = record::Record::create(id, Kind::Supporter, entries, &stamp);
        let new = NewDocument::new(id, Kind::Supporter, &record, written, stamp.actor, &settings.ladder);
        self.write(Priority::Interactive, move |tx| {
            if let Match::Known(known) = tx.match_emails(&emails)? {
                let words = format!("somebody with this e-mail address is here already: {known}");
                return Err(StoreError::Refused(words));
            }
            let scopes: Vec<ScopeId> = tx.own_scope()?.into_iter().collect();
            tx.insert_document(&new, &scopes, DocState::Live)?;
            private.iter().try_for_each(|(name, value)| tx.put_private_field(id, name, value))?;
            answer.map_or(Ok(()), |answer| tx.keep_answer(&answer, id, at))
        })?;
        Ok(id)
    }

    /// Logs an attempt.
    ///
    /// # Errors
    /// When the person is not here or can't be written.
    pub fn log_attempt<'a>(
        &self,
        person: DocId,
        draft: AttemptDraft,
        by: impl Into<By<'a>>,
    ) -> Result<EventId, NodeError> {
        let by: By<'a> = by.into();
        let AttemptDraft { how, result, line, not_before, next_on, at } = draft;
        happened(at)?;
        line.as_ref().map_or(Ok(()), |line| within(line, "the line"))?;
        self.log(person, by, event(at, by.login(), Body::Attempt { how, result, line, not_before, next_on }))
    }

    pub(crate) fn note(
        &self,
        kind: NoteKind,
        event: Option<EventId>,
        text: Personal,
        by: &str,
    ) -> Result<NewNote, NodeError> {
        if self.kind() == NodeKind::Hub {
            return Err(NodeError::Refused("private text stays in a chapter: a hub keeps none".to_owned()));
        }
        within(&text, "the note")?;
        Ok(NewNote { id: draw::event_id(), event, kind, by: by.into(), text, at: draw::now() })
    }

    /// Keeps a private note.
    ///
    /// # Errors
    /// At a hub, or when the person is not here.
    pub fn add_note<'a>(&self, person: DocId, text: Personal, by: impl Into<By<'a>>) -> Result<EventId, NodeError> {
        if text.is_blank() {
            return Err(NodeError::Refused("a note needs a text".to_owned()));
        }
        let by: By<'a> = by.into();
        let note = self.note(NoteKind::Note, None, text, by.login())?;
        let (id, answer) = (note.id, by.answer(note.id));
        self.write(Priority::Interactive, move |tx| {
            tx.add_note(person, &note)?;
            answer.map_or(Ok(()), |answer| tx.keep_answer(&answer, person, note.at))
        })?;
        Ok(id)
    }

    /// Adds an ask.
    ///
    /// # Errors
    /// When it has no text, its rung is unknown, or the person is not here.
    pub fn add_ask<'a>(&self, person: DocId, draft: AskDraft, by: impl Into<By<'a>>) -> Result<EventId, NodeError> {
        let by: By<'a> = by.into();
        let AskDraft { text, kind, rung, due } = draft;
        if text.is_blank() {
            return Err(NodeError::Refused("say what is asked".to_owned()));
        }
        within(&text, "the ask")?;
        if let Some(rung) = &rung {
            self.known_rung(rung)?;
        }
        self.log(person, by, event(None, by.login(), Body::Ask { text, ask_kind: kind, rung, due, action: None }))
    }

    pub(crate) fn known_rung(&self, rung: &RungId) -> Result<(), NodeError> {
        let ladder = self.read(|read| read.settings())?.ladder;
        let names: Vec<&str> = ladder.rungs().iter().map(|rung| rung.id.as_str()).collect();
        match ladder.get(rung) {
            Some(_) => Ok(()),
            None => Err(model::MoveRefused::UnknownRung(rung.to_string(), names.join(", ")).into()),
        }
    }

    /// Moves someone on the ladder, citing events of hers or of people whom she recruited or develops. Of joined records
    /// each that stands lower is moved with it.
    ///
    /// # Errors
    /// When the rung is unknown, an event is not found, or neither evidence nor a reason carries the move.
    pub fn move_to<'a>(
        &self,
        person: DocId,
        rung: &RungId,
        evidence: &[Resolved],
        because: Option<Personal>,
        by: impl Into<By<'a>>,
    ) -> Result<(EventId, MoveKind), NodeError> {
        let by: By<'a> = by.into();
        let because = because.filter(|reason| !reason.is_blank());
        because.as_ref().map_or(Ok(()), |reason| within(reason, "the reason"))?;
        self.in_our_care(person)?;
        self.at_home_here(person)?;
        let settings = self.read(|read| read.settings())?;
        let id = draw::event_id();
        let (answer, by) = (by.answer(id), by.login());
        let (how, written) = (std::cell::Cell::new(MoveKind::Up), std::cell::RefCell::new(Vec::new()));
        self.edit(person, by, |_, shown| {
            let whole = self.whole(shown, &settings.ladder)?;
            let cited = evidence.iter().map(|cited| self.cited(&whole, *cited)).collect::<Result<Vec<_>, _>>()?;
            let pieces: Vec<Evidence<'_>> =
                cited.iter().map(|(event, relation)| Evidence { event, relation: *relation }).collect();
            how.set(settings.ladder.check_move(&whole.rung, rung, &pieces, because.as_ref())?);
            let body = Body::Move {
                from: whole.rung.clone(),
                to: rung.clone(),
                how: how.get(),
                evidence: cited.iter().map(|(event, _)| event.id).collect(),
                because: because.clone(),
            };
            let moved = Event { id, at: draw::now(), by: Some(by.into()), body };
            let mut writes = vec![Write::event(&moved), Write::rung(rung, id)];
            *written.borrow_mut() = writes.clone();
            // Up from where a joined record stands: this one may be there already, and is not brought down by it.
            let higher = settings.ladder.position(&shown.rung) > settings.ladder.position(rung);
            if higher && how.get() != MoveKind::Down {
                writes.truncate(1);
            }
            Ok(Plan::writing(writes).answering(answer.clone()))
        })?;
        self.move_others(person, rung, &written.into_inner(), &settings.ladder, by)?;
        Ok((id, how.get()))
    }

    /// A cited event, and whose it is.
    fn cited(&self, her: &Supporter, cited: Resolved) -> Result<(Event, Relation), NodeError> {
        let not_found = || NodeError::NotFound("event", cited.event.map_or_else(String::new, |id| id.to_string()));
        let id = cited.event.ok_or_else(|| NodeError::Refused("cite an event, not a person".to_owned()))?;
        if her.covers(cited.document) {
            return Ok((her.event(id).ok_or_else(not_found)?.clone(), Relation::Own));
        }
        let other = self.read(|read| read.person(cited.document))?.supporter;
        let raised = [&other.recruited_by, &other.developed_by];
        let by_her = raised.into_iter().flatten().any(|who| her.ids().any(|id| who.expose() == id.to_string()));
        if !by_her {
            return Err(NodeError::Refused(
                "the event is of someone whom she neither recruited nor develops".to_owned(),
            ));
        }
        Ok((other.event(id).ok_or_else(not_found)?.clone(), Relation::Raised))
    }

    /// Writes what she agreed to, with where she said it.
    ///
    /// # Errors
    /// When no source is given.
    pub fn set_consent(
        &self,
        person: DocId,
        channel: Channel,
        sender: Sender,
        state: ConsentState,
        source: Personal,
        by: &str,
    ) -> Result<EventId, NodeError> {
        if source.is_blank() {
            return Err(NodeError::Refused("say where she said it".to_owned()));
        }
        let (channel, sender) = (channel.word().to_owned(), sender.to_string());
        let said = event(None, by, Body::Consent { channel: channel.clone(), sender: sender.clone(), state, source });
        let writes = vec![Write::event(&said), Write::consent(&channel, &sender, state, said.id)];
        self.edit(person, by, |_, _| Ok(Plan { writes: writes.clone(), ..Plan::default() }))?;
        Ok(said.id)
    }

    /// Places somebody whom the hub above has placed here: what this hub's territories say of her; or says why she waits.
    ///
    /// # Errors
    /// When she is in a chapter meanwhile, or the database fails.
    pub fn place_from_above(&self, person: DocId, fact: &model::PlacementFact) -> Result<(), NodeError> {
        let chapter = fact.chapter;
        let placed = Event { id: draw::event_id(), at: draw::now(), by: None, body: Body::Placement(fact.clone()) };
        self.edit(person, "territory", |_, _| Ok(Plan { places: chapter, ..Plan::event(&placed) }))
    }

    /// Places somebody who waits into a chapter, by a person's word; her joined records that wait go with this one.
    ///
    /// # Errors
    /// When she is in a chapter already, or the chapter is not known.
    pub fn place_by_hand(&self, person: DocId, slug: &str, by: &str) -> Result<(), NodeError> {
        let (chapter, records) = self.read(|read| Ok((read.chapter(slug)?, read.records(person)?)))?;
        let named = records.iter().find(|record| record.supporter.id == person);
        if let Some(there) = named.and_then(|record| record.chapter_name.as_ref()) {
            let words = format!("she is in {there} already; a transfer between chapters asks both");
            return Err(NodeError::Refused(words));
        }
        let fact = model::PlacementFact {
            chapter: Some(chapter.scope),
            reason: "by_hand".to_owned(),
            explanation: format!("Placed into \u{201c}{}\u{201d} by {by}.", chapter.name),
            flags: Vec::new(),
            territory_version: 0,
            gazetteer_version: String::new(),
        };
        let placed = event(None, by, Body::Placement(fact));
        let goes = |record: &PersonRow| record.chapter.is_none() && record.state == DocState::Live;
        let others = records.iter().filter(|record| goes(record)).map(|record| record.supporter.id);
        for record in std::iter::once(person).chain(others.filter(|record| *record != person)) {
            let said = self.audit_by(AuditKind::Placed, by).about(record).detail(format!("to {}", chapter.slug));
            self.edit(record, by, |_, _| {
                Ok(Plan { places: Some(chapter.scope), ..Plan::event(&placed).auditing(said.clone()) })
            })?;
        }
        Ok(())
    }
}
