//! Every list of people as JSON.
//!
//! **Invariant:** as many people as a page shows are looked at; more of them at once, or those after them, are taken along by
//! a program: that is an export, needs the right to it and stands in the audit log with how many they were.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::{AuditKind, DocId, Right, RungId};
use node::Who;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Filter, Page, PersonRow, Read, StoreError};

use crate::routes::may_not;
use crate::{Problem, Site, WebError, blocking, person_json};

/// People on one page: what fits a screen without losing the search.
const PAGE: usize = 50;
/// The most people in one answer to a program: some hundred KiB.
const LIST_MAX: usize = 200;

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

/// A value of the address, if one is given.
fn given(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

impl Wanted {
    fn filter(&self, read: &Read<'_>) -> Result<Filter, StoreError> {
        let chapter = given(&self.chapter).map(|slug| read.chapter(&slug)).transpose()?;
        Ok(Filter {
            query: given(&self.query),
            rung: given(&self.rung).map(RungId::new),
            tag: given(&self.tag),
            chapter: chapter.map(|chapter| chapter.scope),
            ..Filter::default()
        })
    }

    fn span(&self) -> Span {
        Span { after: self.after.clone(), limit: self.limit }
    }
}

/// Which part of a list the address asks for.
#[derive(Debug, Default, Deserialize)]
pub struct Span {
    /// After this one; empty: from the beginning.
    #[serde(default)]
    after: String,
    /// At most so many.
    limit: Option<usize>,
}

impl Span {
    /// After whom.
    fn start(&self) -> Result<Option<DocId>, WebError> {
        let after = given(&self.after).map(|id| id.parse::<DocId>()).transpose();
        after.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()).into())
    }
}

fn found(
    site: &Site,
    filter: impl FnOnce(&Read<'_>) -> Result<Filter, StoreError>,
    (after, limit): (Option<DocId>, usize),
) -> Result<(Vec<PersonRow>, Option<String>), WebError> {
    let page = Page { limit: limit + 1, after };
    let mut people = site.node.read(|read| read.people(&filter(read)?, page))?;
    let more = people.len() > limit;
    people.truncate(limit);
    let next = people.last().filter(|_| more).map(|person| person.supporter.id.to_string());
    Ok((people, next))
}

/// A list of people as JSON. Whoever may not export gets as many as a page shows, and nothing after them. Blocks.
///
/// # Errors
/// When it is asked what follows by whoever may not export, or the database fails.
pub fn people_json(
    site: &Site,
    who: &Who,
    span: &Span,
    filter: impl FnOnce(&Read<'_>) -> Result<Filter, StoreError>,
) -> Result<Value, WebError> {
    let (after, may_export) = (span.start()?, who.role.may(Right::ExportLists));
    if after.is_some() && !may_export {
        site.node.refuses(who, Right::ExportLists);
        return Err(may_not(who.role, Right::ExportLists).into());
    }
    site.node.settle()?;
    let limit = span.limit.unwrap_or(PAGE).clamp(1, if may_export { LIST_MAX } else { PAGE });
    let (people, next) = found(site, filter, (after, limit))?;
    if people.len() > PAGE || (after.is_some() && !people.is_empty()) {
        let said = site.node.audit_by(AuditKind::Exported, &who.by).detail("json");
        site.node.audit(said.number(people.len() as u64))?;
    }
    Ok(json!({"people": people.iter().map(person_json).collect::<Vec<_>>(), "next": next}))
}

pub(super) async fn json(
    State(site): State<Site>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    Extension(who): Extension<Who>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", error.body_text()))?;
    let listed = blocking(move || people_json(&site, &who, &wanted.span(), |read| wanted.filter(read)));
    listed.await.map(Json).map_err(|error| error.0)
}
