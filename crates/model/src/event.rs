//! Events: what happened to a supporter, put once into her record and never changed.
//!
//! **Invariant:** kinds are for ever; an event names people by id or login, never by a supporter's name. A kind of a
//! later version reads as [`Body::Unknown`] and is kept as it is.

use serde::{Deserialize, Serialize};

use crate::{ConsentState, Date, DocId, EventId, Personal, RungId, ScopeId, Timestamp};

/// One event of a supporter's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id, which is also its key.
    pub id: EventId,
    /// When it happened, as the one who logged it says.
    pub at: Timestamp,
    /// Who logged it: a login, or a bare name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Personal>,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened, by kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// She signed up, or someone did with her e-mail address.
    SignUp {
        /// By which way.
        origin: SignUpOrigin,
        /// The campaign or page that it names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// She was placed into a chapter, or waits.
    Placement(PlacementFact),
    /// Someone tried to reach her.
    Attempt {
        /// By which channel.
        how: AttemptHow,
        /// What came of it.
        result: AttemptResult,
        /// A line on what was said. It travels with the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<Personal>,
        /// Do not try again before this day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Date>,
        /// The day of the next try.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_on: Option<Date>,
    },
    /// An organiser takes her into care, or says when she will be in touch.
    Care {
        /// The organiser who looks after her from now on; none: nobody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<Personal>,
        /// Who did before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Personal>,
        /// The day of the next try; nothing is due before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<Date>,
    },
    /// A structured conversation: the fact of it. Its text stays in the chapter.
    OneToOne {
        /// How long, in minutes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minutes: Option<u32>,
        /// Whether they sat together; none: nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_person: Option<bool>,
        /// What was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask: Option<Personal>,
        /// The next step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Personal>,
        /// Its day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_on: Option<Date>,
    },
    /// A concrete request.
    Ask {
        /// What was asked.
        text: Personal,
        /// Of which kind.
        ask_kind: AskKind,
        /// The rung it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rung: Option<RungId>,
        /// By when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Date>,
        /// The action to which she is asked to come.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<DocId>,
    },
    /// What came of an ask.
    Answer {
        /// The ask.
        of: EventId,
        /// The answer.
        answer: AnswerKind,
        /// What was learnt. It travels with the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<Personal>,
    },
    /// A change of rung, with what shows it.
    Move {
        /// The rung before.
        from: RungId,
        /// The rung after.
        to: RungId,
        /// How it came about.
        how: MoveKind,
        /// The events that show it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<EventId>,
        /// The written reason, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<Personal>,
    },
    /// She came to an action.
    Came {
        /// The action.
        action: DocId,
    },
    /// She agreed to hear from someone, or no longer does.
    Consent {
        /// `email`, `sms`, `phone`, `post`, or `any` for do-not-contact.
        channel: String,
        /// `network` or a chapter's scope id.
        sender: String,
        /// What she said.
        state: ConsentState,
        /// Where she said it.
        source: Personal,
    },
    /// She went from one chapter to another; or another chapter serves her, too.
    Transfer {
        /// The chapter that gave; none: she stays where she is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<ScopeId>,
        /// The chapter that took.
        to: ScopeId,
    },
    /// A chapter handed her back.
    Return {
        /// Why.
        reason: Personal,
    },
    /// She gave money.
    Donation {
        /// In minor units (cents).
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
    },
    /// An event that was wrongly logged.
    Void {
        /// Which.
        of: EventId,
    },
    /// A kind of a later version: kept and fed on, not shown.
    #[serde(other)]
    Unknown,
}

impl Body {
    /// The kind's word, as it stands in the record.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SignUp { .. } => "sign_up",
            Self::Placement(_) => "placement",
            Self::Attempt { .. } => "attempt",
            Self::Care { .. } => "care",
            Self::OneToOne { .. } => "one_to_one",
            Self::Ask { .. } => "ask",
            Self::Answer { .. } => "answer",
            Self::Move { .. } => "move",
            Self::Came { .. } => "came",
            Self::Consent { .. } => "consent",
            Self::Transfer { .. } => "transfer",
            Self::Return { .. } => "return",
            Self::Donation { .. } => "donation",
            Self::Void { .. } => "void",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a sign-up was placed, with the whole explanation, so that it can be defended and replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementFact {
    /// The chapter; absent when she waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chapter: Option<ScopeId>,
    /// The reason's code.
    pub reason: String,
    /// One sentence for a person.
    pub explanation: String,
    /// What was assumed on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Which territories decided.
    pub territory_version: u64,
    /// Which gazetteer was read.
    pub gazetteer_version: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every one, in the order in which a form offers them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in a record, a command and a form.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The one with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.word() == word)
            }
        }
    };
}
pub(crate) use words;

words!(
    /// By which way a sign-up came.
    SignUpOrigin {
        /// The hub's own form.
        Form = "form",
        /// The OSDI endpoint.
        Api = "api",
        /// A file.
        Import = "import",
        /// Entered by an organiser.
        Organiser = "organiser",
    }
);
words!(
    /// How an attempt was made.
    AttemptHow {
        /// By telephone.
        Call = "call",
        /// By text message.
        Text = "text",
        /// At the door.
        Door = "door",
        /// Somewhere else, face to face.
        InPerson = "in-person",
        /// By e-mail.
        Email = "email",
    }
);
words!(
    /// What came of an attempt.
    AttemptResult {
        /// They talked.
        Talked = "talked",
        /// A message was left.
        LeftMessage = "left-message",
        /// Nobody answered.
        NoAnswer = "no-answer",
        /// It was not hers.
        WrongNumber = "wrong-number",
        /// She did not want to talk.
        Refused = "refused",
        /// She lives elsewhere now.
        Moved = "moved",
    }
);
words!(
    /// What kind of thing was asked.
    AskKind {
        /// Come to something.
        Come = "come",
        /// Do a task.
        Task = "task",
        /// Host something.
        Host = "host",
        /// Bring others.
        Recruit = "recruit",
        /// Give money or things.
        Give = "give",
        /// Take a problem and lead on it.
        Lead = "lead",
    }
);
words!(
    /// What came of an ask.
    AnswerKind {
        /// She said yes.
        Yes = "yes",
        /// She said no.
        No = "no",
        /// She did it.
        Kept = "kept",
        /// She did not.
        Missed = "missed",
    }
);
words!(
    /// How a move came about.
    MoveKind {
        /// One rung up, with what shows it.
        Up = "up",
        /// One or more rungs down.
        Down = "down",
        /// Up with a written reason in place of what would show it, or more than one rung.
        Skip = "skip",
        /// The rung that came with an import: neither a move nor a skip.
        Baseline = "baseline",
        /// A person settled which of two standing rungs holds.
        Settled = "settled",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_compact_json_and_a_later_kind_is_kept() {
        let id = EventId::from_bytes([1; 16]);
        let event = Event {
            id,
            at: Timestamp::from_millis(0),
            by: Some("lee".into()),
            body: Body::Attempt {
                how: AttemptHow::Call,
                result: AttemptResult::NoAnswer,
                line: None,
                not_before: None,
                next_on: None,
            },
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"id":"01010101-0101-0101-0101-010101010101","at":"1970-01-01T00:00:00.000Z","by":"lee","kind":"attempt","how":"call","result":"no-answer"}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        let later = json.replace("attempt", "levitated");
        assert_eq!(serde_json::from_str::<Event>(&later).unwrap().body, Body::Unknown);
    }
}
