//! The pages for national staff: the network, its chapters, who waits.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use model::{Ladder, Right, RungId, Timestamp};
use node::{NodeError, Who};
use serde_json::{Value, json};
use store::{ChapterRow, Filter, LinkStanding, Page, PersonRow};
use web::{Form, Problem, Shell, Span, WebError, ago, blocking, chapter_json, html, people_json};

use crate::held::{self, HeldLine};
use crate::routing::read_set;
use crate::site::Hub;

/// People who wait, on one page.
const WAITING_SHOWN: usize = 200;

struct RungFigure {
    label: String,
    class: String,
    count: u64,
    /// Where its part of the bar begins and how wide it is, in thousandths.
    from: u64,
    width: u64,
}

struct ChapterLine {
    slug: String,
    name: String,
    people: u64,
    rungs: Vec<u64>,
    link: String,
    link_class: &'static str,
    fresh: String,
}

fn figures(ladder: &Ladder, counts: &[(String, u64)]) -> Vec<RungFigure> {
    let count = |id: &RungId| counts.iter().find(|(rung, _)| rung == id.as_str()).map_or(0, |(_, count)| *count);
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut from = 0;
    let figure = |(nth, rung): (usize, &model::Rung)| {
        let (count, begins) = (count(&rung.id), from);
        let width = (count * 1000).checked_div(total).unwrap_or(0);
        from += width;
        RungFigure { label: rung.label.clone(), class: format!("rung-{}", nth + 1), count, from: begins, width }
    };
    ladder.rungs().iter().enumerate().map(figure).collect()
}

/// The rungs' names, lowest first.
fn labels(ladder: &Ladder) -> Vec<String> {
    ladder.rungs().iter().map(|rung| rung.label.clone()).collect()
}

fn chapter_line(chapter: &ChapterRow, ladder: &Ladder, now: Timestamp) -> ChapterLine {
    let connected = chapter.links.iter().any(|(standing, _)| *standing == LinkStanding::Connected);
    let (link, link_class) = match (chapter.left, connected) {
        (Some(left), _) => (format!("left {}, not in the totals", left.for_people()), "warn"),
        (None, true) => ("in step".to_owned(), "good"),
        (None, false) if chapter.links.is_empty() => ("not joined".to_owned(), "warn"),
        (None, false) => ("offline".to_owned(), "warn"),
    };
    let count = |id: &RungId| chapter.rungs.iter().find(|(rung, _)| rung == id.as_str()).map_or(0, |(_, count)| *count);
    ChapterLine {
        slug: chapter.slug.to_string(),
        name: chapter.name.clone(),
        people: chapter.supporters(),
        rungs: ladder.rungs().iter().map(|rung| count(&rung.id)).collect(),
        link,
        link_class,
        fresh: ago(chapter.last_exchange(), now),
    }
}

#[derive(Template)]
#[template(path = "network.html")]
struct NetworkPage {
    shell: Shell,
    people: u64,
    rungs: Vec<RungFigure>,
    waiting: u64,
    held: u64,
    conflicts: u64,
    proposals: u64,
    labels: Vec<String>,
    chapters: Vec<ChapterLine>,
    as_of: String,
    oldest: Option<String>,
    sees_people: bool,
    sees_audit: bool,
}

#[derive(Template)]
#[template(path = "chapters.html")]
struct ChaptersPage {
    shell: Shell,
    labels: Vec<String>,
    chapters: Vec<ChapterLine>,
}

#[derive(Template)]
#[template(path = "chapter.html")]
struct ChapterPage {
    shell: Shell,
    chapter: ChapterLine,
    rungs: Vec<RungFigure>,
    rules: Vec<String>,
    card: Vec<(&'static str, String)>,
    version: u64,
    sees_people: bool,
}

struct WaitingLine {
    id: String,
    name: String,
    why: String,
    since: String,
}

#[derive(Template)]
#[template(path = "unplaced.html")]
struct UnplacedPage {
    shell: Shell,
    reasons: Vec<(String, u64)>,
    people: Vec<WaitingLine>,
    chapters: Vec<(String, String)>,
    held: Vec<HeldLine>,
    held_count: u64,
    problem: Option<String>,
}

pub(crate) async fn network(State(hub): State<Hub>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    let made = blocking(move || {
        let node = &hub.site.node;
        let tally = node.tally()?;
        let (chapters, ladder) = node.read(|read| Ok((read.chapters()?, read.settings()?.ladder)))?;
        let now = node.now();
        let joined = chapters.iter().filter(|chapter| !chapter.links.is_empty() && chapter.left.is_none());
        let oldest = joined.min_by_key(|chapter| chapter.last_exchange());
        Ok(NetworkPage {
            shell: hub.site.shell("Network", "/", &who)?,
            people: tally.supporters,
            rungs: figures(&ladder, &tally.rungs),
            waiting: tally.waiting,
            held: node.read(|read| read.held_count())?,
            conflicts: tally.conflicts,
            proposals: tally.proposals,
            labels: labels(&ladder),
            oldest: oldest.map(|chapter| format!("{}, {}", chapter.name, ago(chapter.last_exchange(), now))),
            chapters: chapters.iter().map(|chapter| chapter_line(chapter, &ladder, now)).collect(),
            as_of: now.for_people(),
            sees_people: who.role.may(Right::SeePeople),
            sees_audit: who.role.may(Right::SeeAudit),
        })
    });
    Ok(html(&made.await?))
}

pub(crate) async fn chapters(State(hub): State<Hub>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    let made = blocking(move || {
        let node = &hub.site.node;
        let (chapters, ladder) = node.read(|read| Ok((read.chapters()?, read.settings()?.ladder)))?;
        let now = node.now();
        Ok(ChaptersPage {
            shell: hub.site.shell("Chapters", "/chapters", &who)?,
            labels: labels(&ladder),
            chapters: chapters.iter().map(|chapter| chapter_line(chapter, &ladder, now)).collect(),
        })
    });
    Ok(html(&made.await?))
}

pub(crate) async fn chapter(
    State(hub): State<Hub>,
    Path(slug): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let made = blocking(move || {
        let node = &hub.site.node;
        let (chapter, ladder, (version, body)) =
            node.read(|read| Ok((read.chapter(&slug)?, read.settings()?.ladder, read.territories()?)))?;
        let card = node.read(|read| read.card(chapter.scope))?.unwrap_or_default();
        let set = read_set(version, body.as_deref())?;
        let mut territories = set.territories.into_iter();
        let territory = territories.find(|territory| territory.slug == chapter.slug && !territory.left);
        let fact = |(name, label): (&'static str, &'static str)| card.get(name).map(|value| (label, value.to_owned()));
        Ok(ChapterPage {
            shell: hub.site.shell(&chapter.name, "/chapters", &who)?,
            chapter: chapter_line(&chapter, &ladder, node.now()),
            rungs: figures(&ladder, &chapter.rungs),
            rules: territory.map(|territory| territory.rules).unwrap_or_default(),
            card: model::ChapterCard::FIELDS.into_iter().filter_map(fact).collect(),
            version,
            sees_people: who.role.may(Right::SeePeople),
        })
    });
    Ok(html(&made.await?))
}

fn who_wait() -> Filter {
    Filter { waiting: Some(true), ..Filter::default() }
}

fn waiting(hub: &Hub) -> Result<Vec<PersonRow>, NodeError> {
    hub.site.node.settle()?;
    hub.site.node.read(|read| read.people(&who_wait(), Page { limit: WAITING_SHOWN, after: None }))
}

fn unplaced_page(hub: &Hub, who: &Who, problem: Option<String>) -> Result<UnplacedPage, WebError> {
    let people = waiting(hub)?;
    let (held, held_count) = held::shown(&hub.site.node)?;
    let (reasons, chapters) = hub.site.node.read(|read| Ok((read.waiting_by_reason()?, read.chapters()?)))?;
    let now = hub.site.node.now();
    let line = |person: &PersonRow| {
        let her = &person.supporter;
        let why = her.events.iter().rev().find_map(|event| {
            if let model::Body::Placement(fact) = &event.body { Some(fact.explanation.clone()) } else { None }
        });
        let since = ago(Some(her.id.created_at()), now);
        WaitingLine { id: her.id.to_string(), name: her.display_name(), why: why.unwrap_or_default(), since }
    };
    Ok(UnplacedPage {
        shell: hub.site.shell("Waiting", "/unplaced", who)?,
        reasons: reasons.into_iter().map(|(reason, count)| (reason.replace('_', " "), count)).collect(),
        people: people.iter().map(line).collect(),
        chapters: chapters
            .into_iter()
            .filter(|chapter| chapter.left.is_none())
            .map(|chapter| (chapter.slug.to_string(), chapter.name))
            .collect(),
        held,
        held_count,
        problem,
    })
}

pub(crate) async fn unplaced(State(hub): State<Hub>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    Ok(html(&blocking(move || unplaced_page(&hub, &who, None)).await?))
}

fn place(hub: &Hub, id: &str, slug: &str, by: &str) -> Result<String, NodeError> {
    let person = hub.site.node.read(|read| read.resolve(id))?.document;
    hub.site.node.place_by_hand(person, slug, by)?;
    Ok(person.to_string())
}

pub(crate) async fn assign(
    State(hub): State<Hub>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let slug = form.need("chapter", "choose a chapter")?;
        match place(&hub, &id, slug, &who.by).map_err(WebError::from) {
            Ok(_) => Ok(Redirect::to("/unplaced").into_response()),
            Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
                let page = unplaced_page(&hub, &who, Some(problem.detail))?;
                Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
            }
            Err(error) => Err(error),
        }
    })
    .await
}

pub(crate) async fn chapters_json(State(hub): State<Hub>) -> Result<Json<Value>, Problem> {
    let made = blocking(move || {
        let chapters = hub.site.node.read(|read| read.chapters())?;
        Ok(json!({"chapters": chapters.iter().map(chapter_json).collect::<Vec<_>>()}))
    });
    made.await.map(Json).map_err(|error| error.0)
}

pub(crate) async fn unplaced_json(
    State(hub): State<Hub>,
    span: Result<Query<Span>, QueryRejection>,
    Extension(who): Extension<Who>,
) -> Result<Json<Value>, Problem> {
    let Query(span) = span.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", error.body_text()))?;
    let made = blocking(move || people_json(&hub.site, &who, &span, |_| Ok(who_wait())));
    made.await.map(Json).map_err(|error| error.0)
}

/// What is posted to place somebody.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Assign {
    chapter: String,
}

pub(crate) async fn assign_json(
    State(hub): State<Hub>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    Json(wanted): Json<Assign>,
) -> Result<Json<Value>, Problem> {
    let made = blocking(move || {
        let person = place(&hub, &id, &wanted.chapter, &who.by)?;
        Ok(json!({"id": person, "chapter": wanted.chapter}))
    });
    made.await.map(Json).map_err(|error| error.0)
}
