//! Reading a supporter's record into what is shown, by the rules of disagreement.
//!
//! **Invariant:** a pure function of the document and the ladder: two nodes with the same changes show the same.

use std::collections::BTreeSet;

use automerge::{ChangeHash, ROOT, ReadDoc as _, ScalarValue, ScalarValueRef, ValueRef};
use model::{
    ADDRESS, Body, CONSENT, CUSTOM, Conflict, Consent, ConsentState, DocId, EMAIL, EVENT, EmailAddress, EmailEntry,
    EmailStatus, Event, EventId, Ladder, PHONE, Personal, PhoneEntry, PhoneNumber, RungId, SAME_AS, STATUS, Standing,
    Supporter, TAG, TEXT_FIELDS, Timestamp,
};
use serde::Deserialize;

use crate::Record;
use crate::register::{Agreement, Register, rung_in_force};

/// Fields that name a person: a login or a supporter's id.
const PEOPLE_FIELDS: [&str; 3] = ["looked_after_by", "recruited_by", "developed_by"];

#[derive(Deserialize)]
struct StoredEvent {
    at: Timestamp,
    #[serde(default)]
    by: Option<Personal>,
    #[serde(flatten)]
    body: Body,
}

#[derive(Default, Deserialize)]
struct StoredEntry {
    #[serde(default)]
    primary: bool,
}

impl Record {
    /// The supporter whose record this is.
    pub fn supporter(&self, ladder: &Ladder) -> Supporter {
        let mut reading = Reading::new(self, ladder);
        for item in self.doc.map_range(ROOT, ..) {
            reading.key(&item.key, &item.value, item.conflict);
        }
        reading.finish()
    }

    fn standing_texts(&self, key: &str) -> Vec<String> {
        let text = |value: &automerge::Value<'_>| value.as_scalar()?.as_str().map(str::to_owned);
        self.standing(key).iter().filter_map(|(value, _)| text(value)).collect()
    }

    /// What stands under a key with who wrote each (`<8 hex of the node id>/<login>`) and when, the shown value first; equal
    /// values are one.
    pub fn standing_values(&self, key: &str) -> Vec<Standing> {
        let mut values: Vec<Standing> = Vec::new();
        for (value, operation) in self.standing(key).into_iter().rev() {
            let text = match value.as_scalar() {
                Some(ScalarValue::Str(text)) => text.to_string(),
                Some(ScalarValue::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            let change = self.doc.hash_for_opid(&operation);
            let meta = change.and_then(|hash| self.doc.get_change_meta_by_hash(&hash));
            let by = meta.as_ref().and_then(|meta| meta.message.as_ref()).map(|by| Personal::new(by.as_ref()));
            let at = meta.as_ref().map(|meta| Timestamp::from_millis(meta.timestamp.saturating_mul(1000)));
            if !values.iter().any(|known| known.value.expose() == text) {
                values.push(Standing { value: text.into(), by, at });
            }
        }
        values
    }

    fn newest_change_at(&self) -> Timestamp {
        let heads = self.doc.get_heads();
        let times = heads.iter().filter_map(|head: &ChangeHash| self.doc.get_change_meta_by_hash(head));
        let newest = times.map(|meta| meta.timestamp).max().unwrap_or(0);
        Timestamp::from_millis(newest.saturating_mul(1000))
    }
}

/// A view while it is read.
struct Reading<'a> {
    record: &'a Record,
    ladder: &'a Ladder,
    made: Supporter,
    rungs: Vec<Register>,
    statuses: Vec<(String, EmailStatus)>,
    voided: BTreeSet<EventId>,
}

impl<'a> Reading<'a> {
    fn new(record: &'a Record, ladder: &'a Ladder) -> Self {
        let lowest = ladder.lowest().clone();
        let made = Supporter {
            id: record.id().unwrap_or(DocId::from_bytes([0; 16])),
            fields: Default::default(),
            emails: Vec::new(),
            phones: Vec::new(),
            addresses: Vec::new(),
            tags: BTreeSet::new(),
            custom: Default::default(),
            consents: Vec::new(),
            do_not_contact: false,
            erasure_asked: false,
            rung: lowest.clone(),
            peak_rung: lowest,
            looked_after_by: None,
            recruited_by: None,
            developed_by: None,
            conflicts: Vec::new(),
            events: Vec::new(),
            flagged: Vec::new(),
            same_as: BTreeSet::new(),
            merged: Vec::new(),
            also: Default::default(),
            modified_at: record.newest_change_at(),
        };
        Self { record, ladder, made, rungs: Vec::new(), statuses: Vec::new(), voided: BTreeSet::new() }
    }

    fn key(&mut self, key: &str, value: &ValueRef<'_>, conflict: bool) {
        let text = match value {
            ValueRef::Scalar(ScalarValueRef::Str(text)) => text.as_ref(),
            ValueRef::Scalar(ScalarValueRef::Null) => "",
            ValueRef::Scalar(ScalarValueRef::Boolean(true)) if key.starts_with(TAG) || key.starts_with(SAME_AS) => {
                "true"
            }
            ValueRef::Scalar(_) | ValueRef::Object(_) => {
                self.made.flagged.push(key.to_owned());
                return;
            }
        };
        if let Some(id) = key.strip_prefix(EVENT) {
            self.event(key, id, text);
        } else if let Some(rest) = key.strip_prefix(CONSENT) {
            self.consent(key, rest);
        } else if let Some(address) = key.strip_prefix(STATUS) {
            let all = self.registers(key);
            let strictest = all.iter().filter_map(|register| EmailStatus::from_word(&register.state)).max();
            self.statuses.extend(strictest.map(|status| (address.to_owned(), status)));
        } else if let Some(other) = key.strip_prefix(SAME_AS) {
            self.same_as(key, other, text);
        } else {
            match key {
                "id" | "kind" => {}
                "rung" => self.rungs = self.registers(key),
                "do_not_contact" => {
                    self.made.do_not_contact = self.registers(key).iter().any(|register| register.state == "set");
                }
                "erasure" => {
                    self.made.erasure_asked = self.registers(key).iter().any(|register| register.state == "asked");
                }
                _ => self.plain(key, text, conflict),
            }
        }
    }

    /// Fields and entries: Automerge's winner is shown, other values are listed until a person settles them.
    fn plain(&mut self, key: &str, text: &str, conflict: bool) {
        let made = &mut self.made;
        let set = || (!text.is_empty()).then(|| Personal::new(text));
        let entry = || serde_json::from_str::<StoredEntry>(text).unwrap_or_default();
        if TEXT_FIELDS.contains(&key) {
            made.fields.extend(set().map(|value| (key.to_owned(), value)));
        } else if PEOPLE_FIELDS.contains(&key) {
            match key {
                "looked_after_by" => made.looked_after_by = set(),
                "recruited_by" => made.recruited_by = set(),
                _ => made.developed_by = set(),
            }
        } else if let Some(address) = key.strip_prefix(EMAIL) {
            let address = EmailAddress::stored(address);
            made.emails.push(EmailEntry { address, status: None, primary: entry().primary });
        } else if let Some(number) = key.strip_prefix(PHONE) {
            made.phones.push(PhoneEntry { number: PhoneNumber::stored(number), primary: entry().primary });
        } else if key.starts_with(ADDRESS) {
            match serde_json::from_str(text) {
                Ok(address) => made.addresses.push(address),
                Err(_) => made.flagged.push(key.to_owned()),
            }
        } else if let Some(tag) = key.strip_prefix(TAG) {
            made.tags.insert(tag.to_owned());
        } else if let Some(name) = key.strip_prefix(CUSTOM) {
            made.custom.extend(set().map(|value| (name.to_owned(), value)));
        } else {
            return;
        }
        if conflict {
            let values = self.record.standing_values(key);
            if values.len() > 1 {
                self.made.conflicts.push(Conflict { field: key.to_owned(), values });
            }
        }
    }

    /// An id in another form than ours is flagged: it could not be taken away under its name.
    fn same_as(&mut self, key: &str, other: &str, text: &str) {
        let id = other.parse::<DocId>().ok().filter(|id| id.to_string() == other);
        match (id, text) {
            (Some(id), "true") => {
                if id != self.made.id {
                    self.made.same_as.insert(id);
                }
            }
            (Some(_), "") => {}
            _ => self.made.flagged.push(key.to_owned()),
        }
    }

    fn event(&mut self, key: &str, id: &str, text: &str) {
        match (id.parse::<EventId>(), serde_json::from_str::<StoredEvent>(text)) {
            (Ok(id), Ok(stored)) => {
                if let Body::Void { of } = stored.body {
                    self.voided.insert(of);
                }
                self.made.events.push(Event { id, at: stored.at, by: stored.by, body: stored.body });
            }
            _ => self.made.flagged.push(key.to_owned()),
        }
    }

    /// Withdrawn is in force if any standing value says so.
    fn consent(&mut self, key: &str, rest: &str) {
        let Some((channel, sender)) = rest.split_once('/') else { return };
        let all = self.registers(key);
        let states = all.iter().filter_map(|r| ConsentState::from_word(&r.state).map(|state| (state, r.event)));
        if let Some((state, event)) = states.max() {
            self.made.consents.push(Consent { channel: channel.to_owned(), sender: sender.to_owned(), state, event });
        }
    }

    fn registers(&self, key: &str) -> Vec<Register> {
        self.record.standing_texts(key).iter().filter_map(|text| Register::parse(text)).collect()
    }

    fn finish(mut self) -> Supporter {
        let (rung, agreement) = rung_in_force(&self.rungs, &self.made.events, self.ladder);
        if agreement == Agreement::ToSettle {
            let mut values = self.record.standing_values("rung");
            // The shown rung first: here it is the lower one, not Automerge's winner.
            values.sort_by_key(|standing| !standing.value.expose().starts_with(rung.as_str()));
            for standing in &mut values {
                let word = standing.value.expose().split(' ').next().unwrap_or_default().to_owned();
                standing.value = word.into();
            }
            self.made.conflicts.push(Conflict { field: "rung".to_owned(), values });
        }
        let voided = &self.voided;
        self.made.events.retain(|event| !voided.contains(&event.id) && !matches!(event.body, Body::Void { .. }));
        self.made.events.sort_by_key(|event| (event.at, event.id));
        let ladder = self.ladder;
        let reached = self
            .made
            .events
            .iter()
            .filter_map(|event| if let Body::Move { to, .. } = &event.body { Some(to.clone()) } else { None });
        let peak: Option<RungId> = reached.chain([rung.clone()]).max_by_key(|to| ladder.position(to));
        self.made.peak_rung = peak.unwrap_or_else(|| rung.clone());
        self.made.rung = rung;
        for email in &mut self.made.emails {
            let said = self.statuses.iter().find(|(address, _)| address == email.address.as_str());
            email.status = said.map(|(_, status)| *status);
        }
        self.made.emails.sort_by_key(|email| !email.primary);
        self.made.phones.sort_by_key(|phone| !phone.primary);
        self.made
    }
}
