//! The list of people: search, rungs, pages by key.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use model::{DocId, RungId};
use node::Who;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Filter, Page, PersonRow};

use crate::people::words::place_of;
use crate::{Problem, Shell, Site, WebError, html, person_json, since};

/// People on one page: what fits a screen without losing the search.
const PAGE: usize = 50;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    query: String,
    #[serde(default)]
    rung: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    chapter: String,
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

struct Row {
    id: String,
    name: String,
    rung: String,
    rung_class: String,
    chapter: String,
    place: String,
    came: String,
    conflict: bool,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    shell: Shell,
    wanted: Wanted,
    rungs: Vec<(String, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    hub: bool,
    total: u64,
}

fn found(site: &Site, wanted: &Wanted, limit: usize) -> Result<(Vec<PersonRow>, Option<String>), WebError> {
    let text = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    let after = text(&wanted.after).map(|id| id.parse::<DocId>()).transpose();
    let after = after.map_err(|error| WebError(Problem::new(StatusCode::BAD_REQUEST, "invalid", error.to_string())))?;
    let mut people = site.node.read(|read| {
        let chapter = text(&wanted.chapter).map(|slug| read.chapter(&slug)).transpose()?;
        let filter = Filter {
            query: text(&wanted.query),
            rung: text(&wanted.rung).map(RungId::new),
            tag: text(&wanted.tag),
            chapter: chapter.map(|chapter| chapter.scope),
            ..Filter::default()
        };
        read.people(&filter, Page { limit: limit + 1, after })
    })?;
    let more = people.len() > limit;
    people.truncate(limit);
    let next = people.last().filter(|_| more).map(|person| person.supporter.id.to_string());
    Ok((people, next))
}

pub(super) async fn page(
    State(site): State<Site>,
    Query(wanted): Query<Wanted>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let page = tokio::task::spawn_blocking(move || {
        let shell = site.shell("People", "/people", &who)?;
        let (people, next) = found(&site, &wanted, PAGE)?;
        let (settings, tally) = site.node.read(|read| Ok((read.settings()?, read.tally()?)))?;
        let now = site.node.now();
        let row = |person: &PersonRow| Row {
            id: person.supporter.id.to_string(),
            name: person.supporter.display_name(),
            rung: settings.ladder.label(&person.supporter.rung).to_owned(),
            rung_class: format!("rung-{}", settings.ladder.position(&person.supporter.rung) + 1),
            chapter: match (&person.chapter_name, person.left) {
                (Some(name), Some(left)) => format!("{name} (left {})", left.for_people()),
                (Some(name), None) => name.clone(),
                (None, _) if person.elsewhere => "beside her home chapter".to_owned(),
                (None, _) => "waiting".to_owned(),
            },
            place: place_of(&person.supporter),
            came: since(person.supporter.id.created_at(), now),
            conflict: !person.supporter.conflicts.is_empty(),
        };
        let rungs = settings.ladder.rungs().iter().map(|rung| (rung.id.to_string(), rung.label.clone())).collect();
        let rows = people.iter().map(row).collect();
        Ok::<_, WebError>(PeoplePage {
            shell,
            wanted,
            rungs,
            rows,
            next,
            hub: site.node.is_hub(),
            total: tally.supporters,
        })
    });
    Ok(html(&page.await.map_err(|_| node::NodeError::ShuttingDown)??))
}

pub(super) async fn json(
    State(site): State<Site>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", error.body_text()))?;
    let listed = tokio::task::spawn_blocking(move || {
        site.node.settle()?;
        let (people, next) = found(&site, &wanted, wanted.limit.unwrap_or(PAGE).clamp(1, 200))?;
        Ok::<_, WebError>(json!({"people": people.iter().map(person_json).collect::<Vec<_>>(), "next": next}))
    });
    let listed = listed.await.map_err(|_| Problem::from(&node::NodeError::ShuttingDown))?;
    listed.map(Json).map_err(|error| error.0)
}
