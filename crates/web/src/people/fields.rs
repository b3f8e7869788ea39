//! Editing what is known of somebody: fields, consent, who has raised her.
//!
//! **Invariant:** a field that was edited here can be put back for a minute, unless somebody has changed it since.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{Channel, ConsentState, DocId, Personal, Right, Sender};
use node::{FieldEdit, Named, Who};
use store::Raising;

use crate::forms::{Form, refused};
use crate::people::allowed;
use crate::people::shown::{EDITED, Said, build};
use crate::people::words::label;
use crate::undo::Done;
use crate::undo_edit::Back;
use crate::{Site, WebError, blocking, html};

/// Where what is known is edited, and who may.
pub(super) const EDITS: [(&str, Right); 2] =
    [("/people/{id}/consents", Right::EditPeople), ("/people/{id}/raised", Right::EditPeople)];

/// What an edit came to.
enum Outcome {
    /// It is done.
    Done(Done),
    /// Somebody has to choose one of these people.
    Choose(Raising, Vec<DocId>),
}

/// One edit of what is known: done, and back to her page; or the page again with what was wrong.
pub(super) async fn act(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
    path: &'static str,
) -> Result<Response, WebError> {
    let act = path.rsplit('/').next().unwrap_or_default();
    blocking(move || {
        let outcome = perform(&site, &id, act, &form, &who);
        answer(&site, &id, &who, outcome)
    })
    .await
}

/// Edits of plain fields.
pub(super) fn edit(site: &Site, id: &str, form: &Form, who: &Who) -> Result<Response, WebError> {
    let edits: Vec<FieldEdit> = EDITED.iter().filter_map(|name| posted(form, name)).collect();
    let done = allowed(&site.node, id, who).map_err(WebError::from).and_then(|person| {
        site.node.edit_fields(person, &edits, &who.by)?;
        Ok(Outcome::Done(undoable(site, person, &edits, who)))
    });
    answer(site, id, who, done)
}

fn answer(site: &Site, id: &str, who: &Who, outcome: Result<Outcome, WebError>) -> Result<Response, WebError> {
    let said = match outcome {
        Ok(Outcome::Done(done)) => return Ok(Redirect::to(&done.back(&format!("/people/{id}"))).into_response()),
        Ok(Outcome::Choose(how, choice)) => Said { choice: Some((how, choice)), ..Said::default() },
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => Said::wrong(problem.detail),
        Err(error) => return Err(error),
    };
    let page = build(site, id, who, said)?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
}

/// What a form changed in a field, beside the value that it showed.
fn posted(form: &Form, name: &str) -> Option<FieldEdit> {
    let value = form.raw(name)?.to_owned();
    Some(FieldEdit { field: name.to_owned(), value, shown: form.raw(&format!("was_{name}")).map(str::to_owned) })
}

/// Keeps what these edits took the place of, if anything has changed.
fn undoable(site: &Site, person: DocId, edits: &[FieldEdit], who: &Who) -> Done {
    let reverse = |edit: &FieldEdit| {
        let before = edit.shown.clone().filter(|shown| shown.trim() != edit.value.trim())?;
        Some(FieldEdit { field: edit.field.clone(), value: before, shown: Some(edit.value.clone()) })
    };
    let back: Vec<FieldEdit> = edits.iter().filter_map(reverse).collect();
    if back.is_empty() {
        return Done::Quietly;
    }
    let fields: Vec<String> = back.iter().map(|edit| label(&edit.field)).collect();
    let words = format!("Changed: {}", fields.join(", "));
    site.edits.keep((who.by.as_str(), site.node.now()), words, Back::Fields(person, back))
}

fn perform(site: &Site, id: &str, act: &str, form: &Form, who: &Who) -> Result<Outcome, WebError> {
    let (node, by) = (&site.node, who.by.as_str());
    let person = allowed(node, id, who)?;
    let text = |name: &str| Personal::from(form.get(name).unwrap_or_default());
    match act {
        "consents" => {
            let channel =
                form.get("channel").and_then(Channel::from_word).ok_or_else(|| refused("choose the channel"))?;
            let sender: Sender = form.parse("sender")?.ok_or_else(|| refused("choose who may write to her"))?;
            let state =
                form.get("state").and_then(ConsentState::from_word).ok_or_else(|| refused("choose what she said"))?;
            node.set_consent(person, channel, sender, state, text("source"), by)?;
        }
        _ => return raised(site, person, form, who),
    }
    Ok(Outcome::Done(Done::Quietly))
}

/// Who has recruited or who develops her.
fn raised(site: &Site, person: DocId, form: &Form, who: &Who) -> Result<Outcome, WebError> {
    let (how, field) = match form.get("how") {
        Some("recruited") => (Raising::Recruited, "recruited_by"),
        Some("developed") => (Raising::Developed, "developed_by"),
        Some(_) | None => return Err(refused("choose what the other person did")),
    };
    let value = match site.node.name_person(form.get("who").unwrap_or_default())? {
        Named::Nobody => String::new(),
        Named::One(name) => name,
        Named::Some(choice) => return Ok(Outcome::Choose(how, choice)),
    };
    let edit = FieldEdit { field: field.to_owned(), value, shown: form.raw("was").map(str::to_owned) };
    site.node.set_raised(person, how, edit.clone(), &who.by)?;
    Ok(Outcome::Done(undoable(site, person, &[edit], who)))
}
