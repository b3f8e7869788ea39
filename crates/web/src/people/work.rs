//! The acts of an evening of calls on one person: opening her number, taking her into care, putting her off, handing her
//! back, and taking back what was wrongly logged.

use axum::http::StatusCode;
use model::{Date, DocId, Personal, Right};
use node::{CareDraft, Node, Who};

use crate::forms::{Form, refused};
use crate::routes::may_not;
use crate::undo::{Done, undo};
use crate::{Problem, WebError};

/// Does it.
pub(super) fn perform(node: &Node, person: DocId, act: &str, form: &Form, who: &Who) -> Result<Done, WebError> {
    let by = who.by.as_str();
    match act {
        "call" => Ok(node.open_number(person, by)?.map_or(Done::Quietly, |_| Done::Held(person))),
        "care" => Ok(Done::Logged(person, care(node, person, form, by)?)),
        "return" if node.is_hub() => Err(refused("a chapter hands people back: a hub places them")),
        "return" => {
            node.return_person(person, form.need("reason", "say why she is handed back")?.into(), by)?;
            Ok(Done::Quietly)
        }
        "do_not_contact" if form.get("do") == Some("lift") => lift(node, person, form, who).map(|()| Done::Quietly),
        "do_not_contact" => {
            node.set_do_not_contact(person, true, because(form)?, by)?;
            Ok(Done::Quietly)
        }
        "undo" => undo(node, person, form, who).map(|()| Done::Quietly),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page").into()),
    }
}

fn because(form: &Form) -> Result<Personal, WebError> {
    Ok(form.need("because", "say why: it stays in her history")?.into())
}

/// Lifts that nobody may contact her, in each of her joined records that says so: the stricter one holds.
fn lift(node: &Node, person: DocId, form: &Form, who: &Who) -> Result<(), WebError> {
    if !who.role.may(Right::ContactAgain) {
        node.refuses(who, Right::ContactAgain);
        return Err(may_not(who.role, Right::ContactAgain).into());
    }
    let because = because(form)?;
    let records = node.read(|read| read.records(person))?;
    for record in records.iter().map(|record| &record.supporter).filter(|record| record.do_not_contact) {
        node.set_do_not_contact(record.id, false, because.clone(), &who.by)?;
    }
    Ok(())
}

/// Refuses to take her from somebody of whom the page did not know yet.
fn still_free(node: &Node, person: DocId, was: Option<&str>, who: &str) -> Result<(), WebError> {
    let Some(was) = was else { return Ok(()) };
    let her = node.read(|read| read.person(person))?.supporter;
    let holds = her.looked_after_by.as_ref().map_or("", Personal::expose);
    if ["", was, who].contains(&holds) {
        return Ok(());
    }
    Err(refused(&format!(
        "{holds} has taken her meanwhile: ask {holds}, or write it under \"Looked after by\" on this page"
    )))
}

/// Takes her into somebody's care; or, where the form names nobody, puts her off and leaves her with whom she is.
fn care(node: &Node, person: DocId, form: &Form, by: &str) -> Result<model::EventId, WebError> {
    let on: Option<Date> = form.parse("on")?;
    let who = match form.raw("who") {
        Some(who) => {
            still_free(node, person, form.raw("was"), who)?;
            who.to_owned()
        }
        None if on.is_some() => {
            let her = node.read(|read| read.record(person))?.supporter;
            her.looked_after_by.as_ref().map_or_else(String::new, |who| Personal::expose(who).to_owned())
        }
        None => return Err(refused("say who looks after her, or on which day she is to be contacted")),
    };
    Ok(node.take_care(person, &CareDraft { who, on }, by)?)
}
