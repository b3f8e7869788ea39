//! Today: whom to call next, with why she is here.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use model::{Body, Right};
use node::Who;
use store::{Filter, Page, PersonRow};
use web::{Shell, Site, WebError, ago, blocking, html};

/// People to call on one page: what one evening holds.
const SHOWN: usize = 20;
/// The most people given to one caller that are shown to her: she finds nobody in any other way.
const GIVEN_SHOWN: usize = 200;

struct ToCall {
    id: String,
    name: String,
    phone: String,
    place: String,
    when: String,
    why: String,
}

struct Named {
    id: String,
    name: String,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    shell: Shell,
    /// She sees only the people who are given to her.
    caller: bool,
    new: Vec<ToCall>,
    needs: Vec<Named>,
    proposals: u64,
    people: u64,
    rungs: Vec<(String, String, u64)>,
}

fn to_call(person: &PersonRow, now: model::Timestamp) -> ToCall {
    let her = &person.supporter;
    let why =
        her.events.iter().rev().find_map(|event| {
            if let Body::Placement(fact) = &event.body { Some(fact.explanation.clone()) } else { None }
        });
    let address = her.addresses.first();
    ToCall {
        id: her.id.to_string(),
        name: her.display_name(),
        phone: her
            .phones
            .first()
            .map_or_else(String::new, |phone| phone.number.as_str().trim_start_matches("raw:").to_owned()),
        place: address
            .and_then(|address| address.postal_code.as_ref())
            .map_or_else(String::new, |code| code.expose().to_owned()),
        when: ago(Some(her.id.created_at()), now),
        why: why.unwrap_or_else(|| "Added by this chapter.".to_owned()),
    }
}

/// The page of whoever sees only the people given to her: those, and no figure of anybody else.
fn given(site: &Site, who: &Who) -> Result<TodayPage, WebError> {
    site.node.settle()?;
    let filter = Filter { mine: Some(who.by.clone()), ..Filter::default() };
    let people = site.node.read(|read| read.people(&filter, Page { limit: GIVEN_SHOWN, after: None }))?;
    let now = site.node.now();
    Ok(TodayPage {
        shell: site.shell("Today", "/", who)?,
        caller: true,
        people: people.len() as u64,
        new: people.iter().map(|person| to_call(person, now)).collect(),
        needs: Vec::new(),
        proposals: 0,
        rungs: Vec::new(),
    })
}

fn build(site: &Site, who: &Who) -> Result<TodayPage, WebError> {
    if !who.role.may(Right::SeePeople) {
        return given(site, who);
    }
    let tally = site.node.tally()?;
    let untried = Filter { untried: true, ..Filter::default() };
    let conflicts = Filter { conflicts: true, ..Filter::default() };
    let page = |limit| Page { limit, after: None };
    let (new, needs, settings) = site.node.read(|read| {
        Ok((read.people(&untried, page(SHOWN))?, read.people(&conflicts, page(SHOWN))?, read.settings()?))
    })?;
    let now = site.node.now();
    let rung = |(nth, rung): (usize, &model::Rung)| {
        let count = tally.rungs.iter().find(|(id, _)| id == rung.id.as_str()).map_or(0, |(_, count)| *count);
        (format!("rung-{}", nth + 1), rung.label.clone(), count)
    };
    Ok(TodayPage {
        shell: site.shell("Today", "/", who)?,
        caller: false,
        new: new.iter().map(|person| to_call(person, now)).collect(),
        needs: needs
            .iter()
            .map(|p| Named { id: p.supporter.id.to_string(), name: p.supporter.display_name() })
            .collect(),
        proposals: tally.proposals,
        people: tally.supporters,
        rungs: settings.ladder.rungs().iter().enumerate().map(rung).collect(),
    })
}

pub(crate) async fn page(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who)).await?))
}
