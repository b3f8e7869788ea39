//! A chapter's actions: adding, correcting and cancelling them, asking people to come, and entering who came.
//!
//! **Invariant:** who was asked, said yes and came is written into each person's own record, once; an action's document has
//! nobody in it.

use model::{
    Action, AnswerKind, AskKind, Body, Date, DocId, Event, EventId, Kind, Part, Personal, Supporter, Timestamp,
};
use record::{Record, Value, Write};
use store::{DocState, Loaded, NewDocument, NodeKind, StoreError};

use crate::acts::{Plan, event, within};
use crate::care::not_built_on;
use crate::{FieldEdit, Node, NodeError, PersonDraft, Priority, draw};

/// The most people of whom one call says something: more than stand on the sheets of an evening. Each is a commit of her own.
pub const PEOPLE_AT_ONCE: usize = 500;

/// An action to be added.
#[derive(Clone, Debug)]
pub struct ActionDraft {
    /// What it is called.
    pub name: String,
    /// Its day.
    pub on: Date,
    /// Where.
    pub place: Personal,
    /// What it belongs to, in one word; nothing, if empty.
    pub tag: String,
}

/// What came of saying something of several people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Of whom it is said now.
    pub new: usize,
    /// Of whom it was said before.
    pub already: usize,
}

/// A value of an action's field as it is written.
fn checked(field: &str, value: &str) -> Result<String, NodeError> {
    let value = value.trim();
    let refuse = |words: String| Err(NodeError::Refused(words));
    let most = match field {
        "name" if value.is_empty() => return refuse("an action needs a name".to_owned()),
        "name" => Action::NAME_BYTES_MAX,
        "place" => Action::PLACE_BYTES_MAX,
        "tag" => Action::TAG_BYTES_MAX,
        "on" => {
            let day: Date = value.parse().map_err(|error: model::TimeError| NodeError::Refused(error.to_string()))?;
            return Ok(day.to_string());
        }
        _ => {
            let names: Vec<&str> = Action::FIELDS.iter().map(|(name, _)| *name).collect();
            return refuse(format!("an action has no field {field:?}; it has {}", names.join(", ")));
        }
    };
    if value.len() > most {
        return refuse(format!("the {field} of an action is too long: at most {most} bytes"));
    }
    within(&value.into(), field)?;
    Ok(if field == "tag" { value.to_lowercase() } else { value.to_owned() })
}

/// The write of one edited field; none when the value stands already.
fn field_write(edit: &FieldEdit, now: &Action) -> Result<Option<Write>, NodeError> {
    let (field, value) = (edit.field.as_str(), checked(&edit.field, &edit.value)?);
    let standing = now.field(field).unwrap_or_default();
    if let Some(shown) = edit.shown.as_deref().map(str::trim) {
        if shown == value {
            return Ok(None);
        }
        if shown != standing {
            let words = format!("the {field} was changed meanwhile, to {standing:?}: look at it again");
            return Err(NodeError::Refused(words));
        }
    }
    if now.conflicts.iter().any(|conflict| conflict.field == field) {
        let value = if value.is_empty() { Value::Null } else { Value::text(value) };
        return Ok(Some(Write::Settle(field.to_owned(), value)));
    }
    Ok((standing != value).then(|| Write::field(field, &value)))
}

fn read_action(loaded: &Loaded) -> Result<Action, NodeError> {
    if loaded.kind == Kind::Action {
        Ok(loaded.record.action())
    } else {
        Err(NodeError::NotFound("action", loaded.id.to_string()))
    }
}

fn part_in(her: &Supporter, action: DocId) -> Part {
    her.parts().get(&action).copied().unwrap_or_default()
}

impl Node {
    fn has_actions(&self) -> Result<(), NodeError> {
        match self.kind() {
            NodeKind::Chapter => Ok(()),
            NodeKind::Hub => Err(NodeError::Refused(
                "actions are a chapter's: it adds them and enters who came; a hub lists them".to_owned(),
            )),
        }
    }

    /// Adds an action of this chapter.
    ///
    /// # Errors
    /// At a hub, or when it has no name or a field is too long.
    pub fn add_action(&self, draft: &ActionDraft, by: &str) -> Result<DocId, NodeError> {
        self.has_actions()?;
        let (name, place) = (checked("name", &draft.name)?, checked("place", draft.place.expose())?);
        let tag = checked("tag", &draft.tag)?;
        let (own, ladder) = self.read(|read| Ok((read.own_scope()?, read.settings()?.ladder)))?;
        let own = own.ok_or_else(|| NodeError::Refused("this node belongs to no chapter yet".to_owned()))?;
        let (id, stamp) = (draw::doc_id(), self.stamp(by));
        let entries = Record::action_entries(&name, draft.on, &place, &tag);
        let (record, written) = Record::create(id, Kind::Action, entries, &stamp);
        let new = NewDocument::new(id, Kind::Action, &record, written, stamp.actor, &ladder);
        self.write(Priority::Interactive, move |tx| tx.insert_document(&new, &[own], DocState::Live))?;
        Ok(id)
    }

    /// Changes fields of an action. Only what differs is written; a field that has changed since it was shown is not. A field on
    /// which two nodes disagree is settled by that.
    ///
    /// # Errors
    /// At a hub, when there is no such action or field, or when a value can't be taken.
    pub fn edit_action(&self, action: DocId, edits: &[FieldEdit], by: &str) -> Result<(), NodeError> {
        self.has_actions()?;
        self.edit(action, by, |loaded, _| {
            let now = read_action(loaded)?;
            let writes = edits.iter().map(|edit| field_write(edit, &now)).collect::<Result<Vec<_>, _>>()?;
            Ok(Plan::writing(writes.into_iter().flatten().collect()))
        })
    }

    /// Says that an action does not take place. What was asked and answered stays.
    ///
    /// # Errors
    /// At a hub, or when there is no such action.
    pub fn cancel_action(&self, action: DocId, by: &str) -> Result<(), NodeError> {
        self.write_action(action, &Write::cancelled(), by)
    }

    /// Says that an action takes place after all.
    ///
    /// # Errors
    /// At a hub, or when there is no such action.
    pub fn hold_action(&self, action: DocId, by: &str) -> Result<(), NodeError> {
        self.write_action(action, &Write::not_cancelled(), by)
    }

    fn write_action(&self, action: DocId, write: &Write, by: &str) -> Result<(), NodeError> {
        self.has_actions()?;
        self.edit(action, by, |loaded, _| {
            read_action(loaded)?;
            Ok(Plan::writing(vec![write.clone()]))
        })
    }

    /// Enters who came to an action, as it stands on the sheet: whoever is on it twice, or was entered before, came once.
    ///
    /// # Errors
    /// At a hub, before its day, when they are too many, or when somebody is not here or can't be written; nobody is entered then.
    pub fn came(&self, action: DocId, people: &[DocId], by: &str) -> Result<Marked, NodeError> {
        let at = self.came_at(action)?;
        self.say_of(people, by, Some(at), |her| part_in(her, action).came, || Body::Came { action })
    }

    /// When people came to an action: at noon of its day, or now if that is still to come.
    fn came_at(&self, action: DocId) -> Result<Timestamp, NodeError> {
        let action = self.action_here(action)?;
        let now = draw::now();
        let Some(day) = action.on else { return Ok(now) };
        // East of here its day may have begun.
        if day > now.plus_millis(24 * 3600 * 1000).date() {
            let words = format!("{} is on {day}: who came is entered on that day, or later", action.name);
            return Err(NodeError::Refused(words));
        }
        let noon = day.to_string().parse::<Timestamp>().unwrap_or(now);
        Ok(noon.min(now))
    }

    fn action_here(&self, action: DocId) -> Result<Action, NodeError> {
        self.has_actions()?;
        Ok(self.read(|read| read.action(action))?.action)
    }

    /// Takes back that somebody came, in whichever of her records it stands.
    ///
    /// # Errors
    /// At a hub, when nobody said that she came, or when she was moved up by it since.
    pub fn not_came(&self, action: DocId, person: DocId, by: &str) -> Result<(), NodeError> {
        self.has_actions()?;
        let her = self.read(|read| read.person(person))?.supporter;
        let came = her.events.iter().filter(|said| said.body == Body::Came { action });
        let came: Vec<EventId> = came.map(|said| said.id).collect();
        if came.is_empty() {
            return Err(NodeError::Refused("nobody has entered that she came".to_owned()));
        }
        // Before the first of several is taken back: all of them are, or none.
        came.iter().try_for_each(|wrong| not_built_on(*wrong, &her))?;
        came.into_iter().try_for_each(|wrong| self.void_event(person, wrong, by).map(drop))
    }

    /// Adds somebody who is on the sheet and nowhere here, and enters that she came.
    ///
    /// # Errors
    /// As [`Node::came`]; and when somebody with her e-mail address is here already.
    pub fn newcomer(&self, action: DocId, person: PersonDraft, by: &str) -> Result<DocId, NodeError> {
        self.came_at(action)?;
        let id = self.add_person(person, by)?;
        self.came(action, &[id], by)?;
        Ok(id)
    }

    /// Asks people to come to an action. Who was asked to it before is not asked twice.
    ///
    /// # Errors
    /// At a hub, when the action is over or cancelled, when they are too many, or when somebody is not here or can't be written;
    /// nobody is asked then.
    pub fn ask_to(&self, action: DocId, people: &[DocId], by: &str) -> Result<Marked, NodeError> {
        let named = self.action_here(action)?;
        let over = named.on.is_some_and(|day| day < draw::now().plus_millis(-24 * 3600 * 1000).date());
        if named.cancelled || over {
            let why = if named.cancelled { "is cancelled" } else { "is over" };
            return Err(NodeError::Refused(format!("{} {why}: ask people to one that is to come", named.name)));
        }
        let body = || Body::Ask {
            text: format!("come to {}", named.name).into(),
            ask_kind: AskKind::Come,
            rung: None,
            due: named.on,
            action: Some(action),
        };
        self.say_of(people, by, None, |her| part_in(her, action).asked, body)
    }

    /// Logs what somebody said who was asked to an action.
    ///
    /// # Errors
    /// When she was not asked, or can't be written.
    pub fn answer_to(&self, action: DocId, person: DocId, answer: AnswerKind, by: &str) -> Result<(), NodeError> {
        let her = self.read(|read| read.person(person))?.supporter;
        let to_it = |asked: &&Event| matches!(&asked.body, Body::Ask { action: Some(to), .. } if *to == action);
        let asked = her.events.iter().rev().find(to_it);
        let asked = asked.ok_or_else(|| NodeError::Refused("she was not asked to this action".to_owned()))?;
        self.answer_ask(person, asked.id, answer, None, by).map(drop)
    }

    /// Writes an event into the record of each of these people of whom it is not said yet. That all can be written is looked at
    /// before the first is.
    fn say_of(
        &self,
        people: &[DocId],
        by: &str,
        at: Option<Timestamp>,
        is_said: impl Fn(&Supporter) -> bool,
        body: impl Fn() -> Body,
    ) -> Result<Marked, NodeError> {
        if people.len() > PEOPLE_AT_ONCE {
            let words = format!("{} people are too many at once: name at most {PEOPLE_AT_ONCE}", people.len());
            return Err(NodeError::Refused(words));
        }
        for person in people {
            self.in_our_care(*person)?;
            if !matches!(self.read(|read| read.record(*person))?.state, DocState::Live | DocState::Kept) {
                return Err(StoreError::NotWritable(*person, "it is read-only here").into());
            }
        }
        let mut marked = Marked::default();
        for person in people {
            if is_said(&self.read(|read| read.person(*person))?.supporter) {
                marked.already += 1;
                continue;
            }
            let said = event(at, by, body());
            // Once more on what is logged of her: it may be newer than what is shown.
            self.edit(*person, by, |_, shown| Ok(if is_said(shown) { Plan::default() } else { Plan::event(&said) }))?;
            marked.new += 1;
        }
        Ok(marked)
    }
}
