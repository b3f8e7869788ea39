//! Stepping down: somebody's people and open asks are handed on, her role ends with thanks, and her login with it.
//!
//! **Invariants:** what can be refused is refused before anything is written; each person is handed on by an event of her
//! own, which can be taken back; the login ends last, and only when nobody stays behind.

use std::collections::{BTreeMap, BTreeSet};

use model::{DocId, EventId, Login, Personal, Right, Role};
use store::{AskMade, DocState, Filter, Page, Read, StoreError};

use crate::acts::within;
use crate::{ErrorKind, Node, NodeError};

/// People who are read at a time.
const PAGE: usize = 200;
/// How far back asks are looked for that nobody has closed, in ms: a year. What is older is forgotten by both.
const ASKS_MS: i64 = 365 * 24 * 3600 * 1000;
/// Clocks differ by a day at most.
const AHEAD_MS: i64 = 24 * 3600 * 1000;

/// Somebody who is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedPerson {
    /// Her id.
    pub id: DocId,
    /// Her name.
    pub name: Personal,
}

/// What goes with somebody who steps down.
#[derive(Clone, Debug)]
pub struct SteppingDown {
    /// Her role.
    pub role: Role,
    /// Whom she looks after; and to whom she has an open ask while nobody looks after them.
    pub people: Vec<HandedPerson>,
    /// Her open asks. Whoever looks after the person is responsible for what was asked of her.
    pub asks: Vec<AskMade>,
    /// Who is responsible for those to people whom somebody else looks after.
    others: BTreeMap<DocId, String>,
    /// Her own record, if her login is tied to one.
    pub record: Option<DocId>,
    /// Nobody else could make logins: hers stays.
    pub last_administrator: bool,
    /// Who can take people over.
    pub successors: Vec<String>,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct SteppedDown {
    /// Who was given to whom, by which event.
    pub given: Vec<(HandedPerson, EventId, String)>,
    /// Who could not be given, and why.
    pub stay: Vec<(HandedPerson, String)>,
    /// Who is responsible for each open ask now.
    pub asks: Vec<(AskMade, String)>,
    /// The note with thanks, in her own record.
    pub thanked: Option<EventId>,
    /// Whether her login has ended.
    pub login_ended: bool,
}

/// Whoever a login looks after and who can be written, each once.
fn looked_after(read: &Read<'_>, login: &str) -> Result<Vec<HandedPerson>, StoreError> {
    let filter = Filter { mine: Some(login.to_owned()), ..Filter::default() };
    let (mut people, mut after) = (Vec::new(), None);
    loop {
        let page = read.people(&filter, Page { limit: PAGE, after })?;
        let more = page.len() == PAGE;
        after = page.last().map(|person| person.supporter.id);
        let writable = page.iter().filter(|person| [DocState::Live, DocState::Kept].contains(&person.state));
        people.extend(
            writable
                .map(|person| HandedPerson { id: person.supporter.id, name: person.supporter.display_name().into() }),
        );
        if !more {
            return Ok(people);
        }
    }
}

impl Node {
    /// What goes with somebody who steps down. Blocks.
    ///
    /// # Errors
    /// When there is no such login.
    pub fn stepping_down(&self, login: &str) -> Result<SteppingDown, NodeError> {
        self.settle()?;
        let now = self.now();
        let span = (now.plus_millis(-ASKS_MS), now.plus_millis(AHEAD_MS));
        self.read(|read| {
            let users = read.users()?;
            let unknown = || StoreError::Unknown("login", login.to_owned());
            let user = users.iter().find(|user| user.name == login).ok_or_else(unknown)?;
            let administrators = users.iter().filter(|user| user.role == Role::Administrator).count();
            let takes_over = |user: &&store::User| user.name != login && user.role.may(Right::EditPeople);
            let mut people = looked_after(read, login)?;
            let mut asks = read.asks_made(read.own_scope()?, span)?;
            asks.retain(|ask| ask.by == login && !ask.is_over());
            let mut others = BTreeMap::new();
            for ask in &mut asks {
                let person = read.person(ask.person)?;
                // Of joined records she is handed on under the first.
                ask.person = person.supporter.id;
                if people.iter().any(|handed| handed.id == ask.person) {
                    continue;
                }
                match &person.supporter.looked_after_by {
                    Some(who) => drop(others.insert(ask.person, who.expose().to_owned())),
                    None => {
                        let name = person.supporter.display_name().into();
                        people.push(HandedPerson { id: ask.person, name });
                    }
                }
            }
            Ok(SteppingDown {
                role: user.role,
                people,
                asks,
                others,
                record: user.supporter,
                last_administrator: user.role == Role::Administrator && administrators == 1,
                successors: users.iter().filter(takes_over).map(|user| user.name.clone()).collect(),
            })
        })
    }

    /// Somebody steps down: her people are given to these logins one after another, her open asks go with them, her own
    /// record says that her role ended with thanks, and her login ends. Blocks.
    ///
    /// # Errors
    /// When there is no such login, or nobody who could take her people over was chosen: nothing is done then.
    pub fn step_down(&self, login: &str, to: &[String], thanks: &Personal, by: &str) -> Result<SteppedDown, NodeError> {
        within(thanks, "the thanks")?;
        let name: Login = login.parse().map_err(|_| NodeError::NotFound("login", login.to_owned()))?;
        let plan = self.stepping_down(login)?;
        if to.is_empty() && !plan.people.is_empty() {
            return Err(NodeError::Refused("choose who takes her people over".to_owned()));
        }
        if let Some(other) = to.iter().find(|who| !plan.successors.contains(who)) {
            let words = format!("{other} can't take people over: choose somebody who may edit people here");
            return Err(NodeError::Refused(words));
        }
        let mut made = SteppedDown::default();
        for (person, who) in plan.people.iter().zip(to.iter().cycle()) {
            match self.give_out(&[person.id], std::slice::from_ref(who), None, by) {
                Ok(given) => {
                    let one = |(_, event)| (person.clone(), event, who.clone());
                    made.given.extend(given.into_iter().map(one));
                }
                Err(error) if [ErrorKind::Refused, ErrorKind::NotFound].contains(&error.kind()) => {
                    made.stay.push((person.clone(), error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        let given: BTreeMap<DocId, &String> = made.given.iter().map(|(person, _, who)| (person.id, who)).collect();
        let now_with = |ask: AskMade| {
            let who = plan.others.get(&ask.person).or_else(|| given.get(&ask.person).copied());
            let who = who.cloned().unwrap_or_else(|| login.to_owned());
            (ask, who)
        };
        made.asks = plan.asks.into_iter().map(now_with).collect();
        // Somebody may have been given to her while this was done.
        let known: BTreeSet<DocId> = plan.people.iter().map(|person| person.id).collect();
        let still = self.read(|read| looked_after(read, login))?;
        let meanwhile = still.into_iter().filter(|person| !known.contains(&person.id));
        made.stay.extend(meanwhile.map(|person| (person, "she was given to her meanwhile: try again".to_owned())));
        if !made.stay.is_empty() {
            return Ok(made);
        }
        if let Some(record) = plan.record {
            let said = if thanks.is_blank() { "Thank you." } else { thanks.expose() };
            let text = format!("Role as {} ended on {}, with thanks. {said}", plan.role.word(), self.now().date());
            made.thanked = Some(self.add_note(record, text.into(), by)?);
        }
        if !plan.last_administrator {
            self.remove_user(&name, by)?;
            made.login_ended = true;
        }
        Ok(made)
    }

    /// Takes back that people were given out, each by its event. Gives how many; whoever was given on since stays there.
    ///
    /// # Errors
    /// When the database can't be written: those before are taken back.
    pub fn take_back_given(&self, given: &[(DocId, EventId)], by: &str) -> Result<u64, NodeError> {
        let mut taken = 0;
        for (person, event) in given {
            match self.void_event(*person, *event, by) {
                Ok(_) => taken += 1,
                Err(error) if [ErrorKind::Refused, ErrorKind::NotFound].contains(&error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }
}
