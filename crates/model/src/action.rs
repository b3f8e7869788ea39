//! Actions: something with a day and a place that people come to; and what part somebody had in one.
//!
//! **Invariant:** an action's document has nobody in it. Who was asked, said yes and came stands in each person's own events.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{AnswerKind, Body, Conflict, Date, DocId, Event, EventId, Personal, Supporter};

/// An action of a chapter, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its document's id.
    pub id: DocId,
    /// What it is called.
    pub name: String,
    /// Its day; none if what stands there is no day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Date>,
    /// Where. It may be somebody's home.
    #[serde(default, skip_serializing_if = "Personal::is_blank")]
    pub place: Personal,
    /// What it belongs to, in one word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// It does not take place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Fields on which two nodes disagree, until a person settles them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

impl Action {
    /// Every field with its label.
    pub const FIELDS: [(&'static str, &'static str); 4] =
        [("name", "Name"), ("on", "Day"), ("place", "Place"), ("tag", "Tag")];
    /// The longest name, in bytes: it stands in one line of a table.
    pub const NAME_BYTES_MAX: usize = 200;
    /// The longest place, in bytes: an address, and how to find the door.
    pub const PLACE_BYTES_MAX: usize = 500;
    /// The longest tag, in bytes: as long as a supporter's.
    pub const TAG_BYTES_MAX: usize = 60;

    /// What stands in a field, as text; `None` for a field that no action has.
    pub fn field(&self, name: &str) -> Option<String> {
        match name {
            "name" => Some(self.name.clone()),
            "on" => Some(self.on.map_or_else(String::new, |day| day.to_string())),
            "place" => Some(self.place.expose().to_owned()),
            "tag" => Some(self.tag.clone()),
            _ => None,
        }
    }
}

/// What part somebody had in an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// She was asked to come.
    pub asked: bool,
    /// She said that she would, and has not said no since.
    pub said_yes: bool,
    /// She came.
    pub came: bool,
}

impl Supporter {
    /// Her part in each action that her events name.
    pub fn parts(&self) -> BTreeMap<DocId, Part> {
        let mut parts: BTreeMap<DocId, Part> = BTreeMap::new();
        let mut asks: BTreeMap<EventId, DocId> = BTreeMap::new();
        for event in &self.events {
            if let Body::Ask { action: Some(action), .. } = &event.body {
                asks.insert(event.id, *action);
                parts.entry(*action).or_default().asked = true;
            }
            if let Body::Came { action } = &event.body {
                parts.entry(*action).or_default().came = true;
            }
        }
        // Apart from the asks: clocks differ, and an answer may stand before what it answers.
        for event in &self.events {
            let Body::Answer { of, answer, .. } = &event.body else { continue };
            let Some(action) = asks.get(of) else { continue };
            let part = parts.entry(*action).or_default();
            part.said_yes = match answer {
                AnswerKind::Yes | AnswerKind::Kept => true,
                AnswerKind::No => false,
                // That she did not come takes nothing away from what she had said.
                AnswerKind::Missed => part.said_yes,
            };
        }
        parts
    }

    /// The actions to which she came.
    pub fn came_to(&self) -> BTreeSet<DocId> {
        let came = |event: &Event| if let Body::Came { action } = &event.body { Some(*action) } else { None };
        self.events.iter().filter_map(came).collect()
    }

    /// Whether an ask of hers was to come to an action, and she came: it is done by that.
    pub fn came_as_asked(&self, ask: EventId) -> bool {
        let Some(Body::Ask { action: Some(action), .. }) = self.event(ask).map(|event| &event.body) else {
            return false;
        };
        self.came_to().contains(action)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn id(n: u8) -> DocId {
        DocId::from_bytes([n; 16])
    }

    /// Somebody with these events, each at its own second.
    fn her(events: Vec<Value>) -> Supporter {
        let event = |(nth, mut event): (usize, Value)| {
            if let Some(fields) = event.as_object_mut() {
                fields.insert("at".to_owned(), json!(format!("2026-11-22T00:00:{nth:02}.000Z")));
                fields.entry("id").or_insert(json!(EventId::from_bytes([100 + nth as u8; 16])));
            }
            event
        };
        let events: Vec<Value> = events.into_iter().enumerate().map(event).collect();
        serde_json::from_value(json!({
            "id": id(1), "rung": "contact", "peak_rung": "contact", "modified_at": "2026-11-22T00:00:00.000Z",
            "events": events,
        }))
        .unwrap()
    }

    fn ask(n: u8, action: Option<DocId>) -> Value {
        json!({"id": EventId::from_bytes([n; 16]), "kind": "ask", "text": "come", "ask_kind": "come", "action": action})
    }

    fn answer(n: u8, answer: &str) -> Value {
        json!({"kind": "answer", "of": EventId::from_bytes([n; 16]), "answer": answer})
    }

    #[test]
    fn her_part_in_an_action_is_what_her_events_say_of_it() {
        let (picnic, march) = (id(7), id(8));
        let part = |asked, said_yes, came| Part { asked, said_yes, came };
        let said = |answers: &[&str]| {
            let mut events = vec![ask(1, Some(picnic))];
            events.extend(answers.iter().map(|said| answer(1, said)));
            her(events).parts()[&picnic]
        };
        assert_eq!(said(&[]), part(true, false, false));
        assert_eq!(said(&["yes"]), part(true, true, false));
        assert_eq!(said(&["yes", "no"]), part(true, false, false));
        assert_eq!(said(&["no", "yes"]), part(true, true, false));
        assert_eq!(said(&["yes", "missed"]), part(true, true, false));
        let came = json!({"kind": "came", "action": march});
        let both = her(vec![answer(1, "yes"), ask(1, Some(picnic)), came]).parts();
        assert_eq!(both, BTreeMap::from([(picnic, part(true, true, false)), (march, part(false, false, true))]));
        assert!(her(vec![ask(1, None), answer(1, "kept"), answer(2, "yes")]).parts().is_empty());
    }

    #[test]
    fn who_came_has_done_what_she_was_asked() {
        let mut asked = ask(1, Some(id(7)));
        asked["due"] = json!("2026-12-01");
        let came = |n| json!({"kind": "came", "action": id(n)});
        let due = |events: Vec<Value>| her(events).work().follow_up.is_some();
        assert!(due(vec![asked.clone()]));
        assert!(due(vec![asked.clone(), came(8)]), "to another one");
        assert!(!due(vec![asked.clone(), came(7)]));
        assert!(!due(vec![came(7), asked]), "asked at the door, and entered for noon");
    }

    #[test]
    fn an_ask_for_no_action_is_written_as_before_and_read_without_one() {
        let plain = her(vec![ask(1, None)]);
        let json = serde_json::to_value(&plain.events[0]).unwrap();
        assert!(json.get("action").is_none(), "{json}");
        assert_eq!(serde_json::from_value::<crate::Event>(json).unwrap(), plain.events[0]);
    }
}
