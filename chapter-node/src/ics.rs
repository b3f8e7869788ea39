//! A calendar file (RFC 5545) of days on which something is planned with somebody.
//!
//! **Invariant:** lines end with CR LF and have at most 75 octets; what people wrote can't begin a line of its own. Knows
//! nothing of where the days come from.

use model::{Date, Timestamp};

/// The longest line in octets, without its end (RFC 5545, 3.1).
const LINE_OCTETS_MAX: usize = 75;

/// A whole day in a calendar.
pub(crate) struct Day {
    /// What names it for ever: a calendar that is read again changes it and does not add it.
    pub(crate) uid: String,
    /// When it was planned.
    pub(crate) said: Timestamp,
    /// The day.
    pub(crate) on: Date,
    /// Its title.
    pub(crate) title: String,
    /// What is to be done; empty: nothing is said.
    pub(crate) text: String,
}

/// The file.
pub(crate) fn calendar(name: &str, days: &[Day]) -> String {
    let mut file = String::new();
    let head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Chapterhouse//One-to-ones//EN", "CALSCALE:GREGORIAN"];
    head.iter().for_each(|line| fold(&mut file, line));
    fold(&mut file, &format!("X-WR-CALNAME:{}", escaped(name)));
    for day in days {
        fold(&mut file, "BEGIN:VEVENT");
        fold(&mut file, &format!("UID:{}", day.uid));
        fold(&mut file, &format!("DTSTAMP:{}", compact(&day.said.to_string())));
        fold(&mut file, &format!("DTSTART;VALUE=DATE:{}", compact(&day.on.to_string())));
        fold(&mut file, &format!("SUMMARY:{}", escaped(&day.title)));
        if !day.text.is_empty() {
            fold(&mut file, &format!("DESCRIPTION:{}", escaped(&day.text)));
        }
        fold(&mut file, "TRANSP:TRANSPARENT");
        fold(&mut file, "END:VEVENT");
    }
    fold(&mut file, "END:VCALENDAR");
    file
}

/// A day or a moment of ISO 8601 in its basic form, without parts of a second.
fn compact(text: &str) -> String {
    let whole = text.split_once('.').map_or_else(|| text.to_owned(), |(whole, _)| format!("{whole}Z"));
    whole.replace(['-', ':'], "")
}

/// A text as a value (RFC 5545, 3.3.11).
fn escaped(text: &str) -> String {
    let mut made = String::new();
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' | ';' | ',' => made.extend(['\\', c]),
            '\n' => made.push_str("\\n"),
            c if c.is_control() => made.push(' '),
            c => made.push(c),
        }
    }
    made
}

/// Adds a line, folded between characters (RFC 5545, 3.1): a line that goes on begins with a space.
fn fold(file: &mut String, line: &str) {
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > LINE_OCTETS_MAX {
            file.push_str("\r\n ");
            octets = 1;
        }
        file.push(c);
        octets += c.len_utf8();
    }
    file.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_between_characters_and_unfolds_to_itself() {
        let long = "ü€🌹x".repeat(40);
        let mut file = String::new();
        fold(&mut file, &long);
        assert!(file.ends_with("\r\n") && file.split("\r\n").all(|line| line.len() <= LINE_OCTETS_MAX), "{file:?}");
        assert!(file.split("\r\n").filter(|line| !line.is_empty()).count() > 4);
        assert_eq!(file.replace("\r\n ", "").trim_end(), long);
    }

    #[test]
    fn what_people_wrote_stays_one_value() {
        assert_eq!(escaped("a;b,c\\d\r\nEND:VEVENT\n\u{7}"), "a\\;b\\,c\\\\d\\nEND:VEVENT\\n ");
        assert_eq!(compact("2026-11-22T14:55:11.123Z"), "20261122T145511Z");
        assert_eq!(compact("2026-11-22"), "20261122");
    }
}
