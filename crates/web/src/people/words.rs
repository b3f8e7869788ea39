//! Events and fields in the movement's words.

use std::collections::BTreeMap;

use model::{Body, DocId, Event, Ladder, MoveKind, Personal, Supporter};

/// What is needed beside an event to say it in words.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// Whose event it is.
    pub her: &'a Supporter,
    /// The network's ladder.
    pub ladder: &'a Ladder,
    /// What actions are called that are known here.
    pub actions: &'a BTreeMap<DocId, String>,
}

/// A field's name as people say it.
pub(super) fn label(field: &str) -> String {
    let known = match field {
        "given_name" => "Given name",
        "family_name" => "Family name",
        "preferred_language" => "Language",
        "hours_per_week" => "Hours a week",
        "would_like" => "Would like to",
        "looked_after_by" => "Looked after by",
        "recruited_by" => "Recruited by",
        "developed_by" => "Developed by",
        "rung" => "Rung",
        "email" => "E-mail",
        "sms" => "Text message",
        "do_not_contact" => "Do not contact",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let (kind, rest) = field.split_once('/').unwrap_or((field, ""));
    let mut words = format!("{} {rest}", kind.replace('_', " "));
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words.trim().to_owned()
}

/// Postal code and city, as far as they are known.
pub(super) fn place_of(supporter: &Supporter) -> String {
    supporter.addresses.first().map_or_else(String::new, address_words)
}

/// An address in one line.
pub(super) fn address_words(address: &model::PostalAddress) -> String {
    let parts = [&address.postal_code, &address.locality, &address.region];
    let lines = address.address_lines.iter().chain(parts.into_iter().flatten());
    lines.map(Personal::expose).collect::<Vec<_>>().join(" ")
}

fn quoted(text: &Option<Personal>) -> String {
    text.as_ref().filter(|text| !text.is_blank()).map_or_else(String::new, |text| format!(": {}", text.expose()))
}

/// What an event says, in a sentence.
pub fn describe(event: &Event, wording: &Wording<'_>) -> String {
    let Wording { her, ladder, actions } = wording;
    match &event.body {
        Body::SignUp { origin, source } => {
            let way = match origin {
                model::SignUpOrigin::Form => "on the network's form",
                model::SignUpOrigin::Api => "through a form of the network",
                model::SignUpOrigin::Import => "on a list",
                model::SignUpOrigin::Organiser => "with an organiser",
            };
            format!("Signed up {way}{}", source.as_ref().map_or_else(String::new, |source| format!(" ({source})")))
        }
        Body::Placement(fact) => match fact.chapter {
            Some(_) => format!("Placed: {}", fact.explanation),
            None => format!("Waiting: {}", fact.explanation),
        },
        Body::Attempt { how, result, line, next_on, .. } => {
            let then = next_on.map_or_else(String::new, |day| format!(". Next try on {day}"));
            format!("{}, {}{}{then}", attempt_word(*how), result.word().replace('-', " "), quoted(line))
        }
        Body::Care { who, on, .. } => {
            let who = who.as_ref().map_or("Nobody", Personal::expose);
            let then = on.map_or_else(String::new, |day| format!(", next try on {day}"));
            format!("{who} looks after her{then}")
        }
        Body::OneToOne { minutes, in_person, ask, next, next_on } => {
            let long = minutes.map_or_else(String::new, |minutes| format!(" of {minutes} minutes"));
            let there = if *in_person == Some(true) { " in person" } else { "" };
            let asked = ask.as_ref().map_or_else(String::new, |ask| format!(" Asked: {}.", ask.expose()));
            let on = next_on.map_or_else(String::new, |day| format!(" on {day}"));
            let then = next.as_ref().map_or_else(String::new, |next| format!(" Next: {}{on}.", next.expose()));
            format!("One-to-one{there}{long}.{asked}{then}")
        }
        Body::Ask { text, ask_kind, due, .. } => {
            let due = due.map_or_else(String::new, |day| format!(", by {day}"));
            format!("Asked ({}): {}{due}", ask_kind.word(), text.expose())
        }
        Body::Answer { of, answer, line } => {
            let what = her
                .event(*of)
                .and_then(|event| if let Body::Ask { text, .. } = &event.body { Some(text.expose()) } else { None });
            let learnt = line.as_ref().map_or_else(String::new, |line| format!(". Learnt: {}", line.expose()));
            format!("{}: {}{learnt}", answer_word(*answer), what.unwrap_or("an ask"))
        }
        Body::Move { from, to, how, because, .. } => move_words(ladder.label(from), ladder.label(to), *how, because),
        Body::Came { action } => format!("Came to {}", actions.get(action).map_or("an action", String::as_str)),
        Body::Consent { channel, state, source, .. } if channel == "any" => {
            let said = if *state == model::ConsentState::Granted { "May be contacted again" } else { "Do not contact" };
            format!("{said}: {}", source.expose())
        }
        Body::Consent { channel, sender, state, source } => {
            let who = if sender == "network" { "the network" } else { "the chapter" };
            format!(
                "Said {} to {channel} from {who} ({})",
                if *state == model::ConsentState::Granted { "yes" } else { "no more" },
                source.expose()
            )
        }
        Body::Transfer { from: Some(_), .. } => "Went to another chapter".to_owned(),
        Body::Transfer { from: None, .. } => "Another chapter serves her, too".to_owned(),
        Body::Return { reason } => format!("Handed back: {}", reason.expose()),
        Body::Donation { amount_minor, currency } => {
            format!("Gave {}.{:02} {currency}", amount_minor / 100, amount_minor % 100)
        }
        Body::Void { .. } | Body::Unknown => "Something that this version does not show".to_owned(),
    }
}

fn move_words(from: &str, to: &str, how: MoveKind, because: &Option<Personal>) -> String {
    match how {
        MoveKind::Up => format!("Moved up to {to}"),
        MoveKind::Down => format!("Moved down from {from} to {to}{}", quoted(because)),
        MoveKind::Skip => format!("Moved up to {to} by a skip{}", quoted(because)),
        MoveKind::Baseline => format!("Came with the list as {to}"),
        MoveKind::Settled => format!("Settled on {to}"),
    }
}

const fn attempt_word(how: model::AttemptHow) -> &'static str {
    match how {
        model::AttemptHow::Call => "Called",
        model::AttemptHow::Text => "Texted",
        model::AttemptHow::Door => "At the door",
        model::AttemptHow::InPerson => "In person",
        model::AttemptHow::Email => "E-mailed",
    }
}

const fn answer_word(answer: model::AnswerKind) -> &'static str {
    match answer {
        model::AnswerKind::Yes => "Said yes",
        model::AnswerKind::No => "Said no",
        model::AnswerKind::Kept => "Kept",
        model::AnswerKind::Missed => "Missed",
    }
}
