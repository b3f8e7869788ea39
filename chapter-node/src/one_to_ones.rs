//! One-to-ones: logging one, those of this week, and the days that are planned, also as a calendar file.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{AnswerKind, AskKind, AskOffer, Body, DocId, Event, EventId, Personal, Right, Supporter, Timestamp};
use node::{AskDraft, OneToOneDraft, Who};
use store::{Filter, Kept, Page, ToDoList};
use web::{Form, Shell, Site, WebError, ago, blocking, html};

use crate::ics::{Day, calendar};
use crate::ladder::{next_step, organiser, tint};

/// How far ahead planned days are shown, in days: further nobody prepares one.
const AHEAD_DAYS: i64 = 14;
/// The most people who are looked at for planned days.
const PLANNED_MAX: usize = 200;
/// The most one-to-ones of a week that are listed; all are counted.
const HELD_SHOWN: usize = 100;
/// The most one-to-ones of a week that are read to tell whose they are: those of a hundred organisers who reach their goal.
const HELD_READ_MAX: usize = 500;

/// An ask that is offered, with what came of it so far.
struct Offer {
    /// Its kind and text, as the form sends it.
    value: String,
    text: String,
    kind: &'static str,
    kept: String,
    chosen: bool,
}

/// What was written into the form, if it was sent already.
struct Said(Form);

impl Said {
    fn of(&self, field: &str) -> &str {
        self.0.get(field).unwrap_or_default()
    }

    fn has(&self, field: &str, value: &str) -> bool {
        self.of(field) == value
    }
}

#[derive(Template)]
#[template(path = "one_to_one.html")]
struct OneToOnePage {
    shell: Shell,
    id: String,
    name: String,
    rung: String,
    rung_class: String,
    said: Said,
    problem: Option<String>,
    organisers: Vec<(String, bool)>,
    offers: Vec<Offer>,
    kinds: Vec<(&'static str, bool)>,
}

/// What came of an ask, in words that say what is counted.
pub(crate) fn kept_words(kept: Kept) -> String {
    match kept {
        Kept { unrecorded: 0, .. } if kept.due() == 0 => "not due yet".to_owned(),
        Kept { unrecorded: 0, .. } => format!("{} of {} kept", kept.kept, kept.due()),
        Kept { unrecorded, .. } => format!("{} of {} kept, {unrecorded} not recorded", kept.kept, kept.due()),
    }
}

/// Those who can log in, and whoever is asking.
fn organisers(site: &Site, who: &Who) -> Result<Vec<String>, WebError> {
    let users = site.node.read(|read| read.users())?;
    let mut names: Vec<String> =
        users.into_iter().filter(|user| user.role.may(Right::EditPeople)).map(|user| user.name).collect();
    if !names.contains(&who.by) {
        names.push(who.by.clone());
    }
    Ok(names)
}

fn build(site: &Site, id: &str, who: &Who, form: Form, problem: Option<String>) -> Result<OneToOnePage, WebError> {
    site.node.settle()?;
    let today = site.node.now().date();
    let (her, settings, offered) = site.node.read(|read| {
        let her = read.person(read.resolve(id)?.document)?.supporter;
        let settings = read.settings()?;
        let own = read.ask_offers()?.into_iter().map(|(_, offer)| offer);
        let all = settings.asks.iter().cloned().chain(own).filter(|offer| offer.rung == her.rung);
        let offered = all.map(|offer| Ok((read.kept_of(&offer, today)?, offer)));
        let offered = offered.collect::<Result<Vec<(Kept, AskOffer)>, store::StoreError>>()?;
        Ok((her, settings, offered))
    })?;
    let said = Said(form);
    let held_by = said.0.get("who").unwrap_or(&who.by);
    let offer = |(kept, offer): &(Kept, AskOffer)| {
        let value = format!("{}:{}", offer.kind.word(), offer.text);
        Offer {
            chosen: said.has("offer", &value),
            value,
            text: offer.text.clone(),
            kind: offer.kind.word(),
            kept: kept_words(*kept),
        }
    };
    Ok(OneToOnePage {
        shell: site.shell(&format!("One-to-one with {}", her.display_name()), "/ladder", who)?,
        id: her.id.to_string(),
        name: her.display_name(),
        rung: settings.ladder.label(&her.rung).to_owned(),
        rung_class: tint(settings.ladder.position(&her.rung)),
        problem,
        organisers: organisers(site, who)?.into_iter().map(|name| (name.clone(), name == held_by)).collect(),
        offers: offered.iter().map(offer).collect(),
        kinds: AskKind::ALL.iter().map(|kind| (kind.word(), said.has("ask_kind", kind.word()))).collect(),
        said,
    })
}

/// The form.
pub(crate) async fn form(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &id, &who, Form::default(), None)).await?))
}

/// What was asked: an offer as it is offered, or in her own words.
fn asked(form: &Form) -> Result<Option<AskDraft>, WebError> {
    let due = form.parse("due")?;
    let offered = form.get("offer").and_then(|offer| offer.split_once(':'));
    let offered = offered.and_then(|(kind, text)| Some((AskKind::from_word(kind)?, text)));
    let own = form.get("ask").map(|text| (form.get("ask_kind").and_then(AskKind::from_word), text));
    let own = own.map(|(kind, text)| (kind.unwrap_or(AskKind::Task), text));
    Ok(offered.or(own).map(|(kind, text)| AskDraft { text: text.into(), kind, rung: None, due }))
}

fn log(site: &Site, id: &str, form: &Form, who: &Who) -> Result<String, WebError> {
    let person = site.node.read(|read| read.resolve(id))?.document;
    let rung = site.node.read(|read| read.person(person))?.supporter.rung;
    let personal = |name: &str| form.get(name).map(Personal::from);
    let draft = OneToOneDraft {
        at: form.parse("at")?,
        who: form.get("who").map(str::to_owned),
        minutes: form.parse("minutes")?,
        in_person: form.get("in_person").map(|there| there == "yes"),
        ask: asked(form)?.map(|ask| AskDraft { rung: Some(rung), ..ask }),
        answer: form.get("answer").and_then(AnswerKind::from_word),
        next: personal("next"),
        next_on: form.parse("next_on")?,
        story: personal("story"),
        interest: personal("interest"),
        relationships: personal("relationships"),
        capacity: personal("capacity"),
    };
    let event = site.node.log_one_to_one(person, draft, &who.by)?;
    Ok(format!("/people/{person}?did={person}:{event}"))
}

/// Logs it, and goes to her page; or shows again what was written, with what was wrong.
pub(crate) async fn post(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || match log(&site, &id, &form, &who) {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let page = build(&site, &id, &who, form, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

struct Held {
    id: String,
    name: String,
    when: String,
    exact: String,
    who: String,
    minutes: String,
    asked: bool,
}

struct Planned {
    id: String,
    name: String,
    on: String,
    next: String,
    organiser: String,
}

#[derive(Template)]
#[template(path = "one_to_ones.html")]
struct OneToOnesPage {
    shell: Shell,
    everybody: bool,
    monday: String,
    organisers: Vec<(String, u64)>,
    held: Vec<Held>,
    total: usize,
    planned: Vec<Planned>,
}

/// People with whom something is planned in the coming days, the earliest first.
fn planned(site: &Site, mine: Option<String>) -> Result<Vec<Supporter>, WebError> {
    let today = site.node.now().date();
    let to_do = Some(ToDoList::Planned(today, today.plus_days(AHEAD_DAYS)));
    let filter = Filter { mine, to_do, ..Filter::default() };
    let people = site.node.read(|read| read.people(&filter, Page { limit: PLANNED_MAX, after: None }))?;
    Ok(people.into_iter().map(|person| person.supporter).collect())
}

fn held_line(event: &Event, her: &Supporter, now: Timestamp) -> Held {
    let (minutes, ask) =
        if let Body::OneToOne { minutes, ask, .. } = &event.body { (*minutes, ask.is_some()) } else { (None, false) };
    Held {
        id: her.id.to_string(),
        name: her.display_name(),
        when: ago(Some(event.at), now),
        exact: event.at.for_people(),
        who: event.by.as_ref().map_or_else(String::new, |by| by.expose().to_owned()),
        minutes: minutes.map_or_else(String::new, |minutes| minutes.to_string()),
        asked: ask,
    }
}

fn build_list(site: &Site, form: &Form, who: &Who) -> Result<OneToOnesPage, WebError> {
    site.node.settle()?;
    let (now, everybody) = (site.node.now(), form.get("all").is_some());
    let monday = now.date().monday();
    let (total, held) = site.node.read(|read| {
        let held = read.one_to_ones(monday.begins(), monday.plus_days(7).begins())?;
        let her = |(event, person): (EventId, DocId)| Ok((event, read.person(person)?.supporter));
        let (total, newest) = (held.len(), held.into_iter().rev().take(HELD_READ_MAX));
        Ok((total, newest.map(her).collect::<Result<Vec<(EventId, Supporter)>, store::StoreError>>()?))
    })?;
    let lines = held.iter().filter_map(|(id, her)| Some(held_line(her.event(*id)?, her, now)));
    let mut lines: Vec<Held> = lines.collect();
    let mut organisers: BTreeMap<String, u64> = BTreeMap::new();
    lines.iter().for_each(|held| *organisers.entry(held.who.clone()).or_default() += 1);
    lines.truncate(HELD_SHOWN);
    let day = |her: &Supporter| {
        let due = her.work().planned;
        Planned {
            id: her.id.to_string(),
            name: her.display_name(),
            on: due.map_or_else(String::new, |due| due.on.to_string()),
            next: due.as_ref().map_or_else(String::new, |due| next_step(her, due)),
            organiser: organiser(her),
        }
    };
    let mine = Some(who.by.clone()).filter(|_| !everybody);
    Ok(OneToOnesPage {
        shell: site.shell("One-to-ones", "/ladder", who)?,
        everybody,
        monday: monday.to_string(),
        organisers: organisers.into_iter().collect(),
        held: lines,
        total,
        planned: planned(site, mine)?.iter().map(day).collect(),
    })
}

/// Those of this week, and what is planned.
pub(crate) async fn list(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build_list(&site, &form, &who)).await?))
}

/// What is planned with whoever asks' own people, for a calendar. Names and next steps, nothing that stays in the chapter.
pub(crate) async fn ics(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    let file = blocking(move || {
        site.node.settle()?;
        let day = |her: &Supporter| {
            let due = her.work().planned?;
            let said = her.event(due.event).map_or(her.modified_at, |event| event.at);
            let title = format!("One-to-one: {}", her.display_name());
            Some(Day { uid: due.event.to_string(), said, on: due.on, title, text: next_step(her, &due) })
        };
        let days: Vec<Day> = planned(&site, Some(who.by.clone()))?.iter().filter_map(day).collect();
        Ok(calendar(&format!("One-to-ones of {}", who.by), &days))
    });
    let file = file.await?;
    let kind = [(CONTENT_TYPE, "text/calendar; charset=utf-8")];
    Ok((kind, [(CONTENT_DISPOSITION, "attachment; filename=\"one-to-ones.ics\"")], file).into_response())
}
