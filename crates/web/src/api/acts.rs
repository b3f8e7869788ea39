//! What is done with people by JSON: of each act its address, who may, its fields, and the draft that they make.

use model::{AnswerKind, AskKind, AttemptHow, AttemptResult, Date, DocId, EventId, Right, RungId, SignUp, Timestamp};
use node::{AskDraft, AttemptDraft, By, Node, NodeError, OneToOneDraft, PersonDraft};
use store::Resolved;

use crate::WebError;
use crate::api::posted::{Field, Holds, Posted};

/// On whom something is done, where, and in whose name.
pub(super) struct On<'a> {
    pub(super) node: &'a Node,
    pub(super) person: DocId,
    pub(super) by: By<'a>,
}

/// Something that is done with a person.
pub(super) struct Act {
    pub(super) path: &'static str,
    pub(super) right: Right,
    pub(super) fields: &'static [Field],
    pub(super) words: &'static str,
    pub(super) does: fn(&On<'_>, Posted) -> Result<EventId, WebError>,
}

/// How somebody new is added.
pub(super) struct Adding {
    pub(super) path: &'static str,
    pub(super) right: Right,
    pub(super) fields: &'static [Field],
    pub(super) words: &'static str,
}

const HOW: &[&str] = &["call", "text", "door", "in-person", "email"];
const RESULT: &[&str] = &["talked", "left-message", "no-answer", "wrong-number", "refused", "moved"];
const ASKS: &[&str] = &["come", "task", "host", "recruit", "give", "lead"];
const ANSWERS: &[&str] = &["yes", "no", "kept", "missed"];

/// The acts of a chapter and of its hub, there on people who are in no chapter.
pub(super) static ACTS: [Act; 4] = [
    Act {
        path: "/api/v1/people/{id}/attempts",
        right: Right::LogAttempts,
        fields: &[
            Field::must("how", Holds::Word(HOW), "by which way"),
            Field::must("result", Holds::Word(RESULT), "what came of it"),
            Field::may("at", Holds::Time, "when; now, if nothing is said"),
            Field::may("line", Holds::Text, "a line on what was said; the network sees it"),
            Field::may("not_before", Holds::Day, "before which day nobody is to try again"),
            Field::may("next_on", Holds::Day, "the day of the next try"),
        ],
        words: "Log an attempt to reach her",
        does: attempt,
    },
    Act {
        path: "/api/v1/people/{id}/one_to_ones",
        right: Right::EditPeople,
        fields: &[
            Field::may("at", Holds::Time, "when; now, if nothing is said"),
            Field::may("who", Holds::Text, "who held it; whoever logs it, if nothing is said"),
            Field::may("minutes", Holds::Whole, "how long"),
            Field::may("in_person", Holds::Flag, "whether they sat together"),
            Field::may("ask", Holds::Text, "what was asked"),
            Field::may("kind", Holds::Word(ASKS), "of which kind the ask is; a task, if nothing is said"),
            Field::may("due", Holds::Day, "by when she was asked to do it"),
            Field::may("answer", Holds::Word(ANSWERS), "what she said to it"),
            Field::may("next", Holds::Text, "the next step"),
            Field::may("next_on", Holds::Day, "its day"),
            Field::may("story", Holds::Text, "her story: stays in the chapter"),
            Field::may("interest", Holds::Text, "what matters to her: stays in the chapter"),
            Field::may("relationships", Holds::Text, "who she is close to: stays in the chapter"),
            Field::may("capacity", Holds::Text, "what she has time and strength for: stays in the chapter"),
        ],
        words: "Log a one-to-one",
        does: one_to_one,
    },
    Act {
        path: "/api/v1/people/{id}/asks",
        right: Right::EditPeople,
        fields: &[
            Field::must("text", Holds::Text, "what is asked"),
            Field::may("kind", Holds::Word(ASKS), "of which kind; a task, if nothing is said"),
            Field::may("rung", Holds::Text, "the rung that it is for"),
            Field::may("due", Holds::Day, "by when"),
        ],
        words: "Ask her for something",
        does: ask,
    },
    Act {
        path: "/api/v1/people/{id}/moves",
        right: Right::MoveRungs,
        fields: &[
            Field::must("rung", Holds::Text, "the rung to which she moves"),
            Field::may("evidence", Holds::Texts, "ids of the events that show it"),
            Field::may("because", Holds::Text, "or why, in writing: marked as a skip"),
        ],
        words: "Move her on the ladder",
        does: moved,
    },
];

/// What stays in a chapter.
pub(super) static NOTES: Act = Act {
    path: "/api/v1/people/{id}/notes",
    right: Right::EditPeople,
    fields: &[Field::must("text", Holds::Text, "the note")],
    words: "Keep a note that stays in this chapter",
    does: note,
};

/// Somebody new at a chapter.
pub(super) static NEW: Adding = Adding {
    path: "/api/v1/people",
    right: Right::EditPeople,
    fields: &[
        Field::may("given_name", Holds::Text, "her given name"),
        Field::may("family_name", Holds::Text, "her family name"),
        Field::may("email", Holds::Text, "an e-mail address; this or a telephone number has to be given"),
        Field::may("phone", Holds::Text, "a telephone number"),
        Field::may("postal_code", Holds::Text, "her postal code"),
        Field::may("locality", Holds::Text, "her town"),
        Field::may("region", Holds::Text, "her region (ISO 3166-2)"),
        Field::may("country", Holds::Text, "her country (ISO 3166-1 alpha-2)"),
        Field::may("tags", Holds::Texts, "tags"),
    ],
    words: "Add somebody to this chapter",
};

/// Where what is known is corrected, and who may.
pub(super) const CORRECT: &str = "/api/v1/people/{id}";
pub(super) const CORRECT_RIGHT: Right = Right::EditPeople;
/// What can be corrected: text fields, who looks after her, and one more address or number.
pub(super) static CORRECTED: &[Field] = &[
    Field::may("given_name", Holds::Text, "her given name"),
    Field::may("family_name", Holds::Text, "her family name"),
    Field::may("additional_name", Holds::Text, "a further name"),
    Field::may("honorific_prefix", Holds::Text, "what stands before her name"),
    Field::may("honorific_suffix", Holds::Text, "what stands after it"),
    Field::may("gender", Holds::Text, "her gender"),
    Field::may("pronouns", Holds::Text, "her pronouns"),
    Field::may("preferred_language", Holds::Text, "the language that she prefers"),
    Field::may("employer", Holds::Text, "for whom she works"),
    Field::may("occupation", Holds::Text, "as what"),
    Field::may("source", Holds::Text, "from where she came"),
    Field::may("hours_per_week", Holds::Text, "how many hours she has"),
    Field::may("would_like", Holds::Text, "what she would like to do"),
    Field::may("description", Holds::Text, "a description"),
    Field::may("looked_after_by", Holds::Text, "the login of who looks after her"),
    Field::may("email", Holds::Text, "one more e-mail address"),
    Field::may("phone", Holds::Text, "one more telephone number"),
];

fn attempt(on: &On<'_>, mut posted: Posted) -> Result<EventId, WebError> {
    let (how, result) = (posted.word("how", AttemptHow::from_word), posted.word("result", AttemptResult::from_word));
    let (line, at) = (posted.personal("line"), posted.parse::<Timestamp>("at"));
    let (not_before, next_on) = (posted.parse::<Date>("not_before"), posted.parse::<Date>("next_on"));
    let draft = how.zip(result).map(|(how, result)| AttemptDraft { how, result, line, not_before, next_on, at });
    Ok(on.node.log_attempt(on.person, posted.end(draft)?, on.by)?)
}

fn one_to_one(on: &On<'_>, mut posted: Posted) -> Result<EventId, WebError> {
    let kind = posted.word("kind", AskKind::from_word).unwrap_or(AskKind::Task);
    let due = posted.parse::<Date>("due");
    let draft = OneToOneDraft {
        at: posted.parse("at"),
        who: posted.text("who"),
        minutes: posted.whole("minutes"),
        in_person: posted.flag("in_person"),
        ask: posted.personal("ask").map(|text| AskDraft { text, kind, rung: None, due }),
        answer: posted.word("answer", AnswerKind::from_word),
        next: posted.personal("next"),
        next_on: posted.parse("next_on"),
        story: posted.personal("story"),
        interest: posted.personal("interest"),
        relationships: posted.personal("relationships"),
        capacity: posted.personal("capacity"),
    };
    Ok(on.node.log_one_to_one(on.person, posted.end(Some(draft))?, on.by)?)
}

fn ask(on: &On<'_>, mut posted: Posted) -> Result<EventId, WebError> {
    let kind = posted.word("kind", AskKind::from_word).unwrap_or(AskKind::Task);
    let (rung, due) = (posted.text("rung").map(RungId::new), posted.parse::<Date>("due"));
    let draft = posted.personal("text").map(|text| AskDraft { text, kind, rung, due });
    Ok(on.node.add_ask(on.person, posted.end(draft)?, on.by)?)
}

fn moved(on: &On<'_>, mut posted: Posted) -> Result<EventId, WebError> {
    let (rung, because) = (posted.text("rung").map(RungId::new), posted.personal("because"));
    let evidence = posted.texts("evidence");
    let rung = posted.end(rung)?;
    let cited = |event: &String| on.node.read(|read| read.resolve(event));
    let cited: Vec<Resolved> = evidence.iter().map(cited).collect::<Result<_, NodeError>>()?;
    Ok(on.node.move_to(on.person, &rung, &cited, because, on.by)?.0)
}

fn note(on: &On<'_>, mut posted: Posted) -> Result<EventId, WebError> {
    let text = posted.personal("text");
    Ok(on.node.add_note(on.person, posted.end(text)?, on.by)?)
}

/// Somebody new, as she was posted.
///
/// # Errors
/// Everything that is wrong, by field.
pub(super) fn somebody(mut posted: Posted, country: &str) -> Result<PersonDraft, WebError> {
    let mut given: Vec<(&str, String)> = Vec::new();
    for field in NEW.fields {
        if let Holds::Texts = field.holds {
            given.extend(posted.texts(field.name).into_iter().map(|text| (field.name, text)));
        } else {
            given.extend(posted.text(field.name).map(|text| (field.name, text)));
        }
    }
    let given = posted.end(Some(given))?;
    let fields = given.iter().map(|(name, text)| (*name, text.as_str()));
    Ok(SignUp::from_fields(fields, country).map_err(NodeError::Fields)?)
}

#[cfg(test)]
mod tests {
    use model::TEXT_FIELDS;

    use super::*;

    #[test]
    fn the_words_of_a_field_are_those_of_the_record() {
        assert_eq!(HOW, AttemptHow::ALL.iter().map(|one| one.word()).collect::<Vec<_>>());
        assert_eq!(RESULT, AttemptResult::ALL.iter().map(|one| one.word()).collect::<Vec<_>>());
        assert_eq!(ASKS, AskKind::ALL.iter().map(|one| one.word()).collect::<Vec<_>>());
        assert_eq!(ANSWERS, AnswerKind::ALL.iter().map(|one| one.word()).collect::<Vec<_>>());
        let corrected: Vec<&str> = CORRECTED.iter().map(|field| field.name).collect();
        assert_eq!(corrected[..TEXT_FIELDS.len()], TEXT_FIELDS);
    }
}
