//! Correcting what is known: fields, conflicts, proposals, a chapter's card.
//!
//! **Invariant:** only what a person changed is written; a value that came after she looked is never settled away unseen.

use model::{AuditKind, Body, ConsentState, DocId, MoveKind, RungId, ScopeId, Supporter, TEXT_FIELDS};
use record::{Value, Write};
use store::ProposalState;

use crate::acts::{Plan, event, within};
use crate::{Node, NodeError, Priority};

/// Fields that name a person.
const PEOPLE_FIELDS: [&str; 3] = ["looked_after_by", "recruited_by", "developed_by"];

/// One field of an edit: the new value, and the one that the page showed, if it was a page.
#[derive(Clone, Debug)]
pub struct FieldEdit {
    /// The field.
    pub field: String,
    /// As it is to be.
    pub value: String,
    /// As it was shown.
    pub shown: Option<String>,
}

impl Node {
    /// Changes fields. Only what differs is written; a field that has changed since it was shown is not.
    ///
    /// # Errors
    /// When a field is not one that can be edited, or has changed since it was shown.
    pub fn edit_fields(&self, person: DocId, edits: &[FieldEdit], by: &str) -> Result<(), NodeError> {
        let country = self.row().country.clone();
        let others = self.read(|read| read.joined_with(person))?;
        self.edit(person, by, |_, shown| {
            let write = |edit| field_write(edit, shown, &others, &country);
            let writes = edits.iter().map(write).collect::<Result<Vec<_>, _>>()?;
            Ok(Plan::writing(writes.into_iter().flatten().collect()))
        })
    }

    /// Settles a conflict on a value, in whichever of her joined records it is. `seen` are the values that a page showed,
    /// if it was a page: a value that came meanwhile is not settled away unseen.
    ///
    /// # Errors
    /// When the field has no conflict, or another value has come.
    pub fn settle_conflict(
        &self,
        person: DocId,
        field: &str,
        value: &str,
        seen: Option<&[String]>,
        by: &str,
    ) -> Result<(), NodeError> {
        let person = self.record_where(person, |her| her.conflicts.iter().any(|conflict| conflict.field == field))?;
        self.edit(person, by, |_, shown| {
            let conflict = shown.conflicts.iter().find(|conflict| conflict.field == field);
            let Some(conflict) = conflict else {
                return Err(NodeError::Refused(format!(
                    "there is no conflict about {field}: it may be settled already"
                )));
            };
            let unseen = |standing: &model::Standing| {
                seen.is_some_and(|seen| !seen.iter().any(|s| s == standing.value.expose()))
            };
            if conflict.values.iter().any(unseen) {
                return Err(NodeError::Refused(format!(
                    "another value of {field} has come meanwhile: look at it again"
                )));
            }
            if field == "rung" {
                self.at_home_here(person)?;
                if !conflict.values.iter().any(|standing| standing.value.expose() == value) {
                    return Err(NodeError::Refused("settle a rung on one of the two that stand".to_owned()));
                }
                let to = RungId::new(value);
                let body = Body::Move {
                    from: shown.rung.clone(),
                    to: to.clone(),
                    how: MoveKind::Settled,
                    evidence: Vec::new(),
                    because: None,
                };
                let moved = event(None, by, body);
                let writes = vec![Write::event(&moved), Write::settle_rung(&to, moved.id)];
                return Ok(Plan::writing(writes));
            }
            let value = if value.is_empty() { Value::Null } else { Value::text(value) };
            Ok(Plan::writing(vec![Write::Settle(field.to_owned(), value)]))
        })
    }

    /// Writes a proposed value into the record, or forgets it.
    ///
    /// # Errors
    /// When it no longer waits, or a consent would re-open a withdrawal.
    pub fn end_proposal(&self, proposal: &store::ProposalRow, state: ProposalState, by: &str) -> Result<(), NodeError> {
        if state == ProposalState::Dropped {
            let id = proposal.id;
            return self.write(Priority::Interactive, move |tx| tx.end_proposal(id, ProposalState::Dropped));
        }
        self.edit(proposal.person, by, |_, shown| {
            let writes = match proposal.key.strip_prefix(model::CONSENT).and_then(|rest| rest.split_once('/')) {
                Some((channel, sender)) => consent_writes(proposal, shown, channel, sender, by)?,
                None if proposal.key.starts_with(model::TAG) => vec![Write::Put(proposal.key.clone(), Value::Flag)],
                None => vec![Write::Put(proposal.key.clone(), Value::text(proposal.value.expose()))],
            };
            Ok(Plan::writing(writes).ending(proposal.id, state))
        })
    }

    /// Changes fields of a chapter's card.
    ///
    /// # Errors
    /// When a field is unknown or a value too long.
    pub fn edit_card(&self, chapter: ScopeId, edits: &[(String, String)], by: &str) -> Result<(), NodeError> {
        let known = model::ChapterCard::FIELDS;
        let mut writes = Vec::new();
        for (field, value) in edits {
            if !known.iter().any(|(name, _)| name == field) {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                return Err(NodeError::Refused(format!("a card has no field {field:?}; it has {}", names.join(", "))));
            }
            if value.len() > model::ChapterCard::VALUE_BYTES_MAX {
                let most = model::ChapterCard::VALUE_BYTES_MAX;
                return Err(NodeError::Refused(format!("{field} is too long: at most {most} bytes")));
            }
            writes.push(Write::field(field, value));
        }
        let card = self.read(|read| read.card_document(chapter))?;
        let card = card.ok_or_else(|| NodeError::NotFound("card of chapter", chapter.to_string()))?;
        let fields: Vec<&str> = edits.iter().map(|(field, _)| field.as_str()).collect();
        let said = self.audit_by(AuditKind::CardEdited, by).detail(fields.join(", "));
        self.edit(card, by, |_, _| Ok(Plan::writing(writes.clone()).auditing(said.clone())))
    }
}

/// A consent that was posted by a form never re-opens a withdrawal: only an act of the person herself does.
fn consent_writes(
    proposal: &store::ProposalRow,
    shown: &Supporter,
    channel: &str,
    sender: &str,
    by: &str,
) -> Result<Vec<Write>, NodeError> {
    let state = ConsentState::from_word(proposal.value.expose())
        .ok_or_else(|| NodeError::Refused("the proposed consent can't be read".to_owned()))?;
    let now = shown.consents.iter().find(|said| said.channel == channel && said.sender == sender);
    if state == ConsentState::Granted && now.is_some_and(|said| said.state == ConsentState::Withdrawn) {
        return Err(NodeError::Refused("she withdrew this consent: only she can give it again".to_owned()));
    }
    let (channel, sender) = (channel.to_owned(), sender.to_owned());
    let said = event(
        None,
        by,
        Body::Consent { channel: channel.clone(), sender: sender.clone(), state, source: "sign-up form".into() },
    );
    Ok(vec![Write::event(&said), Write::consent(&channel, &sender, state, said.id)])
}

/// What stands in a text field or a field that names a person.
fn standing(her: &Supporter, field: &str) -> String {
    let who = match field {
        "looked_after_by" => &her.looked_after_by,
        "recruited_by" => &her.recruited_by,
        "developed_by" => &her.developed_by,
        _ => return her.field(field).to_owned(),
    };
    who.as_ref().map_or_else(String::new, |who| who.expose().to_owned())
}

/// The write of one edited field; none when the value stands already. `others` are joined with the record: a page may have
/// shown what one of them says.
fn field_write(
    edit: &FieldEdit,
    shown: &Supporter,
    others: &[Supporter],
    country: &str,
) -> Result<Option<Write>, NodeError> {
    let FieldEdit { field, value, .. } = edit;
    let value = value.trim();
    within(&value.into(), field)?;
    let contact = |error: model::ContactError| {
        let mut errors = model::FieldErrors::default();
        errors.add(field, error);
        NodeError::Fields(errors)
    };
    if field == "email" {
        let email: model::EmailAddress = value.parse().map_err(contact)?;
        let known = shown.emails.iter().any(|entry| entry.address == email);
        let key = format!("{}{}", model::EMAIL, email.as_str());
        return Ok((!known).then(|| Write::Put(key, Value::text("{}"))));
    }
    if field == "phone" {
        let phone = model::PhoneNumber::parse(value, Some(country)).map_err(contact)?;
        let known = shown.phones.iter().any(|entry| entry.number == phone);
        let key = format!("{}{}", model::PHONE, phone.as_str());
        return Ok((!known).then(|| Write::Put(key, Value::text("{}"))));
    }
    if !PEOPLE_FIELDS.contains(&field.as_str()) && !TEXT_FIELDS.contains(&field.as_str()) {
        let names: Vec<&str> = TEXT_FIELDS.into_iter().chain(PEOPLE_FIELDS).chain(["email", "phone"]).collect();
        return Err(NodeError::Refused(format!("{field:?} can't be edited; fields are {}", names.join(", "))));
    }
    let now = standing(shown, field);
    if let Some(then) = edit.shown.as_deref().map(str::trim) {
        if then == value {
            return Ok(None);
        }
        let elsewhere = now.is_empty() && others.iter().any(|other| standing(other, field) == then);
        if elsewhere && value.is_empty() {
            let words = format!("{field} stands in another of her joined records: clear it there, with `people edit`");
            return Err(NodeError::Refused(words));
        }
        if then != now && !elsewhere {
            let words = format!("{field} was changed meanwhile, to {now:?}: look at it again");
            return Err(NodeError::Refused(words));
        }
    }
    if now != value && shown.conflicts.iter().any(|conflict| conflict.field == *field) {
        return Err(NodeError::Refused(format!("two people wrote different things about {field}: settle that first")));
    }
    Ok((now != value).then(|| Write::field(field, value)))
}
