//! Everybody about whom two people wrote different things: the values side by side, with a button on each.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use model::{DocId, Right};
use node::Who;
use store::{DocState, Filter, Page};

use crate::people::known::nodes;
use crate::people::shown::{ConflictView, conflicts};
use crate::{Form, Problem, Shell, Site, WebError, blocking, html};

/// People on one page: each has two long values or more.
const PAGE: usize = 20;

struct Disputed {
    id: String,
    name: String,
    /// Why nothing can be settled here; empty: it can.
    closed: &'static str,
    conflicts: Vec<ConflictView>,
}

#[derive(Template)]
#[template(path = "conflicts.html")]
struct ConflictsPage {
    shell: Shell,
    count: u64,
    people: Vec<Disputed>,
    next: Option<String>,
    /// Where an act leads back to.
    back: String,
    may_edit: bool,
    first: bool,
}

fn build(site: &Site, after: Option<DocId>, who: &Who) -> Result<ConflictsPage, WebError> {
    let node = &site.node;
    node.settle()?;
    let filter = Filter { conflicts: true, ..Filter::default() };
    let (mut people, count) =
        node.read(|read| Ok((read.people(&filter, Page { limit: PAGE + 1, after })?, read.tally()?.conflicts)))?;
    let more = people.len() > PAGE;
    people.truncate(PAGE);
    let last = people.last().filter(|_| more).map(|person| person.supporter.id);
    let (nodes, now) = (nodes(node)?, node.now());
    let disputed = people.iter().map(|person| {
        let her = &person.supporter;
        let writable = [DocState::Live, DocState::Kept].contains(&person.state);
        Disputed {
            id: her.id.to_string(),
            name: her.display_name(),
            closed: if writable { "" } else { "Her record is read-only here: this is settled elsewhere." },
            conflicts: conflicts(her, &nodes, now),
        }
    });
    Ok(ConflictsPage {
        shell: site.shell("Conflicts", "/conflicts", who)?,
        count,
        people: disputed.collect(),
        next: last.map(|id| format!("/conflicts?after={id}")),
        back: after.map_or_else(|| "/conflicts".to_owned(), |id| format!("/conflicts?after={id}")),
        may_edit: who.role.may(Right::EditPeople),
        first: after.is_none(),
    })
}

pub(super) async fn page(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    asked: Form,
) -> Result<Response, WebError> {
    let after = asked.get("after").map(str::parse::<DocId>).transpose();
    let after = after.map_err(|error| WebError(Problem::new(StatusCode::BAD_REQUEST, "invalid", error.to_string())))?;
    Ok(html(&blocking(move || build(&site, after, &who)).await?))
}
