//! One person: what is known, what disagrees, what happened, what to do next, and what stays in the chapter.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use model::{
    AnswerKind, AskKind, AttemptHow, AttemptResult, Body, ConsentState, DocId, EventId, Evidence, EvidenceRule,
    Personal, Relation, Right, RungId, Supporter,
};
use node::{AskDraft, AttemptDraft, FieldEdit, Node, NodeError, OneToOneDraft, Who};
use serde_json::{Value, json};
use store::{DocState, Note, PersonRow, ProposalRow, ProposalState, Resolved};

use crate::attempt::calling_words;
use crate::entry::local;
use crate::forms::{Form, refused};
use crate::people::words::{Wording, address_words, describe, label, place_of};
use crate::people::{allowed, work};
use crate::undo::Done;
use crate::{Problem, Shell, Site, WebError, ago, blocking, event_json, html, person_json};

/// What can be done with a person: where it is posted to, and who may.
pub(super) const ACTS: [(&str, Right); 14] = [
    ("/people/{id}/attempts", Right::LogAttempts),
    ("/people/{id}/answers", Right::LogAttempts),
    ("/people/{id}/one_to_ones", Right::EditPeople),
    ("/people/{id}/asks", Right::EditPeople),
    ("/people/{id}/moves", Right::MoveRungs),
    ("/people/{id}/notes", Right::EditPeople),
    ("/people/{id}/fields", Right::EditPeople),
    ("/people/{id}/settle", Right::EditPeople),
    ("/people/{id}/proposals", Right::EditPeople),
    ("/people/{id}/call", Right::LogAttempts),
    ("/people/{id}/undo", Right::LogAttempts),
    ("/people/{id}/care", Right::EditPeople),
    ("/people/{id}/return", Right::EditPeople),
    ("/people/{id}/do_not_contact", Right::EditPeople),
];
/// Fields that can be edited on the page, in this order.
const EDITED: [&str; 5] = ["given_name", "family_name", "preferred_language", "would_like", "looked_after_by"];

struct Line {
    id: String,
    who: String,
    what: String,
    when: String,
    exact: String,
}

struct ConflictView {
    field: String,
    label: String,
    values: Vec<Line>,
}

struct FieldView {
    name: &'static str,
    label: String,
    value: String,
}

/// Something to choose, with its words.
struct Choice {
    id: String,
    words: String,
}

/// Why a record takes no writes: it has left.
const LEFT: &str = "She has left this chapter. Her record is kept here, read-only: people here know her.";
/// Why a record takes no writes: it can't be read to its end.
const UNREADABLE: &str =
    "This record is read-only here: a change to it could not be read. Its last good state is shown.";

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    shell: Shell,
    id: String,
    name: String,
    problem: Option<String>,
    rung: String,
    rung_class: String,
    chapter: String,
    why: Option<String>,
    joined: Option<String>,
    writable: bool,
    closed: String,
    elsewhere: bool,
    /// Who else is calling her at this moment.
    calling: Option<String>,
    /// Nobody may contact her.
    not_contacted: bool,
    hub: bool,
    may_log: bool,
    may_edit: bool,
    may_move: bool,
    /// Whether she sees what stays in this chapter: a hub keeps nothing, and a caller needs nothing of it.
    sees_private: bool,
    fields: Vec<FieldView>,
    contacts: Vec<(String, String)>,
    consents: Vec<String>,
    conflicts: Vec<ConflictView>,
    proposals: Vec<Line>,
    history: Vec<Line>,
    evidence: Vec<Choice>,
    rungs: Vec<Choice>,
    asks: Vec<Choice>,
    notes: Vec<Line>,
    private_fields: Vec<(String, String)>,
}

/// What the page is made of.
struct Material {
    person: PersonRow,
    proposals: Vec<ProposalRow>,
    notes: Vec<Note>,
    private_fields: Vec<(String, String)>,
    settings: model::NetworkSettings,
    /// What the actions are called that she had a part in.
    actions: BTreeMap<DocId, String>,
}

fn material(node: &Node, id: &str, who: &Who) -> Result<Material, NodeError> {
    node.settle()?;
    let person = allowed(node, id, who)?;
    node.read(|read| {
        let person = read.person(person)?;
        let (mut proposals, mut notes): (Vec<ProposalRow>, Vec<Note>) = (Vec::new(), Vec::new());
        let mut private_fields: Vec<(String, String)> = Vec::new();
        for record in person.supporter.ids() {
            proposals.extend(read.proposals(Some(record))?);
            notes.extend(read.notes(record)?);
            private_fields.extend(read.private_fields(record)?);
        }
        notes.sort_by_key(|note| std::cmp::Reverse(note.at));
        let actions = read.action_names(person.supporter.parts().into_keys())?;
        Ok(Material { proposals, notes, private_fields, settings: read.settings()?, actions, person })
    })
}

fn build(site: &Site, id: &str, who: &Who, problem: Option<String>) -> Result<PersonPage, WebError> {
    let Material { person, proposals, notes, private_fields, settings, actions } = material(&site.node, id, who)?;
    let her = &person.supporter;
    let wording = Wording { her, ladder: &settings.ladder, actions: &actions };
    site.node.opens_person(her.id, &who.by)?;
    let (now, writable) = (site.node.now(), [DocState::Live, DocState::Kept].contains(&person.state));
    let may = |right| writable && who.role.may(right);
    let line = |id: String, who: Option<&Personal>, what: String, at: model::Timestamp| Line {
        id,
        who: who.map_or_else(|| "the network".to_owned(), |who| who.expose().to_owned()),
        what,
        when: ago(Some(at), now),
        exact: at.for_people(),
    };
    let history: Vec<Line> = her
        .events
        .iter()
        .rev()
        .map(|event| line(event.id.to_string(), event.by.as_ref(), describe(event, &wording), event.at))
        .collect();
    let conflicts = her.conflicts.iter().map(|conflict| ConflictView {
        field: conflict.field.clone(),
        label: label(&conflict.field),
        values: conflict
            .values
            .iter()
            .map(|standing| {
                let at = standing.at.unwrap_or(her.modified_at);
                line(String::new(), standing.by.as_ref(), standing.value.expose().to_owned(), at)
            })
            .collect(),
    });
    let why =
        her.events.iter().rev().find_map(|event| {
            if let Body::Placement(fact) = &event.body { Some(fact.explanation.clone()) } else { None }
        });
    let calling = site.node.read(|read| read.calling(now))?;
    let calling = calling.iter().find(|held| her.covers(held.person) && held.by != who.by);
    let position = settings.ladder.position(&her.rung);
    let other_rungs = settings.ladder.rungs().iter().filter(|rung| rung.id != her.rung);
    Ok(PersonPage {
        shell: site.shell(&her.display_name(), "/people", who)?,
        id: her.id.to_string(),
        name: her.display_name(),
        problem,
        rung: settings.ladder.label(&her.rung).to_owned(),
        rung_class: format!("rung-{}", position + 1),
        chapter: served_by(&person),
        why,
        joined: joined_words(her),
        writable,
        closed: closed_words(&person),
        elsewhere: person.elsewhere,
        calling: calling.map(|held| calling_words(held, now)),
        not_contacted: her.do_not_contact,
        hub: site.node.is_hub(),
        may_log: may(Right::LogAttempts),
        may_edit: may(Right::EditPeople),
        may_move: may(Right::MoveRungs),
        sees_private: !site.node.is_hub() && who.role.may(Right::SeePeople),
        fields: EDITED.iter().map(|name| FieldView { name, label: label(name), value: value_of(her, name) }).collect(),
        contacts: contacts(her),
        consents: her.consents.iter().map(consent_words).collect(),
        conflicts: conflicts.collect(),
        proposals: proposals
            .iter()
            .map(|p| {
                let what = proposed(&p.key, p.value.expose());
                line(p.id.to_string(), None, what, p.at)
            })
            .collect(),
        evidence: evidence(&wording),
        rungs: other_rungs.map(|rung| Choice { id: rung.id.to_string(), words: rung.label.clone() }).collect(),
        asks: open_asks(her),
        notes: notes
            .iter()
            .map(|note| {
                let what = if note.kind == "note" {
                    note.text.expose().to_owned()
                } else {
                    format!("{}: {}", label(&note.kind), note.text.expose())
                };
                line(note.id.to_string(), Some(&note.by), what, note.at)
            })
            .collect(),
        private_fields,
        history,
    })
}

/// Why her record takes no writes, if it takes none.
fn closed_words(person: &PersonRow) -> String {
    match person.left {
        Some(left) => format!(
            "Her chapter left the network on {}. This is what was known here then: it is frozen, and she is in no total.",
            left.for_people()
        ),
        None if person.state == DocState::ReadOnly => LEFT.to_owned(),
        None => UNREADABLE.to_owned(),
    }
}

/// Her chapter, and whether others serve her, too.
fn served_by(person: &PersonRow) -> String {
    let others: Vec<&str> =
        person.chapters.iter().filter(|slug| Some(*slug) != person.slug.as_ref()).map(String::as_str).collect();
    match &person.chapter_name {
        _ if person.elsewhere => "Served here beside her home chapter".to_owned(),
        Some(name) if others.is_empty() => name.clone(),
        Some(name) => format!("{name}, also served by {}", others.join(", ")),
        None => "Waiting for a chapter".to_owned(),
    }
}

fn value_of(her: &Supporter, name: &str) -> String {
    match name {
        "looked_after_by" => her.looked_after_by.as_ref().map_or_else(String::new, |who| who.expose().to_owned()),
        _ => her.field(name).to_owned(),
    }
}

/// A proposed value as a person reads it.
fn proposed(key: &str, value: &str) -> String {
    let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
    match kind {
        "email" | "phone" | "tag" => format!("{}: {rest}", label(kind)),
        "address" => {
            let address: model::PostalAddress = serde_json::from_str(value).unwrap_or_default();
            format!("Address: {}", address_words(&address))
        }
        "consent" => {
            let channel = rest.split('/').next().unwrap_or_default();
            format!("{} from the network: {}", label(channel), if value == "granted" { "yes" } else { "no" })
        }
        _ => format!("{}: {value}", label(key)),
    }
}

fn contacts(her: &Supporter) -> Vec<(String, String)> {
    let emails = her.emails.iter().map(|email| ("E-mail".to_owned(), email.address.as_str().to_owned()));
    let phones = her
        .phones
        .iter()
        .map(|phone| ("Phone".to_owned(), phone.number.as_str().trim_start_matches("raw:").to_owned()));
    let place = Some(("Place".to_owned(), place_of(her))).filter(|(_, place)| !place.is_empty());
    let custom = her.custom.iter().map(|(name, value)| (label(name), value.expose().to_owned()));
    let tags: Vec<&str> = her.tags.iter().map(String::as_str).collect();
    let tags = Some(("Tags".to_owned(), tags.join(", "))).filter(|(_, tags)| !tags.is_empty());
    let also = her.also.iter().map(|(field, values)| {
        let values: Vec<&str> = values.iter().map(Personal::expose).collect();
        (format!("{}, also", label(field)), values.join(", "))
    });
    emails.chain(phones).chain(place).chain(custom).chain(tags).chain(also).collect()
}

/// That she is shown for several records, with their ids: what is written here goes into the first.
fn joined_words(her: &Supporter) -> Option<String> {
    let others: Vec<String> = her.merged.iter().map(|id| id.to_string()[28..].to_owned()).collect();
    let words = || format!("Shown together with what is known of her as {}.", others.join(" and "));
    (!others.is_empty()).then(words)
}

fn consent_words(said: &model::Consent) -> String {
    let who = if said.sender == "network" { "the network" } else { "the chapter" };
    match said.state {
        ConsentState::Granted => format!("{} from {who}: yes", label(&said.channel)),
        ConsentState::Withdrawn => format!("{} from {who}: no", label(&said.channel)),
    }
}

/// Her events that can show a move, newest first.
fn evidence(wording: &Wording<'_>) -> Vec<Choice> {
    let rules = wording.ladder.rungs().iter().map(|rung| rung.shown_by).filter(|rule| *rule != EvidenceRule::Nothing);
    let rules: Vec<EvidenceRule> = rules.collect();
    let shows =
        |event: &&model::Event| rules.iter().any(|rule| rule.shown_by(&Evidence { event, relation: Relation::Own }));
    let choice = |event: &model::Event| Choice { id: event.id.to_string(), words: describe(event, wording) };
    wording.her.events.iter().rev().filter(shows).map(choice).collect()
}

/// Asks without an outcome: no answer that ends them, and she did not come to the action that they name.
fn open_asks(her: &Supporter) -> Vec<Choice> {
    let ended = her.events.iter().filter_map(|event| {
        if let Body::Answer { of, answer } = &event.body { (*answer != AnswerKind::Yes).then_some(*of) } else { None }
    });
    let ended: BTreeSet<EventId> = ended.collect();
    let open = her.events.iter().filter(|event| !ended.contains(&event.id));
    let choice = |event: &model::Event| {
        if let Body::Ask { text, .. } = &event.body
            && !her.came_as_asked(event.id)
        {
            Some(Choice { id: event.id.to_string(), words: text.expose().to_owned() })
        } else {
            None
        }
    };
    open.filter_map(choice).collect()
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    asked: Form,
) -> Result<Response, WebError> {
    let made = blocking(move || {
        let mut page = build(&site, &id, &who, None)?;
        page.shell.notice = site.notice(asked.get("did"), &format!("/people/{id}"), &who);
        Ok(page)
    });
    Ok(html(&made.await?))
}

pub(super) async fn json(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Json<Value>, Problem> {
    let made = blocking(move || {
        let material = material(&site.node, &id, &who)?;
        site.node.opens_person(material.person.supporter.id, &who.by)?;
        let mut made = person_json(&material.person);
        if let Some(object) = made.as_object_mut() {
            let events: Vec<Value> = material.person.supporter.events.iter().map(event_json).collect();
            object.insert("events".to_owned(), json!(events));
        }
        Ok(made)
    });
    made.await.map(Json).map_err(|error| error.0)
}

/// One act on a person: done, and back to where it was done; or her page with what was wrong.
pub(super) async fn act(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
    path: &'static str,
) -> Result<Response, WebError> {
    let act = path.rsplit('/').next().unwrap_or_default();
    blocking(move || {
        let done = perform(&site.node, &id, act, &form, &who);
        match done {
            Ok(done) => {
                let hers = format!("/people/{id}");
                Ok(Redirect::to(&done.back(form.get("back").map_or(hers.as_str(), local))).into_response())
            }
            Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
                let page = build(&site, &id, &who, Some(problem.detail))?;
                Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
            }
            Err(error) => Err(error),
        }
    })
    .await
}

fn perform(node: &Node, id: &str, act: &str, form: &Form, who: &Who) -> Result<Done, WebError> {
    let (person, by) = (allowed(node, id, who)?, who.by.as_str());
    let personal = |name: &str| form.get(name).map(Personal::from);
    match act {
        "attempts" => {
            let how = form.get("how").and_then(AttemptHow::from_word).ok_or_else(|| refused("choose how you tried"))?;
            let result = form
                .get("result")
                .and_then(AttemptResult::from_word)
                .ok_or_else(|| refused("choose what came of it"))?;
            let draft = AttemptDraft {
                how,
                result,
                line: personal("line"),
                not_before: form.parse("not_before")?,
                next_on: form.parse("next_on")?,
                at: None,
            };
            return Ok(Done::Logged(person, node.log_attempt(person, draft, by)?));
        }
        "one_to_ones" => {
            let draft = OneToOneDraft {
                at: form.parse("at")?,
                minutes: form.parse("minutes")?,
                ask: personal("ask"),
                next: personal("next"),
                next_on: form.parse("next_on")?,
                story: personal("story"),
                interest: personal("interest"),
                relationships: personal("relationships"),
            };
            return Ok(Done::Logged(person, node.log_one_to_one(person, draft, by)?));
        }
        "asks" => {
            let text = form.need("text", "say what is asked")?.into();
            let kind = form.get("ask_kind").and_then(AskKind::from_word).unwrap_or(AskKind::Task);
            let draft = AskDraft { text, kind, rung: None, due: form.parse("due")? };
            return Ok(Done::Logged(person, node.add_ask(person, draft, by)?));
        }
        "answers" => {
            let ask: EventId = form.parse("ask")?.ok_or_else(|| refused("choose the ask"))?;
            let answer =
                form.get("answer").and_then(AnswerKind::from_word).ok_or_else(|| refused("choose what came of it"))?;
            return Ok(Done::Logged(person, node.answer_ask(person, ask, answer, by)?));
        }
        "moves" => {
            let rung = RungId::new(form.need("rung", "choose the rung")?);
            let cited = form.get("evidence").map(|event| node.read(|read| read.resolve(event))).transpose()?;
            let cited: Vec<Resolved> = cited.into_iter().collect();
            return Ok(Done::Logged(person, node.move_to(person, &rung, &cited, personal("because"), by)?.0));
        }
        "notes" => drop(node.add_note(person, form.need("text", "write the note first")?.into(), by)?),
        "fields" => node.edit_fields(person, &edits(form), by)?,
        "settle" => {
            let field = form.need("field", "choose the field")?;
            let seen: Vec<String> = form.all("seen").map(str::to_owned).collect();
            node.settle_conflict(person, field, form.raw("value").unwrap_or_default(), Some(&seen), by)?;
        }
        "proposals" => {
            let named = form.get("proposal").unwrap_or_default();
            let (proposal, her) = node.read(|read| Ok((read.proposal(named)?, read.person(person)?.supporter)))?;
            if !her.covers(proposal.person) {
                // Of somebody else: as if there were none.
                return Err(NodeError::NotFound("open proposal", named.to_owned()).into());
            }
            let state = if form.get("do") == Some("take") { ProposalState::Taken } else { ProposalState::Dropped };
            node.end_proposal(&proposal, state, by)?;
        }
        _ => return work::perform(node, person, act, form, who),
    }
    Ok(Done::Quietly)
}

/// What a form changed: each field beside the value that it showed.
fn edits(form: &Form) -> Vec<FieldEdit> {
    let edit = |name: &&str| {
        let value = form.raw(name)?.to_owned();
        Some(FieldEdit { field: (*name).to_owned(), value, shown: form.raw(&format!("was_{name}")).map(str::to_owned) })
    };
    EDITED.iter().filter_map(edit).collect()
}
