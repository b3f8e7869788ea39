//! What there is to do today, read at one moment: for the page and for the command.
//!
//! **Invariant:** each list is read from an index of its own, at most a page of it, and counted only as far as anybody reads
//! a number: nothing here reads all people.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use model::{Body, Date, DocId, Event, Ladder, Personal, Right, RungId, Timestamp, Work};
use node::{Node, NodeError};
use store::{Calling, Filter, LinkRow, Page, PersonRow, Read, StoreError, Tally, ToDoList};
use web::Goals;

/// People shown in one list: what one evening of calls holds.
pub(crate) const SHOWN: usize = 20;
/// The most new people shown at once, where somebody asks for more: to be given out, not to be called.
pub(crate) const SHOWN_MAX: usize = 200;
/// How late a first call is late, in ms: after two days she has forgotten that she signed up.
pub(crate) const FIRST_CALL_MS: i64 = 48 * 3600 * 1000;
/// The most one-to-ones of a week that are read to tell whose they are: those of a hundred organisers who reach their goal.
const ONE_TO_ONES_READ_MAX: usize = 500;
/// The most transfers among which those are looked for that ask here.
const TRANSFERS_READ_MAX: usize = 500;
/// How old the newest backup may be, in seconds: private notes are nowhere else.
pub(crate) const BACKUP_AGE_MAX: i64 = 7 * 24 * 3600;
/// A day in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Whose day it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of one organiser: the people whom she looks after.
    Mine(String),
    /// Of the whole chapter.
    Chapter,
}

/// Somebody, with what there is to do about her.
pub(crate) struct Row {
    pub(crate) person: PersonRow,
    pub(crate) work: Work,
}

impl Row {
    pub(crate) fn of(person: PersonRow) -> Self {
        Self { work: person.supporter.work(), person }
    }

    /// The event that says that she is to be contacted.
    pub(crate) fn due_event(&self) -> Option<&Event> {
        self.person.supporter.event(self.work.follow_up?.event)
    }

    /// Why she is here: the explanation of her last placement.
    pub(crate) fn why(&self) -> Option<&str> {
        self.person.supporter.events.iter().rev().find_map(|event| {
            if let Body::Placement(fact) = &event.body { Some(fact.explanation.as_str()) } else { None }
        })
    }
}

/// One list: its first people, and how many there are.
#[derive(Default)]
pub(crate) struct Panel {
    pub(crate) rows: Vec<Row>,
    pub(crate) count: u64,
}

impl Panel {
    /// Whether there are more than are shown.
    pub(crate) fn has_more(&self) -> bool {
        self.count > self.rows.len() as u64
    }
}

/// A one-to-one that was held.
pub(crate) struct Held {
    pub(crate) person: PersonRow,
    pub(crate) at: Timestamp,
    pub(crate) by: String,
}

/// One-to-ones of this week.
#[derive(Default)]
pub(crate) struct OneToOnes {
    /// How many were held.
    pub(crate) count: u64,
    /// How many are aimed at.
    pub(crate) goal: u64,
    /// The newest of them.
    pub(crate) held: Vec<Held>,
    /// With whom the next one is agreed until the end of the week.
    pub(crate) planned: Vec<Row>,
}

/// Something for a person to look at.
pub(crate) struct Need {
    /// A stable word.
    pub(crate) what: &'static str,
    pub(crate) count: u64,
    /// What it is and what to do.
    pub(crate) words: String,
    /// The page on which it is done; none: on the page of each whom it is about.
    pub(crate) page: Option<&'static str>,
    /// The command that does it, for a terminal.
    command: &'static str,
    /// Whom it is about, as far as they are shown.
    pub(crate) people: Vec<(DocId, String)>,
}

impl Need {
    /// What it is and what to do, for a terminal.
    pub(crate) fn told(&self) -> String {
        if self.command.is_empty() { self.words.clone() } else { format!("{} (`{}`)", self.words, self.command) }
    }
}

/// What there is to do.
pub(crate) struct Today {
    pub(crate) now: Timestamp,
    pub(crate) day: Date,
    pub(crate) ladder: Ladder,
    pub(crate) new: Panel,
    pub(crate) follow_ups: Panel,
    pub(crate) one_to_ones: OneToOnes,
    pub(crate) ready: Panel,
    pub(crate) quiet: Panel,
    pub(crate) needs: Vec<Need>,
    pub(crate) links: Vec<LinkRow>,
    pub(crate) tally: Tally,
    pub(crate) calling: Vec<Calling>,
}

/// Whether a login looks after anybody.
pub(crate) fn has_people(node: &Node, login: &str) -> Result<bool, NodeError> {
    let filter = Filter { mine: Some(login.to_owned()), ..Filter::default() };
    Ok(!node.read(|read| read.people(&filter, Page { limit: 1, after: None }))?.is_empty())
}

/// Reads it. `shown` is how many new people are wanted.
pub(crate) fn gather(node: &Node, whose: &Whose, goals: Goals, shown: usize) -> Result<Today, NodeError> {
    node.settle()?;
    let now = node.now();
    let backup_age = node.backup_age(now)?;
    node.read(|read| {
        let (day, ladder, tally) = (now.date(), read.settings()?.ladder, read.tally()?);
        let rungs: Vec<&RungId> = ladder.rungs().iter().map(|rung| &rung.id).collect();
        let top = rungs.last().map_or_else(|| ladder.lowest().clone(), |top| (*top).clone());
        let upper: Vec<RungId> = rungs.iter().skip(rungs.len() / 2).map(|rung| (*rung).clone()).collect();
        let quiet_since = now.plus_millis(-DAY_MS * i64::from(goals.quiet_after_days));
        Ok(Today {
            new: panel(read, whose, ToDoList::New, shown)?,
            follow_ups: panel(read, whose, ToDoList::DueBy(day), SHOWN)?,
            one_to_ones: one_to_ones(read, whose, goals, now)?,
            ready: panel(read, whose, ToDoList::Ready(top), SHOWN)?,
            quiet: panel(read, whose, ToDoList::Quiet(upper, quiet_since), SHOWN)?,
            needs: needs(read, &tally, backup_age)?,
            links: read.links()?,
            calling: read.calling(now)?,
            now,
            day,
            ladder,
            tally,
        })
    })
}

fn listed(read: &Read<'_>, whose: &Whose, list: ToDoList, shown: usize) -> Result<(Filter, Vec<Row>), StoreError> {
    let mine = if let Whose::Mine(login) = whose { Some(login.clone()) } else { None };
    let filter = Filter { mine, to_do: Some(list), ..Filter::default() };
    let people = read.people(&filter, Page { limit: shown, after: None })?;
    Ok((filter, people.into_iter().map(Row::of).collect()))
}

fn panel(read: &Read<'_>, whose: &Whose, list: ToDoList, shown: usize) -> Result<Panel, StoreError> {
    let (filter, rows) = listed(read, whose, list, shown)?;
    // A page that is not full is all of them.
    let count = if rows.len() < shown { rows.len() as u64 } else { read.count_people(&filter)? };
    Ok(Panel { rows, count })
}

fn one_to_ones(read: &Read<'_>, whose: &Whose, goals: Goals, now: Timestamp) -> Result<OneToOnes, StoreError> {
    let today = now.date();
    let monday = today.monday();
    let mut events = read.one_to_ones(monday.begins(), monday.plus_days(7).begins())?;
    events.reverse();
    let mut count = events.len() as u64;
    let mut goal = u64::from(goals.one_to_ones_a_week);
    events.truncate(if *whose == Whose::Chapter { SHOWN } else { ONE_TO_ONES_READ_MAX });
    // Of whom several one-to-ones were held, she is read once.
    let mut people: BTreeMap<DocId, PersonRow> = BTreeMap::new();
    let mut held = Vec::new();
    for (event, person) in events {
        let row = match people.entry(person) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(read.person(person)?),
        };
        let Some(found) = row.supporter.event(event) else { continue };
        let by = found.by.as_ref().map_or_else(String::new, |by| Personal::expose(by).to_owned());
        held.push(Held { person: row.clone(), at: found.at, by });
    }
    match whose {
        Whose::Mine(login) => {
            held.retain(|held| held.by == *login);
            count = held.len() as u64;
            held.truncate(SHOWN);
        }
        Whose::Chapter => {
            let organisers = read.users()?.iter().filter(|user| user.role.may(Right::EditPeople)).count();
            goal *= organisers.max(1) as u64;
        }
    }
    let (_, mut planned) = listed(read, whose, ToDoList::DueBetween(today, monday.plus_days(6)), SHOWN_MAX)?;
    planned.retain(|row| row.due_event().is_some_and(|event| matches!(event.body, Body::OneToOne { .. })));
    planned.truncate(SHOWN);
    Ok(OneToOnes { count, goal, held, planned })
}

fn needs(read: &Read<'_>, tally: &Tally, backup_age: Option<i64>) -> Result<Vec<Need>, StoreError> {
    let in_conflict = Filter { conflicts: true, ..Filter::default() };
    let in_conflict = read.people(&in_conflict, Page { limit: SHOWN, after: None })?;
    let named = in_conflict.iter().map(|row| (row.supporter.id, row.supporter.display_name())).collect();
    let asked = read.transfers(TRANSFERS_READ_MAX)?;
    let asked = asked.iter().filter(|row| row.state == "open" && row.asks_here()).count() + read.leaves()?.len();
    let need = |what, count: u64, (one, many): (&str, &str), page, command| Need {
        what,
        count,
        words: if count == 1 { one.to_owned() } else { format!("{count} {many}") },
        page,
        command,
        people: Vec::new(),
    };
    let differs = (
        "Of one person two people wrote different things: choose what holds",
        "people of whom two people wrote different things: choose what holds",
    );
    let proposed = (
        "One value from a sign-up waits for your word, on her page",
        "values from sign-ups wait for your word, on the pages of the people they are about",
    );
    let goes = ("One person is to come or to go: say yes or no", "people are to come or to go: say yes or no");
    let unread = (
        "One person's page shows an older state: a change could not be read",
        "people's pages show an older state: a change could not be read",
    );
    let untaken = ("One change was not taken", "changes were not taken");
    let conflicts = need("conflicts", tally.conflicts, differs, Some("/conflicts"), "");
    let mut needs = vec![
        Need { people: named, ..conflicts },
        need("proposals", tally.proposals, proposed, None, ""),
        need("transfers", asked as u64, goes, Some("/transfers"), "chapter-node transfers list"),
        need("unreadable", tally.quarantined, unread, Some("/link#unreadable"), "chapter-node people unreadable"),
        need("refused", tally.refused + tally.missing, untaken, Some("/link#refused"), "chapter-node refused list"),
    ];
    needs.retain(|need| need.count > 0);
    if tally.supporters > 0 && backup_age.is_none_or(|age| age > BACKUP_AGE_MAX) {
        let since = backup_age.map_or_else(
            || "There is no backup of this node yet".to_owned(),
            |age| format!("The newest backup is {} days old", age / (24 * 3600)),
        );
        let (words, page) = (format!("{since}: private notes are nowhere else"), Some("/link#backup"));
        needs.push(Need {
            what: "backup",
            count: 1,
            words,
            page,
            command: "chapter-node backup FILE",
            people: Vec::new(),
        });
    }
    Ok(needs)
}
