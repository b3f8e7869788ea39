//! The two other kinds of document: the network's settings and a chapter's card. Flat, like a supporter's.

use model::{CUSTOM, ChapterCard, NetworkSettings, ScopeId, TAG};

use crate::{Record, Value};

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

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(&self.text(key)?).ok()
    }
}
