//! Trying to reach somebody from wherever her name stands: her number, who tried last, who is calling at this moment, and
//! what came of it in two taps.
//!
//! A page includes `attempt.html` in a loop over `row`s that have an `attempt`, and says as `back` where it stands itself.

use model::{AttemptResult, Body, Channel, ConsentState, Event, Personal, Right, Supporter, Timestamp, Tried, Work};
use node::Who;
use store::{Calling, DocState, PersonRow};

use crate::{ago, since};

/// Within how long two people who tried are named both, in ms: a day, in which laptops that were apart meet again.
const ALSO_MS: i64 = 24 * 3600 * 1000;

/// What stands beside somebody's name for whoever wants to reach her.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Her id.
    pub id: String,
    /// Her name.
    pub name: String,
    /// Her number as it is dialled; empty: none is known.
    pub number: String,
    /// What she said of calls.
    pub consent: String,
    /// Who tried last, when, and what came of it; empty: nobody has.
    pub tried: String,
    /// Before which day nobody is to try; empty: no such day is ahead.
    pub not_before: String,
    /// Who else is calling her at this moment, if anybody is.
    pub calling: Option<String>,
    /// Whether this login has opened her number.
    pub holds: bool,
    /// Nobody may contact her.
    pub closed: bool,
    /// Whether this login may log what came of it.
    pub may_log: bool,
}

impl Attempt {
    /// What stands beside a person's name, with what there is to do about her and who is calling whom.
    pub fn of(person: &PersonRow, work: &Work, calling: &[Calling], who: &Who, now: Timestamp) -> Self {
        let her = &person.supporter;
        let held = calling.iter().find(|held| her.covers(held.person));
        let today = now.date();
        let number = her.phones.first().map_or("", |phone| phone.number.as_str().trim_start_matches("raw:"));
        Self {
            id: her.id.to_string(),
            name: her.display_name(),
            number: number.to_owned(),
            consent: calls_words(her),
            tried: work.tried.as_ref().map_or_else(String::new, |last| tried_words(her, last, now)),
            not_before: work
                .not_before
                .filter(|day| *day > today)
                .map_or_else(String::new, |day| format!("not before {day}")),
            calling: held.filter(|held| held.by != who.by).map(|held| calling_words(held, now)),
            holds: held.is_some_and(|held| held.by == who.by),
            closed: her.do_not_contact,
            may_log: who.role.may(Right::LogAttempts) && [DocState::Live, DocState::Kept].contains(&person.state),
        }
    }
}

/// Who is calling somebody, and for how long her number is still held.
pub(crate) fn calling_words(held: &Calling, now: Timestamp) -> String {
    format!("{} is calling, for another {}", held.by, since(now, held.until))
}

/// What she said of calls.
fn calls_words(her: &Supporter) -> String {
    let said = her.consents.iter().filter(|said| said.channel == Channel::Phone.word());
    let words = said.map(|said| {
        let who = if said.sender == "network" { "the network" } else { "the chapter" };
        match said.state {
            ConsentState::Granted => format!("yes to {who}"),
            ConsentState::Withdrawn => format!("no to {who}"),
        }
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "Calls: she has not said".to_owned() } else { format!("Calls: {}", words.join(", ")) }
}

/// Who tried last, when, and what came of it.
fn tried_words(her: &Supporter, last: &Tried, now: Timestamp) -> String {
    let by = if last.by.is_empty() { "somebody" } else { last.by.as_str() };
    let what = last.result.map_or("a one-to-one", result_words);
    let also = also_tried(her, last).map_or_else(String::new, |other| format!("; also tried by {other}"));
    format!("Last tried by {by} {}: {what}{also}", ago(Some(last.at), now))
}

/// What came of a try, after a colon.
pub const fn result_words(result: AttemptResult) -> &'static str {
    match result {
        AttemptResult::Talked => "they talked",
        AttemptResult::LeftMessage => "left a message",
        AttemptResult::NoAnswer => "no answer",
        AttemptResult::WrongNumber => "wrong number",
        AttemptResult::Refused => "did not want to talk",
        AttemptResult::Moved => "has moved away",
    }
}

/// Somebody else who tried within a day of the last one: both were at it, perhaps on laptops that were apart.
fn also_tried<'a>(her: &'a Supporter, last: &Tried) -> Option<&'a str> {
    let other = |event: &Event| {
        let tries = matches!(event.body, Body::Attempt { .. } | Body::OneToOne { .. });
        tries && last.at.since(event.at).abs() <= ALSO_MS
    };
    let tried = her.events.iter().rev().filter(|event| other(event));
    tried.filter_map(|event| event.by.as_ref()).map(Personal::expose).find(|by| *by != last.by)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn her(tries: &[(&str, i64)]) -> Supporter {
        let event = |(nth, (by, hour)): (u8, &(&str, i64))| {
            serde_json::json!({
                "id": model::EventId::from_bytes([nth; 16]), "at": Timestamp::from_millis(hour * HOUR), "by": by,
                "kind": "attempt", "how": "call", "result": "no-answer",
            })
        };
        let events: Vec<serde_json::Value> = (1..).zip(tries).map(event).collect();
        let plain = serde_json::json!({
            "id": model::DocId::from_bytes([1; 16]), "rung": "contact", "peak_rung": "contact", "events": events,
            "modified_at": Timestamp::from_millis(0),
        });
        serde_json::from_value(plain).unwrap()
    }

    fn said(tries: &[(&str, i64)]) -> String {
        let her = her(tries);
        let last = her.work().tried.unwrap();
        tried_words(&her, &last, Timestamp::from_millis(100 * HOUR))
    }

    #[test]
    fn two_who_tried_within_a_day_are_both_named() {
        assert_eq!(said(&[("lee", 90), ("ana", 98)]), "Last tried by ana 2 h ago: no answer; also tried by lee");
        assert_eq!(said(&[("lee", 73), ("ana", 98)]), "Last tried by ana 2 h ago: no answer");
        assert_eq!(said(&[("ana", 97), ("ana", 98)]), "Last tried by ana 2 h ago: no answer");
    }

    #[test]
    fn what_she_said_of_calls_is_said_in_words() {
        let mut her = her(&[]);
        assert_eq!(calls_words(&her), "Calls: she has not said");
        let event = model::EventId::from_bytes([9; 16]);
        let (channel, sender) = ("phone".to_owned(), "network".to_owned());
        her.consents.push(model::Consent { channel, sender, state: ConsentState::Withdrawn, event });
        assert_eq!(calls_words(&her), "Calls: no to the network");
    }
}
