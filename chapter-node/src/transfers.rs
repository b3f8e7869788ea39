//! People who come and go: those who wait for this chapter's word, those proposed from here, those who went; and who is to be
//! deleted, while that can be taken back.
//!
//! **Invariant:** letting somebody go whom the network takes away unasked, and taking back a deletion, is an
//! administrator's.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{DocId, Right, Timestamp};
use node::{Node, NodeError, Who};
use store::{Read, StoreError, TransferRow};
use web::{Access, Form, Pages, Shell, Site, WebError, ago, blocking, html};

use crate::link::{Named, named};

/// The most transfers and stubs that are read: what a chapter meets in a month.
const READ_MAX: usize = 500;
/// For how long somebody who went is shown, in ms: as long as a transfer that has ended is kept.
const ENDED_SHOWN_MS: i64 = 30 * 24 * 3600 * 1000;

/// Somebody who comes or goes.
struct Going {
    id: String,
    name: Named,
    /// From where, or to where.
    place: String,
    note: String,
    agreed: bool,
    when: String,
    exact: String,
}

/// Somebody whom the network takes away unasked.
struct Leaving {
    id: String,
    name: Named,
    one_of_many: bool,
    when: String,
    exact: String,
}

/// Somebody who is to be deleted.
struct Asked {
    id: String,
    name: Named,
    when: String,
    exact: String,
}

#[derive(Template)]
#[template(path = "transfers.html")]
struct TransfersPage {
    shell: Shell,
    problem: Option<String>,
    asks: Vec<Going>,
    leaves: Vec<Leaving>,
    proposed: Vec<Going>,
    ended: Vec<Going>,
    erasures: Vec<Asked>,
    may_edit: bool,
    may_let_go: bool,
}

/// The routes.
pub(crate) fn transfer_pages() -> Pages<Site> {
    let let_go = Access::Needs(Right::LetGo);
    Pages::default()
        .get("/transfers", Access::Needs(Right::SeePeople), page)
        .post("/transfers/answers", Access::Needs(Right::EditPeople), answer)
        .post("/transfers/leaves", let_go, leave)
        .post("/transfers/erasures", let_go, withdraw)
}

fn place(row: &TransferRow) -> String {
    match (row.comes_here(), row.to.is_empty()) {
        (true, _) if row.also => "also served here".to_owned(),
        (true, _) => row.from.as_ref().map_or_else(|| "comes here".to_owned(), |from| format!("comes from {from}")),
        (false, true) => "back to the network".to_owned(),
        (false, false) if row.also => format!("also served by {}", row.to),
        (false, false) => format!("to {}", row.to),
    }
}

fn going(read: &Read<'_>, row: &TransferRow, now: Timestamp) -> Result<Going, StoreError> {
    let known = named(read, row.person)?;
    let summary = || Named { name: row.summary.expose().to_owned(), page: None };
    let ended = match row.state.as_str() {
        "done" => ": done",
        "declined" => ": declined",
        _ => "",
    };
    Ok(Going {
        id: row.id.to_string(),
        name: if known.page.is_none() && !row.summary.is_blank() { summary() } else { known },
        place: format!("{}{ended}", place(row)),
        note: row.text.expose().to_owned(),
        agreed: row.agreed || row.her_word,
        when: ago(Some(row.at), now),
        exact: row.at.for_people(),
    })
}

/// Who went without a transfer that is still known, in words.
fn went_words(reason: &str) -> Option<&'static str> {
    match reason {
        "left" => Some("the network took her away"),
        "her_word" => Some("she asked for it herself"),
        _ => None,
    }
}

fn build(site: &Site, who: &Who, problem: Option<String>) -> Result<TransfersPage, WebError> {
    let node = &site.node;
    node.settle()?;
    let (now, may_let_go) = (node.now(), who.role.may(Right::LetGo));
    let shell = site.shell("Coming and going", "/transfers", who)?;
    let page = node.read(|read| {
        let (mut asks, mut proposed, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for row in read.transfers(READ_MAX)? {
            let made = going(read, &row, now)?;
            match row.state.as_str() {
                "open" if row.asks_here() => asks.push(made),
                "open" => proposed.push(made),
                _ => ended.push(made),
            }
        }
        for stub in read.stubs(READ_MAX)?.iter().filter(|stub| now.since(stub.at) < ENDED_SHOWN_MS) {
            let Some(words) = went_words(&stub.reason) else { continue };
            let (when, exact) = (ago(Some(stub.at), now), stub.at.for_people());
            let (name, place) = (named(read, stub.person)?, words.to_owned());
            ended.push(Going { id: String::new(), name, place, note: String::new(), agreed: false, when, exact });
        }
        let leaves = read.leaves()?.into_iter().take(READ_MAX).map(|leave| {
            Ok(Leaving {
                id: leave.person.to_string(),
                name: named(read, leave.person)?,
                one_of_many: leave.one_of_many,
                when: ago(Some(leave.at), now),
                exact: leave.at.for_people(),
            })
        });
        let asked = if may_let_go { read.erasures_asked()? } else { Vec::new() };
        let erasures = asked.into_iter().take(READ_MAX).map(|asked| {
            let (when, exact) = (ago(Some(asked.at), now), asked.at.for_people());
            Ok(Asked { id: asked.person.to_string(), name: named(read, asked.person)?, when, exact })
        });
        Ok(TransfersPage {
            shell,
            problem,
            asks,
            leaves: leaves.collect::<Result<_, StoreError>>()?,
            proposed,
            ended,
            erasures: erasures.collect::<Result<_, StoreError>>()?,
            may_edit: who.role.may(Right::EditPeople),
            may_let_go,
        })
    })?;
    Ok(page)
}

async fn page(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who, None)).await?))
}

fn refused(words: &str) -> WebError {
    NodeError::Refused(words.to_owned()).into()
}

/// Does what a form says, and goes on; or shows the page with what was wrong.
async fn done(
    site: Site,
    who: Who,
    form: Form,
    act: fn(&Node, &Form, &str) -> Result<(), WebError>,
) -> Result<Response, WebError> {
    blocking(move || match act(&site.node, &form, &who.by) {
        Ok(()) => Ok(Redirect::to("/transfers").into_response()),
        // What has ended meanwhile is not found any more: the page says what still waits.
        Err(WebError(problem))
            if [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::NOT_FOUND].contains(&problem.status) =>
        {
            let page = build(&site, &who, Some(problem.detail))?;
            Ok((problem.status, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

fn answered(node: &Node, form: &Form, by: &str) -> Result<(), WebError> {
    let transfer = form.need("transfer", "choose who comes or goes")?;
    let transfer = node.read(|read| read.transfer(transfer))?;
    match form.get("do") {
        Some("take") => node.answer_transfer(&transfer, true, "", by)?,
        Some("decline") if transfer.asks_here() => {
            node.answer_transfer(&transfer, false, form.need("because", "say why not: the other side reads it")?, by)?;
        }
        Some("decline") => node.answer_transfer(&transfer, false, "taken back", by)?,
        Some(_) | None => return Err(refused("say yes or no")),
    }
    Ok(())
}

/// The person whom a form names.
fn person(node: &Node, form: &Form) -> Result<DocId, WebError> {
    let named = form.need("person", "choose somebody")?;
    Ok(node.read(|read| read.resolve(named))?.document)
}

fn let_go(node: &Node, form: &Form, by: &str) -> Result<(), WebError> {
    let goes = match form.get("do") {
        Some("go") => true,
        Some("keep") => false,
        Some(_) | None => return Err(refused("say whether she goes")),
    };
    Ok(node.answer_leave(person(node, form)?, goes, by)?)
}

fn withdrawn(node: &Node, form: &Form, by: &str) -> Result<(), WebError> {
    Ok(node.withdraw_erasure(person(node, form)?, by)?)
}

/// This chapter's word on a transfer.
async fn answer(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    done(site, who, form, answered).await
}

/// Its administrator's word on somebody whom the network takes away.
async fn leave(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    done(site, who, form, let_go).await
}

/// Takes back that somebody is to be deleted.
async fn withdraw(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    done(site, who, form, withdrawn).await
}
