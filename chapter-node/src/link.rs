//! The link to the network as a page: how it stands, what waits, what was not taken and what can't be read, with what to do
//! about each; and an exchange at once.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use cli::{in_words, what_to_do};
use model::{DocId, Personal, Right, Timestamp};
use node::{Node, NodeError, Priority, Who};
use store::{LinkRow, LinkStanding, Quarantined, Read, Refusal, StoreError};
use web::{Access, Form, Pages, Problem, Shell, Site, WebError, ago, blocking, html, link_words, since};

use crate::today::BACKUP_AGE_MAX;

/// Rows of a list on the page: the newest; all of them stand at the terminal.
const SHOWN: usize = 50;
/// Within how long a certificate that ends is said aloud, in ms: a node that exchanges renews it long before.
const ENDS_SOON_MS: i64 = 14 * 24 * 3600 * 1000;

/// What is known of the link up.
struct Known {
    network: String,
    left: bool,
    pending: u64,
    last: String,
    last_exact: String,
    /// When its certificate ends, and whether that is soon.
    certificate: Option<(String, bool)>,
    addresses: String,
    key: String,
    /// Who accepted what the network will see.
    accepted: Option<String>,
}

/// A change that was not taken.
struct NotTaken {
    id: i64,
    name: Named,
    wrote: Vec<(String, String)>,
    /// By whom and when it was written, and by whom and when it was refused.
    who: String,
    words: String,
    todo: String,
}

struct Unreadable {
    name: Named,
    words: String,
    when: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    shell: Shell,
    problem: Option<String>,
    /// An exchange was just asked for.
    asked: bool,
    state: String,
    class: &'static str,
    detail: Option<String>,
    known: Option<Known>,
    own_key: String,
    refused: Vec<NotTaken>,
    refused_count: u64,
    /// Whether there are more than are shown.
    refused_more: bool,
    unreadable: Vec<Unreadable>,
    unreadable_count: u64,
    backup: String,
    backup_late: bool,
    may_edit: bool,
}

/// Somebody by name, with her page if she is here.
pub(crate) struct Named {
    /// The name, or the end of her id.
    pub(crate) name: String,
    /// The address of her page.
    pub(crate) page: Option<String>,
}

/// Her name as far as she is here, else the end of her id.
pub(crate) fn named(read: &Read<'_>, person: DocId) -> Result<Named, StoreError> {
    match read.person(person) {
        Ok(row) => Ok(Named { name: row.supporter.display_name(), page: Some(format!("/people/{person}")) }),
        Err(StoreError::NotFound(_)) => {
            let id = person.to_string();
            Ok(Named { name: format!("somebody (\u{2026}{})", &id[id.len() - 8..]), page: None })
        }
        Err(error) => Err(error),
    }
}

/// The routes.
pub(crate) fn link_pages() -> Pages<Site> {
    let edit = Access::Needs(Right::EditPeople);
    Pages::default().get("/link", Access::Needs(Right::SeePeople), page).post("/link/exchange", edit, exchange).post(
        "/link/refused",
        edit,
        dismiss,
    )
}

fn known(link: &LinkRow, now: Timestamp) -> Known {
    let ends = |at: Timestamp| (at.for_people(), at.since(now) < ENDS_SOON_MS);
    Known {
        network: link.name.clone(),
        left: link.standing == LinkStanding::Left,
        pending: link.pending,
        last: ago(link.last_exchange, now),
        last_exact: link.last_exchange.map_or_else(String::new, Timestamp::for_people),
        certificate: link.expires.map(ends),
        addresses: link.parent.addresses.join(", "),
        key: link.peer.fingerprint(),
        accepted: link
            .accepted
            .as_ref()
            .map(|said| format!("version {}, accepted by {} on {}", said.version, said.by, said.at.for_people())),
    }
}

/// The login of `<node>/<login>`.
fn login(by: &Personal) -> &str {
    by.expose().split_once('/').map_or(by.expose(), |(_, login)| login)
}

fn not_taken(read: &Read<'_>, row: &Refusal) -> Result<NotTaken, StoreError> {
    let writes = row.change.iter().flat_map(|change| &change.writes);
    let wrote = writes.map(|wrote| in_words(wrote.key.expose(), wrote.value.as_ref().map(Personal::expose)));
    let written = row.change.as_ref().map_or_else(String::new, |change| {
        let by = change.by.as_ref().map_or("somebody", login);
        format!("written by {by} on {}, ", change.at.for_people())
    });
    let peer = if row.peer.is_empty() { "another node" } else { &row.peer };
    let at = row.at.for_people();
    let refused = if row.whose == "ours" {
        format!("refused by {peer} on {at}")
    } else {
        format!("of {peer}, refused here on {at}")
    };
    Ok(NotTaken {
        id: row.id,
        name: named(read, row.document)?,
        wrote: wrote.collect(),
        who: format!("{written}{refused}"),
        words: row.words.clone(),
        todo: what_to_do(row),
    })
}

fn unreadable(read: &Read<'_>, row: &Quarantined) -> Result<Unreadable, StoreError> {
    Ok(Unreadable { name: named(read, row.document)?, words: row.words.clone(), when: row.at.for_people() })
}

fn backup_words(age: Option<i64>, now: Timestamp) -> (String, bool) {
    let late = age.is_none_or(|age| age > BACKUP_AGE_MAX);
    let words = age.map_or_else(
        || "There is no backup of this node yet".to_owned(),
        |age| format!("The newest backup was made {} ago", since(now.plus_millis(-age * 1000), now)),
    );
    (words, late)
}

fn build(site: &Site, who: &Who, form: &Form, problem: Option<String>) -> Result<LinkPage, WebError> {
    let node = &site.node;
    node.settle()?;
    let now = node.now();
    let (backup, backup_late) = backup_words(node.backup_age(now)?, now);
    let (up, links, tally) = node.read(|read| Ok((read.known_parent()?, read.links()?, read.tally()?)))?;
    let (refused, unread) = node.read(|read| {
        let refused = read.refusals(SHOWN)?.iter().map(|row| not_taken(read, row)).collect::<Result<Vec<_>, _>>()?;
        let unread = read.quarantined(SHOWN)?;
        let unread = unread.iter().map(|row| unreadable(read, row)).collect::<Result<Vec<_>, _>>()?;
        Ok((refused, unread))
    })?;
    let (state, class) = link_words(&links, now);
    Ok(LinkPage {
        shell: site.shell("The link", "/link", who)?,
        problem,
        asked: form.get("asked").is_some(),
        state,
        class,
        detail: up.as_ref().map(|link| link.detail.clone()).filter(|detail| !detail.is_empty()),
        known: up.as_ref().map(|link| known(link, now)),
        own_key: node.id().fingerprint(),
        refused_more: tally.refused + tally.missing > refused.len() as u64,
        refused,
        refused_count: tally.refused + tally.missing,
        unreadable: unread,
        unreadable_count: tally.quarantined,
        backup,
        backup_late,
        may_edit: who.role.may(Right::EditPeople),
    })
}

async fn page(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who, &form, None)).await?))
}

/// Does what a form says, and goes on; or shows the page with what was wrong.
async fn done(
    site: Site,
    who: Who,
    form: Form,
    act: fn(&Node, &Form) -> Result<&'static str, WebError>,
) -> Result<Response, WebError> {
    blocking(move || match act(&site.node, &form) {
        Ok(address) => Ok(Redirect::to(address).into_response()),
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let page = build(&site, &who, &form, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

/// Asks the process that serves for an exchange at once. Nobody waits for it: the page says when the network was heard.
fn want(node: &Node, _: &Form) -> Result<&'static str, WebError> {
    if !node.read(|read| read.has_parent())? {
        let words = "there is no network to exchange with: this chapter has left it".to_owned();
        return Err(NodeError::Refused(words).into());
    }
    node.write(Priority::Interactive, |tx| tx.want_exchange())?;
    Ok("/link?asked=1")
}

fn forget(node: &Node, form: &Form) -> Result<&'static str, WebError> {
    let wrong = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "choose the change that is dealt with");
    let id = form.parse::<i64>("refused")?.ok_or_else(wrong)?;
    node.write(Priority::Interactive, move |tx| tx.dismiss_refused(id))?;
    Ok("/link#refused")
}

async fn exchange(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    done(site, who, form, want).await
}

/// Forgets a refused change with which a person has dealt.
async fn dismiss(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    done(site, who, form, forget).await
}
