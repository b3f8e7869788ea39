//! What an organiser has to do about somebody, as her history says.
//!
//! **Invariant:** derived from her view alone. A follow-up is done by logging what happened: there is no tick that could say
//! so without.

use std::collections::BTreeSet;

use crate::{AnswerKind, AttemptResult, Body, Date, DocId, Event, EventId, MoveKind, RungId, Supporter, Timestamp};

/// The tag by which a form says that she wants to do something herself.
pub const WILLING_TAG: &str = "volunteer";

/// Whether nobody has tried to reach her yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum New {
    /// Somebody has tried, or nobody may.
    No,
    /// She waits for a first call.
    Waits,
    /// She waits, and has said that she would act.
    Willing,
}

/// Why she is to be contacted on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It was said when she was last tried, talked with or taken into care.
    Contact,
    /// An ask without an outcome is due.
    Ask,
}

/// A day on which she is to be contacted, and the event that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// The day.
    pub on: Date,
    /// Why.
    pub why: Due,
    /// The event.
    pub event: EventId,
}

/// The last try to reach her.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What came of it; none: a one-to-one.
    pub result: Option<AttemptResult>,
}

/// What there is to do about her.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whether she waits for a first call.
    pub new: New,
    /// When she is next to be contacted.
    pub follow_up: Option<FollowUp>,
    /// When somebody said to be in touch next, whatever else is due before it.
    pub planned: Option<FollowUp>,
    /// Not before this day.
    pub not_before: Option<Date>,
    /// The last try.
    pub tried: Option<Tried>,
    /// When somebody last talked with her, or she came.
    pub spoken: Option<Timestamp>,
    /// When she last kept an ask, or came.
    pub kept: Option<Timestamp>,
    /// When somebody last talked with or moved her: none for whom nobody knows beyond a name.
    pub tended: Option<Timestamp>,
    /// Whether she has kept an ask on the rung where she stands, and nothing is asked of her.
    pub ready: bool,
    /// When she came up to the rung where she stands; none: she began there, came with a list, or came down.
    pub arrived: Option<Timestamp>,
}

/// Events as they count, while they are read in order.
#[derive(Default)]
struct Reading {
    tried: Option<Tried>,
    spoken: Option<Timestamp>,
    kept: Option<Timestamp>,
    moved: Option<Timestamp>,
    kept_here: bool,
    said_yes: bool,
    next: Option<FollowUp>,
    not_before: Option<Date>,
    asks: Vec<(EventId, Option<Date>, Option<DocId>)>,
    came: BTreeSet<DocId>,
    up: Option<(Timestamp, RungId)>,
}

impl Reading {
    fn contact(&mut self, event: &Event, on: Option<Date>, reached: bool) {
        if reached || on.is_some() {
            self.next = on.map(|on| FollowUp { on, why: Due::Contact, event: event.id });
        }
    }

    fn event(&mut self, event: &Event) {
        let by = || event.by.as_ref().map_or_else(String::new, |by| by.expose().to_owned());
        match &event.body {
            Body::Attempt { result, not_before, next_on, .. } => {
                self.tried = Some(Tried { at: event.at, by: by(), result: Some(*result) });
                if *result == AttemptResult::Talked {
                    self.spoken = Some(event.at);
                }
                self.not_before = *not_before;
                // Whom nobody reached is still to be called.
                let reached = !matches!(result, AttemptResult::NoAnswer | AttemptResult::LeftMessage);
                self.contact(event, *next_on, reached);
            }
            Body::OneToOne { next_on, .. } => {
                self.tried = Some(Tried { at: event.at, by: by(), result: None });
                self.spoken = Some(event.at);
                self.not_before = None;
                self.contact(event, *next_on, true);
            }
            Body::Care { on, .. } => {
                self.contact(event, *on, false);
                if on.is_some() {
                    self.not_before = *on;
                }
            }
            Body::Ask { due, action, .. } => self.asks.push((event.id, *due, *action)),
            Body::Answer { of, answer, .. } => {
                self.said_yes |= matches!(answer, AnswerKind::Yes | AnswerKind::Kept);
                if *answer == AnswerKind::Kept {
                    self.kept = Some(event.at);
                    self.kept_here = true;
                }
                if *answer != AnswerKind::Yes {
                    self.asks.retain(|(ask, ..)| ask != of);
                }
            }
            Body::Move { to, how, .. } => {
                self.moved = Some(event.at);
                self.kept_here = false;
                self.up = matches!(how, MoveKind::Up | MoveKind::Skip).then(|| (event.at, to.clone()));
            }
            Body::Came { action } => {
                self.came.insert(*action);
                (self.spoken, self.kept) = (Some(event.at), Some(event.at));
                self.kept_here = true;
            }
            Body::SignUp { .. }
            | Body::Placement(_)
            | Body::Consent { .. }
            | Body::Transfer { .. }
            | Body::Return { .. }
            | Body::Donation { .. }
            | Body::Void { .. }
            | Body::Unknown => {}
        }
    }
}

impl Supporter {
    /// What there is to do about her. Whom nobody may contact is in no list of it.
    pub fn work(&self) -> Work {
        let mut reading = Reading::default();
        self.events.iter().for_each(|event| reading.event(event));
        let Reading { tried, spoken, kept, moved, kept_here, said_yes, next, not_before, mut asks, came, up } = reading;
        // Also whoever was asked at the door, and was entered before.
        asks.retain(|(.., action)| action.is_none_or(|action| !came.contains(&action)));
        let asked =
            asks.iter().filter_map(|(event, due, _)| due.map(|on| FollowUp { on, why: Due::Ask, event: *event }));
        // Whom nobody has tried to reach stands among the new: the day on which somebody took her makes nothing due.
        let first = asked.chain(next.filter(|_| tried.is_some())).min_by_key(|due| due.on);
        let late = |due: FollowUp| FollowUp { on: not_before.map_or(due.on, |day| day.max(due.on)), ..due };
        let willing = said_yes || self.tags.contains(WILLING_TAG);
        let new = match (self.do_not_contact || tried.is_some(), willing) {
            (true, _) => New::No,
            (false, true) => New::Willing,
            (false, false) => New::Waits,
        };
        Work {
            new,
            follow_up: first.map(late).filter(|_| !self.do_not_contact),
            planned: next.map(late).filter(|_| !self.do_not_contact),
            not_before,
            tried,
            spoken,
            kept,
            tended: spoken.max(moved),
            ready: kept_here && asks.is_empty() && !self.do_not_contact,
            arrived: up.filter(|(_, to)| *to == self.rung).map(|(at, _)| at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AskKind, AttemptHow};

    fn event(nth: u8, body: Body) -> Event {
        let at = Timestamp::from_millis(i64::from(nth) * 1000);
        Event { id: EventId::from_bytes([nth; 16]), at, by: Some("ana".into()), body }
    }

    fn attempt(result: AttemptResult, next_on: Option<&str>) -> Body {
        let next_on = next_on.map(|day| day.parse().unwrap());
        Body::Attempt { how: AttemptHow::Call, result, line: None, not_before: None, next_on }
    }

    fn her(bodies: &[Body]) -> Supporter {
        let events: Vec<Event> = (1..).zip(bodies).map(|(nth, body)| event(nth, body.clone())).collect();
        let plain = serde_json::json!({
            "id": crate::DocId::from_bytes([1; 16]), "rung": "contact", "peak_rung": "contact", "events": events,
            "modified_at": Timestamp::from_millis(0),
        });
        serde_json::from_value(plain).unwrap()
    }

    fn ask(due: &str) -> Body {
        let due = Some(due.parse().unwrap());
        Body::Ask { text: "Come".into(), ask_kind: AskKind::Come, rung: None, due, action: None }
    }

    #[test]
    fn whom_nobody_reached_is_still_to_be_called() {
        assert_eq!(her(&[]).work().new, New::Waits);
        let talked = attempt(AttemptResult::Talked, Some("2026-05-01"));
        let missed = attempt(AttemptResult::NoAnswer, None);
        let work = her(&[talked.clone(), missed.clone()]).work();
        assert_eq!(work.follow_up.unwrap().on.to_string(), "2026-05-01");
        assert_eq!((work.new, work.tried.unwrap().result), (New::No, Some(AttemptResult::NoAnswer)));
        let again = attempt(AttemptResult::Talked, None);
        assert_eq!(her(&[talked, missed, again]).work().follow_up, None);
    }

    #[test]
    fn an_ask_is_due_until_its_outcome_is_known_and_then_she_is_ready_for_the_next() {
        let said = |answer| Body::Answer { of: EventId::from_bytes([1; 16]), answer, line: None };
        let work = her(&[ask("2026-05-03"), said(AnswerKind::Yes)]).work();
        assert_eq!(work.follow_up.map(|due| due.why), Some(Due::Ask));
        assert_eq!((work.new, work.ready), (New::Willing, false));
        let work = her(&[ask("2026-05-03"), said(AnswerKind::Kept)]).work();
        assert_eq!((work.follow_up, work.ready), (None, true));
        let moved = Body::Move {
            from: RungId::new("contact"),
            to: RungId::new("conversation"),
            how: MoveKind::Up,
            evidence: Vec::new(),
            because: None,
        };
        let mut moved = her(&[ask("2026-05-03"), said(AnswerKind::Kept), moved]);
        assert_eq!((moved.work().ready, moved.work().arrived), (false, None), "where she stands is another rung");
        moved.rung = RungId::new("conversation");
        assert_eq!(moved.work().arrived, Some(Timestamp::from_millis(3000)));
    }

    #[test]
    fn what_is_planned_stays_planned_while_something_else_is_due_before_it() {
        let held = Body::OneToOne {
            minutes: None,
            in_person: None,
            ask: None,
            next: None,
            next_on: Some("2026-06-01".parse().unwrap()),
        };
        let work = her(&[ask("2026-05-03"), held]).work();
        assert_eq!(work.follow_up.map(|due| (due.on.to_string(), due.why)), Some(("2026-05-03".to_owned(), Due::Ask)));
        assert_eq!(
            work.planned.map(|due| (due.on.to_string(), due.why)),
            Some(("2026-06-01".to_owned(), Due::Contact))
        );
    }

    #[test]
    fn later_is_a_day_before_which_nothing_is_due() {
        let care = Body::Care { who: Some("ana".into()), before: None, on: Some("2026-06-01".parse().unwrap()) };
        let work = her(&[ask("2026-05-03"), care]).work();
        assert_eq!(work.follow_up.unwrap().on.to_string(), "2026-06-01");
        let care = Body::Care { who: Some("ana".into()), before: None, on: Some("2026-06-01".parse().unwrap()) };
        assert_eq!(her(&[care]).work().follow_up, None, "nobody has called her yet: she is among the new");
        let mut closed = her(&[ask("2026-05-03")]);
        closed.do_not_contact = true;
        assert_eq!((closed.work().follow_up, closed.work().new), (None, New::No));
    }
}
