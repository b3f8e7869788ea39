//! Stepping down: one page on which somebody's people, open asks and login are handed on.
//!
//! **Invariant:** an administrator does it for anybody, an organiser for herself only. Whoever writes nothing hands nothing on:
//! an administrator ends her login.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use model::{DocId, EventId, Right};
use node::{Node, SteppedDown, SteppingDown, Who};
use web::{Access, Form, Pages, Problem, Shell, Site, WebError, blocking, html};

/// The most people whose giving out is taken back by one form: more do not fit into it.
const TAKEN_BACK_MAX: usize = 500;

/// Somebody on the page: her id, her name, and what is said of her.
struct Line {
    id: String,
    name: String,
    words: String,
}

#[derive(Template)]
#[template(path = "stepping_down.html")]
struct SteppingPage {
    shell: Shell,
    problem: Option<String>,
    login: String,
    role: &'static str,
    herself: bool,
    people: Vec<Line>,
    asks: Vec<Line>,
    /// The id of her own page.
    record: Option<String>,
    last_administrator: bool,
    successors: Vec<String>,
    /// Logins of others, for an administrator.
    others: Vec<String>,
}

#[derive(Template)]
#[template(path = "stepped_down.html")]
struct SteppedPage {
    shell: Shell,
    login: String,
    given: Vec<Line>,
    stay: Vec<Line>,
    asks: Vec<Line>,
    thanked: bool,
    login_ended: bool,
    /// What takes the giving out back, for whoever may.
    undo: Vec<String>,
}

#[derive(Template)]
#[template(path = "taken_back.html")]
struct TakenBackPage {
    shell: Shell,
    taken: u64,
    of: usize,
}

/// The routes of stepping down.
pub(crate) fn stepping_pages() -> Pages<Site> {
    let edit = Access::Needs(Right::EditPeople);
    Pages::default().get("/stepping-down", edit, page).post("/stepping-down", edit, step_down).post(
        "/stepping-down/undo",
        Access::Needs(Right::ManageUsers),
        undo,
    )
}

fn unprocessable(words: &str) -> WebError {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words).into()
}

/// Whose stepping down this is, if she may do it.
fn whose(named: Option<&str>, who: &Who) -> Result<String, WebError> {
    let login = named.map(str::trim).filter(|login| !login.is_empty()).unwrap_or(&who.by).to_ascii_lowercase();
    if login == who.by || who.role.may(Right::ManageUsers) {
        return Ok(login);
    }
    let words = "only an administrator of this node can do this for somebody else";
    Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", words).into())
}

fn build(site: &Site, who: &Who, login: &str, problem: Option<String>) -> Result<SteppingPage, WebError> {
    let plan = site.node.stepping_down(login)?;
    let users = site.node.read(|read| read.users())?;
    let manages = who.role.may(Right::ManageUsers);
    let others = users.iter().filter(|user| manages && user.name != login).map(|user| user.name.clone());
    let SteppingDown { people, asks, role, record, last_administrator, successors, .. } = plan;
    let person = |id: DocId, name: String, words: String| Line { id: id.to_string(), name, words };
    Ok(SteppingPage {
        shell: site.shell("Stepping down", "/figures", who)?,
        problem,
        login: login.to_owned(),
        role: role.word(),
        herself: login == who.by,
        asks: asks
            .iter()
            .map(|ask| {
                let due = ask.due.map_or_else(String::new, |day| format!(", by {day}"));
                person(ask.person, ask.kind.word().to_owned(), format!("{}{due}", ask.text.expose()))
            })
            .collect(),
        people: people.iter().map(|one| person(one.id, one.name.expose().to_owned(), String::new())).collect(),
        record: record.map(|id| id.to_string()),
        last_administrator,
        successors,
        others: others.collect(),
    })
}

async fn page(
    State(site): State<Site>,
    Query(wanted): Query<BTreeMap<String, String>>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let login = whose(wanted.get("login").map(String::as_str), &who)?;
    Ok(html(&blocking(move || build(&site, &who, &login, None)).await?))
}

fn perform(node: &Node, form: &Form, login: &str, by: &str) -> Result<SteppedDown, WebError> {
    if form.get("sure") != Some("yes") {
        return Err(unprocessable("tick that this is meant: the login ends with it"));
    }
    let to: Vec<String> = form.all("to").filter(|login| !login.is_empty()).map(str::to_owned).collect();
    let thanks = form.get("thanks").unwrap_or_default().into();
    Ok(node.step_down(login, &to, &thanks, by)?)
}

fn stepped(site: &Site, who: &Who, login: &str, done: SteppedDown) -> Result<SteppedPage, WebError> {
    let line = |id: DocId, name: &str, words: String| Line { id: id.to_string(), name: name.to_owned(), words };
    // Who has just ended her own login can't take anything back.
    let may_undo = who.role.may(Right::ManageUsers) && !(done.login_ended && who.by == login);
    let some = may_undo && done.given.len() <= TAKEN_BACK_MAX;
    let undo = done.given.iter().filter(|_| some).map(|(person, event, _)| format!("{}/{event}", person.id));
    Ok(SteppedPage {
        shell: site.shell("Stepped down", "/figures", who)?,
        login: login.to_owned(),
        undo: undo.collect(),
        given: done.given.iter().map(|(one, _, to)| line(one.id, one.name.expose(), to.clone())).collect(),
        stay: done.stay.iter().map(|(one, why)| line(one.id, one.name.expose(), why.clone())).collect(),
        asks: done.asks.iter().map(|(ask, with)| line(ask.person, ask.text.expose(), with.clone())).collect(),
        thanked: done.thanked.is_some(),
        login_ended: done.login_ended,
    })
}

async fn step_down(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    let login = whose(form.get("login"), &who)?;
    blocking(move || match perform(&site.node, &form, &login, &who.by) {
        // Not sent on to another page: whoever stepped down is logged out by now.
        Ok(done) => Ok(html(&stepped(&site, &who, &login, done)?)),
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let page = build(&site, &who, &login, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

async fn undo(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    let made = blocking(move || {
        let one = |text: &str| {
            let (person, event) = text.split_once('/')?;
            Some((person.parse::<DocId>().ok()?, event.parse::<EventId>().ok()?))
        };
        let given: Option<Vec<(DocId, EventId)>> = form.all("given").map(one).collect();
        let given = given.filter(|given| !given.is_empty());
        let given = given.ok_or_else(|| unprocessable("nothing to take back was named"))?;
        let taken = site.node.take_back_given(&given, &who.by)?;
        Ok(TakenBackPage { shell: site.shell("Taken back", "/figures", &who)?, taken, of: given.len() })
    });
    Ok(html(&made.await?))
}
