//! What is done with several people of a list at once: a tag, a file. Giving them out is `giving.rs`.
//!
//! **Invariant:** a file of people is an export: it needs the right to it, stands in the audit log with how many they are,
//! and whom nobody may contact is in it only where the list is of those.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{AuditKind, DocId, Personal};
use node::{Node, Tagging, Who};
use store::{Page, PersonRow};

use super::filters::Sought;
use super::found::{build, list_of};
use crate::forms::{Form, refused};
use crate::undo::Done;
use crate::undo_edit::Back;
use crate::{Site, WebError, blocking, person_json};

/// The most people in one file: some tens of MiB in memory, and some seconds of reading.
const EXPORT_MAX: usize = 50_000;
/// How many are read at a time.
const READ_AT_ONCE: usize = 500;

/// The columns of a file, by OSDI's names.
const COLUMNS: &str =
    "id,given_name,family_name,email,phone,postal_code,locality,region,country,rung,chapter,looked_after_by,tags";

fn chosen(form: &Form) -> Result<Vec<DocId>, WebError> {
    let read =
        |id: &str| id.parse::<DocId>().map_err(|_| refused("one of the people can't be read: choose them again"));
    let people = form.all("person").map(read).collect::<Result<Vec<_>, _>>()?;
    if people.is_empty() {
        Err(refused("choose the people first, with the boxes beside their names"))
    } else {
        Ok(people)
    }
}

/// Puts a tag on them, or takes it off: done, and back to their list; or the list again with what was wrong.
pub(super) async fn tag(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let sought = list_of(&form)?;
        match put(&site, &form, &who) {
            Ok(done) => Ok(Redirect::to(&done.back(&sought.list())).into_response()),
            Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
                let page = build(&site, sought, &who, Some(problem.detail))?;
                Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
            }
            Err(error) => Err(error),
        }
    })
    .await
}

fn put(site: &Site, form: &Form, who: &Who) -> Result<Done, WebError> {
    let how = if form.get("do") == Some("remove") { Tagging::Remove } else { Tagging::Add };
    let (tag, changed) = site.node.tag(&chosen(form)?, form.get("tag").unwrap_or_default(), how, &who.by)?;
    if changed.is_empty() {
        return Ok(Done::Quietly);
    }
    let of = if changed.len() == 1 { "1 person".to_owned() } else { format!("{} people", changed.len()) };
    let words = format!("The tag {tag} was {} {of}", if how == Tagging::Add { "put on" } else { "taken off" });
    Ok(site.edits.keep((who.by.as_str(), site.node.now()), words, Back::Tag(changed, tag, how.reverse())))
}

/// Everybody of a list who may be contacted, or those of it who may not, if the list is of them.
fn everybody(node: &Node, sought: &Sought, who: &Who) -> Result<Vec<PersonRow>, WebError> {
    node.settle()?;
    let (mut found, mut after): (Vec<PersonRow>, Option<DocId>) = (Vec::new(), None);
    loop {
        let people = node.read(|read| {
            let filter = sought.filter(read, who)?;
            Ok((read.people(&filter, Page { limit: READ_AT_ONCE, after })?, filter.do_not_contact))
        })?;
        let (people, closed) = people;
        let last = people.len() < READ_AT_ONCE;
        after = people.last().map(|person| person.supporter.id);
        found.extend(people.into_iter().filter(|person| closed || !person.supporter.do_not_contact));
        if found.len() > EXPORT_MAX {
            return Err(refused(&format!("a file takes at most {EXPORT_MAX} people: narrow the list with filters")));
        }
        if last {
            return Ok(found);
        }
    }
}

/// A cell of a file. What a spreadsheet would calculate stays a text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

fn line(person: &PersonRow) -> String {
    let her = &person.supporter;
    let address = her.addresses.first();
    let part = |of: fn(&model::PostalAddress) -> Option<&Personal>| {
        address.and_then(of).map_or_else(String::new, |part| part.expose().to_owned())
    };
    let cells = [
        her.id.to_string(),
        her.field("given_name").to_owned(),
        her.field("family_name").to_owned(),
        her.emails.first().map_or_else(String::new, |email| email.address.as_str().to_owned()),
        her.phones.first().map_or_else(String::new, |phone| phone.number.digits().to_owned()),
        part(|address| address.postal_code.as_ref()),
        part(|address| address.locality.as_ref()),
        part(|address| address.region.as_ref()),
        address.and_then(|address| address.country.clone()).unwrap_or_default(),
        her.rung.to_string(),
        person.slug.clone().unwrap_or_default(),
        her.looked_after_by.as_ref().map_or_else(String::new, |who| who.expose().to_owned()),
        her.tags.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
    ];
    cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",")
}

/// The people of a list as a file: those who are chosen, or all of it.
pub(super) async fn export(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let sought = list_of(&form)?;
        let mut people = everybody(&site.node, &sought, &who)?;
        let only = form.all("person").collect::<Vec<_>>();
        people.retain(|person| only.is_empty() || only.contains(&person.supporter.id.to_string().as_str()));
        let lines = form.get("format") == Some("jsonl");
        let (kind, name, word) = if lines {
            ("application/jsonl; charset=utf-8", "attachment; filename=\"people.jsonl\"", "jsonl")
        } else {
            ("text/csv; charset=utf-8", "attachment; filename=\"people.csv\"", "csv")
        };
        let mut file = if lines { String::new() } else { format!("{COLUMNS}\r\n") };
        for person in &people {
            let (line, end) = if lines { (person_json(person).to_string(), "\n") } else { (line(person), "\r\n") };
            file.push_str(&line);
            file.push_str(end);
        }
        // Before it is given: what can't be noted is not taken along.
        let said = site.node.audit_by(AuditKind::Exported, &who.by).detail(word).number(people.len() as u64);
        site.node.audit(said)?;
        Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)], file).into_response())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_ends_where_it_ends() {
        assert_eq!(cell("Mary \"Jo\", Brown"), "\"Mary \"\"Jo\"\", Brown\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell(""), "\"\"");
    }
}
