//! Leaders: who develops whom, and whether the work rests on a few.
//!
//! **Invariant:** a circle of people who develop each other has no top: those links are left out, and everybody is shown.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use model::{AskKind, KEPT_DAYS, Ladder, Right};
use node::Who;
use store::{Developing, TREE_MAX, User};
use web::{Access, Pages, Shell, Site, WebError, blocking, html};

/// A day, in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// How many organisers are the few on whom much may rest.
const TOP: usize = 3;
/// Beyond this part of one-to-ones, in per cent, it is said that they rest on a few.
const TOP_SHARE_MAX: u64 = 60;
/// Fewer one-to-ones than this say nothing of how they are shared.
const TALKS_MIN: u64 = 20;
/// A person keeps 15 to 50 close ties: who looks after more is marked.
const TIES_MAX: u64 = 50;
/// Rows of a table that are shown: more nobody reads.
const SHOWN: usize = 200;

/// Somebody in the tree.
#[derive(Debug, PartialEq, Eq)]
struct Branch {
    id: String,
    name: String,
    rung: String,
    rung_class: String,
    /// How many are above her, herself included.
    level: usize,
    by: String,
    develops: usize,
}

/// What one organiser holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Holds {
    talks: u64,
    leads: u64,
    tasks: u64,
    people: u64,
}

struct Organiser {
    name: String,
    holds: Holds,
    /// She looks after more people than anybody keeps close ties with.
    many: bool,
}

/// The part of something that the top three hold.
struct Share {
    what: &'static str,
    top: u64,
    all: u64,
    words: String,
}

#[derive(Template)]
#[template(path = "leaders.html")]
struct LeadersPage {
    shell: Shell,
    as_of: String,
    branches: Vec<Branch>,
    more: usize,
    depth: usize,
    cut: bool,
    shares: Vec<Share>,
    rests: Option<String>,
    asked: String,
    organisers: Vec<Organiser>,
    may_edit: bool,
}

/// The route of the leaders' page.
pub(crate) fn leader_pages() -> Pages<Site> {
    Pages::default().get("/leaders", Access::Needs(Right::SeePeople), page)
}

/// Who is above whom, as numbers of the list; links of a circle are left out.
fn parents(people: &[Developing], logins: &BTreeMap<String, String>) -> Vec<Option<usize>> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (nth, person) in people.iter().enumerate() {
        known.extend(person.ids.iter().map(|id| (id.to_string(), nth)));
    }
    let above = |person: &Developing| {
        let by = person.by.as_ref()?;
        known.get(logins.get(by).unwrap_or(by)).copied()
    };
    let said: Vec<Option<usize>> = people.iter().map(above).collect();
    let in_circle = |nth: usize| {
        let mut at = said[nth];
        for _ in 0..people.len() {
            match at {
                Some(up) if up == nth => return true,
                Some(up) => at = said[up],
                None => return false,
            }
        }
        false
    };
    said.iter().enumerate().map(|(nth, up)| up.filter(|_| !in_circle(nth))).collect()
}

/// The tree as rows, each below who develops her; whoever develops nobody and is developed by nobody is left out.
fn branches(people: &[Developing], parents: &[Option<usize>], ladder: &Ladder) -> Vec<Branch> {
    let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (nth, up) in parents.iter().enumerate() {
        if let Some(up) = up {
            below.entry(*up).or_default().push(nth);
        }
    }
    let develops = |nth: usize| below.get(&nth).map_or(0, Vec::len);
    let top = |nth: &usize| parents[*nth].is_none() && (develops(*nth) > 0 || people[*nth].by.is_some());
    // The last is taken first: in their order, each with those below her at once.
    let mut ahead: Vec<(usize, usize)> = (0..people.len()).rev().filter(top).map(|nth| (nth, 1)).collect();
    let mut made = Vec::new();
    while let Some((nth, level)) = ahead.pop() {
        let her = &people[nth];
        let above = parents[nth].map(|up| people[up].name.clone());
        made.push(Branch {
            id: her.ids.first().map_or_else(String::new, ToString::to_string),
            name: her.name.clone(),
            rung: ladder.label(&her.rung).to_owned(),
            rung_class: format!("rung-{}", ladder.position(&her.rung) + 1),
            level,
            by: above.unwrap_or_else(|| somebody(her.by.as_deref())),
            develops: develops(nth),
        });
        ahead.extend(below.get(&nth).into_iter().flatten().rev().map(|next| (*next, level + 1)));
    }
    made
}

/// Who develops somebody and is not above her in the tree: a login says who, an id nothing.
fn somebody(by: Option<&str>) -> String {
    let id = by.is_some_and(|by| by.parse::<model::DocId>().is_ok());
    by.map_or_else(String::new, |by| if id { "somebody else".to_owned() } else { by.to_owned() })
}

fn share(what: &'static str, organisers: &[Organiser], count: fn(&Holds) -> u64) -> Share {
    let mut counts: Vec<u64> = organisers.iter().map(|organiser| count(&organiser.holds)).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let (top, all) = (counts.iter().take(TOP).sum::<u64>(), counts.iter().sum::<u64>());
    let words = (top * 100).checked_div(all).map_or_else(|| "none".to_owned(), |part| format!("{part} %"));
    Share { what, top, all, words }
}

/// That one-to-ones rest on a few, if they do.
fn rests(talks: &Share) -> Option<String> {
    let few = talks.all >= TALKS_MIN && talks.top * 100 > talks.all * TOP_SHARE_MAX;
    few.then(|| {
        format!(
            "Three people hold {} of the {} one-to-ones of the last {KEPT_DAYS} days. If one of them stops, much stops with her: ask somebody else to hold one.",
            talks.words, talks.all
        )
    })
}

/// What each organiser holds, who held most one-to-ones first.
fn organisers(site: &Site) -> Result<Vec<Organiser>, WebError> {
    let now = site.node.now();
    let span = (now.plus_millis(-KEPT_DAYS * DAY_MS), now);
    let (talks, asks, people) = site.node.read(|read| {
        let chapter = read.own_scope()?;
        Ok((read.conversations(chapter, span)?, read.asks_made(chapter, span)?, read.looked_after(chapter)?))
    })?;
    let mut held: BTreeMap<String, Holds> = BTreeMap::new();
    for talk in talks {
        held.entry(talk.by).or_default().talks += 1;
    }
    for ask in asks {
        let holds = held.entry(ask.by).or_default();
        holds.leads += u64::from(ask.kind == AskKind::Lead);
        holds.tasks += u64::from(ask.kind == AskKind::Task);
    }
    for (who, count) in people {
        held.entry(who).or_default().people += count;
    }
    let one = |(name, holds): (String, Holds)| Organiser { name, many: holds.people > TIES_MAX, holds };
    let mut organisers: Vec<Organiser> = held.into_iter().map(one).collect();
    organisers.sort_by_key(|organiser| std::cmp::Reverse((organiser.holds.talks, organiser.holds.people)));
    Ok(organisers)
}

fn build(site: &Site, who: &Who) -> Result<LeadersPage, WebError> {
    site.node.settle()?;
    let (people, users, ladder) = site.node.read(|read| {
        let chapter = read.own_scope()?;
        Ok((read.developing(chapter)?, read.users()?, read.settings()?.ladder))
    })?;
    let tied = |user: &User| user.supporter.map(|id| (user.name.clone(), id.to_string()));
    let logins: BTreeMap<String, String> = users.iter().filter_map(tied).collect();
    let mut branches = branches(&people, &parents(&people, &logins), &ladder);
    let depth = branches.iter().map(|branch| branch.level).max().unwrap_or(0);
    let more = branches.len().saturating_sub(SHOWN);
    branches.truncate(SHOWN);
    let mut organisers = organisers(site)?;
    let talks = share("one-to-ones", &organisers, |holds| holds.talks);
    let leads = share("asks to lead", &organisers, |holds| holds.leads);
    let held = share("people looked after", &organisers, |holds| holds.people);
    let tasks: u64 = organisers.iter().map(|organiser| organiser.holds.tasks).sum();
    organisers.truncate(SHOWN);
    Ok(LeadersPage {
        shell: site.shell("Leaders", "/figures", who)?,
        as_of: site.node.now().for_people(),
        branches,
        more,
        depth,
        cut: people.len() >= TREE_MAX,
        rests: rests(&talks),
        asked: format!("Asks to lead: {}, tasks: {tasks}", leads.all),
        shares: vec![talks, leads, held],
        organisers,
        may_edit: who.role.may(Right::EditPeople),
    })
}

async fn page(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who)).await?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::{DocId, RungId};

    use super::*;

    fn person(n: u8, by: Option<&str>) -> Developing {
        Developing {
            ids: vec![DocId::from_bytes([n; 16])],
            name: format!("p{n}"),
            rung: RungId::new("leadership"),
            by: by.map(str::to_owned),
        }
    }

    fn id(n: u8) -> String {
        DocId::from_bytes([n; 16]).to_string()
    }

    fn shown(people: &[Developing], logins: &BTreeMap<String, String>) -> Vec<(String, usize, String, usize)> {
        let rows = branches(people, &parents(people, logins), &Ladder::default());
        rows.into_iter().map(|row| (row.name, row.level, row.by, row.develops)).collect()
    }

    fn row(name: &str, level: usize, by: &str, develops: usize) -> (String, usize, String, usize) {
        (name.to_owned(), level, by.to_owned(), develops)
    }

    #[test]
    fn the_tree_goes_down_from_whoever_is_developed_by_nobody_here() {
        let people =
            [person(1, None), person(2, Some(&id(1))), person(3, Some("ana")), person(4, Some("lee")), person(5, None)];
        let logins = BTreeMap::from([("lee".to_owned(), id(2))]);
        let wanted = [row("p1", 1, "", 1), row("p2", 2, "p1", 1), row("p4", 3, "p2", 0), row("p3", 1, "ana", 0)];
        assert_eq!(shown(&people, &logins), wanted);
    }

    #[test]
    fn a_circle_is_no_tree_and_hides_nobody() {
        let people = [person(1, Some(&id(2))), person(2, Some(&id(1))), person(3, Some(&id(1)))];
        let none = BTreeMap::new();
        assert_eq!(parents(&people, &none), [None, None, Some(0)]);
        let names: BTreeSet<String> = shown(&people, &none).into_iter().map(|row| row.0).collect();
        assert_eq!(names.len(), 3);
    }

    #[test]
    fn it_is_said_when_three_hold_most_of_at_least_twenty() {
        let of = |counts: &[u64]| {
            let one = |talks: &u64| Organiser {
                name: String::new(),
                holds: Holds { talks: *talks, ..Holds::default() },
                many: false,
            };
            rests(&share("one-to-ones", &counts.iter().map(one).collect::<Vec<_>>(), |holds| holds.talks))
        };
        assert!(of(&[1, 5, 4, 4, 3, 3]).is_some_and(|words| words.contains("65 % of the 20 one-to-ones")));
        assert_eq!(of(&[5, 4, 3, 2, 3, 3]), None, "60 % is not over it");
        assert_eq!(of(&[10, 5, 4]), None, "19 say nothing");
    }
}
