//! Actions: the list, one action, and the sign-in from paper.
//!
//! **Invariant:** every act is a plain form; what a script shows while somebody types is what the form's own page shows.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use model::{Action, AnswerKind, DocId, Part, Right, SignUp, Standing};
use node::{ActionDraft, FieldEdit, Node, NodeError, PEOPLE_AT_ONCE, Who};
use serde_json::{Value, json};
use store::{ActionRow, Filter, Page, PersonRow, Turnout};
use web::{Access, Form, Pages, Problem, Shell, Site, WebError, action_json, ago, blocking, html};

/// Past actions on one page: a year of one a week.
const PAST_SHOWN: usize = 52;
/// The most people of one action on its page: as many as one call enters.
const PEOPLE_SHOWN: usize = PEOPLE_AT_ONCE;
/// The most people shown for some letters: what is read at a glance. Who is not among them types on.
const MATCHES_SHOWN: usize = 8;
/// The fields of the form for somebody who is on the sheet and nowhere here.
const NEWCOMER: [&str; 5] = ["given_name", "family_name", "email", "phone", "postal_code"];
/// What can be done with an action: where it is posted to.
const ACTS: [&str; 8] = [
    "/actions/{id}/fields",
    "/actions/{id}/cancel",
    "/actions/{id}/hold",
    "/actions/{id}/asks",
    "/actions/{id}/answers",
    "/actions/{id}/came",
    "/actions/{id}/not_came",
    "/actions/{id}/newcomer",
];

/// What an address says after its `?`.
type Asked = Query<BTreeMap<String, String>>;

struct Line {
    id: String,
    name: String,
    day: String,
    place: String,
    tag: String,
    cancelled: bool,
    turnout: Turnout,
}

/// Actions under one heading.
struct Group {
    title: &'static str,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "actions.html")]
struct ActionsPage {
    shell: Shell,
    problem: Option<String>,
    may_write: bool,
    groups: Vec<Group>,
    /// The page begins with past ones.
    earlier: bool,
    next: Option<String>,
}

/// A field's two values, each with who wrote it.
struct Apart {
    name: String,
    label: &'static str,
    values: Vec<(String, String)>,
}

struct Somebody {
    id: String,
    name: String,
    part: Part,
}

/// Somebody whom letters fit.
struct Match {
    id: String,
    name: String,
    more: String,
    part: Part,
}

/// Who fits the letters that were typed, with a form for somebody who does not.
#[derive(Default)]
struct Matches {
    query: String,
    people: Vec<Match>,
    /// The letters as a name: what the form begins with.
    given_name: String,
    family_name: String,
}

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage {
    shell: Shell,
    id: String,
    problem: Option<String>,
    line: Line,
    /// The day as it stands in a form.
    on: String,
    may_write: bool,
    /// Somebody has just been signed in, and the next one is typed.
    signing: bool,
    apart: Vec<Apart>,
    people: Vec<Somebody>,
    found: Matches,
}

#[derive(Template)]
#[template(path = "found.html")]
struct FoundPart {
    id: String,
    found: Matches,
}

pub(crate) fn action_pages() -> Pages<Site> {
    // Whoever may only log calls of people given to her must not reach everybody through a sign-in sheet.
    let (see, write) = (Access::Needs(Right::SeePeople), Access::Needs(Right::EditPeople));
    let pages = Pages::default()
        .get("/actions", see, list)
        .post("/actions", write, add)
        .get("/actions/{id}", see, page)
        .get("/actions/{id}/find", see, find)
        .get("/api/v1/actions", see, list_json);
    ACTS.into_iter()
        .fold(pages, |pages, path| pages.post(path, write, move |site, id, who, form| act(site, id, who, form, path)))
}

fn line(row: &ActionRow) -> Line {
    let action = &row.action;
    Line {
        id: action.id.to_string(),
        name: action.name.clone(),
        day: action.on.map_or_else(|| "no day".to_owned(), model::Date::for_people),
        place: action.place.expose().to_owned(),
        tag: action.tag.clone(),
        cancelled: action.cancelled,
        turnout: row.turnout,
    }
}

/// Actions of one page, and the last one of it if there are more.
fn listed(node: &Node, asked: &BTreeMap<String, String>) -> Result<(Vec<ActionRow>, Option<String>), WebError> {
    node.settle()?;
    let today = node.now().date();
    let before = match asked.get("before") {
        Some(id) => Some(node.read(|read| read.action_named(id))?),
        None => None,
    };
    let mut rows = node.read(|read| read.actions(today, before, PAST_SHOWN + 1))?;
    let is_past = |row: &&ActionRow| row.action.on.is_none_or(|day| day < today);
    let more = rows.iter().filter(is_past).count() > PAST_SHOWN;
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| row.action.id.to_string());
    Ok((rows, next))
}

fn build_list(
    site: &Site,
    asked: &BTreeMap<String, String>,
    who: &Who,
    problem: Option<String>,
) -> Result<ActionsPage, WebError> {
    let (rows, next) = listed(&site.node, asked)?;
    let today = site.node.now().date();
    let (upcoming, past): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.action.on.is_some_and(|day| day >= today));
    let group = |title, rows: Vec<&ActionRow>| Group { title, lines: rows.into_iter().map(line).collect() };
    let groups = [group("To come", upcoming), group("Past", past)];
    Ok(ActionsPage {
        shell: site.shell("Actions", "/actions", who)?,
        problem,
        may_write: who.role.may(Right::EditPeople),
        groups: groups.into_iter().filter(|group| !group.lines.is_empty()).collect(),
        earlier: asked.contains_key("before"),
        next,
    })
}

async fn list(
    State(site): State<Site>,
    Query(asked): Asked,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build_list(&site, &asked, &who, None)).await?))
}

async fn list_json(State(site): State<Site>, Query(asked): Asked) -> Result<Json<Value>, Problem> {
    let made = blocking(move || {
        let (rows, next) = listed(&site.node, &asked)?;
        Ok(json!({"actions": rows.iter().map(action_json).collect::<Vec<_>>(), "next": next}))
    });
    made.await.map(Json).map_err(|error| error.0)
}

async fn add(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    blocking(move || match added(&site.node, &form, &who) {
        Ok(id) => Ok(Redirect::to(&format!("/actions/{id}")).into_response()),
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let page = build_list(&site, &BTreeMap::new(), &who, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

fn added(node: &Node, form: &Form, who: &Who) -> Result<DocId, WebError> {
    let name = form.need("name", "say what the action is called")?.to_owned();
    let on = form.parse("on")?.ok_or_else(|| wrong("say on which day it is"))?;
    let text = |field: &str| form.get(field).unwrap_or_default().to_owned();
    let draft = ActionDraft { name, on, place: text("place").into(), tag: text("tag") };
    Ok(node.add_action(&draft, &who.by)?)
}

fn wrong(words: &str) -> WebError {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words).into()
}

fn apart(action: &Action, node: &Node) -> Vec<Apart> {
    let said = |standing: &Standing| {
        let who = standing.by.as_ref().map_or("somebody", |by| by.expose());
        (standing.value.expose().to_owned(), format!("{who}, {}", ago(standing.at, node.now())))
    };
    let each = |conflict: &model::Conflict| Apart {
        name: conflict.field.clone(),
        label: Action::FIELDS.iter().find(|(name, _)| *name == conflict.field).map_or("Field", |(_, label)| *label),
        values: conflict.values.iter().map(said).collect(),
    };
    action.conflicts.iter().map(each).collect()
}

/// Whom some letters fit, the beginning of any word of a name, e-mail address or number.
fn matches(node: &Node, action: DocId, query: &str) -> Result<Matches, WebError> {
    let query = query.trim();
    if query.is_empty() {
        return Ok(Matches::default());
    }
    let filter = Filter { query: Some(query.to_owned()), ..Filter::default() };
    let found = node.read(|read| read.people(&filter, Page { limit: MATCHES_SHOWN, after: None }))?;
    let one = |row: &PersonRow| {
        let her = &row.supporter;
        let code = her.addresses.first().and_then(|address| address.postal_code.as_ref());
        let code = code.map_or("", |code| code.expose());
        let reach = her.emails.first().map(|email| email.address.as_str());
        let reach = reach.or_else(|| her.phones.first().map(|phone| phone.number.as_str()));
        let more = [code, reach.unwrap_or_default()].into_iter().filter(|text| !text.is_empty());
        Match {
            id: her.id.to_string(),
            name: her.display_name(),
            more: more.collect::<Vec<_>>().join(" · "),
            part: her.parts().get(&action).copied().unwrap_or_default(),
        }
    };
    let (given, family) = query.split_once(' ').unwrap_or((query, ""));
    Ok(Matches {
        query: query.to_owned(),
        people: found.iter().map(one).collect(),
        given_name: given.to_owned(),
        family_name: family.trim().to_owned(),
    })
}

fn build(
    site: &Site,
    id: &str,
    asked: &BTreeMap<String, String>,
    who: &Who,
    problem: Option<String>,
) -> Result<ActionPage, WebError> {
    let node = &site.node;
    node.settle()?;
    let action = node.read(|read| read.action_named(id))?;
    let (row, people) = node.read(|read| Ok((read.action(action)?, read.parts_in(action, PEOPLE_SHOWN)?)))?;
    let somebody = |(person, part): &(PersonRow, Part)| Somebody {
        id: person.supporter.id.to_string(),
        name: person.supporter.display_name(),
        part: *part,
    };
    Ok(ActionPage {
        shell: site.shell(&row.action.name, "/actions", who)?,
        id: action.to_string(),
        problem,
        line: line(&row),
        on: row.action.on.map_or_else(String::new, |day| day.to_string()),
        may_write: who.role.may(Right::EditPeople),
        signing: asked.contains_key("next"),
        apart: apart(&row.action, node),
        people: people.iter().map(somebody).collect(),
        found: matches(node, action, asked.get("query").map_or("", String::as_str))?,
    })
}

async fn page(
    State(site): State<Site>,
    Path(id): Path<String>,
    Query(asked): Asked,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &id, &asked, &who, None)).await?))
}

/// Who fits, without the page around it: for the script that asks while somebody types.
async fn find(State(site): State<Site>, Path(id): Path<String>, Query(asked): Asked) -> Result<Response, WebError> {
    let made = blocking(move || {
        let action = site.node.read(|read| read.action_named(&id))?;
        let found = matches(&site.node, action, asked.get("query").map_or("", String::as_str))?;
        Ok(FoundPart { id: action.to_string(), found })
    });
    Ok(html(&made.await?))
}

/// One act on an action: done, and back to its page; or the page again with what was wrong.
async fn act(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
    path: &'static str,
) -> Result<Response, WebError> {
    let act = path.rsplit('/').next().unwrap_or_default();
    blocking(move || match perform(&site.node, &id, act, &form, &who) {
        Ok(action) => {
            // Whoever enters a sheet goes on with the next line of it.
            let next = if ["came", "newcomer"].contains(&act) { "?next=1#sign-in" } else { "" };
            Ok(Redirect::to(&format!("/actions/{action}{next}")).into_response())
        }
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            // Who is new is asked for again by the name that was given.
            let names = ["given_name", "family_name"].map(|name| form.get(name).unwrap_or_default()).join(" ");
            let asked = BTreeMap::from([("query".to_owned(), names.trim().to_owned())]);
            let page = build(&site, &id, &asked, &who, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}

fn perform(node: &Node, id: &str, act: &str, form: &Form, who: &Who) -> Result<DocId, WebError> {
    let (action, by) = (node.read(|read| read.action_named(id))?, who.by.as_str());
    let person = || {
        let named = form.need("person", "choose a person")?;
        Ok::<DocId, WebError>(node.read(|read| read.resolve(named))?.document)
    };
    match act {
        "fields" => node.edit_action(action, &edits(form), by)?,
        "cancel" => node.cancel_action(action, by)?,
        "hold" => node.hold_action(action, by)?,
        "asks" => drop(node.ask_to(action, &[person()?], by)?),
        "answers" => {
            let answer = form.get("answer").and_then(AnswerKind::from_word);
            node.answer_to(action, person()?, answer.ok_or_else(|| wrong("choose what she said"))?, by)?;
        }
        "came" => drop(node.came(action, &[person()?], by)?),
        "not_came" => node.not_came(action, person()?, by)?,
        "newcomer" => {
            let given = NEWCOMER.iter().filter_map(|name| form.get(name).map(|value| (*name, value)));
            let draft = SignUp::from_fields(given, &node.row().country).map_err(NodeError::from)?;
            node.newcomer(action, draft, by)?;
        }
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page").into()),
    }
    Ok(action)
}

/// What a form changed: each field beside the value that it showed. Of a field on which two nodes disagree one value is chosen,
/// and none was shown as the one that stands.
fn edits(form: &Form) -> Vec<FieldEdit> {
    let edit = |(name, _): &(&str, &str)| {
        let value = form.raw(name)?.to_owned();
        Some(FieldEdit { field: (*name).to_owned(), value, shown: form.raw(&format!("was_{name}")).map(str::to_owned) })
    };
    Action::FIELDS.iter().filter_map(edit).collect()
}
