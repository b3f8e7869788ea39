//! Today: whom to call next and why she is here, what is due, and what needs somebody.
//!
//! **Invariant:** an organiser meets her own people first; whoever sees only the people given to her meets nobody else's.

mod gather;
mod told;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use model::{Body, Date, Personal, Right, Timestamp};
use node::{Node, Who};
use store::{Filter, Page};
use web::{Attempt, Form, Shell, Site, WebError, ago, blocking, html};

pub(crate) use gather::BACKUP_AGE_MAX;
use gather::{FIRST_CALL_MS, Held, Need, Panel, Row, SHOWN, SHOWN_MAX, Today, Whose, gather, has_people};
pub(crate) use told::tell;

/// The most people given to one caller that are shown to her: she finds nobody in any other way.
const GIVEN_SHOWN: usize = 200;

/// Somebody in a list.
struct Line {
    attempt: Attempt,
    place: String,
    rung: String,
    rung_class: String,
    /// Who looks after her.
    care: String,
    came: String,
    why: String,
    willing: bool,
    late: bool,
    due: Option<Due>,
    spoken: String,
    kept: String,
}

/// Why and when she is to be contacted.
struct Due {
    /// The ask whose outcome is not known, if it is one.
    ask: Option<String>,
    what: String,
    by: String,
    when: String,
    over: bool,
}

struct Spoken {
    id: String,
    name: String,
    who: String,
    when: String,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    shell: Shell,
    /// She sees only the people who are given to her.
    caller: bool,
    mine: bool,
    /// She looks after nobody, and is shown the whole chapter's day.
    nobody: bool,
    may_edit: bool,
    /// Where an act leads back to.
    back: String,
    day: Date,
    people: u64,
    rungs: Vec<(String, String, u64)>,
    new: Vec<Line>,
    new_count: u64,
    /// Where more of them are shown, if there are more.
    more: Option<String>,
    organisers: Vec<String>,
    due: Vec<Line>,
    due_count: u64,
    due_more: bool,
    held: Vec<Spoken>,
    planned: Vec<Line>,
    held_count: u64,
    goal: u64,
    ready: Vec<Line>,
    ready_count: u64,
    quiet: Vec<Line>,
    quiet_count: u64,
    quiet_days: u32,
    needs: Vec<Need>,
    given: Vec<Line>,
}

/// What every line is made with.
struct Making<'a> {
    today: &'a Today,
    who: &'a Who,
}

impl Making<'_> {
    fn line(&self, row: &Row) -> Line {
        let (her, now, ladder) = (&row.person.supporter, self.today.now, &self.today.ladder);
        let address = her.addresses.first();
        let text = |text: &Option<Personal>| text.as_ref().map(|text| text.expose().to_owned());
        Line {
            attempt: Attempt::of(&row.person, &row.work, &self.today.calling, self.who, now),
            place: address.and_then(|address| text(&address.postal_code)).unwrap_or_default(),
            rung: ladder.label(&her.rung).to_owned(),
            rung_class: format!("rung-{}", ladder.position(&her.rung) + 1),
            care: text(&her.looked_after_by).filter(|care| *care != self.who.by).unwrap_or_default(),
            came: ago(Some(her.id.created_at()), now),
            why: row.why().unwrap_or("Added by this chapter.").to_owned(),
            willing: row.work.new == model::New::Willing,
            late: is_late(row, now),
            due: self.due(row),
            spoken: ago(row.work.spoken.or(row.work.tended), now),
            kept: ago(row.work.kept, now),
        }
    }

    fn lines(&self, panel: &Panel) -> Vec<Line> {
        panel.rows.iter().map(|row| self.line(row)).collect()
    }

    fn due(&self, row: &Row) -> Option<Due> {
        let (due, event) = (row.work.follow_up?, row.due_event()?);
        Some(Due {
            ask: (due.why == model::Due::Ask).then(|| event.id.to_string()),
            what: due_words(&event.body),
            by: event.by.as_ref().map_or_else(String::new, |by| by.expose().to_owned()),
            when: day_words(due.on, self.today.day),
            over: due.on < self.today.day,
        })
    }

    fn spoken(&self, held: &Held) -> Spoken {
        let her = &held.person.supporter;
        Spoken {
            id: her.id.to_string(),
            name: her.display_name(),
            who: held.by.clone(),
            when: ago(Some(held.at), self.today.now),
        }
    }
}

/// Whether she has waited too long for a first call.
fn is_late(row: &Row, now: Timestamp) -> bool {
    row.work.new != model::New::No && now.since(row.person.supporter.id.created_at()) > FIRST_CALL_MS
}

/// What is to be done when somebody is due.
fn due_words(body: &Body) -> String {
    let said = match body {
        Body::Ask { text, .. } => return format!("asked: {}", text.expose()),
        Body::OneToOne { next, .. } => next.as_ref(),
        Body::Attempt { line, .. } => line.as_ref(),
        Body::SignUp { .. }
        | Body::Placement(_)
        | Body::Care { .. }
        | Body::Answer { .. }
        | Body::Move { .. }
        | Body::Came { .. }
        | Body::Consent { .. }
        | Body::Transfer { .. }
        | Body::Return { .. }
        | Body::Donation { .. }
        | Body::Void { .. }
        | Body::Unknown => None,
    };
    said.filter(|said| !said.is_blank()).map_or_else(|| "be in touch".to_owned(), |said| said.expose().to_owned())
}

/// A day as people say it, seen from today.
fn day_words(day: Date, today: Date) -> String {
    match day.days_since(today) {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        -1 => "since yesterday".to_owned(),
        days if days < 0 => format!("{} days overdue", -days),
        _ => day.to_string(),
    }
}

/// Whose day an address asks for; and whether it is the chapter's only because she looks after nobody.
fn whose_day(node: &Node, asked: Option<&str>, who: &Who) -> Result<(Whose, bool), WebError> {
    let mine = || Whose::Mine(who.by.clone());
    if !who.role.may(Right::SeePeople) {
        return Ok((mine(), false));
    }
    Ok(match asked {
        Some("chapter") => (Whose::Chapter, false),
        Some("mine") => (mine(), false),
        Some(_) | None if has_people(node, &who.by)? => (mine(), false),
        Some(_) | None => (Whose::Chapter, true),
    })
}

/// Everybody who is given to a caller: she finds them in no other way.
fn given_to(node: &Node, login: &str) -> Result<Panel, WebError> {
    let filter = Filter { mine: Some(login.to_owned()), ..Filter::default() };
    let (people, count) = node.read(|read| {
        let people = read.people(&filter, Page { limit: GIVEN_SHOWN, after: None })?;
        let all = people.len() < GIVEN_SHOWN;
        let count = if all { people.len() as u64 } else { read.count_people(&filter)? };
        Ok((people, count))
    })?;
    Ok(Panel { rows: people.into_iter().map(Row::of).collect(), count })
}

fn build(site: &Site, who: &Who, asked: &Form) -> Result<TodayPage, WebError> {
    let (whose, nobody) = whose_day(&site.node, asked.get("whose"), who)?;
    let shown: Option<usize> = asked.parse("show")?;
    let shown = shown.unwrap_or(SHOWN).clamp(SHOWN, SHOWN_MAX);
    let today = gather(&site.node, &whose, site.goals, shown)?;
    let (caller, mine) = (!who.role.may(Right::SeePeople), whose != Whose::Chapter);
    let may_edit = who.role.may(Right::EditPeople);
    let given = if caller { given_to(&site.node, &who.by)? } else { Panel::default() };
    let users = if may_edit { site.node.read(|read| read.users())? } else { Vec::new() };
    let works = users.iter().filter(|user| user.role.may(Right::LogAttempts));
    let back = if mine { "/?whose=mine" } else { "/?whose=chapter" };
    let many = if shown > SHOWN { format!("{back}&show={shown}") } else { back.to_owned() };
    let making = Making { today: &today, who };
    let rung = |(nth, rung): (usize, &model::Rung)| {
        let count = today.tally.rungs.iter().find(|(id, _)| id == rung.id.as_str()).map_or(0, |(_, count)| *count);
        (format!("rung-{}", nth + 1), rung.label.clone(), count)
    };
    let mut shell = site.shell("Today", "/", who)?;
    shell.notice = site.notice(asked.get("did"), &many, who);
    Ok(TodayPage {
        shell,
        caller,
        mine,
        nobody,
        may_edit,
        day: today.day,
        people: if caller { given.count } else { today.tally.supporters },
        rungs: if caller { Vec::new() } else { today.ladder.rungs().iter().enumerate().map(rung).collect() },
        new: making.lines(&today.new),
        new_count: today.new.count,
        more: today.new.has_more().then(|| format!("{back}&show={SHOWN_MAX}")),
        back: many,
        organisers: works.map(|user| user.name.clone()).collect(),
        due: making.lines(&today.follow_ups),
        due_count: today.follow_ups.count,
        due_more: today.follow_ups.has_more(),
        held: today.one_to_ones.held.iter().map(|held| making.spoken(held)).collect(),
        planned: today.one_to_ones.planned.iter().map(|row| making.line(row)).collect(),
        held_count: today.one_to_ones.count,
        goal: today.one_to_ones.goal,
        ready: making.lines(&today.ready),
        ready_count: today.ready.count,
        quiet: making.lines(&today.quiet),
        quiet_count: today.quiet.count,
        quiet_days: site.goals.quiet_after_days,
        given: making.lines(&given),
        needs: if caller { Vec::new() } else { today.needs },
    })
}

pub(crate) async fn page(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    asked: Form,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who, &asked)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_said_from_today() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let said = |text: &str| day_words(day(text), day("2026-11-24"));
        assert_eq!(said("2026-11-24"), "today");
        assert_eq!(said("2026-11-23"), "since yesterday");
        assert_eq!(said("2026-10-31"), "24 days overdue");
        assert_eq!((said("2026-11-25"), said("2026-12-01")), ("tomorrow".to_owned(), "2026-12-01".to_owned()));
    }
}
