//! No personal data in logs: the story, told by programs that log whatever they can.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;
use tests::harness::Node;
use tests::story::{INTEREST, STORY, Story};

/// What is said and written in the story, and by what name people went before they were corrected.
const TEXTS: [&str; 13] = [
    STORY,
    INTEREST,
    "glad that somebody called",
    "come on Tuesday",
    "bring two neighbours",
    "led the last drive",
    "Braun",
    "Otto",
    "Stranger",
    "213 555 0142",
    "2135550142",
    "312 555 0199",
    "3125550199",
];

/// Everything by which somebody at the hub can be known, in small letters.
fn words(hub: &Node) -> BTreeSet<String> {
    let people = hub.json(&["people", "list", "--limit", "499"]).unwrap();
    let mut words: BTreeSet<String> = TEXTS.iter().map(|text| text.to_lowercase()).collect();
    let mut add = |value: &Value| {
        let word = value.as_str().unwrap_or_default().to_lowercase();
        // Of a number also what follows the country's code.
        let national = word.strip_prefix('1').filter(|rest| rest.len() == 10 && !rest.contains('@'));
        words.extend(national.map(str::to_owned));
        words.insert(word);
    };
    for person in people["people"].as_array().unwrap() {
        ["given_name", "family_name"].iter().for_each(|name| add(&person[name]));
        person["email_addresses"].as_array().unwrap().iter().for_each(|email| add(&email["address"]));
        person["phone_numbers"].as_array().unwrap().iter().for_each(|phone| add(&phone["number"]));
    }
    words.remove("");
    words
}

/// The words that are in a log: names and numbers as whole words, for `Sol` is also in `resolved`; the rest anywhere.
fn found<'a>(log: &str, words: &'a BTreeSet<String>) -> Vec<&'a str> {
    let log = log.to_lowercase();
    let whole: BTreeSet<&str> = log.split(|c: char| !c.is_alphanumeric()).collect();
    let is_in = |word: &&String| {
        if word.chars().all(char::is_alphanumeric) {
            whole.contains(word.as_str())
        } else {
            log.contains(word.as_str())
        }
    };
    words.iter().filter(is_in).map(String::as_str).collect()
}

#[test]
fn nothing_about_a_person_is_in_a_log_even_where_everything_is_logged() {
    let directory = TempDir::new().unwrap();
    let mut story = Story::new(directory.path(), false);
    story.log_everything();
    if let Err(error) = story.tell(200) {
        panic!("{error:?}");
    }
    let words = words(&story.hub);
    for known in ["mary", "browne", "mary@example.org", "12135550142", "2135550142", "supporter1-7@example.org"] {
        assert!(words.contains(known), "{known} is looked for");
    }
    let planted = "INFO placed Sol at +1 213 555 0142, told MARY@example.org";
    assert_eq!(
        found(planted, &words),
        ["213 555 0142", "mary", "mary@example.org", "sol"],
        "the search finds what is there"
    );
    for node in story.chapters.iter().chain([&story.hub]) {
        let said = node.said();
        assert!(said.contains("DEBUG") && said.contains("is open at"), "everything was logged: {said}");
        assert_eq!(found(&said, &words), [""; 0], "{said}");
    }
}
