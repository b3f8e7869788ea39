//! Several records of one person, shown as one supporter.
//!
//! **Invariants:** nothing is copied and nothing is decided: entries and events of all are shown; where a field has two
//! values the first record's stands and the others are listed beside it; of two answers to what may be done with her the
//! stricter holds, of two rungs the lower. The order in which records are given does not matter. Knows nothing of how they
//! came to be joined.

use std::collections::{BTreeMap, BTreeSet};

use crate::{EmailEntry, EventId, Ladder, Personal, PhoneEntry, Supporter};

/// The most records that are joined. Nobody signs up under more names than this by honest mistakes: a larger set is one
/// (a list with one e-mail address for all), and is shown as the records that it is made of.
pub const JOINED_MAX: usize = 16;

/// The one supporter who is shown for these records, under the smallest of their ids; `None` without any.
pub fn as_one<'a>(records: impl IntoIterator<Item = &'a Supporter>, ladder: &Ladder) -> Option<Supporter> {
    let mut records: Vec<&Supporter> = records.into_iter().collect();
    records.sort_by_key(|record| record.id);
    let (first, others) = records.split_first()?;
    let mut one = (*first).clone();
    for other in others {
        one.merged.push(other.id);
        add_fields(&mut one, other);
        add_entries(&mut one, other);
        add_limits(&mut one, other, ladder);
        one.modified_at = one.modified_at.max(other.modified_at);
    }
    one.emails.sort_by_key(|email| !email.primary);
    one.phones.sort_by_key(|phone| !phone.primary);
    one.consents.sort_by(|a, b| (&a.channel, &a.sender).cmp(&(&b.channel, &b.sender)));
    one.events.sort_by_key(|event| (event.at, event.id));
    Some(one)
}

/// A value that differs from the one that stands is listed beside it.
fn list(also: &mut BTreeMap<String, BTreeSet<Personal>>, name: &str, stands: &Personal, value: &Personal) {
    if stands != value {
        also.entry(name.to_owned()).or_default().insert(value.clone());
    }
}

fn add_fields(one: &mut Supporter, other: &Supporter) {
    for (name, value) in &other.fields {
        let stands = one.fields.entry(name.clone()).or_insert_with(|| value.clone());
        list(&mut one.also, name, stands, value);
    }
    for (name, value) in &other.custom {
        let stands = one.custom.entry(name.clone()).or_insert_with(|| value.clone());
        list(&mut one.also, &format!("{}{name}", crate::CUSTOM), stands, value);
    }
    let people = [
        ("looked_after_by", &mut one.looked_after_by, &other.looked_after_by),
        ("recruited_by", &mut one.recruited_by, &other.recruited_by),
        ("developed_by", &mut one.developed_by, &other.developed_by),
    ];
    for (name, stands, value) in people {
        let Some(value) = value else { continue };
        let stands = stands.get_or_insert_with(|| value.clone());
        list(&mut one.also, name, stands, value);
    }
}

fn add_entries(one: &mut Supporter, other: &Supporter) {
    for email in &other.emails {
        if let Some(at) = one.emails.iter().position(|known| known.address == email.address) {
            // From the least to the most restrictive; nothing said is the least.
            one.emails[at].status = one.emails[at].status.max(email.status);
        } else {
            let primary = email.primary && !one.emails.iter().any(|known| known.primary);
            one.emails.push(EmailEntry { primary, ..email.clone() });
        }
    }
    for phone in &other.phones {
        if !one.phones.iter().any(|known| known.number == phone.number) {
            let primary = phone.primary && !one.phones.iter().any(|known| known.primary);
            one.phones.push(PhoneEntry { primary, ..phone.clone() });
        }
    }
    add_unknown(&mut one.addresses, &other.addresses);
    add_unknown(&mut one.conflicts, &other.conflicts);
    add_unknown(&mut one.flagged, &other.flagged);
    one.tags.extend(other.tags.iter().cloned());
    one.same_as.extend(&other.same_as);
    let known: BTreeSet<EventId> = one.events.iter().map(|event| event.id).collect();
    one.events.extend(other.events.iter().filter(|event| !known.contains(&event.id)).cloned());
}

fn add_unknown<T: Clone + PartialEq>(known: &mut Vec<T>, others: &[T]) {
    for other in others {
        if !known.contains(other) {
            known.push(other.clone());
        }
    }
}

/// What may be done with her, and how far she is: never more than each record says by itself.
fn add_limits(one: &mut Supporter, other: &Supporter, ladder: &Ladder) {
    for said in &other.consents {
        let at = one.consents.iter().position(|known| known.channel == said.channel && known.sender == said.sender);
        match at {
            Some(at) if said.state > one.consents[at].state => one.consents[at] = said.clone(),
            Some(_) => {}
            None => one.consents.push(said.clone()),
        }
    }
    one.do_not_contact |= other.do_not_contact;
    one.erasure_asked |= other.erasure_asked;
    if ladder.position(&other.rung) < ladder.position(&one.rung) {
        one.rung = other.rung.clone();
    }
    if ladder.position(&other.peak_rung) > ladder.position(&one.peak_rung) {
        one.peak_rung = other.peak_rung.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{ConsentState, DocId, EmailStatus};

    /// A record of the ladder's lowest rung with what is given.
    fn record(n: u8, with: Value) -> Supporter {
        let mut made = json!({
            "id": DocId::from_bytes([n; 16]), "rung": "contact", "peak_rung": "contact",
            "modified_at": "2026-11-22T00:00:00.000Z",
        });
        let (Some(object), Value::Object(with)) = (made.as_object_mut(), with) else {
            unreachable!("both are objects")
        };
        object.extend(with);
        serde_json::from_value(made).unwrap()
    }

    fn joined(records: &[&Supporter]) -> Supporter {
        as_one(records.iter().copied(), &Ladder::default()).unwrap()
    }

    fn attempt(n: u8, at: &str) -> Value {
        let id = EventId::from_bytes([n; 16]);
        json!({"id": id, "at": at, "kind": "attempt", "how": "call", "result": "talked"})
    }

    #[test]
    fn entries_of_both_are_shown_under_the_smaller_id() {
        let first = record(
            1,
            json!({
                "fields": {"given_name": "Mary"},
                "emails": [{"address": "m@example.org", "primary": true}],
                "tags": ["tenant"],
                "events": [attempt(7, "2026-03-01T00:00:00.000Z"), attempt(9, "2026-05-01T00:00:00.000Z")],
            }),
        );
        let second = record(
            2,
            json!({
                "fields": {"given_name": "Maria", "family_name": "Brown"},
                "emails": [{"address": "b@example.org", "primary": true}, {"address": "m@example.org"}],
                "phones": [{"number": "+12135550142", "primary": true}],
                "tags": ["host"],
                "events": [attempt(8, "2026-04-01T00:00:00.000Z"), attempt(9, "2026-05-01T00:00:00.000Z")],
            }),
        );
        let one = joined(&[&second, &first]);
        assert_eq!((one.id, one.merged.as_slice()), (first.id, [second.id].as_slice()));
        assert!(one.covers(second.id) && !one.covers(DocId::from_bytes([3; 16])));
        assert_eq!((one.field("given_name"), one.field("family_name")), ("Mary", "Brown"));
        assert_eq!(one.also["given_name"].iter().map(Personal::expose).collect::<Vec<_>>(), ["Maria"]);
        assert!(!one.also.contains_key("family_name") && one.conflicts.is_empty());
        let emails: Vec<_> = one.emails.iter().map(|email| (email.address.as_str(), email.primary)).collect();
        assert_eq!(emails, [("m@example.org", true), ("b@example.org", false)], "one is the one to use");
        assert_eq!(one.phones.len(), 1);
        assert_eq!(one.tags.iter().map(String::as_str).collect::<Vec<_>>(), ["host", "tenant"]);
        let events: Vec<EventId> = one.events.iter().map(|event| event.id).collect();
        assert_eq!(events, [7, 8, 9].map(|n| EventId::from_bytes([n; 16])), "in order, and each once");
    }

    #[test]
    fn the_stricter_consent_and_the_lower_rung_hold() {
        let event = EventId::from_bytes([5; 16]);
        let said = |state: &str| json!([{"channel": "email", "sender": "network", "state": state, "event": event}]);
        let first = record(
            1,
            json!({
                "consents": said("granted"), "rung": "commitment", "peak_rung": "commitment",
                "emails": [{"address": "m@example.org", "status": "spam complaint"}],
            }),
        );
        let second = record(
            2,
            json!({
                "consents": said("withdrawn"), "do_not_contact": true, "erasure_asked": true,
                "rung": "conversation", "peak_rung": "leadership",
                "emails": [{"address": "m@example.org", "status": "subscribed"}],
            }),
        );
        let one = joined(&[&first, &second]);
        assert_eq!(one.consents.iter().map(|said| said.state).collect::<Vec<_>>(), [ConsentState::Withdrawn]);
        assert!(one.do_not_contact && one.erasure_asked);
        assert_eq!(one.emails[0].status, Some(EmailStatus::SpamComplaint));
        assert_eq!((one.rung.as_str(), one.peak_rung.as_str()), ("conversation", "leadership"));
    }

    #[test]
    fn what_disagrees_within_a_record_is_still_to_settle() {
        let conflict = |value: &str| json!([{"field": "gender", "values": [{"value": "a"}, {"value": value}]}]);
        let first = record(1, json!({"conflicts": conflict("b")}));
        let second = record(2, json!({"conflicts": conflict("c")}));
        assert_eq!(joined(&[&first, &second]).conflicts.len(), 2);
        assert_eq!(joined(&[&first, &record(2, json!({"conflicts": conflict("b")}))]).conflicts.len(), 1);
    }

    #[test]
    fn the_order_does_not_matter_and_one_record_is_itself() {
        let records = [
            record(1, json!({"custom": {"union": "9"}, "looked_after_by": "lee", "rung": "commitment"})),
            record(2, json!({"custom": {"union": "7"}, "looked_after_by": "kim", "rung": "conversation"})),
            record(
                3,
                json!({"custom": {"union": "8"}, "recruited_by": "kim", "same_as": [DocId::from_bytes([1; 16])]}),
            ),
        ];
        let [a, b, c] = &records;
        let one = joined(&[a, b, c]);
        for order in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
            assert_eq!(joined(&order), one);
        }
        assert_eq!(one.also["custom/union"].len(), 2);
        assert_eq!(one.also["looked_after_by"].iter().map(Personal::expose).collect::<Vec<_>>(), ["kim"]);
        assert_eq!(one.recruited_by.as_ref().map(Personal::expose), Some("kim"));
        assert_eq!(joined(&[a]), *a);
        assert_eq!(as_one([], &Ladder::default()), None);
    }
}
