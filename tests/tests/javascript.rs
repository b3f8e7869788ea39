//! Automerge's JavaScript library reads what the record crate saves: a record outlives our program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model::{ConsentState, DocId, EventId, Kind, Ladder, RungId, Timestamp};
use record::{Record, Stamp, Value, Write, fold};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tests::javascript;

fn stamp(actor: u8) -> Stamp {
    Stamp { actor: [actor; 16], author: "0badcafe/lee".to_owned(), at: Timestamp::from_millis(1_000_000) }
}

/// Two replicas wrote apart and were brought together: some fields agree, three don't, one entry is gone.
fn brought_together() -> Record {
    let entries = vec![
        ("family_name".to_owned(), Value::text("Brown")),
        ("employer".to_owned(), Value::text("City")),
        ("hours_per_week".to_owned(), Value::text("3")),
        ("email/mary@example.org".to_owned(), Value::text(r#"{"primary":true}"#)),
        ("tag/door".to_owned(), Value::Flag),
        ("tag/gone".to_owned(), Value::Flag),
    ];
    let (mut hub, _) = Record::create(DocId::from_bytes([1; 16]), Kind::Supporter, entries, &stamp(1));
    let mut chapter = hub.clone();
    let by = EventId::from_bytes([5; 16]);
    let at_hub = [
        Write::field("family_name", "Braun"),
        Write::field("employer", ""),
        Write::field("occupation", "nurse"),
        Write::field("source", "form"),
        Write::field("hours_per_week", ""),
        Write::consent("email", "network", ConsentState::Granted, by),
    ];
    hub.edit(&at_hub, &stamp(2)).unwrap();
    let at_chapter = [
        Write::field("family_name", "Browne"),
        Write::field("employer", "Port"),
        Write::field("occupation", "nurse"),
        Write::field("source", "stall"),
    ];
    let later = [
        Write::field("family_name", "Browning"),
        Write::field("custom/größe", "Bread and Roses 🌹"),
        Write::rung(&RungId::new("conversation"), by),
        Write::Delete("tag/gone".to_owned()),
    ];
    let written = [chapter.edit(&at_chapter, &stamp(3)).unwrap(), chapter.edit(&later, &stamp(3)).unwrap()];
    let heads = [hub.heads(), chapter.heads()].concat();
    fold(Some(&hub.save()), written.iter().map(|written| written.bytes.as_slice()), &heads).unwrap().0
}

fn seen_by_javascript(record: &Record) -> Json {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("record");
    fs::write(&file, record.save()).unwrap();
    let output = javascript::run("read.mjs", &file, "").unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A value as the record crate shows it among others: nothing for a cleared field.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

/// Asserts that both read the same; gives the keys on which the replicas disagree.
fn agreed(record: &Record) -> (Json, Vec<String>) {
    let seen = seen_by_javascript(record);
    let heads: Vec<String> = record.heads().iter().map(ToString::to_string).collect();
    assert_eq!(seen["heads"], json!(heads), "every change has the same hash");
    assert_eq!(seen["keys"], json!(record.keys()));
    for key in record.keys() {
        assert_eq!(seen["values"][&key].as_str(), record.text(&key).as_deref(), "the shown value of {key}");
    }
    let conflicts = record.supporter(&Ladder::default()).conflicts;
    let ours: BTreeMap<String, BTreeSet<String>> = conflicts
        .iter()
        .map(|one| (one.field.clone(), one.values.iter().map(|standing| standing.value.expose().to_owned()).collect()))
        .collect();
    let theirs: BTreeMap<String, BTreeSet<String>> = seen["conflicts"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, values)| (key.clone(), values.as_array().unwrap().iter().map(shown).collect()))
        .collect();
    assert_eq!(theirs, ours);
    (seen, ours.into_keys().collect())
}

#[test]
fn the_javascript_library_reads_a_record_and_what_it_disagrees_on() {
    let mut record = brought_together();
    let (seen, disputed) = agreed(&record);
    assert_eq!(disputed, ["employer", "family_name", "source"]);
    assert_eq!(seen["heads"].as_array().unwrap().len(), 2);
    assert_eq!(seen["values"]["tag/door"], json!(true));
    assert_eq!(seen["values"]["hours_per_week"], Json::Null);
    assert_eq!(seen["values"].get("tag/gone"), None);

    record.edit(&[Write::Settle("family_name".to_owned(), Value::text("Browne"))], &stamp(4)).unwrap();
    let (seen, disputed) = agreed(&record);
    assert_eq!(disputed, ["employer", "source"]);
    assert_eq!(seen["values"]["family_name"], json!("Browne"));
}
