//! Asks: what is open and when it is due, how much of each kind was kept, and what this chapter offers to ask.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{AnswerKind, AskKind, AskOffer, Body, EventId, Personal, Right, RungId, Supporter};
use node::Who;
use store::{AskFigures, AskRow};
use web::{Form, Problem, Shell, Site, WebError, blocking, html};

use crate::ladder::{organiser, tint};
use crate::one_to_ones::kept_words;

/// Open asks on one page: an evening's.
const SHOWN: usize = 50;

struct Open {
    event: String,
    person: String,
    name: String,
    text: String,
    kind: &'static str,
    lead: bool,
    due: String,
    late: bool,
    said_yes: bool,
    organiser: String,
}

struct KindLine {
    kind: &'static str,
    asked: u64,
    no: u64,
    due: u64,
    kept: u64,
    missed: u64,
    unrecorded: u64,
    rate: String,
}

struct OfferLine {
    /// Its number, if it is the chapter's own.
    own: Option<i64>,
    text: String,
    kind: &'static str,
    kept: String,
}

struct RungOffers {
    id: String,
    label: String,
    class: String,
    offers: Vec<OfferLine>,
}

#[derive(Template)]
#[template(path = "asks.html")]
struct AsksPage {
    shell: Shell,
    problem: Option<String>,
    mine: bool,
    may_edit: bool,
    open: Vec<Open>,
    more: Option<String>,
    kinds: Vec<KindLine>,
    rungs: Vec<RungOffers>,
    words: Vec<&'static str>,
    text_bytes_max: usize,
}

fn kind_line(figures: &AskFigures) -> KindLine {
    let kept = figures.outcomes;
    let rate = (kept.kept * 100).checked_div(kept.due()).map_or_else(String::new, |part| format!("{part} %"));
    KindLine {
        kind: figures.kind.word(),
        asked: figures.asked,
        no: figures.no,
        due: kept.due(),
        kept: kept.kept,
        missed: kept.missed,
        unrecorded: kept.unrecorded,
        rate,
    }
}

fn open_line(row: &AskRow, her: &Supporter, today: model::Date) -> Option<Open> {
    let Body::Ask { text, ask_kind, due, .. } = &her.event(row.event)?.body else { return None };
    Some(Open {
        event: row.event.to_string(),
        person: her.id.to_string(),
        name: her.display_name(),
        text: text.expose().to_owned(),
        kind: ask_kind.word(),
        lead: *ask_kind == AskKind::Lead,
        due: due.map_or_else(|| "no day".to_owned(), |day| day.to_string()),
        late: due.is_some_and(|day| day < today),
        said_yes: row.outcome == Some(AnswerKind::Yes),
        organiser: organiser(her),
    })
}

/// Where a page of open asks goes on, as the address says it: the day and the ask.
fn place(text: &str) -> Option<(&str, EventId)> {
    let (waits, event) = text.split_once('.')?;
    Some((waits, event.parse().ok()?))
}

fn build(site: &Site, form: &Form, who: &Who, problem: Option<String>) -> Result<AsksPage, WebError> {
    site.node.settle()?;
    let (today, mine) = (site.node.now().date(), form.get("mine").is_some());
    let login = mine.then_some(who.by.as_str());
    let after = form.get("after").and_then(place);
    let (mut open, figures, rungs) = site.node.read(|read| {
        let rows = read.open_asks(login, after, SHOWN + 1)?;
        let open = rows.into_iter().map(|row| Ok((read.person(row.person)?.supporter, row)));
        let open = open.collect::<Result<Vec<(Supporter, AskRow)>, store::StoreError>>()?;
        let (settings, own) = (read.settings()?, read.ask_offers()?);
        let network = settings.asks.iter().map(|offer| (None, offer.clone()));
        let offers: Vec<_> = network.chain(own.into_iter().map(|(id, offer)| (Some(id), offer))).collect();
        let mut rungs = Vec::new();
        for (position, rung) in settings.ladder.rungs().iter().enumerate() {
            let mut lines = Vec::new();
            for (own, offer) in offers.iter().filter(|(_, offer)| offer.rung == rung.id) {
                let kept = kept_words(read.kept_of(offer, today)?);
                lines.push(OfferLine { own: *own, text: offer.text.clone(), kind: offer.kind.word(), kept });
            }
            let (id, label) = (rung.id.to_string(), rung.label.clone());
            rungs.push(RungOffers { id, label, class: tint(position), offers: lines });
        }
        Ok((open, read.ask_figures(today)?, rungs))
    })?;
    let more = open.len() > SHOWN;
    open.truncate(SHOWN);
    let query = if mine { "mine=1&" } else { "" };
    let next = open.last().filter(|_| more).map(|(_, row)| format!("/asks?{query}after={}.{}", row.waits, row.event));
    let mut shell = site.shell("Asks", "/asks", who)?;
    shell.notice = site.notice(form.get("did"), if mine { "/asks?mine=1" } else { "/asks" }, who);
    Ok(AsksPage {
        shell,
        problem,
        mine,
        may_edit: who.role.may(Right::EditPeople),
        open: open.iter().filter_map(|(her, row)| open_line(row, her, today)).collect(),
        more: next,
        kinds: figures.iter().map(kind_line).collect(),
        rungs,
        words: AskKind::ALL.iter().map(|kind| kind.word()).collect(),
        text_bytes_max: AskOffer::TEXT_BYTES_MAX,
    })
}

/// The page.
pub(crate) async fn page(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &form, &who, None)).await?))
}

fn refused(words: &str) -> WebError {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words).into()
}

fn answered(site: &Site, form: &Form, who: &Who) -> Result<String, WebError> {
    let ask: EventId = form.parse("ask")?.ok_or_else(|| refused("choose the ask"))?;
    let person = form.need("person", "say whose ask it is")?;
    let person = site.node.read(|read| read.resolve(person))?.document;
    let answer = form.get("answer").and_then(AnswerKind::from_word);
    let answer = answer.ok_or_else(|| refused("choose what came of it"))?;
    let event = site.node.answer_ask(person, ask, answer, form.get("line").map(Personal::from), &who.by)?;
    let mine = if form.get("mine").is_some() { "mine=1&" } else { "" };
    Ok(format!("/asks?{mine}did={person}:{event}"))
}

fn offered(site: &Site, form: &Form, _: &Who) -> Result<String, WebError> {
    if let Some(own) = form.parse::<i64>("remove")? {
        site.node.remove_ask_offer(own)?;
        return Ok("/asks#offers".to_owned());
    }
    let rung = RungId::new(form.need("rung", "choose the rung")?);
    let kind = form.get("kind").and_then(AskKind::from_word).ok_or_else(|| refused("choose the kind"))?;
    let text = form.need("text", "say what is asked")?.to_owned();
    site.node.add_ask_offer(AskOffer { rung, kind, text })?;
    Ok("/asks#offers".to_owned())
}

/// Does what a form says, and goes on; or shows the page with what was wrong.
async fn done(
    site: Site,
    who: Who,
    form: Form,
    act: fn(&Site, &Form, &Who) -> Result<String, WebError>,
) -> Result<Response, WebError> {
    blocking(move || match act(&site, &form, &who) {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let page = build(&site, &form, &who, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

/// Logs what came of an ask.
pub(crate) async fn answer(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    done(site, who, form, answered).await
}

/// Adds an ask to the chapter's own list, or takes one away.
pub(crate) async fn offers(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    done(site, who, form, offered).await
}
