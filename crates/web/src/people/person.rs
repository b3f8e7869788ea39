//! One person: her page, her JSON, and the acts on her.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use model::{AnswerKind, AskKind, AttemptHow, AttemptResult, EventId, Personal, Right, RungId};
use node::{AskDraft, AttemptDraft, Node, NodeError, OneToOneDraft, Who};
use serde_json::{Value, json};
use store::{ProposalState, Resolved};

use crate::entry::local;
use crate::forms::{Form, refused};
use crate::people::shown::{Said, build, material};
use crate::people::{allowed, fields, work};
use crate::undo::Done;
use crate::{Problem, Site, WebError, blocking, event_json, html, person_json};

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

pub(super) async fn page(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    asked: Form,
) -> Result<Response, WebError> {
    let said = Said { did: asked.get("did").map(str::to_owned), ..Said::default() };
    Ok(html(&blocking(move || build(&site, &id, &who, said)).await?))
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
        if act == "fields" {
            return fields::edit(&site, &id, &form, &who);
        }
        let done = perform(&site.node, &id, act, &form, &who);
        match done {
            Ok(done) => {
                let hers = format!("/people/{id}");
                Ok(Redirect::to(&done.back(form.get("back").map_or(hers.as_str(), local))).into_response())
            }
            Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
                let page = build(&site, &id, &who, Said::wrong(problem.detail))?;
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
                ask: personal("ask").map(|text| AskDraft { text, kind: AskKind::Task, rung: None, due: None }),
                next: personal("next"),
                next_on: form.parse("next_on")?,
                story: personal("story"),
                interest: personal("interest"),
                relationships: personal("relationships"),
                ..OneToOneDraft::default()
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
            return Ok(Done::Logged(person, node.answer_ask(person, ask, answer, personal("line"), by)?));
        }
        "moves" => {
            let rung = RungId::new(form.need("rung", "choose the rung")?);
            let cited = form.get("evidence").map(|event| node.read(|read| read.resolve(event))).transpose()?;
            let cited: Vec<Resolved> = cited.into_iter().collect();
            return Ok(Done::Logged(person, node.move_to(person, &rung, &cited, personal("because"), by)?.0));
        }
        "notes" => drop(node.add_note(person, form.need("text", "write the note first")?.into(), by)?),
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
