//! The other kinds of document: the network's settings, a chapter's card, an action. Flat, like a supporter's.

use automerge::{ROOT, ReadDoc as _, ScalarValue};
use model::{Action, CUSTOM, ChapterCard, Conflict, Date, DocId, NetworkSettings, Personal, ScopeId, TAG};

use crate::{Record, Value, Write};

/// As much of an action's field as it may have. Another node may have written more, and a list shows hundreds of actions.
fn within(mut text: String, field: &str) -> String {
    let most = match field {
        "name" => Action::NAME_BYTES_MAX,
        "place" => Action::PLACE_BYTES_MAX,
        _ => Action::TAG_BYTES_MAX,
    };
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

/// That an action does not take place.
const CANCELLED: &str = "cancelled";

impl Record {
    /// The entries of new settings.
    ///
    /// # Panics
    /// Never: settings are plain JSON.
    pub fn settings_entries(settings: &NetworkSettings) -> Vec<(String, Value)> {
        let mut entries = vec![
            ("name".to_owned(), Value::text(&settings.name)),
            (
                "ladder".to_owned(),
                Value::Text(serde_json::to_string(&settings.ladder).expect("a ladder is plain JSON")),
            ),
            ("asks".to_owned(), Value::Text(serde_json::to_string(&settings.asks).expect("asks are plain JSON"))),
            ("sharing_statement".to_owned(), Value::text(settings.statement())),
            ("sharing_statement_version".to_owned(), Value::text(settings.statement_version().to_string())),
        ];
        entries.extend(settings.tags.iter().map(|tag| (format!("{TAG}{tag}"), Value::Flag)));
        if !settings.medians.is_empty() {
            let medians = serde_json::to_string(&settings.medians).expect("medians are plain JSON");
            entries.push(("medians".to_owned(), Value::Text(medians)));
        }
        entries
            .extend(settings.custom_fields.iter().map(|(key, label)| (format!("{CUSTOM}{key}"), Value::text(label))));
        entries
    }

    /// Reads a document of settings; what is absent or unreadable has its default.
    pub fn settings(&self) -> NetworkSettings {
        let mut settings = NetworkSettings {
            name: self.text("name").unwrap_or_default(),
            ladder: self.json("ladder").unwrap_or_default(),
            asks: self.json("asks").unwrap_or_default(),
            medians: self.json("medians").unwrap_or_default(),
            sharing_statement: self.text("sharing_statement").unwrap_or_default(),
            sharing_statement_version: self
                .text("sharing_statement_version")
                .and_then(|version| version.parse().ok())
                .unwrap_or_default(),
            ..NetworkSettings::default()
        };
        for key in self.keys() {
            if let Some(tag) = key.strip_prefix(TAG) {
                settings.tags.insert(tag.to_owned());
            } else if let Some(name) = key.strip_prefix(CUSTOM) {
                settings.custom_fields.insert(name.to_owned(), self.text(&key).unwrap_or_default());
            }
        }
        settings
    }

    /// The entries of a new card.
    pub fn card_entries(chapter: ScopeId, name: &str) -> Vec<(String, Value)> {
        vec![("chapter".to_owned(), Value::text(chapter.to_string())), ("name".to_owned(), Value::text(name))]
    }

    /// Reads a chapter's card.
    pub fn card(&self) -> ChapterCard {
        let field = |(name, _): (&str, &str)| self.text(name).map(|value| (name.to_owned(), value));
        ChapterCard {
            chapter: self.text("chapter").and_then(|id| id.parse().ok()),
            fields: ChapterCard::FIELDS.into_iter().filter_map(field).collect(),
        }
    }

    /// The entries of a new action; what is empty is left out.
    pub fn action_entries(name: &str, on: Date, place: &str, tag: &str) -> Vec<(String, Value)> {
        let day = on.to_string();
        let fields = [("name", name), ("on", day.as_str()), ("place", place), ("tag", tag)];
        let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(field, value)| (field.to_owned(), Value::text(value))).collect()
    }

    /// Reads an action. Where two nodes wrote different things Automerge's winner is shown, and both are listed.
    pub fn action(&self) -> Action {
        let text = |field: &str| within(self.text(field).unwrap_or_default(), field);
        let conflict = |(field, _): (&str, &str)| {
            let apart = self.standing(field).len() > 1;
            let mut values = if apart { self.standing_values(field) } else { Vec::new() };
            for standing in &mut values {
                standing.value = within(standing.value.expose().to_owned(), field).into();
            }
            (values.len() > 1).then(|| Conflict { field: field.to_owned(), values })
        };
        let cancelled = self.doc.get(ROOT, CANCELLED).ok().flatten();
        Action {
            id: self.id().unwrap_or(DocId::from_bytes([0; 16])),
            name: text("name"),
            on: text("on").parse().ok(),
            place: Personal::new(text("place")),
            tag: text("tag"),
            cancelled: cancelled.is_some_and(|(value, _)| value.as_scalar() == Some(&ScalarValue::Boolean(true))),
            conflicts: Action::FIELDS.into_iter().filter_map(conflict).collect(),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(&self.text(key)?).ok()
    }
}

impl Write {
    /// That an action does not take place.
    pub fn cancelled() -> Self {
        Self::Put(CANCELLED.to_owned(), Value::Flag)
    }

    /// That it does.
    pub fn not_cancelled() -> Self {
        Self::Delete(CANCELLED.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use model::{Kind, Timestamp};

    use super::*;
    use crate::{Refusal, Stamp, inspect};

    fn stamp(actor: u8) -> Stamp {
        Stamp { actor: [actor; 16], author: "0badcafe/lee".into(), at: Timestamp::from_millis(1_000_000) }
    }

    fn picnic() -> (Record, crate::Written) {
        let entries = Record::action_entries("Picnic", "2026-12-01".parse().unwrap(), "Elysian Park", "");
        Record::create(DocId::from_bytes([1; 16]), Kind::Action, entries, &stamp(1))
    }

    #[test]
    fn an_action_is_read_as_it_was_written_and_can_be_cancelled_and_held_after_all() {
        let (mut record, first) = picnic();
        assert_eq!(inspect(&first.bytes).unwrap().kind.as_deref(), Some("action"));
        let action = record.action();
        assert_eq!((action.id, action.name.as_str()), (DocId::from_bytes([1; 16]), "Picnic"));
        assert_eq!(action.on.map(|day| day.to_string()).as_deref(), Some("2026-12-01"));
        assert_eq!((action.place.expose(), action.tag.as_str(), action.cancelled), ("Elysian Park", "", false));
        record.edit(&[Write::cancelled()], &stamp(2)).unwrap();
        assert!(record.action().cancelled);
        assert_eq!(record.edit(&[Write::cancelled()], &stamp(2)), None, "it is cancelled already");
        record.edit(&[Write::not_cancelled()], &stamp(2)).unwrap();
        assert_eq!(record.action(), action);
    }

    #[test]
    fn two_days_written_apart_are_both_shown_until_one_is_settled() {
        let (mut here, _) = picnic();
        let mut there = here.clone();
        here.edit(&[Write::field("on", "2026-12-02")], &stamp(2)).unwrap();
        let theirs = there.edit(&[Write::field("on", "2026-12-03")], &stamp(3)).unwrap();
        let mut heads = here.heads();
        heads.push(theirs.hash);
        let (mut both, _) = crate::fold(Some(&here.save()), [theirs.bytes.as_slice()], &heads).unwrap();
        let conflicts = both.action().conflicts;
        assert_eq!(conflicts.len(), 1);
        let mut days: Vec<&str> = conflicts[0].values.iter().map(|standing| standing.value.expose()).collect();
        days.sort_unstable();
        assert_eq!((conflicts[0].field.as_str(), days), ("on", vec!["2026-12-02", "2026-12-03"]));
        both.edit(&[Write::Settle("on".into(), Value::text("2026-12-02"))], &stamp(2)).unwrap();
        let settled = both.action();
        assert_eq!(settled.on.map(|day| day.to_string()).as_deref(), Some("2026-12-02"));
        assert!(settled.conflicts.is_empty());
    }

    #[test]
    fn of_what_is_too_long_for_a_list_the_beginning_is_shown() {
        let (mut record, _) = picnic();
        let long = "\u{e9}".repeat(1000);
        record.edit(&[Write::field("name", &long), Write::field("tag", &format!("x{long}"))], &stamp(2)).unwrap();
        let action = record.action();
        assert_eq!((action.name.len(), action.tag.len()), (Action::NAME_BYTES_MAX, Action::TAG_BYTES_MAX - 1));
        assert_eq!(action.place.expose(), "Elysian Park");
    }

    #[test]
    fn an_action_never_becomes_something_else() {
        let (mut record, _) = picnic();
        let written = record.edit(&[Write::field("kind", "chapter_card")], &stamp(2)).unwrap();
        assert!(matches!(inspect(&written.bytes), Err(Refusal::DocumentId)));
    }
}
