//! The pages about people that are the same at a chapter and at its hub: the list, one person, and the acts on her.
//!
//! **Invariant:** whoever may see only the people given to her meets everybody else as if they were not here.

mod bulk;
mod conflicts;
mod fields;
mod filters;
mod found;
mod known;
mod list;
mod organisers;
mod person;
mod raised;
mod shown;
mod words;
mod work;

pub use known::shared_json;
pub use list::{Span, people_json};
pub use words::{Wording, describe};

use model::{DocId, Right};
use node::{Node, NodeError, Who};
use store::{PersonRow, StoreError};

use crate::Site;
use crate::giving::give_out;
use crate::routes::{Access, Pages};
use crate::undo::{UNDO_GIVEN, undo_given};
use crate::undo_edit::{UNDO_EDIT, undo_edit};

/// The routes of people's pages, and their JSON.
pub(crate) fn people_pages() -> Pages<Site> {
    let (people, given) = (Access::Needs(Right::SeePeople), Access::Needs(Right::SeeGiven));
    let edits = Access::Needs(Right::EditPeople);
    let pages = Pages::default()
        .get("/people", people, found::page)
        .post("/people/saved", people, found::save)
        .post("/people/tag", edits, bulk::tag)
        .post("/people/export", Access::Needs(Right::ExportLists), bulk::export)
        .get("/organisers", people, organisers::page)
        .get("/conflicts", people, conflicts::page)
        .get("/people/{id}/authors", people, known::authors)
        .get("/people/{id}/shared", people, known::shared)
        .get("/people/{id}", given, person::page)
        .get("/api/v1/people", people, list::json)
        .get("/api/v1/people/{id}", given, person::json)
        .post("/give-out", edits, give_out)
        .post(UNDO_GIVEN, edits, undo_given)
        .post(UNDO_EDIT, edits, undo_edit);
    let pages = fields::EDITS.into_iter().fold(pages, |pages, (path, right)| {
        pages.post(path, Access::Needs(right), move |site, id, who, form| fields::act(site, id, who, form, path))
    });
    person::ACTS.into_iter().fold(pages, |pages, (path, right)| {
        pages.post(path, Access::Needs(right), move |site, id, who, form| person::act(site, id, who, form, path))
    })
}

/// The person whom an id names, if this login may see her.
pub(crate) fn allowed(node: &Node, id: &str, who: &Who) -> Result<DocId, NodeError> {
    let found = node.read(|read| read.resolve(id));
    if who.role.may(Right::SeePeople) {
        return Ok(found?.document);
    }
    let nobody = |_| NodeError::Store(StoreError::NotFound(id.trim().chars().take(64).collect()));
    let person = found.map_err(nobody)?.document;
    let records = node.read(|read| read.records(person)).map_err(nobody)?;
    let given = |record: &PersonRow| record.supporter.looked_after_by.as_ref().is_some_and(|by| by.expose() == who.by);
    if records.iter().any(given) { Ok(person) } else { Err(nobody(NodeError::Busy)) }
}
