//! The page of people: search while one types, filters, lists that are saved, pages by key.
//!
//! **Invariant:** a program gets the first page only, unless it has the right to export.

use std::collections::BTreeSet;

use askama::Template;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{AuditKind, Channel, DocId, NetworkSettings, Right, Timestamp};
use node::{Node, NodeError, Priority, Who};
use store::{Page, PersonRow, SavedFilter};

use super::filters::{Chip, Sought};
use crate::forms::{Form, refused};
use crate::people::words::{label, place_of};
use crate::routes::may_not;
use crate::{Problem, Shell, Site, WebError, blocking, html, since};

/// People on one page: what fits a screen without losing the search.
const PAGE: usize = 50;
/// So many are counted while somebody types: beyond it the number says no more than "many".
const COUNTED: u64 = 1_000;
/// The most organisers that are offered when people are given out.
const OFFERED: usize = 40;

struct Row {
    id: String,
    name: String,
    rung: String,
    rung_class: String,
    chapter: String,
    place: String,
    care: String,
    came: String,
    conflict: bool,
    closed: bool,
}

/// Something to choose in a list.
struct Choice {
    value: String,
    words: String,
    chosen: bool,
}

struct Saved {
    name: String,
    address: String,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    shell: Shell,
    own: bool,
    problem: Option<String>,
    sought: Sought,
    rungs: Vec<Choice>,
    channels: Vec<Choice>,
    chapters: Vec<Choice>,
    chips: Vec<Chip>,
    saved: Vec<Saved>,
    rows: Vec<Row>,
    next: Option<String>,
    /// The filters as they stand in the address.
    here: String,
    everybody: bool,
    counted: String,
    organisers: Vec<(String, u64)>,
    hub: bool,
    may_edit: bool,
    may_export: bool,
}

fn row(person: &PersonRow, settings: &NetworkSettings, now: Timestamp) -> Row {
    let her = &person.supporter;
    Row {
        id: her.id.to_string(),
        name: her.display_name(),
        rung: settings.ladder.label(&her.rung).to_owned(),
        rung_class: format!("rung-{}", settings.ladder.position(&her.rung) + 1),
        chapter: match (&person.chapter_name, person.left) {
            (Some(name), Some(left)) => format!("{name} (left {})", left.for_people()),
            (Some(name), None) => name.clone(),
            (None, _) if person.elsewhere => "beside her home chapter".to_owned(),
            (None, _) => "waiting".to_owned(),
        },
        place: place_of(her),
        care: her.looked_after_by.as_ref().map_or_else(String::new, |who| who.expose().to_owned()),
        came: since(her.id.created_at(), now),
        conflict: !her.conflicts.is_empty(),
        closed: her.do_not_contact,
    }
}

/// Who can be given people: who looks after some already, and who may log in here.
pub(super) fn organisers(node: &Node) -> Result<Vec<(String, u64)>, NodeError> {
    let (mut known, users) = node.read(|read| Ok((read.carers()?, read.users()?)))?;
    let names: BTreeSet<String> = known.iter().map(|(name, _)| name.clone()).collect();
    let new = users.into_iter().filter(|user| user.role.may(Right::LogAttempts) && !names.contains(&user.name));
    known.extend(new.map(|user| (user.name, 0)));
    known.sort();
    Ok(known)
}

fn in_words(counted: u64, most: u64) -> String {
    match counted {
        1 => "1 supporter".to_owned(),
        n if n > most => format!("More than {most} supporters"),
        n => format!("{n} supporters"),
    }
}

/// The page. Blocks.
pub(super) fn build(site: &Site, sought: Sought, who: &Who, problem: Option<String>) -> Result<Response, WebError> {
    let (node, now) = (&site.node, site.node.now());
    let after = Some(sought.after.trim()).filter(|after| !after.is_empty()).map(str::parse::<DocId>).transpose();
    let after = after.map_err(|error| WebError(Problem::new(StatusCode::BAD_REQUEST, "invalid", error.to_string())))?;
    // A program that turns pages takes a list along, as it does by JSON.
    let taken_along = after.is_some() && who.session.is_none();
    if taken_along && !who.role.may(Right::ExportLists) {
        node.refuses(who, Right::ExportLists);
        return Err(may_not(who.role, Right::ExportLists).into());
    }
    let (mut people, counted) = node.read(|read| {
        let filter = sought.filter(read, who)?;
        let people = read.people(&filter, Page { limit: PAGE + 1, after })?;
        let everybody = sought.is_everybody();
        let counted = if everybody { read.tally()?.supporters } else { read.count_people_to(&filter, COUNTED + 1)? };
        Ok((people, counted))
    })?;
    let more = people.len() > PAGE;
    people.truncate(PAGE);
    if taken_along && !people.is_empty() {
        node.audit(node.audit_by(AuditKind::Exported, &who.by).detail("html").number(people.len() as u64))?;
    }
    let (settings, saved) = node.read(|read| Ok((read.settings()?, read.saved_filters(&who.by)?)))?;
    let chapters = if site.node.is_hub() { node.read(|read| read.chapters())? } else { Vec::new() };
    let option = |value: &str, words: &str, chosen: &str| Choice {
        value: value.to_owned(),
        words: words.to_owned(),
        chosen: value == chosen,
    };
    let chapter_name = |slug: &str| {
        let found = chapters.iter().find(|chapter| chapter.slug.as_str() == slug);
        found.map_or_else(|| slug.to_owned(), |chapter| chapter.name.clone())
    };
    let (own, everybody) = (sought.is_own(who), sought.is_everybody());
    let chips = sought.chips(|name, value| match name {
        "rung" => settings.ladder.label(&model::RungId::new(value)).to_owned(),
        "tag" => format!("tag {value}"),
        "mine" if own => "my people".to_owned(),
        "mine" => format!("looked after by {value}"),
        "chapter" => chapter_name(value),
        "not_since" => format!("not talked with since {value}"),
        "consent" => format!("said yes to {}", label(value).to_lowercase()),
        "closed" => "do not contact".to_owned(),
        _ => "needs you".to_owned(),
    });
    let here = sought.query_string();
    let next = people.last().filter(|_| more).map(|last| {
        let sign = if here.is_empty() { "" } else { "&" };
        format!("/people?{here}{sign}after={}", last.supporter.id)
    });
    let may_edit = who.role.may(Right::EditPeople);
    let mut shell = site.shell(if own { "My people" } else { "People" }, "/people", who)?;
    shell.notice = site.notice(Some(sought.did.as_str()), &sought.list(), who);
    let page = PeoplePage {
        shell,
        own,
        problem,
        rungs: settings.ladder.rungs().iter().map(|r| option(r.id.as_str(), &r.label, &sought.rung)).collect(),
        channels: Channel::ALL.iter().map(|c| option(c.word(), &label(c.word()), &sought.consent)).collect(),
        chapters: chapters.iter().map(|c| option(c.slug.as_str(), &c.name, &sought.chapter)).collect(),
        chips,
        saved: saved
            .into_iter()
            .map(|SavedFilter { name, query }| Saved { name, address: format!("/people?{query}") })
            .collect(),
        rows: people.iter().map(|person| row(person, &settings, now)).collect(),
        next,
        here,
        everybody,
        counted: in_words(counted, if everybody { u64::MAX } else { COUNTED }),
        organisers: if may_edit { organisers(node)?.into_iter().take(OFFERED).collect() } else { Vec::new() },
        hub: node.is_hub(),
        may_edit,
        may_export: who.role.may(Right::ExportLists),
        sought,
    };
    Ok(html(&page))
}

pub(super) async fn page(
    State(site): State<Site>,
    sought: Result<Query<Sought>, QueryRejection>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let Query(sought) = sought.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", error.body_text()))?;
    blocking(move || build(&site, sought, &who, None)).await
}

/// The list on whose page a form stood: its filters, as the form has them.
pub(super) fn list_of(form: &Form) -> Result<Sought, WebError> {
    let uri = format!("/people?{}", form.get("here").unwrap_or_default()).parse::<Uri>().ok();
    let read = uri.and_then(|uri| Query::<Sought>::try_from_uri(&uri).ok());
    read.map(|Query(sought)| sought).ok_or_else(|| refused("these filters can't be read: choose them again"))
}

/// Saves the filters of a list under a name, or forgets one of that name.
pub(super) async fn save(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let (sought, name) = (list_of(&form)?, form.need("name", "give the list a name")?.to_owned());
        let (list, query, at, login) = (sought.list(), sought.query_string(), site.node.now(), who.by.clone());
        let forget = form.get("do") == Some("forget");
        let saved = site.node.write(Priority::Interactive, move |tx| {
            if forget {
                tx.drop_filter(&login, &name)
            } else {
                tx.save_filter(&login, &SavedFilter { name, query }, at)
            }
        });
        match saved.map_err(WebError::from) {
            Ok(()) => Ok(Redirect::to(&list).into_response()),
            Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
                let page = build(&site, sought, &who, Some(problem.detail))?;
                Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
            }
            Err(error) => Err(error),
        }
    })
    .await
}
