//! The audit log as a page: who did what, when. The newest first, pages by key.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::Right;
use node::Who;
use serde::Deserialize;
use store::AuditRow;

use crate::routes::{Access, Pages};
use crate::{Problem, Shell, Site, WebError, ago, blocking, html};

/// Rows on one page: what one scrolls through.
const PAGE: usize = 200;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    before: Option<i64>,
}

struct Line {
    when: String,
    exact: String,
    who: String,
    what: String,
    /// Her id, and its end.
    person: Option<(String, String)>,
    number: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    lines: Vec<Line>,
    next: Option<i64>,
}

/// The route of the audit log's page.
pub(crate) fn audit_page() -> Pages<Site> {
    Pages::default().get("/audit", Access::Needs(Right::SeeAudit), page)
}

async fn page(
    State(site): State<Site>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let Query(wanted) = wanted.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid", error.body_text()))?;
    let made = blocking(move || {
        let mut rows = site.node.read(|read| read.audit_rows(None, wanted.before, PAGE + 1))?;
        let more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let next = rows.last().filter(|_| more).map(|row| row.id);
        let now = site.node.now();
        let line = |row: AuditRow| Line {
            when: ago(Some(row.at), now),
            exact: row.at.for_people(),
            who: row.who.unwrap_or_else(|| "this node".to_owned()),
            what: row.what.replace('_', " "),
            person: row.about.map(|id| id.to_string()).map(|id| (id.clone(), id[28..].to_owned())),
            number: row.number.map_or_else(String::new, |number| number.to_string()),
            detail: row.detail,
        };
        let lines = rows.into_iter().map(line).collect();
        Ok(AuditPage { shell: site.shell("Audit", "/audit", &who)?, lines, next })
    });
    Ok(html(&made.await?))
}
