//! Who looks after how many people: a person keeps some dozens of close ties, and no more.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use node::Who;

use super::found::organisers;
use crate::{Shell, Site, WebError, blocking, html};

/// From so many people on somebody keeps no close tie to each: they keep 15 to 50.
const MANY: u64 = 50;

struct Line {
    name: String,
    count: u64,
    many: bool,
    own: bool,
}

#[derive(Template)]
#[template(path = "organisers.html")]
struct OrganisersPage {
    shell: Shell,
    many: u64,
    lines: Vec<Line>,
}

pub(super) async fn page(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    let made = blocking(move || {
        let mut known = organisers(&site.node)?;
        known.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let line = |(name, count): (String, u64)| Line { own: name == who.by, many: count >= MANY, name, count };
        let lines = known.into_iter().map(line).collect();
        Ok(OrganisersPage { shell: site.shell("Organisers", "/people", &who)?, many: MANY, lines })
    });
    Ok(html(&made.await?))
}
